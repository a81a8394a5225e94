"""leadgate rollout: a challenger on its way to the sales team, stage by stage, behind evidence."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, errors, moment, print_json, print_table, share
from leadgate.app.wire import open_home
from leadgate.errors import RefusedError

if TYPE_CHECKING:
    from leadgate.app.rollouts import Moved
    from leadgate.rollout.evidence import Evidence
    from leadgate.rollout.history import History
    from leadgate.rollout.stages import Act
    from leadgate.rollout.verdicts import Verdict

app = typer.Typer(
    help="Send a challenger through shadow, canary and A/B test, each left only when its gates pass.",
    no_args_is_help=True,
)

Comment = Annotated[str, typer.Option("--comment", "-m", help="Why; kept with the act for good.", show_default=False)]
By = Annotated[str | None, typer.Option(help="Who acts.", show_default="LEADGATE_AUTHOR, git's user.name")]

_LONGEST_EXTENSION = 365

ROLLED_BACK = 3
"""Exit code of an evaluation that brought the challenger back."""


@app.command()
def plan(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Say what an A/B test can see before it starts: its size in leads and days, and the lifts it would miss."""
    from leadgate.app.rollouts import plan as plan_rollout  # noqa: PLC0415

    home = open_home(project)
    planned = plan_rollout(home)
    if as_json:
        print_json(planned)
        return
    baseline, design = planned.baseline, planned.design
    if design is None:
        errors.print(planned.why_not, markup=False)
        raise typer.Exit(2)
    least = home.project.rollout.ab_test.min_leads
    rows = [
        ("conversion rate", f"{share(baseline.rate)} of {baseline.leads:,} matured leads"),
        ("traffic", f"{baseline.leads_per_day:,.0f} leads a day"),
        ("leads a side", f"{design.leads_per_arm:,}"),
        ("days", "-" if design.days is None else f"{design.days:,.0f}, {design.horizon_days:g} of them for outcomes"),
        (f"sees a lift of {design.asked_lift:.0%}", f"with a probability of {design.power:.0%}"),
        ("sees with the power asked for", f"lifts of {design.detectable_lift:.1%} and more"),
        (f"{least:,} leads a side would see", f"lifts of {design.detectable_at_minimum:.1%} and more"),
    ]
    print_table("The A/B test", ["what", "figure"], rows)


@app.command()
def start(
    version: Annotated[str, typer.Argument(help="Version that challenges the champion: its number or an alias.")],
    project: ProjectDir = HERE,
    comment: Comment = "",
    allow_library: Annotated[
        bool, typer.Option("--allow-library", help="Also a version that is not compiled, and slow.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a version into the champion's shadow. The rules of leadgate.yaml hold for this rollout to its end."""
    from leadgate.app.rollouts import start as start_rollout  # noqa: PLC0415

    home = open_home(project)
    history = start_rollout(home, version, comment or f"challenger {version}", allow_library=allow_library)
    if as_json:
        print_json(_summary(history))
        return
    rollout = history.rollout
    console.print(
        f"Rollout {rollout.rollout_id}: version {rollout.challenger} scores every lead in the shadow of version "
        f"{rollout.champion}. `leadgate rollout evaluate` judges it; run that daily.",
        markup=False,
        soft_wrap=True,
    )
    if rollout.design is None:
        console.print("No experiment could be planned yet: no matured leads. `leadgate rollout plan` says more.")


@app.command()
def status(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Show where the rollout is, what is missing, and what can be done."""
    from leadgate.app.rollouts import look  # noqa: PLC0415
    from leadgate.rollout.stages import acts_of  # noqa: PLC0415

    history, evidence, verdicts = look(open_home(project))
    missing = [verdict for verdict in verdicts if verdict.answer != "pass"]
    if as_json:
        print_json({**_summary(history), "missing": missing, "can": acts_of(history.state)})
        return
    rollout, state = history.rollout, history.state
    rows = [
        ("rollout", f"{rollout.rollout_id}: version {rollout.challenger} against {rollout.champion}"),
        ("stage", f"{state.stage}{', paused' if state.paused_at else ''}"),
        ("since", f"{moment(state.since)}, {state.days(evidence.as_of):.1f} days"),
        ("can", ", ".join(name.replace("_", " ") for name in acts_of(state))),
    ]
    print_table("Rollout", ["what", "now"], rows)
    _print_verdicts("What is missing", missing)


@app.command()
def evidence(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Show every gate of the stage with its numbers; nothing is decided."""
    from leadgate.app.rollouts import look  # noqa: PLC0415

    history, found, verdicts = look(open_home(project))
    if as_json:
        print_json({"rollout": _summary(history), "verdicts": verdicts, "evidence": found})
        return
    _print_verdicts(f"Gates of stage {history.state.stage}", verdicts)
    _print_sides(found)
    _print_disagreement(found)
    for sentence in found.failed:
        errors.print(f"could not be read: {sentence}", markup=False)


@app.command()
def evaluate(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Judge the rollout and do what follows: hold, advance, extend, or roll back (then the exit code is 3).

    Safe to run as often as you like, and twice at once: it moves once.
    """
    from leadgate.app.rollouts import evaluate as evaluate_rollout  # noqa: PLC0415

    judged = evaluate_rollout(open_home(project))
    if judged is None:
        if as_json:
            print_json(None)
        else:
            console.print("No rollout is under way.")
        return
    if as_json:
        print_json(judged)
    else:
        what = judged.decision.act.replace("_", " ")
        console.print(
            f"Rollout {judged.rollout_id}, stage {judged.before.stage}: {what}. {judged.decision.reason}",
            markup=False,
            soft_wrap=True,
        )
    if judged.after.stage == "rolled_back" and judged.before.stage != "rolled_back":
        raise typer.Exit(ROLLED_BACK)


@app.command()
def approve(
    project: ProjectDir = HERE,
    comment: Comment = ...,  # type: ignore[assignment]  # Typer's way to say that it is required
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Sign the present stage off, where the rules ask for a person (shadow and A/B test)."""
    from leadgate.app.rollouts import approve as approve_stage  # noqa: PLC0415

    history = approve_stage(open_home(project), comment=comment, by=by)
    if as_json:
        print_json(_summary(history))
        return
    given = history.sign_offs[-1]
    console.print(f"{given.approved_by} approved stage {given.stage}.", markup=False)


@app.command()
def reject(
    project: ProjectDir = HERE,
    comment: Comment = ...,  # type: ignore[assignment]  # as above
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Say no: the champion answers alone, and the challenger is archived."""
    _do(project, "reject", comment=comment, by=by, as_json=as_json)


@app.command()
def extend(
    project: ProjectDir = HERE,
    days: Annotated[float, typer.Option(help="How long.", show_default="rollout.extension_days")] = 0.0,
    comment: Comment = "more time",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give the stage more time."""
    if not 0 <= days <= _LONGEST_EXTENSION:
        raise RefusedError(f"A stage is extended by up to {_LONGEST_EXTENSION} days, not by {days:g}.")
    _do(project, "extend", comment=comment, by=by, days=days, as_json=as_json)


@app.command()
def pause(project: ProjectDir = HERE, comment: Comment = "paused", by: By = None, as_json: AsJson = False) -> None:
    """Let nothing go forward; what is red still comes back."""
    _do(project, "pause", comment=comment, by=by, as_json=as_json)


@app.command()
def resume(project: ProjectDir = HERE, comment: Comment = "resumed", by: By = None, as_json: AsJson = False) -> None:
    """End a pause; its days do not count."""
    _do(project, "resume", comment=comment, by=by, as_json=as_json)


@app.command()
def advance(project: ProjectDir = HERE, comment: Comment = "by hand", by: By = None, as_json: AsJson = False) -> None:
    """Go to the next stage now, if every gate passes; a person cannot push a challenger past them."""
    _do(project, "advance", comment=comment, by=by, as_json=as_json)


@app.command("step-back")
def step_back(
    project: ProjectDir = HERE,
    comment: Comment = ...,  # type: ignore[assignment]  # as above
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """From the canary back into the shadow, where the challenger answers nobody and can be looked at in peace."""
    _do(project, "step_back", comment=comment, by=by, as_json=as_json)


@app.command()
def rollback(
    project: ProjectDir = HERE,
    comment: Comment = ...,  # type: ignore[assignment]  # as above
    gradual: Annotated[
        bool, typer.Option("--gradual", help="From stage full: 90 % old, 10 % new, for a week.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the old version, in every worker within a second, and open a post-mortem."""
    _do(project, "roll_back_gradually" if gradual else "roll_back", comment=comment, by=by, as_json=as_json)


@app.command()
def history(
    project: ProjectDir = HERE,
    rollout: Annotated[int | None, typer.Option(help="Its number.", show_default="the last one")] = None,
    evidence: Annotated[int | None, typer.Option(help="Print what an act rested on, whole, as JSON.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what happened in a rollout: every act, who, when, why, and on which evidence."""
    from leadgate.app.rollouts import told  # noqa: PLC0415

    found = told(open_home(project), rollout)
    if evidence is not None:
        print_json(found.judgement(evidence))
        return
    if as_json:
        print_json(found.in_short())
        return
    rows = [
        (
            s.step,
            moment(s.acted_at),
            s.act.replace("_", " "),
            s.stage,
            s.route_epoch,
            s.evidence_id,
            s.acted_by,
            s.comment,
        )
        for s in found.steps
    ]
    columns = ["step", "at (UTC)", "act", "stage", "route", "evidence", "by", "why"]
    print_table(
        f"Rollout {found.rollout.rollout_id}, version {found.rollout.challenger}", columns, rows, numbers="r   rr"
    )
    for mortem in found.post_mortems:
        state = f"closed by {mortem.closed_by}: {mortem.findings}" if mortem.closed_at else "open"
        console.print(f"Post-mortem {mortem.post_mortem_id} ({state}): {mortem.cause}", markup=False, soft_wrap=True)


@app.command()
def postmortem(
    findings: Annotated[str, typer.Option(help="What went wrong, and what is done about it.")],
    project: ProjectDir = HERE,
    rollout: Annotated[int | None, typer.Option(help="Its number.", show_default="the last one")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Close the post-mortem of a rollout that was rolled back."""
    from leadgate.app.rollouts import close_post_mortem, told  # noqa: PLC0415

    home = open_home(project)
    number = close_post_mortem(home, rollout, findings=findings, by=by)
    if as_json:
        print_json(told(home, number).post_mortems)
        return
    console.print(f"The post-mortem of rollout {number} is closed.")


@app.command("list")
def list_(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """List every rollout of the model, the last first."""
    from leadgate.app.rollouts import every_rollout  # noqa: PLC0415

    found = every_rollout(open_home(project))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            f.rollout.rollout_id,
            f.rollout.challenger,
            f.rollout.champion,
            f.state.stage,
            moment(f.rollout.started_at),
            "under way" if f.rollout.ended_at is None else moment(f.rollout.ended_at),
            f.rollout.started_by,
        )
        for f in found
    ]
    columns = ["rollout", "challenger", "champion", "stage", "began (UTC)", "ended (UTC)", "begun by"]
    print_table("Rollouts", columns, rows, numbers="r")


def _do(project: Any, act: "Act", *, comment: str, by: str | None, as_json: bool, days: float = 0.0) -> None:
    from leadgate.app.rollouts import act as carry_out  # noqa: PLC0415

    moved: Moved = carry_out(open_home(project), act, comment=comment, by=by, days=days)
    if as_json:
        print_json({**_summary(moved.history), "route": moved.route})
    else:
        state = moved.history.state
        route = f" Route {moved.route.epoch} is in force." if moved.route else ""
        console.print(f"Stage {state.stage}{', paused' if state.paused_at else ''}.{route}", markup=False)
    if moved.registry:
        errors.print(f"The route holds, but the registry's aliases do not follow it: {moved.registry}", markup=False)


def _summary(history: "History") -> dict[str, Any]:
    return {"rollout": history.rollout, "state": history.state, "steps": history.steps, "sign_offs": history.sign_offs}


def _print_verdicts(title: str, verdicts: "list[Verdict] | tuple[Verdict, ...]") -> None:
    rows = [(v.gate, f"{v.answer}{' (red)' if v.red else ''}", v.sentence) for v in verdicts]
    print_table(title, ["gate", "says", "because"], rows)


def _print_sides(evidence: "Evidence") -> None:
    trial = evidence.experiment
    if trial is None:
        return
    rows = [
        (
            name,
            side.exposed,
            side.matured,
            side.silent,
            side.conversions,
            share(side.rate),
            share(side.high / max(side.exposed, 1)),
            share(side.contacted / max(side.exposed, 1)),
        )
        for name, side in (("champion", trial.control), ("challenger", trial.treatment))
    ]
    columns = ["side", "leads", "matured", "silent", "converted", "rate", "priority high", "contacted"]
    print_table("Sides", columns, rows, numbers=" rrrrrrr")
    console.print(f"{trial.left_out:,} leads were scored before the stage began and are left out.")
    segments = [(s.segment, share(s.lift), f"{s.p_value:.2g}", "harmed" if s.harmed else "") for s in trial.segments]
    if segments:
        print_table("Segments", ["segment", "lift", "adjusted p", ""], segments, numbers=" rr")


def _print_disagreement(evidence: "Evidence") -> None:
    scores = evidence.scores
    if scores is None:
        return
    console.print(
        f"On {scores.leads:,} leads the scores differ by {scores.absolute_delta:.3f} on average; "
        f"{share(scores.champion_high)} are high by the champion, {share(scores.challenger_high)} by the challenger."
    )
    rows = [(w.lead_id, moment(w.scored_at), f"{w.champion:.3f}", f"{w.challenger:.3f}") for w in scores.worst]
    print_table("Largest differences", ["lead", "scored (UTC)", "champion", "challenger"], rows, numbers="  rr")
