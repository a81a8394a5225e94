"""Imports keep leads once, keep what was, and keep what they kept out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg
import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from leadgate.errors import BadFileError, NotFoundError
from leadgate.leads.digest import content_digest
from leadgate.leads.frames import columns_of, merge
from leadgate.leads.importing import ImportReport, import_leads
from leadgate.leads.project import ImportRules, Project
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.leads.snapshots import read_snapshot, snapshots
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.imports import faults_of_import, latest_import

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SCHEMA = LeadSchema(
    id="id",
    timestamp="at",
    target="won",
    features=(
        Feature(name="Lead Source", type=FeatureType.CATEGORICAL, categories=("web", "fair")),
        Feature(name="Lead_Source", type=FeatureType.CATEGORICAL),
        Feature(name="size", type=FeatureType.NUMERIC, range=(0, 1000), missing=0.5),
        Feature(name="budget", type=FeatureType.BOOLEAN),
    ),
)
PROJECT = Project(lead=SCHEMA, imports=ImportRules(quarantine_limit=0.25))


class Desk:
    """One project's imports."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder, self.database, self.uri = folder, database, str(folder / "leads")

    def take(self, *rows: str, project: Project = PROJECT, now: datetime = NOW) -> ImportReport:
        """Import a CSV of these rows."""
        path = self.folder / "file.csv"
        path.write_text("\n".join(("id,at,won,Lead Source,Lead_Source,size,budget", *rows)) + "\n")
        with connect(self.database) as connection:
            return import_leads(connection, self.uri, project, file=path, now=now)

    def leads(self, version: int | None = None) -> list[tuple[object, ...]]:
        """Id, target and size of the leads of a snapshot."""
        return read_snapshot(self.uri, SCHEMA, version)[1].select("id", "won", "size").rows()


@pytest.fixture
def desk(tmp_path: Path, database: str) -> Desk:
    """A project without leads."""
    return Desk(tmp_path, database)


A, B, C = "a,2026-01-01,1,web,x,10,yes", "b,2026-01-02,0,fair,y,20,no", "c,2026-01-03,,web,z,,"


def test_values_arrive_typed_and_sorted(desk: Desk) -> None:
    """Text becomes numbers, truth values and UTC times; an empty target is not known yet; order does not matter."""
    report = desk.take(C, A, B)
    snapshot, leads = read_snapshot(desk.uri, SCHEMA)
    assert leads.schema == pl.Schema(columns_of(SCHEMA))
    assert leads.rows()[0] == ("a", datetime(2026, 1, 1, tzinfo=UTC), True, "web", "x", 10.0, True)
    assert leads["won"].to_list() == [True, False, None]
    assert (report.added, snapshot.rows, snapshot.labelled, snapshot.conversion_rate) == (3, 3, 2, 0.5)
    assert (snapshot.first_lead_at, snapshot.last_lead_at) == (leads["at"].min(), leads["at"].max())


def test_the_same_file_again_makes_no_snapshot(desk: Desk) -> None:
    """Not even in another order."""
    desk.take(A, B)
    again = desk.take(B, A)
    assert (again.snapshot, again.added, again.unchanged) == (None, 0, 2)
    assert len(snapshots(desk.uri)) == 1


def test_a_later_export_adds_and_corrects(desk: Desk) -> None:
    """A lead that closed since gets its label; who is not in the file stays; the old version can still be read."""
    desk.take(A, C)
    report = desk.take(B, C.replace(",,web", ",1,web"))
    assert (report.added, report.changed, report.unchanged) == (1, 1, 0)
    assert desk.leads() == [("a", True, 10.0), ("b", False, 20.0), ("c", True, None)]
    assert desk.leads(0) == [("a", True, 10.0), ("c", None, None)]
    assert [s.version for s in snapshots(desk.uri)] == [0, 1]


def test_digest_is_of_the_content_alone(desk: Desk, tmp_path: Path) -> None:
    """Two imports of halves give the digest of one import of the whole."""
    desk.take(A)
    desk.take(C, B)
    (tmp_path / "other").mkdir()
    other = Desk(tmp_path / "other", desk.database)
    other.take(B, A, C)
    assert snapshots(desk.uri)[-1].digest == snapshots(other.uri)[-1].digest != snapshots(desk.uri)[0].digest


def test_bad_rows_wait_in_quarantine(desk: Desk) -> None:
    """Below the limit the good rows come in; each fault of a bad row is kept with its place, value and reason."""
    bad = "d,someday,1,web,x,-5,yes"
    report = desk.take(A, B, C, "e,2026-01-03,0,web,x,1,no", bad)
    assert (report.quarantined, report.added, report.snapshot and report.snapshot.quarantined) == (1, 4, 1)
    with connect(desk.database) as connection:
        found = latest_import(connection, None)
        assert found is not None
        faults = faults_of_import(connection, found.import_id, None)
    assert {(f.row_number, f.lead_id, f.column_name, f.value) for f in faults} == {
        (6, "d", "at", "someday"),
        (6, "d", "size", "-5.0"),
    }
    assert found.refused_because is None


def test_too_many_bad_rows_refuse_the_file(desk: Desk) -> None:
    """Nothing of it comes in; what was wrong is kept all the same."""
    desk.take(A)
    with pytest.raises(BadFileError, match=r"2 of 3 rows are bad \(66.7%, allowed 25.0%\).*row 3, column 'size'"):
        desk.take(B, "d,2026-01-01,1,web,x,many,yes", "e,2026-01-01,1,web,x,2000,yes")
    assert desk.leads() == [("a", True, 10.0)]
    with connect(desk.database) as connection:
        found = latest_import(connection, None)
    assert found is not None
    assert (found.quarantined, found.refused_because is None) == (2, False)


def test_a_row_said_twice_is_taken_once_but_two_versions_of_a_lead_are_a_fault(desk: Desk) -> None:
    """Nobody can tell which of two different rows is right."""
    report = desk.take(A, A, B)
    assert (report.repeated, report.added, report.quarantined) == (1, 2, 0)
    with pytest.raises(BadFileError, match="'a' stands in more than one row"):
        desk.take(A, A.replace("10", "11"))


def test_new_categories_come_in_and_are_named(desk: Desk) -> None:
    """Unless the feature says reject."""
    report = desk.take(A, "d,2026-01-01,1,podcast,x,1,yes")
    assert [(n.feature, n.category, n.rows) for n in report.new_categories] == [("Lead Source", "podcast", 1)]
    features = (SCHEMA.features[0].model_copy(update={"unknown": "reject"}), *SCHEMA.features[1:])
    strict = PROJECT.model_copy(update={"lead": SCHEMA.model_copy(update={"features": features})})
    with pytest.raises(BadFileError, match="'radio' is not a known category"):
        desk.take("f,2026-01-01,1,radio,x,1,yes", project=strict)


def test_a_time_of_tomorrow_passes_and_one_of_next_week_does_not(desk: Desk) -> None:
    """A local time read as UTC can lie hours ahead; a date in the future is a mistake."""
    desk.take(f"a,{(NOW + timedelta(hours=13)).isoformat()},1,web,x,1,yes")
    with pytest.raises(BadFileError, match="lies in the future"):
        desk.take(f"b,{(NOW + timedelta(days=7)).isoformat()},1,web,x,1,yes")


def test_missing_beyond_the_limit_needs_evidence(desk: Desk) -> None:
    """One of one is no evidence against a limit of a half; thirty of thirty are."""
    desk.take(C)
    with pytest.raises(BadFileError, match="column 'size' has no value in every row"):
        desk.take(*(f"m{i},2026-01-01,1,web,x,,yes" for i in range(30)))


def test_a_snapshot_that_does_not_exist_is_named(desk: Desk) -> None:
    """With those that do."""
    with pytest.raises(NotFoundError, match="leadgate data import"):
        desk.leads()
    desk.take(A)
    with pytest.raises(NotFoundError, match="no snapshot 7; known: 0"):
        desk.leads(7)


def test_delta_names_can_be_read_by_spark(desk: Desk) -> None:
    """No blank in a column's name, and no two that differ only by what was replaced."""
    desk.take(A)
    names = [field.name for field in DeltaTable(desk.uri).schema().fields]
    assert not any(set(name) & set(" ,;{}()\n\t=") for name in names)
    assert len({name.lower() for name in names}) == len(names) == 7


def test_a_feature_declared_later_is_missing_in_earlier_snapshots(desk: Desk) -> None:
    """And comes in with the next import, for all its leads."""
    desk.take(A)
    more = SCHEMA.model_copy(update={"features": (*SCHEMA.features, Feature(name="new", type=FeatureType.NUMERIC))})
    assert read_snapshot(desk.uri, more)[1]["new"].to_list() == [None]


def test_a_crash_before_the_commit_leaves_no_half_snapshot(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next import of the file completes it."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("leadgate.leads.importing.commit_snapshot", crash)
        with pytest.raises(KeyboardInterrupt):
            desk.take(A, B)
    assert snapshots(desk.uri) == ()
    assert desk.take(A, B).added == 2


def test_two_imports_at_once_wait_for_each_other(desk: Desk) -> None:
    """Else both would lay their leads over the same snapshot, and one would be lost."""
    with psycopg.connect(desk.database, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtext('leadgate.import'))")
        with psycopg.connect(desk.database, options="-c lock_timeout=200ms") as mine:
            path = desk.folder / "file.csv"
            path.write_text(f"id,at,won,Lead Source,Lead_Source,size,budget\n{A}\n")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                import_leads(mine, desk.uri, PROJECT, file=path, now=NOW)


leads = st.dictionaries(st.sampled_from("abcdef"), st.none() | st.floats(0, 9), max_size=6)


def frame(rows: dict[str, float | None]) -> pl.DataFrame:
    """A tiny snapshot."""
    return pl.DataFrame({"id": list(rows), "x": list(rows.values())}, schema={"id": pl.String, "x": pl.Float64})


@given(leads, leads)
def test_merging_is_an_upsert(before: dict[str, float | None], incoming: dict[str, float | None]) -> None:
    """As a dictionary's update; the counts add up; merging again changes nothing; the digest agrees."""
    merged = merge(frame(before), frame(incoming), "id")
    assert dict(merged.leads.rows()) == before | incoming
    assert merged.new.height + merged.changed + merged.unchanged == len(incoming)
    again = merge(merged.leads, frame(incoming), "id")
    assert (again.new.height, again.changed) == (0, 0)
    assert content_digest(again.leads, "id") == content_digest(frame(before | incoming), "id")


@given(
    st.lists(st.tuples(st.none() | st.text(max_size=5), st.none() | st.floats(allow_nan=False)), min_size=1, max_size=8)
)
def test_the_digest_sees_every_value(rows: list[tuple[str | None, float | None]]) -> None:
    """Shuffled rows and columns have one digest; any changed value, or "" for missing, another."""
    table = pl.DataFrame(
        [(str(i), *row) for i, row in enumerate(rows)],
        schema={"id": pl.String, "t": pl.String, "n": pl.Float64},
        orient="row",
    )
    digest = content_digest(table, "id")
    assert content_digest(table.reverse().select("n", "id", "t"), "id") == digest
    text, number = rows[0]
    for column, value in (("t", "" if text is None else None), ("n", 1.0 if number is None else None)):
        first = pl.col("id") == "0"
        changed = table.with_columns(
            pl.when(first).then(pl.lit(value)).otherwise(column).cast(table[column].dtype).alias(column)
        )
        assert content_digest(changed, "id") != digest
