"""Configurations in recordings of CCF are believed only where a leader announced them, and are in force only
where majorities stored them."""

from __future__ import annotations

from copy import deepcopy

import pytest

from oneleader.verdict import HOLDS
from tests.readers.replay.ccf_changes import FAULTS, ChangingService
from tests.readers.replay.ccf_written import Line, got, inconclusive, judge, line, refused_at, sent


def conf(**members: str) -> list[Line]:
    """Configurations by the index of their entries: `at_1="0"`."""
    return [{"idx": int(at[3:]), "nodes": {n: {} for n in nodes}} for at, nodes in members.items()]


ALONE, PAIR = conf(at_1="0"), conf(at_3="01")


def with_log(length: int, *lines: Line) -> list[Line]:
    """The lines, each of a node with so many entries."""
    for one in lines:
        one["msg"]["state"]["last_idx"] = length
    return [*lines]


def announced(node: str, term: int, before: list[Line], one: Line) -> Line:
    return line("add_configuration", node, term, "Leader", configurations=before, args={"configuration": one})


def stored(follower: str, leader: str, term: int, index: int) -> list[Line]:
    """A follower stores what the leader of a term has sent, and the leader hears of it."""
    reply = {"last_log_idx": index, "success": "OK"}
    return with_log(
        index,
        got("append_entries", follower, term, "Follower", leader),
        sent("append_entries_response", follower, term, "Follower", leader, **reply),
        got("append_entries_response", leader, term, "Leader", follower, **reply),
    )


def committed(leader: str, term: int, index: int, configurations: list[Line]) -> list[Line]:
    return with_log(
        index,
        line("commit", leader, term, "Leader", configurations=configurations, args={"idx": index}),
    )


def elected(node: str, voter: str, term: int, configurations: list[Line], length: int = 4) -> list[Line]:
    """`node` stands in the term and leads it, with the vote of the leader before it."""
    return with_log(
        length,
        line("become_candidate", node, term, "Candidate", configurations=configurations),
        sent("request_vote", node, term, "Candidate", voter),
        got("request_vote", voter, term - 1, "Leader", node, term=term),
        line("become_follower", voter, term, "Follower", configurations=[]),
        got("request_vote_response", node, term, "Candidate", voter, vote_granted=True),
        line("become_leader", node, term, "Leader", configurations=configurations),
    )


# The run of `late_candidate.ndjson` in `tla/traces` of microsoft/CCF, retold: every step, node,
# term, index and configuration is as it was recorded; what replay does not look at is left out, and so are
# heartbeats. 0 begins alone, takes 1 in, and asks it to lead.
LATE = [
    *with_log(2, line("bootstrap", "0", 2, "Leader", configurations=ALONE, args={"idx": 2})),
    *with_log(2, announced("0", 2, ALONE, PAIR[0])),
    *with_log(2, sent("append_entries", "0", 2, "Leader", "1", idx=2)),
    *with_log(3, line("replicate", "0", 2, "Leader", seqno=4, view=2, globally_committable=True)),
    *with_log(4, sent("append_entries", "0", 2, "Leader", "1", idx=4)),
    *with_log(
        0,
        got("append_entries", "1", 0, "None", "0", term=2),
        line("become_follower", "1", 2, "Follower", configurations=[]),
        sent("append_entries_response", "1", 2, "Follower", "0", success="FAIL", last_log_idx=0),
    ),
    *with_log(4, got("append_entries_response", "0", 2, "Leader", "1", success="FAIL", last_log_idx=0)),
    *with_log(
        1,  # line 10
        line("add_configuration", "1", 2, "Follower", configurations=[], args={"configuration": ALONE[0]}),
        line("execute_append_entries_sync", "1", 2, "Follower", from_node_id="0"),
    ),
    *with_log(2, line("commit", "1", 2, "Follower", configurations=ALONE, args={"idx": 2})),
    *with_log(
        3,
        line("add_configuration", "1", 2, "Follower", configurations=ALONE, args={"configuration": PAIR[0]}),
        line("execute_append_entries_sync", "1", 2, "Follower", from_node_id="0"),
    ),
    *stored("1", "0", 2, 4),  # lines 15 to 17
    *committed("0", 2, 4, ALONE + PAIR),
    *with_log(4, line("commit", "1", 2, "Follower", configurations=ALONE + PAIR, args={"idx": 4})),
    *with_log(  # line 20
        4, line("step_down_and_nominate_successor", "0", 2, "Leader", configurations=PAIR)
    ),
    *elected("1", "0", 3, PAIR),  # lines 21 to 26
    *with_log(4, line("replicate", "1", 3, "Leader", seqno=5, view=3, globally_committable=True)),
    *stored("0", "1", 3, 5),
    *committed("1", 3, 5, PAIR),
]


def without(*numbers: int) -> list[Line]:
    return [record for number, record in enumerate(LATE, 1) if number not in numbers]


def led_by(configurations: list[Line]) -> list[Line]:
    """The run up to its second leader, which goes by other configurations; no line before says so."""
    run = deepcopy(LATE[:26])
    for of in (run[20], run[25]):
        of["msg"]["configurations"] = []
    run[25]["msg"]["configurations"] = configurations
    return run


def test_a_change_that_was_announced_and_stored_is_accepted() -> None:
    found = judge(LATE)
    assert found.verdict is HOLDS, found.summary()
    assert found.steps["become_leader"] == 2
    assert "taken as given: the configuration {n0} of entry 1" in found.summary()
    assert "taken as given: the configuration {n0 n1}" not in found.summary()


@pytest.mark.parametrize(
    ("lines", "number", "text"),
    [
        (without(2), 12, "n1 has the configuration {n0 n1} of entry 3, and no leader"),
        (led_by(conf(at_3="1")), 26, "n1 has the configuration {n1} of entry 3, and no leader"),
        (led_by(conf(at_1="1")), 26, "{n1} of entry 1, and no leader"),  # another one at the same entry
        ([*LATE, announced("0", 3, PAIR, PAIR[0])], 32, "role[n0]"),  # a follower announces nothing
        ([*LATE, *elected("0", "1", 4, ALONE)], 37, "the leader of term 2 has committed {n0 n1} of entry 3"),
        ([*LATE, line("bootstrap", "2", 4, "Leader", configurations=[])], 32, "n0 has led before"),
    ],
)
def test_what_nobody_announced_is_refused(lines: list[Line], number: int, text: str) -> None:
    refused_at(judge(lines), number, text)


BEFORE = [line("commit", "0", 2, "Leader", configurations=ALONE, args={"idx": 1})]  # a recording begins later


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (without(15, 16, 17), "without {n0} of entry 1: no line shows that majorities of both"),  # not stored
        (without(16), "without {n0}"),  # a reply that nobody sent
        (without(18), "without {n0}"),  # stored, and not committed
        ([*LATE[:14], *stored("1", "0", 2, 3), *LATE[17:]], "without {n0}"),  # not up to the entry
        ([*BEFORE, *LATE[1:14], *LATE[17:26]], "without {n0}"),  # not stored
        ([*with_log(4, deepcopy(LATE[0])), *LATE[1:]], "without {n0}"),  # an entry of an earlier term
        ([*BEFORE, *without(1, 2)], "n1 has the configuration {n0 n1} of entry 3"),
        ([*LATE, line("replicate", "2", 4, "Leader")], "n2 begins as the leader of term 4"),
    ],
)
def test_what_no_line_shows_is_inconclusive(lines: list[Line], text: str) -> None:
    inconclusive(judge(lines), text)


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_each_alone_in_its_own_configuration(number: int) -> None:
    """Two leaders of different terms, whose quorums do not meet, in whatever way they came by them."""
    one, other = conf(at_1="0"), {f"at_{number}": "1"}
    lines = [
        line("bootstrap", "0", 2, "Leader", configurations=one),
        line("add_configuration", "1", 0, "None", configurations=[]),
        line("become_follower", "1", 2, "Follower", configurations=[]),
        line("become_candidate", "1", 3, "Candidate", configurations=[]),
        line("become_leader", "1", 3, "Leader", configurations=conf(**other)),
    ]
    refused_at(judge(lines), 5, "n1 has the configuration {n1}")
    announces = announced("0", 2, one, conf(**other)[0])
    if number > 1:
        inconclusive(judge([lines[0], announces, *lines[1:]]), "n1 leads term 3 by {n1}")


def test_nobody_leads_at_once_beside_others() -> None:
    three = [line("add_configuration", n, 0, "None", configurations=conf(at_0="012")) for n in "012"]
    refused_at(judge([*three, line("become_leader", "0", 2, "Leader", configurations=[])]), 4, "an election")
    begins = line("bootstrap", "0", 2, "Leader", configurations=conf(at_0="012"))
    refused_at(judge([*three[1:], begins]), 3, "its configuration is {n0 n1 n2}")
    inconclusive(judge([*three[1:], begins | {"msg": begins["msg"] | {"function": "replicate"}}]), "begins")


def test_a_node_that_has_yet_to_catch_up_may_show_an_older_configuration() -> None:
    begins = line("send_append_entries", "0", 7, "Leader", packet={"term": 7}, to_node_id="1")
    begins["msg"]["configurations"] = conf(at_9="012")
    late = line("become_follower", "1", 7, "Follower", configurations=conf(at_5="01"))
    assert judge([begins, late]).verdict is HOLDS
    inconclusive(judge([begins, late, *elected("1", "0", 8, conf(at_5="01"))]), "{n0 n1} of entry 5")


@pytest.mark.parametrize("fault", FAULTS)
def test_services_that_change_are_accepted_unless_they_are_at_fault(fault: str) -> None:
    wrong = leaders = 0
    for seed in range(8):
        found = judge(ChangingService(seed, fault).run(300))
        wrong += found.verdict is not HOLDS
        leaders += found.steps["become_leader"]
        assert fault or found.verdict is HOLDS, (seed, found.summary())
    assert (wrong > 2) == bool(fault)
    assert leaders > 16
