"""Settings of a machine or a deployment: LEADGATE_* environment variables. What a lead is stands in leadgate.yaml."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting has a default that works on a laptop."""

    model_config = SettingsConfigDict(env_prefix="LEADGATE_", frozen=True, env_ignore_empty=True)

    database_url: str | None = None
    """PostgreSQL of the team; the project's own embedded one when unset."""
    snapshots_uri: str | None = None
    """Delta table of the leads: a folder or an object store; in the project's .leadgate when unset."""
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
    clock_shift_days: float = 0
    """Moves the clock of this process, to play the past or the future against the real code. Never in production."""
