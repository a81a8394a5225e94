"""Answers of the store and of the registry as sources of numbers (quiet)."""

from collections.abc import Mapping
from typing import Any

from leadgate.storage.postgres.reports import Answer
from leadgate.views.reports.report import Known, Source


def rows(answer: Answer, title: str, command: str = "") -> Known:
    """Rows of a statement."""
    return Known(
        source=Source(origin="sql", title=title, command=command, sql=answer.sql),
        content=[dict(r) for r in answer.rows],
    )


def document(content: Mapping[str, Any], title: str, command: str) -> Known:
    """What a command prints as JSON."""
    return Known(source=Source(origin="registry", title=title, command=command), content=content)


def settings(content: Mapping[str, Any]) -> Known:
    """What leadgate.yaml says, and the defaults where it is silent."""
    return Known(
        source=Source(
            origin="settings", title="leadgate.yaml, and the defaults where it is silent", command="cat leadgate.yaml"
        ),
        content=content,
    )


def options(content: Mapping[str, Any]) -> Known:
    """What a report was asked with."""
    named = " ".join(f"--{name.replace('_', '-')}={value}" for name, value in content.items())
    return Known(
        source=Source(
            origin="settings",
            title=f"options of this report: {named}",
            command="leadgate report kpi --help",
        ),
        content=content,
    )
