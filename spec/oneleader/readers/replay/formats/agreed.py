"""agreed: what nodes showed and the model had, which need not be compared again.

A line mostly shows what its node's line before showed. Where that was read as the very same observations, and
no step has written those fields since, the model has it still. This is for a recording that names its steps
and is followed in one state, in place: who explains lines otherwise forgets all (`start_again`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from oneleader.language.model import Model
from oneleader.language.trace import trace_action
from oneleader.readers.replay.formats.observed import Call
from oneleader.readers.replay.formats.values import Observed

Cells = dict[tuple[Any, ...], Observed]


class Agreed:
    """The last observations of each node, by field and index; and those of a whole line, by node."""

    def __init__(self, model: Model) -> None:
        self._written = {a.name: (*trace_action(model, a).updates,) for a in model.actions.values()}
        self._cells: defaultdict[str, Cells] = defaultdict(dict)
        self._lines: dict[str, list[Observed]] = {}

    def take(self, steps: Iterable[Call]) -> None:
        """Steps were taken: what they write is to be compared again."""
        for action, _ in steps:
            self._lines.clear()
            for name in self._written[action.name]:
                self._cells[name].clear()

    def start_again(self) -> None:
        """Something else has changed the state, or there are several."""
        self._cells.clear()
        self._lines.clear()

    def of(self, field: str) -> Cells:
        """What was observed of a field. Only what is there once for each node may be added."""
        return self._cells[field]

    def is_settled(self, node: str, after: list[Observed]) -> bool:
        """All of it was observed already, and no step was taken since."""
        return self._lines.get(node) is after

    def settle(self, node: str, after: list[Observed]) -> None:
        self._lines[node] = after
