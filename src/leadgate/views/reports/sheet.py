"""What the registry knows of a version, as tables and charts (quiet)."""

from leadgate.views.reports.blocks import calibration_chart
from leadgate.views.reports.facts import VersionFacts
from leadgate.views.reports.phrases import (
    FIGURE,
    SHARE,
    Row,
    said,
    table,
    with_interval,
)
from leadgate.views.reports.report import Chart, Cited, Series, Table, Text

_MOST_FEATURES = 20
"""In a chart of importance."""


def lineage(version: VersionFacts) -> Table:
    """What a version is made of, and by whom."""
    known, tags = version.known, ("version", "tags")
    facts: list[tuple[str, Cited | str]] = [
        ("model", known.quote("card", "model", "kind")),
        ("snapshot of leads", known.number("card", "snapshot_version", form="{}")),
        ("its digest", known.quote("card", "snapshot_digest")),
        ("feature set, digest", known.quote(*tags, "feature_set_hash")),
        ("model, digest", known.quote("card", "model_digest")),
        ("Git commit", known.quote(*tags, "git_commit")),
        ("lock file, digest", known.quote(*tags, "lock_digest")),
        ("trained by", known.quote("card", "provenance", "author")),
        ("trained at", known.quote("card", "trained_at")),
        ("leads trained on", known.number("card", "training_leads")),
        ("leads held out", known.number("card", "holdout_leads")),
        ("scored by", known.quote(*tags, "scorer")),
    ]
    settings = known.get("card", "model", "hyperparameters") or {}
    facts += [(f"setting {name}", known.quote("card", "model", "hyperparameters", name)) for name in settings]
    return table(f"Version {version.number}", "what|value", facts)


def holdout(version: VersionFacts) -> Table:
    """The figures of a version's hold-out."""
    known, at = version.known, ("card", "evaluation", "overall")

    def figure(name: str) -> Text:
        return with_interval(known, (*at, name), (*at, f"{name}_interval"), FIGURE)

    rows: list[Row] = [
        ("AUC (95 %)", figure("auc")),
        (said("precision above ", known.number(*at, "threshold", form="{:g}")), figure("precision")),
        ("recall", figure("recall")),
        ("calibration error", known.number(*at, "calibration_error", form=FIGURE)),
        ("Brier score", known.number(*at, "brier", form="{:.4f}")),
        ("converted", known.number(*at, "base_rate", form=SHARE)),
        ("leads", known.number(*at, "leads")),
    ]
    return table(f"Version {version.number} on the leads that it was not trained on", "figure|value", rows, " r")


def importance(version: VersionFacts) -> Chart | None:
    """Which features a version leans on; None where it does not say."""
    known, names = version.known, version.ranked_features[:_MOST_FEATURES]
    if not names:
        return None
    weights = known.get("importance") or {}
    rows = [(name, known.number("importance", name, form="{:.4f}")) for name in names]
    return Chart(
        title=f"Feature importance of version {version.number}",
        alt=f"Bars of how much AUC version {version.number} loses without each feature; {names[0]} matters most.",
        kind="bars",
        x="AUC lost when the feature's values are shuffled",
        y="",
        series=(Series(name="importance", x=tuple(range(len(names))), y=tuple(weights[n] for n in names)),),
        labels=tuple(names),
        table=table(f"Features of version {version.number} by importance", "feature|AUC lost without it", rows, " r"),
    )


def holdout_calibration(version: VersionFacts) -> Chart:
    """Predicted against actual conversion on the hold-out."""
    known, at = version.known, ("card", "evaluation", "calibration")
    bins = known.get(*at) or []
    rows = [
        (
            said(known.number(*at, i, "low", form=FIGURE), " to ", known.number(*at, i, "high", form=FIGURE)),
            known.number(*at, i, "leads"),
            known.number(*at, i, "mean_score", form=SHARE),
            with_interval(known, (*at, i, "rate"), (*at, i, "interval"), SHARE),
        )
        for i in range(len(bins))
    ]
    return calibration_chart(
        f"Calibration of version {version.number} on its hold-out",
        [b["mean_score"] for b in bins],
        [b["rate"] for b in bins],
        [(b["interval"]["low"], b["interval"]["high"]) for b in bins],
        rows,
    )


def holdout_segments(version: VersionFacts) -> Table:
    """The figures of each segment of the hold-out."""
    known, at = version.known, ("card", "evaluation", "segments")

    def auc(i: int) -> Text:
        return with_interval(known, (*at, i, "scores", "auc"), (*at, i, "scores", "auc_interval"), FIGURE)

    rows = [
        (
            known.quote(*at, i, "segment"),
            known.quote(*at, i, "value"),
            known.number(*at, i, "scores", "leads"),
            known.number(*at, i, "scores", "base_rate", form=SHARE),
            auc(i),
        )
        for i in range(len(known.get(*at) or ()))
    ]
    return table(
        f"Segments of version {version.number}'s hold-out", "feature|value|leads|converted|AUC (95 %)", rows, "  rrr"
    )
