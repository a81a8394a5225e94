"""Starts a project from a file of leads."""

import os
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import get_args

from leadgate.app.wire import CONFIG
from leadgate.errors import RefusedError
from leadgate.leads.files import read_table
from leadgate.leads.inspection import Inspection, inspect
from leadgate.leads.project import ModelKind, Project, parse_project
from leadgate.leads.proposal import summarise, write_yaml


def start_project(
    folder: Path,
    source: Path,
    *,
    name: str,
    id_column: str | None,
    target: str | None,
    timestamp: str | None,
    force: bool,
) -> tuple[Inspection, list[tuple[str, str, str, str, str]]]:
    """Look at a file and write leadgate.yaml beside it; gives the findings, and their rows for a table.

    Raises BadFileError for a file that cannot be leads, RefusedError when the folder has a leadgate.yaml already;
    then nothing was written.
    """
    config = folder / CONFIG
    if config.exists() and not force:
        raise RefusedError(f"{config} is there already; replace it with --force, or choose another folder.")
    table = read_table(source)
    inspection = inspect(table.frame, source.name, id_column=id_column, target=target, timestamp=timestamp)
    text = write_yaml(inspection, source=source.name, name=name)
    parse_project(text, CONFIG)  # what we write, we can read
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(config, text)
    return inspection, summarise(inspection)


def with_model(project: Project, kind: str | None) -> Project:
    """The project with another kind of model; its hyperparameters and their search belong to the old kind and go."""
    if kind is None or kind == project.model.kind:
        return project
    if kind not in get_args(ModelKind):
        raise RefusedError(f"There is no model {kind!r}; choose one of {', '.join(get_args(ModelKind))}.")
    model = project.model.model_copy(update={"kind": kind, "hyperparameters": {}, "search": None})
    return project.model_copy(update={"model": model})


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)


def without(project: Project, names: Collection[str]) -> Project:
    """The project with some features left out of models."""
    features = tuple(f.model_copy(update={"use": f.use and f.name not in names}) for f in project.lead.features)
    return project.model_copy(update={"lead": project.lead.model_copy(update={"features": features})})
