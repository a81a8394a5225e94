"""Hourly profiles of predictions, and the baselines that they are held against.

An hour has a row for each transaction that added to it, until they are merged: adding reads nothing and waits for
nobody, however many drainers there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from psycopg.rows import class_row

from leadgate.records import Prediction
from leadgate.storage.postgres.connection import Connection, statement


@dataclass(frozen=True, kw_only=True)
class HourKey:
    """What the rows of an hour that can be added have in common."""

    model_name: str
    model_version: str
    variant: str
    hour: datetime
    """Its begin (UTC)."""
    layout: str
    """Digest of the bins; empty where the version has no baseline."""


@dataclass(frozen=True, kw_only=True)
class ProfilePart:
    """A profile of some predictions of an hour, as bytes."""

    model_version: str
    variant: str
    hour: datetime
    layout: str
    predictions: int
    payload: bytes


@dataclass(frozen=True, kw_only=True)
class HourVolume:
    """How much an hour has."""

    model_version: str
    variant: str
    hour: datetime
    predictions: int
    parts: int


def hold_off_adding(connection: Connection) -> None:
    """Wait for those who add at this moment; until this transaction ends nobody does, and it may read the log."""
    connection.execute(statement("profiles", "keep_log_readable"))
    connection.execute(statement("profiles", "hold_off_adding"))


def hold_off_rebuilding(connection: Connection) -> None:
    """Wait for who makes hours anew at this moment; until this transaction ends nobody does."""
    connection.execute(statement("profiles", "hold_off_rebuilding"))


def add_part(connection: Connection, key: HourKey, predictions: int, payload: bytes) -> None:
    """Add a profile to an hour. Until this transaction ends no hour is made anew from the rows of the log."""
    values = {**_named(key), "predictions": predictions, "payload": payload}
    connection.execute(statement("profiles", "add_part"), values)


def take_parts(connection: Connection, key: HourKey) -> list[bytes]:
    """Take an hour's profiles out, to put their sum in within the same transaction."""
    return [bytes(row[0]) for row in connection.execute(statement("profiles", "take_parts"), _named(key)).fetchall()]


def scattered_hours(connection: Connection, model_name: str, *, before: datetime) -> list[tuple[HourKey, int]]:
    """The hours that have more than one row, with the number of them."""
    rows = connection.execute(statement("profiles", "scattered_hours"), {"model_name": model_name, "before": before})
    names = ("model_name", "model_version", "variant", "hour", "layout")
    return [(HourKey(**dict(zip(names, row[:5], strict=True))), row[5]) for row in rows.fetchall()]


def forget_hours(connection: Connection, model_name: str, *, since: datetime, until: datetime) -> int:
    """Remove the profiles of hours; gives the number of rows."""
    span = {"model_name": model_name, "since": since, "until": until}
    return connection.execute(statement("profiles", "forget_hours"), span).rowcount


def parts_between(
    connection: Connection, model_name: str, *, since: datetime, until: datetime, version: str | None = None
) -> Iterator[ProfilePart]:
    """The profiles of the hours that begin in a span, oldest first, a few at a time."""
    span = {"model_name": model_name, "since": since, "until": until, "version": version}
    with connection.transaction(), connection.cursor("profiles", row_factory=class_row(ProfilePart)) as cursor:
        cursor.itersize = 200
        yield from cursor.execute(statement("profiles", "parts"), span)


def hours_between(connection: Connection, model_name: str, *, since: datetime, until: datetime) -> list[HourVolume]:
    """How many predictions each hour has, without reading the profiles."""
    span = {"model_name": model_name, "since": since, "until": until}
    rows = connection.execute(statement("profiles", "hours"), span).fetchall()
    return [
        HourVolume(model_version=version, variant=variant, hour=hour, predictions=n, parts=parts)
        for version, variant, hour, n, parts in rows
    ]


def publish_baseline(
    connection: Connection, model_name: str, version: str, payload: bytes, *, layout: str, at: datetime
) -> bool:
    """Put a version's baseline where drainers and checks find it; False when it is there."""
    values = {
        "model_name": model_name,
        "model_version": version,
        "sha256": sha256(payload).digest(),
        "layout": layout,
        "payload": payload,
        "published_at": at,
    }
    return connection.execute(statement("profiles", "publish_baseline"), values).rowcount == 1


def find_baseline(connection: Connection, model_name: str, version: str) -> bytes | None:
    """A version's baseline, as bytes; None where none was published."""
    key = {"model_name": model_name, "model_version": version}
    row = connection.execute(statement("profiles", "baseline"), key).fetchone()
    return None if row is None else bytes(row[0])


def published(connection: Connection, model_name: str) -> dict[str, bytes]:
    """SHA-256 of the published baselines, by version."""
    rows = connection.execute(statement("profiles", "published"), {"model_name": model_name}).fetchall()
    return {version: bytes(digest) for version, digest in rows}


def baselines_of(connection: Connection, model_name: str, versions: Sequence[str]) -> dict[str, bytes]:
    """The published baselines of several versions, as bytes."""
    values = {"model_name": model_name, "versions": list(versions)}
    rows = connection.execute(statement("profiles", "baselines_of"), values).fetchall()
    return {version: bytes(payload) for version, payload in rows}


def first_logged(connection: Connection, model_name: str, *, since: datetime) -> datetime | None:
    """The time of the first prediction since a time that is in the log."""
    row = connection.execute(statement("profiles", "first_logged"), {"model_name": model_name, "since": since})
    found = row.fetchone()
    return found[0].astimezone(UTC) if found and found[0] else None


def logged_between(
    connection: Connection, model_name: str, *, since: datetime, until: datetime
) -> Iterator[list[Prediction]]:
    """The predictions in the log of a span, a few thousand at a time, in no order."""
    span = {"model_name": model_name, "since": since, "until": until}
    with connection.cursor("logged") as cursor:
        cursor.execute(statement("profiles", "logged_between"), span)
        while rows := cursor.fetchmany(5_000):
            yield [_prediction(row) for row in rows]


def _named(key: HourKey) -> dict[str, Any]:
    # Not asdict: it copies every value, and this is done for each segment of the spool.
    return {
        "model_name": key.model_name,
        "model_version": key.model_version,
        "variant": key.variant,
        "hour": key.hour,
        "layout": key.layout,
    }


def _prediction(row: tuple[Any, ...]) -> Prediction:
    """As the spool has it: times in UTC, features as bytes."""
    values = dict(zip(Prediction.__struct_fields__, row, strict=True))
    values |= {"scored_at": values["scored_at"].astimezone(UTC), "features": values["features"].encode()}
    return Prediction(**values)
