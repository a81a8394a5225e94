"""The controller on real rows: it moves once, whole or not at all, and its decisions can be replayed."""

import os
import signal
import threading
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest
from scene import BEGAN, EASY, begin, counts, project_of, serve

import warm
from leadgate.errors import RefusedError
from leadgate.leads.rollout_rules import RolloutRules
from leadgate.rollout.controller import act_by_hand, alive, approve, evaluate
from leadgate.rollout.decisions import decide
from leadgate.rollout.evidence import decode
from leadgate.rollout.gates import judge
from leadgate.rollout.moving import CONTROLLER, Person
from leadgate.rollout.routing import Act, Named, change
from leadgate.rollout.stages import IllegalMoveError
from leadgate.rollout.verdicts import Verdict
from leadgate.stats.experiments import planned_size
from leadgate.storage.postgres.measurements import Measurement, add_measurement
from leadgate.storage.postgres.partitions import ensure_partitions
from leadgate.storage.postgres.rollouts import judgements_of, post_mortems_of, rollouts_of, steps_of
from leadgate.storage.postgres.routes import add_route, present_route, routes_of

KILLED = Path(__file__).parent / "killed.py"


def day(n: float) -> datetime:
    """A day of the scene, in the evening."""
    return BEGAN + timedelta(days=n, hours=20)


def ready(connection: psycopg.Connection, rules: object = EASY) -> None:
    """A challenger whose shadow has matured: the next evaluation advances it."""
    project = project_of(rules)  # type: ignore[arg-type]
    begin(connection, project)
    for n in range(4):
        serve(connection, project, day=n, leads=100)


def test_a_good_challenger_walks_all_four_stages(database: str) -> None:
    """Shadow, canary, A/B test, full, done: each by the controller, each with the route of its stage."""
    project = project_of()
    with psycopg.connect(database) as connection:
        ready(connection)
        seen, n = [], 4
        while alive_stage(connection, project.name) and n < 80:
            judged = evaluate(connection, project, day(n))
            connection.commit()
            assert judged is not None
            if judged.decision.act != "hold":
                seen.append((judged.before.stage, judged.decision.act))
            n += 1
            serve(connection, project, day=n, leads=100, rates=(0.2, 0.33))
        assert seen == [
            ("shadow", "advance"),
            ("canary", "advance"),
            ("ab_test", "advance"),
            ("full", "finish"),
        ]
        routes = [(r.stage, r.champion, r.challenger, r.share) for r in reversed(routes_of(connection, project.name))]
    assert routes == [
        ("full", "1", None, 0),
        ("shadow", "1", "2", 0),
        ("canary", "1", "2", 1_000),
        ("ab_test", "1", "2", 5_000),
        ("full", "2", None, 0),
    ]


def alive_stage(connection: psycopg.Connection, model: str) -> str | None:
    """Where the rollout under way is."""
    try:
        return alive(connection, model).state.stage
    except RefusedError:
        return None


def test_every_decision_can_be_replayed(database: str) -> None:
    """The recorded evidence under the recorded rules gives the recorded verdicts and decisions."""
    project = project_of()
    with psycopg.connect(database) as connection:
        ready(connection)
        for n in range(4, 40):
            evaluate(connection, project, day(n))
            connection.commit()
            serve(connection, project, day=n + 1, leads=100, rates=(0.2, 0.33))
        (rollout,) = rollouts_of(connection, project.name)
        judgements = judgements_of(connection, rollout.rollout_id)
        acted = {s.evidence_id: s for s in steps_of(connection, rollout.rollout_id) if s.evidence_id}
    rules = RolloutRules.model_validate(rollout.rules)
    assert len(judgements) > 10
    for row in judgements:
        evidence = decode(row.evidence)
        verdicts = judge(evidence, rules)
        assert msgspec.json.decode(row.verdicts, type=tuple[Verdict, ...]) == verdicts
        decision = decide(evidence, verdicts, rules)
        assert (decision.act, decision.reason) == (row.act, row.reason)
        assert (row.act == "hold") == (row.evidence_id not in acted)


def test_harm_rolls_back_by_itself_and_opens_a_post_mortem(database: str) -> None:
    """A challenger that converts less is gone at the first evaluation that shows it; the champion answers alone."""
    project = project_of({**EASY, "experiment": {**EASY["experiment"], "leads_per_arm": 5_000}})
    with psycopg.connect(database) as connection:
        ready(connection)
        judged = None
        for n in range(4, 60):
            judged = evaluate(connection, project, day(n))
            connection.commit()
            if judged is None or judged.after.stage == "rolled_back":
                break
            serve(connection, project, day=n + 1, leads=200, rates=(0.33, 0.1))
        assert judged is not None
        assert judged.after.stage == "rolled_back"
        route = present_route(connection, project.name)
        assert route is not None
        assert (route.stage, route.champion, route.challenger) == ("full", "1", None)
        (post_mortem,) = post_mortems_of(connection, judged.rollout_id)
        (red,) = connection.execute(
            "SELECT message FROM leadgate.events WHERE severity = 'red' AND kind = 'rollout.roll_back'"
        ).fetchall()
        (entry,) = connection.execute("SELECT actor FROM leadgate.audit_log WHERE act = 'rollout.roll_back'").fetchall()
    assert "fewer leads convert" in post_mortem.cause
    assert post_mortem.evidence_id is not None
    assert "rolled_back" in red[0]
    assert entry[0] == CONTROLLER


def test_evaluating_twice_moves_once(database: str) -> None:
    """The second evaluation finds the new stage, which has only begun."""
    project = project_of()
    with psycopg.connect(database) as connection:
        ready(connection)
        first = evaluate(connection, project, day(20))
        second = evaluate(connection, project, day(20))
        assert first is not None
        assert second is not None
        assert (first.decision.act, second.decision.act) == ("advance", "hold")
        assert len(routes_of(connection, project.name)) == 3


def test_two_controllers_at_once_move_once(database: str) -> None:
    """They wait for each other; the later one judges what the earlier one left."""
    project = project_of()
    with psycopg.connect(database) as connection:
        ready(connection)
    acts: list[str] = []

    def run() -> None:
        with psycopg.connect(database) as own:
            judged = evaluate(own, project, day(20))
            acts.append(judged.decision.act if judged else "none")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(acts) == ["advance", "hold", "hold", "hold"]
    assert counts(database)["rollout_steps"] == 2


def test_a_controller_killed_between_any_two_statements_leaves_the_old_state_or_the_new(database: str) -> None:
    """Kill -9 before the 1st, 2nd, ... statement: never a step without its route, evidence, audit entry and event."""
    with psycopg.connect(database) as connection:
        ready(connection)
    before = counts(database)
    after = {
        **before,
        **{t: before[t] + 1 for t in ("rollout_steps", "rollout_evidence", "routes", "audit_log", "events")},
    }
    kills = 0
    for number in range(1, 200):
        command = (str(KILLED), database, day(20).isoformat(), str(number))
        done = warm.run(*command, folder=KILLED.parent, env=os.environ, patience_s=60)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        assert counts(database) == before
    assert counts(database) == after
    assert kills > 10


def test_a_person_cannot_push_a_challenger_past_the_gates(database: str) -> None:
    """`advance` by hand goes through the same gates, and nothing is written when they hold it."""
    project = project_of()
    with psycopg.connect(database) as connection:
        begin(connection, project)
        before = counts(database)
        with pytest.raises(RefusedError, match="Not every gate"):
            act_by_hand(connection, project, "advance", Person(name="Bob", at=day(1), comment="now"))
    assert counts(database) == before


def test_an_act_by_hand_keeps_the_evidence_that_carried_it(database: str) -> None:
    """Advanced by a person: the step names the evidence, and replayed it carries the step."""
    project = project_of()
    with psycopg.connect(database) as connection:
        ready(connection)
        history, _ = act_by_hand(connection, project, "advance", Person(name="Bob", at=day(20), comment="now"))
        last = history.steps[-1]
        (row,) = [j for j in judgements_of(connection, history.rollout.rollout_id) if j.evidence_id == last.evidence_id]
        evidence = decode(row.evidence)
        assert decide(evidence, judge(evidence, history.rules), history.rules).act == "advance"
        back, _ = act_by_hand(connection, project, "roll_back", Person(name="Bob", at=day(21), comment="enough"))
        (mortem,) = post_mortems_of(connection, history.rollout.rollout_id)
    assert back.steps[-1].evidence_id == mortem.evidence_id == row.evidence_id


def test_a_route_that_somebody_else_moved_carries_nothing_forward(database: str) -> None:
    """And the way back is open all the same."""
    project = project_of()
    with psycopg.connect(database) as connection:
        ready(connection)
        present = present_route(connection, project.name)
        assert present is not None
        foreign = Act(by="Eve", at=day(10), reason="by hand")
        one = Named(version="1", digest="a" * 64)
        add_route(connection, change(present, foreign, stage="full", champion=one, challenger=None))
        connection.commit()
        with pytest.raises(RefusedError, match="by Eve"):
            evaluate(connection, project, day(20))
        connection.rollback()
        _, route = act_by_hand(connection, project, "roll_back", Person(name="Bob", at=day(20), comment="enough"))
    assert route is not None
    assert (route.champion, route.challenger) == ("1", None)


def test_a_rollout_that_is_held_only_goes_back(database: str) -> None:
    """Whatever holds it, a reason stands in the record."""
    project = project_of()
    with psycopg.connect(database) as connection:
        ready(connection)
        judged = evaluate(connection, project, day(20), held_by="the champion has vanished")
        assert judged is not None
        (row, *_) = judgements_of(connection, judged.rollout_id)
    assert (judged.decision.act, row.reason) == ("hold", "the champion has vanished")


def test_what_cannot_be_counted_does_not_hide_what_burns(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in one part of the evidence is told in it, and latencies are still judged."""

    def broken(*_: object, **__: object) -> None:
        raise ValueError("no such column")

    project = project_of({**EASY, "gates": {**EASY["gates"], "p99_ms": {"at_most": 200}}})
    with psycopg.connect(database) as connection:
        begin(connection, project)
        serve(connection, project, day=0, leads=100)
        slow = Measurement(
            model_name=project.name,
            service="s",
            worker="0",
            since=day(1) - timedelta(minutes=30),
            until=day(1),
            requests=2_000,
            failures=0,
            busy_s=1.0,
            peak_memory_bytes=10**8,
            latencies={"champion": [(0.1, 0), (0.9, 2_000), (None, 0)]},
        )
        add_measurement(connection, slow)
        monkeypatch.setattr("leadgate.rollout.reading.compare_scores", broken)
        judged = evaluate(connection, project, day(1))
    assert judged is not None
    assert judged.evidence.failed == ("scores: no such column",)
    assert judged.after.stage == "rolled_back"


def test_an_experiment_without_a_baseline_is_planned_when_it_begins(database: str) -> None:
    """A young installation knows no rate at the start; by the A/B test it does, and the size holds from then on."""
    rules = {**EASY, "experiment": {**EASY["experiment"], "leads_per_arm": None, "detectable_lift": 0.5, "power": 0.8}}
    project = project_of(rules)
    with psycopg.connect(database) as connection:
        ready(connection, rules)
        n = 4
        while alive(connection, project.name).state.stage != "ab_test":
            evaluate(connection, project, day(n))
            n += 1
            serve(connection, project, day=n, leads=100)
            assert n < 60
        design = alive(connection, project.name).rollout.design
    assert design is not None
    baseline = design["baseline"]
    expected = planned_size(baseline["conversions"] / baseline["leads"], 0.5, 0.8)
    assert design["leads_per_arm"] == max(100, expected)


def test_an_illegal_move_changes_nothing(database: str) -> None:
    """A shadow cannot be resumed, nor rolled back gradually."""
    project = project_of()
    with psycopg.connect(database) as connection:
        begin(connection, project)
        before = counts(database)
        for act in ("resume", "roll_back_gradually", "step_back"):
            with pytest.raises(IllegalMoveError):
                act_by_hand(connection, project, act, Person(name="Bob", at=day(1), comment="x"))
    assert counts(database) == before


def test_the_one_who_trained_it_may_not_approve_it_where_that_is_forbidden(database: str) -> None:
    """Four eyes where the settings ask for them, and a second approval by the same person is refused."""
    project = project_of({**EASY, "sign_off": ["shadow"], "approve_own_model": False})
    with psycopg.connect(database) as connection:
        ready(connection, {**EASY, "sign_off": ["shadow"], "approve_own_model": False})
        held = evaluate(connection, project, day(20))
        assert held is not None
        assert held.decision.act == "hold"
        with pytest.raises(RefusedError, match="trained version 2"):
            approve(connection, project, Person(name="Ada", at=day(20), comment="mine"))
        approve(connection, project, Person(name="Bob", at=day(20), comment="looked at it"))
        with pytest.raises(RefusedError, match="already"):
            approve(connection, project, Person(name="Bob", at=day(20), comment="again"))
        moved = evaluate(connection, project, day(20))
        assert moved is not None
        assert moved.after.stage == "canary"


def test_one_rollout_at_a_time(database: str) -> None:
    """A second challenger waits for the first."""
    project = project_of()
    with psycopg.connect(database) as connection:
        begin(connection, project)
        before = counts(database)
        with pytest.raises(RefusedError, match="under way already"):
            begin(connection, project)
        connection.rollback()
    assert counts(database) == before


def test_a_gradual_rollback_keeps_a_few_leads_and_ends(database: str) -> None:
    """From full: nine leads in ten to the old version for a week, then all of them."""
    project = project_of()
    with psycopg.connect(database) as connection:
        ready(connection)
        n = 4
        while alive(connection, project.name).state.stage != "full":
            evaluate(connection, project, day(n))
            n += 1
            serve(connection, project, day=n, leads=100, rates=(0.2, 0.33))
            assert n < 60
        _, route = act_by_hand(
            connection, project, "roll_back_gradually", Person(name="Bob", at=day(n), comment="sales ask for it")
        )
        assert route is not None
        assert (route.champion, route.challenger, route.share) == ("1", "2", 1_000)
        held = evaluate(connection, project, day(n + 6))
        done = evaluate(connection, project, day(n + 7))
        assert held is not None
        assert done is not None
        assert (held.decision.act, done.after.stage) == ("hold", "rolled_back")


def test_leads_met_before_the_test_are_left_out_of_it(database: str) -> None:
    """A lead of the canary that comes again in the A/B test is no fresh lead: its side was felt before."""
    project = project_of()
    with psycopg.connect(database) as connection:
        ready(connection)
        n = 4
        while alive(connection, project.name).state.stage != "ab_test":
            evaluate(connection, project, day(n))
            n += 1
            serve(connection, project, day=n, leads=100)
            assert n < 60
        before = n - 1  # the last day of the canary; its leads come again
        serve(connection, project, day=n + 1, leads=50)
        ensure_partitions(connection, [(BEGAN + timedelta(days=before + 5)).date()])
        connection.execute(AGAIN, (f"D{before}-%",))
        judged = evaluate(connection, project, day(before + 6))
        assert judged is not None
        trial = judged.evidence.experiment
    assert trial is not None
    assert trial.control.exposed + trial.treatment.exposed == 150
    assert trial.left_out == 100


AGAIN = """
INSERT INTO leadgate.prediction_logs
SELECT gen_random_uuid(), p.scored_at + interval '5 days', p.lead_id, p.model_name, p.model_version, p.variant,
       p.predicted_score, p.priority, p.features, p.latency_ms, p.batch_size, p.request_id,
       (SELECT max(epoch) FROM leadgate.routes), p.shadow_version, p.shadow_score
FROM leadgate.prediction_logs p WHERE p.lead_id LIKE %s
"""
