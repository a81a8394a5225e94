"""What a retraining learns from, and how its version does: the two halves that ``app/retraining.py`` puts together."""

import io
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import polars as pl
import uuid_utils.compat as uuids

from leadgate.app.wire import Home
from leadgate.errors import LeadgateError, NotFoundError, RefusedError
from leadgate.leads.frames import HISTORY, Merged, Table, as_snapshot, columns_of, empty_leads, filled, merge
from leadgate.leads.histories import attach_histories
from leadgate.leads.importing import describe_fault
from leadgate.leads.snapshots import Snapshot, commit_snapshot, read_snapshot, snapshot_with, snapshots
from leadgate.leads.validation import Validated, validate
from leadgate.outcomes.harvesting import Harvest, harvest, known_until
from leadgate.storage.postgres.audit import latest_entries
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.deliveries import delivery_hours
from leadgate.storage.postgres.imports import ImportRecord, serialise_imports
from leadgate.storage.postgres.outcomes import last_outcomes
from leadgate.storage.postgres.retention import logged_days
from leadgate.storage.postgres.retrainings import first_scores
from leadgate.storage.postgres.routes import routes_of

if TYPE_CHECKING:
    from leadgate.models.registry import Version
    from leadgate.models.renewal import Choice, Gate, Locked
    from leadgate.models.training import Candidate

_LOOK_BACK = timedelta(days=36_500)
"""For outages of the CRM: leads that were withheld for one are not lost when it is long ago."""
TURNED = "world_turned"
"""Tag of a version that passed below the best champion, since the world has turned."""
_CHAMPIONS = 20
"""So many of the last champions stand for the best so far: some three years of rollouts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """A version that could follow the champion, and what speaks for and against it."""

    candidate: "Candidate"
    choice: "Choice"
    gates: "tuple[Gate, ...]"
    champion: "Version"
    other_kind: str | None
    """What to say where the champion is a model of another kind than leadgate.yaml's."""


def collect(home: Home, connection: Connection, at: datetime) -> Harvest:
    """The labelled leads that were known at a time; what their scores did not take is as the last snapshot has it."""
    rules, schema, uri = home.project.outcomes, home.project.lead, home.snapshots_uri
    known, outages = known_at(home, connection, at)
    window = timedelta(days=rules.window_days)
    until = known - window if known > datetime.min.replace(tzinfo=known.tzinfo) + window else known
    scored = first_scores(connection, home.project.name, until=until)
    found = harvest(scored, last_outcomes(connection, until=at), schema, rules, known, outages=outages)
    if not found.unlogged or not snapshots(uri):
        return found
    return replace(found, leads=filled(found.leads, read_snapshot(uri, schema)[1], found.unlogged, schema.id))


def known_at(home: Home, connection: Connection, at: datetime) -> tuple[datetime, list[tuple[datetime, datetime]]]:
    """Up to when the CRM had told everything at a time, and its outages before."""
    hours = delivery_hours(connection, "outcomes", since=at - _LOOK_BACK, until=at)
    return known_until(at, hours, home.project.monitoring.integration.sync_hours.red)


def crm_silence(home: Home, connection: Connection, now: datetime) -> str | None:
    """What to say beside figures that take silence for a loss while the CRM tells nothing; None where it tells."""
    if home.project.outcomes.silence_means != "not_converted":
        return None
    known, _ = known_at(home, connection, now)
    silent = now - known
    if silent <= timedelta(hours=home.project.monitoring.integration.sync_hours.red):
        return None
    since = "nothing yet" if known.year == 1 else f"nothing for {silent / timedelta(days=1):,.0f} days"
    return (
        f"The CRM has told {since}, so leads that count as not converted below may have converted. A retraining does "
        "not learn from them, and none begins before it tells again."
    )


def validated(home: Home, found: Harvest, name: str, at: datetime) -> Validated:
    """The good rows of a harvest, by the checks of an import. Raises BadFileError where a column is hardly filled."""
    schema = home.project.lead
    # What the log holds: columns that a score takes, an outcome that is yes or no already.
    seen = schema.model_copy(update={"features": schema.taken, "converted_when": None})
    table = Table(frame=found.leads, first_row=1, format="log", delimiter=None, encoding=None, digest="")
    return validate(seen, table, name, at)


def refusal(home: Home, judged: Validated, name: str) -> str | None:
    """Why nothing is learnt from a harvest, where too many of its rows are bad."""
    limit = home.project.imports.quarantine_limit
    if judged.bad_rows <= limit * judged.rows:
        return None
    return (
        f"{name}: {judged.bad_rows:,} of {judged.rows:,} scored leads are bad (allowed {limit:.1%}), so nothing is "
        f"learnt from them. First: {describe_fault(judged.faults[0])}. Mend what sends them; where the "
        f"world has come to such values, leadgate.yaml has to allow them in {judged.faults[0].column_name}."
    )


def record_of(judged: Validated, name: str, at: datetime, refused_because: str | None) -> ImportRecord:
    """The rows that were kept out are found where those of an import are."""
    return ImportRecord(
        import_id=uuids.uuid7(),
        file=name,
        file_digest="",
        imported_at=at,
        row_count=judged.rows,
        quarantined=judged.bad_rows,
        refused_because=refused_because,
    )


def merged(home: Home, leads: pl.DataFrame, unheard: Collection[str]) -> Merged:
    """The last snapshot with these leads laid over it, but for those of whom it knows more.

    A lead that was imported as converted, and scored later, is not lost because the CRM does not tell of it again. And
    where days have left the log, the first score that it has of an older lead is not the lead's first.
    """
    schema, uri = home.project.lead, home.snapshots_uri
    there = read_snapshot(uri, schema)[1] if snapshots(uri) else empty_leads(schema)
    known, begins = there.filter(pl.col(schema.target).is_not_null()), _log_begins(home)
    left = set(known[schema.id]) & set(unheard)
    if begins is not None:
        older = known if schema.timestamp is None else known.filter(pl.col(schema.timestamp) < begins)
        left |= set(older[schema.id])
    kept = leads.filter(~pl.col(schema.id).is_in(list(left)))
    if HISTORY in columns_of(schema):  # of the score, which is the time that these leads have
        with home.connection() as connection:
            kept = attach_histories(connection, kept, schema)
    return merge(there, as_snapshot(there, kept, schema), schema.id)


def _log_begins(home: Home) -> datetime | None:
    """The first day of a prediction log that days have left; None for a whole one."""
    with home.connection() as connection:
        if not latest_entries(connection, act="log.retain", most=1):
            return None
        days = [day.day for day in logged_days(connection)]
    return datetime.combine(min(days), time(), UTC) if days else None


def snapshot_of(
    home: Home, leads: pl.DataFrame, facts: dict[str, str], unheard: Collection[str]
) -> tuple[Snapshot, bool]:
    """The snapshot with these leads in it, and whether it is a new one; ``unheard`` as in a harvest.

    Done again it is the same one: by the facts of its commit, or since there is nothing to add.
    """
    uri = home.snapshots_uri
    with home.connection() as connection:
        serialise_imports(connection)
        made = snapshot_with(uri, "retraining", facts["retraining"])
        if made is not None:
            return made, True
        both = merged(home, leads, unheard)
        if both.new.is_empty() and not both.changed and snapshots(uri):
            return snapshots(uri)[-1], False
        return commit_snapshot(uri, both, home.project.lead, facts), True


def judged(home: Home, snapshot: int, *, at: datetime, author: str) -> Judged:
    """Train on a snapshot and hold the version against the champion; nothing is registered.

    Where a model of the window's leads is stopped for what it is, one of all leads is tried. The same snapshot and time
    give the same version. Raises RefusedError without a champion.
    """
    from leadgate.models.dataset import labelled, split  # noqa: PLC0415
    from leadgate.models.renewal import all_instead, choose  # noqa: PLC0415

    project, rules = home.project, home.project.retraining
    champion = home.registry.champion()
    if champion is None:
        raise RefusedError("There is no champion yet; `leadgate train` makes the first version.")
    _, leads = read_snapshot(home.snapshots_uri, project.lead, snapshot, history=True)
    known = labelled(leads, project.lead)
    training, _ = split(known, project.lead, project.split)
    latest = _latest(known, project.lead.timestamp, at)
    choice = choose(training, project.lead, project.model, window_days=rules.window_days, now=latest)
    since = latest - timedelta(days=rules.compare_days)
    found = _judged(home, snapshot, choice, champion, leads, since=since, at=at, author=author)
    other = all_instead(choice, found.gates)
    if other is None:
        return found
    return _judged(home, snapshot, other, champion, leads, since=since, at=at, author=author)


def _judged(  # private
    home: Home,
    snapshot: int,
    choice: "Choice",
    champion: "Version",
    leads: pl.DataFrame,
    *,
    since: datetime,
    at: datetime,
    author: str,
) -> Judged:
    """A version of the leads that were chosen, and what its gates say; it meets the champion on leads ``since``."""
    from leadgate.models.renewal import comparable, judge  # noqa: PLC0415
    from leadgate.models.training import compare_with, make_candidate  # noqa: PLC0415

    project = home.project
    candidate = make_candidate(
        home.snapshots_uri,
        project,
        folder=home.folder,
        snapshot_version=snapshot,
        author=author,
        now=at,
        since=choice.since,
    )
    recent = comparable(candidate.holdout, project.lead, since=since)
    auc, present = candidate.card.evaluation.overall.auc, home.registry.card(champion)
    assert auc is not None  # a hold-out of one kind is refused before
    gates = judge(
        project.retraining.gates,
        holdout_auc=auc,
        leads=len(candidate.held),
        recent=compare_with(home.registry, champion, candidate, recent),
        champion_auc=present.evaluation.overall.auc,
        locked=_locked(home, candidate, champion, leads),
    )
    kinds = (project.model.kind, present.model.kind)
    told = None if kinds[0] == kinds[1] else f"leadgate.yaml trains {kinds[0]}, and the champion is {kinds[1]}"
    return Judged(candidate=candidate, choice=choice, gates=gates, champion=champion, other_kind=told)


def _latest(leads: pl.DataFrame, timestamp: str | None, at: datetime) -> datetime:
    """From when spans of leads are counted back: the last one whose outcome is known, for younger ones cannot be."""
    last = None if timestamp is None else leads[timestamp].max()
    return min(at, last) if isinstance(last, datetime) else at


def _locked(home: Home, candidate: "Candidate", champion: "Version", leads: pl.DataFrame) -> "Locked | None":
    """How versions do on the champion's hold-out with the outcomes that its registration recorded.

    None where it cannot be read, or one of the champions cannot: the best one may be it.
    """
    from leadgate.models.dataset import FEWEST_OF_A_CLASS  # noqa: PLC0415
    from leadgate.models.registry import HOLDOUT  # noqa: PLC0415
    from leadgate.models.renewal import Locked, relabelled  # noqa: PLC0415

    schema = home.project.lead
    try:
        recorded = pl.read_parquet(io.BytesIO(home.registry.file(champion, HOLDOUT))).select("id", "converted")
        version = home.registry.card(champion).snapshot_version
        _, then = read_snapshot(home.snapshots_uri, schema, version, history=True)
    except (LeadgateError, OSError, pl.exceptions.PolarsError):
        return None
    rows = then.drop(schema.target).join(recorded.rename({"id": schema.id, "converted": schema.target}), on=schema.id)
    unseen = rows.filter(~pl.col(schema.id).is_in(list(candidate.learnt.ids))).sort(schema.id)
    won = int(unseen[schema.target].sum())
    if min(won, unseen.height - won) < FEWEST_OF_A_CLASS:
        return None
    try:
        aucs = _aucs(home, candidate, unseen, _champions(home, champion))
    except (LeadgateError, OSError):
        return None
    best = max((v for v in aucs if v != ""), key=aucs.__getitem__)
    return Locked(
        leads=unseen.height,
        candidate=aucs[""],
        best=aucs[best],
        best_version=best,
        labels=recorded.height,
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
    """The champion and those before it, as far as the registry still has them, and the world has not turned since."""
    with home.connection() as connection:
        names = [route.champion for route in routes_of(connection, home.project.name)]
    found = [champion]
    for name in dict.fromkeys(names):
        if TURNED in found[-1].tags:
            break
        try:
            if name != champion.version and len(found) < _CHAMPIONS:
                found.append(home.registry.find(name))
        except NotFoundError:
            continue
    return found
