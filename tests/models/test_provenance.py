"""Where a version comes from."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from leadgate.models.provenance import arithmetic, installed, provenance


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    identity = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_commit_and_dirt_of_the_projects_repository(tmp_path: Path) -> None:
    """The commit that was trained from, and whether files differed from it."""
    git(tmp_path, "init", "-q")
    (tmp_path / "leadgate.yaml").write_text("a")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    clean = provenance(tmp_path, "ann")
    (tmp_path / "leadgate.yaml").write_text("b")
    dirty = provenance(tmp_path, "ann")
    assert clean.git_commit == dirty.git_commit == git(tmp_path, "rev-parse", "HEAD")
    assert (clean.git_dirty, dirty.git_dirty) == (False, True)


def test_the_environment_names_every_package() -> None:
    """The lock digest is taken of what is installed, not of what was meant to be."""
    assert f"scikit-learn=={version('scikit-learn')}" in installed()
    assert installed()[0].startswith("python==3.")


def test_the_arithmetic_is_that_of_a_training_also_where_nothing_was_trained() -> None:
    """A reproduction whose snapshot is gone fits nothing, and would blame the processor for a BLAS it never loaded."""
    import sklearn.linear_model  # noqa: F401, PLC0415  # what a training has loaded

    code = "import json; from leadgate.models.provenance import arithmetic; print(json.dumps(arithmetic()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert tuple(json.loads(done.stdout)) == arithmetic()
