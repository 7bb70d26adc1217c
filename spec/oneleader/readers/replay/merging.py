"""merging: a recording for each node, in our own format, as one in which effects come after their causes.

Each file is in the order of its node. Of the lines that come next in their files, one is taken that the model
allows now and whose messages (`receives`) have been sent (`sends`): the one with the least `time`, if lines
have one. A line that is not allowed waits for the others. Where nodes only send each other messages, a step
of one never forbids a step of another, for what was sent stays sent: so if no line may be taken, there is no
order in which all may. Models in which nodes share more (a store, the time, a step of several nodes at once)
are refused, for there the order matters. So it may where a line names no steps and those that are found for
it are of other nodes too, such as a vote that its voter never shows: if nothing goes on then, nobody knows.

Clocks only choose between lines that may both be taken. Where a line had to wait for one that is later by
its clock, the clocks differ by so much at least, and `hints` says it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from oneleader.errors import Inexpressible, UsageError
from oneleader.readers.replay.candidates import LineRefused, NotModelled, TooMany
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.readers.replay.formats.own_header import HEADER
from oneleader.readers.replay.formats.own_steps import Step
from oneleader.readers.replay.lines import records
from oneleader.readers.replay.replay import MOST_CANDIDATES
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict

UNSHOWN = ("pre_vote",)  # who gives a pre-vote shows nothing of it
OF_MESSAGES = ("election", "vote_count", "pre_vote", "replication", "membership", "snapshots")
UNDECIDED = (
    "no order of the lines was found that the model allows, and there may be one: some lines name no steps "
    "and rest on what other nodes never show; name the steps (`actions`), or write one recording"
)
MOST_WAITING = 5  # lines that are named where nothing goes on


@dataclass
class NodeFile:
    """A file that is being merged, and its next line."""

    name: str
    lines: Iterator[tuple[int, dict[str, Any]]]
    nodes: set[str] = field(default_factory=set)
    number: int = 0
    record: dict[str, Any] = field(default_factory=dict)
    step: Step = ([], [], [])  # what the line says
    unjudged: str = ""  # why the model does not speak of it
    refusal: str = ""  # why it waits
    since: tuple[float, str] = (-inf, "")  # the latest line by its clock since it was refused last

    @property
    def place(self) -> str:
        return f"{self.name}:{self.number}"

    @property
    def time(self) -> float:
        """By its clock; first of all where it has none."""
        return float(self.record.get("time", -inf))

    def go_on(self) -> bool:
        """Read the next line, if there is one."""
        try:
            found = next(self.lines, None)
        except UsageError as error:
            raise UsageError(f"{self.name}:{getattr(error, 'line', self.number + 1)}: {error}") from None
        if found is not None:
            self.number, self.record = found
            self.refusal = ""
        return found is not None


class Merging:
    """Files merged line by line. `hints` and `waiting` say afterwards what was seen."""

    def __init__(self, files: Iterable[tuple[str, Iterable[bytes | str]]]) -> None:
        self.files = [NodeFile(name, records(lines)) for name, lines in files]
        self.header = self._agreed_header()
        self.format = OwnFormat(self.header, None, MOST_CANDIDATES, judges_states=False)
        self.format.may_lose_states = False  # a line that is refused has changed nothing
        if self.format.model.name not in OF_MESSAGES:
            raise UsageError(
                f"files of nodes are merged for {', '.join(OF_MESSAGES)}: in the model "
                f"{self.format.model.name} nodes share more than messages, so write one recording"
            )
        self.waiting: list[str] = []  # the lines that cannot go on
        self.rests_on_others = False  # on what nodes do not show, or the model does not speak of
        self.late, self.latest = 0, (0.0, "")  # lines before their causes by the clocks; the most of all

    def _agreed_header(self) -> dict[str, Any]:
        first = self.files[0]
        for file in self.files:
            if not file.go_on():
                raise UsageError(f"{file.name} is empty: it needs the header at least")
            if not OwnFormat.recognises(file.record):
                raise UsageError(f'{file.place}: the first line is no header {{"format": "oneleader", ...}}')
            for key in HEADER:
                if file.record.get(key) != first.record.get(key):
                    raise UsageError(f"{file.place}: `{key}` is not what the header of {first.name} says")
        return first.record

    def lines(self) -> Iterator[str]:
        """The merged recording. Where no line can go on, what is left follows as it stands."""
        yield _written(self.header)
        left = [file for file in self.files if self._read_on(file)]
        while left and (taken := self._next(left)):
            yield _written(taken.record)
            for file in left:
                file.since = max(file.since, (taken.time, taken.place))
            if not self._read_on(taken):
                left.remove(taken)
        self.waiting = [f"{file.place}: {file.refusal}" for file in _by_time(left)[:MOST_WAITING]]
        while left:
            file = _by_time(left)[0]
            yield _written(file.record)
            if not self._read_on(file):
                left.remove(file)

    @property
    def verdict(self) -> Verdict:
        """Afterwards: whether all lines go on in some order."""
        return HOLDS if not self.waiting else INCONCLUSIVE if self.rests_on_others else VIOLATED

    def hints(self) -> Iterator[str]:
        """What the clocks say that cannot be."""
        if self.late:
            apart, where = self.latest
            lines = "1 line comes before its cause"
            if self.late > 1:
                lines = f"{self.late:,} lines come before their causes"
            yield f"by the clocks {lines}, by {apart:g} at most: {where}"

    def _read_on(self, file: NodeFile) -> bool:
        if not file.go_on():
            return False
        try:
            if OwnFormat.recognises(file.record):
                raise UsageError("a second header: another recording begins here")
            file.unjudged, file.step = "", self.format.read(file.record)
        except NotModelled as beyond:
            file.unjudged = str(beyond)
        except UsageError as error:
            raise UsageError(f"{file.place}: {error}") from None
        node = file.record["node"]
        other = next((f for f in self.files if f is not file and node in f.nodes), None)
        if other is not None:
            raise UsageError(f"{file.place}: {node} has lines in {other.name} too: give each node one name")
        file.nodes.add(node)
        return True

    def _next(self, left: Sequence[NodeFile]) -> NodeFile | None:
        """The first by the clocks that may be taken; it is taken. What no line shows is believed last."""
        self.format.run.go_in_place(False)
        for may_hide in (False, True):
            for file in _by_time(left):
                if self._may_take(file, may_hide=may_hide):
                    is_found = file.step[0] is None
                    self.rests_on_others |= is_found and (may_hide or self.format.model.name in UNSHOWN)
                    if file.refusal:
                        self._see_clocks(file)
                    return file
        return None

    def _may_take(self, file: NodeFile, *, may_hide: bool) -> bool:
        try:
            if file.unjudged:
                raise NotModelled(file.unjudged)
            self.format.take(file.record, file.step, may_hide=may_hide)
        except LineRefused as refused:
            file.refusal, file.since = refused.text, (-inf, "")
            return False
        except (NotModelled, TooMany, Inexpressible) as beyond:
            file.refusal, file.since = str(beyond) or "too many candidate states", (-inf, "")
            self.rests_on_others = True
            return False
        return True

    def _see_clocks(self, file: NodeFile) -> None:
        """The line waited for one of those that were taken since it was refused."""
        cause, place = file.since
        if file.time < cause and file.time > -inf:
            self.late += 1
            self.latest = max(self.latest, (cause - file.time, f"{file.place} waits for {place}"))


def _by_time(files: Iterable[NodeFile]) -> list[NodeFile]:
    return sorted(files, key=lambda file: file.time)


def _written(record: dict[str, Any]) -> str:
    return json.dumps(record) + "\n"
