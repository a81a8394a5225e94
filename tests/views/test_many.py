"""Pages of projects with more features and alerts than anybody reads."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from leadgate.storage.postgres.alerts import AlertRow, add_alert
from leadgate.storage.postgres.checks import CheckResult, add_results
from leadgate.storage.postgres.connection import connect
from shown import shown

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
LIGHT = 600_000
"""Bytes of a page."""
MANY = 1_000


def test_a_thousand_features_and_alerts_do_not_make_a_page_heavy(tmp_path: Path, database: str) -> None:
    """The most urgent are shown, the others counted; a feature that is asked for is shown wherever it ranks."""
    with connect(database) as connection:
        add_results(connection, [_drifted(i) for i in range(MANY)])
        for i in range(MANY // 4):
            add_alert(connection, _open(f"f{i}"))
    with shown(tmp_path, database, NOW) as site:
        drift = site.page(f"/ui/drift?feature=f{MANY - 1}")
        alerts = site.page("/ui/alerts")
    assert max(len(page.html.encode()) for page in (drift, alerts)) < LIGHT
    assert "f0" in drift.text
    assert f"f{MANY - 1}" in drift.text
    assert "and 799 more, none more urgent" in drift.text
    assert "250 alerts are open" in alerts.text
    assert "and 150 more, none more urgent" in alerts.text


def _drifted(number: int) -> CheckResult:
    """The fewer the number the more urgent."""
    return CheckResult(
        run_id="019e0000-0000-7000-8000-000000000001",
        model_name="lead-scoring",
        checked_at=NOW - timedelta(minutes=5),
        since=NOW - timedelta(days=7, minutes=5),
        until=NOW - timedelta(minutes=5),
        area="drift",
        check_name="feature drift",
        subject=f"f{number}",
        severity="red" if number < MANY // 2 else "green",
        sentence="KS 0.31 (limit 0.25), PSI 0.4: beyond chance",
        value=1.0 - number / MANY,
        threshold=0.25,
        low=None,
        high=None,
        level=None,
        sample=1_000,
        p_value=0.0001,
        family="drift",
        weight=1.0,
        details={"by": "KS", "ks": 0.31},
    )


def _open(subject: str) -> AlertRow:
    return AlertRow(
        alert_id=0,
        model_name="lead-scoring",
        area="drift",
        check_name="feature drift",
        subject=subject,
        cause="data",
        state="firing",
        severity="yellow",
        severity_since=NOW,
        sentence="KS 0.31 (limit 0.25), PSI 0.4: beyond chance",
        opened_at=NOW,
        raised_by=[604_800.0],
        told_severity=None,
        told_at=None,
        acknowledged_at=None,
        acknowledged_by=None,
        resolved_at=None,
    )
