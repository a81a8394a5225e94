"""Who may call the API (quiet)."""

import hmac
import math
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Literal

from leadgate.records import ApiKey

Scope = Literal["score", "outcomes", "read", "operate", "approve"]

_NOBODY = sha256(b"").digest()
_LONGEST = 200


class RefusedCallerError(Exception):
    """A caller without a key that allows the request. The detail never holds what was shown."""

    def __init__(self, status: int, detail: str, *, key_id: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.key_id = key_id
        self.retry_after = retry_after


class Keyring:
    """The keys of an API, with the level of each one's rate."""

    def __init__(self, keys: Sequence[ApiKey], *, share: float = 1.0) -> None:
        """``share``: the part of each rate that may be admitted here, where others admit the rest."""
        self._keys = {key.key_id: key for key in keys}
        self._share = share
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, authorization: bytes | None, scope: Scope, *, now: datetime, seconds: float) -> ApiKey:
        """The key that was shown, if it allows this. Raises RefusedCallerError (401, 403 or 429)."""
        if authorization is None or authorization[:7].lower() != b"bearer " or len(authorization) > _LONGEST:
            raise RefusedCallerError(401, "Show a key: `Authorization: Bearer lg_...`.")
        prefix, _, rest = authorization[7:].partition(b"_")
        key_id, _, secret = rest.partition(b"_")
        key = self._keys.get(key_id.decode("latin-1"))
        right = hmac.compare_digest(sha256(secret).digest(), key.secret_sha256 if key else _NOBODY)
        if key is None or not right or prefix != b"lg":
            raise RefusedCallerError(401, "The key is not known.")
        if key.revoked_at is not None or (key.expires_at is not None and now >= key.expires_at):
            raise RefusedCallerError(401, "The key was revoked or has expired.", key_id=key.key_id)
        if scope not in key.scopes:
            raise RefusedCallerError(403, f"The key does not allow {scope}.", key_id=key.key_id)
        if key.requests_per_second is not None:
            self._take(key, key.requests_per_second * self._share, seconds)
        return key

    def renewed(self, keys: Sequence[ApiKey]) -> "Keyring":
        """A keyring of other keys; those that stay keep the level of their rate."""
        made = Keyring(keys, share=self._share)
        made._buckets = {key_id: level for key_id, level in self._buckets.items() if key_id in made._keys}
        return made

    def _take(self, key: ApiKey, rate: float, seconds: float) -> None:
        burst = max(1.0, rate)
        level, since = self._buckets.get(key.key_id, (burst, seconds))
        level = min(burst, level + (seconds - since) * rate)
        if level < 1:
            self._buckets[key.key_id] = (level, seconds)
            wait = math.ceil((1 - level) / rate)
            raise RefusedCallerError(
                429, "The key's rate is used up; try again later.", key_id=key.key_id, retry_after=wait
            )
        self._buckets[key.key_id] = (level - 1, seconds)
