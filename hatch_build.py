"""Brings the chart library of the pages into the package: from npm, when the package is built or installed editable.

The version and its digest stand in ``web/package-lock.json``. A wheel and a source distribution carry the file, so that
who installs one needs no npm.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VENDOR = Path("src/leadgate/views/static/vendor")
FILES = {
    "chart.js/dist/chart.umd.min.js": "chart.js",
    "chart.js/LICENSE.md": "chart.LICENSE.md",
}
"""From node_modules to the vendor folder."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before each build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch what is missing or of another version."""
        del version
        root = Path(self.root)
        lock = root / "web" / "package-lock.json"
        if lock.exists():  # a source distribution carries the files and no lock
            _bring(root, lock)
        build_data["artifacts"].append(f"/{VENDOR.as_posix()}/*")


def _bring(root: Path, lock: Path) -> None:
    vendor = root / VENDOR
    mark = vendor / "package-lock.json"
    if mark.exists() and mark.read_bytes() == lock.read_bytes():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(
            "Building Leadgate from its repository takes the pages' chart library from npm, and there is no npm here; "
            "install Node.js (Debian: apt-get install npm), or install a released wheel, which carries it."
        )
    with tempfile.TemporaryDirectory() as made:
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(root / "web" / name, made)
        done = subprocess.run([npm, "ci", "--silent"], cwd=made, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"npm cannot bring the pages' chart library: {done.stderr.strip() or done.stdout.strip()}")
        vendor.mkdir(parents=True, exist_ok=True)
        for source, name in FILES.items():
            shutil.copy(Path(made) / "node_modules" / source, vendor / name)
    shutil.copy(lock, mark)
