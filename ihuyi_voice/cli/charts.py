"""Charts of a run as inline SVG, drawn by pygal: without script, colours of the page around them.

All that is written in them are numbers, so they are the same in every language; the words stand
beside them.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pygal  # type: ignore[import-untyped]  # it has no types
from lxml import etree
from pygal.style import Style  # type: ignore[import-untyped]

from ihuyi_voice.common.redaction import shown

# Importing it hooks into all later imports, for plugins that nobody uses here, and Python warns.
sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != pygal.__name__]

_FONT: Final = "sans-serif"
_SIZE: Final = {"width": 460, "height": 240}
_LABELS: Final = 5  # of an axis of time
_NEEDLESS: Final = frozenset({"script", "desc"})  # elements of no use without a script
_TOOLTIPS: Final = "tooltip-overlay"  # and the class of another
_PLAIN: Final[dict[str, Any]] = {
    "js": [],
    "show_legend": False,
    "margin": 8,
    "no_data_text": "–",
    "truncate_label": -1,
    "value_formatter": "{:,.10g}".format,
}


def ring(parts: Mapping[str, int], label: str) -> str:
    """Return how a whole is made of parts; their names are colours of the page."""
    chart: Any = pygal.Pie(**_options(parts, inner_radius=0.62, width=240))
    for name, count in parts.items():
        chart.add(name, count)
    return _drawn(chart, label)


def pillars(times: Sequence[str], series: Mapping[str, Sequence[float]], label: str) -> str:
    """Return counts over time, one on top of the other; the series' names are colours."""
    chart: Any = pygal.StackedBar(**_options(series), **_time_axis(times), spacing=2)
    for name, values in series.items():
        chart.add(name, values)
    return _drawn(chart, label)


def curves(times: Sequence[str], series: Mapping[str, Sequence[float | None]], label: str) -> str:
    """Return values over time, None where there is none; the series' names are colours."""
    highest = max((value or 0 for values in series.values() for value in values), default=0)
    options = _options(series) | _time_axis(times)
    chart: Any = pygal.Line(**options, dots_size=2, range=(0, highest or 1))
    for name, values in series.items():
        chart.add(name, values, allow_interruptions=True)
    return _drawn(chart, label)


def bars(values: Mapping[str, tuple[int, str]], label: str) -> str:
    """Return a bar for each count, the first on top; beside each stands its colour."""
    colours = sorted({colour for _, colour in values.values()})
    rising = list(values.values())[::-1]  # pygal begins at the bottom
    chart: Any = pygal.HorizontalStackedBar(
        **_options(colours, height=48 + 24 * len(values), margin_right=24)
    )
    chart.x_labels = list(values)[::-1]
    for colour in colours:
        chart.add(colour, [count if own == colour else None for count, own in rising])
    return _drawn(chart, label)


def _options(names: Iterable[str], **others: Any) -> dict[str, Any]:  # noqa: ANN401 - pygal's
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--soft)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        opacity="1",
        opacity_hover="1",
        transition="none",
        colors=tuple(f"var(--{name})" for name in names) or ("var(--soft)",),
        font_family=_FONT,
        label_font_size=12,
        major_label_font_size=12,
        no_data_font_size=24,
    )
    return {**_PLAIN, **_SIZE, "style": style, **others}


def _time_axis(times: Sequence[str]) -> dict[str, Any]:
    """Return an axis with a few of the times on it, so that they don't run into each other."""
    every = max(1, -(-len(times) // _LABELS))
    return {
        "x_labels": list(times),
        "x_labels_major": list(times)[::every],
        "show_minor_x_labels": False,
        "y_labels_major_count": 4,
        "show_minor_y_labels": False,
    }


def _drawn(chart: Any, label: str) -> str:  # noqa: ANN401 - pygal has no types
    """Return a chart as an element of a page, without what would need a script."""
    root = chart.render_tree()
    for node in [each for each in root.iter() if _is_needless(each)]:
        node.getparent().remove(node)
    title = next(root.iter("{*}title"))
    title.text = shown(label)
    root.set("role", "img")
    root.set("aria-label", shown(label))
    return str(etree.tostring(root, encoding="unicode"))


def _is_needless(node: Any) -> bool:  # noqa: ANN401 - lxml's
    if not isinstance(node.tag, str):  # a comment
        return True
    name = etree.QName(node).localname
    return name in _NEEDLESS or _TOOLTIPS in node.get("class", "").split()
