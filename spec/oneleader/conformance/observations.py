"""Figure 3 on observations alone: no model, and no opinion on how an implementation got there.

After each step the judge is shown what can be observed of the servers. It remembers who led which term,
what each entry of a log is, and what was taken as committed, and refuses a step by one of the clauses
below. A clause judges only what an adapter shows; how often each had something to compare is counted, so
that a clause without work is reported as not judged.

What is remembered of an entry is its value and the term before it. As the leader of a term makes at most
one entry for an index, that suffices for Log Matching: the entries before agree by induction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from oneleader.conformance.adapter import Observed, Report
from oneleader.conformance.histories import READ, WRITE, Operation
from oneleader.conformance.histories.objects import REGISTER
from oneleader.conformance.histories.search import search

ONE_LEADER = "Election Safety"
APPEND_ONLY = "Leader Append-Only"
LOG_MATCHING = "Log Matching"
COMPLETENESS = "Leader Completeness"
STATE_MACHINE = "State Machine Safety"
STORED = "a quorum stores what is committed"
MONOTONE = "terms and commit indices grow"
DURABLE = "promises survive a restart"
LINEARIZABLE = "clients see one register"

# Each clause, where it stands, and what an adapter must have or show for it to be judged.
CLAUSES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    ONE_LEADER: ("Figure 3: at most one leader can be elected in a given term", ()),
    APPEND_ONLY: ("Figure 3: a leader never overwrites or deletes entries in its log", ("log",)),
    LOG_MATCHING: ("Figure 3: two logs with an entry of one index and term agree up to it", ("log",)),
    COMPLETENESS: ("Figure 3: a committed entry is in the logs of all later leaders", ("log", "commit")),
    STATE_MACHINE: ("Figure 3: no two servers apply different entries for one index", ("log", "commit")),
    STORED: ("section 5.3: an entry is committed once a majority stores it", ("log", "commit")),
    MONOTONE: ("Figure 2: terms only grow, a vote stays given, commitIndex only grows", ()),
    DURABLE: ("Figure 2: currentTerm and votedFor are stored before a server responds", ()),
    LINEARIZABLE: ("section 8: each operation takes effect at once, between call and return", ("read",)),
}

Seen = Mapping[str, Observed | None]
LogEntry = tuple[int, Hashable]  # its term and its value


@dataclass(frozen=True)
class Breach:
    """A clause that a step breaks. `cause` is the same for the same bug; `words` has names and numbers."""

    cause: str
    words: str

    def __str__(self) -> str:
        return f"{self.words}\n{self.cause}: {CLAUSES[self.cause][0]}"


class Observations:
    """What was seen in one run, and whether it may be."""

    def __init__(self, nodes: Sequence[str]) -> None:
        self.nodes = frozenset(nodes)
        self.last: dict[str, Observed] = {}  # what each server showed last
        self.promised: dict[str, Observed] = {}  # what it showed when a message left it last
        self.leaders: dict[int, str] = {}
        self.entries: dict[tuple[int, int], tuple[int | None, Hashable]] = {}  # (index, term): the rest
        self.committed: dict[int, LogEntry] = {}
        self.committed_in: dict[int, int] = {}  # by what term it was committed, at the latest
        self.applied: dict[int, Hashable] = {}
        self.compared: Counter[str] = Counter()
        self.clients = Clients()

    def begin(self, seen: Seen) -> Breach | None:
        """The cluster before its first step."""
        found = [breach for node in seen for breach in self.look(node, False, Report(), seen)]
        return found[0] if found else None

    def follow(self, node: str, restarts: bool, report: Report, seen: Seen) -> Breach | None:
        """The first clause that a step of `node` breaks."""
        return next(self.look(node, restarts, report, seen), None)

    def look(self, node: str, restarts: bool, report: Report, seen: Seen) -> Iterator[Breach]:
        now, before = seen[node], self.last.get(node)
        if now is not None:
            if before is not None:
                yield from self.grown(node, restarts, before, now)
            yield from self.one_leader(node, now)
            yield from self.log_matching(node, before, now)
            self.last[node] = now
            yield from self.newly_committed(node, now)
            yield from self.leader_completeness()
            yield from self.still_stored(before, now)
            if report.sent:
                self.promised[node] = now
        yield from self.state_machines(node, report)
        yield from self.clients.answers(node, report, self.compared)

    # One server

    def grown(self, node: str, restarts: bool, before: Observed, now: Observed) -> Iterator[Breach]:
        crossed = restarts or before.role is None or now.role is None  # a crash, or what came after it
        was = self.promised.get(node) if crossed else before
        clause = DURABLE if crossed else MONOTONE
        if was is not None:
            self.compared[clause] += 1
            if now.term < was.term:
                yield Breach(clause, f"the term of {node} fell from {was.term} to {now.term}")
            elif now.term == was.term and was.voted_for not in (None, now.voted_for):
                vote = f"is for {now.voted_for}" if now.voted_for else "is forgotten"
                yield Breach(clause, f"the vote of {node} in term {now.term}, for {was.voted_for}, {vote}")
        if (
            not crossed
            and before.commit is not None
            and now.commit is not None
            and now.commit < before.commit
        ):
            yield Breach(MONOTONE, f"the commit index of {node} fell from {before.commit} to {now.commit}")
        leads = before.role == now.role == "leader" and before.term == now.term
        if leads and before.log is not None and now.log is not None:
            self.compared[APPEND_ONLY] += 1
            lost = next((i for i, e in placed(before) if i >= now.first and at(now, i) != e), None)
            if lost is not None:
                yield Breach(APPEND_ONLY, f"{node}, leader of term {now.term}, changed its entry {lost}")

    def one_leader(self, node: str, now: Observed) -> Iterator[Breach]:
        if now.role == "leader":
            self.compared[ONE_LEADER] += 1
            other = self.leaders.setdefault(now.term, node)
            if other != node:
                yield Breach(ONE_LEADER, f"{other} and {node} both led term {now.term}")

    # Logs

    def log_matching(self, node: str, before: Observed | None, now: Observed) -> Iterator[Breach]:
        if now.log is None or (before is not None and (before.log, before.first) == (now.log, now.first)):
            return
        previous: int | None = 0 if now.first == 1 else None
        for index, (term, value) in placed(now):
            known = self.entries.setdefault((index, term), (previous, value))
            self.compared[LOG_MATCHING] += 1
            is_other_value = known[1] != value
            is_after_another = None not in (known[0], previous) and known[0] != previous
            if is_other_value or is_after_another:
                what = f"is {value!r} and was {known[1]!r}" if is_other_value else "follows another entry"
                yield Breach(LOG_MATCHING, f"entry {index} of term {term} in the log of {node} {what}")
            previous = term

    def newly_committed(self, node: str, now: Observed) -> Iterator[Breach]:
        if now.commit is None or now.log is None:
            return
        end = now.first + len(now.log) - 1
        if now.commit > end:
            yield Breach(STORED, f"{node} takes {now.commit} entries as committed and has {end}")
        for index in range(now.first, now.commit + 1):
            entry = at(now, index)
            if entry is None:
                continue
            self.compared[STATE_MACHINE] += 1
            if self.committed.setdefault(index, entry) != entry:
                other = self.committed[index]
                words = f"{node} takes {shown(entry)} as committed at index {index}; it was {shown(other)}"
                yield Breach(STATE_MACHINE, words)
            if index not in self.committed_in:
                self.committed_in[index] = now.term
                yield from self.stored(index, entry, now.members or self.nodes)

    def stored(self, index: int, entry: LogEntry, members: frozenset[str]) -> Iterator[Breach]:
        """A majority of the members has it. A server that shows no log may have it."""
        self.compared[STORED] += 1
        without = [n for n in sorted(members) if not self.may_store(n, index, entry)]
        if 2 * len(without) >= len(members):
            words = f"{shown(entry)} is taken as committed at index {index}, and {' '.join(without)} lack it"
            yield Breach(STORED, words)

    def may_store(self, node: str, index: int, entry: LogEntry) -> bool:
        seen = self.last.get(node)
        return seen is None or seen.log is None or index < seen.first or at(seen, index) == entry

    def still_stored(self, before: Observed | None, now: Observed) -> Iterator[Breach]:
        """What a server dropped from its log is still stored by a quorum, if it was committed."""
        if before is None or before.log is None or now.log is None or now.members is not None:
            return
        for index, entry in placed(before):
            dropped = index >= now.first and at(now, index) != entry
            if dropped and self.committed.get(index) == entry:
                yield from self.stored(index, entry, self.nodes)

    def leader_completeness(self) -> Iterator[Breach]:
        for node, seen in self.last.items():
            if seen.role != "leader" or seen.log is None:
                continue
            for index, entry in self.committed.items():
                if self.committed_in[index] > seen.term:
                    continue
                self.compared[COMPLETENESS] += 1
                if not self.may_store(node, index, entry):
                    words = f"{node}, leader of term {seen.term}, lacks {shown(entry)}, committed at {index}"
                    yield Breach(COMPLETENESS, words)

    def state_machines(self, node: str, report: Report) -> Iterator[Breach]:
        for index, value in report.applied:
            self.compared[STATE_MACHINE] += 1
            known = self.applied.setdefault(index, value)
            if known != value:
                words = f"{node} applied {value!r} at index {index}, where {known!r} was applied before"
                yield Breach(STATE_MACHINE, words)


def placed(seen: Observed) -> Iterator[tuple[int, LogEntry]]:
    """The entries of a log, each with its index."""
    return enumerate(seen.log or (), seen.first)


def at(seen: Observed, index: int) -> LogEntry | None:
    """The entry at an index, if the log has it."""
    position, log = index - seen.first, seen.log or ()
    return log[position] if 0 <= position < len(log) else None


def shown(entry: LogEntry) -> str:
    return f"{entry[1]!r} of term {entry[0]}"


class Clients:
    """What clients asked and were answered: the register is the value proposed last."""

    def __init__(self) -> None:
        self.now = 0
        self.writes: dict[Hashable, Operation] = {}
        self.reads: list[Operation] = []
        self.asked: dict[str, list[int]] = {}  # when the reads that wait at a server were called

    def propose(self, value: Hashable) -> None:
        self.now += 1
        self.writes[value] = Operation("a client", WRITE, "the register", called=self.now, value=value)

    def ask(self, node: str) -> None:
        self.now += 1
        self.asked.setdefault(node, []).append(self.now)

    def forget(self, node: str) -> None:
        """A server crashed: its reads will not be answered."""
        self.asked.pop(node, None)

    def answers(self, node: str, report: Report, compared: Counter[str]) -> Iterator[Breach]:
        self.now += 1
        for value in report.answered:
            if value in self.writes:
                self.writes[value] = replace(self.writes[value], returned=self.now)
        for result in report.read:
            waiting = self.asked.get(node)
            called = waiting.pop(0) if waiting else self.now
            read = Operation(
                "a client", READ, "the register", called=called, returned=self.now, result=result
            )
            self.reads.append(read)
            compared[LINEARIZABLE] += 1
            if search([*self.effective_writes(), *self.reads], REGISTER.step, None).order is None:
                yield Breach(LINEARIZABLE, f"a read at {node} returned {result!r}, which no order explains")

    def effective_writes(self) -> list[Operation]:
        """One that has not returned and that nobody read may never have taken effect: it is left out."""
        read = {read.result for read in self.reads}
        return [w for w in self.writes.values() if w.returned != inf or w.value in read]
