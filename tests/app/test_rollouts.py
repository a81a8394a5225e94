"""A rollout meets the registry: what cannot go is refused, and the registry says what the routes say."""

from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from leadgate.app.rollouts import act, evaluate, every_rollout, reconcile, start
from leadgate.app.routing import promote, roll_back, route_in_force
from leadgate.app.wire import Home
from leadgate.compiled.compiler import CannotCompileError
from leadgate.errors import BadConfigError, LeadgateError, RefusedError
from leadgate.leads.project import parse_project
from leadgate.leads.rollout_rules import RolloutRules
from leadgate.models.registry import Registry
from leadgate.rollout import controller
from leadgate.rollout.moving import Person
from leadgate.storage.postgres.routes import routes_of
from workshop import train_version


@pytest.fixture
def home(own_workshop: Home) -> Home:
    """A project with two versions: 1 is champion, 2 its challenger."""
    return own_workshop


def rules(home: Home, **changed: Any) -> None:
    """Other rules for what comes."""
    changes = {"rollout": RolloutRules.model_validate(changed)}
    home.__dict__["project"] = home.project.model_copy(update=changes)


def untouched(home: Home) -> tuple[int, int]:
    """How many routes and rollouts there are."""
    with home.connection() as connection:
        return len(routes_of(connection, home.project.name)), len(every_rollout(home))


def aliases(home: Home) -> dict[str, tuple[str, ...]]:
    """The aliases of each version."""
    return {v.version: v.aliases for v in home.registry.versions()}


def archived(home: Home) -> set[str]:
    """The versions that are marked as such."""
    return {v.version for v in home.registry.versions() if "archived_at" in v.tags}


def test_what_cannot_challenge_is_refused_and_nothing_moves(home: Home) -> None:
    """A version that nobody registered, the champion itself, the champion's twin."""
    train_version(home)  # the same snapshot and settings: the same model
    route_in_force(home)
    before = untouched(home)
    for which, said in (("99", "99"), ("1", "cannot challenge itself"), ("3", "same model as the champion")):
        with pytest.raises(LeadgateError, match=said):
            start(home, which, "try")
    assert untouched(home) == before


def test_a_version_that_the_library_serves_goes_only_when_that_is_allowed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be a thousand times slower, which a team may want to know before its callers do."""
    monkeypatch.setattr("leadgate.models.training.compile_pipeline", _of_another_kind)
    train_version(home, "lightgbm")
    route_in_force(home)
    before = untouched(home)
    with pytest.raises(RefusedError, match=r"not compiled.*--allow-library"):
        start(home, "3", "try")
    assert untouched(home) == before
    assert start(home, "3", "try", allow_library=True).state.stage == "shadow"


def _of_another_kind(*_: object) -> Any:
    raise CannotCompileError("it has a step of the team's own")


def test_a_champion_that_has_vanished_holds_the_rollout_and_not_the_way_back(home: Home) -> None:
    """Nothing to compare with and nothing to explain by: no start, no step forward. Its files here still answer."""
    start(home, "2", "try")
    client = home.registry._client
    client.delete_registered_model_alias(home.project.name, "champion")
    client.delete_model_version(home.project.name, "1")
    before = untouched(home)
    with pytest.raises(RefusedError, match="version 1, is no longer in the registry"):
        evaluate(home)
    assert untouched(home) == before
    moved = act(home, "roll_back", comment="enough")
    assert moved.history.state.stage == "rolled_back"
    with pytest.raises(RefusedError, match="no longer in the registry"):
        start(home, "2", "again")


def test_while_a_rollout_is_under_way_only_it_moves_the_route(home: Home) -> None:
    """A promotion by hand would undo what is being measured; `leadgate rollback` is the rollout's own way back."""
    start(home, "2", "try")
    before = untouched(home)
    with pytest.raises(RefusedError, match="Rollout 1"):
        promote(home, "2", "champion")
    with pytest.raises(RefusedError, match="under way already"):
        start(home, "2", "again")
    assert untouched(home) == before
    roll_back(home, to=None, reason="enough")
    assert [found.state.stage for found in every_rollout(home)] == ["rolled_back"]


def test_the_registry_catches_up_with_what_it_could_not_be_told(home: Home) -> None:
    """The controller's act holds without it; the next evaluation archives what left, and takes back what returned."""
    start(home, "2", "try")
    assert aliases(home) == {"1": ("champion",), "2": ("challenger",)}
    person = Person(name="Bob", at=home.clock(), comment="the registry was down then")
    with home.connection() as connection:
        controller.act_by_hand(connection, home.project, "roll_back", person)
    assert archived(home) == set()
    assert evaluate(home) is None
    assert archived(home) == {"2"}
    assert aliases(home) == {"1": ("champion",), "2": ()}
    assert reconcile(home) is None
    start(home, "2", "it was mended")
    assert archived(home) == set()


def test_a_registry_that_does_not_answer_keeps_nobody_from_the_way_back(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who rolls back hears that it is done and what is left to do, not that MLflow refuses; and gates are judged."""

    def down(_: Registry) -> Any:
        raise MlflowException("API request to http://mlflow failed")

    start(home, "2", "try")
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "versions", down)
        patch.setattr(Registry, "_numbered", lambda *_: None)
        assert evaluate(home) is not None
        moved = act(home, "roll_back", comment="enough")
    assert moved.history.state.stage == "rolled_back"
    assert moved.registry == "API request to http://mlflow failed"
    assert reconcile(home) is None
    assert archived(home) == {"2"}


def test_more_segments_than_can_be_told_apart_are_refused_at_the_start(home: Home) -> None:
    """Not at the first evaluation, weeks later."""
    names = [feature.name for feature in home.project.lead.used][:5]
    rules(home, experiment={"segments": names})
    with pytest.raises(RefusedError, match="at most 4"):
        start(home, "2", "try")
    rules(home, experiment={"segments": ["shoe_size"]})
    with pytest.raises(RefusedError, match="shoe_size"):
        start(home, "2", "try")


@pytest.mark.parametrize(
    ("section", "said"),
    (
        ("canary: {share: 0.00001}", "canary.share"),
        ("canary: {share: 0.3}\n  ab_test: {share: 0.2}", "only grows"),
        ("ab_test: {share: 0.99}", "ab_test.share"),
        ("gradual_rollback: {share: 0.9}", "gradual_rollback.share"),
        ("shadow: {min_days: 20, max_days: 10}", "swap them"),
        ("gates: {auc: {at_least: 85}}", "between 0 and 1"),
        ("gates: {p99_ms: {at_least: 1}}", "less is better"),
        ("gates: {auc: {at_most: 0.9}}", "more is better"),
        ("sign_off: [lunch]", "sign_off"),
    ),
)
def test_plans_that_make_no_sense_are_refused(section: str, said: str) -> None:
    """With the place in leadgate.yaml."""
    text = f"name: m\nlead: {{id: i, target: t, features: {{x: {{type: numeric}}}}}}\nrollout:\n  {section}\n"
    with pytest.raises(BadConfigError, match=said):
        parse_project(text, "leadgate.yaml")


def test_nothing_is_evaluated_without_a_rollout(home: Home) -> None:
    """A cron job that runs every day says nothing."""
    assert evaluate(home) is None
