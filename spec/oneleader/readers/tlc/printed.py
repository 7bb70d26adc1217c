"""What TLC prints under `-tool`: the verdict, the counts, the trace, or why there is no verdict."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from oneleader.errors import UsageError
from oneleader.readers.tlc.graph import TlcGraph
from oneleader.readers.tlc.values import TlcState, Value, parse_state, parse_value
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict


class TlcStep(NamedTuple):
    """One line of an error trace: the action that was taken (`Init` at first) and the state after it."""

    action: str
    state: TlcState


@dataclass(frozen=True)
class Result:
    """What TLC found. `violated` is the name of what does not hold, and `trace` leads there.

    `generated` counts the `begun` initial states and the steps that were tried, those that a constraint cut
    included. `depth` is the number of states on the longest of the shortest paths; with several workers it
    can be off by one.
    `printed`: the tuples that the module printed (`PrintT`), in their order. `claims`: what was checked,
    with what the .cfg put in place of other definitions (`replaced`), and where it cut (`constraints`).
    `merged`: why states may have been taken for one another that differ, or steps left out; else "".
    `seeks_loops`: whether a claim may be broken by what goes on for ever. `left`: states whose steps TLC did
    not take, since it was told to end.
    """

    violated: str | None
    distinct: int
    generated: int
    depth: int
    seconds: float
    trace: tuple[TlcStep, ...]
    printed: tuple[Value, ...] = ()
    graph: TlcGraph | None = None
    claims: tuple[str, ...] = ()
    replaced: Mapping[str, str] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    begun: int = 0
    merged: str = ""
    seeks_loops: bool = False
    left: int = 0

    @property
    def verdict(self) -> Verdict:
        """It holds if TLC saw every state within the bounds, and no claim is violated; one there must be."""
        if self.violated is not None:
            return VIOLATED
        return INCONCLUSIVE if self.vacuous else HOLDS

    @property
    def vacuous(self) -> str:
        """Why it shows nothing that no claim is violated; else ""."""
        if not self.claims:
            return "the .cfg claims nothing"
        if not self.distinct:
            return "there is no initial state"
        if self.distinct == 1 or self.generated <= self.begun:
            return "no step leads to another state"
        if self.left:
            return f"the search was ended with {self.left:,} states left"
        return self.merged


class UncheckedError(UsageError):
    """TLC came to no verdict; `trace` leads to the state at which it stopped, where it had come so far."""

    def __init__(self, message: str, trace: Iterable[TlcStep]) -> None:
        super().__init__(message)
        self.trace = tuple(trace)


# Numbers of messages under -tool, from tlc2/output/EC.java.
_INVARIANT_INITIALLY, _PROPERTY_INITIALLY = 2107, 2108
_INVARIANT, _ACTION_PROPERTY, _DEADLOCK, _TEMPORAL = 2110, 2112, 2114, 2116
_SUCCESS, _COUNTS, _DEPTH, _TRACE_STATE, _BEGUN = 2193, 2199, 2194, 2217, 2190
_UNPARSED, _LIVENESS_UNDER_SYMMETRY, _LOOPS_SOUGHT = 3002, 2279, 2192
LOOPS = "under {}, TLC may miss loops that break a temporal property"
_FALSE = {_INVARIANT_INITIALLY, _PROPERTY_INITIALLY, _INVARIANT, _ACTION_PROPERTY, _DEADLOCK, _TEMPORAL}
_ERROR = "1"  # the severity that follows the number

_MARK = re.compile(r"@!@!@(START|END)MSG (\d+)(?::(\d+))? @!@!@\n?")

_CUT = "\0"  # in place of a mark

_EXCEPTION = re.compile(r"TLC threw an unexpected exception[\s\S]*?The exception was an? \S+\s*:\s*")


class _Message(NamedTuple):
    code: int
    severity: str
    text: str


def _messages(output: str) -> list[_Message]:
    """The messages between TLC's marks. One may hold others, whose text then is part of its own."""
    done: list[_Message] = []
    opened: list[tuple[int, str, list[str]]] = []
    at = 0
    for mark in _MARK.finditer(output):
        for _, _, texts in opened:
            texts.append(output[at : mark.start()])
        at = mark.end()
        if mark[1] == "START":
            opened.append((int(mark[2]), mark[3], []))
        elif opened:
            code, severity, texts = opened.pop()
            done.append(_Message(code, severity, "".join(texts).strip()))
    return done


def result(output: str, seconds: float, what: str) -> Result:
    """What TLC found, from all that it printed. UncheckedError where it came to no verdict."""
    messages = _messages(output)
    found = {m.code: m.text for m in reversed(messages)}  # the first message of each number
    problem = next((m for m in messages if m.code in _FALSE), None)
    trace = [_step(m.text) for m in messages if m.code == _TRACE_STATE]
    if problem is None and _SUCCESS not in found:
        raise UncheckedError(f"TLC cannot check {what}: {_complaint(messages, output)}", trace)
    if problem and problem.code == _INVARIANT_INITIALLY:
        trace = [TlcStep("Init", parse_state(problem.text.partition("\n")[2]))]
    # Neither is printed when an initial state is at fault.
    generated, distinct, left = (_numbers(found.get(_COUNTS, "")) or [1, 1, 0])[:3]
    depth, *_ = _numbers(found.get(_DEPTH, "")) or [len(trace)]
    said = re.split(_CUT + r"|\n(?=\S)", _MARK.sub(_CUT, output))  # a value goes on in indented lines
    return Result(
        violated=_claim(problem) if problem else None,
        distinct=distinct,
        generated=generated,
        depth=depth,
        seconds=seconds,
        trace=tuple(trace),
        printed=tuple(parse_value(piece) for piece in said if piece.startswith("<<")),
        begun=(_numbers(found.get(_BEGUN, "")) or [0])[0],
        merged=LOOPS.format("SYMMETRY") if _LIVENESS_UNDER_SYMMETRY in found else "",
        seeks_loops=_LOOPS_SOUGHT in found,
        left=left,
    )


def _numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


def _claim(problem: _Message) -> str:
    """The name of what does not hold; its place in a module where TLC says no name (a refinement)."""
    if problem.code == _DEADLOCK:
        return "deadlock"
    named = re.match(r"(?:Invariant|Action property|Property) (.+?) is (?:violated|false)", problem.text)
    return named[1] if named else "temporal property"


def _step(text: str) -> TlcStep:
    header, _, state = text.partition("\n")
    action = re.match(r"\d+: <(?:\w+!)*(\w+)(?: line| predicate)?", header)
    if action is None:
        raise UsageError(f"This line of TLC's error trace is not understood: {header}")
    return TlcStep("Init" if action[1] == "Initial" else action[1], parse_state(state))


def _complaint(messages: list[_Message], output: str) -> str:
    """Why there is no verdict, on one line, in TLC's own words."""
    errors = [_EXCEPTION.sub("", m.text) for m in messages if m.severity == _ERROR]
    said = errors[0] if errors else _MARK.sub("", output)[-500:]
    if any(m.code == _UNPARSED for m in messages):  # the parser's words stand outside all messages
        parser = re.split(r"SANY finished|Residual stack", output.partition("Starting SANY...")[2])[0]
        said = re.sub(
            r"^(?:Parsing file|Semantic processing) .*$", "", _MARK.sub("", parser), flags=re.MULTILINE
        )
    return " ".join(said.split()) or "it printed nothing."
