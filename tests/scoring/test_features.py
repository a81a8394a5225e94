"""features.py at work: the same lead has the same made values in training, online, in a batch and in a shadow."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import psycopg
import pytest
from typer.testing import CliRunner

from featured import CODE, COLUMNS_ONLY, OTHER_CODE, Registered, candidate, make_featured, recoded
from leadgate.app.cli.features import app
from leadgate.app.verifying import verify
from leadgate.app.wire import Home
from leadgate.errors import NotFoundError, RefusedError
from leadgate.leads.frames import merge
from leadgate.leads.histories import attach, attach_histories
from leadgate.leads.importing import import_leads
from leadgate.leads.snapshots import commit_snapshot, read_snapshot
from leadgate.models.dataset import rows_of
from leadgate.models.scorers import Scored
from leadgate.models.training import Candidate
from leadgate.records import LeadEvent, Route
from leadgate.scoring.log import ServingLog
from leadgate.scoring.plan import Limits
from leadgate.storage.postgres.events import record_events
from leadgate.storage.postgres.routes import add_route
from prepared import create_database
from serviced import NOW, Served, full_route, listen, serve, shared_route

MADE = ("days_quiet", "opens_per_head", "visits_last_week")


@dataclass
class Project:
    """A project with versions whose features.py differs."""

    home: Home
    champion: Scored
    made: Candidate
    other: Scored
    """Has visits of fourteen days under the same name."""
    plain: Scored
    """Takes columns alone."""


@pytest.fixture(scope="module")
def project(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Made once for this file; tests tell their leads apart."""
    name = f"featured_{tmp_path_factory.getbasetemp().name.replace('-', '_')}"
    create_database(server, name, template)
    folder = tmp_path_factory.mktemp("featured")
    url = server.replace("/postgres?", f"/{name}?")
    assert url != server
    home = make_featured(folder, url)
    champion, made = candidate(home, "1", CODE)
    return Project(
        home=home,
        champion=champion,
        made=made,
        other=recoded(home, champion, "2", OTHER_CODE),
        plain=recoded(home, champion, "3", COLUMNS_ONLY),
    )


@contextmanager
def serving(project: Project, folder: Path, route: Route, *versions: Scored, **how: Any) -> Iterator[Served]:
    """The service on the project's database."""
    with serve(folder / "spool", project.home.database_url, route, *versions, **how) as served:
        yield served


@pytest.fixture
def served(project: Project, tmp_path: Path) -> Iterator[Served]:
    """The champion answers, other code is its shadow."""
    route = shared_route(project.champion, project.other, stage="shadow")
    with serving(project, tmp_path, route, project.champion, project.other) as served:
        yield served


def columns(project: Project, **given: Any) -> dict[str, Any]:
    """The columns of a training lead."""
    card = project.champion.card
    known = dict(zip([feature.name for feature in card.lead.used], card.example, strict=True))
    return {**{name: value for name, value in known.items() if name not in MADE}, **given}


def logged(served: Served, lead_id: str, what: str = "features") -> list[Any]:
    """What the log has of a lead, the first score first."""
    return [row[1] for row in served.logged(f"lead_id, {what}") if row[0] == lead_id]


def test_a_lead_has_one_score_in_training_and_online(project: Project, served: Served) -> None:
    """Hold-out leads, scored as at their time: with columns, by id alone, in a batch; values, score and shadow agree.

    Their events of after that time, and those that were known too late, are in the database all along.
    """
    held, schema = project.made.held, project.champion.card.lead
    leads = read_snapshot(project.home.snapshots_uri, schema)[1]
    assert schema.timestamp is not None
    times = dict(leads.select(schema.id, schema.timestamp).iter_rows())
    shadow_rows = rows_of(leads.filter(pl.col(schema.id).is_in(held.ids)), project.other.card.lead)
    shadows = dict(zip(sorted(held.ids), shadow_rows, strict=True))
    names = [feature.name for feature in schema.used]
    chosen = range(0, len(held), 9)
    assert sum(held.rows[i][names.index("visits_last_week")] != 0 for i in chosen) > 3
    expected: list[Any] = []
    for i in chosen:
        lead_id, row = held.ids[i], dict(zip(names, held.rows[i], strict=True))
        served.service.clock = lambda at=times[lead_id]: at  # type: ignore[misc]
        sent = {name: value for name, value in row.items() if name not in MADE}
        alone = served.client.post("/predict", json={"lead_id": lead_id, "features": sent}).json()
        by_id = served.client.post("/predict", json={"lead_id": lead_id}).json()
        batch = {"leads": [{"lead_id": lead_id}, {"lead_id": lead_id, "features": sent}]}
        answers = [alone, by_id, *served.client.post("/predict/batch", json=batch).json()["predictions"]]
        assert [a["predicted_score"] for a in answers] == pytest.approx([project.made.scores[i]] * 4, abs=1e-9)
        expected += [(lead_id, row, times[lead_id], project.other.scorer.score(shadows[lead_id]))] * 4
    rows = served.logged("lead_id, features, scored_at, shadow_score")
    assert [row for row in rows if row[0] in {held.ids[i] for i in chosen}] == expected
    assert any(shadows[held.ids[i]] != held.rows[i] for i in chosen)


def test_only_what_lay_before_the_score_and_was_known_counts(project: Project, served: Served) -> None:
    """An event counts from the moment after it on, and not before it has reached us; sent again it counts once."""
    noon, lead_id = datetime(2026, 3, 1, 12, tzinfo=UTC), "point-in-time"

    def visits_at(seconds: float) -> float:
        served.service.clock = lambda: noon + timedelta(seconds=seconds)
        body = {"lead_id": lead_id, "features": columns(project)}
        assert served.client.post("/predict", json=body).status_code == 200
        return float(logged(served, lead_id)[-1]["visits_last_week"])

    assert visits_at(0) == 0
    served.service.clock = lambda: noon + timedelta(seconds=10)
    visit = {"lead_id": lead_id, "kind": "visit", "at": noon.isoformat()}
    later = {"lead_id": lead_id, "kind": " visit ", "at": (noon + timedelta(seconds=11)).isoformat(), "value": 2.5}
    assert served.client.post("/events", json=[visit, later]).json() == {"received": 2, "added": 2}
    assert served.client.post("/events", json=visit).json() == {"received": 1, "added": 0}
    assert visits_at(5) == 0  # it had happened, and nobody knew
    assert visits_at(10) == 1
    assert visits_at(11) == 1  # at the very moment it is not before
    assert visits_at(11.000001) == 2


def test_a_score_on_unknown_history_is_refused(project: Project, served: Served, tmp_path: Path) -> None:
    """While the database is away a lead is not scored as one that did nothing: 503, nothing logged, and it passes."""
    served.service.log, whole = ServingLog("postgresql://nobody@127.0.0.1:9/none"), served.service.log
    served.service.log.open()
    served.service.limits = Limits(lookup_s=0.2)
    body = {"lead_id": "while-away", "features": columns(project)}
    answers = [
        served.client.post("/predict", json=body),
        served.client.post("/predict/batch", json={"leads": [body]}),
        served.client.post("/predict?explain=true", json=body),
    ]
    served.service.log.close()
    served.service.log = whole
    assert [answer.status_code for answer in answers] == [503] * 3
    assert answers[0].headers["content-type"] == "application/problem+json"
    assert "retry-after" in answers[0].headers
    assert logged(served, "while-away") == []
    assert served.client.post("/predict", json=body).status_code == 200


def test_a_shadow_that_takes_events_never_costs_an_answer(
    project: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The champion needs columns alone: with the database away it answers, and its shadow is left out, not guessed."""
    route = shared_route(project.plain, project.other, stage="shadow")
    with serving(project, tmp_path, route, project.plain, project.other) as served:
        served.service.log, whole = ServingLog("postgresql://nobody@127.0.0.1:9/none"), served.service.log
        served.service.log.open()
        bodies = [{"lead_id": f"shadow-{i}", "features": columns(project)} for i in range(2)]
        with caplog.at_level(logging.WARNING, "leadgate.scoring"):
            assert served.client.post("/predict", json=bodies[0]).status_code == 200
            assert served.client.post("/predict/batch", json={"leads": bodies[1:]}).status_code == 200
        served.service.log.close()
        served.service.log = whole
        assert [logged(served, f"shadow-{i}", "shadow_score") for i in range(2)] == [[None], [None]]
        assert served.service.metrics.shadow_skips.series == {("2",): 2}
        assert [r.getMessage() for r in caplog.records].count(
            "shadows are left out: what leads did cannot be asked for"
        ) == 1
        assert served.client.post("/predict", json={**bodies[0], "lead_id": "shadow-2"}).status_code == 200
        assert logged(served, "shadow-2", "shadow_score") != [None]


def test_a_lead_that_is_not_known_has_to_send_its_columns(project: Project, served: Served) -> None:
    """422 with the path, alone and in a batch, of which nothing is scored; what is made here is not sent."""
    unknown = served.client.post("/predict", json={"lead_id": "never-imported"})
    known = project.made.held.ids[0]
    leads = [{"lead_id": known}, {"lead_id": "never-imported"}]
    batch = served.client.post("/predict/batch", json={"leads": leads})
    sent = served.client.post("/predict", json={"lead_id": known, "features": {"visits_last_week": 3}})
    assert [a.status_code for a in (unknown, batch, sent)] == [422] * 3
    assert unknown.json()["errors"][0]["path"] == "$.features"
    assert batch.json()["errors"][0]["path"] == "$.leads[1].features"
    assert "features.py" in sent.json()["detail"]
    assert served.client.get("/leads/never-imported/features").status_code == 404
    assert logged(served, "never-imported") == []


@pytest.mark.parametrize("code", ("none", "columns"))
def test_what_needs_no_look_up_goes_the_short_way(
    project: Project, tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without features.py, and with one that takes columns alone, /predict makes no task and asks no database."""
    monkeypatch.setattr(ServingLog, "look_up", lambda *_, **__: pytest.fail("the database was asked"))
    version = project.plain
    if code == "none":
        lead = replace_code(version)
        version = replace(version, card=replace(version.card, lead=lead), scorer=Constant())
    with listen(tmp_path / "spool", project.home.database_url, full_route(version), version) as listening:
        seen = []
        with listening.client() as client:
            body = {"lead_id": f"short-{code}", "features": columns(project)}
            assert client.post("/predict", json=body).status_code == 200
            seen = [connection.answered for connection in listening.connections()]
        assert seen == [1]
        ((features,),) = [row[1:] for row in listening.logged("lead_id, features") if row[0] == f"short-{code}"]
        assert ("visits_last_week" in features) is (code == "columns")


def test_a_look_up_goes_the_ordinary_way(project: Project, tmp_path: Path) -> None:
    """A lead that is named alone, and events, need the database: the answer is the same as by the ordinary way."""
    version = project.champion
    with (
        listen(tmp_path / "spool", project.home.database_url, full_route(version), version) as listening,
        listening.client() as client,
    ):
        answer = client.post("/predict", json={"lead_id": project.made.held.ids[0]})
        assert answer.status_code == 200
        assert [connection.answered for connection in listening.connections()] == [0]


def test_a_function_that_fails_makes_a_missing_value(
    project: Project, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The lead is answered; the failure is counted for each lead and told once."""
    with serving(project, tmp_path, full_route(project.plain), project.plain) as served:
        body = {"lead_id": "fails", "features": columns(project, company_size=-1.0)}
        with caplog.at_level(logging.WARNING, "leadgate.scoring"):
            for _ in range(3):
                assert served.client.post("/predict", json=body).status_code == 200
        assert [row["days_quiet"] for row in logged(served, "fails")] == [None] * 3
        metrics = served.client.get("/metrics").text
        assert 'leadgate_feature_failures_total{feature="days_quiet",worker="0"} 3.0' in metrics
        told = [r for r in caplog.records if r.getMessage() == "feature failed; it is missing"]
        assert [(r.feature, "ZeroDivisionError" in r.reason) for r in told] == [("days_quiet", True)]  # type: ignore[attr-defined]


def test_reasons_have_made_features_too(project: Project, served: Served) -> None:
    """A score is explained by what was scored, made values among it."""
    served.service.clock = lambda: NOW
    visits = [
        {"lead_id": "explained", "kind": "visit", "at": (NOW - timedelta(hours=i)).isoformat()} for i in range(1, 30)
    ]
    served.client.post("/events", json=visits)
    body = {"lead_id": "explained", "features": columns(project)}
    answer = served.client.post("/predict?explain=true", json=body).json()
    assert answer["why_no_reasons"] is None
    told = {reason["feature"]: reason["value"] for reason in answer["reasons"]}
    row = logged(served, "explained")[0]
    assert row["visits_last_week"] == 29
    assert {name: row[name] for name in told} == told


def test_a_lead_is_shown_with_its_columns_events_and_features(project: Project, served: Served) -> None:
    """The same values as a score would have, with the version and the digest of its features."""
    lead_id = project.made.held.ids[3]
    at = datetime(2026, 4, 1, tzinfo=UTC)
    served.service.clock = lambda: at
    shown = served.client.get(f"/leads/{lead_id}/features").json()
    served.client.post("/predict", json={"lead_id": lead_id})
    (features,) = logged(served, lead_id, "features")[-1:]
    assert shown["features"] == {name: features[name] for name in MADE}
    assert {name: shown["columns"][name] for name in columns(project)} == {n: features[n] for n in columns(project)}
    assert (shown["model_version"], shown["feature_set"]) == ("1", project.champion.card.lead.digest)
    assert shown["events"] >= 0
    assert shown["failures"] == {}


def test_skew_is_found(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores verify as they were; one that was changed in the log does not, nor one whose event came too late."""
    day = datetime(2025, 12, 1, 9, tzinfo=UTC)
    home = Home(project.home.folder, project.home.settings, lambda: day + timedelta(hours=1))
    home.__dict__["registry"] = Registered(project.champion)
    span: dict[str, Any] = {"since": day - timedelta(hours=1), "until": day + timedelta(hours=1), "most": 1_000}
    with home.connection() as connection:
        add_route(connection, replace(full_route(project.champion), changed_at=day - timedelta(days=9)))
    with serving(project, tmp_path, full_route(project.champion), project.champion) as served:
        served.service.clock = lambda: day
        for i in range(3):
            visit = {"lead_id": f"skew-{i}", "kind": "visit", "at": (day - timedelta(hours=3)).isoformat()}
            served.client.post("/events", json=visit)
            body = {"lead_id": f"skew-{i}", "features": columns(project)}
            assert served.client.post("/predict", json=body).status_code == 200
        served.settle()
    clean = verify(home, **span)
    assert (clean.scores, clean.wrong, clean.versions) == (3, 0, ("1",))
    past = day - timedelta(hours=2)
    late = LeadEvent(lead_id="skew-1", kind="visit", at=past, known_at=past, value=None)
    with psycopg.connect(home.database_url) as connection:
        record_events(connection, [late], NOW)
        connection.execute(
            "UPDATE leadgate.prediction_logs SET features = features || '{\"opens_per_head\": 7}' "
            "WHERE lead_id = 'skew-2'"
        )
    found = verify(home, **span)
    assert (found.scores, found.wrong, found.late) == (3, 2, 1)
    assert {(d.lead_id, d.feature, d.logged, d.again, d.late) for d in found.examples} >= {
        ("skew-1", "visits_last_week", 1.0, 2.0, True),
        ("skew-2", "opens_per_head", 7, found_again(project), False),
    }
    with pytest.raises(NotFoundError, match="nothing to verify"):
        verify(home, since=day - timedelta(days=30), until=day - timedelta(days=20), most=1)
    monkeypatch.setattr("leadgate.app.cli.features.open_home", lambda _: home)
    told = CliRunner().invoke(app, ["verify", "--days", "0.1"])
    assert (told.exit_code, "late events" in told.output) == (1, True)
    told = CliRunner().invoke(app, ["verify", "--days", "0.1", "--most", "1", "--json"])
    assert (told.exit_code, json.loads(told.output)["scores"]) == (1, 1)
    shown = json.loads(CliRunner().invoke(app, ["show", "skew-1", "--json"]).output)
    assert (shown["events"], shown["features"]["visits_last_week"], shown["columns"]) == (2, 2.0, None)
    assert "2 events count" in CliRunner().invoke(app, ["show", "skew-1"]).output


@pytest.mark.parametrize("days", ("1e9", "1e30"))
def test_days_before_the_calendar_are_refused(days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sentence, and no traceback."""
    monkeypatch.setattr("leadgate.app.cli.features.open_home", lambda _: SimpleNamespace(clock=lambda: NOW))
    refused = CliRunner().invoke(app, ["verify", "--days", days])
    assert isinstance(refused.exception, RefusedError)
    assert "before the calendar begins" in str(refused.exception)


def test_events_are_attached_where_they_change_a_history(project: Project) -> None:
    """What comes after an import is laid into a new snapshot, once; what lies after a lead's time changes nothing."""
    home, schema = project.home, project.champion.card.lead
    leads = read_snapshot(home.snapshots_uri, schema)[1]
    first, second = leads.rows(named=True)[:2]
    assert schema.timestamp is not None
    before = first[schema.timestamp] - timedelta(days=400)
    after = second[schema.timestamp]  # its very moment
    with home.connection() as connection:
        events = [
            LeadEvent(lead_id=first[schema.id], kind="visit", at=before, known_at=before, value=None),
            LeadEvent(lead_id=second[schema.id], kind="visit", at=after, known_at=after, value=None),
        ]
        record_events(connection, events, NOW)
        made = attach(connection, home.snapshots_uri, schema, now=NOW)
        again = attach(connection, home.snapshots_uri, schema, now=NOW)
        other = LeadEvent(lead_id="of nobody", kind="visit", at=before, known_at=before, value=None)
        record_events(connection, [other], NOW)
        later = attach(connection, home.snapshots_uri, schema, now=NOW)
    assert (made.leads, made.changed, again.changed, again.snapshot) == (leads.height, 1, 0, None)
    assert (later.other_events - made.other_events, later.other_leads - made.other_leads) == (1, 1)
    assert made.snapshot is not None
    now = read_snapshot(home.snapshots_uri, schema)[1]
    changed = now.filter(now["leadgate_history"] != leads["leadgate_history"])
    assert changed[schema.id].to_list() == [first[schema.id]]
    assert now.drop("leadgate_history").equals(leads.drop("leadgate_history"))


def test_a_lead_from_the_log_keeps_the_time_of_its_score(project: Project) -> None:
    """Its history was cut at the score; the file that it once came from, imported again, changes nothing of that."""
    home, schema = project.home, project.champion.card.lead
    leads = read_snapshot(home.snapshots_uri, schema)[1]
    lead = leads.filter(leads[schema.id] == project.made.held.ids[5])
    with home.connection() as connection:
        scored = attach_histories(connection, lead, schema, {project.made.held.ids[5]: NOW})
        both = merge(leads, scored, schema.id)
        commit_snapshot(home.snapshots_uri, both, schema, {"file": "log", "import_id": "", "quarantined": "0"})
        file = home.folder / "leads.csv"
        report = import_leads(connection, home.snapshots_uri, home.project, file=file, now=NOW)
        again = attach(connection, home.snapshots_uri, schema, now=NOW)
    assert both.changed == 1
    assert (report.changed, report.snapshot, again.changed) == (0, None, 0)


def found_again(project: Project) -> float:
    """E-mails opened by a hundred people, of the lead that is sent."""
    sent = columns(project)
    return float(100 * sent["email_opens"] / sent["company_size"])


def replace_code(version: Scored) -> Any:
    """Its lead without features.py."""
    return version.card.lead.model_copy(update={"code": None, "made": ()})


class Constant:
    """A scorer of a version with fewer features."""

    def score(self, values: Any) -> float:
        """One."""
        return 0.25

    def score_many(self, rows: Any) -> list[float]:
        """Many."""
        return np.full(len(rows), 0.25).tolist()
