"""The weekly and the monthly review (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from leadgate.views.reports import blocks, drifting, sheet, traffic
from leadgate.views.reports.facts import RuleFacts, VersionFacts
from leadgate.views.reports.health import MARKED, health_blocks
from leadgate.views.reports.phrases import (
    MOMENT,
    SHARE,
    said,
    severity,
    words,
)
from leadgate.views.reports.report import Block, Code, Known, Report, Section, Text

Cadence = Literal["weekly", "monthly"]

_COUNTED = (
    "A lead counts by its first score, in the week of it. It has matured when {:g} days have passed since then and its "
    "outcome is known; only matured leads have a rate, and conversions after those days do not count."
)


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
    """By week, version and priority..."""
    matured_since: datetime
    """...from here on, some weeks before the period, whose leads have matured."""
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
        ("Business by week and version", traffic.business(found.leads)),
        ("Health", health_blocks(found.findings, found.settings, found.capacity)),
        ("Alerts", (blocks.alerts(found.alerts),) if found.alerts.rows else (said("No alert was open."),)),
        ("Drift, the most urgent first", drifting.drift(found.findings)),
        ("Calibration", _calibration(found.calibration)),
        ("Feature importance", _importance(found.version)),
        ("Segments", _segments(found.segments)),
        ("A simple rule beside the model", () if found.rule is None else blocks.rule_blocks(found.rule)),
        ("Train again?", (drifting.retraining(found.findings, found.settings),)),
        ("Every week, version and priority", traffic.detail(found.leads)),
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
        reads=(_COUNTED.format(found.window_days), MARKED),
    )


def _changed(found: Review) -> list[Text]:
    return [
        *_volume(found),
        traffic.matured(found.leads, found.matured_since),
        *_moves(found),
        *_marks(found),
        _alerted(found),
    ]


def _volume(found: Review) -> list[Text]:
    """How many leads came, as the last run of checks counted them."""
    known = found.findings
    places = [i for i, row in enumerate(known.rows) if row["check_name"] == "volume"] if known else []
    return [said("In the window of the last checks: ", known.quote(i, "sentence"), ".") for i in places if known]


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
    told.append(drifting.retraining(found.findings, found.settings))
    return told


def _calibration(known: Known) -> tuple[Block, ...]:
    return (blocks.calibration(known),) if known.rows else (said("No lead has matured in this time."),)


def _importance(version: VersionFacts | None) -> tuple[Block, ...]:
    chart = sheet.importance(version) if version else None
    return (chart,) if chart else ()


def _segments(known: Known | None) -> tuple[Block, ...]:
    return (blocks.segments(known),) if known is not None and known.rows else ()
