"""forgetting: what is of long ago is given up, so that memory does not grow with a recording.

A message may be received late, and twice, so what was sent is kept: the names of the last `MOST` messages or
more, and at least as many rounds of heartbeats. A line that speaks of an older one is inconclusive. That no
name is used again after it was forgotten is taken as given, and printed.

A round is forgotten with its acknowledgements when its leader sent it a lease ago, for no lease rests on it
then. Whether a server has promised anything in its term is still known: its last acknowledgement is kept.

Terms are forgotten once every node has left them, but for the last ones, with all that was asked, granted and
sent in them: no step of such a term is possible any more. So are the entries of leaders that every server has
discarded, and the history that properties read, after so many lines. All this only where the model's proof
says that its properties hold without being judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from oneleader.language.definitions import Action
from oneleader.language.fields import Field
from oneleader.models.election import Term
from oneleader.readers.replay.candidates import Candidates, LineRefused, NotModelled, OpenRun, call_of
from oneleader.readers.replay.compiled import CompiledRun
from oneleader.readers.replay.formats.seen import SeenMessages
from oneleader.readers.replay.formats.values import Observed
from oneleader.readers.replay.properties import Properties
from oneleader.readers.replay.rows import NumberRow, SetRow

MOST = 1 << 12
MOST_TERMS = 256  # that are remembered though every node has left them
MOST_STATES = 1 << 16  # up to which history is kept
OF_ROUNDS = ("sent", "acknowledged", "since_sent")


class SentNames:
    """The names of the messages that lines send."""

    def __init__(self) -> None:
        self.names: dict[str, None] = {}  # in the order in which they were sent first
        self.forgotten = 0

    def add(self, names: Iterable[str]) -> bool:
        """Whether that made others be forgotten."""
        self.names |= dict.fromkeys(names)
        more = len(self.names) - MOST
        if more > MOST:
            self.forgotten += more
            self.names = dict.fromkeys(islice(self.names, more, None))
        return more > MOST

    def check(self, messages: Iterable[str]) -> None:
        """Refused where one was not sent; NotModelled where that may be forgotten."""
        for message in messages:
            if message in self.names:
                continue
            if self.forgotten:
                raise NotModelled(
                    f"whether {message} was sent is open: it is not among the last {len(self.names):,} "
                    "messages, and replay remembers no others"
                )
            refused = LineRefused(
                f"nobody has sent {message} before this line: where a file for each node was joined, "
                "`oneleader trace merge` puts effects after their causes"
            )
            refused.unsent = message
            raise refused

    def words(self) -> Iterator[str]:
        if self.forgotten:
            yield f"the names of {self.forgotten:,} messages of long ago are not used again"


class OldRounds:
    """The rounds of `lease`, of which the old ones are forgotten."""

    def __init__(self, run: OpenRun, candidates: Candidates, seen: SeenMessages, lease: int) -> None:
        self.run, self.candidates, self.seen, self.lease = run, candidates, seen, lease
        self.forgotten, self.limit = 0, 4 * MOST
        self.rounds = run.elements[run.model.fields["since_sent"].index[1]]

    def forget(self) -> bool:
        """Whether any was forgotten."""
        sent = self.run.shared["sent"]
        if len(sent) <= self.limit or len(self.candidates.states) > 1:
            return False
        old = [*self._old(sent)]
        for leader, term, k in old:
            del sent[leader, term, k]
            self.seen.forget(leader, term, k)
        acknowledged = self.run.shared["acknowledged"]
        answers = {answer for answer in acknowledged if answer[1:] not in sent}
        for answer in answers:
            del acknowledged[answer]
        for k in {k for _, _, k in old} - {k for _, _, k in sent}:
            del self.rounds[k]
        for row in self.run.shared["since_sent"].values():
            assert isinstance(row, SetRow)
            row.keep(self.rounds)
        self.forgotten, self.limit = self.forgotten + len(old), len(sent) + 2 * MOST
        return bool(old)

    def _old(self, sent: Iterable[Any]) -> Iterator[tuple[str, int, str]]:
        """Those that a lease ago were sent, but for the last ones and what each server answered last."""
        state, sent = self.candidates.states[0], [*sent]
        last = {voter: of for voter, *of in self.run.shared["acknowledged"]}
        for leader, term, k in sent[: -2 * MOST]:
            is_recent = state.get("since_sent", (leader, k)) < self.lease
            if not is_recent and [leader, term, k] not in last.values():
                yield leader, term, k

    def check(self, after: Iterable[Observed]) -> None:
        """NotModelled where a line shows what is forgotten."""
        for field, index, _ in after:
            depth = len(field.index)
            if field.name in OF_ROUNDS and (len(index) < depth or index[-1] not in self.rounds):
                raise NotModelled(f"`{field.name}` of rounds of long ago is not remembered")

    def check_refusal(self, refused: LineRefused) -> None:
        """NotModelled where a round is answered that may be forgotten."""
        if self.forgotten and refused.guard and refused.guard.name == "heartbeat_was_sent":
            raise NotModelled(
                f"{refused.action} answers a round that is not among the last ones sent: "
                "replay does not remember older ones"
            ) from None

    def words(self) -> Iterator[str]:
        if self.forgotten:
            yield f"the names of {self.forgotten:,} rounds of long ago are not used again"


NOT_OF_OLD_TERMS = ("term_is_current", "term_is_newer", "term_is_next")  # guards that forbid all such steps


class OldTerms:
    """The terms that every node has left, and the history of a run whose model is proved."""

    MODELS = ("election", "vote_count", "pre_vote", "replication", "membership", "snapshots", "lease")

    def __init__(
        self, run: CompiledRun, candidates: Candidates, properties: Properties, nodes: Iterable[str]
    ) -> None:
        self.run, self.candidates, self.properties, self.nodes = run, candidates, properties, tuple(nodes)
        self.first, self.limit = 0, MOST_TERMS  # the first term that is remembered; when to look again
        self.fields = {f.name: f for f in run.model.fields.values() if Term in f.index and not f.fixed}
        self.unlisted = run.unlisted()
        has_snapshots = "snapshot_index" in run.model.fields
        self.of_leaders = [n for n in run.kinds if n.startswith("leader_log_")] if has_snapshots else []
        self.discarded = 0  # the first index of theirs that is remembered

    def forget(self, lines: int) -> bool:
        """Whether any term or entry was forgotten."""
        if lines == MOST_STATES:
            self.properties.lose_history()
        is_due = lines % MOST == 0
        if not is_due and self.run.greatest.get(Term, 0) < self.limit:
            return False
        if is_due:
            for elements in self.unlisted:
                elements.clear()
        return (is_due and self._forget_entries()) | self._forget_terms()

    def rests(self, lines: int) -> int:
        """For how many lines without steps there is nothing to forget."""
        return -lines % MOST  # MOST_STATES is some times as many

    def _forget_terms(self) -> bool:
        if self.run.greatest.get(Term, 0) < self.limit or len(self.candidates.states) > 1:
            return False
        greatest, state = self.run.greatest[Term], self.candidates.states[0]
        first = min(greatest - MOST_TERMS, *(state.get("term", n) for n in self.nodes))
        self.limit = greatest + MOST_TERMS // 4
        if first <= self.first:
            return False
        self.first = first
        self.properties.lose_history(self.fields)
        for f in self.fields.values():
            self._forget(f)
        return True

    def _forget_entries(self) -> bool:
        """What leaders could send and no server would store: each has discarded it."""
        if not self.of_leaders or len(self.candidates.states) > 1:
            return False
        state = self.candidates.states[0]
        discarded = min(state.get("snapshot_index", n) for n in self.nodes)
        if discarded <= self.discarded:
            return False
        self.discarded = discarded
        self.properties.lose_history(self.fields)
        for name in self.of_leaders:
            for row in self.run.shared[name].values():
                assert isinstance(row, NumberRow), "an index is a number"
                row.forget_below(discarded)
        return True

    def _forget(self, f: Field) -> None:
        cells, at = self.run.shared[f.name], f.index.index(Term)
        is_in_rows = f.name in self.run.kinds
        if is_in_rows and at == len(f.index) - 1:
            for row in cells.values():
                assert isinstance(row, NumberRow), "a term is a number"
                row.forget_below(self.first)
            return
        is_bare = len(f.index) - is_in_rows == 1
        for key in [k for k in cells if (k if is_bare else k[at]) < self.first]:
            del cells[key]

    def check(self, after: Iterable[Observed]) -> None:
        """NotModelled where a line shows what is forgotten."""
        for field, index, _ in after:
            if field.name in self.of_leaders and (len(index) < 2 or least(index[1]) < self.discarded):
                raise NotModelled(f"`{field.name}` of entries that all have discarded is not remembered")
            if field.name in self.fields:
                at = field.index.index(Term)
                if at >= len(index) or least(index[at]) < self.first:
                    raise NotModelled(f"`{field.name}` of terms of long ago is not remembered")

    def check_refusal(self, steps: Iterable[tuple[Action, tuple[Any, ...]]]) -> None:
        """A refused line that speaks of a forgotten term: refused for that, if it is, and open otherwise."""
        for action, args in steps if self.first else ():
            for (_, sort), value in zip(action.params, args, strict=True):
                if sort is Term and value < self.first:
                    guard = next((g for g in action.guards if g.name in NOT_OF_OLD_TERMS), None)
                    if guard:
                        raise self.run.forbidden(action, args, guard) from None
                    call = call_of(action, args)
                    raise NotModelled(
                        f"{call}: what was sent in terms of long ago is not remembered"
                    ) from None


def least(numbers: int | range) -> int:
    """The least of those that an index in an observation stands for."""
    return numbers[0] if isinstance(numbers, range) else numbers
