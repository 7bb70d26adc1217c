"""The table of role changes at the top of `raft.py`, beside what simulated servers do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from oneleader_raft import raft
from oneleader_raft.core import RAFT, Core
from oneleader_raft.raft import Node, Role, Step
from oneleader_raft.testbench.simulator import CHANGING, FAULTY, Simulation

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
ROLES = {"follower", "candidate", "leader"}
WHO = {"any": ROLES, "any but L.": ROLES - {"leader"}} | {role: {role} for role in ROLES}


@dataclass(frozen=True)
class Row:
    """Who becomes what, and by which actions: all those of one of `ways`."""

    before: str
    on: str
    after: str
    ways: tuple[frozenset[str], ...]

    def allows(self, before: str, actions: set[str], after: str) -> bool:
        return before in WHO[self.before] and after == self.after and any(way <= actions for way in self.ways)


def table() -> tuple[str, list[Row]]:
    """How many rows the sentence above the table announces, and the rows."""
    found = re.search(r"changes its role in (\w+) ways only:\n\n(.+?)\n\n", raft.__doc__ or "", re.DOTALL)
    assert found
    _, rule, *lines = found[2].splitlines()
    starts = [match.start() for match in re.finditer("-+", rule)]
    columns = list(pairwise([*starts, 200]))
    rows: list[list[str]] = []
    for line in lines:
        cells = [line[start:end].strip() for start, end in columns]
        if cells[0]:
            rows.append(cells)
        else:  # a row goes on
            rows[-1] = [f"{a} {b}".strip() for a, b in zip(rows[-1], cells, strict=True)]
    return found[1], [
        Row(before, on, after, tuple(frozenset(way.split()) for way in actions.split(",")))
        for before, on, after, _, actions in rows
    ]


def changes(core: Core = RAFT) -> Iterator[tuple[str, set[str], str]]:
    """What changed a role in simulated runs, and each way to start asking for votes."""
    runs = [(1, 1, FAULTY), (2, 2, FAULTY), (3, 3, FAULTY), (3, 4, FAULTY), (5, 5, FAULTY), (2, 2, CHANGING)]
    for servers, seed, settings in runs:
        simulation = Simulation([f"n{i + 1}" for i in range(servers)], seed, settings, core)
        simulation.run(12_000)
        roles = dict.fromkeys(simulation.cluster.members, Role.FOLLOWER)
        for entry in simulation.cluster.trace or ():
            before, after = roles[entry.node], entry.after.role
            roles[entry.node] = after
            actions = {action.name for action in entry.actions}
            if "restart" in actions or entry.words.startswith("crash"):
                continue  # "and by a crash, from which it comes back as a follower"
            if before is not after or "start_pre_vote" in actions:
                yield before.value, actions, after.value


def unknown_and_unseen(core: Core = RAFT) -> tuple[list[tuple[str, set[str], str]], list[Row]]:
    _, rows = table()
    seen = list(changes(core))
    unknown = [change for change in seen if not any(row.allows(*change) for row in rows)]
    unseen = [row for row in rows if not any(row.allows(*change) for change in seen)]
    return unknown, unseen


def test_each_change_is_in_the_table_and_each_row_is_seen() -> None:
    assert unknown_and_unseen() == ([], [])


def test_the_rows_are_counted() -> None:
    number, rows = table()
    assert number == NUMBERS[len(rows)]
    assert {name for row in rows for way in row.ways for name in way} >= {"give_up", "step_down"}


def test_a_change_that_is_not_in_the_table_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader that steps down when a client asks for a read."""
    correct = raft.on_read

    def on_read(node: Node, id: object, now: int) -> Step:
        return raft.follow(node) if node.role is Role.LEADER else correct(node, id, now)  # type: ignore[arg-type]

    monkeypatch.setattr(raft, "on_read", on_read)
    unknown, _ = unknown_and_unseen()
    assert ("leader", set(), "follower") in unknown


def test_a_row_that_nothing_takes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raft, "give_up", Step)
    _, unseen = unknown_and_unseen()
    assert any(row.on.startswith("ElectionTimeout, no majority heard") for row in unseen)
