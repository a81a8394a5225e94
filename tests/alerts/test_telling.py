"""Alerts through the database: what checks say, and what people are told of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from said import Party, party, titles
from saying import Scene, scene_in

from leadgate.app.alerting import acknowledge_alert, silence, unsilence, update_alerts
from leadgate.leads.alert_rules import AlertRules
from leadgate.records import Route
from leadgate.storage.postgres.routes import add_route, present_route
from leadgate.storage.postgres.upkeep import drop_messages

HOUR = timedelta(hours=1)


@pytest.fixture
def scene(tmp_path: Path, database: str) -> Scene:
    """A project with no channel."""
    return scene_in(tmp_path, database)


@pytest.fixture
def webhook() -> Iterator[Party]:
    """It takes everything."""
    with party() as told:
        yield told


@pytest.fixture
def told(scene: Scene, webhook: Party) -> Party:
    """A webhook that is told of everything."""
    scene.told_by(ops=webhook.url)
    return webhook


def news(scene: Scene, told: Party) -> list[str]:
    """Titles of what has arrived since the last look."""
    before = len(told.taken)
    scene.deliver()
    return [title.removeprefix("lead-scoring: ") for title in titles(told.taken[before:])]


def test_the_same_is_told_once_and_its_end_once(scene: Scene, told: Party) -> None:
    """A fire, a hundred runs in which nothing changes, an end: two messages, with the same alert in both."""
    heard = []
    for said in ["red"] * 10 + ["unknown"] * 3 + ["green"] * 10:
        scene.say({"error rate": said})
        heard += news(scene, told)
    assert heard == ["red: error rate", "resolved: error rate"]
    assert [body["about"] for body in told.taken] == ["alert 1", "alert 1"]
    assert [body["type"] for body in told.taken] == ["failure", "success"]
    assert "error rate is red" in told.taken[0]["message"]


def test_updating_twice_changes_nothing(scene: Scene, told: Party) -> None:
    """A job that runs again finds that all is done."""
    scene.say({"error rate": "red"})
    assert update_alerts(scene.home).changed == ()
    assert news(scene, told) == ["red: error rate"]


def test_two_updates_at_once_move_once(scene: Scene, told: Party) -> None:
    """One alert, one event, one message."""
    scene.say({"error rate": "green"})
    scene.say_only({"error rate": "red", "AUC": "red"})
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: update_alerts(scene.home).changed, range(6)))
    assert sorted(len(changed) for changed in done) == [0, 0, 0, 0, 0, 2]
    assert scene.rows("SELECT count(*) FROM leadgate.alerts") == [(2,)]
    assert sorted(news(scene, told)) == ["red: AUC", "red: error rate"]


def test_a_yellow_is_told_as_yellow_and_again_when_it_becomes_red(scene: Scene, told: Party) -> None:
    """Worse is news; not as bad is none."""
    heard = []
    for said in ("yellow", "yellow", "yellow", "red", "yellow", "yellow", "yellow", "red"):
        scene.say({"AUC": said})
        heard.append(news(scene, told))
    assert heard == [[], ["yellow: AUC"], [], ["red: AUC"], [], [], [], ["red: AUC"]]


@pytest.mark.parametrize(("severity", "hours"), (("red", 4), ("yellow", 24)))
def test_reminders_come_at_their_time(scene: Scene, told: Party, severity: str, hours: int) -> None:
    """After four hours of red and a day of yellow, and again; not once it is acknowledged, but when it gets worse."""
    scene.say({"AUC": severity})
    scene.say({"AUC": severity})
    assert news(scene, told) == [f"{severity}: AUC"]
    scene.now += (hours - 1) * HOUR
    scene.say({"AUC": severity})
    assert news(scene, told) == []
    for _ in range(2):
        scene.now += hours * HOUR
        scene.say({"AUC": severity})
        assert news(scene, told) == [f"still {severity}: AUC"]
    acknowledge_alert(scene.home, 1, comment="I look at it")
    scene.now += 3 * hours * HOUR
    scene.say({"AUC": severity})
    assert news(scene, told) == []
    if severity == "yellow":
        scene.say({"AUC": "red"})
        assert news(scene, told) == ["red: AUC"]
    scene.say({"AUC": "green"})
    scene.say({"AUC": "green"})
    assert news(scene, told) == ["resolved: AUC"]


def test_one_cause_is_one_message(scene: Scene, told: Party) -> None:
    """Five drifted features and missing values are the data; a sixth is told later, and the five not again."""
    drifted: dict[str | tuple[str, str], str] = {("feature drift", f"f{i}"): "red" for i in range(5)}
    scene.say({**drifted, ("missing values", "f1"): "red"})
    assert news(scene, told) == ["red: feature drift, missing values"]
    assert all(f"feature drift of f{i}" in told.taken[0]["message"] for i in range(5))
    scene.say({**drifted, ("missing values", "f1"): "red", ("feature drift", "f5"): "red"})
    assert news(scene, told) == ["red: feature drift"]
    assert "feature drift of f5" in told.taken[1]["message"]
    assert "feature drift of f4" not in told.taken[1]["message"]  # "f4" alone may be in the message's id


def test_what_follows_from_a_dead_service_is_in_its_message(scene: Scene, told: Party) -> None:
    """Freshness and volume fold; when the service is back and they are not, they are told."""
    scene.say({"uptime": "red", "freshness": "red", "volume": "red", "AUC": "green"})
    assert news(scene, told) == ["red: uptime"]
    assert "Follows from it: freshness, volume." in told.taken[0]["message"]
    scene.now += 5 * HOUR
    scene.say({"uptime": "red", "freshness": "red", "volume": "red"})
    assert news(scene, told) == ["still red: uptime"]
    scene.say({"uptime": "green", "freshness": "red", "volume": "green"})
    assert news(scene, told) == []
    scene.say({"uptime": "green", "freshness": "red", "volume": "green"})
    assert sorted(news(scene, told)) == ["red: freshness", "resolved: uptime"]


def test_several_metrics_at_once_are_red(scene: Scene, told: Party) -> None:
    """The plan's ladder: one metric out is yellow, two are red, and the message says why."""
    scene.say({"AUC": "yellow", "conversion": "green"})
    scene.say({"AUC": "yellow", "conversion": "yellow"})
    assert news(scene, told) == ["yellow: AUC"]
    scene.say({"AUC": "yellow", "conversion": "yellow"})
    assert news(scene, told) == ["red: conversion"]
    assert "several metrics are out at once: AUC, conversion" in told.taken[1]["message"]
    scene.rule(several=None)
    scene.say({"AUC": "yellow", "conversion": "green", "error rate": "yellow"})
    scene.say({"AUC": "yellow", "conversion": "green", "error rate": "yellow"})
    assert sorted(news(scene, told)) == ["resolved: conversion", "yellow: error rate"]


def test_an_incident_is_over_with_its_last_alert(scene: Scene, told: Party) -> None:
    """While another alert of the cause is open, its end is said to be a part of it."""
    scene.say({("feature drift", "a"): "red", ("feature drift", "b"): "red"})
    scene.say({("feature drift", "a"): "green", ("feature drift", "b"): "red"})
    scene.say({("feature drift", "a"): "green", ("feature drift", "b"): "green"})
    scene.say({("feature drift", "a"): "green", ("feature drift", "b"): "green"})
    assert news(scene, told) == [
        "red: feature drift",
        "partly resolved: feature drift",
        "resolved: feature drift",
    ]
    assert [body["type"] for body in told.taken] == ["failure", "failure", "success"]
    assert len({body["thread"] for body in told.taken}) == 1


def test_an_alert_that_fires_keeps_the_incident_open_that_another_leaves(scene: Scene, told: Party) -> None:
    """The latency goes out in the run that clears the error rate: the last word about the service is not "resolved"."""
    scene.say({"error rate": "red", "latency p99": "green"})
    scene.say({"error rate": "green", "latency p99": "green"})
    scene.say({"error rate": "green", "latency p99": "red"})
    assert news(scene, told) == ["red: error rate", "red: latency p99", "partly resolved: error rate"]
    assert "Still out: latency p99." in told.taken[-1]["message"]
    scene.say({"error rate": "green", "latency p99": "green"})
    scene.say({"error rate": "green", "latency p99": "green"})
    assert news(scene, told) == ["resolved: latency p99"]


def test_what_is_worse_than_its_cause_is_told(scene: Scene, told: Party) -> None:
    """Drift that somebody took for harmless does not hide that the scores went red."""
    scene.rule(several=None)
    drifted: dict[str | tuple[str, str], str] = {("feature drift", "age"): "yellow"}
    for _ in range(2):
        scene.say({**drifted, "score drift": "green"})
    acknowledge_alert(scene.home, 1, comment="known, and harmless")
    assert news(scene, told) == ["yellow: feature drift"]
    for _ in range(2):
        scene.say({**drifted, "score drift": "yellow"})
    assert news(scene, told) == []
    scene.say({**drifted, "score drift": "red"})
    assert news(scene, told) == ["red: score drift"]


def test_a_silence_keeps_quiet_to_its_end(scene: Scene, told: Party) -> None:
    """Nobody is told meanwhile; what is still out when it ends is told then, what is over never."""
    silence(scene.home, "error *", "*", until=scene.now + 2 * HOUR, reason="a move of the database")
    scene.say({"error rate": "red", "AUC": "red"})
    assert news(scene, told) == ["red: AUC"]
    scene.now += HOUR
    scene.say({"error rate": "red", "AUC": "red"})
    assert news(scene, told) == []
    scene.now += HOUR
    scene.say({"error rate": "red", "AUC": "red"})
    assert news(scene, told) == ["red: error rate"]
    quiet = silence(scene.home, "freshness", "*", until=scene.now + HOUR, reason="again")
    for said in ("red", "green", "green"):
        scene.say({"freshness": said, "error rate": "red", "AUC": "red"})
    unsilence(scene.home, quiet)
    scene.say({"freshness": "green", "error rate": "red", "AUC": "red"})
    assert news(scene, told) == []


def test_what_follows_from_a_silenced_alert_is_silent(scene: Scene, told: Party) -> None:
    """A planned downtime needs one silence, not four."""
    silence(scene.home, "uptime", "*", until=scene.now + 2 * HOUR, reason="a new server")
    scene.say({"uptime": "red", "freshness": "red", "volume": "red"})
    assert news(scene, told) == []


def test_each_level_has_its_channels_and_the_end_goes_where_the_alarm_went(scene: Scene, webhook: Party) -> None:
    """Yellow to one, red to another; both are told that it is over."""
    scene.told_by(mail=webhook.url, pager=webhook.url)
    scene.rule(routes={"yellow": ["mail"], "red": ["pager"]})
    taken = []
    for said in ("yellow", "yellow", "red", "green", "green"):
        scene.say({"AUC": said})
        taken += scene.deliver()
    assert taken[:2] == ["mail: lead-scoring: yellow: AUC", "pager: lead-scoring: red: AUC"]
    assert sorted(taken[2:]) == ["mail: lead-scoring: resolved: AUC", "pager: lead-scoring: resolved: AUC"]


def test_an_incident_is_closed_wherever_it_was_opened(scene: Scene, webhook: Party) -> None:
    """The pager heard of the red alert alone, whose end was a part; the last alert of the cause went to mail only."""
    scene.told_by(mail=webhook.url, pager=webhook.url)
    scene.rule(routes={"yellow": ["mail"], "red": ["pager"]}, several=None)
    taken = []
    for auc, calibration in (
        ("red", "green"),
        ("red", "yellow"),
        ("red", "yellow"),
        ("green", "yellow"),
        ("green", "yellow"),
        ("green", "green"),
        ("green", "green"),
        ("green", "green"),
    ):
        scene.say({"AUC": auc, "calibration": calibration})
        taken += [title.replace("lead-scoring: ", "") for title in scene.deliver()]
    assert taken[:3] == ["pager: red: AUC", "mail: yellow: calibration", "pager: partly resolved: AUC"]
    assert sorted(taken[3:]) == ["mail: resolved: calibration", "pager: resolved: calibration"]


def test_the_end_of_an_old_alert_is_told(scene: Scene, told: Party) -> None:
    """Old messages are dropped; those by which an open alert knows whom to tell of its end stay until then."""

    def drop() -> int:
        with scene.home.connection() as connection:
            return drop_messages(connection, "lead-scoring", before=scene.now - timedelta(days=90))

    scene.say({"AUC": "red"})
    assert news(scene, told) == ["red: AUC"]
    acknowledge_alert(scene.home, 1, comment="a new model is trained")
    scene.now += timedelta(days=100)
    assert drop() == 0
    for said in ("red", "green", "green"):
        scene.say({"AUC": said})
    assert news(scene, told) == ["resolved: AUC"]
    assert drop() == 1


def test_without_a_channel_alerts_are_kept_and_told_once_there_is_one(scene: Scene, webhook: Party) -> None:
    """Nobody was told, so nobody is taken to know."""
    scene.say({"error rate": "red"})
    assert scene.deliver() == []
    assert scene.rows("SELECT told_at FROM leadgate.alerts") == [(None,)]
    scene.told_by(ops=webhook.url)
    scene.say({"error rate": "red"})
    assert scene.deliver() == ["ops: lead-scoring: red: error rate"]


def test_windows_that_disagree_are_one_alert(scene: Scene, told: Party) -> None:
    """Red in a day and green in a week is red; it ends with the day's."""
    scene.say({"AUC": "green"}, days=7)
    scene.say({"AUC": "red"}, days=1)
    scene.say({"AUC": "green"}, days=7)
    scene.say({"AUC": "green"}, days=7)
    assert news(scene, told) == ["red: AUC"]
    scene.say({"AUC": "green"}, days=1)
    assert scene.say({"AUC": "green"}, days=1) == ["clear AUC"]


def test_a_window_that_is_run_no_more_counts_no_longer(scene: Scene, told: Party) -> None:
    """Somebody's look at thirty days does not keep an alert for ever, once a day has passed and others went on."""
    scene.say({"AUC": "red"}, days=30)
    assert news(scene, told) == ["red: AUC"]
    for _ in range(3):
        assert scene.say({"AUC": "green"}) == []
    scene.now += 24 * HOUR
    assert scene.say({"AUC": "green"}) == []
    assert scene.say({"AUC": "green"}) == ["clear AUC"]


def test_days_without_a_worker_end_no_alert(scene: Scene, told: Party) -> None:
    """The first run after them finds the day's window old; it was not given up, its run only comes a little later."""
    for _ in range(2):
        scene.say({"conversion": "red"}, days=1)
        scene.now += 23 * HOUR
        for _ in range(3):
            scene.say({"conversion": "green"})
    scene.now += 36 * HOUR
    assert scene.say({"conversion": "green"}) == []
    assert scene.say({"conversion": "red"}, days=1) == []
    heard = news(scene, told)
    assert heard.count("red: conversion") == 1
    assert "resolved: conversion" not in heard


def route(scene: Scene, champion: str, challenger: str | None) -> None:
    """Put a route in force."""
    with scene.home.connection() as connection:
        present = present_route(connection, "lead-scoring")
        put = Route(
            model_name="lead-scoring",
            epoch=present.epoch + 1 if present else 1,
            stage="canary" if challenger else "full",
            champion=champion,
            champion_digest=f"digest {champion}",
            challenger=challenger,
            challenger_digest=f"digest {challenger}" if challenger else None,
            share=1_000 if challenger else 0,
            salt="s",
            changed_at=scene.now,
            changed_by="Ada",
            reason="test",
        )
        add_route(connection, put)


@pytest.mark.parametrize("arm", ("champion", "challenger"))
def test_who_comes_after_a_version_has_alerts_of_its_own(scene: Scene, told: Party, arm: str) -> None:
    """Neither the alert nor the readings of the one that left hide, or colour, what the next one shows."""
    route(scene, "1", None)
    scene.now += HOUR
    route(scene, "1", "2")
    said: dict[tuple[str, str], str] = {("score drift", arm): "red", ("AUC", ""): "green"}
    assert scene.say(said, days=1) == ["fire score drift"]
    scene.say(said)
    scene.now += HOUR
    route(scene, *(("2", None) if arm == "champion" else ("1", "3")))
    began = scene.now
    assert scene.say(said) == ["retire score drift", "fire score drift"]
    ((opened, since),) = scene.rows("SELECT opened_at, severity_since FROM leadgate.alerts WHERE resolved_at IS NULL")
    assert began < opened == since
    good = {**said, ("score drift", arm): "green"}
    assert [scene.say(good), scene.say(good)] == [[], ["clear score drift"]]
    assert "resolved: score drift" in news(scene, told)


def test_the_alert_of_a_challenger_that_left_ends_at_once(scene: Scene) -> None:
    """Whatever the day's run had last said of it."""
    route(scene, "1", None)
    scene.now += HOUR
    route(scene, "1", "2")
    scene.say({("score drift", "challenger"): "red"}, days=1)
    scene.now += HOUR
    route(scene, "1", None)
    assert scene.say({"AUC": "green"}) == ["retire score drift"]
    assert scene.say({"AUC": "green"}) == []


def test_a_subject_that_left_is_judged_no_more(scene: Scene, told: Party) -> None:
    """The alert of a challenger that was taken back does not stay open for ever."""
    scene.say({("score drift", "challenger"): "red", ("AUC", ""): "green"})
    assert scene.say({"AUC": "green"}) == []
    assert scene.say({"AUC": "green"}) == ["retire score drift"]
    assert news(scene, told) == ["red: score drift", "resolved: score drift"]


def test_another_models_checks_are_not_ours(scene: Scene) -> None:
    """Two projects share a database."""
    scene.say({"AUC": "green"})
    scene.say_only({"AUC": "red"}, model="other")
    assert update_alerts(scene.home).changed == ()


def test_rules_that_name_no_channel_are_refused() -> None:
    """A misspelt route would tell nobody."""
    with pytest.raises(ValueError, match=r"routes.red names 'opps', which is no channel \(channels: ops\)"):
        AlertRules.model_validate({"channels": ["ops"], "routes": {"red": ["opps"]}})


def test_history_cannot_be_changed(scene: Scene) -> None:
    """What happened to an alert stays as it was written."""
    scene.say({"AUC": "red"})
    for change in ("UPDATE leadgate.alert_history SET comment = ''", "DELETE FROM leadgate.alert_history"):
        with pytest.raises(Exception, match="append-only"):
            scene.rows(change)
