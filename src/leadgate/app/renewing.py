"""What a retraining learns from, and how its version does: the two halves that ``app/retraining.py`` puts together."""

import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import uuid_utils.compat as uuids

from leadgate.app.wire import Home
from leadgate.errors import BadFileError, LeadgateError, NotFoundError, RefusedError
from leadgate.leads.frames import Merged, Table, as_snapshot, empty_leads, merge
from leadgate.leads.importing import describe_fault
from leadgate.leads.snapshots import Snapshot, commit_snapshot, read_snapshot, snapshot_with, snapshots
from leadgate.leads.validation import Validated, validate
from leadgate.outcomes.harvesting import Harvest, harvest, known_until
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.deliveries import delivery_hours
from leadgate.storage.postgres.imports import ImportRecord, serialise_imports
from leadgate.storage.postgres.outcomes import last_outcomes
from leadgate.storage.postgres.retrainings import first_scores
from leadgate.storage.postgres.routes import routes_of

if TYPE_CHECKING:
    from leadgate.models.registry import Version
    from leadgate.models.renewal import Choice, Gate, Locked
    from leadgate.models.training import Candidate

_LOOK_BACK = timedelta(days=400)
"""For outages of the CRM."""
_CHAMPIONS = 5
"""So many of the last champions stand for the best so far."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """A version that could follow the champion, and what speaks for and against it."""

    candidate: "Candidate"
    choice: "Choice"
    gates: "tuple[Gate, ...]"
    champion: "Version"


def collect(home: Home, connection: Connection, at: datetime) -> Harvest:
    """The labelled leads that were known at a time."""
    rules = home.project.outcomes
    known, outages = known_at(home, connection, at)
    window = timedelta(days=rules.window_days)
    until = known - window if known > datetime.min.replace(tzinfo=known.tzinfo) + window else known
    scored = first_scores(connection, home.project.name, until=until)
    return harvest(scored, last_outcomes(connection, until=at), home.project.lead, rules, known, outages=outages)


def known_at(home: Home, connection: Connection, at: datetime) -> tuple[datetime, list[tuple[datetime, datetime]]]:
    """Up to when the CRM had told everything at a time, and its outages before."""
    hours = delivery_hours(connection, "outcomes", since=at - _LOOK_BACK, until=at)
    return known_until(at, hours, home.project.monitoring.integration.sync_hours.red)


def validated(home: Home, found: Harvest, name: str, at: datetime) -> Validated:
    """The good rows of a harvest, by the checks of an import. Raises BadFileError where too many are bad."""
    schema = home.project.lead
    # What the log holds: columns that a score takes, an outcome that is yes or no already.
    seen = schema.model_copy(update={"features": schema.taken, "converted_when": None})
    table = Table(frame=found.leads, first_row=1, format="log", delimiter=None, encoding=None, digest="")
    judged = validate(seen, table, name, at)
    limit = home.project.imports.quarantine_limit
    if judged.bad_rows > limit * judged.rows:
        raise BadFileError(
            f"{name}: {judged.bad_rows:,} of {judged.rows:,} scored leads are bad (allowed {limit:.1%}), so nothing is "
            f"learnt from them. First: {describe_fault(judged.faults[0])}. Mend what sends "
            "them, or raise imports.quarantine_limit."
        )
    return judged


def record_of(judged: Validated, name: str, at: datetime) -> ImportRecord:
    """The rows that were kept out are found where those of an import are."""
    return ImportRecord(
        import_id=uuids.uuid7(),
        file=name,
        file_digest="",
        imported_at=at,
        row_count=judged.rows,
        quarantined=judged.bad_rows,
        refused_because=None,
    )


def merged(home: Home, leads: pl.DataFrame) -> Merged:
    """The last snapshot with these leads laid over it."""
    project, uri = home.project, home.snapshots_uri
    there = read_snapshot(uri, project.lead)[1] if snapshots(uri) else empty_leads(project.lead)
    return merge(there, as_snapshot(there, leads, project.lead), project.lead.id)


def snapshot_of(home: Home, leads: pl.DataFrame, facts: dict[str, str]) -> tuple[Snapshot, bool]:
    """The snapshot with these leads in it, and whether it is a new one.

    Done again it is the same one: by the facts of its commit, or since there is nothing to add.
    """
    uri = home.snapshots_uri
    with home.connection() as connection:
        serialise_imports(connection)
        made = snapshot_with(uri, "retraining", facts["retraining"])
        if made is not None:
            return made, True
        both = merged(home, leads)
        if both.new.is_empty() and not both.changed and snapshots(uri):
            return snapshots(uri)[-1], False
        return commit_snapshot(uri, both, home.project.lead, facts), True


def judged(home: Home, snapshot: int, *, at: datetime, author: str) -> Judged:
    """Train on a snapshot and hold the version against the champion; nothing is registered.

    The same snapshot and time give the same version. Raises RefusedError without a champion.
    """
    from leadgate.models.dataset import labelled, split  # noqa: PLC0415
    from leadgate.models.renewal import choose, comparable, judge  # noqa: PLC0415
    from leadgate.models.training import compare_with, make_candidate  # noqa: PLC0415

    project, rules = home.project, home.project.retraining
    champion = home.registry.champion()
    if champion is None:
        raise RefusedError("There is no champion yet; `leadgate train` makes the first version.")
    _, leads = read_snapshot(home.snapshots_uri, project.lead, snapshot)
    training, _ = split(labelled(leads, project.lead), project.lead, project.split)
    choice = choose(training, project.lead, project.model, window_days=rules.window_days, now=at)
    candidate = make_candidate(
        home.snapshots_uri,
        project,
        folder=home.folder,
        snapshot_version=snapshot,
        author=author,
        now=at,
        since=choice.since,
    )
    recent = comparable(candidate.holdout, project.lead, since=at - timedelta(days=rules.compare_days))
    auc = candidate.card.evaluation.overall.auc
    assert auc is not None  # a hold-out of one kind is refused before
    gates = judge(
        rules.gates,
        holdout_auc=auc,
        leads=len(candidate.held),
        recent=compare_with(home.registry, champion, candidate, recent),
        champion_auc=home.registry.card(champion).evaluation.overall.auc,
        locked=_locked(home, candidate, champion, leads),
    )
    return Judged(candidate=candidate, choice=choice, gates=gates, champion=champion)


def _locked(home: Home, candidate: "Candidate", champion: "Version", leads: pl.DataFrame) -> "Locked | None":
    """The champion's hold-out with the outcomes that its registration recorded; None where it cannot be read."""
    from leadgate.models.dataset import FEWEST_OF_A_CLASS  # noqa: PLC0415
    from leadgate.models.renewal import Locked, relabelled  # noqa: PLC0415

    schema = home.project.lead
    try:
        recorded = pl.read_parquet(io.BytesIO(home.registry.holdout(champion))).select("id", "converted")
        version = home.registry.card(champion).snapshot_version
        _, then = read_snapshot(home.snapshots_uri, schema, version)
    except (LeadgateError, OSError, pl.exceptions.PolarsError):
        return None
    rows = then.drop(schema.target).join(recorded.rename({"id": schema.id, "converted": schema.target}), on=schema.id)
    unseen = rows.filter(~pl.col(schema.id).is_in(list(candidate.learnt.ids))).sort(schema.id)
    won = int(unseen[schema.target].sum())
    if min(won, unseen.height - won) < FEWEST_OF_A_CLASS:
        return None
    aucs = _aucs(home, candidate, unseen, _champions(home, champion))
    best = max((v for v in aucs if v != ""), key=aucs.__getitem__)
    return Locked(
        leads=unseen.height,
        candidate=aucs[""],
        best=aucs[best],
        best_version=best,
        relabelled=relabelled(recorded, leads, schema),
    )


def _aucs(home: Home, candidate: "Candidate", rows: pl.DataFrame, champions: "list[Version]") -> dict[str, float]:
    """AUC on the same leads by version; that of the candidate has no number yet."""
    import numpy as np  # noqa: PLC0415

    from leadgate.models.dataset import rows_of  # noqa: PLC0415
    from leadgate.models.pipeline import frame_of, predict  # noqa: PLC0415
    from leadgate.models.scorers import load  # noqa: PLC0415
    from leadgate.stats.auc import auc  # noqa: PLC0415

    schema = home.project.lead
    converted = rows[schema.target].to_numpy().astype(np.bool_)
    found = {"": auc(converted, predict(candidate.pipeline, frame_of(schema, rows_of(rows, schema))))}
    for version in champions:
        scored = load(home.registry, version)
        values = rows_of(rows, scored.card.lead, as_served=True)
        found[version.version] = auc(converted, np.array(scored.scorer.score_many(values)))
    return found


def _champions(home: Home, champion: "Version") -> "list[Version]":
    """The champion and those before it, as far as the registry still has them."""
    with home.connection() as connection:
        names = [route.champion for route in routes_of(connection, home.project.name)]
    found = [champion]
    for name in dict.fromkeys(names):
        try:
            if name != champion.version and len(found) < _CHAMPIONS:
                found.append(home.registry.find(name))
        except NotFoundError:
            continue
    return found
