"""Messages reach those who are told, whatever they answer and whatever dies: nothing is lost, order is kept."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from said import Party, party, titles, wait_until
from saying import YAML, Scene, scene_in

from leadgate.app.alerting import deliver_alerts, retry, undelivered, update_alerts
from leadgate.app.wire import CONFIG
from leadgate.storage.postgres.rollouts import add_event

HOUR = timedelta(hours=1)
CHECKS = ("error rate", "AUC", "conversion", "freshness", "feature drift")


@pytest.fixture
def scene(tmp_path: Path, database: str) -> Scene:
    """A project with no channel."""
    return scene_in(tmp_path, database)


@pytest.fixture
def webhook() -> Iterator[Party]:
    """It takes everything."""
    with party() as told:
        yield told


def told_everything(scene: Scene, bodies: list[dict[str, str]]) -> None:
    """Each message that was written has arrived, in the order of its alert."""
    written = scene.rows("SELECT message_id::text, about FROM leadgate.alert_messages ORDER BY message_no")
    arrived = [body["id"] for body in bodies]
    assert set(arrived) == {row[0] for row in written}
    firsts = list(dict.fromkeys(arrived))
    for alert in {name for _, about in written for name in about}:
        mine = [number for number, about in written if alert in about]
        assert [number for number in firsts if number in mine] == mine


def test_failures_are_tried_again_until_it_is_taken(scene: Scene) -> None:
    """A party that fails, hangs up and fails again is told in the end: once, since no answer was lost."""
    with party(500, 503, 500, 200) as webhook:
        scene.told_by(ops=webhook.url)
        scene.say({"error rate": "red"})
        for _ in range(3):
            assert scene.deliver() == []
            assert scene.deliver() == []  # not due yet
            (waiting,) = undelivered(scene.home)
            assert "error=50" in (waiting.last_error or "")
            scene.now += HOUR
        assert scene.deliver() == ["ops: lead-scoring: red: error rate"]
        assert len(webhook.got) == 4
        told_everything(scene, webhook.taken)
        assert len(webhook.taken) == 1
        assert undelivered(scene.home) == []


def test_an_answer_that_is_lost_is_the_only_repetition(scene: Scene) -> None:
    """The party took it and hung up: it is sent again, with the same id in the same places."""
    with party("drop", 200) as webhook:
        scene.told_by(ops=webhook.url)
        scene.say({"error rate": "red"})
        assert scene.deliver() == []
        scene.deliver(later=HOUR)
        assert len(webhook.taken) == 2
        assert webhook.taken[0] == webhook.taken[1]
        assert webhook.taken[0]["message"].splitlines()[-1] == f"message {webhook.taken[0]['id']}"


@pytest.mark.parametrize("asked", ("120", "date"))
def test_429_gets_the_patience_that_it_asks_for(scene: Scene, asked: str) -> None:
    """Nothing at all goes to that channel before, and what waited comes in its order after; others do not wait."""
    import email.utils  # noqa: PLC0415
    from datetime import UTC, datetime  # noqa: PLC0415

    after = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
    with party(429, 200, retry_after="120" if asked == "120" else after) as busy, party() as calm:
        scene.told_by(busy=busy.url, calm=calm.url)
        scene.say({"error rate": "red", "AUC": "red", "conversion": "red"})
        assert len(scene.deliver()) == 3
        assert len(calm.taken) == 3
        assert len(busy.got) == 1
        scene.deliver(later=timedelta(seconds=100))
        assert len(busy.got) == 1
        scene.deliver(later=timedelta(seconds=40))
        assert sorted(titles(busy.taken)) == sorted(titles(calm.taken))
        assert len(busy.got) == 4
        assert scene.rows("SELECT count(*) FROM leadgate.alert_messages WHERE state = 'delivered'") == [(6,)]


def test_what_is_written_while_a_channel_asks_for_patience_waits_too(scene: Scene) -> None:
    """A new alert is no reason to knock again; `retry` is, and so is the end of the time."""
    with party(429, 429, 200, retry_after="3000") as busy:
        scene.told_by(ops=busy.url)
        scene.say({"AUC": "red"})
        scene.deliver()
        scene.say({"AUC": "red", "conversion": "red"})
        assert scene.deliver() == []
        assert len(busy.got) == 1
        assert retry(scene.home, "ops") == 1
        scene.deliver()
        assert len(busy.got) == 2
        scene.deliver(later=timedelta(minutes=49))
        assert len(busy.got) == 2
        scene.deliver(later=timedelta(minutes=7))  # chance adds up to a tenth
        assert sorted(titles(busy.taken)) == ["lead-scoring: red: AUC", "lead-scoring: red: conversion"]


def test_a_failure_that_asks_for_no_patience_holds_its_own_message_only(scene: Scene) -> None:
    """A server that answers 500 is tried with the next alert, which may be taken."""
    with party(500, 200) as webhook:
        scene.told_by(ops=webhook.url)
        scene.say({"AUC": "red"})
        scene.deliver()
        put_off(scene, hours=1)
        scene.say({"AUC": "red", "conversion": "red"})
        assert scene.deliver() == ["ops: lead-scoring: red: conversion"]


def test_one_that_hangs_keeps_nobody_else_waiting(scene: Scene) -> None:
    """The other channel has its messages at once; the one that hangs gets them when it is back."""
    with party("hang", "hang", 200) as slow, party() as quick:
        scene.told_by(slow=slow.url, quick=quick.url)
        scene.rule(timeout_s=0.5)
        scene.say({"error rate": "red", "AUC": "red"})
        begun = time.monotonic()
        taken = scene.deliver()
        assert time.monotonic() - begun < 8  # it hangs for ten seconds
        assert sorted(taken) == ["quick: lead-scoring: red: AUC", "quick: lead-scoring: red: error rate"]
        scene.deliver(later=HOUR)
        assert sorted(titles(slow.taken)) == sorted(titles(quick.taken))
        assert len(slow.taken) == 2


def test_one_that_drips_is_left_behind(scene: Scene) -> None:
    """A party whose answer never ends, a byte at a time, outlives every timeout of a socket; the deliverer does not."""
    import socket  # noqa: PLC0415
    import threading  # noqa: PLC0415

    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server, party() as quick:

        def drip() -> None:
            line, _ = server.accept()
            with line:
                line.recv(65_536)
                line.sendall(b"HTTP/1.1 200 OK\r\n")
                while not stop.wait(0.1):
                    line.sendall(b"x")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        scene.told_by(drip=f"json://127.0.0.1:{server.getsockname()[1]}", quick=quick.url)
        scene.rule(timeout_s=0.5)
        scene.say({"error rate": "red"})
        begun = time.monotonic()
        assert scene.deliver() == ["quick: lead-scoring: red: error rate"]
        assert time.monotonic() - begun < 8
        assert [m.channel for m in undelivered(scene.home)] == ["drip"]
        stop.set()
        thread.join()


def test_order_is_kept_for_each_alert_and_others_do_not_wait(scene: Scene) -> None:
    """A message that was refused holds back the next ones of its alert, and no other's."""
    with party(500, 200) as webhook:
        scene.told_by(ops=webhook.url)
        scene.say({"AUC": "red", "conversion": "green"})
        assert scene.deliver() == []
        scene.say({"AUC": "green", "conversion": "red"})
        scene.say({"AUC": "green", "conversion": "red"})
        scene.rows(
            "UPDATE leadgate.alert_messages SET due_at = due_at + interval '2 hours' WHERE attempts > 0 RETURNING 1"
        )
        assert scene.deliver() == ["ops: lead-scoring: red: conversion"]
        scene.deliver(later=3 * HOUR)
        assert titles(webhook.taken) == [
            "lead-scoring: red: conversion",
            "lead-scoring: red: AUC",
            "lead-scoring: resolved: AUC",
        ]
        told_everything(scene, webhook.taken)


def put_off(scene: Scene, **span: float) -> None:
    """Let what failed be tried again later than by itself."""
    with psycopg.connect(scene.url) as connection:
        connection.execute(
            "UPDATE leadgate.alert_messages SET due_at = due_at + %s WHERE attempts > 0 AND state = 'waiting'",
            [timedelta(**span)],
        )


def test_the_end_of_one_alert_does_not_come_after_the_alarm_of_the_next(scene: Scene) -> None:
    """PagerDuty closes by cause: an end that was late would close the incident of an alert that is open."""
    with party(200, 500, 200) as webhook:
        scene.told_by(ops=webhook.url)
        scene.say({"AUC": "red"})
        scene.deliver()
        scene.say({"AUC": "green"})
        scene.say({"AUC": "green"})
        assert scene.deliver() == []
        put_off(scene, hours=1)
        scene.say({"calibration": "red"})
        assert scene.deliver() == []
        scene.deliver(later=3 * HOUR)
        assert titles(webhook.taken) == [
            "lead-scoring: red: AUC",
            "lead-scoring: resolved: AUC",
            "lead-scoring: red: calibration",
        ]


def test_retry_leaves_out_what_a_later_message_has_overtaken(scene: Scene) -> None:
    """An alarm that comes after its end would open an incident that nothing closes; events are each news."""
    with party(500, 500, 500, 500, 200) as webhook:
        scene.told_by(ops=webhook.url)
        scene.rule(attempts=2)
        with psycopg.connect(scene.url) as connection:
            add_event(connection, at=scene.now, kind="k", severity="red", subject="s", message="first", details={})
        scene.say({"AUC": "red"})
        scene.deliver()
        scene.deliver(later=2 * HOUR)
        assert [message.state for message in undelivered(scene.home)] == ["dead", "dead"]
        scene.say({"AUC": "green"})
        scene.say({"AUC": "green"})
        with psycopg.connect(scene.url) as connection:
            add_event(connection, at=scene.now, kind="k", severity="red", subject="s", message="second", details={})
        assert len(scene.deliver()) == 2
        assert retry(scene.home, None) == 1
        assert scene.deliver() == ["ops: lead-scoring: k (s)"]
        assert [message.title for message in undelivered(scene.home)] == ["lead-scoring: red: AUC"]


def test_two_deliverers_send_once(scene: Scene) -> None:
    """Six at once: each message arrives once, in the order of its alert."""
    with party() as webhook:
        scene.told_by(ops=webhook.url)
        for _ in range(4):
            scene.say(dict.fromkeys(CHECKS, "red"))
            scene.say(dict.fromkeys(CHECKS, "green"))
            scene.say(dict.fromkeys(CHECKS, "green"))
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _: deliver_alerts(scene.home), range(6)))
        scene.deliver()
        # Four rounds out and back; freshness follows from the error rate and has no message.
        assert len(webhook.got) == len({body["id"] for body in webhook.got}) == 4 * 2 * (len(CHECKS) - 1)
        told_everything(scene, webhook.taken)


def test_what_a_killed_deliverer_held_another_delivers_later(scene: Scene, tmp_path: Path) -> None:
    """Killed between claim and mark, while the party takes its time: nobody else sends it before the claim ends."""
    with party("hang", 200) as webhook:
        config = "\nalerts: {channels: [ops], timeout_s: 60}\n"
        (tmp_path / CONFIG).write_text(YAML + config)
        scene.told_by(ops=webhook.url)
        scene.say({"error rate": "red"})
        deliverer = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("dying.py")),
                str(tmp_path),
                scene.url,
                scene.now.isoformat(),
            ],
            env={**os.environ, "LEADGATE_ALERT_OPS": webhook.url},
        )
        try:
            wait_until(lambda: webhook.got, 60)
        finally:
            deliverer.send_signal(signal.SIGKILL)
            deliverer.wait()
        assert scene.deliver(later=timedelta(minutes=2)) == []
        assert len(webhook.got) == 1
        assert scene.deliver(later=timedelta(minutes=10)) == ["ops: lead-scoring: red: error rate"]
        assert webhook.got[0]["id"] == webhook.taken[0]["id"]


def test_what_cannot_be_delivered_is_given_up_listed_and_tried_again_by_hand(scene: Scene) -> None:
    """After so many attempts it is dead, and a later one of the alert goes on; `retry` begins anew."""
    with party(404, 404, 404, 200) as webhook:
        scene.told_by(ops=webhook.url)
        scene.rule(attempts=3)
        scene.say({"error rate": "red"})
        for _ in range(5):
            scene.deliver(later=2 * HOUR)
        (dead,) = undelivered(scene.home)
        assert (dead.state, dead.attempts, len(webhook.got)) == ("dead", 3, 3)
        assert "404" in (dead.last_error or "")
        assert retry(scene.home, "ops") == 1
        assert scene.deliver() == ["ops: lead-scoring: red: error rate"]
        assert undelivered(scene.home) == []


def test_a_message_that_kills_its_deliverer_is_given_up(scene: Scene) -> None:
    """Claims that end without a word count as attempts."""
    with party() as webhook:
        scene.told_by(ops=webhook.url)
        scene.rule(attempts=3)
        scene.say({"error rate": "red"})
        scene.rows("""UPDATE leadgate.alert_messages SET attempts = 3, claim = gen_random_uuid(),
            claimed_until = written_at + interval '5 minutes' RETURNING 1""")
        assert scene.deliver(later=HOUR) == []
        assert [m.state for m in undelivered(scene.home)] == ["dead"]
        assert webhook.got == []


def test_a_channel_without_a_url_says_so_and_loses_nothing(scene: Scene) -> None:
    """The message waits, with a sentence, until somebody has set the URL."""
    scene.rule(channels=["ops"])
    scene.say({"error rate": "red"})
    assert scene.deliver() == []
    (waiting,) = undelivered(scene.home)
    assert "LEADGATE_ALERT_OPS" in (waiting.last_error or "")
    with party() as webhook:
        scene.told_by(ops=webhook.url)
        assert scene.deliver(later=HOUR) == ["ops: lead-scoring: red: error rate"]


def test_events_go_the_same_way(scene: Scene, webhook: Party) -> None:
    """What a rollout did is told once, in its order, and marked; what nobody could be told for days is no news."""
    with psycopg.connect(scene.url) as connection:
        for i, age in enumerate((timedelta(days=3), timedelta(minutes=2), timedelta(minutes=1))):
            add_event(
                connection,
                at=scene.now - age,
                kind="rollout.advance",
                severity="green",
                subject="rollout 1",
                message=f"step {i}",
                details={},
            )
    assert scene.deliver() == []
    scene.told_by(ops=webhook.url)
    title = "ops: lead-scoring: rollout advance (rollout 1)"
    assert scene.deliver() == [title, title]
    assert [body["message"].splitlines()[0] for body in webhook.taken] == ["step 1", "step 2"]
    assert scene.deliver() == []
    marked = scene.rows("SELECT delivered_at IS NOT NULL FROM leadgate.events ORDER BY event_id")
    assert marked == [(False,), (True,), (True,)]


def test_events_are_taken_once_by_two(scene: Scene, webhook: Party) -> None:
    """Two deliverers at once write one message of an event."""
    scene.told_by(ops=webhook.url)
    with psycopg.connect(scene.url) as connection:
        for i in range(5):
            add_event(connection, at=scene.now, kind="k", severity="red", subject=f"s{i}", message="m", details={})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: deliver_alerts(scene.home), range(4)))
    scene.deliver()
    assert len(webhook.got) == 5


def test_a_day_of_trouble_loses_nothing(scene: Scene) -> None:
    """Three parties that fail in every way, alerts that come and go, a deliverer each ten minutes."""
    with ExitStack() as stack:
        troubles: list[list[int | str]] = [
            [500, 429, 200, "drop", 503, 200, 200, 429, 200],
            [429, 429, 200, 200, 500, 200],
            [200, "drop", "drop", 200],
        ]
        parties = [stack.enter_context(party(*answers, retry_after="60")) for answers in troubles]
        scene.told_by(**{f"c{i}": p.url for i, p in enumerate(parties)})
        for step in range(24):
            word = "red" if (step // 3) % 2 == 0 else "green"
            other = "red" if (step // 4) % 2 == 0 else "green"
            scene.say({"error rate": word, "AUC": other, "conversion": word})
            scene.deliver()
        for _ in range(6):
            scene.deliver(later=2 * HOUR)
        assert undelivered(scene.home) == []
        written = scene.rows("SELECT channel, message_id::text, about FROM leadgate.alert_messages ORDER BY message_no")
        for i, p in enumerate(parties):
            mine = [row[1] for row in written if row[0] == f"c{i}"]
            arrived = [body["id"] for body in p.taken]
            assert set(arrived) == set(mine)
            lost_answers = troubles_of(i)
            assert len(arrived) == len(mine) + lost_answers
            for alert in {name for row in written for name in row[2]}:
                order = [row[1] for row in written if row[0] == f"c{i}" and alert in row[2]]
                assert [n for n in dict.fromkeys(arrived) if n in order] == order
        assert update_alerts(scene.home).changed == ()


def troubles_of(i: int) -> int:
    """Answers that a party of the test above lost."""
    return (1, 0, 2)[i]
