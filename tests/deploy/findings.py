"""A run of checks whose findings are known."""

from datetime import datetime, timedelta

from leadgate.storage.postgres.checks import CheckResult, add_results
from leadgate.storage.postgres.connection import Connection

FINDINGS: tuple[tuple[str, str, str, str, float | None, float | None, dict[str, float | str | None]], ...] = (
    # area, check, subject, severity, value, threshold, details
    ("system", "latency p95", "", "green", 12.0, 100.0, {}),
    ("system", "latency p99", "", "green", 40.0, 200.0, {}),
    ("system", "error rate", "", "green", 0.0004, 0.005, {}),
    ("system", "uptime", "", "green", 0.9995, 0.999, {"silent_s": 3.0}),
    ("system", "freshness", "", "green", 0.2, 4.0, {}),
    ("system", "coverage", "", "yellow", 0.93, 0.95, {}),
    ("model", "AUC", "champion", "green", 0.88, 0.85, {"holdout": 0.89, "floor": 0.85}),
    ("model", "AUC", "challenger", "red", 0.70, 0.85, {"holdout": 0.89, "floor": 0.85}),
    ("model", "precision", "champion", "green", 0.84, 0.80, {}),
    ("model", "recall", "champion", "green", 0.83, 0.80, {}),
    ("model", "calibration", "champion", "green", 0.03, 0.05, {}),
    (
        "scores",
        "score drift",
        "champion",
        "green",
        0.02,
        0.05,
        {
            "by": "median shift",
            "median shift": 0.02,
            "percentile change": 0.08,
            "KS": 0.05,
            "JS divergence": 0.01,
            "p10": 0.1,
            "p25": 0.2,
            "p50": 0.3,
            "p75": 0.5,
            "p90": 0.8,
            "mean": 0.36,
            "mean_of_holdout": 0.35,
        },
    ),
    (
        "scores",
        "score drift",
        "challenger",
        "green",
        0.01,
        0.05,
        {
            "by": "median shift",
            "median shift": 0.01,
            "percentile change": 0.02,
            "KS": 0.04,
            "JS divergence": 0.01,
            "p10": 0.1,
            "p25": 0.2,
            "p50": 0.3,
            "p75": 0.5,
            "p90": 0.8,
            "mean": 0.36,
            "mean_of_holdout": 0.35,
        },
    ),
    ("scores", "score entropy", "champion", "green", 0.1, 0.25, {"entropy": 2.1, "entropy_of_holdout": 2.0}),
    (
        "drift",
        "feature drift",
        "engagement",
        "red",
        0.31,
        0.15,
        {"by": "KS", "ks": 0.31, "js": 0.12, "psi": 0.4, "importance": 0.2},
    ),
    (
        "drift",
        "feature drift",
        "company_size",
        "green",
        0.04,
        0.15,
        {"by": "KS", "ks": 0.04, "js": 0.01, "psi": 0.01, "importance": 0.5},
    ),
    (
        "drift",
        "feature drift",
        "region",
        "yellow",
        0.14,
        0.10,
        {"by": "JS divergence", "ks": None, "js": 0.14, "psi": 0.3, "importance": 0.1},
    ),
    ("data", "missing values", "engagement", "green", 0.004, 0.01, {"share": 0.02, "at_training": 0.016}),
    ("data", "missing values", "region", "green", -0.002, 0.01, {"share": 0.0, "at_training": 0.002}),
    ("data", "new categories", "region", "green", 0.001, 0.01, {"events": 1.0}),
    ("data", "range", "engagement", "green", 0.002, 0.01, {"events": 2.0}),
    ("business", "conversion", "", "green", 0.05, 0.10, {"rate": 0.21, "at_holdout": 0.20, "change": 0.05}),
    ("business", "deal size", "", "green", 0.02, 0.10, {"mean": 12_400.0, "before": 12_150.0, "change": 0.02}),
    ("business", "sales rating", "", "green", 8.4, 8.0, {}),
    ("business", "usage", "", "unknown", 1_210.0, None, {}),
)


def write_findings(connection: Connection, model: str, run_id: str, at: datetime) -> None:
    """Write them down as those of a run over the week before."""
    add_results(
        connection,
        [
            CheckResult(
                run_id=run_id,
                model_name=model,
                checked_at=at,
                since=at - timedelta(days=7),
                until=at,
                area=area,
                check_name=check,
                subject=subject,
                severity=severity,
                sentence=f"{check} {severity}",
                value=value,
                threshold=threshold,
                low=None,
                high=None,
                level=None,
                sample=1_000,
                p_value=0.001,
                family=None,
                weight=1.0,
                details=details,
            )
            for area, check, subject, severity, value, threshold, details in FINDINGS
        ],
    )
