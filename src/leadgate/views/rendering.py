"""Templates into pages."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from math import isfinite
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from leadgate.views import wording
from leadgate.views.charts import Chart

STATIC = files("leadgate.views") / "static"


@cache
def make_environment() -> Environment:
    """The templates of the pages. Whatever people typed is escaped; an unknown name is an error, not a blank."""
    made = Environment(
        loader=PackageLoader("leadgate.views", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Callable[..., Any]] = {
        "when": when,
        "moment": lambda seconds: when(datetime.fromtimestamp(seconds, UTC)),
        "number": wording.number,
        "percent": wording.percent,
        "share": wording.share,
        "count": wording.count,
        "plain": wording.plain,
        "chart": chart_data,
    }
    made.filters.update(filters)
    made.globals.update(static=static_url, spark=spark)
    return made


def when(at: datetime | None, otherwise: str = "never") -> Markup | str:
    """A moment: UTC for everybody, and in the viewer's own zone where scripts run."""
    if at is None:
        return otherwise
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        at.isoformat(timespec="seconds"), at.strftime("%Y-%m-%d %H:%M")
    )


def chart_data(chart: Chart) -> dict[str, Any]:
    """A chart as ``static/charts.js`` reads it: JSON has no infinity and no NaN, so there is no figure then."""
    drawn = asdict(chart)
    for series in drawn["series"]:
        series.update({name: [_finite(value) for value in series[name]] for name in ("x", "y", "low")})
    return drawn


def _finite(value: float | str | None) -> float | str | None:
    return None if isinstance(value, float) and not isfinite(value) else value


_DIGESTS: dict[str, str] = {}


def static_url(name: str) -> str:
    """The address of a static file; it changes with the file, so that browsers may keep it for ever."""
    if name not in _DIGESTS:
        _DIGESTS[name] = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/ui/static/{name}?v={_DIGESTS[name]}"


_WIDTH, _HEIGHT, _MARGIN = 96, 24, 2


def spark(values: list[float | None]) -> Markup:
    """A line of the last values as an image of 96 by 24 pixels; nothing for fewer than two.

    It is ornament: the row says its value in words.
    """
    values = [None if value is None or not isfinite(value) else value for value in values]
    known = [value for value in values if value is not None]
    if len(known) < 2:  # noqa: PLR2004
        return Markup("")
    low, span = min(known), (max(known) - min(known)) or 1.0
    step = (_WIDTH - 2 * _MARGIN) / (len(values) - 1)
    points = [
        f"{_MARGIN + i * step:.1f},{_HEIGHT - _MARGIN - (value - low) / span * (_HEIGHT - 2 * _MARGIN):.1f}"
        for i, value in enumerate(values)
        if value is not None
    ]
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-hidden="true" focusable="false">'
        '<polyline points="{points}"/></svg>'
    ).format(w=_WIDTH, h=_HEIGHT, points=" ".join(points))
