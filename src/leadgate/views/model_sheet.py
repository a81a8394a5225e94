"""All that is known of one version, as its page shows it (quiet)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from leadgate.chain import Entry
from leadgate.storage.postgres.rollouts import Rollout, SignOff
from leadgate.views.charts import Chart
from leadgate.views.model_curves import (
    Graded,
    calibration_chart,
    importance_chart,
    lift_chart,
    roc_chart,
    scores_chart,
)
from leadgate.views.model_rows import Known, Stint, holdout_auc, live_auc, unbiased_auc, with_interval
from leadgate.views.wording import NONE, count, number, percent, plain

if TYPE_CHECKING:
    from leadgate.models.card import Card
    from leadgate.models.registry import Version


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A figure or a fact of audit."""

    name: str
    value: str
    code: bool = False
    """Whether it is a digest or a command, to be copied as it is."""
    at: datetime | None = None
    """A moment, instead of the value."""


@dataclass(frozen=True, kw_only=True)
class SegmentRow:
    """The figures of the held-out leads with one value of a segment."""

    segment: str
    value: str
    leads: int
    rate: str
    auc: str


@dataclass(frozen=True, kw_only=True)
class BandRow:
    """Held-out leads of like scores, and what became of them."""

    up_to: str
    leads: int
    rate: str


@dataclass(frozen=True, kw_only=True)
class ApprovalRow:
    """A sign-off that let the version on."""

    rollout_id: int
    stage: str
    by: str
    at: datetime
    comment: str


@dataclass(frozen=True, kw_only=True)
class ActRow:
    """What the audit log says of the version's names."""

    entry: int
    happened_at: datetime | None
    """None for a time that is none."""
    actor: str
    what: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One version."""

    figures: Sequence[Fact]
    charts: Sequence[Chart]
    segments: Sequence[SegmentRow]
    bands: Sequence[BandRow]
    lineage: Sequence[Fact]
    stints: Sequence[Stint]
    approvals: Sequence[ApprovalRow]
    acts: Sequence[ActRow]


def sheet_of(
    known: Known,
    stints: Sequence[Stint],
    signed: Sequence[tuple[Rollout, SignOff]],
    entries: Sequence[Entry],
    model_name: str,
) -> Sheet:
    """Of whatever is known; what the registry alone knows is left out where it is silent."""
    card = known.card
    return Sheet(
        figures=_figures(known),
        charts=_charts(known.graded) if known.graded else (),
        segments=[] if card is None else _segments(card),
        bands=[] if card is None else _bands(card),
        lineage=_lineage(known),
        stints=stints,
        approvals=[_approval(rollout, given) for rollout, given in signed],
        acts=acts_of(known.version, entries, model_name),
    )


def _charts(graded: Graded) -> list[Chart]:
    found = [
        roc_chart([graded]),
        calibration_chart([graded]),
        lift_chart([graded]),
        scores_chart(graded),
        importance_chart(graded),
    ]
    return [chart for chart in found if chart is not None]


def _figures(known: Known) -> list[Fact]:
    live = [Fact(name="AUC on matured outcomes", value=live_auc(known.live))]
    if known.unbiased is not None:
        live.append(Fact(name="AUC where outcomes do not hang on the score", value=unbiased_auc(known.unbiased)))
    if known.card is None:
        return [
            Fact(name="AUC, held out", value=holdout_auc(None, known.graded)),
            *(_graded(known.graded) if known.graded else []),
            *live,
        ]
    overall = known.card.evaluation.overall
    above = f"above {overall.threshold:g}"
    return [
        Fact(name="AUC, held out", value=holdout_auc(known.card, known.graded)),
        *live,
        Fact(name=f"Precision {above}", value=with_interval(overall.precision, overall.precision_interval, share=True)),
        Fact(name=f"Recall {above}", value=with_interval(overall.recall, overall.recall_interval, share=True)),
        Fact(name="Brier score", value=number(overall.brier)),
        Fact(name="Calibration error", value=number(overall.calibration_error)),
        Fact(name="Held-out leads", value=f"{count(overall.leads)}, {percent(overall.base_rate)} converted"),
    ]


def _graded(graded: Graded) -> list[Fact]:
    q = graded.quality
    return [
        Fact(name=f"Precision above {q.decision:g}", value=percent(q.precision)),
        Fact(name=f"Recall above {q.decision:g}", value=percent(q.recall)),
        Fact(name="Calibration error", value=number(q.calibration_error)),
        Fact(name="Held-out leads", value=f"{count(q.leads)}, {percent(q.base_rate)} converted"),
    ]


def _segments(card: "Card") -> list[SegmentRow]:
    return [
        SegmentRow(
            segment=each.segment,
            value=each.value,
            leads=each.scores.leads,
            rate=percent(each.scores.base_rate),
            auc=with_interval(each.scores.auc, each.scores.auc_interval),
        )
        for each in card.evaluation.segments
    ]


def _bands(card: "Card") -> list[BandRow]:
    last = len(card.bands.bands) - 1
    return [
        BandRow(
            up_to="above" if i == last and i else percent(band.high),
            leads=band.leads,
            rate=with_interval(band.conversions / band.leads if band.leads else None, band.interval, share=True),
        )
        for i, band in enumerate(card.bands.bands)
    ]


def _lineage(known: Known) -> list[Fact]:
    tags = known.registered.tags if known.registered else {}
    facts = [
        Fact(name="Data snapshot", value=_said(tags, "data_snapshot_version")),
        Fact(name="Snapshot digest", value=_said(tags, "data_snapshot_digest"), code=True),
        Fact(name="Feature set digest", value=_said(tags, "feature_set_hash"), code=True),
        Fact(name="Model digest", value=_said(tags, "model_digest"), code=True),
        Fact(name="Git commit", value=_commit(tags), code=True),
        Fact(name="Lock digest", value=_said(tags, "lock_digest"), code=True),
        Fact(name="Trained by", value=_said(tags, "author")),
        Fact(name="Trained", value=NONE, at=_moment(tags.get("trained_at"))),
        *(_of_card(known.card) if known.card else []),
        *_pointed(tags),
    ]
    return facts if tags else []


def _of_card(card: "Card") -> list[Fact]:
    settings = ", ".join(f"{key} {value}" for key, value in card.model.hyperparameters.items()) or "as they come"
    return [
        Fact(name="Model", value=f"{plain(card.model.kind)}, settings {settings}, seed {card.model.seed}"),
        Fact(name="Calibrated by", value=plain(card.model.calibration)),
        Fact(
            name="Leads",
            value=f"{count(card.training_leads)} trained on, {count(card.holdout_leads)} held out by {card.split.by}",
        ),
        Fact(name="Features", value=", ".join(feature.name for feature in card.lead.used)),
        Fact(name="Scored by", value=scorer_of(card)),
    ]


def scorer_of(card: "Card") -> str:
    """What scores it, and why that may be believed."""
    proof = card.proof
    if card.why_library or proof is None:
        return f"the library, because {card.why_library or 'it was not compiled'}"
    return (
        f"the compiled scorer, equal to the library on {count(proof.rows)} held-out and {count(proof.edge_rows)} edge "
        f"rows to {proof.max_difference:.1e}"
    )


def _pointed(tags: Mapping[str, str]) -> list[Fact]:
    found = [
        Fact(name=f"{alias.capitalize()} by", value=f"{tags[f'{alias}_by']}, {_minute(tags.get(f'{alias}_at', ''))}")
        for alias in ("champion", "challenger")
        if f"{alias}_by" in tags
    ]
    if "archived_at" in tags:
        because = tags.get("archived_because", "")
        found.append(Fact(name="Archived", value=f"{_minute(tags['archived_at'])}, {because}"))
    return found


def _minute(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"


def _said(tags: Mapping[str, str], name: str) -> str:
    return tags.get(name) or NONE


def _commit(tags: Mapping[str, str]) -> str:
    dirty = ", with uncommitted changes" if tags.get("git_dirty") == "true" else ""
    return f"{_said(tags, 'git_commit')}{dirty}"


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _approval(rollout: Rollout, given: SignOff) -> ApprovalRow:
    return ApprovalRow(
        rollout_id=rollout.rollout_id,
        stage=plain(given.stage),
        by=given.approved_by,
        at=given.approved_at,
        comment=given.comment,
    )


def acts_of(version: str, entries: Sequence[Entry], model_name: str) -> list[ActRow]:
    """The entries that registered a version, or gave or took its names champion and challenger, newest first."""
    found = []
    for entry in entries:
        details = _details(entry)
        what = _renamed(version, details) if entry.subject == f"model {model_name}" else []
        if entry.act == "model.register" and entry.subject == f"{model_name} version {version}":
            what = ["registered"]
        if what:
            found.append(
                ActRow(
                    entry=entry.entry,
                    happened_at=_time(entry.happened_at),
                    actor=entry.actor,
                    what=", ".join(what),
                    reason=str(details.get("reason") or ""),
                )
            )
    return found


def _details(entry: Entry) -> Mapping[str, Any]:
    """What an entry says beside its words; nothing where it is no JSON object, for then somebody forged it."""
    try:
        found = json.loads(entry.details)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # as above
        return None


def _renamed(version: str, details: Mapping[str, Any]) -> list[str]:
    before, after = details.get("before"), details.get("after")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    told = []
    for alias in ("champion", "challenger"):
        was, now = before.get(alias) == version, after.get(alias) == version
        if was != now:
            told.append(f"became {alias}" if now else f"is {alias} no more")
    return told


def disagreement(version: str, role: str, registered: "Version | None") -> str:
    """Where the registry's aliases say something else than the route, the sentence that says so; else nothing."""
    if registered is None:
        return ""
    said = set(registered.aliases) & {"champion", "challenger"}
    if said == ({role} & {"champion", "challenger"}):
        return ""
    named = f"names version {version} {' and '.join(sorted(said))}" if said else f"gives version {version} no name"
    return f"The registry {named}; the route decides what answers, and `leadgate route show` tells it."
