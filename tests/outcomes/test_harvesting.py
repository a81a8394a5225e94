"""What can be learnt from scored leads, and what cannot be known of them yet."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from leadgate.leads.frames import filled
from leadgate.leads.project import OutcomeRules
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.outcomes.harvesting import Harvest, harvest, known_until

DAY = timedelta(days=1)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")
SCHEMA = LeadSchema(
    id="lead",
    timestamp="created",
    target="won",
    converted_when="closed",
    features=(
        Feature(name="size", type=FeatureType.NUMERIC),
        Feature(name="source", type=FeatureType.CATEGORICAL),
        Feature(name="demo", type=FeatureType.BOOLEAN),
        Feature(name="call", type=FeatureType.NUMERIC, use=False),
    ),
)
LOST = OutcomeRules(window_days=30, silence_means="not_converted")
UNKNOWN = OutcomeRules(window_days=30)


def scored(*leads: tuple[str, float, dict[str, object]]) -> pl.DataFrame:
    """First scores: lead, day, features."""
    return pl.DataFrame(
        [(lead, BEGAN + day * DAY, "1", 0.5, json.dumps(values)) for lead, day, values in leads],
        schema={
            "lead_id": pl.String,
            "scored_at": TIME,
            "model_version": pl.String,
            "predicted_score": pl.Float64,
            "features": pl.String,
        },
        orient="row",
    )


def told(*outcomes: tuple[str, bool, float]) -> pl.DataFrame:
    """Last outcomes: lead, converted, day; the CRM tells of another lead from the first day on."""
    return pl.DataFrame(
        [(lead, won, None, None, BEGAN + day * DAY) for lead, won, day in (*outcomes, ("another", False, 0))],
        schema={
            "lead_id": pl.String,
            "converted": pl.Boolean,
            "deal_size": pl.Float64,
            "days_to_close": pl.Float64,
            "outcome_at": TIME,
        },
        orient="row",
    )


def labels(found: Harvest) -> dict[str, bool]:
    """The outcome of each lead that is learnt from."""
    return dict(zip(found.leads["lead"], found.leads["won"], strict=True))


def test_a_lead_whose_outcome_may_still_come_is_not_lost() -> None:
    """The window has to pass, in either sense of silence; and a conversion after it is none."""
    leads = scored(*((name, day, {}) for name, day in (("early", 0), ("silent", 1), ("young", 20), ("late", 2))))
    heard = told(("early", True, 10), ("late", True, 40))
    assert labels(harvest(leads, heard, SCHEMA, LOST, BEGAN + 45 * DAY)) == {
        "early": True,
        "silent": False,
        "late": False,
    }
    assert labels(harvest(leads, heard, SCHEMA, UNKNOWN, BEGAN + 45 * DAY)) == {"early": True, "late": False}
    assert labels(harvest(leads, heard, SCHEMA, LOST, BEGAN + 29 * DAY)) == {}


def test_silence_during_an_outage_is_not_a_loss() -> None:
    """Leads whose window overlaps it are withheld, also those whose outcome came.

    Else only losses would be missing. Where silence is no loss, an outage takes both alike and nothing is withheld.
    """
    leads = scored(("before", 0, {}), ("during", 20, {}), ("heard", 21, {}), ("after", 60, {}))
    outage, heard = (BEGAN + 35 * DAY, BEGAN + 50 * DAY), told(("heard", True, 30))
    found = harvest(leads, heard, SCHEMA, LOST, BEGAN + 100 * DAY, outages=[outage])
    assert labels(found) == {"before": False, "after": False}
    assert (found.withheld, found.unheard) == (2, frozenset(("before", "after")))
    found = harvest(leads, heard, SCHEMA, UNKNOWN, BEGAN + 100 * DAY, outages=[outage])
    assert (labels(found), found.withheld, found.unheard) == ({"heard": True}, 0, frozenset())


def test_what_was_scored_before_the_crm_told_anything_is_not_known() -> None:
    """The CRM was connected a month after the first scores, and tells of wins from then on, two days after a score."""
    leads = scored(("early", 5, {}), ("late", 35, {}), ("won", 31, {}), ("won too", 40, {}), ("batch", 31, {}))
    outcomes = told(("early", True, 33), ("won", True, 33), ("won too", True, 42)).filter(pl.col("converted"))
    found = harvest(leads, outcomes, SCHEMA, LOST, BEGAN + 100 * DAY)
    assert labels(found) == {"late": False, "won": True, "won too": True, "batch": False}
    assert found.withheld == 1


def test_an_outage_does_not_make_leads_convert_more_often() -> None:
    """A tenth of a year's leads convert; a week without deliveries leaves that share as it is, to chance."""
    rng = np.random.default_rng(8)
    leads = scored(*((f"L{i}", day, {}) for i, day in enumerate(rng.uniform(0, 360, 6_000))))
    begin, end = BEGAN + 200 * DAY, BEGAN + 207 * DAY
    won = [
        (lead, True, (at - BEGAN) / DAY + 10)
        for lead, at in leads.filter(pl.Series(rng.random(6_000) < 0.1)).select("lead_id", "scored_at").iter_rows()
        if not begin <= at + 10 * DAY < end
    ]
    found = harvest(leads, told(*won), SCHEMA, LOST, BEGAN + 500 * DAY, outages=[(begin, end)])
    assert found.withheld > 300
    for since in (0, 170):  # all of them, and the two months around it
        part = found.leads.filter(pl.col("created").is_between(BEGAN + since * DAY, BEGAN + 230 * DAY))
        assert abs(float(part["won"].mean()) - 0.1) < 0.03  # type: ignore[arg-type]


def test_what_the_model_saw_is_what_is_learnt() -> None:
    """Features in use with their types; nulls, and values of another type than today's, are missing."""
    leads = scored(
        ("a", 0, {"size": 3, "source": "web", "demo": True}), ("b", 0, {"size": "many", "source": 4, "demo": None})
    )
    found = harvest(leads, told(("a", True, 5), ("b", False, 5)), SCHEMA, UNKNOWN, BEGAN + 45 * DAY).leads
    assert found.columns == ["lead", "created", "won", "size", "source", "demo"]
    assert found.sort("lead").rows() == [("a", BEGAN, True, 3.0, "web", True), ("b", BEGAN, False, None, None, None)]


def test_a_column_that_scores_did_not_take_keeps_what_was_imported() -> None:
    """A new feature would else be missing for every lead that was scored before, and be asked for with values."""
    leads = scored(("a", 0, {"size": 3}), ("b", 0, {"size": 4, "source": None}), ("new", 0, {"size": 5}))
    outcomes = told(("a", True, 5), ("b", False, 5), ("new", False, 5))
    found = harvest(leads, outcomes, SCHEMA, UNKNOWN, BEGAN + 45 * DAY)
    assert found.unlogged == {"source": {"a", "new"}, "demo": {"a", "b", "new"}}
    imported = pl.DataFrame(
        [("a", 1.0, "web", True), ("b", 1.0, "fair", False)],
        schema={"lead": pl.String, "size": pl.Float64, "source": pl.String, "demo": pl.Boolean},
        orient="row",
    )
    laid = filled(found.leads, imported, found.unlogged, "lead")
    assert laid.columns == found.leads.columns
    assert laid.select("lead", "size", "source", "demo").sort("lead").rows() == [
        ("a", 3.0, "web", True),
        ("b", 4.0, None, False),
        ("new", 5.0, None, None),
    ]


def test_nothing_is_known_after_the_last_delivery() -> None:
    """A CRM that is silent for long is out; one that delivers each week is not."""
    daily = [(BEGAN + day * DAY, 5) for day in (*range(20), *range(30, 40))]
    until, outages = known_until(BEGAN + 90 * DAY, daily, 96)
    assert until == BEGAN + 39 * DAY + timedelta(hours=1)
    assert outages == [(BEGAN + 19 * DAY, BEGAN + 30 * DAY)]
    weekly = [(BEGAN + day * DAY, 100) for day in range(0, 70, 7)]
    assert known_until(BEGAN + 64 * DAY, weekly, 96) == (BEGAN + 63 * DAY + timedelta(hours=1), [])
    nothing, _ = known_until(BEGAN, [], 96)
    assert nothing < BEGAN - 10_000 * DAY


def test_a_crm_that_loses_most_outcomes_is_out_though_it_delivers() -> None:
    """Twenty a day, and for two weeks two a day; weeks of half as many are no outage, nor is a team that grows."""
    daily = [(BEGAN + day * DAY, 2 if 100 <= day < 114 else 20) for day in range(200)]
    _, outages = known_until(BEGAN + 200 * DAY, daily, 96)
    lost = [day for day in range(200) if any(a <= BEGAN + (day + 0.5) * DAY < b for a, b in outages)]
    assert {*range(100, 113)} <= {*lost} <= {*range(99, 114)}
    usual = [(BEGAN + day * DAY, 10 if day % 30 < 10 else 20) for day in range(200)]
    growing = [(BEGAN + day * DAY, 5 + day // 4) for day in range(200)]
    fortnightly = [(BEGAN + day * DAY, 300) for day in range(0, 200, 14)]
    for hours in (usual, growing, fortnightly):
        assert known_until(BEGAN + 200 * DAY, hours, 96)[1] == []


def test_a_team_of_few_leads_has_long_pauses_and_no_outage() -> None:
    """Five outcomes a week, at random, for a year: hardly a pause is called an outage; a month without any is."""
    rng = np.random.default_rng(3)
    times = [BEGAN + float(day) * DAY for day in np.cumsum(rng.exponential(7 / 5, 260))]
    seldom = [(at, 1) for at in times]
    _, outages = known_until(times[-1], seldom, 96)
    assert len(outages) <= 1
    later = [(at if i < 200 else at + 30 * DAY, 1) for i, at in enumerate(times)]
    _, outages = known_until(later[-1][0], later, 96)
    assert (later[199][0], later[200][0]) in outages
