"""The section ``alerts`` of leadgate.yaml: who is told of what, and how often (quiet)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from leadgate.leads.schema import Record

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Level = Literal["green", "yellow", "red"]
ChannelName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]


class Routes(Record):
    """The channels of each level; null: all of them."""

    green: tuple[ChannelName, ...] | None = None
    """Of events that ask for nobody, such as a rollout that goes on."""
    yellow: tuple[ChannelName, ...] | None = None
    red: tuple[ChannelName, ...] | None = None


class Reminders(Record):
    """Hours after which an alert that nobody acknowledged is told again."""

    yellow: Positive = 24
    red: Positive = 4


class AlertRules(Record):
    """When a finding becomes an alert, and whom it reaches."""

    channels: tuple[ChannelName, ...] = ()
    """Names of channels; the URL of channel ops is in LEADGATE_ALERT_OPS, since it is a secret."""
    routes: Routes = Routes()
    fire_after: Count = 2
    """Yellow in so many runs of a check, one after the other, fires; red does at once."""
    resolve_after: Count = 2
    """Green in so many runs resolves; what is not known never does."""
    several: Annotated[int, Field(ge=2)] | None = 2
    """So many metrics out at once are red, whatever each of them is; null: never."""
    remind_hours: Reminders = Reminders()
    rollback_on_red: bool = True
    """Whether red that a live challenger can be the cause of takes it back."""
    attempts: Count = 15
    """After as many, a message is given up until somebody says `leadgate alerts retry`."""
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10
    """For a channel to take a message."""

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> "AlertRules":
        for level, names in self.routes:
            for name in names or ():
                if name not in self.channels:
                    known = ", ".join(self.channels) or "none"
                    raise ValueError(f"routes.{level} names {name!r}, which is no channel (channels: {known})")
        return self

    def route(self, level: Level) -> tuple[str, ...]:
        """The channels that are told of a level."""
        named: tuple[str, ...] | None = getattr(self.routes, level)
        return self.channels if named is None else named
