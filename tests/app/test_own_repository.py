"""A team's own repository, as its people use it: generated, linted, and each step of its workflow run."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

import warm
from commands import Cli
from leadgate.storage.postgres.server import start_embedded

BIN = Path(sys.executable).parent
SEVEN = ("lint", "test", "validate", "train", "metrics", "promote", "report")


@dataclass(frozen=True)
class Team:
    """A generated repository, with the commands that its Makefile finds."""

    folder: Path
    tools: Path
    """A folder that comes first on the path."""

    @property
    def workflow(self) -> Any:
        """As YAML 1.1 has it: ``on`` is read as true."""
        return yaml.safe_load((self.folder / ".github/workflows/leadgate.yml").read_text(encoding="utf-8"))

    def env(self, **more: str) -> dict[str, str]:
        """Of a shell in which nothing is installed anew."""
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("LEADGATE_", "GITHUB_", "CI", "MAKE"))}
        person = {f"GIT_{who}_{what}": "ana" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        path = f"{self.tools}:{BIN}:{os.environ['PATH']}"
        cache = str(self.tools / "mypy_cache")
        return {**plain, **person, "PATH": path, "VENV": "", "MYPY_CACHE_DIR": cache, **more}

    def sh(self, command: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a text as GitHub's runner does where no shell is named."""
        return subprocess.run(
            ["bash", "-e", "-c", command],
            cwd=self.folder,
            env=self.env(**more),
            capture_output=True,
            text=True,
            check=False,
        )

    def ok(self, command: str, **more: str) -> str:
        """What it prints; it must succeed."""
        done = self.sh(command, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command line, warm."""
    folder = tmp_path_factory.mktemp("tools")
    warm.put_on_path(folder)
    return folder


@pytest.fixture(scope="module")
def team(cli: Cli, tools: Path) -> Team:
    """A repository that begins with simulated leads, committed as it was written."""
    cli.ok("init", "team", "--repo")
    made = Team(cli.folder / "team", tools)
    made.ok(
        "git init --quiet --initial-branch main && git add --all && git commit --quiet --message 'As it was written'"
    )
    return made


@pytest.fixture(scope="module")
def bank(cli: Cli, tools: Path) -> Team:
    """One around a file as a bank exports it: semicolons, quotes, dots in names, yes and no."""
    rng = np.random.default_rng(5)
    lines = ['"client_no";"age";"job";"emp.var.rate";"previous";"class";"y"']
    for number in range(600):
        age, previous = rng.integers(18, 90), rng.integers(0, 6)
        job = ("admin.", 'so-called "boss"', "blue-collar", "")[rng.integers(4)]
        won = "yes" if rng.random() < 0.1 + 0.1 * previous else "no"
        lines.append(
            f'"C{number:05d}";{age};"{job.replace(chr(34), chr(34) * 2)}";{rng.normal():.1f};{previous};"b";"{won}"'
        )
    (cli.folder / "bank data").mkdir()
    (cli.folder / "bank data" / "export.csv").write_text("\n".join(lines), encoding="latin-1")
    cli.ok("init", "bank", "--repo", "--from", "bank data/export.csv", "--name", "calls")
    return Team(cli.folder / "bank", tools)


@pytest.fixture(params=["team", "bank"])
def each(request: pytest.FixtureRequest) -> Team:
    """Either of them."""
    found: Team = request.getfixturevalue(request.param)
    return found


def test_what_is_written_passes_its_own_lint(each: Team) -> None:
    """Formatter, linter and strict types, whatever the file's columns are called."""
    each.ok("make lint")


def test_format_mends_what_lint_refuses(bank: Team) -> None:
    """In one go: what is left when an unused import is taken out has its form, too."""
    code = bank.folder / "features.py"
    text = code.read_text(encoding="utf-8")
    code.write_text(f"{text}\nimport os\n", encoding="utf-8")
    assert bank.sh("make lint").returncode == 2
    bank.ok("make format lint")
    assert code.read_text(encoding="utf-8") == text


def test_features_of_a_file_with_quotes_have_the_values_that_its_tests_calculate(bank: Team) -> None:
    """The category with quotes in it is found in the file and in the test, and names with dots are left alone."""
    assert "passed" in bank.ok("pytest tests/test_features.py tests/test_events.py")
    code = (bank.folder / "features.py").read_text(encoding="utf-8")
    assert "emp.var.rate" not in code
    assert "previous_per_age" in code


def test_a_file_beside_the_repository_is_named_once(bank: Team) -> None:
    """In the Makefile, relative to it; blanks in it are no matter."""
    written = [path for path in bank.folder.rglob("*") if path.is_file() and "_cache" not in str(path)]
    holders = [path.name for path in written if b"bank data" in path.read_bytes()]
    assert sorted(holders) == ["Makefile", "README.md"]
    assert "an import takes it" in bank.ok("make validate")


def test_the_workflow_is_one_that_github_takes(team: Team, tmp_path: Path) -> None:
    """By the schema of GitHub's workflows, which refuses a misspelt key; and bash can parse each step."""
    file, misspelt = team.folder / ".github/workflows/leadgate.yml", tmp_path / "misspelt.yml"
    misspelt.write_text(file.read_text().replace("run: make lint", "runs: make lint"), encoding="utf-8")
    check = "check-jsonschema --builtin-schema vendor.github-workflows"
    team.ok(f"{check} {file}")
    assert team.sh(f"{check} {misspelt}").returncode == 1
    for job in team.workflow["jobs"].values():
        for step in job["steps"]:
            assert subprocess.run(["bash", "-n", "-c", step.get("run", "")], check=False).returncode == 0


def test_hooks_of_pre_commit_are_understood(team: Team) -> None:
    """By pre-commit itself."""
    team.ok("pre-commit validate-config .pre-commit-config.yaml")


@pytest.mark.parametrize(
    ("event", "ref", "database", "runs"),
    (
        ("pull_request", "pull/7/merge", "", ["lint", "test", "validate"]),
        ("push", "heads/main", "", [*SEVEN]),
        ("workflow_dispatch", "heads/main", "postgresql://team", [*SEVEN]),
        ("workflow_dispatch", "heads/mine", "postgresql://team", ["lint", "test", "validate"]),
        ("schedule", "heads/main", "", [*SEVEN]),
        ("schedule", "heads/main", "postgresql://team", ["lint", "test", "validate", "renew", "report"]),
    ),
)
def test_which_steps_run(team: Team, event: str, ref: str, database: str, runs: list[str]) -> None:
    """Nobody trains from a pull request or an unread branch; a week's model learns from outcomes that are known."""
    github = {"github.event_name": event, "github.ref": f"refs/{ref}", "secrets.LEADGATE_DATABASE_URL": database}
    done = [command.replace('"$TRAINING"', env["TRAINING"]) for _, command, env in _steps(team, github)]
    targets = [re.findall(r"make (\S+)", command)[0] for command in done]
    assert [target for target in targets if target not in ("setup", "config")] == runs


def test_every_step_of_the_workflow_passes_as_it_was_written(team: Team, tmp_path: Path) -> None:
    """On an empty machine, with no edit: the seven steps, in their order, and the report on the run's page."""
    page = tmp_path / "summary.md"
    github = {"github.event_name": "push", "github.actor": "ana", "github.ref": "refs/heads/main"}
    said = {}
    for name, command, env in _steps(team, github):
        said[name] = team.ok(command, **env, CI="true", GITHUB_STEP_SUMMARY=str(page))
        if name == "4 Training":
            start_embedded(team.folder / ".leadgate/postgres")  # or each command to come would start and stop it
    assert "9 passed" in said["2 Tests"]
    assert "hold-out AUC, challenger: passed" in said["5 Wait and metrics"]
    assert "Version 1 is the champion" in said["6 Promotion to challenger"]
    report = page.read_text(encoding="utf-8")
    assert report == (team.folder / "build/report.md").read_text(encoding="utf-8")
    assert report.startswith("# Deployment of version 1\n")
    assert "engagement\\_score\\_per\\_website\\_visits" in report  # a feature of features.py
    assert "ana" in report  # who trained
    assert team.ok("git status --porcelain") == ""


def test_a_next_version_that_is_told_what_leads_did_becomes_challenger(team: Team) -> None:
    """The feature of events that features.py offers is uncommented as it says, and EVENTS names their file.

    Whoever converted has visited before, and nobody else, so only a model that is told of it ranks without a mistake.
    It is trained without an alias, held against the champion on the same leads, then promoted.
    """
    code, makefile = team.folder / "features.py", team.folder / "Makefile"
    text, _, offered = code.read_text(encoding="utf-8").partition("# from datetime import ")
    imports, _, function = f"from datetime import {re.sub('^# ?', '', offered, flags=re.MULTILINE)}".partition("def ")
    ends = text.index('"""', 3) + 3
    code.write_text(f"{text[:ends]}\n\n{imports}{text[ends:]}\n\ndef {function}", encoding="utf-8")
    leads = pl.read_csv(team.folder / "data/leads.csv", try_parse_dates=True).filter("converted")
    visited = pl.col("created_at").dt.offset_by("-2d").alias("at")
    leads.select("lead_id", pl.lit("visit").alias("kind"), visited).write_csv(team.folder / "data/events.csv")
    makefile.write_text(makefile.read_text().replace("\nEVENTS ?=\n", "\nEVENTS ?= data/events.csv\n"), "utf-8")
    said, tried = team.ok("make format lint test train metrics promote"), team.ok("make --dry-run try")
    team.ok("git checkout --quiet features.py Makefile")
    assert "9 passed" in said
    assert "Version 2 (no alias)" in said
    assert re.findall(r"hold-out\s+AUC\s+([\d.]+) \(", said) == ["1.000"]
    assert "champion: passed" in said
    assert "Version 2 is the challenger" in said
    assert tried.endswith('--events "data/events.csv"\n')


def test_make_does_all_seven(team: Team) -> None:
    """In the order of the workflow, which calls the same targets."""
    makefile = (team.folder / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^all: (.*?) ##", makefile, re.MULTILINE).group(1).split() == list(SEVEN)  # type: ignore[union-attr]


def test_nothing_is_overwritten_unless_asked_for(team: Team) -> None:
    """The refusal names what is there; --force replaces it."""
    cli, readme = Cli(team.folder), team.folder / "README.md"
    before = {path: path.read_bytes() for path in team.folder.glob("*") if path.is_file()}
    refusal = cli.refusal("init", ".", "--repo")
    assert "leadgate.yaml, features.py" in refusal
    assert "nothing was written" in refusal
    assert {path: path.read_bytes() for path in before} == before
    other = team.folder.parent / "again"
    shutil.copytree(team.folder, other, ignore=shutil.ignore_patterns(".leadgate", ".git"))
    (other / readme.name).write_text("mine", encoding="utf-8")
    written = json.loads(Cli(other).ok("init", ".", "--repo", "--force", "--json"))["written"]
    assert set(written) >= {"leadgate.yaml", "features.py", ".github/workflows/leadgate.yml", "data/leads.csv"}
    assert all((other / name).is_file() for name in written)
    assert (other / readme.name).read_text(encoding="utf-8").startswith("# lead-scoring")


def test_a_build_machine_asks_for_more(team: Team) -> None:
    """All of it committed, and with the team's database places that outlive the machine."""
    (team.folder / "features.py").write_text((team.folder / "features.py").read_text() + "\n", encoding="utf-8")
    uncommitted = team.sh("make config", CI="true")
    team.ok("git checkout --quiet features.py leadgate.yaml")
    assert (uncommitted.returncode, "features.py" in uncommitted.stderr) == (2, True)
    lost = team.sh("make config", CI="true", LEADGATE_DATABASE_URL="postgresql://nowhere/x")
    assert lost.returncode == 2
    assert "LEADGATE_SNAPSHOTS_URI and LEADGATE_ARTIFACTS_URI" in lost.stderr
    places = {"LEADGATE_SNAPSHOTS_URI": "s3://b/leads", "LEADGATE_TRACKING_URI": "databricks"}
    team.ok("make config", CI="true", LEADGATE_DATABASE_URL="postgresql://nowhere/x", **places)


def test_without_features_of_its_own(bank: Team, tmp_path: Path) -> None:
    """Removed as the README says, nothing else misses them."""
    bare = Team(tmp_path / "bare", bank.tools)
    shutil.copytree(bank.folder, bare.folder, ignore=shutil.ignore_patterns("*_cache", "__pycache__"))
    for name in ("features.py", "tests/test_features.py"):
        (bare.folder / name).unlink()
    settings = bare.folder / "pyproject.toml"
    settings.write_text(settings.read_text().replace('"features.py", ', ""), encoding="utf-8")
    bare.ok("make lint config && pytest -k understood")


def test_what_a_build_machine_will_not_find_is_said(cli: Cli, bank: Team) -> None:
    """A file of leads outside the repository is named, and a release that pip does not find has an answer."""
    wheel = bank.folder / f"vendor/leadgate-{version('leadgate')}-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    said = json.loads(cli.ok("init", "bank", "--repo", "--force", "--from", "bank data/export.csv", "--json"))
    assert said["warning"].startswith("../bank data/export.csv lies outside the repository")
    assert f"\n./vendor/{wheel.name}\n" in (bank.folder / "requirements.txt").read_text(encoding="utf-8")
    shutil.rmtree(wheel.parent)
    cli.ok("init", "bank", "--repo", "--force", "--from", "bank data/export.csv")
    failed = bank.sh("make setup VENV=nowhere PYTHON=true")  # makes no environment, so no pip is there
    answer = "Where Leadgate comes from"
    assert (failed.returncode, answer in failed.stderr) == (2, True)
    assert f"\n## {answer}\n" in (bank.folder / "README.md").read_text(encoding="utf-8")


def test_the_image_has_what_it_needs(each: Team) -> None:
    """What is copied is there and not ignored; packages are pinned as they are installed here; its command is ours."""
    text = (each.folder / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    copied = {name for word, rest in lines if word == "COPY" for name in rest.split()[:-1]}
    ignored = (each.folder / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert (
        copied
        == {"requirements.txt", "leadgate.yaml", "features.py", "vendor*"}  # a pattern may find nothing, a name not
        == {name[1:].replace("vendor", "vendor*") for name in ignored if name[:1] == "!"}
    )
    assert [rest for word, rest in lines if word == "USER"] == ["10001"]
    pins = [line for line in (each.folder / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert {"leadgate", "scikit-learn", "polars"} <= {pin.partition("==")[0] for pin in pins}
    assert [pin for pin in pins if version(pin.partition("==")[0]) != pin.partition("==")[2]] == []
    command = json.loads(next(rest for word, rest in lines if word == "CMD"))
    assert "serve" in each.ok(" ".join([*command, "--help"]))


def _steps(team: Team, github: Mapping[str, str]) -> list[tuple[str, str, dict[str, str]]]:
    """Name, shell text and environment of the steps that GitHub would run, in their order, all of them successful."""
    found = []
    for job in team.workflow["jobs"].values():
        known = {**github, "steps.training.outcome": "success"}
        if not _holds(job.get("if", "true"), known):
            continue
        env = {name: _filled(value, known) for name, value in job.get("env", {}).items()}
        known |= {f"env.{name}": value for name, value in env.items()}
        steps = [step for step in job["steps"] if "run" in step and _holds(step.get("if", "true"), known)]
        found += [(step.get("name", ""), step["run"], {"TRAINING": "", **env}) for step in steps]
    return found


def _holds(condition: str, known: Mapping[str, str]) -> bool:
    return bool(_value(condition.removeprefix("${{").removesuffix("}}"), known))


def _filled(text: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(_value(found.group(1), known)), text)


def _value(expression: str, known: Mapping[str, str]) -> Any:
    """Of GitHub's expressions those that the workflow has; what is not known is empty, as a secret that is not set."""
    python = expression.replace("&&", " and ").replace("||", " or ")
    python = re.sub(r"!(?!=)", " not ", python).replace("cancelled()", "False").replace("true", "True")
    python = re.sub(r"\b(?:github|secrets|env|steps)(?:\.\w+)+", lambda name: repr(known.get(name.group(), "")), python)
    return eval(python.strip())
