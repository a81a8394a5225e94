"""A report as GitHub-flavoured Markdown (quiet). What people typed stays text: no markup, no link, no mention."""

import re
from collections.abc import Iterable, Mapping

from leadgate.views.reports.report import Chart, Cited, Code, Part, Report, Section, Source, Table, Text, sources_of
from leadgate.views.reports.wording import ACTIONS, CHANGED, MARK_SIGNS, clean, numbered, shown_of, spaced

Places = Mapping[Source, int]

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "@": "&#64;"}
_MARKUP = re.compile(r"([\\`*_~\[\]$#])")
_LINK = re.compile(r"(?i)(https?|ftp|mailto|xmpp):|\bwww\.")
_BLOCK = re.compile(r"^(\d+)([.)])|^([+=-])")


def to_markdown(report: Report) -> str:
    """The whole report, sources at its end."""
    places = numbered(sources_of(report))
    parts = [
        f"# {escaped(report.title)}",
        f"{escaped(report.model_name)} · {escaped(report.period)} · made {report.made_at:%Y-%m-%d %H:%M} UTC",
        f"## {CHANGED}",
        _list(report.changed, places),
        f"## {ACTIONS}",
        _list(report.actions, places),
        *(line for section in report.sections for line in _section(section, places)),
        "## Sources",
        *([_list(((read,) for read in report.reads), places)] if report.reads else []),
        *(_source(source, number) for source, number in places.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Text that no renderer takes for markup, on one line."""
    marked = _MARKUP.sub(r"\\\1", spaced(text))
    safe = "".join(_ENTITIES.get(c, c) for c in marked)
    return _LINK.sub(lambda found: found.group(0).replace(":", "&#58;").replace(".", "&#46;"), safe)


def _list(texts: Iterable[Text], places: Places) -> str:
    return "\n".join(f"- {_line(text, places)}" for text in texts)


def _section(section: Section, places: Places) -> list[str]:
    blocks = [_block(block, places) for block in section.blocks]
    return [f"## {escaped(section.title)}", *blocks]


def _block(block: Text | Table | Chart, places: Places) -> str:
    if isinstance(block, Chart):
        return _table(block.table, places)
    return _table(block, places) if isinstance(block, Table) else _line(block, places)


def _table(table: Table, places: Places) -> str:
    sides = [*table.numeric, *[False] * len(table.columns)]
    rule = ["---:" if sides[i] else "---" for i in range(len(table.columns))]
    rows = [[escaped(name) for name in table.columns], rule, *([_text(c, places) for c in r] for r in table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    empty = [] if table.rows else ["", "*nothing*"]
    return "\n".join([f"**{escaped(table.title)}**", "", *lines, *empty])


def _line(text: Text, places: Places) -> str:
    """A text at the begin of a line, where a number or a hyphen would make a list."""
    return _BLOCK.sub(lambda m: f"\\{m[3]}" if m[3] else f"{m[1]}\\{m[2]}", _text(text, places).strip())


def _text(text: Text, places: Places) -> str:
    return "".join(_part(part, places) for part in text)


def _part(part: Part, places: Places) -> str:
    if isinstance(part, str):
        return escaped(part)
    if isinstance(part, Cited):
        return f"[{escaped(part.text)}](#source-{places[part.source]})"
    if isinstance(part, Code):
        return _code(part.text)
    return f"{MARK_SIGNS[part.tone]} {escaped(part.text)}"


def _code(text: str) -> str:
    """Between more backticks than it has in a row; a bar would end a cell even there."""
    text = clean(text).replace("|", "\u2223")
    fence = "`" * (_longest(text) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


def _source(source: Source, number: int) -> str:
    shown = [f'<a id="source-{number}"></a>**{number}.** {escaped(source.title)}']
    for language, text in shown_of(source):
        fence = "`" * max(3, _longest(text) + 1)
        shown.append(f"{fence}{language}\n{text}\n{fence}")
    return "\n\n".join(shown)


def _longest(text: str) -> int:
    """Of the runs of backticks in a text."""
    return max((len(run) for run in re.findall("`+", text)), default=0)
