"""From leadgate.yaml to the workers, and what `leadgate performance` says where leads are explored."""

import socket
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from leadgate.app.cli.exploration import print_feedback
from leadgate.app.serving import Serving, _workers
from leadgate.app.settings import Settings
from leadgate.app.wire import Home
from leadgate.errors import BadConfigError
from leadgate.outcomes.exploring import Feedback, Figure, Share
from leadgate.records import Interval
from leadgate.scoring.plan import ChildPlan

ALIKE = (Share(leads=150, of=160), Share(leads=612, of=652))
FOUND = Feedback(
    explored=812,
    conversions=160,
    ordinary=Figure(value=0.9, interval=Interval(low=0.89, high=0.91)),
    unbiased=Figure(value=0.84, interval=Interval(low=0.81, high=0.86)),
    explored_alone=Figure(value=0.85, interval=Interval(low=0.82, high=0.88)),
    difference=0.06,
    differs=True,
    needed=920,
    contacted=ALIKE,
    worked_alike=True,
)


@pytest.mark.parametrize(
    ("found", "says"),
    (
        (FOUND, ("0.900 (0.890 to 0.910)", "0.840 (0.810 to 0.860)", "0.060 too high", "takes 920", "alike.")),
        (replace(FOUND, difference=-0.06), ("0.060 too low",)),
        (replace(FOUND, differs=False), ("No feedback bias is seen beyond chance", "takes 920")),
        (replace(FOUND, unbiased=None, difference=None, differs=False, needed=None), ("Too few explored leads",)),
        (replace(FOUND, worked_alike=False), ("NOT alike", "sorted by score?")),
    ),
)
def test_both_figures_and_what_to_make_of_them(
    found: Feedback, says: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """The way of the bias, whether it is beyond chance, how many leads it takes, and whether the team plays along."""
    print_feedback(found)
    told = "".join(capsys.readouterr())
    for sentence in says:
        assert sentence in told


def project(folder: Path, exploration: str) -> Home:
    """A project with this line in its leadgate.yaml."""
    lead = "lead: {id: lead_id, target: converted, features: {size: {type: numeric}}}"
    (folder / "leadgate.yaml").write_text(f"{lead}\n{exploration}\n")
    return Home(folder, Settings())


@pytest.mark.parametrize(("line", "buckets"), (("exploration: {share: 0.025}", 250), ("", 0)))
def test_workers_are_told_the_share_of_leadgate_yaml(tmp_path: Path, line: str, buckets: int) -> None:
    """It travels with the plan of each worker, those that come later in the same start too; without it, nobody."""
    serving = Serving(host="127.0.0.1", port=0, workers=2, durability="process", auth=None)
    with socket.socket() as listener:
        commands = _workers(project(tmp_path, line), serving, listener, "pages.sock", "desk.sock", with_keys=False)
    plans = [msgspec.json.decode(command(3)[-1], type=ChildPlan).worker for command in commands]
    assert [plan.explored for plan in plans if plan] == [buckets] * 2


def test_a_share_that_would_empty_the_mark_high_of_its_meaning_is_refused(tmp_path: Path) -> None:
    """With the line, the key and the most that can be."""
    with pytest.raises(BadConfigError, match=r"line 2: exploration.share: .*0\.2.*0\.5"):
        _ = project(tmp_path, "exploration: {share: 0.5}").project
