"""Two registered versions on the leads that both held out."""

import io

import polars as pl

from leadgate.errors import RefusedError
from leadgate.models.evaluation import Comparison, compare
from leadgate.models.registry import Registry, Version


def compare_versions(registry: Registry, a: Version, b: Version) -> Comparison:
    """Compare two versions on their common hold-out leads, from the scores recorded at registration.

    A lead whose label was corrected between the two trainings counts with the label of the later one. Raises
    RefusedError when the versions hold out no lead in common.
    """
    scores_a, scores_b = (pl.read_parquet(io.BytesIO(registry.holdout(version))) for version in (a, b))
    both = scores_a.join(scores_b, on="id", suffix="_b").sort("id")
    if both.is_empty():
        raise RefusedError(
            f"Versions {a.version} and {b.version} hold out no lead in common; train them with the same split."
        )
    label = "converted" if int(a.version) > int(b.version) else "converted_b"
    threshold = registry.card(b).thresholds.decision
    return compare(both[label].to_numpy(), both["score"].to_numpy(), both["score_b"].to_numpy(), threshold)
