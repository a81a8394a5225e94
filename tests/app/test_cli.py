"""The command line explains itself and is quick to answer."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands import Cli
from leadgate import __version__
from leadgate.app.cli import main
from leadgate.app.cli.root import app
from leadgate.app.trying import Tried
from leadgate.scoring.watched import OPEN_TO_ALL

COMMANDS = (
    ("init",),
    ("train",),
    ("serve",),
    ("up",),
    ("performance",),
    ("demo",),
    ("config", "check"),
    ("data", "check"),
    ("data", "import"),
    ("data", "show"),
    ("data", "quarantine"),
    ("models", "list"),
    ("models", "show"),
    ("models", "compare"),
    ("models", "judge"),
    ("models", "promote"),
    ("models", "fetch"),
    ("outcomes", "import"),
    ("route", "show"),
    ("route", "set"),
    ("rollback",),
    ("keys", "create"),
    ("keys", "list"),
    ("keys", "revoke"),
    ("logs", "show"),
    ("logs", "retain"),
    ("db", "migrate"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_itself(command: tuple[str, ...]) -> None:
    """--help says what it does and explains each option."""
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    assert len(result.output.split("Usage")[1].splitlines()[2].strip()) > 15


def test_serve_names_the_health_paths_that_there_are() -> None:
    """Whoever copies one into a load balancer must not be answered 404."""
    said = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "120"}).output
    assert set(re.findall(r"/health[/\w]*", said)) == set(OPEN_TO_ALL)


@pytest.mark.parametrize(
    ("section", "told"),
    (
        ("{hyperparameters: {Cs: 1}}", "model.hyperparameters: logistic_regression has no 'Cs'; did you mean 'C'?"),
        ("{search: {grid: {Cs: [1]}}}", "model.search.grid: logistic_regression has no 'Cs'; did you mean 'C'?"),
    ),
)
def test_config_check_knows_the_hyperparameters_of_the_model(tmp_path: Path, section: str, told: str) -> None:
    """What `train` would refuse is told before anybody waits for a training."""
    lead = "{id: lead_id, target: converted, features: {visits: {type: numeric}}}"
    (tmp_path / "leadgate.yaml").write_text(f"lead: {lead}\nmodel: {section}\n")
    assert told in Cli(tmp_path).refusal("config", "check")


def test_a_trial_says_how_hyperparameters_were_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has declared a grid sees before the training that counts what was tried, and on which leads."""
    lead = "{id: lead_id, target: converted, features: {visits: {type: numeric}}}"
    (tmp_path / "leadgate.yaml").write_text(f"lead: {lead}\n")
    searched = "C 1.0: log loss 0.4 instead of 0.5 on the last 120 training leads, of 6 settings tried"
    tried = Tried(
        kind="logistic_regression",
        searched=searched,
        training_leads=480,
        holdout_leads=120,
        auc=None,
        auc_interval=None,
        calibration_error=0.1,
        scorer="compiled",
        why_library=None,
        snapshot_digest="d" * 64,
        feature_set_hash="f" * 64,
        model_digest="e" * 64,
    )
    monkeypatch.setattr("leadgate.app.trying.try_training", lambda *_, **__: tried)
    said = CliRunner().invoke(app, ["train", "--dry-run", "--project", str(tmp_path)]).output
    assert f"Searched hyperparameters: {searched}." in " ".join(said.split())


def test_ctrl_c_has_a_last_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A prompt that comes back without one looks as if the command had done its work; the exit code is the shell's."""

    def interrupted(_folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("leadgate.app.cli.root.open_home", interrupted)
    monkeypatch.setattr(sys, "argv", ["leadgate", "performance"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (130, "leadgate: stopped by Ctrl-C, before its end.\n")


def test_version_is_the_packages() -> None:
    """As installed."""
    assert CliRunner().invoke(app, ["--version"]).output.strip() == __version__


def test_help_waits_for_no_heavy_library() -> None:
    """What takes long to import is imported where it is used, so that --help and typing mistakes answer at once."""
    heavy = [
        "mlflow",
        "sklearn",
        "pandas",
        "polars",
        "numpy",
        "sqlalchemy",
        "fastapi",
        "pydantic",
        "psycopg",
        "pandera",
    ]
    code = f"import sys; import leadgate.app.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_serving_waits_for_no_training_library() -> None:
    """The service scores compiled versions without scikit-learn, pandas or Polars in its memory."""
    heavy = ["sklearn", "pandas", "polars", "lightgbm", "matplotlib", "pandera", "deltalake", "mlflow"]
    modules = "leadgate.scoring.worker, leadgate.scoring.drainer, leadgate.compiled.scorer, leadgate.models.scorers"
    code = f"import sys; import {modules}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_telemetry_of_mlflow_is_off() -> None:
    """Nothing about a team's models leaves its machines."""
    code = (
        "import leadgate.models.registry, mlflow\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled\n"
        "print(is_telemetry_disabled())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PATH": ""})
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    (
        ("LEADGATE_ALERT_CHANNELS", '{"ops": "slack://secret-token/}', "LEADGATE_ALERT_CHANNELS: Input should be"),
        ("LEADGATE_ALERT_CHANNELS", '["slack://secret-token/"]', "LEADGATE_ALERT_CHANNELS: Input should be"),
        ("LEADGATE_ALERT_CHANNELS", '{"ops": ["slack://secret-token/"]}', "LEADGATE_ALERT_CHANNELS: Input should be"),
        ("LEADGATE_PORT", "secret-token", "LEADGATE_PORT: Input should be a valid integer"),
    ),
)
def test_a_mistyped_setting_is_a_sentence_without_its_value(
    tmp_path: Path, variable: str, value: str, told: str
) -> None:
    """The URLs of channels hold secrets: a missing brace must not print them, on no command."""
    (tmp_path / "leadgate.yaml").write_text("name: lead-scoring\n")
    refusal = Cli(tmp_path).refusal("alerts", "list", env={variable: value})
    assert told in refusal
    assert "secret-token" not in refusal


@pytest.mark.parametrize(
    "value",
    (
        "nonsense-secret-token",
        "mysql://me:secret-token@host/db",
        "postgresql://me:secret-token%zz@host/db",
        "postgresql://me:one/secret-token@host/db",
        "postgresql://me:one@secret-token@host/db",
        "postgresql://me:secret-token",
        "postgresql://me:secret-token@127.0.0.1:1/db?connect_timeout=soon",
    ),
)
def test_a_mistyped_database_url_is_a_sentence_without_its_password(tmp_path: Path, value: str) -> None:
    """The driver's words would show the value, and read the rest of an unquoted password as a host or a database."""
    (tmp_path / "leadgate.yaml").write_text(
        "lead: {id: lead_id, target: converted, features: {visits: {type: numeric}}}\n"
    )
    refusal = Cli(tmp_path).refusal("keys", "list", env={"LEADGATE_DATABASE_URL": value})
    assert "LEADGATE_DATABASE_URL is no URL of a PostgreSQL database" in refusal
    assert "secret-token" not in refusal
