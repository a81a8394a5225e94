"""A latency spike is taken apart as the plan's tree has it: batch size, model, load, what lies outside."""

import pytest

from leadgate.monitoring.slowness import Group, Load, why_slow


def group(version: str = "1", *, large: bool = False, leads: int = 1_000, mean_ms: float = 1.0, slow: int = 0) -> Group:
    """Leads of a version, in requests of one or of 500."""
    return Group(version=version, large=large, leads=leads, batch=500 if large else 1, mean_ms=mean_ms, slow=slow)


BEFORE = Load(groups=[group()], requests=1_000, busy=0.05)
SLOW = group(mean_ms=400, slow=900)


@pytest.mark.parametrize(
    ("now", "explains"),
    (
        (Load(groups=[group(), group(large=True, mean_ms=600, slow=950)], requests=1_002, busy=0.1), "batch size"),
        (Load(groups=[group(large=True, mean_ms=600, slow=950)], requests=2, busy=0.1), "batch size"),
        (Load(groups=[group("2", mean_ms=400, slow=900)], requests=1_000, busy=0.2), "model latency"),
        (Load(groups=[SLOW], requests=60_000, busy=0.95), "worker load"),
        (Load(groups=[SLOW], requests=1_000, busy=0.05), "waiting"),
    ),
)
def test_each_branch_is_found(now: Load, explains: str) -> None:
    """One branch explains it, the others say that they do not."""
    found = {f.check: f.severity for f in why_slow(now, BEFORE)}
    assert found.pop(explains) == "yellow"
    assert set(found.values()) == {"green"}


def test_large_batches_that_are_as_fast_explain_nothing() -> None:
    """Single requests are slow too: it is not the batches."""
    now = Load(groups=[SLOW, group(large=True, mean_ms=400, slow=900)], requests=1_000, busy=0.05)
    assert {f.check for f in why_slow(now, BEFORE) if f.severity == "yellow"} == {"waiting"}


def test_two_versions_side_by_side_are_compared() -> None:
    """A challenger that takes twenty times as long as the champion."""
    now = Load(groups=[group("1"), group("2", mean_ms=20, slow=10)], requests=2_000, busy=0.1)
    found = next(f for f in why_slow(now, BEFORE) if f.check == "model latency")
    assert found.severity == "yellow"
    assert found.value == pytest.approx(20)


def test_without_workers_or_answers_nothing_is_claimed() -> None:
    """No measurement: load and waiting are unknown; no answers: all are."""
    unmeasured = {f.check: f.severity for f in why_slow(Load(groups=[SLOW], requests=None, busy=None), BEFORE)}
    assert unmeasured["worker load"] == unmeasured["waiting"] == "unknown"
    assert {f.severity for f in why_slow(Load(groups=[], requests=0, busy=0.0), BEFORE)} == {"unknown"}
