"""Who may call the API (quiet)."""

import hmac
import math
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Literal, NoReturn

from leadgate.records import ApiKey

Scope = Literal["score", "events", "outcomes", "read", "operate", "approve"]
"""score: leads. events: reports what leads do. outcomes: reports what became of them, and contacts. read: scores,
health and figures. operate: routes. approve: versions."""

_NOBODY = sha256(b"").digest()
_LONGEST = 200
"""Bytes of a header that is looked at: three times the length of a key."""
_ROUNDING = 1e-9
"""Of a request: who waits exactly as long as told must not be a rounding error short."""


class RefusedCallerError(Exception):
    """A caller without a key that allows the request. The detail never holds what was shown."""

    def __init__(self, status: int, detail: str, *, key_id: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        """401: no key in force; 403: it does not allow this; 429: too many requests."""
        self.detail = detail
        self.key_id = key_id
        """Whose key it was; None where no key was proven."""
        self.retry_after = retry_after
        """Seconds until a request can be admitted; only with 429."""


class Keyring:
    """The keys of an API, with the level of each one's rate.

    A key has a bucket of ``max(1, rate)`` requests that fills at ``rate`` a second (a token bucket):
    over any T seconds it admits no more than ``rate * T + max(1, rate)``.
    """

    def __init__(self, keys: Sequence[ApiKey], *, share: float = 1.0) -> None:
        """``share``: the part of each rate that may be admitted here, where others admit the rest."""
        self._keys = {key.key_id.encode(): (key, frozenset(key.scopes)) for key in keys}
        self._share = share
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, authorization: bytes | None, scope: Scope, *, now: datetime, seconds: float) -> ApiKey:
        """The key that was shown in an Authorization header, if it allows this.

        ``now`` is UTC, ``seconds`` any clock that never goes back. Raises RefusedCallerError (401, 403 or 429).
        """
        if authorization is None or len(authorization) > _LONGEST or authorization[:7].lower() != b"bearer ":
            raise RefusedCallerError(401, "Show a key: `Authorization: Bearer lg_...`.")
        prefix, _, rest = authorization[7:].strip().partition(b"_")
        key_id, _, secret = rest.partition(b"_")
        known = self._keys.get(key_id)
        # An unknown key costs what a wrong secret costs: the time does not tell which ids there are.
        right = hmac.compare_digest(sha256(secret).digest(), known[0].secret_sha256 if known else _NOBODY)
        if known is None or not right or prefix != b"lg":
            raise RefusedCallerError(401, "The key is not known.")
        key, scopes = known
        if not is_in_force(key, now):
            raise RefusedCallerError(401, "The key was revoked or has expired.", key_id=key.key_id)
        if scope not in scopes:
            raise RefusedCallerError(403, f"The key does not allow {scope}.", key_id=key.key_id)
        if key.requests_per_second is not None:
            self._take(key, key.requests_per_second * self._share, seconds)
        return key

    def renewed(self, keys: Sequence[ApiKey]) -> "Keyring":
        """A keyring of other keys; those that stay keep the level of their rate."""
        made = Keyring(keys, share=self._share)
        staying = {key.key_id for key in keys}
        made._buckets = {key_id: level for key_id, level in self._buckets.items() if key_id in staying}
        return made

    def _take(self, key: ApiKey, rate: float, seconds: float) -> None:
        burst = max(1.0, rate)
        level, since = self._buckets.get(key.key_id, (burst, seconds))
        level = min(burst, level + max(0.0, seconds - since) * rate)
        if level < 1 - _ROUNDING:
            self._buckets[key.key_id] = (level, max(seconds, since))
            _refuse_for_now(key, (1 - level) / rate if rate > 0 else math.inf)
        self._buckets[key.key_id] = (level - 1, max(seconds, since))


def is_in_force(key: ApiKey, now: datetime) -> bool:
    """Whether a key is neither revoked nor expired at ``now`` (UTC)."""
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def token_of(key_id: str, secret: str) -> str:
    """What a caller shows."""
    return f"lg_{key_id}_{secret}"


def _refuse_for_now(key: ApiKey, wait: float) -> NoReturn:
    raise RefusedCallerError(
        429,
        "The key's rate is used up; try again later.",
        key_id=key.key_id,
        retry_after=math.ceil(wait) if math.isfinite(wait) else None,
    )
