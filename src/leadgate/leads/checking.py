"""Holds a file of leads against leadgate.yaml before anything is imported."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from leadgate.errors import BadFileError
from leadgate.leads.files import read_table
from leadgate.leads.importing import describe_fault
from leadgate.leads.project import Project
from leadgate.leads.validation import NewCategory, Validated, validate
from leadgate.records import Fault

_TOLD = 5
"""Faults that a refusal lists."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FileCheck:
    """What an import of a file would find."""

    file: str
    rows: int
    bad_rows: int
    """Rows that would go to the quarantine."""
    repeated: int
    """Rows of the file that repeat an earlier one word for word."""
    labelled: int
    """Good rows whose outcome is known."""
    converted: int
    new_categories: tuple[NewCategory, ...]
    faults: tuple[Fault, ...]
    leads: pl.DataFrame
    """The good rows, with the columns of a snapshot."""


def check_leads(project: Project, *, file: Path, now: datetime) -> FileCheck:
    """Judge every row of a file as an import does, and change nothing.

    Raises BadFileError where an import would refuse the file.
    """
    judged = validate(project.lead, read_table(file), file.name, now)
    if judged.bad_rows > project.imports.quarantine_limit * judged.rows:
        raise BadFileError(_refusal(judged, file, project.imports.quarantine_limit))
    outcomes = judged.leads[project.lead.target]
    return FileCheck(
        file=file.name,
        rows=judged.rows,
        bad_rows=judged.bad_rows,
        repeated=judged.repeated,
        labelled=outcomes.len() - outcomes.null_count(),
        converted=int(outcomes.sum() or 0),
        new_categories=judged.new_categories,
        faults=judged.faults,
        leads=judged.leads,
    )


def _refusal(judged: Validated, file: Path, limit: float) -> str:
    first = "; ".join(describe_fault(fault) for fault in judged.faults[:_TOLD])
    return (
        f"{file.name}: {judged.bad_rows:,} of {judged.rows:,} rows are bad ({judged.bad_rows / judged.rows:.1%}, "
        f"allowed {limit:.1%}), so an import would refuse it. First: {first}. Mend the file, or raise "
        "imports.quarantine_limit."
    )
