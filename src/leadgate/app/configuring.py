"""Looks at what a project says, leadgate.yaml and features.py, before anything is trained by it."""

from dataclasses import dataclass

from leadgate.app.wire import CONFIG, Home
from leadgate.errors import RefusedError
from leadgate.leads.project import ModelRules
from leadgate.models.provenance import commit_of, uncommitted

CODE = "features.py"


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What a project says."""

    name: str
    """Of the registered model."""
    model: str
    """Its kind."""
    columns: int
    """That leadgate.yaml declares as features."""
    features: tuple[str, ...]
    """That models are made of."""
    feature_set_hash: str
    commit: str | None
    """Of Git; None outside of a repository."""
    uncommitted: tuple[str, ...]
    """Of the two files those that are not as Git has them."""


def read_configuration(home: Home) -> Configuration:
    """Read leadgate.yaml, and features.py where it is there. Raises BadConfigError with file, line and what to do."""
    project = home.project
    _require_known(project.model)
    return Configuration(
        name=project.name,
        model=project.model.kind,
        columns=len(project.lead.features),
        features=tuple(feature.name for feature in project.lead.used),
        feature_set_hash=project.lead.digest,
        commit=commit_of(home.folder),
        uncommitted=uncommitted(home.folder, (CONFIG, CODE)),
    )


def _require_known(model: ModelRules) -> None:
    """Raise BadConfigError for a hyperparameter that the kind of model does not have, as a training would."""
    from leadgate.models.pipeline import require_known  # noqa: PLC0415  # NumPy

    places = {"model.hyperparameters": model.hyperparameters, "model.search.grid": model.search and model.search.grid}
    for place, named in places.items():
        if named:  # else the second that scikit-learn takes to load is saved
            require_known(model, named, place)


def refuse_on_a_build_machine(home: Home, found: Configuration) -> None:
    """Raises RefusedError for what must not be trained by a machine that is thrown away after its run.

    A version has to say from which commit it is, and its files and data have to outlive the machine where its entry in
    the registry does.
    """
    if found.commit is None or found.uncommitted:
        what = " and ".join(found.uncommitted) or "this project"
        raise RefusedError(
            f"{what} {'are' if len(found.uncommitted) > 1 else 'is'} not as a commit of Git has it, so nobody could "
            "say later what a version was trained by; commit it first."
        )
    settings = home.settings
    if settings.database_url is None:
        return
    places = {
        "LEADGATE_SNAPSHOTS_URI": settings.snapshots_uri,
        "LEADGATE_ARTIFACTS_URI (or LEADGATE_TRACKING_URI)": settings.artifacts_uri or settings.tracking_uri,
    }
    missing = [name for name, value in places.items() if value is None]
    if missing:
        raise RefusedError(
            f"LEADGATE_DATABASE_URL is set and {' and '.join(missing)} is not: the registry would name files that are "
            "gone with this machine. Set it to a place that all machines reach, such as s3://bucket/leadgate."
        )
