"""Correct Rafts as engineers write them: what the paper leaves to them. None is to raise an alarm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from oneleader.conformance.adapter import May, Report
from tests.conformance.changing import ChangingAdapter, ChangingRaft
from tests.conformance.odd_rafts import Sticky
from tests.conformance.small_raft import Message, SmallAdapter, SmallRaft
from tests.conformance.snapshots import SnapshotAdapter, Snapshots


class RollsBackByTerm(SmallRaft):
    """What it sends it takes for stored; who lacks it names a term, and it goes back past that (5.3)."""

    def send_entries(self, to: str) -> None:
        super().send_entries(to)
        self.next[to] = len(self.log) + 1

    def on_entries(self, m: Message) -> None:
        if not self.lacks(m["prev"], m["prev_term"]):
            super().on_entries(m)
            return
        self.role = "follower"
        here = min(m["prev"], len(self.log))
        term = self.log[here - 1][0] if here else 0
        while here and self.log[here - 1][0] == term:
            here -= 1
        self.say(m["from"], "no", match=here, round=m["round"])

    def on_stored(self, m: Message) -> None:
        if self.role == "leader":
            sent = self.next[m["from"]]
            super().on_stored(m)
            self.next[m["from"]] = max(sent, self.next[m["from"]])

    def on_no(self, m: Message) -> None:
        if self.role == "leader":
            super().on_no(m)
            self.send_entries(m["from"])


class TellsAtOnce(SmallRaft):
    """Who commits says so at once, and does not wait for its next heartbeat."""

    def advance(self) -> None:
        before = self.commit
        super().advance()
        if self.commit > before:
            for other in self.others:
                self.send_entries(other)


class CollectsProposals(SmallRaft):
    """Proposals wait for each other, and are appended together."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.proposed: list[str] = []

    def propose(self, value: str) -> None:
        if self.role == "leader":
            self.proposed.append(value)
            if len(self.proposed) == 3:
                self.append_all()

    def append_all(self) -> None:
        self.log.extend((self.term, value) for value in self.proposed)
        self.proposed = []
        super().heartbeat()
        self.advance()

    def heartbeat(self) -> None:
        if self.role == "leader":
            self.append_all()

    def adopt(self, term: int) -> None:
        super().adopt(term)
        self.proposed = []


class AppliesLate(SmallRaft):
    """What is committed is applied by a thread of its own: two entries whenever a timer rings."""

    at_once = False

    def apply(self) -> None:
        if self.at_once:
            committed, self.commit = self.commit, min(self.commit, self.applied + 2)
            super().apply()
            self.commit = committed

    def heartbeat(self) -> None:
        super().heartbeat()
        self.at_once = True
        self.apply()
        self.finish_reads()
        self.at_once = False

    def finish_reads(self) -> None:
        while self.reads and len(self.reads[0][1]) >= self.quorum and self.applied == self.commit:
            self.reads.pop(0)
            self.results.append(self.log[self.applied - 1][1])


class AsksAgainInItsTerm(SmallRaft):
    """A candidate whose timer rings first asks again those that have not answered."""

    asked = False

    def timeout(self) -> None:
        if self.role == "candidate" and not self.asked:
            self.asked = True
            last = self.log[-1][0] if self.log else 0
            for other in self.others:
                if other not in self.votes:
                    self.say(other, "ask", last=len(self.log), last_term=last)
            return
        self.asked = False
        super().timeout()


class SaysNo(SmallRaft):
    """Votes are refused in words, and a candidate that cannot win any more is a follower."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.refused = set[str]()

    def timeout(self) -> None:
        self.refused = set()
        super().timeout()

    def on_ask(self, m: Message) -> None:
        before = len(self.out)
        super().on_ask(m)
        if len(self.out) == before:
            self.say(m["from"], "refused")

    def refuses_old(self, m: Message) -> bool:
        if m["kind"] in ("ask", "entries"):
            self.say(m["from"], "refused" if m["kind"] == "ask" else "deposed")
        return True

    def on_deposed(self, m: Message) -> None:
        """It has adopted the term."""

    def on_refused(self, m: Message) -> None:
        self.refused.add(m["from"])
        if self.role == "candidate" and len(self.nodes) - len(self.refused) < self.quorum:
            self.role = "follower"


class Free(Sticky):
    """Pre-votes without stickiness: who has a leader answers them all the same (dissertation 9.6)."""

    def receive(self, m: Message) -> None:
        self.hears_a_leader = False
        super().receive(m)


class ReadsAtFollowers(SmallRaft):
    """A follower asks the leader up to where it has to have applied, and answers by itself (6.4)."""

    leader = ""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.asked = 0
        self.forwarded: dict[int, tuple[str, int]] = {}  # of a round that serves a read: of whom, and which
        self.known: dict[int, int] = {}  # up to where each read of its own has to be applied, in their order

    def on_entries(self, m: Message) -> None:
        self.leader = m["from"]
        super().on_entries(m)

    def read(self) -> None:
        self.asked += 1
        self.known[self.asked] = 0
        if self.role == "leader":
            self.serve(self.name, self.asked)
        elif self.leader:
            self.say(self.leader, "index", number=self.asked)

    def serve(self, who: str, number: int) -> None:
        if self.may_read():
            self.round += 1
            self.forwarded[self.round] = (who, number)
            self.reads.append((self.round, {self.name}))
            self.heartbeat()
            self.finish_reads()

    def on_index(self, m: Message) -> None:
        if self.role == "leader":
            self.serve(m["from"], m["number"])

    def finish_reads(self) -> None:
        while self.reads and len(self.reads[0][1]) >= self.quorum:
            number, _ = self.reads.pop(0)
            who, which = self.forwarded.pop(number)
            if who == self.name:
                self.on_index_is({"number": which, "index": self.commit})
            else:
                self.say(who, "index_is", number=which, index=self.commit)

    def on_index_is(self, m: Message) -> None:
        if m["number"] in self.known:
            self.known[m["number"]] = m["index"]
            self.answer_reads()

    def apply(self) -> None:
        super().apply()
        self.answer_reads()

    def answer_reads(self) -> None:
        """In the order in which they were asked, as clients that are told apart by it need."""
        while self.known:
            first, index = next(iter(self.known.items()))
            if not 0 < index <= self.applied:
                return
            del self.known[first]
            self.results.append(self.log[self.applied - 1][1])


class Relays(SmallRaft):
    """Who takes entries in passes the message on to the next, as it is: a chain beside the star."""

    def on_entries(self, m: Message) -> None:
        super().on_entries(m)
        after = self.nodes[(self.nodes.index(self.name) + 1) % len(self.nodes)]
        if m["entries"] and after != m["from"] and not m.get("passed"):
            self.out.append(m | {"to": after, "passed": True})


class RelayAdapter(SmallAdapter):
    """The sender on the wire is not the one in the message."""

    server = Relays
    may = (May.COMMIT_BY_VOTE,)

    def receive(self, node: str, message: Message, sender: str = "") -> Report:
        return super().receive(node, message, message["from"])


class SendsSnapshots(Snapshots):
    """Who is more than two entries behind is sent all that is committed at once, though the log has it."""

    def send_entries(self, to: str) -> None:
        if self.commit - self.next[to] > 1:
            self.say(to, "snapshot", entries=self.log[: self.commit])
        else:
            super().send_entries(to)


class Transfers(SmallRaft):
    """Leadership is handed over to who is up to date; meanwhile nothing is appended (dissertation 3.10)."""

    target = ""

    def transfer(self, to: str) -> None:
        if self.role == "leader" and to in self.others:
            self.target = to
            self.hand_over()

    def hand_over(self) -> None:
        if self.role != "leader" or not self.target:
            return
        if self.match[self.target] == len(self.log):
            self.say(self.target, "now")
        else:
            self.send_entries(self.target)

    def on_now(self, m: Message) -> None:
        super().timeout()

    def propose(self, value: str) -> None:
        if not self.target:
            super().propose(value)

    def on_stored(self, m: Message) -> None:
        super().on_stored(m)
        if m["from"] == self.target:
            self.hand_over()

    def timeout(self) -> None:
        """It has not come about: clients are served again."""
        self.target = ""
        super().timeout()

    def adopt(self, term: int) -> None:
        super().adopt(term)
        self.target = ""


class TransferAdapter(SmallAdapter):
    server: ClassVar[type[SmallRaft]] = Transfers
    may = (May.HAND_OVER,)

    def transfer(self, node: str, to: str) -> Report:
        server = self.up[node]
        assert isinstance(server, Transfers)
        server.transfer(to)
        return self.report(node)


class LearnsFirst(ChangingRaft):
    """Who is to join is sent entries first, and becomes a member once it has caught up (4.2.1)."""

    wanted: tuple[str, ...] = ()

    @property
    def others(self) -> list[str]:
        return sorted((self.members | set(self.wanted)) - {self.name})

    def change_members(self, members: Sequence[str]) -> None:
        if self.role == "leader":
            self.wanted = tuple(members)
            self.heartbeat()
            self.go_on()

    def go_on(self) -> None:
        joins = set(self.wanted) - self.members - {self.name}
        if self.wanted and all(self.match[node] == len(self.log) for node in joins):
            wanted, self.wanted = self.wanted, ()
            super().change_members(wanted)

    def on_stored(self, m: Message) -> None:
        super().on_stored(m)
        if self.role == "leader":
            self.go_on()

    def adopt(self, term: int) -> None:
        super().adopt(term)
        self.wanted = ()


class LearnsFirstAdapter(ChangingAdapter):
    server = LearnsFirst
    may = (May.CHANGE_MEMBERS,)


class KeepsItsCommit(SmallRaft):
    """The commit index is stored, so that a server that comes back applies at once what it had."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.commit = int(disk.get("commit", 0))
        self.apply()

    def apply(self) -> None:
        self.disk["commit"] = self.commit
        super().apply()


class SendsLittle(SmallRaft):
    """At most two entries a message."""

    def send_entries(self, to: str) -> None:
        super().send_entries(to)
        self.out[-1]["entries"] = self.out[-1]["entries"][:2]


class TellsAsItVotes(SmallRaft):
    """A vote says what its voter takes as committed, and a candidate that has the entry learns it."""

    def on_ask(self, m: Message) -> None:
        before = len(self.out)
        super().on_ask(m)
        for answer in self.out[before:]:
            answer["known"] = (self.commit, self.log[self.commit - 1][0] if self.commit else 0)

    def on_yes(self, m: Message) -> None:
        commit, term = m["known"]
        if self.role == "candidate" and self.commit < commit and not self.lacks(commit, term):
            self.commit = commit
            self.apply()
        super().on_yes(m)


class StandsTheSecondTime(SmallRaft):
    """Whose timer rings is first a follower of the next term, and stands in the one after it."""

    has_rung = False

    def timeout(self) -> None:
        if self.role != "leader" and not self.has_rung:
            self.adopt(self.term + 1)
            self.has_rung = True
        else:
            self.has_rung = False
            super().timeout()


class StoresNoVote(SmallRaft):
    """Who comes back does not know whom it has voted for, and begins in a term in which it has not."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        if disk["term"]:
            self.adopt(self.term + 1)


class BeatsApart(SmallRaft):
    """A heartbeat has no place in the log: it tells what is committed of what is known to be there."""

    def heartbeat(self) -> None:
        if self.role == "leader":
            for other in self.others:
                self.say(other, "beat", commit=min(self.commit, self.match[other]))

    def propose(self, value: str) -> None:
        super().propose(value)
        if self.role == "leader":
            for other in self.others:
                self.send_entries(other)

    def on_beat(self, m: Message) -> None:
        self.role = "follower"
        self.commit = max(self.commit, m["commit"])
        self.apply()
        self.say(m["from"], "beaten", round=m["round"])

    def on_beaten(self, m: Message) -> None:
        if self.role == "leader":
            self.note_round(m)
            if self.match[m["from"]] < len(self.log):
                self.send_entries(m["from"])


class ReadsByItsLog(SmallRaft):
    """A read is an entry, and is answered when that is applied."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.asked: dict[int, int] = {}  # the terms of the reads that wait, by their index

    def read(self) -> None:
        if self.role == "leader":
            self.asked[len(self.log) + 1] = self.term
            super().propose("")

    def adopt(self, term: int) -> None:
        super().adopt(term)
        self.asked = {}

    def apply(self) -> None:
        before = self.applied
        super().apply()
        for index in range(before + 1, self.applied + 1):
            if self.role == "leader" and self.asked.pop(index, None) == self.log[index - 1][0]:
                values = [value for _, value in self.log[:index] if value]
                self.results.append(values[-1] if values else None)


class SendsPieces(Snapshots):
    """A snapshot comes an entry at a time, and takes effect with the last of them."""

    def __init__(self, name: str, nodes: Sequence[str], disk: dict[str, Any]) -> None:
        super().__init__(name, nodes, disk)
        self.pieces: dict[tuple[str, int, int], dict[int, Any]] = {}

    def send_entries(self, to: str) -> None:
        if self.next[to] - 1 >= self.held:
            super().send_entries(to)
            return
        for at in range(self.held):
            self.say(to, "piece", at=at, of=self.held, entry=self.log[at])

    def on_piece(self, m: Message) -> None:
        self.role = "follower"
        got = self.pieces.setdefault((m["from"], m["term"], m["of"]), {})
        got[m["at"]] = m["entry"]
        if len(got) == m["of"]:
            self.pieces = {}
            self.on_snapshot(m | {"entries": [got[at] for at in range(m["of"])]})


class Fetches(SmallRaft):
    """A leader beats, and a follower asks it for what comes after its log, as Kafka's do."""

    def heartbeat(self) -> None:
        if self.role == "leader":
            for other in self.others:
                self.say(other, "beat")

    @property
    def end(self) -> tuple[int, int]:
        return len(self.log), self.log[-1][0] if self.log else 0

    def on_beat(self, m: Message) -> None:
        self.role = "follower"
        self.say(m["from"], "fetch", end=self.end, round=m["round"])

    def on_fetch(self, m: Message) -> None:
        if self.role != "leader":
            return
        at, term = m["end"]
        self.note_round(m)
        if self.lacks(at, term):
            at = min(at, len(self.log))
            while at and self.log[at - 1][0] > term:
                at -= 1
            self.say(m["from"], "diverges", asked=m["end"], at=at, of=self.log[at - 1][0] if at else 0)
            return
        self.match[m["from"]] = max(self.match[m["from"]], at)
        self.advance()
        self.say(m["from"], "fetched", asked=m["end"], entries=list(self.log[at:]), commit=self.commit)

    def on_diverges(self, m: Message) -> None:
        """Only what was asked of this very log is an answer to it."""
        self.role = "follower"
        if m["asked"] == self.end:
            at = min(m["at"], len(self.log))
            while at and self.log[at - 1][0] > m["of"]:
                at -= 1
            del self.log[at:]
            self.on_beat(m)

    def on_fetched(self, m: Message) -> None:
        self.role = "follower"
        if m["asked"] == self.end:
            self.log.extend(m["entries"])
            self.commit = max(self.commit, m["commit"] if m["commit"] <= len(self.log) else 0)
            self.apply()
            if m["entries"]:
                self.on_beat(m)


def adapted(
    kind: type[SmallRaft], may: Sequence[May] = (), over: type[SmallAdapter] = SmallAdapter
) -> type[SmallAdapter]:
    return type(f"{kind.__name__}Adapter", (over,), {"server": kind, "may": may})


ADAPTERS: dict[str, type[SmallAdapter]] = {
    "pipelines, and rolls back by a term": adapted(RollsBackByTerm),
    "tells at once what is committed": adapted(TellsAtOnce),
    "collects proposals": adapted(CollectsProposals),
    "applies late": adapted(AppliesLate),
    "asks again in its term": adapted(AsksAgainInItsTerm),
    "says no": adapted(SaysNo, [May.GIVE_UP]),
    "pre-votes without stickiness": adapted(Free, [May.STEP_DOWN, May.ASK_AGAIN]),
    "reads at followers": adapted(ReadsAtFollowers),
    "relays": RelayAdapter,
    "sends snapshots": adapted(SendsSnapshots, over=SnapshotAdapter),
    "hands over": TransferAdapter,
    "learns first": LearnsFirstAdapter,
    "keeps its commit index": adapted(KeepsItsCommit, [May.COMMIT_SURVIVES]),
    "sends little": adapted(SendsLittle),
    "tells as it votes": adapted(TellsAsItVotes, [May.COMMIT_BY_VOTE]),
    "stands the second time": adapted(StandsTheSecondTime, [May.PASSES_A_TERM]),
    "stores no vote": adapted(StoresNoVote, [May.PASSES_A_TERM]),
    "beats apart": adapted(BeatsApart),
    "reads by its log": adapted(ReadsByItsLog),
    "sends pieces": adapted(SendsPieces, over=SnapshotAdapter),
    "fetches": adapted(Fetches, [May.DROP_CONFLICTS]),
}
