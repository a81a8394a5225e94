"""Who may look and act, and how pages protect their viewers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from conftest import _database
from leadgate.scoring.contract import UnseenEndError
from leadgate.storage.postgres.connection import connect
from leadgate.storage.postgres.keys import add_key, revoke_key
from leadgate.views.access import ProxyRules
from leadgate.views.pages import PAGES
from serviced import a_key
from shown import PROJECT, Page, Shown, shown

NOW = datetime(2026, 6, 2, 12, tzinfo=UTC)
ATTACK = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def kept(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder and a database with three keys, for tests that write nothing."""
    databases = _database(server, template)
    database = next(databases)
    with connect(database) as connection:
        for name, *scopes in (("ana", "read", "operate", "approve"), ("leo", "read"), ("crm", "score", "outcomes")):
            add_key(connection, a_key(name, *scopes)[0])
    yield tmp_path_factory.mktemp("site"), database
    next(databases, None)


@pytest.fixture
def opened(kept: tuple[Path, str]) -> Iterator[Shown]:
    """A dashboard of this machine alone: nobody is asked who they are."""
    with shown(*kept, NOW) as made:
        yield made


@pytest.fixture
def locked(kept: tuple[Path, str]) -> Iterator[Shown]:
    """A dashboard that asks for a key."""
    with shown(*kept, NOW, with_keys=True, local=False) as made:
        yield made


def log_in(site: Shown, name: str) -> None:
    """With the key of that name."""
    answer = site.client.post(
        "/ui/login", data={"key": f"lg_{name}_secret of {name}", "next": "/"}, follow_redirects=False
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_without_login_where_keys_are_asked_for(locked: Shown, page: object) -> None:
    """A stranger learns nothing but where to log in; after it they come to the page that they asked for."""
    path = page.path  # type: ignore[attr-defined]
    answer = locked.client.get(f"{path}?x=1", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/ui/login?next=")
    assert "lead-scoring" not in locked.client.get(path).text


def test_a_login_dies_with_its_key(tmp_path: Path, database: str) -> None:
    """Nobody has to wait for a cookie to run out: revoking the key ends its logins."""
    with shown(tmp_path, database, NOW, with_keys=True) as site, connect(database) as connection:
        add_key(connection, a_key("leo", "read")[0])
        log_in(site, "leo")
        assert "leo" in site.page("/").text
        revoke_key(connection, "leo", "ana", NOW)
        site.page("/", 303)


def test_a_login_ends_by_itself(kept: tuple[Path, str]) -> None:
    """After twelve hours the key has to be shown again."""
    now = [NOW]
    with shown(*kept, NOW, with_keys=True, clock=lambda: now[0]) as site:
        log_in(site, "leo")
        now[0] = NOW + timedelta(hours=11, minutes=59)
        site.page("/")
        now[0] = NOW + timedelta(hours=12)
        site.page("/", 303)


@pytest.mark.parametrize(
    "shown_key", ("", "lg_leo_guess", "lg_nobody_secret of nobody", "lg_crm_secret of crm", "\x00")
)
def test_a_wrong_key_and_one_that_may_not_read_do_not_log_in(locked: Shown, shown_key: str) -> None:
    """And the sentence never repeats what was typed."""
    answer = locked.client.post("/ui/login", data={"key": shown_key}, follow_redirects=False)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert not shown_key or shown_key not in answer.text


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(locked: Shown) -> None:
    """HttpOnly and SameSite=Strict always; Secure where the service is reached by https."""
    answer = locked.client.post(
        "/ui/login",
        data={"key": "lg_leo_secret of leo"},
        headers={"x-forwarded-proto": "https"},
        follow_redirects=False,
    )
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "secure", "path=/"))


@pytest.mark.parametrize(
    "change", (lambda c: c[:-1] + ("0" if c[-1] != "0" else "1"), lambda c: c.replace("leo", "ana", 1))
)
def test_a_forged_cookie_is_none(locked: Shown, change: object) -> None:
    """Neither a changed signature nor another key's name is believed."""
    log_in(locked, "leo")
    good = locked.client.cookies["leadgate_session"]
    locked.client.cookies.clear()
    locked.client.cookies.set("leadgate_session", change(good))  # type: ignore[operator]
    locked.page("/", 303)


@pytest.mark.parametrize(
    "after", ("https://evil.example/", "//evil.example/", "/\\evil.example", "/docs", "/ui/../docs\r\nset-cookie: x=1")
)
def test_a_login_sends_nobody_elsewhere(locked: Shown, after: str) -> None:
    """The page to go on to is one of ours, or the first one."""
    data = {"key": "lg_leo_secret of leo", "next": after}
    answer = locked.client.post("/ui/login", data=data, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_an_act_needs_its_scope(locked: Shown) -> None:
    """Who may only read sees no form, and one that was made up is refused."""
    log_in(locked, "leo")
    answer = locked.client.post("/ui/act/ack", data={"csrf": locked.csrf(), "alert": "1", "reason": "x"})
    assert answer.status_code == 403
    assert "scope operate" in answer.text
    assert locked.desk.asked == []


def test_an_act_is_done_under_the_name_of_the_key(locked: Shown) -> None:
    """Nobody acts as somebody else: a name in the form counts for nothing where people log in."""
    log_in(locked, "ana")
    data = {"csrf": locked.csrf(), "alert": "7", "reason": "looking", "by": "leo"}
    answer = locked.client.post("/ui/act/ack", data=data, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/alerts?done=ack")
    assert locked.desk.asked == [("alerts", "ack", "--comment=looking", "--", "7", "by=ana")]


@pytest.mark.parametrize(
    ("headers", "right"),
    (
        ({}, False),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"origin": "http://evil.example"}, True),
        ({"referer": "http://evil.example/page"}, True),
    ),
)
def test_a_form_of_another_site_does_nothing(opened: Shown, headers: dict[str, str], right: bool) -> None:
    """Neither without the token, nor with a stolen one from elsewhere."""
    data = {"alert": "1", "reason": "x", "by": "eve", "csrf": opened.csrf() if right else "0" * 64}
    assert opened.client.post("/ui/act/ack", data=data, headers=headers).status_code == 403
    assert opened.desk.asked == []


def test_a_token_of_somebody_else_does_nothing(kept: tuple[Path, str], opened: Shown) -> None:
    """Each viewer's forms are their own."""
    with shown(*kept, NOW) as other:
        token = other.csrf()
    opened.csrf()
    answer = opened.client.post("/ui/act/ack", data={"csrf": token, "alert": "1", "reason": "x", "by": "eve"})
    assert answer.status_code == 403


def test_an_act_needs_a_name_and_a_reason(opened: Shown) -> None:
    """Where nobody logs in, each act asks for both; what is missing is said on the page that the form was on."""
    token = opened.csrf()
    nameless = opened.client.post("/ui/act/ack", data={"csrf": token, "alert": "1", "reason": "x"})
    reasonless = opened.client.post("/ui/act/ack", data={"csrf": token, "alert": "1", "by": "ana", "reason": "  "})
    assert (nameless.status_code, reasonless.status_code) == (422, 422)
    assert "Say who you are" in nameless.text
    assert "Say why" in reasonless.text
    assert opened.desk.asked == []


def test_what_the_command_refuses_is_told_in_its_own_words(opened: Shown) -> None:
    """And nothing that somebody typed becomes part of the page."""
    opened.desk.refusal = f"There is no alert 9 {ATTACK}."
    answer = opened.client.post(
        "/ui/act/ack", data={"csrf": opened.csrf(), "alert": "9", "reason": ATTACK, "by": ATTACK}
    )
    assert answer.status_code == 409
    assert "Nothing was changed. There is no alert 9" in answer.text
    assert ATTACK not in answer.text


def test_an_act_whose_end_nobody_saw_is_not_told_as_nothing(opened: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have happened: who reads that nothing was changed does it again."""

    def ended(*_: object) -> bytes:
        raise UnseenEndError

    monkeypatch.setattr(opened.desk, "_note", ended)
    data = {"csrf": opened.csrf(), "alert": "1", "reason": "x", "by": "ana"}
    answer = opened.client.post("/ui/act/ack", data=data)
    assert answer.status_code == 500
    assert "it may have happened or not" in answer.text
    assert "Nothing was changed" not in answer.text


def test_an_option_cannot_be_smuggled_into_a_command(opened: Shown) -> None:
    """What is typed is a value: never a flag of its own, whatever it begins with."""
    data = {"csrf": opened.csrf(), "by": "ana", "reason": "--by=eve", "check": "--all", "subject": "--x", "for": "4h"}
    opened.client.post("/ui/act/silence", data=data)
    assert opened.desk.asked == [
        ("alerts", "silence", "--reason=--by=eve", "--subject=--x", "--for=4h", "--", "--all", "by=ana")
    ]


@pytest.mark.parametrize("host", ("evil.example:8000", "127.0.0.1.evil.example", "10.0.0.1:8000"))
def test_a_name_that_points_here_from_elsewhere_sees_nothing(kept: tuple[Path, str], host: str) -> None:
    """DNS rebinding: a page on the web lets its own name point at this machine and asks as if it were ours."""
    with shown(*kept, NOW, host=host) as site:
        assert "lead-scoring" not in site.page("/", 421).text


@pytest.mark.parametrize("host", ("127.0.0.1:8000", "localhost:8000", "[::1]:8000"))
def test_this_machine_by_its_own_names(kept: tuple[Path, str], host: str) -> None:
    """Whoever sits at it is let in."""
    with shown(*kept, NOW, host=host) as site:
        site.page("/")


PROXY = ProxyRules(
    header="x-auth-request-email",
    scopes={"ana@example.com": ("read", "operate"), "*": ("read",)},
    trusted=("10.1.0.0/16",),
)


@pytest.mark.parametrize(
    ("peer", "name", "status"),
    (
        ("10.1.2.3", "leo@example.com", 200),
        ("::ffff:10.1.2.3", "leo@example.com", 200),  # the same address, at a socket for both kinds
        ("10.2.0.1", "leo@example.com", 303),  # not the proxy: the header is anybody's
        ("10.1.2.3", "", 303),
        ("not an address", "leo@example.com", 303),
    ),
)
def test_a_login_proxy_is_believed_from_its_address_only(
    kept: tuple[Path, str], peer: str, name: str, status: int
) -> None:
    """Everybody else is asked for a key."""
    with shown(*kept, NOW, with_keys=True, local=False, proxy=PROXY) as site:
        headers = {"x-auth-request-email": name, "x-leadgate-peer": peer}
        answer = site.client.get("/", headers=headers, follow_redirects=False)
        assert answer.status_code == status
        assert status != 200 or name in answer.text


@pytest.mark.parametrize(("peer", "name"), (("10.1.2.3", ""), ("127.0.0.1", "ana@example.com"), ("127.0.0.1", "")))
def test_whom_the_proxy_does_not_name_is_not_let_in(kept: tuple[Path, str], peer: str, name: str) -> None:
    """Where no key is asked for, a nameless caller would else be allowed more than anybody who logged in."""
    with shown(*kept, NOW, proxy=PROXY) as site:
        headers = {"x-auth-request-email": name, "x-leadgate-peer": peer}
        assert site.client.get("/", headers=headers, follow_redirects=False).status_code == 403
        answer = site.client.post("/ui/act/ack", data={"alert": "1", "reason": "x", "by": "me"}, headers=headers)
        assert (answer.status_code, site.desk.asked) == (403, [])


def test_a_name_beside_the_proxys_is_not_believed(kept: tuple[Path, str]) -> None:
    """A proxy that adds its header to the caller's own would else let everybody choose who they are."""
    with shown(*kept, NOW, with_keys=True, local=False, proxy=PROXY) as site:
        named = [("x-auth-request-email", name) for name in ("ana@example.com", "leo@example.com")]
        answer = site.client.get("/", headers=[*named, ("x-leadgate-peer", "10.1.2.3")])
        assert (answer.status_code, "More than one person" in answer.text) == (403, True)


@pytest.mark.parametrize("name", ("origin", "referer"))
@pytest.mark.parametrize("path", ("/ui/logout", "/ui/act/ack"))
def test_a_form_from_an_address_that_is_none_is_refused(opened: Shown, name: str, path: str) -> None:
    """As one from elsewhere is."""
    answer = opened.client.post(path, data={"csrf": opened.csrf()}, headers={name: "http://["})
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ("[::1", "127.0.0.1 evil", ""))
def test_a_name_that_is_none_is_not_this_machines(opened: Shown, host: str) -> None:
    """Whatever a caller says there, it gets a page and no fault."""
    assert opened.client.get("/", headers={"host": host}).status_code == 421


def test_the_proxys_people_may_what_the_settings_say(kept: tuple[Path, str]) -> None:
    """By name, and everybody else as *."""
    with shown(*kept, NOW, with_keys=True, local=False, proxy=PROXY) as site:
        for name, status in (("ana@example.com", 303), ("leo@example.com", 403)):
            headers = {"x-auth-request-email": name, "x-leadgate-peer": "10.1.2.3"}
            site.client.cookies.clear()
            token = site.csrf(**headers)
            data = {"csrf": token, "alert": "1", "reason": "x"}
            answer = site.client.post("/ui/act/ack", data=data, headers=headers, follow_redirects=False)
            assert answer.status_code == status
        assert site.desk.asked == [("alerts", "ack", "--comment=x", "--", "1", "by=ana@example.com")]


def test_what_an_act_came_to_is_said_where_it_leads_only(opened: Shown) -> None:
    """No address says on a page of alerts that a rollout was rolled back."""
    assert "The alert is in your care." in opened.page("/ui/alerts?done=ack").text
    assert "Rolled back" not in opened.page("/ui/alerts?done=rollback").text
    assert "Rolled back" not in opened.page("/?done=rollback").text


def test_a_page_after_a_refused_act_asks_for_news_of_the_page_itself(opened: Shown) -> None:
    """The address of the act cannot be asked for: the page would say that nobody answers."""
    answer = opened.client.post("/ui/act/ack", data={"csrf": opened.csrf(), "alert": "1", "by": "ana"})
    assert answer.status_code == 422
    assert Page(answer.text).attributes("body")[0]["data-at"] == "/ui/alerts"
    assert "data-at" not in opened.page("/ui/alerts").attributes("body")[0]


def test_a_file_that_cannot_be_is_not_there(opened: Shown) -> None:
    """Names that no file system has, and those that lead out of the folder."""
    for path in ("%00", "..%2f..%2fsite.py", "%2e%2e/site.py", "a" * 5_000, "vendor"):
        assert opened.client.get(f"/ui/static/{path}").status_code == 404


def test_every_answer_has_a_strict_policy(opened: Shown) -> None:
    """Scripts and styles of ours only, no frames, no sniffing; nothing of a page is kept but static files."""
    for path in ("/", "/ui/nothing", "/ui/static/site.css?v=1"):
        headers = opened.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"].startswith("public")
    assert opened.client.get("/").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_have_no_inline_script_or_style(opened: Shown, page: object) -> None:
    """The policy would block them, silently."""
    shown_page = opened.page(page.path)  # type: ignore[attr-defined]
    assert all(a.get("src") or a.get("type") == "application/json" for a in shown_page.attributes("script"))
    assert not [a for _, a in shown_page.tags if "style" in a or any(name.startswith("on") for name in a)]
    assert shown_page.attributes("style") == []


def test_a_page_that_has_not_changed_is_not_sent_again(opened: Shown) -> None:
    """Live pages ask every few seconds."""
    tag = opened.client.get("/").headers["etag"]
    assert opened.client.get("/", headers={"if-none-match": tag}).status_code == 304


def test_without_the_database_the_page_says_so_and_tries_again(tmp_path: Path) -> None:
    """An outage is no traceback, and says that scoring goes on."""
    with shown(tmp_path, "postgresql://postgres@127.0.0.1:1/none?connect_timeout=1", NOW) as site:
        page = site.page("/", 503)
    assert "scored all the same" in page.text
    assert [a for _, a in page.tags if a.get("data-retry")]


def test_a_mistake_in_leadgate_yaml_is_shown_as_its_sentence(tmp_path: Path, database: str) -> None:
    """Pages read the file anew when it has changed."""
    with shown(tmp_path, database, NOW) as site:
        site.page("/")
        (tmp_path / "leadgate.yaml").write_text(f"{PROJECT}monitorin: {{}}\n")
        assert "unknown key 'monitorin'" in site.page("/", 409).text


def test_an_address_that_is_no_page_stays_text(opened: Shown) -> None:
    """It is repeated, and harmless."""
    page = opened.page(f"/ui/{ATTACK}", 404)
    assert "There is no page" in page.text
    assert ATTACK not in page.html


def test_pages_cannot_write(opened: Shown) -> None:
    """Whatever a page does by mistake, its connection refuses."""
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), opened.sources.reader.connection() as connection:
        connection.execute("DELETE FROM leadgate.check_results")
