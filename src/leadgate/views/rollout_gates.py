"""What stops a promotion: the gates as they were last judged (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from leadgate.rollout.evidence import Evidence, decode
from leadgate.rollout.history import History
from leadgate.rollout.verdicts import Answer, Verdict
from leadgate.storage.postgres.rollouts import Judgement, SignOff
from leadgate.views.health import Mark
from leadgate.views.wording import NONE, number

_ORDER: Sequence[Answer] = ("fail", "inconclusive", "wait", "pass")
_SHOWN: dict[Answer, tuple[Mark, str]] = {
    "fail": ("red", "fails"),
    "inconclusive": ("yellow", "unclear"),
    "wait": ("unknown", "waits"),
    "pass": ("green", "passes"),
}


@dataclass(frozen=True, kw_only=True)
class GateRow:
    """A gate and what it says."""

    gate: str
    answer: Answer
    mark: Mark
    word: str
    value: str
    interval: str
    """Empty where there is none."""
    threshold: str
    sample: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """An evaluation."""

    evidence_id: int
    rollout_id: int
    at: datetime
    stage: str
    act: str
    reason: str
    rows: Sequence[GateRow]
    """Those that stop it first."""
    evidence: Evidence
    is_present: bool
    """Whether it is of the stage that the rollout is in."""
    signed_since: Sequence[SignOff]
    """Sign-offs of this stage that it does not know of."""

    @property
    def missing(self) -> Sequence[GateRow]:
        """The gates that do not pass."""
        return [row for row in self.rows if row.answer != "pass"]

    @property
    def headline(self) -> str:
        """What stops the promotion, in a sentence."""
        if not self.rows:
            return "This stage asks for nothing more."
        if not self.missing:
            return f"Nothing: all {len(self.rows)} gates pass."
        verb = "does" if len(self.missing) == 1 else "do"
        named = ", ".join(row.gate for row in self.missing[:4])
        more = f" and {len(self.missing) - 4} more" if len(self.missing) > 4 else ""  # noqa: PLR2004  # as above
        return f"{len(self.missing)} of {len(self.rows)} gates {verb} not pass: {named}{more}."


def judged_of(judgement: Judgement, history: History) -> Judged:
    """An evaluation as it is shown."""
    evidence = decode(judgement.evidence)
    state = history.state
    verdicts = msgspec.json.decode(judgement.verdicts, type=tuple[Verdict, ...])
    present = (evidence.state.stage, evidence.state.since) == (state.stage, state.since)
    return Judged(
        evidence_id=judgement.evidence_id,
        rollout_id=judgement.rollout_id,
        at=judgement.gathered_at,
        stage=evidence.state.stage,
        act=judgement.act,
        reason=judgement.reason,
        rows=rows_of(verdicts),
        evidence=evidence,
        is_present=present and state.alive,
        signed_since=[
            given
            for given in history.sign_offs
            if present and given.stage_since == state.since and given.approved_at > judgement.gathered_at
        ],
    )


def rows_of(verdicts: Sequence[Verdict]) -> list[GateRow]:
    """Gates as rows; those that stop the promotion come first, in the order of the gates otherwise."""
    return [_row(verdict) for verdict in sorted(verdicts, key=lambda v: (not v.red, _ORDER.index(v.answer)))]


def _row(verdict: Verdict) -> GateRow:
    mark, word = _SHOWN[verdict.answer]
    sure = verdict.interval
    return GateRow(
        gate=verdict.gate,
        answer=verdict.answer,
        mark=mark,
        word=f"{word}, back at once" if verdict.red else word,
        value=number(verdict.value),
        interval=f"{number(sure.low)} to {number(sure.high)}" if sure else "",
        threshold=number(verdict.threshold),
        sample=NONE if verdict.sample is None else f"{verdict.sample:,}",
        sentence=verdict.sentence,
    )
