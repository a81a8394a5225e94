"""What an experiment says a version is worth, in money (quiet)."""

from typing import Any

from leadgate.views.reports import blocks
from leadgate.views.reports.facts import RolloutFacts
from leadgate.views.reports.money import WELCH, Increment, Paid, increment, paid
from leadgate.views.reports.phrases import (
    SIGNED_MONEY,
    Row,
    computed_interval,
    joined,
    said,
    table,
    words,
)
from leadgate.views.reports.report import Block, Known, Text


def side_of(sides: Known, stage: str, version: str) -> int | None:
    """The row of a stage's side; None where no lead is of it."""
    places = [i for i, r in enumerate(sides.rows) if r["stage"] == stage and r["model_version"] == version]
    return places[0] if places else None


def incremental(sides: Known, rollout: RolloutFacts) -> tuple[Increment, Paid] | None:
    """What the challenger's leads of the A/B test brought in beyond the champion's, each; None before there are any."""
    places = [side_of(sides, "ab_test", version) for version in (rollout.champion, rollout.challenger)]
    control, treatment = (paid(None if i is None else sides.rows[i]) for i in places)
    found = increment(control, treatment)
    return None if found is None else (found, treatment)


def in_short(sides: Known, rollout: RolloutFacts) -> Text:
    """What it is worth, never without its interval."""
    known = incremental(sides, rollout)
    if known is None:
        return ("What it is worth cannot be said yet: a side has fewer than two matured leads.",)
    each, side = known
    together = computed_interval(sides, each.times(side.leads), f"{WELCH}, times its matured leads", SIGNED_MONEY)
    return said("Revenue of the leads that it answered, beyond the champion's: ", together, "; ", _sure(each))


def _sure(found: Increment) -> str:
    if found.low > 0:
        return "surely more."
    return "surely less." if found.high < 0 else "the interval holds 0, so it may be nothing."


def revenue(sides: Known, rollout: RolloutFacts) -> tuple[Block, ...]:
    known = incremental(sides, rollout)
    money = blocks.paid_table(sides, rollout.champion)
    if known is None:
        return (in_short(sides, rollout), money)
    each, side = known
    rows: list[Row] = [
        ("a lead", computed_interval(sides, each.times(1), WELCH, "{:+,.2f}")),
        ("1,000 leads", computed_interval(sides, each.times(1_000), f"{WELCH}, times 1,000", SIGNED_MONEY)),
        (
            said(
                "the ",
                sides.computed(side.leads, "its matured leads of the A/B test"),
                " matured leads that it answered",
            ),
            computed_interval(sides, each.times(side.leads), f"{WELCH}, times its matured leads", SIGNED_MONEY),
        ),
    ]
    return (
        said(
            "Computed for this report from the matured leads of the test as they are known now: ",
            WELCH,
            ". In the team's currency. ",
            *_without_size(sides),
        ),
        table("Revenue beyond the champion's (95 %)", "for|increment", rows, " r"),
        money,
    )


def _without_size(sides: Known) -> tuple[Any, ...]:
    places = [i for i, row in enumerate(sides.rows) if row["without_size"]]
    if not places:
        return ("Every conversion has a deal size.",)
    told = joined([said(sides.number(i, "without_size"), f" ({words(sides.rows[i]['stage'])})") for i in places])
    return ("Conversions without a deal size count as 0: ", *told, ".")
