"""leadgate retrain: the whole way from outcomes to a version in the shadow, by hand."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, errors, moment, print_json, print_table
from leadgate.app.wire import open_home
from leadgate.errors import DatabaseDownError, NotFoundError

if TYPE_CHECKING:
    from leadgate.app.wire import Home

BY_HAND = "asked for by hand"
UNFINISHED = "It did not end; the worker goes on with it, or `leadgate retrain`."
_EVERY = 100_000
Reason = Annotated[
    str | None,
    typer.Option(help="Why; it stands on the run, its version and in the audit log.", show_default=BY_HAND),
]


def retrain(
    project: ProjectDir = HERE,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would learn from; change nothing.")] = False,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="End a run that cannot be gone on with, for the reason given.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train the model anew on matured outcomes, whatever the triggers say, or go on with a run that did not end.

    Outcomes become labelled leads and a snapshot; the new version is held against the champion and the gates of
    leadgate.yaml's section retraining; one that passes is registered as challenger and goes into the shadow. Ends with
    1 where it failed and can be gone on with, with 2 where somebody trains already, or nothing can be trained.
    """
    home = open_home(project)
    if dry_run:
        _print_plan(home, as_json=as_json)
        return
    if abandon:
        said = _abandon(home, reason or "")
        print_json({"said": said}) if as_json else console.print(said, markup=False, soft_wrap=True)
        return
    told = _run(home, BY_HAND if reason is None else reason)
    if as_json:
        print_json(told)
        return
    print_run(told)


def print_run(told: Mapping[str, Any]) -> None:
    """A run with its steps, its gates and what became of it."""
    rows = [(step["step"].replace("_", " "), _figures(step["details"])) for step in told["steps"]]
    print_table(f"Retraining {told['retraining_id']}: {told['reason']}", ["step", "figures"], rows)
    for gate in _gates(told):
        mark = {True: "passed", False: "FAILED", None: "not judged"}[gate["passed"]]
        console.print(f"{gate['name']}: {mark}. {gate['sentence']}", markup=False, soft_wrap=True)
    end = f"{told['result']}: {told['sentence']}" if told["result"] else UNFINISHED
    console.print(end, markup=False, soft_wrap=True)


def with_steps(home: "Home", number: int | None = None) -> dict[str, Any]:
    """A retraining, the last one unless a number is given, with its steps. Raises NotFoundError."""
    from leadgate.app.retraining import STEPS  # noqa: PLC0415
    from leadgate.storage.postgres.retrainings import retrainings_of, steps_of  # noqa: PLC0415

    with home.connection() as connection:
        runs = retrainings_of(connection, home.project.name, most=1 if number is None else _EVERY)
        found = next((run for run in runs if number in (None, run.retraining_id)), None)
        if found is None:
            raise NotFoundError(f"There is no retraining {number}; `leadgate triggers history` lists those there are.")
        done = steps_of(connection, found.retraining_id)
    return {**vars(found), "steps": [vars(done[name]) for name in STEPS if name in done]}


def _run(home: "Home", reason: str) -> dict[str, Any]:
    """The whole way; gives the run with its steps."""
    from leadgate.app import retraining  # noqa: PLC0415

    reason, waiting = retraining.reason_of(reason), retraining.unfinished(home)
    if waiting is not None:
        errors.print(
            f"Retraining {waiting.retraining_id} did not end ({waiting.reason}); it is gone on with, and no new one "
            "begins.",
            markup=False,
            soft_wrap=True,
        )
    _as_job(home, lambda home: retraining.retrain(home, reason=reason, by=home.author))
    return with_steps(home)


def _abandon(home: "Home", reason: str) -> str:
    from leadgate.app import retraining  # noqa: PLC0415

    retraining.reason_of(reason)
    if retraining.unfinished(home) is None:
        raise NotFoundError("No retraining is under way, so there is nothing to abandon.")
    return _as_job(home, lambda home: retraining.abandon(home, reason=reason, by=home.author))


def _as_job(home: "Home", chore: Callable[["Home"], str]) -> str:
    """Under the lock of the worker's job, and written down as one of its runs; gives what it said."""
    import psycopg  # noqa: PLC0415

    from leadgate.app.jobs import find_job, run_job  # noqa: PLC0415

    try:
        run = run_job(home, replace(find_job("retraining"), chore=chore), home.author)
    except (psycopg.OperationalError, DatabaseDownError) as error:  # it could not even be written down that it failed
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        errors.print(
            f"leadgate: PostgreSQL stopped answering ({first}). The steps that were done are kept; when it is back, "
            "`leadgate retrain` goes on with the others.",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(1) from error
    if run.result == "ok":
        return str(run.sentence)
    more = "" if run.result == "refused" else " `leadgate retrain` goes on with it."
    errors.print(f"leadgate: {run.sentence}{more}", markup=False, soft_wrap=True)
    raise typer.Exit(2 if run.result == "refused" else 1)


def _print_plan(home: "Home", *, as_json: bool) -> None:
    """What it would learn from, and what the triggers say."""
    from leadgate.app import renewing  # noqa: PLC0415
    from leadgate.app.retraining import unfinished  # noqa: PLC0415
    from leadgate.app.triggering import decide_now  # noqa: PLC0415

    now = home.clock()
    with home.connection() as connection:
        found = renewing.collect(home, connection, now)
        known, outages = renewing.known_at(home, connection, now)
    good = renewing.validated(home, found, "the scored leads", now) if found.leads.height else None
    refused = None if good is None else renewing.refusal(home, good, "the scored leads")
    both = renewing.merged(home, good.leads if good else found.leads, found.unheard)
    waiting, decision = unfinished(home), decide_now(home)
    told = {
        "scored_long_enough_ago": found.scored,
        "labelled": found.leads.height,
        "lost_in_silence": len(found.unheard),
        "left_out_without_outcome": found.silent,
        "withheld_for_an_outage": found.withheld,
        "outages_of_the_crm": ", ".join(f"{a:%Y-%m-%d} to {b:%Y-%m-%d}" for a, b in outages) or None,
        "crm_told_until": None if known.year == 1 else moment(known),
        "left_out_decided_before_the_score": found.decided_before,
        "bad_rows": good.bad_rows if good else 0,
        "refused_because": refused,
        "new_leads": both.new.height,
        "changed_leads": both.changed,
        "goes_on_with": waiting.retraining_id if waiting else None,
        "triggers_say": f"{decision.act}: {decision.reason}",
    }
    if as_json:
        print_json(told)
        return
    rows = [(name.replace("_", " "), value) for name, value in told.items()]
    print_table("What a retraining would learn from; nothing was changed", ["what", ""], rows)


def _gates(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    judged: dict[str, Any] = next((step["details"] for step in told["steps"] if step["step"] == "judged"), {})
    gates: list[dict[str, Any]] = judged.get("gates", [])
    return gates


def _figures(details: dict[str, Any]) -> str:
    """What is short enough for a table."""
    short = {
        k: v for k, v in details.items() if k not in ("gates", "digest", "model_digest", "import_id", "sentence", "why")
    }
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in short.items() if value is not None)
