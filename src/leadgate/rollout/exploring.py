"""Which leads are explored, and what priority they get (quiet).

Sales work what is scored high, so what becomes of leads leans to the scores. Of some leads, drawn by a hash of their
id, the priority is ``high`` whatever the score says: what becomes of them says how good the scores are. The hash is
that of the routes under a salt of its own, so that it says nothing of a lead's side in a rollout; and as the share
grows, a lead that is explored stays so. See docs/feedback-bias.md.
"""

from leadgate.rollout.routing import BUCKETS, bucket

EXPLORED_PRIORITY = "high"
"""Of every explored lead: only one that is worked like the best says what it is worth."""

_SALT = "exploration"


def is_explored(buckets: int, lead_id: str) -> bool:
    """Whether a lead is among those that are explored; ``buckets``, of 10,000, are."""
    return bucket(_SALT, lead_id) < buckets


def explored_buckets(share: float) -> int:
    """How many buckets a share of the leads takes."""
    return round(share * BUCKETS)
