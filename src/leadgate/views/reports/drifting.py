"""What drifted, and whether to train again (quiet)."""

from collections.abc import Sequence
from typing import Any

from leadgate.views.reports.phrases import (
    EXACT,
    FIGURE,
    joined,
    said,
    severity,
    table,
)
from leadgate.views.reports.report import Block, Code, Known, Text

_MOST = ("retraining", "triggers", "drifted_features")
"""Where leadgate.yaml says how many features may drift before that is an emergency; null: any number."""


def drifted(known: Known | None) -> list[int]:
    """The rows of features that drifted."""
    if known is None:
        return []
    return [
        i for i, r in enumerate(known.rows) if r["check_name"] == "feature drift" and r["severity"] in ("yellow", "red")
    ]


def retraining(known: Known | None, settings: Known) -> Text:
    """Whether to train again: a low AUC, more drifted features than leadgate.yaml allows, a low rating."""
    if known is None:
        return ("Whether to train again cannot be said: no check has run.",)
    reasons = [
        said(check, ": ", known.quote(i, "sentence"))
        for check, subject in (("AUC", "champion"), ("estimated AUC", "champion"), ("sales rating", ""))
        for i, row in enumerate(known.rows)
        if row["check_name"] == check and row["subject"] == subject and row["severity"] in ("yellow", "red")
    ]
    away, most = drifted(known), settings.get(*_MOST)
    if most is not None and len(away) > most:
        count = known.computed(len(away), "number of features with feature drift yellow or red", "{:,}")
        reasons.append(said(count, " features drifted: ", joined([(known.quote(i, "subject"),) for i in away])))
    if reasons:
        return said(
            "Train again: ",
            joined(reasons, "; "),
            ". ",
            Code(text="leadgate retrain"),
            "; a version that passes its gates goes into the shadow.",
        )
    judged = any(
        r["check_name"] == "AUC" and r["subject"] == "champion" and r["severity"] == "green" for r in known.rows
    )
    reason = () if most is None else said(" (more than ", settings.number(*_MOST), " would be a reason)")
    few = said(_count(known, away), " drifted", reason)
    if not judged:
        return said(
            "Nothing asks for a training; but its AUC is not known yet, too few leads have matured. Features: ",
            few,
            ".",
        )
    return said("Nothing asks for a training beyond the planned ones: AUC holds, and of the features ", few, ".")


def _count(known: Known, places: Sequence[int]) -> Any:
    """How many rows, as a number of their source."""
    return known.computed(len(places), "number of features with feature drift yellow or red", "{:,}")


def drift(known: Known | None) -> tuple[Block, ...]:
    if known is None:
        return ()
    places = [i for i, row in enumerate(known.rows) if row["check_name"] == "feature drift"]
    rows = [
        (
            known.quote(i, "subject"),
            severity(known.rows[i]["severity"]),
            known.number(i, "details", "ks", form=FIGURE),
            known.number(i, "details", "js", form=FIGURE),
            known.number(i, "details", "psi", form=FIGURE),
            known.number(i, "details", "importance", form="{:.4f}"),
            known.number(i, "p_value", form="{:.2g}"),
            known.quote(i, "sentence"),
        )
        for i in places
    ]
    scores = [
        i for i, row in enumerate(known.rows) if row["area"] == "scores" and row["check_name"] != "segment scores"
    ]
    moved = [
        (
            known.quote(i, "check_name"),
            known.quote(i, "subject"),
            severity(known.rows[i]["severity"]),
            known.number(i, "value", form=EXACT),
            known.number(i, "threshold", form=EXACT),
            known.quote(i, "sentence"),
        )
        for i in scores
    ]
    columns = "feature|stands|KS|JS|PSI|importance|p, adjusted|what was found"
    return (
        table("Features against the training leads", columns, rows, "  rrrrr"),
        table("Scores against the hold-out", "check|of|stands|value|threshold|what was found", moved, "   rr"),
    )
