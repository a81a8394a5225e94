"""Snapshots that are kept, cleared away, and told to be gone."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from leadgate.errors import NotFoundError
from leadgate.leads.digest import content_digest
from leadgate.leads.frames import columns_of, empty_leads, merge
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.leads.snapshots import commit_snapshot, digest_of_stored, read_snapshot
from leadgate.storage import delta


def table(folder: Path) -> str:
    """A table whose versions 0 to 3 share no file, as another tool makes one: without our settings."""
    uri = str(folder / "leads")
    for number in range(4):
        facts = CommitProperties(custom_metadata={"number": str(number)})
        write_deltalake(uri, pl.DataFrame({"a": [number]}), mode="overwrite", commit_properties=facts)
    return uri


def test_a_table_that_is_there_is_told_to_keep_its_past_by_the_next_write(tmp_path: Path) -> None:
    """Else Databricks would vacuum after a week and forget commits after a month."""
    uri = table(tmp_path)
    assert DeltaTable(uri).metadata().configuration == {}
    number = delta.append(uri, pl.DataFrame({"a": [9]}), {"number": "last"})
    settings = DeltaTable(uri).metadata().configuration
    assert (
        settings["delta.deletedFileRetentionDuration"]
        == settings["delta.logRetentionDuration"]
        == "interval 36500 days"
    )
    assert delta.history(uri)[-1].facts["number"] == "last"  # the write, not the settings, is the last version
    assert DeltaTable(uri).vacuum(dry_run=True) == []  # what a vacuum without arguments would take
    assert delta.append(uri, pl.DataFrame({"a": [10]}), {}) == number + 1  # and they are set once


def test_a_vacuum_takes_what_neither_a_kept_version_nor_the_last_one_needs(tmp_path: Path) -> None:
    """A look takes nothing and writes nothing; what was replaced of late stays; the rest reads as before."""
    uri = table(tmp_path)
    assert len(delta.vacuum(uri, [1], timedelta(0), {}, remove=False)) == 2
    assert delta.vacuum(uri, [1], timedelta(days=1), {}, remove=False) == []
    assert DeltaTable(uri).version() == 3
    names = delta.vacuum(uri, [1], timedelta(0), {"kept": "1"}, remove=True)
    assert set(names) == {name for version in (0, 2) for name in delta.files_of(uri, version)}
    assert [delta.is_whole(uri, version) for version in range(4)] == [False, True, False, True]
    assert [delta.read(uri, version)["a"].to_list() for version in (1, 3)] == [[1], [3]]
    with pytest.raises(NotFoundError, match=r"Files of version 2 .* are gone .* backup"):
        delta.read(uri, 2)


def test_a_snapshot_can_be_checked_whatever_leadgate_yaml_says_since(tmp_path: Path) -> None:
    """Another feature, another type or one less reads other columns of it; its own digest is found all the same."""
    uri = str(tmp_path / "leads")
    features = (
        Feature(name="Lead Source", type=FeatureType.CATEGORICAL),
        Feature(name="size", type=FeatureType.NUMERIC),
    )
    schema = LeadSchema(id="id", target="won", features=features)
    leads = pl.DataFrame([("a", True, "web", 1.0), ("b", None, None, 2.0)], schema=columns_of(schema), orient="row")
    facts = {"file": "leads.csv", "import_id": "1", "quarantined": "0"}
    snapshot = commit_snapshot(uri, merge(empty_leads(schema), leads, "id"), schema, facts)
    since = (Feature(name="size", type=FeatureType.CATEGORICAL), Feature(name="new", type=FeatureType.BOOLEAN))
    later = schema.model_copy(update={"features": since})
    assert content_digest(read_snapshot(uri, later)[1], "id") != snapshot.digest
    assert digest_of_stored(uri, snapshot, later) == snapshot.digest == content_digest(leads, "id")
