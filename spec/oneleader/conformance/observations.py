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
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from oneleader.conformance.adapter import May, Observed, Report
from oneleader.conformance.clients import Clients
from oneleader.conformance.prompt import Prompt

ONE_LEADER = "Election Safety"
APPEND_ONLY = "Leader Append-Only"
LOG_MATCHING = "Log Matching"
ASCENDING = "terms never fall along a log"
COMPLETENESS = "Leader Completeness"
STATE_MACHINE = "State Machine Safety"
STORED = "a quorum stores what is committed"
MONOTONE = "terms and commit indices grow"
DURABLE = "promises survive a restart"
UNSYNCED = "what a crash tore is not believed"
LINEARIZABLE = "clients see one register"
ANSWERED = "what clients are told is committed"
MATCH = "what a leader knows to be stored is stored"
GIVES_WAY = "a leader that is told of a newer term gives way"
MEMBERS = "the members follow from the log"
LEASE = "nobody leads beside a lease"

# Each clause, where it stands, and what an adapter must have or show for it to be judged.
CLAUSES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    ONE_LEADER: ("Figure 3: at most one leader can be elected in a given term", ()),
    APPEND_ONLY: ("Figure 3: a leader never overwrites or deletes entries in its log", ("log",)),
    LOG_MATCHING: ("Figure 3: two logs with an entry of one index and term agree up to it", ("log",)),
    ASCENDING: (
        "section 5.3: a leader appends entries of its own term, after those of earlier ones",
        ("log",),
    ),
    COMPLETENESS: ("Figure 3: a committed entry is in the logs of all later leaders", ("log", "commit")),
    STATE_MACHINE: ("Figure 3: no two servers apply different entries for one index", ("log", "commit")),
    STORED: ("section 5.3: an entry is committed once a majority stores it", ("log", "commit")),
    MONOTONE: ("Figure 2: terms only grow, a vote stays given, commitIndex only grows", ()),
    DURABLE: ("Figure 2, persistent state: updated on stable storage before a server responds", ()),
    UNSYNCED: (
        "Figure 2, persistent state: what is read back after a crash is what was written, or nothing",
        ("crash_keeping",),
    ),
    GIVES_WAY: ("Figure 2, All Servers 2: who learns of a newer term is a follower in it", ()),
    LINEARIZABLE: ("section 8: each operation takes effect at once, between call and return", ("read",)),
    ANSWERED: (
        "Figure 2, Leaders: respond after entry applied to state machine",
        ("log", "commit", "propose"),
    ),
    MATCH: ("Figure 2, matchIndex: the highest entry known to be replicated on a server", ("log", "match")),
    MEMBERS: ("section 6: a server uses the latest configuration in its log", ("log", "members")),
    LEASE: ("dissertation 6.4.1: while a lease lasts nobody else is elected", ("lease",)),
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

    def __init__(self, nodes: Sequence[str], may: Collection[May] = ()) -> None:
        self.nodes, self.may = frozenset(nodes), may
        self.last: dict[str, Observed] = {}  # what each server showed last
        self.with_log: dict[str, Observed] = {}  # what it showed when it last showed its log
        self.promised: dict[str, Observed] = {}  # what it showed when a message left it last
        self.stored_of: dict[str, dict[int, LogEntry]] = {}  # the entries that it took in and answered for
        self.leaders: dict[int, str] = {}
        self.entries: dict[tuple[int, int], tuple[int | None, Hashable]] = {}  # (index, term): the rest
        self.committed: dict[int, LogEntry] = {}
        self.values: set[Hashable] = set()  # of all that is committed
        self.committed_in: dict[int, int] = {}  # by what term it was committed, at the latest
        self.applied: dict[int, Hashable] = {}
        self.applied_by: dict[str, int] = {}  # each server's last one
        self.members: dict[tuple[int, ...], tuple[str, frozenset[str]]] = {}  # at a log: who showed which
        self.changed_at: dict[str, tuple[int, Observed]] = {}  # at what length of its log, and from what
        self.written: dict[str, set[tuple[int, str | None]]] = {}  # the terms and votes that it has shown
        self.torn: set[str] = set()  # those that may find writes on their disks that they had not synced
        self.compared: Counter[str] = Counter()
        self.clients = Clients()

    def begin(self, seen: Seen) -> Breach | None:
        """The cluster before its first step."""
        found = [breach for node in seen for breach in self.look(node, Prompt("start"), Report(), seen)]
        return found[0] if found else None

    def look(self, node: str, prompt: Prompt, report: Report, seen: Seen) -> Iterator[Breach]:
        """The clauses that a step of `node` breaks."""
        now, before = seen[node], self.last.get(node)
        self.torn |= {node} if prompt.what == "crash_keeping" else set()
        if now is not None:
            yield from self.server(node, prompt, report, before, seen)
        yield from self.state_machines(node, prompt, report)
        yield from self.answers(node, report, before, now)
        for result, is_explained in self.clients.answers(node, report):
            self.compared[LINEARIZABLE] += 1
            if not is_explained:
                yield Breach(LINEARIZABLE, f"a read at {node} returned {result!r}, which no order explains")

    def server(
        self, node: str, prompt: Prompt, report: Report, before: Observed | None, seen: Seen
    ) -> Iterator[Breach]:
        """All that is judged of what one server shows now."""
        now = seen[node]
        assert now is not None
        is_other_log = before is None or (before.log, before.first) != (now.log, now.first)
        if before is not None:
            yield from self.read_back(node, prompt, now)
            yield from self.grown(node, prompt, before, now)
            yield from self.gives_way(node, prompt, before, now)
            if is_other_log:
                yield from self.changed(node, prompt, before, now)
        yield from self.one_leader(node, now)
        if is_other_log:
            yield from self.new_entries(node, before, now)
        self.last[node] = now
        if now.log is not None:
            self.with_log[node] = now
        if before is not None and before.members not in (None, now.members):
            self.changed_at[node] = now.first - 1 + len(now.log or ()), before
        new: list[int] = []
        if is_other_log or before is None or before.commit != now.commit:
            yield from self.newly_committed(node, prompt, before, new)
        is_other_term = before is None or (before.role, before.term) != (now.role, now.term)
        yield from self.leader_completeness(new, node if is_other_term or is_other_log else "")
        if is_other_log:
            yield from self.still_stored(before, now)
        yield from self.matches(node, before, now)
        yield from self.same_members(node, now)
        yield from self.leases(seen)
        if report.sent:
            self.promised[node] = now
            self.take_in(node, prompt, report, before, now)

    def answers(
        self, node: str, report: Report, before: Observed | None, now: Observed | None
    ) -> Iterator[Breach]:
        """Where logs show what clients propose. Who crashes as it answers shows no commit index any more, and
        what goes into a snapshot in the step in which it is committed is not seen as committed."""
        is_shown = now is not None and now.commit is not None and now.log is not None
        if not report.answered or not is_shown or self.values.isdisjoint(self.clients.writes):
            return
        assert now is not None
        if before is None or now.first != before.first:
            return
        self.compared[ANSWERED] += 1
        early = next((value for value in report.answered if value not in self.values), None)
        if early is not None:
            yield Breach(ANSWERED, f"{node} has acknowledged {early!r}, which nobody takes as committed")

    # One server

    def grown(self, node: str, prompt: Prompt, before: Observed, now: Observed) -> Iterator[Breach]:
        crossed = has_crossed(prompt, before, now)
        was = self.promised.get(node) if crossed else before
        clause = DURABLE if crossed else MONOTONE
        if was is not None:
            self.compared[clause] += 1
            if now.term < was.term:
                yield Breach(clause, f"the term of {node} fell from {was.term} to {now.term}")
            elif now.term == was.term and was.voted_for not in (None, now.voted_for):
                vote = f"is for {now.voted_for}" if now.voted_for else "is forgotten"
                yield Breach(clause, f"the vote of {node} in term {now.term}, for {was.voted_for}, {vote}")
        if crossed or before.commit is None or now.commit is None:
            return
        if now.commit < before.commit:
            yield Breach(MONOTONE, f"the commit index of {node} fell from {before.commit} to {now.commit}")

    def gives_way(self, node: str, prompt: Prompt, before: Observed, now: Observed) -> Iterator[Breach]:
        """Judged of answers to what it sent as the leader that it is: they tell their sender's term. By those
        whom it has removed no leader is to be deposed (dissertation 4.2.3): it need not hear them."""
        leads_on = now.role == "leader" and now.term == prompt.to_leader
        is_member = any(prompt.sender in members for members in self.member_sets(before))
        if prompt.said is None or not leads_on or not is_member or May.LEADS_ON in self.may:
            return
        self.compared[GIVES_WAY] += 1
        if prompt.said.term > now.term:
            other = f"{prompt.sender} has answered it in term {prompt.said.term}"
            yield Breach(GIVES_WAY, f"{node} leads term {now.term}, and {other}")

    def changed(self, node: str, prompt: Prompt, before: Observed, now: Observed) -> Iterator[Breach]:
        """Its log is another one now."""
        crossed = has_crossed(prompt, before, now)
        before = self.with_log.get(node, before) if crossed else before
        if before.log is None or now.log is None:
            return
        leads = before.role == now.role == "leader" and before.term == now.term
        if leads:
            self.compared[APPEND_ONLY] += 1
            lost = next((i for i, e in placed(before) if i >= now.first and at(now, i) != e), None)
            if lost is not None:
                yield Breach(APPEND_ONLY, f"{node}, leader of term {now.term}, changed its entry {lost}")
        mine = self.stored_of.get(node, {})
        if crossed:
            self.compared[DURABLE] += 1
            confirmed = ((i, e) for i, e in self.kept(prompt, before) if mine.get(i) == e)
            lost = next((i for i, e in confirmed if not may_have(now, i, e)), None)
            if lost is not None:
                yield Breach(DURABLE, f"{node} had confirmed entry {lost} to its leader, and it is gone")

    def read_back(self, node: str, prompt: Prompt, now: Observed) -> Iterator[Breach]:
        """What a server has after a crash that kept unsynced writes, or a part of one, has been shown before:
        its terms and votes by itself, entries of its log by anybody."""
        known = self.written.setdefault(node, {(0, None)})
        if prompt.restarts and node in self.torn:
            self.torn.discard(node)
            self.compared[UNSYNCED] += 1
            if now.role == "follower" and (now.term, now.voted_for) not in known:
                yield Breach(UNSYNCED, f"{node} is back in term {now.term}, voted for {now.voted_for}")
            for index, entry in placed(now):
                seen = self.entries.get((index, entry[0]))
                if seen is None or seen[1] != entry[1]:
                    yield Breach(UNSYNCED, f"{node} is back with {shown(entry)} at index {index}")
        known.add((now.term, now.voted_for))

    def kept(self, prompt: Prompt, before: Observed) -> Iterator[tuple[int, LogEntry]]:
        """The entries that nothing has replaced: a server may do so at a leader's word, and crash."""
        said = prompt.said
        is_leaders = said is not None and said.role == "leader" and said.term >= before.term
        for index, entry in placed(before):
            theirs = at(said, index) or self.committed.get(index) if said is not None and is_leaders else None
            if theirs not in (None, entry):
                return
            yield index, entry

    def take_in(
        self, node: str, prompt: Prompt, report: Report, before: Observed | None, now: Observed
    ) -> None:
        """New entries that came in a message, and were answered for in the same step."""
        answers = prompt.sender and any(sent.to == prompt.sender for sent in report.sent)
        if answers and now.role == "follower" and before is not None and None not in (before.log, now.log):
            new = {i: e for i, e in placed(now) if at(before, i) != e}
            if new:
                self.stored_of.setdefault(node, {}).update(new)

    def one_leader(self, node: str, now: Observed) -> Iterator[Breach]:
        if now.role == "leader":
            self.compared[ONE_LEADER] += 1
            other = self.leaders.setdefault(now.term, node)
            if other != node:
                yield Breach(ONE_LEADER, f"{other} and {node} both led term {now.term}")

    # Logs

    def new_entries(self, node: str, before: Observed | None, now: Observed) -> Iterator[Breach]:
        """Each by the one before it, and by what any log has had there."""
        if now.log is None:
            return
        start = shared(before, now)  # what stood there before was judged before
        previous = now.log[start - 1][0] if start else 0 if now.first == 1 else None
        for index, (term, value) in enumerate(now.log[start:], now.first + start):
            known = self.entries.setdefault((index, term), (previous, value))
            self.compared[LOG_MATCHING] += 1
            self.compared[ASCENDING] += previous is not None
            if previous is not None and term < previous:
                words = f"entry {index} of term {term} in the log of {node} follows one of term {previous}"
                yield Breach(ASCENDING, words)
            is_other_value = known[1] != value
            is_after_another = None not in (known[0], previous) and known[0] != previous
            if is_other_value or is_after_another:
                what = f"is {value!r} and was {known[1]!r}" if is_other_value else "follows another entry"
                yield Breach(LOG_MATCHING, f"entry {index} of term {term} in the log of {node} {what}")
            previous = term

    def newly_committed(
        self, node: str, prompt: Prompt, before: Observed | None, new: list[int]
    ) -> Iterator[Breach]:
        """`new` is filled with what nobody had committed before."""
        now = self.last[node]
        if now.log is None:
            return
        end = now.first + len(now.log) - 1
        if now.commit is not None and now.commit > end:
            yield Breach(STORED, f"{node} takes {now.commit} entries as committed and has {end}")
        for index, entry in [*compacted(prompt, before, now), *entries_committed(now)]:
            self.compared[STATE_MACHINE] += 1
            if self.committed.setdefault(index, entry) != entry:
                other = self.committed[index]
                words = f"{node} takes {shown(entry)} as committed at index {index}; it was {shown(other)}"
                yield Breach(STATE_MACHINE, words)
            if index not in self.committed_in:
                self.committed_in[index] = now.term
                self.values.add(entry[1])
                new.append(index)
                yield from self.stored(index, entry, before, now, self.former(node, index))

    def stored(self, index: int, entry: LogEntry, *views: Observed | None) -> Iterator[Breach]:
        """A majority of the members has it, as they are shown before or after the step: where that commits a
        change of members, it may have taken effect since. Up to the entry of a change, the members before
        it may have committed it (R1). A server that shows no log may have it."""
        self.compared[STORED] += 1
        lacking = [self.lacking(self.member_sets(v), index, entry) for v in views if v is not None]
        if all(lacking):
            words = f"{shown(entry)} is taken as committed at index {index}, and {lacking[-1]} lack it"
            yield Breach(STORED, words)

    def former(self, node: str, index: int) -> Observed | None:
        """What a server showed before its members changed, if not before this entry."""
        since, seen = self.changed_at.get(node, (0, None))
        return seen if index <= since else None

    def member_sets(self, seen: Observed) -> list[frozenset[str]]:
        """Those of which a majority has to agree, each."""
        members = seen.members or self.nodes
        return [members, *([seen.joint] if seen.joint else [])]

    def lacking(self, sets: Sequence[frozenset[str]], index: int, entry: LogEntry) -> str:
        """Those that lack an entry, where they are no minority of a set; or ""."""
        for members in sets:
            without = [n for n in sorted(members) if not self.may_store(n, index, entry)]
            if 2 * len(without) >= len(members):
                return " ".join(without)
        return ""

    def may_store(self, node: str, index: int, entry: LogEntry) -> bool:
        seen = self.last.get(node)
        return seen is None or may_have(seen, index, entry)

    def still_stored(self, before: Observed | None, now: Observed) -> Iterator[Breach]:
        """What a server dropped from its log is still stored by a quorum, if it was committed; by a quorum
        of whom, is not clear where members have changed."""
        if before is None or before.log is None or now.log is None or self.changed_at:
            return
        for index, entry in placed(before):
            dropped = index >= now.first and at(now, index) != entry
            if dropped and self.committed.get(index) == entry:
                yield from self.stored(index, entry, now)

    def leader_completeness(self, new: Sequence[int], node: str) -> Iterator[Breach]:
        """What is newly committed is in all leaders' logs, and all of it in the log of this server."""
        for leader, seen in self.last.items():
            if seen.role != "leader" or seen.log is None:
                continue
            for index in self.committed if leader == node else new:
                entry = self.committed[index]
                if self.committed_in[index] > seen.term:
                    continue
                self.compared[COMPLETENESS] += 1
                if not may_have(seen, index, entry):
                    who = f"{leader}, leader of term {seen.term},"
                    yield Breach(COMPLETENESS, f"{who} lacks {shown(entry)}, committed at {index}")

    def state_machines(self, node: str, prompt: Prompt, report: Report) -> Iterator[Breach]:
        if prompt.restarts:
            self.applied_by.pop(node, None)
        for index, value in report.applied:
            yield from self.in_order(node, index)
            self.applied_by[node] = index
            self.compared[STATE_MACHINE] += 1
            known = self.applied.setdefault(index, value)
            if known != value:
                words = f"{node} applied {value!r} at index {index}, where {known!r} was applied before"
                yield Breach(STATE_MACHINE, words)

    def in_order(self, node: str, index: int) -> Iterator[Breach]:
        """Nothing twice, and of what its log has no client's value is left out, but where it is a repetition:
        state machines are not always given what changes nothing."""
        last, seen = self.applied_by.get(node), self.last.get(node)
        if last is None:
            return
        if index <= last:
            yield Breach(STATE_MACHINE, f"{node} applied index {index} after {last}")
        for left in range(max(last + 1, seen.first if seen is not None else index), index):
            value = self.committed[left][1] if left in self.committed else None
            is_new = all(other == left for other, held in self.applied.items() if held == value)
            if value in self.clients.writes and is_new:
                yield Breach(STATE_MACHINE, f"{node} applied index {index} after {last}, without {value!r}")

    # What a leader knows

    def matches(self, node: str, before: Observed | None, now: Observed) -> Iterator[Breach]:
        """Of servers that are in its term still: in a later one another leader may have replaced it."""
        if now.match is None or now.role != "leader":
            return
        if before is not None and (before.role, before.match, before.log) == (now.role, now.match, now.log):
            return
        last = now.first - 1 + len(now.log or ())
        for other, index in now.match.items():
            entry, seen = at(now, index), self.last.get(other)
            if now.log is not None and index > last:
                yield Breach(
                    MATCH, f"{node} takes it that {other} has its log up to {index}, which ends at {last}"
                )
            if other == node or entry is None or seen is None or seen.term != now.term:
                continue
            self.compared[MATCH] += 1
            if not may_have(seen, index, entry):
                words = f"{node} takes it that {other} has its log up to {index}, and it lacks {shown(entry)}"
                yield Breach(MATCH, words)

    def same_members(self, node: str, now: Observed) -> Iterator[Breach]:
        """Servers with one log, of which they have committed and applied the same, take the same members."""
        if now.members is None or not now.log or now.role is None or May.APPLY_MEMBERS in self.may:
            return
        last = now.first + len(now.log) - 1
        key = (last, now.log[-1][0], -1 if now.commit is None else now.commit, self.applied_by.get(node, -1))
        other, members = self.members.setdefault(key, (node, now.members))
        self.compared[MEMBERS] += 1
        if members != now.members:
            theirs, mine = " ".join(sorted(members)), " ".join(sorted(now.members))
            yield Breach(MEMBERS, f"with the same log {other} took the members to be {theirs}, {node} {mine}")

    def leases(self, seen: Seen) -> Iterator[Breach]:
        up = {node: shown for node, shown in seen.items() if shown is not None and shown.role is not None}
        for holder, mine in up.items():
            self.compared[LEASE] += mine.lease is not None
            for other, theirs in up.items() if mine.lease else ():
                is_later = theirs.role == "leader" and theirs.term > mine.term
                if other != holder and (theirs.lease or is_later):
                    what = "holds one too" if theirs.lease else f"leads term {theirs.term}"
                    yield Breach(LEASE, f"{holder} holds a lease in term {mine.term}, and {other} {what}")


def has_crossed(prompt: Prompt, before: Observed, now: Observed) -> bool:
    """Whether a crash, or what came after it, lies between the two."""
    return prompt.restarts or before.role is None or now.role is None


def entries_committed(now: Observed) -> Iterator[tuple[int, LogEntry]]:
    """What a server shows and takes as committed."""
    shown = max(0, (now.commit or 0) + 1 - now.first)
    return enumerate((now.log or ())[:shown], now.first)


def compacted(prompt: Prompt, before: Observed | None, now: Observed) -> Iterator[tuple[int, LogEntry]]:
    """What a server put into a snapshot of its own, which holds nothing but what is committed (section 7)."""
    if before is None or before.commit is None or prompt.what in ("receive", "restart"):
        return iter(())  # or it may be another's
    return ((index, entry) for index, entry in placed(before) if before.commit < index < now.first)


def shared(before: Observed | None, now: Observed) -> int:
    """How many entries from the first on both show alike."""
    if before is None or before.log is None or now.log is None or before.first != now.first:
        return 0
    if now.log[: len(before.log)] == before.log:
        return len(before.log)
    pairs = enumerate(zip(before.log, now.log, strict=False))
    return next((i for i, (one, two) in pairs if one != two), min(len(before.log), len(now.log)))


def may_have(seen: Observed, index: int, entry: LogEntry) -> bool:
    """Whether a server has the entry, for all that is seen of its log."""
    return seen.log is None or index < seen.first or at(seen, index) == entry


def placed(seen: Observed) -> Iterator[tuple[int, LogEntry]]:
    """The entries of a log, each with its index."""
    return enumerate(seen.log or (), seen.first)


def at(seen: Observed, index: int) -> LogEntry | None:
    """The entry at an index, if the log has it."""
    position, log = index - seen.first, seen.log or ()
    return log[position] if 0 <= position < len(log) else None


def shown(entry: LogEntry) -> str:
    return f"{entry[1]!r} of term {entry[0]}"
