"""The audit page: who did what, and whether what is shown is whole."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from conftest import _database
from leadgate.chain import Entry, seal
from leadgate.storage.postgres.audit import append_entry
from leadgate.storage.postgres.connection import connect
from leadgate.views.audit_entries import link_of, shown, wholeness_of
from shown import Shown
from shown import shown as site_of

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
ATTACK = "<script>alert(1)</script>"


def chain(count: int) -> list[Entry]:
    """Entries, the newest first."""
    made: list[Entry] = []
    for number in range(1, count + 1):
        after = (made[-1].entry, made[-1].sha256) if made else None
        made.append(seal(after=after, at=NOW, actor="ana", act="route.set", subject=f"route {number}", details={}))
    return made[::-1]


def fill(database: str) -> None:
    """Write 60 acts down, a day apart, the newest at the present moment."""
    with connect(database) as connection:
        for number in range(1, 61):
            by, act = ("ana", "rollout.approve") if number % 20 == 0 else ("leo", "route.set")
            append_entry(
                connection,
                at=NOW - timedelta(days=60 - number),
                actor=by,
                act=act,
                subject=f"rollout {number}",
                details={"comment": f"because {number}", "evidence_id": number, "note": ATTACK},
            )


@pytest.fixture(scope="module")
def site(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A dashboard with 60 acts, for tests that write nothing."""
    databases = _database(server, template)
    database = next(databases)
    fill(database)
    with site_of(tmp_path_factory.mktemp("audit"), database, NOW) as made:
        yield made
    next(databases, None)


def numbers(page: Sequence[tuple[str, dict[str, str | None]]]) -> list[int]:
    """Of the entries on a page, in their order."""
    ids = [str(attributes.get("id", "")) for tag, attributes in page if tag == "tr"]
    return [int(each.removeprefix("entry-")) for each in ids if each.startswith("entry-")]


def test_pages_lead_through_the_whole_log_newest_first(site: Shown) -> None:
    """No entry is on two pages, and none on no page."""
    first = site.page("/ui/audit")
    assert numbers(first.tags) == list(range(60, 10, -1))
    second = site.page("/ui/audit?before=11")
    assert "/ui/audit?before=11" in [link.get("href") for link in first.attributes("a")]
    assert numbers(second.tags) == list(range(10, 0, -1))
    assert "Older entries" not in second.text
    assert "because 60" in first.text
    assert "Entries 11 to 60 are whole" in first.text
    assert "Entries 1 to 10 are whole" in second.text


@pytest.mark.parametrize(
    ("asked", "found"),
    (
        ("actor=ana", [60, 40, 20]),
        ("act=rollout", [60, 40, 20]),
        ("act=rollout.approve&actor=leo", []),
        ("subject=rollout+7", [7]),
        ("from=2026-05-31&to=2026-06-01", [59, 58]),
    ),
)
def test_filters_show_what_fits_and_claim_nothing_of_the_rest(site: Shown, asked: str, found: list[int]) -> None:
    """A day is whole, both ends included; the page says that what lies between the entries was not looked at."""
    page = site.page(f"/ui/audit?{asked}")
    assert numbers(page.tags) == found
    assert ("are not looked at here" in page.text) == bool(found)
    assert ("No entry fits" in page.text) == (not found)


def test_one_entry_shows_its_digests_and_leads_to_its_evidence(site: Shown) -> None:
    """What an auditor needs to follow an act without asking anybody."""
    page = site.page("/ui/audit?entry=41")
    links = [link.get("href") for link in page.attributes("a")]
    assert numbers(page.tags) == [41]
    assert {"/ui/rollout?evidence=41", "/ui/rollout?rollout=41", "/ui/audit?entry=40"} <= set(links)
    with site.sources.reader.connection() as connection:
        row = connection.execute("SELECT encode(sha256, 'hex') FROM leadgate.audit_log WHERE entry = 41").fetchone()
    assert row is not None
    assert row[0] in page.text


@pytest.mark.parametrize(
    ("change", "sentence"),
    (
        ("UPDATE leadgate.audit_log SET actor = 'eve' WHERE entry = 55", "Entry 55 was changed"),
        ("DELETE FROM leadgate.audit_log WHERE entry = 55", "Entry 55 is missing"),
        ("DELETE FROM leadgate.audit_log WHERE entry = 10", "Entry 10 is missing"),
    ),
)
def test_a_changed_and_a_missing_entry_show_on_the_page(
    tmp_path: Path, database: str, change: str, sentence: str
) -> None:
    """The one at the edge of a page too: it is held to the first of the next page. And that the trigger was off."""
    fill(database)
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE leadgate.audit_log DISABLE TRIGGER append_only")
        connection.execute(change)
    with site_of(tmp_path, database, NOW) as site:
        page = site.page("/ui/audit")
    assert sentence in page.text
    assert "switched off on audit_log" in page.text


def test_what_people_typed_stays_text(site: Shown) -> None:
    """Nobody's comment runs in the browser of an auditor."""
    page = site.page("/ui/audit")
    assert ATTACK in page.text
    assert ATTACK not in page.html


@pytest.mark.parametrize(
    ("asked", "sentence"),
    (
        ("from=yesterday", "from is a day such as 2026-06-01"),
        ("to=9999-12-31", "to is a day"),
        ("entry=99", "no entry 99"),
        ("before=x", "before is a whole number"),
    ),
)
def test_what_cannot_be_is_a_sentence(site: Shown, asked: str, sentence: str) -> None:
    """A mistake in an address says what was wrong with it."""
    assert sentence in site.page(f"/ui/audit?{asked}", 404).text


def test_an_empty_log_says_so(tmp_path: Path, database: str) -> None:
    """And shows no verdict on what is not there."""
    with site_of(tmp_path, database, NOW) as site:
        page = site.page("/ui/audit")
    assert "Nothing has been done yet" in page.text
    assert "are whole" not in page.text


def test_links_are_judged_only_where_entries_stand_side_by_side() -> None:
    """An entry that was rewritten with a digest of its own fits itself, and not what follows it."""
    entries = chain(6)
    forged = seal(after=(2, entries[4].sha256), at=NOW, actor="eve", act="route.set", subject="x", details={})
    broken = [*entries[:3], forged, *entries[4:]]
    assert wholeness_of(entries, gaps=False).broken is None
    assert wholeness_of(broken, gaps=True).broken is None
    found = wholeness_of(broken, gaps=False).broken
    assert found is not None
    assert (found.entry, found.kind) == (4, "link")


def test_a_log_whose_beginning_was_cut_off_is_not_whole() -> None:
    """The last page has to reach entry 1."""
    entries = chain(5)
    assert wholeness_of(entries[:3], gaps=False, older=entries[3]).broken is None
    found = wholeness_of(entries[:3], gaps=False).broken
    assert found is not None
    assert found.kind == "missing"


def test_details_that_are_no_object_are_shown_as_they_are() -> None:
    """Somebody changed them; the page shows what is there."""
    entry = chain(1)[0]
    assert shown(Entry(**{**vars(entry), "details": "[1"})).details == [("details", "[1")]
    assert shown(Entry(**{**vars(entry), "happened_at": "0000-99"})).at is None


@pytest.mark.parametrize(
    ("subject", "link"),
    (
        ("rollout 12", "/ui/rollout?rollout=12"),
        ("alert 3", "/ui/alerts?alert=3"),
        ("lead-scoring version 2", "/ui/models?version=2"),
        ("x version a&b=c", "/ui/models?version=a%26b%3Dc"),
        ("rollout 12; x", None),
        ("model lead-scoring", None),
    ),
)
def test_subjects_lead_to_their_pages(subject: str, link: str | None) -> None:
    """What has a page is one click away; nothing in a subject changes the address."""
    assert link_of(subject) == link
