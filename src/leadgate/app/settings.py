"""Settings of a machine or a deployment: LEADGATE_* environment variables. What a lead is stands in leadgate.yaml."""

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from leadgate.errors import BadConfigError
from leadgate.scoring.keys import Scope
from leadgate.scoring.plan import Durability


class Settings(BaseSettings):
    """Every setting has a default that works on a laptop."""

    model_config = SettingsConfigDict(
        env_prefix="LEADGATE_",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,  # URLs hold passwords
    )

    database_url: str | None = None
    """PostgreSQL of the team; the project's own embedded one when unset."""
    snapshots_uri: str | None = None
    """Delta table of the leads: a folder or an object store; in the project's .leadgate when unset."""
    archive_uri: str | None = None
    """Delta table of the predictions that left the log: a folder or an object store; in the project's .leadgate when
    unset."""
    tracking_uri: str | None = None
    """MLflow tracking server; MLflow on the same PostgreSQL when unset."""
    registry_uri: str | None = None
    """MLflow registry, such as databricks-uc; the tracking server's own when unset."""
    artifacts_uri: str | None = None
    """Where model files go; in the project's .leadgate when unset. A tracking server decides for itself."""
    author: str | None = None
    """Who trains and promotes; git's user.name, then the login name, when unset."""
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that answer."""
    durability: Durability = "process"
    """process: an answered prediction survives the death of any process; power: a power cut too, a few ms slower."""
    spool_dir: Path | None = None
    """Folder where answered predictions wait for the database; in the project's .leadgate when unset."""
    spool_disk_share: float = Field(default=0.95, gt=0, le=1)
    """No predictions are taken while more of the spool's disk is used than this."""
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1_024)
    request_timeout_s: float = Field(default=10, gt=0)
    """For a request to arrive whole, and for the library to score it."""
    max_connections: int = Field(default=4_000, ge=1)
    """Open connections a worker."""
    library_queue: int = Field(default=64, ge=1)
    """Requests a worker that may wait for a version served by the library."""
    alert_channels: dict[str, str] | None = None
    """URLs of the channels of alerts by name, as JSON; or one at a time: LEADGATE_ALERT_<NAME>."""
    environment: str = Field(default="local", max_length=40)
    """What the pages call this deployment: staging, production."""
    session_secret: str | None = Field(default=None, min_length=32)
    """Signs the logins of the pages; machines that share their callers need the same one. A file in the project's
    .leadgate when unset."""
    proxy_user_header: str | None = None
    """Header in which a login proxy (OIDC) names who looks, such as X-Auth-Request-Email; no proxy when unset."""
    proxy_scopes: dict[str, list[Scope]] = {"*": ["read"]}
    """What people whom the proxy names may do, as JSON by name; * is everybody else."""
    trusted_proxies: list[str] = ["127.0.0.1", "::1"]
    """Addresses from which that header is believed, as JSON; networks such as 10.0.0.0/8 too."""
    traces: bool = False
    """Whether requests leave OpenTelemetry spans; needs the extra leadgate[otel]."""
    clock_shift_days: float = 0
    """Moves the clock of this process, to play the past or the future against the real code. Never in production."""


def read_settings() -> Settings:
    """The settings of the environment. Raises BadConfigError, which names the variable and does not show its value."""
    try:
        return Settings()
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False)
    wrong = "; ".join(f"LEADGATE_{str(each['loc'][0]).upper()}: {each['msg']}" for each in found)
    example = ' LEADGATE_ALERT_CHANNELS is JSON: {"ops": "slack://...", "mail": "mailto://..."}.'
    # Outside of the handler: whatever shows the cause of an error would show the value with it.
    raise BadConfigError(
        f"{wrong}. The value is not shown, for it may hold a secret; mend it in the environment."
        f"{example if 'ALERT_CHANNELS' in wrong else ''}"
    )
