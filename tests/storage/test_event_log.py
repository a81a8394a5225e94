"""Events of leads: recorded once, whole or not at all, and looked up as they were sent."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from typer.testing import CliRunner

from leadgate.app.cli.events import app
from leadgate.errors import BadFileError, NotFoundError
from leadgate.leads.event_files import import_events, read_events
from leadgate.leads.events import history_from_json
from leadgate.leads.feature_parsing import parse_features
from leadgate.leads.files import read_table
from leadgate.leads.histories import attach_histories
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.records import LeadEvent
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.reported import decode_events
from leadgate.storage.postgres.events import (
    RecordedEvent,
    events_of,
    events_of_others,
    keep_columns,
    look_up,
    record_events,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def event(lead_id: str = "L-1", kind: str = "visit", **other: Any) -> LeadEvent:
    """An event of yesterday that was known at once."""
    at = other.pop("at", NOW - DAY)
    return LeadEvent(**{"lead_id": lead_id, "kind": kind, "at": at, "known_at": at, "value": None, **other})


def test_an_event_is_kept_once_and_stays_known_since_when_it_was(database: str) -> None:
    """Sent again it adds nothing, with or without a value; another value or moment is another event."""
    first = [event(), event(value=2.5), event(at=NOW - DAY + timedelta(microseconds=1)), event(kind="demo")]
    with psycopg.connect(database) as connection:
        assert record_events(connection, [*first, event()], NOW) == 4
        assert record_events(connection, [event(known_at=NOW), event("L-2")], NOW + DAY) == 1
        found = events_of(connection, "L-1")
    assert sorted(found, key=lambda e: (e.at, e.kind, e.value or 0)) == [
        *sorted((recorded(e) for e in first), key=lambda e: (e.at, e.kind, e.value or 0))
    ]


def recorded(given: LeadEvent) -> RecordedEvent:
    """As it comes back."""
    return RecordedEvent(given.kind, given.at, given.known_at, given.value, NOW)


def test_a_look_up_gives_back_what_was_sent(database: str) -> None:
    """Every lead that was asked for is there; times to the microsecond, values to the last bit, oldest first."""
    old = datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    sent = [event(value=0.1 + 0.2), event(at=old, value=-1e308), event(kind='a "b" \\ 漢')]
    values = {"size": 1 / 3, "industry": "Ünï", "has_budget": True, "opens": None}
    with psycopg.connect(database) as connection:
        record_events(connection, sent, NOW)
        assert keep_columns(connection, {"L-1": values}, NOW) == 1
        assert keep_columns(connection, {"L-1": values}, NOW + DAY) == 0
        older = {"L-1": {"visits": 0.0}, "L-2": {"visits": 0.0}}  # as a lead's first score had them
        assert keep_columns(connection, older, NOW + DAY, over=False) == 1
        found = look_up(connection, ["L-1", "nobody", "L-1"], columns=True, events=True)
        bare = look_up(connection, ["L-1"], events=True)
    assert set(found) == {"L-1", "nobody"}
    assert found["L-1"].columns == values
    assert [(e.at, e.kind, e.value, e.known_at) for e in found["L-1"].events] == sorted(
        ((e.at, e.kind, e.value, e.known_at) for e in sent), key=lambda row: row[:2]
    )
    assert (found["nobody"].columns, found["nobody"].events) == (None, ())
    assert (bare["L-1"].columns, len(bare["L-1"].events)) == (None, 3)


def test_a_history_has_the_events_though_features_take_the_time_alone(database: str) -> None:
    """Else a feature that is written tomorrow would learn from leads that did nothing, and nobody would be told."""
    columns = (Feature(name="size", type=FeatureType.NUMERIC),)
    schema = LeadSchema(id="id", timestamp="created", target="won", features=columns)
    code = "from datetime import datetime\ndef hour(at: datetime) -> int:\n    return at.hour\n"
    schema = schema.model_copy(update={"code": parse_features(code, schema)})
    leads = pl.DataFrame(
        {"id": ["L-1"], "created": [NOW]}, schema={"id": pl.String, "created": pl.Datetime("us", "UTC")}
    )
    with psycopg.connect(database) as connection:
        record_events(connection, [event()], NOW)
        (history,) = attach_histories(connection, leads, schema)["leadgate_history"]
    assert [e.at for e in history_from_json(history)[1]] == [NOW - DAY]


@pytest.mark.parametrize(
    ("wrong", "path"),
    (
        ({"at": "2026-06-03T00:00:00Z"}, "$.at"),
        ({"at": "2026-05-01T00:00:00"}, "$.at"),
        ({"at": "9999-12-31T23:59:59-23:59"}, "$.at"),
        ({"kind": ""}, "$.kind"),
        ({"kind": "  "}, "$.kind"),
        ({"kind": "x" * 10_000}, "$.kind"),
        ({"kind": "a\0b"}, "$.kind"),
        ({"value": "7"}, "$.value"),
        ({"lead_id": ""}, "$.lead_id"),
        ({"known_at": "2026-05-01T00:00:00Z"}, "$.known_at"),
    ),
)
def test_what_is_no_event_is_refused_with_its_field(wrong: dict[str, Any], path: str) -> None:
    """Alone and in a list; what came to us when is ours to say."""
    given = {"lead_id": "L-1", "kind": "visit", **wrong}
    with pytest.raises(BadRequestError) as alone:
        decode_events(json.dumps(given).encode(), NOW)
    with pytest.raises(BadRequestError) as listed:
        decode_events(json.dumps([{"lead_id": "L-1", "kind": "visit"}, given]).encode(), NOW)
    assert (alone.value.status, alone.value.path) == (422, path)
    assert listed.value.path == f"$[1]{path[1:]}"
    for error in (alone.value, listed.value):
        assert error.detail.startswith(f"{error.path}: ")


@pytest.mark.parametrize(
    ("body", "said"),
    (
        ('[{"lead_id": "a", "kind": "b"}, {"lead_id": "a", "kind": "b", "at": "1.6.2026"}]', "2026-06-01T10:00:00Z"),
        (json.dumps([{"lead_id": "a", "kind": "b"}] * 1001), "A request takes 1 to 1,000 events"),
        ("[]", "A request takes 1 to 1,000 events"),
        ("7", "The body: Expected"),
        ('{"lead_id": "a", "kind": "b", "known_at": "2026-05-01T00:00:00Z"}', "not sent; only a file may say it"),
        ('[{"lead_id": 7}, ', "$[0].lead_id: Expected `str`"),
    ),
)
def test_the_sentence_alone_says_what_to_send(body: str, said: str) -> None:
    """Many a client logs `detail` and nothing else."""
    with pytest.raises(BadRequestError) as refused:
        decode_events(body.encode(), NOW)
    assert said in refused.value.detail


def test_an_event_of_a_clock_ahead_is_known_when_it_happens() -> None:
    """Not before: nobody knows of an event before it happens. One of the past is known now."""
    ahead, past = NOW + timedelta(hours=2), NOW - DAY
    given = [{"lead_id": "a", "kind": "b", "at": at.isoformat()} for at in (ahead, past)]
    assert [event.known_at for event in decode_events(json.dumps(given).encode(), NOW)] == [ahead, NOW]


@pytest.mark.parametrize("body", (b'{"lead_id": "a", "kind": "b", "value": NaN}', b"[", b""))
def test_numbers_that_json_does_not_have_are_refused(body: bytes) -> None:
    """NaN is no JSON: 400, as for any body that cannot be read."""
    with pytest.raises(BadRequestError) as refused:
        decode_events(body, NOW)
    assert refused.value.status == 400


def test_a_file_is_read_as_the_columns_say(tmp_path: Path, database: str) -> None:
    """Without known_at an event was known when it happened; the same file again adds nothing."""
    file = tmp_path / "events.csv"
    file.write_text(
        "lead_id,event,time,value,known_at\n"
        "L-1, visit ,2026-05-01T10:00:00+02:00,3,\n"
        "L-1,demo,2026-05-02,,2026-05-05 09:00\n"
        "stranger,visit,2026-05-01 10:00,,\n"
    )
    with psycopg.connect(database) as connection:
        first_time, again = (import_events(connection, file, day) for day in (NOW, NOW + DAY))
        first, second = look_up(connection, ["L-1"], events=True)["L-1"].events
    assert [(taken.received, taken.added) for taken in (first_time, again)] == [(3, 3), (3, 0)]
    assert (first.kind, first.at, first.value) == ("visit", datetime(2026, 5, 1, 8, tzinfo=UTC), 3.0)
    assert first.known_at == first.at
    assert (second.value, second.known_at) == (None, datetime(2026, 5, 5, 9, tzinfo=UTC))
    file.write_text("lead_id,kind,at\nnews,visit,2026-05-01\nnews,visit,soon\n")
    with psycopg.connect(database) as connection:
        with pytest.raises(BadFileError, match="no event was recorded"):
            import_events(connection, file, NOW)
        assert events_of(connection, "news") == []


@pytest.mark.parametrize("as_text", (True, False))
def test_an_event_of_nanoseconds_is_one_whether_sent_or_in_a_file(tmp_path: Path, *, as_text: bool) -> None:
    """As .NET, Java and Go write times: to the nearest microsecond on both ways, else it would count twice."""
    times = ["2026-05-01T10:00:00.1234567Z", "2026-05-01T23:59:59.999999999Z", "2026-05-01T10:00:00.1234564Z"]
    sent = decode_events(json.dumps([{"lead_id": "L-1", "kind": "visit", "at": at} for at in times]).encode(), NOW)
    at = pl.Series(times) if as_text else pl.Series(times).str.to_datetime(time_unit="ns", time_zone="UTC")
    file = tmp_path / "events.parquet"
    pl.DataFrame({"lead_id": "L-1", "kind": "visit", "at": at}).write_parquet(file)
    assert [e.at for e in read_events(read_table(file), file.name, NOW)] == [e.at for e in sent]


@pytest.mark.parametrize(
    ("row", "said"),
    (
        (",visit,2026-05-01,", "row 3, column 'lead_id': the value is missing"),
        ("L-2,,2026-05-01,", "column 'kind': the value is missing"),
        ("L-2,n/a,2026-05-01,", "column 'kind': the value is missing: it says 'n/a'"),
        (f"L-2,{'x' * 101},2026-05-01,", "longer than 100 characters"),
        ("L-2,visit,,", "column 'at'.*is missing"),
        ("L-2,visit,tomorrow,", "'tomorrow' cannot be read as a time, such as 2026-06-01T10:00:00Z"),
        ("L-2,visit,2030-01-01,", "lies in the future"),
        ("L-2,visit,2026-05-01,inf", "column 'value': 'inf' cannot be read as a number"),
        (f"{'L' * 300},visit,2026-05-01,", "longer than 256 characters"),
    ),
)
def test_a_bad_row_refuses_the_file(tmp_path: Path, row: str, said: str) -> None:
    """The sentence names row, column and value."""
    file = tmp_path / "events.csv"
    file.write_text(f"lead_id,kind,at,value\nL-1,visit,2026-05-01,1\n{row}\n")
    with pytest.raises(BadFileError, match=said):
        list(read_events(read_table(file), file.name, NOW))


PROJECT = "name: x\nlead:\n  id: lead_id\n  target: won\n  features:\n    size: {type: numeric}\n"


def test_events_of_nobody_are_told_of(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of another system match no lead: every feature of events would be empty, and nobody would see why."""
    file = tmp_path / "events.csv"
    file.write_text("lead_id,kind,at\nL-1,visit,2026-05-01\nX-1,visit,2026-05-01\nX-1,visit,2026-05-02\n")
    (tmp_path / "leadgate.yaml").write_text(PROJECT)
    monkeypatch.setenv("LEADGATE_DATABASE_URL", database)
    monkeypatch.setenv("LEADGATE_PROJECT", str(tmp_path))
    with psycopg.connect(database) as connection:
        keep_columns(connection, {"L-1": {"size": 1}}, NOW)
    said = CliRunner().invoke(app, ["import", str(file)]).output
    assert "1 of its 2 leads was never scored or imported here (X-1)" in said
    with psycopg.connect(database) as connection:
        assert events_of_others(connection, ["L-1"]) == (2, 1, ("X-1",))
        assert events_of_others(connection, ["X-1", "L-1"]) == (0, 0, ())


def events_of_file(folder: Path, text: str) -> list[LeadEvent]:
    """What a CSV of events says."""
    file = folder / "events.csv"
    file.write_text(text)
    return list(read_events(read_table(file), file.name, NOW))


def test_nothing_is_known_before_it_happens(tmp_path: Path) -> None:
    """Such a file has its columns or its zones mixed up. Clocks that differ by seconds are no mistake."""
    head = "lead_id,kind,at,known_at\n"
    with pytest.raises(BadFileError, match=r"row 2, column 'known_at': '2026-04-01T10:00Z' lies before the event"):
        events_of_file(tmp_path, f"{head}A,visit,2026-05-01T10:00Z,2026-04-01T10:00Z\n")
    with pytest.raises(BadFileError, match="nobody knows of an event before it happens"):
        events_of_file(tmp_path, f"{head}A,visit,2026-05-01T10:00Z,2026-05-01\n")
    (near,) = events_of_file(tmp_path, f"{head}A,visit,2026-05-01T10:00:00.5Z,2026-05-01T10:00Z\n")
    assert near.known_at == near.at


@pytest.mark.parametrize(
    ("wrong", "meant"),
    (
        ("valu", "value"),
        ("known_a", "known_at"),
        ("knownAt", "known_at"),
        ("Known At", "known_at"),
        ("known", "known_at"),
    ),
)
def test_a_misspelt_column_refuses_the_file(tmp_path: Path, wrong: str, meant: str) -> None:
    """Without its known_at every event of the file would count as known when it happened: the future leaks in."""
    with pytest.raises(BadFileError, match=f"{wrong!r} is no column that is read here; did you mean {meant!r}"):
        events_of_file(tmp_path, f"lead_id,kind,at,{wrong}\nA,visit,2026-05-01,1\n")


@pytest.mark.parametrize("other", ("page", "event_id", "session_id", "source", "date", "created_at", "volume"))
def test_columns_of_other_things_are_named_and_not_read(tmp_path: Path, database: str, other: str) -> None:
    """A whole export may be given; beside a known_at even a name like it is another column."""
    file = tmp_path / "events.csv"
    file.write_text(f"lead_id,kind,at,known_at,{other},known\nA,visit,2026-05-01,,x,y\n")
    with psycopg.connect(database) as connection:
        assert import_events(connection, file, NOW).ignored_columns == (other, "known")


def test_the_commands_take_events_and_show_them(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Import says what was news; show lists the last first; a column that is not there is named."""
    file = tmp_path / "events.csv"
    file.write_text("lead_id,kind,at\nL-1,[red]visit,2026-05-01\nL-1,demo,2026-05-02\n")
    (tmp_path / "leadgate.yaml").write_text(PROJECT)
    monkeypatch.setenv("LEADGATE_DATABASE_URL", database)
    monkeypatch.setenv("LEADGATE_PROJECT", str(tmp_path))
    run = CliRunner().invoke
    assert run(app, ["import", str(file)]).output.startswith("2 events added, 0 known already.")
    assert json.loads(run(app, ["import", str(file), "--json"]).output) == {
        "received": 2,
        "added": 0,
        "ignored_columns": [],
        "unknown_leads": ["L-1"],
    }
    assert [e["kind"] for e in json.loads(run(app, ["show", "L-1", "--json"]).output)] == ["demo", "[red]visit"]
    with psycopg.connect(database) as connection:
        acts = connection.execute("SELECT act, subject FROM leadgate.audit_log").fetchall()
    assert acts == [("events.import", "file events.csv")]
    assert "[red]visit" in run(app, ["show", "L-1"]).output
    with psycopg.connect(database) as connection:
        keep_columns(connection, {"L-2": {"size": 1}}, NOW)
    assert "Lead 'L-2' is known, and no event of it is" in run(app, ["show", "L-2"]).output
    nobody = run(app, ["show", "L-3"]).exception
    assert isinstance(nobody, NotFoundError)
    assert "never scored or imported" in str(nobody)
    file.write_text("lead_id,at\nL-1,2026-05-01\n")
    refused = run(app, ["import", str(file)])
    assert isinstance(refused.exception, BadFileError)
    assert "has no column 'kind'" in str(refused.exception)
