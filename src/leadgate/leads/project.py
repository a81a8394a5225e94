"""leadgate.yaml as typed records, and the sentences for what is wrong with one (quiet)."""

import difflib
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from leadgate.errors import BadConfigError
from leadgate.leads.alert_rules import AlertRules
from leadgate.leads.exploration_rules import ExplorationRules
from leadgate.leads.feature_code import FILE, FaultyCode
from leadgate.leads.feature_parsing import every_feature, parse_features
from leadgate.leads.mistakes import complaint, first_mistake
from leadgate.leads.monitoring_rules import MonitoringRules
from leadgate.leads.retraining_rules import RetrainingRules
from leadgate.leads.rollout_rules import RolloutRules
from leadgate.leads.schema import Feature, FeatureType, LeadSchema, MadeRules, Record
from leadgate.leads.worker_rules import WorkerRules

ModelKind = Literal["logistic_regression", "hist_gradient_boosting", "lightgbm"]
Share = Annotated[float, Field(ge=0, le=1)]
GridValue = bool | int | float | str | None

_WRITTEN = {"written": True}
"""Marks what a person writes, which is held to more than the cards of versions: those stay readable."""


class ImportRules(Record):
    """What an import of leads tolerates."""

    quarantine_limit: Share = 0.01
    """Largest share of bad rows; above it the whole import is refused."""


class SplitRules(Record):
    """How the hold-out is set apart."""

    by: Literal["hash", "time"] = "hash"
    """hash: by id and date, stable as leads are added; time: the most recent leads are held out."""
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the labelled leads that are never trained on."""


class SearchRules(Record):
    """Which other hyperparameters a training tries."""

    grid: Annotated[dict[str, Annotated[tuple[GridValue, ...], Field(min_length=1)]], Field(min_length=1)]
    """By hyperparameter, the values that may be tried."""
    trials: Annotated[int, Field(ge=1)] = 20
    """Settings that are tried at most; a grid with more is searched by Optuna (leadgate[search])."""

    @field_validator("grid")
    @classmethod
    def _searches_no_seeds(cls, grid: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if info.context == _WRITTEN and "random_state" in grid:
            raise ValueError("random_state is a seed, and the best of several seeds is luck; set model.seed to one")
        return grid


class ModelRules(Record):
    """What is trained."""

    kind: ModelKind = "logistic_regression"
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    """Passed to the estimator as they are."""
    search: SearchRules | None = None
    """Other hyperparameters that each training tries; None: those above and no others."""
    calibration: Literal["none", "sigmoid", "isotonic"] = "none"
    rare_below: Annotated[int, Field(ge=1)] = 10
    """Categories seen in fewer training leads than this are treated as one."""
    max_categories: Annotated[int, Field(ge=2)] = 100
    """Largest number of categories of one feature that are told apart."""
    seed: int = 42

    @field_validator("hyperparameters")
    @classmethod
    def _has_one_seed(cls, hyperparameters: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if info.context == _WRITTEN and "random_state" in hyperparameters:
            raise ValueError("random_state is not set here; set model.seed, which everything random here takes")
        return hyperparameters


class Thresholds(Record):
    """Where scores become decisions."""

    high: Share = 0.7
    """Priority is high above this score."""
    medium: Share = 0.4
    """Priority is medium above this score, else low."""
    decision: Share = 0.5
    """The score above which precision and recall call a lead "will convert"."""

    @model_validator(mode="after")
    def _ordered(self) -> "Thresholds":
        if self.medium > self.high:
            raise ValueError(f"medium ({self.medium:g}) is above high ({self.high:g}); swap them")
        return self


class OutcomeRules(Record):
    """How outcomes are matched to predictions."""

    window_days: Annotated[float, Field(gt=0)] = 60
    """An outcome counts for a score when it comes within this many days after it."""
    silence_means: Literal["unknown", "not_converted"] = "unknown"
    """A matured lead without any outcome: left out, or counted as lost (for a CRM that reports only wins)."""


class Project(Record):
    """The whole of leadgate.yaml."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] = "lead-scoring"
    """Name of the registered model."""
    lead: LeadSchema
    imports: ImportRules = ImportRules()
    split: SplitRules = SplitRules()
    model: ModelRules = ModelRules()
    thresholds: Thresholds = Thresholds()
    outcomes: OutcomeRules = OutcomeRules()
    exploration: ExplorationRules = ExplorationRules()
    rollout: RolloutRules = RolloutRules()
    monitoring: MonitoringRules = MonitoringRules()
    retraining: RetrainingRules = RetrainingRules()
    worker: WorkerRules = WorkerRules()
    alerts: AlertRules = AlertRules()


def parse_project(
    text: str, source: str, features: str | BadConfigError | None = None, features_source: str = FILE
) -> Project:
    """Read the text of a leadgate.yaml, and of the features.py beside it, where there is one.

    ``source`` and ``features_source`` name the files in error messages; ``features`` may be why there is no text.
    Where only features.py is at fault the project is read: what needs its features raises the fault (``FaultyCode``),
    and all else goes on, the way back to another version above all. Raises BadConfigError for leadgate.yaml, with the
    line, the key and what to do.
    """
    try:
        tree = yaml.safe_load(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise BadConfigError(f"{source} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(tree, dict):
        raise BadConfigError(f"{source} is empty; write one with `leadgate init DIR --from FILE`.")
    if isinstance(tree.get("lead"), dict) and "code" in tree["lead"]:
        raise BadConfigError(f"{source}: lead.code is not written here; own features stand in {FILE} beside it.")
    try:
        project = Project.model_validate(_with_names(tree), context=_WRITTEN)
    except ValidationError as error:
        raise BadConfigError(_sentence(error, root, source)) from error
    try:
        if isinstance(features, BadConfigError):
            raise features
        lead = with_code(project.lead, features, source, features_source)
    except BadConfigError as fault:
        if features is None and not project.lead.made:
            raise
        lead = project.lead.model_copy(update={"code": FaultyCode(str(fault))})
    return project.model_copy(update={"lead": lead})


def with_code(schema: LeadSchema, features: str | None, source: str, file: str = FILE) -> LeadSchema:
    """The schema with the features that the text of a features.py makes, or without any. Raises BadConfigError."""
    code = None if features is None else parse_features(features, schema, file)
    known = {} if features is None else {made.name: made.type for made in every_feature(features, schema, file)}
    for rules in schema.made:
        where = f"{source}: lead.made.{rules.name}"
        if rules.name not in known:
            near = difflib.get_close_matches(rules.name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}." if known else "write one."
            raise BadConfigError(f"{where}: {file} has no function of this name; {hint}")
        if rules.range is not None and known[rules.name] is not FeatureType.NUMERIC:
            raise BadConfigError(f"{where}: only a numeric feature has a range; it is {known[rules.name].value}.")
        if rules.categories is not None and known[rules.name] is not FeatureType.CATEGORICAL:
            raise BadConfigError(
                f"{where}: only a categorical feature has categories; it is {known[rules.name].value}."
            )
    whole = schema.model_copy(update={"code": code})
    if not whole.used:
        raise BadConfigError(f"{source}: no feature is in use; set `use: true` on at least one.")
    return whole


def _with_names(tree: dict[str, Any]) -> dict[str, Any]:
    """Turn the mappings of features (name: settings) into the lists that the records hold."""
    lead = tree.get("lead")
    if not isinstance(lead, dict):
        return tree
    named = {key: _listed(lead[key]) for key in ("features", "made") if isinstance(lead.get(key), dict)}
    return {**tree, "lead": {**lead, **named}}


def _listed(settings: dict[str, Any]) -> list[Any]:
    return [{"name": str(name), **its} if isinstance(its, dict) else its for name, its in settings.items()]


def _sentence(error: ValidationError, root: yaml.Node | None, source: str) -> str:
    """Make one sentence of the first mistake that pydantic found."""
    first = first_mistake(error)
    path, line = _locate(root, first["loc"])
    where = f"{source}, line {line}" if line else source
    dotted = ".".join(path)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], _known_keys(path[:-1]), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_known_keys(path[:-1]))}."
        return f"{where}: unknown key {dotted!r}; {hint}"
    if first["type"] == "missing":
        return f"{where}: {dotted!r} is missing; add it."
    return f"{where}: {dotted or 'the file'}: {complaint(first)}."


def _locate(root: yaml.Node | None, loc: tuple[int | str, ...]) -> tuple[list[str], int | None]:
    """Follow pydantic's location into the YAML; gives the keys as written and the last line found."""
    node, path, line = root, [], None
    for step in loc:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = None
        if isinstance(step, int) and step < len(pairs):
            found = pairs[step]
        elif isinstance(step, str):
            found = next((pair for pair in pairs if pair[0].value == step), None)
        if found is None:
            path.append(str(step))
            node = None
            continue
        path.append(str(found[0].value))
        line, node = found[0].start_mark.line + 1, found[1]
    return path, line


def _known_keys(path: list[str]) -> list[str]:
    """The keys that leadgate.yaml allows at a path."""
    named: dict[str, type[Record]] = {"features": Feature, "made": MadeRules}
    if path[:1] == ["lead"] and len(path) > 1 and path[1] in named:
        return [key for key in named[path[1]].model_fields if key != "name"]
    record: Any = Project
    for step in path:
        record = _record_in(record.model_fields[step].annotation)
    return [key for key in record.model_fields if (record, key) != (LeadSchema, "code")]


def _record_in(annotation: Any) -> Any:
    """The record of a field that may also be null."""
    return next((part for part in get_args(annotation) if hasattr(part, "model_fields")), annotation)
