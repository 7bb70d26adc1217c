"""Orbits: which packed state stands for all renamings of it, in NumPy and as tables for C.

A renaming moves the bits of a state, and changes the values of cells that hold an element of a set
sort. Both are data: `moves` (all bits that travel equally far in one go) and `maps` (one table of
values). The state that stands for an orbit is the least image, not under all renamings, but under
those that bring the elements into the order of their signatures: what the state says of each element
in terms that do not depend on names. Ties apart that is one renaming, found by walking down a tree of
them. `orbits.c` reads the same tables and does the same.
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from hashlib import sha256
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from oneleader.language.sorts import base, is_set
from oneleader.language.symmetry import Renaming, renamings, why_fewer
from oneleader.readers.engines.packing import WORD, Packing, Rows
from oneleader.readers.run import Run

Words = npt.NDArray[np.uint64]
AT_ONCE = 1 << 15  # rows, which with what is made of them fit into a cache
TABLES = ("flags", "flags_end", "choices", "choices_end", "weights", "children", "child")
IMAGES = ("moves", "moves_at", "maps", "maps_at", "values")


class Tables(ctypes.Structure):
    """The fields of `Orbits` in orbits.c."""

    _fields_ = [
        ("slots", ctypes.c_uint64),
        ("leaf", ctypes.c_uint64),
        *((name, ctypes.c_void_p) for name in (*TABLES, *IMAGES)),
    ]


class Orbits:
    """The renamings of a model under a configuration, the identity first."""

    def __init__(self, run: Run, packing: Packing, group: list[Renaming]) -> None:
        self.run, self.packing, self.group, self.order = run, packing, group, len(group)
        self.why = why_fewer(run.model, run.configuration, group)
        moved = [s for s in run.configuration.elements if any(_moves(r, s) for r in group)]
        self.slots = [(s, e) for s in moved for e in range(len(run.configuration.elements[s]))]
        self.images = Images(run, packing, group)
        self.signatures = Signatures(run, packing, self.slots)
        self.tree = Tree([[r.values[s].index(e) for s, e in self.slots] for r in group], self.slots)

    @staticmethod
    def of(run: Run, packing: Packing) -> Orbits:
        """All renamings that keep the configuration's constants."""
        return Orbits(run, packing, renamings(run.model, run.configuration))

    @cached_property
    def _arrays(self) -> dict[str, Words]:
        return {**self.signatures.arrays, **self.tree.arrays, **self.images.arrays}

    def tables(self) -> Tables:
        """The tables for C; they live as long as this object."""
        pointers = (self._arrays[name].ctypes.data for name in (*TABLES, *IMAGES))
        return Tables(len(self.slots), self.tree.leaf, *pointers)

    def canonical(self, rows: Rows) -> Rows:
        """The row that stands for each row and its renamings."""
        if len(rows) > AT_ONCE:
            return np.concatenate(
                [self.canonical(rows[at : at + AT_ONCE]) for at in range(0, len(rows), AT_ONCE)]
            )
        least = np.full_like(rows, np.iinfo(np.uint64).max)
        for number, at in self.tree.ordering(self.signatures.of(rows)):
            image = self.images.renamed(rows[at], number)
            less = less_than(image, least[at])
            least[at[less]] = image[less]
        return least

    def least(self, rows: Rows) -> Rows:
        """The least of all images of each row: slower, and what people are told of."""
        least = rows
        for number in range(1, self.order):
            image = self.images.renamed(rows, number)
            least = np.where(less_than(image, least)[:, None], image, least)
        return least


def _moves(renaming: Renaming, sort: str) -> bool:
    return any(new != old for old, new in enumerate(renaming.values[sort][:-1]))


def less_than(x: Rows, y: Rows) -> npt.NDArray[np.bool_]:
    """Which rows of x come before those of y, words compared in order."""
    less = x[:, -1] < y[:, -1]
    for word in reversed(range(x.shape[1] - 1)):
        less = (x[:, word] < y[:, word]) | ((x[:, word] == y[:, word]) & less)
    return less


class Images:
    """What each renaming does to a row.

    moves   word, mask, distance to rotate to the left, word: shape (n, 4)
    maps    word, shift, mask, word, shift, first of its entries in `values`: shape (n, 6)
    """

    def __init__(self, run: Run, packing: Packing, group: list[Renaming]) -> None:
        self.run, self.packing = run, packing
        self._at = {(f.name, key): packing.places[i] for i, (f, key) in enumerate(run.cells.keys)}
        self._moves: list[list[int]] = []
        self._maps: list[list[int]] = []
        self._values: dict[tuple[int, ...], int] = {}  # each table once, and where it begins
        moves_at, maps_at = [0], [0]
        for renaming in group:
            self._add(renaming)
            moves_at.append(len(self._moves))
            maps_at.append(len(self._maps))
        self.arrays = {
            "moves": np.array(self._moves, np.uint64).reshape(-1, 4),
            "maps": np.array(self._maps, np.uint64).reshape(-1, 6),
            "values": np.array([v for table in self._values for v in table] or [0], np.uint64),
            "moves_at": np.array(moves_at, np.uint64),
            "maps_at": np.array(maps_at, np.uint64),
        }

    def _add(self, renaming: Renaming) -> None:
        """What one renaming does to each cell."""
        masks: defaultdict[tuple[int, int, int], int] = defaultdict(int)
        for (f, key), place in zip(self.run.cells.keys, self.packing.places, strict=True):
            to = self._at[f.name, renaming.index(f, key)]
            if is_set(base(f.of)):
                table = renaming.values[base(f.of).__name__]  # NIL, the last entry, stays itself
                codes = range(len(table) - 1 + place.offset)
                values = tuple(table[code - place.offset] + place.offset for code in codes)
                first = self._values.setdefault(values, sum(map(len, self._values)))
                self._maps.append([place.word, place.shift, place.mask, to.word, to.shift, first])
            else:
                masks[place.word, (to.shift - place.shift) % WORD, to.word] |= place.mask << place.shift
        self._moves += [[word, mask, distance, to] for (word, distance, to), mask in masks.items()]

    def renamed(self, rows: Rows, number: int) -> Rows:
        """The image of each row under one renaming."""
        image = np.zeros_like(rows)
        a = self.arrays
        for word, mask, distance, to in a["moves"][a["moves_at"][number] : a["moves_at"][number + 1]]:
            bits = rows[:, int(word)] & mask
            if distance:
                bits = bits << distance | bits >> np.uint64(WORD) - distance
            image[:, int(to)] |= bits
        for word, shift, mask, to, at, first in a["maps"][a["maps_at"][number] : a["maps_at"][number + 1]]:
            code = rows[:, int(word)] >> shift & mask
            image[:, int(to)] |= a["values"][(first + code).astype(np.int64)] << at
        return image


class Signatures:
    """What a row says of each element, by sums that do not depend on what the others are called.

    A bit of a cell counts towards each element in its index, with a weight that depends on the field,
    the bit, where in the index the element stands, and the index without names. A cell that holds an
    element counts towards the elements in its index and the one that it holds.

    flags    slot, word, mask, weight of each bit there: shape (n, 4)
    choices  slot, word, shift, mask, first of its entries in `weights`: shape (n, 5)
    """

    def __init__(self, run: Run, packing: Packing, slots: list[tuple[str, int]]) -> None:
        self._slot = {slot: number for number, slot in enumerate(slots)}
        flags: defaultdict[tuple[int, int, int], int] = defaultdict(int)
        choices: list[list[int]] = []
        weights: list[int] = []
        for (f, key), place in zip(run.cells.keys, packing.places, strict=True):
            index = [(s.__name__, k) for s, k in zip(f.index, key, strict=True)]
            if is_set(base(f.of)):
                size = run.configuration.size(base(f.of))
                held = [(base(f.of).__name__, code - place.offset) for code in range(size + place.offset)]
                for slot in {*index, *held} & self._slot.keys():
                    choices.append([self._slot[slot], place.word, place.shift, place.mask, len(weights)])
                    weights += [self._weight(f.name, slot, [*index, value]) for value in held]
                continue
            for slot in {*index} & self._slot.keys():
                for bit in range(place.width):
                    weight = self._weight(f.name, slot, [*index, bit])
                    flags[self._slot[slot], place.word, weight] |= 1 << place.shift + bit
        self.arrays = {
            "flags": np.array([[s, w, m, x] for (s, w, x), m in flags.items()], np.uint64).reshape(-1, 4),
            "choices": np.array(choices, np.uint64).reshape(-1, 5),
            "weights": np.array(weights or [0], np.uint64),
        }
        for name in ("flags", "choices"):
            self.arrays[f"{name}_end"] = np.array([len(self.arrays[name])], np.uint64)

    def _weight(self, field: str, slot: tuple[str, int], told: list[Any]) -> int:
        """A number for what is told of this element, all other names left out."""
        blind = [
            "me" if part == slot else part[0] if part in self._slot else part
            for part in (p if isinstance(p, tuple) else ("", p) for p in told)
        ]
        return int.from_bytes(sha256(repr((field, blind)).encode()).digest()[:8], "big") | 1

    def of(self, rows: Rows) -> Words:
        """The signatures of each row's elements, shape (rows, slots). By columns: each is in one piece."""
        words = np.ascontiguousarray(rows.T)
        found = np.zeros((len(self._slot), len(rows)), np.uint64)
        for slot, word, mask, weight in self.arrays["flags"]:
            found[int(slot)] += np.bitwise_count(words[int(word)] & mask) * weight
        for slot, word, shift, mask, first in self.arrays["choices"]:
            code = words[int(word)] >> shift & mask
            found[int(slot)] += self.arrays["weights"][(first + code).astype(np.int64)]
        return found.T


class Tree:
    """The renamings by the elements that they bring to each place, one place after the other.

    child     element (a slot) and node: shape (n, 2); nodes from `leaf` on are renamings
    children  where those of each node begin
    """

    def __init__(self, brought: list[list[int]], slots: list[tuple[str, int]]) -> None:
        number = {slot: i for i, slot in enumerate(slots)}
        paths = sorted(
            ([number[slots[i][0], e] for i, e in enumerate(path)], g) for g, path in enumerate(brought)
        )
        self._nodes: list[list[tuple[int, int]]] = []  # children; a renaming g is written ~g for now
        self._grow(paths, 0)
        self.leaf = len(self._nodes)
        rows = [
            (slot, self.leaf + ~node if node < 0 else node) for node_ in self._nodes for slot, node in node_
        ]
        ends = np.cumsum([0, *map(len, self._nodes)])
        self.arrays = {
            "child": np.array(rows, np.uint64).reshape(-1, 2),
            "children": ends.astype(np.uint64),
        }

    def _grow(self, paths: list[tuple[list[int], int]], depth: int) -> int:
        """The node below which these renamings hang, which agree on the first `depth` places."""
        if len(paths) == 1:
            return ~paths[0][1]
        branches = [list(some) for _, some in groupby(paths, key=lambda path: path[0][depth])]
        if len(branches) == 1:
            return self._grow(paths, depth + 1)
        node = len(self._nodes)
        self._nodes.append([])
        self._nodes[node] = [(some[0][0][depth], self._grow(some, depth + 1)) for some in branches]
        return node

    def ordering(self, signatures: Words) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Renamings that bring the elements of some rows into the order of their signatures, and the rows."""
        left = [(0, np.arange(len(signatures)))]
        while left:
            node, at = left.pop()
            if node >= self.leaf:
                yield node - self.leaf, at
                continue
            first, end = self.arrays["children"][node : node + 2]
            children = self.arrays["child"][int(first) : int(end)]
            here = signatures[at][:, children[:, 0].astype(np.int64)]
            least = here == here.min(axis=1)[:, None]
            for (_, child), chosen in zip(children.tolist(), least.T, strict=True):
                if chosen.any():
                    left.append((child, at[chosen]))
