"""Logins without a table: a signed cookie that names a key, and dies with it (quiet).

A cookie is ``key id.expiry.nonce.signature``. The signature covers the hash of the key's secret, so a cookie is worth
nothing once the key is revoked or made anew, and every machine with the same signing secret reads it.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from leadgate.records import ApiKey
from leadgate.scoring.keys import is_in_force

LASTS = timedelta(hours=12)
_PARTS = 4
_OPEN = "-"
"""In place of a key's id where nobody is asked to log in."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who a cookie says is looking."""

    key: ApiKey | None
    """None where nobody is asked to log in."""
    csrf: str
    """What a form has to show that was made for this cookie."""


def new_cookie(key: ApiKey | None, *, nonce: str, now: datetime, secret: bytes) -> str:
    """A cookie for a key, or for somebody who is not asked for one. ``nonce``: 16 random characters or more."""
    head = f"{key.key_id if key else _OPEN}.{int((now + LASTS).timestamp())}.{nonce}"
    return f"{head}.{_sign(head, key, secret, 'session')}"


def read_cookie(text: str | None, keys: dict[str, ApiKey], *, now: datetime, secret: bytes) -> Session | None:
    """The session of a cookie; None where it is none of ours, too old, or its key is not in force any more."""
    parts = (text or "").split(".")
    if len(parts) != _PARTS or not parts[1].isascii() or not parts[1].isdigit():
        return None
    key = keys.get(parts[0])
    if (key is None and parts[0] != _OPEN) or (key is not None and not is_in_force(key, now)):
        return None
    head = ".".join(parts[:3])
    if not hmac.compare_digest(_sign(head, key, secret, "session").encode(), parts[3].encode()):
        return None
    if int(parts[1]) <= now.timestamp():
        return None
    return Session(key=key, csrf=_sign(head, key, secret, "form"))


def _sign(head: str, key: ApiKey | None, secret: bytes, purpose: str) -> str:
    known = key.secret_sha256.hex() if key else ""
    return hmac.new(secret, f"{purpose}\n{head}\n{known}".encode(), sha256).hexdigest()
