"""leadgate profile: the summaries that monitoring reads instead of rows."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table, share
from leadgate.app.wire import open_home

if TYPE_CHECKING:
    from leadgate.app.profiling import FeatureShown, ProfileShown

app = typer.Typer(help="Look at the summaries of scored leads, and make them anew.", no_args_is_help=True)


@app.command()
def show(
    project: ProjectDir = HERE,
    version: Annotated[str | None, typer.Option(help="A version's number.", show_default="the last to score")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this time on (UTC).", show_default="a week ago")] = None,
    feature: Annotated[str | None, typer.Option(help="This feature alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the scored leads of a version were like, beside those it was trained on."""
    from leadgate.app.profiling import show as show_profile  # noqa: PLC0415

    found = show_profile(open_home(project), version=version, since=in_utc(since), feature=feature)
    if as_json:
        print_json(found)
        return
    _print(found)


@app.command()
def rebuild(
    since: Annotated[datetime, typer.Option(help="From this time on (UTC).")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Make the hourly summaries anew from the prediction log; may be run at any time, and as often as one likes."""
    from leadgate.app.profiling import rebuild as rebuild_profiles  # noqa: PLC0415

    start = in_utc(since)
    assert start is not None
    hours, predictions = rebuild_profiles(open_home(project), since=start)
    if as_json:
        print_json({"hours": hours, "predictions": predictions})
        return
    console.print(f"{predictions:,} predictions in {hours:,} hours are summed up anew.")


@app.command()
def tidy(project: ProjectDir = HERE) -> None:
    """Merge what hours that are over have in several rows; nothing but the space that they take changes."""
    from leadgate.app.profiling import tidy as tidy_profiles  # noqa: PLC0415

    console.print(f"{tidy_profiles(open_home(project)):,} hours had several rows and have one now.")


def in_utc(moment: datetime | None) -> datetime | None:
    """A time of the command line; one without a zone is in UTC."""
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _print(found: "ProfileShown") -> None:
    facts = [
        ("predictions", f"{found.predictions:,}"),
        ("first and last (UTC)", f"{moment(found.first_at)} to {moment(found.last_at)}"),
        ("mean score", "-" if found.score_mean is None else f"{found.score_mean:.3f}"),
        ("score at 5, 25, 50, 75, 95 %", _numbers(found.score_quantiles)),
        ("priority", ", ".join(f"{band} {n / found.predictions:.1%}" for band, n in sorted(found.bands.items()))),
        ("latency p50, p99 (ms)", f"{_number(found.latency_p50_ms)}, {_number(found.latency_p99_ms)}"),
    ]
    print_table(f"Version {found.version} since {moment(found.since)} UTC", ["what", "value"], facts)
    columns = ["feature", "importance", "values", "missing", "(training)", "now", "at training"]
    print_table("Features, the most important first", columns, [_row(f) for f in found.features], numbers=" rrrr")


def _row(feature: "FeatureShown") -> tuple[object, ...]:
    now = _numbers(feature.quantiles) if feature.quantiles_at_training else _categories(feature.categories)
    then = (
        _numbers(feature.quantiles_at_training)
        if feature.quantiles_at_training
        else _categories(feature.categories_at_training)
    )
    return (
        feature.feature,
        "-" if feature.importance is None else f"{feature.importance:.4f}",
        feature.count,
        share(feature.missing),
        share(feature.missing_at_training),
        now,
        then,
    )


def _numbers(values: tuple[float, ...]) -> str:
    return " | ".join(map(_number, values)) or "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _categories(counts: dict[str, int]) -> str:
    everything = sum(counts.values())
    return ", ".join(f"{name} {n / everything:.0%}" for name, n in list(counts.items())[:4]) or "-"
