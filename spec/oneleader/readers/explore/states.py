"""The states of one breadth-first search, in order of discovery, on each of the three engines.

A level is a range of positions. `Listed` holds plain tuples and asks the plain interpreter: the
oracle. `Gathered` holds packed rows, NumPy's table and the NumPy engine; `Threaded` packed rows, the
table of the C engine and its threads. No parents are kept: a shortest run is found by walking back
from level to level.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from oneleader.errors import Disagreement
from oneleader.language.definitions import Property
from oneleader.language.sorts import base, is_set
from oneleader.language.symmetry import Renaming, renamings, why_fewer
from oneleader.readers.agree import Traced
from oneleader.readers.engines.kernel import Kernel, Tally, least
from oneleader.readers.engines.native import FULLEST, Native
from oneleader.readers.engines.orbits import Orbits
from oneleader.readers.engines.packing import Packing, Rows
from oneleader.readers.engines.table import StateTable
from oneleader.readers.engines.vector import Vector
from oneleader.readers.premises import Premise
from oneleader.readers.run import ClaimFailed, Run, State

CHUNK = 1 << 16  # states that NumPy looks at together
BATCH = 1 << 18  # states that C expands between two looks at the clock and at Ctrl-C
MOST_STATES = (1 << 32) - 2  # positions take 32 bits


class Full(Exception):
    """No memory is left for another state."""


class States(Protocol):
    """All states found so far; `instances` says which instance each entry of a tally counts."""

    run: Run
    order: int  # how many renamings are identified
    why: str  # why not more
    instances: list[int]
    batch: int  # how many states to expand at a time
    tally: Tally

    @property
    def size(self) -> int:
        """How many there are."""

    def estimate(self) -> str:
        """A sentence: how much memory a state takes at most, and how many states there is room for."""

    def advance(self, lo: int, hi: int) -> None:
        """Take every step from the states lo..hi and keep what is new. Full where memory ends."""

    def settle(self) -> None:
        """The end of a level: whatever was set aside is looked up now. Full as `advance`."""

    def broken(self, lo: int, hi: int) -> tuple[int, int] | None:
        """(property, position) of the least state of lo..hi that breaks the first property broken there."""

    def reached(self, lo: int, hi: int) -> list[bool]:
        """Which witnesses some state of lo..hi reaches."""

    def first(self, positions: Sequence[int]) -> int:
        """The least of these states: every engine tells of the same one."""

    def state(self, position: int) -> State:
        """One state, as the plain interpreter writes it."""

    def canonical(self, state: State) -> State:
        """The state that stands for this one."""

    def predecessor(self, position: int, lo: int, hi: int) -> int:
        """The first state of lo..hi with a step to that state."""


class Listed:
    """The oracle: plain tuples, stepped by the plain interpreter, renamed cell by cell."""

    batch = 1 << 8

    def __init__(
        self, run: Run, properties: list[Property], witnesses: list[Property], *, symmetry: bool
    ) -> None:
        self.run, self.properties, self.witnesses = run, properties, witnesses
        self._traced = Traced(run)
        group = renamings(run.model, run.configuration) if symmetry else []
        self.why = why_fewer(run.model, run.configuration, group) if symmetry else ""
        self._images = [_moved(run, renaming) for renaming in group[1:]]
        self.order = max(1, len(group))
        self.instances = list(range(len(run.instances)))
        instances = len(run.instances)
        self.tally = Tally(np.zeros(instances, np.int64), np.zeros(instances, np.int64))
        self._states = [self.canonical(run.initial)]
        self._known = set(self._states)

    @property
    def size(self) -> int:
        return len(self._states)

    def estimate(self) -> str:
        return "python keeps plain tuples, some 600 bytes a state: meant for small configurations"

    def advance(self, lo: int, hi: int) -> None:
        for position in range(lo, hi):
            try:
                steps = list(self.run.steps(self._states[position]))
            except ClaimFailed:
                self.tally.failed.append(position)
                continue
            if not steps:
                self.tally.stuck.append(position)
            for instance, after in steps:
                (self.tally.cut if after is None else self.tally.taken)[instance] += 1
                if after is not None:
                    self._add(self.canonical(after))

    def settle(self) -> None:
        """Nothing was set aside."""

    def _add(self, state: State) -> None:
        if state not in self._known:
            self._known.add(state)
            self._states.append(state)

    def broken(self, lo: int, hi: int) -> tuple[int, int] | None:
        for number, prop in enumerate(self.properties):
            found = [i for i in range(lo, hi) if self.run.violated(self._states[i], {prop.name: prop})]
            if found:
                return number, self.first(found)
        return None

    def reached(self, lo: int, hi: int) -> list[bool]:
        return [any(self._witnessed(self._states[i], w) for i in range(lo, hi)) for w in self.witnesses]

    def _witnessed(self, state: State, witness: Property) -> bool:
        """A premise is known only as it was traced; everything else is asked of the plain interpreter."""
        if not isinstance(witness, Premise):
            return self.run.witnessed(state, witness)
        values = self.run.configuration.assignments(witness.params)
        return any(self._traced.holds(witness, state, args) for args in values)

    def first(self, positions: Sequence[int]) -> int:
        return min(positions, key=self._states.__getitem__)

    def state(self, position: int) -> State:
        return self._states[position]

    def canonical(self, state: State) -> State:
        images = (
            tuple(state[cell] if table is None else table[state[cell]] for cell, table in image)
            for image in self._images
        )
        return min(state, *images) if self._images else state

    def predecessor(self, position: int, lo: int, hi: int) -> int:
        target = self._states[position]
        for before in range(lo, hi):
            steps = self.run.steps(self._states[before])
            if any(after is not None and self.canonical(after) == target for _, after in steps):
                return before
        raise Disagreement("no state of the level before leads here")


def _moved(run: Run, renaming: Renaming) -> list[tuple[int, tuple[int, ...] | None]]:
    """For each cell of the renamed state: the cell that it comes from, and the table of its new values."""
    at = {(f.name, key): i for i, (f, key) in enumerate(run.cells.keys)}
    image: list[tuple[int, tuple[int, ...] | None]] = [(0, None)] * len(at)
    for cell, (f, key) in enumerate(run.cells.keys):
        of = base(f.of)
        image[at[f.name, renaming.index(f, key)]] = cell, renaming.values[of.__name__] if is_set(of) else None
    return image


class Packed:
    """What the two compiled engines share: rows of words in one array, and looking back over them.

    The array is as long as memory allows; the system gives the memory as it is written.
    """

    bytes_beside = 0  # what a state takes in the table at most

    def __init__(self, kernel: Kernel, orbits: Orbits | None, memory: int) -> None:
        self.kernel, self.run = kernel, kernel.run
        self.orbits = orbits
        self.order, self.why = (orbits.order, orbits.why) if orbits else (1, "")
        self.instances = [step.position for step in kernel.ground.steps]
        self.tally = Tally.of(kernel.ground)
        capacity = min(MOST_STATES, max(1 << 14, memory // self.bytes_a_state(kernel.packing)))
        self.rows: Rows = np.empty((capacity, kernel.packing.words), np.uint64)
        self._first = kernel.canonical(kernel.packing.pack([self.run.initial]))

    @classmethod
    def bytes_a_state(cls, packing: Packing) -> int:
        """The most that a state takes, its place in the table included."""
        return 8 * packing.words + cls.bytes_beside

    def estimate(self) -> str:
        packing, most = self.kernel.packing, self.bytes_a_state(self.kernel.packing)
        return (
            f"{packing.bits} bits a state, at most {most} bytes with its place in the table: "
            f"room for {len(self.rows):,} states in {len(self.rows) * most / 2**30:,.1f} GiB"
        )

    def settle(self) -> None:
        """Nothing was set aside."""

    def broken(self, lo: int, hi: int) -> tuple[int, int] | None:
        found: dict[int, list[int]] = {}
        for start in range(lo, hi, CHUNK):
            numbers = self.kernel.broken(self.rows[start : min(start + CHUNK, hi)])
            for position in np.flatnonzero(numbers >= 0).tolist():
                found.setdefault(int(numbers[position]), []).append(start + position)
        return (min(found), self.first(found[min(found)])) if found else None

    def reached(self, lo: int, hi: int) -> list[bool]:
        chunks = (
            self.kernel.reached(self.rows[start : min(start + CHUNK, hi)]).any(axis=0)
            for start in range(lo, hi, CHUNK)
        )
        return [bool(x) for x in np.logical_or.reduce(list(chunks))]

    def first(self, positions: Sequence[int]) -> int:
        rows = self.rows[list(positions)]
        return positions[least(self.orbits.least(rows) if self.orbits else rows)]

    def state(self, position: int) -> State:
        return self.kernel.packing.unpack(self.rows[position : position + 1])[0]

    def restore(self, rows: Rows) -> None:
        """Start with these states instead of the initial one. Full where they are too many."""
        if len(rows) >= len(self.rows):
            raise Full
        self.rows[: len(rows)] = rows
        self._entered(len(rows))

    def _entered(self, size: int) -> None:
        """Rebuild the table for the first `size` rows."""
        raise NotImplementedError

    def predecessor(self, position: int, lo: int, hi: int) -> int:
        for start in range(lo, hi, CHUNK):
            chunk = self.rows[start : min(start + CHUNK, hi)]
            found = self.kernel.expand(chunk, idle=False)
            same = np.flatnonzero((found.rows == self.rows[position]).all(axis=1))
            if len(same):
                return start + int(found.parents[same].min())
        raise Disagreement("no state of the level before leads here")

    def canonical(self, state: State) -> State:
        packing = self.kernel.packing
        return packing.unpack(self.kernel.canonical(packing.pack([state])))[0]


class Gathered(Packed):
    """The NumPy engine."""

    batch = CHUNK
    bytes_beside = 14  # 4 bytes a place, at most 60 % and at least 30 % of the places taken

    def __init__(self, kernel: Vector, orbits: Orbits | None, memory: int) -> None:
        super().__init__(kernel, orbits, memory)
        self.vector, self.table = kernel, StateTable(self.rows)
        self.table.add(self._first)

    @property
    def size(self) -> int:
        return self.table.size

    def _entered(self, size: int) -> None:
        self.table.refill(size)

    def advance(self, lo: int, hi: int) -> None:
        sink = self.vector.sink(self.rows[lo:hi], idle=False)
        self.tally.taken += sink.taken
        self.tally.cut += sink.cut
        self.tally.stuck += (lo + np.flatnonzero(~sink.alive & ~sink.failed)).tolist()
        self.tally.failed += (lo + np.flatnonzero(sink.failed)).tolist()
        found = self.vector.successors(sink)
        if self.size + len(found) > len(self.rows):
            raise Full
        self.table.add(found)


class Threaded(Packed):
    """The C engine."""

    batch = BATCH
    bytes_beside = 24  # 8 bytes a place, at most 70 % and at least 35 % of the places taken

    def __init__(self, kernel: Native, orbits: Orbits | None, memory: int) -> None:
        super().__init__(kernel, orbits, memory)
        self.native = kernel
        self._size = 1
        self.rows[:1] = self._first
        places = 1 << 16
        while FULLEST * places < 2 * kernel.room():
            places *= 2
        if len(self.rows) < 2 * kernel.room():
            self.rows = np.empty((2 * kernel.room(), kernel.packing.words), np.uint64)
            self.rows[:1] = self._first
        self._index(places)

    @property
    def size(self) -> int:
        return self._size

    def _entered(self, size: int) -> None:
        self._size = size
        places = len(self._table)
        while FULLEST * places < size + 2 * self.native.room():
            places *= 2
        self._index(places)

    def _index(self, places: int) -> None:
        """A table of that many places for all states; the old one is let go first."""
        self._table = np.zeros(0, np.uint64)
        self._table = np.zeros(places, np.uint64)
        self.native.index(self.rows, self._size, self._table)

    def advance(self, lo: int, hi: int) -> None:
        while lo < hi:
            lo, self._size = self.native.advance(self.rows, self._size, self._table, lo, hi, self.tally)
            if lo < hi:
                if len(self.rows) - self._size < self.native.room():
                    raise Full
                self._index(2 * len(self._table))

    def predecessor(self, position: int, lo: int, hi: int) -> int:
        found = self.native.predecessor(self.rows, lo, hi, self.rows[position])
        if found < 0:
            raise Disagreement("no state of the level before leads here")
        return found


def compiled(
    engine: str, run: Run, properties: list[Property], witnesses: list[Property], orbits: Orbits | None
) -> Vector | Native:
    """The kernel of a compiled engine; MissingTool where `native` finds no C compiler."""
    return (Vector if engine == "numpy" else Native)(run, properties, witnesses, orbits)


def states_of(
    engine: str,
    run: Run,
    properties: list[Property],
    witnesses: list[Property],
    *,
    symmetry: bool,
    memory: int | None,
) -> States:
    """The states of a search that begins: `engine` is "python", "numpy" or "native"; memory in bytes.

    MissingTool where `native` finds no C compiler.
    """
    if engine == "python":
        return Listed(run, properties, witnesses, symmetry=symmetry)
    orbits = Orbits.of(run, Packing(run)) if symmetry else None
    most = memory or available()
    kernel = compiled(engine, run, properties, witnesses, orbits)
    if isinstance(kernel, Vector):
        return Gathered(kernel, orbits, most)
    return Threaded(kernel, orbits, most)


def available() -> int:
    """The memory that may be taken, in bytes: four fifths of what is free."""
    name = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE") * 4 // 5
