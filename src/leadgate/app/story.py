"""The demo's rollouts: a good challenger goes the whole way, a bad one comes back, on a clock that runs fast."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.progress import Progress

from leadgate.app.cli.output import print_table
from leadgate.app.playing import Played, SimulatedClock, play
from leadgate.app.rollouts import approve, evaluate, start
from leadgate.app.wire import Home
from leadgate.leads.project import parse_project
from leadgate.rollout.controller import Judged
from leadgate.simulator.team import Team
from leadgate.simulator.world import BrokenSegment, World
from leadgate.storage.postgres.ratings import Rating, add_rating
from leadgate.storage.postgres.rollouts import steps_of

SALES = "Sam (sales operations)"
"""Who signs off in the story."""

RULES: dict[str, Any] = {
    "outcomes": {"window_days": 7, "silence_means": "not_converted"},
    "thresholds": {"high": 0.27, "medium": 0.15},
    "rollout": {
        "gates": {
            "auc": {"at_least": 0.98, "of": "champion"},
            "ab_auc": {"at_least": 0.98, "of": "champion"},
            "precision": None,
            "recall": None,
            "calibration_error": {"at_most": 1.2, "of": "champion"},
            "agreement": None,  # with a champion that ranks poorly
            "quartile_shift": 0.25,
        },
        "experiment": {"leads_per_arm": 4_000},
    },
}
"""What the team adds to leadgate.yaml: a short sales cycle, as many high leads as it can call, its own thresholds of
quality, a test that fits ten weeks."""

WORLD = World(
    leads_a_day=700,
    days_to_decide=2.0,
    given_up_days=6.5,
    team=Team(capacity=150, gain=1.5, floor=0.6, patience_days=1.5),
)
"""A team that gets to a fifth of the leads: whom it calls first is worth a lot. Leads that it does not get to decide
within the window all the same."""
BROKEN = BrokenSegment(feature="region", value="North America", factor=0.25)
"""The bad challenger sells less where most leads are; no shadow can see that, only leads it answers."""

_LONGEST_DAYS = 84
_SIGN_OFF_DAYS = 14
_RATING_DAYS = 2
_WIDEST = 300


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A turn of the story."""

    day: int
    """Of its rollout."""
    at: datetime
    challenger: str
    what: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """A rollout from its start to its end."""

    turns: tuple[Turn, ...]
    end: str
    """Its last stage."""
    over: bool
    """Whether it came to an end in the time there was."""
    leads: int
    """Scored in its weeks."""

    @property
    def weeks(self) -> int:
        """That it took."""
        return round(self.turns[-1].day / 7)


def add_rules(config: Path) -> None:
    """Write the team's own rules into a fresh leadgate.yaml."""
    text = config.read_text(encoding="utf-8")
    for key, value in {**RULES["outcomes"], **RULES["thresholds"]}.items():
        text = re.sub(rf"^  {key}: [\w.]+", f"  {key}: {value}", text, count=1, flags=re.MULTILINE)
    rules = yaml.safe_load(text)["rollout"]
    for key, value in RULES["rollout"].items():
        rules[key] = {**rules[key], **value} if isinstance(value, dict) else value
    before, rest = text.split("\nrollout:\n", 1)
    after = re.split(r"^(?=# What `leadgate check)", rest, maxsplit=1, flags=re.MULTILINE)[1]
    own = yaml.safe_dump({"rollout": rules}, sort_keys=False, default_flow_style=None)
    text = f"{before}\n{own}\n{after}"
    parse_project(text, config.name)
    config.write_text(text, encoding="utf-8")


def print_turns(told: Told) -> None:
    """A rollout as a timeline."""
    rows = [(turn.day, f"{turn.at:%Y-%m-%d}", turn.what.replace("_", " "), _short(turn.why)) for turn in told.turns]
    title = f"Version {told.turns[0].challenger}"
    print_table(title, ["day", "date", "what", "why"], rows, numbers="r")


def _short(why: str) -> str:
    return why if len(why) <= _WIDEST else why[: _WIDEST - 1] + "…"


def tell(
    home: Home, challenger: str, *, seed: int, first_number: int, broken: bool = False, progress: Progress
) -> Told:
    """Send a version on its way and play the world until its rollout is over."""
    clock = home.clock
    assert isinstance(clock, SimulatedClock)
    began = clock()
    history = start(home, challenger, reason="the demo's challenger")
    turns = [Turn(day=0, at=began, challenger=challenger, what="start: shadow", why="scores every lead, answers none")]
    task = progress.add_task(f"   version {challenger}: week 1", total=_LONGEST_DAYS)
    ended: list[str] = []

    def evening(now: datetime) -> None:
        if ended:
            return
        day = round((now - began) / timedelta(days=1))
        progress.update(task, completed=day, description=f"   version {challenger}: week {day // 7 + 1}")
        if day % _RATING_DAYS == 0:
            _rate(home, day, now)
        judged = evaluate(home)
        if judged is not None and day >= _SIGN_OFF_DAYS and _waits_for_sales(judged):
            approve(home, comment=f"looked at the evidence of {judged.before.stage}", by=SALES)
            judged = evaluate(home)
        if judged is None or judged.decision.act == "hold":
            return
        turns.append(_turn(judged, challenger, day, now))
        if not judged.after.alive:
            ended.append(judged.after.stage)

    world = replace(WORLD, first_number=first_number, broken_segment=BROKEN if broken else None)
    played = _until(home, world, ended, evening, np.random.default_rng(seed))
    progress.remove_task(task)
    with home.connection() as connection:
        last = steps_of(connection, history.rollout.rollout_id)[-1]
    return Told(turns=tuple(turns), end=last.stage, over=bool(ended), leads=played)


def _until(home: Home, world: World, ended: list[str], evening: Any, rng: np.random.Generator) -> int:
    """Play week by week until the rollout is over."""
    state, leads = None, 0
    for _ in range(_LONGEST_DAYS // 7):
        if ended:
            break
        played: Played = play(home, world, 7, each_day=evening, rng=rng, begun=state)
        state, leads = played.state, leads + played.predictions
    return leads


def _waits_for_sales(judged: Judged) -> bool:
    """Whether nothing but a sign-off is missing."""
    return [verdict.gate for verdict in judged.verdicts if verdict.answer != "pass"] == ["sign-off"]


def _rate(home: Home, day: int, now: datetime) -> None:
    with home.connection() as connection:
        add_rating(connection, _rating(home, day, now))


def _rating(home: Home, day: int, now: datetime) -> Rating:
    return Rating(
        model_name=home.project.name,
        rated_at=now,
        rated_by=SALES,
        rating=8.0 + 0.5 * (day % 4),
        model_version=None,
        comment="",
        recorded_at=now,
    )


def _turn(judged: Judged, challenger: str, day: int, now: datetime) -> Turn:
    act, after = judged.decision.act, judged.after.stage
    what = f"{act.replace('_', ' ')}: {after}" if after != judged.before.stage else act.replace("_", " ")
    return Turn(day=day, at=now, challenger=challenger, what=what, why=judged.decision.reason)
