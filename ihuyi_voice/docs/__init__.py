"""The documentation: pages in two languages, and the site that Sphinx builds of them.

In a checkout, with the extra `docs`: `python -m ihuyi_voice.docs FOLDER`. The wheel leaves it out.
"""
