"""Carries out acts of a rollout and diagnoses for callers, as commands in processes of their own.

An act needs the registry, an evaluation statistics and the whole log: neither has a place in the memory of a worker, or
in the time between two predictions. So what a caller asks for is what an operator would type, and both find the same.
How commands are called, warm or anew, is in ``commands.py``.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from leadgate.errors import DatabaseDownError
from leadgate.scoring.commands import run_anew, run_forked
from leadgate.scoring.contract import BadRequestError, UnseenEndError
from leadgate.scoring.service import BusyError

_COMMAND = (sys.executable, "-m", "leadgate")
_ACTS = 8
_LOOKS = 8
_DIAGNOSES = 3
"""Commands of a line that may be there at once: one runs, the others wait. A diagnosis takes up to two minutes."""
_URGENT = ("rollback", "reject", "pause", "step-back")
"""Acts that wait for nobody: the way back is always open."""
_LOOKING = ("list", "show", "plan", "status", "evidence", "history")
"""Verbs that change nothing, for callers who may only read: no act waits for them."""
_LONGEST_S = 120.0
_REFUSED = 2
_MOVED_BACK = 3
"""Exit codes of `leadgate rollout`."""
_JUDGED = (0, 10, 20)
"""Exit codes of `leadgate diagnose`: by severity."""


class _Line:
    """Where commands wait for each other; a bounded number may."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._there = 0
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the turn and have it. Raises BusyError where too many are there."""
        if self._there >= self._most:
            raise BusyError
        self._there += 1
        try:
            async with self._turn:
                yield
        finally:
            self._there -= 1


@dataclass(kw_only=True)
class Desk:
    """Where the commands of one worker's callers wait for each other: those that act, that look and that diagnose.

    Each in a line of its own, so that nobody who may only read keeps out somebody who has to act.
    """

    project: str
    """Folder of leadgate.yaml."""
    database_alive: Callable[[], bool]
    """Tells a refusal from a database that does not answer."""
    command: Sequence[str] = _COMMAND
    """How `leadgate` is called."""
    forks_at: str | None = None
    """Path of the socket at which a process forks for commands; each is called anew without one, and while it is gone.
    """
    _acts: _Line = field(default_factory=lambda: _Line(_ACTS))
    _looks: _Line = field(default_factory=lambda: _Line(_LOOKS))
    _diagnoses: _Line = field(default_factory=lambda: _Line(_DIAGNOSES))
    _under_way: dict[tuple[str, ...], asyncio.Task[bytes]] = field(default_factory=dict)
    """Diagnoses by what was asked."""

    async def ask(self, verb: str, *arguments: str, by: str | None = None, if_refused: int = 409) -> bytes:
        """What ``leadgate rollout VERB`` says, as JSON.

        ``by`` is who acts; None: whoever runs the service. Raises BadRequestError with the status ``if_refused`` and
        the command's own sentence, BusyError, DatabaseDownError; then nothing has changed. What takes too long is
        ended: TimeoutError for a look, UnseenEndError for an act, which may have happened by then.
        """
        command = ["rollout", verb, f"--project={self.project}", "--json", *arguments]
        if verb in _URGENT:
            return await self._run(command, by, if_refused)
        async with (self._looks if verb in _LOOKING else self._acts).turn():
            return await self._run(command, by, if_refused)

    async def diagnose(self, *arguments: str) -> bytes:
        """What ``leadgate diagnose`` says, as JSON. Raises as ``ask`` does.

        Callers who ask for the same while it is being found out get the same.
        """
        task = self._under_way.get(arguments)
        if task is None:
            task = self._under_way[arguments] = asyncio.create_task(self._diagnose(arguments))
            task.add_done_callback(lambda _: self._under_way.pop(arguments))
        return await asyncio.shield(task)  # the others still wait for it

    async def _diagnose(self, arguments: Sequence[str]) -> bytes:
        command = ["diagnose", f"--project={self.project}", "--json", *arguments]
        async with self._diagnoses.turn():
            return await self._run(command, None, 409, fine=_JUDGED)

    async def alerts(self, verb: str, *arguments: str, by: str | None = None, if_refused: int = 409) -> bytes:
        """What ``leadgate alerts VERB`` says, as JSON. Raises as ``ask`` does."""
        command = ["alerts", verb, f"--project={self.project}", "--json", *arguments]
        async with (self._looks if verb in _LOOKING else self._acts).turn():
            return await self._run(command, by, if_refused)

    async def _run(
        self, arguments: Sequence[str], by: str | None, if_refused: int, fine: Sequence[int] = (0, _MOVED_BACK)
    ) -> bytes:
        acts = arguments[0] != "diagnose" and arguments[1] not in _LOOKING
        try:
            async with asyncio.timeout(_LONGEST_S):
                done = None if self.forks_at is None else await run_forked(self.forks_at, arguments, by)
                if done is None:
                    done = await run_anew(self.command, arguments, by)
        except TimeoutError:
            if acts:
                raise UnseenEndError from None
            raise
        if acts and done.code < 0:
            raise UnseenEndError
        if done.code in fine:
            return done.said
        lines = done.complaint.decode(errors="replace").strip().splitlines() or ["no reason given"]
        if done.code != _REFUSED:
            raise RuntimeError(f"`{' '.join(arguments)}` ended with {done.code}: {lines[-1]}")
        if not await asyncio.to_thread(self.database_alive):
            raise DatabaseDownError(lines[-1])
        raise BadRequestError(lines[-1].removeprefix("leadgate: "), status=if_refused)
