"""Why scores no longer help: the likeliest cause, its evidence, what to do, and the steps that lead there."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from leadgate.monitoring.diagnosis import Diagnosis
from leadgate.monitoring.watch import find_run
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.desk import Desk
from leadgate.scoring.service import BusyError
from leadgate.storage.postgres.checks import latest_run
from leadgate.views.asking import Ask
from leadgate.views.diagnosis_steps import Report, report_of, weighed
from leadgate.views.freshness import freshness_of
from leadgate.views.sources import Sources

_BUSY = "Others are diagnosing at this moment; try again in a minute or two."
_SLOW = "The diagnosis took longer than two minutes; `leadgate diagnose` in a terminal has all the time that it needs."


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the page shows."""

    report: Report | None
    """None where nothing is known."""
    at: datetime | None
    """When that was found."""
    since: datetime | None
    """Scores from here on were judged."""
    fresh: bool
    """Whether somebody asked to look now; else it is what the last checks say."""
    stale: bool
    """Whether the last checks are too old to say how things are."""
    after: int
    """A look now has to be of later than this, in milliseconds since 1970 (UTC)."""
    trouble: str = ""
    """Why there was no look; empty where there was, or none was asked for."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    at: int
    said: bytes


_LAST: dict[str, _Known] = {}
"""By project what the last look found. Whoever loads the page of a look again is shown it, and starts no other."""


async def consult(desk: Desk, ask: Ask) -> bytes | None:
    """Diagnose afresh, where somebody asks for what was found later than a moment, and nobody has found it yet."""
    after = ask.number("after")
    if after is None:
        return None
    known = _LAST.get(desk.project)
    if known is not None and known.at > after:
        return known.said
    try:
        said = await desk.diagnose()
    except BusyError:
        return msgspec.json.encode(_BUSY)
    except TimeoutError:
        return msgspec.json.encode(_SLOW)
    except BadRequestError as error:
        return msgspec.json.encode(error.detail)
    _LAST[desk.project] = _Known(at=_moment(msgspec.json.decode(said, type=Diagnosis).diagnosed_at), said=said)
    return said


def gather(sources: Sources, ask: Ask) -> Shown:
    """What the last run of checks says of the cause: read in a moment, and no row of the log."""
    return _of_checks(sources, ask, "")


def told(sources: Sources, ask: Ask, said: bytes) -> Shown:
    """What a look now found; where there was none, the last run of checks and why."""
    found = msgspec.json.decode(said, type=Diagnosis | str)
    if isinstance(found, str):
        return _of_checks(sources, ask, found)
    return Shown(
        report=report_of(found),
        at=found.diagnosed_at,
        since=found.since,
        fresh=True,
        stale=False,
        after=_moment(found.diagnosed_at),
    )


def _of_checks(sources: Sources, ask: Ask, trouble: str) -> Shown:
    project = sources.project()
    with sources.reader.connection() as connection:
        last = latest_run(connection, project.name, now=ask.now, days=project.monitoring.window_days)
        run = find_run(connection, project.name, last.run_id) if last else None
    known = _LAST.get(sources.desk.project)
    return Shown(
        report=report_of(weighed(run, project)) if run else None,
        at=run.checked_at if run else None,
        since=run.since if run else None,
        fresh=False,
        stale=freshness_of(run.checked_at if run else None, project.worker.schedule.checks, ask.now).stale,
        after=known.at if known else 0,
        trouble=trouble,
    )


def _moment(at: datetime) -> int:
    return int(at.timestamp() * 1000)
