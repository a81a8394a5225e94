"""Whether the measured AUC is that of the scores, or that of a sales team that follows them (quiet).

Sales work what is scored high, and what is worked converts, or is heard of at all. So what becomes of the leads leans
to the scores. Explored leads are worked whatever their score; see docs/feedback-bias.md.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.monitoring.findings import Finding, not_enough
from leadgate.monitoring.model import Matured
from leadgate.stats.binned import auc_of_counts
from leadgate.stats.explored import HALF, Part, apart, auc_of_parts, leads_needed

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Explored:
    """Matured leads that had priority high: by their score, or because they were drawn at random to have it."""

    high: Part
    """Leads whose own score is high enough: all of them were worked as such."""
    others: Part
    """The others: of these, the explored ones were."""
    drawn_high: tuple[Counts, Counts]
    """Won and lost of the explored leads in ``high``."""

    @property
    def won(self) -> Counts:
        """The explored leads that converted, by bin of the score."""
        return self.drawn_high[0] + self.others.won

    @property
    def lost(self) -> Counts:
        """The explored leads that did not."""
        return self.drawn_high[1] + self.others.lost


def feedback_bias(matured: Matured, explored: Explored | None, rules: MonitoringRules, arm: str) -> list[Finding]:
    """The AUC on all matured leads beside that on leads whose outcomes do not hang on their score.

    Nothing where no lead was explored, or where leadgate.yaml does not ask.
    """
    limit = rules.model.feedback_bias
    if explored is None or limit is None:
        return []
    have, need = int(min(explored.won.sum(), explored.lost.sum())), rules.least_conversions
    ordinary = auc_of_counts(matured.won, matured.lost)
    fair = auc_of_parts([explored.high, explored.others])
    alone = auc_of_counts(explored.won, explored.lost)
    if have < need or ordinary is None or fair is None or alone is None:
        return [not_enough("model", "feedback bias", arm, have=have, need=need, of="conversions of explored leads")]
    bias = apart(ordinary, fair)
    leads = int(explored.won.sum() + explored.lost.sum())
    return [
        Finding(
            area="model",
            check="feedback bias",
            subject=arm,
            severity="yellow" if bias.sure and abs(bias.difference) >= limit else "green",
            sentence=f"AUC {fair.value:.3f} ({fair.interval.low:.3f} to {fair.interval.high:.3f}) where outcomes do "
            f"not hang on the score, by {leads:,} explored leads; {ordinary.value:.3f} on all {matured.leads:,} matured"
            f" leads, {_verdict(bias.difference, sure=bias.sure)}",
            value=fair.value,
            interval=fair.interval,
            sample=leads,
            details={
                "ordinary": ordinary.value,
                "difference": bias.difference,
                "explored_alone": alone.value,
                "explored_alone_low": alone.interval.low,
                "explored_alone_high": alone.interval.high,
                "needed": float(leads_needed(alone, leads, HALF)),
            },
        )
    ]


def _verdict(difference: float, *, sure: bool) -> str:
    if not sure:
        return "which is no different beyond chance"
    return f"which is {abs(difference):.3f} too {'high' if difference > 0 else 'low'}"
