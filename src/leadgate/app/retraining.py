"""Trains a model anew, from what became of the scored leads to a version in the shadow; goes on where it was killed.

Each step can be done twice, and is written down when it is done. Whoever holds the lock of the job ``retraining`` does
them, in one process at a time.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from leadgate.app import renewing
from leadgate.app.auditing import write_registered
from leadgate.app.triggering import BY_HAND, decide_now, write_down
from leadgate.app.wire import Home
from leadgate.errors import BadFileError, NotFoundError, RefusedError
from leadgate.storage.postgres.audit import append_entry, latest_entries
from leadgate.storage.postgres.connection import Connection
from leadgate.storage.postgres.imports import record_import, serialise_imports
from leadgate.storage.postgres.retrainings import (
    DoneStep,
    NewRetraining,
    Result,
    Retraining,
    add_step,
    begin_retraining,
    end_retraining,
    retrainings_of,
    steps_of,
)
from leadgate.storage.postgres.rollouts import add_event, alive_rollout, rollouts_of

if TYPE_CHECKING:
    from leadgate.app.renewing import Judged
    from leadgate.models.registry import Version

Pause = Callable[[str], None]
"""Is told of each moment at which a process may die: after an effect, and after it was written down."""

LONGEST_REASON = 1_000
"""Characters: it stands in messages, tables and the audit log."""
_NO_CHAMPION = "There is no champion yet; `leadgate train` makes the first version."
_JUDGED_OTHERWISE = (
    "since it was judged the champion, leadgate.yaml or the packages have become others, so what its gates said does "
    "not hold of what would be registered now; `leadgate retrain` begins another run"
)
STEPS = ("collected", "validated", "snapshot", "judged", "registered", "rollout")


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """What became of a run."""

    result: Result
    sentence: str
    version: str | None = None
    severity: str = "yellow"
    """Of the event that people are told."""


def retrain_if_due(home: Home) -> str:
    """What the worker does: go on with a run that did not end, else train where the triggers say so."""
    waiting = unfinished(home)
    if waiting is not None:
        return carry_on(home, waiting)
    decision = decide_now(home)
    write_down(home, decision)
    if decision.act != "run":
        return f"no training: {decision.reason}"
    assert decision.trigger is not None
    run = begin(home, trigger=decision.trigger, reason=decision.reason, by="worker", emergency=decision.emergency)
    return carry_on(home, run)


def retrain(home: Home, *, reason: str, by: str, pause: Pause = lambda _: None) -> str:
    """What a person asks for: go on with a run that did not end, else train now, whatever the triggers say.

    Raises RefusedError where there is no champion yet, and without a reason.
    """
    home, run = home.acting(by), unfinished(home)
    if run is None:
        if home.registry.champion() is None:
            raise RefusedError(_NO_CHAMPION)
        run = begin(home, trigger=BY_HAND, reason=reason_of(reason), by=by, emergency=False)
    return carry_on(home, run, pause=pause)


def reason_of(text: str) -> str:
    """A reason as it is kept. Raises RefusedError for none, and for one that is too long."""
    reason = text.strip()
    if not reason:
        raise RefusedError("The reason is empty; say why with --reason TEXT, for it is kept with the run.")
    if len(reason) > LONGEST_REASON:
        raise RefusedError(
            f"The reason has {len(reason):,} characters and may have {LONGEST_REASON:,}; say it in short, and where to "
            "read the rest."
        )
    return reason


def begin(home: Home, *, trigger: str, reason: str, by: str, emergency: bool) -> Retraining:
    """Write down that a run begins, and why. Raises BadConfigError for a features.py that cannot be used."""
    _ = home.project.lead.used  # a fault of the file is said before anything begins
    new = NewRetraining(
        model_name=home.project.name,
        started_at=home.clock(),
        started_by=by,
        trigger=trigger,
        emergency=emergency,
        reason=reason,
    )
    with home.connection() as connection:
        number = begin_retraining(connection, new)
        _audit(home, connection, number, by, "begin", {"trigger": trigger, "reason": reason, "emergency": emergency})
        return retrainings_of(connection, home.project.name, most=1)[0]


def unfinished(home: Home) -> Retraining | None:
    """The run that has not ended; None without one."""
    with home.connection() as connection:
        return next((r for r in retrainings_of(connection, home.project.name) if r.ended_at is None), None)


def abandon(home: Home, *, reason: str, by: str) -> str:
    """End a run that cannot be gone on with; its caller holds the job. Raises NotFoundError where there is none."""
    run = unfinished(home)
    if run is None:
        raise NotFoundError("No retraining is under way, so there is nothing to abandon.")
    version = _registered(home, run)
    left = "" if version is None else f"; version {version.version} is registered and waits for a person"
    sentence = f"abandoned by {by}: {reason_of(reason)}{left}"
    _end(home, run, _without(sentence, version), by=by)
    return f"retraining {run.retraining_id} {sentence}"


def carry_on(home: Home, run: Retraining, *, pause: Pause = lambda _: None) -> str:
    """Do the steps of a run that are not done yet, and say what became of it.

    1. Collect the outcomes that were known when it began. 2. Check them as an import does. 3. Make the snapshot.
    4. Train, and hold the version against the gates. 5. Register it. 6. Start its rollout. What forbids it ends the
    run and is told; anything else, a database that is away, say, leaves it to be gone on with.
    """
    try:
        ended = _go(home, run, pause)
    except (RefusedError, BadFileError, NotFoundError) as error:
        version = _registered(home, run)
        left = "" if version is None else f"version {version.version} is registered and waits for a person: "
        ended = _without(f"{left}{error}", version)
    _end(home, run, ended, by=home.author)
    pause("ended")
    return f"retraining {run.retraining_id} ({run.trigger}), {ended.result}: {ended.sentence}"


def _go(home: Home, run: Retraining, pause: Pause) -> _Ended:
    done = _done(home, run)
    if "snapshot" not in done:
        _take_in(home, run, done, pause)
        done = _done(home, run)
    if "registered" not in done:
        version = _registered(home, run)
        if version is None:
            snapshot = int(done["snapshot"].details["version"])
            judged = renewing.judged(home, snapshot, at=run.started_at, author=run.started_by)
            stopped = _judge(home, run, judged, done, pause)
            if stopped is not None:
                return stopped
            version = _register(home, run, judged)
            pause("version made")
        _name(home, run, version, pause)
        done = _done(home, run)
    return _send(home, run, done, pause)


def _take_in(home: Home, run: Retraining, done: Mapping[str, DoneStep], pause: Pause) -> None:
    """From the outcomes to a snapshot. What was known when the run began is collected, however late it goes on."""
    name = f"retraining {run.retraining_id}"
    with home.connection() as connection:
        found = renewing.collect(home, connection, run.started_at)
    counts = {k: v for k, v in vars(found).items() if k not in ("leads", "unheard", "unlogged")}
    counts |= {"labelled": found.leads.height, "lost_in_silence": len(found.unheard)}
    if "collected" not in done:
        _mark(home, run, "collected", counts)
        pause("collected")
    facts = {"file": name, "import_id": "", "quarantined": "0", "retraining": _mark_of(run)}
    leads = found.leads
    if leads.height:
        good = renewing.validated(home, found, name, run.started_at)
        leads, facts["quarantined"] = good.leads, str(good.bad_rows)
        refused = renewing.refusal(home, good, name)
        if refused is not None:
            with home.connection() as connection:
                record_import(connection, renewing.record_of(good, name, run.started_at, refused), good.faults)
            raise BadFileError(f"{refused} `leadgate data quarantine` lists them.")
        if "validated" not in done:
            record = renewing.record_of(good, name, run.started_at, None)
            with home.connection() as connection:
                record_import(connection, record, good.faults)
                details = {"rows": good.rows, "bad_rows": good.bad_rows, "import_id": str(record.import_id)}
                _mark_in(connection, home, run, "validated", details)
            pause("validated")
    done = _done(home, run)
    facts["import_id"] = str(done["validated"].details["import_id"]) if "validated" in done else ""
    snapshot, new = renewing.snapshot_of(home, leads, facts, found.unheard)
    pause("snapshot made")
    told = {"version": snapshot.version, "digest": snapshot.digest, "labelled": snapshot.labelled, "new": new}
    _mark(
        home, run, "snapshot", told | {"added": snapshot.added if new else 0, "changed": snapshot.changed if new else 0}
    )
    pause("snapshot")


def _judge(home: Home, run: Retraining, judged: "Judged", done: Mapping[str, DoneStep], pause: Pause) -> _Ended | None:
    """What the gates say; how the run ends where nothing is to be registered."""
    from leadgate.models.renewal import fate_of, sentence_of  # noqa: PLC0415

    fate, gate = fate_of(judged.gates)
    why = None if gate is None else sentence_of(gate, judged.gates)
    digest = judged.candidate.card.model_digest
    seen = {"fate": fate, "model_digest": digest, "champion": judged.champion.version}
    if "judged" in done and any(done["judged"].details[key] != value for key, value in seen.items()):
        return _Ended(result="stopped", sentence=_JUDGED_OTHERWISE)
    if "judged" not in done:
        told = {**seen, "why": why}
        gates = [asdict(found) for found in judged.gates]
        _mark(
            home,
            run,
            "judged",
            told | {"gates": gates, "trained_on": judged.choice.sentence, "searched": judged.candidate.card.searched},
        )
        pause("judged")
    twin = next((v for v in home.registry.versions() if v.tags.get("model_digest") == digest), None)
    if twin is not None:
        same = f"it is the same model as version {twin.version}, bit for bit: there was nothing new to learn"
        return _Ended(result="stopped", sentence=same, severity="green")
    if fate != "stopped":
        return None
    kind = "" if judged.other_kind is None else f". {judged.other_kind} (section model)"
    return _Ended(result="stopped", sentence=f"nothing was registered, gate {why}{kind}")


def _register(home: Home, run: Retraining, judged: "Judged") -> "Version":
    """Register the version, once: who lost the job's lock with the database may be at it at the same time."""
    from leadgate.models.renewal import has_turned  # noqa: PLC0415

    facts = {"retraining": _mark_of(run), "retraining_reason": run.reason[:400]}
    if has_turned(judged.gates):
        facts[renewing.TURNED] = "yes"
    with home.connection() as connection:
        serialise_imports(connection)  # it keeps a vacuum from the snapshot, too
        return _registered(home, run) or home.registry.register(judged.candidate.card, judged.candidate.files, facts)


def _name(home: Home, run: Retraining, version: "Version", pause: Pause) -> None:
    """Let the registered version be challenger where it passed and no other is on its way, and tell of it once."""
    from leadgate.models.training import Trained  # noqa: PLC0415

    registry, judged = home.registry, _done(home, run)["judged"].details
    with home.connection() as connection:
        busy = alive_rollout(connection, home.project.name)
    if judged["fate"] == "challenger" and busy is None and "challenger" not in version.aliases:
        registry.point("challenger", version, by=home.author, at=home.clock())
        pause("alias set")
    if not _told(home, version):
        found, card = registry.find(version.version), registry.card(version)
        write_registered(home, Trained(version=found, card=card, against=judged["champion"], comparison=None))
        pause("version told")
    _mark(home, run, "registered", {"version": version.version, "fate": judged["fate"], "why": judged["why"]})
    pause("registered")


def _send(home: Home, run: Retraining, done: Mapping[str, DoneStep], pause: Pause) -> _Ended:
    """Start the rollout of a version that passed, once."""
    made = done["registered"].details
    version, about = str(made["version"]), f"version {made['version']}"
    if made["fate"] != "challenger":
        told = f"{about} is registered and waits for a person, gate {made['why']}"
        return _Ended(result="registered", sentence=told, version=version)
    if "rollout" not in done:
        rollout, sentence = _rollout(home, run, version, pause)
        _mark(home, run, "rollout", {"rollout": rollout, "sentence": sentence})
        pause("rollout")
        done = _done(home, run)
    went = done["rollout"].details
    return _Ended(
        result="registered" if went["rollout"] is None else "challenger",
        sentence=f"{about} passed every gate; {went['sentence']}",
        version=version,
        severity="yellow" if went["rollout"] is None else "green",
    )


def _rollout(home: Home, run: Retraining, version: str, pause: Pause) -> tuple[int | None, str]:
    from leadgate.app.rollouts import reconcile, start  # noqa: PLC0415

    by_hand = f"`leadgate rollout start {version}` sends it into the shadow"
    with home.connection() as connection:
        mine = next((r for r in rollouts_of(connection, home.project.name) if r.challenger == version), None)
        busy = alive_rollout(connection, home.project.name)
    if mine is not None:
        reconcile(home)
        return mine.rollout_id, f"rollout {mine.rollout_id} is in the shadow"
    if home.project.retraining.rollout == "ask":
        return None, f"retraining.rollout is ask: {by_hand}"
    if busy is not None:
        return None, f"rollout {busy.rollout_id} of version {busy.challenger} is under way; after it {by_hand}"
    try:
        history = start(home, version, f"retraining {run.retraining_id}: {run.reason}")
    except RefusedError as error:
        return None, f"its rollout was refused ({error}); {by_hand}"
    pause("rollout made")
    return history.rollout.rollout_id, f"rollout {history.rollout.rollout_id} is in the shadow"


def _without(sentence: str, version: "Version | None") -> _Ended:
    """How a run ends that came to no rollout, with the version that it has registered all the same."""
    if version is None:
        return _Ended(result="stopped", sentence=sentence)
    return _Ended(result="registered", sentence=sentence, version=version.version)


def _end(home: Home, run: Retraining, ended: _Ended, *, by: str) -> None:
    with home.connection() as connection:
        if not end_retraining(
            connection,
            run.retraining_id,
            at=home.clock(),
            result=ended.result,
            sentence=ended.sentence,
            version=ended.version,
        ):
            return
        add_event(
            connection,
            at=home.clock(),
            kind="retraining",
            severity=ended.severity,
            subject=f"retraining {run.retraining_id} of {home.project.name}",
            message=f"The training that was asked for ({run.reason}) has ended, {ended.result}: {ended.sentence}",
            details={
                "model": home.project.name,
                "retraining_id": run.retraining_id,
                "result": ended.result,
                "version": ended.version,
            },
        )
        told = {"result": ended.result, "sentence": ended.sentence, "version": ended.version}
        _audit(home, connection, run.retraining_id, by, "end", told)


def _done(home: Home, run: Retraining) -> dict[str, DoneStep]:
    with home.connection() as connection:
        return steps_of(connection, run.retraining_id)


def _mark(home: Home, run: Retraining, step: str, details: Mapping[str, Any]) -> None:
    with home.connection() as connection:
        _mark_in(connection, home, run, step, details)


def _mark_in(connection: Connection, home: Home, run: Retraining, step: str, details: Mapping[str, Any]) -> None:
    """Write a step down, and in the audit log by who does it, in the caller's transaction."""
    add_step(connection, run.retraining_id, step, at=home.clock(), details=details)
    _audit(home, connection, run.retraining_id, home.author, step, details)


def _audit(  # noqa: PLR0917  # private
    home: Home, connection: Connection, number: int, actor: str, act: str, details: Mapping[str, Any]
) -> None:
    append_entry(
        connection,
        at=home.clock(),
        actor=actor,
        act=f"retraining.{act}",
        subject=f"retraining {number}",
        details={"model": home.project.name, **details},
    )


def _mark_of(run: Retraining) -> str:
    """By what the run's snapshot and version are known, also beside those of another database."""
    return f"{run.retraining_id} {run.started_at.isoformat()}"


def _registered(home: Home, run: Retraining) -> "Version | None":
    return next((v for v in home.registry.versions() if v.tags.get("retraining") == _mark_of(run)), None)


def _told(home: Home, version: "Version") -> bool:
    """Whether the audit log has the registration."""
    subject = f"{version.name} version {version.version}"
    with home.connection() as connection:
        return bool(latest_entries(connection, act="model.register", subject=subject, most=1))
