"""A registered version against the gates, before it may challenge the champion."""

from dataclasses import replace

import pytest

from leadgate.app.gating import judge_version, promote_judged
from leadgate.app.wire import Home
from leadgate.errors import NotFoundError, RefusedError
from leadgate.leads.retraining_rules import RenewalGates
from workshop import train_version


def _with(home: Home, kind: str, **gates: float) -> Home:
    """The project as if leadgate.yaml said another kind of model, and these gates."""
    project = home.project
    rules = project.retraining.model_copy(update={"gates": RenewalGates(**{"alert_auc": None, **gates})})  # type: ignore[arg-type]
    model = project.model.model_copy(update={"kind": kind})
    changed = replace(home)
    changed.__dict__["project"] = project.model_copy(update={"retraining": rules, "model": model})
    return changed


def _said(home: Home, which: str) -> dict[str, tuple[bool | None, str]]:
    return {gate.name: (gate.passed, gate.sentence) for gate in judge_version(home, which).gates}


def test_the_absolute_thresholds_are_those_of_leadgate_yaml(workshop: Home) -> None:
    """Without any the champion margin alone is asked; the hold-out's AUC of these leads is about 0.8."""
    easy = _said(_with(workshop, "hist_gradient_boosting", challenger_auc=0.6), "2")
    hard = _said(_with(workshop, "hist_gradient_boosting", challenger_auc=0.97), "2")
    assert easy["hold-out AUC, challenger"][0] is True
    assert hard["hold-out AUC, challenger"][0] is False
    assert "at least 0.97 is asked" in hard["hold-out AUC, challenger"][1]


def test_a_version_is_held_against_the_champion_on_the_same_leads(workshop: Home) -> None:
    """The margin decides; the champion itself has nobody to be held against."""
    home = _with(workshop, "hist_gradient_boosting", challenger_auc=0.6)
    difference = judge_version(home, "2").comparison
    assert difference is not None
    beyond = max(0.0, -difference.auc.difference)
    assert _said(_with(home, "hist_gradient_boosting", challenger_auc=0.6, champion_margin=beyond), "2")["champion"][0]
    assert "champion" not in _said(home, "1")
    assert judge_version(home, "1").champion is None


def test_a_version_of_another_configuration_does_not_pass(workshop: Home) -> None:
    """Version 2 is of trees; leadgate.yaml says a line: what is promoted has to be what Git has."""
    passed, sentence = _said(_with(workshop, "logistic_regression", challenger_auc=0.6), "2")["configuration"]
    assert passed is False
    assert "model" in sentence
    assert _said(_with(workshop, "hist_gradient_boosting", challenger_auc=0.6), "2")["configuration"][0] is True


def test_a_version_that_does_not_come_is_waited_for(workshop: Home) -> None:
    """As long as it was said, in pauses of five seconds, and the sentence says so."""
    pauses: list[float] = []
    with pytest.raises(NotFoundError, match=r"no version '9'.*within 12 seconds"):
        judge_version(workshop, "9", wait_s=12, sleep=pauses.append)
    assert pauses == [5, 5, 2]


def test_only_a_version_that_passes_is_promoted(own_workshop: Home) -> None:
    """The third is registered without an alias: refused by a gate, it stays; then it takes the second one's place."""
    train_version(own_workshop, "lightgbm", aliased=False)
    registry = own_workshop.registry
    with pytest.raises(RefusedError, match=r"Version 3 stays where it is\. Gate hold-out AUC, challenger"):
        promote_judged(_with(own_workshop, "lightgbm", challenger_auc=0.99, champion_margin=1), "latest")
    assert registry.find("3").aliases == ()
    said = promote_judged(_with(own_workshop, "lightgbm", challenger_auc=0.6, champion_margin=1), "latest")
    assert "Version 3 is the challenger instead of version 2" in said
    assert "nothing changed" in promote_judged(own_workshop, "latest")


def test_what_a_retraining_left_to_a_person_is_not_promoted_by_a_workflow(own_workshop: Home) -> None:
    """It was judged by more gates than these."""
    registry, version = own_workshop.registry, own_workshop.registry.find("2")
    registry.drop("challenger")
    registry._client.set_model_version_tag(version.name, "2", "retraining", "7 2026-01-01")
    with pytest.raises(RefusedError, match="left it to a person"):
        promote_judged(_with(own_workshop, "hist_gradient_boosting", challenger_auc=0.6, champion_margin=1), "2")
