"""observed_lease: the same as `observed` for leases and promises, by the actions of `lease`.

| what is shown                    | actions tried                                                        |
|----------------------------------|----------------------------------------------------------------------|
| `time`                           | elapse, of what has passed since the line before                     |
| a leader `sends` messages        | send_heartbeat for each: AppendEntries from a leader                 |
| a follower `receives` them       | acknowledge, in the leader's term                                    |
| `lease`: true                    | none: a quorum has to have acknowledged what was sent within a lease |
| it stands or votes while it is   | transfer_leadership and start_forced_election, if the leader of the  |
| bound by a promise               | term before has not shown last that it has its lease                 |

Time is that of one clock. A node's own clock advances between `slow` and `fast` in each unit of it, and how
far is never against what is shown: a leader's as little as possible, for its lease lasts longer, everybody
else's as much as possible, for a promise ends sooner.
"""

from __future__ import annotations

from typing import Any

from oneleader.models.election import FOLLOWER, LEADER
from oneleader.readers.replay.candidates import LineRefused, NotModelled
from oneleader.readers.replay.formats.observed import ACTIONS, BY_A_QUORUM, ObservedElection

OF_LEASES = {
    "elapse": ("advance",),
    "send_heartbeat": ("n", "k"),
    "acknowledge": ("voter", "leader", "t", "k"),
    "give_up": ("n",),
    "transfer_leadership": ("n", "target"),
    "start_forced_election": ("n", "leader"),
}
SLOWED = "slowed"  # a note: the node has led since its last promise, so its clock may be further


class ObservedLease(ObservedElection):
    """One line of a node that may have a lease, or have promised something."""

    MODELS = (ACTIONS | BY_A_QUORUM | OF_LEASES,)
    UNFOUND = frozenset({"since_promise", "since_sent", "sent", "acknowledged", "timeout_now", "forced"})

    def take(self) -> None:
        self._elapse()
        super().take()
        for message in self.line.receives:
            self._acknowledge(message)
        if self.get("role", self.n) == LEADER:
            for message in self.line.sends:
                self._send(message)
        if self.line.lease:
            self._has_lease()

    # -- time ------------------------------------------------------------------------------------------
    def _elapse(self) -> None:
        time, seen = self.line.time, self.seen.messages
        if type(time) is not int or time < 0:
            why = "no `time`" if time is None else "a `time` that is no whole number"
            raise NotModelled(f"the line shows {why}, and the model lease counts it")
        if seen.by and time < seen.now:
            raise NotModelled(
                f"the time goes back from {seen.now} at {seen.by} to {time} at {self.n}: the model lease "
                "needs that of one clock"
            )
        if passed := time - seen.now if seen.by else 0:
            self.act("elapse", {n: passed * self._rate(n) for n in self.seen.nodes})

    def _rate(self, node: str) -> Any:
        is_leader = self.get("role", node) == LEADER
        if is_leader:
            self.s.put(SLOWED, node, True)
        return self.parameter("slow" if is_leader else "fast")

    def parameter(self, name: str) -> int:
        return self.seen.parameters[name]

    def restart(self) -> None:
        super().restart()
        self.s.put(SLOWED, self.n, None)

    # -- heartbeats --------------------------------------------------------------------------------------
    def _acknowledge(self, message: str) -> None:
        leader, term = self.seen.messages.sent_by.get(message, ("", 0))
        is_current = leader and self.get("term", self.n) == term
        if is_current and leader != self.n and self.get("role", self.n) == FOLLOWER:
            self.act("acknowledge", self.n, leader, term, message)
            self.s.put(SLOWED, self.n, None)

    def _send(self, message: str) -> None:
        term = self.get("term", self.n)
        if not self.s.get("sent", (self.n, term, message)):
            self.act("send_heartbeat", self.n, message)
            self.seen.messages.send(self.n, term, message)

    # -- leases ------------------------------------------------------------------------------------------
    def _has_lease(self) -> None:
        """The same as `holds_lease`; that it is not void is compared as what is shown."""
        n, nodes = self.n, self.seen.nodes
        if self.get("role", n) != LEADER:
            raise LineRefused(f"{n} shows a lease, and in the model it does not lead")
        recent = self._recent_rounds()
        voters = {v for v in nodes if v == n or any(self._has_acknowledged(v, k) for k in recent)}
        if self.enough(voters, n) <= voters:
            return
        who = f"only {' '.join(sorted(voters - {n}))}" if voters > {n} else "nobody"
        why = f"{n} shows a lease, and {who} has acknowledged what it sent within {self.parameter('lease')}"
        hiding = [v for v in nodes if v not in voters and self.seen.hides(v, "receives")]
        if hiding or self.seen.hides(n, "sends"):
            who = (
                f"{hiding[0]} never shows what it `receives`"
                if hiding
                else f"{n} never shows what it `sends`"
            )
            raise NotModelled(f"{who}, so whether this may be is open: {why}")
        raise LineRefused(why)

    def _recent_rounds(self) -> list[str]:
        """What the leader sent in its term within a lease, by its clock. Older ones are forgotten."""
        n, lease = self.n, self.parameter("lease")
        rounds = self.seen.messages.rounds.get((n, self.get("term", n)), {})
        while rounds and self.s.get("since_sent", (n, oldest := next(iter(rounds)))) >= lease:
            del rounds[oldest]
        return list(rounds)

    def _has_acknowledged(self, voter: str, message: str) -> bool:
        n = self.n
        return bool(self.s.get("acknowledged", (voter, n, self.get("term", n), message)))

    # -- promises ----------------------------------------------------------------------------------------
    def start(self, node: str) -> None:
        leader = None if self._is_free(node) else self._former_leader(self.get("term", node) + 1)
        if leader is None:
            return super().start(node)
        self._transfer(leader, node)
        return self.act("start_forced_election", node, leader)

    def grant(self, voter: str, candidate: str, term: int) -> None:
        is_forced = any(self.s.get("forced", (v, candidate, term)) for v in self.seen.nodes)
        leader = None if is_forced or self._is_free(voter) else self._former_leader(term)
        if leader is not None and self.s.get("requested", (candidate, term)):
            self._was_forced(leader, candidate, term)
        super().grant(voter, candidate, term)

    def _is_free(self, node: str) -> bool:
        """Its promise has run out; inconclusive where it may have, by a clock that is further."""
        if self.get("since_promise", node) >= self.parameter("promise"):
            return True
        if self.s.get(SLOWED, node):
            raise NotModelled(f"{node} has led since it promised: how far its clock has come is not shown")
        return False

    def _former_leader(self, term: int) -> str | None:
        """Who led the term before and may have asked another to stand: it has not shown its lease last."""
        return next(
            (
                v
                for v in self.seen.nodes
                if self.s.get("heartbeat", (v, term - 1)) and not self.seen.messages.holds.get(v)
            ),
            None,
        )

    def _transfer(self, leader: str, target: str) -> None:
        """It asks the target to stand."""
        if (self.get("role", leader), self.get("term", leader)) != (LEADER, self.get("term", target)):
            raise NotModelled(f"whether {leader} had asked {target} to take over is not shown")
        self.act("transfer_leadership", leader, target)

    def _was_forced(self, leader: str, candidate: str, term: int) -> None:
        """The candidate stood because the leader had asked it to: then that one has given up its lease."""
        self.s.put("timeout_now", (leader, candidate, term), True)
        self.s.put("forced", (leader, candidate, term), True)
        if (self.get("role", leader), self.get("term", leader)) == (LEADER, term - 1):
            self.s.put("lease_is_void", leader, True)
