"""A page does not wait for what is slow, and shows it when it is there."""

from collections.abc import Callable, Iterator
from threading import Event
from typing import TypeVar

import pytest

from leadgate.views.waiting import Asked, Patience

T = TypeVar("T")


@pytest.fixture
def gate() -> Iterator[Event]:
    """What slow work waits for; opened at the end, so that its thread comes to rest."""
    gate = Event()
    yield gate
    gate.set()


def ask(patience: Patience, work: Callable[[], T], key: str = "key", fresh_s: float | None = None) -> Asked[T]:
    """Ask as a page does that begins now."""
    return patience.ask(key, work, until=patience.deadline(), fresh_s=fresh_s, who="The registry")


def test_a_page_goes_on_without_slow_work_and_finds_it_later(gate: Event) -> None:
    """A registry that takes a minute costs a page its patience once, and is on the next one."""
    patience, begun = Patience(wait_s=0.01), []

    def slow() -> str:
        begun.append(1)
        gate.wait()
        return "versions"

    for _ in range(3):
        told = ask(patience, slow)
        assert told.value is None
        assert told.trouble == "The registry has not answered yet; what it knows follows by itself."
    gate.set()
    found = patience.ask("key", slow, until=patience.deadline() + 30, who="The registry")
    assert (found.value, found.trouble) == ("versions", None)
    assert len(begun) == 1, "work that hangs must not be begun once for each look"


def test_an_answer_is_kept_while_new_work_fails_and_the_failure_is_told() -> None:
    """What was known an hour ago is better than nothing, if it says that it is old."""
    patience = Patience(wait_s=30, again_s=0)
    assert ask(patience, lambda: "old", fresh_s=0).value == "old"

    def fail() -> str:
        raise OSError("no route")

    found = ask(patience, fail, fresh_s=-1)
    assert (found.value, found.trouble) == ("old", "The registry does not answer: no route")
    assert ask(patience, lambda: "new", fresh_s=-1) == Asked(value="new", trouble=None)


def test_an_answer_that_is_due_anew_will_do_meanwhile(gate: Event) -> None:
    """A live page that looks every ten seconds must not wait for the same list each time."""
    patience = Patience(wait_s=30, again_s=3_600)
    assert ask(patience, lambda: True, fresh_s=0).value is True
    assert ask(patience, gate.wait, fresh_s=-1) == Asked(value=True, trouble=None)


def test_what_fails_is_not_tried_again_at_every_look() -> None:
    """Ten people who look at a page must not knock at a broken door ten times."""
    patience, tries = Patience(wait_s=30, again_s=3_600), []

    def fail() -> str:
        tries.append(1)
        raise OSError

    for _ in range(3):
        assert ask(patience, fail).trouble == "The registry does not answer: OSError"
    assert len(tries) == 1


def test_what_never_changes_is_asked_for_once_and_the_number_kept_is_bounded() -> None:
    """A thousand versions do not stay in memory."""
    patience, asked = Patience(wait_s=30, most=2), []

    def note(key: str) -> Callable[[], None]:
        return lambda: asked.append(key)

    for key in ("a", "a", "b", "c", "a"):
        ask(patience, note(key), key)
    assert asked == ["a", "b", "c", "a"]
