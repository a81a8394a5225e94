"""The demo: the whole path on generated CRM leads, with real parts and over real HTTP, and two rollouts."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import polars as pl
from rich.progress import BarColumn, Progress, TextColumn, track

from leadgate.app.cli.models import print_comparison
from leadgate.app.cli.output import console, errors, print_table, share, with_interval
from leadgate.app.playing import SimulatedClock
from leadgate.app.starting import start_project, with_model, without
from leadgate.app.story import Told, add_rules, print_turns, tell
from leadgate.app.wire import CONFIG, STATE, Home, open_home
from leadgate.chain import check
from leadgate.errors import LeadgateError, RefusedError
from leadgate.leads.importing import ImportReport, import_leads
from leadgate.models.training import Trained, train
from leadgate.outcomes.performance import Performance, measure
from leadgate.scoring.server import bind
from leadgate.simulator.leads import SimulatedLeads, outcomes_of, simulate_leads
from leadgate.storage.postgres.audit import chain
from leadgate.storage.postgres.connection import Connection

_SEED = 2026
_STORY_DAYS_AGO = 135
"""When the rollouts begin: both end before today."""
_SCORED_DAYS_AGO = _STORY_DAYS_AGO + 2
"""The demo's server lives this many days in the past, so that the scores it gives have matured today."""

_LATER = ("engagement_score", "website_visits", "has_budget", "job_title")
"""What the first model does without."""

_SINGLE, _BATCH = 300, 200
"""Leads scored one request each, and leads a batch."""

_MARKER = "generated-by-leadgate-demo"


@dataclass(frozen=True, kw_only=True)
class _Played:
    """What the closing table shows."""

    imported: ImportReport
    champion: Trained
    challenger: Trained
    good: Told
    bad: Told
    scored: int
    requests: int
    entries: int
    """Of the audit log, whole."""
    measured: Performance
    best_auc: float
    """What no model can beat: the AUC of the true probabilities."""
    seconds: float


def play(folder: Path, leads: int, *, again: bool) -> None:
    """Play the path from a file of leads to a measured performance in a new folder, and say what came of it."""
    started = time.monotonic()
    _prepare(folder, again=again)
    now = datetime.now(UTC).replace(microsecond=0)
    rng = np.random.default_rng(_SEED)
    past = simulate_leads(leads, rng, now - timedelta(days=_SCORED_DAYS_AGO + 195), 190)
    fresh = simulate_leads(4_000, rng, now - timedelta(days=_SCORED_DAYS_AGO + 2), 2, first_number=leads)
    _say("1", f"A CRM export of {leads:,} leads with their outcomes, a few rows of it broken")
    export = folder / "crm_export.csv"
    _with_broken_rows(past.frame).write_csv(export)
    _say("2", "leadgate init looks at the file")
    _, rows = start_project(
        folder, export, name="lead-scoring", id_column=None, target=None, timestamp=None, force=False
    )
    add_rules(folder / CONFIG)
    print_table(f"What {CONFIG} makes of {export.name}", ["column", "is", "missing", "AUC", "why"], rows)
    home = open_home(folder)
    _say("3", "leadgate data import checks every row and makes a snapshot")
    with home.connection() as connection:
        imported = import_leads(connection, home.snapshots_uri, home.project, file=export, now=home.clock())
    console.print(f"   {imported.added:,} leads, {imported.quarantined:,} rows quarantined with row, column and reason")
    champion = _train(home, "logistic_regression", "4", "a first model, of what the address list says", _LATER)
    challenger = _train(home, "hist_gradient_boosting", "5", "a second one, of all that is known: the challenger")
    assert challenger.comparison is not None
    print_comparison(challenger.comparison, "champion", "challenger")
    _say(
        "6", f"leadgate serve, {_SCORED_DAYS_AGO} days ago: the champion scores {fresh.frame.height:,} leads over HTTP"
    )
    requests = _score(home, fresh.frame)
    _say("7", "The CRM reports what became of them, over HTTP")
    _report(home, fresh, now)
    good, bad = _roll_out(home, challenger, now)
    with home.connection() as connection:
        measured, _ = measure(connection, home.project, now=home.clock(), by="version")
        entries = _whole_chain(connection)
    _close(
        folder,
        _Played(
            imported=imported,
            champion=champion,
            challenger=challenger,
            good=good,
            bad=bad,
            scored=fresh.frame.height,
            requests=requests,
            entries=entries,
            measured=measured,
            best_auc=fresh.best_auc,
            seconds=time.monotonic() - started,
        ),
    )


def _roll_out(home: Home, challenger: Trained, now: datetime) -> tuple[Told, Told]:
    """Two challengers on a clock that runs fast: one is worth it, one is not."""
    midnight = now.replace(hour=0, minute=0, second=0)
    playing = home.on(SimulatedClock(midnight - timedelta(days=_STORY_DAYS_AGO)))
    good = challenger.version.version
    _say("8", f"leadgate rollout start {good}: ten weeks on a fast clock, evaluated daily on the leads' real outcomes")
    with _bar() as progress:
        first = tell(playing, good, seed=_SEED, first_number=500_000, progress=progress)
    print_turns(first)
    third = _train(home, "lightgbm", "9", "a third model, which will sell less in one region")
    bad = third.version.version
    _say("10", f"leadgate rollout start {bad}: the shadow sees nothing wrong with it")
    with _bar() as progress:
        second = tell(playing, bad, seed=_SEED + 1, first_number=700_000, broken=True, progress=progress)
    print_turns(second)
    return first, second


def _bar() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), console=errors, transient=True)


def _whole_chain(connection: Connection) -> int:
    """The number of entries of the audit log. Raises LeadgateError where its chain is broken."""
    checked = check(chain(connection))
    if checked.broken is not None:
        raise LeadgateError(f"The audit log is broken: {checked.broken}")
    return checked.entries


def _prepare(folder: Path, *, again: bool) -> None:
    """Make the folder, removing an earlier demo (and nothing else) where that is asked for."""
    if folder.exists() and any(folder.iterdir()):
        if not again:
            raise RefusedError(f"{folder} is not empty; choose a new folder, or add --again to play it anew.")
        if not (folder / _MARKER).exists():
            raise RefusedError(f"{folder} was not made by the demo, so --again will not remove it; choose another.")
        _stop_database(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARKER).touch()


def _stop_database(folder: Path) -> None:
    """A database that still runs on the folder (after `leadgate up`) would outlive its files."""
    from leadgate.storage.postgres.server import is_running  # noqa: PLC0415

    if is_running(folder / STATE / "postgres"):
        raise RefusedError(f"The demo in {folder} is still running; stop its `leadgate up` first.")


def _with_broken_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """The export as a CRM would write it: text, and a few rows with faults."""
    faults = {11: ("company_size", "many"), 222: ("engagement_score", "-4000"), 333: ("created_at", "31/31/2026")}
    text = frame.with_columns(pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%SZ")).cast(pl.String).with_row_index("n")
    for row, (column, value) in faults.items():
        broken = pl.when(pl.col("n") == row).then(pl.lit(value)).otherwise(pl.col(column))
        text = text.with_columns(broken.alias(column))
    return text.drop("n")


def _train(home: Home, kind: str, number: str, what: str, left_out: Sequence[str] = ()) -> Trained:
    _say(number, f"leadgate train --model {kind}: {what}")
    trained = train(
        home.registry,
        home.snapshots_uri,
        without(with_model(home.project, kind), left_out),
        folder=home.folder,
        snapshot_version=None,
        author=home.settings.author,
        now=home.clock(),
    )
    overall = trained.card.evaluation.overall
    proof = trained.card.proof
    assert proof is not None
    console.print(
        f"   hold-out AUC {with_interval(overall.auc, overall.auc_interval)}; "
        f"compiled, equal to the library to {proof.max_difference:.0e} on {proof.rows + proof.edge_rows:,} rows"
    )
    return trained


def _score(home: Home, leads: pl.DataFrame) -> int:
    """Score leads through a real server in the past; gives the number of requests."""
    used = [feature.name for feature in home.project.lead.used]
    bodies = [{"lead_id": row["lead_id"], "features": {n: row[n] for n in used}} for row in leads.iter_rows(named=True)]
    with _server(home, shift_days=-_SCORED_DAYS_AGO) as client:
        for body in track(bodies[:_SINGLE], "   POST /predict", console=errors):
            client.post("/predict", json=body).raise_for_status()
        batches = range(_SINGLE, len(bodies), _BATCH)
        for start in track(batches, "   POST /predict/batch", console=errors):
            client.post("/predict/batch", json={"leads": bodies[start : start + _BATCH]}).raise_for_status()
        example = client.get(f"/leads/{bodies[0]['lead_id']}/score").raise_for_status().json()
    console.print(
        f"   lead {example['lead_id']}: score {example['predicted_score']:.3f}, priority {example['priority']}, "
        f"version {example['model_version']}, at {example['scored_at'][:10]}"
    )
    return min(_SINGLE, len(bodies)) + len(batches)


def _report(home: Home, fresh: SimulatedLeads, now: datetime) -> None:
    """Post the outcomes that are known by now, over HTTP."""
    scored_at = now - timedelta(days=_SCORED_DAYS_AGO)
    known = outcomes_of(fresh, scored_at).filter(pl.col("outcome_at") <= now)
    rows = known.with_columns(pl.col("outcome_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).to_dicts()
    added = 0
    with _server(home, shift_days=0) as client:
        for start in track(range(0, len(rows), 500), "   POST /outcomes", console=errors):
            answer = client.post("/outcomes", json=rows[start : start + 500]).raise_for_status()
            added += answer.json()["added"]
    console.print(f"   {added:,} outcomes recorded")


@contextmanager
def _server(home: Home, *, shift_days: float) -> Iterator[httpx.Client]:
    """A real ``leadgate serve`` in a process of its own, stopped at the end."""
    with bind("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "leadgate", "serve", "--project", str(home.folder), "--port", str(port)]
    environment = {**os.environ, "LEADGATE_CLOCK_SHIFT_DAYS": str(shift_days)}
    log = home.state / "demo-server.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            _wait_until_ready(client, process, log)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=40)


def _wait_until_ready(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/health/ready").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise LeadgateError(f"The demo's server did not come up; it said: {log.read_text()[-2000:]}")


def _say(number: str, what: str) -> None:
    console.print(f"[bold]{number}[/bold]  {what}", soft_wrap=True)


def _close(folder: Path, played: _Played) -> None:
    measured = played.measured
    assert measured.overall is not None
    snapshot = played.imported.snapshot
    assert snapshot is not None
    rows: Sequence[tuple[str, str]] = (
        (
            "snapshot",
            f"version {snapshot.version}: {snapshot.rows:,} leads, {share(snapshot.conversion_rate)} converted",
        ),
        ("champion, held out", _auc(played.champion)),
        ("challenger, held out", _auc(played.challenger)),
        ("scored over HTTP", f"{played.scored:,} leads in {played.requests:,} requests, each logged before its answer"),
        (
            "scored in the rollouts",
            f"{played.good.leads + played.bad.leads:,} leads in {played.good.weeks} and {played.bad.weeks} weeks",
        ),
        (f"version {played.challenger.version.version}, the good one", _ended(played.good)),
        ("the bad one", _ended(played.bad)),
        ("audit log", f"{played.entries:,} entries, chain whole"),
        *((f"version {g.name}, on real outcomes", _measured(g.scores)) for g in measured.groups),
        ("the best any model could do", f"AUC {played.best_auc:.3f} (the simulator knows the truth)"),
        ("took", f"{played.seconds:.0f} s"),
    )
    print_table("What came of it", ["what", "result"], rows)
    where = f"leadgate {{}} --project {folder}"
    console.print(f"Look around: {where.format('performance')}   {where.format('models list')}", markup=False)
    console.print(f"Keep it running: .venv/bin/{where.format('up')}", markup=False)
    console.print("   then http://127.0.0.1:8000/docs (try /predict), /health/ready, /metrics", markup=False)
    console.print(
        f"Beside it, checks, alerts and rollouts by themselves: .venv/bin/{where.format('worker')}", markup=False
    )


def _ended(told: Told) -> str:
    last = told.turns[-1]
    return f"{told.end.replace('_', ' ')}, {'over' if told.over else 'still watched'} on day {last.day}"


def _auc(trained: Trained) -> str:
    overall = trained.card.evaluation.overall
    return f"version {trained.version.version}, AUC {with_interval(overall.auc, overall.auc_interval)}"


def _measured(scores: object) -> str:
    from leadgate.stats.classification import Classification  # noqa: PLC0415

    assert isinstance(scores, Classification)
    return f"AUC {with_interval(scores.auc, scores.auc_interval)} on {scores.leads:,} matured leads"
