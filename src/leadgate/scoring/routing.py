"""Moved to leadgate.rollout.routing."""

from leadgate.rollout.routing import *  # noqa: F403
from leadgate.rollout.routing import BUCKETS, Act, Named, back, bucket, change, first_route, has_challenger  # noqa: F401
