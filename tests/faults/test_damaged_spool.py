"""Segments that are damaged, drained twice, or drained half: each prediction is in the log once, or is counted as lost.

The real drainer on a real database, in the test's own process.
"""

import errno
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
import uuid_utils
from rig import SOAK_S, rounds

from leadgate.records import Prediction
from leadgate.scoring.drainer import DAMAGED, REJECTED, Drainer, spool_state
from leadgate.scoring.segments import HEADER_BYTES, encode_header, encode_record
from leadgate.storage.postgres.predictions import DrainedSegment, copy_predictions, damaged_segments
from tally import Tally

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
PER_RECORD = 2
RECORDS = 12
PLACES = ("mark", "length", "count", "before", "crc", "payload")
"""Fields of a record, in order; all but the last are four bytes long."""


class Desk:
    """A spool, its database, and what was ever written to the one."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.written: dict[str, Prediction] = {}
        self.connection = psycopg.connect(url, autocommit=True)

    def write(self, requests: Sequence[Sequence[Prediction]], name: str | None = None, suffix: str = ".seg") -> Path:
        """A segment of whole records."""
        records, total = [], 0
        for request in requests:
            records.append(encode_record(request, total))
            total += len(request)
            self.written |= {p.prediction_id: p for p in request}
        body = b"".join(records)
        path = self.folder / f"{name or uuid_utils.uuid7().hex}{suffix}"
        path.write_bytes(encode_header(total, HEADER_BYTES + len(body)).ljust(HEADER_BYTES, b"\0") + body)
        return path

    def fill(self, **changes: Any) -> Path:
        """A segment of ordinary requests."""
        return self.write([[some(**changes) for _ in range(PER_RECORD)] for _ in range(RECORDS)])

    def drain(self) -> list[DrainedSegment]:
        """Drain once."""
        return Drainer(self.folder, self.url, lambda: NOW).drain(self.connection)

    def logged(self) -> dict[str, Prediction]:
        """The log; every row of it must be a prediction that was written, as it was written, and there once."""
        rows = self.connection.execute(
            "SELECT prediction_id::text, lead_id, scored_at, model_name, model_version, variant, predicted_score,"
            " priority, features, latency_ms, batch_size, request_id, route_epoch, shadow_version, shadow_score,"
            " own_priority"
            " FROM leadgate.prediction_logs"
        ).fetchall()
        found = {row[0]: Prediction(**dict(zip(Prediction.__struct_fields__, row, strict=True))) for row in rows}
        assert len(found) == len(rows)
        for key, prediction in found.items():
            original = self.written[key]
            assert msgspec.structs.replace(prediction, features=b"") == msgspec.structs.replace(original, features=b"")
            assert prediction.features == msgspec.json.decode(original.features)
        return found

    def recorded(self) -> list[tuple[int, int, str | None]]:
        """Predictions, lost and damage of every drained segment."""
        query = "SELECT predictions, lost, damage FROM leadgate.spool_segments ORDER BY segment"
        return self.connection.execute(query).fetchall()

    def forget(self) -> None:
        """Empty the log and the spool."""
        self.connection.execute("TRUNCATE leadgate.prediction_logs, leadgate.spool_segments")
        self.written.clear()
        for path in self.folder.iterdir():
            path.unlink()


@pytest.fixture
def desk(tmp_path: Path, database: str) -> Any:
    """An empty spool and an empty log."""
    desk = Desk(tmp_path, database)
    yield desk
    desk.connection.close()


def some(**changes: Any) -> Prediction:
    """A prediction that is like no other."""
    prediction = Prediction(
        prediction_id=str(uuid_utils.uuid7()),
        lead_id="lead-Å\t",
        scored_at=NOW - timedelta(seconds=5),
        model_name="leads",
        model_version="1",
        variant="champion",
        predicted_score=0.1 + 0.2,
        priority="low",
        features=msgspec.json.encode({"city": 'Å"\\N', "age": 31.5, "none": None}),
        latency_ms=0.07,
        batch_size=PER_RECORD,
        request_id="request \\.",
        route_epoch=3,
        shadow_version="2",
        shadow_score=1e-17,
    )
    return msgspec.structs.replace(prediction, **changes)


def check_loss(desk: Desk, *, lost: int) -> None:
    """Everything but ``lost`` predictions is in the log, and the log of segments says so."""
    drained = desk.drain()
    found = desk.logged()
    assert len(found) == len(desk.written) - lost
    assert [(d.predictions, d.lost) for d in drained] == [(len(found), lost)]
    assert desk.recorded() == [(d.predictions, d.lost, d.damage) for d in drained]
    assert (drained[0].damage is not None) == bool(lost)
    assert [d.lost for d in damaged_segments(desk.connection)] == ([lost] if lost else [])
    assert [path.suffix for path in desk.folder.iterdir()] == ([DAMAGED] if lost else [])


def test_a_whole_segment_arrives_as_it_was(desk: Desk) -> None:
    """Every value of every prediction comes out of the log as it went in, the awkward ones too."""
    desk.fill()
    check_loss(desk, lost=0)


def test_a_segment_cut_at_any_place(desk: Desk, tally: Tally) -> None:
    """The records before the cut arrive, the others are counted."""
    content = desk.fill().read_bytes()
    step = 1 if SOAK_S else 211
    cuts = range(28, len(content), step)
    for cut in cuts:
        desk.forget()
        path = desk.fill()
        content = path.read_bytes()
        path.write_bytes(content[:cut])
        size = (len(content) - HEADER_BYTES) // RECORDS  # all records of a fill are equally long
        whole = max(0, min(cut, len(content)) - HEADER_BYTES) // size
        check_loss(desk, lost=len(desk.written) - whole * PER_RECORD)
    tally.fault("segment cut", len(cuts))


def test_a_segment_cut_within_its_header_is_told_of(desk: Desk) -> None:
    """Nobody can know how many predictions it held; that it was damaged stays in the log of segments."""
    path = desk.fill()
    path.write_bytes(path.read_bytes()[:20])
    (drained,) = desk.drain()
    assert drained.predictions == 0
    assert "header" in str(drained.damage)
    assert damaged_segments(desk.connection) == [drained]


@pytest.mark.parametrize("place", PLACES)
def test_a_flipped_bit_in_any_place(desk: Desk, place: str, tally: Tally) -> None:
    """The record that it hits is lost and counted, all others arrive, and no value is a wrong one."""
    records = range(RECORDS) if SOAK_S else (0, RECORDS // 2, RECORDS - 1)
    for record in records:
        desk.forget()
        path = desk.fill()
        content = bytearray(path.read_bytes())
        size = (len(content) - HEADER_BYTES) // RECORDS
        within = 4 * PLACES.index(place) + record % 4 + (100 if place == "payload" else 0)
        content[HEADER_BYTES + record * size + within] ^= 1 << record % 8
        path.write_bytes(content)
        check_loss(desk, lost=PER_RECORD)
    tally.fault("bit flipped", len(records))


def test_a_damaged_header_loses_nothing(desk: Desk) -> None:
    """All predictions arrive, and the damage is told."""
    path = desk.fill()
    content = bytearray(path.read_bytes())
    content[10] ^= 4
    path.write_bytes(content)
    (drained,) = desk.drain()
    assert (drained.predictions, drained.lost) == (len(desk.written), 0)
    assert "header" in str(drained.damage)
    assert len(desk.logged()) == len(desk.written)


def test_a_damaged_segment_is_kept_as_it_was(desk: Desk) -> None:
    """Whoever can read more of it than this release has the file; it is drained once, and waits for nobody."""
    whole, damaged = desk.fill(), desk.fill()
    content = bytearray(damaged.read_bytes())
    content[HEADER_BYTES + 100] ^= 1
    damaged.write_bytes(content)
    desk.drain()
    kept = damaged.with_suffix(DAMAGED)
    assert list(desk.folder.iterdir()) == [kept]
    assert kept.read_bytes() == content
    assert desk.drain() == []
    state = spool_state(desk.folder)
    assert (state.segments, state.size, state.kept) == (0, 0, 1)
    assert not whole.exists()


def test_a_segment_of_another_release_is_kept_for_it(desk: Desk) -> None:
    """Whole records that cannot be decoded are counted, told apart from damage, and all in the file that is kept."""
    mine, theirs = [some()], [{"prediction_id": "1", "of": "a later release"}] * 3
    records = [encode_record(mine, 0), encode_record(theirs, 1), encode_record([some()], 4)]  # type: ignore[arg-type]
    body = b"".join(records)
    path = desk.folder / "theirs.seg"
    content = encode_header(5, HEADER_BYTES + len(body)).ljust(HEADER_BYTES, b"\0") + body
    path.write_bytes(content)
    (drained,) = desk.drain()
    assert (drained.predictions, drained.lost) == (2, 3)
    assert "3 predictions are whole, in a form" in str(drained.damage)
    assert "not records" not in str(drained.damage)
    assert path.with_suffix(DAMAGED).read_bytes() == content


def test_the_segment_of_a_dead_writer_is_taken(desk: Desk) -> None:
    """An open segment that nobody has locked, with half a record behind what was committed."""
    path = desk.write([[some()], [some()]], suffix=".open")
    with path.open("ab") as file:
        file.write(encode_record([some()], 2)[:50])
    check_loss(desk, lost=0)


def test_a_segment_that_was_never_ready_is_tidied(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose writer died as it made it goes away, but not while that writer may be about to lock it."""
    path = desk.folder / "a.new"
    path.write_bytes(b"")

    def locked(*_: object) -> None:
        raise AssertionError("a writer would find its new segment locked, and refuse its request")

    with monkeypatch.context() as young:
        young.setattr("leadgate.scoring.drainer.fcntl.flock", locked)
        assert desk.drain() == []
    assert path.exists()
    os.utime(path, (0, 0))
    assert desk.drain() == []
    assert not path.exists()


def test_many_drainers_on_one_spool(desk: Desk, tally: Tally) -> None:
    """Each segment is taken once, whoever comes first, and no drainer fails over another."""
    failures: list[BaseException] = []
    turns = 0
    for _ in rounds(short=3, share=0.02):
        turns += 1
        for i in range(30):
            desk.write([[some()] for _ in range(3)], suffix=".open" if i % 3 else ".seg")
        together = threading.Barrier(4)

        def drain(together: threading.Barrier = together) -> None:
            try:
                with psycopg.connect(desk.url, autocommit=True) as connection:
                    together.wait(10)
                    Drainer(desk.folder, desk.url, lambda: NOW).drain(connection)
            except BaseException as error:  # noqa: BLE001  # told to the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=drain) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
    assert desk.logged().keys() == desk.written.keys()
    assert [lost for _, lost, _ in desk.recorded()] == [0] * 30 * turns
    tally.fault("drainers at once", 4 * turns)


def test_a_drainer_that_fails_before_it_removes_the_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log has the segment already; the next drainer sees that and only removes the file."""
    desk.fill()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="Read-only"):
                desk.drain()
    assert len(desk.logged()) == len(desk.written)
    desk.drain()
    assert len(desk.logged()) == len(desk.written)
    assert desk.recorded() == [(len(desk.written), 0, None)]
    assert list(desk.folder.iterdir()) == []


def test_a_drainer_that_fails_within_the_copy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the segment is in the log then, and the next drainer takes all of it."""
    desk.fill()

    def half(connection: Any, predictions: Sequence[Prediction]) -> None:
        copy_predictions(connection, predictions[: len(predictions) // 2])
        raise psycopg.OperationalError("the connection is gone")

    with monkeypatch.context() as broken:
        broken.setattr("leadgate.scoring.drainer.log_predictions", half)
        with pytest.raises(psycopg.OperationalError):
            desk.drain()
    assert (desk.logged(), desk.recorded()) == ({}, [])
    check_loss(desk, lost=0)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    (
        ({"predicted_score": 2.0}, "score_is_probability"),
        ({"predicted_score": float("nan")}, "score_is_probability"),
        ({"priority": "huge"}, "priority_known"),
        ({"lead_id": "nul \0"}, "NUL"),
        ({"features": b'{"city": "\\u0000"}'}, "Unicode escape"),
        ({"prediction_id": "no id"}, "uuid"),
        ({"batch_size": 2**40}, "out of range"),
    ),
)
def test_what_the_log_refuses_is_kept_apart(desk: Desk, wrong: dict[str, Any], reason: str) -> None:
    """The others of the segment arrive; those that break a rule are counted, named, and the file is kept."""
    bad = some(**wrong)
    path = desk.write([[some(), bad], [some()]])
    content = path.read_bytes()
    (drained,) = desk.drain()
    assert (drained.predictions, drained.lost) == (2, 1)
    assert bad.prediction_id in str(drained.damage)
    assert reason in str(drained.damage)
    assert desk.logged().keys() == desk.written.keys() - {bad.prediction_id}
    assert [p.name for p in desk.folder.iterdir()] == [path.stem + REJECTED]
    assert next(desk.folder.iterdir()).read_bytes() == content
    assert desk.drain() == []
    assert spool_state(desk.folder).segments == 0


def test_a_refused_segment_takes_no_more_of_the_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the drainer must be able to go on: keeping the file must not need room for another."""
    path = desk.write([[some(), some(predicted_score=-1.0)]])
    inode = path.stat().st_ino
    desk.fill()

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert [d.lost for d in desk.drain()] == [1, 0]
    assert path.with_suffix(REJECTED).stat().st_ino == inode


def test_ids_that_are_in_the_log_already_are_not_lost(desk: Desk) -> None:
    """A segment copied under another name brings nothing twice."""
    path = desk.fill()
    content = path.read_bytes()
    desk.drain()
    path.with_stem("restored").write_bytes(content)
    (drained,) = desk.drain()
    assert (drained.predictions, drained.lost, drained.damage) == (len(desk.written), 0, None)
    assert len(desk.logged()) == len(desk.written)


def test_a_clock_that_goes_back(desk: Desk) -> None:
    """Segments of a day ago and of tomorrow, under names that sort against their time, all arrive, each once."""
    for name, days in (("c", 0), ("a", 1), ("b", -1)):
        desk.write([[some(scored_at=NOW + timedelta(days=days, seconds=i))] for i in range(5)], name=f"{name}-1")
    for shift in (0, -100, 200, -1):
        drainer = Drainer(desk.folder, desk.url, lambda shift=shift: NOW + timedelta(days=shift))  # type: ignore[misc]
        drainer.drain(desk.connection)
        desk.write([[some()]], name=f"shifted {shift}")
    desk.drain()
    assert desk.logged().keys() == desk.written.keys()
    assert all(UUID(key).version == 7 for key in desk.written)
