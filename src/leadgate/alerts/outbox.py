"""Delivers what waits in the outbox: claimed, sent, then marked.

A message is sent again where its sender died before it could mark it: at least once. Its id is in it, so that whoever
takes it can tell. Messages of a channel that are about the same alert go out in their order. While one is sent no
connection is held: a party may take as long as it likes.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
import uuid_utils

from leadgate.alerts.backoff import wait_after
from leadgate.alerts.channels import Sent
from leadgate.leads.alert_rules import AlertRules
from leadgate.storage.postgres.alerts import (
    Message,
    NewMessage,
    bury_messages,
    channels_waiting,
    claim_message,
    hold_channel,
    mark_delivered,
    mark_failed,
    settle_events,
)
from leadgate.storage.postgres.connection import Connection

_LEASE = timedelta(minutes=5)
"""For which a message is its deliverer's; longer than any attempt takes."""
_MOST = 50
"""Messages of a channel in one go."""
_TIMEOUTS = 3.0
"""A channel gets so many times the timeout of one message; then others are not kept waiting any longer."""
_HANGING = 3
"""Threads of a channel that may hang at a time: one that was left behind does not silence its channel."""

_alive: dict[tuple[str, str, str], list[threading.Thread]] = {}
"""By database, model and channel: what delivers to it, those that were left behind among them."""
_gate = threading.Lock()


class Sender(Protocol):
    """Gives a message to a party."""

    def send(self, message: NewMessage) -> Sent:
        """Whether it was taken."""
        ...


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What became of a message."""

    message_id: str
    channel: str
    title: str
    taken: bool
    dead: bool = False
    """Given up."""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Post:
    """What a delivery needs."""

    model_name: str
    rules: AlertRules
    connect: Callable[[], AbstractContextManager[Connection]]
    sender: Callable[[str], Sender]
    """Of a channel by name. Raises LeadgateError where the channel cannot be reached at all."""
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    """Seconds that no clock of a test moves."""


def deliver(post: Post) -> list[Attempt]:
    """Send everything that is due; gives what was tried.

    1. Give up what was tried too often.
    2. Let each channel with something due have a thread of its own: one that hangs keeps nobody waiting. None for a
       channel at which several hang already.
    3. Wait for them, and no longer than a few timeouts; what hangs on is somebody else's once its lease has ended.
    4. Mark the events of which somebody was told.
    """
    now = post.clock()
    with post.connect() as connection:
        bury_messages(connection, post.model_name, attempts=post.rules.attempts, now=now)
        channels, where = channels_waiting(connection, post.model_name, now), connection.info.dsn
    done: Mapping[str, list[Attempt]] = {channel: [] for channel in channels}
    failed: list[Exception] = []
    threads = [
        _start((where, post.model_name, channel), _drain, post, channel, done[channel], failed) for channel in channels
    ]
    _wait([thread for thread in threads if thread], (_TIMEOUTS + 2) * post.rules.timeout_s, post.monotonic)
    if failed:
        raise failed[0]
    with post.connect() as connection:
        settle_events(connection, post.clock())
    return [attempt for channel in channels for attempt in list(done[channel])]


def _start(key: tuple[str, str, str], target: Callable[..., None], *given: object) -> threading.Thread | None:
    """Begin to deliver to a channel; None where as many threads hang at it as may."""
    with _gate:
        alive = _alive[key] = [thread for thread in _alive.get(key, []) if thread.is_alive()]
        if len(alive) >= _HANGING:
            return None
        thread = threading.Thread(target=target, args=given, name=f"alerts-{key[-1]}", daemon=True)
        thread.start()
        alive.append(thread)
        return thread


def _wait(threads: Sequence[threading.Thread], patience_s: float, monotonic: Callable[[], float]) -> None:
    end = monotonic() + patience_s
    for thread in threads:
        thread.join(max(0.0, end - monotonic()))


def _drain(post: Post, channel: str, done: list[Attempt], failed: list[Exception]) -> None:
    """Send the messages of a channel; what stops it (a database that is gone) is raised where all are waited for."""
    try:
        _send_due(post, channel, done)
    except Exception as error:  # noqa: BLE001
        failed.append(error)


def _send_due(post: Post, channel: str, done: list[Attempt]) -> None:
    """One after the other, until none is due or the channel's time is over."""
    end = post.monotonic() + _TIMEOUTS * post.rules.timeout_s
    rng = np.random.default_rng()
    sender: Sender | None = None
    while len(done) < _MOST and post.monotonic() < end:
        claim, now = str(uuid_utils.uuid4()), post.clock()
        with post.connect() as connection:
            until = now + _lease(post.rules)
            message = claim_message(connection, post.model_name, channel, claim=claim, now=now, until=until)
        if message is None:
            return
        sender, sent = _send(post, sender, message)
        with post.connect() as connection:
            attempt = _mark(connection, post, message, claim, sent, rng)
        done.append(attempt)


def _send(post: Post, sender: Sender | None, message: Message) -> tuple[Sender | None, Sent]:
    """One attempt; whatever goes wrong in it is a failed one."""
    try:
        sender = sender or post.sender(message.channel)
        return sender, sender.send(message)
    except Exception as error:  # noqa: BLE001  # a party's library may raise anything, and no message may be lost by it
        return sender, Sent(taken=False, error=_told(error))


def _told(error: Exception) -> str:
    from leadgate.errors import LeadgateError  # noqa: PLC0415

    # Other libraries' errors may quote a URL, and with it a secret.
    return str(error) if isinstance(error, LeadgateError) else f"it failed with {type(error).__name__}"


def _mark(  # noqa: PLR0917  # private
    connection: Connection, post: Post, message: Message, claim: str, sent: Sent, rng: np.random.Generator
) -> Attempt:
    now = post.clock()
    dead = not sent.taken and message.attempts >= post.rules.attempts
    if sent.taken:
        mark_delivered(connection, message.message_no, now)
    else:
        due_at = now + wait_after(message.attempts, rng, asked_s=sent.asked_s)
        mark_failed(connection, message.message_no, claim=claim, now=now, due_at=due_at, error=sent.error, dead=dead)
        if sent.asked_s is not None:
            hold_channel(connection, post.model_name, message.channel, due_at)
    return Attempt(
        message_id=message.message_id,
        channel=message.channel,
        title=message.title,
        taken=sent.taken,
        dead=dead,
        error=sent.error,
    )


def _lease(rules: AlertRules) -> timedelta:
    return max(_LEASE, timedelta(seconds=2 * (_TIMEOUTS + 2) * rules.timeout_s))
