"""What a recording says in `given`: what stood before a line. Only what no line could have shown is believed.

A recording may begin where some of its nodes have run for long, since the first files of a trace are gone.
Then the first line of such a node says in what state it was, and who receives a message of before says that
it had been sent. Everything else has to stand in a line:

- the state of a node is believed on the first line of that node, and on no other;
- a message is believed unless its sender's lines are there from the beginning of its run. Messages are the
  relations to which steps add and from which none takes away: an election's `requested`, for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.expr import TRUE
from oneleader.language.model import Model
from oneleader.language.trace import trace_action
from oneleader.readers.replay.candidates import Candidate, LineRefused, NotModelled, show
from oneleader.readers.replay.formats.values import Observed


def growing(model: Model) -> frozenset[str]:
    """The relations to which steps only add."""
    relations = {f.name for f in model.fields.values() if f.kind == "field" and f.of is bool}
    for action in model.actions.values():
        for name, update in trace_action(model, action).updates.items():
            if update.rewriting is not None or any(write.value is not TRUE for write in update.writes):
                relations.discard(name)
    return frozenset(relations)


class Believed:
    """What was believed so far, and of which nodes there is nothing to believe."""

    def __init__(self, model: Model) -> None:
        self._messages = growing(model)
        self._is_whole: dict[str, bool] = {}  # of each node with a line: whether it has all from its start
        self._senders: dict[str, str] = {}  # of messages believed while they had no line, and one of these
        self._lines, self._cells = 0, Counter[str]()

    def take(self, state: Candidate, node: str, given: Iterable[Observed]) -> None:
        """Put it into the state; LineRefused or NotModelled where lines should say it."""
        for field, index, value in given:
            for at, is_so in cells(index, value, len(field.index)):
                key = at if len(at) > 1 else at[0]
                if state.get(field.name, key) == is_so:
                    continue
                where = f"{field.name}[{', '.join(map(show, at))}]"
                if field.name in self._messages:
                    self._check_message(str(at[0]), where)
                elif at[0] != node or node in self._is_whole:
                    raise LineRefused(
                        f"the line says in `given` that {where} was {show(is_so)} before, and the model has "
                        f"{show(state.get(field.name, key))}: a node says that once, on its first line"
                    )
                state.start(field.name, key, is_so)

    def _check_message(self, sender: str, where: str) -> None:
        if self._is_whole.get(sender):
            raise unshown(sender, where)
        if sender not in self._is_whole:
            self._senders[sender] = where

    def note(self, node: str, given: Sequence[Observed]) -> bool:
        """The line was accepted: whether anything was believed, or seen of a node for the first time.

        NotModelled where a node begins of which a message was believed before.
        """
        if not given and node in self._is_whole:
            return False
        began_before = any(field.name not in self._messages for field, _, _ in given)
        if self._is_whole.setdefault(node, not began_before) and node in self._senders:
            raise unshown(node, self._senders[node])
        self._lines += bool(given)
        self._cells.update(field.name for field, _, _ in given)
        return True

    def words(self) -> Iterator[str]:
        """One clause, where anything was believed."""
        if self._lines:
            counted = ", ".join(f"{count:,} of {name}" for name, count in self._cells.items())
            lines = "a line says" if self._lines == 1 else f"{self._lines:,} lines say"
            yield f"what {lines} stood before: {counted}"


def unshown(sender: str, where: str) -> NotModelled:
    return NotModelled(
        f"a line says in `given` that {where} was so before; the lines of {sender} are there from its first "
        "step on, and none of them said so"
    )


def cells(index: tuple[Any, ...], value: Any, depth: int) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each cell and its value: a set of last indices is a relation that is true there."""
    if not depth:
        raise UsageError("`given` says what stood before of a node, or what it had sent")
    if isinstance(value, frozenset) and len(index) < depth:
        yield from (((*index, last), True) for last in value)
    else:
        yield index, value
