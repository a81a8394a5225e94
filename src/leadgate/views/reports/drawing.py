"""Charts as SVG, to stand inside a page: no script, no font, colours of the page."""

import io
import re
from typing import TYPE_CHECKING, Any

from leadgate.views.reports.report import Chart, Series
from leadgate.views.reports.wording import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--faint)",
    "#030303": "var(--accent)",
    "#040404": "var(--second)",
}
"""What matplotlib draws with, and what the page makes of it, by its theme."""
_INK, _FAINT, _ACCENT, _SECOND = _COLOURS

_LONGEST = 28
"""Characters of a label."""


def draw(chart: Chart, number: int) -> str:
    """The chart as an ``svg`` element; ``number`` keeps its ids apart from those of others on the page."""
    import matplotlib as mpl  # noqa: PLC0415  # 0.3 s
    from matplotlib.figure import Figure  # noqa: PLC0415

    looks: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": f"chart {number}",
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _FAINT,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "text.parse_math": False,  # a dollar in a label is a dollar
    }
    with mpl.rc_context(looks):
        height = max(2.0, 0.32 * len(chart.labels) + 0.8) if chart.kind == "bars" else 3.0
        figure = Figure(figsize=(7.2, height), layout="constrained")
        _axes(figure, chart)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue(), number)


def _axes(figure: "Figure", chart: Chart) -> None:
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(chart.x)
    axes.set_ylabel(chart.y)
    if chart.kind == "bars":
        _bars(axes, chart)
    else:
        _points(axes, chart)
    if chart.percent:
        from matplotlib.ticker import PercentFormatter  # noqa: PLC0415

        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        if chart.kind == "calibration":
            axes.xaxis.set_major_formatter(PercentFormatter(1.0))


def _bars(axes: "Axes", chart: Chart) -> None:
    values = chart.series[0].y
    axes.barh(range(len(values)), values, color=_ACCENT, height=0.6)
    axes.set_yticks(range(len(values)), [_short(label) for label in chart.labels])
    axes.invert_yaxis()


def _points(axes: "Axes", chart: Chart) -> None:
    for series, colour in zip(chart.series, (_ACCENT, _SECOND, _FAINT), strict=False):
        _series(axes, series, colour, chart)
    if chart.kind == "band":
        axes.axhline(0, color=_INK, linewidth=1)
    if chart.kind == "calibration":
        top = 1.05 * max((0.05, *(y for s in chart.series for y in (*s.x, *s.y, *s.high))))
        axes.plot([0, top], [0, top], color=_FAINT, linestyle="--", label="perfect")
        axes.set(xlim=(0, top), ylim=(0, top))
    if chart.labels:
        step = max(1, len(chart.labels) // 8)
        axes.set_xticks(range(0, len(chart.labels), step), [_short(label) for label in chart.labels[::step]])
    if len(chart.series) > 1 or chart.kind == "calibration":
        axes.legend(frameon=False)


def _series(axes: "Axes", series: Series, colour: str, chart: Chart) -> None:
    if chart.kind == "calibration":
        errors = [
            [max(0.0, y - low) for y, low in zip(series.y, series.low, strict=True)],
            [max(0.0, high - y) for y, high in zip(series.y, series.high, strict=True)],
        ]
        axes.errorbar(series.x, series.y, yerr=errors, fmt="o", color=colour, capsize=3, label=_short(series.name))
        return
    axes.plot(series.x, series.y, color=colour, marker="o", markersize=3, label=_short(series.name))
    if series.low:
        axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.2, linewidth=0)


def _short(label: str) -> str:
    label = clean(label)
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"


def _inline(svg: str, number: int) -> str:
    """An SVG file as an element of a page: without its head, ids of its own, colours of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="chart-{number}-', svg)
    svg = re.sub(r"url\(#", f"url(#chart-{number}-", svg)
    svg = re.sub(r'xlink:href="#', f'href="#chart-{number}-', svg)
    svg = re.sub(r' width="[\d.]+pt" height="[\d.]+pt"| height="[\d.]+pt"| width="[\d.]+pt"', "", svg, count=2)
    for drawn, shown in _COLOURS.items():
        svg = svg.replace(drawn, shown)
    return svg.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)
