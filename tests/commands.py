"""Real commands in real processes."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

import warm


@dataclass(frozen=True)
class Cli:
    """Runs ``leadgate`` in a project folder."""

    folder: Path

    def run(
        self, *arguments: str, env: dict[str, str] | None = None, patience_s: float = 240
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        own = {**os.environ, "COLUMNS": "200", **(env or {})}
        return warm.run("-m", "leadgate", *arguments, folder=self.folder, env=own, patience_s=patience_s)

    def ok(self, *arguments: str, env: dict[str, str] | None = None, patience_s: float = 240) -> str:
        """What a command prints; it must succeed."""
        done = self.run(*arguments, env=env, patience_s=patience_s)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *arguments: str, env: dict[str, str] | None = None) -> Any:
        """What a command prints with --json."""
        return json.loads(self.ok(*arguments, "--json", env=env))

    def refusal(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        """The sentence of a command that must refuse: exit code 2, nothing on stdout, no traceback."""
        done = self.run(*arguments, env=env)
        assert (done.returncode, done.stdout) == (2, ""), (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stderr

    @contextmanager
    def server(self, *arguments: str, **env: str) -> Iterator[httpx.Client]:
        """A real ``leadgate serve``, stopped by SIGTERM, which must end it well."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = self.folder / "serve.log"
        with log.open("w") as output:  # a pipe that nobody empties would stop the server
            process = subprocess.Popen(
                [sys.executable, "-m", "leadgate", "serve", "--port", str(port), *arguments],
                cwd=self.folder,
                env={**os.environ, **env},
                stderr=output,
            )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                _wait(client, process, log)
                yield client
        finally:
            process.terminate()
            process.wait(60)
        assert process.returncode == 0, log.read_text()


def _wait(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 180  # one that cannot come up ends, and is told at once
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if client.get("/health/ready").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not become ready in three minutes")
