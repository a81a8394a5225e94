"""Where a model version comes from: the code, the environment, the person."""

import getpass
import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path


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


def provenance(folder: Path, author: str | None) -> Provenance:
    """The facts of the project in ``folder``, as of now."""
    environment = installed()
    status = _git(folder, "status", "--porcelain", "--", ".")
    return Provenance(
        git_commit=_git(folder, "rev-parse", "HEAD"),
        git_dirty=None if status is None else bool(status),
        lock_digest=hashlib.sha256("\n".join(environment).encode()).hexdigest(),
        environment=environment,
        author=author or person(folder),
    )


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


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None without git or outside a repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
