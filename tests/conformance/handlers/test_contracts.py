"""The core's loops meet the contracts that proofs of any size take them by; a broken loop is refused."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import pytest

from oneleader.conformance.handlers import contracts
from oneleader.conformance.handlers.contracts import CONTRACTS, check_contract
from oneleader.conformance.handlers.handlers import prove_handler
from oneleader.conformance.handlers.loops import loops
from oneleader.conformance.handlers.running import ANY, IS_LEADER
from oneleader.conformance.reference.patch import patched
from oneleader.verdict import HOLDS, VIOLATED
from oneleader_raft import raft


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 3 here; `oneleader handlers` goes on to 6."""
    monkeypatch.setattr(contracts, "MOST", dict.fromkeys(CONTRACTS, 3))


def test_each_contract_has_a_check() -> None:
    path: Any = SimpleNamespace(cluster=SimpleNamespace(has_changes=True))
    assert {*CONTRACTS} == {"Node.peers", *loops(path)}


def is_majority(node: raft.Node, servers: frozenset[str]) -> bool:
    return True


def test_a_contract_does_not_stand_for_a_faulty_rule() -> None:
    """`is_leader` asks by `holds_lease` how far a majority has come, which asks what a majority is."""
    assert prove_handler(IS_LEADER, ANY).verdict is HOLDS
    assert prove_handler(IS_LEADER, ANY, patched(is_majority)).verdict is not HOLDS


@pytest.mark.parametrize("function", CONTRACTS)
def test_a_loop_meets_its_contract(function: str) -> None:
    found = check_contract(function)
    assert (found.verdict, found.failing) == (HOLDS, "")
    assert found.paths >= 3


BROKEN = [
    ("reaching", ">= least", "> least"),
    ("reaching", "{leader.id: own} | ", ""),
    ("reached_by_majority", "if is_majority(node, reaching(node, own, of, value))", ""),
    ("reached_by_majority", "[own, *map", "[*map"),
    ("conflict", "range(node.snapshot.index + 1, node.last_index + 1)", "range(1, m.prev_log_index)"),
    ("back_off", "own[-1] + 1", "own[-1] - 2"),
    ("terms", "for entry in entries", "for entry in entries[1:]"),
    ("brought", "isinstance(e.command, Membership)", "False"),
    ("to_join", "and id != node.id", ""),
    ("to_join", "id not in node.members and ", ""),
    ("have_caught_up", ">= node.commit_index", ">= node.commit_index - 1"),
    ("of_peers", " if id in node.peers", ""),
    ("silent_among", "id in servers and ", ""),
    ("answer_reads", "reads=waiting", "reads=(), transfer_to=node.id"),
]


HARMLESS = ("reached_by_majority", "max(value", "min(value")  # it commits late, and nothing wrong


@pytest.mark.parametrize(("function", "old", "new"), [*BROKEN, HARMLESS])
def test_a_broken_loop_is_refused(function: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = inspect.getsource(getattr(raft, function))
    assert source.count(old) == 1
    changed: dict[str, object] = {}
    text = "from __future__ import annotations\n" + source.replace(old, new)
    exec(compile(text, "broken", "exec"), vars(raft) | {"__name__": "broken"}, changed)
    monkeypatch.setattr(raft, function, changed[function])
    is_harmless = (function, old, new) == HARMLESS
    assert check_contract(function).verdict is (HOLDS if is_harmless else VIOLATED)


def test_peers_without_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raft.Node, "peers", property(lambda node: node.members[2:]))
    assert check_contract("Node.peers").verdict is VIOLATED
