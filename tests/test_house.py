"""The house keeps its order: every file is declared quiet or shell, and quiet files stay quiet."""

import ast
from pathlib import Path, PurePosixPath

import pytest

import leadgate

ROOT = Path(leadgate.__file__).parent

SHELL = {
    "compiled/native.py",
    "__init__.py",
    "__main__.py",
    "alerts/channels.py",
    "alerts/outbox.py",
    "alerts/updating.py",
    "app/",
    "leads/checking.py",
    "leads/endless.py",
    "leads/event_files.py",
    "leads/files.py",
    "leads/histories.py",
    "leads/importing.py",
    "leads/snapshots.py",
    "models/comparing.py",
    "models/pipeline_digest.py",
    "models/promoting.py",
    "models/provenance.py",
    "models/registry.py",
    "models/reproducing.py",
    "models/scorers.py",
    "models/searching.py",
    "models/training.py",
    "outcomes/contacts.py",
    "outcomes/delivery.py",
    "outcomes/performance.py",
    "models/bundles.py",
    "monitoring/watch.py",
    "rollout/controller.py",
    "rollout/moving.py",
    "rollout/reading.py",
    "scoring/alerted.py",
    "scoring/api.py",
    "scoring/drainer.py",
    "scoring/explaining.py",
    "scoring/featured.py",
    "scoring/folding.py",
    "scoring/connection.py",
    "scoring/delivered.py",
    "scoring/commands.py",
    "scoring/desk.py",
    "scoring/forking.py",
    "scoring/diagnosed.py",
    "scoring/rollouts.py",
    "scoring/log.py",
    "scoring/logs.py",
    "scoring/measuring.py",
    "scoring/memory.py",
    "scoring/metrics.py",
    "scoring/once.py",
    "scoring/parent.py",
    "scoring/passing.py",
    "scoring/predict.py",
    "scoring/refusals.py",
    "scoring/server.py",
    "scoring/service.py",
    "scoring/spool.py",
    "scoring/stalling.py",
    "scoring/supervisor.py",
    "scoring/sweeper.py",
    "scoring/traces.py",
    "scoring/warming.py",
    "scoring/watch.py",
    "scoring/watched.py",
    "scoring/worker.py",
    "storage/",
    "views/doors.py",
    "views/pages/",
    "views/registered.py",
    "views/reports/drawing.py",
    "views/reports/making.py",
    "views/reports/reading.py",
    "views/reports/web.py",
    "views/rendering.py",
    "views/site.py",
    "views/sources.py",
    "views/waiting.py",
}

QUIET = {
    "alerts/",
    "chain.py",
    "compiled/",
    "errors.py",
    "leads/",
    "models/card.py",
    "models/dataset.py",
    "models/evaluation.py",
    "models/pipeline.py",
    "models/plots.py",
    "models/importance.py",
    "models/profiling.py",
    "models/reasons.py",
    "models/renewal.py",
    "models/reproduction.py",
    "models/wording.py",
    "monitoring/",
    "outcomes/exploring.py",
    "outcomes/harvesting.py",
    "outcomes/matching.py",
    "records.py",
    "rollout/",
    "scoring/answering.py",
    "scoring/contract.py",
    "scoring/keys.py",
    "scoring/making.py",
    "scoring/openapi.py",
    "scoring/plan.py",
    "scoring/problems.py",
    "scoring/reported.py",
    "scoring/segments.py",
    "simulator/",
    "stats/",
    "views/",
}

LOUD_IMPORTS = {
    "deltalake",
    "httpx",
    "io",
    "logging",
    "mlflow",
    "os",
    "psycopg",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "uuid_utils",
}
LOUD_CALLS = {
    "open",
    "print",
    "input",
    "now",
    "utcnow",
    "today",
    "read_text",
    "write_text",
    "read_bytes",
    "write_bytes",
}

FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def voice(file: str) -> str:
    """Quiet or shell, by the most specific declaration."""
    if file.endswith("__init__.py"):
        return "shell"
    for place in (file, *(f"{parent.as_posix()}/" for parent in PurePosixPath(file).parents)):
        for declared, name in ((SHELL, "shell"), (QUIET, "quiet")):
            if place in declared:
                return name
    return "undeclared"


def test_every_file_is_declared() -> None:
    """A new file says whether it has a voice."""
    assert [file for file in FILES if voice(file) == "undeclared"] == []


def test_no_declaration_is_stale() -> None:
    """Each declared name is there."""
    assert [name for name in SHELL | QUIET if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("file", [file for file in FILES if voice(file) == "quiet"])
def test_quiet_files_have_no_clock_chance_log_or_io(file: str) -> None:
    """They take now and rng as arguments, and leave reading and writing to the shell."""
    tree = ast.parse((ROOT / file).read_text())
    loud = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            loud |= {alias.name for alias in node.names if alias.name.split(".")[0] in LOUD_IMPORTS}
        elif isinstance(node, ast.ImportFrom) and node.module:
            loud |= {node.module} if node.module.split(".")[0] in LOUD_IMPORTS else set()
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            loud |= {f"{name}()"} if name in LOUD_CALLS else set()
    assert loud == set()


@pytest.mark.parametrize("file", FILES)
def test_only_the_store_speaks_sql(file: str) -> None:
    """Named queries live in storage/postgres; nobody else writes SQL."""
    if file.startswith("storage/postgres/"):
        return
    text = (ROOT / file).read_text()
    assert not [word for word in ("INSERT INTO", "DELETE FROM", "CREATE TABLE", "FROM leadgate.") if word in text]
