"""Small jobs that leave marks, and workers of them in processes of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leadgate.app.jobs import Job
from leadgate.app.queueing import Pace
from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from leadgate.app.working import work
from leadgate.errors import RefusedError
from leadgate.scoring.logs import log_to_stderr

NOW = datetime(2026, 6, 1, 12, 7, tzinfo=UTC)
YAML = """
name: lead-scoring
lead:
  id: lead_id
  target: converted
  features:
    age: {type: numeric}
"""
LANES = {"checks": "checks", "daily_checks": "checks", "rollout": "rollout", "alerts": "alerts"}
HASTY = Pace(look=0.05, heartbeat=0.3, dead_after=1.0, first_retry=0, answer=0.5, reconnect=0.2, grace=20)


@dataclass(frozen=True)
class Marks:
    """What jobs leave behind, a line each."""

    file: Path

    def put(self, text: str) -> None:
        """One line, whole."""
        with self.file.open("a") as output:
            output.write(f"{text}\n")

    @property
    def lines(self) -> list[str]:
        """All of them."""
        return self.file.read_text().splitlines() if self.file.exists() else []

    def wait_for(self, text: str) -> None:
        """Until somebody has put a line."""
        patiently(lambda: text in self.lines)

    @property
    def log(self) -> Path:
        """What workers in processes of their own say."""
        return self.file.with_suffix(".log")


def patiently(until: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def project(folder: Path, database: str) -> Home:
    """A project without leads, whose clock stands."""
    (folder / "leadgate.yaml").write_text(YAML)
    return Home(folder, Settings(database_url=database, author="tester")).on(lambda: NOW)


def job(name: str, chore: Callable[[Home], str]) -> Job:
    """A job of that name with a chore of one's own."""
    return Job(name=name, lane=LANES[name], does="leaves marks", chore=chore)


def chores(marks: Marks, kinds: Sequence[str]) -> list[Job]:
    """A job for each ``name:what``: what is quick, a number of seconds, fail or refuse."""

    def chore(name: str, what: str) -> Callable[[Home], str]:
        def do(_: Home) -> str:
            marks.put(f"{name} begins")
            if what == "fail":
                raise ValueError("the kettle is empty\nand so on")
            if what == "refuse":
                raise RefusedError("There is no tea in this project.")
            time.sleep(0 if what == "quick" else float(what))
            marks.put(f"{name} ends")
            return "tea is made"

        return do

    return [job(name, chore(name, what)) for name, what in (kind.split(":") for kind in kinds)]


@contextmanager
def worker(home: Home, marks: Marks, *kinds: str, **plan: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in a process of its own; killed in the end if it still lives."""
    plan |= {"folder": str(home.folder), "url": home.settings.database_url, "marks": str(marks.file), "kinds": kinds}
    with marks.log.open("w") as output:
        process = subprocess.Popen([sys.executable, __file__, json.dumps(plan)], stderr=output, env={**os.environ})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _main() -> None:
    plan = json.loads(sys.argv[1])
    log_to_stderr("worker")
    home = project(Path(plan["folder"]), plan["url"])
    jobs = chores(Marks(Path(plan["marks"])), plan["kinds"])
    at = plan.get("at")
    if at is not None:
        time.sleep(max(0.0, at - time.time()))
    work(home, once=plan.get("once", False), jobs=jobs, pace=HASTY)


if __name__ == "__main__":
    _main()
