"""Sphinx's settings, of both languages; the tag `zh` says which."""

from importlib.metadata import version as version_of
from typing import Any

chinese = tags.has("zh")  # type: ignore[name-defined]  # noqa: F821 - Sphinx puts it here

project = "ihuyi-voice"
author = "the ihuyi-voice team"
project_copyright = "2026, the ihuyi-voice team"
version = release = version_of("ihuyi-voice")
language = "zh_CN" if chinese else "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "ihuyi_voice.docs.docstrings",
    "ihuyi_voice.docs.tables",
]
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True

html_theme = "furo"
html_title = "ihuyi-voice"
html_copy_source = False
html_show_sourcelink = False
html_css_files: list[str] = []
html_theme_options: dict[str, Any] = {
    "announcement": '<a href="../en/index.html">English</a>'
    if chinese
    else '<a href="../zh/index.html">中文</a>',
    "navigation_with_keys": True,
}
