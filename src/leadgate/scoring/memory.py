"""What a worker keeps for those that come after it: route and keys, for a start while the database is away."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from leadgate.errors import RefusedError
from leadgate.records import ApiKey, Route


def remember(folder: Path, route: Route | None, keys: list[ApiKey] | None) -> None:
    """Keep route and keys (hashes, no secrets) for a worker that has to start while the database is away.

    None leaves what was kept.
    """
    for name, known in (("route.json", route), ("keys.json", keys)):
        if known is None:
            continue
        content = msgspec.json.encode(known)
        temporary = folder / f"{name}.{os.getpid()}"
        with suppress(OSError):  # a full disk must not stop a worker
            temporary.touch(mode=0o600)
            temporary.write_bytes(content)
            temporary.replace(folder / name)


def remembered(folder: Path) -> tuple[Route, list[ApiKey]]:
    """What was kept. Raises RefusedError when nothing was, or when it cannot be read."""
    try:
        route = msgspec.json.decode((folder / "route.json").read_bytes(), type=Route)
        keys = msgspec.json.decode((folder / "keys.json").read_bytes(), type=list[ApiKey])
    except FileNotFoundError:
        raise RefusedError("The database does not answer, and no worker here ever knew a route.") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise RefusedError(
            f"The database does not answer, and what is kept in {folder} of route and keys cannot be read ({error}); "
            "start the database."
        ) from error
    return route, keys
