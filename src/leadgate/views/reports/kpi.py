"""The plan's key figures and its goals by month (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Literal

from leadgate.stats.proportions import Z95
from leadgate.views.reports.facts import RolloutFacts
from leadgate.views.reports.health import MARKED, health_blocks
from leadgate.views.reports.money import WELCH
from leadgate.views.reports.phrases import (
    SIGNED_MONEY,
    SIGNED_SHARE,
    computed_interval,
    day,
    said,
    table,
    with_interval,
)
from leadgate.views.reports.report import Cited, Known, Mark, Part, Report, Section, Table, Text
from leadgate.views.reports.worth import incremental

MONTH = timedelta(days=30)
Standing = Literal["met", "not met", "not yet", "cannot be said yet"]

_COUNTED = (
    "Month 1 begins on {}, when a version first answered or on the day that --since names; a month has 30 days. "
    "Targets are those of leadgate.yaml; that of revenue is the plan's, or --target-revenue."
)
_TRIAL = (0, "evidence", "experiment")


@dataclass(frozen=True, kw_only=True)
class Month:
    """What is known of a month of the plan."""

    since: datetime
    until: datetime
    runs: Known
    """Of checks."""
    incidents: Known


@dataclass(frozen=True, kw_only=True)
class Kpi:
    """What the report tells of."""

    model_name: str
    now: datetime
    day_zero: datetime
    """The plan's first day."""
    rollouts: Known
    rollout: RolloutFacts | None
    """The one that came furthest; None without any."""
    sides: Known | None
    """What its leads paid."""
    ratings: Known
    """Of the time up to the end of month 2."""
    jobs: Known
    """Runs of the worker's jobs since day zero."""
    settings: Known
    findings: Known | None
    capacity: Known | None
    options: Known
    """day_zero and target_revenue, as they were given or are by default."""
    first: Month
    """Month 1."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A goal, and how it stands."""

    month: int
    name: str
    value: Text
    target: Text
    stands: Standing
    why: Text = ()


def kpi_report(found: Kpi) -> Report:
    """Each goal with value, target and whether it is met; then the rows of the dashboard."""
    goals = goals_of(found)
    return Report(
        kind="kpi",
        title="Key figures and goals",
        model_name=found.model_name,
        period=f"since {day(found.day_zero)}, up to {day(found.now)}",
        versions=(found.rollout.champion, found.rollout.challenger) if found.rollout else (),
        made_at=found.now,
        changed=_changed(goals),
        actions=_actions(goals),
        sections=(
            Section(title="Goals by month", blocks=(_table(goals),)),
            Section(title="Key figures", blocks=health_blocks(found.findings, found.settings, found.capacity)),
        ),
        reads=(_COUNTED.format(day(found.day_zero)), MARKED),
    )


def goals_of(found: Kpi) -> tuple[Goal, ...]:
    """The nine goals of the plan."""
    return (
        _shadow(found),
        _monitoring(found),
        _incidents(found),
        _test(found),
        _lift(found),
        _satisfaction(found),
        _full(found),
        _retraining(found),
        _revenue(found),
    )


def _due(found: Kpi, month: int) -> datetime:
    return found.day_zero + month * MONTH


def _by(found: Kpi, month: int) -> Text:
    """When a goal is due."""
    due, how = _due(found, month), f"day zero and {month} times {MONTH.days} days"
    return "by ", Cited(text=day(due), value=day(due), source=found.options.source, at=(), how=how)


def _missed(found: Kpi, month: int) -> Standing:
    """How a goal stands that is not met."""
    return "not yet" if found.now < _due(found, month) else "not met"


def _shadow(found: Kpi) -> Goal:
    """The first rollout began, which is a shadow."""
    name, known = "A model runs in shadow mode", found.rollouts
    target = _by(found, 1)
    if not known.rows:
        return Goal(month=1, name=name, value=("no rollout",), target=target, stands=_missed(found, 1))
    last = len(known.rows) - 1
    in_time = known.rows[last]["started_at"] <= _due(found, 1)
    value = said("since ", known.quote(last, "started_at", form="{:%Y-%m-%d}"))
    return Goal(month=1, name=name, value=value, target=target, stands="met" if in_time else "not met")


def _monitoring(found: Kpi) -> Goal:
    runs = found.first.runs
    value = said(runs.number(0, "runs"), " runs of checks on ", runs.number(0, "days"), " days")
    stands: Standing = "met" if runs.get(0, "runs") else _missed(found, 1)
    return Goal(month=1, name="Monitoring is operational", value=value, target=("checks run",), stands=stands)


def _incidents(found: Kpi) -> Goal:
    """No red alert; but where nothing watched, none could be raised."""
    known, name, target = found.first.incidents, "No critical incident", ("no red alert",)
    value = said(known.number(0, "red_alerts"), " red alerts, ", known.number(0, "rollbacks"), " rollbacks")
    if known.get(0, "red_alerts"):
        return Goal(month=1, name=name, value=value, target=target, stands="not met")
    if not found.first.runs.get(0, "runs"):
        why = ("no check ran in month 1, so nothing would have been seen",)
        return Goal(month=1, name=name, value=value, target=target, stands="cannot be said yet", why=why)
    return Goal(
        month=1, name=name, value=value, target=target, stands="met" if found.now >= _due(found, 1) else "not yet"
    )


def _test(found: Kpi) -> Goal:
    name, asked = "The A/B test has enough leads", ("rollout", "ab_test", "min_leads")
    target = said("at least ", found.settings.number(*asked), " a side")
    tested = found.rollout.tested if found.rollout else None
    if tested is None:
        return Goal(month=2, name=name, value=("no A/B test",), target=target, stands=_missed(found, 2))
    places = [(*_TRIAL, side, "exposed") for side in ("control", "treatment")]
    value = said(tested.number(*places[0]), " and ", tested.number(*places[1]), " leads")
    enough = min(tested.get(*place) for place in places) >= found.settings.get(*asked)
    return Goal(month=2, name=name, value=value, target=target, stands="met" if enough else _missed(found, 2))


def _lift(found: Kpi) -> Goal:
    name, rules = "Conversion lift", ("rollout", "experiment")
    target = said(
        "at least ",
        found.settings.number(*rules, "min_lift", form=SIGNED_SHARE),
        ", p < ",
        found.settings.number(*rules, "alpha", form="{:g}"),
    )
    tested = found.rollout.tested if found.rollout else None
    test = tested.get(*_TRIAL, "test") if tested else None
    if tested is None or test is None:
        why = said("the test has not reached its planned size" if tested else "there was no A/B test")
        return Goal(month=2, name=name, value=("-",), target=target, stands="cannot be said yet", why=why)
    at = (*_TRIAL, "test")
    lift = with_interval(tested, (*at, "lift"), (*at, "interval"), SIGNED_SHARE)
    value = said(lift, ", p = ", tested.number(*at, "p_value", form="{:.2g}"))
    limit, alpha = found.settings.get(*rules, "min_lift"), found.settings.get(*rules, "alpha")
    won = test["lift"] is not None and test["lift"] >= limit and test["p_value"] < alpha
    return Goal(month=2, name=name, value=value, target=target, stands="met" if won else "not met")


def _satisfaction(found: Kpi) -> Goal:
    name, asked, known = "Sales team is satisfied", ("monitoring", "business", "rating"), found.ratings
    target = said("at least ", found.settings.number(*asked, form="{:g}"), " of 10")
    row, least = known.rows[0], found.settings.get("monitoring", "least_ratings")
    if row["mean"] is None or row["ratings"] < least:
        why = said(
            known.number(0, "ratings"),
            " ratings; ",
            found.settings.number("monitoring", "least_ratings"),
            " are needed",
        )
        return Goal(month=2, name=name, value=("-",), target=target, stands="cannot be said yet", why=why)
    half = Z95 * (row["deviation"] or 0.0) / sqrt(row["ratings"])
    how = "mean of the ratings with its 95 % interval (normal approximation)"
    mean = computed_interval(known, (row["mean"], row["mean"] - half, row["mean"] + half), how, "{:.1f}")
    value = said(mean, " from ", known.number(0, "ratings"), " ratings")
    met = row["mean"] >= found.settings.get(*asked)
    return Goal(month=2, name=name, value=value, target=target, stands="met" if met else _missed(found, 2))


def _full(found: Kpi) -> Goal:
    name, target = "Full rollout", _by(found, 3)
    steps = found.rollout.steps if found.rollout else None
    places = [i for i, r in enumerate(steps.rows) if r["stage"] == "full" and r["act"] == "advance"] if steps else []
    if steps is None or not places or steps.rows[-1]["stage"] != "full":
        return Goal(month=3, name=name, value=("not yet",), target=target, stands=_missed(found, 3))
    at = steps.rows[places[0]]["acted_at"]
    value = said("since ", steps.quote(places[0], "acted_at", form="{:%Y-%m-%d}"))
    return Goal(month=3, name=name, value=value, target=target, stands="met" if at <= _due(found, 3) else "not met")


def _retraining(found: Kpi) -> Goal:
    name, target, known = "Automatic retraining runs", ("a job of the worker trains",), found.jobs
    places = [i for i, row in enumerate(known.rows) if "train" in row["job"]]
    if not places:
        count = known.computed(len(known.rows), "number of jobs that ran", "{:,}")
        value = said("none of the ", count, " jobs that ran")
        return Goal(month=3, name=name, value=value, target=target, stands=_missed(found, 3))
    value = said(known.number(places[0], "ok"), " of ", known.number(places[0], "runs"), " runs went well")
    ok = any(known.rows[i]["ok"] for i in places)
    return Goal(month=3, name=name, value=value, target=target, stands="met" if ok else _missed(found, 3))


def _revenue(found: Kpi) -> Goal:
    """The A/B test's difference a lead, for all matured leads that the version answered since the canary."""
    name, target = "Incremental revenue", said("more than ", found.options.number("target_revenue", form="{:,.0f}"))
    asked = float(found.options.get("target_revenue"))
    known = incremental(found.sides, found.rollout) if found.sides and found.rollout else None
    if known is None or found.sides is None or found.rollout is None:
        why = said("no A/B test has matured leads on both sides")
        return Goal(month=3, name=name, value=("-",), target=target, stands="cannot be said yet", why=why)
    leads = sum(r["matured"] for r in found.sides.rows if r["model_version"] == found.rollout.challenger)
    value, low, high = known[0].times(leads)
    shown = computed_interval(
        found.sides, (value, low, high), f"{WELCH}, times its matured leads of all stages", SIGNED_MONEY
    )
    stands: Standing = "met" if low > asked else _missed(found, 3) if high < asked else "cannot be said yet"
    why = said("the interval holds the target") if stands == "cannot be said yet" else ()
    return Goal(month=3, name=name, value=shown, target=target, stands=stands, why=why)


def _mark(stands: Standing) -> Mark:
    if stands == "met":
        return Mark(text=stands, tone="good")
    return Mark(text=stands, tone="bad" if stands == "not met" else "unknown")


def _table(goals: Sequence[Goal]) -> Table:
    rows: list[tuple[Part | Text, ...]] = [
        (f"{goal.month}", goal.name, goal.value, goal.target, _mark(goal.stands), goal.why or ("",)) for goal in goals
    ]
    return table("Goals", "month|goal|value|target|stands|why", rows)


def _changed(goals: Sequence[Goal]) -> tuple[Text, ...]:
    counts = {
        stands: sum(goal.stands == stands for goal in goals)
        for stands in ("met", "not met", "not yet", "cannot be said yet")
    }
    told = ", ".join(f"{count} {stands}" for stands, count in counts.items() if count)
    return (
        (f"Of {len(goals)} goals: {told}.",),
        *(said(g.name, ": ", g.value, ", ", _mark(g.stands), ".") for g in goals if g.stands == "met"),
    )


def _actions(goals: Sequence[Goal]) -> tuple[Text, ...]:
    left = [goal for goal in goals if goal.stands != "met"]
    if not left:
        return (("Nothing: every goal is met.",),)
    return tuple(
        said(
            f"Month {g.month}, {g.name}: ",
            g.value,
            " (asked: ",
            g.target,
            "); ",
            _mark(g.stands),
            *((": ", *g.why) if g.why else ()),
            ".",
        )
        for g in left
    )
