"""The weekly and the monthly review (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from leadgate.views.reports import blocks
from leadgate.views.reports.facts import RuleFacts, VersionFacts
from leadgate.views.reports.health import health_blocks
from leadgate.views.reports.phrases import (
    DAYS,
    EXACT,
    FIGURE,
    MOMENT,
    MONEY,
    SHARE,
    joined,
    said,
    severity,
    table,
    words,
)
from leadgate.views.reports.report import Block, Chart, Code, Known, Report, Section, Series, Table, Text

Cadence = Literal["weekly", "monthly"]

MOST_DRIFTED = 2
"""Features that may drift before the plan asks for a training (its emergency rule: more than two)."""
_COUNTED = (
    "A lead counts by its first score, in the week of it. It has matured when {:g} days have passed since then and its "
    "outcome is known; only matured leads have a rate, and conversions after those days do not count."
)
_MARKED = "Marks are those of the checks: their thresholds stand in leadgate.yaml under monitoring."


@dataclass(frozen=True, kw_only=True)
class Review:
    """What the report tells of."""

    model_name: str
    cadence: Cadence
    since: datetime
    until: datetime
    window_days: float
    """Within which a conversion counts."""
    routes: Known
    settings: Known
    leads: Known
    """By week, version and priority, from some weeks before the period whose leads have matured."""
    findings: Known | None
    """Of the last run of checks in the period."""
    before: Known | None
    """Of the last run before it."""
    capacity: Known | None
    """The last evidence of a rollout, for what only that measures."""
    alerts: Known
    calibration: Known
    segments: Known | None
    """None where no feature parts the leads."""
    version: VersionFacts | None
    """The champion."""
    rule: RuleFacts | str | None
    """The simple rule, or why there is none; None in a weekly review."""


def review_report(found: Review) -> Report:
    """What the plan's review asks for."""
    named = found.cadence.capitalize()
    sections = [
        ("Business by week and version", _business(found)),
        ("Health", health_blocks(found.findings, found.settings, found.capacity)),
        ("Alerts", (blocks.alerts(found.alerts),) if found.alerts.rows else (said("No alert was open."),)),
        ("Drift, the most urgent first", _drift(found.findings)),
        ("Calibration", _calibration(found.calibration)),
        ("Feature importance", _importance(found.version)),
        ("Segments", _segments(found.segments)),
        ("A simple rule beside the model", () if found.rule is None else blocks.rule_blocks(found.rule)),
        ("Train again?", (_retraining(found.findings),)),
        ("Every week, version and priority", _detail(found.leads)),
    ]
    return Report(
        kind=found.cadence,
        title=f"{named} review",
        model_name=found.model_name,
        period=f"{found.since:%Y-%m-%d} to {found.until:%Y-%m-%d}",
        versions=tuple(dict.fromkeys(str(r["model_version"]) for r in found.leads.rows if r["level"] == "version")),
        made_at=found.until,
        changed=tuple(_changed(found)),
        actions=tuple(_actions(found)),
        sections=tuple(Section(title=title, blocks=parts) for title, parts in sections if parts),
        reads=(_COUNTED.format(found.window_days), _MARKED),
    )


def drifted(known: Known | None) -> list[int]:
    """The rows of features that drifted."""
    if known is None:
        return []
    return [
        i for i, r in enumerate(known.rows) if r["check_name"] == "feature drift" and r["severity"] in ("yellow", "red")
    ]


def _changed(found: Review) -> list[Text]:
    return [_matured(found.leads), *_moves(found), *_marks(found), _alerted(found)]


def _matured(leads: Known) -> Text:
    """How the leads of the span did, and how many are not yet known."""
    i = _row_of(leads, "all")
    if i is None or not leads.rows[i]["leads"]:
        return ("No lead was scored in this time.",)
    row = leads.rows[i]
    young = said(
        leads.number(i, "leads"),
        " leads were scored, ",
        leads.number(i, "maturing"),
        " of them too lately to be judged",
    )
    silent = said(", ", leads.number(i, "silent"), " without any outcome") if row["silent"] else ()
    if not row["matured"]:
        return said(young, silent, "; no outcome counts yet.")
    return said(
        young,
        silent,
        "; of the ",
        leads.number(i, "matured"),
        " matured ones ",
        leads.number(i, "rate", form=SHARE),
        " converted.",
    )


def _moves(found: Review) -> list[Text]:
    """The routes that came into force in the period."""
    routes = found.routes
    return [
        said(
            routes.quote(i, "changed_at", form=MOMENT),
            f" UTC: {words(row['stage'])}, version {row['champion']}",
            *_beside(routes, i),
            ". ",
            routes.quote(i, "reason"),
        )
        for i, row in enumerate(routes.rows)
        if row["changed_at"] >= found.since
    ]


def _beside(routes: Known, i: int) -> Sequence[Any]:
    challenger = routes.rows[i]["challenger"]
    if challenger is None:
        return ()
    if not routes.rows[i]["challenger_share"]:
        return (f", version {challenger} scored beside it",)
    return f", version {challenger} with ", routes.number(i, "challenger_share", form=SHARE), " of the leads"


def _marks(found: Review) -> list[Text]:
    """What the checks say otherwise than before the period."""
    if found.findings is None or found.before is None:
        return []
    known, old = found.findings, {_key(row): row["severity"] for row in found.before.rows}
    moved = [
        i
        for i, r in enumerate(known.rows)
        if {old.get(_key(r), "green"), r["severity"]} & {"yellow", "red"} and old.get(_key(r), "green") != r["severity"]
    ]
    return [
        said(
            known.quote(i, "check_name"),
            *((" of ", known.quote(i, "subject")) if known.rows[i]["subject"] else ()),
            f": was {severity(old.get(_key(known.rows[i]), 'green')).text}, now ",
            severity(known.rows[i]["severity"]),
            " (",
            known.quote(i, "sentence"),
            ")",
        )
        for i in moved
    ]


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["check_name"], row["subject"]


def _alerted(found: Review) -> Text:
    new = [row for row in found.alerts.rows if row["opened_at"] >= found.since]
    if not new:
        return ("No alert was raised.",)
    counts = [
        found.alerts.computed(n, what, "{:,}")
        for n, what in (
            (len(new), "number of alerts opened in the period"),
            (sum(row["worst"] == "red" for row in new), "number of those that were red"),
            (sum(row["resolved_at"] is None for row in found.alerts.rows), "number of alerts that are open"),
        )
    ]
    return said(counts[0], " alerts were raised, ", counts[1], " of them red; ", counts[2], " are open.")


def _actions(found: Review) -> list[Text]:
    told = []
    if found.findings is not None:
        urgent = [i for i, row in enumerate(found.findings.rows) if row["severity"] == "red"]
        told += [
            said("Look now: ", found.findings.quote(i, "check_name"), ". ", found.findings.quote(i, "sentence"))
            for i in urgent
        ]
        if urgent or any(row["severity"] == "yellow" for row in found.findings.rows):
            told.append(said("Find the cause: ", Code(text="leadgate diagnose"), "."))
    else:
        told.append(said("Let checks run: ", Code(text="leadgate worker"), " does so by itself."))
    told.append(_retraining(found.findings))
    return told


def _retraining(known: Known | None) -> Text:
    """Whether to train again, by the plan's rules: a low AUC, more than two drifted features, a low rating."""
    if known is None:
        return ("Whether to train again cannot be said: no check has run.",)
    reasons = [
        said(check, ": ", known.quote(i, "sentence"))
        for check, subject in (("AUC", "champion"), ("estimated AUC", "champion"), ("sales rating", ""))
        for i, row in enumerate(known.rows)
        if row["check_name"] == check and row["subject"] == subject and row["severity"] in ("yellow", "red")
    ]
    away = drifted(known)
    if len(away) > MOST_DRIFTED:
        count = known.computed(len(away), "number of features with feature drift yellow or red", "{:,}")
        reasons.append(said(count, " features drifted: ", joined([(known.quote(i, "subject"),) for i in away])))
    if reasons:
        return said(
            "Train again: ",
            joined(reasons, "; "),
            ". ",
            Code(text="leadgate train"),
            " on a new snapshot, then the shadow.",
        )
    judged = any(
        r["check_name"] == "AUC" and r["subject"] == "champion" and r["severity"] == "green" for r in known.rows
    )
    few = said(count_of(known, away), " drifted (more than two would be a reason)")
    if not judged:
        return said(
            "Nothing asks for a training; but its AUC is not known yet, too few leads have matured. Features: ",
            few,
            ".",
        )
    return said("Nothing asks for a training beyond the planned ones: AUC holds, and of the features ", few, ".")


def count_of(known: Known, places: Sequence[int]) -> Any:
    """How many rows, as a number of their source."""
    return known.computed(len(places), "number of features with feature drift yellow or red", "{:,}")


def _row_of(leads: Known, level: str) -> int | None:
    return next((i for i, row in enumerate(leads.rows) if row["level"] == level), None)


def _business(found: Review) -> tuple[Block, ...]:
    leads = found.leads
    if _row_of(leads, "version") is None:
        return (said("No lead was scored in this time."),)
    chart = _weeks(leads)
    return (
        *((chart,) if chart else (_figures(leads, "week", "By week and version"),)),
        _figures(leads, "version", "By version"),
        _figures(leads, "band", "By version and priority"),
    )


def _detail(leads: Known) -> tuple[Block, ...]:
    return (_figures(leads, "week band", "Leads"),) if leads.rows else ()


def _figures(leads: Known, level: str, title: str) -> Table:
    keys = {
        "version": "version",
        "band": "version|priority",
        "week": "week of|version",
        "week band": "week of|version|priority",
    }
    columns = {"version": "model_version", "priority": "priority", "week of": "week"}
    names = keys[level].split("|")
    rows = [
        (
            *(leads.quote(i, columns[name]) for name in names),
            leads.number(i, "leads"),
            leads.number(i, "maturing"),
            leads.number(i, "matured"),
            leads.number(i, "conversions"),
            leads.number(i, "rate", form=SHARE),
            leads.number(i, "deal_size", form=MONEY),
            leads.number(i, "days_to_close", form=DAYS),
            leads.number(i, "revenue", form=MONEY),
        )
        for i, row in enumerate(leads.rows)
        if row["level"] == level
    ]
    figures = "leads|too young|matured|conversions|rate|mean deal|days to close|revenue"
    return table(title, f"{keys[level]}|{figures}", rows, " " * len(names) + "rrrrrrrr")


def _weeks(leads: Known) -> Chart | None:
    """Conversion by week, a line a version; None where fewer than two weeks have matured leads."""
    rows = [row for row in leads.rows if row["level"] == "week" and row["matured"]]
    weeks = sorted({row["week"] for row in rows})
    if len(weeks) < 2:  # noqa: PLR2004  # a line has two ends
        return None
    versions = list(dict.fromkeys(str(row["model_version"]) for row in rows))
    lines = {v: [row for row in rows if row["model_version"] == v] for v in versions}
    series = tuple(
        Series(
            name=f"version {v}",
            x=tuple(float(weeks.index(row["week"])) for row in own),
            y=tuple(row["rate"] for row in own),
        )
        for v, own in lines.items()
    )
    return Chart(
        title="Conversion of the matured leads by week of their first score",
        alt=f"Conversion over {len(weeks)} weeks, a line for each of versions {', '.join(versions)}.",
        kind="line",
        x="week of the first score",
        y="converted",
        series=series,
        labels=tuple(f"{week}" for week in weeks),
        percent=True,
        table=_figures(leads, "week", "By week and version"),
    )


def _drift(known: Known | None) -> tuple[Block, ...]:
    if known is None:
        return ()
    places = [i for i, row in enumerate(known.rows) if row["check_name"] == "feature drift"]
    rows = [
        (
            known.quote(i, "subject"),
            severity(known.rows[i]["severity"]),
            known.number(i, "details", "ks", form=FIGURE),
            known.number(i, "details", "js", form=FIGURE),
            known.number(i, "details", "psi", form=FIGURE),
            known.number(i, "details", "importance", form="{:.4f}"),
            known.number(i, "p_value", form="{:.2g}"),
            known.quote(i, "sentence"),
        )
        for i in places
    ]
    scores = [
        i for i, row in enumerate(known.rows) if row["area"] == "scores" and row["check_name"] != "segment scores"
    ]
    moved = [
        (
            known.quote(i, "check_name"),
            known.quote(i, "subject"),
            severity(known.rows[i]["severity"]),
            known.number(i, "value", form=EXACT),
            known.number(i, "threshold", form=EXACT),
            known.quote(i, "sentence"),
        )
        for i in scores
    ]
    columns = "feature|stands|KS|JS|PSI|importance|p, adjusted|what was found"
    return (
        table("Features against the training leads", columns, rows, "  rrrrr"),
        table("Scores against the hold-out", "check|of|stands|value|threshold|what was found", moved, "   rr"),
    )


def _calibration(known: Known) -> tuple[Block, ...]:
    return (blocks.calibration(known),) if known.rows else (said("No lead has matured in this time."),)


def _importance(version: VersionFacts | None) -> tuple[Block, ...]:
    chart = blocks.importance(version) if version else None
    return (chart,) if chart else ()


def _segments(known: Known | None) -> tuple[Block, ...]:
    return (blocks.segments(known),) if known is not None and known.rows else ()
