"""The page of the diagnosis: the cause at once, and a look now for whoever asks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uuid_utils
from pydantic_core import to_jsonable_python

from leadgate.monitoring.diagnosis import Diagnosis, diagnose
from leadgate.monitoring.findings import Finding
from leadgate.records import Interval
from leadgate.scoring.service import BusyError
from leadgate.storage.postgres.checks import CheckResult, add_results
from leadgate.storage.postgres.connection import connect
from leadgate.views.diagnosis_links import page_of
from leadgate.views.diagnosis_steps import report_of
from shown import Shown, shown

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
ATTACK = "<script>alert(1)</script>"

DRIFTED = Finding(
    area="drift",
    check="feature drift",
    subject="company_size",
    severity="red",
    sentence=f"KS 0.41 of 0.15 {ATTACK}",
    value=0.41,
    threshold=0.15,
    interval=Interval(low=0.39, high=0.43),
    sample=2_100,
    details={"times": 1.2},
)
MOVED = Finding(area="scores", check="score drift", subject="champion", severity="yellow", sentence="the median moved")
WELL = Finding(area="system", check="uptime", severity="green", sentence="workers reported all the time")
UNKNOWN = Finding(area="model", check="AUC", subject="champion", severity="unknown", sentence="too few outcomes")
FOUND = (DRIFTED, MOVED, WELL, UNKNOWN)
DATA_DRIFT = "Data drift: other leads than the model was trained on"


def write(database: str, findings: Sequence[Finding], at: datetime) -> None:
    """Write a run of checks down."""
    run_id = str(uuid_utils.uuid7())
    with connect(database) as connection:
        add_results(connection, [_row(f, run_id, at) for f in findings])


def _row(finding: Finding, run_id: str, at: datetime) -> CheckResult:
    values = {key: value for key, value in asdict(finding).items() if key not in ("check", "interval")}
    level = finding.interval
    return CheckResult(
        run_id=run_id,
        model_name="lead-scoring",
        checked_at=at,
        since=at - timedelta(days=7),
        until=at,
        check_name=finding.check,
        low=level.low if level else None,
        high=level.high if level else None,
        level=level.level if level else None,
        **values,
    )


def looked(at: datetime, findings: Sequence[Finding] = FOUND) -> Diagnosis:
    """What `leadgate diagnose` finds."""
    return diagnose(findings, model_name="lead-scoring", sources=frozenset(), since=at - timedelta(days=7), now=at)


class Desk:
    """Diagnoses for callers, and counts how often."""

    def __init__(self, *answers: Diagnosis | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def diagnose(self, *arguments: str) -> bytes:
        """What the next answer says, as the command prints it."""
        assert not arguments
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(to_jsonable_python(answer)).encode()


@pytest.fixture
def site(tmp_path: Path, database: str) -> Iterator[Shown]:
    """A dashboard whose last checks found that a feature has drifted."""
    write(database, FOUND, NOW - timedelta(minutes=5))
    with shown(tmp_path, database, NOW) as made:
        yield made


def give(site: Shown, monkeypatch: pytest.MonkeyPatch, *answers: Diagnosis | Exception) -> Desk:
    """Let the site's desk give these answers."""
    desk = Desk(*answers)
    monkeypatch.setattr(site.desk, "diagnose", desk.diagnose)
    return desk


def test_the_cause_stands_there_at_once(site: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the last checks, without anything being started; with what to do, and links to where it shows."""
    desk = give(site, monkeypatch)
    page = site.page("/ui/diagnosis")
    assert DATA_DRIFT in page.text
    assert "/ui/drift?feature=company_size" in [link.get("href") for link in page.attributes("a")]
    assert "too few outcomes" in page.text
    assert "leadgate profile show --feature company_size" in page.text
    assert desk.asked == 0
    assert page.attributes("body") == [{"data-live": "10"}]


def test_a_look_now_is_made_once_however_often_its_page_is_loaded(site: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take two minutes: neither going back nor loading again starts another; asking for a later one does."""
    first, second = NOW - timedelta(seconds=30), NOW
    desk = give(site, monkeypatch, looked(first, [WELL]), looked(second))
    page = site.page("/ui/diagnosis?after=0")
    assert "Nothing speaks for a root cause" in page.text
    assert "looked at 2026-06-02 11:59 UTC" in page.text
    assert page.attributes("body") == [{}]
    site.page("/ui/diagnosis?after=0")
    assert desk.asked == 1
    after = next(field["value"] for field in page.attributes("input") if field["name"] == "after")
    assert DATA_DRIFT in site.page(f"/ui/diagnosis?after={after}").text
    assert DATA_DRIFT in site.page("/ui/diagnosis?after=0").text
    assert desk.asked == 2
    site.client.get("/ui/diagnosis?after=999999999999999", headers={"sec-fetch-site": "cross-site"})
    assert desk.asked == 2  # a page from elsewhere cannot keep this machine busy


@pytest.mark.parametrize(
    ("error", "sentence"),
    ((BusyError(), "Others are diagnosing at this moment"), (TimeoutError(), "longer than two minutes")),
)
def test_a_look_that_cannot_be_made_leaves_what_the_checks_say(
    site: Shown, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    """And asks for no other by itself."""
    give(site, monkeypatch, error)
    page = site.page("/ui/diagnosis?after=0")
    assert sentence in page.text
    assert DATA_DRIFT in page.text
    assert page.attributes("body") == [{}]


def test_what_checks_found_stays_text(site: Shown) -> None:
    """Names of categories and features come from outside."""
    page = site.page("/ui/diagnosis")
    assert ATTACK in page.text
    assert ATTACK not in page.html


def test_old_checks_are_not_taken_for_now(tmp_path: Path, database: str) -> None:
    """What was true yesterday is shown, and marked as not known of today."""
    write(database, FOUND, NOW - timedelta(days=1))
    with shown(tmp_path, database, NOW) as site:
        page = site.page("/ui/diagnosis")
    assert "too old" in page.text
    assert "standing unknown" in [section.get("class") for section in page.attributes("section")]


def test_a_project_without_checks_says_what_to_do(tmp_path: Path, database: str) -> None:
    """Nothing known is not "nothing wrong"."""
    with shown(tmp_path, database, NOW) as site:
        page = site.page("/ui/diagnosis")
        assert "after is a whole number" in site.page("/ui/diagnosis?after=now", 404).text
    assert "Nothing is known yet: no check has run." in page.text
    assert "leadgate check run" in page.text


def test_each_step_says_how_it_stands() -> None:
    """The plan's steps in its order; fine is only what is known to be."""
    steps = report_of(looked(NOW)).steps
    assert [step.number for step in steps] == [1, 2, 3, 4, 5, 6, 7]
    said: dict[int, Any] = {step.number: (step.mark, step.says) for step in steps}
    assert said[1] == ("green", "fine: 1 finding in order")
    assert said[2] == ("yellow", "1 finding out of its limits")
    assert said[3] == ("red", "1 finding out of its limits")
    assert said[5] == ("unknown", "not known")
    assert steps[1].missing == "AUC"


@pytest.mark.parametrize(
    ("check", "subject", "page"),
    (
        ("feature drift", "a&b=c", "/ui/drift?feature=a%26b%3Dc"),
        ("score drift", "champion", "/ui/drift"),
        ("AUC", "champion", "/ui/models"),
        ("uptime", "", "/"),
        ("of another release", "x", "/"),
    ),
)
def test_a_finding_leads_to_the_page_that_shows_it(check: str, subject: str, page: str) -> None:
    """One click; nothing in a name changes the address."""
    assert page_of(check, subject) == page
