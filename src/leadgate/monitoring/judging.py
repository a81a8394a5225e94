"""All checks on what was seen, in one place (quiet)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from leadgate.leads.baselines import Baseline
from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.leads.profiles import Profile
from leadgate.monitoring import business, data, feedback, integration, model, scores, system
from leadgate.monitoring.evidence import with_evidence
from leadgate.monitoring.findings import Finding, ranked


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """A version that the route names."""

    arm: str
    """champion or challenger."""
    version: str
    baseline: Baseline | None
    """None for a version of an earlier Leadgate."""
    profile: Profile | None
    """Of its scores in the window; None where it gave none."""
    matured: model.Matured
    explored: feedback.Explored | None = None
    """Of its matured leads, those that were worked as high; None where none was explored."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What is known at a time."""

    now: datetime
    days: float
    """Of the window."""
    sides: Sequence[Side]
    """The champion first."""
    matured: model.Matured
    """Of all versions together."""
    won: business.Won
    won_before: business.Won
    """Of the matured span before."""
    arrivals: system.Arrivals
    service: system.Service | None
    """None where no worker ever reported."""
    ratings: business.Ratings
    outcomes: integration.Deliveries
    contacts: integration.Deliveries
    bands: Mapping[str, int]
    """Leads of the window by priority, of all versions."""
    contacted: integration.Contacted
    """In the window."""
    contacted_before: integration.Contacted
    """In the four windows before."""


def judge(seen: Seen, rules: MonitoringRules) -> tuple[Finding, ...]:
    """Every check on everything that was seen; the most urgent first."""
    found = [*_system(seen, rules)]
    for side in seen.sides:
        found += _side(side, rules, features=side is seen.sides[0])
    found += _business(seen, rules)
    found += _integration(seen, rules)
    return tuple(ranked(with_evidence(found, rules.false_discovery)))


def _system(seen: Seen, rules: MonitoringRules) -> list[Finding]:
    return [
        system.freshness(seen.arrivals, seen.now, rules),
        system.volume(seen.arrivals, rules),
        system.coverage(seen.arrivals, rules),
        *system.latency(seen.service, rules),
        system.errors(seen.service, rules),
        system.uptime(seen.service, rules),
    ]


def _side(side: Side, rules: MonitoringRules, *, features: bool) -> list[Finding]:
    """Features are those of the leads, whichever version answers: they are judged once, on the champion's."""
    if side.baseline is None:
        return [
            Finding(
                area="model",
                check="baseline",
                subject=side.arm,
                severity="unknown",
                sentence=f"version {side.version} has no baseline that this release reads, so nothing can be said of "
                "its features and scores; train it again, or promote a version that has one",
            )
        ]
    found = [
        *model.quality(side.baseline, side.matured, rules, side.arm),
        *feedback.feedback_bias(side.matured, side.explored, rules, side.arm),
    ]
    if side.profile is None:
        sentence = f"version {side.version} gave no score in the window"
        return [
            *found,
            Finding(area="scores", check="score drift", subject=side.arm, severity="unknown", sentence=sentence),
        ]
    found += [
        *model.estimated(side.baseline, side.profile, side.matured, rules, side.arm),
        scores.score_drift(side.baseline, side.profile, rules, side.arm),
        scores.score_entropy(side.baseline, side.profile, rules, side.arm),
        scores.score_bands(side.baseline, side.profile, rules, side.arm),
    ]
    if features:
        for check in (
            data.feature_drift,
            data.missing_values,
            data.new_categories,
            data.ranges,
            scores.segment_scores,
        ):
            found += check(side.baseline, side.profile, rules)
    return found


def _business(seen: Seen, rules: MonitoringRules) -> list[Finding]:
    champion = seen.sides[0].baseline if seen.sides else None
    against = (
        []
        if champion is None
        else [
            business.conversion(champion, seen.matured, rules),
            business.correlation(champion, seen.sides[0].matured, rules),
        ]
    )
    return [
        *against,
        *business.amounts(seen.won, seen.won_before, rules),
        business.ratings(seen.ratings, rules),
        business.usage(seen.arrivals.window, seen.days, rules),
    ]


def _integration(seen: Seen, rules: MonitoringRules) -> list[Finding]:
    found = [
        integration.delivery("outcomes", seen.outcomes, seen.now, rules),
        integration.delivery("contacts", seen.contacts, seen.now, rules),
        integration.delivered("outcomes", seen.outcomes, rules),
        integration.delivered("contacts", seen.contacts, rules),
        integration.contact_wait(seen.contacted, seen.contacted_before, rules),
    ]
    if not seen.sides:
        return found
    found.append(integration.contact_order(seen.contacted, seen.bands, rules))
    champion = seen.sides[0].profile
    if champion is None:
        return found
    arrived = sum(seen.bands.values())
    return [*found, integration.high_priority(champion, arrived, seen.contacts, seen.days, rules)]
