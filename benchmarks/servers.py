"""Which server: the same bare ASGI answer on each, and our /predict by both of its ways.

``python benchmarks/servers.py``; QUICK=1 for a short form. Needs wrk; granian is left out where it is not installed.
"""

import importlib.util
import sys
from contextlib import ExitStack
from functools import partial

from load import PREDICT, Contender, require_wrk, scripts_of, take_turns
from peer import await_ready, granian, peer, uvicorn
from project import make_project, serving, workplace
from report import Row, is_quick, report
from serving import settle, shadow

SHORT, ORDINARY = "our /predict, short way", "our /predict, ordinary way (ASGI)"
BASE = "bare answer: uvicorn, httptools and uvloop"

PLAIN_HEADERS = '["Content-Type"]'
ORDINARY_HEADERS = f'["Connection"] = "keep-alive, te", {PLAIN_HEADERS}'
"""A Connection header that is not plain sends a request the ordinary way."""


def main() -> int:
    """Measure; gives the exit code."""
    require_wrk()
    commands = {
        "bare answer: uvicorn, h11 and asyncio": uvicorn("bare_asgi", "h11", "asyncio"),
        BASE: uvicorn("bare_asgi"),
    }
    if importlib.util.find_spec("granian"):
        commands["bare answer: granian, ASGI and uvloop"] = granian("bare_asgi")
    with workplace() as folder, ExitStack() as stack:
        leads = make_project(folder)
        scripts = scripts_of(folder, leads)
        ordinary = folder / "ordinary.lua"
        text = PREDICT.replace(PLAIN_HEADERS, ORDINARY_HEADERS)
        ordinary.write_text(text.format(file=folder / "predict.jsonl", path="/predict"))
        running = stack.enter_context(serving(folder))
        running.pin()
        shadow(running, challenger=None)
        pid = running.worker.pid
        contenders = [
            Contender(name=SHORT, port=running.port, pid=pid, script=scripts["predict"]),
            Contender(name=ORDINARY, port=running.port, pid=pid, script=ordinary),
        ]
        for number, (name, command) in enumerate(commands.items()):
            started = stack.enter_context(peer(f"server-{number}", folder, command))
            await_ready(started)
            contenders.append(
                Contender(name=name, port=started.port, pid=started.process.pid, script=scripts["predict"])
            )
        loads = take_turns(contenders, partial(settle, [running]), lambda: [p.pid for p in running.database])
    rows = []
    for contender in contenders:
        rows.append(Row(what=contender.name, measured=loads.median(contender.name), unit="/s"))
        rows.append(Row(what=f"   over the {BASE}", measured=loads.ratio(contender.name, BASE), unit="x"))
    notes = ["Logistic regression alone; everything else as in `make bench-serving`."]
    if is_quick() or not importlib.util.find_spec("granian"):
        notes.append("granian is told only where it is installed (`pip install granian`).")
    return report("servers", "Which server, and which way through it", rows, notes)


if __name__ == "__main__":
    sys.exit(main())
