"""ccf_configurations: by which configurations a node of a CCF recording may lead, by the lines before.

A line's `configurations` are what its node asserts: the last that it knows to be committed, and those behind
it in its log. They are believed only where earlier lines allow it:

| what is asserted                       | allowed                                                        |
|----------------------------------------|----------------------------------------------------------------|
| the very first one of a recording      | anything: the service began with it, or had it; taken as given |
| any other one                          | a leader of this term or an earlier one has announced it       |
|                                        | (`add_configuration`)                                          |
| those by which a node becomes leader   | among them the one in force: the last that leaders of earlier  |
|                                        | terms have committed                                           |
| a node that leads without an election  | the first leader: alone in its configuration, or elected       |
|                                        | before the recording begins                                    |

A leader has committed a configuration when it commits an entry of its own term, at that index or behind it,
and majorities of this configuration and of the one in force before have acknowledged that entry. So the
quorums of one leader and the next meet. Any other commit is passed over: what rests on it is inconclusive.

A configuration that no leader has announced is refused where the recording has the lines of all who could
have announced it, from the beginning of the service on; elsewhere it is inconclusive.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from oneleader.models.election import LEADER
from oneleader.readers.replay.candidates import LineRefused, NotModelled, show
from oneleader.readers.replay.formats.ccf_lines import CcfConfiguration, CcfLine


@dataclass
class Leading:
    """A leader in its term: how long its log was when that began, and what has been acknowledged to it."""

    term: int
    began_with: int
    stored: dict[str, int] = field(default_factory=dict)


class CcfConfigurations:
    """What the lines so far say about the configurations of the service."""

    def __init__(self) -> None:
        self.announced: dict[CcfConfiguration, int] = {}  # in which term first; 0: given
        self.committed: list[tuple[int, CcfConfiguration]] = []  # by the leader of which term; the given one
        self.began: dict[str, int] = {}  # the term of each node's first line
        self.first_leader = ""
        self.leading: dict[str, Leading] = {}  # of each node the last time that it led
        self.said: dict[
            tuple[str, str], tuple[int, int]
        ] = {}  # a follower to a leader: in a term, up to where

    def judge(self, line: CcfLine, *, is_unelected: bool) -> CcfConfiguration | None:
        """What the line makes known and is taken as given; refused, or NotModelled, where none may be so."""
        stands = line.function == "become_candidate"
        self.began.setdefault(line.node, 0 if line.function == "bootstrap" else line.term - stands)
        given = self._give(line)
        if line.role == LEADER:
            self._lead(line, is_unelected)
        for one in _shown(line):
            self._expect_announced(line, one)
        if line.function == "become_leader" and not is_unelected:
            self._expect_in_force(line)
        elif line.acknowledged is not None:
            self._acknowledge(line)
        elif line.function == "commit" and line.role == LEADER:
            self._commit(line)
        return given

    def _give(self, line: CcfLine) -> CcfConfiguration | None:
        """The first one that a line shows. Those behind it were announced before the recording began."""
        shown = _shown(line)
        if self.announced or not shown:
            return None
        self.announced = dict.fromkeys(shown, 0)
        self.committed = [(0, shown[0])]
        return shown[0]

    # -- leaders -------------------------------------------------------------------------------------
    def _lead(self, line: CcfLine, is_unelected: bool) -> None:
        """What a leader adds, it announces; in 2023 its line showed the new one among the others."""
        known = self.leading.get(line.node)
        if known is None or known.term < line.term:
            if is_unelected:
                self._expect_first(line)
            self.leading[line.node] = Leading(line.term, line.last_idx)
            self.first_leader = self.first_leader or line.node
        if line.function == "add_configuration":
            for one in _shown(line)[-1:]:
                self.announced.setdefault(one, line.term)

    def _expect_first(self, line: CcfLine) -> None:
        """No line shows its election, so it has to be the first one of the service, or of the recording."""
        n, t = line.node, line.term
        nodes = self.committed[0][1].nodes if self.committed else frozenset({n})
        may_have_voted = {n, *(v for v in nodes if self.began.get(v, t) >= t)}
        if not self.first_leader and is_majority(may_have_voted, nodes):
            return
        if self.began[n] == t:
            raise NotModelled(f"{n} begins as the leader of term {t}, and its election is not recorded")
        why = (
            f"{self.first_leader} has led before"
            if self.first_leader
            else f"its configuration is {show(nodes)}"
        )
        raise LineRefused(f"{n} leads term {t} without an election, and {why}")

    def _expect_in_force(self, line: CcfLine) -> None:
        """Leader Completeness (section 5.4): it knows what was committed before its term."""
        term, known = self._in_force(line.term - 1)
        if known in line.conf:
            return
        leads = f"{line.node} leads term {line.term} by {' and '.join(map(str, line.conf))}"
        if line.conf[-1].idx <= known.idx:
            raise LineRefused(f"{leads}, and the leader of term {term} has committed {known}")
        raise NotModelled(
            f"{leads} without {known}: no line shows that majorities of both had stored the change"
        )

    def _in_force(self, term: int) -> tuple[int, CcfConfiguration]:
        """The last one that leaders of terms up to this one have committed; in which term."""
        return max((one for one in self.committed if one[0] <= term), key=lambda one: one[1].idx)

    # -- what is announced ---------------------------------------------------------------------------
    def _expect_announced(self, line: CcfLine, one: CcfConfiguration) -> None:
        becomes = line.function == "become_leader"
        term = self.announced.get(one)
        if term is not None and term <= max(0, line.term - becomes):
            return
        is_whole = self._is_whole()
        if one.idx < self.committed[0][1].idx and not becomes and not is_whole:
            return  # a node that has yet to catch up with what is given
        why = f"{line.node} has the configuration {one}, and no leader before this line has announced it"
        if is_whole:
            raise LineRefused(why)
        raise NotModelled(f"{why}: the recording lacks nodes, or its beginning")

    def _is_whole(self) -> bool:
        """All who may have led have lines, from the beginning of the service on."""
        could_lead = frozenset[str]().union(*(one.nodes for one in self.announced))
        return could_lead <= self.began.keys() and not any(self.began.values())

    # -- what is committed ---------------------------------------------------------------------------
    def _acknowledge(self, line: CcfLine) -> None:
        """What a follower has stored counts once the leader of its term hears of it, as far as it said so."""
        n, other, term, index = line.node, line.other, line.packet_term, line.acknowledged or 0
        if line.function.startswith("send"):
            before, most = self.said.get((n, other), (term, 0))
            self.said[n, other] = term, max(min(index, line.last_idx), most if before == term else 0)
        elif line.role == LEADER and term == line.term:
            sent, most = self.said.get((other, n), (term, 0))
            stored = self.leading[n].stored
            stored[other] = max(stored.get(other, 0), min(index, most) if sent == term else 0)

    def _commit(self, line: CcfLine) -> None:
        """Section 5.4.2: by an entry of its own term."""
        _, known = self._in_force(line.term)
        reached = [one for one in line.conf if known.idx < one.idx <= line.idx]
        leading = self.leading[line.node]
        holders = {line.node, *(n for n, index in leading.stored.items() if index >= line.idx)}
        is_of_its_term = leading.began_with < line.idx <= line.last_idx
        if reached and is_of_its_term and all(is_majority(holders, c.nodes) for c in (known, *reached)):
            self.committed.append((line.term, reached[-1]))


def _shown(line: CcfLine) -> list[CcfConfiguration]:
    return [*line.conf, *([line.added] if line.added else [])]


def is_majority(some: Iterable[str], nodes: frozenset[str]) -> bool:
    return 2 * len(nodes.intersection(some)) > len(nodes)
