"""Writes predictions into the log, and into the profiles of their hours: both or neither."""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter

from leadgate.leads.adding import total_of
from leadgate.leads.baselines import baseline_from_bytes
from leadgate.leads.layout import NO_LAYOUT, Layout
from leadgate.leads.profile_bytes import profile_to_bytes
from leadgate.leads.profiles import Profile, add_profiles
from leadgate.leads.summing import profile_predictions
from leadgate.records import Prediction
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.predictions import copying_predictions
from leadgate.storage.postgres.profiles import (
    HourKey,
    add_part,
    find_baseline,
    first_logged,
    forget_hours,
    hold_off_adding,
    logged_between,
    scattered_hours,
    take_parts,
)

HOUR = timedelta(hours=1)

_PARTS = 64
"""Rows that an hour gets from this process before it merges them."""
_ASK_AGAIN_S = 60.0
"""After this time a version that had no baseline is asked for one again."""

_WHOSE = attrgetter("model_name", "model_version", "variant")

log = logging.getLogger("leadgate.drainer")

Group = tuple[str, str, str, datetime]


class Layouts:
    """The bins of versions, as the database has them."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[Layout | None, float]] = {}

    def of(self, connection: Connection, model_name: str, version: str) -> tuple[Layout, str]:
        """The layout of a version and its digest; no bins of features and "" where the version has no baseline.

        A layout is read once: the baseline of a version never changes.
        """
        info = connection.info
        name = (info.host, str(info.port), info.dbname, model_name, version)
        layout, asked = self._known.get(name, (None, -_ASK_AGAIN_S))
        if layout is None and time.monotonic() - asked >= _ASK_AGAIN_S:
            content = find_baseline(connection, model_name, version)
            layout = None if content is None else baseline_from_bytes(content).layout
            self._known[name] = (layout, time.monotonic())
        return (NO_LAYOUT, "") if layout is None else (layout, layout.digest)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Predictions of an hour that were made by one version, and where their profile belongs."""

    key: HourKey
    layout: Layout
    predictions: Sequence[Prediction]


class Folder:
    """Adds predictions to the profiles of their hours."""

    def __init__(self) -> None:
        self.layouts = Layouts()
        self._added: dict[HourKey, int] = {}

    def log(self, connection: Connection, predictions: Sequence[Prediction]) -> None:
        """Append predictions to the log by COPY and add them to the profiles of their hours, all or none.

        One row an hour, version and variant; nothing is read. After 64 of them this process merges the hour's rows.
        Belongs in a transaction; the partitions of their days must be there.
        """
        parts = self._parts(connection, predictions)
        with copying_predictions(connection, predictions):
            # PostgreSQL is behind with writing: on another processor than this one, summing up costs no time.
            profiled = [_profiled(part) for part in parts]
        for part, content in profiled:
            add_part(connection, part.key, len(part.predictions), content)
            self._count(connection, part.key, part.layout)

    def _parts(self, connection: Connection, predictions: Sequence[Prediction]) -> list[Part]:
        found = []
        for (name, version, variant, hour), group in grouped(predictions).items():
            layout, digest = self.layouts.of(connection, name, version)
            key = HourKey(model_name=name, model_version=version, variant=variant, hour=hour, layout=digest)
            found.append(Part(key=key, layout=layout, predictions=group))
        return found

    def _count(self, connection: Connection, key: HourKey, layout: Layout) -> None:
        self._added[key] = self._added.get(key, 0) + 1
        if self._added[key] >= _PARTS:
            merge_parts(connection, key, layout)
            # Only the hours that are being added to are worth remembering.
            there = list(self._added.items())
            self._added = {other: n for other, n in there if other.hour >= key.hour and other != key}


_folder = Folder()


def log_predictions(connection: Connection, predictions: Sequence[Prediction]) -> None:
    """As ``Folder.log``, with what this process remembers."""
    _folder.log(connection, predictions)


def _profiled(part: Part) -> tuple[Part, bytes]:
    try:
        return part, profile_to_bytes(profile_predictions(part.layout, part.predictions))
    except Exception:
        # Whatever its features are, a prediction that was answered belongs into the log.
        about = {"model_version": part.key.model_version, "leads": len(part.predictions)}
        log.exception("features cannot be summed up", extra=about)
    without = replace(part, layout=NO_LAYOUT, key=replace(part.key, layout=""))
    return without, profile_to_bytes(profile_predictions(NO_LAYOUT, part.predictions))


def grouped(predictions: Sequence[Prediction]) -> Mapping[Group, Sequence[Prediction]]:
    """Predictions by model, version, variant and hour."""
    if not predictions:
        return {}
    whose = set(map(_WHOSE, predictions))
    times = [p.scored_at for p in predictions]
    first = _hour_of(min(times))
    if len(whose) == 1 and first == _hour_of(max(times)):  # nearly always
        return {(*whose.pop(), first): predictions}
    groups: dict[Group, list[Prediction]] = defaultdict(list)
    for p in predictions:
        groups[p.model_name, p.model_version, p.variant, _hour_of(p.scored_at)].append(p)
    return groups


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def merge_parts(connection: Connection, key: HourKey, layout: Layout) -> None:
    """Put one row in the place of an hour's rows."""
    merged = total_of(layout, take_parts(connection, key))
    if merged is not None:
        add_part(connection, key, merged.predictions, profile_to_bytes(merged))


def tidy_hours(connection: Connection, model_name: str, *, before: datetime) -> int:
    """Merge the rows of hours that begin before a time; gives the number of hours that had several."""
    layouts = Layouts()
    scattered = scattered_hours(connection, model_name, before=before)
    for key, _ in scattered:
        layout, digest = layouts.of(connection, model_name, key.model_version)
        if digest == key.layout or not key.layout:
            with connection.transaction():
                merge_parts(connection, key, layout if key.layout else NO_LAYOUT)
    return len(scattered)


def rebuild_hours(connection: Connection, model_name: str, *, since: datetime, until: datetime) -> tuple[int, int]:
    """Make the profiles of the hours that begin in a span anew from the log; gives hours and predictions.

    Hours of days that have left the log keep their profiles. An hour is a transaction, and those who add to it wait.
    """
    layouts, hours, predictions = Layouts(), 0, 0
    hour = _hour_of(since)
    while (first := first_logged(connection, model_name, since=hour)) is not None and first < until:
        hour = _hour_of(first)
        with connection.transaction():
            hold_off_adding(connection)
            made = _profiles_of_hour(connection, layouts, model_name, hour)
            forget_hours(connection, model_name, since=hour, until=hour + HOUR)
            for key, profile in made.items():
                add_part(connection, key, profile.predictions, profile_to_bytes(profile))
                predictions += profile.predictions
        hours += 1
        hour += HOUR
    return hours, predictions


def _profiles_of_hour(
    connection: Connection, layouts: Layouts, model_name: str, hour: datetime
) -> dict[HourKey, Profile]:
    made: dict[HourKey, Profile] = {}
    for rows in logged_between(connection, model_name, since=hour, until=hour + HOUR):
        for (name, version, variant, start), group in grouped(rows).items():
            layout, digest = layouts.of(connection, name, version)
            key = HourKey(model_name=name, model_version=version, variant=variant, hour=start, layout=digest)
            profile = profile_predictions(layout, group)
            made[key] = add_profiles(layout, made[key], profile) if key in made else profile
    return made
