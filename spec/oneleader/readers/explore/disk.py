"""States beyond memory: a search whose states are files, for either compiled engine.

What the steps from a level lead to is set aside in parts, by hash; at the end of the level each part
is compared with the states known in it (Stern and Dill 1998: delayed duplicate detection), one part
in memory at a time. After each level the folder says how far the search has come: however it ends, by
Ctrl-C, a full disk or a power cut, it goes on from that level where it is started again.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from oneleader.errors import UsageError
from oneleader.language.definitions import Property
from oneleader.readers.engines.kernel import Kernel
from oneleader.readers.engines.orbits import Orbits
from oneleader.readers.engines.packing import Packing, Rows
from oneleader.readers.engines.table import StateTable, mixed
from oneleader.readers.explore.checkpoint import SearchPlace, digest
from oneleader.readers.explore.states import CHUNK, Full, Packed, compiled
from oneleader.readers.run import Run

PARTS = 64
MOST_STATES = 1 << 40  # the length of a sparse file: what has not been written takes no room
MARGIN = 1 << 28  # bytes to be left free on the disk


class Stored(Packed):
    """The files of one search in a folder of its own, below the one given.

    rows       the states in order of discovery
    known-NN   the states of a part
    found-NN   what steps led to, not compared yet
    place      the end of the last complete level, and how long each known-NN was there
    """

    batch = CHUNK

    def __init__(
        self, kernel: Kernel, orbits: Orbits | None, folder: Path, properties: list[Property]
    ) -> None:
        self.key = digest(kernel.run, properties, orbits.order if orbits else 1)
        self.folder = folder / self.key[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        super().__init__(kernel, orbits, 0)
        row = 8 * kernel.packing.words
        file = self.folder / "rows"
        file.touch()
        try:
            os.truncate(file, MOST_STATES // row * row)
        except OSError:  # a file system that knows no file as long
            os.truncate(file, shutil.disk_usage(folder).total // row * row)
        self.rows = np.memmap(file, np.uint64, "r+").reshape(-1, kernel.packing.words)
        self.place, self._known = self._resumed()
        self._size = self.place.end if self.place else 0
        if self._counted(self._size) != self._known:
            raise UsageError(f"{file} is not what the search has left there: remove {self.folder}")
        if not self.place:
            self._set_aside(self._first)
            self.settle()

    def _resumed(self) -> tuple[SearchPlace | None, list[int]]:
        """The place of an earlier search; whatever is younger is dropped."""
        for file in self.folder.glob("found-*"):
            file.unlink()
        known = [0] * PARTS
        place: SearchPlace | None = None
        if (self.folder / "place").exists():
            try:
                told = json.loads((self.folder / "place").read_text(encoding="utf-8"))
                known, place = told["known"], SearchPlace(**told["place"])
            except (ValueError, KeyError, TypeError):
                raise UsageError(f"{self.folder}/place cannot be read: remove the folder") from None
        for part, length in enumerate(known):
            if self._file("known", part).exists():
                os.truncate(self._file("known", part), length * self._row)
        return place, known

    def _counted(self, end: int) -> list[int]:
        """How many of the states before `end` are of each part: as many as are known in it."""
        counts = np.zeros(PARTS, np.int64)
        for start in range(0, end, CHUNK):
            parts = _parts(np.asarray(self.rows[start : min(start + CHUNK, end)]))
            counts += np.bincount(parts.astype(np.int64), minlength=PARTS)
        return counts.tolist()

    @property
    def _row(self) -> int:
        """Bytes a state."""
        return 8 * self.kernel.packing.words

    def _file(self, kind: str, part: int) -> Path:
        return self.folder / f"{kind}-{part:02}"

    @property
    def size(self) -> int:
        return self._size

    def estimate(self) -> str:
        packing, free = self.kernel.packing, shutil.disk_usage(self.folder).free
        return (
            f"{packing.bits} bits a state, {2 * self._row} bytes on disk: {self.folder} has room for "
            f"{free // (2 * self._row):,} states in {free / 2**30:,.1f} GiB, less what a level leads to"
        )

    def advance(self, lo: int, hi: int) -> None:
        found = self.kernel.expand(np.asarray(self.rows[lo:hi]), idle=False)
        self.tally.taken += found.taken
        self.tally.cut += found.cut
        self.tally.stuck += (lo + np.flatnonzero(found.stuck & ~found.failed)).tolist()
        self.tally.failed += (lo + np.flatnonzero(found.failed)).tolist()
        once = StateTable(np.empty_like(found.rows))
        once.add(found.rows)
        self._set_aside(once.states[: once.size])

    def _set_aside(self, rows: Rows) -> None:
        """Append each row to its part, to be compared later. Full where the disk is."""
        if shutil.disk_usage(self.folder).free < rows.nbytes + MARGIN:
            raise Full
        parts = _parts(rows)
        order = np.argsort(parts, kind="stable")
        ends = np.searchsorted(parts[order], np.arange(PARTS + 1))
        for part in np.flatnonzero(np.diff(ends)).tolist():
            with self._file("found", part).open("ab") as file:
                rows[order[ends[part] : ends[part + 1]]].tofile(file)

    def settle(self) -> None:
        """Compare what was set aside with what is known, part by part, and keep what is new."""
        for part in range(PARTS):
            if self._file("found", part).exists():
                found = self._read("found", part)
                if shutil.disk_usage(self.folder).free < 2 * found.nbytes + MARGIN:
                    raise Full
                known = self._read("known", part) if self._known[part] else found[:0]
                table = StateTable(np.concatenate([known, np.empty_like(found)]))
                table.refill(len(known))
                table.add(found)
                new = table.states[len(known) : table.size]
                with self._file("known", part).open("ab") as file:
                    new.tofile(file)
                self.rows[self._size : self._size + len(new)] = new
                self._size += len(new)
                self._known[part] = table.size
                self._file("found", part).unlink()

    def _read(self, kind: str, part: int) -> Rows:
        return np.fromfile(self._file(kind, part), np.uint64).reshape(-1, self.kernel.packing.words)

    def keep(self, place: SearchPlace) -> None:
        """A level is complete: from here the search goes on if it ends."""
        self.rows.flush()  # type: ignore[attr-defined]
        beside = self.folder / "place.part"
        beside.write_text(json.dumps({"known": self._known, "place": asdict(place)}), encoding="utf-8")
        beside.replace(self.folder / "place")

    def close(self, *, over: bool) -> None:
        """Where the search is over nothing is kept."""
        if over:
            shutil.rmtree(self.folder)


def _parts(rows: Rows) -> npt.NDArray[np.uint64]:
    """The part of each row, by its hash."""
    return mixed(rows) >> np.uint64(64 - PARTS.bit_length() + 1)


def stored(
    engine: str,
    run: Run,
    properties: list[Property],
    witnesses: list[Property],
    folder: Path,
    *,
    symmetry: bool,
) -> Stored:
    """The states of a search on disk, that begins or goes on. UsageError for the engine python."""
    if engine == "python":
        raise UsageError("the engine python keeps its states in memory: use --engine numpy or native")
    orbits = Orbits.of(run, Packing(run)) if symmetry else None
    kernel = compiled(engine, run, properties, witnesses, orbits)
    return Stored(kernel, orbits, folder, [*properties, *witnesses])
