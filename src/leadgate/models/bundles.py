"""Versions on the server's own disk: a switch to one of them asks no registry and needs no MLflow in the process.

A bundle is a folder ``<model>/<version>`` with the version as the registry listed it, and its files. The digests that
the registry recorded are checked again at each reading. A bundle is a copy: one that is not whole, or not what was
registered, is as good as none, and fetched again.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import msgspec

from leadgate.errors import RefusedError
from leadgate.models.card import card_from_json
from leadgate.models.registry import CARD, MODEL, PROGRAM, Registry, Version, vouched
from leadgate.models.scorers import Scored, scored_of

_VERSION = "version.json"

log = logging.getLogger("leadgate.bundles")


def bundle_folder(root: Path, model_name: str, version: str) -> Path:
    """Where the bundle of a version is; nothing in a name can lead out of ``root``."""
    return root / quote(model_name, safe="").replace(".", "%2E") / quote(version, safe="").replace(".", "%2E")


def fetch(registry: Registry, which: str, root: Path) -> Version:
    """Have a version's files on the disk, whole or not at all; replaces what is not right. Raises NotFoundError."""
    version = registry.find(which)
    folder = bundle_folder(root, version.name, version.version)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder):  # each worker that misses a version asks for it; only the first one fetches it
        if not _is_here(folder, version):
            _put(folder, {**registry.serving_files(version), _VERSION: msgspec.json.encode(version)})
    return version


def load_bundle(root: Path, model_name: str, version: str) -> Scored | None:
    """A version from its bundle; None where there is none that is whole and unchanged."""
    folder = bundle_folder(root, model_name, version)
    try:
        listed, files = _read(folder)
        return scored_of(listed, files)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, RefusedError) as error:
        log.warning("bundle refused", extra={"bundle": str(folder), "reason": str(error)})
        return None


def declared_names(root: Path, model_name: str) -> set[str]:
    """The features that any version here declares: callers may send those of one that answered before, or will."""
    names: set[str] = set()
    for path in bundle_folder(root, model_name, "1").parent.glob(f"[!.]*/{CARD}"):
        with suppress(OSError, ValueError):  # its names are all that is taken of it, so nothing has to vouch for it
            names |= {feature.name for feature in card_from_json(path.read_bytes()).lead.features}
    return names


class _Files(dict[str, bytes]):
    """Files by name; one that is not there is told like any other missing file."""

    def __missing__(self, name: str) -> bytes:
        raise FileNotFoundError(name)


def _read(folder: Path) -> tuple[Version, _Files]:
    listed = msgspec.json.decode((folder / _VERSION).read_bytes(), type=Version)
    names = [name for name in (CARD, PROGRAM, MODEL) if (folder / name).exists()]
    return listed, _Files({name: (folder / name).read_bytes() for name in names})


def _is_here(folder: Path, version: Version) -> bool:
    """Whether every file is the one that was registered. Aliases and tags may be those of an earlier day."""
    try:
        listed, files = _read(folder)
        for name, content in files.items():
            for known in (listed, version):
                vouched(known, name, content)
    except (OSError, msgspec.MsgspecError, RefusedError):
        return False
    return listed.run_id == version.run_id and CARD in files and bool({PROGRAM, MODEL} & files.keys())


def _put(folder: Path, files: dict[str, bytes]) -> None:
    """Put a bundle in the place of another. Who reads in between finds none and waits for the lock to fetch it."""
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    try:
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        if folder.exists():
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".old-"))
            os.replace(folder, old / "bundle")  # noqa: PTH105  # a folder, which Path.replace treats the same
            shutil.rmtree(old)
        os.replace(temporary, folder)  # noqa: PTH105
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes from putting a bundle there meanwhile; ends with this process too."""
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
