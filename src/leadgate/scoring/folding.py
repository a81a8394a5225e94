"""Writes predictions into the log, and into the profiles of their hours: both or neither."""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter

import psycopg

from leadgate.errors import RefusedError
from leadgate.leads.adding import Total, total_of
from leadgate.leads.baselines import UnreadableBaselineError, baseline_from_bytes
from leadgate.leads.layout import NO_LAYOUT, Layout
from leadgate.leads.profile_bytes import profile_to_bytes
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
    hold_off_rebuilding,
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

    def __init__(self, *, strict: bool = False) -> None:
        """With ``strict`` a baseline that this release cannot read is refused; without, it counts as none."""
        self._strict = strict
        self._known: dict[tuple[str, ...], tuple[Layout | None, float]] = {}

    def of(self, connection: Connection, model_name: str, version: str) -> tuple[Layout, str]:
        """The layout of a version and its digest; no bins of features and "" where the version has no baseline.

        A layout is read once: the baseline of a version never changes. One that cannot be read raises RefusedError
        where that is strict.
        """
        info = connection.info
        name = (info.host, str(info.port), info.dbname, model_name, version)
        layout, asked = self._known.get(name, (None, -_ASK_AGAIN_S))
        if layout is None and time.monotonic() - asked >= _ASK_AGAIN_S:
            content = find_baseline(connection, model_name, version)
            layout = None if content is None else self._read(content, version)
            self._known[name] = (layout, time.monotonic())
        return (NO_LAYOUT, "") if layout is None else (layout, layout.digest)

    def _read(self, content: bytes, version: str) -> Layout | None:
        try:
            return baseline_from_bytes(content).layout
        except UnreadableBaselineError as error:
            if self._strict:
                raise RefusedError(
                    f"This release of Leadgate cannot read the baseline of version {version}, and would leave its "
                    "features out; make the profiles anew with the release that trained it."
                ) from error
            # A later release may have trained the version; what this one answered belongs into the log all the same.
            log.exception("baseline cannot be read", extra={"model_version": version})
            return None


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
        parts = _parts_of(connection, self.layouts, predictions)
        with copying_predictions(connection, predictions):
            # PostgreSQL is behind with writing: on another processor than this one, summing up costs no time.
            profiled = [pair for part in parts for pair in _profiled(part)]
        for part, content in profiled:
            add_part(connection, part.key, len(part.predictions), content)
            self._count(connection, part.key, part.layout)

    def _count(self, connection: Connection, key: HourKey, layout: Layout) -> None:
        self._added[key] = self._added.get(key, 0) + 1
        if self._added[key] >= _PARTS:
            _merge_what_can_be(connection, key, layout)
            # Only the hours that are being added to are worth remembering.
            there = list(self._added.items())
            self._added = {other: n for other, n in there if other.hour >= key.hour and other != key}


_folder = Folder()


def log_predictions(connection: Connection, predictions: Sequence[Prediction]) -> None:
    """As ``Folder.log``, with what this process remembers."""
    _folder.log(connection, predictions)


def _parts_of(connection: Connection, layouts: Layouts, predictions: Sequence[Prediction]) -> list[Part]:
    found = []
    for (name, version, variant, hour), group in grouped(predictions).items():
        layout, digest = layouts.of(connection, name, version)
        key = HourKey(model_name=name, model_version=version, variant=variant, hour=hour, layout=digest)
        found.append(Part(key=key, layout=layout, predictions=group))
    return found


def _profiled(part: Part) -> list[tuple[Part, bytes]]:
    """A part and its profile; where it has predictions whose features cannot be summed up, these beside it without."""
    try:
        return [(part, _bytes_of(part))]
    except Exception:
        # Whatever its features are, a prediction that was answered belongs into the log.
        even, odd = _told_apart(part.layout, part.predictions)
        about = {"model_version": part.key.model_version, "leads": len(odd)}
        log.exception("features cannot be summed up", extra=about)
    without = replace(part, layout=NO_LAYOUT, key=replace(part.key, layout=""), predictions=odd)
    found = [replace(part, predictions=even), without] if even else [without]
    return [(each, _bytes_of(each)) for each in found]


def _bytes_of(part: Part) -> bytes:
    return profile_to_bytes(profile_predictions(part.layout, part.predictions))


def _told_apart(layout: Layout, predictions: Sequence[Prediction]) -> tuple[list[Prediction], list[Prediction]]:
    """Those that can be summed up, and those that cannot; by halves, for there are few of these."""
    try:
        profile_to_bytes(profile_predictions(layout, predictions))
    except Exception:  # noqa: BLE001  # the caller tells it
        if len(predictions) == 1:
            return [], [*predictions]
    else:
        return [*predictions], []
    middle = len(predictions) // 2
    (even, odd), (more, odder) = (_told_apart(layout, half) for half in (predictions[:middle], predictions[middle:]))
    return even + more, odd + odder


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
    """Put one row in the place of an hour's rows. Belongs in a transaction."""
    # Before its rows are: who makes hours anew holds everybody off and takes rows then, and both would wait for ever.
    hold_off_rebuilding(connection)
    merged = total_of(layout, take_parts(connection, key))
    if merged is not None:
        add_part(connection, key, merged.predictions, profile_to_bytes(merged))


def _merge_what_can_be(connection: Connection, key: HourKey, layout: Layout) -> bool:
    """Merge an hour, or leave it as it is where this release cannot read a row of it."""
    try:
        with connection.transaction():
            merge_parts(connection, key, layout)
    except psycopg.Error:
        raise
    except Exception:
        about = {"model_version": key.model_version, "hour": key.hour.isoformat()}
        log.exception("rows of an hour cannot be merged", extra=about)
        return False
    return True


def tidy_hours(connection: Connection, model_name: str, *, before: datetime) -> int:
    """Merge the rows of hours that begin before a time; gives the number of hours that had several and have one now.

    An hour is a transaction, on a connection that commits by itself.
    """
    layouts, merged = Layouts(), 0
    for key, _ in scattered_hours(connection, model_name, before=before):
        layout, digest = layouts.of(connection, model_name, key.model_version)
        if digest == key.layout or not key.layout:
            merged += _merge_what_can_be(connection, key, layout if key.layout else NO_LAYOUT)
    return merged


def rebuild_hours(connection: Connection, model_name: str, *, since: datetime, until: datetime) -> tuple[int, int]:
    """Make the profiles of the hours that begin in a span anew from the log; gives hours and predictions.

    Hours of days that have left the log keep their profiles. An hour is a transaction, on a connection that commits by
    itself, and those who add to it wait. Raises RefusedError where a version's baseline cannot be read.
    """
    layouts, hours, predictions = Layouts(strict=True), 0, 0
    hour = _hour_of(since)
    while (first := first_logged(connection, model_name, since=hour)) is not None and first < until:
        hour = _hour_of(first)
        with connection.transaction():
            hold_off_adding(connection)
            made = _profiles_of_hour(connection, layouts, model_name, hour)
            forget_hours(connection, model_name, since=hour, until=hour + HOUR)
            for key, total in made.items():
                profile = total.profile()
                add_part(connection, key, profile.predictions, profile_to_bytes(profile))
                predictions += profile.predictions
        hours += 1
        hour += HOUR
    return hours, predictions


def _profiles_of_hour(
    connection: Connection, layouts: Layouts, model_name: str, hour: datetime
) -> dict[HourKey, Total]:
    made: dict[HourKey, Total] = {}
    for rows in logged_between(connection, model_name, since=hour, until=hour + HOUR):
        for whole in _parts_of(connection, layouts, rows):
            for part, content in _profiled(whole):
                made.setdefault(part.key, Total(part.layout)).add(content)
    return made
