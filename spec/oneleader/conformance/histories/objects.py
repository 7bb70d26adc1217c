"""The objects that clients share, each as what one operation does to it: a sequential specification.

| object      | kinds                    | what fits                                              |
|-------------|--------------------------|--------------------------------------------------------|
| register    | read, write, cas         | a read returns what is held; a cas succeeds on that    |
| key-value   | get, put, append, cas    | over strings; a key that nobody put is "" or null      |
| set         | add, remove, read        | a read returns exactly the elements                    |
| mutex       | acquire, release, expire | acquired while free, released while held (by anybody)  |
| fenced-lock | acquire, release, expire | also: released by its holder; each token above the last|

Registers, key-value stores and the rest are judged key by key (locality: Herlihy and Wing 1990, theorem 1).
`expire` frees a lock whose lease ran out; without a return nobody knows when, or whether.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf, isinf
from typing import Any, TypeAlias

from oneleader_raft.testbench.clients import Operation, written

READ, WRITE, CAS, APPEND = "read", "write", "cas", "append"
READS, WRITES = (READ, "get"), (WRITE, "put")
ADD, REMOVE = "add", "remove"
ACQUIRE, RELEASE, EXPIRE = "acquire", "release", "expire"


# What an operation does: whether it fits what is held, and what is held then. It does not look at times.
Step: TypeAlias = Callable[[Operation, Hashable], tuple[bool, Hashable]]


class BadOperation(ValueError):
    """An operation that the object does not have, or a value that cannot be compared."""

    def __init__(self, said: str, operation: Operation) -> None:
        super().__init__(said)
        self.operation = operation


class TrueOrFalse(Enum):
    """True and false as values of an object: no number equals them, as True equals 1 in Python."""

    TRUE = True
    FALSE = False


@dataclass(frozen=True)
class SharedObject:
    """What clients share. `may_go`: of these operations, which a part that fails may do without.

    `by_client`: whether it matters to `step` which client it is.
    """

    name: str
    kinds: tuple[str, ...]
    step: Step
    initial: Hashable = None
    strings: bool = False  # whether values are strings
    also: Mapping[str, str] = field(default_factory=dict)  # other words for a kind
    may_go: Callable[[Sequence[Operation]], Callable[[Operation], bool]] = lambda rest: lambda o: False
    by_client: bool = True

    def checked(self, o: Operation) -> Operation:
        """The operation with values that can be compared; BadOperation where that is impossible."""
        kind = self.also.get(o.kind, o.kind)
        if kind not in self.kinds:
            kinds = ", ".join(self.kinds)
            raise BadOperation(f"{o.kind!r} is no operation of a {self.name}: it has {kinds}", o)
        if not o.called <= o.returned:
            raise BadOperation(f"this operation ends before it begins: {o}", o)
        try:
            value, expected, result = comparable(o.value), comparable(o.expected), o.result
            if kind != CAS:
                result = _elements(o) if self.name == SET.name and kind == READ else comparable(result)
        except TypeError as error:
            raise BadOperation(str(error), o) from None
        found = {"kind": kind, "value": value, "expected": expected, "result": result}
        if any(part is not getattr(o, name) for name, part in found.items()):
            o = type(o)(**vars(o) | found)  # `replace` does the same, and takes three times as long
        self._check_values(o)
        return o

    def start(self, value: Any) -> Hashable:
        """A start value as the object holds it; TypeError where it cannot."""
        if self.name == SET.name:
            return frozenset(map(comparable, value)) if value is not None else frozenset()
        value = comparable(value)
        if self.strings and not isinstance(value, str | None):
            raise TypeError(f"a {self.name} starts with a string, not {written(value)}")
        if self.name == MUTEX.name and value not in (None, TrueOrFalse.TRUE, TrueOrFalse.FALSE):
            raise TypeError(f"a mutex starts held (true) or free (false), not as {written(value)}")
        if self.name == FENCED_LOCK.name and (not isinstance(value, int | None)):
            raise TypeError(f"a fenced lock starts with its last token, a number, not with {written(value)}")
        as_held = STARTS.get(self.name)
        return as_held(value) if as_held else value

    def _check_values(self, o: Operation) -> None:
        if o.kind == CAS and o.returned != inf and not isinstance(o.result, bool):
            raise BadOperation(f"the result of a cas is true or false, not {written(o.result)}", o)
        if self.strings:
            self._check_strings(o)
        is_token = isinstance(o.result, int)
        if self.name == FENCED_LOCK.name and o.kind == ACQUIRE and o.returned != inf and not is_token:
            raise BadOperation(f"this acquire returned no token, which is a number: {written(o.result)}", o)

    def _check_strings(self, o: Operation) -> None:
        for v in (o.value, o.expected, o.result if o.kind == READ else None):
            if v is not None and not isinstance(v, str):
                raise BadOperation(f"values of a {self.name} are strings: {o}", o)
        if o.kind in (WRITE, APPEND) and o.value is None:
            raise BadOperation(f"no value in this {o.kind}: {o}", o)


def comparable(value: Any) -> Hashable:
    """The value, so that equal values and no others are equal; TypeError where that is impossible."""
    if value is None or type(value) is str:  # as most are
        return value
    if isinstance(value, bool):
        return TrueOrFalse(value)
    if isinstance(value, tuple | frozenset):
        return type(value)(map(comparable, value))
    try:
        hash(value)
    except TypeError:
        what = "a map" if isinstance(value, dict) else f"a value of type {type(value).__name__}"
        raise TypeError(f"{what} cannot be compared: {value!r}") from None
    if value != value:
        raise TypeError(f"{value!r} equals nothing, not even itself: it cannot be compared")
    if isinstance(value, float) and isinf(value):
        raise TypeError("this number is greater than can be read: it cannot be compared")
    return value  # type: ignore[no-any-return]


def _elements(o: Operation) -> Hashable:
    """What a read of a set returned. With an element twice it stays a tuple, which no set equals."""
    if o.returned == inf:
        return None
    if not isinstance(o.result, tuple | frozenset | set):
        raise TypeError(f"a read of a set returns its elements, not {written(o.result)}")
    elements = tuple(map(comparable, o.result))
    return frozenset(elements) if len(set(elements)) == len(elements) else elements


def tells(o: Operation) -> bool:
    """Whether something came back that an object might not have said."""
    return o.returned != inf and o.kind not in (WRITE, APPEND, ADD, REMOVE, EXPIRE)


# -- registers and key-value stores -----------------------------------------------------------------
def on_register(o: Operation, held: Hashable) -> tuple[bool, Hashable]:
    """Whether the register, holding this, gives this result; and what it holds then."""
    unknown = o.returned == inf
    if o.kind == READ:
        return unknown or o.result == held, held
    if o.kind == WRITE:
        return True, o.value
    succeeds = held == o.expected
    return unknown or o.result is succeeds, o.value if succeeds else held


def on_key(o: Operation, held: Hashable) -> tuple[bool, Hashable]:
    """The same for a key of strings, to which one may append."""
    if o.kind == APPEND:
        return True, f"{held or ''}{o.value}"
    if o.kind == READ and o.result == "" and held is None:
        return True, held
    return on_register(o, held)


def unread(rest: Sequence[Operation]) -> Callable[[Operation], bool]:
    """Reads may go, and writes of a value that nobody saw or compared or appended to."""
    seen = {o.result for o in rest if o.kind == READ and o.returned != inf}
    compared = any(o.kind in (CAS, APPEND) for o in rest)
    return lambda o: o.kind == READ or (o.kind == WRITE and o.value not in seen and not compared)


# -- sets ---------------------------------------------------------------------------------------------
def on_set(o: Operation, held: Any) -> tuple[bool, Hashable]:
    """Whether a set of these elements gives this result, and its elements then."""
    if o.kind == READ:
        return o.returned == inf or o.result == held, held
    return True, held | {o.value} if o.kind == ADD else held - {o.value}


def only_reads(rest: Sequence[Operation]) -> Callable[[Operation], bool]:
    """Reads may go: they change nothing."""
    return lambda o: o.kind == READ


# -- locks --------------------------------------------------------------------------------------------
def on_mutex(o: Operation, held: Any) -> tuple[bool, Hashable]:
    """Whether a mutex, held or not, allows this. Its clients are not told apart, as in Knossos."""
    if o.kind == EXPIRE:
        return True, False
    return (not held, True) if o.kind == ACQUIRE else (held, False)


def on_fenced_lock(o: Operation, held: Any) -> tuple[bool, Hashable]:
    """Whether a lock, by (holder, last token), allows this.

    An acquire whose outcome nobody knows takes the least token that is free, which allows the most after it.
    """
    holder, last = held
    if o.kind == EXPIRE:
        return True, (None, last)
    if o.kind == RELEASE:
        return holder == o.client, (None, last)
    token = last + 1 if o.returned == inf else o.result
    return holder is None and token > last, (o.client, token)


STARTS: Mapping[str, Callable[[Any], Hashable]] = {
    "mutex": lambda v: v is TrueOrFalse.TRUE,
    "fenced-lock": lambda v: (None, -1 if v is None else v),
}
REGISTER = SharedObject("register", (READ, WRITE, CAS), on_register, may_go=unread, by_client=False)
KEY_VALUE = SharedObject(
    "key-value",
    (READ, WRITE, APPEND, CAS),
    on_key,
    strings=True,
    also={"get": READ, "put": WRITE},
    may_go=unread,
    by_client=False,
)
SET = SharedObject(
    "set", (ADD, REMOVE, READ), on_set, initial=frozenset(), may_go=only_reads, by_client=False
)
MUTEX = SharedObject("mutex", (ACQUIRE, RELEASE, EXPIRE), on_mutex, initial=False, by_client=False)
FENCED_LOCK = SharedObject("fenced-lock", (ACQUIRE, RELEASE, EXPIRE), on_fenced_lock, initial=(None, -1))
OBJECTS = {o.name: o for o in (REGISTER, KEY_VALUE, SET, MUTEX, FENCED_LOCK)}


def known_kinds() -> set[str]:
    """What can be done to some object."""
    return {kind for one in OBJECTS.values() for kind in (*one.kinds, *one.also)}


def unknown_kind(kind: str) -> str:
    """One sentence for an operation that no object has."""
    return f"{kind!r} is no operation of any object known here: they have {', '.join(sorted(known_kinds()))}"


def guessed(operations: Sequence[Operation]) -> SharedObject:
    """The object whose operations these are; BadOperation where no object has them all."""
    kinds = {o.kind for o in operations}
    has_tokens = any(o.kind == ACQUIRE and o.result is not None for o in operations)
    for one in (FENCED_LOCK, *OBJECTS.values()) if has_tokens else OBJECTS.values():
        if kinds <= {*one.kinds, *one.also}:
            return one
    strange = next((o for o in operations if o.kind not in known_kinds()), None)
    if strange is not None:
        raise BadOperation(unknown_kind(strange.kind), strange)
    raise BadOperation(f"no object has all of {', '.join(sorted(kinds))}", operations[0])
