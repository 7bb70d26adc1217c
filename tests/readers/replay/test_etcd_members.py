"""Changes of members and snapshots in recordings of etcd: accepted, and refused where a line is doctored."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneleader.errors import UsageError
from oneleader.models import membership, replication, snapshots
from oneleader.readers.replay.replay import Replayed, replay_lines
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from tests.places import RECORDINGS

Event = dict[str, Any]
EXAMPLE = RECORDINGS / "etcd-raft-example.ndjson.gz"
MEMBERS, LOSSY = (
    Path(__file__).with_name("samples") / f"etcd-members{kind}.ndjson.gz" for kind in ("", "-lossy")
)


class Written:
    """A recording as etcd's logger would write it, line by line, of servers that start with these voters."""

    def __init__(self, *nodes: str, voters: str = "123") -> None:
        self.events: list[Event] = []
        self.of: dict[str, Event] = {}
        for n in nodes:
            self.of[n] = {"state": {"term": 0, "vote": "0", "commit": 0}, "role": "StateFollower", "log": 0}
            self.of[n]["conf"] = [list(voters), []]
            self.say("InitState", n)

    def say(self, name: str, n: str, **also: Any) -> None:
        self.events.append(json.loads(json.dumps({"name": name, "nid": n, **self.of[n], **also})))

    def sends(self, name: str, kind: str, n: str, to: str, **msg: Any) -> Event:
        m = {"type": kind, "term": self.of[n]["state"]["term"], "from": n, "to": to, "reject": False}
        m |= {"index": 0, "logTerm": 0, "entries": 0, "commit": 0, "rejectHint": 0, **msg}
        self.say(f"Send{name}", n, msg=m)
        return m

    def elect(self, n: str, term: int, voters: str, log_term: int = 0) -> None:
        me, length = self.of[n], self.of[n]["log"]
        me["state"] |= {"term": term, "vote": n}
        me["role"] = "StateCandidate"
        self.say("BecomeCandidate", n)
        self.say("Ready", n)
        for v in voters:
            m = self.sends("RequestVoteRequest", "MsgVote", n, v, index=length, logTerm=log_term)
            self.say("ReceiveRequestVoteRequest", v, msg=m)
            self.of[v]["state"] |= {"term": term, "vote": "0"}
            self.of[v]["role"] = "StateFollower"
            self.say("BecomeFollower", v)
            self.of[v]["state"]["vote"] = n
            reply = self.sends("RequestVoteResponse", "MsgVoteResp", v, n)
            self.say("Ready", v)
            self.say("ReceiveRequestVoteResponse", n, msg=reply)
        me["role"] = "StateLeader"
        self.say("BecomeLeader", n)
        self.append(n)

    def append(self, n: str) -> None:
        self.of[n]["log"] += 1
        self.say("Replicate", n)
        self.say("Ready", n)

    def replicate(self, n: str, to: str, prev: int, prev_term: int) -> None:
        """Followers take the entries after prev, and the leader commits them."""
        last = self.of[n]["log"]
        for v in to:
            self.bring(n, v, prev, prev_term)
        self.of[n]["state"]["commit"] = last
        self.say("Commit", n)
        self.say("Ready", n)
        for v in to:
            m = self.sends("AppendEntriesRequest", "MsgHeartbeat", n, v, commit=last)
            self.say("ReceiveAppendEntriesRequest", v, msg=m)
            self.of[v]["state"]["commit"] = last
            self.say("Ready", v)

    def bring(self, n: str, v: str, prev: int, prev_term: int) -> None:
        """A follower takes the entries after prev."""
        last, commit = self.of[n]["log"], self.of[n]["state"]["commit"]
        said = {"index": prev, "logTerm": prev_term, "entries": last - prev}
        m = self.sends("AppendEntriesRequest", "MsgApp", n, v, commit=commit, **said)
        self.take(v, m, last, commit=min(commit, last))

    def take(self, v: str, m: Event, last: int, **after: Any) -> None:
        self.say("ReceiveAppendEntriesRequest", v, msg=m)
        if m["term"] > self.of[v]["state"]["term"]:
            self.of[v]["state"] |= {"term": m["term"], "vote": "0"}
            self.say("BecomeFollower", v)
        self.of[v]["log"] = last
        self.of[v]["state"] |= after
        reply = self.sends("AppendEntriesResponse", "MsgAppResp", v, m["from"], index=last)
        self.say("Ready", v)
        self.say("ReceiveAppendEntriesResponse", m["from"], msg=reply)

    def propose(self, n: str, **changes: str) -> None:
        made = [{"nid": v[1:], "action": action} for v, action in changes.items()]
        self.say("ChangeConf", n, prop={"cc": {"changes": made}})
        self.append(n)

    def apply(self, n: str, voters: str, joint_with: str = "") -> None:
        self.say("ApplyConfChange", n, prop={"cc": {"newconf": list(voters)}})
        self.of[n]["conf"] = [list(voters), list(joint_with)]
        self.say("Ready", n)

    def judged(self) -> Replayed:
        return judge(self.events)


def judge(events: list[Event]) -> Replayed:
    return replay_lines((json.dumps({"event": e}) + "\n" for e in events), model=replication.MODEL)


def led(*nodes: str) -> Written:
    """n1 leads term 1 and has committed its first entry."""
    w = Written(*(nodes or "123"))
    w.elect("1", 1, "2")
    w.replicate("1", "23", 0, 0)
    return w


def refused_last(w: Written, text: str) -> None:
    found = w.judged()
    assert found.refusal, found.summary()
    assert (found.refusal.line, found.verdict) == (len(w.events), VIOLATED)
    assert text in found.refusal.text


# -- who is a member ----------------------------------------------------------------------------------------
def removed() -> Written:
    """n3 has left: n1 and n2 have applied that."""
    w = led()
    w.propose("1", n3="RemoveServer")
    w.replicate("1", "23", 1, 1)
    for n in "12":
        w.apply(n, "12")
    return w


def test_a_server_is_removed() -> None:
    found = removed().judged()
    assert (found.verdict, found.lines) == (HOLDS, len(removed().events))


def test_a_configuration_that_nobody_proposed() -> None:
    w = removed()
    w.apply("1", "1")
    w.events.pop()
    refused_last(w, "no ChangeConf before this line that it has committed says so")


def test_a_proposal_that_was_overwritten_is_applied_by_nobody() -> None:
    """n1 appends it and tells nobody; n2 leads next, and has another entry at its index."""
    w = led()
    w.propose("1", n3="RemoveServer")
    w.elect("2", 2, "3", log_term=1)
    w.replicate("2", "3", 1, 1)
    assert w.judged().verdict is HOLDS
    w.apply("2", "12")
    w.events.pop()
    refused_last(w, "n2 applies the configuration {n1 n2} after {n1 n2 n3}")


def test_a_change_waits_for_the_one_before() -> None:
    w = led()
    w.propose("1", n3="RemoveServer")
    w.say("ChangeConf", "1", prop={"cc": {"changes": [{"nid": "4", "action": "AddNewServer"}]}})
    refused_last(w, "has not committed the one before, the entry 2 of term 1 (dissertation 4.1)")


def test_only_a_leader_proposes() -> None:
    w = led()
    w.say("ChangeConf", "2", prop={"cc": {"changes": [{"nid": "4", "action": "AddNewServer"}]}})
    refused_last(w, "n2 proposes a configuration and leads nobody")


def test_a_vote_of_a_server_that_left_is_not_counted() -> None:
    w = removed()
    w.elect("2", 2, "3", log_term=1)
    del w.events[-2:]
    refused_last(w, "become_leader(n=n2, q={n1 n2}): quorum_voted")


def test_an_entry_that_a_server_that_left_stores_is_not_committed() -> None:
    w = removed()
    w.append("1")
    w.replicate("1", "3", 2, 1)
    while w.events[-1]["name"] != "Commit":
        w.events.pop()
    refused_last(w, "n1 commits 3, and no majority has told it to store that")


# -- joint consensus -----------------------------------------------------------------------------------------
def joined() -> Written:
    """{n1 n2 n3} joint with {n1 n4}: n1 and n4 come, n2 and n3 go."""
    w = led("1", "2", "3", "4")
    w.propose("1", n2="RemoveServer", n3="RemoveServer", n4="AddNewServer")
    w.replicate("1", "23", 1, 1)
    w.apply("1", "14", joint_with="123")
    return w


def test_joint_consensus_is_left_by_an_entry_that_is_not_written() -> None:
    w = joined()
    w.append("1")
    w.bring("1", "4", 0, 0)
    w.replicate("1", "2", 2, 1)
    w.apply("1", "14")
    assert w.judged().verdict is HOLDS


def test_joint_consensus_is_not_left_at_once() -> None:
    w = joined()
    w.apply("1", "14")
    w.events.pop()
    refused_last(w, "has committed no entry after the one that began it")


# -- snapshots ----------------------------------------------------------------------------------------
def sent(last: int) -> Written:
    """n1 has committed 2 entries, of which n3 has 1, and sends it a snapshot."""
    w = led()
    w.append("1")
    w.replicate("1", "2", 1, 1)
    w.append("1")
    m = w.sends("AppendEntriesRequest", "MsgSnap", "1", "3", entries=last)
    w.say("ReceiveAppendEntriesRequest", "3", msg=m)
    return w


def test_a_snapshot_brings_what_is_committed() -> None:
    w = sent(2)
    w.of["3"]["log"] = w.of["3"]["state"]["commit"] = 2
    w.say("Commit", "3")
    w.say("Ready", "3")
    assert w.judged().verdict is HOLDS


def test_a_snapshot_may_be_of_no_use() -> None:
    """Etcd does not take one that does not name the server as a member."""
    w = sent(2)
    w.say("Ready", "3")
    assert w.judged().verdict is HOLDS
    w.of["3"]["log"] = 2
    w.say("Ready", "3")
    refused_last(w, "log_length[n3] is 2 in the recording and 1")


@pytest.mark.parametrize("key", ["log", "commit"])
def test_a_snapshot_brings_no_more(key: str) -> None:
    w = sent(2)
    w.of["3"]["log"] = w.of["3"]["state"]["commit"] = 2
    (w.of["3"] if key == "log" else w.of["3"]["state"])[key] += 1
    w.say("Commit", "3")
    refused_last(w, f"{'log_length' if key == 'log' else 'commit_index'}[n3] is 3 in the recording and 2")


def test_a_snapshot_beyond_what_is_committed() -> None:
    w = sent(3)
    w.events.pop()
    refused_last(w, "n1 sends a snapshot up to 3 and has committed 2 (section 7)")


# -- etcd's own recordings -----------------------------------------------------------------------------------
def example(path: Path = EXAMPLE) -> list[Event]:
    with gzip.open(path, "rt") as lines:
        return [json.loads(line)["event"] for line in lines]


@pytest.mark.parametrize(("path", "lines"), [(MEMBERS, 618), (LOSSY, 1092)])
def test_joint_changes_and_snapshots_of_etcd(path: Path, lines: int) -> None:
    found = judge(example(path))
    assert (found.verdict, found.lines) == (HOLDS, lines), found.summary()


def _is_snapshot(e: Event) -> bool:
    return e["name"].startswith("Send") and e["msg"]["type"] == "MsgSnap"


def _beyond(e: Event) -> None:
    e["msg"]["entries"] = e["state"]["commit"] + 1


def _all_at_once(e: Event) -> None:
    e["conf"][1] = []


def _another_leader(e: Event) -> None:
    e["role"] = "StateFollower"


DOCTORED: list[tuple[Callable[[Event], bool], Callable[[Event], None], str]] = [
    (_is_snapshot, _beyond, "(section 7)"),
    (lambda e: bool(e["conf"][1]), _all_at_once, "at once: quorums of the two need not meet"),
    (lambda e: e["name"] == "ChangeConf", _another_leader, "leads nobody"),
]


@pytest.mark.parametrize(("where", "doctor", "text"), DOCTORED)
def test_a_doctored_copy_is_refused_at_its_line(
    where: Callable[[Event], bool], doctor: Callable[[Event], None], text: str
) -> None:
    events = example(MEMBERS)
    line = next(i for i, e in enumerate(events, 1) if where(e))
    doctor(events[line - 1])
    found = judge(events)
    assert found.refusal, found.summary()
    assert (found.refusal.line, text in found.refusal.text) == (line, True), found.refusal.text


def _another(e: Event) -> None:
    e["prop"]["cc"]["newconf"][-1] = "9"


def _not_proposed(e: Event) -> None:
    e["name"] = "Replicate"


@pytest.mark.parametrize(("doctor", "name"), [(_another, "ApplyConfChange"), (_not_proposed, "ChangeConf")])
def test_a_doctored_copy_of_the_example(doctor: Callable[[Event], None], name: str) -> None:
    """Refused where the first change of the cluster's members is applied."""
    events = example()
    proposed = next(i for i, e in enumerate(events) if e["name"] == "ChangeConf")
    applied = next(i for i in range(proposed, len(events)) if events[i]["name"] == "ApplyConfChange")
    doctor(events[proposed if name == "ChangeConf" else applied])
    found = judge(events[: applied + 1])
    assert found.refusal, found.summary()
    assert found.refusal.line == applied + 1
    assert "no ChangeConf before this line" in found.refusal.text


@pytest.mark.parametrize("model", [membership.MODEL, snapshots.MODEL])
def test_a_model_in_which_configurations_take_effect_sooner_is_not_asked(model: Any) -> None:
    with pytest.raises(UsageError, match="takes effect when it is appended, in etcd when it is applied"):
        replay_lines([json.dumps({"event": e}) for e in example()[:1]], model=model)


def test_a_kind_of_change_that_is_not_known_is_inconclusive() -> None:
    w = led()
    w.propose("1", n3="PromoteLearner")
    w.replicate("1", "23", 1, 1)
    w.apply("1", "12")
    assert w.judged().verdict is INCONCLUSIVE
