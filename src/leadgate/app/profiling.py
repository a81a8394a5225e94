"""Profiles of a project: baselines go where drainers and checks find them; hours are shown and made anew."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.baselines import Baseline, baseline_from_bytes
from leadgate.leads.layout import LATENCY_EDGES, SCORE_EDGES
from leadgate.leads.profiles import Floats, Numeric, Profile
from leadgate.models.registry import Version
from leadgate.monitoring.watch import profile_of
from leadgate.scoring.folding import HOUR, rebuild_hours, tidy_hours
from leadgate.stats.distances import quantile
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.profiles import find_baseline, hours_between, publish_baseline, published

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True)
class FeatureShown:
    """A feature in a span and at training."""

    feature: str
    importance: float | None
    """AUC that the hold-out loses without it; None where the version has no baseline."""
    count: int
    missing: float
    """Share."""
    missing_at_training: float
    mean: float | None
    deviation: float | None
    low: float | None
    high: float | None
    quantiles: tuple[float, ...]
    """At 5, 25, 50, 75 and 95 %; empty for categories."""
    quantiles_at_training: tuple[float, ...]
    categories: dict[str, int]
    """The largest first, at most 20."""
    categories_at_training: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class ProfileShown:
    """What is known of the predictions of a span."""

    version: str
    since: datetime
    until: datetime
    predictions: int
    first_at: datetime | None
    last_at: datetime | None
    score_mean: float | None
    score_quantiles: tuple[float, ...]
    bands: dict[str, int]
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    features: tuple[FeatureShown, ...]


def publish(home: Home, version: Version) -> None:
    """Copy a version's baseline from the registry into the database, unless it is there."""
    recorded = version.tags.get("sha256.baseline.bin")
    with home.connection() as connection:
        known = published(connection, version.name).get(version.version)
        if recorded is None or (known is not None and known.hex() == recorded):
            return
        content = home.registry.baseline(version)
        assert content is not None
        assert sha256(content).hexdigest() == recorded
        publish_baseline(
            connection,
            version.name,
            version.version,
            content,
            layout=baseline_from_bytes(content).layout.digest,
            at=home.clock(),
        )


def rebuild(home: Home, *, since: datetime) -> tuple[int, int]:
    """Make the profiles of all hours since a time anew from the log; gives hours and predictions."""
    for version in home.registry.versions():
        publish(home, version)
    with _hour_by_hour(home) as connection:
        return rebuild_hours(connection, home.project.name, since=since, until=home.clock() + HOUR)


def tidy(home: Home) -> int:
    """Merge the rows of hours that are over; gives the number of hours that had several."""
    with _hour_by_hour(home) as connection:
        return tidy_hours(connection, home.project.name, before=home.clock() - HOUR)


@contextmanager
def _hour_by_hour(home: Home) -> Iterator[Connection]:
    """A connection on which an hour is a transaction: with one around them all, drainers would wait to its end."""
    with home.connection() as connection:
        connection.autocommit = True
        yield connection


def show(home: Home, *, version: str | None, since: datetime | None, feature: str | None) -> ProfileShown:
    """The profile of the predictions of a version since a time, the last week by default.

    Raises RefusedError where there is nothing to show, or the version has no such feature.
    """
    until = home.clock() + timedelta(seconds=1)
    start = since or until - timedelta(days=7)
    with home.connection() as connection:
        which = version or _last_version(connection, home.project.name, start, until)
        content = find_baseline(connection, home.project.name, which)
        baseline = None if content is None else baseline_from_bytes(content)
        profile = profile_of(connection, home.project.name, which, baseline, since=start, until=until)
    if profile is None:
        raise RefusedError(f"Version {which} has no prediction between {start:%Y-%m-%d %H:%M} and now (UTC).")
    return _shown(which, start, until, profile, baseline, feature)


def _last_version(connection: Connection, model_name: str, since: datetime, until: datetime) -> str:
    hours = hours_between(connection, model_name, since=since, until=until)
    if not hours:
        raise RefusedError(
            f"Model {model_name!r} has no profile since {since.astimezone(UTC):%Y-%m-%d %H:%M} (UTC); name an earlier "
            "time with --since, or make profiles from the log with `leadgate profile rebuild --since`."
        )
    return hours[-1].model_version


def _shown(  # noqa: PLR0917  # private
    version: str, since: datetime, until: datetime, profile: Profile, baseline: Baseline | None, feature: str | None
) -> ProfileShown:
    there = [] if baseline is None else [*baseline.layout.edges, *baseline.layout.known]
    if feature is not None and feature not in there:
        raise RefusedError(f"Version {version} has no profile of {feature!r}; known: {', '.join(there) or 'none'}.")
    features = () if baseline is None else tuple(_feature(profile, baseline, n) for n in there if feature in (None, n))
    latency = profile.latency.counts
    return ProfileShown(
        version=version,
        since=since,
        until=until,
        predictions=profile.predictions,
        first_at=profile.first_at,
        last_at=profile.last_at,
        score_mean=profile.scores.moments.mean,
        score_quantiles=_quantiles(profile.scores, SCORE_EDGES),
        bands=dict(profile.bands),
        latency_p50_ms=quantile(latency, LATENCY_EDGES, 0.5) if latency.sum() else None,
        latency_p99_ms=quantile(latency, LATENCY_EDGES, 0.99) if latency.sum() else None,
        features=tuple(sorted(features, key=lambda shown: -(shown.importance or 0.0))),
    )


def _feature(profile: Profile, baseline: Baseline, name: str) -> FeatureShown:
    importance = baseline.importance.get(name)
    if name in baseline.layout.edges:
        edges, now, then = baseline.layout.edges[name], profile.numeric[name], baseline.profile.numeric[name]
        some = now.count > 0
        return FeatureShown(
            feature=name,
            importance=importance,
            count=now.count,
            missing=_share(now.missing, now.count),
            missing_at_training=_share(then.missing, then.count),
            mean=now.moments.mean if some else None,
            deviation=now.moments.deviation if some else None,
            low=now.low if some else None,
            high=now.high if some else None,
            quantiles=_quantiles(now, edges),
            quantiles_at_training=_quantiles(then, edges),
            categories={},
            categories_at_training={},
        )
    present, past = profile.categorical[name], baseline.profile.categorical[name]
    return FeatureShown(
        feature=name,
        importance=importance,
        count=present.count,
        missing=_share(present.missing, present.count),
        missing_at_training=_share(past.missing, past.count),
        mean=None,
        deviation=None,
        low=None,
        high=None,
        quantiles=(),
        quantiles_at_training=(),
        categories=_largest(present.counts.items()),
        categories_at_training=_largest(past.counts.items()),
    )


def _share(missing: int, count: int) -> float:
    return missing / (missing + count) if missing + count else 0.0


def _quantiles(found: Numeric, edges: Floats) -> tuple[float, ...]:
    return tuple(quantile(found.counts, edges, q) for q in _QUANTILES) if found.count else ()


def _largest(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    return dict(sorted(counts, key=lambda item: (-item[1], item[0]))[:20])
