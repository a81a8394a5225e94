"""From matured outcomes to a version in the shadow: once, whatever dies, and not with labels that cannot be right."""

import json
import os
import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import psycopg
import pytest
from typer.testing import CliRunner

import warm
from leadgate.app import renewing, retraining
from leadgate.app.cli.root import app
from leadgate.app.renewing import collect, merged
from leadgate.app.retraining import begin, retrain, retrain_if_due
from leadgate.app.rollouts import every_rollout, start
from leadgate.app.routing import route_in_force
from leadgate.app.triggering import look, write_down
from leadgate.app.wire import Home
from leadgate.errors import LeadgateError, RefusedError
from leadgate.leads.frames import merge
from leadgate.leads.snapshots import commit_snapshot, read_snapshot, snapshots
from leadgate.monitoring.triggers import Decision
from leadgate.storage.postgres.audit import append_entry, latest_entries
from leadgate.storage.postgres.imports import faults_of_import, latest_import
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.retrainings import Retraining, add_step, last_decisions, retrainings_of, steps_of
from leadgate.storage.postgres.runs import hold_job
from renewed import BEGAN, EASY, LATER, SCORED_DAYS, live, ruled, simulated

MOMENTS = (
    "collected",
    "validated",
    "snapshot made",
    "snapshot",
    "judged",
    "version made",
    "alias set",
    "version told",
    "registered",
    "rollout made",
    "rollout",
    "ended",
)
"""At which a process may die: after an effect, and after it was written down."""
KILLED = MOMENTS if "LEADGATE_SOAK" in os.environ else ("snapshot made", "version made", "rollout made")
"""At which one really dies, by kill -9: there is something that no row tells of. At the others all that a process
leaves behind is in the database, and an exception that nobody catches ends it. `make soak` kills at all of them."""


class _Died(BaseException):
    """Nobody catches it."""


def acts(home: Home) -> list[str]:
    """What the audit log has of retrainings, oldest first."""
    with home.connection() as connection:
        return [entry.act for entry in reversed(latest_entries(connection, act="retraining", most=100))]


def test_killed_at_every_moment_it_goes_on_and_does_everything_once(own_workshop: Home) -> None:
    """It ends twelve times: one run, one snapshot, one version, one rollout, each step and each entry once."""
    leads = simulated(1_500)
    live(own_workshop, leads)
    home = ruled(own_workshop, gates=EASY)
    for moment in MOMENTS:
        who = "eve" if moment == MOMENTS[-1] else "anna"
        if moment in KILLED:
            _kill(home, moment, who)
            continue
        with pytest.raises(_Died, match=moment):
            retrain(home, reason="a new feature", by=who, pause=_dies_at(moment))
    with home.connection() as connection:
        (run,) = retrainings_of(connection, home.project.name)
        steps = steps_of(connection, run.retraining_id)
    assert (run.result, run.version, run.trigger, run.reason) == ("challenger", "3", "by hand", "a new feature")
    assert set(steps) == set(retraining.STEPS)
    assert acts(home) == [f"retraining.{act}" for act in ("begin", *retraining.STEPS, "end")]
    with home.connection() as connection:  # each act is that of who did it, not of who began
        assert [latest_entries(connection, act=f"retraining.{act}", most=1)[0].actor for act in ("begin", "end")] == [
            "anna",
            "eve",
        ]
    first, last = snapshots(home.snapshots_uri)
    assert (last.added, last.rows, last.labelled) == (1_500, first.rows + 1_500, first.labelled + 1_500)
    assert [v.aliases for v in home.registry.versions()] == [("champion",), (), ("challenger",)]
    (listed,) = every_rollout(home)
    assert (listed.rollout.challenger, listed.state.stage) == ("3", "shadow")
    _is_what_was_seen(home, leads)
    # Once more: the same leads, the same model, and nothing registered.
    assert "same model as version 3" in retrain(home, reason="again", by="anna")
    assert (len(snapshots(home.snapshots_uri)), len(home.registry.versions())) == (2, 3)


def _dies_at(moment: str) -> retraining.Pause:
    def pause(now: str) -> None:
        if now == moment:
            raise _Died(moment)

    return pause


def _kill(home: Home, moment: str, who: str) -> None:
    script = Path(__file__).parents[1] / "retraining_killed.py"
    given = (str(script), str(home.folder), str(home.settings.database_url), moment, who)
    done = warm.run(*given, folder=home.folder, env=os.environ, patience_s=300)
    assert done.returncode == -signal.SIGKILL, (moment, done.stdout, done.stderr)


def _is_what_was_seen(home: Home, leads: pl.DataFrame) -> None:
    """The snapshot has each scored lead with the values that were scored, and its outcome."""
    names = [feature.name for feature in home.project.lead.used]
    _, there = read_snapshot(home.snapshots_uri, home.project.lead)
    both = leads.select("lead_id", "created_at", "converted", *names).join(there, on="lead_id", suffix="_there")
    assert both.height == leads.height
    for name in ("created_at", "converted", *names):
        assert both[name].cast(both[f"{name}_there"].dtype).equals(both[f"{name}_there"]), name


def test_a_snapshot_with_poisoned_labels_becomes_no_version(
    own_workshop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fifth of the outcomes turned over: they are others than those that were locked with the champion.

    The command says which gate stopped it, and the figures of all.
    """
    home = _in_folder(own_workshop, monkeypatch)
    config = home.folder / "leadgate.yaml"
    config.write_text(
        config.read_text().replace("_auc: 0.87", "_auc: 0.6").replace("alert_auc: 0.85", "alert_auc: 0.5")
    )
    _, leads = read_snapshot(home.snapshots_uri, home.project.lead)
    turned = np.random.default_rng(2).random(leads.height) < 0.2
    poisoned = leads.with_columns(converted=pl.col("converted") ^ pl.Series(turned))
    facts = {"file": "poisoned.csv", "import_id": "", "quarantined": "0"}
    commit_snapshot(home.snapshots_uri, merge(leads, poisoned, "lead_id"), home.project.lead, facts)
    said = _said("retrain", "--reason", "as every week")
    assert "stopped: nothing was registered, gate locked outcomes" in said
    for gate in ("locked outcomes", "best champion", "recent outcomes"):
        assert f"{gate}: FAILED" in said
    shown = _said("triggers", "show", "1")
    assert set(said.strip().splitlines()) < set(shown.strip().splitlines())
    assert "asked for by by hand" not in shown
    (past,) = json.loads(_said("triggers", "history", "--json"))["retrainings"]
    assert "; and gate recent outcomes: " in past["sentence"]  # what a person should look at first is not lost
    _refused("no retraining 7", "triggers", "show", "7")
    with home.connection() as connection:
        (run,) = retrainings_of(connection, home.project.name)
        gates = {g["name"]: g for g in steps_of(connection, run.retraining_id)["judged"].details["gates"]}
    assert (run.result, run.version, run.reason) == ("stopped", None, "as every week")
    assert gates["locked outcomes"]["value"] == pytest.approx(0.2, abs=0.04)
    assert len(home.registry.versions()) == 2
    assert acts(home)[-1] == "retraining.end"


@pytest.mark.parametrize(("goes_on", "known"), ((True, 300), (False, 0)))
def test_where_the_crm_falls_silent_nothing_is_learnt_from_its_silence(
    own_workshop: Home, goes_on: bool, known: int
) -> None:
    """Of leads without an outcome: lost where the CRM would have told, not known where it tells nothing at all."""
    leads = simulated(300)
    silent = set(leads["lead_id"][::3])
    live(own_workshop, leads, silent=silent, goes_on=goes_on)
    home = ruled(own_workshop)
    outcomes = home.project.outcomes.model_copy(update={"silence_means": "not_converted"})
    home.__dict__["project"] = home.project.model_copy(update={"outcomes": outcomes})
    with home.connection() as connection:
        found = collect(home, connection, LATER)
    assert found.leads.height == known
    lost = found.leads.filter(pl.col("lead_id").is_in(list(silent)))
    assert not lost["converted"].any()
    with home.connection() as connection:  # what `leadgate performance` says beside its figures
        said = renewing.crm_silence(home, connection, LATER)
    assert (said is None) == goes_on
    assert said is None or f"nothing for {(LATER - BEGAN).days - SCORED_DAYS - 30} days" in said


def test_scored_values_that_no_import_would_take_stop_it_before_there_is_a_snapshot(own_workshop: Home) -> None:
    """Five of a hundred leads with a size below zero; people are told of the first."""
    leads = simulated(300).with_columns(
        company_size=pl.when(pl.int_range(pl.len()) % 20 == 0).then(-5e6).otherwise("company_size")
    )
    live(own_workshop, leads)
    home = ruled(own_workshop)
    said = retrain(home, reason="as every week", by="anna")
    assert "stopped: retraining 1: 15 of 300 scored leads are bad (allowed 1.0%)" in said
    assert "'company_size': '-5000000.0' is below" in said
    assert len(snapshots(home.snapshots_uri)) == 1
    with home.connection() as connection:
        kept_out = latest_import(connection, None)
        assert kept_out is not None
        assert (kept_out.file, len(faults_of_import(connection, kept_out.import_id, None))) == ("retraining 1", 15)
    with psycopg.connect(str(home.settings.database_url)) as connection:
        told = connection.execute("SELECT severity, message FROM leadgate.events WHERE kind = 'retraining'").fetchall()
    assert [severity for severity, _ in told] == ["yellow"]
    assert "as every week" in told[0][1]


def test_the_job_writes_down_an_answer_when_it_changes_and_a_reason_with_each_run(
    own_workshop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred times asked is one row, as long as the same holds."""
    monkeypatch.setattr(retraining, "carry_on", lambda _home, run: f"trains for {run.trigger}")
    assert "nothing asks" in retrain_if_due(ruled(own_workshop))  # no version answers yet
    route_in_force(own_workshop)
    home = ruled(own_workshop)
    for hour in range(3):
        home = ruled(own_workshop)
        object.__setattr__(home, "own_clock", lambda hour=hour: LATER + timedelta(hours=hour))
        assert "only 0 new leads" in retrain_if_due(home)
    assert "nothing asks" in retrain_if_due(ruled(own_workshop, triggers={"schedule": None}))
    live(own_workshop, simulated(300))
    assert retrain_if_due(home) == "trains for scheduled"
    assert retrain_if_due(home) == "trains for scheduled"  # goes on with it: no other run, no other decision
    with home.connection() as connection:
        decisions = last_decisions(connection, home.project.name)
        (run,) = retrainings_of(connection, home.project.name)
    assert [(d.act, d.why_not) for d in reversed(decisions)] == [
        ("rest", None),
        ("wait", "nothing new"),
        ("rest", None),
        ("run", None),
    ]
    assert (run.started_by, run.trigger, run.emergency) == ("worker", "scheduled", False)
    assert run.reason == decisions[0].reason
    assert "Sunday 2026-08-16 02:00" in run.reason
    said = retraining.abandon(home, reason="the disk is full", by="anna")
    assert "abandoned by anna: the disk is full" in said
    assert "cool-down" not in retrain_if_due(ruled(own_workshop, triggers={"schedule": None}))
    assert look(home).new_leads == 300  # it learnt nothing
    with home.connection() as connection:
        add_step(connection, run.retraining_id, "snapshot", at=LATER, details={"version": 0})
    assert look(home).new_leads == 0


def test_what_was_abandoned_or_judged_otherwise_registers_nothing(
    own_workshop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A champion that changed since the gates spoke; a person who gives up, who is the one that the log names."""
    home = ruled(own_workshop)
    run = begin(home, trigger="drift", reason="3 features", by="worker", emergency=True)
    told = {"fate": "challenger", "model_digest": "d", "champion": "7"}
    with home.connection() as connection:
        add_step(connection, run.retraining_id, "judged", at=LATER, details=told)
    card = SimpleNamespace(model_digest="d")
    judged = SimpleNamespace(gates=(), champion=home.registry.find("1"), candidate=SimpleNamespace(card=card))
    done = retraining._done(home, run)
    ended = retraining._judge(home, run, judged, done, lambda _: None)  # type: ignore[arg-type]
    assert ended is not None
    assert (ended.result, "the champion" in ended.sentence) == ("stopped", True)
    _in_folder(own_workshop, monkeypatch)
    monkeypatch.setenv("LEADGATE_AUTHOR", "anna")
    with home.connection() as busy:
        assert hold_job(busy, home.project.name, "retraining")
        _refused("running already", "retrain", "--abandon", "--reason", "a try")
    _refused("The reason is empty", "retrain", "--abandon")
    _refused("may have 1,000", "retrain", "--reason", "x" * 10_000)
    assert "abandoned by" in json.loads(_said("retrain", "--abandon", "--reason", "no disk", "--json"))["said"]
    with home.connection() as connection:
        (run,) = retrainings_of(connection, home.project.name)
        (end,) = latest_entries(connection, act="retraining.end", most=9)
    assert (run.result, run.version) == ("stopped", None)
    assert end.actor == "anna"  # and not the worker, who began it
    _refused("nothing to abandon", "retrain", "--abandon", "--reason", "again")


def test_a_run_that_fails_after_its_version_is_registered_says_so(
    own_workshop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And does not register it again, whoever goes on with it at the same time."""
    home = ruled(own_workshop)
    run = begin(home, trigger="by hand", reason="a test", by="anna", emergency=False)
    made = home.registry.find("2")

    def fails(*_: object) -> None:
        raise RefusedError("the rollout's rules are wrong")

    monkeypatch.setattr(retraining, "_registered", lambda *_: made)
    assert retraining._register(home, run, SimpleNamespace(gates=())) is made  # type: ignore[arg-type]
    monkeypatch.setattr(retraining, "_go", fails)
    assert "version 2 is registered and waits for a person" in retraining.carry_on(home, run)
    with home.connection() as connection:
        (ended,) = retrainings_of(connection, home.project.name)
    assert (ended.result, ended.version) == ("registered", "2")


def test_people_are_asked_to_look_once_a_week(own_workshop: Home) -> None:
    """A feature that drifts, and does not, each hour: every answer is written down, and one event is told."""
    hours = iter(LATER + timedelta(hours=hour) for hour in range(99))
    home = replace(own_workshop, own_clock=lambda: next(hours))
    rest = Decision(act="rest", trigger=None, emergency=False, why_not=None, reason="nothing", triggers=())
    look_at = replace(rest, act="review", trigger="drift", reason="1 feature has drifted")
    for _ in range(3):
        write_down(home, rest)
        write_down(home, look_at)
    with home.connection() as connection:
        assert len(last_decisions(connection, home.project.name)) == 6
        told = connection.execute("SELECT count(*) FROM leadgate.events WHERE kind = 'retraining review'").fetchone()
    assert told == (1,)


def test_spans_are_counted_from_the_last_lead_that_is_known() -> None:
    """Where outcomes take half a year none of the last ninety days is known, and they would compare nothing."""
    leads = pl.DataFrame({"at": [LATER - timedelta(days=days) for days in (300, 183)]})
    assert renewing._latest(leads, "at", LATER) == LATER - timedelta(days=183)
    assert renewing._latest(leads, "at", LATER - timedelta(days=200)) == LATER - timedelta(days=200)
    assert renewing._latest(leads, None, LATER) == LATER


def test_what_the_snapshot_knows_better_than_the_log_stays(own_workshop: Home) -> None:
    """The CRM tells of wins alone, and a lead that was won long ago is scored again: it stays won."""
    home = own_workshop
    _, there = read_snapshot(home.snapshots_uri, home.project.lead)
    won = there.filter(pl.col("converted")).head(1)
    seen = pl.concat([won, won.with_columns(lead_id=pl.lit("new"))]).with_columns(converted=pl.lit(value=False))
    both = merged(home, seen, {*seen["lead_id"]})
    assert (both.changed, both.new["converted"].to_list()) == (0, [False])
    assert merged(home, seen, {"new"}).changed == 1
    # And once the log has lost days, a later score of that lead is not its first one.
    with home.connection() as connection:
        ensure_partitions(connection, {LATER.date()})
        append_entry(connection, at=LATER, actor="anna", act="log.retain", subject="day 2026-05-01", details={})
    both = merged(home, seen, {"new"})
    assert (both.changed, both.new["lead_id"].to_list()) == (0, ["new"])


def test_a_rollout_starts_by_itself_only_where_it_may_and_none_is_under_way(own_workshop: Home) -> None:
    """Else a sentence says which command sends the version on its way."""
    home, nothing = ruled(own_workshop, rollout="ask"), lambda _: None
    run = begin(home, trigger="by hand", reason="a try", by="anna", emergency=False)
    number, said = retraining._rollout(home, run, "2", nothing)
    assert (number, "leadgate rollout start 2" in said) == (None, True)
    automatic = ruled(own_workshop)
    start(automatic, "2", "another one")
    number, said = retraining._rollout(automatic, run, "9", nothing)
    assert number is None
    assert "rollout 1 of version 2 is under way" in said
    assert retraining._rollout(automatic, run, "2", nothing)[0] == 1


def test_commands_tell_what_they_would_do(own_workshop: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triggers with their values, and what a training would learn from; nothing is written."""
    live(own_workshop, simulated(300))
    route_in_force(own_workshop)
    _in_folder(own_workshop, monkeypatch)
    status = json.loads(_said("triggers", "status", "--json"))
    asked = {t["name"]: (t["fired"], t["value"]) for t in status["triggers"]}
    assert (status["act"], status["trigger"]) == ("run", "scheduled")
    assert asked == {
        "scheduled": (True, None),
        "performance": (None, None),
        "drift": (None, None),
        "rating": (None, None),
        "volume": (False, 300.0),
    }
    assert "leadgate check run" in _said("triggers", "status")
    plan = json.loads(_said("retrain", "--dry-run", "--json"))
    assert (plan["labelled"], plan["new_leads"], plan["bad_rows"]) == (300, 300, 0)
    told = json.loads(_said("triggers", "history", "--json"))
    assert told == {"decisions": [], "retrainings": []}
    for told_to_people in (("triggers", "history"), ("retrain", "--dry-run")):
        assert _said(*told_to_people)
    assert len(snapshots(own_workshop.snapshots_uri)) == 1


def test_a_run_that_loses_its_database_is_said_to_be_gone_on_with(
    own_workshop: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, as scripts are told, and no word that nothing has happened: the run is there, and goes on."""
    _in_folder(own_workshop, monkeypatch)
    name, server = _database_of(own_workshop)
    began = retraining.begin

    def begin_and_lose(home: Home, **about: object) -> Retraining:
        run = began(home, **about)  # type: ignore[arg-type]
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        return run

    monkeypatch.setattr(retraining, "begin", begin_and_lose)
    done = CliRunner().invoke(app, ("retrain", "--reason", "new leads"), env={"COLUMNS": "200"})
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert done.exit_code == 1, done.exception
    assert "PostgreSQL stopped answering" in done.stderr
    assert "`leadgate retrain` goes on with" in done.stderr
    waiting = retraining.unfinished(own_workshop)
    assert waiting is not None
    assert waiting.reason == "new leads"


def _database_of(home: Home) -> tuple[str, str]:
    """The name of its database, and the URL of another one on the same server."""
    with psycopg.connect(home.database_url) as connection:
        name = connection.info.dbname
    return name, home.database_url.replace(f"/{name}?", "/postgres?")


def _in_folder(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Commands find the project and its database, when its leads have matured."""
    days = (LATER - datetime.now(UTC)) / timedelta(days=1)
    monkeypatch.setenv("LEADGATE_CLOCK_SHIFT_DAYS", str(days))
    monkeypatch.setenv("LEADGATE_DATABASE_URL", str(home.settings.database_url))
    monkeypatch.chdir(home.folder)
    return home


def _refused(sentence: str, *arguments: str) -> None:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert isinstance(done.exception, LeadgateError), done.output
    assert sentence in str(done.exception)


def _said(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout
