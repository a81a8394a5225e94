"""Evidence that carries a challenger, to be spoilt by tests one part at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from leadgate.leads.rollout_rules import LiveStage, RolloutRules
from leadgate.records import Interval
from leadgate.rollout.evidence import (
    Approval,
    Evidence,
    ExperimentEvidence,
    FeatureHealth,
    Figure,
    MarginEvidence,
    PairedEvidence,
    PlannedTest,
    Quality,
    RatingEvidence,
    ScoresEvidence,
    Side,
    SustainedEvidence,
    SystemEvidence,
)
from leadgate.rollout.stages import State

NOW = datetime(2026, 9, 1, tzinfo=UTC)
RULES = RolloutRules()


def figure(value: float, half: float = 0.01) -> Figure:
    """A figure with a symmetric interval."""
    return Figure(value=value, interval=Interval(low=value - half, high=value + half))


def quality(auc: float = 0.9, *, error: float = 0.02) -> Quality:
    """Figures of a version."""
    return Quality(
        auc=figure(auc),
        precision=figure(0.85),
        recall=figure(0.84),
        top_precision=figure(0.7),
        calibration_error=figure(error),
    )


def side(matured: int = 25_000, conversions: int = 2_500) -> Side:
    """A side of the test."""
    high, contacted = matured // 5, matured // 4
    return Side(
        exposed=matured + 500, matured=matured, conversions=conversions, silent=0, high=high, contacted=contacted
    )


NO_WORSE = MarginEvidence(change=0.01, interval=Interval(low=-0.02, high=0.04), verdict="no worse", leads=2_000)


def trial(**changes: object) -> ExperimentEvidence:
    """A test that the challenger won."""
    won = ExperimentEvidence(
        control=side(),
        treatment=side(conversions=2_800),
        left_out=120,
        planned=24_000,
        share=0.5,
        ratio_p=0.4,
        difference=0.012,
        variance=7.6e-6,
        reduction=0.1,
        sequence=Interval(low=0.002, high=0.022),
        harm=-20.0,
        harm_threshold=3.0,
        test=PlannedTest(
            control_conversions=2_400,
            treatment_conversions=2_690,
            leads=24_000,
            p_value=1e-4,
            lift=0.12,
            interval=Interval(low=0.06, high=0.18),
        ),
        silent_p=0.6,
        deal_size=NO_WORSE,
        deal_size_ratio=1.01,
        deal_size_p=0.5,
        days_to_close=NO_WORSE,
        slower_p=0.5,
        segments=(),
        auc=figure(0.9),
    )
    return replace(won, **changes)  # type: ignore[arg-type]


def system(since: datetime) -> SystemEvidence:
    """A service that is well."""
    return SystemEvidence(
        since=since,
        until=NOW,
        requests=500_000,
        failures=10,
        p95_ms=0.5,
        p99_ms=1.0,
        challenger_p99_ms=1.0,
        challenger_answers=200_000,
        challenger_failures=4,
        shadow_asked=490_000,
        shadow_failed=5,
        memory_mb=95.0,
        capacity=30_000.0,
    )


def good(stage: LiveStage, *, days: float = 40.0) -> Evidence:
    """Evidence with which every gate of a stage passes."""
    since = NOW - timedelta(days=days)
    return Evidence(
        as_of=NOW,
        state=State(stage=stage, since=since),
        scored=30_000,
        system=system(since),
        recent=replace(system(since), requests=700, failures=0),
        paired=PairedEvidence(
            leads=4_000,
            conversions=500,
            champion=quality(0.89),
            challenger=quality(),
            auc_difference=figure(0.01, 0.005),
            calibration_difference=figure(0.0, 0.005),
            decision=0.5,
        ),
        scores=ScoresEvidence(
            leads=9_000,
            mean_delta=0.0,
            absolute_delta=0.02,
            agreement=0.9,
            champion_quartiles=(0.1, 0.2, 0.4),
            challenger_quartiles=(0.1, 0.21, 0.41),
            capacity=0.2,
            overlap=0.8,
            churn=0.2,
            champion_high=0.1,
            challenger_high=0.1,
            matched_high=0.7,
            matched_medium=0.4,
            worst=(),
        ),
        data=(
            FeatureHealth(feature="size", leads=9_000, missing=90, unknown=0, leads_before=9_000, missing_before=88),
        ),
        ratings=RatingEvidence(ratings=12, raters=4, mean=8.6),
        experiment=trial() if stage in ("canary", "ab_test") else None,
        sustained=SustainedEvidence(
            before=side(),
            now=side(5_000, 560),
            change=0.12,
            interval=Interval(low=0.02, high=0.22),
            auc=figure(0.9),
        )
        if stage == "full"
        else None,
        approvals=tuple(
            Approval(stage=s, stage_since=since, approved_by="Ada", approved_at=NOW, comment="fine")
            for s in RULES.sign_off
        ),
    )
