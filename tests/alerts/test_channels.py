"""Slack, e-mail, PagerDuty, Teams, webhooks: real messages to fakes on loopback, and no secret anywhere."""

import asyncio
import email
import email.policy
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from apprise.plugins import pagerduty
from apprise.plugins.email.base import NotifyEmail
from apprise.plugins.slack import NotifySlack
from said import NOON, party
from saying import Scene, scene_in

from leadgate.alerts.channels import Channel, _seconds
from leadgate.alerts.messages import Text, with_id
from leadgate.errors import BadConfigError
from leadgate.storage.postgres.alerts import NewMessage

HOUR = timedelta(hours=1)
SECRET = "TIiajkdnlazkcOXrIdevi7FQ"
SLACK = f"slack://T1JJ3T3L2/A1BRTD4JD/{SECRET}/#leads"


def message(kind: str = "firing", severity: str = "red") -> NewMessage:
    """A message about two alerts."""
    number = "0198c0de-0000-7000-8000-000000000001"
    text = Text(title="lead-scoring: red: AUC", body="red: AUC: *fell* <to> 0.6 & on\nLook now.")
    return NewMessage(
        message_id=number,
        model_name="lead-scoring",
        channel="ops",
        kind=kind,
        severity=severity,
        thread="lead-scoring: model",
        about=["alert 1", "alert 2"],
        title=text.title,
        body=with_id(text, number),
        written_at=NOON,
    )


@dataclass
class Mailbox:
    """A mail server: answers each message as told, the last answer for ever."""

    answers: list[str]
    mails: list[EmailMessage] = field(default_factory=list)
    tries: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's
        """Take a message or not."""
        self.tries += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "hang":
            for _ in range(100):
                await asyncio.sleep(0.1)
                if self.closing.is_set():
                    break
            return "451 too late"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return answer


@pytest.fixture
def scene(tmp_path: Path, database: str) -> Scene:
    """A project with no channel."""
    return scene_in(tmp_path, database)


@pytest.fixture
def mailbox(free_port: int) -> Iterator[tuple[Mailbox, str]]:
    """A mail server on loopback and the URL of a channel to it."""
    box = Mailbox(answers=["250 OK"])
    controller = Controller(box, hostname="127.0.0.1", port=free_port)
    controller.start()
    try:
        yield box, f"mailto://127.0.0.1:{free_port}?from=leadgate@example.com&to=ops@example.com"
    finally:
        box.closing.set()
        controller.stop()


def test_slack_gets_the_text_and_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Slack's incoming webhooks want it."""
    with party() as slack:
        monkeypatch.setattr(NotifySlack, "webhook_url", slack.url.replace("json://", "http://"))
        assert Channel("ops", SLACK, 5).send(message()).taken
        (body,) = slack.taken
        assert slack.paths == [f"/hook/T1JJ3T3L2/A1BRTD4JD/{SECRET}"]
        said = str(body)
        assert "lead-scoring: red: AUC" in said
        assert "message 0198c0de-0000-7000-8000-000000000001" in said
        assert "github" not in said  # no pictures of others


def test_a_refusal_says_why_and_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apprise says true or false; we hear the status and Retry-After beside it."""
    with party(429, 500, retry_after="30") as slack:
        monkeypatch.setattr(NotifySlack, "webhook_url", slack.url.replace("json://", "http://"))
        channel = Channel("ops", SLACK, 5)
        refused = channel.send(message())
        assert (refused.taken, refused.asked_s) == (False, 30.0)
        assert "429" in refused.error
        failed = channel.send(message())
        assert (failed.taken, failed.asked_s) == (False, None)
        assert "500" in failed.error


def test_mail_arrives_whole(mailbox: tuple[Mailbox, str]) -> None:
    """Subject, lines as they were written, and the id in a header and in the text."""
    box, url = mailbox
    assert Channel("mail", url, 5).send(message()).taken
    (mail,) = box.mails
    assert mail["Subject"] == "lead-scoring: red: AUC"
    assert mail["X-Leadgate-Message"] == "0198c0de-0000-7000-8000-000000000001"
    html = mail.get_body(("html", "plain"))
    assert html is not None
    text = html.get_content()
    assert "Look now." in text
    assert "message 0198c0de" in text


def test_mail_that_fails_and_hangs_arrives_once_in_the_end(scene: Scene, mailbox: tuple[Mailbox, str]) -> None:
    """Greylisted, then without an answer, then taken; the webhook beside it has it at once."""
    box, url = mailbox
    box.answers = ["451 come back later", "hang", "250 OK"]
    with party() as webhook:
        scene.told_by(mail=url, ops=webhook.url)
        scene.rule(timeout_s=1)
        scene.say({"error rate": "red"})
        assert scene.deliver() == ["ops: lead-scoring: red: error rate"]
        scene.say({"error rate": "green"})
        scene.say({"error rate": "green"})
        assert scene.deliver() == ["ops: lead-scoring: resolved: error rate"]
        for _ in range(3):
            scene.deliver(later=2 * HOUR)
        subjects = [mail["Subject"] for mail in box.mails]
        assert subjects == ["lead-scoring: red: error rate", "lead-scoring: resolved: error rate"]
        assert box.tries == 4


def test_pagerduty_closes_the_incident_that_it_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """One key for all alerts of a cause; only its end resolves."""
    with party() as pager:
        monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", pager.url.replace("json://", "http://"))
        channel = Channel("pager", "pagerduty://ABCDEFGHIJKLMNOPQRST@UVWXYZ0123456789abcd", 5)
        for kind in ("firing", "partly_resolved", "resolved"):
            assert channel.send(message(kind)).taken
        assert [body["event_action"] for body in pager.taken] == ["trigger", "trigger", "resolve"]
        assert {body["dedup_key"] for body in pager.taken} == {"lead-scoring: model"}
        assert [body.get("payload", {}).get("severity") for body in pager.taken] == ["critical", "critical", None]


def ids(texts: Sequence[str]) -> list[str]:
    """The ids of messages, in the order in which they came."""
    return [found for text in texts for found in re.findall(r"message ([0-9a-f-]{36})", text)[:1]]


def test_slack_mail_and_webhook_in_trouble_lose_nothing(
    scene: Scene, mailbox: tuple[Mailbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All three fail, hang and ask for patience, each in its own way, while alerts come and go.

    Each message reaches each of them; twice only where its answer was lost; those of an alert in their order.
    """
    box, url = mailbox
    box.answers = ["451 busy", "250 OK", "hang", "421 closing", "250 OK"]
    with (
        party(429, 200, "drop", 500, "hang", 200, retry_after="60") as slack,
        party("hang", 503, 200, 429, 200, "drop", 200, retry_after="30") as hook,
    ):
        monkeypatch.setattr(NotifySlack, "webhook_url", slack.url.replace("json://", "http://"))
        for kind in (NotifySlack, NotifyEmail):  # their pace would make the test slow
            monkeypatch.setattr(kind, "request_rate_per_sec", 0)
        scene.told_by(chat=SLACK, mail=url, hook=hook.url)
        scene.rule(timeout_s=0.5)
        for said in ("red", "green", "green", "red", "green", "green"):
            scene.say({"error rate": said, "AUC": said})
            scene.deliver()
        for _ in range(8):
            scene.deliver(later=2 * HOUR)
        written = scene.rows("SELECT channel, message_id::text, about FROM leadgate.alert_messages ORDER BY message_no")
        came = {
            "chat": ids([str(body) for body in slack.taken]),
            "hook": ids([str(body) for body in hook.taken]),
            "mail": [str(mail["X-Leadgate-Message"]) for mail in box.mails],
        }
        assert scene.rows("SELECT DISTINCT state FROM leadgate.alert_messages") == [("delivered",)]
        for channel, lost in (("chat", 1), ("hook", 1), ("mail", 0)):
            mine = [number for name, number, _ in written if name == channel]
            assert len(mine) == 8
            assert set(came[channel]) == set(mine)
            assert len(came[channel]) == len(mine) + lost
            for alert in {about for _, _, many in written for about in many}:
                order = [number for name, number, many in written if name == channel and alert in many]
                assert [number for number in dict.fromkeys(came[channel]) if number in order] == order


@pytest.mark.parametrize(
    "url",
    (
        SLACK,
        f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{SECRET}",
        f"mailtos://user:{SECRET}@smtp.example.com?from=a@example.com&to=b@example.com",
        f"workflows://prod-1.westeurope.logic.azure.com:443/643e69f83c8944438d68119179a10a64/{SECRET}",
        f"pagerduty://{SECRET}@UVWXYZ0123456789abcd",
        f"jsons://user:{SECRET}@hooks.example.com/leadgate",
        f"jsons://{SECRET}@hooks.example.com/leadgate",
        f"jsons://hooks.example.com/triggers/{SECRET}/run",
        f"form://{SECRET}@127.0.0.1:8080/{SECRET}?key={SECRET}",
        f"xmls://hooks.example.com/{SECRET}",
    ),
)
def test_what_is_shown_of_a_channel_has_no_secret(url: str) -> None:
    """The parties of the issue are all known, and `alerts test` shows them without their tokens."""
    shown = Channel("ops", url, 5).shown
    assert SECRET not in shown
    assert "://" in shown


@pytest.mark.parametrize("url", (f"nonsense://{SECRET}", f"slack://{SECRET}", f"mailto://{SECRET}@", SECRET))
def test_a_bad_url_is_refused_without_being_shown(
    url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in the sentence, not in a log, not on the terminal."""
    with caplog.at_level(logging.DEBUG), pytest.raises(BadConfigError, match="channel 'ops'") as caught:
        Channel("ops", url, 5)
    out, err = capfd.readouterr()
    assert SECRET not in f"{caught.value}{caplog.text}{out}{err}"


def test_a_failure_shows_no_secret(
    scene: Scene, free_port: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the error that is kept nor a log has the password or the path of a party that is down."""
    scene.told_by(ops=f"json://user:{SECRET}@127.0.0.1:{free_port}/{SECRET}", chat=f"slack://{SECRET}")
    scene.say({"error rate": "red"})
    with caplog.at_level(logging.WARNING):
        assert scene.deliver() == []
    out, err = capfd.readouterr()
    kept = scene.rows("SELECT last_error FROM leadgate.alert_messages ORDER BY 1")
    assert len(kept) == 2
    assert all(row[0] for row in kept)
    assert SECRET not in f"{kept}{caplog.text}{out}{err}"


@pytest.mark.parametrize(
    ("header", "seconds"), (("120", 120.0), ("0", 0.0), ("-5", 0.0), ("soon", None), ("nan", None), (None, None))
)
def test_retry_after_is_read_as_the_standard_has_it(header: str | None, seconds: float | None) -> None:
    """RFC 9110, section 10.2.3; anything else is as if it were not there."""
    assert _seconds(header) == seconds
