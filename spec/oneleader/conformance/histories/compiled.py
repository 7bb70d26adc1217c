"""The search of `interpreted.py` as C: move by move the same, some ten times as fast.

`search.c` knows states by number only. It knows what reads, writes, swaps and appends do, as `form` says;
what anything else does to a state it asks of `objects.py`, once for each pair, and keeps the answer.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Hashable, Sequence
from functools import cache, partial
from importlib.resources import files
from math import inf
from sys import getsizeof
from typing import Any

from oneleader.conformance.histories.objects import APPEND, CAS, READ, SharedObject, on_key, on_register
from oneleader.conformance.histories.timeline import (
    MOST_BYTES,
    MOVES,
    Searched,
    Searching,
    Timeline,
    changes_nothing,
)
from oneleader.readers.engines.compiling import library
from oneleader_raft.testbench.clients import Operation

GO_ON, EXPLAINED, STUCK, ASK, FULL, NO_MEMORY = range(6)
KNOWN, CHANGES_NOTHING = 1, 2
ASKED, READS, WRITES, SWAPS, APPENDS = range(5)
UNKNOWN, SUCCEEDED, FAILED = range(3)
NOTHING, EMPTY = range(2)  # the first texts
NO_FIT = 2**32 - 1
LEAST_BYTES = 1 << 20  # below that it would do nothing but forget


class Bits(ctypes.Structure):
    """A set of operations."""

    _fields_ = [("words", ctypes.c_void_p), ("low", ctypes.c_uint32), ("high", ctypes.c_uint32)]


class SearchState(ctypes.Structure):
    """Where a search stands: the fields of `Search` in search.c."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("size", "left", "depth", "held", "asked", "at")),
        *((name, ctypes.c_uint32) for name in ("farthest", "sorts_known", "of_texts")),
        ("moves", ctypes.c_uint64),
        *((name, ctypes.c_void_p) for name in ("sorts", "forms", "appended")),
        *((name, ctypes.c_void_p) for name in ("traits", "after", "before", "rank")),
        *((name, ctypes.c_void_p) for name in ("taken", "states", "bit")),
        ("known", Bits),
        ("unknown", Bits),
        ("hash", ctypes.c_uint64),
        ("answers", ctypes.c_void_p),
        *((name, ctypes.c_uint64) for name in ("answers_mask", "answers_size")),
        ("tried", ctypes.c_void_p),
        *((name, ctypes.c_uint64) for name in ("tried_mask", "tried_size")),
        ("kept", ctypes.c_void_p),
        *((name, ctypes.c_uint64) for name in ("kept_size", "kept_room", "most_bytes")),
        ("texts", ctypes.c_void_p),
        *((name, ctypes.c_uint64) for name in ("texts_size", "texts_room")),
    ]


@cache
def loaded() -> ctypes.CDLL:
    """The library, compiled where it is not yet kept. UsageError or OSError where that fails."""
    found = ctypes.CDLL(str(library(files(__package__).joinpath("search.c").read_text(), ["-O2"])))
    for name in ("begin", "forget", "end"):
        getattr(found, name).argtypes = [ctypes.c_void_p]
    found.advance.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    found.text.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_uint32]
    found.text.restype = ctypes.c_uint32
    return found


def searching(operations: Sequence[Operation], model: SharedObject, initial: Hashable) -> Searching:
    """Turn by turn: an order in which the operations of one object may have taken effect, if there is one."""
    one = _CompiledSearch(operations, model, initial)
    try:
        while (found := one.turn()) is None:
            one.most_bytes = yield
        return found
    finally:
        one.end()


def encoded(text: Any) -> bytes:
    """The bytes of a text, the same only for the same."""
    return str(text).encode("utf-8", "surrogatepass")


class _CompiledSearch:
    """One search: the arrays that C reads, and the states by their numbers."""

    def __init__(self, operations: Sequence[Operation], model: SharedObject, initial: Hashable) -> None:
        self.model, self.most_bytes, self.library = model, MOST_BYTES, loaded()
        self.operations = sorted(operations, key=lambda o: o.called)
        self.numbers: dict[Hashable, int] = {}
        self.held: list[Hashable] = []
        self.bytes = self.bytes_on_the_way = 0  # of the states held
        self.example: list[Operation] = []  # of each sort
        self.arrays = self._arrays(Timeline(self.operations))
        sorts, self.of_texts = len(self.example), model.step is on_key
        self.is_known = self.of_texts or model.step is on_register
        self.state = SearchState(size=len(self.operations), sorts_known=sorts, of_texts=self.of_texts)
        for name, of in self.arrays.items():
            setattr(self.state, name, of.buffer_info()[0])
        self.address = ctypes.addressof(self.state)
        self._done(self.library.begin(self.address))
        self.state.held = self._number(initial)
        self._name_forms()
        self._advance: Callable[[int], int] = partial(self.library.advance, self.address)

    def _arrays(self, line: Timeline) -> dict[str, array[int]]:
        known = (KNOWN * (o.returned != inf) | CHANGES_NOTHING * changes_nothing(o) for o in self.operations)
        lists = {name: array("I", getattr(line, name)) for name in ("after", "before", "rank")}
        empty = {name: array("I", bytes(4 * line.n)) for name in ("taken", "states", "bit")}
        sorts = array("I", self._sorts())
        forms = array("I", bytes(4 * 4 * len(self.example)))
        return {"sorts": sorts, "forms": forms, "traits": array("B", known), **lists, **empty}

    def _name_forms(self) -> None:
        """What an operation of each sort does, where C knows that."""
        appended = array("B")
        for i, o in enumerate(self.example if self.is_known else ()):
            form = self._form(o)
            if o.kind == APPEND:
                added = encoded(o.value)
                form = APPENDS, UNKNOWN, len(appended), len(added)
                appended.frombytes(added)
            self.arrays["forms"][4 * i : 4 * i + 4] = array("I", form)
        self.arrays["appended"] = appended
        self.state.appended = appended.buffer_info()[0]

    def _form(self, o: Operation) -> tuple[int, int, int, int]:
        """As `on_register` and `on_key` say."""
        is_known = o.returned != inf
        if o.kind == READ:
            result = self._number(o.result) if is_known else 0
            also = NOTHING if self.of_texts and result == EMPTY else result
            return READS, SUCCEEDED if is_known else UNKNOWN, result, also
        value = self._number(o.value)
        if o.kind == CAS:
            outcome = (SUCCEEDED if o.result else FAILED) if is_known else UNKNOWN
            return SWAPS, outcome, self._number(o.expected), value
        return WRITES, UNKNOWN, value, value

    def _sorts(self) -> list[int]:
        """Operations of one sort do the same: they differ in times, key, and client where that is nothing."""
        of: dict[Hashable, int] = {}
        found = []
        for o in self.operations:
            client = o.client if self.model.by_client else None
            what = client, o.kind, o.value, o.expected, o.result, o.returned == inf
            if what not in of:
                of[what] = len(of)
                self.example.append(o)
            found.append(of[what])
        return found

    def turn(self) -> Searched | None:
        """Some thousand moves; what is found, if something is."""
        state, step, number = self.state, self.model.step, self.numbers.get
        most = max(self.most_bytes, LEAST_BYTES) // 2  # for what C tried; as much for the states held here
        state.moves, state.most_bytes = MOVES, most
        now = self._advance(0)
        while now in (ASK, FULL):
            if now == FULL or self.bytes > max(most, 2 * self.bytes_on_the_way):
                self._forget()
            answer = 0
            if now == ASK:
                fits, then = step(self.example[state.asked], self.held[state.held])
                answer = NO_FIT if not fits else self._number(then) if (n := number(then)) is None else n
            now = self._advance(answer)
        self._done(now)
        if now == GO_ON:
            return None
        if now == STUCK:
            return Searched(None, self.operations[state.farthest - state.size])
        return Searched([self.operations[i] for i in self.arrays["taken"][: state.depth]])

    def _number(self, state: Hashable) -> int:
        if self.of_texts:
            if state is None:
                return NOTHING
            text = encoded(state)
            number = int(self.library.text(self.address, EMPTY, text, len(text)))
            self._done(NO_MEMORY if number == NO_FIT else GO_ON)
            return number
        if state not in self.numbers:
            self.numbers[state] = len(self.held)
            self.held.append(state)
            self.bytes += getsizeof(state)
        return self.numbers[state]

    def _forget(self) -> None:
        """All that was tried, and all states but those on the way to where the search stands."""
        if not self.is_known:
            self._forget_states()
        self._done(self.library.forget(self.address))

    def _forget_states(self) -> None:
        way = self.arrays["states"]
        held, self.held, self.bytes = self.held, [], 0
        self.numbers.clear()
        for i in range(self.state.depth):
            way[i] = self._number(held[way[i]])
        self.state.held = self._number(held[self.state.held])
        self.bytes_on_the_way = self.bytes

    def _done(self, now: int) -> None:
        if now == NO_MEMORY:
            raise MemoryError

    def end(self) -> None:
        """Give the memory back."""
        self.library.end(self.address)
