"""A long run of five nodes as they show themselves: no line names a step of a model.

Entries are appended, stored by all members and committed, one by one. Beside that, counted in entries:

    an election     every 800     another of n1 to n4 stands, two others vote for it
    a change        every 100     n5 leaves and comes back, once it has all entries again
    a crash         every 350     of some follower, which loses its commit index
    compaction      every 500     n1 and n5 keep 10 entries, n2 500, n3 5,000, and n4 the last 100,000

The models `replication` and `membership` keep whole logs, so a million events lead to logs of some 150,000
entries; `snapshots` discards what the nodes discard. `replication` takes an entry that brings members for a
value like any other: three of the four are three of the five, so its majorities are right all the time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

Line = dict[str, Any]
NODES = ["n1", "n2", "n3", "n4", "n5"]
KEPT = {"n1": 10, "n2": 500, "n3": 5_000, "n4": 100_000, "n5": 10}
ELECTION_EVERY, CHANGE_EVERY, CRASH_EVERY, COMPACT_EVERY = 800, 100, 350, 500


class MixedRun:
    """The nodes, and what each line of them shows. `shows_members`: entries say which members they bring."""

    def __init__(self, *, shows_members: bool) -> None:
        self.shows_members, self.random = shows_members, random.Random(1)
        self.log: list[Any] = []  # [term, value]: every node has a first part of it
        self.length, self.commit, self.snapshot = (dict.fromkeys(NODES, 0) for _ in range(3))
        self.members, self.term, self.leader = [*NODES], 0, ""

    def lines(self) -> Iterator[Line]:
        while True:
            yield from self.election()
            for k in range(1, ELECTION_EVERY + 1):
                if k % CHANGE_EVERY:
                    yield from self.replicated(f"v{len(self.log)}")
                else:
                    yield from self.changed()
                if k % CRASH_EVERY == 0:
                    yield self.crashed(self.random.choice([n for n in NODES if n != self.leader]))
                if k % COMPACT_EVERY == 0:
                    yield from self.compacted()

    def election(self) -> Iterator[Line]:
        self.term += 1
        standing = [NODES[(self.term + i) % 4] for i in range(4)]
        self.leader, *voters = standing[:3]
        c, seen = self.leader, {"term": self.term, "role": "follower"}
        yield {"node": c, "event": "timeout"} | seen | {"role": "candidate", "voted_for": c, "votes": [c]}
        for n in NODES:
            if n != c:
                yield {"node": n, "event": "hears"} | seen | {"voted_for": c if n in voters else None}
        yield {"node": c, "event": "wins", "role": "leader", "votes": [c, *voters]}

    def replicated(self, value: Any) -> Iterator[Line]:
        """An entry, from the request to its commit; the others learn of that with the next one."""
        c = self.leader
        self.log.append([self.term, value])
        self.length[c] = last = len(self.log)
        yield {"node": c, "event": "request", "first": last, "log": self.log[-1:]}
        yield from (self.stored(n) for n in self.members if n != c)
        self.commit[c] = last
        yield {"node": c, "event": "commit", "commit": last}

    def stored(self, n: str) -> Line:
        """All that the node lacked."""
        first = self.length[n] + 1
        self.length[n] = len(self.log)
        self.commit[n] = max(self.commit[n], self.commit[self.leader])
        return {
            "node": n,
            "event": "entries",
            "first": first,
            "log": self.log[first - 1 :],
            "commit": self.commit[n],
        }

    def changed(self) -> Iterator[Line]:
        """n5 leaves, or catches up and comes back."""
        leaves = "n5" in self.members
        if not leaves:
            yield self.caught_up("n5")
        self.members = NODES[:4] if leaves else [*NODES]
        yield from self.replicated(
            {"members": self.members} if self.shows_members else " ".join(self.members)
        )

    def caught_up(self, n: str) -> Line:
        """By a snapshot, where the leader has discarded what the node lacks, and the entries after it."""
        k = self.snapshot[self.leader]
        if self.length[n] >= k:
            return self.stored(n)
        self.length[n], self.commit[n], self.snapshot[n] = len(self.log), k, k
        return {
            "node": n,
            "event": "snapshot",
            "snapshot": k,
            "first": k + 1,
            "log": self.log[k:],
            "commit": k,
        }

    def crashed(self, n: str) -> Line:
        self.commit[n] = self.snapshot[n]
        return {"node": n, "event": "start", "restarts": True, "role": "follower", "commit": self.commit[n]}

    def compacted(self) -> Iterator[Line]:
        for n, kept in KEPT.items():
            if self.commit[n] - kept > self.snapshot[n]:
                self.snapshot[n] = self.commit[n] - kept
                yield {"node": n, "event": "compacts", "snapshot": self.snapshot[n]}
