"""Versions on a server's disk: many workers may want one at once, and a copy that is not right is none."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from leadgate.app.wire import Home
from leadgate.errors import NotFoundError
from leadgate.models.bundles import bundle_folder, fetch, load_bundle
from leadgate.models.registry import Registry, Version

NAME = "lead-scoring"


class Counted:
    """The real registry, which counts what is taken from it."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.taken: list[str] = []
        self.together = threading.Barrier(4)

    def find(self, which: str) -> Version:
        """A version; four ask for it at once."""
        self.together.wait(20)
        return self.registry.find(which)

    def serving_files(self, version: Version) -> dict[str, bytes]:
        """Its files."""
        self.taken.append(version.version)
        return self.registry.serving_files(version)


def test_workers_that_miss_a_version_fetch_it_once(workshop: Home, tmp_path: Path) -> None:
    """All of them have it then, none fails over another, and nothing is left beside it."""
    registry: Any = Counted(workshop.registry)
    registry.registry.find("1")  # MLflow's first contact is not for four threads at once
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fetch(registry, "1", tmp_path), range(4)))
    assert {version.version for version in found} == {"1"}
    assert registry.taken == ["1"]
    assert load_bundle(tmp_path, NAME, "1") is not None
    folder = bundle_folder(tmp_path, NAME, "1")
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f".{folder.name}.lock"}


@pytest.mark.parametrize(
    "damage", (("version.json", b""), ("version.json", b"{}"), ("card.json", None), ("program.json", b"{}"))
)
def test_a_copy_that_is_not_right_is_none_and_fetched_anew(
    workshop: Home, tmp_path: Path, damage: tuple[str, bytes | None]
) -> None:
    """Truncated, changed or missing: as after a full disk or a hand that meant well."""
    fetch(workshop.registry, "1", tmp_path)
    file, content = damage
    path = bundle_folder(tmp_path, NAME, "1") / file
    whole = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert load_bundle(tmp_path, NAME, "1") is None
    fetch(workshop.registry, "1", tmp_path)
    assert path.read_bytes() == whole
    assert load_bundle(tmp_path, NAME, "1") is not None


def test_a_copy_that_is_right_stays_where_it_is(workshop: Home, tmp_path: Path) -> None:
    """A worker that reads it meanwhile never finds half of it."""
    fetch(workshop.registry, "1", tmp_path)
    folder = bundle_folder(tmp_path, NAME, "1")
    inode = folder.stat().st_ino
    fetch(workshop.registry, "champion", tmp_path)
    assert folder.stat().st_ino == inode


def test_a_fetch_that_was_killed_half_way_leaves_no_half(workshop: Home, tmp_path: Path) -> None:
    """Between taking the old one away and putting the new one there, say."""
    fetch(workshop.registry, "1", tmp_path)
    folder = bundle_folder(tmp_path, NAME, "1")
    os.replace(folder, folder.parent / ".old-x")  # noqa: PTH105
    assert load_bundle(tmp_path, NAME, "1") is None
    fetch(workshop.registry, "1", tmp_path)
    assert load_bundle(tmp_path, NAME, "1") is not None


def test_a_version_that_nobody_knows_is_told(workshop: Home, tmp_path: Path) -> None:
    """With those that there are."""
    with pytest.raises(NotFoundError, match="known: 1, 2"):
        fetch(workshop.registry, "7", tmp_path)
