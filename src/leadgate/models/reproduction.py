"""Whether a version that was made again is the one that was registered, and what was not as it was (quiet)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from leadgate.leads.project import ModelRules, Project
from leadgate.models.card import Card
from leadgate.models.provenance import Provenance

Verdict = Literal["identical", "different", "impossible"]
State = Literal["same", "other", "unknown", "gone"]

EXIT_CODES: dict[Verdict, int] = {"identical": 0, "different": 1, "impossible": 3}
"""What the command ends with; 2 is a mistake in the call, as everywhere."""

MAKERS = frozenset(
    {
        "deltalake",
        "joblib",
        "leadgate",
        "lightgbm",
        "msgspec",
        "numpy",
        "pandas",
        "polars",
        "polars-runtime-32",
        "python",
        "scikit-learn",
        "scipy",
        "skops",
        "statsmodels",
        "threadpoolctl",
    }
)
"""The packages that have a part in what a model is, its digest and its figures; all others only stand by."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One thing that a version was made of."""

    what: str
    state: State
    """same: as it was. other: not as it was, and the version can be made again all the same. unknown: not recorded.
    gone: missing or damaged, and without it nothing can be made again, or nothing held against it."""
    sentence: str
    """What was found, and what to do where something is to be done."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One thing that was made again."""

    what: str
    same: bool | None
    """None where the registry's file is missing or damaged, so that nothing can be held against it."""
    recorded: str | None
    made: str | None


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What came of making a version again."""

    model_name: str
    version: str
    verdict: Verdict
    inputs: tuple[Input, ...]
    results: tuple[Result, ...]
    """Empty where it could not be made."""
    largest_difference: float | None
    """Of the hold-out scores; None where they could not be compared."""

    @property
    def sentence(self) -> str:
        """What an auditor reads first."""
        about = f"{self.model_name} version {self.version}"
        match self.verdict:
            case "identical":
                return f"{about} was made again from its record: the same to the last bit."
            case "impossible":
                gone = " ".join(entry.sentence for entry in self.inputs if entry.state == "gone")
                what = (
                    "was made again and cannot be held against all of its record"
                    if self.results
                    else "cannot be made again"
                )
                return f"{about} {what}. {gone}"
            case "different":
                return f"{about} was made again and is not the same: {_amiss(self)} {_why(self.inputs)}"


def verdict_of(inputs: Iterable[Input], results: Sequence[Result]) -> Verdict:
    """Identical only when everything was compared and is the same."""
    if any(entry.state == "gone" for entry in inputs) or not results:
        return "impossible"
    if any(result.same is False for result in results):
        return "different"
    return "impossible" if any(result.same is None for result in results) else "identical"


def project_of(card: Card) -> Project:
    """The configuration that a version was trained with, whatever leadgate.yaml says now."""
    return Project(name=card.model_name, lead=card.lead, model=card.model, split=card.split, thresholds=card.thresholds)


def packages(then: Sequence[str], now: Sequence[str]) -> Input:
    """The installed packages against those of the training, each as ``name==version``."""
    differs = _differing(then, now)
    makers = [said for name, said in differs.items() if name in MAKERS]
    others = len(differs) - len(makers)
    if makers:
        said = (
            f"Packages that have a part in a model are others: {', '.join(makers)}. Where the result differs, install "
            "those of the training (environment.txt of the version's run in MLflow lists them) and reproduce again."
        )
        return Input(what="packages", state="other", sentence=said)
    if others:
        said = (
            f"All packages that have a part in a model are the same; {others} others differ, such as {_first(differs)}."
        )
        return Input(what="packages", state="same", sentence=said)
    return Input(what="packages", state="same", sentence="The interpreter and every package are the same.")


def arithmetic(then: Sequence[str], now: Sequence[str]) -> Input:
    """What sums numbers on this machine against that of the training."""
    if not then:
        said = "Which processor and BLAS kernels it was trained with is not recorded (by an earlier Leadgate)."
        return Input(what="arithmetic", state="unknown", sentence=said)
    if set(then) == set(now):
        return Input(what="arithmetic", state="same", sentence=f"The same kind: {'; '.join(now)}.")
    was, here = ("; ".join(part for part in side if part not in other) for side, other in ((then, now), (now, then)))
    if not here:
        how = f"here is no {was}, which it was trained with"
    else:
        how = f"it was {was}, it is {here}" if was else f"here is {here} besides what it was trained with"
    said = f"Numbers are summed otherwise: {how}. The last bits of a sum can differ by that.{_kernel(then, now)}"
    return Input(what="arithmetic", state="other", sentence=said)


def configuration(card: Card, present: Project) -> Input:
    """What leadgate.yaml says now against the card: told only, for the card is what the version is made from."""
    if present.lead.fault is not None:
        said = f"Not known, for features.py cannot be used now: {present.lead.fault} The version has its own code."
        return Input(what="configuration", state="unknown", sentence=said)
    changed = differences(card, present)
    if not changed:
        return Input(what="configuration", state="same", sentence=f"As {_files(card, present)} it now, too.")
    said = (
        f"{_files(card, present)} otherwise now ({'; '.join(changed)}); the version is made again with the card's own."
    )
    return Input(what="configuration", state="other", sentence=said)


def _files(card: Card, present: Project) -> str:
    return "leadgate.yaml and features.py say" if card.lead.code or present.lead.code else "leadgate.yaml says"


def differences(card: Card, present: Project) -> list[str]:
    """What of leadgate.yaml and features.py is not as a version was trained with; empty where all of it is."""
    changed = [*_types(card, present), *_sections(card, present)]
    if not changed and card.lead.digest != present.lead.digest:
        return ["the order of the features, or the code of features.py"]
    return changed


def commit(then: Provenance, now: str | None) -> Input:
    """The Git commit of the project."""
    if then.git_commit is None:
        said = "The project was in no Git repository; the card has all that the model is made of."
        return Input(what="Git commit", state="unknown", sentence=said)
    dirty = " with uncommitted changes" if then.git_dirty else ""
    if then.git_commit == now:
        return Input(what="Git commit", state="same", sentence=f"The same commit, {then.git_commit[:12]}{dirty}.")
    here = f"this is {now[:12]}" if now else "here is no repository"
    said = f"It was trained at {then.git_commit[:12]}{dirty}, {here}; the card has all that the model is made of."
    return Input(what="Git commit", state="other", sentence=said)


def record(card: Card, tags: Mapping[str, str]) -> Input:
    """The registry's tags against the card, whose digest vouches for it."""
    said_by_card = {
        "data_snapshot_version": str(card.snapshot_version),
        "data_snapshot_digest": card.snapshot_digest,
        "feature_set_hash": card.lead.digest,
        "model_digest": card.model_digest,
        "lock_digest": card.provenance.lock_digest,
    }
    wrong = [name for name, value in said_by_card.items() if tags.get(name) != value]
    if not wrong:
        return Input(what="record", state="same", sentence="The registry's tags say what the card says.")
    said = (
        f"The registry's {', '.join(wrong)} is not what the version's card says: somebody changed a tag, or the "
        "feature set is digested otherwise by this Leadgate. The card counts, for its SHA-256 is recorded; find out "
        "who did it."
    )
    return Input(what="record", state="other", sentence=said)


def compared(what: str, recorded: str | None, made: str | None) -> Result:
    """Two digests or figures as text; None for what the registry cannot show."""
    return Result(what=what, same=None if recorded is None else recorded == made, recorded=recorded, made=made)


def _differing(then: Sequence[str], now: Sequence[str]) -> dict[str, str]:
    """By package, how its version differs."""
    was, now_is = (dict(_parts(package) for package in side) for side in (then, now))
    return {
        name: f"{name} {was.get(name, 'not there')} (now {now_is.get(name, 'not there')})"
        for name in sorted({*was, *now_is})
        if was.get(name) != now_is.get(name)
    }


def _parts(package: str) -> tuple[str, str]:
    name, _, version = package.partition("==")
    return name.replace("_", "-").lower(), version


def _first(differs: Mapping[str, str]) -> str:
    return next(iter(differs.values()))


def _kernel(then: Sequence[str], now: Sequence[str]) -> str:
    """What to do where OpenBLAS chose another kernel, which it can be told."""
    was, now_is = (sorted({part.split()[-1] for part in side if part.startswith("openblas")}) for side in (then, now))
    if was == now_is or len(was) != 1:
        return ""
    return f" A processor that is newer than the one of the training sums as that did under OPENBLAS_CORETYPE={was[0]}."


def _types(card: Card, present: Project) -> list[str]:
    """Features that are declared otherwise now."""
    now = {feature.name: feature for feature in (*present.lead.features, *present.lead.used)}
    changed = []
    for feature in card.lead.used:
        there = now.get(feature.name)
        if there is None:
            changed.append(f"feature {feature.name!r} is gone")
        elif there.type is not feature.type:
            changed.append(f"feature {feature.name!r} was {feature.type.value} and is {there.type.value}")
        elif not there.use:
            changed.append(f"feature {feature.name!r} is not used any more")
        elif card.lead.made_digests.get(feature.name) != present.lead.made_digests.get(feature.name):
            changed.append(f"features.py has {feature.name!r} written otherwise")
    new = [feature.name for feature in present.lead.used if feature.name not in {f.name for f in card.lead.used}]
    return [*changed, *(f"feature {name!r} is new" for name in new)]


def _sections(card: Card, present: Project) -> list[str]:
    """Other parts of the configuration that differ."""
    pairs = (("model", _declared(card, present), present.model), ("split", card.split, present.split))
    return [f"{name}" for name, then, now in pairs if then != now]


def _declared(card: Card, present: Project) -> ModelRules:
    """What the model was trained with, and as it is declared now where a search found it in the grid of now."""
    search = present.model.search
    if card.searched is None or search is None:
        return card.model
    found = {k: v for k, v in card.model.hyperparameters.items() if v not in search.grid.get(k, ())}
    declared = {k: v for k, v in present.model.hyperparameters.items() if k in search.grid}
    return card.model.model_copy(update={"hyperparameters": {**declared, **found}})


def _amiss(found: Reproduction) -> str:
    wrong = ", ".join(result.what for result in found.results if result.same is False)
    if found.largest_difference is None or found.largest_difference == 0:
        return f"{wrong}."
    return f"{wrong}; hold-out scores differ by up to {found.largest_difference:.1e}."


def _why(inputs: Sequence[Input]) -> str:
    explains = {"packages", "arithmetic", "record"}
    other = [entry for entry in inputs if entry.state == "other" and entry.what in explains]
    if other:
        return " ".join(entry.sentence for entry in other)
    return "Every input is as it was; please report it, with the JSON of this command."
