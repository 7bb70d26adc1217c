"""Sealed: values that refuse whatever Python would answer in the model's place.

While a model is traced its functions run once, on symbols. `if x`, `table.get(x)`, `len(x)`, `f"{x}"` are
questions to Python, and its answer would hold for every state at once. So a symbol answers none of them:
each special method of Python's data model either belongs to the language (`expr.py`, `trace.py` define
it) or refuses. A refusal is noted, too: a function that catches it is refused all the same.

Out of a trace a symbol is data for readers: it may be hashed, printed and copied.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from oneleader.errors import SpecError


class _Traces(threading.local):
    """The refusals of each trace that is going on, in this thread: another one may read symbols meanwhile."""

    def __init__(self) -> None:
        self.refusals: list[list[str]] = []


_traces = _Traces()


@contextmanager
def tracing() -> Iterator[list[str]]:
    """Within this block symbols are sealed; what is refused is added to the list given."""
    _traces.refusals.append([])
    try:
        yield _traces.refusals[-1]
    finally:
        _traces.refusals.pop()


def sealed() -> bool:
    """Whether this thread traces a model just now."""
    return bool(_traces.refusals)


def refuse(sentence: str) -> NoReturn:
    """SpecError with this sentence, which the trace remembers even where the error is caught."""
    if _traces.refusals:
        _traces.refusals[-1].append(sentence)
    raise SpecError(sentence)


BRANCHES = (
    "Python branches on {} here (if, and, or, not, in or a chained comparison): use both, either, no, "
    "implies or ite"
)
ITERATES = "Python iterates over {} here: quantify with .all or .any"
COUNTS = "Python asks for the length of {} here: count with .count"
SEARCHES = "Python looks for something in {} here: quantify with .any, or index a relation"
HASHES = "Python looks {} up in a dict or a set here: index a field or a constant of the state"
WRITES = "Python writes {} as text here: it has none"
CONVERTS = "Python makes a plain number of {} here: it has none while a model is traced"
COMPUTES = "Python computes with {} here: only numbers have +, and only times have *"
COMPARES = "Python compares {} here"
CALLS = "Python calls {} here: only functions are called"
INDEXES = "Python indexes {} here"
ENTERS = "Python enters or awaits {} here"
COPIES = "Python copies {} here, or looks inside it"
DESCRIBES = "Python uses {} as a class or as an attribute of one here"
TYPES = "Python asks for the type of {} here: a symbol stands for every value of its sort"

_BINARY = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or"

# The special methods, by what Python does where it calls them.
ALWAYS = {
    BRANCHES: "bool",
    ITERATES: "iter next reversed aiter anext",
    COUNTS: "len length_hint",
    SEARCHES: "contains",
    CONVERTS: "int float complex index round trunc floor ceil bytes fspath buffer array",
    COMPUTES: " ".join(
        [
            "neg pos invert abs",
            _BINARY,
            *(f"r{name}" for name in _BINARY.split()),
            *(f"i{name}" for name in _BINARY.split() if name not in ("add", "mul", "divmod")),
        ]
    ),
    COMPARES: "eq ne lt le gt ge",
    CALLS: "call",
    INDEXES: "getitem setitem delitem missing",
    ENTERS: "enter exit aenter aexit await",
    DESCRIBES: "get set delete instancecheck subclasscheck mro_entries",
}
WHILE_TRACED = {
    HASHES: "hash",
    WRITES: "repr str format",
    COPIES: "copy deepcopy reduce reduce_ex getstate setstate getnewargs getnewargs_ex sizeof dir",
}


class Sealed:
    """A value that the functions of a model see while it is traced. A subclass says what it answers."""

    __slots__ = ()
    _what = "a state value"

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` asks for where the type alone does not say yes."""
        if sealed():
            refuse(TYPES.format(self._what))
        return type(self)

    def __getattr__(self, name: str) -> Any:
        if sealed():
            refuse(f"{self._what} has no attribute {name}")
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        refuse(f"{self._what} has no attribute {name} to be set")

    def __delattr__(self, name: str) -> None:
        refuse(f"{self._what} has no attribute {name} to be deleted")


def _refusing(sentence: str) -> Callable[..., NoReturn]:
    def method(self: Sealed, *args: Any, **named: Any) -> NoReturn:
        refuse(sentence.format(self._what))

    return method


def _refusing_while_traced(sentence: str, name: str) -> Callable[..., Any]:
    usual = getattr(object, name, None)

    def method(self: Sealed, *args: Any, **named: Any) -> Any:
        if sealed() or usual is None:
            refuse(sentence.format(self._what))
        return usual(self, *args, **named)

    return method


def _seal() -> None:
    for sentence, names in ALWAYS.items():
        for name in names.split():
            setattr(Sealed, f"__{name}__", _refusing(sentence))
    for sentence, names in WHILE_TRACED.items():
        for name in names.split():
            setattr(Sealed, f"__{name}__", _refusing_while_traced(sentence, f"__{name}__"))


_seal()
