"""Writes a team's own repository around leadgate.yaml: features, tests, the steps, a workflow and an image."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jinja2
import numpy as np
import polars as pl

from leadgate import __version__
from leadgate.app.starting import write_whole
from leadgate.app.wire import CONFIG
from leadgate.errors import RefusedError
from leadgate.leads.examples import choose_examples, least_auc
from leadgate.leads.files import read_table
from leadgate.leads.inspection import Inspection, inspect
from leadgate.leads.project import SplitRules, parse_project
from leadgate.leads.proposal import summarise, write_yaml
from leadgate.models.reproduction import MAKERS
from leadgate.simulator.leads import simulate_leads

SAMPLE = Path("data/leads.csv")
_SAMPLE_LEADS, _SAMPLE_DAYS, _SEED = 3_000, 180, 2026

_WRITTEN = {
    CONFIG: "what a lead is, what is trained, the gates",
    "features.py": "your own features, as functions",
    "tests/test_features.py": "features against values by hand",
    "tests/test_events.py": "how a feature of events is tested",
    "tests/test_project.py": "data fit, training is repeatable",
    "Makefile": "the seven steps; DATA and EVENTS name the files",
    ".github/workflows/leadgate.yml": "the seven steps on GitHub, and each week",
    ".pre-commit-config.yaml": "what runs before a commit",
    "pyproject.toml": "how the tools judge",
    "requirements.txt": "Leadgate and what decides a model, pinned",
    "requirements-dev.txt": "the tools",
    "Dockerfile": "the service as an image",
    ".dockerignore": "what does not get into it",
    ".gitignore": "what Git leaves alone",
    "README.md": "ten minutes: begin here",
}
"""Each file with what it is."""
_OF_FEATURES = frozenset({"features.py", "tests/test_features.py"})
_UNSAFE = frozenset('"$`\\#\n')
"""What a path must not have that stands in a Makefile, between quotes of a shell."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """What was written."""

    folder: str
    data: str
    """The file of leads as the Makefile names it."""
    inspection: Inspection
    rows: list[tuple[str, str, str, str, str]]
    """The findings, for a table."""
    written: dict[str, str]
    """Each file with what it is, in the order in which to look at them."""

    @property
    def warning(self) -> str | None:
        """What a build machine would miss."""
        if not _is_outside(self.data):
            return None
        return (
            f"{self.data} lies outside the repository: `make` finds it on this machine, the workflow on GitHub does "
            "not. For that copy it into the repository and name the copy in the line DATA of the Makefile, or let a "
            "step bring it (README.md, On GitHub)."
        )

    @property
    def next_steps(self) -> str:
        """What to do now."""
        return f"Begin with {Path(self.folder, 'README.md')}. Then, there: make all"


def start_repository(
    folder: Path,
    source: Path | None,
    *,
    name: str,
    id_column: str | None,
    target: str | None,
    timestamp: str | None,
    force: bool,
) -> Repository:
    """Look at a file of leads, or at one of simulated leads that is written for the purpose, and write a repository.

    Raises BadFileError for a file that cannot be leads, and RefusedError where a file is there already: then nothing
    was written.
    """
    _refuse_others(folder, [*_WRITTEN, *([] if source else [str(SAMPLE)])], force=force)
    sample = None if source else _sample()
    table = sample if sample is not None else read_table(source).frame  # type: ignore[arg-type]  # one of both is there
    data = SAMPLE.as_posix() if source is None else _named(source, folder)
    inspection = inspect(table, Path(data).name, id_column=id_column, target=target, timestamp=timestamp)
    files = dict(_rendered(inspection, name=name, data=data, sample=sample is not None, leadgate=_own_release(folder)))
    parse_project(files[CONFIG], CONFIG)  # what we write, we can read
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(folder / path, text)
    told = {path: what for path, what in _WRITTEN.items() if path in files}
    if sample is not None:
        (folder / SAMPLE).parent.mkdir(exist_ok=True)
        write_whole(folder / SAMPLE, sample.write_csv())
        told[data] = f"{sample.height:,} SIMULATED leads to begin with"
    return Repository(folder=str(folder), data=data, inspection=inspection, rows=summarise(inspection), written=told)


def _refuse_others(folder: Path, names: list[str], *, force: bool) -> None:
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise RefusedError(
            f"{folder} has {', '.join(there)} already, so nothing was written; replace "
            f"{'it' if len(there) == 1 else 'them'} with --force, or choose another folder."
        )


def _sample() -> pl.DataFrame:
    """Simulated leads of the last half year, as a CRM exports them."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=_SAMPLE_DAYS)
    made = simulate_leads(_SAMPLE_LEADS, np.random.default_rng(_SEED), start, _SAMPLE_DAYS).frame
    return made.with_columns(pl.col("created_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _named(source: Path, folder: Path) -> str:
    """The file as the Makefile names it: from the repository, where it is near.

    Raises RefusedError for a name that make or a shell would read otherwise.
    """
    named = Path(os.path.relpath(source.resolve(), folder.resolve())).as_posix()
    named = source.resolve().as_posix() if named.startswith("../../") else named
    if _UNSAFE & set(named):
        raise RefusedError(
            f"{named} has a letter that make or a shell reads as its own; rename the file or its folder."
        )
    return named


def _is_outside(named: str) -> bool:
    """Whether a file, as the Makefile names it, is not in the repository."""
    return Path(named).is_absolute() or named.startswith("../")


def _rendered(
    inspection: Inspection, *, name: str, data: str, sample: bool, leadgate: str
) -> Iterator[tuple[str, str]]:
    """Each file with its text. ``leadgate`` is this release as pip is asked for it."""
    examples = choose_examples(inspection)
    facts = {
        "name": name,
        "data": data,
        "sample": sample,
        "outside": _is_outside(data),
        "rows": f"{inspection.rows:,}",
        "examples": examples,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "pins": [leadgate, *_installed(sorted(MAKERS - {"leadgate", "python"}))],
        "version": __version__,
    }
    least = least_auc(inspection, SplitRules().holdout)
    yield CONFIG, write_yaml(inspection, source=Path(data).name, name=name, least_auc=least)
    templates = _templates()
    for path in _WRITTEN:
        if path != CONFIG and (examples.names or path not in _OF_FEATURES):
            yield path, templates.get_template(f"{path.removeprefix('.')}.jinja").render(**facts)


def _templates() -> jinja2.Environment:
    """With marks of their own, for GitHub's expressions have those of Jinja. What is written is code, not HTML."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("leadgate.app", "templates/repository"),
        autoescape=False,  # noqa: S701  # no HTML
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
    )
    made.filters["python"] = _as_python
    return made


def _as_python(text: str) -> str:
    """A string as Python has it, between the quotes that its formatter takes."""
    return json.dumps(text, ensure_ascii=False)


def _own_release(folder: Path) -> str:
    """This release as pip is asked for it: the wheel that the repository keeps, if it keeps it."""
    wheel = f"vendor/leadgate-{__version__}-py3-none-any.whl"
    return f"./{wheel}" if (folder / wheel).exists() else f"leadgate=={__version__}"


def _installed(names: list[str]) -> Iterator[str]:
    for name in names:
        try:
            yield f"{name}=={version(name)}"
        except PackageNotFoundError:  # a part that another release of a package brings
            continue
