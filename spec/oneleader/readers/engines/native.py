"""The native engine: a model printed as C, compiled by the machine's own compiler, run by every core.

`native.c` searches, `program.py` prints the model, `compiling.py` compiles both.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from oneleader.errors import UsageError
from oneleader.language.definitions import Property
from oneleader.readers.engines.compiling import library
from oneleader.readers.engines.ground import Ground
from oneleader.readers.engines.kernel import Expanded, Numbers, Tally, Truths, clashing
from oneleader.readers.engines.orbits import Orbits
from oneleader.readers.engines.packing import Packing, Rows
from oneleader.readers.engines.program import Program
from oneleader.readers.run import Run

FULLEST = 0.7  # of the table: beyond it, probing takes long
MOST_STATES = 2**32 - 1  # an entry of the table has 32 bits for the number of a state
NONE = 2**64 - 1
Table = npt.NDArray[np.uint64]


# --------------------------------------------------------------------------------------------- running
class Job(ctypes.Structure):
    """One call: the fields of `Job` in native.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("rows", "table", "orbits", "taken", "cut", "target", "after")),
        *((name, ctypes.c_void_p) for name in ("parent", "step", "number", "truth", "lost")),
        *((name, ctypes.c_uint64) for name in ("mask", "limit", "next", "end", "size", "threads", "idle")),
        *((name, ctypes.c_uint64) for name in ("stuck", "failed", "clash", "found")),
    ]


class Native:
    """A model under a configuration as C: a `Kernel`, and the search itself, in every thread."""

    def __init__(
        self,
        run: Run,
        properties: Sequence[Property] = (),
        witnesses: Sequence[Property] = (),
        orbits: Orbits | None = None,
        *,
        threads: int | None = None,
        flags: Sequence[str] = (),
        also: Sequence[str] = (),
    ) -> None:
        self.run, self.ground, self.packing = run, Ground(run), Packing(run)
        self.witnesses = len(witnesses)
        self.orbits = orbits if orbits and orbits.order > 1 else None
        self.threads = threads or os.cpu_count() or 1
        program = Program(self.ground, self.packing, properties, witnesses)
        self.library = library(self._source(program, also), flags)
        try:
            self._functions = ctypes.CDLL(str(self.library))
        except OSError as error:
            raise UsageError(f"the compiled model cannot be loaded: {error}") from None
        self._tables = self.orbits.tables() if self.orbits else None

    def _source(self, program: Program, also: Sequence[str]) -> str:
        sizes = {"W": self.packing.words, "STEPS": len(self.ground.steps), "WITNESSES": self.witnesses}
        texts = [f"#define {name} {value}\n" for name, value in sizes.items()]
        if self.orbits:
            slots = f"#define MOST_SLOTS {len(self.orbits.slots)}\n"
            texts += ["#define SYMMETRY 1\n", slots, fixed("orbits.c")]
        return "".join([*texts, fixed("native.c"), *map(fixed, also), program.text()])

    def function(self, name: str) -> Any:
        """A function of the library."""
        return getattr(self._functions, name)

    def _call(self, name: str, rows: Rows, lo: int, hi: int, **fields: Any) -> Job:
        """Do one thing with each of rows[lo:hi]."""
        counts = Tally.of(self.ground)
        job = Job(limit=NONE, next=lo, end=hi, threads=self.threads)
        for field, value in {"rows": rows, "taken": counts.taken, "cut": counts.cut, **fields}.items():
            setattr(job, field, value.ctypes.data if isinstance(value, np.ndarray) else value)
        if self._tables is not None:
            job.orbits = ctypes.addressof(self._tables)
        if getattr(self._functions, name)(ctypes.byref(job)):
            raise MemoryError
        if job.clash != NONE:
            raise clashing(self.ground, job.clash)
        return job

    # -- searching --------------------------------------------------------------------------------
    def room(self) -> int:
        """How many free rows `advance` needs to get on, in `states` and within FULLEST of the table."""
        return int(self._functions.room(self.threads))

    def advance(
        self, states: Rows, size: int, table: Table, lo: int, hi: int, tally: Tally
    ) -> tuple[int, int]:
        """Expand states[lo:hi]; append what is new at states[size:] and index it in `table`.

        Returns how far it came and the new size. It stops short of `hi` where `room()` is no longer
        free: the caller makes room and calls again. Of the states that are stuck, and of those that
        fail, the least is told. A step that changes nothing is counted and leads nowhere.
        """
        if size + self.room() > MOST_STATES:
            raise UsageError(f"more than {MOST_STATES:,} states cannot be numbered: choose smaller bounds")
        limit = min(len(states), int(FULLEST * len(table)), MOST_STATES)
        fields = {"table": table, "mask": len(table) - 1, "limit": limit, "size": size}
        job = self._call("advance", states, lo, hi, taken=tally.taken, cut=tally.cut, **fields)
        tally.stuck += [job.stuck] if job.stuck != NONE else []
        tally.failed += [job.failed] if job.failed != NONE else []
        return min(job.next, hi), job.size

    def index(self, states: Rows, size: int, table: Table) -> None:
        """Enter states[:size], which are distinct, into an empty table."""
        self._call("enter_all", states, 0, size, table=table, mask=len(table) - 1)

    def predecessor(self, states: Rows, lo: int, hi: int, target: Rows) -> int:
        """The first of states[lo:hi] with a step to this row; -1 for none."""
        found = self._call("precede", states, lo, hi, target=np.ascontiguousarray(target)).found
        return -1 if found == NONE else int(found)

    # -- the kernel -------------------------------------------------------------------------------
    def expand(self, rows: Rows, *, idle: bool = True) -> Expanded:
        """Every step from these states, as `Kernel` says."""
        rows = np.ascontiguousarray(rows)
        number, lost = np.zeros(len(rows), np.int64), np.zeros((len(rows), 2), np.bool_)
        tally = Tally.of(self.ground)
        counted = {"number": number, "lost": lost, "taken": tally.taken, "cut": tally.cut, "idle": idle}
        self._call("count", rows, 0, len(rows), **counted)
        total, number = int(number.sum()), np.cumsum(number) - number
        after = np.empty((total, self.packing.words), np.uint64)
        parents, steps = np.empty(total, np.int64), np.empty(total, np.int64)
        found = {"after": after, "parent": parents, "step": steps, "number": number, "idle": idle}
        self._call("expand", rows, 0, len(rows), **found)
        order = np.lexsort((steps, parents))
        return Expanded(
            after[order], parents[order], steps[order], tally.taken, tally.cut, lost[:, 0], lost[:, 1]
        )

    def canonical(self, rows: Rows) -> Rows:
        """The states that stand for these and their renamings."""
        if not self.orbits:
            return rows
        rows = np.ascontiguousarray(rows)
        after = np.empty_like(rows)
        self._call("canonical", rows, 0, len(rows), after=after)
        return after

    def broken(self, rows: Rows) -> Numbers:
        """For each state the position of the first property that is false in it, -1 for none."""
        rows, number = np.ascontiguousarray(rows), np.empty(len(rows), np.int64)
        self._call("judge", rows, 0, len(rows), number=number)
        return number

    def reached(self, rows: Rows) -> Truths:
        """Which witnesses are true in which state."""
        rows, truth = np.ascontiguousarray(rows), np.empty((len(rows), self.witnesses), np.bool_)
        self._call("witness", rows, 0, len(rows), truth=truth)
        return truth


def fixed(name: str) -> str:
    """A file of C beside this one."""
    return files(__package__).joinpath(name).read_text()
