"""What somebody asks of a page (quiet)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from leadgate.views.access import Viewer


class NoSuchPageError(Exception):
    """What was asked for is not there; the sentence says what, and what there is instead."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request for a page."""

    path: str
    query: Mapping[str, str]
    """The last value of each name."""
    viewer: Viewer
    now: datetime
    """UTC."""

    def text(self, name: str, otherwise: str = "") -> str:
        """A value of the query without blanks around it, at most 500 characters; NUL is left out."""
        return self.query.get(name, otherwise).replace("\0", "").strip()[:500]

    def number(self, name: str) -> int | None:
        """A whole number of the query; None where it is left out. Raises NoSuchPageError for what is none."""
        said = self.text(name)
        if not said:
            return None
        if not (said.isascii() and said.isdigit() and len(said) <= 15):  # noqa: PLR2004  # digits that a bigint holds
            raise NoSuchPageError(f"{name} is a whole number, and {said!r} is none.")
        return int(said)
