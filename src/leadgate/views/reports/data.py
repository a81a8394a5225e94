"""A report as data: the same content, each source once (quiet)."""

from dataclasses import asdict
from typing import Any

from leadgate.views.reports.report import Block, Chart, Cited, Code, Mark, Part, Report, Source, Table, Text, sources_of
from leadgate.views.reports.wording import numbered


def to_data(report: Report) -> dict[str, Any]:
    """As JSON takes it. What is cited names its source by number; sources have their statement or command."""
    places = numbered(sources_of(report))
    return {
        "kind": report.kind,
        "title": report.title,
        "model_name": report.model_name,
        "period": report.period,
        "versions": report.versions,
        "made_at": report.made_at,
        "changed": [_text(text, places) for text in report.changed],
        "actions": [_text(text, places) for text in report.actions],
        "sections": [
            {"title": section.title, "blocks": [_block(block, places) for block in section.blocks]}
            for section in report.sections
        ],
        "reads": report.reads,
        "sources": [{"number": number, **asdict(source)} for source, number in places.items()],
    }


def _block(block: Block, places: dict[Source, int]) -> dict[str, Any]:
    if isinstance(block, Chart):
        shown = {**vars(block), "series": [asdict(series) for series in block.series]}
        return {"chart": {**shown, "table": _table(block.table, places)}}
    return {"table": _table(block, places)} if isinstance(block, Table) else {"text": _text(block, places)}


def _table(table: Table, places: dict[Source, int]) -> dict[str, Any]:
    rows = [[_text(cell, places) for cell in row] for row in table.rows]
    return {"title": table.title, "columns": table.columns, "rows": rows}


def _text(text: Text, places: dict[Source, int]) -> list[Any]:
    return [_part(part, places) for part in text]


def _part(part: Part, places: dict[Source, int]) -> Any:
    if isinstance(part, Cited):
        return {"text": part.text, "value": part.value, "source": places[part.source], "at": part.at, "how": part.how}
    if isinstance(part, Code):
        return {"code": part.text}
    return {"mark": part.text, "tone": part.tone} if isinstance(part, Mark) else part
