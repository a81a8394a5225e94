"""The rows of the dashboard: value, target and mark of each, as the last run of checks has them (quiet)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from leadgate.views.reports.phrases import COUNT, EXACT, FIGURE, SHARE, said, severity, table
from leadgate.views.reports.report import Block, Cited, Code, Known, Part, Table, Text

MARKED = (
    "Marks are those of the checks, by the thresholds that leadgate.yaml has under monitoring. A figure beyond its "
    "target is good all the same where its interval reaches the target, or where chance explains it."
)

Find = Callable[[Known], int | None]
"""Gives the row of a run of checks that a row of the dashboard is about."""


@dataclass(frozen=True, kw_only=True)
class HealthRow:
    """A row of the dashboard."""

    card: str
    name: str
    find: Find
    value: tuple[str, ...] = ("value",)
    """Where the figure is in the row of the check."""
    form: str = FIGURE
    sense: str = "at most"
    """How the target is meant; empty: ``target`` says it."""
    target: tuple[str, ...] = ("threshold",)
    """Where the target is in the row of the check..."""
    setting: tuple[str, ...] = ()
    """...or in leadgate.yaml, where that is not empty."""
    target_form: str = ""
    """Empty: as the value."""
    unit: str = ""
    where_known: bool = False
    """Whether it is left out where no check said anything of it."""


def _of(check: str, subject: str | None = None) -> Find:
    """The first, which is the most urgent, row of a check."""

    def find(known: Known) -> int | None:
        places = [
            i for i, row in enumerate(known.rows) if row["check_name"] == check and subject in (None, row["subject"])
        ]
        return places[0] if places else None

    return find


def _largest(check: str, figure: str) -> Find:
    """The row of a check with the largest of a figure among its details, or of its values."""

    def size(row: Mapping[str, Any]) -> float:
        found = row["value"] if figure == "value" else row["details"].get(figure)
        return float("-inf") if found is None else float(found)

    def find(known: Known) -> int | None:
        places = [i for i, row in enumerate(known.rows) if row["check_name"] == check]
        return max(places, key=lambda i: size(known.rows[i]), default=None)

    return find


_SYSTEM, _MODEL, _DATA, _BUSINESS = "System health", "Model performance", "Data quality and drift", "Business impact"
_CHAMPION = "champion"

ROWS = (
    HealthRow(card=_SYSTEM, name="API latency, p95", find=_of("latency p95"), form=EXACT, unit=" ms"),
    HealthRow(card=_SYSTEM, name="API latency, p99", find=_of("latency p99"), form=EXACT, unit=" ms"),
    HealthRow(card=_SYSTEM, name="error rate", find=_of("error rate"), form="{:.2%}"),
    HealthRow(card=_SYSTEM, name="uptime", find=_of("uptime"), form="{:.2%}", sense="at least"),
    HealthRow(card=_MODEL, name="AUC", find=_of("AUC", _CHAMPION), sense="at least"),
    HealthRow(
        card=_MODEL,
        name="AUC, unbiased, by explored leads",
        find=_of("feedback bias", _CHAMPION),
        sense="as measured on all leads",
        target=("details", "ordinary"),
        where_known=True,
    ),
    HealthRow(card=_MODEL, name="precision at the threshold", find=_of("precision", _CHAMPION), sense="at least"),
    HealthRow(card=_MODEL, name="recall", find=_of("recall", _CHAMPION), sense="at least"),
    HealthRow(card=_MODEL, name="calibration error", find=_of("calibration", _CHAMPION)),
    HealthRow(card=_DATA, name="data freshness", find=_of("freshness"), form="{:.1f}", unit=" h"),
    HealthRow(
        card=_DATA, name="missing values, worst feature", find=_largest("missing values", "value"), form="{:.2%}"
    ),
    HealthRow(
        card=_DATA,
        name="feature drift, largest KS",
        find=_largest("feature drift", "ks"),
        value=("details", "ks"),
        setting=("monitoring", "drift", "ks", "yellow"),
    ),
    HealthRow(
        card=_DATA,
        name="distribution delta, largest JS",
        find=_largest("feature drift", "js"),
        value=("details", "js"),
        setting=("monitoring", "drift", "js", "yellow"),
    ),
    HealthRow(card=_DATA, name="coverage", find=_of("coverage"), form=SHARE, sense="at least"),
    HealthRow(
        card=_BUSINESS,
        name="conversion rate",
        find=_of("conversion"),
        value=("details", "rate"),
        form=SHARE,
        sense="change of",
    ),
    HealthRow(
        card=_BUSINESS,
        name="average deal size",
        find=_of("deal size"),
        value=("details", "mean"),
        form="{:,.0f}",
        sense="change of",
        target_form=SHARE,
    ),
    HealthRow(card=_BUSINESS, name="sales satisfaction", find=_of("sales rating"), form="{:.1f}", sense="at least"),
    HealthRow(card=_BUSINESS, name="scores a day", find=_of("usage"), form="{:,.0f}", sense="at least"),
)
"""As the plan's picture has them. Capacity is measured in rollouts only, and stands in their evidence."""


def health_blocks(found: Known | None, settings: Known, capacity: Known | None = None) -> tuple[Block, ...]:
    """Every row; a sentence where no check has run."""
    if found is None:
        return (
            said(
                "No check has run in this time: ",
                Code(text="leadgate check run"),
                " runs them, a worker every quarter of an hour.",
            ),
        )
    rows = [_row(found, settings, row) for row in ROWS if not row.where_known or row.find(found) is not None]
    return (_with_capacity(rows, capacity, settings),)


def _with_capacity(rows: list[tuple[Part | Text, ...]], capacity: Known | None, settings: Known) -> Table:
    at, asked = (0, "evidence", "system", "capacity"), ("rollout", "gates", "throughput", "at_least")
    if capacity is not None and capacity.get(*at) is not None:
        value, limit = capacity.get(*at), settings.get(*asked)
        mark = severity("unknown" if limit is None else "green" if value >= limit else "yellow")
        target = said("at least ", settings.number(*asked, form="{:,.0f}"), " requests/s")
        shown = said(capacity.number(*at, form="{:,.0f}"), " requests/s")
        rows.insert(2, (_SYSTEM, "throughput, capacity", shown, target, mark, "", "as the last rollout measured it"))
    columns = "card|row|now|target|stands|resting on|what was found"
    return table("Rows of the dashboard", columns, rows, "  rr r")


def _row(known: Known, settings: Known, row: HealthRow) -> tuple[Part | Text, ...]:
    i = row.find(known)
    if i is None:
        return row.card, row.name, "-", "-", severity("unknown"), "-", "no check said anything of it"
    value = known.number(i, *row.value, form=row.form)
    return (
        row.card,
        row.name,
        (value, row.unit if isinstance(value, Cited) else ""),
        _target(known, settings, row, i),
        severity(known.rows[i]["severity"]),
        known.number(i, "sample", form=COUNT),
        known.quote(i, "sentence"),
    )


def _target(known: Known, settings: Known, row: HealthRow, i: int) -> Text:
    form = row.target_form or row.form
    limit = settings.number(*row.setting, form=form) if row.setting else known.number(i, *row.target, form=form)
    if isinstance(limit, str):
        return ("none is set",)
    return row.sense, " ", *(("at most ",) if row.sense == "change of" else ()), limit, row.unit
