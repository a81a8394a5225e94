"""A report as one HTML file: no script, no font, no picture beside it; it prints as it is."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from leadgate.views.reports.drawing import draw
from leadgate.views.reports.report import Chart, Cited, Code, Mark, Part, Report, Table, sources_of
from leadgate.views.reports.wording import ACTIONS, CHANGED, MARK_SIGNS, clean, numbered, place_of, shown_of, spaced


def to_html(report: Report) -> str:
    """The whole report; whatever people typed is escaped by the templates."""
    places = numbered(sources_of(report))
    charts = [block for section in report.sections for block in section.blocks if isinstance(block, Chart)]
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            places=places,
            drawn={chart: Markup(draw(chart, n)) for n, chart in enumerate(charts, start=1)},  # noqa: S704  # our own SVG
            headings=(CHANGED, ACTIONS),
            signs=MARK_SIGNS,
            shown_of=shown_of,
            place_of=place_of,
        )
    )


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("leadgate.views.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["clean"] = clean
    made.filters["spaced"] = spaced
    made.tests["chart"] = lambda block: isinstance(block, Chart)
    made.tests["table"] = lambda block: isinstance(block, Table)
    made.tests["text"] = lambda part: isinstance(part, str)
    made.filters["kind"] = _kind
    return made


def _kind(part: Part) -> str:
    kinds = {str: "text", Cited: "cited", Code: "code", Mark: "mark"}
    return kinds[type(part)]
