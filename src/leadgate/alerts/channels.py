"""Slack, e-mail, Teams, PagerDuty, webhooks: the one home of the parties that are told, by way of Apprise.

A URL holds secrets. It is never shown; ``Channel.shown`` is what Apprise itself calls private, and less for webhooks.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from leadgate.alerts.messages import level_word
from leadgate.errors import BadConfigError
from leadgate.storage.postgres.alerts import NewMessage

if TYPE_CHECKING:
    import apprise
    from requests import Response

_SCHEMES = "slack://, mailto://, workflows:// (Teams), pagerduty://, json:// (webhook), https://hooks.slack.com/..."

_WEBHOOKS = frozenset({"NotifyJSON", "NotifyForm", "NotifyXML"})
"""Parties of which Apprise knows nothing: a path or a user's name may be the secret."""
_PACE_S = 1.2
"""Between two messages of a channel at most: what Slack asks for. Apprise's own 5.5 s would make a few mails a run."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of an attempt."""

    taken: bool
    error: str = ""
    """Why not, without any secret."""
    asked_s: float | None = None
    """Seconds of patience that the party asked for (Retry-After); None where it did not, or was not heard."""


@dataclass
class _Heard:
    """What a party answered over HTTP, and what Apprise says of it."""

    status: int | None = None
    retry_after: str | None = None
    warnings: list[str] = field(default_factory=list)


_listening: ContextVar[_Heard | None] = ContextVar("leadgate_alert_answer", default=None)


class Channel:
    """A party that takes messages. One object keeps the pace that its party asks for, so it is used for many."""

    def __init__(self, name: str, url: str, timeout_s: float) -> None:
        """Read a URL of Apprise. Raises BadConfigError, which does not show it."""
        self.name = name
        self._plugin = _plugin_of(name, url)
        self._plugin.socket_connect_timeout = min(self._plugin.socket_connect_timeout, timeout_s)
        self._plugin.socket_read_timeout = timeout_s
        self._plugin.request_rate_per_sec = min(self._plugin.request_rate_per_sec, _PACE_S)

    @property
    def shown(self) -> str:
        """The URL without its secrets."""
        shown = str(self._plugin.url(privacy=True)).split("?", 1)[0]
        return _without_secrets(shown) if type(self._plugin).__name__ in _WEBHOOKS else shown

    def send(self, message: NewMessage) -> Sent:
        """Give a message to the party, and wait until it is taken or refused."""
        import apprise  # noqa: PLC0415  # slow, and no command but a few tells anybody

        _fit(self._plugin, message)
        teller = apprise.Apprise(asset=_asset())
        teller.add(self._plugin)
        with _heard() as answer:
            taken = teller.notify(
                title=message.title,
                body=message.body,
                notify_type=_type_of(message),
                body_format=apprise.NotifyFormat.TEXT,
            )
        if taken:
            return Sent(taken=True)
        return Sent(taken=False, error=_why(answer), asked_s=_seconds(answer.retry_after))


def _without_secrets(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}"


def _plugin_of(name: str, url: str) -> Any:
    import apprise  # noqa: PLC0415

    _listen()
    plugin = apprise.Apprise.instantiate(url, asset=_asset())
    if plugin is None:
        raise BadConfigError(
            f"The URL of channel {name!r} is none that Apprise knows, or lacks a part (it is not shown here, for it "
            f"holds secrets). Known are {_SCHEMES} and a hundred others: https://appriseit.com/services/."
        )
    return plugin


def _asset() -> "apprise.AppriseAsset":
    """In our name, without pictures of others, in this thread."""
    import apprise  # noqa: PLC0415

    return apprise.AppriseAsset(
        app_id="Leadgate",
        app_desc="Leadgate",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        secure_logging=True,
        service_timeout=0,
        storage_mode="memory",
    )


def _fit(plugin: Any, message: NewMessage) -> None:
    """Give the parties that have a place for them the message's id, and what opens and closes the same incident."""
    kind = type(plugin).__name__
    if kind in ("NotifyJSON", "NotifyForm"):
        own = {
            "id": message.message_id,
            "thread": message.thread,
            "kind": message.kind,
            "severity": message.severity,
            "about": ",".join(message.about),
            "written_at": message.written_at.astimezone(UTC).isoformat(),
        }
        plugin.payload_extras.update(own)
    elif kind == "NotifyPagerDuty":
        plugin.dedup = message.thread
        plugin.action = "map"
    elif kind == "NotifyEmail":
        plugin.headers["X-Leadgate-Message"] = message.message_id


def _type_of(message: NewMessage) -> Any:
    import apprise  # noqa: PLC0415

    if message.kind == "resolved":
        return apprise.NotifyType.SUCCESS
    level = level_word(message.severity, message.kind)
    return {
        "green": apprise.NotifyType.INFO,
        "yellow": apprise.NotifyType.WARNING,
        "red": apprise.NotifyType.FAILURE,
    }[level]


def _why(answer: _Heard) -> str:
    """Why a message was not taken; Apprise's own words name hosts at most."""
    told = answer.warnings[-1] if answer.warnings else "it was not taken, and nobody said why"
    status = f" (HTTP {answer.status})" if answer.status is not None and str(answer.status) not in told else ""
    return f"{told}{status}"[:500]


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds, given as such or as a date (RFC 9110, 10.2.3); None for anything else."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(0.0, seconds) if seconds == seconds else None  # noqa: PLR0124  # not a number


class _Ears(logging.Filter):
    """Takes what Apprise warns of to whoever is sending, and lets nothing into a log: it may show parts of a URL."""

    def filter(self, record: logging.LogRecord) -> bool:
        heard = _listening.get()
        if heard is not None and record.levelno >= logging.WARNING:
            heard.warnings.append(record.getMessage())
        return False


@contextmanager
def _heard() -> Iterator[_Heard]:
    """What is answered over HTTP meanwhile."""
    _listen()
    heard = _Heard()
    token = _listening.set(heard)
    try:
        yield heard
    finally:
        _listening.reset(token)


def _listen() -> None:
    """Hear the answers that Apprise keeps to itself.

    It gives no status and no Retry-After back, only true or false, so we look at each answer as requests returns it,
    in the context of our own messages alone. Nothing is changed.
    """
    import requests  # noqa: PLC0415

    if getattr(requests.Session.send, "heard", False):
        return
    logging.getLogger("apprise").addFilter(_Ears())
    send = requests.Session.send

    def listening(self: requests.Session, *args: Any, **kwargs: Any) -> "Response":
        answer = send(self, *args, **kwargs)
        heard = _listening.get()
        if heard is not None:
            heard.status, heard.retry_after = answer.status_code, answer.headers.get("Retry-After")
        return answer

    listening.heard = True  # type: ignore[attr-defined]
    requests.Session.send = listening  # type: ignore[method-assign]
