"""What the registry knows of versions, for pages that must not wait for it; see ``waiting.py``."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from leadgate.views.sources import Reader, Sources
from leadgate.views.waiting import Asked, Patience

if TYPE_CHECKING:
    from leadgate.models.card import Card
    from leadgate.models.evaluation import Comparison
    from leadgate.models.registry import Registry, Version

_FRESH_S = 8.0
"""How long a list of versions holds: less than a live page waits between two looks."""
_WHO = "The registry"


class Registered:
    """The registry of a project, during one request."""

    def __init__(self, registry: "Callable[[], Registry]", patience: Patience) -> None:
        """``registry`` may be slow, too: it brings MLflow."""
        self._registry = registry
        self._patience = patience
        self._until = patience.deadline()

    def versions(self) -> "Asked[tuple[Version, ...]]":
        """All versions, oldest first."""
        return self._patience.ask(
            "versions", lambda: self._registry().versions(), until=self._until, fresh_s=_FRESH_S, who=_WHO
        )

    def card(self, version: "Version") -> "Asked[Card]":
        """A version's card, which never changes."""
        key = ("card", version.name, version.version, version.tags.get("sha256.card.json"))
        return self._patience.ask(key, lambda: self._registry().card(version), until=self._until, who=_WHO)

    def comparison(self, a: "Version", b: "Version") -> "Asked[Comparison]":
        """Two versions on the leads that both held out."""

        def compare() -> "Comparison":
            from leadgate.models.comparing import compare_versions  # noqa: PLC0415  # Polars

            return compare_versions(self._registry(), a, b)

        digests = tuple(version.tags.get("sha256.holdout.parquet") for version in (a, b))
        key = ("comparison", a.name, a.version, b.version, digests)
        return self._patience.ask(key, compare, until=self._until, who=_WHO)


_PATIENCE: WeakKeyDictionary[Reader, Patience] = WeakKeyDictionary()
"""One a project that is shown."""


def registered(sources: Sources) -> Registered:
    """The registry of a project, for one request."""
    return Registered(sources.registry, _PATIENCE.setdefault(sources.reader, Patience()))
