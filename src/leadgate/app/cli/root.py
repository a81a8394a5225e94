"""The commands without a noun, and the nouns."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leadgate import __version__
from leadgate.app.cli import (
    alerts,
    audit,
    check,
    config,
    contacts,
    data,
    db,
    diagnose,
    events,
    explain,
    features,
    jobs,
    keys,
    logs,
    models,
    outcomes,
    profile,
    ratings,
    report,
    retrain,
    rollout,
    route,
    triggers,
)
from leadgate.app.cli.exploration import print_feedback
from leadgate.app.cli.init import init
from leadgate.app.cli.options import HERE, AsJson, ProjectDir, one_of
from leadgate.app.cli.output import console, errors, moment, print_json, print_table, progress, share, with_interval
from leadgate.app.cli.route import put_in_force
from leadgate.app.cli.worker import worker
from leadgate.app.wire import open_home
from leadgate.errors import RefusedError
from leadgate.scoring.plan import Durability

if TYPE_CHECKING:
    from leadgate.app.wire import Home
    from leadgate.leads.project import Project
    from leadgate.models.training import Trained
    from leadgate.outcomes.performance import Group, Performance

app = typer.Typer(
    name="leadgate",
    help="Takes a lead-scoring model to production and keeps it good there.",
    epilog="First steps: leadgate init DIR --from FILE, then data import, train, serve. Each command has its --help.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(config.app, name="config")
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(outcomes.app, name="outcomes")
app.add_typer(route.app, name="route")
app.add_typer(rollout.app, name="rollout")
app.add_typer(ratings.app, name="ratings")
app.add_typer(contacts.app, name="contacts")
app.add_typer(events.app, name="events")
app.add_typer(features.app, name="features")
app.add_typer(keys.app, name="keys")
app.add_typer(logs.app, name="logs")
app.add_typer(profile.app, name="profile")
app.add_typer(check.app, name="check")
app.add_typer(report.app, name="report")
app.add_typer(alerts.app, name="alerts")
app.add_typer(jobs.app, name="jobs")
app.add_typer(triggers.app, name="triggers")
app.add_typer(audit.app, name="audit")
app.add_typer(db.app, name="db")


def _print_version(wanted: bool) -> None:
    if wanted:
        console.print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


app.command()(init)


@app.command()
def train(
    project: ProjectDir = HERE,
    snapshot: Annotated[int | None, typer.Option(help="Snapshot to train on; the last when left out.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="logistic_regression, hist_gradient_boosting or lightgbm, instead of leadgate.yaml's."),
    ] = None,
    aliased: Annotated[
        bool,
        typer.Option(
            "--alias/--no-alias", help="--no-alias leaves champion and challenger to `leadgate models promote --gated`."
        ),
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Register nothing; needs no database.")] = False,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="With --dry-run: a file of leads instead of a snapshot."),
    ] = None,
    events_file: Annotated[
        Path | None,
        typer.Option("--events", metavar="FILE", help="With --from: what they did, where features.py takes events."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train, evaluate on the hold-out, compile and register a version.

    The first version becomes champion; a later one becomes challenger and is compared with the champion on the same
    hold-out leads. With --dry-run you see at once what a change of leadgate.yaml or features.py is worth.
    """
    from leadgate.app.starting import with_model  # noqa: PLC0415

    home = open_home(project)
    config = with_model(home.project, model)
    if dry_run:
        _try(home, config, snapshot, source, events_file, as_json=as_json)
        return
    if source is not None or events_file is not None:
        raise RefusedError(
            "--from and --events go with --dry-run; `leadgate data import FILE` and `leadgate events import FILE` take "
            "files in to train on."
        )
    from leadgate.app.auditing import write_registered  # noqa: PLC0415
    from leadgate.models.training import train as train_version  # noqa: PLC0415

    with progress() as step:
        trained = train_version(
            home.registry,
            home.snapshots_uri,
            config,
            folder=home.folder,
            snapshot_version=snapshot,
            author=home.settings.author,
            now=home.clock(),
            aliased=aliased,
            step=step,
        )
    write_registered(home, trained)
    if as_json:
        print_json(trained)
    else:
        _print_trained(trained)


@app.command()
def serve(
    project: ProjectDir = HERE,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="8000")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that answer: one for each core.", show_default="1")
    ] = None,
    durability: Annotated[
        str | None,
        typer.Option(help="What an answered prediction survives: process or power (cut).", show_default="process"),
    ] = None,
    auth: Annotated[
        bool | None,
        typer.Option("--auth/--no-auth", help="Ask callers for a key; by default where other machines can call."),
    ] = None,
) -> None:
    """Serve the route in force over HTTP until Ctrl-C: /predict, /predict/batch, /outcomes, /metrics, /docs.

    /health/live says whether it runs, /health/ready whether it can score.

    A prediction is written to a spool on this disk before it is answered, and moved into the database from there; the
    database may be away for a while. A change of the route (`leadgate route set`, `leadgate rollback`) is taken up
    between two requests.
    """
    from leadgate.app.serving import Serving, run  # noqa: PLC0415

    home = open_home(project)
    settings = home.settings
    run(
        home,
        Serving(
            host=host or settings.host,
            port=settings.port if port is None else port,
            workers=workers or settings.workers,
            durability=one_of(durability or settings.durability, Durability, "durability"),
            auth=auth,
        ),
    )


@app.command()
def up(project: ProjectDir = HERE) -> None:
    """Keep a project running: its database and its service, on the default port, until Ctrl-C."""
    serve(project, host=None, port=None, workers=None, durability=None, auth=None)


app.command()(worker)
app.command()(retrain.retrain)


@app.command()
def rollback(
    project: ProjectDir = HERE,
    to: Annotated[str | None, typer.Option(help="A version that was champion before.", show_default="the last")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the route.")] = "rolled back by hand",
    as_json: AsJson = False,
) -> None:
    """Take the challenger off the route; where the champion answers alone, go back to the champion before it.

    A rollout that is under way ends with it, and its post-mortem is opened.

    One transaction, in force in every worker within a second. No request fails, and no registry is asked.
    """
    from leadgate.app.routing import roll_back  # noqa: PLC0415

    home = open_home(project)
    put_in_force(home, roll_back(home, to=to, reason=reason), as_json=as_json)


@app.command()
def performance(
    project: ProjectDir = HERE,
    since: Annotated[datetime | None, typer.Option(help="Only scores given since this time (UTC).")] = None,
    by: Annotated[str | None, typer.Option(help="Break down by version or by a categorical feature.")] = None,
    rows: Annotated[Path | None, typer.Option(help="Also write the counted leads to this CSV file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the given scores on matured outcomes.

    A lead counts once, by its first score, when the outcome window (60 days unless leadgate.yaml says otherwise) has
    passed since that score.
    """
    from leadgate.app.renewing import crm_silence  # noqa: PLC0415
    from leadgate.outcomes.performance import measure  # noqa: PLC0415

    home = open_home(project)
    start = since.replace(tzinfo=UTC) if since and since.tzinfo is None else since
    with home.connection() as connection:
        measured, counted = measure(connection, home.project, now=home.clock(), since=start, by=by)
        silence = crm_silence(home, connection, measured.as_of) if measured.silent else None
    if silence:
        errors.print(silence, markup=False, soft_wrap=True)
    if rows:
        counted.sort("lead_id").write_csv(rows)
    if as_json:
        print_json(measured)
    else:
        print_performance(measured)


app.command()(diagnose.diagnose)
app.command()(explain.explain)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the demo's project; must be new.")] = Path(
        "demo"
    ),
    leads: Annotated[int, typer.Option(min=2_000, help="Leads to train on.")] = 12_000,
    again: Annotated[bool, typer.Option("--again", help="Remove an earlier demo in that folder first.")] = False,
) -> None:
    """Play the whole path on generated CRM leads, over real HTTP: from a file of leads to a measured performance."""
    from leadgate.app.demo import play  # noqa: PLC0415

    play(folder, leads, again=again)


def print_performance(measured: "Performance") -> None:
    """The figures of matured leads, and where the other leads are."""
    where = [
        ("predictions", measured.predictions),
        ("leads scored", measured.scored),
        (f"not matured ({measured.window_days:g} days have not passed)", measured.immature),
        ("matured without an outcome", measured.silent),
        ("outcome before the score", measured.decided_before),
        ("outcome after the window (counted as not converted)", measured.late),
    ]
    print_table(f"Leads as of {moment(measured.as_of)} UTC", ["what", "leads"], where, numbers=" r")
    if measured.overall is None:
        errors.print("No lead has matured with an outcome yet, so there is no performance to report.")
        return
    groups = (measured.overall, *measured.groups)
    columns = [measured.by or "leads", "matured", "AUC (95 %)", "precision", "recall", "cal. error", "converted"]
    print_table(
        f"Performance, decisions above {measured.overall.scores.threshold:g}",
        [*columns, "deal size", "days"],
        [_performance_row(group) for group in groups],
        numbers=" r rrrrrr",
    )
    if measured.feedback is not None:
        print_feedback(measured.feedback)


def _performance_row(group: "Group") -> tuple[str | int | None, ...]:
    scores = group.scores
    return (
        group.name,
        scores.leads,
        with_interval(scores.auc, scores.auc_interval),
        with_interval(scores.precision, None),
        with_interval(scores.recall, None),
        with_interval(scores.calibration_error, None),
        share(scores.base_rate),
        None if group.deal_size is None else f"{group.deal_size:,.0f}",
        None if group.days_to_close is None else f"{group.days_to_close:.1f}",
    )


def _try(
    home: "Home",
    config: "Project",
    snapshot: int | None,
    source: Path | None,
    events: Path | None,
    *,
    as_json: bool,
) -> None:
    from leadgate.app.trying import try_training  # noqa: PLC0415

    if source is not None and snapshot is not None:
        raise RefusedError("--from and --snapshot both say what to train on; give one of them.")
    if events is not None and source is None:
        raise RefusedError("--events belongs to the leads of --from FILE; a snapshot has its events already.")
    with progress() as step:
        tried = try_training(home, config, file=source, snapshot=snapshot, events=events, step=step)
    if as_json:
        print_json(tried)
        return
    console.print(
        f"Registered nothing. {tried.kind} on {tried.training_leads:,} leads; hold-out AUC "
        f"{with_interval(tried.auc, tried.auc_interval)} on {tried.holdout_leads:,} leads, calibration error "
        f"{tried.calibration_error:.3f}; model digest {tried.model_digest[:16]}.",
        markup=False,
    )
    if tried.searched:
        console.print(f"Searched hyperparameters: {tried.searched}.", markup=False)
    if tried.why_library:
        console.print(f"It would be served by the library: {tried.why_library}", markup=False)


def _print_trained(trained: "Trained") -> None:
    card, overall = trained.card, trained.card.evaluation.overall
    aliases = ", ".join(trained.version.aliases) or "no alias"
    console.print(
        f"Version {trained.version.version} ({aliases}): {card.model.kind} on snapshot "
        f"{card.snapshot_version}, {card.training_leads:,} leads; "
        f"hold-out AUC {with_interval(overall.auc, overall.auc_interval)} on {card.holdout_leads:,} leads, "
        f"calibration error {overall.calibration_error:.3f}.",
        markup=False,
    )
    if card.searched:
        console.print(f"Searched hyperparameters: {card.searched}.", markup=False)
    if card.proof and card.compiled:
        console.print(f"Compiled: equal to the library to {card.proof.max_difference:.1e}.")
    else:
        console.print(f"Served by the library: {card.why_library}", markup=False)
    if trained.comparison:
        models.print_comparison(trained.comparison, f"version {trained.against}", f"version {trained.version.version}")
    elif trained.against:
        console.print(
            f"Not compared with version {trained.against}: its features.py takes events, and these leads have none."
        )
