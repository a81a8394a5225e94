"""Whether the CRM and the sales team go along with the scores (quiet).

Does the CRM still send what became of leads? Is priority high a mark that helps the team? Does the team follow it?
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from itertools import pairwise
from math import inf, isfinite, sqrt
from statistics import median

import numpy as np

from leadgate.leads.layout import SCORE_EDGES
from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.leads.profiles import Moments, Profile, add_moments
from leadgate.monitoring.business import BUSINESS
from leadgate.monitoring.findings import URGENCY, Area, Finding, Severity, graded, not_enough
from leadgate.monitoring.model import MIDDLES
from leadgate.records import Interval
from leadgate.stats.distances import mean_difference_p_value
from leadgate.stats.proportions import Z95, wilson

_AREA: Area = "integration"
_LATE, _VERY_LATE = 1.5, 3.0
"""Times the longest pause before."""
_DEVIATIONS = 3.0
"""Times the median deviation: about two standard deviations."""
_NOTICED = 0.1
"""Of the mean wait: a smaller difference between priorities is none."""
_PREFERRED = 0.05
"""Of the leads: a smaller difference in the share that is contacted is none."""


@dataclass(frozen=True, kw_only=True)
class Deliveries:
    """When the CRM sent something, by the time at which it was recorded."""

    last_at: datetime | None
    """None: never."""
    window: int
    """Outcomes or contacts in the window."""
    before: tuple[int, ...]
    """In each of the windows before, the last first; only those since the first delivery."""
    longest_pause: timedelta | None
    """Between two hours with a delivery, up to the last one; None for fewer than two."""


@dataclass(frozen=True, kw_only=True)
class Contacted:
    """First contacts of a span with leads that had a score."""

    waits: Mapping[str, Moments]
    """Days from the score to the contact, by priority; of the latest contacts where there are very many."""
    share: float = 1.0
    """Of all contacts, those that the waits are of."""

    @property
    def all(self) -> Moments:
        """Of every priority."""
        return reduce(add_moments, self.waits.values(), Moments())


def deliveries_of(hours: Sequence[tuple[datetime, int]], now: datetime, window: timedelta, most: int) -> Deliveries:
    """From the counts by hour of ``most + 1`` windows, oldest first."""
    counts = [0] * (most + 1)
    for hour, n in hours:
        counts[min(most, int(max(timedelta(), now - hour) / window))] += n
    known = int((now - hours[0][0]) / window) if hours else 0
    pauses = [b[0] - a[0] for a, b in pairwise(hours)]
    return Deliveries(
        last_at=hours[-1][0] if hours else None,
        window=counts[0],
        before=tuple(counts[1 : known + 1]),
        longest_pause=max(pauses, default=None),
    )


def delivery(what: str, found: Deliveries, now: datetime, rules: MonitoringRules) -> Finding:
    """Whether the CRM still sends outcomes, or contacts (``what``): how long ago it did last."""
    if found.last_at is None:
        sentence = f"the CRM has never sent {what}; `leadgate {what} import FILE` or POST /{what} takes them"
        return Finding(area=_AREA, check="delivery", subject=what, severity="unknown", sentence=sentence, sample=0)
    hours = max(0.0, (now - found.last_at).total_seconds() / 3600)
    pause = found.longest_pause.total_seconds() / 3600 if found.longest_pause else 0.0
    limit = rules.integration.sync_hours
    yellow, red = max(limit.yellow, _LATE * pause), max(limit.red, _VERY_LATE * pause)
    return Finding(
        area=_AREA,
        check="delivery",
        subject=what,
        severity=graded(hours, yellow, red),
        sentence=f"the CRM last sent {what} {hours:.0f} h ago, at {found.last_at:%Y-%m-%d %H:%M} UTC; {yellow:.0f} h "
        f"are allowed, its longest pause before was {pause:.0f} h",
        value=hours,
        threshold=yellow,
        details={"longest_pause_hours": pause},
    )


def delivered(what: str, found: Deliveries, rules: MonitoringRules) -> Finding:
    """Whether the CRM sends as many outcomes, or contacts, as in the windows before. A rise is no alarm."""
    before, limit = found.before, rules.volume_change
    if len(before) < 2 or median(before) < rules.least_conversions:  # noqa: PLR2004  # no spread
        return not_enough(
            _AREA, "delivered volume", what, have=len(before), need=2, of=f"windows before with enough {what}"
        )
    usual = median(before)
    change = (found.window - usual) / usual
    # The median deviation, not the largest: a loss that began two windows ago must not pass for what is usual.
    spread = _DEVIATIONS * median(abs(n - usual) for n in before) + 3 * usual**0.5
    low = usual - found.window > spread
    return Finding(
        area=_AREA,
        check="delivered volume",
        subject=what,
        severity=graded(-change, limit.yellow, limit.red) if low else "green",
        sentence=f"{found.window:,} {what} in the window, {usual:,.0f} are usual ({change:+.0%})",
        value=max(0.0, -change),
        threshold=limit.yellow,
        sample=found.window,
        details={"usual": float(usual), "change": change},
    )


def contact_wait(now: Contacted, before: Contacted, rules: MonitoringRules) -> Finding:
    """Whether leads wait for their first contact as long as they did."""
    a, b = now.all, before.all
    if min(a.count, b.count) < rules.least_leads:
        have, need = min(a.count, b.count), rules.least_leads
        return not_enough(_AREA, "contact wait", have=have, need=need, of="contacts on each side")
    limit = rules.integration.wait_change
    change = (a.mean - b.mean) / b.mean if b.mean > 0 else 0.0
    half = Z95 * a.deviation / sqrt(a.count)
    return Finding(
        area=_AREA,
        check="contact wait",
        severity=graded(abs(change), limit.yellow, limit.red),
        sentence=f"leads wait {a.mean:.2g} days for their first contact on {a.count:,} contacts, {b.mean:.2g} before "
        f"({change:+.0%})",
        value=abs(change),
        threshold=limit.yellow,
        interval=Interval(low=max(0.0, a.mean - half), high=a.mean + half),
        sample=a.count,
        p_value=mean_difference_p_value(a.mean - b.mean, a.variance, a.count, b.variance, b.count),
        family=BUSINESS,
        details={"mean": a.mean, "before": b.mean, "change": change},
    )


def contact_order(found: Contacted, bands: Mapping[str, int], rules: MonitoringRules) -> Finding:
    """Whether the team contacts leads with priority high sooner, or more of them, than those with priority low.

    ``bands``: leads of the window by priority.
    """
    high, low = (found.waits.get(band, Moments()) for band in ("high", "low"))
    leads = [bands.get(band, 0) for band in ("high", "low")]
    need = rules.least_conversions
    if found.all.count < rules.least_leads or min(leads) < need:
        have, need = (found.all.count, rules.least_leads) if min(leads) >= need else (min(leads), need)
        of = "contacts with scored leads" if min(leads) >= rules.least_conversions else "leads of each priority"
        return not_enough(_AREA, "contact order", have=have, need=need, of=of)
    shares = [min(1.0, side.count / found.share / n) for side, n in zip((high, low), leads, strict=True)]
    # The second part is what it costs to know a sample of the contacts only.
    variances = (s * (1 - s) / n + s * (1 / found.share - 1) / n for s, n in zip(shares, leads, strict=True))
    more, error = shares[0] - shares[1], sqrt(sum(variances))
    sooner, half = _sooner(high, low)
    return Finding(
        area=_AREA,
        check="contact order",
        severity=_followed(more, Z95 * error, sooner / max(low.mean, 1e-9), half / max(low.mean, 1e-9)),
        sentence=f"{shares[0]:.0%} of the leads with priority high are contacted, after {high.mean:.2g} days; of those "
        f"with priority low {shares[1]:.0%}, after {low.mean:.2g} days",
        value=more,
        threshold=_PREFERRED,
        interval=Interval(low=max(-1.0, more - Z95 * error), high=min(1.0, more + Z95 * error)),
        sample=high.count + low.count,
        details={"sooner_days": sooner, "sooner_to_within": half if isfinite(half) else None},
    )


def _followed(more: float, more_half: float, sooner: float, sooner_half: float) -> Severity:
    """Yellow when surely neither more nor sooner; green when surely one of them."""
    if more - more_half > 0 or sooner - sooner_half > 0:
        return "green"
    ignored = more + more_half < _PREFERRED and sooner + sooner_half < _NOTICED
    return "yellow" if ignored else "unknown"


def _sooner(high: Moments, low: Moments) -> tuple[float, float]:
    """By how many days leads of priority high are contacted sooner, and the half-width of its interval."""
    if high.count == 0:
        return 0.0, 0.0  # nobody of them is contacted at all
    if min(high.count, low.count) < 2:  # noqa: PLR2004  # no spread
        return 0.0, inf
    return low.mean - high.mean, Z95 * sqrt(low.variance / low.count + high.variance / high.count)


def high_priority(profile: Profile, arrived: int, contacts: Deliveries, days: float, rules: MonitoringRules) -> Finding:
    """Whether the mark high helps the team: not more leads than it can contact, better ones than average, and some.

    How much better is what the scores say: the highest ones are those with priority high. It holds as far as the scores
    are calibrated. ``profile`` is the champion's, which may answer for a part of the ``days`` only, and a share of the
    leads; ``arrived``: the leads of these days, whoever scored them.
    """
    leads = sum(profile.bands.values())
    if leads < rules.least_leads:
        return not_enough(_AREA, "high priority", have=leads, need=rules.least_leads, of="scores")
    asked, high = rules.integration, profile.bands.get("high", 0)
    share, can = wilson(high, leads), _capacity(contacts, days, rules)
    lift = _lift(profile, high)
    judged: list[tuple[Severity, str, float, float, str]] = []
    if can is not None:
        a_day = (arrived / days) / can
        severity = graded(share.low * a_day, asked.high_per_contact.yellow, asked.high_per_contact.red)
        limit = asked.high_per_contact.yellow
        told = f"{high / leads * a_day:.2g} leads with priority high for each contact; {limit:g} are allowed"
        judged.append((severity, "contacts", high / leads * a_day, limit, told))
    for outside, limit, word in (
        (share.high < asked.least_high, asked.least_high, "at least"),
        (share.low > asked.most_high, asked.most_high, "at most"),
    ):
        of_all: Severity = "yellow" if outside else "green"
        told = f"{high / leads:.2%} of the leads have priority high, {word} {limit:.1%} is asked"
        judged.append((of_all, "share", high / leads, limit, told))
    if lift is not None:
        weak: Severity = "yellow" if lift < asked.high_lift else "green"
        told = (
            f"leads with priority high convert {lift:.2g} times as often as the average; {asked.high_lift:g} is asked"
        )
        judged.append((weak, "lift", lift, asked.high_lift, told))
    severity, by, value, limit, told = max(judged, key=lambda j: URGENCY[j[0]])
    return Finding(
        area=_AREA,
        check="high priority",
        severity=severity,
        sentence=f"{told}; {high:,} of {leads:,} leads are high",
        value=value,
        threshold=limit,
        interval=share,
        sample=leads,
        details={"by": by, "lift": lift, "share": high / leads, "contacts_a_day": can},
    )


def _capacity(contacts: Deliveries, days: float, rules: MonitoringRules) -> float | None:
    """Contacts a day; None where nobody says any."""
    asked = rules.integration.contacts_a_day
    if asked is not None:
        return asked
    enough = contacts.window >= rules.least_conversions
    return contacts.window / days if enough else None


def _lift(profile: Profile, high: int) -> float | None:
    """Mean of the highest scores over the mean of all; None without any."""
    mean = profile.scores.moments.mean
    if high == 0 or mean <= 0:
        return None
    counts = profile.scores.counts[::-1]
    taken = np.minimum(np.cumsum(counts), high)
    of_bin = np.diff(taken, prepend=0)
    assert len(counts) == len(SCORE_EDGES) + 1
    return float((of_bin * MIDDLES[::-1]).sum() / max(1, of_bin.sum()) / mean)
