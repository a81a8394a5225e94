"""Whether a version that was trained anew may follow the champion (quiet)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.leads.made import with_made
from leadgate.leads.project import ModelRules, Project
from leadgate.leads.retraining_rules import RenewalGates
from leadgate.leads.schema import LeadSchema
from leadgate.leads.split import time_holdout
from leadgate.models.card import Card
from leadgate.models.dataset import FEWEST_OF_A_CLASS, created_since, dataset_of
from leadgate.models.evaluation import Comparison
from leadgate.models.pipeline import accepted, build_pipeline, frame_of, predict
from leadgate.models.reproduction import differences
from leadgate.stats.auc import auc
from leadgate.stats.proportions import Z95

Fate = Literal["challenger", "registered", "stopped"]

Values = npt.NDArray[np.float64]

_RECENT = 0.2
"""Share of the window's leads, the last ones, on which a model of all leads and one of the window are compared."""
_LOCKED, _BEST = "locked outcomes", "best champion"
_SUREST = 1e-6
"""A probability nearer to 0 or 1 counts as this one: no single lead decides alone."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What one gate says."""

    name: str
    passed: bool | None
    """None: it cannot be judged, so a person has to."""
    fails_to: Fate
    """What becomes of a version that does not pass."""
    value: float | None
    threshold: float | None
    sentence: str

    @property
    def said(self) -> str:
        """What it says, in a word or two."""
        return {True: "passed", False: "FAILED", None: "not judged"}[self.passed]


@dataclass(frozen=True, kw_only=True)
class Locked:
    """How versions do on leads whose outcomes were locked with the champion's registration."""

    leads: int
    candidate: float
    """AUC."""
    best: float
    """AUC of the best of the champions so far."""
    best_version: str
    labels: int
    """Outcomes that were recorded with the champion; more than ``leads`` where the new version learnt some of them."""
    relabelled: int
    """Of these outcomes, those that are others now."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a version is trained on."""

    since: datetime | None
    """Leads from then on; None: all of them."""
    auc_all: float | None
    """On the most recent leads, of a model of all leads before them; None where that could not be tried."""
    auc_recent: float | None
    """The same of a model of the window's leads."""
    sentence: str


def judge(
    gates: RenewalGates,
    *,
    holdout_auc: float,
    leads: int,
    recent: Comparison | None,
    champion_auc: float | None,
    locked: Locked | None,
) -> tuple[Gate, ...]:
    """Every gate that is switched on; ``leads`` is the size of the hold-out, ``champion_auc`` of the champion's own."""
    found = [
        _locked_labels(locked, gates.relabelled),
        _holdout("alert", holdout_auc, leads, gates.alert_auc, "stopped", recent),
        _champion(recent, gates.champion_margin),
        _best(locked, gates.locked_margin, _turned(recent, champion_auc)),
        _recent_outcomes(recent, champion_auc, gates.unexplained_loss),
        _holdout("challenger", holdout_auc, leads, gates.challenger_auc, "registered", recent),
    ]
    return tuple(gate for gate in found if gate is not None)


def judge_registered(
    gates: RenewalGates, card: Card, present: Project, comparison: Comparison | None
) -> tuple[Gate, ...]:
    """What a version has to pass that was registered without being challenger.

    Locked outcomes are not asked, which a retraining alone has. ``comparison`` is with the champion on the leads that
    both held out; None without one.
    """
    auc = card.evaluation.overall.auc
    assert auc is not None  # a hold-out of one kind is refused before
    found = [
        _configuration(card, present),
        _holdout("alert", auc, card.holdout_leads, gates.alert_auc, "stopped"),
        None if comparison is None else _champion(comparison, gates.champion_margin),
        _holdout("challenger", auc, card.holdout_leads, gates.challenger_auc, "registered"),
    ]
    return tuple(gate for gate in found if gate is not None)


def fate_of(gates: Sequence[Gate]) -> tuple[Fate, Gate | None]:
    """What becomes of a version, and the gate that says so; None where all of them pass."""
    stopped = next((g for g in gates if g.passed is False and g.fails_to == "stopped"), None)
    if stopped is not None:
        return "stopped", stopped
    held = next((g for g in gates if g.passed is not True), None)
    return ("challenger", None) if held is None else ("registered", held)


def sentence_of(deciding: Gate, gates: Sequence[Gate]) -> str:
    """Why a version did not pass: the gate that decided, and the others that it did not pass either."""
    others = (gate for gate in gates if gate.passed is not True and gate is not deciding)
    return "; and gate ".join(f"{gate.name}: {gate.sentence}" for gate in (deciding, *others))


def choose(
    leads: pl.DataFrame, schema: LeadSchema, model: ModelRules, *, window_days: float | None, now: datetime
) -> Choice:
    """Whether to train on all labelled leads or on those of the last ``window_days``.

    Both are fitted on the leads before the most recent fifth of the window, and held against that fifth, by time: as a
    version will meet leads that come after those it learnt from. The window, where its log loss is surely lower (two
    standard errors, paired): it says how well leads are ranked and how right the probabilities are. Else all leads,
    for a choice by chance would change from week to week.
    """
    if window_days is None or schema.timestamp is None:
        return _all("all leads: there is no window or no timestamp")
    window = created_since(leads, schema, now - timedelta(days=window_days))
    if window.height == leads.height:
        return _all(f"all leads: they came within the window of {window_days:g} days")
    later = pl.Series(time_holdout(window[schema.timestamp].to_numpy(), _RECENT)) if window.height else pl.Series([])
    recent, within = window.filter(later), window.filter(~later)
    if min(_fewest(recent, schema), _fewest(within, schema)) < FEWEST_OF_A_CLASS or _empty(within, schema):
        return _all("all leads: too few of a kind are in the window to try a model of them")
    before = leads.filter(pl.col(schema.timestamp) < recent[schema.timestamp].min())
    won = dataset_of(recent, schema).converted
    whole, last = (_scores_on(recent, part, schema, model) for part in (before, within))
    better = _surely_less(_log_loss(won, last), _log_loss(won, whole))
    aucs = auc(won, whole), auc(won, last)
    told = (
        f"AUC {aucs[0]:.3f} and log loss {_log_loss(won, whole).mean():.3f} of all leads, {aucs[1]:.3f} and "
        f"{_log_loss(won, last).mean():.3f} of the last {window_days:g} days, on the latest leads ({recent.height:,})"
    )
    which = f"the last {window_days:g} days" if better else "all leads"
    return Choice(
        since=now - timedelta(days=window_days) if better else None,
        auc_all=aucs[0],
        auc_recent=aucs[1],
        sentence=f"{which}: {told}",
    )


def all_instead(choice: Choice, gates: Sequence[Gate]) -> Choice | None:
    """All leads, where a model of the window's was stopped for what it is; None where that says nothing of all leads.

    Else a window that is better on the latest leads, and has forgotten the others, would keep every version back.
    """
    fate, gate = fate_of(gates)
    if choice.since is None or fate != "stopped" or gate is None or gate.name == _LOCKED:
        return None
    told = f"all leads: a model of {choice.sentence} was stopped, {gate.name}: {gate.sentence}"
    return replace(choice, since=None, sentence=told)


def has_turned(gates: Sequence[Gate]) -> bool:
    """Whether a version passed below the best champion, since the world has turned: those before it bind none after."""
    best = next((gate for gate in gates if gate.name == _BEST), None)
    if best is None or best.value is None or best.threshold is None:
        return False
    return best.passed is True and best.value < best.threshold


def comparable(holdout: pl.DataFrame, schema: LeadSchema, *, since: datetime) -> pl.DataFrame:
    """The held-out leads from a time on; all of them where these are too few to compare two models."""
    if schema.timestamp is None:
        return holdout
    recent = holdout.filter(pl.col(schema.timestamp) >= since)
    return recent if _fewest(recent, schema) >= FEWEST_OF_A_CLASS else holdout


def relabelled(locked: pl.DataFrame, leads: pl.DataFrame, schema: LeadSchema) -> int:
    """Of locked leads (id, converted) those that a snapshot has with the other outcome, or without one."""
    both = locked.join(leads.select(pl.col(schema.id).alias("id"), pl.col(schema.target).alias("now")), on="id")
    return int((both["converted"].cast(pl.Boolean) != both["now"].fill_null(~both["converted"])).sum())


def _configuration(card: Card, present: Project) -> Gate:
    changed = differences(card, present)
    return Gate(
        name="configuration",
        passed=not changed,
        fails_to="stopped",
        value=None,
        threshold=None,
        sentence=f"leadgate.yaml or features.py say otherwise now ({'; '.join(changed)}); train anew"
        if changed
        else "it was trained with leadgate.yaml and features.py as they are here",
    )


def _locked_labels(locked: Locked | None, limit: float | None) -> Gate | None:
    if limit is None:
        return None
    if locked is None:
        return _unjudged(_LOCKED, "stopped", limit)
    share = locked.relabelled / locked.labels
    return Gate(
        name=_LOCKED,
        passed=share <= limit,
        fails_to="stopped",
        value=share,
        threshold=limit,
        sentence=f"{locked.relabelled:,} of {locked.labels:,} outcomes that were locked with the champion "
        f"({share:.1%}) are others now; {limit:.1%} may be"
        + ("" if share <= limit else "; where these corrections are right, raise retraining.gates.relabelled for once"),
    )


def _holdout(  # noqa: PLR0917  # private
    what: str, value: float, leads: int, limit: float | None, fails_to: Fate, recent: Comparison | None = None
) -> Gate | None:
    """On held-out leads of all times: after the world has turned, the plan's thresholds are for a person to move."""
    if limit is None:
        return None
    return Gate(
        name=f"hold-out AUC, {what}",
        passed=value >= limit,
        fails_to=fails_to,
        value=value,
        threshold=limit,
        sentence=f"AUC {value:.3f} on {leads:,} held-out leads; at least {limit:g} is asked"
        + _recently(what, value, limit, recent),
    )


def _recently(what: str, value: float, limit: float, recent: Comparison | None) -> str:
    """What to do where old leads alone speak against a version; empty where they do not."""
    now = None if recent is None else recent.challenger.auc
    if recent is None or now is None or not value < limit <= now:
        return ""
    return (
        f"; on the {recent.challenger.leads:,} recent ones it has {now:.3f}: where the others are of a world that has "
        f"turned, lower retraining.gates.{what}_auc"
    )


def _champion(recent: Comparison | None, margin: float) -> Gate:
    if recent is None:
        return _unjudged("champion", "stopped", -margin)
    low, high = recent.auc.interval.low, recent.auc.interval.high
    return Gate(
        name="champion",
        passed=recent.auc.difference >= -margin,
        fails_to="stopped",
        value=recent.auc.difference,
        threshold=-margin,
        sentence=f"AUC {recent.challenger.auc:.3f}, the champion's {recent.champion.auc:.3f} on the same "
        f"{recent.champion.leads:,} held-out leads: {recent.auc.difference:+.3f} (95 %: {low:+.3f} to {high:+.3f}); "
        f"it may lie {margin:g} below",
    )


def _recent_outcomes(recent: Comparison | None, champion_auc: float | None, most: float | None) -> Gate | None:
    """Whether the recent outcomes can be believed: what the champion lost on them, a model of them has to win back."""
    interval = None if recent is None else recent.champion.auc_interval
    if most is None or recent is None or champion_auc is None or interval is None:
        return None
    loss = champion_auc - interval.high
    learnt = recent.auc.interval.low > 0
    told = "the new version gains on them" if learnt else "the new version gains nothing on them"
    return Gate(
        name="recent outcomes",
        passed=loss <= most or learnt,
        fails_to="registered",
        value=loss,
        threshold=most,
        sentence=f"the champion has AUC {recent.champion.auc:.3f} (95 %: up to {interval.high:.3f}) on "
        f"{recent.champion.leads:,} held-out leads, {champion_auc:.3f} when it was registered; {told}"
        + ("" if loss <= most or learnt else ": are these outcomes right? `leadgate data diff` shows what changed"),
    )


def _best(locked: Locked | None, margin: float, turned: str | None) -> Gate:
    """Where the world has turned, a model of how it is now cannot be right about how it was; nor need it be."""
    if locked is None:
        return _unjudged(_BEST, "stopped", -margin)
    difference = locked.candidate - locked.best
    reaches = difference >= -margin
    return Gate(
        name=_BEST,
        passed=reaches or turned is not None,
        fails_to="stopped",
        value=difference,
        threshold=-margin,
        sentence=f"AUC {locked.candidate:.3f} on {locked.leads:,} leads with locked outcomes, {locked.best:.3f} by "
        f"version {locked.best_version}, the best champion so far; it may lie {margin:g} below, whichever is champion"
        + (f"; but {turned}" if turned and not reaches else ""),
    )


def _turned(recent: Comparison | None, champion_auc: float | None) -> str | None:
    """That the world has turned, in words: the champion has surely lost, and what learnt from it surely gains.

    Both on recent leads. Outcomes that are wrong at random cost the champion too, and nobody gains on them.
    """
    interval = None if recent is None else recent.champion.auc_interval
    if recent is None or champion_auc is None or interval is None:
        return None
    if interval.high >= champion_auc or recent.auc.interval.low <= 0:
        return None
    return (
        f"the world has turned: on recent leads the champion has at most {interval.high:.3f}, {champion_auc:.3f} on "
        f"its hold-out, and the new version is surely better on them ({recent.auc.difference:+.3f})"
    )


def _unjudged(name: str, fails_to: Fate, threshold: float) -> Gate:
    return Gate(
        name=name,
        passed=None,
        fails_to=fails_to,
        value=None,
        threshold=threshold,
        sentence="the leads that the champion was judged by, or a champion's files, cannot be read any more, so a "
        "person has to compare",
    )


def _all(sentence: str) -> Choice:
    return Choice(since=None, auc_all=None, auc_recent=None, sentence=sentence)


def _scores_on(recent: pl.DataFrame, before: pl.DataFrame, schema: LeadSchema, model: ModelRules) -> Values:
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    learnt, later = dataset_of(before, schema), dataset_of(recent, schema)
    pipeline = build_pipeline(schema, model)
    with threadpool_limits(limits=1), accepted(model):
        pipeline.fit(frame_of(schema, learnt.rows), learnt.converted)
    return predict(pipeline, frame_of(schema, later.rows))


def _log_loss(converted: npt.NDArray[np.bool_], scores: Values) -> Values:
    """Of each lead, in nats."""
    sure = np.clip(scores, _SUREST, 1 - _SUREST)
    return -np.log(np.where(converted, sure, 1 - sure))


def _surely_less(a: Values, b: Values) -> bool:
    gain = b - a
    return bool(gain.mean() > Z95 * gain.std(ddof=1) / np.sqrt(len(gain)))


def _fewest(leads: pl.DataFrame, schema: LeadSchema) -> int:
    converted = int(leads[schema.target].sum())
    return min(converted, leads.height - converted)


def _empty(leads: pl.DataFrame, schema: LeadSchema) -> bool:
    columns = with_made(leads, schema)
    return any(columns[f.name].null_count() == leads.height for f in schema.used)
