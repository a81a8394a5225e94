"""The page of alerts: what is out, who was told, who takes care, and whether somebody is there who looks."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import _database
from leadgate.app.jobs import JOBS
from leadgate.leads.worker_rules import Schedule
from leadgate.storage.postgres.alerts import (
    AlertRow,
    ChannelState,
    HistoryRow,
    NewMessage,
    SilenceRow,
    add_alert,
    add_history,
    add_message,
    add_silence,
    mark_delivered,
    undelivered,
)
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.runs import Run, end_run, start_run
from leadgate.views.alert_board import DOES, channel_rows, exactly, headline_of, job_rows, open_alerts, worker_state
from shown import PROJECT, Shown, shown

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
ATTACK = "<script>alert(1)</script>"
WITH_CHANNELS = f"{PROJECT}alerts:\n  channels: [ops, mail]\n"

ALERT = AlertRow(
    alert_id=0,
    model_name="lead-scoring",
    area="drift",
    check_name="feature drift",
    subject="industry",
    cause="data",
    state="firing",
    severity="yellow",
    severity_since=NOW - timedelta(hours=3),
    sentence="KS 0.2 of 0.15",
    opened_at=NOW - timedelta(hours=3),
    raised_by=[604_800.0],
    told_severity=None,
    told_at=None,
    acknowledged_at=None,
    acknowledged_by=None,
    resolved_at=None,
)
RESOLVED = replace(ALERT, state="resolved", resolved_at=NOW - timedelta(hours=1), check_name="AUC", subject="champion")
RUN = Run(
    job_run_id=1,
    job="checks",
    started_at=NOW - timedelta(minutes=5),
    started_by="worker",
    ended_at=NOW - timedelta(minutes=4),
    result="ok",
    sentence="12 findings",
    traceback=None,
)


@pytest.fixture(scope="module")
def filled(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A dashboard with a red alert, a yellow one that mail was told of, a silenced one, and 27 resolved ones."""
    databases = _database(server, template)
    database = next(databases)
    fill(database)
    with shown(tmp_path_factory.mktemp("alerts"), database, NOW, project=WITH_CHANNELS) as made:
        yield made
    next(databases, None)


@pytest.fixture
def site(filled: Shown) -> Shown:
    """The same, its desk not asked yet."""
    filled.desk.asked.clear()
    return filled


def fill(database: str) -> None:
    """Write the alerts down."""
    with connect(database) as connection:
        add_alert(connection, ALERT)
        add_alert(connection, replace(ALERT, subject="company_size", severity="red", sentence=f"{ATTACK} moved"))
        add_alert(connection, replace(ALERT, area="model", check_name="calibration", subject="", cause="model"))
        for i in range(27):
            add_alert(connection, replace(RESOLVED, severity="red" if i == 3 else "yellow"))
        add_history(
            connection,
            HistoryRow(
                alert_id=1,
                happened_at=NOW,
                event="acknowledge",
                state="acknowledged",
                severity="yellow",
                actor="ana",
                comment=f"looking {ATTACK}",
            ),
        )
        add_silence(
            connection,
            "lead-scoring",
            SilenceRow(
                silence_id=0,
                check_pattern="calibration",
                subject_pattern="*",
                since=NOW - timedelta(hours=1),
                until=NOW + timedelta(hours=1),
                reason=f"a move {ATTACK}",
                silenced_by="leo",
                ended_by=None,
            ),
        )
        for channel in ("mail", "ops"):
            add_message(connection, message(channel))
        first = undelivered(connection, "lead-scoring")[0]
        mark_delivered(connection, first.message_no, NOW)


def message(channel: str) -> NewMessage:
    """About alert 1."""
    return NewMessage(
        message_id=f"01900000-0000-7000-8000-00000000000{len(channel)}",
        model_name="lead-scoring",
        channel=channel,
        kind="firing",
        severity="yellow",
        thread="data",
        about=["alert 1"],
        title=f"look {ATTACK}",
        body="",
        written_at=NOW,
    )


def test_open_alerts_say_who_was_told_and_in_whose_care_they_are(site: Shown) -> None:
    """The most urgent first; what nobody is told of says why."""
    page = site.page("/ui/alerts")
    assert "3 alerts are open, 1 of them red; in nobody's care." in page.text
    names = ["feature drift of company_size", "feature drift of industry", "calibration"]
    places = [page.text.index(name) for name in names]
    assert places == sorted(places)
    assert "Told: mail, ops (not arrived)." in page.text
    assert "Silenced until" in page.text
    assert f"leo, 2026-06-02 11:00 UTC : a move {ATTACK}" in page.text
    assert "1 message waits" in page.text


def test_what_people_typed_stays_text(site: Shown) -> None:
    """Reasons, comments and sentences run in nobody's browser."""
    for path in ("/ui/alerts", "/ui/alerts?alert=1", "/ui/alerts?alert=2"):
        page = site.page(path)
        assert ATTACK in page.text
        assert ATTACK not in page.html


def test_one_alert_has_its_history_its_messages_and_its_acts(site: Shown) -> None:
    """All that happened to it, and what can be done."""
    page = site.page("/ui/alerts?alert=1")
    assert "taken into care" in page.text
    assert "looking" in page.text
    assert [f["action"] for f in page.attributes("form")] == ["/ui/act/ack", "/ui/act/silence"]
    assert {"name": "alert", "type": "hidden", "value": "1"}.items() <= page.attributes("input")[1].items()
    assert not site.page("/ui/alerts?alert=4").attributes("form")
    assert "There is no alert 99" in site.page("/ui/alerts?alert=99", 404).text


def test_resolved_alerts_are_paged_and_filtered(site: Shown) -> None:
    """Those of long ago are found, and no alert is on two pages."""
    first, second = site.page("/ui/alerts"), site.page("/ui/alerts?before=6")
    seen = [_resolved(page.html) for page in (first, second)]
    assert seen == [list(range(30, 5, -1)), [5, 4]]
    assert "/ui/alerts?before=6#resolved" in [link.get("href") for link in first.attributes("a")]
    assert _resolved(site.page("/ui/alerts?severity=red").html) == [7]
    assert "No resolved alert fits" in site.page("/ui/alerts?check=uptime").text
    assert "yellow or red" in site.page("/ui/alerts?severity=blue", 404).text


@pytest.mark.parametrize(
    ("act", "fields", "asked"),
    (
        ("ack", {"alert": "1", "reason": "looking"}, ("ack", "--comment=looking", "--", "1")),
        (
            "silence",
            {"check": "latency *", "subject": "", "for": "4h", "reason": "a move"},
            ("silence", "--reason=a move", "--for=4h", "--", "latency *"),
        ),
        ("unsilence", {"silence": "1"}, ("unsilence", "--", "1")),
        ("retry", {}, ("retry",)),
    ),
)
def test_acts_are_the_commands_of_an_operator(
    site: Shown, act: str, fields: dict[str, str], asked: tuple[str, ...]
) -> None:
    """Under the name of who acts; nothing that was typed becomes an option."""
    form = {**fields, "by": "ana", "csrf": _csrf(site)}
    answer = site.client.post(f"/ui/act/{act}", data=form, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/alerts?done={act}")
    assert site.desk.asked == [("alerts", *asked, "by=ana")]


def test_a_silence_is_ended_by_its_number_alone(site: Shown) -> None:
    """A form that was tampered with reaches no command."""
    answer = site.client.post("/ui/act/unsilence", data={"silence": "1 2", "by": "ana", "csrf": _csrf(site)})
    assert answer.status_code == 422
    assert not site.desk.asked


def test_a_failed_job_shows_its_sentence_and_its_traceback(tmp_path: Path, database: str) -> None:
    """An engineer finds why nothing was checked without a terminal; the traceback is text too."""
    with connect(database) as connection:
        for _ in range(2):
            number = start_run(connection, "lead-scoring", "checks", at=NOW, by="worker")
            end_run(connection, number, at=NOW, result="failed", sentence="no disk", traceback=f"File {ATTACK}")
    with shown(tmp_path, database, NOW) as site:
        board, job = site.page("/ui/alerts"), site.page("/ui/alerts?job=checks")
        assert "There is no job" in site.page("/ui/alerts?job=x", 404).text
    assert "failed 2 times in a row" in board.text
    assert "no disk" in board.text
    assert "The worker is not running" in board.text
    assert ATTACK in job.text
    assert ATTACK not in job.html


def test_an_empty_project_says_what_is_missing(tmp_path: Path, database: str) -> None:
    """Nothing is open is not "all is well" while nobody looks."""
    with shown(tmp_path, database, NOW) as site:
        page = site.page("/ui/alerts")
    assert "No alert is open." in page.text
    assert "No worker is running" in page.text
    assert {"standing unknown"} == {
        each["class"] for each in page.attributes("section") if each["id"] == "alerts-standing"
    }
    assert "No channel is named" in page.text
    assert "leadgate worker" in page.text


def test_alerts_that_follow_from_others_and_silenced_ones_are_marked() -> None:
    """Scores that moved follow from features that did; a silence that is over silences nothing."""
    drift = replace(ALERT, alert_id=1, severity="red")
    scores = replace(ALERT, alert_id=2, check_name="score drift", subject="champion", cause="scores", area="scores")
    silence = SilenceRow(
        silence_id=1,
        check_pattern="score *",
        subject_pattern="*",
        since=NOW - timedelta(hours=2),
        until=NOW + timedelta(hours=1),
        reason="x",
        silenced_by="ana",
        ended_by=None,
    )
    found = open_alerts([scores, drift], [silence], {}, NOW)
    assert [(each.row.alert_id, each.folded, each.silenced_until) for each in found] == [
        (1, False, None),
        (2, True, silence.until),
    ]
    assert open_alerts([scores], [silence], {}, silence.until)[0].silenced_until is None


@pytest.mark.parametrize(
    ("rows", "mark", "said"),
    (
        ([], "green", "No alert is open."),
        ([ALERT], "yellow", "1 alert is open; in nobody's care."),
        ([replace(ALERT, severity="red")], "red", "1 alert is open and red; in nobody's care."),
        ([replace(ALERT, acknowledged_by="ana")], "yellow", "1 alert is open; each is in somebody's care."),
        (
            [ALERT, replace(ALERT, severity="red", acknowledged_by="ana")],
            "red",
            "2 alerts are open, 1 of them red; 1 of them in nobody's care.",
        ),
    ),
)
def test_the_headline_counts_what_is_open(rows: list[AlertRow], mark: str, said: str) -> None:
    """A manager reads one sentence."""
    numbered = [replace(row, alert_id=i) for i, row in enumerate(rows)]
    assert headline_of(open_alerts(numbered, [], {}, NOW)) == (mark, said)


def test_channels_say_whether_messages_arrive() -> None:
    """A channel that gave messages up is red, one that has left leadgate.yaml is named while anything is left of it."""
    states = [
        ChannelState(channel="mail", waiting=0, dead=2, delivered_at=NOW, last_error="550"),
        ChannelState(channel="ops", waiting=0, dead=0, delivered_at=NOW, last_error=None),
        ChannelState(channel="old", waiting=1, dead=0, delivered_at=None, last_error="gone"),
        ChannelState(channel="older", waiting=0, dead=0, delivered_at=NOW, last_error=None),
    ]
    found = {row.name: (row.mark, row.says) for row in channel_rows(["mail", "ops", "new"], states)}
    assert found == {
        "mail": ("red", "2 messages given up"),
        "ops": ("green", "all messages have arrived"),
        "new": ("unknown", "nothing was sent yet"),
        "old": ("yellow", "1 message waits; leadgate.yaml has no such channel any more"),
    }


@pytest.mark.parametrize(
    ("run", "failed", "held", "mark", "says"),
    (
        (None, 0, False, "unknown", "never ran"),
        (RUN, 0, False, "green", "done"),
        (replace(RUN, result="refused"), 0, False, "green", "nothing to do"),
        (replace(RUN, result="failed"), 1, False, "yellow", "failed once"),
        (replace(RUN, result="failed"), 4, False, "red", "failed 4 times in a row"),
        (replace(RUN, result=None, ended_at=None), 0, True, "green", "runs now, by worker"),
        (replace(RUN, result=None, ended_at=None), 0, False, "yellow", "did not end: its process died"),
        (replace(RUN, started_at=NOW - timedelta(hours=2)), 0, False, "yellow", "done; overdue"),
    ),
)
def test_a_job_says_how_it_stands(run: Run | None, failed: int, held: bool, mark: str, says: str) -> None:
    """Every quarter of an hour: one that has missed two turns is overdue, whatever its last run came to."""
    runs, names = ({"checks": run} if run else {}), ({"checks"} if held else set())
    (row,) = job_rows({"checks": "*/15 * * * *"}, runs, {"checks": failed}, names, NOW)
    assert (row.mark, row.says) == (mark, says)
    expected = run and {NOW - timedelta(minutes=5): NOW, NOW - timedelta(hours=2): NOW - timedelta(minutes=105)}
    assert row.due_at == (expected[run.started_at] if run and expected else None)


def test_a_worker_that_was_there_and_is_gone_is_red() -> None:
    """One that never was is not known to be wanted."""
    never = job_rows({"checks": None}, {}, {}, set(), NOW)
    once = job_rows({"checks": None}, {"checks": RUN}, {}, set(), NOW)
    by_hand = job_rows({"checks": None}, {"checks": replace(RUN, started_by="ana")}, {}, set(), NOW)
    assert [worker_state(lives=False, jobs=jobs).mark for jobs in (never, once, by_hand)] == [
        "unknown",
        "red",
        "unknown",
    ]
    failing = job_rows({"checks": None}, {"checks": replace(RUN, result="failed")}, {"checks": 1}, set(), NOW)
    assert worker_state(lives=True, jobs=failing).sentence == "The worker is running, but look at checks."
    assert worker_state(lives=True, jobs=once).mark == "green"


def test_every_job_has_words() -> None:
    """A job that is added to the worker is explained on the page."""
    assert set(DOES) == set(Schedule.model_fields) == {job.name for job in JOBS}


@given(st.text(st.sampled_from("ab*?[]!-="), min_size=1, max_size=8), st.text(st.sampled_from("ab*?[]!-="), max_size=8))
def test_silencing_one_subject_silences_no_other(subject: str, other: str) -> None:
    """Names of features and segments may hold what means something in a pattern."""
    assert fnmatchcase(subject, exactly(subject))
    assert fnmatchcase(other, exactly(subject)) == (other == subject)


def _csrf(site: Shown) -> str:
    page = site.page("/ui/alerts")
    return next(str(i["value"]) for i in page.attributes("input") if i.get("name") == "csrf")


def _resolved(html: str) -> list[int]:
    """Numbers of the resolved alerts on a page, in their order."""
    part = html[html.index('id="resolved"') :]
    return [int(piece.split('"')[0]) for piece in part.split('<th scope="row"><a href="/ui/alerts?alert=')[1:]]
