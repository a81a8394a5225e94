"""A project whose checks say what a test lets them say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from said import NOON, QUARTER, say

from leadgate.app.alerting import deliver_alerts, update_alerts
from leadgate.app.settings import Settings
from leadgate.app.wire import CONFIG, Home
from leadgate.leads.alert_rules import AlertRules

Said = Mapping[str | tuple[str, str], str] | Mapping[str, str] | Mapping[tuple[str, str], str]

YAML = """
name: lead-scoring
lead:
  id: lead_id
  target: converted
  features: {size: {type: numeric}}
"""


@dataclass
class Scene:
    """A home with a clock that a test moves, and channels that it names."""

    folder: Path
    url: str
    now: datetime = NOON
    rules: AlertRules = field(default_factory=AlertRules)
    channels: dict[str, str] | None = None

    @property
    def home(self) -> Home:
        """The project as it is now."""
        home = Home(self.folder, Settings(database_url=self.url, author="Ada", alert_channels=self.channels))
        home.__dict__["project"] = home.project.model_copy(update={"alerts": self.rules})
        return _clocked(home, self)

    def told_by(self, **channels: str) -> None:
        """Name channels."""
        self.channels = channels
        self.rules = AlertRules.model_validate({**self.rules.model_dump(), "channels": tuple(channels)})

    def rule(self, **rules: Any) -> None:
        """Change rules."""
        self.rules = AlertRules.model_validate({**self.rules.model_dump(), **rules})

    def say_only(self, said: Said, *, days: float = 7, model: str = "lead-scoring") -> None:
        """A run of checks, a quarter of an hour later."""
        self.now += QUARTER
        with psycopg.connect(self.url) as connection:
            say(connection, self.now, said, days=days, model=model)

    def say(self, said: Said, *, days: float = 7) -> list[str]:
        """A run of checks and the update after it; gives the events."""
        self.say_only(said, days=days)
        return [f"{c.event} {c.alert.check}" for c in update_alerts(self.home).changed]

    def deliver(self, *, later: timedelta = timedelta(0)) -> list[str]:
        """Deliver what is due; gives the channels and titles of what was taken."""
        self.now += later
        return [f"{a.channel}: {a.title}" for a in deliver_alerts(self.home) if a.taken]

    def rows(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """What the database has."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()


def _clocked(home: Home, scene: Scene) -> Home:
    clocked = home.on(lambda: scene.now)
    clocked.__dict__["project"] = home.__dict__["project"]
    return clocked


def scene_in(folder: Path, url: str) -> Scene:
    """A project with no channel."""
    (folder / CONFIG).write_text(YAML)
    return Scene(folder, url)
