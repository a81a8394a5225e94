"""Runs a command to its end: by the process that forks where there is one, else in a new one."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from leadgate.scoring.forking import READY, Asked, Ended

_THERE_S = 20.0
"""For the process that forks to say that it is there; it may be importing something."""
_GONE_S = 5.0
"""For a command to be gone whose caller has hung up."""
_KILLED = -9


@dataclass(frozen=True, kw_only=True)
class Done:
    """A command that has ended."""

    code: int
    """Its exit code; below zero the signal that ended it."""
    said: bytes
    complaint: bytes


async def run_anew(command: Sequence[str], arguments: Sequence[str], by: str | None) -> Done:
    """Run a command in a new process; when the caller is cancelled it is killed."""
    environment = {**os.environ, **({"LEADGATE_AUTHOR": by} if by else {})}
    process = await asyncio.create_subprocess_exec(
        *command, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment
    )
    try:
        said, complaint = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()  # an act is one transaction: it has happened or not
            await process.wait()
        raise
    assert process.returncode is not None
    return Done(code=process.returncode, said=said, complaint=complaint)


async def run_forked(path: str, arguments: Sequence[str], by: str | None) -> Done | None:
    """Run a command in a fork of the process that listens at a path; when the caller is cancelled it is killed.

    None where nobody is there: then nothing has begun. A command whose end nobody can tell counts as killed.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return None
    try:
        if not await _is_there(reader):
            return None
        writer.write(msgspec.json.encode(Asked(arguments=tuple(arguments), by=by)) + b"\n")
        return await _end_of(reader)
    except asyncio.CancelledError:
        await _hang_up(reader, writer)
        raise
    finally:
        writer.close()


async def _is_there(reader: asyncio.StreamReader) -> bool:
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_THERE_S):
            return await reader.readline() == READY
    return False


async def _end_of(reader: asyncio.StreamReader) -> Done:
    try:
        ended = msgspec.json.decode(await reader.readline(), type=Ended)
        said = await reader.readexactly(ended.said)
        return Done(code=ended.code, said=said, complaint=await reader.readexactly(ended.complaint))
    except (OSError, EOFError, msgspec.DecodeError):  # whoever minded it was killed
        return Done(code=_KILLED, said=b"", complaint=b"nobody knows how it ended")


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the command, and wait until it has ended."""
    with suppress(OSError, TimeoutError):
        writer.write_eof()
        async with asyncio.timeout(_GONE_S):
            await reader.read()
