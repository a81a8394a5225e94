"""The section ``monitoring`` of leadgate.yaml: what is judged, over how long, and how far it may move (quiet)."""

from typing import Annotated

from pydantic import Field, model_validator

from leadgate.leads.schema import Record

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Limit(Record):
    """How far a figure may move."""

    yellow: Positive
    """Somebody should look within two days."""
    red: Positive
    """Somebody should look now."""

    @model_validator(mode="after")
    def _ordered(self) -> "Limit":
        if self.yellow > self.red:
            raise ValueError(f"yellow ({self.yellow:g}) is above red ({self.red:g}); swap them")
        return self


class DriftRules(Record):
    """When a feature or the scores have drifted: by one of these distances, and beyond chance."""

    ks: Limit = Limit(yellow=0.15, red=0.25)
    """Kolmogorov-Smirnov statistic of a numeric feature."""
    js: Limit = Limit(yellow=0.10, red=0.20)
    """Jensen-Shannon divergence in nats, of numeric features over ten bins."""
    category_change: Limit = Limit(yellow=0.10, red=0.20)
    """Of the share of any one category; two that change places move a JS divergence very little."""
    spread: Limit = Limit(yellow=1.5, red=2.5)
    """How many times wider or narrower the middle half of the values of a numeric feature is."""
    median_shift: Limit = Limit(yellow=0.05, red=0.10)
    """Of the scores."""
    percentile_change: Limit = Limit(yellow=0.20, red=0.40)
    """Of the 10, 25, 50, 75 and 90 % percentiles of the scores: relative, and to the spread where that is larger."""
    entropy_change: Limit = Limit(yellow=0.25, red=0.50)
    """Of the scores over twenty bins, in nats."""
    band_change: Limit = Limit(yellow=0.10, red=0.20)
    """Of the share of leads with priority high, or medium, or low."""
    segment_shift: Limit = Limit(yellow=0.10, red=0.20)
    """Of the mean score of a segment."""
    unseen: Limit = Limit(yellow=0.01, red=0.10)
    """Share of categories that no training lead had."""
    missing_rise: Limit = Limit(yellow=0.01, red=0.05)
    """Of the share of missing values over that at training."""
    outside: Limit = Limit(yellow=0.01, red=0.10)
    """Share of values outside the range of the training leads."""


class ModelRules(Record):
    """When a model has become worse, on leads whose outcome window has passed."""

    auc_at_least: Share | None = 0.85
    """For versions that reached it on their hold-out; null: not asked."""
    precision_at_least: Share | None = 0.80
    """The same..."""
    recall_at_least: Share | None = 0.80
    """...for these."""
    auc_loss: Limit = Limit(yellow=0.05, red=0.10)
    """Below the hold-out's AUC."""
    precision_loss: Limit = Limit(yellow=0.10, red=0.20)
    """Below the hold-out's precision; and the same for recall."""
    calibration: Limit = Limit(yellow=0.05, red=0.10)
    """Expected calibration error."""
    feedback_bias: Share | None = 0.02
    """AUC on all matured leads above or below that which explored leads tell; null: not asked."""
    needs_interval: bool = True
    """An alarm needs the whole 95 % interval beyond the threshold; false: the figure alone."""


class SystemRules(Record):
    """How the service has to be."""

    p95_ms: Limit = Limit(yellow=100, red=500)
    p99_ms: Limit = Limit(yellow=200, red=500)
    error_rate: Limit = Limit(yellow=0.005, red=0.05)
    uptime: Share = 0.999
    """Share of the time in which a worker reported."""
    fresh_hours: Limit = Limit(yellow=4, red=24)
    """Since the last score."""


class BusinessRules(Record):
    """How the business may move."""

    conversion_change: Limit = Limit(yellow=0.10, red=0.25)
    """Relative to the leads of the hold-out."""
    amount_change: Limit = Limit(yellow=0.10, red=0.25)
    """Of deal size and days to close, relative to the matured leads before."""
    correlation_loss: Limit = Limit(yellow=0.10, red=0.20)
    """Of score and outcome, below the hold-out's."""
    rating: Annotated[float, Field(ge=0, le=10)] = 8
    """Mean of the sales ratings, at least."""
    scores_a_day: Count | None = None
    """That people count on; null: not asked."""


class IntegrationRules(Record):
    """How the CRM and the sales team have to go along."""

    sync_hours: Limit = Limit(yellow=48, red=96)
    """Since the CRM last sent outcomes, or contacts; where it was slower than that before, 1.5 and 3 times its longest
    pause."""
    wait_change: Limit = Limit(yellow=0.5, red=1.5)
    """Of the mean time from the score to the first contact, relative to the four windows before."""
    contacts_a_day: Positive | None = None
    """Leads that the team can contact; null: as many as it did."""
    high_per_contact: Limit = Limit(yellow=1.0, red=2.0)
    """Leads with priority high for each contact that the team can make: above one, the best leads wait."""
    high_lift: Positive = 1.5
    """How many times more often than the average lead those with priority high are to convert, at least."""
    least_high: Share = 0.005
    """Share of the leads that has priority high, at least..."""
    most_high: Share = 0.5
    """...and at most: a mark that most leads have says nothing."""
    source_feature: str | None = None
    """The feature that says where a lead comes from; null: those whose name says so (source, channel, campaign)."""


class MonitoringRules(Record):
    """What is judged."""

    window_days: Positive = 7
    """Scores of this span are held against the training leads."""
    matured_days: Positive = 28
    """Leads that were scored in this span before the outcome window are judged by their outcomes."""
    recent_hours: Positive = 24
    """Latency, errors and uptime are of this span."""
    least_leads: Count = 100
    """With fewer scores, nothing is said of features and scores; with fewer matured leads, nothing of calibration and
    conversion."""
    least_matured: Count = 200
    """With fewer matured leads, nothing is said of AUC, precision, recall and correlation..."""
    least_conversions: Count = 30
    """...and with fewer conversions neither."""
    least_requests: Count = 100
    least_ratings: Count = 5
    false_discovery: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """Of the alarms about features, scores and segments of a run, the share that is false on average
    (Benjamini-Hochberg)."""
    coverage: Share = 0.95
    """Of the leads that the CRM reports on, the share that has a score."""
    volume_change: Limit = Limit(yellow=0.30, red=0.60)
    """Of the scores in a window, relative to the four windows before."""
    drift: DriftRules = DriftRules()
    model: ModelRules = ModelRules()
    system: SystemRules = SystemRules()
    business: BusinessRules = BusinessRules()
    integration: IntegrationRules = IntegrationRules()
