"""etcd_conf: which configuration each node of an etcd recording may have, by the lines before.

A line's `conf` is what its node asserts. It is believed only where an earlier line allows it:

| where                                 | allowed                                                          |
|---------------------------------------|------------------------------------------------------------------|
| a node's first InitState              | none, or what the cluster started with, or a later one of it     |
| the very first conf of a recording    | anything: it is what the cluster started with, taken as given    |
| ApplyConfChange before any election   | one voter more: bootstrapping; the same sequence on every node   |
| ApplyConfChange later                 | the next in the cluster's sequence; a new one only by a          |
|                                       | ChangeConf of a leader whose entry the node has committed, and,  |
|                                       | where logs are judged, has in its log                            |
| ChangeConf                            | of a leader that has committed the change before (dissertation   |
|                                       | 4.1; etcd: pendingConfIndex) and has left joint consensus        |
| ApplyConfChange after a snapshot      | any later one of the sequence                                    |
| InitState of a restart                | what the node had, or an earlier one                             |
| any other line                        | what the node has                                                |

A configuration takes effect when it is applied, and not when it is appended as in the model `membership`.
Etcd leaves joint consensus by an entry that its logger passes over: that is believed of a node that has
committed an entry after the one that brought the joint configuration.

A change of more than one voter goes through joint consensus: quorums of neighbouring configurations meet.
`newconf` on ApplyConfChange names the voters; whether they are joint with the old shows in the next `conf`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from oneleader.errors import UsageError
from oneleader.models.election import LEADER
from oneleader.readers.replay.candidates import LineRefused, NotModelled, show
from oneleader.readers.replay.formats.etcd_lines import STANDS, EtcdLine
from oneleader.words import plural, quoted

Voters = frozenset[str]
NOBODY: Voters = frozenset()
HasEntry = Callable[[str, int, int], bool | None]  # whether a node stores the entry of an index and a term


def nobody_knows(node: str, index: int, term: int) -> None:
    """Where logs are not judged."""


@dataclass
class EtcdConfiguration:
    """One of the cluster's sequence; `outgoing` is None while it has not shown whether it is joint."""

    incoming: Voters
    outgoing: Voters | None
    index: int = 0  # of the entry that brought it, as far as is known

    def may_be(self, shown: EtcdConfiguration) -> bool:
        """Whether it is the one shown, as far as it has shown itself."""
        return self.incoming == shown.incoming and self.outgoing in (None, shown.outgoing)

    def __str__(self) -> str:
        joint = f" joint with {show(self.outgoing)}" if self.outgoing else ""
        return f"{show(self.incoming)}{joint}"


class EtcdConfigurations:
    """The cluster's sequence of configurations, and how far each node has got in it."""

    def __init__(self, has_entry: HasEntry = nobody_knows) -> None:
        self.has_entry = has_entry
        self.sequence: list[EtcdConfiguration] = []
        self.applied: dict[str, int] = {}  # node -> how many of them
        self.initial: int | None = None  # how many there were when somebody first stood for election
        self.proposed: list[EtcdLine] = []  # each ChangeConf whose configuration nobody has applied yet
        self.may_jump: set[str] = set()  # nodes that have received a snapshot
        self.restoring: set[str] = set()  # those that have received one since their last Ready
        self.believed = 0  # changes that count as committed because a node says so, where logs are not judged

    def judge(self, line: EtcdLine) -> None:
        """Refused where the line's configuration is one that no earlier line allows."""
        if line.event == "InitState":
            self._start(line)
        elif line.node not in self.applied:
            raise UsageError(
                f"{line.node} has no InitState before this line: a recording has to begin at the start"
            )
        elif not self._restores(line):
            self._same(line)
        if line.event == "ApplyConfChange" and line.new_voters is not None:
            self._apply(line, frozenset(line.new_voters))
        elif line.event == "ChangeConf":
            self._propose(line)
        elif line.message and line.message.type == "MsgSnap" and line.event.startswith("Receive"):
            self.may_jump.add(line.node)
            self.restoring.add(line.node)
        elif line.event == "Ready":
            self.restoring.discard(line.node)
        elif line.event in STANDS:
            self._stand(line)

    def given(self) -> Iterator[str]:
        """What the cluster started with, in words."""
        if self.sequence:
            first = self.sequence[(self.initial or len(self.sequence)) - 1]
            yield f"the voters that the cluster started with: {first}"

    def given_in_the_end(self) -> Iterator[str]:
        """What decided about changes and was judged by nobody."""
        if self.believed:
            changes = plural(self.believed, "changes")
            yield f"that {changes} of the voters had been committed (--model replication judges that)"

    # -- what a node has ------------------------------------------------------------------------------
    def _of(self, node: str) -> EtcdConfiguration:
        at = self.applied.get(node, 0)
        return self.sequence[at - 1] if at else EtcdConfiguration(NOBODY, NOBODY)

    def _restores(self, line: EtcdLine) -> bool:
        """While etcd takes over a snapshot's configuration it has none."""
        return line.event == "ApplyConfChange" and not any(line.conf) and line.node in self.restoring

    def _same(self, line: EtcdLine) -> None:
        """The line shows what the node has; where that is new, whether it is joint."""
        known = self._of(line.node)
        incoming, outgoing = map(frozenset, line.conf)
        if known.outgoing is None and incoming == known.incoming:
            self._show(line, known, outgoing)
        shown = EtcdConfiguration(incoming, outgoing)
        if (incoming, outgoing) != (known.incoming, known.outgoing) and not self._jumps(line.node, shown):
            raise LineRefused(
                f"{line.node} has the configuration {shown}, and no line before allows another than {known}"
            )

    def _jumps(self, node: str, shown: EtcdConfiguration) -> bool:
        """A snapshot brought a later one with the same voters, which ApplyConfChange does not tell apart."""
        at = self.applied[node]
        later = range(at, len(self.sequence)) if node in self.may_jump and at else ()
        same = (i for i in later if self.sequence[i].incoming == self._of(node).incoming)
        place = next((i for i in same if self.sequence[i].may_be(shown)), None)
        if place is not None:
            self.applied[node] = place + 1
        return place is not None

    def _show(self, line: EtcdLine, known: EtcdConfiguration, outgoing: Voters) -> None:
        before = self.sequence[self.applied[line.node] - 2] if self.applied[line.node] > 1 else None
        old = before.incoming if before else NOBODY
        if not outgoing and len(old ^ known.incoming) > 1 and not (before and before.outgoing):
            raise LineRefused(
                f"{line.node} goes from {show(old)} to {known} at once: "
                "quorums of the two need not meet (section 6: joint consensus)"
            )
        if outgoing and outgoing != old:
            raise LineRefused(f"{line.node} is joint with {show(outgoing)} and had {show(old)}")
        known.outgoing = outgoing

    # -- how it comes by another ------------------------------------------------------------------------
    def _propose(self, line: EtcdLine) -> None:
        """Dissertation 4.1: a leader, of one change at a time."""
        if line.role != LEADER:
            raise LineRefused(f"{line.node} proposes a configuration and leads nobody (dissertation 4.1)")
        for earlier in self.proposed:
            is_its_own = (earlier.node, earlier.term) == (line.node, line.term)
            is_stored = is_its_own or self.has_entry(line.node, index_of(earlier), earlier.term)
            if is_stored and index_of(earlier) > (line.commit or 0):
                raise LineRefused(
                    f"{line.node} proposes a configuration and has not committed the one before, "
                    f"the entry {index_of(earlier)} of term {earlier.term} (dissertation 4.1)"
                )
        self.proposed.append(line)

    def _start(self, line: EtcdLine) -> None:
        incoming, outgoing = map(frozenset, line.conf)
        shown = EtcdConfiguration(incoming, outgoing)
        if line.node not in self.applied and not self.sequence and shown.incoming:
            self.sequence.append(shown)
        up_to = self.applied.get(line.node, len(self.sequence))
        places = [i + 1 for i in range(up_to) if self.sequence[i].may_be(shown)]
        if not places and shown.incoming:
            known = self._of(line.node) if line.node in self.applied else self.sequence[0]
            raise LineRefused(
                f"{line.node} starts with the configuration {shown}, and {known} is what is known"
            )
        self.applied[line.node] = places[-1] if places else 0
        if self._of(line.node).outgoing is None:
            self._show(line, self._of(line.node), frozenset(line.conf[1]))
        self.may_jump.add(line.node)  # it may read back a snapshot; never past what the cluster has

    def _apply(self, line: EtcdLine, new: Voters) -> None:
        is_later = any(c.incoming == new for c in self.sequence[self.applied[line.node] :])
        if not is_later:
            self._go_on(line.node)
        known, at = self._of(line.node), self._past_the_same(line.node)
        if new == known.incoming and not known.outgoing:
            if at == len(self.sequence) and self._is_proposed(line, known, new):
                self.applied[line.node] = at + 1  # of the same voters, and joint, perhaps
            return
        if new == known.incoming and at == len(self.sequence) and (line.commit or 0) > known.index:
            self.sequence.append(EtcdConfiguration(new, NOBODY, known.index + 1))
        later = range(
            at, len(self.sequence) if line.node in self.may_jump else min(at + 1, len(self.sequence))
        )
        place = next((i for i in later if self.sequence[i].incoming == new), None)
        if place is None and at == len(self.sequence):
            self._extend(line, known, new)
            place = at
        if place is None:
            raise LineRefused(
                f"{line.node} applies the configuration {show(new)} after {known}, "
                f"and the cluster's next is {self.sequence[at]}"
            )
        self.applied[line.node] = place + 1

    def _go_on(self, node: str) -> None:
        """What it read from a snapshot was the last of several configurations with the same voters."""
        known, at = self._of(node), self.applied[node]
        if node in self.may_jump and at:
            same = [i for i in range(at, len(self.sequence)) if self.sequence[i].may_be(known)]
            self.applied[node] = same[-1] + 1 if same else at

    def _past_the_same(self, node: str) -> int:
        """How far the node may have got: a change that changes nothing does not show."""
        known, at = self._of(node), self.applied[node]
        while at and at < len(self.sequence) and self.sequence[at].may_be(known):
            at += 1
        return at

    def _extend(self, line: EtcdLine, known: EtcdConfiguration, new: Voters) -> None:
        """A configuration that no node has had yet."""
        if self.initial is None and known.incoming < new and len(new - known.incoming) == 1:
            self.sequence.append(EtcdConfiguration(new, NOBODY))
            return
        if self._is_proposed(line, known, new):
            return
        if known.outgoing and new == known.incoming:
            raise LineRefused(
                f"{line.node} leaves joint consensus, and has committed no entry after the one that began it"
            )
        raise LineRefused(
            f"{line.node} applies the configuration {show(new)} after {known}, "
            "and no ChangeConf before this line that it has committed says so"
        )

    def _is_proposed(self, line: EtcdLine, known: EtcdConfiguration, new: Voters) -> bool:
        """A change that the node stores and has committed makes it; then it is the cluster's next one."""
        for change in self.proposed:
            index = index_of(change)
            is_committed = index <= (line.commit or 0)
            is_stored = self.has_entry(line.node, index, change.term) is not False
            if is_committed and is_stored and _changed(known.incoming, change.changes) == new:
                self.proposed = [p for p in self.proposed if index_of(p) > index]
                self.believed += self.has_entry is nobody_knows
                self.sequence.append(EtcdConfiguration(new, None, index))
                return True
        return False

    def _stand(self, line: EtcdLine) -> None:
        """Nobody stands before it knows all of the configuration that the cluster started with."""
        if self.initial is None:
            self.initial = len(self.sequence)
        if self.applied[line.node] < self.initial:
            self._go_on(line.node)
        if self.applied[line.node] < self.initial:
            known, whole = self._of(line.node), self.sequence[self.initial - 1]
            raise LineRefused(
                f"{line.node} stands with the voters {known}, and the cluster started with {whole}"
            )


def index_of(change: EtcdLine) -> int:
    """Of the entry that a ChangeConf appends."""
    return (change.length or 0) + 1


def _changed(voters: Voters, changes: Iterable[tuple[str, str]]) -> Voters:
    for node, action in changes:
        if action == "AddNewServer":
            voters |= {node}
        elif action in ("RemoveServer", "AddLearner"):
            voters -= {node}
        else:
            raise NotModelled(f"the change {quoted(action)} of a configuration is not known here")
    return voters
