"""The report on a rollout that came back: what happened, why, what it cost, what is to be done (quiet)."""

from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from leadgate.stats.proportions import Z95
from leadgate.views.reports import blocks
from leadgate.views.reports.facts import RolloutFacts
from leadgate.views.reports.phrases import DAYS, MOMENT, computed_interval, said, words
from leadgate.views.reports.report import Block, Code, Known, Report, Section, Text
from leadgate.views.reports.worth import side_of

_LIVE = ("canary", "ab_test")
"""Stages in which both versions answer, so that they can be compared."""
_WALD = (
    "difference of the two conversion rates, champion minus challenger, with its 95 % interval (normal approximation), "
    "times the challenger's matured leads"
)


@dataclass(frozen=True, kw_only=True)
class PostMortemFacts:
    """What the report tells of."""

    model_name: str
    now: datetime
    rollout: RolloutFacts
    at_end: Known | None
    """The evidence that the way back rested on; None for one that asked for none."""
    sides: Known
    alerts: Known
    """Open at any time of the rollout."""
    acts: Known


def post_mortem_report(found: PostMortemFacts) -> Report:
    """Timeline, cause, evidence, impact, findings, open questions, actions."""
    rollout, row = found.rollout, found.rollout.listed.rows[found.rollout.place]
    return Report(
        kind="postmortem",
        title=f"Post-mortem of rollout {rollout.number}, version {rollout.challenger}",
        model_name=found.model_name,
        period=f"{row['started_at']:%Y-%m-%d} to {row['ended_at'] or found.now:%Y-%m-%d}",
        versions=(rollout.champion, rollout.challenger),
        made_at=found.now,
        changed=(_came_back(rollout), _cost(found)),
        actions=tuple(_actions(found)),
        sections=(
            Section(title="Cause", blocks=_cause(found)),
            Section(title="Timeline", blocks=(blocks.timeline(rollout.steps),)),
            Section(title="Evidence", blocks=_evidence(found)),
            Section(
                title="Impact",
                blocks=(_answered(found), _cost(found), blocks.paid_table(found.sides, rollout.champion)),
            ),
            Section(title="Findings", blocks=_findings(rollout)),
            Section(title="Open questions", blocks=_questions(found)),
            Section(title="Alerts and acts of the time", blocks=(blocks.alerts(found.alerts), blocks.acts(found.acts))),
        ),
    )


def lost(found: PostMortemFacts) -> tuple[float, float, float] | None:
    """Conversions that the challenger's leads would have had beyond theirs with the champion; with its 95 % interval.

    Only of stages in which both answered, for leads of other weeks are other leads; each stage against its own
    champion's side. None where no such stage has matured leads on both sides.
    """
    total, variance, any_side = 0.0, 0.0, False
    for stage in _LIVE:
        places = [
            side_of(found.sides, stage, version) for version in (found.rollout.champion, found.rollout.challenger)
        ]
        rows = [found.sides.rows[i] for i in places if i is not None]
        if len(rows) < len(places) or not all(row["matured"] for row in rows):
            continue
        any_side = True
        old, new = rows
        total += (old["rate"] - new["rate"]) * new["matured"]
        variance += new["matured"] ** 2 * sum(row["rate"] * (1 - row["rate"]) / row["matured"] for row in rows)
    half = Z95 * sqrt(variance)
    return (total, total - half, total + half) if any_side else None


def _came_back(rollout: RolloutFacts) -> Text:
    last = _back(rollout)
    steps = rollout.steps
    return said(
        f"Version {rollout.challenger} came back at ",
        steps.quote(last, "acted_at", form=MOMENT),
        " UTC, ",
        steps.number(last, "day", form=DAYS),
        f" days after it began, from stage {words(str(steps.rows[max(0, last - 1)]['stage']))}; ",
        f"version {rollout.champion} answers. By ",
        steps.quote(last, "acted_by"),
        ": ",
        steps.quote(last, "comment"),
    )


def _back(rollout: RolloutFacts) -> int:
    """The row of the act that took it back: the one that the post-mortem names, or the last."""
    steps = [row["step"] for row in rollout.steps.rows]
    named = [row["step"] for row in rollout.post_mortems.rows]
    return steps.index(named[0]) if named and named[0] in steps else len(steps) - 1


def _answered(found: PostMortemFacts) -> Text:
    """How many leads the challenger answered."""
    places = [i for i, row in enumerate(found.sides.rows) if row["model_version"] == found.rollout.challenger]
    if not places:
        return said(f"Version {found.rollout.challenger} answered no lead: it never left the shadow.")
    total = sum(found.sides.rows[i]["exposed"] for i in places)
    whole = found.sides.computed(total, "sum of the challenger's leads over the stages", "{:,}")
    return said(f"Version {found.rollout.challenger} was the first to answer ", whole, " leads.")


def _cost(found: PostMortemFacts) -> Text:
    known = lost(found)
    if known is None:
        return ("What it cost cannot be said: no leads of both versions have matured side by side.",)
    figure = computed_interval(found.sides, known, _WALD, "{:,.0f}")
    sure = (
        "surely some" if known[1] > 0 else "surely none" if known[2] < 0 else "the interval holds 0, so it may be none"
    )
    return said("Conversions lost with its leads: ", figure, f"; {sure}.")


def _cause(found: PostMortemFacts) -> tuple[Block, ...]:
    mortems = found.rollout.post_mortems
    if not mortems.rows:
        return (said("No post-mortem was opened: ", found.rollout.steps.quote(_back(found.rollout), "comment")),)
    return tuple(said(mortems.quote(i, "cause")) for i in range(len(mortems.rows)))


def _evidence(found: PostMortemFacts) -> tuple[Block, ...]:
    if found.at_end is None or not found.at_end.rows:
        return (said("The way back rested on no evidence: somebody decided it by hand."),)
    failed = blocks.gates(found.at_end, "Gates that failed", only=("fail",))
    return failed, blocks.gates(found.at_end, "All gates")


def _findings(rollout: RolloutFacts) -> tuple[Block, ...]:
    mortems = rollout.post_mortems
    closed = [
        said(
            mortems.quote(i, "findings"),
            " (",
            mortems.quote(i, "closed_by"),
            ", ",
            mortems.quote(i, "closed_at", form=MOMENT),
            " UTC)",
        )
        for i, row in enumerate(mortems.rows)
        if row["closed_at"]
    ]
    return tuple(closed) or (said("Nobody has written down yet what was found."),)


def _questions(found: PostMortemFacts) -> tuple[Block, ...]:
    """What the evidence leaves open: gates that waited or could not say, what could not be read, harmed parts."""
    known = found.at_end
    if known is None or not known.rows:
        return (said("Which figures moved whoever decided this?"),)
    asked: list[Text] = [
        said(v["gate"], f" ({v['answer']}): ", known.quote(0, "verdicts", i, "sentence"))
        for i, v in enumerate(known.get(0, "verdicts"))
        if v["answer"] in ("wait", "inconclusive")
    ]
    asked += [
        said("Not read: ", known.quote(0, "evidence", "failed", i))
        for i in range(len(known.get(0, "evidence", "failed") or ()))
    ]
    trial = known.get(0, "evidence", "experiment") or {}
    asked += [
        said(
            "Why does ",
            known.quote(0, "evidence", "experiment", "segments", i, "segment"),
            " convert less with the challenger?",
        )
        for i, part in enumerate(trial.get("segments", ()))
        if part["harmed"]
    ]
    return tuple(asked) or (said("None is left by the gates."),)


def _actions(found: PostMortemFacts) -> list[Text]:
    rollout = found.rollout
    told: list[Text] = []
    if any(row["closed_at"] is None for row in rollout.post_mortems.rows):
        told.append(
            said("Find out why, write it down and close the post-mortem: ", blocks.how_to_close(rollout.number), ".")
        )
    open_alerts = [i for i, row in enumerate(found.alerts.rows) if row["resolved_at"] is None]
    if open_alerts:
        count = found.alerts.computed(len(open_alerts), "number of alerts that are not resolved", "{:,}")
        told.append(
            said("Look at the alerts that are still open (", count, "): ", Code(text="leadgate alerts list"), ".")
        )
    told.append(
        said(
            "Before another version goes: mend what failed, train again, and begin in the shadow: ",
            Code(text="leadgate rollout start VERSION"),
            ".",
        )
    )
    return told
