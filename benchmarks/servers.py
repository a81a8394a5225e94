"""Which server: the same bare ASGI answer on each, and our /predict by both of its ways.

``python benchmarks/servers.py``; QUICK=1 for a short form. Needs wrk; granian is left out where it is not installed.
"""

import importlib.util
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from project import make_project, serving
from report import Row, is_quick, report
from serving import PREDICT, Contender, peer, rounds, scripts_of, shadow

UVICORN = ("uvicorn", "bare_asgi:app", "--no-access-log", "--log-level", "error")
H11 = (*UVICORN, "--http", "h11", "--loop", "asyncio")
TOOLS = (*UVICORN, "--http", "httptools", "--loop", "uvloop")
GRANIAN = (
    "granian",
    "bare_asgi:app",
    "--interface",
    "asgi",
    "--loop",
    "uvloop",
    "--no-access-log",
    "--log-level",
    "error",
)

ORDINARY = PREDICT.replace('["Content-Type"]', '["Connection"] = "keep-alive, te", ["Content-Type"]')
"""A Connection header that is not plain sends a request the ordinary way."""


def main() -> int:
    """Measure; gives the exit code."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        leads = make_project(folder)
        scripts = scripts_of(folder, leads)
        ordinary = folder / "ordinary.lua"
        ordinary.write_text(ORDINARY.format(file=folder / "predict.jsonl", path="/predict"))
        running = stack.enter_context(serving(folder))
        running.pin()
        shadow(running, challenger=None)
        contenders = [
            Contender("our /predict, short way", running.port, scripts["predict"]),
            Contender("our /predict, ordinary way (ASGI)", running.port, ordinary),
        ]
        commands = {"uvicorn, h11 and asyncio": H11, "uvicorn, httptools and uvloop": TOOLS}
        if importlib.util.find_spec("granian"):
            commands["granian, ASGI and uvloop"] = GRANIAN
        for what, command in commands.items():
            port = stack.enter_context(peer(what.split(",")[0] + str(len(what)), folder, command))
            contenders.append(Contender(f"bare answer: {what}", port, scripts["predict"]))
        rates, _ = rounds(contenders, (running,))
    base = rates["bare answer: uvicorn, httptools and uvloop"]
    rows = []
    for contender in contenders:
        found = rates[contender.name]
        rows.append(Row(what=contender.name, measured=median(found), unit="/s"))
        ratio = median(a / b for a, b in zip(found, base, strict=True))
        rows.append(Row(what="   over the bare answer on uvicorn, httptools and uvloop", measured=ratio, unit="x"))
    notes = ["Logistic regression alone; everything else as in `make bench-serving`."]
    if is_quick() or not importlib.util.find_spec("granian"):
        notes.append("granian is told only where it is installed (`pip install granian`).")
    return report("servers", "Which server, and which way through it", rows, notes)


if __name__ == "__main__":
    sys.exit(main())
