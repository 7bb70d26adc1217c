"""Recordings of etcd: the real ones are accepted, doctored copies refused at the doctored line."""

import gzip
import json
import random
from collections import Counter

import pytest

from oneleader.models.election import MODEL
from oneleader.readers.replay.replay import BadRecording, replay, replay_lines
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from tests.places import RECORDINGS

EXAMPLE = "etcd-raft-example"
RAWNODE = "etcd-rawnode-3-nodes"
PREVOTE = "etcd-rawnode-5-nodes-prevote-checkquorum"


def path(name):
    return RECORDINGS / f"{name}.ndjson.gz"


def load(name):
    """The events of a recording; line n is element n - 1."""
    with gzip.open(path(name), "rt") as file:
        return [json.loads(line)["event"] for line in file]


def judge(events, **options):
    return replay_lines((json.dumps({"event": e}) + "\n" for e in events), **options)


def find(events, after=0, **wanted):
    """The first line after `after` whose event, state or message has these values."""
    for line, e in enumerate(events[after:], after + 1):
        flat = {**e.get("msg", {}), **{f"state_{k}": v for k, v in e["state"].items()}, **e}
        if all(flat.get(key) == value for key, value in wanted.items()):
            return line
    raise LookupError(wanted)


def event(name, nid, term, vote="0", role="Follower", conf=(("1", "2", "3"), ()), **msg):
    """An event as etcd writes it."""
    e = {"name": name, "nid": nid, "state": {"term": term, "vote": vote, "commit": 0}}
    e |= {"role": f"State{role}", "log": 0, "conf": [list(half) for half in conf]}
    if msg:
        kind = {"Vote": "MsgVote", "VoteResp": "MsgVoteResp", "Heartbeat": "MsgHeartbeat"}[msg["kind"]]
        e["msg"] = {"type": kind, "term": msg.get("mterm", term), "from": msg["sender"], "to": msg["to"]}
        e["msg"]["reject"] = msg.get("reject", False)
    return e


def refused_at(result, line, guard=None):
    assert result.verdict is VIOLATED, result.summary()
    assert result.refusal.line == line, result.summary()
    assert (result.refusal.guard.name if result.refusal.guard else None) == guard, result.summary()
    return result.refusal


# -- the real ones ---------------------------------------------------------------------------------------
def test_etcds_own_example_is_accepted():
    result = replay(path(EXAMPLE))
    assert (result.verdict, result.status, result.lines) == (HOLDS, 0, 4888)
    assert result.steps == {
        "start_election": 1,
        "grant_vote": 4,
        "reply_vote": 5,  # the candidate's own among them
        "receive_vote": 3,
        "become_leader": 1,
        "update_term": 8,
    }
    assert result.candidates == 4
    assert result.not_modelled["Commit"] == 227
    assert sum(result.not_modelled.values()) == 3772


def test_the_rawnode_recording_is_accepted():
    result = replay(path(RAWNODE))
    assert (result.verdict, result.lines) == (HOLDS, 3437)
    assert result.steps == {
        "start_election": 83,
        "grant_vote": 10,
        "reply_vote": 10,
        "receive_vote": 9,
        "become_leader": 9,
        "update_term": 28,
        "restart": 52,  # 51 restarts, and the candidate that gives up at line 2717
    }
    assert result.candidates == 2
    assert result.not_modelled == {
        "SendAppendEntriesRequest": 969,
        "ReceiveAppendEntriesRequest": 341,
        "SendAppendEntriesResponse": 307,
        "ReceiveAppendEntriesResponse": 204,
        "Commit": 87,
        "Replicate": 32,
    }


def test_pre_vote_is_not_modelled():
    result = replay(path(PREVOTE))
    assert (result.verdict, result.status, result.lines) == (INCONCLUSIVE, 3, 15)
    assert result.why == (
        "line 16: BecomePreCandidate: pre-vote is not modelled here; --model pre_vote judges it; "
        "lines 1 to 15 were judged and accepted"
    )


def test_a_limit_on_candidates_makes_it_inconclusive():
    result = replay(path(EXAMPLE), limit=3)
    assert result.verdict is INCONCLUSIVE
    assert "more than 3 candidate states; lines 1 to 86 were judged and accepted" in result.why


# -- doctored: a second vote in a term ---------------------------------------------------------------------
def test_a_second_reply_granting_a_vote():
    events = load(RAWNODE)
    line = find(events, name="SendRequestVoteResponse", state_term=10, reject=False)
    assert events[line - 1]["msg"]["to"] == "1"
    events[line - 1]["msg"]["to"] = "3"  # who is a candidate of the same term
    refusal = refused_at(judge(events), line, "vote_is_free")
    assert refusal.action == "grant_vote(voter=n2, candidate=n3, t=10)"
    assert "RequestVote receiver 2" in refusal.guard.clause
    assert refusal.text == f"{refusal.action}: {refusal.guard}"


def test_a_vote_that_changes_in_the_state():
    events = load(RAWNODE)
    line = find(events, name="Ready", nid="2", state_term=10, state_vote="1")
    events[line - 1]["state"]["vote"] = "3"
    refused_at(judge(events), line, "vote_is_free")


def test_a_second_vote_in_etcds_example():
    """n5 has voted for n2 when n3, made a candidate too, asks it; n5 grants that as well."""
    events = load(EXAMPLE)
    conf = (("1", "2", "3", "4", "5"), ())
    at = find(events, name="Ready", nid="5", state_vote="2")
    events[at:at] = [
        event("BecomeCandidate", "3", 2, "3", "Candidate", conf),
        event("SendRequestVoteRequest", "3", 2, "3", "Candidate", conf, kind="Vote", sender="3", to="5"),
        event("Ready", "3", 2, "3", "Candidate", conf),
        event("ReceiveRequestVoteRequest", "5", 2, "2", "Follower", conf, kind="Vote", sender="3", to="5"),
        event("SendRequestVoteResponse", "5", 2, "2", "Follower", conf, kind="VoteResp", sender="5", to="3"),
    ]
    refused_at(judge(events), at + 5, "vote_is_free")
    events[at + 4]["msg"]["reject"] = True  # whereas refusing is always allowed
    later = judge(events).refusal  # n3 is made to receive n2's request as a follower of term 1
    assert later.line == find(events, name="ReceiveRequestVoteRequest", nid="3")


def test_it_is_that_guard_that_refuses():
    events = load(RAWNODE)
    line = find(events, name="SendRequestVoteResponse", state_term=10, reject=False)
    events[line - 1]["msg"]["to"] = "3"
    refusal = judge(events, model=MODEL.without_guard("grant_vote", "vote_is_free")).refusal
    assert (refusal.guard, refusal.line) == (None, line)  # only the request that n2 heard last is n1's
    assert refusal.text.startswith("n2 votes for n3, and the message it received last is none")


# -- doctored: a leader without a quorum -------------------------------------------------------------------
@pytest.mark.parametrize(("name", "term"), [(EXAMPLE, 2), (RAWNODE, 5), (RAWNODE, 58)])
def test_a_leader_without_a_quorum_of_grants(name, term):
    events = load(name)
    leads = find(events, name="BecomeLeader", state_term=term)
    last = max(
        line
        for line in range(1, leads)
        if events[line - 1]["name"] == "ReceiveRequestVoteResponse"
        and events[line - 1]["state"]["term"] == term
    )
    del events[last - 1]
    refusal = refused_at(judge(events), leads - 1, "quorum_voted")
    assert refusal.action.startswith("become_leader(n=n")


def test_a_grant_turned_into_a_rejection():
    events = load(RAWNODE)
    leads = find(events, name="BecomeLeader", state_term=5)
    for name in ("SendRequestVoteResponse", "ReceiveRequestVoteResponse"):
        events[find(events, name=name, state_term=5) - 1]["msg"]["reject"] = True
    refused_at(judge(events), leads, "quorum_voted")


def test_a_quorum_is_of_each_half_of_the_configuration():
    halves = ("1", "2", "3"), ("1", "4", "5")

    def elected(voters, conf):
        e = [event("InitState", n, 0) for n in "12345"]
        e += [event("BecomeCandidate", "1", 1, "1", "Candidate"), event("Ready", "1", 1, "1", "Candidate")]
        for v in voters:
            e += [
                event("SendRequestVoteRequest", "1", 1, "1", "Candidate", kind="Vote", sender="1", to=v),
                event("ReceiveRequestVoteRequest", v, 0, kind="Vote", mterm=1, sender="1", to=v),
                event("BecomeFollower", v, 1),
                event("SendRequestVoteResponse", v, 1, kind="VoteResp", sender=v, to="1"),
                event("Ready", v, 1, "1"),
                event(
                    "ReceiveRequestVoteResponse", "1", 1, "1", "Candidate", kind="VoteResp", sender=v, to="1"
                ),
            ]
        e += [event("BecomeLeader", "1", 1, "1", "Leader")]
        return judge([line | {"conf": list(map(list, conf))} for line in e])

    assert elected("24", halves).verdict is HOLDS
    assert elected("2", (halves[0], ())).verdict is HOLDS
    refused_at(elected("23", halves), 20, "quorum_voted")
    refused_at(elected("45", halves), 20, "quorum_voted")
    assert "without voters" in refused_at(elected("2345", ((), ())), 32).text


# -- doctored: messages nobody sent ------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "voter"), [(EXAMPLE, "4"), (RAWNODE, "2")])
def test_a_granting_reply_that_nobody_sent(name, voter):
    events = load(name)
    sent = find(events, name="SendRequestVoteResponse", nid=voter, reject=False)
    term = events[sent - 1]["state"]["term"]
    del events[sent - 1]
    line = find(events, name="ReceiveRequestVoteResponse", **{"from": voter, "term": term})
    refused_at(judge(events), line, "vote_was_granted")


@pytest.mark.parametrize(
    ("name", "sent", "received"),
    [
        (EXAMPLE, "SendAppendEntriesRequest", "ReceiveAppendEntriesRequest"),
        (RAWNODE, "SendAppendEntriesResponse", "ReceiveAppendEntriesResponse"),
        (RAWNODE, "SendRequestVoteResponse", "ReceiveRequestVoteResponse"),
        (RAWNODE, "SendRequestVoteRequest", "ReceiveRequestVoteRequest"),
    ],
)
def test_a_message_that_nobody_sent(name, sent, received):
    """All messages that are alike are taken away, and the first receipt of one is refused."""
    events = load(name)
    first = (
        next(e["msg"] for e in events if e["name"] == received and (e["msg"]["reject"] or sent[4] == "A"))
        if received != "ReceiveRequestVoteRequest"
        else next(e["msg"] for e in events if e["name"] == received)
    )
    alike = {k: first[k] for k in ("type", "term", "from", "to", "reject")}
    kept = [e for e in events if not (e["name"] == sent and alike.items() <= e["msg"].items())]
    assert len(kept) < len(events)
    refusal = refused_at(judge(kept), find(kept, name=received, **alike))
    assert refusal.text.startswith(f"nobody has sent {first['type']} n{first['from']} to n{first['to']}")


@pytest.mark.parametrize(
    ("sent", "guard"), [("SendRequestVoteRequest", None), ("SendRequestVoteResponse", "vote_was_granted")]
)
def test_a_message_that_is_received_before_it_is_sent_is_a_hint(sent, guard):
    """As where the files of nodes were sorted by clocks that differ."""
    events = load(RAWNODE)
    received = find(events, name=sent.replace("Send", "Receive"), reject=False)
    alike = {k: events[received - 1]["msg"][k] for k in ("type", "term", "from", "to", "reject")}
    at = find(events, name=sent, **alike)
    events.insert(received, events.pop(at - 1))
    refusal = refused_at(judge(events), received - 1, guard)
    assert refusal.hint.startswith(f"it is sent in line {received + 1}: the lines of the nodes are not in")


def test_what_is_sent_nowhere_gives_no_hint():
    events = load(RAWNODE)
    line = find(events, name="ReceiveRequestVoteRequest")
    kept = [e for e in events if e["name"] != "SendRequestVoteRequest"]
    found = judge(kept)
    assert found.refusal.line < line
    assert found.refusal.hint == ""


def test_a_reply_cannot_leave_before_the_vote_is_stored():
    """Figure 2: term and vote are updated on stable storage before responding."""
    events = load(EXAMPLE)
    del events[find(events, name="Ready", nid="5", state_vote="2") - 1]
    line = find(events, name="ReceiveRequestVoteResponse", **{"from": "5"})
    assert "has not stored its term and vote since" in refused_at(judge(events), line).text


def test_a_heartbeat_of_no_leader():
    events = load(RAWNODE)
    line = find(events, name="SendAppendEntriesRequest", nid="3", state_term=5)
    del events[find(events, name="BecomeLeader", nid="3", state_term=5) - 1]
    refusal = judge(events).refusal
    assert refusal.line == find(events, name="Ready", nid="3", role="StateLeader") == line - 2
    assert refusal.text == "role[n3] is leader in the recording and candidate in the model"


@pytest.mark.parametrize("name", ["SendRequestVoteRequest", "SendAppendEntriesRequest"])
def test_a_follower_neither_asks_for_votes_nor_sends_heartbeats(name):
    events = load(RAWNODE)
    at = find(events, name="Ready", nid="2", role="StateFollower", state_term=5)
    kind = "Vote" if "Vote" in name else "Heartbeat"
    events.insert(at, event(name, "2", 5, "3", kind=kind, sender="2", to="1"))
    says = "asks for votes in term 5 and is no candidate" if kind == "Vote" else "and does not lead it"
    assert says in refused_at(judge(events), at + 1).text


def test_a_message_for_somebody_else():
    events = load(RAWNODE)
    line = find(events, name="ReceiveAppendEntriesRequest", nid="2", state_term=5)
    events[line - 1]["msg"]["to"] = "1"  # to whom the leader has sent the same
    assert refused_at(judge(events), line).text == (
        "the receiver of MsgApp is n1 in the recording and n2 in the model"
    )


# -- doctored: terms and restarts --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        (EXAMPLE, {"name": "ReceiveAppendEntriesRequest", "nid": "3", "state_term": 2}),
        (RAWNODE, {"name": "BecomeFollower", "nid": "3", "state_term": 6}),
        (RAWNODE, {"name": "Ready", "nid": "1", "state_term": 7}),
        (RAWNODE, {"name": "InitState", "nid": "2", "state_term": 8}),
    ],
)
def test_a_term_that_goes_back(name, wanted):
    events = load(name)
    line = find(events, **wanted)
    nid, term = events[line - 1]["nid"], events[line - 1]["state"]["term"]
    back = events[line - 1]["state"]["term"] = term - 2 if term > 2 else 1
    refusal = refused_at(judge(events), line)
    assert refusal.text.startswith(f"term[n{nid}] is {back} in the recording and ")


def test_a_term_that_nobody_sent():
    events = load(RAWNODE)
    line = find(events, name="BecomeFollower", nid="3", state_term=6)
    events[line - 1]["state"]["term"] = 7
    refused_at(judge(events), line, "term_was_sent")


def test_a_term_that_the_node_has_not_heard_of():
    events = load(RAWNODE)
    line = find(events, name="BecomeFollower", nid="3", state_term=6)
    del events[line - 2]
    assert events[line - 2]["name"] == "BecomeFollower"
    assert refused_at(judge(events), line - 1).text == (
        "n3 goes to term 6, and the message it received last is (MsgVote n1 to n3, term 2)"
    )


def test_a_start_with_a_past_is_not_judged():
    result = judge([event("InitState", "1", 7, "2")])
    assert (result.verdict, result.lines) == (INCONCLUSIVE, 0)
    assert result.why == "line 1: n1 starts in term 7, vote n2: what came before is not recorded"


def test_a_vote_forgotten_at_a_restart():
    """n1 has voted for itself in term 9 and stored that; forgetting it, it could vote for n3, who asks it."""
    events = load(RAWNODE)
    line = find(events, name="InitState", nid="1", state_term=9)
    assert find(events, name="Ready", nid="1", state_term=9, state_vote="1") < line
    assert find(events, name="SendRequestVoteRequest", nid="3", state_term=9, to="1") > line
    events[line - 1]["state"]["vote"] = "0"
    assert "voted_for[n1] is NIL in the recording and n1 in the model" in refused_at(judge(events), line).text


# -- crashes between a step and its Ready --------------------------------------------------------------------
START = [event("InitState", n, 1) for n in "123"]
STANDS = event("BecomeCandidate", "1", 2, "1", "Candidate")
ASKS = event("SendRequestVoteRequest", "1", 2, "1", "Candidate", kind="Vote", sender="1", to="2")
ASKED = event("ReceiveRequestVoteRequest", "2", 1, kind="Vote", mterm=2, sender="1", to="2")


def test_a_step_before_its_ready_may_be_kept_or_lost():
    for term, vote in ((2, "1"), (1, "0")):
        result = judge(
            [*START, STANDS, ASKS, event("InitState", "1", term, vote), event("Ready", "1", term, vote)]
        )
        assert (result.verdict, result.candidates) == (HOLDS, 2)


def test_but_not_in_part():
    refused_at(judge([*START, STANDS, event("InitState", "1", 2, "0")]), 5)


def test_what_was_lost_was_never_sent():
    lost = [*START, STANDS, ASKS, event("InitState", "1", 1), ASKED]
    assert refused_at(judge(lost), 7).text == "nobody has sent MsgVote n1 to n2, term 2"
    kept = [*START, STANDS, ASKS, event("InitState", "1", 2, "1"), ASKED]
    assert refused_at(judge(kept), 7).text == "nobody has sent MsgVote n1 to n2, term 2"


def test_after_its_ready_it_is_kept():
    refused_at(
        judge([*START, STANDS, event("Ready", "1", 2, "1", "Candidate"), event("InitState", "1", 1)]), 6
    )


def test_a_vote_may_lag_only_on_the_reply_that_grants_it():
    e = [
        *START,
        STANDS,
        ASKS,
        event("Ready", "1", 2, "1", "Candidate"),
        ASKED,
        event("BecomeFollower", "2", 2),
    ]
    reply = event("SendRequestVoteResponse", "2", 2, kind="VoteResp", sender="2", to="1")
    assert judge([*e, reply, event("Ready", "2", 2, "1")]).verdict is HOLDS
    refused_at(judge([*e, reply, event("Commit", "2", 2)]), 10)
    refused_at(judge([*e, reply, reply]), 10)
    # after a Ready without the vote it is too late: the vote would have been stored with it
    refused_at(judge([*e, event("Ready", "2", 2), reply]), 10)


def test_a_reply_that_rejects_grants_nothing():
    e = [
        *START,
        STANDS,
        ASKS,
        event("Ready", "1", 2, "1", "Candidate"),
        ASKED,
        event("BecomeFollower", "2", 2),
    ]
    rejects = {"kind": "VoteResp", "sender": "2", "to": "1", "reject": True}
    assert judge([*e, event("SendRequestVoteResponse", "2", 2, **rejects)]).verdict is HOLDS
    refused_at(judge([*e, event("SendRequestVoteResponse", "2", 2, "1", **rejects)]), 9)


def test_a_candidate_gives_up_only_when_it_cannot_win():
    events = load(RAWNODE)
    gives_up = find(events, name="BecomeFollower", nid="1", role="StateFollower", state_term=41)
    rejected = find(events, name="ReceiveRequestVoteResponse", nid="1", state_term=41)
    del events[rejected - 1]
    refused_at(judge(events), gives_up - 1, "leader_was_heard")


def test_a_candidate_steps_down_for_the_leader_it_hears():
    e = [*START, STANDS, event("Ready", "1", 2, "1", "Candidate")]
    e += [event("BecomeCandidate", "3", 2, "3", "Candidate"), event("Ready", "3", 2, "3", "Candidate")]
    e += [event("SendRequestVoteRequest", "3", 2, "3", "Candidate", kind="Vote", sender="3", to="2")]
    e += [event("ReceiveRequestVoteRequest", "2", 1, kind="Vote", mterm=2, sender="3", to="2")]
    e += [event("BecomeFollower", "2", 2, "3"), event("Ready", "2", 2, "3")]
    e += [event("SendRequestVoteResponse", "2", 2, "3", kind="VoteResp", sender="2", to="3")]
    e += [event("ReceiveRequestVoteResponse", "3", 2, "3", "Candidate", kind="VoteResp", sender="2", to="3")]
    e += [event("BecomeLeader", "3", 2, "3", "Leader")]
    e += [event("SendAppendEntriesRequest", "3", 2, "3", "Leader", kind="Heartbeat", sender="3", to="1")]
    heard = event(
        "ReceiveAppendEntriesRequest", "1", 2, "1", "Candidate", kind="Heartbeat", sender="3", to="1"
    )
    down = event("BecomeFollower", "1", 2, "1")
    result = judge([*e, heard, down])
    assert (result.verdict, result.steps["step_down"]) == (HOLDS, 1)
    rejects = {"kind": "VoteResp", "sender": "3", "to": "1", "reject": True}
    e += [event("SendRequestVoteResponse", "3", 2, "3", "Leader", **rejects)]
    e += [event("ReceiveRequestVoteResponse", "1", 2, "1", "Candidate", **rejects)]
    assert "the message it received last is (MsgVoteResp" in refused_at(judge([*e, down]), 18).text
    refused_at(judge([*e[:6], down]), 7, "leader_was_heard")


def test_a_leader_that_steps_down_in_its_term_is_not_modelled():
    events = load(RAWNODE)
    line = find(events, name="Ready", role="StateLeader")
    events[line - 1] |= {"name": "BecomeFollower", "role": "StateFollower"}
    result = judge(events)
    assert result.verdict is INCONCLUSIVE
    assert f"line {line}: n3 steps down in its own term 5: check-quorum is not modelled" in result.why


# -- what stands in a line ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"role": "StateKing"}, "unknown role 'StateKing'"),
        ({"nid": "7"}, "n7 has no InitState before this line"),
        ({"nid": 7}, "`nid` is not a string"),
        ({"state": {"term": -1, "vote": "0"}}, "`term` is not a whole number of 0 or more"),
        ({"state": {"term": True, "vote": "0"}}, "`term` is not a whole number"),
        ({"state": {"term": 1}}, "`vote` is missing"),
        ({"conf": [["1"]]}, "`conf` is not the two lists of voters"),
        ({"name": "SendRequestVoteRequest"}, "`msg` is missing"),
        ({"name": "SendRequestVoteRequest", "msg": {"type": "MsgKing"}}, "unknown message 'MsgKing'"),
    ],
)
def test_malformed_lines(edit, says):
    events = load(RAWNODE)
    events[1] |= edit
    with pytest.raises(BadRecording) as error:
        judge(events)
    assert says in str(error.value)
    assert error.value.so_far.lines == 1


@pytest.mark.parametrize(
    "edit",
    [
        {"type": "MsgVoteResp"},
        {"from": "3"},
        {"to": "2"},
        {"term": 3},
        {"reject": True},
    ],
)
def test_messages_that_contradict_their_line(edit):
    events = load(RAWNODE)
    line = find(events, name="SendRequestVoteRequest", nid="2", to="3")
    events[line - 1]["msg"] |= edit
    refused_at(judge(events), line)


# -- beware of vacuity: random edits ------------------------------------------------------------------------
MESSAGES = ["MsgVote", "MsgVoteResp", "MsgApp", "MsgHeartbeat", "MsgAppResp", "MsgHeartbeatResp"]
HARMLESS = {
    # A message goes elsewhere and is lost: loss is always possible. (Where it was received, that is refused.)
    *((event, "to") for event in ("SendRequestVoteRequest", "SendRequestVoteResponse")),
    *((event, "to") for event in ("SendAppendEntriesRequest", "SendAppendEntriesResponse")),
    # Another message, that was sent as well, is received in its place.
    *(("ReceiveRequestVoteRequest", field) for field in ("from", "mterm")),
    *(("ReceiveRequestVoteResponse", field) for field in ("from", "mterm", "reject")),
    *(("ReceiveAppendEntriesRequest", field) for field in ("from", "mterm", "type")),
    *(("ReceiveAppendEntriesResponse", field) for field in ("from", "mterm", "type", "reject")),
    # Entries or a heartbeat, matching or not: the log is not judged.
    *((event, "type") for event in ("SendAppendEntriesRequest", "SendAppendEntriesResponse")),
    ("SendAppendEntriesResponse", "reject"),
    # Rejecting where it could have granted: always allowed, as long as the reply is lost.
    ("SendRequestVoteResponse", "reject"),
    # The vote shows a line later, at Ready.
    ("BecomeFollower", "vote"),
    # Another node, with the same term, vote and role, does the same: stores, commits, or restarts once more.
    *((event, "nid") for event in ("Ready", "Commit", "InitState")),
}


def edited(e, rng):
    """A copy of the event with one field of the election changed, and the field's name."""
    e = json.loads(json.dumps(e))
    name = rng.choice(
        ["term", "vote", "role", "nid"] + ["from", "to", "type", "reject", "mterm"] * ("msg" in e)
    )
    choices = {
        "vote": ["0", "1", "2", "3"],
        "nid": ["1", "2", "3"],
        "from": ["1", "2", "3"],
        "to": ["1", "2", "3"],
    }
    choices |= {"role": ["StateFollower", "StateCandidate", "StateLeader"], "type": MESSAGES}
    choices |= {"reject": [True, False]}
    part = e["state"] if name in ("term", "vote") else e["msg"] if name not in ("role", "nid") else e
    key = name.removeprefix("m") if name == "mterm" else name
    others = choices.get(name) or [max(0, part[key] - 1), part[key] + 1]
    part[key] = rng.choice([value for value in others if value != part[key]])
    return e, name


def test_random_edits_are_refused():
    """Of 400 edits of one field in the first 500 lines (4 leaders, 11 starts), at least 93 % are refused.

    Measured: 96.5 %, and 94 to 97.5 % with other seeds. The rest are beyond the model (a start with a
    past or none at all, a leader that steps down in its own term) or harmless, each for a reason in
    HARMLESS. Half of the edits are on lines of an election.
    """
    events, rng = load(RAWNODE)[:500], random.Random(1)
    elections = [i for i, e in enumerate(events) if "Vote" in e["name"] or e["name"][:4] in ("Beco", "Init")]
    verdicts, accepted, unsure = Counter(), Counter(), Counter()
    for number in range(400):
        i = rng.choice(elections) if number % 2 else rng.randrange(len(events))
        changed, name = edited(events[i], rng)
        try:
            result = judge([*events[:i], changed, *events[i + 1 :]])
        except BadRecording:
            unsure[events[i]["name"], name] += 1
            continue
        verdicts[result.verdict] += 1
        if result.verdict is VIOLATED:
            assert result.refusal.line > i
        else:
            (accepted if result.verdict is HOLDS else unsure)[events[i]["name"], name] += 1
    print(*verdicts.items(), *accepted.items(), *unsure.items(), sep="\n")
    assert set(accepted) <= HARMLESS
    assert set(unsure) <= {
        *(("InitState", name) for name in ("term", "vote", "nid")),
        ("BecomeFollower", "nid"),
    }
    assert verdicts[VIOLATED] >= 0.93 * 400
