"""The report on an A/B test: its design, what it could see, what it found, and what that is worth (quiet)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leadgate.views.reports import blocks, looks, worth
from leadgate.views.reports.facts import RolloutFacts
from leadgate.views.reports.phrases import (
    DAYS,
    FIGURE,
    SHARE,
    SIGNED_SHARE,
    day,
    in_interval,
    joined,
    said,
    table,
    with_interval,
    words,
)
from leadgate.views.reports.report import Block, Cited, Code, Known, Mark, Report, Section, Text

_TRIAL = (0, "evidence", "experiment")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What the report tells of."""

    model_name: str
    now: datetime
    rollout: RolloutFacts
    looks: Known
    """One a day."""
    last: Known
    """The last evidence of the test."""
    sides: Known
    """What the leads paid, by stage and version, as known now."""
    settings: Known


def experiment_report(found: Experiment) -> Report:
    """Design, sample-ratio check, interval over time, result, segments, deal size and days to close, revenue."""
    rollout, first = found.rollout, found.looks.rows[0]["gathered_at"]
    return Report(
        kind="experiment",
        title=f"A/B test of version {rollout.challenger} against version {rollout.champion}",
        model_name=found.model_name,
        period=f"rollout {rollout.number}, {day(first)} to {day(found.looks.rows[-1]['gathered_at'])}",
        versions=(rollout.champion, rollout.challenger),
        made_at=found.now,
        changed=(_verdict(found), worth.in_short(found.sides, found.rollout)),
        actions=_actions(found),
        sections=(
            Section(title="Design", blocks=_design(found)),
            Section(title="Were the sides split and told alike?", blocks=_fair(found)),
            Section(title="The interval over time", blocks=(looks.band(found.looks), looks.harm(found.looks))),
            Section(title="Result at the planned size", blocks=_result(found)),
            Section(title="Deal size and days to close", blocks=_margins(found)),
            Section(title="Segments", blocks=_segments(found)),
            Section(title="Incremental revenue", blocks=worth.revenue(found.sides, found.rollout)),
            Section(title="All gates of the last evaluation", blocks=(blocks.gates(found.last, "Gates"),)),
        ),
    )


def _trial(found: Experiment) -> Mapping[str, Any]:
    known = found.last.get(*_TRIAL)
    assert isinstance(known, Mapping)
    return known


def _verdict(found: Experiment) -> Text:
    """What the test says, in a sentence."""
    if _trial(found)["test"] is None:
        done = [found.last.number(*_TRIAL, side, "matured") for side in ("control", "treatment")]
        planned = found.last.number(*_TRIAL, "planned")
        return said(
            "There is no final result yet: ",
            done[0],
            " and ",
            done[1],
            " leads have matured, ",
            planned,
            " a side are planned.",
        )
    at = (*_TRIAL, "test")
    lift = with_interval(found.last, (*at, "lift"), (*at, "interval"), SIGNED_SHARE)
    p_value, leads = found.last.number(*at, "p_value", form="{:.2g}"), found.last.number(*at, "leads")
    asked = found.rollout.listed.number(found.rollout.place, "rules", "experiment", "min_lift", form=SIGNED_SHARE)
    return said(
        f"Conversion of version {found.rollout.challenger}'s leads against those of version {found.rollout.champion}: ",
        lift,
        ", at ",
        leads,
        " leads a side (p = ",
        p_value,
        "); a promotion asks for ",
        asked,
        ".",
    )


def _actions(found: Experiment) -> tuple[Text, ...]:
    row, i = found.last.rows[0], len(found.rollout.steps.rows) - 1
    stage = found.rollout.stage
    if stage != "ab_test":
        since = found.rollout.steps.quote(i, "stage_since", form="{:%Y-%m-%d}")
        return (said(f"The test is over: version {found.rollout.challenger} is {words(stage)} since ", since, "."),)
    told = [
        said(v["gate"], ": ", found.last.quote(0, "verdicts", n, "sentence"))
        for n, v in enumerate(row["verdicts"])
        if v["answer"] != "pass"
    ]
    if not told:
        return (said("Every gate passes; the next evaluation moves the rollout on."),)
    return (
        said(
            "Wait for, or look at, what does not pass yet. ",
            joined(told, "; "),
            ". ",
            Code(text="leadgate rollout status"),
        ),
    )


def _design(found: Experiment) -> tuple[Block, ...]:
    known, place = found.rollout.listed, found.rollout.place
    rules = (place, "rules", "experiment")
    rows: list[tuple[str, Any]] = [
        ("control", f"version {found.rollout.champion}"),
        ("treatment", f"version {found.rollout.challenger}"),
        ("share of the leads for the treatment", known.number(place, "rules", "ab_test", "share", form=SHARE)),
        ("a lead converts within, days", _horizon(found)),
        ("lift asked for", known.number(*rules, "min_lift", form=SIGNED_SHARE)),
        ("alpha of the final test", known.number(*rules, "alpha", form="{:g}")),
        ("matured leads a side, planned", found.last.number(*_TRIAL, "planned")),
    ]
    if not known.get(place, "design"):
        return (table("Design", "what|value", rows), ("No plan was written down: the champion's rate was not known.",))
    design = (place, "design")
    rows += [
        ("the champion's rate before", _rate_before(known, place)),
        ("lift that was to be seen", known.number(*design, "asked_lift", form=SIGNED_SHARE)),
        ("seen with a probability of", known.number(*design, "power", form=SHARE)),
        ("smallest lift that this size sees", known.number(*design, "detectable_lift", form=SIGNED_SHARE)),
        ("new leads a day", known.number(*design, "baseline", "leads_per_day", form=DAYS)),
        ("days planned", known.number(*design, "days", form="{:g}")),
    ]
    return (table("Design", "what|value", rows),)


def _horizon(found: Experiment) -> Any:
    own = found.rollout.listed.number(found.rollout.place, "rules", "experiment", "horizon_days", form="{:g}")
    return own if isinstance(own, Cited) else found.settings.number("outcomes", "window_days", form="{:g}")


def _rate_before(known: Known, place: int) -> Any:
    before = known.get(place, "design", "baseline")
    rate = before["conversions"] / before["leads"] if before["leads"] else None
    return known.computed(rate, "conversions over matured leads of design.baseline", SHARE)


def _fair(found: Experiment) -> tuple[Block, ...]:
    known, rules = found.last, (found.rollout.place, "rules", "experiment")
    rows = [
        (
            what,
            *(known.number(*_TRIAL, side, key) for side in ("control", "treatment")),
        )
        for what, key in (
            ("leads", "exposed"),
            ("matured, with an outcome", "matured"),
            ("matured, without one", "silent"),
            ("marked high", "high"),
            ("contacted", "contacted"),
        )
    ]
    limit = found.rollout.listed.number(*rules, "mismatch_p", form="{:g}")
    uneven = min(_trial(found)["ratio_p"], _trial(found)["silent_p"]) < found.rollout.listed.get(*rules, "mismatch_p")
    return (
        table(
            "The two sides", f"what|version {found.rollout.champion}|version {found.rollout.challenger}", rows, " rr"
        ),
        said(
            "A split as uneven as this one has a probability of ",
            known.number(*_TRIAL, "ratio_p", form="{:.2g}"),
            ", outcomes missing as unevenly one of ",
            known.number(*_TRIAL, "silent_p", form="{:.2g}"),
            "; below ",
            limit,
            " nothing is concluded. ",
            Mark(text="uneven: nothing is concluded", tone="bad")
            if uneven
            else Mark(text="split and told alike", tone="good"),
        ),
        said(known.number(*_TRIAL, "left_out"), " leads had been scored before the test and are left out."),
    )


def _result(found: Experiment) -> tuple[Block, ...]:
    if _trial(found)["test"] is None:
        return (_verdict(found),)
    at = (*_TRIAL, "test")
    rows = [
        ("leads a side", found.last.number(*at, "leads")),
        (f"conversions, version {found.rollout.champion}", found.last.number(*at, "control_conversions")),
        (f"conversions, version {found.rollout.challenger}", found.last.number(*at, "treatment_conversions")),
        (
            "lift (95 %)",
            with_interval(found.last, (*at, "lift"), (*at, "interval"), SIGNED_SHARE),
        ),
        ("p, chi-square", found.last.number(*at, "p_value", form="{:.3g}")),
    ]
    auc = (*_TRIAL, "auc")
    rows.append(("AUC of the challenger in the test (95 %)", in_interval(found.last, *auc, form=FIGURE)))
    return (table("The planned test", "what|value", rows, " r"),)


def _margins(found: Experiment) -> tuple[Block, ...]:
    rules = (found.rollout.place, "rules", "experiment")
    rows = [
        (
            what,
            blocks.change_of(found.last, *_TRIAL, key),
            found.rollout.listed.number(*rules, f"{key}_margin", form=SHARE),
            found.last.number(*_TRIAL, key, "leads"),
            found.last.quote(*_TRIAL, key, "verdict"),
        )
        for what, key in (("deal size", "deal_size"), ("days to close", "days_to_close"))
    ]
    return (
        said(
            "Not smaller, not slower: the whole interval has to be on the right side of the margin (non-inferiority)."
        ),
        table("Non-inferiority", "what|change (95 %)|margin|won leads, smaller side|says", rows, " rrr"),
    )


def _segments(found: Experiment) -> tuple[Block, ...]:
    known, parts = found.last, _trial(found)["segments"]

    def rate(i: int, side: str) -> Any:
        counts = parts[i][side]
        value = counts["conversions"] / counts["matured"] if counts["matured"] else None
        return known.computed(value, f"{side}.conversions over {side}.matured of segment {i + 1}", SHARE)

    rows = [
        (
            known.quote(*_TRIAL, "segments", i, "segment"),
            known.number(*_TRIAL, "segments", i, "treatment", "matured"),
            rate(i, "control"),
            rate(i, "treatment"),
            known.number(*_TRIAL, "segments", i, "lift", form=SIGNED_SHARE),
            known.number(*_TRIAL, "segments", i, "p_value", form="{:.2g}"),
            Mark(text="harmed", tone="bad") if part["harmed"] else Mark(text="no sign of harm", tone="good"),
        )
        for i, part in enumerate(parts)
    ]
    columns = "segment|matured|champion|challenger|lift|adjusted p|"
    return (
        said("The p-values are adjusted for the number of segments (Benjamini-Hochberg)."),
        table("Segments", columns, rows, " rrrrr"),
    )
