"""One recording of what all nodes did, from the trace of each, in the format that `oneleader replay` judges.

The lines of one node stand in their order. A line that received a message comes after the line that its
sender had written before it sent it: so the order respects causality, whatever the clocks say. Of the lines
that may come next the one with the least clock does; on one machine, where all nodes read one clock, that is
the order in time. Only the model `lease` speaks of clocks, and needs them to be one machine's.

A crash leaves no gap: the lines of a step are written before its messages leave (see `trace`). A file that
did lose lines, as in a crash of the machine, is refused.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from msgspec.structs import asdict

from ..lease import Clocks
from ..raft import NodeId
from ..views import FIXED_MEMBERS, VIEWS, Part, elapse
from . import beginnings
from .trace import FORMAT, VERSION
from .trace_lines import (
    CUT,
    PARAMETERS,
    TracedAction,
    TracedNode,
    TracedStep,
    TraceHeader,
    Unreadable,
    checked_header,
    header_of,
    step_of,
)
from .trace_parts import parts, path_of

LONGEST = 1 << 26  # bytes of a line: a file that has no lines is not read to its end
BUFFER = 1 << 18  # bytes that are read at once
IDEMPOTENT = "append_entries"  # of the models' actions: at once again, it changes nothing
HOLD = 1_000_000  # microseconds for which a line is held back, while it is followed, for older ones to come


UNTOLD: list[Any] = []  # no model was asked
NOBODY: frozenset[str] = frozenset()
SPEAK_OF = {
    name: frozenset(model for model, view in VIEWS.items() if name in view.actions or name in view.ends)
    for name in PARAMETERS
}
TIMELESS = {  # the parts of a node's state that no clock changes, and which of these models ask for each
    part: frozenset(model for model in FIXED_MEMBERS if part in VIEWS[model].parts)
    for model in FIXED_MEMBERS
    for part in VIEWS[model].parts
    if not part.is_timed
}
NO_STEPS: list[Any] = []


class AskedNode:
    """Stands for a node, and notes which attributes it is asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> AskedNode:
        self.names.add(name)
        return self


def made_of(parts: Iterable[Part]) -> Callable[[TracedNode], tuple[Any, ...]]:
    """All that these parts are made of, of a node."""
    asked = AskedNode()
    for part in parts:
        part.made_of(asked, 0)
    return attrgetter(*sorted(name for name in asked.names if hasattr(TracedNode, name)))


OF_TIMELESS = made_of(TIMELESS)
AT = attrgetter("at")
Said = TypeVar("Said")


class RecordingError(Exception):
    """The traces do not fit together: one sentence. `line` is the text that cannot be read, if one is why."""

    path, number, line = Path(), 0, b""

    def of_line(self, path: Path, number: int, line: bytes) -> RecordingError:
        """The same, of this line of this file."""
        self.path, self.number, self.line = path, number, line
        return self


class NotThereYet(RecordingError):
    """A trace is missing that may still be written."""


Shown = dict[str, dict[NodeId, Any]]  # what a node shows of itself, by the names that models have for it
Seen = tuple[tuple[Any, ...], Shown]  # what a part was made of, and the part


class ActionLine:
    """An action in a line, and what it is `told` as in the words of a model: nothing, a step, or None where
    the model can say nothing more."""

    __slots__ = ("action", "told", "types")

    def __init__(self, action: TracedAction) -> None:
        self.action, self.types = action, [*map(type, action[1].values())]
        self.told: dict[str, list[Any] | None] = {}

    def is_typed_like(self, action: TracedAction) -> bool:
        """To Python true is 1, and to no reader."""
        return self.types == [*map(type, action[1].values())]


class LastHeard:
    """What a node did last when it heard of some other, or of nobody: the actions of that line, the last one
    of each name, and what the line was retold as for each model."""

    __slots__ = ("actions", "by_name", "retold")

    def __init__(self) -> None:
        self.actions: list[ActionLine] = []
        self.by_name: dict[str, ActionLine] = {}
        self.retold: dict[str, Retold] = {}


class LatestSeen:
    """What a node has shown last: its `timeless` parts, all that they were `made_of`, and each part with what
    it was made of."""

    __slots__ = ("made_of", "parts", "timeless")

    def __init__(self) -> None:
        self.made_of: tuple[Any, ...] = ()
        self.timeless: dict[Part, Shown] = {}
        self.parts: dict[Part, Seen] = {}


class TraceLine:
    """A line of one node's trace, read once for all models. `latest` is what its node has shown so far. To
    models that are not among `news` its actions are those of the line before of the same sender, and its
    node's state is that of the node's line before."""

    __slots__ = ("_latest", "actions", "at", "heard", "news", "node", "said", "timeless")

    def __init__(self, node: NodeId, said: TracedStep, heard: LastHeard, latest: LatestSeen) -> None:
        self.node, self.said, self.heard, self._latest = node, said, heard, latest
        self.at = said.clock, node
        self.news = NOBODY
        self.timeless = self._timeless()
        self.actions = self._actions()

    def _actions(self) -> list[ActionLine]:
        """The same object as last for one that is written alike."""
        last, found = self.heard.by_name, []
        for action in self.said.actions:
            of = last.get(action[0])
            if of is None or of.action != action or not of.is_typed_like(action):
                of = last[action[0]] = ActionLine(action)
            found.append(of)
        if found != self.heard.actions:
            for pair in zip_longest(found, self.heard.actions):
                if pair[0] is not pair[1]:
                    self.news = self.news.union(*(SPEAK_OF[of.action[0]] for of in pair if of))
            self.heard.actions = found
        return found

    def _timeless(self) -> dict[Part, Shown]:
        """The parts of the node's state that no clock changes: the same object if none is another."""
        latest, after = self._latest, self.said.after
        made_of = OF_TIMELESS(after)
        if made_of != latest.made_of:
            latest.made_of = made_of
            latest.timeless = {part: self._seen(part, asking) for part, asking in TIMELESS.items()}
        return latest.timeless

    def shown(self, part: Part) -> Shown:
        """A part of the node's state after the line. What is as it was is the same object, so that a reader
        sees that it has read it."""
        found = self.timeless.get(part)
        return self._seen(part, NOBODY) if found is None else found

    def _seen(self, part: Part, asking: frozenset[str]) -> Shown:
        made_of = part.made_of(self.said.after, self.said.clock)
        latest = self._latest.parts.get(part)
        if latest is not None and latest[0] == made_of:
            return latest[1]
        self.news |= asking
        before = latest[1] if latest else {}
        found: Shown = {}
        for name, value in part.of(*made_of).items():
            shown = before.get(name)
            is_as_it_was = shown is not None and shown[self.node] == value
            found[name] = shown if is_as_it_was and shown is not None else {self.node: value}
        self._latest.parts[part] = made_of, found
        return found


class TraceFile:
    """A node's trace, read as it grows, one file after the other; what is not yet a whole line is left for
    later. `path` and `number` say where it is read, and `waits` that this line's cause is not there."""

    waits = False

    def __init__(self, folder: Path, name: str, part: int) -> None:
        self._folder, self._name, self._part = folder, name, part
        self.header = self._open()
        self.node = self.header.node
        self.before = self._last = self._lines_before()
        self._latest = LatestSeen()
        self._heard: dict[NodeId, LastHeard] = {}  # by who had sent it; by itself, of what nobody had

    def next(self) -> TraceLine | None:
        """The next line, or None if there is none (yet)."""
        said = self._next(step_of)
        if said is None and path_of(self._folder, self._name, self._part + 1).exists():
            said = self._next(step_of)  # what came meanwhile: nothing is written here any more
            if said is None:
                self._go_on()
                said = self._next(step_of)
        if said is None:
            return None
        said.after.id = self.node
        if not self._last and (said.after.current_term or said.after.last_index):
            raise RecordingError(f"{self.path} does not begin where its node began: it cannot be judged")
        if said.step != self._last + 1:
            raise RecordingError(
                f"{self.path} line {self.number}: step {said.step} follows step {self._last}: lines are lost"
            )
        self._last = said.step
        sender = said.source[0] if said.source else self.node
        heard = self._heard.get(sender)
        if heard is None:
            heard = self._heard[sender] = LastHeard()
        return TraceLine(self.node, said, heard, self._latest)

    def left(self) -> str:
        """What of the trace was not told, in words; "" if all was."""
        if self.waits:
            return f"{self.path} from line {self.number} on, as what came before it is not there"
        at = self._file.tell()
        is_cut = bool(self._file.read(1))
        self._file.seek(at)
        return f"line {self.number + 1} of {self.path}, which is cut off" if is_cut else ""

    def _lines_before(self) -> int:
        """How many lines came before the first one, where that is a cut: then they are not there."""
        at = self._file.tell()
        try:
            said = self._next(step_of)
            return said.step - 1 if said and said.event == CUT else 0
        except RecordingError:
            pass  # it is said when its turn comes
        finally:
            self._file.seek(at)
            self.number = 1
        return 0

    def _go_on(self) -> None:
        self.close()
        self._part += 1
        if self._open() != self.header:
            raise RecordingError(f"{self.path} is of another cluster than the trace before it")

    def _open(self) -> TraceHeader:
        """The header of the part."""
        self.path, self.number = path_of(self._folder, self._name, self._part), 0
        try:
            self._file: BinaryIO = self.path.open("rb", buffering=BUFFER)
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be read: {error.strerror}") from None
        said = self._next(header_of)
        if said is None or said.get("format") != FORMAT:
            kind = NotThereYet if said is None else RecordingError
            line = self._file.readline(LONGEST) if said is None else b""
            raise kind(f"{self.path} is not a trace of a node").of_line(self.path, 1, line)
        if said.get("version") != VERSION:
            raise RecordingError(f"{self.path}: version {said.get('version')} is not known, {VERSION} is")
        try:
            return checked_header(said)
        except Unreadable as fault:
            raise self._unreadable(fault) from None

    def close(self) -> None:
        self._file.close()

    def _next(self, read: Callable[[bytes], Said]) -> Said | None:
        """What the next line says, or None if it is not whole (yet)."""
        text = self._file.readline(LONGEST)
        if not text.endswith(b"\n"):
            self._file.seek(-len(text), os.SEEK_CUR)
            if len(text) == LONGEST:
                raise RecordingError(
                    f"{self.path} line {self.number + 1}: this line is longer than {LONGEST:,} bytes"
                )
            return None
        self.number += 1
        if self.number == 1:
            text = text.removeprefix(BOM_UTF8)
        try:
            return read(text)
        except Unreadable as fault:
            raise self._unreadable(fault).of_line(self.path, self.number, text) from None

    def _unreadable(self, fault: Unreadable) -> RecordingError:
        return RecordingError(f"{self.path} line {self.number}: {fault}")


def opened(folder: Path) -> list[TraceFile]:
    """The traces in a folder, one of each member."""
    there = parts(folder)
    if not there:
        raise NotThereYet(f"{folder} has no trace of a node (*.trace.jsonl)")
    for name, numbers in there.items():
        if gap := next((n for n in range(numbers[0], numbers[-1]) if n not in numbers), 0):
            raise RecordingError(f"{path_of(folder, name, gap)} is missing: its lines are lost")
    files = [TraceFile(folder, name, numbers[0]) for name, numbers in there.items()]
    for file, name in zip(files, there, strict=True):
        if file.node != name:
            raise RecordingError(f"{file.path} is the trace of {file.node}, and its name says {name}")
    first = files[0].header
    for file in files:
        if (file.header.members, file.header.clocks) != (first.members, first.clocks):
            raise RecordingError(f"{file.path} is of another cluster than {files[0].path}")
    absent = set(first.members) - {file.node for file in files}
    if absent:
        raise NotThereYet(f"{folder} has no trace of {', '.join(sorted(absent))}")
    return files


def merged(files: Iterable[TraceFile], wait: Callable[[], bool] | None = None) -> Iterator[TraceLine]:
    """The lines of all files in one order. Where they are followed, `wait` is called when there is nothing to
    say: it returns when it is time to look again, False to end."""
    of_node, is_followed = {file.node: file for file in files}, wait is not None
    heads: dict[NodeId, TraceLine] = {}
    lacking = [*of_node.values()]  # a head
    done: Counter[NodeId] = Counter({file.node: file.before for file in lacking})
    newest = 0
    while True:
        for file in lacking:
            if line := file.next():
                heads[file.node] = line
                newest = max(newest, line.said.clock)
        lacking = [file for file in lacking if file.node not in heads] if is_followed else []
        first = _first(heads.values(), done)
        may_be_overtaken = wait and lacking and first and newest - first.said.clock < HOLD
        if first and not may_be_overtaken:
            done[first.node] = first.said.step
            del heads[first.node]
            lacking.append(of_node[first.node])
            yield first
        elif wait is None:
            break
        elif not wait():
            wait = None  # it ends: what was held back comes as well
    for node, file in of_node.items():
        file.waits = node in heads
    if heads and not is_followed:
        line = next(iter(heads.values()))
        assert line.said.source is not None
        sender, step = line.said.source
        raise RecordingError(
            f"{line.node} received in its step {line.said.step} what {sender} sent after its step {step}, "
            "which is not there: lines are lost"
        )


def _first(heads: Iterable[TraceLine], done: Mapping[NodeId, int]) -> TraceLine | None:
    """Of the lines whose causes are there, the one with the least clock."""
    for line in sorted(heads, key=AT):
        source = line.said.source
        if source is None or done[source[0]] >= source[1]:
            return line
    return None


class Retold:
    """What a line says in the words of a model: the same object if the line is as it was, and made of the
    same ones as far as its node did or showed that before. `repeats`: steps of which it says nothing, as they
    were just taken. `read` is for the judge: what it read this as."""

    __slots__ = ("actions", "after", "given", "node", "read", "repeats")

    def __init__(
        self,
        node: NodeId,
        actions: list[Any],
        repeats: list[Any],
        after: Shown,
        given: beginnings.Given | None,
    ) -> None:
        self.node, self.actions, self.repeats = node, actions, repeats
        self.after, self.given = after, given
        self.read: Any = None

    def record(self, line: TraceLine) -> dict[str, Any]:
        """As a recording writes the line."""
        did: dict[str, Any] = {"node": self.node, "event": line.said.event, "actions": self.actions}
        did |= {"after": self.after, "step": line.said.step}
        return did | {"given": self.given} if self.given else did


class Retelling:
    """What the nodes did in the words of a model of `views`: a recording's header, and each line.

    Of heartbeats that are the same only the first is a step: with nothing between that the model knows of
    this node, the same is allowed again, as leaders' logs only grow, and changes nothing. The state after it
    is compared all the same.
    """

    def __init__(self, files: Sequence[TraceFile], model: str) -> None:
        """`model` is one of `FIXED_MEMBERS`."""
        first = files[0].header
        self.model, self.view, self.members = model, VIEWS[model], first.members
        self._speaks_of = self.view.actions.keys() | self.view.ends
        nodes = sorted({*self.members, *(file.node for file in files)})  # who is to join begins as well
        self.header: dict[str, Any] = {"format": "oneleader", "version": 1, "model": model}
        self.absent = _absent(files, model)
        if self.absent:
            nodes.append(beginnings.SOMEBODY)
            self.header["incomplete"] = [*beginnings.INCOMPLETE]
        self.header |= {"nodes": nodes} | self.view.header(
            Clocks(**asdict(first.clocks)), self.members, nodes
        )
        self._timeless = [part for part in self.view.parts if not part.is_timed]
        self._timed = [part for part in self.view.parts if part.is_timed]
        self._time: int | None = None
        self._newest = 0
        self._done: dict[NodeId, list[Any]] = {}  # what each node did last
        self._idling: dict[NodeId, Retold] = {}
        # Its state, in parts and whole, but for times.
        self._shown: dict[NodeId, tuple[dict[Part, Shown], list[Shown], Shown]] = {}

    def retold(self, line: TraceLine) -> Retold | None:
        """None where the model can say nothing more."""
        view, node, said = self.view, line.node, line.said
        if self.absent and said.members not in (None, [self.members]):
            raise RecordingError(
                f"the members had changed before step {said.step} of {node}: it cannot be judged from there"
            )
        before = line.heard.retold.get(self.model)
        if before and self.model not in line.news and not self.absent and self._stands(before, line):
            return before
        steps = self._steps(line.actions)
        if steps is None:
            return None
        is_timed = not view.has_clocks or self._pass_time(line, steps)
        state = self._state(line, is_timed)
        given = _given(line, self.absent) if self.absent else None
        repeats = NO_STEPS
        if steps:
            if len(steps) == 1 and steps[0][0] == IDEMPOTENT and steps == self._done.get(node):
                steps, repeats = NO_STEPS, steps
            self._done[node] = steps or repeats
        did_nothing = not steps and not repeats and not given
        found = self._idle(node, state) if did_nothing else Retold(node, steps, repeats, state, given)
        line.heard.retold[self.model] = found
        return found

    def _idle(self, node: NodeId, state: Shown) -> Retold:
        """The node did nothing and shows this: the same object as long as it does."""
        found = self._idling.get(node)
        if found is None or found.after is not state:
            found = self._idling[node] = Retold(node, NO_STEPS, NO_STEPS, state, None)
        return found

    def _stands(self, before: Retold, line: TraceLine) -> bool:
        """Whether what a line without news says is what the one before of the same sender was retold as."""
        node, steps = line.node, before.actions
        if before.after is not self._shown[node][2]:
            return False
        if self.view.has_clocks:
            return not steps and line.said.event != CUT and not self._pass_time(line, [])
        if before.repeats:
            return before.repeats == self._done[node]
        if steps and steps[0][0] == IDEMPOTENT:
            return False
        self._done[node] = steps or self._done.get(node, NO_STEPS)
        return True

    def _steps(self, actions: Iterable[ActionLine]) -> list[Any] | None:
        """What the model has of these actions; None if it ends with one of them."""
        found: list[Any] = []
        for of in actions:
            if of.action[0] not in self._speaks_of:
                continue
            told = of.told.get(self.model, UNTOLD)
            if told is UNTOLD:
                told = None if of.action[0] in self.view.ends else self.view.named([of.action])
                of.told[self.model] = told
            if told is None:
                return None
            found += told
        return found

    def _state(self, line: TraceLine, is_timed: bool) -> Shown:
        """The same object as on the node's line before, if all of it is as it was and it has no times."""
        latest = self._shown.get(line.node)
        if latest is None or latest[0] is not line.timeless:
            of = [line.shown(part) for part in self._timeless]
            is_as_it_was = latest is not None and latest[1] == of  # as the same objects soon show
            state = latest[2] if latest and is_as_it_was else {k: v for shown in of for k, v in shown.items()}
            latest = self._shown[line.node] = line.timeless, of, state
        state = latest[2]
        for part in self._timed if is_timed else ():
            state = state | line.shown(part)
        return state

    def _pass_time(self, line: TraceLine, steps: list[Any]) -> bool:
        """The clock of all stands still where the model takes no step, as each tick costs the judge a step:
        then times are not compared. At a cut the whole state is."""
        ahead = self._newest - line.said.clock
        if ahead > 0:
            raise RecordingError(
                f"{line.node} took its step {line.said.step} {ahead} us before one that was judged already: "
                "these clocks are not one machine's, one was set back, or it was paused while it was followed"
            )
        self._newest = line.said.clock
        before = line.said.clock if self._time is None else self._time
        self._time = line.said.clock if steps or line.said.event == CUT else before
        if self._time != before:
            nodes = self.header["nodes"]
            steps.insert(0, elapse(dict.fromkeys(nodes, self._time), dict.fromkeys(nodes, before)))
        return self._time == line.said.clock


def _absent(files: Sequence[TraceFile], model: str) -> dict[NodeId, int]:
    """How many lines are not there of those that began before their first line."""
    later = [file for file in files if file.before]
    if later and model != beginnings.JUDGED:
        raise RecordingError(
            f"{later[0].path} begins with the state at a cut, and so only {beginnings.JUDGED} judges it: "
            "what was sent before and may still be on its way stands in no line"
        )
    return {file.node: file.before for file in later}


def _given(line: TraceLine, absent: Mapping[NodeId, int]) -> beginnings.Given | None:
    """What is believed where lines are not there."""
    if not absent:
        return None
    source = line.said.source
    if line.said.step == absent.get(line.node, -1) + 1:
        return beginnings.of_cut(line.said.after)
    if source and source[1] <= absent.get(source[0], 0):
        return beginnings.of_message(line.said.actions)
    return None
