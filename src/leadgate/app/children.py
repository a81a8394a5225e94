"""The processes that ``leadgate serve`` starts: ``python -m leadgate.app.children PLAN``."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from leadgate.errors import LeadgateError
from leadgate.scoring.logs import log_to_stderr
from leadgate.scoring.parent import end_with_parent, tell_ready
from leadgate.scoring.plan import DATABASE_URL, ChildPlan

_FETCH_S = 600.0

log = logging.getLogger("leadgate.children")


def main() -> None:
    """Run a child to its end."""
    plan = msgspec.json.decode(sys.argv[1], type=ChildPlan)
    if not plan.forks:  # it has no thread, and looks at standard input by itself
        end_with_parent()
    shift = timedelta(days=plan.clock_shift_days)
    try:
        _role(plan)(plan, lambda: datetime.now(UTC) + shift)
    except LeadgateError as error:
        if not tell_ready(plan.ready, str(error)):
            log.error("the process cannot go on", extra={"reason": str(error)})  # noqa: TRY400  # a sentence, no bug
        sys.exit(2)
    except Exception as error:
        if not tell_ready(plan.ready, f"{type(error).__name__}: {error}"):
            log.exception("the process has failed")
            sys.exit(1)
        raise


def _role(plan: ChildPlan) -> Callable[[ChildPlan, Callable[[], datetime]], None]:
    if plan.worker is not None:
        return _work
    if plan.forks:
        return _fork
    return _drain if plan.pages is None else _show


def _work(plan: ChildPlan, clock: Callable[[], datetime]) -> None:
    from leadgate.scoring.worker import run_worker  # noqa: PLC0415  # the drainer has no use for it

    assert plan.worker is not None
    log_to_stderr(f"worker {plan.worker.slot}")
    run_worker(plan, plan.worker, os.environ[DATABASE_URL], lambda version: fetch(Path(plan.project), version), clock)


def _drain(plan: ChildPlan, clock: Callable[[], datetime]) -> None:
    from leadgate.scoring.drainer import Drainer  # noqa: PLC0415

    log_to_stderr("drainer")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    tell_ready(plan.ready)
    Drainer(Path(plan.spool), os.environ[DATABASE_URL], clock).run(stop)


def _show(plan: ChildPlan, clock: Callable[[], datetime]) -> None:
    from leadgate.app.showing import show_pages  # noqa: PLC0415  # the others have no use for it

    assert plan.pages is not None
    log_to_stderr("pages")
    show_pages(plan, plan.pages, os.environ[DATABASE_URL], clock)


def _fork(plan: ChildPlan, _: Callable[[], datetime]) -> None:
    from leadgate.app.forking import fork_for_desks  # noqa: PLC0415

    fork_for_desks(plan)


def fetch(project: Path, version: str) -> None:
    """Bring a version's files onto this machine, in a process of its own: MLflow has no place in a worker's memory."""
    command = [sys.executable, "-m", "leadgate", "models", "fetch", version, "--project", str(project)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=_FETCH_S
        )
    except subprocess.TimeoutExpired:
        raise LeadgateError(f"Version {version} cannot be fetched: the registry took {_FETCH_S:g} seconds.") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise LeadgateError(f"Version {version} cannot be fetched: {lines[-1].removeprefix('leadgate: ')}")


if __name__ == "__main__":
    main()
