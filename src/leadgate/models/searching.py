"""Tries other hyperparameters, within the grid that leadgate.yaml declares.

A grid that is no larger than the number of trials is tried whole; of a larger one Optuna's TPE sampler (Bergstra et
al., "Algorithms for Hyper-Parameter Optimization", 2011) picks the settings, from the model's seed: the same leads and
the same configuration find the same.
"""

import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from leadgate.errors import BadConfigError, RefusedError
from leadgate.leads.project import ModelRules, SearchRules
from leadgate.leads.schema import LeadSchema
from leadgate.leads.split import time_holdout
from leadgate.models.dataset import FEWEST_OF_A_CLASS, Dataset, dataset_of
from leadgate.models.pipeline import accepted, build_pipeline, frame_of, predict, require_known

if TYPE_CHECKING:
    import optuna

Settings = dict[str, Any]
Step = Callable[[str], None]

_LATER = 0.2
"""Share of the training leads, the last ones, on which settings are ranked."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What trying other hyperparameters came to."""

    hyperparameters: Settings
    """To be trained with: the declared ones, with those of the grid that did better."""
    loss: float
    """Log loss in nats of the best, on leads that it had not seen."""
    declared_loss: float
    """The same of what leadgate.yaml declares."""
    tried: int
    """Different settings, the declared one among them."""
    refused: int
    """Of these, settings that the estimator would not take."""
    sentence: str


def search(training: pl.DataFrame, schema: LeadSchema, model: ModelRules, step: Step = lambda _: None) -> Search | None:
    """The best setting of ``model.search`` by log loss; None where nothing is declared.

    Settings are fitted on the training leads without the most recent fifth (without a timestamp: without a random
    fifth, by the model's seed) and ranked on that fifth; the hold-out has no part in it. The declared setting is always
    tried, and kept unless another is better. Raises BadConfigError for a hyperparameter that the model does not have,
    RefusedError where the model takes none of the grid's settings, the leads are too few, or Optuna is needed and not
    installed.
    """
    rules = model.search
    if rules is None:
        return None
    require_known(model, rules.grid, "model.search.grid")
    before, later = _parts(training, schema, model.seed)
    step("trying the declared hyperparameters")
    declared = _loss(before, later, schema, model)
    tried: dict[tuple[str, ...], float | None] = {}
    refused: list[str] = []
    best, least, others = model.hyperparameters, declared, 0
    for number, setting in enumerate(_settings(rules, model.seed, tried), 1):
        step(f"trying hyperparameters, {number} of {min(rules.trials, _size(rules))}: {_told(setting)}")
        merged = {**model.hyperparameters, **setting}
        others += merged != model.hyperparameters
        came = declared if merged == model.hyperparameters else _tried(before, later, schema, model, merged)
        tried[_key(setting)] = None if isinstance(came, str) else came
        if isinstance(came, str):
            refused.append(f"{_told(setting)}: {came}")
        elif came < least:
            best, least = merged, came
    if refused and len(refused) == others:
        raise RefusedError(
            f"leadgate.yaml: model.search.grid: {model.kind} takes none of the {others:,} settings that were tried "
            f"besides the declared one; the first, {refused[0]}. Mend the grid, or set model.search to null."
        )
    where = f"on {_ranking(schema, len(later))}, of {len(tried):,} settings tried{_left_out(model, refused)}"
    return Search(
        hyperparameters=best,
        loss=least,
        declared_loss=declared,
        tried=len(tried),
        refused=len(refused),
        sentence=_sentence(best, model, least, declared, where),
    )


def with_found(model: ModelRules, found: Search | None) -> ModelRules:
    """The model with what was found."""
    return model if found is None else model.model_copy(update={"hyperparameters": found.hyperparameters})


def _parts(training: pl.DataFrame, schema: LeadSchema, seed: int) -> tuple[Dataset, Dataset]:
    if schema.timestamp:
        mask = time_holdout(training[schema.timestamp].to_numpy(), _LATER)
    else:
        mask = np.random.default_rng(seed).random(training.height) < _LATER
    later = pl.Series(mask)
    parts = dataset_of(training.filter(~later), schema), dataset_of(training.filter(later), schema)
    for part in parts:
        won = int(part.converted.sum())
        if min(won, len(part) - won) < FEWEST_OF_A_CLASS:
            raise RefusedError(
                f"There are too few leads to search hyperparameters: {won:,} of {len(part):,} converted in the part "
                f"that settings are {'ranked' if part is parts[1] else 'fitted'} on, and {FEWEST_OF_A_CLASS} of each "
                "kind are needed. Set model.search to null, or import more leads."
            )
    return parts


def _tried(before: Dataset, later: Dataset, schema: LeadSchema, model: ModelRules, setting: Settings) -> float | str:
    """The loss of a setting; why, where the estimator does not take it or comes to no probability with it."""
    try:
        return _loss(before, later, schema, model.model_copy(update={"hyperparameters": setting}))
    except (BadConfigError, ValueError, ArithmeticError, TypeError) as error:
        # In the library's own words: those of ``accepted`` name another place of the file.
        words = str(error.__cause__ or error).strip() or type(error).__name__
        return words.splitlines()[0].rstrip(".")


def _loss(before: Dataset, later: Dataset, schema: LeadSchema, model: ModelRules) -> float:
    from sklearn.metrics import log_loss  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    pipeline = build_pipeline(schema, model)
    # Sums of several threads differ in the last bits, and the search would not be repeatable.
    with threadpool_limits(limits=1), accepted(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that do not converge: their loss says it
        pipeline.fit(frame_of(schema, before.rows), before.converted)
        scores = predict(pipeline, frame_of(schema, later.rows))
    return float(log_loss(later.converted, scores, labels=[False, True]))


def _settings(rules: SearchRules, seed: int, tried: dict[tuple[str, ...], float | None]) -> Iterator[Settings]:
    """The settings to try, each once; ``tried`` has the losses of those before."""
    if _size(rules) <= rules.trials:
        yield from (dict(zip(rules.grid, values, strict=True)) for values in itertools.product(*rules.grid.values()))
        return
    study = _study(seed)
    for _ in range(rules.trials):
        trial = study.ask()
        setting = {name: trial.suggest_categorical(name, list(values)) for name, values in rules.grid.items()}
        if _key(setting) not in tried:
            yield setting
        loss = tried[_key(setting)]
        if loss is None:
            from optuna.trial import TrialState  # noqa: PLC0415

            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, loss)


def _study(seed: int) -> "optuna.Study":
    try:
        import optuna  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise RefusedError(
            "The grid of model.search has more settings than model.search.trials, and to pick among them needs Optuna: "
            "pip install 'leadgate[search]'; or raise the trials, or declare a smaller grid."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))


def _size(rules: SearchRules) -> int:
    return prod(len(values) for values in rules.grid.values())


def _key(setting: Settings) -> tuple[str, ...]:
    """Tells 1 from True, which are equal."""
    return tuple(repr(value) for value in setting.values())


def _told(setting: Settings) -> str:
    return ", ".join(f"{name} {value}" for name, value in setting.items())


def _ranking(schema: LeadSchema, leads: int) -> str:
    """The leads that settings are ranked on."""
    return f"the last {leads:,} training leads" if schema.timestamp else f"{leads:,} training leads drawn at random"


def _left_out(model: ModelRules, refused: list[str]) -> str:
    if not refused:
        return ""
    return f"; {model.kind} refused {len(refused):,} of them, {'the first, ' if len(refused) > 1 else ''}{refused[0]}"


def _sentence(best: Settings, model: ModelRules, least: float, declared: float, where: str) -> str:
    if best == model.hyperparameters:
        return f"the declared hyperparameters stay: none had a smaller log loss than {declared:.4f} {where}"
    changed = {k: v for k, v in best.items() if k not in model.hyperparameters or model.hyperparameters[k] != v}
    return f"{_told(changed)}: log loss {least:.4f} instead of {declared:.4f} {where}"
