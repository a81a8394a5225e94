"""Makes a registered version again from its record alone, and holds the two against each other."""

import io
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl

from leadgate.compiled.program import FORMAT, BadProgramError, from_json, to_json
from leadgate.compiled.program import digest as program_digest
from leadgate.errors import LeadgateError, NotFoundError, RefusedError
from leadgate.leads.digest import content_digest
from leadgate.leads.project import Project
from leadgate.leads.snapshots import Snapshot, digest_of_stored, read_snapshot, snapshots
from leadgate.models.card import Card, card_from_json
from leadgate.models.pipeline_digest import pipeline_digest
from leadgate.models.provenance import arithmetic as arithmetic_here
from leadgate.models.provenance import commit_of, installed
from leadgate.models.registry import CARD, HOLDOUT, MODEL, PROGRAM, Registry, Version
from leadgate.models.reproduction import (
    Input,
    Reproduction,
    Result,
    arithmetic,
    commit,
    compared,
    configuration,
    packages,
    project_of,
    record,
    verdict_of,
)
from leadgate.models.training import Learnt, Step, learn
from leadgate.stats.classification import classify


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the registry holds of a version."""

    version: Version
    card: Card
    files: dict[str, bytes]
    """By name, those that are there and are what was registered."""
    damaged: dict[str, str] = field(default_factory=dict)
    """By name, why a file is not."""


def reproduce(
    registry: Registry,
    uri: str,
    which: str,
    *,
    present: Project,
    folder: Path,
    step: Step = lambda _: None,
) -> Reproduction:
    """Make a version again, in memory, and compare it with what is registered; nothing is written anywhere.

    1. Read the record: the card and the files that the registry's digests vouch for. 2. Find the snapshot and check its
    content. 3. Train with the card's configuration. 4. Compare digests, figures and every hold-out score, bit for bit.

    ``present`` is what leadgate.yaml says now, which is told and not used. Raises NotFoundError for a version that the
    registry does not have; everything else that is missing is part of the answer.
    """
    step("reading the registry's record")
    version = registry.find(which)
    try:
        card = card_from_json(registry.file(version, CARD))
    except (RefusedError, ValueError) as error:
        said = f"The card, which says what it was made of, is damaged: {str(error).splitlines()[0]}"
        return _answer(version, [Input(what="registry files", state="gone", sentence=said)], [], None)
    kept = _record(registry, version, card)
    inputs = [_files(kept), record(card, version.tags), configuration(card, present)]
    inputs += [commit(card.provenance, commit_of(folder)), packages(card.provenance.environment, installed())]
    step("checking the snapshot")
    snapshot, found = find_snapshot(uri, card)
    inputs.append(found)
    made = _make(uri, card, snapshot, step) if snapshot else None
    inputs.append(arithmetic(card.provenance.arithmetic, arithmetic_here()))
    if isinstance(made, Input):
        inputs.append(made)
    if snapshot is None or not isinstance(made, Learnt):
        return _answer(version, inputs, [], None)
    step("comparing")
    apart = _apart(kept, made)
    results = [*_digests(kept, made), *_scores(kept.card, made, apart)]
    return _answer(version, inputs, results, apart.largest if apart else None)


def find_snapshot(uri: str, card: Card) -> tuple[Snapshot | None, Input]:
    """The snapshot with the content that a version was trained on, under its number or, by its digest, another one."""
    listed = snapshots(uri)
    same = [s for s in listed if s.digest == card.snapshot_digest]
    why = _absent(listed, card) if not same else ""
    for snapshot in sorted(same, key=lambda s: s.version != card.snapshot_version):
        try:
            if _content(uri, snapshot, card) == card.snapshot_digest:
                return snapshot, _found(snapshot, card)
            why = (
                f"The leads that are stored as snapshot {snapshot.version} are not those that were committed: their "
                "digest differs. Restore the files of the Delta table from a backup."
            )
        except NotFoundError as error:
            why = str(error)
    again = f"Or import the same leads again: any snapshot with the digest {card.snapshot_digest[:16]} will do."
    return None, Input(what="snapshot", state="gone", sentence=f"{why} {again}")


def _absent(listed: tuple[Snapshot, ...], card: Card) -> str:
    number = card.snapshot_version
    there = next((s for s in listed if s.version == number), None)
    if there is None:
        known = ", ".join(str(s.version) for s in listed) or "none"
        return f"There is no snapshot {number} (known: {known}); does LEADGATE_SNAPSHOTS_URI name the right table?"
    return (
        f"Snapshot {number} has the digest {there.digest[:16]} and not {card.snapshot_digest[:16]}: the table was made "
        "anew, or LEADGATE_SNAPSHOTS_URI names another one."
    )


def _found(snapshot: Snapshot, card: Card) -> Input:
    if snapshot.version == card.snapshot_version:
        said = f"Snapshot {snapshot.version} is there, and its content has the digest that was recorded."
    else:
        said = (
            f"Its content is there as snapshot {snapshot.version}, not {card.snapshot_version}; the digest is the same."
        )
    return Input(what="snapshot", state="same", sentence=said)


def _content(uri: str, snapshot: Snapshot, card: Card) -> str:
    """The digest of what is stored, read with the version's own columns or with those of the import."""
    _, leads = read_snapshot(uri, card.lead, snapshot.version)
    own = content_digest(leads, card.lead.id)
    return own if own == snapshot.digest else digest_of_stored(uri, snapshot, card.lead)


def _record(registry: Registry, version: Version, card: Card) -> Record:
    files, damaged = {}, {}
    for name in (HOLDOUT, PROGRAM if card.compiled else MODEL):
        try:
            files[name] = registry.file(version, name)
        except RefusedError as error:
            damaged[name] = str(error)
    return Record(version=version, card=card, files=files, damaged=damaged)


def _files(kept: Record) -> Input:
    if kept.damaged:
        return Input(what="registry files", state="gone", sentence=" ".join(kept.damaged.values()))
    return Input(what="registry files", state="same", sentence="Each is the file that was registered.")


def _make(uri: str, card: Card, snapshot: Snapshot, step: Step) -> Learnt | Input:
    """The version anew; an input that is gone where the installed packages do not do what those of the training did."""
    try:
        return learn(uri, project_of(card), snapshot_version=snapshot.version, since=card.since, step=step)
    except (LeadgateError, TypeError, ValueError) as error:
        said = f"Training fails with what is installed here: {error} Install the packages of the training."
        return Input(what="training", state="gone", sentence=said)


@dataclass(frozen=True, kw_only=True)
class _Apart:
    """The recorded hold-out scores against those made again."""

    leads: bool
    """The same leads with the same labels."""
    scores: bool
    """The same scores, bit for bit."""
    largest: float | None


def _apart(kept: Record, made: Learnt) -> _Apart | None:
    """None without the recorded ones."""
    if HOLDOUT not in kept.files:
        return None
    then = pl.read_parquet(io.BytesIO(kept.files[HOLDOUT]))
    if tuple(then["id"]) != made.held.ids or not np.array_equal(then["converted"].to_numpy(), made.held.converted):
        return _Apart(leads=False, scores=False, largest=None)
    a, b = then["score"].to_numpy(), made.scores
    return _Apart(leads=True, scores=a.tobytes() == b.tobytes(), largest=float(np.abs(a - b).max(initial=0.0)))


def _digests(kept: Record, made: Learnt) -> list[Result]:
    card = kept.card
    results = [
        compared("snapshot digest", card.snapshot_digest, made.snapshot.digest),
        compared("feature set digest", kept.version.tags.get("feature_set_hash"), card.lead.digest),
        compared("training leads", f"{card.training_leads:,}", f"{len(made.learnt):,}"),
        _model(kept, made),
    ]
    return [*results, _program(kept, made)] if card.compiled else results


def _scores(card: Card, made: Learnt, apart: _Apart | None) -> list[Result]:
    then, now = (f"{leads:,} leads" for leads in (card.holdout_leads, len(made.held)))
    recorded = card.evaluation.overall.auc
    auc = classify(made.held.converted, made.scores, card.thresholds.decision).auc
    return [
        Result(what="hold-out leads and labels", same=apart.leads if apart else None, recorded=then, made=now),
        Result(what="hold-out scores", same=apart.scores if apart else None, recorded=then, made=now),
        Result(what="hold-out AUC", same=recorded == auc, recorded=repr(recorded), made=repr(auc)),
    ]


def _model(kept: Record, made: Learnt) -> Result:
    """The model digest; for one that an earlier Leadgate took of a file, times and all, of what the file says."""
    recorded = kept.card.model_digest
    if not kept.card.compiled and recorded != made.fitted.model_digest and MODEL in kept.files:
        recorded = pipeline_digest(kept.files[MODEL])
    return compared("model digest", recorded, made.fitted.model_digest)


def _program(kept: Record, made: Learnt) -> Result:
    """program.json, byte for byte; of an earlier format, what scores in it."""
    if PROGRAM not in kept.files:
        return compared(PROGRAM, None, None)
    content, program = kept.files[PROGRAM], made.fitted.program
    now = to_json(program) if program else b""
    try:
        old = from_json(content)
    except BadProgramError:
        return compared(PROGRAM, sha256(content).hexdigest(), sha256(now).hexdigest())
    if program and old.format < FORMAT:
        return compared(f"{PROGRAM} (what scores in it)", program_digest(old), program_digest(program))
    return compared(PROGRAM, sha256(content).hexdigest(), sha256(now).hexdigest())


def _answer(version: Version, inputs: list[Input], results: list[Result], largest: float | None) -> Reproduction:
    return Reproduction(
        model_name=version.name,
        version=version.version,
        verdict=verdict_of(inputs, results),
        inputs=tuple(inputs),
        results=tuple(results),
        largest_difference=largest,
    )
