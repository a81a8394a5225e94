"""The experiment over time: its interval, its boundary, its leads against the plan (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from leadgate.leads.rollout_rules import ExperimentRules
from leadgate.rollout.evidence import ExperimentEvidence, Side
from leadgate.storage.postgres.rollouts import Look
from leadgate.views.charts import Axis, Chart, Series
from leadgate.views.rollout_gates import Judged
from leadgate.views.wording import percent, plain, share


@dataclass(frozen=True, kw_only=True)
class SideRow:
    """One side of the experiment."""

    name: str
    leads: int
    matured: int
    silent: int
    conversions: int
    rate: str
    high: str
    """Share marked high."""
    contacted: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the smaller side is."""

    matured: int
    planned: int
    says: str


@dataclass(frozen=True, kw_only=True)
class TrialView:
    """The experiment of a stage."""

    stage: str
    evidence_id: int
    at: datetime
    sides: Sequence[SideRow]
    left_out: int
    progress: Progress
    charts: Sequence[Chart]


def trial_view(trial: ExperimentEvidence, looks: Sequence[Look], rules: ExperimentRules, judged: Judged) -> TrialView:
    """The experiment as an evaluation, whose evidence it is, and those before it saw it."""
    return TrialView(
        stage=plain(judged.stage),
        evidence_id=judged.evidence_id,
        at=judged.at,
        sides=sides_of(trial),
        left_out=trial.left_out,
        progress=_progress(trial),
        charts=[chart for chart in (_interval(trial, looks, rules), _harm(looks), _leads(trial, looks)) if chart],
    )


def sides_of(trial: ExperimentEvidence) -> list[SideRow]:
    """The champion's side and the challenger's."""
    return [_side("champion", trial.control), _side("challenger", trial.treatment)]


def _side(name: str, side: Side) -> SideRow:
    each = max(side.exposed, 1)
    return SideRow(
        name=name,
        leads=side.exposed,
        matured=side.matured,
        silent=side.silent,
        conversions=side.conversions,
        rate=percent(side.rate if side.matured else None, 2),
        high=percent(side.high / each),
        contacted=percent(side.contacted / each),
    )


def _progress(trial: ExperimentEvidence) -> Progress:
    matured = min(trial.control.matured, trial.treatment.matured)
    part = percent(min(1.0, matured / trial.planned), 0)
    return Progress(
        matured=min(matured, trial.planned),
        planned=trial.planned,
        says=f"{matured:,} of {trial.planned:,} matured leads on the smaller side ({part})",
    )


def _interval(trial: ExperimentEvidence, looks: Sequence[Look], rules: ExperimentRules) -> Chart | None:
    """The difference of the rates, with what is asked of it and where harm is looked for."""
    known = [look for look in looks if look.difference is not None and look.low is not None]
    if not known:
        return None
    x = [look.gathered_at.timestamp() for look in known]
    rate = trial.control.rate
    last = known[-1]
    assert last.difference is not None
    assert last.low is not None
    assert last.high is not None
    lies = "above 0" if last.low > 0 else "below 0" if last.high < 0 else "on both sides of 0"
    return Chart(
        name="interval",
        title="Difference of the conversion rates, challenger minus champion",
        says=(
            f"At the last look {_points(last.difference)} points; the interval, which holds at every look, goes from "
            f"{_points(last.low)} to {_points(last.high)} and lies {lies}."
        ),
        x=Axis(kind="time", label="evaluated"),
        y=Axis(label="difference", share=True),
        series=[
            Series(
                name=f"{share(1 - rules.alpha)} interval",
                kind="band",
                x=x,
                low=[k.low for k in known],
                y=[k.high for k in known],
            ),
            Series(name="difference", x=x, y=[k.difference for k in known]),
            Series(name="no difference", tone="then", x=x, y=[0.0] * len(x)),
            Series(
                name=f"lift asked for (+{rules.min_lift:.0%})",
                tone="good",
                dashed=True,
                x=x,
                y=[rules.min_lift * rate] * len(x),
            ),
            Series(
                name=f"harm looked for ({-rules.harm_margin:.0%})",
                tone="bad",
                dashed=True,
                x=x,
                y=[-rules.harm_margin * rate] * len(x),
            ),
        ],
        height="high",
    )


def _harm(looks: Sequence[Look]) -> Chart | None:
    """The evidence of harm against the boundary at which the challenger goes back."""
    known = [look for look in looks if look.harm is not None]
    if not known:
        return None
    x = [look.gathered_at.timestamp() for look in known]
    crossed = any(look.harm is not None and look.harm >= look.harm_threshold for look in known)
    return Chart(
        name="harm",
        title="Evidence of harm",
        says=f"It {'reached' if crossed else 'never reached'} the boundary at which the challenger goes back.",
        x=Axis(kind="time", label="evaluated"),
        y=Axis(label="log ratio"),
        series=[
            Series(name="evidence of harm", x=x, y=[look.harm for look in known]),
            Series(name="boundary", tone="limit", dashed=True, x=x, y=[look.harm_threshold for look in known]),
        ],
        height="low",
    )


def _leads(trial: ExperimentEvidence, looks: Sequence[Look]) -> Chart | None:
    """Matured leads of each side against the plan."""
    if not looks:
        return None
    x = [look.gathered_at.timestamp() for look in looks]
    return Chart(
        name="leads",
        title="Matured leads a side",
        says=_progress(trial).says + ".",
        x=Axis(kind="time", label="evaluated"),
        y=Axis(label="leads", low=0.0),
        series=[
            Series(name="champion", tone="then", x=x, y=[look.control_matured for look in looks]),
            Series(name="challenger", x=x, y=[look.treatment_matured for look in looks]),
            Series(name="planned", tone="limit", dashed=True, x=x, y=[trial.planned] * len(x)),
        ],
        height="low",
    )


def _points(share: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * share:+.2f}"
