"""leadgate keys: who may call the API."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any

import typer

from leadgate.app.cli.options import HERE, AsJson, ProjectDir, one_of
from leadgate.app.cli.output import console, moment, print_json, print_table
from leadgate.app.wire import open_home
from leadgate.errors import NotFoundError, RefusedError
from leadgate.records import ApiKey
from leadgate.scoring.keys import Scope, token_of

app = typer.Typer(help="Say who may call the API, and what for.", no_args_is_help=True)

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_LONGEST_NAME = 100
_SECRET = 43
"""Characters of a secret."""


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Who gets it, such as crm.")],
    scope: Annotated[
        list[str], typer.Option(help="score, events, outcomes, read, operate or approve; may be repeated.")
    ],
    project: ProjectDir = HERE,
    rate: Annotated[float | None, typer.Option(help="Requests a second.", show_default="no limit")] = None,
    expires: Annotated[
        str | None, typer.Option(help="90d, 12h, or a time such as 2027-01-31T00:00Z.", show_default="never")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown once, here, and cannot be shown again: only a hash of it is kept.

    score: score leads. outcomes: report outcomes. read: ask for scores, health and figures. operate: change the route.
    approve: approve versions. Running workers know the key within a second.
    """
    from leadgate.storage.postgres.audit import append_entry  # noqa: PLC0415
    from leadgate.storage.postgres.keys import add_key  # noqa: PLC0415

    home = open_home(project)
    now = home.clock()
    secret = secrets.token_urlsafe(32)
    key = ApiKey(
        key_id="".join(secrets.choice(_LETTERS) for _ in range(12)),
        name=_checked_name(name),
        scopes=tuple(dict.fromkeys(one_of(s, Scope, "scope") for s in scope)),
        secret_sha256=sha256(secret.encode()).digest(),
        requests_per_second=_checked_rate(rate),
        created_at=now,
        created_by=home.author,
        expires_at=None if expires is None else _expiry(expires, now),
        revoked_at=None,
    )
    with home.connection() as connection, connection.transaction():
        add_key(connection, key)
        append_entry(
            connection, at=now, actor=home.author, act="key.create", subject=f"key {key.key_id}", details=_shown(key)
        )
    token = token_of(key.key_id, secret)
    if as_json:
        print_json({"key": _shown(key), "token": token})
        return
    until = f"until {moment(key.expires_at)} UTC" if key.expires_at else "until it is revoked"
    console.print(
        f"Key {key.key_id} for {key.name!r} allows {', '.join(key.scopes)}, {until}. "
        "Keep it now, it is not shown again:",
        markup=False,
        soft_wrap=True,
    )
    console.print(token, markup=False, soft_wrap=True)


@app.command("list")
def list_(project: ProjectDir = HERE, as_json: AsJson = False) -> None:
    """List the keys, revoked ones too. The keys themselves cannot be shown."""
    from leadgate.storage.postgres.keys import all_keys  # noqa: PLC0415

    home = open_home(project)
    with home.connection() as connection:
        keys = all_keys(connection)
    if as_json:
        print_json([_shown(key) for key in keys])
        return
    now = home.clock()
    rows = [
        (
            key.key_id,
            key.name,
            ", ".join(key.scopes),
            None if key.requests_per_second is None else f"{key.requests_per_second:g}/s",
            f"{moment(key.created_at)}, {key.created_by}",
            moment(key.expires_at),
            _state(key, now),
        )
        for key in keys
    ]
    columns = ["id", "name", "allows", "rate", "made (UTC, by)", "expires (UTC)", "state"]
    print_table("API keys", columns, rows, numbers="   r")
    if not keys:
        console.print("None yet; make one with `leadgate keys create --name crm --scope score`.")


@app.command()
def revoke(
    which: Annotated[str, typer.Argument(metavar="KEY", help="A key's id or name.")],
    project: ProjectDir = HERE,
    as_json: AsJson = False,
) -> None:
    """End a key. Running workers refuse it within a second."""
    from leadgate.storage.postgres.audit import append_entry  # noqa: PLC0415
    from leadgate.storage.postgres.keys import all_keys, revoke_key  # noqa: PLC0415

    home = open_home(project)
    now = home.clock()
    with home.connection() as connection, connection.transaction():
        key = _find(all_keys(connection), which)
        revoked = revoke_key(connection, key.key_id, home.author, now)
        if revoked:
            about, what = f"key {key.key_id}", {"name": key.name}
            append_entry(connection, at=now, actor=home.author, act="key.revoke", subject=about, details=what)
    if as_json:
        print_json({"key_id": key.key_id, "name": key.name, "revoked_now": revoked})
    elif revoked:
        console.print(f"Key {key.key_id} ({key.name}) is revoked.", markup=False, soft_wrap=True)
    else:
        console.print(f"Key {key.key_id} ({key.name}) was revoked before.", markup=False, soft_wrap=True)


def _find(keys: Sequence[ApiKey], which: str) -> ApiKey:
    """The key of that id or name; of several with the name, the one that is still in force."""
    # Whoever has to end a key that leaked may have only the key itself; it must not be repeated in an error.
    asked = which.split("_")[1] if re.fullmatch(r"lg_[^_]*_.*", which, re.DOTALL) else which
    named = [key for key in keys if key.key_id == asked] or [key for key in keys if key.name == asked]
    if not named:
        said = f" {asked!r}" if len(asked) < _SECRET else ""
        raise NotFoundError(f"There is no key with the id or name{said}; see `leadgate keys list`.")
    in_force = [key for key in named if key.revoked_at is None] or named[-1:]
    if len(in_force) > 1:
        ids = ", ".join(key.key_id for key in in_force)
        raise RefusedError(f"There are {len(in_force)} keys with the name {asked!r}; revoke one by its id: {ids}.")
    return in_force[0]


def _checked_name(name: str) -> str:
    stripped = name.strip()
    if not stripped or len(stripped) > _LONGEST_NAME or not stripped.isprintable():
        raise RefusedError(f"A key's name is 1 to {_LONGEST_NAME} printable characters; {name[:40]!r} is not.")
    return stripped


def _checked_rate(rate: float | None) -> float | None:
    if rate is not None and not 0 < rate < float("inf"):
        raise RefusedError(f"A rate is above 0 requests a second; {rate:g} is not. Leave --rate out for no limit.")
    return rate


def _expiry(text: str, now: datetime) -> datetime:
    """The time that ``90d``, ``12h`` or an ISO time means. Raises RefusedError, also when it is past."""
    try:
        span = re.fullmatch(r"(\d+)([dh])", text.strip(), re.ASCII)
        if span:
            at = now + timedelta(**{"days" if span[2] == "d" else "hours": int(span[1])})
        else:
            given = datetime.fromisoformat(text.strip())
            at = (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RefusedError(
            f"--expires {text!r} is no time; give days or hours from now (90d, 12h) or a time (2027-01-31T00:00Z)."
        ) from None
    if at <= now:
        raise RefusedError(f"--expires {text!r} is past already ({moment(at)} UTC); give a later time.")
    return at


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {moment(key.revoked_at)}"
    return "expired" if key.expires_at is not None and now >= key.expires_at else "in force"


def _shown(key: ApiKey) -> dict[str, Any]:
    """A key without its hash: even that is nobody's business."""
    return {field: value for field, value in asdict(key).items() if field != "secret_sha256"}
