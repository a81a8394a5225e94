"""What several reports tell of: a version, a rollout, the simple rule (quiet)."""

from dataclasses import dataclass

from leadgate.views.reports.report import Known
from leadgate.views.reports.rule import Contest, Sign


@dataclass(frozen=True, kw_only=True)
class VersionFacts:
    """A version as the registry has it."""

    number: str
    known: Known
    """version, card and importance, as ``leadgate models show --json`` prints them."""

    @property
    def ranked_features(self) -> list[str]:
        """The features by importance, the most important first; those that do not matter are left out."""
        weights = self.known.get("importance") or {}
        return [name for name in sorted(weights, key=lambda name: -weights[name]) if weights[name] > 0]


@dataclass(frozen=True, kw_only=True)
class RuleFacts:
    """The simple rule and how it did."""

    signs: tuple[Sign, ...]
    contest: Contest
    known: Known
    """The leads that both were tried on."""
    version: str
    """Whose important features they are."""


@dataclass(frozen=True, kw_only=True)
class RolloutFacts:
    """A rollout as its rows tell it."""

    listed: Known
    """Every rollout."""
    place: int
    """Of this one among them."""
    steps: Known
    approvals: Known
    post_mortems: Known
    evidence: tuple[Known, ...]
    """What its steps rested on, the first first, and the last evaluation."""
    compared: Known | None
    """The last evidence that has both versions on the same matured leads; None without any."""
    tested: Known | None
    """The last evidence of its A/B test; None before there is one."""

    @property
    def number(self) -> int:
        """Its number."""
        return int(self.listed.rows[self.place]["rollout_id"])

    @property
    def champion(self) -> str:
        """The version that was there before."""
        return str(self.listed.rows[self.place]["champion"])

    @property
    def challenger(self) -> str:
        """The version that came."""
        return str(self.listed.rows[self.place]["challenger"])

    @property
    def stage(self) -> str:
        """Where it is, or ended."""
        return str(self.steps.rows[-1]["stage"])
