"""What the lines of a node's trace say, and what is wrong with one. Reading a line checks its types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from ..raft import NodeId, Role
from ..views import VIEWS
from .json_keys import Twice, is_whole, with_care

CUT = "cut"  # the event of the line with which a later file begins
Positive = Annotated[int, Meta(gt=0)]
PARAMETERS = {  # of each action that a view knows: what some view asks for
    name: frozenset(p for view in VIEWS.values() for p in view.actions.get(name, ("", ()))[1])
    for name in {name for view in VIEWS.values() for name in (*view.actions, *view.ends)}
}


AS_WRITTEN = ": give the trace as its node wrote it"
CALLED = {
    "int": "a whole number",
    "float": "a number with a fraction",
    "str": "a string",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}
# What msgspec says is wrong with a value: where it stands, and what is said of it here.
SAID = (
    (r"Object missing required field `(.+)`", "`{at}` is missing"),
    (r"Object contains unknown field `(.+)`", "`{at}` is not known here"),
    (r"Invalid enum value '(.+)'", "`{at}` is {said!r}, which is not known here"),
    (r"Expected `int` >= (\d+)", "`{at}` is less than {said}"),
    (
        r"Expected `array` of (?:at \w+ )?length (\d+)(?:, got \d+)?",
        "`{at}` is a list of another length than {said}",
    ),
    (r"Expected `.+`, got `(\w+)`", "`{at}` cannot be {said}"),
)


class Unreadable(ValueError):
    """What is wrong with a line: a sentence."""


def _plainly(error: msgspec.ValidationError) -> str:
    """What is wrong with a value, in a sentence."""
    words, _, where = str(error).partition(" - at ")
    at = where.strip("`").removeprefix("$").removeprefix(".")
    for pattern, sentence in SAID:
        if found := re.fullmatch(pattern, words):
            said = found[1]
            if "field" in pattern:
                at = f"{at}.{said}" if at else said
            text = sentence.format(at=at, said=CALLED.get(said, said))
            return (text if at else text.replace("``", "it")) + AS_WRITTEN
    return f"`{at}` cannot be read{AS_WRITTEN}"


class TracedClocks(Struct, forbid_unknown_fields=True):
    promise: Positive
    slow: Positive
    fast: Positive


class TraceHeader(Struct, forbid_unknown_fields=True):
    format: str
    version: int
    node: NodeId
    members: list[NodeId]
    clocks: TracedClocks


class TracedEntry(Struct, array_like=True, forbid_unknown_fields=True):
    term: int
    command: str


class TracedBefore(Struct):
    """What stands before the entries of a line."""

    index: int


class TracedNode(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A node after a step, with the attributes of `raft.Node` that views ask for. Of its log there is what
    the line speaks of."""

    current_term: int = field(name="term")
    voted_for: NodeId | None
    role: Role
    votes: list[NodeId]
    pre_votes: list[NodeId]
    leader_id: NodeId | None = field(name="leader")
    promised_at: int
    last_index: int = field(name="length")
    commit_index: int = field(name="commit")
    first: int
    log: list[TracedEntry] = field(name="entries")
    id: NodeId = ""  # which the header says

    @property
    def snapshot(self) -> TracedBefore:
        return TracedBefore(self.first - 1)


TracedAction = tuple[str, dict[str, Any]]


class TracedStep(Struct, forbid_unknown_fields=True, omit_defaults=True):
    step: int
    event: str
    source: tuple[NodeId, Positive] | None = field(name="from")
    clock: int
    actions: list[TracedAction]
    after: TracedNode
    members: list[list[NodeId]] | None = None  # at a cut


# Of a step and its node: those that are always there.
KEYS = sum(len(of.__struct_fields__) - len(of.__struct_defaults__) for of in (TracedStep, TracedNode))


def header_of(text: bytes) -> dict[str, Any]:
    """What may be a header: an object."""
    said: dict[str, Any] = _read(text, ANY)
    return said


def checked_header(said: dict[str, Any]) -> TraceHeader:
    """A header of this format and version; Unreadable."""
    try:
        header = msgspec.convert(said, TraceHeader)
    except msgspec.ValidationError as error:
        raise Unreadable(f"this is no header of a trace: {_plainly(error)}") from None
    if header.clocks.slow > header.clocks.fast:
        raise Unreadable("by `clocks`, the slowest clock is faster than the fastest")
    return header


def step_of(text: bytes) -> TracedStep:
    """The step that a line tells of; Unreadable where it is none."""
    said: TracedStep = _read(text, STEP, keys_of)
    if (said.event == CUT) is not (said.members is not None):
        raise Unreadable(f"`members` stand at a `{CUT}`, and nowhere else")
    if said.after.id:
        raise Unreadable(f"this is no line of a trace: `after.id` is not known here{AS_WRITTEN}")
    for name, given in said.actions:
        parameters = PARAMETERS.get(name)
        if parameters is None:
            raise Unreadable(f"unknown action {name!r}")
        if not parameters <= given.keys():
            raise Unreadable(f"{name} lacks `{min(parameters - given.keys())}`")
    return said


def keys_of(said: TracedStep) -> int:
    """How many keys the line has at least."""
    keys = KEYS
    for _, given in said.actions:
        keys += len(given)
    return keys


ANY, STEP = msgspec.json.Decoder(dict[str, Any]), msgspec.json.Decoder(TracedStep)


def _read(text: bytes, decoder: msgspec.json.Decoder[Any], keys: Callable[[Any], int] = lambda _: 0) -> Any:
    """What the text says. With each of its keys goes a colon, so none stands twice where it has no more of
    them than `keys` that were read, at least."""
    try:
        found = decoder.decode(text)
        if text.count(b":") != keys(found) and not is_whole(text, found):
            with_care(text)
    except msgspec.ValidationError as error:
        raise Unreadable(f"this is no line of a trace: {_plainly(error)}") from None
    except Twice as twice:
        raise Unreadable(f"the key `{twice}` stands twice in one object") from None
    except RecursionError:
        raise Unreadable("this nests deeper than can be read") from None
    except ValueError:
        raise Unreadable("this is not a JSON object") from None
    return found
