"""What is wrong with leadgate.yaml is told in the words of the file."""

import re

import pytest

from leadgate.errors import BadConfigError
from leadgate.leads.project import parse_project

LEAD = "lead: {id: a, target: b, features: {c: {type: numeric}}}\n"

MISTAKES = (
    ("retraining: {triggers: {rating: 8}}", "retraining.triggers.rating: write true or false (it is 8)."),
    ("retraining: {triggers: {rating: sometimes}}", "write true or false (it is 'sometimes')."),
    ("retraining: {triggers: {rating: null}}", "write true or false (it is null or empty)."),
    ("retraining: {most_a_month: 1.5}", "retraining.most_a_month: write a whole number (it is 1.5)."),
    ("retraining: {most_a_month: many}", "write a whole number (it is 'many')."),
    ("retraining: {most_a_month: 0}", "write a number of at least 1 (it is 0)."),
    ("retraining: {cool_down_days: [7]}", "retraining.cool_down_days: write a number (it is a list)."),
    ("retraining: {cool_down_days: 0}", "write a number above 0 (it is 0)."),
    ("retraining: {rollout: yes}", "retraining.rollout: write 'auto' or 'ask' (it is true)."),
    ("retraining: 7", "retraining: write keys with their values below it (it is 7)."),
    ("retraining:", "retraining: write keys with their values below it (it is null or empty)."),
    ("split: {holdout: 1}", "split.holdout: write a number below 1 (it is 1)."),
    ("split: {holdout: 2026-01-01}", "split.holdout: write a number (it is the date 2026-01-01)."),
    ("exploration: {share: 0.5}", "exploration.share: write a number of at most 0.2 (it is 0.5)."),
    ("model: {search: {grid: {C: 0.1}}}", "model.search.grid.C: write a list, such as [a, b] (it is 0.1)."),
    ("model: {search: {grid: {}}}", "model.search.grid: write at least 1 item (it has none)."),
    ("model: {search: {grid: {C: []}}}", "model.search.grid.C: write at least 1 item (it has none)."),
    (
        "model: {search: {grid: {C: [{a: 1}]}}}",
        "model.search.grid.C.0: write text, a number, true, false or null (it is keys with values).",
    ),
    ("model: {search: [C]}", "model.search: write keys with their values below it (it is a list)."),
    ("model: {hyperparameters: {1: 2}}", "model.hyperparameters.1: write the name as text, in quotes (it is 1)."),
    ("name: -x", "name: write letters, digits, _ and - only, a letter or digit first (it is '-x')."),
    ("name: 7", "name: write text, in quotes where it is not taken for text (it is 7)."),
    (
        "alerts: {channels: [7s]}",
        "alerts.channels.0: write letters, digits, _ and - only, a letter first (it is '7s').",
    ),
    ("thresholds: {high: 0.2}", "thresholds: medium (0.4) is above high (0.2); swap them."),
    ("worker: {schedule: {checks: never}}", "worker.schedule.checks: this is no cron expression; write minute hour"),
)


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_a_mistake_is_told_in_words_of_the_file(text: str, told: str) -> None:
    """Sales operations write leadgate.yaml, and know lists and true or false, not tuples, None and instances."""
    with pytest.raises(BadConfigError) as caught:
        parse_project(f"{LEAD}{text}\n", "leadgate.yaml")
    said = str(caught.value)
    assert said.startswith("leadgate.yaml, line 2: ")
    assert told in said
    foreign = r"tuple|dictionary|instance|Rules|None|valid|input|boolean|parse|pattern|True|False|validation"
    assert not re.search(foreign, said)


def test_a_range_with_a_third_end_is_told_with_its_length() -> None:
    """Pydantic would call it a tuple."""
    with pytest.raises(BadConfigError, match=r"features\.c\.range: write at most 2 items \(it has 3\)\."):
        parse_project(LEAD.replace("numeric", "numeric, range: [1, 2, 3]"), "leadgate.yaml")
