"""Pictures of the pages: laid out by Graphviz, which pygraphviz brings, from texts in `pictures/`.

A text is in Graphviz's own language, one for both languages. What Graphviz doesn't know is ours:

- of the graph, `alt_en` and `alt_zh`: what the picture shows, for whoever can't see it, and
  `states`, `theory` or `calls`: what of the code its words are held against, by tests;
- of a node, a cluster or an arrow, `en` and `zh`: its words;
- of a node, `head`, or `head_en` and `head_zh`: what stands above them in bold. A state's is its
  name; several that have all their arrows in common are one node, "HELD, NOT_SENT".

The picture stands in the page itself, so its colours are those of the page, in light and dark.
"""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pygraphviz  # type: ignore[import-untyped]  # it has no types
from docutils import nodes
from lxml import etree
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FOLDER: Final = Path(__file__).parent / "pictures"
_FONT: Final = "Helvetica"
_GRAPH: Final = {
    "bgcolor": "transparent", "fontname": _FONT, "fontsize": "11", "nodesep": "0.2",
    "ranksep": "0.22", "pad": "0.03",
}  # fmt: skip
_NODES: Final = {
    "shape": "box", "style": "rounded", "fontname": _FONT, "fontsize": "12", "height": "0.1",
    "width": "0.5", "margin": "0.11,0.06",
}  # fmt: skip
_EDGES: Final = {"fontname": _FONT, "fontsize": "11", "arrowsize": "0.6"}
_SVG: Final = "{http://www.w3.org/2000/svg}"


def names() -> list[str]:
    """Return the names of all pictures."""
    return sorted(path.stem for path in FOLDER.glob("*.dot"))


def graph(name: str) -> Any:
    """Return a picture as it is written."""
    return pygraphviz.AGraph(string=(FOLDER / f"{name}.dot").read_text(encoding="utf-8"))


def about(name: str) -> dict[str, str]:
    """Return what a picture says of itself: what it shows, and what it is held against."""
    picture = graph(name)  # its attributes are gone with it
    return dict(picture.graph_attr.items())


def heads(node: Any) -> list[str]:
    """Return the states that a node stands for; none if it stands for none."""
    return str(node).split(", ") if "state" in (node.attr["class"] or "").split() else []


def _head(node: Any, language: str) -> list[str]:
    given = node.attr["head"] or node.attr[f"head_{language}"]
    return [given] if given else heads(node)


def _label(node: Any, language: str) -> str:
    """A node's words, in Graphviz's own kind of HTML."""
    head = [f"<b>{escape(line)}</b>" for line in _head(node, language)]
    words = node.attr[language] or ""
    small = [f'<font point-size="11">{escape(line)}</font>' for line in words.split(r"\n") if line]
    return f"<{'<br/>'.join([*head, *small])}>"


def _speak(picture: Any, language: str) -> None:
    """Give everything its words in a language."""
    for node in picture.nodes():
        node.attr["label"] = _label(node, language)
    for edge in picture.edges():
        words = [edge.attr["call"], *(edge.attr[language] or "").split(r"\n")]
        edge.attr["label"] = r"\n".join(f" {each} " for each in words if each)
    for cluster in picture.subgraphs():
        cluster.graph_attr["label"] = cluster.graph_attr[language]


def _dress(picture: Any, name: str) -> None:
    for kind, defaults in (
        (picture.graph_attr, _GRAPH | {"id": name}),
        (picture.node_attr, _NODES),
        (picture.edge_attr, _EDGES),
    ):
        for key, value in defaults.items():
            kind[key] = value
    for cluster in picture.subgraphs():
        cluster.graph_attr["style"] = "rounded"


def drawn(name: str, language: str) -> str:
    """Return a picture as SVG that can stand in a page.

    Args:
        name: Of its text in `pictures/`, without the suffix.
        language: `en` or `zh`.
    """
    picture = graph(name)
    _dress(picture, name)
    _speak(picture, language)
    svg: Any = etree.fromstring(picture.draw(format="svg", prog="dot"))
    for title in list(svg.iter(f"{_SVG}title")):  # which browsers show under a pointer
        title.getparent().remove(title)
    etree.strip_tags(svg, etree.Comment)
    width, height = svg.get("viewBox").split()[2:]
    svg.set("width", width)
    svg.set("height", height)
    svg.set("role", "img")
    svg.set("aria-label", picture.graph_attr[f"alt_{language}"])
    return etree.tostring(svg, encoding="unicode")


class Picture(SphinxDirective):
    """A picture, drawn when the site is built."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Draw it in the language of the page."""
        name = str(self.arguments[0])
        self.env.note_dependency(str(FOLDER / f"{name}.dot"))
        language = "zh" if str(self.config.language).startswith("zh") else "en"
        text = f'<div class="picture">{drawn(name, language)}</div>'
        return [nodes.raw("", text, format="html")]


def setup(app: "Sphinx") -> dict[str, Any]:
    """Give the directive to Sphinx."""
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True}
