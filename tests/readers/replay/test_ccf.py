"""Recordings of CCF, made by hand in the form of the traces in CCF's own repository (`tla/traces` of
microsoft/CCF): as its logger writes them now, and as in 2023. None of them was recorded. Doctored copies are
refused at the doctored line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from oneleader.cli.replay import replay as command
from oneleader.errors import UsageError
from oneleader.models import find
from oneleader.pictures.recorded import judged
from oneleader.readers.replay.replay import BadRecording, replay
from oneleader.readers.replay.shorten import shortened
from oneleader.verdict import HOLDS, VIOLATED
from tests.readers.replay.ccf_cluster import FAULTS, CcfCluster, wrong_line
from tests.readers.replay.ccf_written import Line, conf, got, inconclusive, judge, line, refused_at, sent


def asked(voter: str, candidate: str, term: int) -> list[Line]:
    """A voter receives a request, and goes to its term; what it answers no line shows."""
    return [
        got("request_vote", voter, term - 1, "Follower", candidate, term=term),
        line("become_follower", voter, term, "Follower"),
    ]


def answered(candidate: str, voter: str, term: int, granted: bool = True, role: str = "Candidate") -> Line:
    return got("request_vote_response", candidate, term, role, voter, vote_granted=granted)


def stands(node: str, term: int) -> list[Line]:
    to = [n for n in "012" if n != node]
    return [
        line("become_candidate", node, term, "Candidate"),
        *(sent("request_vote", node, term, "Candidate", n) for n in to),
    ]


# 0 begins as the leader of term 2; 1 stands in term 3 and leads it.
RUN = [
    {"tag": "raft_trace", "cmd": "start_node,0"},
    line("bootstrap", "0", 2, "Leader", configurations=conf("012")),
    line("replicate", "0", 2, "Leader", seqno=2, view=2, globally_committable=True),
    *(sent("append_entries", "0", 2, "Leader", n, idx=2, prev_idx=2) for n in "12"),
    got("append_entries", "1", 0, "None", "0", term=2),  # line 6
    line("become_follower", "1", 2, "Follower", configurations=[]),
    got("append_entries", "2", 0, "None", "0", term=2),
    line("become_follower", "2", 2, "Follower", configurations=[]),
    line("replicate", "0", 2, "Leader", seqno=3, view=2, globally_committable=True),  # line 10
    *stands("1", 3),  # lines 11 to 13
    *asked("2", "1", 3),  # lines 14 and 15
    answered("1", "2", 3),  # line 16
    line("become_leader", "1", 3, "Leader"),  # line 17
    *(sent("append_entries", "1", 3, "Leader", n) for n in "02"),
    got("append_entries", "0", 2, "Leader", "1", term=3),  # line 20
    line("become_follower", "0", 3, "Follower"),
    sent("append_entries_response", "0", 3, "Follower", "1", success="OK", last_log_idx=3),
    line("commit", "1", 3, "Leader", configurations=conf("012"), args={"idx": 3}),
]
BEGUN = [line("add_configuration", n, 0, "None", configurations=conf("012")) for n in "012"]


def changed(number: int, role: str | None = None, view: int | None = None, **packet: Any) -> list[Line]:
    """The run with one line doctored."""
    run = deepcopy(RUN)
    msg = run[number - 1]["msg"]
    if role is not None:
        msg["state"]["leadership_state"] = role
    if view is not None:
        msg["state"]["current_view"] = view
    if packet:
        msg["packet"] |= packet
    return run


def without(*numbers: int) -> list[Line]:
    return [record for number, record in enumerate(RUN, 1) if number not in numbers]


def as_in_2023(record: Line) -> Line:
    """The same line in the words of 2023."""
    record = deepcopy(record)
    if "msg" not in record:
        return record
    msg = record["msg"]
    state = msg["state"]
    msg |= {"event": {"component": "raft", "function": msg.pop("function")}, "node": state["node_id"]}
    if msg["event"]["function"] == "send_append_entries":
        msg["event"]["function"] = "send_authenticated"
    msg |= {"leadership": state.pop("leadership_state").replace("None", "none")}
    state["my_node_id"] = state.pop("node_id")
    for new, old in (("packet", "paket"), ("from_node_id", "from"), ("to_node_id", "to")):
        if new in msg:
            msg[old] = msg.pop(new)
    if "paket" in msg:
        msg["paket"]["msg"] = 3
    return record | {"tag": "tla"}


def test_a_healthy_recording_is_accepted() -> None:
    found = judge(RUN)
    assert found.verdict is HOLDS, found.summary()
    assert found.steps == {
        **{"start_election": 2, "become_leader": 2, "update_term": 4},
        **{"grant_vote": 1, "reply_vote": 1, "receive_vote": 1},
    }
    assert (found.events_judged, found.candidates) == (len(RUN) - 1, 1)
    said = found.summary()
    assert "taken as given: n0 begins in term 2, leading" in said
    assert "taken as given: the configuration {n0 n1 n2} of entry 0" in said
    assert "not modelled: the entries of 1 commit" in said


def test_the_first_node_of_a_service_leads_at_once() -> None:
    forced = line("become_leader", "0", 2, "Leader", configurations=[])
    for first in ([], [line("add_configuration", "0", 0, "None")]):
        found = judge([*first, forced, *RUN[2:]])
        assert found.verdict is HOLDS, found.summary()
        assert "taken as given: n0 begins in term 2, leading" in found.summary()
    again = [*RUN, line("become_follower", "0", 3, "Follower"), forced]
    refused_at(judge(again), len(again), "without voters")


def test_the_words_of_2023() -> None:
    ledger = {"event": {"component": "ledger", "function": "append"}, "state": {"current_view": 0}}
    entry = {"event": {"component": "raft", "function": "replicate"}, "state": {"my_node_id": "1"}}
    entry["state"]["current_view"] = 3
    votes = sent("request_vote_response", "2", 3, "Follower", "1", vote_granted=True)
    old = [*map(as_in_2023, [*RUN[:15], votes, *RUN[15:]]), {"tag": "tla", "msg": ledger}]
    found = judge([*old, {"tag": "tla", "msg": entry}, {"tag": "host", "level": "info", "msg": "a word"}])
    assert found.verdict is HOLDS, found.summary()
    assert found.steps == judge(RUN).steps
    entry["state"]["current_view"] = 2
    refused_at(judge([*old, {"tag": "tla", "msg": entry}]), len(old) + 1, "term[n1] is 2")


@pytest.mark.parametrize(
    ("lines", "number", "text"),
    [
        (without(16), 16, "quorum_voted"),  # a vote too few
        (changed(16, vote_granted=False), 17, "quorum_voted"),
        (changed(16, term=2), 16, "n2 votes for n1 in term 2"),  # the reply of another term
        (changed(21, view=1), 21, "term[n0] is 1 in the recording and 2"),  # a term that falls
        (changed(10, role="Follower"), 10, "role[n0] is follower"),
        (changed(12, role="Leader"), 12, "role[n1] is leader"),
        (changed(11, view=4), 11, "term[n1] is 4"),  # a term is skipped
        (changed(14, term=9), 14, "n1 has not stood in term 9"),
        (changed(18, term=2), 18, "the term of the entries is 2"),
        (changed(20, term=4), 20, "n1 has not led term 4"),
        (without(14), 15, "n2 votes for n1 in term 3, and has not received its request"),
        (without(11), 11, "term[n1] is 3 in the recording and 2"),
        (without(15), 15, "term_is_current"),  # it votes in a term that it has not reached
        ([*RUN, line("become_leader", "2", 3, "Leader")], 24, "is_candidate"),
        ([*RUN, line("become_leader", "2", 4, "Leader", configurations=[])], 24, "without voters"),
        ([*RUN, sent("append_entries", "0", 3, "Follower", "2")], 24, "does not lead it"),
        ([*RUN, sent("request_vote", "0", 3, "Follower", "2")], 24, "is no candidate in it"),
        ([*RUN, line("bootstrap", "3", 3, "Leader")], 24, "election_safety"),  # two leaders in a term
    ],
)
def test_a_doctored_recording_is_refused(lines: list[Line], number: int, text: str) -> None:
    refused_at(judge(lines), number, text)


def test_a_vote_that_no_line_shows_goes_to_one_candidate() -> None:
    """0 and 1 stand in term 1, and 2 leaves it before anybody has its answer."""
    both = [*BEGUN, *stands("0", 1), *stands("1", 1), *asked("2", "0", 1)]
    both += [got("request_vote", "2", 1, "Follower", "1"), line("become_candidate", "2", 2, "Candidate")]
    wins = {n: [answered(n, "2", 1), line("become_leader", n, 1, "Leader")] for n in "01"}
    assert judge(both).candidates == 2
    for n in "01":
        found = judge([*both, *wins[n]])
        assert (found.verdict, found.candidates) == (HOLDS, 2), found.summary()
    refused_at(judge([*both, *wins["0"], *wins["1"]]), len(both) + 3, "term_is_current")


def test_where_replies_show_no_vote_goes_unseen() -> None:
    lines = [*BEGUN, *stands("0", 1), *asked("2", "0", 1)]
    sends = sent("request_vote_response", "2", 1, "Follower", "0", vote_granted=True)
    leads = [answered("0", "2", 1), line("become_leader", "0", 1, "Leader")]
    assert judge([*lines, sends, line("become_candidate", "2", 2, "Candidate"), *leads]).verdict is HOLDS
    sends["msg"]["packet"]["vote_granted"] = False
    refused_at(judge([*lines, sends, *leads]), len(lines) + 2, "n2 has not sent its vote of term 1 to n0")
    sends["msg"]["packet"] |= {"vote_granted": True, "term": 2}
    refused_at(judge([*lines, sends, *leads]), len(lines) + 1, "the term of the vote is 2")


def test_a_rejection_may_answer_an_earlier_request() -> None:
    """0 asks 2 in term 1, and again in term 2, before it hears that 2 was in term 2 already."""
    lines = [*BEGUN, *stands("0", 1), *stands("1", 1), *stands("1", 2), *asked("2", "1", 2)]
    lines[-1] = line("become_follower", "2", 2, "Follower")
    lines[-2]["msg"]["state"]["current_view"] = 0
    lines += [got("request_vote", "2", 2, "Follower", "0", term=1), *stands("0", 2)]
    lines += [got("request_vote", "2", 2, "Follower", "0"), answered("0", "2", 2, granted=False)]
    lines += [answered("0", "2", 2), line("become_leader", "0", 2, "Leader")]
    found = judge(lines)
    assert found.verdict is HOLDS, found.summary()


def test_a_voter_votes_once() -> None:
    lines = [*BEGUN, *stands("0", 1), *stands("1", 1), *asked("2", "0", 1)]
    lines += [got("request_vote", "2", 1, "Follower", "1"), answered("0", "2", 1), answered("1", "2", 1)]
    refused_at(judge(lines), len(lines), "vote_is_free")


@pytest.mark.parametrize("both", [True, False])
def test_each_configuration_has_to_agree(both: bool) -> None:
    """2 and 0 are a majority of the first, and 2 alone none of the second."""
    joint = {"configurations": conf("012", "234")}
    begun = [line("become_follower", n, 0, "Follower", **joint) for n in "01234"]
    lines = [*begun, *stands("2", 1), *asked("0", "2", 1), answered("2", "0", 1)]
    if both:
        lines += [*asked("3", "2", 1), answered("2", "3", 1)]
    lines.append(line("become_leader", "2", 1, "Leader", **joint))
    found = judge(lines)
    if both:
        assert found.verdict is HOLDS, found.summary()
    else:
        refused_at(found, len(lines), "quorum_voted")


def test_pre_votes_are_no_votes() -> None:
    pre = {"msg": "raft_request_pre_vote_response", "election_type": "PreVote"}
    request = {"msg": "raft_request_pre_vote"}
    lines = [
        *BEGUN,
        line("become_pre_vote_candidate", "0", 0, "PreVoteCandidate"),
        sent("request_vote", "0", 0, "PreVoteCandidate", "1", **request),
        got("request_vote", "1", 0, "None", "0", **request),
        got("request_vote_response", "0", 0, "PreVoteCandidate", "1", vote_granted=True, **pre),
        *stands("0", 1),
        got("request_vote_response", "0", 1, "Candidate", "1", vote_granted=True, **pre),
    ]
    found = judge(lines)
    assert found.verdict is HOLDS, found.summary()
    assert found.not_modelled["pre-vote"] == 4
    refused_at(judge([*lines, line("become_leader", "0", 1, "Leader")]), len(lines) + 1, "quorum_voted")


def test_leaders_and_candidates_give_up() -> None:
    """Check-quorum, a candidate that hears the leader, one that asks for pre-votes, and retirement."""
    gives_up = line("become_follower", "1", 3, "Follower")
    assert judge([*RUN[:17], gives_up, *stands("1", 4)]).verdict is HOLDS
    refused_at(judge([*RUN[:17], gives_up, line("become_leader", "1", 3, "Leader")]), 19, "is_candidate")
    both = conf("012", "02")
    leaves = line(
        "add_configuration", "1", 3, "Leader", configurations=both[:1], args={"configuration": both[1]}
    )
    retired = line("commit", "1", 3, "None", configurations=both)
    assert judge([*RUN[:17], leaves, retired]).verdict is HOLDS
    loser = [*BEGUN, *stands("0", 1), *stands("1", 1), *asked("2", "1", 1), answered("1", "2", 1)]
    loser += [line("become_leader", "1", 1, "Leader"), got("append_entries", "0", 1, "Candidate", "1")]
    found = judge([*loser, line("become_follower", "0", 1, "Follower")])
    assert (found.verdict, found.steps["step_down"]) == (HOLDS, 1), found.summary()
    asks = line("become_pre_vote_candidate", "0", 1, "PreVoteCandidate")
    assert judge([*loser, asks, *stands("0", 2)]).verdict is HOLDS


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([line("become_witness", "0", 1, "Leader")], "line 1: unknown function 'become_witness'"),
        ([*RUN, line("commit", "0", 3, "Observer")], "line 24: unknown leadership state 'Observer'"),
        ([line("commit", "0", 3, "Candidate")], "n0 begins as a candidate of term 3"),
        ([BEGUN[0], got("append_entries", "0", 0, "None", "1", term=1)], "no line of n1 comes before"),
        ([*BEGUN[:2], *stands("0", 1), answered("0", "2", 1)], "what n2 did in term 1 is not recorded"),
        (
            [*BEGUN[:1], line("commit", "1", 1, "Follower"), *stands("0", 1), answered("0", "1", 1)],
            "what n1 did in term 1 is not recorded",
        ),
        ([RUN[0], {"tag": "host", "level": "info"}], "there is nothing to judge"),
    ],
)
def test_what_cannot_be_judged_is_named(lines: list[Line], text: str) -> None:
    inconclusive(judge(lines), text)


def test_too_many_unseen_votes_are_inconclusive() -> None:
    lines = [*BEGUN, *stands("0", 1), *stands("1", 1), *asked("2", "0", 1)]
    lines += [got("request_vote", "2", 1, "Follower", "1"), line("become_candidate", "2", 2, "Candidate")]
    inconclusive(judge(lines, limit=1), "more than 1 candidate states")


def test_effects_before_their_causes() -> None:
    found = judge([*BEGUN, *asked("2", "0", 1), *stands("0", 1)])
    refused_at(found, 4, "n2 receives what nobody has sent: n0 has not stood in term 1")
    assert found.refusal
    assert found.refusal.hint.startswith("it is sent in line 6")


KEYS = (
    "msg",
    "function",
    "state",
    "node_id",
    "current_view",
    "packet",
    "term",
    "from_node_id",
    "vote_granted",
)


def spoilt(record: Any, key: str, value: Any) -> Any:
    """The line with the value of one key replaced wherever it is, or left out."""
    if not isinstance(record, dict):
        return record
    kept = {k: spoilt(v, key, value) for k, v in record.items() if k != key}
    return kept | ({key: value} if key in record and value is not ... else {})


def test_lines_of_2023_name_their_node_and_component() -> None:
    """Twice the node; and a component that is no name made a line one of nobody's, without a word."""
    for change, says in (
        ({"node": "2"}, "line 11: this line is of the node '1', and its `node` is '2'"),
        ({"event": {"component": 1, "function": "become_candidate"}}, "line 11: `component` is not a string"),
    ):
        run = [as_in_2023(record) for record in RUN]
        run[10]["msg"] |= change
        with pytest.raises(BadRecording, match=says):
            judge(run)


def test_lines_of_others_are_counted() -> None:
    found = judge([*RUN, {"tag": "info", "msg": "started"}, {"tag": "info", "msg": "stopped"}])
    assert found.verdict is HOLDS
    assert "not modelled: its contents of 2 lines tagged info" in found.summary()


def test_who_confirms_entries_does_so_in_its_term() -> None:
    refused_at(
        judge(changed(22, term=9)), 22, "the term of the reply is 9 in the recording and 3 in the model"
    )
    assert judge(changed(22, term=2, success="FAIL")).verdict is HOLDS, "that is the term of an entry"


@pytest.mark.parametrize(("key", "value"), [*product(KEYS, (..., None, 7.5, []))])
def test_malformed_lines_are_one_sentence(key: str, value: Any) -> None:
    doctored = spoilt(RUN[15], key, value)
    with pytest.raises(BadRecording, match=r"^line 16: `[^\n]*lines 1 to 15 were judged") as error:
        judge([*RUN[:15], doctored])
    assert error.value.so_far.lines == 15


@pytest.mark.parametrize("configurations", [None, {}, [1], [{"idx": 1, "nodes": ["0"]}], [{}]])
def test_malformed_configurations(configurations: Any) -> None:
    with pytest.raises(BadRecording, match=r"line 1: `(configurations|nodes|idx)`"):
        judge([line("become_leader", "0", 1, "Leader", configurations=configurations)])


def test_formats_and_models_are_not_mixed() -> None:
    header = {"format": "oneleader", "version": 1, "model": "election", "nodes": ["n0"]}
    with pytest.raises(BadRecording, match="a line of ccf in a recording of the format oneleader"):
        judge([header, *RUN])
    with pytest.raises(BadRecording, match="line 24: a second header"):
        judge([*RUN, header])
    with pytest.raises(BadRecording, match="line 1: a line of etcd in a recording of the format ccf"):
        judge([{"event": {"name": "Ready", "nid": "1"}}], format="ccf")
    with pytest.raises(UsageError, match="judged by the model election, not by replication"):
        judge(RUN, model=find("replication"))


def test_a_refusal_is_shortened_and_drawn(tmp_path: Path) -> None:
    path = tmp_path / "run.ndjson"
    path.write_text("".join(json.dumps(record) + "\n" for record in without(16)))
    result = replay(path)
    story = judged(path, result)
    assert (story.wrong_row, "CCF" in story.title) == (16, True)
    assert {lane.name for lane in story.lanes} == {"n0", "n1", "n2"}
    part = shortened(path, result)
    assert (part.is_shortest, part.result.verdict) == (True, VIOLATED)
    assert len(part.lines) < 16


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "run.ndjson"
    path.write_text("".join(json.dumps(record) + "\n" for record in RUN))
    for format in ([], ["--format", "ccf"]):
        done = CliRunner().invoke(command, [str(path), *format], standalone_mode=False)
        assert (done.return_value, "accepted  ccf recording" in done.output) == (0, True)


@pytest.mark.parametrize("fault", FAULTS)
def test_clusters_drawn_at_random(fault: str) -> None:
    """A correct one is never refused, a faulty one at the first line that shows it, and not before."""
    wrong = 0
    for seed in range(24):
        size = (1, 2, 3, 4, 5, 7)[seed % 6]
        lines = CcfCluster(seed, size, fault).run((40, 120)[seed % 2])
        at = wrong_line(lines, size)
        found = judge(lines)
        assert (found.refusal.line if found.refusal else 0) == at, (seed, found.summary())
        assert (found.verdict is HOLDS) == (at == 0), (seed, found.summary())
        wrong += at > 0
    assert (wrong > 4) == bool(fault)


# -- lies ---------------------------------------------------------------------------------------------------
JUNK = [None, 0, 1, 2, 3, 99, -1, True, "", "0", "1", "Leader", "Follower", [], {}, 1.5]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each value within, as what holds it and where."""
    for at in [*value] if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, at
        yield from places(value[at])


def with_a_lie(draw: Random, lines: list[Line]) -> list[Line]:
    """One line changed, left out, repeated or moved."""
    lines = deepcopy(lines)
    at = draw.randrange(len(lines))
    match draw.choice(["change", "change", "change", "delete", "gone", "twice", "moved"]):
        case "change" | "delete" as how:
            holder, key = draw.choice([*places(lines[at])])
            holder[key] = draw.choice(JUNK)
            if how == "delete":
                holder.pop(key)
        case "gone":
            del lines[at]
        case "twice":
            lines.insert(draw.randint(at, len(lines)), lines[at])
        case "moved":
            lines.insert(draw.randrange(len(lines)), lines.pop(at))
    return lines


def is_impossible(lines: list[Line]) -> bool:
    """Two leaders of a term, or a node's term that goes back; of lines that say as much."""
    terms: dict[str, int] = {}
    leaders: dict[int, str] = {}
    for record in lines:
        state = record["msg"]["state"] if "msg" in record else None
        if state is None:
            continue
        n, term, role = state["node_id"], state["current_view"], state.get("leadership_state")
        if term < terms.get(n, 0) or (role == "Leader" and leaders.setdefault(term, n) != n):
            return True
        terms[n] = term
    return False


def test_lies_are_told_in_a_sentence_and_nothing_impossible_is_accepted() -> None:
    draw, seen = Random(1), set[str]()
    for case in range(600):
        lines = with_a_lie(draw, RUN if case % 3 else CcfCluster(case % 20, 3).run(40))
        try:
            found = judge(lines)
        except BadRecording:
            seen.add("bad")
            continue
        assert found.verdict is not HOLDS or not is_impossible(lines), lines
        seen.add(str(found.verdict))
    assert seen == {"bad", "holds", "violated", "inconclusive"}
