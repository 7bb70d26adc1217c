"""A Raft of somebody's own: the page that tells how, executed, and what the test finds in faulty ones."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest

from oneleader.conformance.adapter import Observed, Report, Taken
from oneleader.conformance.conform import conform
from oneleader.conformance.machine import check_conformance
from oneleader.errors import UsageError
from oneleader.verdict import INCONCLUSIVE, VIOLATED
from tests.places import DOCS

PAGE = DOCS / "bring-your-own-raft.md"
BLOCKS = re.findall(r"```(python|text)\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_page_prints_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    shown = 0
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, PAGE.name, "exec"), names)
        else:
            assert capsys.readouterr().out == text
            shown += 1
    assert shown == 4


@pytest.fixture(scope="module")
def own() -> dict[str, Any]:
    """The classes of the page: Server and MyAdapter."""
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[0][1], PAGE.name, "exec"), names)
    return names


def test_one_that_votes_twice_is_caught(own: dict[str, Any]) -> None:
    class Generous(own["Server"]):  # type: ignore[misc]
        def answer(self, term: int, sender: str) -> bool:
            self.vote = sender
            return True

    class Adapter(own["MyAdapter"]):  # type: ignore[misc]
        server = Generous

    found = check_conformance(Adapter, examples=300, seed=1)
    assert found.verdict is VIOLATED
    assert found.cause.startswith("grant_vote: ")


def test_one_that_forgets_its_vote_is_told_so(own: dict[str, Any]) -> None:
    class Forgets(own["MyAdapter"]):  # type: ignore[misc]
        def crash(self, node: str) -> Report:
            self.disks[node]["vote"] = None
            return cast(Report, super().crash(node))

    found = {cause.key: cause.words for cause in conform(Forgets, walks=8, seed=1).causes}
    assert "Figure 3: promises survive a restart" in found
    assert "takes a vote back" in found["election: observation: voted_for"]


def test_one_that_raises_is_caught(own: dict[str, Any]) -> None:
    class Adapter(own["MyAdapter"]):  # type: ignore[misc]
        def receive(self, node: str, message: Any) -> Report:
            raise KeyError(node)

    found = check_conformance(Adapter, examples=100, seed=1)
    assert (found.verdict, "KeyError" in found.failure) == (VIOLATED, True)


def test_one_with_a_clock_is_inconclusive(own: dict[str, Any]) -> None:
    calls = iter(range(10**9))

    class Adapter(own["MyAdapter"]):  # type: ignore[misc]
        def observe(self, node: str) -> Observed:
            return Observed(1 if next(calls) > 500 else 0, None, "follower")

    found = check_conformance(Adapter, examples=100, seed=1)
    assert found.verdict is INCONCLUSIVE


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (Report(actions=[Taken("elect", {})]), "'elect', which is no action"),
        (Report(actions=[Taken("restart", {"x": "n1"})]), "it takes n"),
    ],
)
def test_one_that_speaks_of_something_else(own: dict[str, Any], report: Report, said: str) -> None:
    class Adapter(own["MyAdapter"]):  # type: ignore[misc]
        def timeout(self, node: str) -> Report:
            return report

    with pytest.raises(UsageError, match=said):
        check_conformance(Adapter, examples=50, seed=1)
