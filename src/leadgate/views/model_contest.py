"""Two versions side by side (quiet)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leadgate.views.charts import Chart
from leadgate.views.model_curves import calibration_chart, lift_chart, roc_chart
from leadgate.views.model_rows import Known, holdout_auc, live_auc, with_interval
from leadgate.views.wording import NONE, count, number, percent, plain

if TYPE_CHECKING:
    from leadgate.models.card import Card
    from leadgate.models.evaluation import Comparison


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A figure of both."""

    name: str
    a: str
    b: str

    @property
    def differs(self) -> bool:
        """Whether there is a difference to be seen."""
        return self.a != self.b


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Two versions."""

    a: str
    b: str
    verdict: str
    """Which one ranks leads better, as far as can be said."""
    same: Sequence[Pair]
    """On the leads that both held out; nothing while the registry is silent."""
    own: Sequence[Pair]
    """Of each by itself."""
    made: Sequence[Pair]
    """What they are made of."""
    charts: Sequence[Chart]


def contest_of(a: Known, b: Known, comparison: "Comparison | None") -> Contest:
    """Of whatever is known of both."""
    drawn = [each.graded for each in (a, b) if each.graded is not None]
    charts = [roc_chart(drawn), calibration_chart(drawn), lift_chart(drawn)] if len(drawn) == 2 else []  # noqa: PLR2004
    return Contest(
        a=a.version,
        b=b.version,
        verdict="" if comparison is None else verdict_of(a.version, b.version, comparison),
        same=[] if comparison is None else _same(comparison),
        own=[
            Pair(name="AUC, held out", a=holdout_auc(a.card, a.graded), b=holdout_auc(b.card, b.graded)),
            Pair(name="AUC on matured outcomes", a=live_auc(a.live), b=live_auc(b.live)),
        ],
        made=_made(a, b),
        charts=charts,
    )


def verdict_of(a: str, b: str, comparison: "Comparison") -> str:
    """DeLong's paired test in a sentence; the 95 % interval decides what is said."""
    paired = comparison.auc
    low, high = paired.interval.low, paired.interval.high
    figures = (
        f"AUC {paired.difference:+.4f} (95 % {low:+.4f} to {high:+.4f}, p = {paired.p_value:.2g}, DeLong) on the same "
        f"{count(comparison.champion.leads, 'lead')}"
    )
    if low > 0:
        return f"Version {b} tells leads apart better than version {a}: {figures}."
    if high < 0:
        return f"Version {b} tells leads apart worse than version {a}: {figures}."
    return f"It cannot be said which of the two tells leads apart better; version {b} against version {a}: {figures}."


def _same(comparison: "Comparison") -> list[Pair]:
    a, b = comparison.champion, comparison.challenger
    return [
        Pair(name="AUC", a=with_interval(a.auc, a.auc_interval), b=with_interval(b.auc, b.auc_interval)),
        Pair(
            name=f"Precision above {b.threshold:g}",
            a=with_interval(a.precision, a.precision_interval, share=True),
            b=with_interval(b.precision, b.precision_interval, share=True),
        ),
        Pair(
            name=f"Recall above {b.threshold:g}",
            a=with_interval(a.recall, a.recall_interval, share=True),
            b=with_interval(b.recall, b.recall_interval, share=True),
        ),
        Pair(name="Brier score", a=number(a.brier), b=number(b.brier)),
        Pair(name="Calibration error", a=number(a.calibration_error), b=number(b.calibration_error)),
        Pair(name="Mean score", a=percent(a.mean_score), b=percent(b.mean_score)),
    ]


def _made(a: Known, b: Known) -> list[Pair]:
    def tag(name: str) -> tuple[str, str]:
        first, second = (each.registered.tags.get(name) or NONE if each.registered else NONE for each in (a, b))
        return first, second

    def of_card(show: "Callable[[Card], str]") -> tuple[str, str]:
        first, second = (show(each.card) if each.card else NONE for each in (a, b))
        return first, second

    rows = {
        "Model": of_card(lambda card: plain(card.model.kind)),
        "Settings": of_card(
            lambda card: ", ".join(f"{k} {v}" for k, v in card.model.hyperparameters.items()) or "as they come"
        ),
        "Leads trained on": of_card(lambda card: count(card.training_leads)),
        "Data snapshot": tag("data_snapshot_version"),
        "Snapshot digest": tag("data_snapshot_digest"),
        "Feature set digest": tag("feature_set_hash"),
        "Git commit": tag("git_commit"),
        "Lock digest": tag("lock_digest"),
        "Trained by": tag("author"),
    }
    return [Pair(name=name, a=first, b=second) for name, (first, second) in rows.items()]
