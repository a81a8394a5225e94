"""For how long nobody is told of what (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from leadgate.alerts.states import Alert


@dataclass(frozen=True, kw_only=True)
class Silence:
    """Alerts of which nobody is told for a time. They are moved and recorded all the same."""

    silence_id: int
    check: str
    """A pattern: ``*`` stands for anything."""
    subject: str
    """The same."""
    since: datetime
    until: datetime
    """Exclusive."""

    def covers(self, alert: Alert, now: datetime) -> bool:
        """Whether it keeps an alert from being told now."""
        holds = self.since <= now < self.until
        return holds and fnmatchcase(alert.check, self.check) and fnmatchcase(alert.subject, self.subject)


def silence_of(alert: Alert, silences: Sequence[Silence], now: datetime) -> Silence | None:
    """The silence that keeps an alert from being told; None without one."""
    return next((silence for silence in silences if silence.covers(alert, now)), None)
