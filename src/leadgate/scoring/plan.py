"""What the processes of the service are told when they are started (quiet)."""

from typing import Literal

import msgspec

Durability = Literal["process", "power"]
"""What an answered prediction survives: the death of the process, or a power cut too."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker takes."""

    body_bytes: int = 8 * 1024 * 1024
    request_s: float = 10.0
    """For a request to arrive whole, and again for it to be answered."""
    connections: int = 4_000
    lookup_s: float = 2.0
    """For what the database knows of the leads of a request."""
    library_queue: int = 64
    """Requests that may wait for a version served by the library."""


class WorkerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told."""

    start: str
    """Names this start of the service; workers that come later in it are told the same."""
    slot: int
    """0, 1, 2: which of the workers it is."""
    workers: int
    listener: int
    """File descriptor of the listening socket."""
    model_name: str
    bundles: str
    """Folder of the versions on this machine."""
    declared: tuple[str, ...]
    """Names of the features in leadgate.yaml."""
    run: str
    """Folder where workers leave what the others, and their successors, read."""
    durability: Durability
    disk_share: float
    """No predictions are taken while more of the spool's disk is used than this."""
    with_keys: bool
    """Whether callers are asked for a key."""
    limits: Limits
    traces: bool
    """Whether requests leave OpenTelemetry spans."""
    pages: str | None = None
    """Path of the socket at which the process of the pages listens; None without pages."""
    explored: int = 0
    """Buckets, of 10,000, whose leads are explored."""


class PagesPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the process of the pages is told."""

    socket: str
    """Path of the socket at which it listens."""
    with_keys: bool
    """Whether who looks is asked to log in."""
    local: bool
    """Whether the service listens on this machine alone."""


DATABASE_URL = "LEADGATE_CHILD_DATABASE_URL"
"""Environment variable of the service's processes: a URL may hold a password, and everybody can read a command line."""


class ChildPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What every process is told."""

    project: str
    """Folder of leadgate.yaml."""
    clock_shift_days: float
    ready: int
    """File descriptor of a pipe on which the process says that it is ready, or why it cannot be."""
    spool: str
    worker: WorkerPlan | None = None
    """For a worker."""
    pages: PagesPlan | None = None
    """For the process of the pages."""
    desk: str | None = None
    """Path of the socket at which a process forks for the commands of desks; None without one."""
    forks: bool = False
    """For that process; the drainer has none of the three."""
