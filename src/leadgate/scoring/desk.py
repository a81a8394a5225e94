"""Carries out acts of a rollout and diagnoses for callers, as commands in processes of their own.

An act needs the registry, an evaluation statistics and the whole log: neither has a place in the memory of a worker, or
in the time between two predictions. So what a caller asks for is what an operator would type, and both find the same.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from leadgate.errors import DatabaseDownError
from leadgate.scoring.contract import BadRequestError
from leadgate.scoring.service import BusyError

_COMMAND = (sys.executable, "-m", "leadgate")
_WAITING = 8
"""Acts that may wait for one another."""
_URGENT = ("rollback", "reject", "pause", "step-back")
"""Acts that wait for nobody: the way back is always open."""
_LONGEST_S = 120.0
_REFUSED = 2
_MOVED_BACK = 3
"""Exit codes of `leadgate rollout`."""
_JUDGED = (0, 10, 20)
"""Exit codes of `leadgate diagnose`: by severity."""


@dataclass(kw_only=True)
class Desk:
    """Where the acts of one worker's callers wait for each other."""

    project: str
    """Folder of leadgate.yaml."""
    database_alive: Callable[[], bool]
    """Tells a refusal from a database that does not answer."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: int = 0

    async def ask(self, verb: str, *arguments: str, by: str | None = None, if_refused: int = 409) -> bytes:
        """What ``leadgate rollout VERB`` says, as JSON.

        ``by`` is who acts; None: whoever runs the service. Raises BadRequestError with the status ``if_refused`` and
        the command's own sentence, BusyError, DatabaseDownError, TimeoutError; then nothing has changed.
        """
        command = ["rollout", verb, f"--project={self.project}", "--json", *arguments]
        if verb in _URGENT:
            return await self._run(command, by, if_refused)
        return await self._in_turn(command, by, if_refused)

    async def diagnose(self, *arguments: str) -> bytes:
        """What ``leadgate diagnose`` says, as JSON. Raises as ``ask`` does."""
        command = ["diagnose", f"--project={self.project}", "--json", *arguments]
        return await self._in_turn(command, None, 409, fine=_JUDGED)

    async def alerts(self, verb: str, *arguments: str, by: str | None = None) -> bytes:
        """What ``leadgate alerts VERB`` says, as JSON. Raises as ``ask`` does."""
        command = ["alerts", verb, f"--project={self.project}", "--json", *arguments]
        return await self._in_turn(command, by, 409)

    async def _in_turn(
        self, command: Sequence[str], by: str | None, if_refused: int, fine: Sequence[int] = (0, _MOVED_BACK)
    ) -> bytes:
        if self._waiting >= _WAITING:
            raise BusyError
        self._waiting += 1
        try:
            async with self._turn:
                return await self._run(command, by, if_refused, fine)
        finally:
            self._waiting -= 1

    async def _run(
        self, arguments: Sequence[str], by: str | None, if_refused: int, fine: Sequence[int] = (0, _MOVED_BACK)
    ) -> bytes:
        environment = {**os.environ, **({"LEADGATE_AUTHOR": by} if by else {})}
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment
        )
        try:
            said, complaint = await asyncio.wait_for(process.communicate(), _LONGEST_S)
        except BaseException:
            if process.returncode is None:
                process.kill()  # an act is one transaction: it has happened or not
                await process.wait()
            raise
        if process.returncode in fine:
            return said
        lines = complaint.decode(errors="replace").strip().splitlines() or ["no reason given"]
        if process.returncode != _REFUSED:
            raise RuntimeError(f"`{' '.join(arguments)}` ended with {process.returncode}: {lines[-1]}")
        if not await asyncio.to_thread(self.database_alive):
            raise DatabaseDownError(lines[-1])
        raise BadRequestError(lines[-1].removeprefix("leadgate: "), status=if_refused)
