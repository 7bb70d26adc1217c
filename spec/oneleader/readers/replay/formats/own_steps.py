"""own_steps: a step in our own format, read: the actions that it names, and what stands after them.

| key                 | what it says                                                     |
|---------------------|------------------------------------------------------------------|
| `node`, `event`     | who did it, and what happened, in words                          |
| `actions`           | the steps of the model: [["name", {"parameter": value, ...}]]    |
| `term`, `role`, ... | what its node is like after them: all such keys in `shown`       |
| `after`             | what stands after them, of any node, in the words of the model   |
| `given`             | what stood before the line, in the same words: see `given.py`     |
| `time`              | the node's clock, a number; it does not go back                  |
| `sends`, `receives` | the names of messages: each is sent before it is received        |
| `step`, `note`      | for people                                                       |

In `after`, by a field's shape: a dictionary goes from an index to what is there; a list is the set of last
indices at which a relation is true; null is NIL; a member of an enumeration stands by its name in lower case.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

from oneleader.errors import UsageError
from oneleader.language.definitions import Action
from oneleader.language.model import Model
from oneleader.readers.replay.candidates import NotModelled
from oneleader.readers.replay.coverage import Counts, check_keys
from oneleader.readers.replay.formats.observed import Call
from oneleader.readers.replay.formats.own_header import object_of
from oneleader.readers.replay.formats.shown import KEYS, ShownKeys
from oneleader.readers.replay.formats.values import Observed, Reader, ValueReaders, are_words
from oneleader.words import quoted

STEP = ("node", "event", "actions", "given", "after", "time", "sends", "receives", *KEYS)
STEP_FOR_PEOPLE = ("step", "note")
LATEST = sys.float_info.max  # by a clock
MOST_KNOWN = 64  # actions that were read
IN_STEP, SHOWN = frozenset({*STEP, *STEP_FOR_PEOPLE}), frozenset(KEYS)
# The actions, None if none are named; what stood before them; what stands after them.
Step = tuple[list[Call] | None, list[Observed], list[Observed]]


class ReadAfter(NamedTuple):
    """What `after` of a line was read as, and of which fields that is how many cells."""

    written: dict[str, Any] | None
    cells: list[Observed]
    counts: Counts


class LatestRead:
    """What was read of a node's last line: all of `after`, and each name in it."""

    def __init__(self) -> None:
        self.after = ReadAfter(None, [], ())
        self.read: dict[str, tuple[Any, list[Observed], tuple[str, int]]] = {}


class OwnSteps:
    """Reads the steps of a recording, one after the other."""

    def __init__(self, model: Model, values: ValueReaders, shown_keys: ShownKeys, *, may_infer: bool) -> None:
        """`may_infer`: a line need not name its actions."""
        self.model, self.values, self.shown_keys, self.may_infer = model, values, shown_keys, may_infer
        self.nodes = shown_keys.nodes
        self.of_actions: dict[str, tuple[Action, dict[str, Reader]]] = {}
        self.clocks: dict[str, float] = {}  # each node's last `time`
        self.latest: dict[str, LatestRead] = {}  # of each node
        self._known: dict[int, tuple[Any, Call]] = {}  # by its identity, what an action was read as

    def read(self, record: dict[str, Any]) -> Step:
        """A step; UsageError where it cannot be read."""
        if not record.keys() <= IN_STEP:
            check_keys(record, (*STEP, *STEP_FOR_PEOPLE), "a step")
        node, event = record.get("node"), record.get("event")
        if not isinstance(node, str) or not isinstance(event, str):
            raise UsageError("a step needs `node` and `event`, both strings")
        if "time" in record:
            self._see_clock(node, record["time"])
        for key in ("sends", "receives"):
            if key in record and not are_words(record[key]):
                raise UsageError(f"`{key}` is not a list of the names of messages")
        steps = [self.call(action) for action in _list(record, "actions")] if "actions" in record else None
        if steps is None and "given" in record:
            raise UsageError("what is `given` comes before `actions`, and this line names none")
        if steps is None and self.may_infer and node not in self.nodes:
            raise UsageError(f"{quoted(node)} is not one of the header's `nodes`")
        given = self.observed(record, "given") if "given" in record else []
        if steps is None and not self.may_infer:
            raise NotModelled(
                f"the line names no actions, and those of {self.model.name} are not found without"
            )
        after: list[Observed] = []
        if "after" in record:
            after = self.after(node, object_of(record, "after"), by_ranges=steps is not None).cells
        if not SHOWN.isdisjoint(record):
            after = after + self.shown_keys.observed(record)
        return steps, given, after

    def _see_clock(self, node: str, time: Any) -> None:
        if isinstance(time, bool) or not isinstance(time, int | float) or not abs(time) <= LATEST:
            raise UsageError("`time` is not a number, or one beyond all clocks")
        if time < self.clocks.get(node, time):
            raise UsageError(
                f"the clock of {node} goes back from {self.clocks[node]:g} to {time:g}: give the time of a "
                "clock that does not, or none"
            )
        self.clocks[node] = time

    def call(self, written: Any) -> Call:
        """The action and its arguments; UsageError where the model has none such."""
        before = self._known.get(id(written))
        if before is not None:
            return before[1]
        is_call = isinstance(written, list) and len(written) == 2
        name, given = written if is_call else (None, None)
        if not isinstance(name, str) or not isinstance(given, dict):
            raise UsageError('an action is not written as ["name", {"parameter": value, ...}]')
        action, readers = self.of_actions.get(name) or self._of_action(name)
        if given.keys() != readers.keys():
            raise UsageError(f"{name} takes ({', '.join(readers)}), not ({', '.join(given)})")
        call = action, tuple([read(given[param]) for param, read in readers.items()])
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known[id(written)] = written, call
        return call

    def _of_action(self, name: str) -> tuple[Action, dict[str, Reader]]:
        """The action, and what reads each of its arguments."""
        action = self.model.actions.get(name)
        if action is None:
            known = ", ".join(self.model.actions)
            raise UsageError(f"{self.model.name} has no action {quoted(name)}; it has {known}")
        found = action, {p: self.values.reader(sort) for p, sort in action.params}
        self.of_actions[name] = found
        return found

    def after(self, node: str, written: dict[str, Any], *, by_ranges: bool = True) -> ReadAfter:
        """What `after` says. The objects that were there on the node's line before say what they said."""
        latest = self.latest.get(node)
        if latest is None:
            latest = LatestRead()
            if node in self.nodes:
                self.latest[node] = latest
        if latest.after.written is not written:
            read = latest.read
            for name, inner in written.items():
                before = read.get(name)
                if before is None or before[0] is not inner:
                    cells = self._cells(name, inner, by_ranges=by_ranges)
                    read[name] = inner, cells, (name, sum(count for _, count in counted(cells)))
            cells = [cell for name in written for cell in read[name][1]]
            latest.after = ReadAfter(written, cells, tuple([read[name][2] for name in written]))
        return latest.after

    def observed(self, record: dict[str, Any], key: str) -> list[Observed]:
        """What `after` or `given` says, as cells of the model."""
        return [
            cell for name, written in object_of(record, key).items() for cell in self._cells(name, written)
        ]

    def _cells(self, name: str, written: Any, *, by_ranges: bool = False) -> list[Observed]:
        field = self.model.fields.get(name)
        if field is None:
            raise UsageError(f"{self.model.name} has no field {name}")
        if field.kind != "field":
            raise UsageError(
                f"{self.model.name} has no field {name} to compare: it is a {field.kind}, not a state"
            )
        return self.values.observed(field, written, by_ranges=by_ranges)


def counted(cells: Iterable[Observed]) -> Counts:
    """How many cells of which field each of them speaks of."""
    return tuple([(of.name, len(at[-1]) if at and type(at[-1]) is range else 1) for of, at, _ in cells])


def _list(record: dict[str, Any], key: str) -> list[Any]:
    value = record.get(key)
    if not isinstance(value, list):
        raise UsageError(f"a step needs `{key}`, a list")
    return value
