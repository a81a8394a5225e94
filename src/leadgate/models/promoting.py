"""Moves the aliases champion and challenger by hand."""

from datetime import datetime
from typing import cast

from leadgate.errors import RefusedError
from leadgate.models.registry import Alias, Registry


def promote(registry: Registry, which: str, to: str, *, by: str, at: datetime) -> str:
    """Make a version the champion or the challenger; gives the sentence that says what changed.

    A version that becomes champion is no longer challenger. Raises RefusedError for another alias, and
    NotFoundError for a version that does not exist; then nothing has changed.
    """
    if to not in ("champion", "challenger"):
        raise RefusedError(f"A version can be champion or challenger, not {to!r}.")
    version = registry.find(which)
    if to in version.aliases:
        return f"Version {version.version} is the {to} already; nothing changed."
    if to == "challenger" and "champion" in version.aliases:
        raise RefusedError(f"Version {version.version} is the champion; it cannot challenge itself.")
    before = next((v for v in registry.versions() if to in v.aliases), None)
    registry.point(cast("Alias", to), version, by=by, at=at)
    if to == "champion" and "challenger" in version.aliases:
        registry.drop("challenger")
    instead = f" instead of version {before.version}" if before else ""
    return f"Version {version.version} is the {to}{instead}."
