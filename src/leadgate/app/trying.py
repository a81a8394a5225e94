"""Trains without a registry and without a database: how good a model of a file of leads would be, and which one."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from leadgate.app.wire import Home
from leadgate.errors import RefusedError
from leadgate.leads.checking import check_leads
from leadgate.leads.event_files import read_events
from leadgate.leads.events import events_in_history
from leadgate.leads.files import read_table
from leadgate.leads.frames import HISTORY, empty_leads, merge
from leadgate.leads.made import with_history
from leadgate.leads.project import Project
from leadgate.leads.snapshots import commit_snapshot
from leadgate.records import Interval, LeadEvent

Step = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A model that was trained and is kept nowhere."""

    kind: str
    searched: str | None
    """How its hyperparameters were found, where a grid is declared."""
    training_leads: int
    holdout_leads: int
    auc: float | None
    """On the hold-out."""
    auc_interval: Interval | None
    calibration_error: float
    scorer: str
    """compiled, or library."""
    why_library: str | None
    snapshot_digest: str
    feature_set_hash: str
    model_digest: str
    """SHA-256 of the learned parameters: the same data, configuration and packages give the same one."""


def try_training(
    home: Home,
    project: Project,
    *,
    file: Path | None,
    snapshot: int | None,
    events: Path | None = None,
    step: Step = lambda _: None,
) -> Tried:
    """Train on a file of leads, or on a snapshot (the last one without a number), and register nothing.

    ``events`` is the file of what those leads did. Raises BadFileError, RefusedError when nothing can be learnt, and
    NotFoundError without a snapshot.
    """
    if file is None:
        return _try(project, home.snapshots_uri, snapshot, step)
    with tempfile.TemporaryDirectory() as folder:
        step(f"checking {file.name}")
        leads = check_leads(project, file=file, now=home.clock()).leads
        found = _events(project, events, home.clock())
        leads = with_history(leads, project.lead, found)
        _require_matches(project, leads, file, found, events)
        merged = merge(empty_leads(project.lead), leads, project.lead.id)
        facts = {"file": file.name, "import_id": "", "quarantined": "0"}
        commit_snapshot(f"{folder}/leads", merged, project.lead, facts)
        return _try(project, f"{folder}/leads", None, step)


def _events(project: Project, file: Path | None, now: datetime) -> dict[str, list[LeadEvent]]:
    """By lead, the events of a file, each once, as the event log would have them."""
    if file is None:
        if project.lead.code is not None and project.lead.code.takes_events:
            raise RefusedError(
                "features.py takes events, so a file of leads alone is not enough; name the file of what they did: "
                "--events FILE."
            )
        return {}
    first: dict[tuple[object, ...], LeadEvent] = {}
    for event in sorted(read_events(read_table(file), file.name, now), key=lambda event: event.known_at):
        first.setdefault((event.lead_id, event.at, event.kind, event.value), event)
    found: dict[str, list[LeadEvent]] = {}
    for event in first.values():
        found.setdefault(event.lead_id, []).append(event)
    return found


def _require_matches(
    project: Project, leads: pl.DataFrame, file: Path, found: dict[str, list[LeadEvent]], events: Path | None
) -> None:
    """Refuse files of which none of the events can count for one of the leads."""
    lead = project.lead
    if events is None or lead.code is None or not lead.code.takes_events or leads.is_empty():
        return
    ids = set(leads[lead.id])
    both = ids & found.keys()
    if not both:
        ours, theirs = (", ".join(map(repr, sorted(some)[:3])) for some in (ids, found))
        raise RefusedError(
            f"No event of {events.name} is of a lead of {file.name}: the ids of the files do not match. Leads are such "
            f"as {ours}; events are of {theirs}. Write the leads' ids as lead_id of the events."
        )
    if not any(events_in_history(text) for text in leads[HISTORY]):
        raise RefusedError(
            f"{len(both):,} of the {len(ids):,} leads of {file.name} have events in {events.name}, and no event is "
            f"from before its lead's time ({lead.timestamp}) and was known by then; only such events count."
        )


def _try(project: Project, uri: str, snapshot: int | None, step: Step) -> Tried:
    from leadgate.models.dataset import require_plausible  # noqa: PLC0415
    from leadgate.models.evaluation import evaluate  # noqa: PLC0415  # scikit-learn
    from leadgate.models.training import learn, searched  # noqa: PLC0415

    project, found = searched(uri, project, snapshot_version=snapshot, step=step)
    made = learn(uri, project, snapshot_version=snapshot, step=step)
    require_plausible(made.learnt, project.lead, project.imports.quarantine_limit)
    overall = evaluate(made.held.converted, made.scores, project.thresholds.decision, made.held.segments).overall
    proof = made.fitted.proof
    return Tried(
        kind=project.model.kind,
        searched=found.sentence if found else None,
        training_leads=len(made.learnt),
        holdout_leads=len(made.held),
        auc=overall.auc,
        auc_interval=overall.auc_interval,
        calibration_error=overall.calibration_error,
        scorer="compiled" if proof is not None and proof.holds else "library",
        why_library=made.fitted.why_library,
        snapshot_digest=made.snapshot.digest,
        feature_set_hash=project.lead.digest,
        model_digest=made.fitted.model_digest,
    )
