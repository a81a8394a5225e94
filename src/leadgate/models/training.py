"""From a snapshot to a registered, evaluated and compiled version."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from leadgate.compiled.background import with_background
from leadgate.compiled.compiler import CannotCompileError, compile_pipeline
from leadgate.compiled.program import Program, digest
from leadgate.compiled.proof import Proof, edge_rows, prove
from leadgate.leads.baselines import Baseline, baseline_to_bytes
from leadgate.leads.made import require_events, without_history
from leadgate.leads.project import Project
from leadgate.leads.schema import FeatureValue, LeadSchema
from leadgate.leads.snapshots import Snapshot, read_snapshot
from leadgate.models.card import Card
from leadgate.models.dataset import (
    Dataset,
    created_since,
    dataset_of,
    labelled,
    require_learnable,
    require_plausible,
    require_values,
    rows_of,
    split,
)
from leadgate.models.evaluation import Comparison, compare, evaluate
from leadgate.models.importance import permutation_importance
from leadgate.models.pipeline import accepted, build_pipeline, frame_of, predict
from leadgate.models.pipeline_digest import pipeline_digest
from leadgate.models.plots import calibration_plot, roc_plot, score_plot
from leadgate.models.profiling import baseline_of
from leadgate.models.provenance import provenance
from leadgate.models.registry import Alias, Files, Registry, Version
from leadgate.models.scorers import load
from leadgate.models.searching import Search, search, with_found
from leadgate.stats.bands import score_bands

Step = Callable[[str], None]
Row = Sequence[FeatureValue]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A pipeline fitted on the training part, compiled if that could be proven."""

    pipeline: Any
    program: Program | None
    proof: Proof | None
    why_library: str | None
    model_digest: str


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What ``leadgate train`` made."""

    version: Version
    card: Card
    against: str | None
    """The champion's version that it was compared with; None for a first version."""
    comparison: Comparison | None
    """On the same hold-out leads; None without a champion, and where its features.py needs what they do not have."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Learnt:
    """What a snapshot and a configuration give, and nothing else has a part in."""

    snapshot: Snapshot
    learnt: Dataset
    held: Dataset
    holdout: pl.DataFrame
    """The rows of ``held`` with all columns of the snapshot."""
    fitted: Fitted
    scores: npt.NDArray[np.float64]
    """Of ``held``, shape (n,)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A version that is trained and evaluated, and stands in no registry yet."""

    card: Card
    files: Files
    pipeline: Any
    """The fitted scikit-learn pipeline."""
    learnt: Dataset
    held: Dataset
    holdout: pl.DataFrame
    """The rows of ``held`` with all columns of the snapshot."""
    scores: npt.NDArray[np.float64]
    """Of ``held``, shape (n,)."""


def train(
    registry: Registry,
    uri: str,
    project: Project,
    *,
    folder: Path,
    snapshot_version: int | None,
    author: str | None,
    now: datetime,
    aliased: bool = True,
    step: Step = lambda _: None,
) -> Trained:
    """Train, evaluate, compile, prove and register a version.

    1. Make the candidate. 2. Compare it with the champion on the same leads. 3. Register; the first version becomes
    champion, a later one challenger; without ``aliased`` that is left to whoever promotes it.

    The same snapshot, configuration and lock give the same model, bit for bit. ``step`` is told what is being done.
    Raises RefusedError when nothing can be learnt from the snapshot, NotFoundError when there is none.
    """
    candidate = make_candidate(
        uri, project, folder=folder, snapshot_version=snapshot_version, author=author, now=now, step=step
    )
    champion = registry.champion()
    comparison = compare_with(registry, champion, candidate, candidate.holdout) if champion else None
    step("registering")
    version = registry.register(candidate.card, candidate.files)
    # Asked anew: another training may have registered the first champion meanwhile.
    alias: Alias = "challenger" if registry.champion() else "champion"
    if aliased:
        registry.point(alias, version, by=candidate.card.provenance.author, at=now)
    return Trained(
        version=registry.find(version.version),
        card=candidate.card,
        against=champion.version if champion else None,
        comparison=comparison,
    )


def make_candidate(
    uri: str,
    project: Project,
    *,
    folder: Path,
    snapshot_version: int | None,
    author: str | None,
    now: datetime,
    since: datetime | None = None,
    step: Step = lambda _: None,
) -> Candidate:
    """Train and evaluate a version from a snapshot and the configuration alone; nothing is registered.

    1. Search hyperparameters, where a grid is declared. 2. Learn from the snapshot. 3. Evaluate on the hold-out.
    4. Measure what each feature matters, and profile the snapshot. Raises as ``learn`` and ``search`` do.
    """
    project, found = searched(uri, project, snapshot_version=snapshot_version, since=since, step=step)
    made = learn(uri, project, snapshot_version=snapshot_version, since=since, step=step)
    learnt, held, fitted, scores = made.learnt, made.held, made.fitted, made.scores
    require_plausible(learnt, project.lead, project.imports.quarantine_limit)
    card = _card(
        project,
        made.snapshot,
        learnt,
        held,
        scores=scores,
        fitted=fitted,
        folder=folder,
        author=author,
        now=now,
        since=since,
        searched=found.sentence if found else None,
    )
    step("measuring what the features matter")
    baseline = _baseline(project, made.snapshot, learnt, held, scores=scores, fitted=fitted, card=card)
    return Candidate(
        card=card,
        files=_files(project.lead, held, scores, fitted, card, baseline),
        pipeline=fitted.pipeline,
        learnt=learnt,
        held=held,
        holdout=made.holdout,
        scores=scores,
    )


def learn(
    uri: str,
    project: Project,
    *,
    snapshot_version: int | None,
    since: datetime | None = None,
    step: Step = lambda _: None,
) -> Learnt:
    """Fit a model on a snapshot and score its hold-out.

    1. Read the snapshot's labelled leads, in the order of their ids. 2. Set the hold-out apart. 3. Fit on the rest;
    with ``since`` on those that were created from then on. 4. Compile, and prove the compiled scorer on hold-out and
    edge rows. 5. Score the hold-out.

    Raises RefusedError when nothing can be learnt from the snapshot, NotFoundError when there is none.
    """
    step("reading the snapshot")
    snapshot, leads = read_snapshot(uri, project.lead, snapshot_version, history=True)
    training, holdout = split(labelled(leads, project.lead), project.lead, project.split)
    training = created_since(training, project.lead, since)
    require_learnable(training, holdout, project.lead)
    if project.lead.code:
        step("making features")
    learnt, held = dataset_of(training, project.lead), dataset_of(holdout, project.lead)
    require_events(training, project.lead)
    require_values(learnt, project.lead)
    step(f"fitting {project.model.kind} on {len(learnt):,} leads")
    fitted = fit(project, learnt, held)
    step(f"evaluating on {len(held):,} held-out leads")
    scores = _score(fitted.pipeline, project.lead, held)
    return Learnt(snapshot=snapshot, learnt=learnt, held=held, holdout=holdout, fitted=fitted, scores=scores)


def searched(
    uri: str,
    project: Project,
    *,
    snapshot_version: int | None,
    since: datetime | None = None,
    step: Step = lambda _: None,
) -> tuple[Project, Search | None]:
    """The project with the hyperparameters that its grid gives on the leads that ``learn`` fits on.

    As it is, and None, where no grid is declared.
    """
    if project.model.search is None:
        return project, None
    _, leads = read_snapshot(uri, project.lead, snapshot_version)
    training, _ = split(labelled(leads, project.lead), project.lead, project.split)
    found = search(created_since(training, project.lead, since), project.lead, project.model, step)
    return project.model_copy(update={"model": with_found(project.model, found)}), found


def fit(project: Project, learnt: Dataset, held: Dataset) -> Fitted:
    """Fit the pipeline and compile it."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    pipeline = build_pipeline(project.lead, project.model)
    # Sums that several threads share depend on who finishes first; one thread makes them repeatable to the bit.
    with threadpool_limits(limits=1), accepted(project.model):
        pipeline.fit(frame_of(project.lead, learnt.rows), learnt.converted)
    try:
        program = with_background(compile_pipeline(pipeline, project.lead), project.lead, learnt.rows)
    except CannotCompileError as error:
        return Fitted(
            pipeline=pipeline, program=None, proof=None, why_library=str(error), model_digest=_file_digest(pipeline)
        )
    proof = prove(
        program,
        lambda rows: predict(pipeline, frame_of(project.lead, rows)),
        held.rows,
        edge_rows(project.lead, program, held.rows),
    )
    why = None if proof.holds else f"the compiled scores differ from the library's by up to {proof.max_difference:.1e}"
    return Fitted(pipeline=pipeline, program=program, proof=proof, why_library=why, model_digest=digest(program))


def _score(pipeline: Any, schema: LeadSchema, held: Dataset) -> npt.NDArray[np.float64]:
    """Scores of the hold-out, repeatable to the bit: see ``fit``."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    with threadpool_limits(limits=1):
        return predict(pipeline, frame_of(schema, held.rows))


def _file_digest(pipeline: Any) -> str:
    import skops.io  # noqa: PLC0415

    return pipeline_digest(skops.io.dumps(pipeline))


def _card(
    project: Project,
    snapshot: Snapshot,
    learnt: Dataset,
    held: Dataset,
    *,
    scores: npt.NDArray[np.float64],
    fitted: Fitted,
    folder: Path,
    author: str | None,
    now: datetime,
    since: datetime | None,
    searched: str | None,
) -> Card:
    return Card(
        model_name=project.name,
        lead=project.lead,
        model=project.model,
        split=project.split,
        thresholds=project.thresholds,
        snapshot_version=snapshot.version,
        snapshot_digest=snapshot.digest,
        training_leads=len(learnt),
        holdout_leads=len(held),
        model_digest=fitted.model_digest,
        provenance=provenance(folder, author),
        trained_at=now,
        evaluation=evaluate(held.converted, scores, project.thresholds.decision, held.segments),
        bands=score_bands(held.converted, scores),
        proof=fitted.proof,
        why_library=fitted.why_library,
        example=learnt.rows[0],
        since=since,
        searched=searched,
    )


def compare_with(registry: Registry, champion: Version, candidate: Candidate, leads: pl.DataFrame) -> Comparison | None:
    """The champion and a candidate on the same labelled leads, rows of a snapshot, each by its own features.py.

    None where the champion's needs a history that leads do not have: without it its scores would be others.
    """
    present, schema = load(registry, champion), candidate.card.lead
    if without_history(leads, present.card.lead):
        return None
    theirs = np.array(present.scorer.score_many(rows_of(leads, present.card.lead, as_served=True)))
    ours = predict(candidate.pipeline, frame_of(schema, rows_of(leads, schema)))
    converted = leads[schema.target].to_numpy().astype(np.bool_)
    return compare(converted, theirs, ours, candidate.card.thresholds.decision)


def _baseline(
    project: Project,
    snapshot: Snapshot,
    learnt: Dataset,
    held: Dataset,
    *,
    scores: npt.NDArray[np.float64],
    fitted: Fitted,
    card: Card,
) -> Baseline:
    """What monitoring holds later leads against."""
    importance = permutation_importance(
        lambda frame: predict(fitted.pipeline, frame),
        frame_of(project.lead, held.rows),
        held.converted,
        np.random.default_rng(project.model.seed),
    )
    return baseline_of(
        project.lead,
        learnt,
        held,
        scores,
        evaluation=card.evaluation,
        thresholds=project.thresholds,
        importance=importance,
        snapshot_version=snapshot.version,
    )


def _files(  # noqa: PLR0917  # private
    schema: LeadSchema,
    held: Dataset,
    scores: npt.NDArray[np.float64],
    fitted: Fitted,
    card: Card,
    baseline: Baseline,
) -> Files:
    buffer = io.BytesIO()
    pl.DataFrame({"id": held.ids, "converted": held.converted, "score": scores}).write_parquet(buffer)
    return Files(
        pipeline=fitted.pipeline,
        program=fitted.program,
        holdout=buffer.getvalue(),
        baseline=baseline_to_bytes(baseline),
        figures={
            "roc.png": roc_plot(held.converted, scores, card.evaluation),
            "calibration.png": calibration_plot(card.evaluation),
            "scores.png": score_plot(held.converted, scores),
        },
        frame=frame_of(schema, held.rows[:100]),
    )
