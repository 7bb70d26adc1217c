"""Refinement of `lease`: promises, leases and clocks that drift, from what can be observed alone.

The adapter shows each server's clock, and whether it holds a lease; `promise`, `lease` and `rates` say for
how long, and how clocks run. Terms, votes and roles are explained as in `following`, but for

| what is seen                       | actions tried                                                       |
|------------------------------------|---------------------------------------------------------------------|
| clocks show more                   | elapse                                                              |
| a leader sends something           | send_heartbeat, once for each time that its clock shows             |
| it answers its leader's message    | acknowledge, where that cannot be anything but AppendEntries        |
| its own vote in a newer term       | start_election, which its promise forbids; start_forced_election    |
|                                    | where a leader that is to hand over has sent it a message           |
| it shows a lease                   | a majority has received what it sent less than a lease ago          |

What may be no AppendEntries binds nobody, and counts for the lease all the same: the judge knows messages by
their senders alone. Who is to hand over has done so (transfer_leadership) once another stands at its word.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from oneleader.conformance.adapter import May, Observed
from oneleader.conformance.following import Grounds, ModelJudge, ModelStep
from oneleader.errors import Inexpressible
from oneleader.models.election import FOLLOWER, LEADER
from oneleader.readers.replay.candidates import Candidate, LineRefused


class LeaseStep(ModelStep):
    """One step of a server, and the time that has passed before it."""

    def __init__(self, of: LeaseJudge, *rest: Any) -> None:
        super().__init__(of, *rest)
        self.of = of

    def take(self) -> None:
        self.elapse()
        if self.prompt.what == "transfer" and self.leads:
            self.of.handing_over.add((self.n, self.get("term")))
        self.hear()
        if self.prompt.restarts:
            self.s.act("restart", self.n)
        if self.now.role is None:
            self.crashed()
            return
        self.terms()
        self.roles()
        self.acknowledge()
        self.send()
        self.compare()

    def elapse(self) -> None:
        advance: dict[str, int] = {}
        for node in self.of.nodes:
            shown, before = self.seen[node], self.of.clocks.get(node, 0)
            if shown is None or shown.clock is None or shown.clock < before:
                raise Inexpressible("a clock is not shown, or goes back")
            advance[node] = shown.clock - before
        if any(advance.values()):
            self.s.act("elapse", advance)
            self.of.clocks = {node: self.of.clocks.get(node, 0) + time for node, time in advance.items()}

    # -- rounds ------------------------------------------------------------------------------------------
    def send(self) -> None:
        round = round_of(self.n, self.now)
        if self.leads and self.report.sent and not self.s.get("sent", (self.n, self.now.term, round)):
            self.s.act("send_heartbeat", self.n, round)

    def hear(self) -> None:
        """Its vote; and what the sender, if it leads, may take for acknowledged."""
        super().hear()
        said, leader = self.prompt.said, self.prompt.sender
        if said is not None and said.role == "leader":
            key = (self.n, leader, said.term)
            self.of.received[key] = max(said.clock or 0, self.of.received.get(key, 0))

    def acknowledge(self) -> None:
        said, leader, term = self.prompt.said, self.prompt.sender, self.now.term
        is_follower = self.s.get("role", self.n) == FOLLOWER
        answers = any(sent.to == leader for sent in self.report.sent)
        if said is None or not (self.said_of_leader and is_follower and answers):
            return
        round = round_of(leader, said)
        if self.s.get("sent", (leader, term, round)):
            self.s.act("acknowledge", self.n, leader, term, round)

    # -- elections -------------------------------------------------------------------------------------
    def stand(self) -> None:
        s, n, leader, term = self.s, self.n, self.prompt.sender, self.get("term")
        if (leader, term) not in self.of.handing_over:
            super().stand()
            return
        if s.get("role", leader) == LEADER and s.get("term", leader) == term:
            s.act("transfer_leadership", leader, n)
        s.put("timeout_now", (leader, n, term + 1), True)
        s.act("start_forced_election", n, leader)

    # -- what is seen ----------------------------------------------------------------------------------
    def compare(self) -> None:
        super().compare()
        for node, shown in self.seen.items():
            if shown is not None and shown.lease and not self.may_hold(node, shown):
                raise LineRefused(
                    f"lease: {node} shows that it holds one, and the model has that it holds none"
                )

    def may_hold(self, node: str, shown: Observed) -> bool:
        """A majority has received what it sent less than a lease ago, and nobody stood at its word."""
        s, term = self.s, self.s.get("term", node)
        leads = s.get("role", node) == LEADER and not s.get("lease_is_void", node)
        last = {v: self.of.received.get((v, node, term)) for v in self.of.nodes}
        now = shown.clock or 0
        lately = [v for v, at in last.items() if v == node or (at is not None and now - at < self.of.lease)]
        return leads and 2 * len(lately) > len(self.of.nodes)


def round_of(leader: str, shown: Observed) -> str:
    """What is sent at one time is one round, by the name of that time."""
    return f"{leader} at {shown.clock}"


class LeaseJudge(ModelJudge):
    """Follows one run of an implementation in the model `lease`."""

    step = LeaseStep

    def __init__(self, known: Grounds, may: Collection[May] = ()) -> None:
        super().__init__(known, may)
        self.lease = known.parameters["lease"]
        self.clocks: dict[str, int] = {}
        self.handing_over: set[tuple[str, int]] = set()  # leaders that were asked to, and their terms
        self.received: dict[tuple[str, str, int], int] = {}  # voter, leader, term -> when the last was sent

    def given(self, state: Candidate, node: str, shown: Observed) -> None:
        super().given(state, node, shown)
        self.clocks[node] = shown.clock or 0
