"""What is known of a rollout when it is judged (quiet).

Evidence is written down as it was read, so that a decision can be replayed a year later. A part that could not be read
or does not exist yet is None: the gates that need it wait, and nothing is ever promoted for want of evidence.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from leadgate.records import Interval
from leadgate.rollout.stages import Stage, State


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number and how sure it is."""

    value: float
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class SystemEvidence:
    """What the workers measured in the stage."""

    since: datetime
    until: datetime
    requests: int
    failures: int
    """Answers with a status of 500 and above."""
    p95_ms: float | None
    """Of /predict, both versions scored in it; upper edges of a histogram."""
    p99_ms: float | None
    challenger_p99_ms: float | None
    """Of the leads that the challenger answered."""
    challenger_answers: int
    """Requests that the challenger answered, or failed to."""
    challenger_failures: int
    shadow_asked: int
    """Scores that were asked of the version beside the one that answers."""
    shadow_failed: int
    memory_mb: float
    """Largest peak of a worker."""
    capacity: float | None
    """Requests a second: workers over the processor time of a request; None below 1,000 requests."""


@dataclass(frozen=True, kw_only=True)
class Quality:
    """The figures of one version on matured leads; None where they cannot be given."""

    auc: Figure | None
    precision: Figure | None
    recall: Figure | None
    top_precision: Figure
    """Of the leads with the highest scores, as many as the sales team can work, the share that converted."""
    calibration_error: Figure


@dataclass(frozen=True, kw_only=True)
class PairedEvidence:
    """Both versions' scores of the same matured leads."""

    leads: int
    conversions: int
    champion: Quality
    challenger: Quality
    auc_difference: Figure | None
    """Challenger minus champion, DeLong's paired interval."""
    calibration_difference: Figure
    """Challenger minus champion, by resampling leads."""
    decision: float
    """The threshold of precision and recall."""


@dataclass(frozen=True, kw_only=True)
class LeadDelta:
    """A lead on which the versions disagree."""

    lead_id: str
    scored_at: datetime
    champion: float
    challenger: float


@dataclass(frozen=True, kw_only=True)
class ScoresEvidence:
    """Both versions' scores of the stage's leads, matured or not."""

    leads: int
    mean_delta: float
    """Challenger minus champion."""
    absolute_delta: float
    """Mean of the absolute differences."""
    agreement: float | None
    """Spearman's rank correlation; None where a version gives one score to all."""
    champion_quartiles: tuple[float, float, float]
    challenger_quartiles: tuple[float, float, float]
    capacity: float
    """Share of the leads that the sales team can work."""
    overlap: float
    """Of that share, the part that both versions put on top."""
    churn: float
    """Of the leads with priority high by the champion, the share that loses it under the challenger."""
    champion_high: float
    """Share of the leads above the threshold of priority high."""
    challenger_high: float
    matched_high: float
    """The challenger's score above which as many of these leads lie as above the champion's threshold of high."""
    matched_medium: float
    worst: tuple[LeadDelta, ...]
    """The largest differences, largest first."""


@dataclass(frozen=True, kw_only=True)
class FeatureHealth:
    """A feature in the stage's leads and in those before the rollout."""

    feature: str
    leads: int
    missing: int
    unknown: int
    """Leads with a category that the schema does not name."""
    leads_before: int
    missing_before: int


@dataclass(frozen=True, kw_only=True)
class RatingEvidence:
    """What sales people say of the challenger, or of the scores as a whole."""

    ratings: int
    raters: int
    """People who gave them."""
    mean: float | None


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the A/B test."""

    exposed: int
    """Leads whose first score in the rollout was in this stage and of this side."""
    matured: int
    """Whose horizon has passed, with an outcome."""
    conversions: int
    """Within the horizon."""
    silent: int
    """Whose horizon has passed without any outcome; they are left out."""
    high: int
    """Of the exposed, those with priority high."""
    contacted: int
    """Of the exposed, those that the sales team is known to have contacted."""

    @property
    def rate(self) -> float:
        """Conversions over matured leads; 0 without any."""
        return self.conversions / self.matured if self.matured else 0.0


@dataclass(frozen=True, kw_only=True)
class Revenue:
    """What the matured leads of a side paid; a lead that did not convert, or whose deal size nobody knows, paid 0."""

    mean: float
    """Per lead, in the team's currency."""
    variance: float
    """Of what a lead paid."""


@dataclass(frozen=True, kw_only=True)
class PlannedTest:
    """The chi-square test on the first leads of each side, as many as were planned."""

    control_conversions: int
    treatment_conversions: int
    leads: int
    """A side."""
    p_value: float
    lift: float | None
    interval: Interval | None
    """Of the relative lift."""


@dataclass(frozen=True, kw_only=True)
class MarginEvidence:
    """Whether a figure of the won leads got worse by more than a margin."""

    change: float | None
    """Relative, challenger over champion."""
    interval: Interval | None
    verdict: str
    """no worse, worse, unclear, not enough data."""
    leads: int
    """Of the smaller side."""


@dataclass(frozen=True, kw_only=True)
class SegmentEvidence:
    """A part of the leads."""

    segment: str
    """feature = value"""
    control: Side
    treatment: Side
    lift: float | None
    p_value: float
    """Adjusted for the number of segments (Benjamini-Hochberg)."""
    harmed: bool


@dataclass(frozen=True, kw_only=True)
class ExperimentEvidence:
    """The A/B test so far."""

    control: Side
    treatment: Side
    left_out: int
    """Leads that had been scored in the rollout before the stage began."""
    planned: int
    """Leads a side."""
    share: float
    """Of the leads that the challenger should have."""
    ratio_p: float
    """Probability of a split as uneven as this one, or more, if it is what it should be."""
    difference: float | None
    """Of the conversion rates, challenger minus champion, with less variance where the champion's score explains some;
    None before enough leads converted."""
    variance: float | None
    """Of the difference."""
    reduction: float
    """Share of the variance that the champion's score took out."""
    sequence: Interval | None
    """Of the difference, valid at every look."""
    harm: float | None
    """Log likelihood ratio against "no harm"."""
    harm_threshold: float
    test: PlannedTest | None
    """None before the planned size."""
    silent_p: float
    """Probability that outcomes are missing as unevenly as they are, or more, if both sides are reported alike."""
    deal_size: MarginEvidence
    deal_size_ratio: float | None
    """Of the geometric means, challenger over champion..."""
    deal_size_p: float | None
    """...and Welch's t test on the logarithms."""
    days_to_close: MarginEvidence
    slower_p: float | None
    """Log-rank test of the times to conversion."""
    segments: tuple[SegmentEvidence, ...]
    auc: Figure | None
    """Of the challenger's scores on the leads of the stage, both sides."""
    control_revenue: Revenue | None = None
    """None where no deal size was reported, and in evidence of earlier releases."""
    treatment_revenue: Revenue | None = None


@dataclass(frozen=True, kw_only=True)
class SustainedEvidence:
    """Whether what the A/B test showed goes on, in stage full."""

    before: Side
    """The champion's side of the A/B test."""
    now: Side
    """Leads first scored in stage full."""
    change: float | None
    """Of the conversion rate, relative; None before there is one."""
    interval: Interval | None
    auc: Figure | None
    """Of the scores in stage full."""


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A person's sign-off."""

    stage: Stage
    stage_since: datetime
    approved_by: str
    approved_at: datetime
    comment: str


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that is known at one time."""

    as_of: datetime
    state: State
    scored: int | None
    """Leads that the challenger scored (shadow) or answered (later stages) in the stage; None where it could not be
    read."""
    system: SystemEvidence | None
    recent: SystemEvidence | None
    """The same of the last hour: what is on fire now must not be thinned by weeks without fire."""
    paired: PairedEvidence | None
    scores: ScoresEvidence | None
    data: tuple[FeatureHealth, ...] | None
    ratings: RatingEvidence | None
    experiment: ExperimentEvidence | None
    sustained: SustainedEvidence | None
    """In stage full."""
    approvals: tuple[Approval, ...]
    failed: tuple[str, ...] = ()
    """What could not be read, a sentence each."""


def encode(evidence: Evidence) -> str:
    """As JSON."""
    return msgspec.json.encode(evidence).decode()


def decode(text: str | bytes) -> Evidence:
    """From JSON."""
    return msgspec.json.decode(text, type=Evidence)
