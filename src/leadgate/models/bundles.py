"""Versions on the server's own disk: a switch to one of them asks no registry and needs no MLflow in the process.

A bundle is a folder ``<model>/<version>`` with the version as the registry listed it, and its files. The digests that
the registry recorded are checked again at each reading.
"""

import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

import msgspec

from leadgate.models.registry import CARD, MODEL, PROGRAM, Registry, Version
from leadgate.models.scorers import Scored, scored_of

_VERSION = "version.json"


def bundle_folder(root: Path, model_name: str, version: str) -> Path:
    """Where the bundle of a version is; nothing in a name can lead out of ``root``."""
    return root / quote(model_name, safe="").replace(".", "%2E") / quote(version, safe="").replace(".", "%2E")


def fetch(registry: Registry, which: str, root: Path) -> Version:
    """Put a version's files on the disk, whole or not at all; replaces what is there. Raises NotFoundError."""
    version = registry.find(which)
    folder = bundle_folder(root, version.name, version.version)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    try:
        for name, content in registry.serving_files(version).items():
            (temporary / name).write_bytes(content)
        (temporary / _VERSION).write_bytes(msgspec.json.encode(version))
        if folder.exists():
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".old-"))
            os.replace(folder, old / "bundle")  # noqa: PTH105  # a folder, which Path.replace treats the same
            shutil.rmtree(old)
        os.replace(temporary, folder)  # noqa: PTH105
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return version


def load_bundle(root: Path, model_name: str, version: str) -> Scored | None:
    """A version from its bundle; None where there is none. Raises RefusedError for a changed file."""
    folder = bundle_folder(root, model_name, version)
    try:
        listed = msgspec.json.decode((folder / _VERSION).read_bytes(), type=Version)
    except FileNotFoundError:
        return None
    files = {name: (folder / name).read_bytes() for name in (CARD, PROGRAM, MODEL) if (folder / name).exists()}
    return scored_of(listed, files)
