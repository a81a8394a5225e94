"""A project with a features.py: leads with events before and after their time, and two versions with other code."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from leadgate.app.settings import Settings
from leadgate.app.starting import start_project
from leadgate.app.wire import Home
from leadgate.compiled.scorer import Scorer
from leadgate.errors import NotFoundError
from leadgate.leads.event_files import import_events
from leadgate.leads.importing import import_leads
from leadgate.models.card import Card, card_from_json, card_to_json
from leadgate.models.registry import Version
from leadgate.models.scorers import Scored
from leadgate.models.training import Candidate, make_candidate
from workshop import NOW, simulated_file

CODE = '''"""What leads did, and how big they are."""

from datetime import datetime, timedelta

from leadgate import Events


def visits_last_week(events: Events, at: datetime) -> float:
    """Visits in the seven days before the score."""
    return events.of("visit").since(at - timedelta(days=7)).count()


def days_quiet(events: Events, at: datetime) -> float | None:
    """Days since anything."""
    return events.days_since_last(at)


def opens_per_head(email_opens: float | None, company_size: float | None) -> float | None:
    """E-mails that were opened, by a hundred people."""
    return None if email_opens is None or not company_size else 100 * email_opens / company_size
'''
OTHER_CODE = CODE.replace("timedelta(days=7)", "timedelta(days=14)").replace("seven", "fourteen")
COLUMNS_ONLY = '''"""The same names, and no event."""


def visits_last_week(website_visits: float | None) -> float | None:
    """As the CRM counts them."""
    return website_visits


def days_quiet(company_size: float | None) -> float | None:
    """Fails for a company of exactly -1 people."""
    return None if company_size is None else 1 / (company_size + 1)


def opens_per_head(email_opens: float | None, company_size: float | None) -> float | None:
    """E-mails that were opened, by a hundred people."""
    return None if email_opens is None or not company_size else 100 * email_opens / company_size
'''


def with_code(home: Home, code: str | None) -> Home:
    """The same project with another features.py, or none."""
    file = home.folder / "features.py"
    if code is None:
        file.unlink(missing_ok=True)
    else:
        file.write_text(code)
    return Home(home.folder, home.settings, home.own_clock)


def events_file(folder: Path, leads: Path) -> Path:
    """Some events of each lead of a file: before its time, after it, and one that was known too late."""
    rng = np.random.default_rng(7)
    known = pl.read_csv(leads).select("lead_id", "created_at").rows()
    rows = []
    for lead_id, created in known:
        at = datetime.fromisoformat(created)
        for days in rng.uniform(-20, 10, size=rng.integers(0, 6)):
            happened = at + timedelta(days=float(days))
            late = happened + timedelta(days=float(rng.choice([0, 0, 3])))
            kind = str(rng.choice(["visit", "visit", "demo"]))
            rows.append((lead_id, kind, happened.isoformat(), late.isoformat(), float(rng.integers(1, 9))))
    path = folder / "events.csv"
    names = ["lead_id", "kind", "at", "known_at", "value"]
    pl.DataFrame(rows, schema=names, orient="row").write_csv(path)
    return path


def make_featured(folder: Path, database: str) -> Home:
    """A project with ``CODE``, its leads' events and a snapshot of its leads; no version."""
    file = simulated_file(folder, 1_000)
    start_project(folder, file, name="lead-scoring", id_column=None, target=None, timestamp=None, force=True)
    home = with_code(Home(folder, Settings(database_url=database, author="tester")), CODE)
    with home.connection() as connection:
        import_events(connection, events_file(folder, file), NOW)
        import_leads(connection, home.snapshots_uri, home.project, file=file, now=NOW)
    return home


def candidate(home: Home, number: str, code: str | None) -> tuple[Scored, Candidate]:
    """A version with some code, trained, compiled and proven on the last snapshot; no registry has it."""
    project = with_code(home, code).project
    made = make_candidate(
        home.snapshots_uri, project, folder=home.folder, snapshot_version=None, author="tester", now=NOW
    )
    with_code(home, CODE)
    program = made.files.program
    assert program is not None
    version = Version(name=project.name, version=number, aliases=(), created_at=NOW, run_id="", source="", tags={})
    return Scored(version=version, card=made.card, scorer=Scorer(program), program=program), made


class Registered:
    """Versions as a registry has them, without MLflow."""

    def __init__(self, *versions: Scored) -> None:
        self._there = {scored.version.version: scored for scored in versions}

    def find(self, version: str) -> Version:
        """One that was trained here."""
        if version not in self._there:
            raise NotFoundError(f"There is no version {version}.")
        return self._there[version].version

    def card(self, version: Version) -> Card:
        """Its card, as it comes back from a file."""
        return card_from_json(card_to_json(self._there[version.version].card))


def recoded(home: Home, scored: Scored, number: str, code: str) -> Scored:
    """The same model under another number, whose features of the same names are made by other code."""
    lead = with_code(home, code).project.lead
    with_code(home, CODE)
    return replace(
        scored, version=replace(scored.version, version=number), card=replace(scored.card, lead=lead), program=None
    )
