"""A key admits whom it should, no more often than it should, and is never given away."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadgate.records import ApiKey
from leadgate.scoring.keys import Keyring, RefusedCallerError, Scope, token_of
from leadgate.scoring.watched import scope_of

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECRET = "s3cret-" + "x" * 30 + "_end-"
KEY = ApiKey(
    key_id="abcdefgh2345",
    name="crm",
    scopes=("score", "read"),
    secret_sha256=sha256(SECRET.encode()).digest(),
    requests_per_second=None,
    created_at=NOW,
    created_by="tester",
    expires_at=None,
    revoked_at=None,
)
HEADER = f"Bearer {token_of(KEY.key_id, SECRET)}".encode()


def refusal(
    keyring: Keyring,
    header: bytes | None = HEADER,
    scope: Scope = "score",
    *,
    now: datetime = NOW,
    seconds: float = 0.0,
) -> RefusedCallerError:
    """How a request is refused; it must be."""
    with pytest.raises(RefusedCallerError) as caught:
        keyring.admit(header, scope, now=now, seconds=seconds)
    return caught.value


def refused(keyring: Keyring, seconds: float) -> RefusedCallerError | None:
    """How a request at that moment is refused; None when it is admitted."""
    try:
        keyring.admit(HEADER, "score", now=NOW, seconds=seconds)
    except RefusedCallerError as error:
        return error
    return None


def admitted(keyring: Keyring, times: list[float]) -> list[float]:
    """Those of the times at which a request was admitted."""
    errors = [(seconds, refused(keyring, seconds)) for seconds in times]
    assert {error.status for _, error in errors if error} <= {429}
    return [seconds for seconds, error in errors if error is None]


@pytest.mark.parametrize("scheme", ("Bearer ", "bearer ", "BEARER ", "Bearer   "))
def test_a_key_admits_its_owner(scheme: str) -> None:
    """The scheme's case does not matter (RFC 9110, 11.1); a secret may hold the separator."""
    header = f"{scheme}{token_of(KEY.key_id, SECRET)}".encode()
    assert Keyring([KEY]).admit(header, "read", now=NOW, seconds=0.0) == KEY


@pytest.mark.parametrize(
    "header",
    (
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic x",
        b"Basic " + token_of(KEY.key_id, SECRET).encode(),
        token_of(KEY.key_id, SECRET).encode(),
        b"Bearer \xff\xfe\x00",
        b"Bearer lg_\xe4\xf6\xfc_\xff",
        b"Bearer lg_" + b"a" * 10_000,
        b"Bearer lg",
        b"Bearer lg_abcdefgh2345",
        b"Bearer lg_abcdefgh2345_",
        b"Bearer LG_abcdefgh2345_" + SECRET.encode(),
        b"Bearer lg_ABCDEFGH2345_" + SECRET.encode(),
        b"Bearer lg_aaaaaaaaaaaa_" + SECRET.encode(),
        b"Bearer lg_abcdefgh2345_" + SECRET.encode()[:-1],
        b"Bearer lg_abcdefgh2345_" + SECRET.encode() + b"x",
        b"Bearer lg__",
    ),
)
def test_whatever_is_no_key_is_refused_and_not_repeated(header: bytes | None) -> None:
    """401, and the sentence holds nothing of what was shown; nobody is named, for nobody is proven."""
    error = refusal(Keyring([KEY]), header)
    assert (error.status, error.key_id, error.retry_after) == (401, None, None)
    assert SECRET[:8] not in error.detail + repr(error)
    assert KEY.key_id not in error.detail


@given(st.binary(max_size=80))
def test_no_header_breaks_the_keyring(tail: bytes) -> None:
    """Any bytes are refused with 401, never with another error."""
    assert refusal(Keyring([KEY]), b"Bearer lg_" + tail).status == 401


def test_an_unknown_id_looks_like_a_wrong_secret() -> None:
    """Nobody learns from an answer which ids there are."""
    keyring = Keyring([KEY])
    wrong = refusal(keyring, b"Bearer lg_abcdefgh2345_wrong")
    unknown = refusal(keyring, b"Bearer lg_zzzzzzzzzzzz_wrong")
    assert (wrong.status, wrong.detail) == (unknown.status, unknown.detail)


def test_an_empty_keyring_admits_nobody() -> None:
    """Also not the secret whose hash stands in for an unknown key's."""
    assert refusal(Keyring([]), b"Bearer lg__").status == 401
    assert refusal(Keyring([])).status == 401


def test_a_key_ends_at_the_moment_it_expires() -> None:
    """Not a microsecond later."""
    keyring = Keyring([replace(KEY, expires_at=NOW)])
    assert keyring.admit(HEADER, "score", now=NOW - timedelta(microseconds=1), seconds=0.0).key_id == KEY.key_id
    error = refusal(keyring, now=NOW)
    assert (error.status, error.key_id) == (401, KEY.key_id)


def test_a_revoked_key_is_refused() -> None:
    """Whatever it allows and however long it would have lasted."""
    error = refusal(Keyring([replace(KEY, revoked_at=NOW, expires_at=NOW + timedelta(days=9))]))
    assert (error.status, error.key_id) == (401, KEY.key_id)


@pytest.mark.parametrize("scope", ("events", "outcomes", "operate", "approve"))
def test_a_key_allows_its_scopes_only(scope: Scope) -> None:
    """403, naming what is missing."""
    error = refusal(Keyring([KEY]), scope=scope)
    assert (error.status, error.key_id) == (403, KEY.key_id)
    assert scope in error.detail


def test_who_reports_events_cannot_say_who_converted() -> None:
    """The key of a tracker on a website is easily stolen, and wrong outcomes poison the next model."""
    asked = [scope_of("POST", path) for path in ("/events", "/outcomes", "/contacts", "/predict")]
    assert asked == ["events", "outcomes", "outcomes", "score"]


def test_a_refused_scope_costs_nothing_of_the_rate() -> None:
    """A caller who asks for the wrong thing can still ask for the right one."""
    keyring = Keyring([replace(KEY, requests_per_second=1.0)])
    for _ in range(5):
        assert refusal(keyring, scope="approve").status == 403
    assert admitted(keyring, [0.0]) == [0.0]


GAPS = st.lists(st.one_of(st.just(0.0), st.floats(0, 5)), min_size=1, max_size=120)


@given(rate=st.floats(0.05, 40), gaps=GAPS, share=st.sampled_from([1.0, 0.5, 0.25]))
def test_over_any_time_no_more_is_admitted_than_the_rate_allows(rate: float, gaps: list[float], share: float) -> None:
    """Over any T seconds: at most rate * T + max(1, rate), at whatever moments requests come."""
    keyring = Keyring([replace(KEY, requests_per_second=rate)], share=share)
    times = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    good = admitted(keyring, times)
    allowed = rate * share
    for i, start in enumerate(good):
        for j in range(i, len(good)):
            assert j - i + 1 <= allowed * (good[j] - start) + max(1.0, allowed) + 1e-6


@given(rate=st.floats(0.05, 40), gaps=GAPS)
def test_who_waits_as_long_as_told_is_admitted(rate: float, gaps: list[float]) -> None:
    """Retry-After is long enough, in whole seconds, and not longer than one request takes to come back."""
    keyring = Keyring([replace(KEY, requests_per_second=rate)])
    seconds = 0.0
    for gap in gaps:
        seconds += gap
        error = refused(keyring, seconds)
        if error is not None:
            assert error.retry_after is not None
            assert 1 <= error.retry_after <= 1 / rate + 1
            seconds += error.retry_after
            assert refused(keyring, seconds) is None


@pytest.mark.parametrize(("rate", "each"), ((2.0, 0.5), (0.5, 2.0), (100.0, 0.01)))
def test_an_even_stream_at_the_rate_is_never_refused(rate: float, each: float) -> None:
    """The limit is the rate, not less."""
    times = [i * each for i in range(500)]
    assert admitted(Keyring([replace(KEY, requests_per_second=rate)]), times) == times


def test_keys_do_not_share_a_rate() -> None:
    """One caller's flood is not another's."""
    other = replace(KEY, key_id="other2345678", requests_per_second=1.0)
    keyring = Keyring([replace(KEY, requests_per_second=1.0), other])
    assert admitted(keyring, [0.0, 0.0, 0.0]) == [0.0]
    header = f"Bearer {token_of(other.key_id, SECRET)}".encode()
    assert keyring.admit(header, "score", now=NOW, seconds=0.0) == other


def test_a_renewed_keyring_forgets_no_rate() -> None:
    """Making or revoking a key must not give every caller a full burst; new facts of a key count at once."""
    limited = replace(KEY, requests_per_second=3.0)
    keyring = Keyring([limited])
    assert admitted(keyring, [0.0] * 5) == [0.0] * 3
    renewed = keyring.renewed([limited, replace(KEY, key_id="another23456")])
    assert admitted(renewed, [0.0]) == []
    assert admitted(renewed, [1.0] * 5) == [1.0] * 3
    assert refusal(renewed.renewed([replace(limited, revoked_at=NOW)]), seconds=9.0).status == 401
    assert refusal(renewed.renewed([]), seconds=9.0).status == 401


def test_a_clock_that_stands_or_jumps_back_admits_no_more() -> None:
    """A monotonic clock does neither, but readings of two threads may be out of order."""
    keyring = Keyring([replace(KEY, requests_per_second=1.0)])
    assert admitted(keyring, [10.0, 9.0, 10.0, 10.5, 11.0]) == [10.0, 11.0]


def test_a_rate_of_nothing_admits_its_burst_and_does_not_break() -> None:
    """The command line refuses such a rate; a row written by hand must not break the service."""
    keyring = Keyring([replace(KEY, requests_per_second=0.0)])
    assert admitted(keyring, [0.0, 99.0]) == [0.0]
    assert refusal(keyring, seconds=100.0).retry_after is None
