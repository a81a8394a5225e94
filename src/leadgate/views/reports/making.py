"""Makes each report: reads what it tells of, and says so in a sentence where there is nothing yet."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from leadgate.errors import NotFoundError, RefusedError
from leadgate.views.reports.deployment import Deployment, deployment_report
from leadgate.views.reports.experiment import Experiment, experiment_report
from leadgate.views.reports.facts import RolloutFacts
from leadgate.views.reports.kpi import MONTH, Kpi, Month, kpi_report
from leadgate.views.reports.phrases import day, said
from leadgate.views.reports.postmortem import PostMortemFacts, post_mortem_report
from leadgate.views.reports.reading import Reader
from leadgate.views.reports.report import Code, Known, Report, Text
from leadgate.views.reports.review import Cadence, Review, review_report
from leadgate.views.reports.sources import options

_DAYS: Mapping[Cadence, int] = {"weekly": 7, "monthly": 30}
"""Of a period."""
_BACK = ("rolled_back", "rejected", "rolling_back")
_FURTHEST = ("full", "ab_test", "canary", "shadow")
REVENUE = 500_000.0
"""The plan's goal, in the team's currency."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """The time of a review."""

    since: datetime
    until: datetime


def deployment(reader: Reader, *, rollout: int | None = None, version: str | None = None) -> Report:
    """Of a rollout, or the last one of a version, or the last one; without any, of the version that answers.

    A version that answers nobody yet is told of where it is asked for. Raises NotFoundError for a rollout or a version
    that is not there.
    """
    listed = reader.rollouts()
    asked = reader.version(version)
    version = asked.number if asked else version  # an alias, or the latest one
    place = _place(reader, listed, rollout, version)
    routes = reader.routes()
    if place is None and version is None and not routes.rows:
        return _nothing(reader, "deployment", "Deployment", _UNSERVED)
    facts = None if place is None else rollout_facts(reader, listed, place)
    number = facts.challenger if facts else version or str(routes.rows[-1]["champion"])
    found = reader.version(number)
    if facts is None and version is not None and found is None:
        raise NotFoundError(f"There is no version {version} of {reader.project.name!r}; see `leadgate models list`.")
    number = found.number if found else number
    named = any(number in (row["champion"], row["challenger"]) for row in routes.rows)
    former = facts.champion if facts else None if named else _champion_beside(reader, number)
    subjects = [f"{reader.project.name} version {number}", *([f"rollout {facts.number}"] if facts else [])]
    return deployment_report(
        Deployment(
            model_name=reader.project.name,
            now=reader.now,
            version=number,
            facts=found,
            former=former,
            rollout=facts,
            comparison=None if former is None or found is None else reader.comparison(former, number),
            routes=routes,
            acts=reader.acts(*subjects),
            findings=reader.findings(reader.now - timedelta(days=_DAYS["monthly"])),
            alerts=_open_alerts(reader),
        )
    )


def review(reader: Reader, cadence: Cadence, *, since: datetime | None = None) -> Report:
    """Of the days up to ``reader.now``; ``since`` sets another begin. Raises RefusedError where that is not before."""
    begin = since or reader.now - timedelta(days=_DAYS[cadence])
    if begin >= reader.now:
        raise RefusedError(
            f"A review from {day(begin)} to {day(reader.now)} has no time in it; give an earlier --since."
        )
    routes = reader.routes()
    if not routes.rows:
        return _nothing(reader, cadence, f"{cadence.capitalize()} review", _UNSERVED)
    days = reader.project.outcomes.window_days + reader.project.monitoring.matured_days
    matured = min(begin, reader.now - timedelta(days=days))
    version = reader.version(str(routes.rows[-1]["champion"]))
    earlier = replace(reader, now=begin)
    features = reader.project.lead.segments
    return review_report(
        Review(
            model_name=reader.project.name,
            cadence=cadence,
            since=begin,
            until=reader.now,
            window_days=reader.project.outcomes.window_days,
            routes=routes,
            settings=reader.settings(),
            leads=reader.leads(matured),
            matured_since=matured,
            findings=reader.findings(begin),
            before=earlier.findings(begin - timedelta(days=_DAYS["monthly"])),
            capacity=_last_evidence(reader),
            alerts=reader.alerts(begin, reader.now),
            calibration=reader.calibration(matured),
            segments=reader.segments(matured, features) if features else None,
            version=version,
            rule=reader.simple_rule(version, matured) if cadence == "monthly" else None,
        )
    )


def experiment(reader: Reader, *, rollout: int | None = None) -> Report:
    """Of the last A/B test, or of that of a rollout. Raises NotFoundError for a rollout that is not there."""
    listed = reader.rollouts()
    _place(reader, listed, rollout, None)
    for place, row in enumerate(listed.rows):
        if rollout not in (None, row["rollout_id"]):
            continue
        facts = rollout_facts(reader, listed, place)
        looks = reader.looks(facts.number, "ab_test")
        if facts.tested is not None and looks.rows:
            return experiment_report(
                Experiment(
                    model_name=reader.project.name,
                    now=reader.now,
                    rollout=facts,
                    looks=looks,
                    last=facts.tested,
                    sides=_sides(reader, row),
                    settings=reader.settings(),
                )
            )
    whose = "no rollout has" if rollout is None else f"rollout {rollout} has not"
    why = said(f"There is no A/B test to tell of: {whose} been judged in one yet.")
    return _nothing(
        reader, "experiment", "A/B test", (why, said("See where it is: ", Code(text="leadgate rollout status"), "."))
    )


def post_mortem(reader: Reader, *, rollout: int | None = None) -> Report:
    """Of the last rollout that came back, or of one. Raises NotFoundError for a rollout that is not there."""
    listed = reader.rollouts()
    _place(reader, listed, rollout, None)
    for place, row in enumerate(listed.rows):
        if rollout not in (None, row["rollout_id"]):
            continue
        facts = rollout_facts(reader, listed, place)
        if facts.post_mortems.rows or facts.stage in _BACK:
            return post_mortem_report(
                PostMortemFacts(
                    model_name=reader.project.name,
                    now=reader.now,
                    rollout=facts,
                    at_end=_evidence_of_return(reader, facts),
                    sides=_sides(reader, row),
                    alerts=reader.alerts(row["started_at"], row["ended_at"] or reader.now),
                    acts=reader.acts(f"rollout {facts.number}"),
                )
            )
    whose = "no rollout" if rollout is None else f"rollout {rollout} has not"
    sentence = f"There is nothing to look back on: {whose} {'has ' if rollout is None else ''}come back."
    return _nothing(reader, "postmortem", "Post-mortem", (said(sentence), said("Nothing is to be done.")))


def kpi(reader: Reader, *, since: datetime | None = None, target_revenue: float = REVENUE) -> Report:
    """The goals, counted from the day on which a version first answered, or from another one."""
    routes, listed = reader.routes(), reader.rollouts()
    if not routes.rows and since is None:
        return _nothing(reader, "kpi", "Key figures and goals", _UNSERVED)
    zero = since or routes.rows[0]["changed_at"]
    if zero > reader.now:
        raise RefusedError(
            f"--since {day(zero)} lies after {day(reader.now)}; the goals are counted from a day before it."
        )
    every = [rollout_facts(reader, listed, place) for place in range(len(listed.rows))]
    facts = min(every, key=_distance, default=None)  # of equal ones the last rollout
    month = Month(
        since=zero,
        until=zero + MONTH,
        runs=reader.runs(zero, min(reader.now, zero + MONTH)),
        incidents=reader.incidents(zero, min(reader.now, zero + MONTH)),
    )
    return kpi_report(
        Kpi(
            model_name=reader.project.name,
            now=reader.now,
            day_zero=zero,
            rollouts=listed,
            rollout=facts,
            sides=_sides(reader, listed.rows[facts.place]) if facts else None,
            ratings=reader.ratings(zero, min(reader.now, zero + 2 * MONTH)),
            jobs=reader.job_runs(zero, reader.now),
            settings=reader.settings(),
            findings=reader.findings(reader.now - timedelta(days=_DAYS["monthly"])),
            capacity=_last_evidence(reader),
            options=options({"day_zero": f"{zero:%Y-%m-%d}", "target_revenue": target_revenue}),
            first=month,
        )
    )


def rollout_facts(reader: Reader, listed: Known, place: int) -> RolloutFacts:
    """A rollout with the evidence that its steps rested on."""
    number = int(listed.rows[place]["rollout_id"])
    steps, last = reader.steps(number), reader.last_evidence(number, *_FURTHEST, "rolling_back")
    named = [int(row["evidence_id"]) for row in steps.rows if row["evidence_id"] is not None]
    newest = [] if last is None else [int(last.rows[0]["evidence_id"])]
    kept = [reader.evidence(number, evidence_id) for evidence_id in dict.fromkeys([*named, *newest])]
    return RolloutFacts(
        listed=listed,
        place=place,
        steps=steps,
        approvals=reader.approvals(number),
        post_mortems=reader.post_mortems(number),
        evidence=tuple(known for known in kept if known.rows),
        compared=next((known for known in reversed(kept) if known.get(0, "evidence", "paired")), None),
        tested=reader.last_evidence(number, "ab_test"),
    )


_UNSERVED: tuple[Text, ...] = (
    ("No version answers yet, so there is nothing to tell.",),
    ("Train one and let it answer: ", Code(text="leadgate train"), ", ", Code(text="leadgate serve"), "."),
)


def _nothing(reader: Reader, kind: str, title: str, told: tuple[Text, ...]) -> Report:
    """A report of nothing: why, and what to do."""
    return Report(
        kind=kind,
        title=title,
        model_name=reader.project.name,
        period=f"up to {day(reader.now)}",
        versions=(),
        made_at=reader.now,
        changed=told[:1],
        actions=told[1:],
        sections=(),
    )


def _place(reader: Reader, listed: Known, rollout: int | None, version: str | None) -> int | None:
    """Where a rollout is in the list; the last one where none is named, None where there is none."""
    places = [
        i
        for i, row in enumerate(listed.rows)
        if rollout in (None, row["rollout_id"]) and version in (None, row["challenger"])
    ]
    if rollout is not None and not places:
        known = ", ".join(str(row["rollout_id"]) for row in listed.rows) or "none yet"
        raise NotFoundError(f"Model {reader.project.name!r} has no rollout {rollout}; known: {known}.")
    return places[0] if places else None


def _champion_beside(reader: Reader, number: str) -> str | None:
    """The champion that a version would have to follow; None where it is the champion itself, or there is none."""
    champion = reader.version("champion")
    return None if champion is None or champion.number == number else champion.number


def _distance(facts: RolloutFacts) -> int:
    """How far from the full rollout one is, or was at best."""
    stages = {row["stage"] for row in facts.steps.rows}
    reached = min((i for i, stage in enumerate(_FURTHEST) if stage in stages), default=len(_FURTHEST))
    return reached + (len(_FURTHEST) if facts.stage in _BACK else 0)


def _sides(reader: Reader, row: Mapping[str, Any]) -> Known:
    days = row["rules"].get("experiment", {}).get("horizon_days") or reader.project.outcomes.window_days
    return reader.sides(int(row["rollout_id"]), row["started_at"], days)


def _evidence_of_return(reader: Reader, facts: RolloutFacts) -> Known | None:
    named = [row["evidence_id"] for row in facts.post_mortems.rows if row["evidence_id"] is not None]
    number = named[-1] if named else facts.steps.rows[-1]["evidence_id"]
    return None if number is None else reader.evidence(facts.number, int(number))


def _last_evidence(reader: Reader) -> Known | None:
    """Of the last rollout."""
    listed = reader.rollouts()
    if not listed.rows:
        return None
    return reader.last_evidence(int(listed.rows[0]["rollout_id"]), *_FURTHEST)


def _open_alerts(reader: Reader) -> Known:
    """The alerts that are open now."""
    return reader.alerts(reader.now, reader.now)
