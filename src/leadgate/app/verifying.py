"""Whether scores were made of what a training would make of the same leads: the features of logged scores, made again.

A version's own features.py is given the columns that were logged and the events that count at the score's time by what
is known now, and what it makes is held against what was logged. A difference is train/serve skew: training would learn
from other values than those that were scored.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from leadgate.app.wire import Home
from leadgate.errors import NotFoundError, RefusedError
from leadgate.leads.endless import EndlessError, limited
from leadgate.leads.events import events_before
from leadgate.leads.feature_code import FILE, make_values, told_of
from leadgate.leads.kinds import FeatureValue, value_of
from leadgate.storage.postgres.events import KnownLead, LoggedFeatures, RecordedEvent, logged_features, look_up
from leadgate.storage.postgres.routes import routes_of

if TYPE_CHECKING:
    from leadgate.leads.schema import LeadSchema
    from leadgate.records import Route

_ON_ITS_WAY = timedelta(seconds=5)
"""An event that was written down so shortly before a score may not have been there for it yet."""
_SAME = 1e-9
"""Numbers that differ by less, relative to their size, are equal: two machines may differ in the last bit."""
_AT_ONCE = 2_000
_EXAMPLES = 10


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One made value of one logged score that would be another one in training."""

    lead_id: str
    scored_at: datetime
    model_version: str
    feature: str
    logged: FeatureValue
    """What was scored."""
    again: FeatureValue
    """What a training would take."""
    late: bool
    """Whether events are why: written down after the score, though they say that they were known before it."""


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was found."""

    since: datetime
    until: datetime
    versions: tuple[str, ...]
    """Those that answered and have a features.py."""
    scores: int
    """That were made again."""
    wrong: int
    """Of them, those with a difference."""
    late: int
    """Of these, those that late events explain."""
    features: dict[str, int]
    """Scores by feature that differs, the most frequent first."""
    examples: tuple[Difference, ...]


def verify(
    home: Home, *, since: datetime, until: datetime, most: int, step: Callable[[str], None] = lambda _: None
) -> Verified:
    """Make the features of the last logged scores of a span (UTC) again, at most so many, and compare.

    Raises NotFoundError where no version that answered has a features.py, RefusedError for a function without an end.
    """
    step("reading the versions")
    with home.connection() as connection:
        routes = routes_of(connection, home.project.name)
        schemas = _schemas(home, _between(routes, since, until))
        if not schemas:
            raise NotFoundError(
                f"No version that could answer from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC has a "
                "features.py, so there is nothing to verify; name a longer span with --days."
            )
        step("reading the log")
        logged = logged_features(connection, home.project.name, list(schemas), since=since, until=until, most=most)
        found: list[list[Difference]] = []
        for start in range(0, len(logged), _AT_ONCE):
            some = logged[start : start + _AT_ONCE]
            takes_events = any(schema.code and schema.code.takes_events for schema in schemas.values())
            known = look_up(connection, [one.lead_id for one in some], events=takes_events)
            found += _compared(schemas, some, known)
            step(f"made {len(found):,} of {len(logged):,} again")
    wrong = [each for each in found if each]
    counts = Counter(one.feature for each in wrong for one in each)
    return Verified(
        since=since,
        until=until,
        versions=tuple(schemas),
        scores=len(logged),
        wrong=len(wrong),
        late=sum(all(one.late for one in each) for each in wrong),
        features=dict(counts.most_common()),
        examples=tuple(one for each in wrong[:_EXAMPLES] for one in each)[:_EXAMPLES],
    )


def _between(routes: "Sequence[Route]", since: datetime, until: datetime) -> list[str]:
    """The versions of the routes that were in force in a span; ``routes`` with the present one first."""
    ends = [until, *(route.changed_at for route in routes)]
    pairs = zip(routes, ends, strict=False)  # a route ends when the one after it begins
    there = [route for route, end in pairs if route.changed_at <= until and end >= since]
    named = (version for route in there for version in (route.champion, route.challenger) if version is not None)
    return list(dict.fromkeys(named))


def _schemas(home: Home, versions: Sequence[str]) -> "dict[str, LeadSchema]":
    """Of the versions that have a features.py; one that the registry has no more cannot be verified."""
    found = {}
    for version in versions:
        try:
            schema = home.registry.card(home.registry.find(version)).lead
        except NotFoundError:
            continue
        if schema.code is not None:
            found[version] = schema
    return found


def _compared(
    schemas: "Mapping[str, LeadSchema]", some: Sequence[LoggedFeatures], known: Mapping[str, KnownLead]
) -> list[list[Difference]]:
    found: list[list[Difference]] = []
    try:
        with limited(FILE):
            for one in some:
                found.append(list(_differences(schemas[one.model_version], one, known[one.lead_id])))  # noqa: PERF401
    except EndlessError as error:
        one = some[len(found)]
        raise RefusedError(f"{told_of(error, one.lead_id)} Version {one.model_version} has that code.") from None
    return found


def _differences(schema: "LeadSchema", logged: LoggedFeatures, known: KnownLead) -> Iterator[Difference]:
    again = _made(schema, logged, known.events)
    wrong = [name for name, value in again.items() if not _is_same(logged.features.get(name), value)]
    if not wrong:
        return
    ends = (logged.scored_at, logged.scored_at - _ON_ITS_WAY)
    then = [_made(schema, logged, [e for e in known.events if e.recorded_at <= end]) for end in ends]
    for name in wrong:
        yield Difference(
            lead_id=logged.lead_id,
            scored_at=logged.scored_at,
            model_version=logged.model_version,
            feature=name,
            logged=logged.features.get(name),
            again=again[name],
            late=any(_is_same(logged.features.get(name), made[name]) for made in then),
        )


def _made(schema: "LeadSchema", logged: LoggedFeatures, events: Sequence[RecordedEvent]) -> dict[str, FeatureValue]:
    assert schema.code is not None
    made = {feature.name for feature in schema.made_features}
    columns = {f.name: value_of(logged.features.get(f.name), f.type) for f in schema.taken if f.name not in made}
    values = make_values(schema.code, columns, events_before(events, logged.scored_at), logged.scored_at).values
    return dict(zip([feature.name for feature in schema.made_features], values, strict=True))


def _is_same(logged: Any, again: FeatureValue) -> bool:
    if isinstance(logged, bool) or isinstance(again, bool) or logged is None or again is None:
        return logged is again
    if isinstance(logged, str) or isinstance(again, str):
        return bool(logged == again)
    return math.isclose(logged, again, rel_tol=_SAME, abs_tol=0.0)
