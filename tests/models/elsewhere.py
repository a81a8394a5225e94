"""Makes versions again in a process of its own: ``python elsewhere.py FOLDER VERSION...``; prints JSON."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from leadgate.app.settings import read_settings
from leadgate.app.wire import Home
from leadgate.models.reproducing import reproduce


def main(folder: Path, *versions: str) -> None:
    """All of them, and nothing is written."""
    home = Home(folder, read_settings())
    answers = [reproduce(home.registry, home.snapshots_uri, v, present=home.project, folder=folder) for v in versions]
    print(json.dumps([{**asdict(answer), "sentence": answer.sentence} for answer in answers]))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
