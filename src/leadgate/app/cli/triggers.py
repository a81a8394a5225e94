"""leadgate triggers: what asks for a training, and why there is one or none."""

from typing import TYPE_CHECKING, Annotated

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table
from leadgate.app.wire import open_home

if TYPE_CHECKING:
    from leadgate.monitoring.triggers import Trigger

app = typer.Typer(help="See what asks for a training, and why there is one or none.", no_args_is_help=True)

Most = Annotated[int, typer.Option(min=1, help="So many of the last decisions and retrainings.")]


@app.command()
def status(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Show each trigger with its value and threshold, and what follows now. Nothing is started or written down."""
    from leadgate.app.triggering import decide_now  # noqa: PLC0415

    decision = decide_now(open_home(project))
    if as_json:
        print_json(decision)
        return
    columns = ["trigger", "fired", "asks for", "value", "threshold", "what"]
    print_table("Triggers", columns, [_row(trigger) for trigger in decision.triggers], numbers="   rr")
    console.print(f"{decision.act}: {decision.reason}", markup=False, soft_wrap=True)


@app.command()
def history(project: ProjectDir = HERE, most: Most = 20, as_json: AsJson = False) -> None:
    """Show the last decisions, one each time that the answer changed, and the last retrainings with their reasons."""
    from leadgate.storage.postgres.retrainings import last_decisions, retrainings_of  # noqa: PLC0415

    home = open_home(project)
    with home.connection() as connection:
        decisions = last_decisions(connection, home.project.name, most=most)
        runs = retrainings_of(connection, home.project.name, most=most)
    if as_json:
        print_json({"decisions": decisions, "retrainings": runs})
        return
    rows = [(moment(d.decided_at), d.act, d.trigger, d.why_not, d.reason) for d in decisions]
    print_table("Decisions", ["when (UTC)", "act", "trigger", "why not", "reason"], rows)
    done = [
        (r.retraining_id, moment(r.started_at), r.trigger, r.result or "under way", r.version, r.sentence or r.reason)
        for r in runs
    ]
    print_table("Retrainings", ["no", "began (UTC)", "trigger", "result", "version", "what"], done)
    if any(r.result is None for r in runs):
        console.print("One that is under way and was killed is gone on with by the worker, or by `leadgate retrain`.")


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="Of a retraining, as `triggers history` has it.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Show one retraining: who began it and why, what it learnt from, each gate with its figures, what became of it."""
    from leadgate.app.cli.retrain import print_run, with_steps  # noqa: PLC0415

    told = with_steps(open_home(project), number)
    if as_json:
        print_json(told)
        return
    print_run(told)
    by = f"Began {moment(told['started_at'])} UTC by {told['started_by']}; trigger: {told['trigger']}."
    console.print(by, markup=False, soft_wrap=True)


def _row(trigger: "Trigger") -> tuple[str, ...]:
    fired = {True: "yes", False: "no", None: "not known"}[trigger.fired]
    return (
        trigger.name,
        fired,
        trigger.asks,
        _figure(trigger.value),
        _figure(trigger.threshold),
        trigger.sentence,
    )


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"
