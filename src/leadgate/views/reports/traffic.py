"""Leads by week, version and priority, and what became of them (quiet)."""

from datetime import datetime

from leadgate.views.reports.phrases import (
    DAYS,
    MONEY,
    SHARE,
    day,
    said,
    table,
)
from leadgate.views.reports.report import Block, Chart, Known, Series, Table, Text


def matured(leads: Known, since: datetime) -> Text:
    """How the leads first scored since a time did, and how many are not yet known."""
    i = _row_of(leads, "all")
    if i is None or not leads.rows[i]["leads"]:
        return (f"No lead was scored since {day(since)}.",)
    row = leads.rows[i]
    young = said(
        f"Since {day(since)}, long enough ago for leads to mature, ",
        leads.number(i, "leads"),
        " leads were scored, ",
        leads.number(i, "maturing"),
        " of them too lately to be judged",
    )
    silent = said(", ", leads.number(i, "silent"), " without any outcome") if row["silent"] else ()
    if not row["matured"]:
        return said(young, silent, "; no outcome counts yet.")
    return said(
        young,
        silent,
        "; of the ",
        leads.number(i, "matured"),
        " matured ones ",
        leads.number(i, "rate", form=SHARE),
        " converted.",
    )


def _row_of(leads: Known, level: str) -> int | None:
    return next((i for i, row in enumerate(leads.rows) if row["level"] == level), None)


def business(leads: Known) -> tuple[Block, ...]:
    """By week, version and priority."""
    if _row_of(leads, "version") is None:
        return (said("No lead was scored in this time."),)
    chart = _weeks(leads)
    return (
        *((chart,) if chart else (_figures(leads, "week", "By week and version"),)),
        _figures(leads, "version", "By version"),
        _figures(leads, "band", "By version and priority"),
    )


def detail(leads: Known) -> tuple[Block, ...]:
    return (_figures(leads, "week band", "Leads"),) if leads.rows else ()


def _figures(leads: Known, level: str, title: str) -> Table:
    keys = {
        "version": "version",
        "band": "version|priority",
        "week": "week of|version",
        "week band": "week of|version|priority",
    }
    columns = {"version": "model_version", "priority": "priority", "week of": "week"}
    names = keys[level].split("|")
    rows = [
        (
            *(leads.quote(i, columns[name]) for name in names),
            leads.number(i, "leads"),
            leads.number(i, "maturing"),
            leads.number(i, "matured"),
            leads.number(i, "conversions"),
            leads.number(i, "rate", form=SHARE),
            leads.number(i, "deal_size", form=MONEY),
            leads.number(i, "days_to_close", form=DAYS),
            leads.number(i, "revenue", form=MONEY),
        )
        for i, row in enumerate(leads.rows)
        if row["level"] == level
    ]
    figures = "leads|too young|matured|conversions|rate|mean deal|days to close|revenue"
    return table(title, f"{keys[level]}|{figures}", rows, " " * len(names) + "rrrrrrrr")


def _weeks(leads: Known) -> Chart | None:
    """Conversion by week, a line a version; None where fewer than two weeks have matured leads."""
    rows = [row for row in leads.rows if row["level"] == "week" and row["matured"]]
    weeks = sorted({row["week"] for row in rows})
    if len(weeks) < 2:  # noqa: PLR2004  # a line has two ends
        return None
    versions = list(dict.fromkeys(str(row["model_version"]) for row in rows))
    lines = {v: [row for row in rows if row["model_version"] == v] for v in versions}
    series = tuple(
        Series(
            name=f"version {v}",
            x=tuple(float(weeks.index(row["week"])) for row in own),
            y=tuple(row["rate"] for row in own),
        )
        for v, own in lines.items()
    )
    return Chart(
        title="Conversion of the matured leads by week of their first score",
        alt=f"Conversion over {len(weeks)} weeks, a line for each of versions {', '.join(versions)}.",
        kind="line",
        x="week of the first score",
        y="converted",
        series=series,
        labels=tuple(f"{week}" for week in weeks),
        percent=True,
        table=_figures(leads, "week", "By week and version"),
    )
