"""One recording of what all nodes did, from the trace of each, in the format that `oneleader replay` judges.

The lines of one node stand in their order. A line that received a message comes after the line that its
sender had written before it sent it: so the order respects causality, whatever the clocks say. Of the lines
that may come next the one with the least clock does; on one machine, where all nodes read one clock, that is
the order in time. Only the model `lease` speaks of clocks, and needs them to be one machine's.

A crash leaves no gap: the lines of a step are written before its messages leave (see `trace`). A file that
did lose lines, as in a crash of the machine, is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..configuration import initial
from ..lease import Clocks
from ..raft import ActionTaken, Node, NodeId, Role
from ..views import VIEWS, View
from . import beginnings
from .trace import FORMAT, VERSION
from .trace_lines import CUT, fault_of_header, fault_of_step
from .trace_parts import parts, path_of

IDEMPOTENT = "append_entries"  # of the models' actions: at once again, it changes nothing
HOLD = 1_000_000  # microseconds for which a line is held back, while it is followed, for older ones to come


class RecordingError(Exception):
    """The traces do not fit together: one sentence."""


class NotThereYet(RecordingError):
    """A trace is missing that may still be written."""


@dataclass(frozen=True)
class TraceLine:
    """A line of one node's trace."""

    node: NodeId
    said: dict[str, Any]

    @property
    def step(self) -> int:
        return int(self.said["step"])

    @property
    def clock(self) -> int:
        return int(self.said["clock"])

    @property
    def source(self) -> tuple[NodeId, int] | None:
        return tuple(self.said["from"]) if self.said["from"] else None


class TraceFile:
    """A node's trace, read as it grows, one file after the other; what is not yet a whole line is left for
    later. `path` and `number` say where it is read."""

    def __init__(self, folder: Path, name: str, part: int) -> None:
        self._folder, self._name, self._part = folder, name, part
        self.header = self._open()
        self.node: NodeId = self.header["node"]
        self.before = self._last = self._lines_before()

    def next(self) -> TraceLine | None:
        """The next line, or None if there is none (yet)."""
        said = self._next()
        if said is None and path_of(self._folder, self._name, self._part + 1).exists():
            said = self._next()  # what came meanwhile: nothing is written here any more
            if said is None:
                self._go_on()
                said = self._next()
        if said is None:
            return None
        self._check(fault_of_step(said))
        line = TraceLine(self.node, said)
        if not self._last and (said["after"]["term"] or said["after"]["length"]):
            raise RecordingError(f"{self.path} does not begin where its node began: it cannot be judged")
        if line.step != self._last + 1:
            raise RecordingError(
                f"{self.path} line {self.number}: step {line.step} follows step {self._last}: lines are lost"
            )
        self._last = line.step
        return line

    def _lines_before(self) -> int:
        """How many lines came before the first one, where that is a cut: then they are not there."""
        at = self._file.tell()
        try:
            match self._next():
                case {"event": str(event), "step": int(step)} if event == CUT:
                    return step - 1
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

    def _open(self) -> dict[str, Any]:
        """The header of the part."""
        self.path, self.number = path_of(self._folder, self._name, self._part), 0
        try:
            self._file: BinaryIO = self.path.open("rb")
        except OSError as error:
            raise RecordingError(f"{self.path} cannot be read: {error.strerror}") from None
        header = self._next()
        if header is None or header.get("format") != FORMAT:
            kind = NotThereYet if header is None else RecordingError
            raise kind(f"{self.path} is not a trace of a node")
        if header.get("version") != VERSION:
            raise RecordingError(f"{self.path}: version {header.get('version')} is not known, {VERSION} is")
        self._check(fault_of_header(header))
        return header

    def close(self) -> None:
        self._file.close()

    def _check(self, fault: str) -> None:
        if fault:
            raise RecordingError(f"{self.path} line {self.number}: {fault}")

    def _next(self) -> dict[str, Any] | None:
        at = self._file.tell()
        text = self._file.readline()
        if not text.endswith(b"\n"):
            self._file.seek(at)
            return None
        self.number += 1
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise RecordingError(f"{self.path} line {self.number}: this is not a JSON object")
        return said


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
        if (file.header["members"], file.header["clocks"]) != (first["members"], first["clocks"]):
            raise RecordingError(f"{file.path} is of another cluster than {files[0].path}")
    absent = set(first["members"]) - {file.node for file in files}
    if absent:
        raise NotThereYet(f"{folder} has no trace of {', '.join(sorted(absent))}")
    return files


def merged(files: Iterable[TraceFile], wait: Callable[[], bool] | None = None) -> Iterator[TraceLine]:
    """The lines of all files in one order. Where they are followed, `wait` is called when there is nothing to
    say: it returns when it is time to look again, False to end."""
    files, is_followed = list(files), wait is not None
    heads: dict[NodeId, TraceLine] = {}
    done: Counter[NodeId] = Counter({file.node: file.before for file in files})
    newest = 0
    while True:
        for file in files:
            if file.node not in heads and (line := file.next()):
                heads[file.node] = line
                newest = max(newest, line.clock)
        ready = [
            line for line in heads.values() if line.source is None or done[line.source[0]] >= line.source[1]
        ]
        first = min(ready, key=lambda line: (line.clock, line.node), default=None)
        may_be_overtaken = len(heads) < len(files) and first and newest - first.clock < HOLD
        if first and not (wait and may_be_overtaken):
            done[first.node] = first.step
            del heads[first.node]
            yield first
        elif wait is None:
            break
        elif not wait():
            wait = None  # it ends: what was held back comes as well
    if heads and not is_followed:
        line = next(iter(heads.values()))
        assert line.source is not None
        raise RecordingError(
            f"{line.node} received in its step {line.step} what {line.source[0]} sent after its step "
            f"{line.source[1]}, which is not there: lines are lost"
        )


def recording(
    files: Iterable[TraceFile], model: str, wait: Callable[[], bool] | None = None
) -> Iterator[str]:
    """The recording in the words of a model of `views`, as JSON lines, the header first.

    Of heartbeats that are the same only the first is a step: with nothing between that the model knows of
    this node, the same is allowed again, as leaders' logs only grow, and changes nothing. The state after it
    is compared all the same.
    """
    files = list(files)
    header = files[0].header
    members, clocks, view = header["members"], Clocks(**header["clocks"]), VIEWS[model]
    nodes = sorted({*members, *(file.node for file in files)})  # those that are to join begin as well
    top: dict[str, Any] = {"format": "oneleader", "version": 1, "model": model}
    absent = _absent(files, model)
    if absent:
        nodes.append(beginnings.SOMEBODY)
        top["incomplete"] = beginnings.INCOMPLETE
    top["nodes"] = nodes
    yield json.dumps(top | view.header(clocks, members, nodes)) + "\n"
    time: int | None = None
    newest = 0
    latest: dict[NodeId, list[Any]] = {}  # what each node did last
    for line in merged(files, wait):
        if absent and line.said.get("members", [members]) != [members]:
            at = f"step {line.step} of {line.node}"
            raise RecordingError(f"the members had changed before {at}: it cannot be judged from there")
        actions = [ActionTaken(name, tuple(arguments.items())) for name, arguments in line.said["actions"]]
        if view.ends.intersection(action.name for action in actions):
            return
        if view.has_clocks and line.clock < newest:
            raise RecordingError(
                f"{line.node} took its step {line.step} {newest - line.clock} us before one that was judged "
                "already: these clocks are not one machine's, or it was paused while it was followed"
            )
        newest = line.clock
        before = line.clock if time is None else time
        is_cut = line.said["event"] == CUT  # whose whole state is compared
        time = line.clock if is_cut or view.taken(actions) else before
        said = _step(view, line, actions, (members, nodes), clocks, (before, time))
        if said["actions"]:
            may_repeat = [name for name, _ in said["actions"]] == [IDEMPOTENT]
            is_repeated = may_repeat and said["actions"] == latest.get(line.node)
            latest[line.node] = said["actions"]
            said["actions"] = [] if is_repeated else said["actions"]
        if given := _given(line, actions, absent):
            said["given"] = given
        yield json.dumps(said) + "\n"


def _absent(files: list[TraceFile], model: str) -> dict[NodeId, int]:
    """How many lines are not there of those that began before their first line."""
    later = [file for file in files if file.before]
    if later and model != beginnings.JUDGED:
        raise RecordingError(
            f"{later[0].path} begins with the state at a cut, and so only {beginnings.JUDGED} judges it: "
            "what was sent before and may still be on its way stands in no line"
        )
    return {file.node: file.before for file in later}


def _given(
    line: TraceLine, actions: list[ActionTaken], absent: Mapping[NodeId, int]
) -> beginnings.Given | None:
    """What is believed where lines are not there."""
    if line.step == absent.get(line.node, -1) + 1:
        return beginnings.of_cut(line.node, line.said["after"])
    if line.source and line.source[1] <= absent.get(line.source[0], 0):
        return beginnings.of_message(actions)
    return None


def _step(
    view: View,
    line: TraceLine,
    actions: list[ActionTaken],
    who: tuple[list[NodeId], list[NodeId]],
    clocks: Clocks,
    span: tuple[int, int],
) -> dict[str, Any]:
    """A line of the recording. `who` are the members and all nodes; `span` is what the clock of all showed
    before and shows after it. It stands still where the model takes no step, as each tick costs the judge a
    step: then times are not compared."""
    after, (before, now), (members, nodes) = line.said["after"], span, who
    node = _node(line.node, after, tuple(members), clocks)
    steps, state = view.of(line.node, actions, node, dict.fromkeys(nodes, now), dict.fromkeys(nodes, before))
    if view.has_clocks and now != line.clock:
        del state["since_promise"]
    if "log_length" in state:
        state |= _log(line.node, after)
    said = {"node": line.node, "event": line.said["event"], "actions": steps, "after": state}
    return said | {"step": line.step}


def _node(id: NodeId, after: dict[str, Any], members: tuple[NodeId, ...], clocks: Clocks) -> Node:
    """The node after a line, without its log."""
    return Node(
        id,
        initial(members),
        clocks,
        current_term=after["term"],
        voted_for=after["voted_for"],
        role=Role(after["role"]),
        commit_index=after["commit"],
        leader_id=after["leader"],
        promised_at=after["promised_at"],
        pre_votes=frozenset(after["pre_votes"]),
        votes=frozenset(after["votes"]),
    )


def _log(id: NodeId, after: dict[str, Any]) -> dict[str, Any]:
    """The log after a line: its length, and those entries that the line speaks of."""
    entries = dict(enumerate(after["entries"], after["first"]))
    return {
        "log_length": {id: after["length"]},
        "log_term": {id: {str(i): term for i, (term, _) in entries.items()}},
        "log_value": {id: {str(i): value for i, (_, value) in entries.items()}},
    }
