"""The pytest plugin: a Raft judged in a test, by one fixture. Installed with oneleader.

    def test_my_raft(oneleader):
        oneleader(MyAdapter, liveness=True)

    def test_my_shim(oneleader):
        oneleader(["./my-shim"], nodes=5)

The test fails unless it holds, and shows the causes with their shortest runs; and it fails if it takes the
fixture and judges nothing. `--oneleader-walks`, `--oneleader-seed` and `--oneleader-known` are for the
command line and CI.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from oneleader import verdict

if TYPE_CHECKING:
    from oneleader.conformance.examined import Examined
    from oneleader.conformance.trial import MakeAdapter

WALKS = 100
IDLE = pytest.StashKey[bool]()  # of a test that takes the fixture: whether it has judged nothing yet


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("oneleader", "judging a Raft")
    group.addoption("--oneleader-walks", type=int, default=WALKS, help=f"walks of each test  [{WALKS}]")
    group.addoption("--oneleader-seed", type=int, help="the same seed gives the same result  [drawn]")
    group.addoption(
        "--oneleader-known", action="append", default=[], metavar="CAUSE", help="step past this finding"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """A test that passes although it asked for the fixture and never called it has judged nothing."""
    yield
    if item.stash.get(IDLE, False):
        pytest.fail("This test judged nothing: call oneleader(...) with your adapter.", pytrace=False)


@pytest.fixture
def oneleader(request: pytest.FixtureRequest) -> Callable[..., Examined]:
    """Judge a Raft: `oneleader(adapter class or command of a shim, nodes=3, liveness=False, known=())`."""
    option, stash = request.config.getoption, request.node.stash
    stash[IDLE] = True

    def judge(
        raft: MakeAdapter | Sequence[str],
        *,
        known: Collection[str] = (),
        walks: int | None = None,
        **more: Any,
    ) -> Examined:
        stash[IDLE] = False
        found = examine(
            raft,
            known=[*known, *option("--oneleader-known")],
            walks=walks or option("--oneleader-walks"),
            seed=option("--oneleader-seed"),
            **more,
        )
        if found.verdict is not verdict.HOLDS:
            pytest.fail(found.text, pytrace=False)
        return found

    return judge


def examine(raft: MakeAdapter | Sequence[str], **asked: Any) -> Examined:
    """An adapter class, or a shim that is started for it."""
    from oneleader.conformance.conform import conform
    from oneleader.conformance.shim import Shim

    if callable(raft):
        return conform(raft, **asked)
    with Shim(raft) as shim:
        return conform(shim.adapter, **asked)
