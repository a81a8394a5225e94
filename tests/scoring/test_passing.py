"""Workers hand requests for pages to another process, and are none the worse for it."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from leadgate.app.wire import Home
from leadgate.models.scorers import load
from leadgate.scoring.passing import Passing, is_page
from serviced import full_route, lead, serve


async def echo(request: Request) -> Response:
    """What the pages' process was asked."""
    return JSONResponse(
        {
            "method": request.method,
            "url": f"{request.scope['raw_path'].decode()}?{request.url.query}",
            "headers": request.headers.items(),
            "body": (await request.body()).decode(),
        },
        headers={"set-cookie": "a=1", "etag": '"x"'},
    )


async def many(_: Request) -> Response:
    """An answer in parts."""
    return StreamingResponse((f"part {i};" for i in range(1_000)), media_type="text/plain")


async def unchanged(_: Request) -> Response:
    """Nothing but a status."""
    return Response(status_code=304, headers={"etag": '"x"'})


ROUTES = [
    Route("/", echo, methods=["GET", "POST"]),
    Route("/ui/many", many),
    Route("/ui/same", unchanged),
    Route("/ui/{rest:path}", echo, methods=["GET", "POST"]),
]


@contextmanager
def pages_at(path: str) -> Iterator[None]:
    """A process of pages, as far as a worker can tell."""
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=ROUTES), uds=path, log_config=None, lifespan="off"))
    running = threading.Thread(target=server.run)
    running.start()
    while not server.started:
        time.sleep(0.01)
    yield
    server.should_exit = True
    running.join(10)


class Worker:
    """What is around it in a worker."""

    def __init__(self, path: str) -> None:
        self._passing = Passing(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pages only; the loop's begin and end are the worker's own affair."""
        if scope["type"] == "http":
            await self._passing(scope, receive, send)
            return
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The socket of such a process."""
    path = str(tmp_path_factory.mktemp("s") / "p.sock")
    with pages_at(path):
        yield path


@pytest.fixture
def worker(at: str) -> Iterator[TestClient]:
    """What a worker answers for pages."""
    with TestClient(Worker(at), client=("192.0.2.7", 1)) as client:
        yield client


def test_a_request_arrives_as_it_was_sent(worker: TestClient) -> None:
    """Method, path with its escapes, query, cookies and form."""
    said = worker.post("/ui/act/a%20b?x=1&y=%C3%A9", data={"reason": "é"}, cookies={"c": "1"}).json()
    headers = dict(said["headers"])
    assert said["method"] == "POST"
    assert said["url"] == "/ui/act/a%20b?x=1&y=%C3%A9"
    assert said["body"] == "reason=%C3%A9"
    assert headers["cookie"] == "c=1"
    assert headers["host"] == "testserver"


def test_an_answer_arrives_as_it_was_given(worker: TestClient) -> None:
    """Status, cookies, tag, and a body of many parts."""
    answer = worker.get("/")
    assert (answer.headers["set-cookie"], answer.headers["etag"]) == ("a=1", '"x"')
    assert worker.get("/ui/many").text == "".join(f"part {i};" for i in range(1_000))
    assert worker.get("/ui/same").status_code == 304


def test_the_pages_learn_who_called_and_cannot_be_lied_to(worker: TestClient) -> None:
    """The login proxy is believed by its address, which a caller may not choose."""
    said = worker.get("/", headers={"x-leadgate-peer": "10.1.2.3"}).json()
    assert [value for name, value in said["headers"] if name == "x-leadgate-peer"] == ["192.0.2.7"]


def test_nobody_is_shown_anothers_cookie(at: str) -> None:
    """A session that one person was given must not log in whoever asks the same worker next."""
    with TestClient(Worker(at)) as browser:
        assert browser.get("/").headers["set-cookie"] == "a=1"
        browser.cookies.clear()  # another's browser, at the same worker
        assert "cookie" not in dict(browser.get("/ui/x").json()["headers"])


@pytest.mark.parametrize("raw", (b"%2F", b"%2f", b""))
def test_an_address_that_is_none_is_refused(at: str, raw: bytes) -> None:
    """Read as / it would be a page; as it is written it would name another host."""
    answers = asyncio.run(_sent(Passing(at), [{"type": "http.request", "body": b""}], raw_path=raw))
    assert answers[0]["status"] == 400


def test_half_a_form_is_not_passed_on(tmp_path: Path) -> None:
    """Whoever leaves in the middle of a reason has not given one."""
    begun = {"type": "http.request", "body": b"reason=do not", "more_body": True}
    parts: list[dict[str, Any]] = [begun, {"type": "http.disconnect"}]
    assert asyncio.run(_sent(Passing(str(tmp_path / "nobody.sock")), parts)) == []


async def _sent(passing: Passing, parts: list[dict[str, Any]], raw_path: bytes = b"/") -> list[Any]:
    """What is answered to a request that arrives in these parts."""
    answers: list[Any] = []
    left = iter(parts)

    async def receive() -> Any:
        return next(left)

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": raw_path, "query_string": b"", "headers": []}
    await passing(scope, receive, send)
    return answers


def test_a_form_that_is_too_large_is_not_passed_on(worker: TestClient) -> None:
    """No page has one of 64 KiB."""
    assert worker.post("/ui/act/ack", content=b"x" * 70_000).status_code == 413


def test_while_the_pages_start_a_browser_is_told_to_try_again(tmp_path: Path) -> None:
    """By itself, and that scoring goes on."""
    with TestClient(Worker(str(tmp_path / "nobody.sock"))) as client:
        answer = client.get("/")
    assert (answer.status_code, answer.headers["refresh"]) == (503, "2")
    assert "Scoring is not affected" in answer.text


def test_pages_that_come_back_are_found(tmp_path: Path) -> None:
    """The process may be started anew at any time."""
    path = str(tmp_path / "p.sock")
    with TestClient(Worker(path)) as client:
        for _ in range(2):
            assert client.get("/").status_code == 503
            with pages_at(path):
                assert client.get("/").status_code == 200


def test_no_more_than_a_few_pages_are_under_way(tmp_path: Path) -> None:
    """A worker whose pages hang still has its memory and its files for leads."""
    path = str(tmp_path / "hung.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(100)  # and never answers
        assert asyncio.run(_crowd(Passing(path))) == 503


async def _crowd(passing: Passing) -> int:
    """Forty ask at once; the status of the last."""
    transport = httpx.ASGITransport(app=passing)
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        waiting: list[Any] = [asyncio.create_task(client.get("/")) for _ in range(40)]
        done, others = await asyncio.wait(waiting, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return int(next(iter(done)).result().status_code)


@pytest.mark.parametrize(
    ("path", "page"), (("/", True), ("/ui/alerts", True), ("/alerts", False), ("/predict", False), ("/uix", False))
)
def test_the_names_of_the_api_stay_the_apis(path: str, page: bool) -> None:
    """/alerts is JSON, /ui/alerts a page."""
    assert is_page(path) == page


def test_scoring_goes_on_without_pages(tmp_path: Path, database: str, workshop: Home, at: str) -> None:
    """A worker answers leads beside pages, and where their process is not there."""
    champion = load(workshop.registry, workshop.registry.find("1"))
    for pages in (Passing(at), Passing(str(tmp_path / "nobody.sock"))):
        with serve(tmp_path / "spool", database, full_route(champion), champion, pages=pages) as served:
            assert served.client.post("/predict", json=lead(champion)).status_code == 200
            assert served.client.get("/").status_code in (200, 503)
