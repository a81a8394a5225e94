"""The hold-out is stable, of the promised size, and blind to everything but id and date."""

import hashlib
from datetime import UTC, datetime, timedelta

import numpy as np
from scipy import stats

from leadgate.leads.split import bucket, hash_holdout, time_holdout

DAY = datetime(2026, 3, 4, 15, tzinfo=UTC)


def test_bucket_is_the_published_formula() -> None:
    """Anyone can compute it again in SQL or Spark: MD5 of id|date, first 16 hex digits, modulo 10,000."""
    assert bucket("L-1", DAY) == int(hashlib.md5(b"L-1|2026-03-04").hexdigest()[:16], 16) % 10_000


def test_time_of_day_does_not_move_a_lead() -> None:
    """The plan's split is by id and date."""
    assert bucket("L-1", DAY) == bucket("L-1", DAY + timedelta(hours=8, minutes=59))


def test_leads_stay_on_their_side_as_others_come() -> None:
    """A lead that was held out is held out for good, whatever is added or removed around it."""
    ids = [f"L-{i}" for i in range(2_000)]
    whole = hash_holdout(ids, [None] * 2_000, 0.2)
    part = hash_holdout(ids[500:700], [None] * 200, 0.2)
    assert (whole[500:700] == part).all()


def test_the_share_is_kept_and_the_buckets_are_even() -> None:
    """20,000 leads over 100 groups of buckets are uniform (chi-square), and a fifth is held out."""
    buckets = np.array([bucket(f"lead {i}", DAY) for i in range(20_000)])
    assert stats.chisquare(np.bincount(buckets // 100, minlength=100)).pvalue > 0.001
    held = hash_holdout((f"lead {i}" for i in range(20_000)), [DAY] * 20_000, 0.2).mean()
    assert stats.binomtest(round(held * 20_000), 20_000, 0.2).pvalue > 0.001


def test_time_split_holds_out_the_most_recent() -> None:
    """Nothing in the training part is later than anything in the hold-out; a tie stays together."""
    times = np.array([3, 1, 2, 5, 5, 5, 4, 0], dtype="datetime64[s]")
    held = time_holdout(times, 0.25)
    assert times[~held].max() < times[held].min()
    assert held.sum() == 3  # the cut falls among three leads of one moment, and takes all three
