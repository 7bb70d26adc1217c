"""Recordings are judged, not believed: each way that was found to have one accepted that is false.

`make red-team` runs this folder. Each test names the kind of attack; each was accepted, or ended in a
traceback, before the check was there.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from oneleader.errors import UsageError
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Because, Fault
from oneleader.models import election, lease, replication
from oneleader.pictures import recorded
from oneleader.readers.explore.explore import explore, ghosts_read
from oneleader.readers.replay import properties
from oneleader.readers.replay.formats import forgetting, node_folders
from oneleader.readers.replay.formats.written import recording
from oneleader.readers.replay.replay import BadRecording, Replayed, replay, replay_lines
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from oneleader_raft.node import recording as node_recording
from tests.places import RECORDINGS
from tests.reference.node.test_trace import node_file
from tests.reference.node.traced_run import elections_and_writes

Line = dict[str, Any]


def judge(lines: list[Line], **options: Any) -> Replayed:
    return replay_lines((json.dumps(line) + "\n" for line in lines), **options)


def refused(lines: list[Line], line: int, text: str, **options: Any) -> None:
    result = judge(lines, **options)
    assert result.refusal, result.summary()
    assert text in result.refusal.text
    assert (result.refusal.line, result.status) == (line, 1)


# -- our own counterexamples ---------------------------------------------------------------------------
WITH_RUNS = [fault for fault in FAULTS.values() if not isinstance(fault.explore, Because)]


@pytest.mark.parametrize("fault", WITH_RUNS, ids=lambda fault: str(fault.id))
def test_a_counterexample_of_a_fault_is_no_run_of_the_model_it_names(fault: Fault) -> None:
    found = explore(
        fault.model,
        fault.configuration,
        properties=[fault.broken],
        ghosts=ghosts_read(fault.model, fault.broken),
    )
    assert found.violation
    result = judge(recording(fault.model, found.run, found.violation, fault.id))
    assert result.verdict is VIOLATED, result.summary()


def test_most_counterexamples_are_in_the_test_above() -> None:
    assert len(WITH_RUNS) > 35


# -- what the header asserts -----------------------------------------------------------------------------
ELECTION: Line = {"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1", "n2", "n3"]}
STANDS: Line = {
    "node": "n1",
    "event": "x",
    "actions": [["start_election", {"n": "n1"}]],
    "after": {"term": {"n1": 1}},
}
LEASE = ELECTION | {"model": "lease"}
CLOCKS = {"lease": 2, "promise": 3, "slow": 2, "fast": 3}


@pytest.mark.parametrize(
    ("wrong", "axiom"),
    [
        ({"lease": 3}, "lease_is_short_enough"),
        ({"fast": 4}, "lease_is_short_enough"),
        ({"slow": 0, "lease": 0}, "clocks_run"),
        ({"slow": 4}, "clocks_run"),
    ],
)
def test_lengths_and_rates_satisfy_the_axioms(wrong: dict[str, int], axiom: str) -> None:
    assert judge([LEASE | {"parameters": CLOCKS}, STANDS]).verdict is HOLDS
    refused([LEASE | {"parameters": CLOCKS | wrong}, STANDS], 1, f"the axiom {axiom}() is false")


@pytest.mark.parametrize(
    "apart",
    [
        {"quorums": [["n1"], ["n2", "n3"]]},
        {"constants": {"member": [["n1", "p"], ["n2", "q"]]}},
        {"constants": {"member": [["n1", "p"], ["n1", "q"], ["n3", "r"]]}},
    ],
)
def test_quorums_meet(apart: Line) -> None:
    refused([ELECTION | apart, STANDS], 1, "the axiom quorums_intersect(")


LEADS_BY: Line = {"node": "n1", "event": "x", "actions": [["become_leader", {"n": "n1", "q": "z"}]]}


@pytest.mark.parametrize("member", [[["n1", "p"], ["n2", "p"]], []])
def test_a_quorum_that_appears_later_satisfies_the_axioms_too(member: list[list[str]]) -> None:
    """No list of the header says who is in it: it is empty, and its leader would need no vote."""
    late = ELECTION | {"constants": {"member": member}}
    refused([late, STANDS, LEADS_BY], 3, "the axiom quorums_intersect(")


def test_what_the_header_says_of_constants_is_printed_as_given() -> None:
    off = ELECTION | {"model": "system", "constants": {"off": [["quorum"]]}}
    elected = {"node": "n1", "event": "x", "actions": [["elect", {"n": "n1", "q": ["n1", "n2"]}]]}
    assert 'taken as given: constants {"off": [["quorum"]]}' in judge([off, elected]).summary()
    listed = {"quorums": [["n1", "n2"], ["n1", "n3"]]}
    said = judge([ELECTION | listed, STANDS]).summary()
    assert 'taken as given: quorums [["n1", "n2"], ["n1", "n3"]]' in said


def test_what_is_said_to_be_false_in_the_end_is_judged() -> None:
    claims = {"violates": ["election_safety", {"t": 1, "a": "n1", "b": "n1"}]}
    refused(
        [ELECTION | claims, STANDS],
        2,
        "election_safety(t=1, a=n1, b=n1) is false in the end, and in the model",
    )
    for nonsense in (["safe", {}], ["election_safety", {"t": 1}], "election_safety"):
        with pytest.raises(
            BadRecording, match=r"line 1: (`violates` (names|is not written)|election_safety takes)"
        ):
            judge([ELECTION | {"violates": nonsense}, STANDS])


# -- what a line says stood before it ------------------------------------------------------------------------
def won(n: str, term: int, voter: str) -> list[Line]:
    """`n` is elected in the term by the vote of another server."""
    vote: Line = {"voter": voter, "candidate": n, "t": term}
    steps: list[list[list[Any]]] = [
        [["start_election", {"n": n}]],
        [["update_term", {"n": voter, "t": term}], ["grant_vote", vote], ["reply_vote", vote]],
        [["receive_vote", vote], ["become_leader", {"n": n, "q": [n, voter]}]],
    ]
    return [
        {"node": node, "event": "x", "actions": of} for node, of in zip((n, voter, n), steps, strict=True)
    ]


def says_it_leads(term: int) -> Line:
    """A first line of n3, in the words of which it leads already."""
    state = {"term": {"n3": term}, "role": {"n3": "leader"}, "voted_for": {"n3": "n3"}}
    return {"node": "n3", "event": "x", "actions": [], "given": state, "after": {"role": {"n3": "leader"}}}


@pytest.mark.parametrize("terms", [1, 9])
@pytest.mark.parametrize("later", [0, 1])
def test_a_late_beginning_is_judged_whatever_is_proved(
    terms: int, later: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof lets most states rest, and begins where the model does, not where a line says."""
    monkeypatch.setattr(properties, "FIRST", 8)
    lines = [ELECTION]
    for term in range(1, terms + 1):
        lines += won(*(("n1", term, "n2") if term % 2 else ("n2", term, "n1")))
    assert judge(lines).verdict is HOLDS
    refused(
        [*lines, says_it_leads(terms + later), *won("n2", terms + 1, "n1")],
        len(lines) + 1,
        "the invariant leader_was_announced(n=n3) is false",
    )


def test_what_follows_a_late_beginning_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guards alone do not refuse a second leader of term 2: that the first was elected was believed."""
    monkeypatch.setattr(properties, "FIRST", 8)
    first = says_it_leads(2)
    voted = {"heartbeat": {"n3": [2]}, "requested": {"n3": [2]}, "granted": {"n3": {"2": ["n3"]}}}
    first["given"] |= voted
    lines = [ELECTION | {"incomplete": ["elected_by"]}, *won("n1", 1, "n2"), first]
    assert judge(lines).verdict is HOLDS
    refused([*lines, *won("n2", 2, "n1")], 8, "the theorem election_safety(t=2, a=n")


def test_a_late_beginning_is_open_once_its_judges_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "MOST_TERMS", 4)
    lines = [ELECTION]
    for term in range(1, 40):
        lines += won(*(("n1", term, "n2") if term % 2 else ("n2", term, "n1")))
        lines[-1]["actions"].append(["update_term", {"n": "n3", "t": term}])
    result = judge([*lines, says_it_leads(39)])
    assert result.verdict is INCONCLUSIVE, result.summary()
    assert "from terms of long ago, is not remembered" in result.why


@pytest.mark.parametrize("incomplete", [["term"], ["role"], ["term", "votes", "heartbeat", "granted"]])
def test_no_recording_calls_incomplete_what_would_refute_it(incomplete: list[str]) -> None:
    """What is lacking is what other nodes had: two servers begin as leaders of one term."""
    lines = [ELECTION | {"incomplete": incomplete}, says_it_leads(1)]
    lines.append(json.loads(json.dumps(lines[1]).replace("n3", "n2")))
    result = judge(lines)
    assert result.verdict is not HOLDS, result.summary()


# -- properties of the states reached ----------------------------------------------------------------------
def test_a_state_is_refused_even_where_no_guard_forbids_the_step() -> None:
    """A model without the guard on quorums: the state itself is refused, with the property and its clause."""
    careless = election.MODEL.without_guard("become_leader", "quorum_voted")
    leads = {"node": "n1", "event": "x", "actions": [["become_leader", {"n": "n1", "q": ["n1", "n2"]}]]}
    result = judge([ELECTION, STANDS, leads], model=careless)
    assert result.refusal
    assert (result.refusal.line, result.refusal.property) == (3, "elected_by_quorum")
    assert "Every member of the quorum that elected a leader granted it its vote" in result.refusal.text


# -- keys that nobody reads ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            {"node": "n1", "event": "x", "actions": [], "afer": {"term": {"n1": 9}}},
            "unknown key `afer` in a step: do you mean `after`?",
        ),
        ({"node": "n1", "event": "x", "action": [], "actions": []}, "unknown key `action` in a step"),
        (
            {"node": "n1", "event": "x", "actions": [], "after": {"trem": {"n1": 9}}},
            "election has no field trem",
        ),
    ],
)
def test_a_key_with_a_typo_is_refused(line: Line, says: str) -> None:
    with pytest.raises(BadRecording) as error:
        judge([ELECTION, line])
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["quorum", "parameter", "node", "comment"])
def test_a_header_with_a_typo_is_refused(key: str) -> None:
    with pytest.raises(BadRecording, match=f"line 1: unknown key `{key}` in the header"):
        judge([ELECTION | {key: []}])


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"elements": {"Node": ["n1"]}}, "names the nodes twice"),
        ({"quorums": [["n1"]], "constants": {"member": [["n1", "q"]]}}, "nothing reads `quorums` here"),
    ],
)
def test_what_the_header_says_twice_is_refused(header: Line, says: str) -> None:
    with pytest.raises(BadRecording, match=says):
        judge([ELECTION | header, STANDS])


def test_a_key_that_stands_twice_is_refused() -> None:
    line = '{"node": "n1", "event": "x", "actions": [], "after": {"term": {"n1": 9}}, "after": {}}\n'
    with pytest.raises(BadRecording, match="line 2: the key `after` stands twice"):
        replay_lines([json.dumps(ELECTION) + "\n", line])


# -- a verdict that rests on nothing -------------------------------------------------------------------------
NOTHING: list[list[Line]] = [
    [],
    [ELECTION],
    [ELECTION, {"node": "n1", "event": "x", "actions": []}],
    [ELECTION, {"node": "n1", "event": "x", "actions": [], "after": {"term": {}}}],
]


@pytest.mark.parametrize("lines", NOTHING)
def test_a_recording_that_compares_nothing_is_inconclusive(lines: list[Line]) -> None:
    result = judge(lines)
    assert (result.verdict, result.status) == (INCONCLUSIVE, 3)
    assert result.why.startswith("there is nothing to judge")


def test_the_verdict_says_what_it_rests_on() -> None:
    summary = judge([ELECTION | {"seed": 7}, STANDS]).summary()
    assert "1 observation compared with the model" in summary
    assert (
        "fields of the model never compared: voted_for, role, votes, requested, granted, heartbeat" in summary
    )
    assert "not looked at in the recording: event, node, seed" in summary
    assert "8 of 8 properties judged on every state reached" in summary


def test_the_verdict_names_the_rules_that_were_not_asked() -> None:
    """What a recording never shows is no evidence: actions it never takes, guards that forbid nothing."""
    result = judge([ELECTION, STANDS])
    untaken = "grant_vote, reply_vote, receive_vote, become_leader, update_term, step_down, restart"
    assert f"actions never taken, so their guards were not asked: {untaken}" in result.summary()
    assert "guards that forbade nothing: start_election (not_leader)" in result.summary()
    won = [
        ["start_election", {"n": "n1"}],
        ["update_term", {"n": "n2", "t": 1}],
        ["grant_vote", {"voter": "n2", "candidate": "n1", "t": 1}],
        ["reply_vote", {"voter": "n2", "candidate": "n1", "t": 1}],
        ["receive_vote", {"candidate": "n1", "voter": "n2", "t": 1}],
        ["become_leader", {"n": "n1", "q": ["n1", "n2"]}],
    ]
    alone = [["start_election", {"n": "n3"}], ["become_leader", {"n": "n3", "q": ["n2", "n3"]}]]
    result = judge([ELECTION, *({"node": "n1", "event": "x", "actions": steps} for steps in (won, alone))])
    assert result.verdict is VIOLATED
    assert result.forbade_nothing["become_leader"] == ["is_candidate"]  # and the other, quorum_voted, did
    assert result.never_taken == ["step_down", "restart"]


# -- lengths of time -----------------------------------------------------------------------------------------
def test_long_ago_is_longer_than_any_promise() -> None:
    """In microseconds a promise of two seconds is more than the number that stands for long ago."""
    long = {"lease": 1_000_000, "promise": 2_000_000, "slow": 2, "fast": 3}
    assert judge([LEASE | {"parameters": long}, STANDS]).verdict is HOLDS
    promised = {"node": "n1", "event": "x", "actions": [["restart", {"n": "n1"}]]}
    refused([LEASE | {"parameters": long}, promised, STANDS], 3, "promise_ran_out", model=lease.MODEL)


# -- etcd: configurations ------------------------------------------------------------------------------------
def event(name: str, nid: str, term: int, vote: str = "0", role: str = "Follower", **other: Any) -> Line:
    said = {"name": name, "nid": nid, "state": {"term": term, "vote": vote, "commit": other.pop("commit", 0)}}
    said |= {
        "role": f"State{role}",
        "log": other.pop("log", 0),
        "conf": other.pop("conf", [["1", "2", "3"], []]),
    }
    return {"event": said | other}


def alone(nid: str, conf: list[list[str]]) -> list[Line]:
    """A node that makes itself the leader of term 2, by a configuration that suits it."""
    lines = [event("BecomeCandidate", nid, 2, nid, "Candidate"), event("Ready", nid, 2, nid, "Candidate")]
    return [*lines, event("BecomeLeader", nid, 2, nid, "Leader", conf=conf)]


STARTED = [event("InitState", n, 1) for n in "123"]
CHANGED = {"cc": {"changes": [{"nid": "3", "action": "RemoveServer"}]}}


@pytest.mark.parametrize(
    ("conf", "text"),
    [
        ([["1"], []], "n1 has the configuration {n1}, and no line before allows another than {n1 n2 n3}"),
        ([["1", "2"], []], "n1 has the configuration {n1 n2}"),
        ([["1", "2", "3"], ["1"]], "n1 has the configuration {n1 n2 n3} joint with {n1}"),
        ([[], []], "n1 has the configuration {}"),
        ([["1", "2", "3", "4", "5"], []], "n1 has the configuration"),
    ],
)
def test_a_configuration_out_of_nothing_is_refused(conf: list[list[str]], text: str) -> None:
    refused([*STARTED, *alone("1", conf)], 6, text)


def test_two_nodes_that_start_in_different_clusters_are_refused() -> None:
    other = event("InitState", "2", 1, conf=[["2", "3"], []])
    refused(
        [STARTED[0], other], 2, "n2 starts with the configuration {n2 n3}, and {n1 n2 n3} is what is known"
    )


def applies(nid: str, voters: list[str], before: list[str], **other: Any) -> Line:
    return event("ApplyConfChange", nid, 1, conf=[before, []], prop={"cc": {"newconf": voters}}, **other)


def test_a_bootstrap_is_the_same_on_every_node_and_whole_before_anybody_stands() -> None:
    start = [event("InitState", n, 1, conf=[[], []]) for n in "123"]
    first = [applies("1", ["1"], []), applies("1", ["1", "2"], ["1"])]
    refused([*start, *first, applies("2", ["2"], [])], 6, "n2 applies the configuration {n2}")
    refused([*start, applies("1", ["1", "2"], [])], 4, "n1 applies the configuration {n1 n2}")
    second = applies("2", ["1"], [])
    stands = event("BecomeCandidate", "2", 2, "2", "Candidate", conf=[["1"], []])
    refused(
        [*start, *first, second, stands],
        7,
        "n2 stands with the voters {n1}, and the cluster started with {n1 n2}",
    )


LEADER: dict[str, Any] = {"role": "Leader", "vote": "1"}


def led() -> list[Line]:
    """n1 leads term 2, by the vote of n2, with a log of three entries."""
    c = {"role": "Candidate", "vote": "1"}
    asks = {"type": "MsgVote", "term": 2, "from": "1", "to": "2", "reject": False}
    grants = {"type": "MsgVoteResp", "term": 2, "from": "2", "to": "1", "reject": False}
    return [
        *STARTED,
        event("BecomeCandidate", "1", 2, **c),
        event("SendRequestVoteRequest", "1", 2, msg=asks, **c),
        event("Ready", "1", 2, **c),
        event("ReceiveRequestVoteRequest", "2", 1, msg=asks),
        event("BecomeFollower", "2", 2),
        event("SendRequestVoteResponse", "2", 2, msg=grants),
        event("Ready", "2", 2, "1"),
        event("ReceiveRequestVoteResponse", "1", 2, msg=grants, **c),
        event("BecomeLeader", "1", 2, **LEADER),
    ]


def applied(voters: list[str], commit: int = 4) -> Line:
    return event("ApplyConfChange", "1", 2, commit=commit, prop={"cc": {"newconf": voters}}, **LEADER)


def test_a_change_needs_a_proposal_that_is_committed() -> None:
    proposed = event("ChangeConf", "1", 2, log=3, prop=CHANGED, **LEADER)
    after = event("Ready", "1", 2, conf=[["1", "2"], []], **LEADER)
    assert judge([*led(), proposed, applied(["1", "2"]), after]).verdict is HOLDS
    nobody = "no ChangeConf before this line that it has committed says so"
    refused([*led(), applied(["1", "2"])], 13, nobody)
    refused([*led(), proposed, applied(["1", "2"], commit=3)], 14, nobody)
    refused([*led(), proposed, applied(["1", "3"])], 14, nobody)
    refused(
        [*led(), proposed, applied(["1", "2"]), applied(["1"])], 15, "n1 has the configuration {n1 n2 n3}"
    )


def test_a_change_of_several_voters_goes_through_joint_consensus() -> None:
    two = {"cc": {"changes": [{"nid": n, "action": "RemoveServer"} for n in "23"]}}
    lines = [*led(), event("ChangeConf", "1", 2, log=3, prop=two, **LEADER), applied(["1"])]
    at_once = event("Ready", "1", 2, conf=[["1"], []], **LEADER)
    refused([*lines, at_once], 15, "quorums of the two need not meet (section 6: joint consensus)")
    joint = event("Ready", "1", 2, conf=[["1"], ["1", "2", "3"]], **LEADER)
    assert judge([*lines, joint]).verdict is HOLDS


def elected_again(voter: str) -> list[Line]:
    """n3 is removed; then n1 stands in term 3 and has the vote of this server alone."""
    c: dict[str, Any] = {"role": "Candidate", "vote": "1", "conf": [["1", "2"], []]}
    asks = {"type": "MsgVote", "term": 3, "from": "1", "to": voter, "reject": False}
    grants = {"type": "MsgVoteResp", "term": 3, "from": voter, "to": "1", "reject": False}
    term, vote = (2, "1") if voter == "2" else (1, "0")
    return [
        *[*led(), event("ChangeConf", "1", 2, log=3, prop=CHANGED, **LEADER), applied(["1", "2"])],
        event("InitState", "1", 2, "1", conf=c["conf"]),
        event("BecomeCandidate", "1", 3, **c),
        event("SendRequestVoteRequest", "1", 3, msg=asks, **c),
        event("Ready", "1", 3, **c),
        event("ReceiveRequestVoteRequest", voter, term, vote, msg=asks),
        event("BecomeFollower", voter, 3),
        event("SendRequestVoteResponse", voter, 3, msg=grants),
        event("Ready", voter, 3, "1"),
        event("ReceiveRequestVoteResponse", "1", 3, msg=grants, **c),
        event("BecomeLeader", "1", 3, "1", "Leader", conf=c["conf"]),
    ]


def test_the_vote_of_a_server_that_left_is_not_counted() -> None:
    assert judge(elected_again("2")).verdict is HOLDS
    refused(elected_again("3"), 24, "become_leader(n=n1, q={n1 n2}): quorum_voted")


def test_a_restart_brings_no_new_configuration() -> None:
    refused(
        [*led(), event("InitState", "1", 2, "1", conf=[["1"], []])],
        13,
        "n1 starts with the configuration {n1}",
    )


def test_a_restart_shows_whether_the_configuration_applied_last_is_joint() -> None:
    lines = [*led(), event("ChangeConf", "1", 2, log=3, prop=CHANGED, **LEADER), applied(["1", "2"])]
    assert judge([*lines, event("InitState", "1", 2, "1", conf=[["1", "2"], []])]).verdict is HOLDS
    joint = event("InitState", "1", 2, "1", conf=[["1", "2"], ["2", "3"]])
    refused([*lines, joint], 15, "n1 is joint with {n2 n3} and had {n1 n2 n3}")


# -- etcd: what a node starts with ---------------------------------------------------------------------------
def fresh(nid: str, entries: int, commit: int) -> list[Line]:
    return [event("InitState", nid, 1, commit=commit), event("Ready", nid, 1, log=entries, commit=commit)]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (
            [*fresh("1", 3, 3), *fresh("2", 10, 10)],
            "n2 starts with 10 entries, and the cluster started with 3",
        ),
        ([*fresh("1", 3, 3), *fresh("2", 2, 2)], "n2 starts with 2 entries"),
        ([*fresh("1", 3, 4)], "has committed 4 entries and stores 3"),
        (
            [event("InitState", "1", 1, commit=4), event("Ready", "1", 1, log=3, commit=3)],
            "the commit index of n1 goes back from 4 to 3 while it starts",
        ),
        (
            [event("InitState", "1", 1, log=9, commit=3), event("Ready", "1", 1, log=3, commit=3)],
            "the log of n1 goes back from 9 to 3 while it starts",
        ),
        ([*fresh("1", 0, 4)], "commit_index[n1] is 4 in the recording and 0 in the model"),
        (
            [*fresh("1", 0, 0), event("Commit", "1", 1, log=3, commit=3)],
            "log_length[n1] is 3 in the recording and 0 in the model",
        ),
        (
            [*fresh("1", 3, 3), *fresh("2", 0, 0), event("BecomeCandidate", "2", 2, "2", "Candidate")],
            "n2 stands with 0 entries, and the cluster started with 3",
        ),
    ],
)
def test_entries_out_of_nothing_are_refused(lines: list[Line], text: str) -> None:
    refused(lines, len(lines), text, model=replication.MODEL)


def test_what_is_taken_as_given_is_printed() -> None:
    summary = judge(led()).summary()
    assert "taken as given: the voters that the cluster started with: {n1 n2 n3}" in summary


def test_a_change_that_nobody_saw_committed_is_printed_as_given() -> None:
    proposed = event("ChangeConf", "1", 2, log=3, prop=CHANGED, **LEADER)
    summary = judge([*led(), proposed, applied(["1", "2"])]).summary()
    given = "taken as given: that 1 change of the voters had been committed (--model replication judges that)"
    assert given in summary


def test_changes_that_are_no_list_are_a_sentence() -> None:
    change = event("ChangeConf", "1", 0, prop={"cc": {"changes": 5}})
    with pytest.raises(BadRecording, match="`changes` is not a list"):
        judge([event("InitState", "1", 0), change])


def test_an_index_of_too_many_digits_is_a_sentence() -> None:
    many = {"node": "n1", "event": "x", "after": {"requested": {"n1": {"9" * 5_000: True}}}}
    with pytest.raises(BadRecording, match="is no Term"):
        judge([ELECTION, many])


def test_a_message_of_an_event_that_carries_none_is_not_drawn(tmp_path: Path) -> None:
    path = tmp_path / "odd.ndjson"
    odd = [event("InitState", "1", 0), event("Ready", "1", 7, msg=[1])]
    path.write_text("".join(json.dumps(line) + "\n" for line in odd))
    found = replay(path)
    assert found.verdict is VIOLATED
    assert recorded.judged(path, found, None)


def test_an_event_that_nobody_knows_is_inconclusive_by_name() -> None:
    result = judge([*STARTED, event("BecomeWitness", "1", 1)])
    assert (result.verdict, result.status) == (INCONCLUSIVE, 3)
    assert result.why == "line 4: unknown event 'BecomeWitness'; lines 1 to 3 were judged and accepted"


def test_bootstrap_is_an_event() -> None:
    lines = [*STARTED, event("Bootstrap", "1", 1), event("BecomeFollower", "1", 1)]
    assert judge(lines).verdict is HOLDS
    refused([*STARTED, event("Bootstrap", "1", 2)], 4, "term[n1] is 2 in the recording and 1 in the model")


def test_recordings_that_are_right_are_accepted_all_the_same() -> None:
    result = replay(RECORDINGS / "etcd-raft-example.ndjson.gz")
    assert (result.verdict, result.lines) == (HOLDS, 4888)
    assert not {"ChangeConf", "ApplyConfChange"} & result.not_modelled.keys()


# -- folders of nodes ------------------------------------------------------------------------------------
def folder(path: Path, change: Callable[[Line], Any]) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for id in ("n1", "n2", "n3"):
        file = node_file(path, id, [(1, None)])
    header, step = map(json.loads, file.read_text().splitlines())
    change(step)
    file.write_text(json.dumps(header) + "\n" + json.dumps(step) + "\n")
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s["after"].update(role="king"), "`after.role` is 'king', which is not known here"),
        (
            lambda s: s["after"].update(role=[]),
            "`after.role` cannot be a list: give the trace as its node wrote it",
        ),
        (lambda s: s["after"].pop("votes"), "`after.votes` is missing"),
        (lambda s: s["after"].update(vote=3), "`after.vote` is not known here"),
        (lambda s: s["after"].update(term="3"), "`after.term` cannot be a string"),
        (lambda s: s.pop("from"), "`from` is missing"),
        (lambda s: s.update(form=None) or s.pop("from"), "`form` is not known here"),
        (lambda s: s.update({"from": "n2"}), "`from` cannot be a string"),
        (lambda s: s.update(extra=1), "`extra` is not known here"),
        (lambda s: s["actions"].append(["grant_wish", {}]), "unknown action 'grant_wish'"),
        (lambda s: s["actions"].append(["restart", {}]), "restart lacks `n`"),
        (lambda s: s["actions"].append("restart"), "`actions[1]` cannot be a string"),
        (lambda s: s["after"].update(id="n3"), "`after.id` is not known here"),
        (lambda s: s.update(members=[["n1"]]), "`members` stand at a `cut`, and nowhere else"),
        (lambda s: s.update(event="cut"), "`members` stand at a `cut`, and nowhere else"),
        (lambda s: s["after"].update(entries=[3]), "`after.entries[0]` cannot be a whole number"),
        (lambda s: s["after"].update(entries=[[1]]), "`after.entries[0]` is a list of another length than 2"),
        (lambda s: s.update({"from": ["n2", 0]}), "`from[1]` is less than 1"),
    ],
)
def test_a_node_folder_that_is_malformed_is_a_sentence(
    tmp_path: Path, change: Callable[[Line], Any], says: str
) -> None:
    (judged,) = node_folders.judge(folder(tmp_path / "run", change), ["election"])
    assert judged.result.verdict is INCONCLUSIVE
    assert says in judged.result.why
    assert "n3.trace.jsonl line 2" in judged.result.why
    (whole,) = node_folders.judge(folder(tmp_path / "run", deepcopy), ["election"])
    assert whole.result.verdict is HOLDS


def named_by_another(path: Path) -> None:
    (path / "n3.trace.jsonl").rename(path / "n4.trace.jsonl")


def copied(path: Path) -> None:
    shutil.copy(path / "n3.trace.jsonl", path / "n4.trace.jsonl")


def without_its_second_part(path: Path) -> None:
    shutil.copy(path / "n3.trace.jsonl", path / "n3.trace-3.jsonl")


def with_a_folder_for_a_file(path: Path) -> None:
    (path / "n3.trace.jsonl").unlink()
    (path / "n3.trace.jsonl").mkdir()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (named_by_another, "n4.trace.jsonl is the trace of n3, and its name says n4"),
        (copied, "n4.trace.jsonl is the trace of n3, and its name says n4"),
        (without_its_second_part, "n3.trace-2.jsonl is missing: its lines are lost"),
        (with_a_folder_for_a_file, "n3.trace.jsonl cannot be read"),
    ],
)
@pytest.mark.parametrize("judging", [node_folders.judge, node_folders.follow])
def test_files_of_a_node_folder_that_do_not_fit_are_a_sentence(
    tmp_path: Path, change: Callable[[Path], None], says: str, judging: Callable[..., Any]
) -> None:
    """No file that may still come would mend it, so that nobody waits for one."""
    change(folder(tmp_path / "run", deepcopy))
    with pytest.raises(UsageError, match=re.escape(says)):
        judging(tmp_path / "run", ["election"])


def test_a_line_that_nests_too_deep_is_a_sentence(tmp_path: Path) -> None:
    path = folder(tmp_path / "run", deepcopy) / "n3.trace.jsonl"
    line = path.read_text().splitlines()[-1]
    path.write_text(path.read_text() + line.replace('"n": "n3"', '"n": ' + "[" * 100_000) + "\n")
    (judged,) = node_folders.judge(tmp_path / "run", ["election"])
    assert "n3.trace.jsonl line 3: this nests deeper than can be read" in judged.result.why


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"promise"', '"promised"', "`clocks.promised` is not known here"),
        ('"slow": 1', '"slow": 0', "`clocks.slow` is less than 1"),
        ('"slow": 1', '"slow": 2', "the slowest clock is faster than the fastest"),
    ],
)
def test_a_header_of_a_node_folder_is_checked(tmp_path: Path, before: str, after: str, says: str) -> None:
    path = node_file(folder(tmp_path / "run", deepcopy), "n3", [(1, None)])
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(UsageError, match=re.escape(says)):
        node_folders.judge(tmp_path / "run", ["election"])


@pytest.mark.parametrize(
    ("before", "after"), [('"term": 0', '"term": 0, "term": 0'), ('"n": "n3"', '"n": "n\\u0033", "n": "n3"')]
)
def test_a_key_that_stands_twice_in_a_node_s_line_is_refused(tmp_path: Path, before: str, after: str) -> None:
    path = node_file(folder(tmp_path / "run", deepcopy), "n3", [(1, None)])
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    (judged,) = node_folders.judge(tmp_path / "run", ["election"])
    assert judged.result.why.endswith("stands twice in one object")


def test_what_one_model_cannot_read_leaves_the_verdicts_of_the_others(tmp_path: Path) -> None:
    """A value that is no text is read by `replication` alone."""

    def requests(step: Line) -> None:
        step["actions"] = [["restart", {"n": "n3"}], ["client_request", {"n": "n3", "value": 5}]]

    path = folder(tmp_path / "run", requests)
    election, replication = node_folders.judge(path, ["election", "replication"])
    assert election.result.verdict is HOLDS
    assert replication.result.verdict is INCONCLUSIVE
    assert replication.result.why == "line 4: 5 is no Value; lines 1 to 3 were judged and accepted"
    assert replication.result.events_judged == 2


def test_a_file_of_a_node_without_lines_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path / "run", deepcopy)
    monkeypatch.setattr(node_recording, "LONGEST", 1000)
    with (path / "n3.trace.jsonl").open("a") as file:
        file.write("x" * 1_000_000)
    (judged,) = node_folders.judge(path, ["election"])
    assert judged.result.why.endswith("n3.trace.jsonl line 3: this line is longer than 1,000 bytes")


def test_a_node_that_shows_what_another_one_s_line_has_changed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a node shows again need not be compared again, but where a step has written it since."""
    monkeypatch.setattr(properties, "FIRST", 8)
    elections_and_writes(tmp_path)
    path = tmp_path / "n2.trace.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if i > 20 and "receive AppendEntries" in line)
    said = json.loads(lines[at])
    said["actions"].append(["restart", {"n": "n1"}])
    (before,) = node_folders.judge(tmp_path, ["election"])
    path.write_text("".join([*lines[:at], json.dumps(said) + "\n", *lines[at + 1 :]]))
    (after,) = node_folders.judge(tmp_path, ["election"])
    assert before.result.verdict is HOLDS
    assert after.result.refusal is not None
    assert after.result.refusal.text == "role[n1] is leader in the recording and follower in the model"


OWN_HEADER = '{"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1", "n2", "n3"]}\n'
OWN_LINE = '{"node": "n1", "event": "x", "term": 0, "role": "follower"%s}\n'
OF_ETCD = json.dumps(STARTED[0]) + "\n"
OF_CCF = (
    '{"tag": "raft_trace", "msg": {"function": "become_follower", "configurations": [], "state": '
    '{"node_id": "0", "current_view": 1, "leadership_state": "Follower", "last_idx": 0}}}\n'
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OF_ETCD + OWN_LINE % "", "line 2: a line of oneleader in a recording of the format etcd"),
        (OF_ETCD + OF_CCF, "line 2: a line of ccf in a recording of the format etcd"),
        (OWN_HEADER + OF_CCF, "line 2: a line of ccf in a recording of the format oneleader"),
        (OF_CCF + OF_ETCD, "line 2: a line of etcd in a recording of the format ccf"),
        (OWN_HEADER + OWN_LINE % ', "time": 1e400', "line 2: `time` is not a number, or one beyond"),
        (OWN_HEADER + OWN_LINE % ', "time": -Infinity', "line 2: -Infinity is no number in JSON"),
        (
            '{"format": "oneleader-node", "version": 1, "node": "n1"}\n',
            "line 1: this is the trace of one node",
        ),
    ],
)
def test_a_line_that_is_out_of_place_is_a_sentence(text: str, says: str) -> None:
    with pytest.raises(BadRecording, match=re.escape(says)):
        replay_lines(text.splitlines(keepends=True))
