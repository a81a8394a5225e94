"""Where a model version comes from: the code, the environment, the person."""

import getpass
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The audit facts that the snapshot and the configuration do not hold."""

    git_commit: str | None
    """Of the project's repository; None when the project is in none."""
    git_dirty: bool | None
    """Whether files of the project had uncommitted changes."""
    lock_digest: str
    """SHA-256 of the interpreter's version and every installed package with its version."""
    environment: tuple[str, ...]
    """What the lock digest is taken of."""
    author: str
    arithmetic: tuple[str, ...] = ()
    """What sums numbers on the machine, as ``arithmetic`` tells it; empty for a version of an earlier Leadgate."""


def provenance(folder: Path, author: str | None) -> Provenance:
    """The facts of the project in ``folder``, as of now."""
    environment = installed()
    status = _git(folder, "status", "--porcelain", "--", ".")
    return Provenance(
        git_commit=commit_of(folder),
        git_dirty=None if status is None else bool(status),
        lock_digest=hashlib.sha256("\n".join(environment).encode()).hexdigest(),
        environment=environment,
        author=author or person(folder),
        arithmetic=arithmetic(),
    )


def commit_of(folder: Path) -> str | None:
    """The commit that a project's repository stands at; None when it is in none."""
    return _git(folder, "rev-parse", "HEAD")


def uncommitted(folder: Path, files: Collection[str]) -> tuple[str, ...]:
    """Of a project's files those that are there and not as the last commit has them; none outside of a repository."""
    there = [name for name in files if (folder / name).exists()]
    return tuple(name for name in there if _git(folder, "status", "--porcelain", "--ignored", "--", name))


def person(folder: Path) -> str:
    """Who works on the project: git's user.name, else the login name."""
    name = _git(folder, "config", "user.name")
    if name:
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return f"user {os.getuid()}"


def installed() -> tuple[str, ...]:
    """The interpreter and every installed package as ``name==version``, sorted."""
    python = f"python=={sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    # A broken installation can list a distribution without a name.
    names = {f"{d.metadata['Name'].lower()}=={d.version}" for d in distributions() if d.metadata["Name"]}
    return (python, *sorted(names))


def arithmetic() -> tuple[str, ...]:
    """The processor's kind, and by library the kernels that were chosen for it, such as ``openblas 0.3.30 Haswell``.

    BLAS adds the terms of a sum in another order on another generation of processors, which moves the last bits of a
    linear model. SciPy brings a BLAS of its own, which linear models are fitted with; it is loaded here, since a
    process that has not trained would know NumPy's alone.
    """
    import numpy as np  # noqa: PLC0415
    import scipy.linalg  # noqa: F401, PLC0415  # for the BLAS that comes with it
    from threadpoolctl import threadpool_info  # noqa: PLC0415

    found: dict[str, Any] = np.show_config(mode="dicts") or {}  # type: ignore[assignment]  # typed as what it prints
    numpy = f"numpy {' '.join(found.get('SIMD Extensions', {}).get('found', [])) or 'baseline'}"
    kernels = {
        f"{library['internal_api']} {library['version']} {library.get('architecture')}"
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }
    return (f"processor {platform.machine()}", numpy, *sorted(kernels))


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None without git or outside a repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
