"""The reasons of a score are true of that score, and a version without them says why."""

from dataclasses import replace
from math import log
from typing import Any

import pytest
from msgspec.structs import replace as changed

from leadgate.app.wire import Home
from leadgate.compiled.program import Trees
from leadgate.models.reasons import reasons_of, reasons_of_row
from leadgate.models.scorers import Scored, load
from serviced import Broken, by_library


@pytest.fixture(scope="module", params=("1", "2"), ids=("linear", "trees"))
def scored(workshop: Home, request: pytest.FixtureRequest) -> Scored:
    """Logistic regression, and trees."""
    return load(workshop.registry, workshop.registry.find(request.param))


@pytest.fixture(scope="module")
def trees(workshop: Home) -> Scored:
    """Trees."""
    return load(workshop.registry, workshop.registry.find("2"))


def features_of(scored: Scored, **instead: Any) -> dict[str, Any]:
    """A training lead as the log has it: all that was sent, whatever the version uses."""
    known = {f.name: v for f, v in zip(scored.card.lead.used, scored.card.example, strict=True)}
    return {"something_else": 1.0, **known, **instead}


def test_reasons_are_of_the_score_that_was_answered(scored: Scored) -> None:
    """The score is the scorer's; base and every reason's log-odds add up to its log-odds."""
    found = reasons_of(scored, features_of(scored))
    assert found.score == pytest.approx(scored.scorer.score(scored.card.example), abs=1e-12)
    assert found.score is not None
    assert found.base is not None
    assert found.base + sum(r.log_odds for r in found.reasons) == pytest.approx(
        log(found.score / (1 - found.score)), abs=1e-9
    )
    assert (found.version, found.why_none) == (scored.version.version, None)


def test_the_largest_come_first_and_no_more_than_asked_for_each_way(scored: Scored) -> None:
    """Three for and three against, unless somebody asks for one; the order is that of their size."""
    found = reasons_of(scored, features_of(scored, company_size=2_000.0))
    sizes = [abs(reason.log_odds) for reason in found.reasons]
    assert sizes == sorted(sizes, reverse=True)
    for each in (3, 1):
        top = found.top(each)
        ways = [reason.direction for reason in top]
        assert max(ways.count("raises"), ways.count("lowers")) == each
        assert not any(reason.slight for reason in top)
        assert [r for r in found.reasons if r in top] == list(top)
    assert found.raising(1)[0] == next(r for r in found.reasons if r.log_odds > 0)
    assert found.lowering(1)[0] == next(r for r in found.reasons if r.log_odds < 0)


def test_the_effect_is_the_score_less_the_one_without_the_feature(scored: Scored) -> None:
    """By hand, where the model has no calibration: 1 / (1 + exp(-(sum - contribution))) is what is taken away."""
    found = reasons_of(scored, features_of(scored))
    assert found.score is not None
    odds = found.score / (1 - found.score)
    for reason in found.reasons:
        without = odds / 2.718281828459045**reason.log_odds
        assert reason.effect == pytest.approx(found.score - without / (1 + without), abs=1e-9)
        assert (reason.effect > 0) == (reason.direction == "raises")


def test_a_missing_value_is_one_reason_and_says_so(scored: Scored) -> None:
    """Left out of the log and null in the log are the same: not known."""
    features = features_of(scored, company_size=None)
    found = reasons_of(scored, features)
    del features["company_size"]
    assert reasons_of(scored, features) == found
    (reason,) = [r for r in found.reasons if r.feature == "company_size"]
    assert reason.value is None
    assert reason.sentence.startswith("Company size (not known): ")


def test_a_number_is_told_against_the_training_median(scored: Scored) -> None:
    """The median is in the version's own file, where serving finds it without the registry."""
    assert scored.program is not None
    assert scored.program.medians is not None
    at = [feature.name for feature in scored.card.lead.used].index("company_size")
    median = scored.program.medians[at]
    assert median is not None
    for value, word in ((median * 10, "above"), (median / 10, "below")):
        found = reasons_of(scored, features_of(scored, company_size=value))
        (sentence,) = [r.sentence for r in found.reasons if r.feature == "company_size"]
        assert f", {word} the median of {median:g})" in sentence


def test_a_new_category_is_told(scored: Scored) -> None:
    """The model has learnt nothing of it, which a reader should know."""
    found = reasons_of(scored, features_of(scored, industry="Asteroid mining"))
    told = [r.sentence for r in found.reasons if r.feature == "industry"]
    assert all("Asteroid mining, not seen in training" in sentence for sentence in told)
    assert told


def test_a_version_of_an_earlier_leadgate_says_why_it_has_no_reasons(trees: Scored) -> None:
    """It scores as before; the sentence says what to do."""
    assert trees.program is not None
    model = trees.program.model
    assert isinstance(model, Trees)
    bare = tuple(changed(tree, cover=None) for tree in model.trees)
    old = replace(trees, program=changed(trees.program, model=changed(model, trees=bare), medians=None))
    found = reasons_of(old, features_of(trees))
    assert found.reasons == ()
    assert found.score is None
    assert found.why_none is not None
    assert found.why_none.startswith("There are no reasons for a score of version 2: ")
    assert found.why_none.endswith("train it again to have reasons.")


def test_a_version_served_by_the_library_says_why_it_has_no_reasons(trees: Scored) -> None:
    """The card's own words of why it was not compiled are in the sentence."""
    served = by_library(trees, Broken())
    found = reasons_of_row(served, trees.card.example)
    assert found.reasons == ()
    assert found.why_none == (
        "There are no reasons for a score of version 2: the version is served by the library, because test."
    )
