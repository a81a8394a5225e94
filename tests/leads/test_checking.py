"""A file of leads is held against leadgate.yaml before anything is imported."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from leadgate.errors import BadFileError
from leadgate.leads.checking import check_leads
from leadgate.leads.project import parse_project

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PROJECT = parse_project(
    "lead: {id: id, target: won, features: {size: {type: numeric, range: [0, 100]}}}\nimports: {quarantine_limit: 0.3}",
    "leadgate.yaml",
)


def _file(folder: Path, *rows: str, header: str = "id,size,won") -> Path:
    path = folder / "leads.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


def test_good_rows_are_counted_and_bad_ones_named(tmp_path: Path) -> None:
    """One of four is out of range, one good one has no outcome yet; nothing is written anywhere."""
    file = _file(tmp_path, "a,1,yes", "b,2,no", "c,101,no", "d,4,")
    found = check_leads(PROJECT, file=file, now=NOW)
    assert (found.rows, found.bad_rows, found.labelled, found.converted) == (4, 1, 2, 1)
    assert [(fault.row_number, fault.column_name) for fault in found.faults] == [(4, "size")]
    assert list(tmp_path.iterdir()) == [file]


def test_what_an_import_would_refuse_is_refused(tmp_path: Path) -> None:
    """With the first rows, and what to do."""
    with pytest.raises(
        BadFileError, match=r"2 of 3 rows are bad.*row 2, column 'size': 'x'.*raise imports\.quarantine"
    ):
        check_leads(PROJECT, file=_file(tmp_path, "a,x,yes", "b,-1,no", "c,1,no"), now=NOW)
    with pytest.raises(BadFileError, match="no column 'size'"):
        check_leads(PROJECT, file=_file(tmp_path, "a,1,yes", header="id,sise,won"), now=NOW)
