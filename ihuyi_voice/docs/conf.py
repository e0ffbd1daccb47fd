"""Sphinx's settings, of both languages; the tag `zh` says which."""

import re
from importlib.metadata import version as version_of
from typing import Any

from sphinx.locale import get_translation

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
    "ihuyi_voice.docs.figures",
    "ihuyi_voice.docs.pictures",
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
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_theme_options: dict[str, Any] = {"announcement": ".", "navigation_with_keys": True}

# The theme's own words, which nobody has put into Chinese.
THEMES_WORDS = {
    "Next": "下一页",
    "Previous": "上一页",
    "Home": "首页",
    "On this page": "本页内容",
    "Search": "搜索",
    "Index": "索引",
}
SPHINXS_WORDS = get_translation("sphinx")


def in_chinese(words: str) -> str:
    """Return words of the theme's, as the reader's language has them."""
    return THEMES_WORDS.get(words) or str(SPHINXS_WORDS(words))


def other_language(_app: Any, page: str, _template: str, context: dict[str, Any], *_: Any) -> None:
    """Let each page lead to itself in the other language."""
    folder, name = ("en", "English") if chinese else ("zh", "中文")
    context["theme_announcement"] = f'<a href="../{folder}/{page}.html">{name}</a>'
    if chinese:
        context["_"] = in_chinese


def without_blanks(_app: Any, _page: str, source: list[str]) -> None:
    """Join the lines of Chinese paragraphs: a line's end would be shown as a blank."""
    source[0] = re.sub(
        r"(?<=[、。，；：！？）”])\n *(?!\d+\. )(?=[^\n\s#:|`>-]|`(?!``))", "", source[0]
    )
    source[0] = re.sub(r"(?<=[\u4e00-\u9fff])\n *(?=[\u4e00-\u9fff（“])", "", source[0])


def setup(app: Any) -> None:
    """Hear of each page before it is read, and before it is written."""
    app.connect("html-page-context", other_language)
    if chinese:
        app.connect("source-read", without_blanks)
