"""Trains anew and dies by kill -9 at a moment: ``retraining_killed.py FOLDER URL MOMENT WHO``."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from leadgate.app.jobs import find_job, run_job
from leadgate.app.retraining import retrain
from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from renewed import EASY, ruled


def _die(moment: str) -> None:
    if moment == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)


def _chore(home: Home) -> str:
    return retrain(home, reason="a new feature", by=home.author, pause=_die)


if __name__ == "__main__":
    home = ruled(Home(Path(sys.argv[1]), Settings(database_url=sys.argv[2], author=sys.argv[4])), gates=EASY)
    print(run_job(home, replace(find_job("retraining"), chore=_chore), home.author).sentence)  # noqa: T201
