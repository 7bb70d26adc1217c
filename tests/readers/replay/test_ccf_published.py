"""A recording in the very form of `check_quorum.ndjson` (`tla/traces` of microsoft/CCF, 2023), retold: four
nodes elect 0 and store two entries; 0 hears of nobody, steps down within its term and is elected again."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from oneleader.verdict import HOLDS
from tests.readers.replay.ccf_written import Line, judge, refused_at

NODES, PEERS, LEADER = "0123", "321", "0"
CONFIGURATIONS = [{"idx": 0, "nodes": {n: {"address": ":"} for n in NODES}, "rid": 0}]


def line(node: str, function: str, term: int, role: str, last: int = 0, **also: Any) -> Line:
    state = {"cft_watermark_idx": 0, "commit_idx": last, "current_view": term, "last_idx": last}
    if function in ("add_configuration", "commit") or function.startswith("become"):
        also["configurations"] = deepcopy(CONFIGURATIONS)
    msg = also | {"event": {"component": "raft", "function": function}, "leadership": role, "node": node}
    msg |= {"membership": "Active", "state": state | {"my_node_id": node}}
    return {"h_ts": "5", "thread_id": "100", "level": "info", "tag": "tla", "number": "494", "msg": msg}


def appended(node: str, index: int) -> Line:
    """What the test's own ledger says: it is no node's Raft."""
    msg = {
        "data": "eyJk",
        "event": {"component": "ledger", "function": "append"},
        "index": index,
        "node": node,
    }
    return {"h_ts": "5", "tag": "tla", "msg": msg | {"state": {"current_view": 0, "my_node_id": node}}}


def election(term: int, last: int, before: str) -> list[Line]:
    ask = {"last_committable_idx": last, "msg": 3, "term": term, "term_of_last_committable_idx": 0}
    vote = {"msg": 4, "term": term, "vote_granted": True}
    run = [line(LEADER, "become_candidate", term, "Candidate", last)]
    run += [
        line(LEADER, "send_request_vote", term, "Candidate", last, paket=ask, to=n, type=1) for n in PEERS
    ]
    for n in PEERS:
        run += [
            line(n, "recv_request_vote", term - 1, before, last, paket=ask, type=3, **{"from": LEADER}),
            line(n, "become_follower", term, "Follower", last, oldleadership=before),
            line(n, "send_request_vote_response", term, "Follower", last, paket=vote, to=LEADER, type=1),
        ]

    def counted(n: str, role: str) -> Line:
        more = {"from": n, "paket": vote, "type": 4}
        return line(LEADER, "recv_request_vote_response", term, role, last, **more)

    run += [
        counted("1", "Candidate"),
        counted("2", "Candidate"),
        line(LEADER, "become_leader", term, "Leader", last),
    ]
    return [*run, *sent(term, last), counted("3", "Leader")]


def entries(term: int, last: int) -> Line:
    """Of a leader, all up to the last one."""
    return {
        "contains_new_view": False,
        "idx": last,
        "leader_commit_idx": 0,
        "msg": 0,
        "prev_idx": 0,
        "term": term,
    }


def sent(term: int, last: int) -> list[Line]:
    said = entries(term, last)
    return [line(LEADER, "send_authenticated", term, "Leader", last, paket=said, to=n, type=1) for n in PEERS]


def stored(term: int, last: int, role: str = "Leader", grows: bool = False) -> list[Line]:
    said = entries(term, last)
    reply, run = {"last_log_idx": last, "msg": 1, "success": 0, "term": term}, list[Line]()
    for n in PEERS:
        run.append(
            line(n, "recv_append_entries", term, "Follower", last, paket=said, type=0, **{"from": LEADER})
        )
        run += [appended(n, 1), appended(n, 2)] if grows else []
        run.append(
            line(n, "send_append_entries_response", term, "Follower", last, paket=reply, to=LEADER, type=1)
        )
    for n in reversed(PEERS):
        more = {"from": n, "paket": reply, "type": 1}
        run.append(line(LEADER, "recv_append_entries_response", term, role, last, **more))
    return run


RUN = [
    *(line(n, "add_configuration", 0, "none") for n in NODES),
    *election(1, 0, "none"),
    *stored(1, 0),
    *(appended(LEADER, i) for i in (1, 2)),
    *(*sent(1, 2), *stored(1, 2, grows=True)),
    line(LEADER, "commit", 1, "Leader", 2),
    *(*sent(1, 2), *(line(n, "commit", 1, "Follower", 2) for n in PEERS), *stored(1, 2)),
    *sent(1, 2),
    line(LEADER, "become_follower", 1, "Follower", 2, oldleadership="Leader"),
    *stored(1, 2, "Follower"),
    *election(2, 2, "Follower"),
    *stored(2, 2),
]


def at(function: str, term: int) -> int:
    """Where a function stands in a term for the first time."""
    return next(
        i
        for i, record in enumerate(RUN)
        if record["msg"]["event"]["function"] == function and record["msg"]["state"]["current_view"] == term
    )


def test_it_is_accepted_with_or_without_the_lines_that_were_cut_out_by_hand() -> None:
    for run in (RUN, [RUN[0], *RUN[4:]]):
        found = judge(run)
        assert found.verdict is HOLDS, found.summary()
        assert (found.steps["become_leader"], found.steps["start_election"]) == (2, 2)


def test_a_leader_that_stays_one_when_it_has_stepped_down_is_refused() -> None:
    gone = next(i for i, r in enumerate(RUN) if r["msg"].get("oldleadership") == "Leader")
    run = deepcopy(RUN)
    run[gone]["msg"]["leadership"] = "Leader"
    refused_at(judge(run), gone + 1, "role[n0] is leader in the recording")


@pytest.mark.parametrize("term", [1, 2])
def test_a_vote_too_few_is_refused(term: int) -> None:
    first, leads = at("recv_request_vote_response", term), at("become_leader", term)
    refused_at(judge([*RUN[:first], *RUN[first + 1 :]]), leads, "quorum_voted")
    run = deepcopy(RUN)
    run[first]["msg"]["paket"] = run[first]["msg"]["paket"] | {"term": term + 1}
    refused_at(judge(run), first + 1, f"n1 has not sent its vote of term {term + 1} to n0")


def test_a_configuration_is_announced_in_either_way_of_writing_it() -> None:
    """Some of CCF's versions write `new_configuration`."""
    three = {"idx": 3, "nodes": {n: {} for n in "012"}}
    announces = line(LEADER, "add_configuration", 2, "Leader", 2, new_configuration=three)
    follows = line("1", "commit", 2, "Follower", 2)
    follows["msg"]["configurations"].append(three)
    assert judge([*RUN, announces, follows]).verdict is HOLDS
    refused_at(judge([*RUN, follows]), len(RUN) + 1, "and no leader before this line has announced it")
