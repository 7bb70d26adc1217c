"""forgetting: messages of long ago are given up, so that memory does not grow with a recording.

A message may be received late, and twice, so what was sent is kept: the names of the last `MOST` messages or
more, and at least as many rounds of heartbeats. A line that speaks of an older one is inconclusive. That no
name is used again after it was forgotten is taken as given, and printed.

A round is forgotten with its acknowledgements when its leader sent it a lease ago, for no lease rests on it
then. Whether a server has promised anything in its term is still known: its last acknowledgement is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from oneleader.readers.replay.candidates import Candidates, LineRefused, NotModelled, OpenRun
from oneleader.readers.replay.formats.seen import SeenMessages
from oneleader.readers.replay.formats.values import Observed
from oneleader.readers.replay.rows import SetRow

MOST = 1 << 12
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
        for field, index, _ in after if self.forgotten else ():
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
