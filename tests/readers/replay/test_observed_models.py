"""Pre-votes, members, snapshots and leases as nodes show them: runs of the reference, and doctored copies."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from oneleader.readers.replay.replay import Replayed, replay_lines
from oneleader.readers.replay.shorten import shorten
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from oneleader_raft.testbench.simulator import CHANGING, FAULTY, Simulation
from tests.readers.replay.observing import Line, judged, observed

NODES = ["n1", "n2", "n3"]
RATE = 100  # of every clock, so that the time of one is that of all
SETTINGS = {
    "pre_vote": replace(FAULTY, transfer=0),
    "membership": replace(CHANGING, compaction=0),
    "snapshots": CHANGING,
    "lease": replace(FAULTY, rates=(RATE, RATE), new_rates=0),
}
SEEDS = range(1, 101) if os.environ.get("ONELEADER_PROFILE") == "deep" else (3,)


@cache
def simulated(model: str, seed: int) -> tuple[list[Line], list[list[Any]]]:
    """A run of the reference as it shows itself, and the actions that each line leaves out."""
    nodes = [*NODES, "n4", "n5"] if seed % 2 else NODES
    simulation = Simulation(nodes, seed, SETTINGS[model])
    simulation.run(3000)
    header, *named = map(json.loads, simulation.cluster.trace_lines(model))
    times = [entry.clocks["n1"] // RATE for entry in simulation.cluster.trace or ()]
    lines = observed(header, named, times if model == "lease" else ())
    return lines, [record["actions"] for record in named]


EXPECTED = {
    "pre_vote": {"start_pre_vote", "start_election", "become_leader"},
    "membership": {"become_leader", "append_entries", "advance_commit"},
    "snapshots": {"become_leader", "advance_commit", "compact"},
    "lease": {"elapse", "send_heartbeat", "acknowledge", "become_leader"},
}


@pytest.mark.parametrize("model", SETTINGS)
def test_a_run_of_the_reference_is_accepted_without_its_actions(model: str) -> None:
    """Whether a leader asked another to take over is shown by no line: a run of `lease` may be open there."""
    is_open, taken = 0, set[str]()
    for seed in SEEDS:
        lines, _ = simulated(model, seed)
        assert not any("actions" in line for line in lines)
        found = judged(lines)
        if model == "lease" and "to take over is not shown" in found.why:
            is_open += 1
            continue
        assert found.verdict is HOLDS, (seed, found.summary())
        taken |= found.steps.keys()
    assert taken >= EXPECTED[model]  # a single run need not compact
    assert is_open <= len(SEEDS) / 20


# -- pre_vote -----------------------------------------------------------------------------------------------
def of(model: str, *lines: Line, nodes: list[str] = NODES, **more: Any) -> list[Line]:
    return [{"format": "oneleader", "version": 1, "model": model, "nodes": nodes} | more, *lines]


def line(node: str, term: int, vote: str | None, role: str, **also: Any) -> Line:
    return {"node": node, "event": "step", "term": term, "voted_for": vote, "role": role, **also}


ASKS = line("n1", 0, None, "pre-candidate", votes=["n1"])
STANDS = line("n1", 1, "n1", "candidate", votes=["n1"])
VOTES = line("n2", 1, "n1", "follower")
LEADS = line("n1", 1, "n1", "leader")
ELECTED = (ASKS, STANDS, VOTES, LEADS)


def refused_at(found: Replayed, line: int, text: str) -> None:
    assert found.verdict is VIOLATED, found.summary()
    assert found.refusal
    assert (found.refusal.line, text in found.refusal.text) == (line, True), found.refusal.text


def test_pre_votes_are_found() -> None:
    found = judged(of("pre_vote", *ELECTED), judges_states=True)
    assert found.verdict is HOLDS, found.summary()
    assert found.steps["grant_pre_vote"] == 2
    assert found.steps["receive_pre_vote"] == 2, "n2's and n3's; its own it has"


def test_nobody_stands_without_pre_votes() -> None:
    """All others are in term 1 already when n3 asks for it, as it has shown that it does."""
    others = (ASKS, STANDS, VOTES)
    asks = line("n3", 0, None, "pre-candidate")
    late = of("pre_vote", *others, asks, line("n3", 1, "n3", "candidate"))
    refused_at(judged(late), 6, "start_election(n=n3, q={n1 n3}): quorum_pre_voted")
    before = of("pre_vote", asks, *others, line("n3", 1, "n3", "candidate"))
    assert judged(before).verdict is HOLDS, "n1 and n2 may have granted it"
    hidden = judged(of("pre_vote", *others, line("n3", 1, "n3", "candidate")))
    assert hidden.verdict is INCONCLUSIVE
    assert "n3 never shows that it asks for pre-votes, so when it did is open" in hidden.why


def test_a_pre_vote_that_nobody_can_have_granted_is_refused() -> None:
    leader = of("pre_vote", *ELECTED, line("n3", 1, None, "pre-candidate", votes=["n1", "n3"]))
    refused_at(judged(leader), 6, "receive_pre_vote(candidate=n3, voter=n1, t=2): pre_vote_was_granted")


def test_two_leaders_of_a_term_are_refused() -> None:
    two = of("pre_vote", line("n2", 0, None, "pre-candidate"), *ELECTED, line("n2", 1, "n1", "leader"))
    refused_at(judged(two), 7, "become_leader(n=n2, q={n1 n2}): is_candidate")


def test_a_server_asks_again_and_begins_with_its_own_pre_vote() -> None:
    five = [*NODES, "n4", "n5"]
    two = ASKS | {"votes": ["n1", "n2"]}
    assert judged(of("pre_vote", ASKS, two, ASKS, two, nodes=five)).steps["start_pre_vote"] == 2


def test_a_leader_that_asks_has_given_up() -> None:
    found = judged(of("pre_vote", *ELECTED, line("n1", 1, "n1", "pre-candidate"), LEADS))
    refused_at(found, 7, "is_candidate")


def test_what_no_line_can_say_is_inconclusive_by_name() -> None:
    found = judged(of("pre_vote", ASKS | {"after": {"heard": {"n1": ["n2"]}}}))
    assert (found.verdict, "how `heard` came to be so" in found.why) == (INCONCLUSIVE, True)


def test_the_votes_of_a_pre_candidate_are_not_those_of_a_candidate() -> None:
    assert judged(of("election", *ELECTED)).verdict is HOLDS


# -- membership ---------------------------------------------------------------------------------------------
FOUR = [*NODES, "n4"]
N, C = [1, "no-op"], [1, {"members": FOUR}]


def entry(node: str, role: str, log: list[Any], commit: int, **also: Any) -> Line:
    vote = None if node in ("n3", "n4") else "n1"
    return line(node, 1, vote, role, log=log, commit=commit, **also)


# n1 leads and takes n4 in, which has its log before; three of four commit that.
JOINS = [
    *(line(node, 0, None, "follower", log=[], commit=0) for node in ("n3", "n4")),
    line("n1", 1, "n1", "candidate", log=[], commit=0, members=NODES),  # line 4
    entry("n2", "follower", [], 0),
    entry("n1", "leader", [N], 0),
    entry("n2", "follower", [N], 0),  # line 7
    entry("n1", "leader", [N], 1),
    entry("n4", "follower", [N], 1),
    entry("n1", "leader", [N, C], 1, members=FOUR),  # line 10
    entry("n2", "follower", [N, C], 1, members=FOUR),
    entry("n4", "follower", [N, C], 1),
    entry("n1", "leader", [N, C], 2),  # line 13
]
CONFIGURED: Line = {"nodes": FOUR, "configuration": [NODES]}


def joins(change: Callable[[list[Line]], Any] = lambda lines: None) -> Replayed:
    lines = deepcopy(JOINS)
    change(lines)
    return judged(of("membership", *lines, **CONFIGURED))


@pytest.mark.parametrize("model", ["membership", "snapshots"])
def test_a_server_joins(model: str) -> None:
    found = judged(of(model, *JOINS, **CONFIGURED), judges_states=True)
    assert found.verdict is HOLDS, found.summary()
    assert (found.steps["change_config"], found.steps["advance_commit"]) == (1, 2)


@pytest.mark.parametrize(
    ("at", "change", "refused", "says"),
    [
        (13, {"members": NODES}, 13, "log_config[n1, 2] is 0 in the recording and 1 in the model"),
        (11, {"log": [N, [1, {"members": ["n1", "n2"]}]]}, 11, "log_config[n2, 2] is 2 in the recording"),
        (9, {"log": [], "commit": 0}, 10, "new_members_caught_up"),
        (8, {"commit": 0}, 9, "entries_were_sent"),
        (10, {"log": [N, [1, {"members": ["n1"]}]], "members": ["n1"]}, 10, "is_adjacent"),
        (12, {"log": [N]}, 13, "advance_commit(n=n1, i=2, q={n1 n2}): is_a_quorum"),
    ],
)
def test_a_doctored_change_is_refused(at: int, change: Line, refused: int, says: str) -> None:
    """Members nobody proposed, not adjacent, not caught up; a commit by two of four."""
    refused_at(joins(lambda lines: lines[at - 2].update(change)), refused, says)


def test_a_leader_that_has_committed_nothing_changes_no_members() -> None:
    """Ongaro's correction of July 2015: n1 shows nothing as committed, and nor does n4."""
    found = joins(lambda lines: [lines[i].update({"commit": 0}) for i in (6, 7, 8)])
    refused_at(found, 10, "change_config(n=n1, c=1): own_is_committed")


def test_members_alone_say_which_entry_brought_them() -> None:
    """Terms alone are shown of entries; where two are new, either may have brought the members."""

    def terms(lines: list[Line]) -> None:
        for shown in lines:
            shown["log"] = [term for term, _ in shown["log"]]

    def two_at_once(lines: list[Line]) -> None:
        terms(lines)
        lines[8]["log"] = [1, 1, 1]

    assert joins(terms).verdict is HOLDS
    found = joins(two_at_once)
    assert (found.verdict, "which of the new entries brought n1 other members" in found.why) == (
        INCONCLUSIVE,
        True,
    )


def test_a_vote_of_a_server_that_left_does_not_count() -> None:
    """n1 and n2 take n3 out; then n2 stands, and has n3's vote and its own, of n1 and n2."""
    two = [1, {"members": ["n1", "n2"]}]
    left = [
        *JOINS[:7],
        entry("n1", "leader", [N, two], 1),
        entry("n2", "follower", [N, two], 1),
        entry("n1", "leader", [N, two], 2),
        line("n2", 2, "n2", "candidate", log=[N, two], commit=1),
        line("n3", 2, "n2", "follower"),
    ]
    wins = line("n2", 2, "n2", "leader")
    refused_at(
        judged(of("membership", *left, wins, **CONFIGURED)),
        14,
        "become_leader(n=n2, q={n2}): is_a_quorum (dissertation 4.1",
    )
    assert (
        judged(of("membership", *left, line("n1", 2, "n2", "follower"), wins, **CONFIGURED)).verdict is HOLDS
    )


# -- snapshots ----------------------------------------------------------------------------------------------
def cut(node: str, role: str, snapshot: int, log: list[Any], commit: int) -> Line:
    return entry(node, role, log, commit, snapshot=snapshot)


A = [1, "a"]
COMMITTED = [
    *JOINS[:7],
    entry("n1", "leader", [N, A], 1),  # line 9
    entry("n2", "follower", [N, A], 1),
    entry("n1", "leader", [N, A], 2),  # line 11
]


def test_snapshots_are_found() -> None:
    """n1 forgets what is committed; n3, which has nothing, is sent that, and an entry behind it."""
    behind = [cut("n1", "leader", 2, [], 2), cut("n1", "leader", 2, [A], 2)]
    found = judged(
        of("snapshots", *COMMITTED, *behind, cut("n3", "follower", 2, [A], 2), **CONFIGURED),
        judges_states=True,
    )
    assert found.verdict is HOLDS, found.summary()
    assert (found.steps["compact"], found.steps["install_snapshot"]) == (1, 1)


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (cut("n2", "follower", 2, [], 1), "compact(n=n2, k=2): entry_is_committed"),
        (cut("n3", "follower", 3, [], 3), "install_snapshot(n=n3, t=1, k=3): snapshot_was_sent"),
        (cut("n1", "leader", 1, [[1, "b"]], 2), "log_value[n1, 2] is b in the recording and a in the model"),
    ],
)
def test_a_snapshot_of_what_is_not_committed_is_refused(shown: Line, says: str) -> None:
    refused_at(judged(of("snapshots", *COMMITTED, shown, **CONFIGURED)), 12, says)


# -- lease --------------------------------------------------------------------------------------------------
LENGTHS: Line = {"parameters": {"lease": 90, "promise": 110, "slow": 10, "fast": 11}}


def at(time: int, shown: Line, **also: Any) -> Line:
    return shown | {"time": time} | also


# A lease of 9 in true time by the slowest clock, a promise of 10 by the fastest: n2 acknowledges at 12.
HELD = [
    at(10, STANDS | {"votes": ["n1"]}),
    at(10, VOTES),
    at(11, LEADS, sends=["h1"], lease=False),
    at(12, VOTES, receives=["h1"]),  # line 5
    at(13, LEADS, lease=True),
]


def leased(*more: Line, lines: list[Line] = HELD) -> Replayed:
    return judged(of("lease", *lines, *more, **LENGTHS), judges_states=True)


def test_a_lease_is_found() -> None:
    found = leased(at(19, LEADS, lease=True))
    assert found.verdict is HOLDS, found.summary()
    assert (found.steps["send_heartbeat"], found.steps["acknowledge"]) == (1, 1)


def test_a_lease_ends() -> None:
    late = at(13, line("n3", 1, None, "follower"), receives=["h1"])
    assert leased(late, at(19, LEADS, lease=True)).verdict is HOLDS
    refused_at(leased(late, at(20, LEADS, lease=True)), 8, "n1 shows a lease, and nobody has acknowledged")
    refused_at(leased(at(19, line("n2", 1, "n1", "follower"), lease=True)), 7, "it does not lead")


def test_a_lease_that_nobody_acknowledged_is_refused_or_open() -> None:
    unheard = [shown for shown in HELD if "receives" not in shown]
    says = "shows a lease, and nobody has acknowledged what it sent within 90"
    found = leased(lines=unheard)
    assert (found.verdict, found.why[: found.why.index(":", 8)]) == (
        INCONCLUSIVE,
        "line 5: n2 never shows what it `receives`, so whether this may be is open",
    )
    acknowledge = [at(11, VOTES, receives=["h1"]), at(11, line("n3", 1, None, "follower"), receives=["h1"])]
    late = [*HELD[:3], *acknowledge, at(20, LEADS, sends=["h2"], lease=True)]
    refused_at(leased(lines=late), 7, says)


NEW = line("n3", 2, "n3", "candidate")


def test_a_promise_is_kept() -> None:
    """n2 votes for n3, which has promised nothing; its own promise ends at 22 by the fastest clock."""
    vote = line("n2", 2, "n3", "follower")
    refused_at(leased(at(14, NEW), at(21, vote)), 8, "grant_vote(voter=n2, candidate=n3, t=2): vote_is_due")
    assert leased(at(14, NEW), at(22, vote)).verdict is HOLDS
    refused_at(leased(at(14, line("n2", 2, "n2", "candidate"))), 7, "start_election(n=n2): promise_ran_out")


def test_two_hold_no_lease_at_once() -> None:
    """The second is refused where it was elected, for its voter had promised the first."""
    two = [at(14, NEW), at(14, line("n2", 2, "n3", "follower")), at(15, line("n3", 2, "n3", "leader"))]
    two += [at(15, line("n3", 2, "n3", "leader"), sends=["g"]), at(16, VOTES | {"term": 2}, receives=["g"])]
    refused_at(leased(*two, at(17, line("n3", 2, "n3", "leader"), lease=True)), 8, "vote_is_due")


def test_a_leader_that_gave_up_its_lease_may_have_asked_another_to_stand() -> None:
    gives_up, stands = at(14, LEADS, lease=False), at(15, line("n2", 2, "n2", "candidate"))
    assert leased(gives_up, stands).verdict is HOLDS
    refused_at(leased(gives_up, stands, at(16, LEADS, lease=True)), 9, "lease_is_void[n1] is false in the")
    assert leased(gives_up, at(15, NEW), at(16, line("n2", 2, "n3", "follower"))).verdict is HOLDS


# -- the shortest part --------------------------------------------------------------------------------------
REFUSED = {
    "pre_vote": of("pre_vote", *ELECTED, line("n3", 1, None, "pre-candidate", votes=["n1", "n3"])),
    "membership": of("membership", *JOINS[:10], JOINS[11], **CONFIGURED),
    "snapshots": of("snapshots", *COMMITTED, cut("n2", "follower", 2, [], 1), **CONFIGURED),
    "lease": of("lease", *HELD, at(14, NEW), at(21, line("n2", 2, "n3", "follower")), **LENGTHS),
}


@pytest.mark.parametrize(
    ("model", "kept"), [("pre_vote", 3), ("membership", 7), ("snapshots", 3), ("lease", 6)]
)
def test_the_shortest_part_of_what_nodes_show(model: str, kept: int) -> None:
    """Refused in the same words, and no line of it is idle."""
    text = [json.dumps(record) + "\n" for record in REFUSED[model]]
    result = replay_lines(text)
    assert result.refusal, result.summary()
    part = shorten(text[: result.refusal.line], result)
    assert part.result.refusal
    assert (part.result.refusal.text, part.is_shortest) == (result.refusal.text, True)
    assert (part.lines[0], part.lines[-1], len(part.lines)) == (text[0], text[result.refusal.line - 1], kept)
    for i in range(1, kept - 1):
        less = replay_lines([*part.lines[:i], *part.lines[i + 1 :]]).refusal
        assert not less or (less.text, less.line) != (result.refusal.text, kept - 1), part.lines[i]


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (LEADS, "the line shows no `time`, and the model lease counts it"),
        (LEADS | {"time": 13.5}, "the line shows a `time` that is no whole number"),
        (at(12, line("n3", 0, None, "follower")), "the time goes back from 13 at n1 to 12 at n3"),
    ],
)
def test_time_is_that_of_one_clock(shown: Line, says: str) -> None:
    found = leased(shown)
    assert found.verdict is INCONCLUSIVE
    assert found.why.startswith(f"line 7: {says}"), found.why


def test_a_restart_loses_a_promise_and_waits() -> None:
    restarts = at(14, line("n3", 0, None, "follower"), restarts=True)
    refused_at(leased(restarts, at(15, NEW | {"term": 2})), 8, "start_election(n=n3): promise_ran_out")


# -- cost ---------------------------------------------------------------------------------------------------
def test_a_line_costs_no_more_behind_a_long_log() -> None:
    """How often cells are read, and not seconds: per line, in a log of 20 entries and in one of 200."""
    from oneleader.readers.replay.compiled import CompiledCandidate

    def reads(entries: int) -> Counter[str]:
        counted: Counter[str] = Counter()
        lines = [*JOINS[:5]]
        for i in range(2, entries + 2):
            lines += [
                line("n1", 1, "n1", "leader", first=i, log=[A]),
                line("n2", 1, "n1", "follower", first=i, log=[A]),
            ]
            lines += [line("n1", 1, "n1", "leader", commit=i), line("n2", 1, "n1", "follower", commit=i)]
        get = CompiledCandidate.get

        def counting(self: Any, name: str, index: Any = ()) -> Any:
            counted[name] += 1
            return get(self, name, index)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CompiledCandidate, "get", counting)
            found = judged(of("membership", *lines, **CONFIGURED))
        assert found.verdict is HOLDS, found.summary()
        return counted

    few, many = reads(20).total() / 80, reads(200).total() / 800
    assert many < few * 1.2, (few, many)
