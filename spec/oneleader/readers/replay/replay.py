"""replay: is this recorded execution one that the model allows?

A recording is a file of one JSON object a line, plain or gzip-compressed, in one of the formats of
`oneleader.conformance`. It is judged in one pass; what is kept is the model's state. Each event stands for
a short list of actions; where the recording leaves open which state the cluster is in, every candidate
state is followed (`candidates.py`).

    accepted      some candidate state allows every line
    refused       no candidate allows the line `refusal.line`; the guard or the observation says why
    inconclusive  the model does not speak of what a line does, or too many candidate states remain;
                  the lines before it were judged and accepted. Or nothing was there to be judged
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from os import PathLike
from typing import Any, Protocol

from oneleader.errors import Inexpressible, UsageError
from oneleader.language.definitions import Guard
from oneleader.language.model import Model
from oneleader.readers.replay.candidates import Candidates, LineRefused, NotModelled, TooMany
from oneleader.readers.replay.coverage import ReplayCoverage
from oneleader.readers.replay.formats.ccf import CcfFormat
from oneleader.readers.replay.formats.etcd import EtcdFormat
from oneleader.readers.replay.formats.etcd_log import LogFormat
from oneleader.readers.replay.formats.etcd_pre_vote import PreVoteFormat
from oneleader.readers.replay.formats.own import OwnFormat, ToldLine
from oneleader.readers.replay.lines import Malformed, opened, records
from oneleader.readers.replay.properties import Properties
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, exit_status

MOST_CANDIDATES = 64
LOOKS_AHEAD = 10_000  # lines, for the sending of what a refused line receives
FORMATS = ("oneleader", "etcd", "ccf")
SECOND_HEADER = "a second header: another recording begins here; judge each in a file of its own"
DECIDED = (LineRefused, NotModelled, TooMany, Inexpressible)  # a line that they stand for is the last one


@dataclass(frozen=True)
class LineRefusal:
    """Why a line was refused: the action tried and the guard that forbids it, or what was observed."""

    line: int
    text: str
    action: str = ""
    guard: Guard | None = None
    property: str = ""
    hint: str = ""


@dataclass
class Replayed:
    """What a recording gave. `steps` are the model's steps, `not_modelled` the lines judged only in part."""

    format: str = ""
    model: str = ""
    verdict: Verdict = INCONCLUSIVE
    why: str = ""  # it is inconclusive
    lines: int = 0  # judged and accepted
    events_judged: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    not_modelled: Counter[str] = field(default_factory=Counter)
    left_aside: dict[str, str] = field(default_factory=dict)  # what of each such event was left aside
    observations: int = 0  # compared with the model
    rests_on: list[str] = field(default_factory=list)  # what was compared and judged, and what was not
    never_taken: list[str] = field(default_factory=list)  # actions of the model
    forbade_nothing: dict[str, list[str]] = field(default_factory=dict)  # of actions taken: such guards
    candidates: int = 1  # the most candidate states at any line
    limit: int = MOST_CANDIDATES
    refusal: LineRefusal | None = None
    seconds: float = 0.0

    @property
    def status(self) -> int:
        """The exit status that this verdict stands for."""
        return exit_status([self.verdict])

    def summary(self) -> list[str]:
        """The verdict in words, a line each."""
        what = f"{self.format} recording, model {self.model}" if self.format else "no recording"
        lines = [f"{self.verdict.worded('recording')}  {what}"]
        if self.refusal:
            lines.append(f"line {self.refusal.line}: {self.refusal.text}")
            lines += [f"hint: {self.refusal.hint}"] if self.refusal.hint else []
        elif self.why:
            lines.append(self.why)
        taken = ", ".join(f"{n:,} {name}" for name, n in self.steps.most_common())
        lines.append(
            f"{self.events_judged:,} events judged: {self.steps.total():,} steps ({taken or 'none'})"
        )
        lines += self.rests_on
        if self.never_taken:
            lines.append(
                f"actions never taken, so their guards were not asked: {', '.join(self.never_taken)}"
            )
        if self.forbade_nothing:
            guards = (f"{name} ({', '.join(of)})" for name, of in self.forbade_nothing.items())
            lines.append(f"guards that forbade nothing: {', '.join(guards)}")
        lines += [
            f"not modelled: {self.left_aside.get(event, 'its contents')} of {n:,} {event}"
            for event, n in self.not_modelled.most_common()
        ]
        lines.append(
            f"at most {self.candidates} candidate state{'s'[: self.candidates > 1]} (limit {self.limit})"
        )
        return lines


class BadRecording(UsageError):
    """A file that cannot be read to its end; `so_far` is what was judged before."""

    def __init__(self, text: str, so_far: Replayed) -> None:
        super().__init__(text)
        self.so_far = so_far


class Format(Protocol):
    """How a format reads its lines. `judge` raises LineRefused, NotModelled, TooMany or UsageError."""

    name: str
    left_aside: Any
    model: Model
    candidates: Candidates
    coverage: ReplayCoverage
    properties: Properties
    not_modelled: Counter[str]
    events: int

    def begin(self) -> None:
        """Judge what the recording says before its first event."""

    def judge(self, record: dict[str, Any]) -> None: ...

    def sends(self, record: dict[str, Any], message: Any) -> bool:
        """Whether the line sends the message that a refused one receives."""

    def end(self) -> None:
        """Judge what the recording says after its last event."""


def replay(
    path: str | PathLike[str],
    format: str | None = None,
    *,
    model: Model | None = None,
    limit: int = MOST_CANDIDATES,
    judges_states: bool = True,
) -> Replayed:
    """Judge the recording in a file. The format is read off its first line, unless given.

    `model` stands in for the one that the recording names. With `judges_states` false our own format is
    judged by guards and observations alone: a counterexample of a faulty model is a run of that model.
    UsageError where the file cannot be read.
    """
    with opened(path) as lines:
        return replay_lines(lines, format, model=model, limit=limit, judges_states=judges_states)


def replay_lines(
    lines: Iterable[bytes | str],
    format: str | None = None,
    *,
    model: Model | None = None,
    limit: int = MOST_CANDIDATES,
    judges_states: bool = True,
) -> Replayed:
    """Judge a recording line by line, as it comes."""
    replaying = Replaying(format, model=model, limit=limit, judges_states=judges_states)
    numbered = records(lines)
    try:
        for number, record in numbered:
            replaying.take(number, record)
            if replaying.is_over:
                break
        else:
            replaying.end()
    except Malformed as error:
        raise replaying.bad_line(error.line, error) from None
    return replaying.found(numbered)


class Replaying:
    """A recording that is judged as its records come. `is_over`: one of them has decided."""

    def __init__(
        self,
        format: str | None = None,
        *,
        model: Model | None = None,
        limit: int = MOST_CANDIDATES,
        judges_states: bool = True,
    ) -> None:
        if format is not None and format not in FORMATS:
            raise UsageError(f"unknown format {format!r}: choose one of {', '.join(FORMATS)}")
        self.format, self.model, self.limit, self.judges_states = format, model, limit, judges_states
        self.reader: Format | None = None
        self.is_over = False
        self._result, self._started = Replayed(limit=limit), time.perf_counter()
        self._line, self._unsent = 0, None

    def take(self, number: int, record: dict[str, Any]) -> None:
        """Judge the record of a line; BadRecording where it cannot be read."""
        self._line, reader = number, self.reader
        try:
            if reader is None:
                self._begin(record)
            elif OwnFormat.recognises(record):
                raise UsageError(SECOND_HEADER)
            else:
                reader.judge(record)
        except DECIDED as why:
            self._decide(why)
        except UsageError as error:
            mixed = of_another(self.reader, record) if self.reader else ""
            raise self.bad_line(number, UsageError(mixed) if mixed else error) from None
        else:
            self._result.lines = number

    def tell(self, number: int, told: ToldLine) -> bool:
        """The same of what a line says in our own format, without a record of it; False where there has to be
        one, and nothing was judged."""
        self._line, reader = number, self.reader
        try:
            if not isinstance(reader, OwnFormat) or not reader.tell(told):
                return False
        except DECIDED as why:
            self._decide(why)
        except UsageError as error:
            raise self.bad_line(number, error) from None
        else:
            self._result.lines = number
        return True

    def end(self) -> None:
        """Judge what the recording says of its end: no more lines come."""
        try:
            self._judge_end()
        except DECIDED as why:
            self._decide(why)
        except UsageError as error:
            raise self.bad_line(self._line, error) from None
        self.is_over = True

    def found(self, rest: Iterable[tuple[int, dict[str, Any]]] = ()) -> Replayed:
        """What the lines so far gave. `rest`: those that come after a refused one."""
        if self._result.refusal and self._unsent and self.reader:
            hint = _hint(self.reader, self._unsent, iter(rest))
            self._result.refusal, self._unsent = replace(self._result.refusal, hint=hint), None
        return self._filled()

    def bad_line(self, number: int, why: Exception) -> BadRecording:
        """A line that cannot be read, with what was judged before it."""
        at = f"line {number}: " if number else ""
        return BadRecording(f"{at}{why}{_judged(self._result)}", self._filled())

    def _decide(self, why: Exception) -> None:
        """Put down what a line came to."""
        result, at, self.is_over = self._result, f"line {self._line}", True
        match why:
            case LineRefused():
                result.verdict, self._unsent = VIOLATED, why.unsent
                said = why.text, why.action, why.guard, why.property
                result.refusal = LineRefusal(self._line, *said)
            case TooMany():
                result.why = f"{at}: more than {self.limit} candidate states{_judged(result)}"
            case _:
                result.why = f"{at}: {why}{_judged(result)}"

    def _begin(self, record: dict[str, Any]) -> None:
        """The first record says the format; in our own it is a header."""
        reader = _reader(record, self.format, self.model, self.limit, self.judges_states)
        self.reader = reader
        if self.judges_states:
            reader.begin()
        if not isinstance(reader, OwnFormat):
            reader.judge(record)

    def _judge_end(self) -> None:
        reader = self.reader
        if reader and self.judges_states:
            reader.end()
        if reader and (reader.coverage.compared or reader.candidates.steps):
            self._result.verdict = HOLDS
        else:
            self._result.why = "there is nothing to judge: no line says what was done, or what stood after it"

    def _filled(self) -> Replayed:
        """The result with what the reader counted."""
        result, reader = self._result, self.reader
        result.seconds = time.perf_counter() - self._started
        if isinstance(reader, OwnFormat):
            reader.count_repeated()
        if reader is not None:
            result.format, result.model = reader.name, reader.model.name
            result.events_judged, result.left_aside = reader.events, reader.left_aside
            result.not_modelled, result.steps = reader.not_modelled, reader.candidates.steps
            result.candidates = reader.candidates.largest
            result.observations = reader.coverage.compared.total()
            forbade = reader.candidates.run.forbade
            result.never_taken = reader.coverage.never_taken(reader.model, result.steps)
            result.forbade_nothing = reader.coverage.forbade_nothing(reader.model, result.steps, forbade)
            result.rests_on = [*reader.coverage.words(reader.model), *reader.properties.words()]
        return result


def _reader(
    record: dict[str, Any], format: str | None, model: Model | None, limit: int, judges_states: bool
) -> Format:
    """The reader of the format given, or of the one that the first line is in."""
    own = OwnFormat.recognises(record) if format is None else format == "oneleader"
    if own:
        return OwnFormat(record, model, limit, judges_states=judges_states)
    foreign = format or _foreign(record)
    if foreign == "etcd":
        from oneleader.models.election import MODEL

        of = model or MODEL
        if "change_config" in of.actions:
            raise UsageError(
                f"a recording of etcd is not for the model {of.name}: there a configuration takes effect "
                "when it is appended, in etcd when it is applied; --model replication judges each change"
            )
        spoken = next(f for f in (PreVoteFormat, LogFormat, EtcdFormat) if f.speaks(of))
        return spoken(of, limit)
    if foreign == "ccf":
        from oneleader.models.election import MODEL

        return CcfFormat(model or MODEL, limit)
    if record.get("format") == "oneleader-node":
        raise UsageError("this is the trace of one node: give the folder that has those of all")
    raise UsageError(
        'this is no format known here: neither a header {"format": "oneleader", ...}, nor a line of etcd, '
        '{"event": {"name": ..., "nid": ...}}, nor one of CCF, {"tag": "raft_trace", "msg": ...}'
    )


def of_another(reader: Format, record: dict[str, Any]) -> str:
    """Why a line cannot be one of this recording: it is of another format; "" where it may be one."""
    other = _foreign(record) or _own(record)
    if not other or other == reader.name:
        return ""
    return f"a line of {other} in a recording of the format {reader.name}: judge each by itself"


def _foreign(record: dict[str, Any]) -> str:
    """Whose logger writes such lines; "" where none does."""
    return next((f.name for f in (EtcdFormat, CcfFormat) if f.recognises(record)), "")


def _own(record: dict[str, Any]) -> str:
    is_step = isinstance(record.get("node"), str) and isinstance(record.get("event"), str)
    return OwnFormat.name if is_step else ""


def _hint(reader: Format, unsent: Any, rest: Iterator[tuple[int, dict[str, Any]]]) -> str:
    """Where the message that nobody has sent yet is sent: then effects stand before their causes."""
    try:
        sent = next((n for n, record in islice(rest, LOOKS_AHEAD) if reader.sends(record, unsent)), 0)
    except UsageError:
        return ""
    way = "the lines of the nodes are not in the order of cause and effect (do their clocks differ?)"
    return f"it is sent in line {sent}: {way}" if sent else ""


def _judged(result: Replayed) -> str:
    n = result.lines
    what = "line 1 was" if n == 1 else f"lines 1 to {n:,} were"
    return f"; {what} judged and accepted" if n else ""
