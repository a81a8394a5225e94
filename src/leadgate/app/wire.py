"""The one place that builds concrete things: paths, database, registry and clock of a project."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from leadgate.errors import BadConfigError, NotFoundError

if TYPE_CHECKING:  # everything heavy is imported where it is first used: `leadgate --help` must not wait
    from leadgate.app.settings import Settings
    from leadgate.leads.project import Project
    from leadgate.models.registry import Registry
    from leadgate.storage.postgres.connection import Connection

Clock = Callable[[], datetime]
"""Gives the present time in UTC."""

CONFIG = "leadgate.yaml"
FEATURES = "features.py"
STATE = ".leadgate"


def find_project(start: Path) -> Path:
    """The nearest folder at or above ``start`` with a leadgate.yaml. Raises NotFoundError."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / CONFIG).is_file():
            return folder
    raise NotFoundError(
        f"There is no {CONFIG} in {start.resolve()} or above it; "
        "make one with `leadgate init DIR --from FILE`, or name the folder with --project."
    )


def read_project(folder: Path) -> "Project":
    """leadgate.yaml of a folder, and the features.py beside it, where there is one. Raises BadConfigError.

    A fault of features.py is raised by what needs its features.
    """
    from leadgate.leads.project import parse_project  # noqa: PLC0415

    file = folder / FEATURES
    features: str | BadConfigError | None
    try:
        features = _text(file) if file.is_file() else None
    except BadConfigError as error:
        features = error
    return parse_project(_text(folder / CONFIG), CONFIG, features, str(file))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # some editors put a mark before the text
    except UnicodeDecodeError as error:
        raise BadConfigError(f"{file.name} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except OSError as error:
        raise BadConfigError(f"{file} cannot be read ({error.strerror}); mend its permissions.") from error


@dataclass(frozen=True)
class Home:
    """A project and the machine it lives on. Everything expensive is made at its first use."""

    folder: Path
    settings: "Settings"
    own_clock: Clock | None = None
    """Instead of this machine's clock, where weeks are played in minutes."""

    @cached_property
    def project(self) -> "Project":
        """leadgate.yaml, and features.py where there is one. Raises BadConfigError."""
        return read_project(self.folder)

    @cached_property
    def database_url(self) -> str:
        """A PostgreSQL that runs and has our tables: the team's, or the project's own, started here if need be."""
        from leadgate.storage.postgres.migrate import ensure_migrated  # noqa: PLC0415

        url = self.bare_database_url
        ensure_migrated(url, may_upgrade=self.settings.database_url is None)
        return url

    @cached_property
    def bare_database_url(self) -> str:
        """The same, whatever tables it has."""
        from leadgate.storage.postgres.server import start_embedded  # noqa: PLC0415

        return self.settings.database_url or start_embedded(self.state / "postgres")

    @property
    def state(self) -> Path:
        """The folder where the project keeps what it makes."""
        return self.folder / STATE

    @property
    def spool(self) -> Path:
        """The folder where answered predictions wait for the database."""
        return self.settings.spool_dir or self.state / "spool"

    @property
    def bundles(self) -> Path:
        """The folder of the versions that servers have loaded."""
        return self.state / "bundles"

    @property
    def run(self) -> Path:
        """The folder where running workers leave word for each other."""
        return self.state / "run"

    def keep_database(self) -> None:
        """Start the project's own PostgreSQL again if it has died; a team's own is the team's."""
        from leadgate.storage.postgres.server import revive_embedded  # noqa: PLC0415

        if self.settings.database_url is None:
            revive_embedded(self.state / "postgres")

    @property
    def snapshots_uri(self) -> str:
        """Where the Delta table of leads is."""
        return self.settings.snapshots_uri or str(self.state / "leads")

    @cached_property
    def registry(self) -> "Registry":
        """The versions of the project's model."""
        from leadgate.models.registry import Registry  # noqa: PLC0415
        from leadgate.storage.postgres.mlflow import tracking_uri  # noqa: PLC0415

        # The first contact with MLflow's tables would otherwise be told in twenty lines of migration log.
        os.environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
        # Where tqdm is installed, each card that is read would have a bar of its own.
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        tracking = self.settings.tracking_uri or tracking_uri(self.database_url)
        artifacts = self.settings.artifacts_uri or (self.state / "models").resolve().as_uri()
        return Registry(
            name=self.project.name,
            tracking_uri=tracking,
            registry_uri=self.settings.registry_uri or tracking,
            artifact_location=None if self.settings.tracking_uri else artifacts,
        )

    @property
    def clock(self) -> Clock:
        """The clock of this process."""
        if self.own_clock is not None:
            return self.own_clock
        shift = timedelta(days=self.settings.clock_shift_days)
        return lambda: datetime.now(UTC) + shift

    def on(self, clock: Clock) -> "Home":
        """The same project with another clock."""
        return replace(self, own_clock=clock)

    def acting(self, who: str) -> "Home":
        """The same project, with what is open already, in the hands of somebody else: the records name them."""
        other = replace(self, settings=self.settings.model_copy(update={"author": who}))
        open_already = ("project", "database_url", "bare_database_url", "registry")
        vars(other).update({name: value for name, value in vars(self).items() if name in open_already})
        return other

    @cached_property
    def author(self) -> str:
        """Who acts: the same person that a training names as its author."""
        from leadgate.models.provenance import person  # noqa: PLC0415

        return self.settings.author or person(self.folder)

    @contextmanager
    def connection(self) -> Iterator["Connection"]:
        """A database connection for one command."""
        from leadgate.storage.postgres.connection import connect  # noqa: PLC0415

        with connect(self.database_url) as connection:
            yield connection


def open_home(start: Path) -> Home:
    """The project at or above a folder, with the settings of the environment. Raises BadConfigError."""
    from leadgate.app.settings import read_settings  # noqa: PLC0415  # pydantic, 0.3 s

    return Home(find_project(start), read_settings())
