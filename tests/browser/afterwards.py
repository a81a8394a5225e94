"""The demo goes on: models are trained anew and one is on its way while all is well; then other leads come."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from leadgate.app.alerting import update_alerts
from leadgate.app.checking import run_checks
from leadgate.app.playing import SimulatedClock, play
from leadgate.app.rollouts import approve, evaluate, start
from leadgate.app.routing import promote
from leadgate.app.starting import with_model
from leadgate.app.story import SALES, WORLD
from leadgate.app.wire import CONFIG, Home
from leadgate.leads.importing import import_leads
from leadgate.models.training import train
from leadgate.simulator.drift import Drift
from leadgate.simulator.world import WorldState
from leadgate.storage.postgres.ratings import Rating, add_rating

DAYS, DRIFTING_DAYS = 30, 5
"""Until the challenger is well into its A/B test; until the other leads are most of a week's."""
DRIFT = Drift(day=0, engagement=30, purchased=0.35)
"""A list was bought, and whoever is on it clicks a lot."""

_FIRST_NUMBER = 900_000
_CHECKED_DAYS = 15
_RECENT = """
SELECT p.lead_id, p.scored_at, p.features, coalesce(o.converted, false), p.predicted_score
FROM leadgate.prediction_logs AS p LEFT JOIN leadgate.lead_outcomes AS o USING (lead_id)
WHERE p.scored_at BETWEEN %s AND %s
"""


class Afterwards:
    """What happens in a demo's project after its end, on a clock that begins there."""

    def __init__(self, home: Home) -> None:
        """``home``: a project that the demo has left."""
        with home.connection() as connection:
            row = connection.execute("SELECT max(scored_at) FROM leadgate.prediction_logs").fetchone()
        assert row is not None
        ended: datetime = row[0]
        midnight = ended.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self.home = home.on(SimulatedClock(midnight))
        self._began = midnight
        self._rng = np.random.default_rng(7)
        self._world: WorldState | None = None

    @property
    def now(self) -> datetime:
        """Its time (UTC)."""
        return self.home.clock()

    def train_anew(self) -> None:
        """What the team's CRM reported of the leads of the last weeks makes two new versions.

        One answers from now on: the sales team's work has changed which leads convert, and the demo's versions know
        nothing of it. The other challenges it.
        """
        export = self._export()
        home = self.home = _with_thresholds(self.home, export)
        with home.connection() as connection:
            file = home.folder / "crm_export_2.csv"
            export.drop("predicted_score").write_csv(file, datetime_format="%Y-%m-%dT%H:%M:%SZ")
            import_leads(connection, home.snapshots_uri, home.project, file=file, now=self.now)
        champion, challenger = (self._train(kind) for kind in ("hist_gradient_boosting", "lightgbm"))
        promote(home, champion, "champion")
        start(home, challenger, reason="trained on the leads of this autumn")

    def go_well(self) -> None:
        """Weeks in which nothing else happens."""
        self._play(DAYS, None)

    def drift(self) -> None:
        """Days in which other leads come."""
        assert self._world is not None
        self._play(DRIFTING_DAYS, replace(DRIFT, day=self._world.day))

    def check(self) -> None:
        """What the worker does every quarter of an hour."""
        run_checks(self.home)
        update_alerts(self.home)

    def _play(self, days: int, drift: Drift | None) -> None:
        world = replace(WORLD, first_number=_FIRST_NUMBER, drift=drift)
        until = self.now + timedelta(days=days)
        played = play(self.home, world, days, each_day=self._evening(until), rng=self._rng, begun=self._world)
        self._world = played.state

    def _evening(self, until: datetime) -> Callable[[datetime], None]:
        def evening(now: datetime) -> None:
            day = (now - self._began).days
            if day % 2 == 0:
                self._rate(8.0 + 0.5 * (day % 3), now)
            judged = evaluate(self.home)
            waits = judged is not None and [v.gate for v in judged.verdicts if v.answer != "pass"] == ["sign-off"]
            if judged is not None and waits and judged.after.stage == "shadow":
                approve(self.home, comment="the shadow ranks as well as the champion", by=SALES)
                evaluate(self.home)
            if until - now < timedelta(days=_CHECKED_DAYS):
                self.check()

        return evening

    def _rate(self, rating: float, now: datetime) -> None:
        given = Rating(
            model_name=self.home.project.name,
            rated_at=now,
            rated_by=SALES,
            rating=rating,
            model_version=None,
            comment="",
            recorded_at=now,
        )
        with self.home.connection() as connection:
            add_rating(connection, given)

    def _export(self) -> pl.DataFrame:
        """The leads of the last ten weeks as the CRM knows them."""
        with self.home.connection() as connection:
            span = [self.now - timedelta(days=70), self.now - timedelta(days=8)]  # of these all is known
            rows = connection.execute(_RECENT, span).fetchall()
        features = pl.DataFrame([row[2] for row in rows], infer_schema_length=None)
        known = pl.DataFrame(
            {
                "lead_id": [row[0] for row in rows],
                "created_at": [row[1] for row in rows],
                "converted": [row[3] for row in rows],
                "predicted_score": [row[4] for row in rows],
            }
        )
        return pl.concat([known, features, pl.DataFrame({"call_duration": [90] * len(rows)})], how="horizontal")

    def _train(self, kind: str) -> str:
        home = self.home
        trained = train(
            home.registry,
            home.snapshots_uri,
            with_model(home.project, kind),
            folder=home.folder,
            snapshot_version=None,
            author=home.author,
            now=self.now,
        )
        return trained.version.version


def _with_thresholds(home: Home, recent: pl.DataFrame) -> Home:
    """As many high leads as the team can call: a sixth."""
    high, medium = (recent["predicted_score"].quantile(share) for share in (0.84, 0.6))
    file: Path = home.folder / CONFIG
    text = file.read_text(encoding="utf-8")
    for name, value in (("high: 0.27", f"high: {high:.2f}"), ("medium: 0.15", f"medium: {medium:.2f}")):
        text = text.replace(f"  {name} ", f"  {value} ")
    file.write_text(text, encoding="utf-8")
    return Home(home.folder, home.settings).on(home.clock)
