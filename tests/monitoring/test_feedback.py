"""The check of feedback bias, on worlds whose truth is known."""

import numpy as np
import pytest

from leadgate.leads.layout import SCORE_EDGES
from leadgate.leads.monitoring_rules import ModelRules, MonitoringRules
from leadgate.monitoring.feedback import Explored, feedback_bias
from leadgate.monitoring.model import Matured
from leadgate.simulator.following import Following, Leads, Lived, live
from leadgate.simulator.team import Team
from leadgate.stats.explored import Part

RULES = MonitoringRules()
BINS = len(SCORE_EDGES) + 1
_PROBABILITY = np.random.default_rng(5).beta(1.2, 3.5, 50_000) * 0.8
LEADS = Leads(probability=_PROBABILITY, score=_PROBABILITY)
ALIKE = Following(worked=dict.fromkeys(("high", "medium", "low"), 0.6))


def counts(lived: Lived, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Won and lost leads by bin."""
    places, won = np.searchsorted(SCORE_EDGES, lived.score[mask]), lived.converted[mask]
    return np.bincount(places[won], minlength=BINS), np.bincount(places[~won], minlength=BINS)


def seen(following: Following, *, share: float, seed: int = 1, n: int = 20_000) -> tuple[Matured, Explored]:
    """What the check sees of a world."""
    lived = live(LEADS, following, Team(), n=n, share=share, rng=np.random.default_rng(seed))
    own, drawn, known = lived.own_high, lived.explored, lived.known
    won, lost = counts(lived, known)
    high, others = counts(lived, own & known), counts(lived, ~own & drawn & known)
    return Matured(won=won, lost=lost), Explored(
        high=Part(leads=int(own.sum()), won=high[0], lost=high[1]),
        others=Part(leads=int((~own).sum()), won=others[0], lost=others[1]),
        drawn_high=counts(lived, own & drawn & known),
    )


@pytest.mark.parametrize(("silent", "way"), ((False, "too high"), (True, "too low")))
def test_following_the_scores_is_told(silent: bool, way: str) -> None:
    """Leads closed unworked flatter the scores, leads never heard of belittle them; both are told, with the way."""
    (finding,) = feedback_bias(*seen(Following(silent=silent), share=0.1), RULES, "champion")
    assert finding.severity == "yellow"
    assert way in finding.sentence
    assert finding.interval is not None
    ordinary = finding.details["ordinary"]
    assert isinstance(ordinary, float)
    assert not finding.interval.low <= ordinary <= finding.interval.high


def test_a_team_that_works_all_leads_alike_is_no_alarm() -> None:
    """Then both figures say the same, and nobody is bothered."""
    found = [feedback_bias(*seen(ALIKE, share=0.1, seed=seed), RULES, "champion")[0] for seed in range(20)]
    assert [f.severity for f in found] == ["green"] * 20


def test_few_explored_leads_say_nothing_yet() -> None:
    """With some dozens there is no figure, and how many conversions it takes is told."""
    (finding,) = feedback_bias(*seen(Following(), share=0.003, n=10_000), RULES, "champion")
    assert (finding.severity, finding.value) == ("unknown", None)
    assert "30 are needed" in finding.sentence


def test_who_does_not_explore_hears_nothing_of_it() -> None:
    """No lead was explored, or leadgate.yaml does not ask: no row of the dashboard is spent on it."""
    matured, explored = seen(Following(), share=0.1)
    unasked = RULES.model_copy(update={"model": ModelRules(feedback_bias=None)})
    assert feedback_bias(matured, None, RULES, "champion") == []
    assert feedback_bias(matured, explored, unasked, "champion") == []
