"""What the tests of faults have tried, added up over all of them for the closing line of a run."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

PROPERTY = "tally"
"""Name under which a test's report carries its counts, from another process too."""


class Tally:
    """The faults of one test, and what became of the answers."""

    def __init__(self) -> None:
        self.faults: dict[str, int] = {}
        self.counts: dict[str, Any] = {"answered": 0, "missing": 0, "lost": 0, "doubled": 0, "faults": self.faults}
        """Plain values: they travel between processes of pytest-xdist."""

    def fault(self, kind: str, count: int = 1) -> None:
        """Count a fault that was put in."""
        self.faults[kind] = self.faults.get(kind, 0) + count

    def add(self, **counts: int) -> None:
        """Add to what was counted of answers."""
        for name, count in counts.items():
            self.counts[name] += count


def closing_lines(tallies: Iterable[dict[str, Any]]) -> list[str]:
    """The sum of all tests, then each kind of fault with its number; nothing where no such test ran."""
    total: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for counts in tallies:
        faults.update(counts["faults"])
        total.update({name: count for name, count in counts.items() if name != "faults"})
    if not faults:
        return []
    closing = (
        f"{faults.total():,} faults, {total['answered']:,} answered ids, {total['missing']:,} missing, of which "
        f"{min(total['missing'], total['lost']):,} told of; {total['doubled']:,} twice in the log"
    )
    return [closing, *(f"  {count:6,}  {kind}" for kind, count in sorted(faults.items()))]
