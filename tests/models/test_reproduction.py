"""What is said of a version that was made again."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from leadgate.leads.project import ModelRules, Project, SearchRules, SplitRules, Thresholds
from leadgate.leads.schema import Feature, FeatureType, LeadSchema
from leadgate.models.card import Card, card_from_json, card_to_json
from leadgate.models.evaluation import evaluate
from leadgate.models.provenance import Provenance
from leadgate.models.reproduction import (
    EXIT_CODES,
    Input,
    Reproduction,
    Result,
    arithmetic,
    commit,
    configuration,
    packages,
    project_of,
    record,
    verdict_of,
)
from leadgate.stats.bands import score_bands

SCHEMA = LeadSchema(
    id="id",
    target="won",
    features=(Feature(name="size", type=FeatureType.NUMERIC), Feature(name="source", type=FeatureType.CATEGORICAL)),
)
FLAGS, SCORES = np.array([True, False, True]), np.array([0.8, 0.2, 0.6])
CARD = Card(
    model_name="m",
    lead=SCHEMA,
    model=ModelRules(),
    split=SplitRules(),
    thresholds=Thresholds(),
    snapshot_version=3,
    snapshot_digest="d" * 64,
    training_leads=10,
    holdout_leads=3,
    model_digest="e" * 64,
    provenance=Provenance(git_commit="c" * 40, git_dirty=True, lock_digest="f" * 64, environment=(), author="ann"),
    trained_at=datetime(2026, 6, 1, tzinfo=UTC),
    evaluation=evaluate(FLAGS, SCORES, 0.5, {}),
    bands=score_bands(FLAGS, SCORES),
    proof=None,
    why_library=None,
    example=(1.0, "web"),
)
THEN = ("python==3.11.2", "numpy==2.3.1", "scikit-learn==1.7.0", "pytest==8.0.0")


def found(inputs: list[Input], results: list[Result], largest: float | None = None) -> Reproduction:
    """An answer of these parts."""
    return Reproduction(
        model_name="m",
        version="1",
        verdict=verdict_of(inputs, results),
        inputs=tuple(inputs),
        results=tuple(results),
        largest_difference=largest,
    )


def test_packages_that_take_part_are_told_from_those_that_stand_by() -> None:
    """Other tests' tools do not make another model; another scikit-learn may, and is named with both versions."""
    assert packages(THEN, THEN).state == "same"
    assert "every package" in packages(THEN, THEN).sentence
    tools = packages(THEN, (*THEN[:3], "pytest==9.0.0", "rich==13.0.0"))
    assert tools.state == "same"
    assert "2 others differ" in tools.sentence
    library = packages(THEN, ("python==3.11.2", "numpy==2.3.1", "scikit_learn==1.8.0"))
    assert library.state == "other"
    assert "scikit-learn 1.7.0 (now 1.8.0)" in library.sentence
    assert "numpy" not in library.sentence.split("Where")[0]
    gone = packages((*THEN, "leadgate==0.1.0"), (*THEN, "leadgate==0.2.0"))
    assert "leadgate 0.1.0 (now 0.2.0)" in gone.sentence


def test_another_kernel_is_told_with_the_way_back() -> None:
    """OpenBLAS can be told to sum as it did on the older processor; without a record nothing is claimed."""
    then = ("processor x86_64", "openblas 0.3.30 Haswell")
    assert arithmetic(then, then).state == "same"
    other = arithmetic(then, ("processor x86_64", "openblas 0.3.30 SkylakeX"))
    assert other.state == "other"
    assert "OPENBLAS_CORETYPE=Haswell" in other.sentence
    assert arithmetic((), then).state == "unknown"


@pytest.mark.parametrize(
    ("then", "now", "said"),
    (
        (("openblas 1 A",), ("openblas 1 B",), "otherwise: it was openblas 1 A, it is openblas 1 B. "),
        (("numpy X", "openblas 1 A"), ("numpy X",), "otherwise: here is no openblas 1 A, which it was trained with. "),
        (("numpy X",), ("numpy X", "mkl 2 None"), "otherwise: here is mkl 2 None besides what it was trained with. "),
    ),
)
def test_what_sums_otherwise_is_a_sentence_on_either_side(
    then: tuple[str, ...], now: tuple[str, ...], said: str
) -> None:
    """A library can be another one, be missing, or be one more than there was."""
    assert said in arithmetic(then, now).sentence


def test_what_leadgate_yaml_says_now_is_told_and_not_used() -> None:
    """A type that changed, a feature that is gone or new, other settings; the card's own are trained with."""
    assert configuration(CARD, Project(name="m", lead=SCHEMA)).state == "same"
    changed = (Feature(name="size", type=FeatureType.CATEGORICAL), Feature(name="pages", type=FeatureType.NUMERIC))
    present = Project(lead=SCHEMA.model_copy(update={"features": changed}), model=ModelRules(seed=7))
    said = configuration(CARD, present)
    assert said.state == "other"
    for part in (
        "'size' was numeric and is categorical",
        "feature 'source' is gone",
        "feature 'pages' is new",
        "model",
    ):
        assert part in said.sentence
    assert project_of(CARD).lead == SCHEMA
    assert project_of(CARD).model.seed == 42


def test_what_a_search_found_in_the_declared_grid_is_as_declared() -> None:
    """C of the grid is no change of leadgate.yaml; C outside of it is, and so is a setting that nobody searches."""
    search = SearchRules(grid={"C": (0.1, 1.0)})
    declared = ModelRules(hyperparameters={"C": 1.0, "tol": 0.01}, search=search)
    present = Project(lead=SCHEMA, model=declared)

    def card(**found: float) -> Card:
        return replace(CARD, model=declared.model_copy(update={"hyperparameters": found}), searched="C 0.1: better")

    assert configuration(card(C=0.1, tol=0.01), present).state == "same"
    assert configuration(card(C=0.2, tol=0.01), present).state == "other"
    assert configuration(card(C=0.1, tol=0.02), present).state == "other"
    assert configuration(replace(card(C=0.1, tol=0.01), searched=None), present).state == "other"


def test_a_tag_that_does_not_say_what_the_card_says_is_named() -> None:
    """Tags can be changed by anybody who may write to MLflow; the card's digest is recorded."""
    tags = {
        "data_snapshot_version": "3",
        "data_snapshot_digest": "d" * 64,
        "feature_set_hash": SCHEMA.digest,
        "model_digest": "e" * 64,
        "lock_digest": "f" * 64,
    }
    assert record(CARD, tags).state == "same"
    wrong = record(CARD, {**tags, "feature_set_hash": "0" * 64})
    assert (wrong.state, "feature_set_hash" in wrong.sentence) == ("other", True)


@pytest.mark.parametrize(("now", "state"), (("c" * 40, "same"), ("a" * 40, "other"), (None, "other")))
def test_the_commit_is_compared_and_dirt_is_told(now: str | None, state: str) -> None:
    """Uncommitted changes of that day cannot be seen again, which the reader must know."""
    said = commit(CARD.provenance, now)
    assert said.state == state
    assert "uncommitted" in said.sentence
    assert commit(replace(CARD.provenance, git_commit=None), now).state == "unknown"


GOOD, BAD = (Result(what=f"digest {same}", same=same, recorded="a", made="b") for same in (True, False))
UNSEEN = Result(what="scores", same=None, recorded=None, made="b")
FINE, GONE = (Input(what="snapshot", state=state, sentence=f"It is {state}.") for state in ("same", "gone"))
PACKAGES = Input(what="packages", state="other", sentence="scikit-learn is another.")


@pytest.mark.parametrize(
    ("inputs", "results", "code", "said"),
    (
        ([FINE], [GOOD, GOOD], 0, "the same to the last bit"),
        ([PACKAGES], [GOOD], 0, "the same to the last bit"),
        ([PACKAGES], [GOOD, BAD], 1, "not the same: digest False. scikit-learn is another."),
        ([FINE], [BAD], 1, "Every input is as it was; please report it"),
        ([GONE], [], 3, "cannot be made again. It is gone."),
        ([GONE], [GOOD, UNSEEN], 3, "cannot be held against all of its record. It is gone."),
    ),
)
def test_the_verdict_and_its_sentence(inputs: list[Input], results: list[Result], code: int, said: str) -> None:
    """Identical only where everything was compared; what differs comes with the input that explains it."""
    answer = found(inputs, results)
    assert EXIT_CODES[answer.verdict] == code
    assert said in answer.sentence


def test_how_far_scores_are_apart_is_told() -> None:
    """The last bits and a quite different model are not the same news."""
    assert "differ by up to 3.0e-16" in found([FINE], [BAD], 3e-16).sentence


def test_a_card_of_an_earlier_leadgate_is_read() -> None:
    """It has no record of the arithmetic, which is then said to be unknown."""
    text = card_to_json(CARD)
    assert b'"arithmetic": []' in text
    older = text.replace(b',\n  "arithmetic": []', b"")
    assert older != text
    assert card_from_json(older).provenance.arithmetic == ()
