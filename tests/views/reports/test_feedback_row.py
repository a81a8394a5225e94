"""The unbiased AUC in the reports."""

from typing import Any

from leadgate.views.reports.health import health_blocks
from leadgate.views.reports.report import Cited, Known, Source, Table

SETTINGS = Known(source=Source(origin="sql", title="settings", sql="SELECT 1"), content={"monitoring": {}})


def finding(check: str, **known: Any) -> dict[str, Any]:
    """A row of a run of checks."""
    usual = {"check_name": check, "subject": "champion", "severity": "green", "threshold": 0.85, "details": {}}
    return {**usual, "sample": 900, "sentence": f"about {check}", **known}


def rows_of(*found: dict[str, Any]) -> dict[str, Any]:
    """The rows of the report by their name."""
    known = Known(source=Source(origin="sql", title="findings", sql="SELECT 1"), content=list(found))
    (table,) = health_blocks(known, SETTINGS)
    assert isinstance(table, Table)
    return {str(row[1]): row for row in table.rows}


def test_a_report_has_both_figures_where_leads_are_explored_and_no_empty_row_elsewhere() -> None:
    """The figure of explored leads, beside it the one of all leads; each cited from the run of checks."""
    ordinary = finding("AUC", value=0.902)
    told = finding("feedback bias", value=0.843, severity="yellow", details={"ordinary": 0.902})
    (row,) = [row for name, row in rows_of(ordinary, told).items() if "unbiased" in name]
    cited = [
        part.text for cell in row for part in (cell if isinstance(cell, tuple) else (cell,)) if isinstance(part, Cited)
    ]
    assert cited[:2] == ["0.843", "0.902"]
    assert not [name for name in rows_of(ordinary) if "unbiased" in name]
