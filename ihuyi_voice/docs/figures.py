"""What was measured, as the pages show it: tables and a chart of the rows in `figures/`.

`figures/clients.json` is what `python -m benchmarks --json` printed.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pygal  # type: ignore[import-untyped]  # it has no types
from docutils import nodes
from lxml import etree
from pygal.style import Style  # type: ignore[import-untyped]
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Importing pygal hooks into all later imports, for plugins that nobody uses here, and Python warns.
sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != pygal.__name__]

CLIENTS: Final = Path(__file__).parent / "figures" / "clients.json"
_NAMES: Final = {  # in both languages, in the order of the table
    "ours, submit_many": ("**ours, `submit_many`**", "**本客户端，`submit_many`**"),
    "ours, gather(submit)": ("ours, `gather(submit)`", "本客户端，`gather(submit)`"),
    "pyreqwest, bare": ("pyreqwest, bare", "pyreqwest（裸）"),
    "aiohttp, bare": ("aiohttp, bare", "aiohttp（裸）"),
    "rnet, bare": ("rnet, bare", "rnet（裸）"),
    "httpx-aiohttp": ("httpx on aiohttp", "httpx 配 aiohttp"),
    "httpx, stock": ("httpx, stock", "httpx 原版"),
    "asyncio streams, the floor": (
        "asyncio streams, no HTTP client",
        "asyncio streams，无 HTTP 客户端",
    ),
}
_HEADS: Final = (("client", "connections"), ("客户端", "个连接"))
_LATENCIES: Final = (
    ("client, 50 connections", "median", "99 in 100"),
    ("客户端，50 个连接", "中位数", "p99"),
)
_UNITS: Final = ("{:,.0f} ms", "{:,.0f} 毫秒")
_LABELS: Final = (
    "µs of CPU a submission over the number of connections, for each client",
    "各客户端每次提交的 CPU 微秒数与连接数",
)
_MARKS: Final = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000)  # µs, on the chart
_BUSY: Final = 50  # connections, where latencies are told
_PALETTE: Final = tuple(f"var(--chart-{number})" for number in range(1, len(_NAMES) + 1))


def rows(path: Path = CLIENTS) -> list[dict[str, Any]]:
    """Return what was measured without a wait in the server."""
    measured: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [row for row in measured if not row["server_ms"]]


def _by_client() -> dict[str, dict[int, dict[str, Any]]]:
    found: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in _NAMES}
    for row in rows():
        found[row["client"]][row["connections"]] = row
    return {name: each for name, each in found.items() if each}


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def table(chinese: bool) -> list[str]:
    """Return CPU and ratio of every client, a column for each number of connections."""
    clients = _by_client()
    columns = sorted({count for each in clients.values() for count in each})
    client, connections = _HEADS[chinese]
    first = f"{columns[0]} {connections}"
    lines = [
        _line(client, first, *(f"{count:,}" for count in columns[1:])),
        _line("---", *("---:" for _ in columns)),
    ]
    for name, each in clients.items():
        cells = (f"{each[count]['cpu_us']:,.0f} ({each[count]['ratio']:.2f})" for count in columns)
        lines.append(_line(_NAMES[name][chinese], *cells))
    return lines


def latencies(chinese: bool) -> list[str]:
    """Return how long a submission takes with 50 connections busy, where that was kept."""
    lines = [_line(*_LATENCIES[chinese]), _line("---", "---:", "---:")]
    for name, each in _by_client().items():
        if "p50_ms" in each.get(_BUSY, {}):
            told = (_UNITS[chinese].format(each[_BUSY][key]) for key in ("p50_ms", "p99_ms"))
            lines.append(_line(_NAMES[name][chinese], *told))
    return lines


def chart(chinese: bool) -> str:
    """Return CPU over the number of connections, both logarithmic, as SVG for a page."""
    clients = _by_client()
    columns = sorted({count for each in clients.values() for count in each})
    drawing: Any = pygal.Line(
        width=380,
        height=430,
        logarithmic=True,
        js=[],
        dots_size=3,
        stroke_style={"width": 2.5},
        y_labels=_MARKS,
        legend_at_bottom=True,
        legend_at_bottom_columns=1,
        legend_box_size=9,
        truncate_legend=-1,
        margin=8,
        value_formatter="{:,.0f}".format,
        style=_style(),
    )
    drawing.x_labels = [f"{count:,}" for count in columns]
    for name, each in clients.items():
        words = _NAMES[name][chinese].replace("*", "").replace("`", "")
        drawing.add(words, [each[count]["cpu_us"] for count in columns])
    return _drawn(drawing, _LABELS[chinese])


def _style() -> Any:
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--color-foreground-secondary)",
        foreground_strong="var(--color-foreground-primary)",
        foreground_subtle="var(--color-background-border)",
        opacity="1",
        opacity_hover="1",
        transition="none",
        colors=_PALETTE,
        font_family="sans-serif",
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=12,
    )


def _drawn(drawing: Any, label: str) -> str:
    """Return a chart as an element of a page, without what would need a script."""
    root = drawing.render_tree()
    for node in list(root.iter()):
        needless = not isinstance(node.tag, str) or etree.QName(node).localname in {
            "script", "desc", "title",
        }  # fmt: skip
        if needless or "tooltip-overlay" in node.get("class", ""):
            node.getparent().remove(node)
    root.set("role", "img")
    root.set("aria-label", label)
    return str(etree.tostring(root, encoding="unicode"))


class Chart(SphinxDirective):
    """The chart, drawn when the site is built."""

    def run(self) -> list[nodes.Node]:
        """Draw it in the language of the page."""
        self.env.note_dependency(str(CLIENTS))
        chinese = str(self.config.language).startswith("zh")
        return [nodes.raw("", f'<div class="chart">{chart(chinese)}</div>', format="html")]


def setup(app: "Sphinx") -> dict[str, Any]:
    """Give the directive to Sphinx."""
    app.add_directive("chart", Chart)
    return {"parallel_read_safe": True}
