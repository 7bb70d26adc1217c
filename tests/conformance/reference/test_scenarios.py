"""Drawn scenarios: the reference holds under every judge, and faults of its core do not."""

from __future__ import annotations

import os
from xml.etree import ElementTree

import pytest

from oneleader.conformance.reference.drawn import ChangingMachine, ScenarioMachine, draw
from oneleader.conformance.reference.scenario import Broken, Scenario
from oneleader.faults.catalogue import variant
from oneleader.pictures.svg import svg
from oneleader_raft.core import RAFT, Core
from oneleader_raft.raft import Role
from oneleader_raft.views import VIEWS

EXAMPLES = {"dev": 60, "ci": 100, "deep": 20_000}
PROFILE = os.environ.get("ONELEADER_PROFILE") or ("ci" if os.environ.get("CI") else "dev")


def drawn(core: Core, *, nodes: int = 3, examples: int = 300, shrink: bool = False) -> type[ScenarioMachine]:
    return draw(ScenarioMachine, core, nodes=nodes, examples=examples, shrink=shrink)


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
def test_the_reference_holds(nodes: int) -> None:
    """Every step is one of four models, Figure 3 and leases hold, reads are linearizable."""
    found = drawn(RAFT, nodes=nodes, examples=EXAMPLES[PROFILE])
    assert not found.failed, f"{found.failed[-1][0]}\n{found.failed[-1][1]}"
    assert len(found.steps) > 10 * EXAMPLES[PROFILE]


@pytest.mark.parametrize(("nodes", "joining"), [(2, 1), (3, 1)])
def test_the_reference_holds_where_members_change(nodes: int, joining: int) -> None:
    """`membership` and `snapshots` judge as soon as there is a change, or a log is compacted."""
    examples = EXAMPLES[PROFILE] // 2
    found = draw(ChangingMachine, RAFT, nodes=nodes, joining=joining, examples=examples)
    assert not found.failed, f"{found.failed[-1][0]}\n{found.failed[-1][1]}"
    assert len(found.steps) > 10 * examples


def test_members_change_by_hand() -> None:
    """n4 joins in the place of n2, by way of a joint configuration; n3 takes it all from a snapshot."""
    s = Scenario(3, joining=1)
    for line in ("campaign n1 n2", "trip n1 n2", "swap n1 n2 n4", "sync n1 n4", "trip n1 n4"):
        verb, *words = line.split()
        getattr(s, verb)(*words)
    assert s.cluster.node("n1").configuration.is_joint
    s.trip("n1", "n2")
    s.trip("n1", "n4")
    s.sync("n1", "n4")
    assert s.cluster.node("n1").members == ("n1", "n3", "n4")
    assert not s.cluster.node("n1").configuration.is_joint
    s.trip("n1", "n4")
    s.leave_behind("n1", "n4", "n3")
    assert s.cluster.node("n3").snapshot.index == s.cluster.node("n1").snapshot.index > 0
    ended = {model.model for model in s._models if model.is_over}
    assert ended == set(VIEWS) - {"snapshots"}
    assert str(s).startswith("s = Scenario(3, joining=1)\n")


@pytest.mark.parametrize("id", ["added-and-added", ""])
def test_two_leaders_add_a_server_each(id: str) -> None:
    """Ongaro's first shape of July 2015, judged by Figure 3 alone. n1 adds n5 and n2 adds n6, each before it
    has committed an entry of its own; n2 commits with n3 and n6, and n1 is elected by n4 and n5."""
    s = Scenario(4, variant(id) if id else RAFT, models=(), joining=2)

    def elect(candidate: str, *voters: str) -> None:
        s.timeout(candidate)
        for _ in range(2):
            for voter in voters:
                s.trip(candidate, voter)

    def add(leader: str, server: str) -> tuple[str, ...]:
        s.add(leader, server)
        s.sync(leader, server)
        s.trip(leader, server)
        return s.cluster.node(leader).members

    elect("n1", "n2", "n3")
    of_one = add("n1", "n5")
    elect("n2", "n3", "n4")
    of_other = add("n2", "n6")
    s.trip("n2", "n6")
    s.sync("n2", "n3")
    s.trip("n2", "n3")
    elect("n1", "n4", "n5")  # it hears of term 2
    if not id:  # with R3 neither change begins
        assert of_one == of_other == ("n1", "n2", "n3", "n4")
        elect("n1", "n4", "n5")
        assert s.cluster.node("n1").role is not Role.LEADER
        return
    assert (of_one[-1], of_other[-1]) == ("n5", "n6")
    assert s.cluster.node("n2").commit_index == 2
    with pytest.raises(Broken, match="Leader Completeness"):
        elect("n1", "n4", "n5")


# A fault, and the lines that are left: shrunk programs are short, not shortest.
SHRUNK = {"own-vote-not-saved": 2} | ({"no-prefix-check": 12} if PROFILE == "deep" else {})  # a minute or two


@pytest.mark.parametrize("fault", SHRUNK)
def test_a_failure_shrinks_to_a_program_that_fails_again(fault: str) -> None:
    core = variant(fault)
    broken, scenario = drawn(core, shrink=True).failed[-1]
    first, *lines = str(scenario).splitlines()
    assert first == "s = Scenario(3)"
    assert len(lines) <= SHRUNK[fault]

    again = Scenario(3, core)
    with pytest.raises(Broken) as found:
        exec("\n".join(lines), {"s": again})
    assert str(found.value) == str(broken)
    fair = Scenario(3)
    exec("\n".join(lines), {"s": fair})


def test_a_scenario_is_a_picture() -> None:
    """A lane for each server, an arrow for each message that arrived, and what went wrong."""
    s = Scenario(3)
    s.campaign("n1", "n2")
    s.crash("n3")
    s.lose("n1", "n3")
    s.trip("n1", "n2")
    story = s.story(Broken("wrong <here>", "and why"))
    said = " ".join(ElementTree.fromstring(svg(story)).itertext())
    for words in ("n1", "n2", "n3", "stands for election", "n3 crashes", "leader", "wrong <here>", "and why"):
        assert words in said
    assert story.rows[1].after["n1"].role == "leader"
    assert story.rows[2].after["n3"].life == "down"
    assert [a.label.partition(" ")[0] for a in story.arrows if a.received is not None] == [
        "RequestPreVote",
        "PreVoteReply",
        "RequestVote",
        "VoteReply",
        "AppendEntries",
        "AppendReply",
    ]
    assert [(a.source, a.to) for a in story.arrows if a.is_lost] == [("n1", "n3")]


def test_a_scenario_by_hand() -> None:
    """An election, a write, a read under a lease, a transfer, and the rest of the cluster follows."""
    s = Scenario(3)
    s.campaign("n1", "n2")
    s.propose("n1")
    s.trip("n1", "n2")
    s.trip("n1", "n3")
    s.read("n1")
    assert [o.result for o in s.operations.values() if o.kind == "read"] == ["v1"]
    s.transfer("n1", "n2")
    s.trip("n1", "n2")
    s.deliver("n1", "n2")
    s.trip("n2", "n3")
    assert s.cluster.node("n2").role is Role.LEADER
    assert s.program[0] == "s.campaign('n1', 'n2')"
    assert {model.model for model in s._models} == set(VIEWS)
    assert {model.model for model in s._models if model.is_over} == {"pre_vote"}


def test_an_old_leader_may_lack_what_a_later_one_commits() -> None:
    """n2 leads term 2, unaware of term 3, in which an entry of term 1 is committed: a hunt took that for a
    violation of Leader Completeness, which speaks of the terms in which entries are committed."""
    s = Scenario(3)
    s.campaign("n1", "n2")  # its entry of term 1 reaches nobody
    s.campaign("n2", "n3")
    s.campaign("n1", "n3")  # it hears of term 2
    s.campaign("n1", "n3")
    s.sync("n1", "n3")  # refused: n3 is told where to go on
    s.sync("n1", "n3")
    s.heartbeat("n2")
    nodes = s.cluster.nodes
    assert (nodes["n2"].role, nodes["n2"].current_term) == (Role.LEADER, 2)
    assert (nodes["n1"].current_term, nodes["n1"].commit_index) == (3, 2)
    assert [entry.term for entry in nodes["n1"].log] == [1, 3]


@pytest.mark.parametrize("id", ["reads-without-asking", ""])
def test_a_stale_read_by_hand(id: str) -> None:
    """A leader that has been overtaken answers a read: not linearizable, if it asks nobody."""
    s = Scenario(3, variant(id) if id else RAFT)
    s.campaign("n1", "n2")
    s.propose("n1")
    s.sync("n1", "n2")
    s.sync("n1", "n2")
    s.campaign("n2", "n3")
    s.propose("n2")
    s.sync("n2", "n3")
    s.sync("n2", "n3")
    assert [s.cluster.node(n).role for n in ("n1", "n2")] == [Role.LEADER, Role.LEADER]
    if not id:
        return s.read("n1")
    with pytest.raises(Broken, match="linearizability") as broken:
        s.read("n1")
    story = s.story(broken.value)
    assert (story.wrong_row, story.wrong_lanes) == (9, {"n1"})
    assert [a.label for a in story.arrows if a.sent == 9 and a.received == 9] == ["c3: read", "c3 reads v1"]
    return None


@pytest.mark.parametrize("lucky", [False, True])
def test_a_program_says_whether_an_unsynced_write_survived(lucky: bool) -> None:
    s = Scenario(3)
    s.timeout("n1")
    s.trip("n1", "n2")
    s.crash_in("n2", "before the sync", "n1", lucky)
    again = Scenario(3)
    exec("\n".join(s.program), {"s": again})
    assert again.cluster.disk("n2").synced == s.cluster.disk("n2").synced
    assert (s.cluster.disk("n2").synced.voted_for == "n1") is lucky
