"""Evaluates a rollout and dies by kill -9 before its nth statement: ``killed.py URL NOW N``."""

import os
import signal
import sys
from datetime import datetime
from itertools import count
from typing import Any

import psycopg
from scene import project_of

from leadgate.rollout.controller import evaluate

_made = count(1)
_last = int(sys.argv[3])


class Mortal(psycopg.Cursor[Any]):
    """A cursor that ends its process."""

    def execute(self, *given: Any, **named: Any) -> Any:
        """Die in time."""
        _die_in_time()
        return super().execute(*given, **named)

    def copy(self, *given: Any, **named: Any) -> Any:
        """Die in time."""
        _die_in_time()
        return super().copy(*given, **named)


def _die_in_time() -> None:
    if next(_made) >= _last:
        os.kill(os.getpid(), signal.SIGKILL)


with psycopg.connect(sys.argv[1], cursor_factory=Mortal) as connection:
    evaluate(connection, project_of(), datetime.fromisoformat(sys.argv[2]))
