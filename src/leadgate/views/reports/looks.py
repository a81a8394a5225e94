"""The looks at an experiment over time, as charts (quiet)."""

from collections.abc import Mapping
from typing import Any

from leadgate.views.reports.phrases import (
    COUNT,
    day,
    table,
    with_interval,
)
from leadgate.views.reports.report import Chart, Known, Series

_POINTS = "{:+.2%}"


def band(looks: Known) -> Chart:
    """The difference of the rates with the confidence sequence, day by day."""
    seen = [(i, row) for i, row in enumerate(looks.rows) if row["low"] is not None]
    rows = [
        (
            looks.quote(i, "gathered_at", form="{:%Y-%m-%d}"),
            looks.number(i, "evidence_id", form="{}"),
            looks.number(i, "control_matured", form=COUNT),
            looks.number(i, "treatment_matured", form=COUNT),
            with_interval(looks, (i, "difference"), (i,), _POINTS),
            looks.number(i, "harm", form="{:.1f}"),
            looks.number(i, "harm_threshold", form="{:.1f}"),
        )
        for i, _ in enumerate(looks.rows)
    ]
    columns = "day|evidence|control, matured|treatment, matured|difference|evidence of harm|its boundary"
    series = Series(
        name="difference",
        x=tuple(float(n) for n in range(len(seen))),
        y=tuple(row["difference"] for _, row in seen),
        low=tuple(row["low"] for _, row in seen),
        high=tuple(row["high"] for _, row in seen),
    )
    return Chart(
        title="Difference of the rates, challenger minus champion, with an interval that holds at every look",
        alt=_alt([row for _, row in seen]),
        kind="band",
        x="",
        y="difference",
        series=(series,),
        labels=tuple(day(row["gathered_at"]) for _, row in seen),
        percent=True,
        table=table("Day by day", columns, rows, " rrrrrr"),
    )


def _alt(seen: list[Mapping[str, Any]]) -> str:
    if not seen:
        return "No interval yet: too few leads have converted."
    last = seen[-1]
    side = "above 0" if last["low"] > 0 else "below 0" if last["high"] < 0 else "around 0"
    return (
        f"A line over {len(seen)} days with a band that narrows; at the end {last['difference']:+.2%}, from "
        f"{last['low']:+.2%} to {last['high']:+.2%}, {side}."
    )


def harm(looks: Known) -> Chart:
    """The evidence of harm against the boundary that sends the challenger back."""
    seen = [row for row in looks.rows if row["harm"] is not None]
    x = tuple(float(n) for n in range(len(seen)))
    crossed = any(row["harm"] >= row["harm_threshold"] for row in seen)
    return Chart(
        title="Evidence of harm; at the boundary the challenger goes back",
        alt=f"The evidence of harm {'reached' if crossed else 'stayed below'} its boundary over {len(seen)} days.",
        kind="line",
        x="",
        y="log likelihood ratio",
        series=(
            Series(name="evidence of harm", x=x, y=tuple(row["harm"] for row in seen)),
            Series(name="boundary", x=x, y=tuple(row["harm_threshold"] for row in seen)),
        ),
        labels=tuple(day(row["gathered_at"]) for row in seen),
        table=table(
            "Where it ended",
            "evidence of harm|boundary",
            [_last_harm(looks)] if seen else [],
            "rr",
        ),
    )


def _last_harm(looks: Known) -> tuple[Any, Any]:
    last = max(i for i, row in enumerate(looks.rows) if row["harm"] is not None)
    return looks.number(last, "harm", form="{:.2f}"), looks.number(last, "harm_threshold", form="{:.2f}")
