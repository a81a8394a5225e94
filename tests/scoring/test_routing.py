"""Who answers a lead, and how routes follow each other."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from leadgate.errors import RefusedError
from leadgate.records import Route
from leadgate.rollout.routing import Act, Named, back, bucket, change, first_route, has_challenger

ACT = Act(by="ann", at=datetime(2026, 6, 1, tzinfo=UTC), reason="because")
ONE, TWO, THREE = (Named(version=v, digest=f"digest {v}") for v in "123")
FIRST = first_route("leads", ONE, ACT)


def canary(share: int, salt: str = "salt") -> Route:
    """Version 2 beside version 1."""
    return change(FIRST, ACT, stage="canary", champion=ONE, challenger=TWO, share=share, salt=salt)


def test_buckets_are_even() -> None:
    """A share of the buckets is that share of the leads: 100,000 ids over 100 groups, chi-square."""
    counts = Counter(bucket("s", f"lead-{i}") // 100 for i in range(100_000))
    assert chisquare([counts[g] for g in range(100)]).pvalue > 1e-4


@given(st.text(min_size=1), st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_lead_keeps_the_challenger_when_its_share_grows(lead_id: str, one: int, other: int) -> None:
    """Who had it in the canary has it in the A/B test, so a lead never goes back and forth."""
    small, large = sorted((one, other))
    assert has_challenger(canary(small), lead_id) <= has_challenger(canary(large), lead_id)


def test_another_salt_draws_anew() -> None:
    """Who had the last rollout's challenger is no likelier to have the next one's: about 25 % of half and half."""
    ids = [f"lead-{i}" for i in range(20_000)]
    both = sum(has_challenger(canary(5_000, "a"), i) and has_challenger(canary(5_000, "b"), i) for i in ids)
    assert 0.235 < both / len(ids) < 0.265


def test_nobody_and_everybody() -> None:
    """The ends of the range are exact."""
    ids = [f"lead-{i}" for i in range(2_000)]
    assert not any(has_challenger(canary(0), i) for i in ids)
    assert all(has_challenger(canary(10_000), i) for i in ids)


@pytest.mark.parametrize(
    ("asked", "says"),
    (
        ({"stage": "full", "challenger": TWO}, "no challenger"),
        ({"stage": "canary", "challenger": None}, "--challenger"),
        ({"stage": "shadow", "challenger": TWO, "share": 10}, "answers nobody"),
        ({"stage": "canary", "challenger": ONE}, "at once"),
        ({"stage": "canary", "challenger": TWO, "share": 10_001}, "between 0 and 100"),
    ),
)
def test_a_route_that_could_not_be_is_refused(asked: dict[str, Any], says: str) -> None:
    """With a sentence; the database would refuse it too."""
    with pytest.raises(RefusedError, match=says):
        change(FIRST, ACT, champion=ONE, **asked)


def test_a_rollback_takes_the_challenger_off_first() -> None:
    """The champion answers alone, under the next epoch."""
    present = canary(500)
    route = back([present, FIRST], ACT)
    assert (route.epoch, route.stage, route.champion, route.challenger, route.share) == (3, "full", "1", None, 0)


def test_a_second_rollback_goes_to_the_champion_before() -> None:
    """Each goes one further back, with the digest it had then; what was rolled back comes again only by its name."""
    second = change(FIRST, ACT, stage="full", champion=TWO, challenger=None)
    third = change(second, ACT, stage="full", champion=THREE, challenger=None)
    once = back([third, second, FIRST], ACT)
    assert (once.champion, once.champion_digest) == ("2", "digest 2")
    assert back([once, third, second, FIRST], ACT).champion == "1"
    assert back([once, third, second, FIRST], ACT, to="3").champion_digest == "digest 3"
    assert back([third, second, FIRST], ACT, to="1").champion == "1"


def test_there_must_be_something_to_go_back_to() -> None:
    """And a version that never was the champion is no way back."""
    with pytest.raises(RefusedError, match="no other came before it"):
        back([FIRST], ACT)
    with pytest.raises(RefusedError, match="never was the champion"):
        back([FIRST], ACT, to="7")
    with pytest.raises(RefusedError, match="nothing changed"):
        back([FIRST], ACT, to="1")


def test_a_version_trained_anew_under_its_number_is_another() -> None:
    """The digest counts, not the number alone."""
    second = change(FIRST, ACT, stage="full", champion=replace(ONE, digest="other"), challenger=None)
    assert back([second, FIRST], ACT).champion_digest == "digest 1"
