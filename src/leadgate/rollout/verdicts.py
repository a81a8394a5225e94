"""What a gate says (quiet)."""

from dataclasses import dataclass
from typing import Literal

from leadgate.records import Interval

Answer = Literal["pass", "fail", "wait", "inconclusive"]
"""wait: evidence is still to come; inconclusive: it is there and does not decide. Neither ever promotes."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The judgement of one gate."""

    gate: str
    answer: Answer
    sentence: str
    value: float | None = None
    interval: Interval | None = None
    threshold: float | None = None
    sample: int | None = None
    """Leads, requests or ratings that it rests on."""
    red: bool = False
    """A failure that sends the challenger back at once."""
    counts: bool = True
    """Whether a failure is one of the several that together send it back; a blocked test does not count as harm."""
