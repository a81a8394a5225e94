"""leadgate models: list, show and compare versions, say which one serves, and make one again."""

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir
from leadgate.app.cli.output import console, moment, print_json, print_table, progress, share, with_interval
from leadgate.app.wire import open_home

if TYPE_CHECKING:
    from leadgate.app.gating import Judgement
    from leadgate.leads.feature_code import FeatureCode
    from leadgate.models.reproduction import Reproduction

app = typer.Typer(help="List, show and compare model versions.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="A version's number, or champion, challenger or latest.")]


@app.command("list")
def list_(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """List the versions with their hold-out figures; those of different snapshots have different hold-outs."""
    registry = open_home(project).registry
    found = [(version, registry.card(version)) for version in registry.versions()]
    if as_json:
        print_json([{"version": version, "metrics": _headline(card)} for version, card in found])
        return
    rows = [
        (
            version.version,
            ", ".join(version.aliases),
            card.model.kind,
            with_interval(card.evaluation.overall.auc, card.evaluation.overall.auc_interval),
            f"{card.evaluation.overall.calibration_error:.3f}",
            "compiled" if card.compiled else "library",
            f"{card.trained_at:%Y-%m-%d}",
        )
        for version, card in found
    ]
    columns = ["no.", "alias", "model", "hold-out AUC (95 %)", "cal. error", "scorer", "trained"]
    print_table(f"Versions of {registry.name}", columns, rows, numbers="r   r")
    if not found:
        console.print("None yet; make one with `leadgate train`.")


@app.command()
def show(which: Which, project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Show all that is known of a version: figures, audit facts, and how it is scored."""
    registry = open_home(project).registry
    version = registry.find(which)
    card = registry.card(version)
    if as_json:
        from leadgate.models.registry import importance_of  # noqa: PLC0415

        print_json({"version": version, "card": card, "importance": importance_of(registry, version)})
        return
    overall = card.evaluation.overall
    facts = [
        ("aliases", ", ".join(version.aliases)),
        ("model", f"{card.model.kind}, calibration {card.model.calibration}"),
        ("hyperparameters", ", ".join(f"{k}={v}" for k, v in card.model.hyperparameters.items()) or "defaults"),
        *([("searched", card.searched)] if card.searched else []),
        ("leads", f"{card.training_leads:,} trained on, {card.holdout_leads:,} held out by {card.split.by}"),
        ("AUC", with_interval(overall.auc, overall.auc_interval)),
        (f"precision above {overall.threshold:g}", with_interval(overall.precision, overall.precision_interval)),
        (f"recall above {overall.threshold:g}", with_interval(overall.recall, overall.recall_interval)),
        ("Brier score", f"{overall.brier:.4f}"),
        ("calibration error", f"{overall.calibration_error:.4f}"),
        ("conversion", share(overall.base_rate)),
        ("scorer", _scorer(card)),
        ("snapshot", f"{card.snapshot_version}, digest {card.snapshot_digest}"),
        ("feature set", card.lead.digest),
        *([("features.py", _own(card.lead.code))] if card.lead.code else []),
        ("model digest", card.model_digest),
        ("Git commit", version.tags["git_commit"] + (" (dirty)" if card.provenance.git_dirty else "")),
        ("lock digest", card.provenance.lock_digest),
        ("author", card.provenance.author),
        *_retraining(version.tags),
        ("trained (UTC)", moment(card.trained_at)),
        *((f"{key} (who, when)", who) for key, who in _pointed(version.tags)),
    ]
    print_table(f"{version.name} version {version.version}", ["what", "value"], facts)
    deciles = [(d.decile, d.leads, d.conversions, share(d.rate), f"{d.lift:.2f}") for d in card.evaluation.deciles]
    print_table(
        "Lift by decile of the hold-out", ["decile", "leads", "converted", "rate", "lift"], deciles, numbers="r" * 5
    )
    segments = [
        (
            s.segment,
            s.value,
            s.scores.leads,
            share(s.scores.base_rate),
            with_interval(s.scores.auc, s.scores.auc_interval),
        )
        for s in card.evaluation.segments
    ]
    if segments:
        columns = ["segment", "value", "leads", "converted", "AUC (95 %)"]
        print_table("By segment", columns, segments, numbers="  rr")


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A version's number or alias, such as champion.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Compare two versions on the leads that both held out (DeLong's paired test)."""
    from leadgate.models.comparing import compare_versions  # noqa: PLC0415

    registry = open_home(project).registry
    first, second = registry.find(a), registry.find(b)
    comparison = compare_versions(registry, first, second)
    if as_json:
        print_json({"a": first.version, "b": second.version, "comparison": comparison})
        return
    print_comparison(comparison, f"version {first.version}", f"version {second.version}")


@app.command()
def judge(
    which: Which,
    wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait so long for the version and its figures to be there.")
    ] = 0,
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """Hold a registered version against the gates of leadgate.yaml's section retraining, and the champion.

    Ends with 0 when every gate passes and with 1 when one does not. Moves nothing: `leadgate models promote --gated`
    asks the same gates and makes the version challenger.
    """
    from leadgate.app.gating import judge_version  # noqa: PLC0415

    found = judge_version(open_home(project), which, wait_s=wait)
    if as_json:
        told = {name: value for name, value in vars(found).items() if name != "card"}
        print_json({**told, "metrics": found.card.evaluation.overall, "passed": found.passed})
    else:
        _print_judgement(found)
    raise typer.Exit(0 if found.passed else 1)


def _print_judgement(found: "Judgement") -> None:
    overall, version = found.card.evaluation.overall, found.version
    figures = [
        ("AUC (95 %)", with_interval(overall.auc, overall.auc_interval)),
        (f"precision above {overall.threshold:g}", with_interval(overall.precision, overall.precision_interval)),
        (f"recall above {overall.threshold:g}", with_interval(overall.recall, overall.recall_interval)),
        ("calibration error", f"{overall.calibration_error:.4f}"),
        ("conversion", share(overall.base_rate)),
    ]
    title = f"{version.name} version {version.version} on {found.card.holdout_leads:,} held-out leads"
    print_table(title, ["figure", "value"], figures)
    if found.comparison:
        print_comparison(found.comparison, f"version {found.champion}", f"version {version.version}")
    for gate in found.gates:
        console.print(f"{gate.name}: {gate.said}. {gate.sentence}", markup=False, soft_wrap=True)
    if found.champion is None:
        console.print("There is no other champion to be held against.")


@app.command()
def promote(
    which: Which,
    to: Annotated[str, typer.Option("--as", help="champion: it serves; challenger: it is next.")] = "champion",
    gated: Annotated[
        bool,
        typer.Option("--gated", help="As challenger, if `leadgate models judge` passes; a first version as champion."),
    ] = False,
    project: ProjectDir = HERE,
) -> None:
    """Make a version the champion or the challenger. Running workers take up a champion within seconds.

    A champion answers every lead at once; `leadgate route set` lets a version begin with a share of them.
    """
    if gated:
        from leadgate.app.gating import promote_judged  # noqa: PLC0415

        console.print(promote_judged(open_home(project), which), markup=False, soft_wrap=True)
        return
    from leadgate.app.routing import promote as promote_version  # noqa: PLC0415

    console.print(promote_version(open_home(project), which, to), markup=False, soft_wrap=True)


@app.command()
def fetch(which: Which, project: ProjectDir = HERE) -> None:
    """Bring a version's files onto this machine, for its servers; they do it themselves when they have to."""
    from leadgate.models.bundles import fetch as fetch_version  # noqa: PLC0415

    home = open_home(project)
    version = fetch_version(home.registry, which, home.bundles)
    console.print(f"Version {version.version} of {version.name} is on this machine.", markup=False)


@app.command()
def reproduce(which: Which, project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """Make a version again from the registry's record alone and compare it, to the last bit; registers nothing.

    Ends with 0 when it is identical, 1 when it is not, 3 when something that it was made of is missing.
    """
    from leadgate.app.lineage import reproduce_version  # noqa: PLC0415
    from leadgate.models.reproduction import EXIT_CODES  # noqa: PLC0415

    with progress() as step:
        found = reproduce_version(open_home(project), which, step)
    if as_json:
        print_json({**asdict(found), "sentence": found.sentence})
    else:
        _print_reproduction(found)
    raise typer.Exit(EXIT_CODES[found.verdict])


def _print_reproduction(found: "Reproduction") -> None:
    about = f"{found.model_name} version {found.version}"
    inputs = [(entry.what, entry.state, entry.sentence) for entry in found.inputs]
    print_table(f"What {about} was made of", ["what", "state", "found"], inputs)
    said = {True: "the same", False: "ANOTHER", None: "not there"}
    results = [(result.what, said[result.same], result.recorded, result.made) for result in found.results]
    if results:
        print_table("Made again", ["what", "is", "recorded", "made"], results)
    console.print(found.sentence, markup=False, soft_wrap=True)


def print_comparison(comparison: Any, name_a: str, name_b: str) -> None:
    """Two versions on the same leads, and the verdict in a sentence."""
    a, b, paired = comparison.champion, comparison.challenger, comparison.auc
    rows = [
        ("AUC (95 %)", with_interval(a.auc, a.auc_interval), with_interval(b.auc, b.auc_interval)),
        ("precision", with_interval(a.precision, None), with_interval(b.precision, None)),
        ("recall", with_interval(a.recall, None), with_interval(b.recall, None)),
        ("Brier score", f"{a.brier:.4f}", f"{b.brier:.4f}"),
        ("calibration error", f"{a.calibration_error:.4f}", f"{b.calibration_error:.4f}"),
    ]
    print_table(f"On the same {a.leads:,} held-out leads", ["what", name_a, name_b], rows)
    console.print(
        f"AUC of {name_b} minus {name_a}: {paired.difference:+.4f} "
        f"(95 % {paired.interval.low:+.4f} to {paired.interval.high:+.4f}, p = {paired.p_value:.2g}, DeLong)."
    )


def _own(code: "FeatureCode") -> str:
    """What a version's own features.py makes."""
    text = sha256(code.source.encode()).hexdigest()
    names = ", ".join(feature.name for feature in code.features)
    return f"{len(code.features)} features: {names}; SHA-256 of the text {text[:16]}"


def _scorer(card: Any) -> str:
    if card.why_library:
        return f"library, because {card.why_library}"
    proof = card.proof
    return (
        f"compiled; equal to the library on {proof.rows:,} hold-out and {proof.edge_rows:,} edge rows "
        f"to {proof.max_difference:.1e} (bar {proof.tolerance:.0e})"
    )


def _retraining(tags: Mapping[str, str]) -> list[tuple[str, str]]:
    """Which retraining made it, and why; nothing for a version that was trained by hand."""
    if "retraining" not in tags:
        return []
    number = tags["retraining"].split()[0]
    return [("made by", f"retraining {number} ({tags['retraining_reason']}); `leadgate triggers show {number}`")]


def _pointed(tags: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (alias, f"{tags[f'{alias}_by']}, {tags[f'{alias}_at']}")
        for alias in ("champion", "challenger")
        if f"{alias}_by" in tags
    ]


def _headline(card: Any) -> dict[str, Any]:
    overall = card.evaluation.overall
    return {
        "model": card.model.kind,
        "auc": overall.auc,
        "auc_interval": overall.auc_interval,
        "calibration_error": overall.calibration_error,
        "snapshot_version": card.snapshot_version,
        "scorer": "compiled" if card.compiled else "library",
        "trained_at": card.trained_at,
    }
