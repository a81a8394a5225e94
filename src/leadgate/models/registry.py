"""The registry: MLflow holds the versions, their files, their facts and the aliases champion and challenger."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

# Both before the first import of MLflow: it reads them once.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
# A tracking server that is down should be told in seconds; MLflow's own default tries for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")

from leadgate.compiled.program import Program, to_json
from leadgate.errors import NotFoundError, RefusedError
from leadgate.leads.baselines import UnreadableBaselineError, baseline_from_bytes
from leadgate.models.card import Card, card_from_json, card_to_json
from leadgate.models.evaluation import metrics_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

Alias = Literal["champion", "challenger"]

CARD, PROGRAM, HOLDOUT, MODEL = "card.json", "program.json", "holdout.parquet", "model.skops"
BASELINE = "baseline.bin"
_FOLDER = "leadgate"
"""Folder of a run's artifacts with our own files, beside the MLflow model."""

TRUSTED_TYPES = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
"""What a model file may hold beyond skops' own list: the parts of our three kinds of model, nothing else."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """A registered version as the registry lists it."""

    name: str
    version: str
    aliases: tuple[str, ...]
    created_at: datetime
    run_id: str
    source: str
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Files:
    """What is stored with a version beside its card."""

    pipeline: Any
    """The fitted scikit-learn pipeline."""
    program: Program | None
    holdout: bytes
    """Parquet: id, converted and score of every hold-out lead."""
    baseline: bytes
    """What later leads and scores are held against: see ``leads/baselines.py``."""
    figures: dict[str, Any]
    """matplotlib figures by file name."""
    frame: Any
    """A few rows as the pipeline takes them, for MLflow's input schema."""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """The versions of one registered model."""

    name: str
    tracking_uri: str
    registry_uri: str
    artifact_location: str | None
    """Where a new experiment keeps files; None leaves it to the tracking server."""

    @property
    def _client(self) -> "MlflowClient":
        import mlflow  # noqa: PLC0415  # 1 to 3 s

        # Runs and models are logged by functions that know one tracking server a process: it has to be ours each time.
        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.set_registry_uri(self.registry_uri)
        return self._own_client

    @cached_property
    def _own_client(self) -> "MlflowClient":
        import mlflow  # noqa: PLC0415

        return mlflow.MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.registry_uri)

    def versions(self) -> tuple[Version, ...]:
        """All versions, oldest first."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        try:
            aliases = self._client.get_registered_model(self.name).aliases
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return ()
            raise
        found = self._client.search_model_versions(f"name = '{self.name}'", max_results=10_000)
        return tuple(sorted((_version(v, aliases) for v in found), key=lambda v: int(v.version)))

    def find(self, which: str) -> Version:
        """A version by number or alias, or the latest. Raises NotFoundError naming what there is."""
        numbered = self._numbered(which) if which.isdecimal() else None
        if numbered is not None:
            return numbered
        there = self.versions()
        if which == "latest" and there:
            return there[-1]
        for version in there:
            if which == version.version or which in version.aliases:
                return version
        known = ", ".join([v.version for v in there] + sorted({a for v in there for a in v.aliases}))
        raise NotFoundError(f"Model {self.name!r} has no version {which!r}; known: {known or 'none yet'}.")

    def _numbered(self, number: str) -> Version | None:
        """A version by its number, without a list of all of them; None where there is none."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        try:
            found = self._client.get_model_version(self.name, number)
        except MlflowException:  # the list of all says what there is, or why nothing can be read
            return None
        return _version(found, dict.fromkeys(found.aliases, found.version)) if str(found.version) == number else None

    def champion(self) -> Version | None:
        """The version that serves; None before the first one is registered."""
        return next((v for v in self.versions() if "champion" in v.aliases), None)

    def card(self, version: Version) -> Card:
        """A version's card, its digest checked."""
        return card_from_json(self._read(version, CARD))

    def holdout(self, version: Version) -> bytes:
        """The version's hold-out scores as Parquet, digest checked."""
        return self._read(version, HOLDOUT)

    def baseline(self, version: Version) -> bytes | None:
        """What monitoring holds later leads against, digest checked; None for a version of an earlier Leadgate."""
        return self._read(version, BASELINE) if _digest_tag(BASELINE) in version.tags else None

    def file(self, version: Version, name: str) -> bytes:
        """A file of a version, its digest checked. Raises RefusedError for a changed one and for one that is gone."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        self._client  # noqa: B018  # sets MLflow's URIs
        try:
            return vouched(version, name, _model_file(version.source)) if name == MODEL else self._read(version, name)
        except (MlflowException, OSError) as error:
            raise RefusedError(
                f"{name} of {version.name} version {version.version} cannot be read from MLflow's files "
                f"({str(error).splitlines()[0][:200]}); restore it from a backup."
            ) from error

    def serving_files(self, version: Version) -> dict[str, bytes]:
        """By name, what a server needs of a version: its card, and its program or its pipeline; digests checked."""
        files = {CARD: self._read(version, CARD)}
        if card_from_json(files[CARD]).compiled:
            files[PROGRAM] = self._read(version, PROGRAM)
        else:
            self._client  # noqa: B018  # sets MLflow's URIs
            files[MODEL] = vouched(version, MODEL, _model_file(version.source))
        return files

    def register(self, card: Card, files: Files, facts: Mapping[str, str] | None = None) -> Version:
        """Log a run with its parameters, metrics, plots, files and facts, and make it a version.

        ``facts`` are further ones, by name.
        """
        import mlflow  # noqa: PLC0415

        experiment = self._experiment()
        with mlflow.start_run(
            experiment_id=experiment, run_name=f"{card.model.kind} {card.trained_at:%Y-%m-%d}"
        ) as run:
            mlflow.log_params(_parameters(card))
            digests = _log_files(card, files)
            model_uri = _log_model(files)
            digests[_digest_tag(MODEL)] = hashlib.sha256(_model_file(model_uri)).hexdigest()
            tags = {**_facts(card), **digests, **(facts or {})}
            mlflow.set_tags(tags)
            # After the model: MLflow copies earlier metrics to it, stumbling over those it has.
            mlflow.log_metrics(metrics_of(card.evaluation))
        self._name_model()
        made = self._client.create_model_version(self.name, model_uri, run.info.run_id, tags=tags)
        return self.find(str(made.version))

    def _name_model(self) -> None:
        """Make the registered model unless it is there, also when another training makes it at this moment."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        try:
            self._client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def point(self, alias: Alias, version: Version, *, by: str, at: datetime) -> None:
        """Make an alias name this version, and write on the version who did it and when."""
        self._client.set_registered_model_alias(self.name, alias, version.version)
        self._client.set_model_version_tag(self.name, version.version, f"{alias}_by", by)
        self._client.set_model_version_tag(self.name, version.version, f"{alias}_at", at.isoformat())

    def drop(self, alias: Alias) -> None:
        """Make an alias name nothing."""
        self._client.delete_registered_model_alias(self.name, alias)

    def archive(self, version: Version, *, at: datetime, because: str) -> None:
        """Mark a version as one that serves no more; it stays, with its files. The first mark counts."""
        if "archived_at" not in version.tags:
            self._client.set_model_version_tag(self.name, version.version, "archived_at", at.isoformat())
            self._client.set_model_version_tag(self.name, version.version, "archived_because", because)

    def restore(self, version: Version) -> None:
        """Take the mark of ``archive`` from a version that serves again."""
        for tag in ("archived_at", "archived_because"):
            if tag in version.tags:
                self._client.delete_model_version_tag(self.name, version.version, tag)

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.name)
        if found:
            return str(found.experiment_id)
        return str(self._client.create_experiment(self.name, artifact_location=self.artifact_location))

    def _read(self, version: Version, file: str) -> bytes:
        """A file of a version; RefusedError when its digest is not the recorded one."""
        with tempfile.TemporaryDirectory() as folder:
            local = self._client.download_artifacts(version.run_id, f"{_FOLDER}/{file}", folder)
            return vouched(version, file, Path(local).read_bytes())


def importance_of(registry: Registry, version: Version) -> dict[str, float] | None:
    """How much AUC a version loses without each feature; None for one that did not write it down, or not readably."""
    content = registry.baseline(version)
    try:
        return None if content is None else dict(baseline_from_bytes(content).importance)
    except UnreadableBaselineError:
        return None


def _model_file(model_uri: str) -> bytes:
    """The skops file of a logged MLflow model."""
    import mlflow.artifacts  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        return (Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=folder)) / MODEL).read_bytes()


def vouched(version: Version, file: str, content: bytes) -> bytes:
    """The content, if its digest is the one that the registry recorded; RefusedError if not."""
    if hashlib.sha256(content).hexdigest() != version.tags.get(_digest_tag(file)):
        raise RefusedError(
            f"{file} of {version.name} version {version.version} is not the file that was registered "
            "(its SHA-256 differs from the registry's record); restore it, or train the version again."
        )
    return content


def read_pipeline(content: bytes) -> Any:
    """A fitted pipeline from its skops file: only known types are built, and no code of the file runs."""
    import skops.io  # noqa: PLC0415

    return skops.io.loads(content, trusted=list(TRUSTED_TYPES))


def _log_files(card: Card, files: Files) -> dict[str, str]:
    """Store our own files with the run; gives their digests as tags."""
    import mlflow  # noqa: PLC0415

    contents = {
        CARD: card_to_json(card),
        HOLDOUT: files.holdout,
        BASELINE: files.baseline,
        "environment.txt": "\n".join(card.provenance.environment).encode(),
    }
    if files.program is not None:
        contents[PROGRAM] = to_json(files.program)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
        mlflow.log_artifacts(folder, _FOLDER)
    for name, figure in files.figures.items():
        mlflow.log_figure(figure, f"plots/{name}")
    return {_digest_tag(name): hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def _log_model(files: Files) -> str:
    """Store the pipeline as an MLflow model, so that any MLflow tool can serve it; gives its URI."""
    import mlflow.sklearn  # noqa: PLC0415
    from mlflow.models import infer_signature  # noqa: PLC0415

    info = mlflow.sklearn.log_model(
        files.pipeline,
        name="model",
        signature=infer_signature(files.frame, files.pipeline.predict_proba(files.frame)),
        pyfunc_predict_fn="predict_proba",
        serialization_format="skops",
        skops_trusted_types=list(TRUSTED_TYPES),
        pip_requirements=["scikit-learn", "lightgbm", "pandas", "skops"],
    )
    return str(info.model_uri)


def _parameters(card: Card) -> dict[str, Any]:
    return {
        "model_kind": card.model.kind,
        "calibration": card.model.calibration,
        "rare_below": card.model.rare_below,
        "max_categories": card.model.max_categories,
        "seed": card.model.seed,
        "split_by": card.split.by,
        "holdout_share": card.split.holdout,
        "training_leads": card.training_leads,
        "holdout_leads": card.holdout_leads,
        "features": len(card.lead.used),
        **{f"hyperparameter.{key}": value for key, value in card.model.hyperparameters.items()},
    }


def _facts(card: Card) -> dict[str, str]:
    """The audit facts of the plan's section 1.3, as tags of the run and of the version."""
    source = card.provenance
    return {
        "data_snapshot_version": str(card.snapshot_version),
        "data_snapshot_digest": card.snapshot_digest,
        "feature_set_hash": card.lead.digest,
        "model_digest": card.model_digest,
        "git_commit": source.git_commit or "(not in a repository)",
        "git_dirty": "unknown" if source.git_dirty is None else str(source.git_dirty).lower(),
        "lock_digest": source.lock_digest,
        "author": source.author,
        "trained_at": card.trained_at.isoformat(),
        **({"trained_on_leads_since": card.since.isoformat()} if card.since else {}),
        "scorer": "compiled" if card.compiled else "library",
    }


def _digest_tag(file: str) -> str:
    return f"sha256.{file}"


def _version(found: Any, aliases: dict[str, str]) -> Version:
    return Version(
        name=found.name,
        version=str(found.version),
        aliases=tuple(sorted(alias for alias, at in aliases.items() if str(at) == str(found.version))),
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        run_id=found.run_id,
        source=found.source,
        tags=dict(found.tags),
    )
