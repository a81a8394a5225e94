"""A features.py that cannot be used: what needs today's file says so, and everything else goes on."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from leadgate.app import serving
from leadgate.app.checking import run_checks
from leadgate.app.cli.root import app
from leadgate.app.configuring import read_configuration
from leadgate.app.diagnosing import diagnose
from leadgate.app.jobs import Job
from leadgate.app.lineage import reproduce_version
from leadgate.app.retraining import retrain, unfinished
from leadgate.app.rollouts import evaluate, start
from leadgate.app.routing import promote, roll_back, route_in_force, set_route
from leadgate.app.wire import Home, read_project
from leadgate.app.working import work
from leadgate.errors import BadConfigError
from leadgate.leads.feature_code import FaultyCode
from leadgate.leads.importing import import_leads
from workshop import NOW, simulated_file, train_version

TYPO = "def broken(\n"


@pytest.fixture
def broken(own_workshop: Home) -> Home:
    """Two versions, 1 the champion, and a typo in features.py since then."""
    (own_workshop.folder / "features.py").write_text(TYPO)
    return Home(own_workshop.folder, own_workshop.settings, own_workshop.own_clock)


def test_a_typo_in_features_py_leaves_every_way_of_a_service(broken: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is made by today's file: serving, rollouts, the way back, checks, an old version made again."""
    home = broken
    assert {version.version for version in home.registry.versions()} == {"1", "2"}
    monkeypatch.setenv("LEADGATE_DATABASE_URL", home.database_url)  # a process brings the version
    serving._require_fit(home, route_in_force(home))
    start(home, "2", "try")
    assert evaluate(home) is not None
    assert roll_back(home, to=None, reason="away").challenger is None
    set_route(home, stage="shadow", champion="1", challenger="2", share=0, reason="by hand")
    promote(home, "2", "champion")
    assert route_in_force(home).champion == "2"
    assert roll_back(home, to="1", reason="back").champion == "1"
    assert len(run_checks(home).findings) > 0
    assert diagnose(home).model_name == home.project.name
    again = reproduce_version(home, "1", lambda _: None)
    told = next(entry for entry in again.inputs if entry.what == "configuration")
    assert (again.verdict, told.state, "this is not Python" in told.sentence) == ("identical", "unknown", True)
    shown = CliRunner().invoke(app, ["performance", "--by", "region", "--project", str(home.folder)])
    assert shown.exit_code == 0, shown.output


def test_what_needs_the_file_of_today_says_what_is_wrong_and_where(broken: Home, tmp_path: Path) -> None:
    """Never as if there were no features.py: its hash, its snapshot or its model would be another project's."""
    home, said = broken, rf"{broken.folder}/features\.py, line 1: this is not Python"
    route_in_force(home)
    file = simulated_file(tmp_path, 50, seed=9)
    for needs in (
        lambda: read_configuration(home),
        lambda: train_version(home),
        lambda: retrain(home, reason="try", by="tester"),
        lambda: home.project.lead.digest,
        lambda: home.project.lead.taken,
    ):
        with pytest.raises(BadConfigError, match=said):
            needs()
    with home.connection() as connection, pytest.raises(BadConfigError, match=said):
        import_leads(connection, home.snapshots_uri, home.project, file=file, now=NOW)
    assert {version.version for version in home.registry.versions()} == {"1", "2"}
    assert unfinished(home) is None


def test_a_worker_goes_on_and_takes_the_file_once_it_is_mended(broken: Home) -> None:
    """Of two jobs that are due the first finds the fault, and the second finds the file that was mended meanwhile."""
    assert broken.project.lead.fault is not None

    def mend(home: Home) -> str:
        said = str(home.project.lead.fault)
        (home.folder / "features.py").unlink(missing_ok=True)
        return said

    jobs = [Job(name=name, lane="upkeep", does="", chore=mend) for name in ("records", "profiles")]
    runs = work(broken, once=True, jobs=jobs)
    assert [run.result for run in runs] == ["ok", "ok"]
    assert ["this is not Python" in str(run.sentence) for run in runs] == [True, False]


@pytest.mark.parametrize("content", (TYPO.encode(), b"\xff", b"X = 1 / 0\n\ndef f(a: float) -> float: return a\n", b""))
def test_whatever_is_wrong_with_it_a_project_can_be_read(own_workshop: Home, content: bytes) -> None:
    """And says so: in settings that a report quotes, too, where it would otherwise look as if there were no file."""
    (own_workshop.folder / "features.py").write_bytes(content)
    project = read_project(own_workshop.folder)
    assert isinstance(project.lead.code, FaultyCode)
    assert project.model_dump(mode="json")["lead"]["code"] == {"fault": project.lead.fault}
    with pytest.raises(BadConfigError, match=r"features\.py"):
        _ = project.lead.used


def test_a_file_that_is_gone_is_no_project_without_features(own_workshop: Home) -> None:
    """leadgate.yaml has settings of a made feature, so there was a file: training goes on by no other features."""
    text = (own_workshop.folder / "leadgate.yaml").read_text()
    (own_workshop.folder / "leadgate.yaml").write_text(text.replace("\nlead:\n", "\nlead:\n  made: {gone: {}}\n", 1))
    project = read_project(own_workshop.folder)
    assert project.name == own_workshop.project.name
    with pytest.raises(BadConfigError, match=r"lead\.made\.gone: .*features\.py has no function of this name"):
        _ = project.lead.digest
