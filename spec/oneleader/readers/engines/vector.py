"""The NumPy engine: every instance of an action over a whole chunk of states at a time.

Guards are printed as operations on columns, one entry a state; the effects only touch the states in
which a guard holds. It needs no compiler, and keeps little more in memory than the states themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from oneleader.language.definitions import Property
from oneleader.readers.engines.ground import Ground, GroundStep
from oneleader.readers.engines.kernel import Expanded, Numbers, Truths, clashing
from oneleader.readers.engines.orbits import Orbits
from oneleader.readers.engines.packing import CellPlace, Packing, Rows
from oneleader.readers.engines.terms import GroundTerm
from oneleader.readers.run import Run

SMALL = 127  # values from -SMALL to this stand in columns of one byte each
NARROW, WIDE = "np.int8", "np.int64"  # terms.py refuses what does not fit into the wide one


class Columns:
    """Prints terms as columns of NumPy, in one scope: of all states of a chunk, or of some.

    An inner scope is over the states `m` of the outer one: what that has printed is taken from there.
    """

    def __init__(self, places: Sequence[CellPlace], lines: list[str], outer: Columns | None = None) -> None:
        self.places, self.lines, self.outer = places, lines, outer
        self.prefix, self.word = ("r", "b") if outer else ("c", "w")
        self._named: dict[int, str] = {}

    def name(self, term: GroundTerm) -> str:
        """The column of a term, or the literal of one that is known."""
        if term.known is not None:
            return repr(bool(term.known) if term.truth else term.known)
        if term.serial not in self._named:
            name = f"{self.prefix}{term.serial}"
            if self.outer and term.serial in self.outer._named:
                text = f"{self.outer._named[term.serial]}[m]"
            else:
                text = getattr(self, f"_{term.op}")(term)
            self.lines.append(f"{name} = {text}")
            self._named[term.serial] = name
        return self._named[term.serial]

    def _cell(self, term: GroundTerm) -> str:
        place, word = self.places[term.args[0]], f"{self.word}{self.places[term.args[0]].word}"
        if term.truth:
            return f"({word} & u({1 << place.shift})) != 0"
        code = f"({word} >> u({place.shift}) & u({place.mask}))"
        if place.offset:  # the code may be SMALL + 1: subtract before the column is made narrow
            code = f"({code}.astype({WIDE}) - {place.offset})"
        return f"{code}.astype({kind(term)})"

    def _eq(self, term: GroundTerm) -> str:
        return " == ".join(map(self.name, term.args))

    def _le(self, term: GroundTerm) -> str:
        return " <= ".join(map(self.name, term.args))

    def _and(self, term: GroundTerm) -> str:
        return " & ".join(map(self.name, term.args))

    def _or(self, term: GroundTerm) -> str:
        return " | ".join(map(self.name, term.args))

    def _not(self, term: GroundTerm) -> str:
        return f"~{self.name(term.args[0])}"

    def _add(self, term: GroundTerm) -> str:
        return " + ".join(self._as(x, kind(term)) for x in term.args)

    def _count(self, term: GroundTerm) -> str:
        return " + ".join(self._as(x, kind(term)) for x in term.args)

    def _ite(self, term: GroundTerm) -> str:
        condition, x, y = term.args
        return f"np.where({self.name(condition)}, {self._as(x, kind(term))}, {self._as(y, kind(term))})"

    def _pick(self, term: GroundTerm) -> str:
        index, *options = term.args
        text = self._as(options[-1], kind(term))
        for number, option in reversed(list(enumerate(options[:-1]))):
            text = f"np.where({self.name(index)} == {number}, {self._as(option, kind(term))}, {text})"
        return text

    def _as(self, term: GroundTerm, wanted: str) -> str:
        """The column or literal with elements of that type."""
        name = self.name(term)
        if term.known is not None:
            return f"{wanted}({name})"
        return name if kind(term) == wanted else f"{name}.astype({wanted})"


def kind(term: GroundTerm) -> str:
    """The type of a column's elements."""
    return "np.bool_" if term.truth else NARROW if term.least >= -SMALL and term.most <= SMALL else WIDE


def written(effects: Iterable[tuple[CellPlace, GroundTerm]], columns: Columns, word: int) -> str:
    """One word after a step: what stays, the constants, and each new value at its place."""
    kept, constant, parts = (1 << 64) - 1, 0, []
    for place, term in effects:
        kept &= ~(place.mask << place.shift)
        if term.known is not None:
            constant |= term.known + place.offset << place.shift
            continue
        value = columns.name(term)
        if place.offset:  # SMALL + 1 would wrap in a narrow column
            value = f"({value}.astype({WIDE}) + {place.offset})"
        parts.append(f"({value}.astype(u) << u({place.shift}))")
    return " | ".join([f"b{word} & u({kept})", *([f"u({constant})"] if constant else []), *parts])


class Sink:
    """Takes what the printed code finds in one chunk."""

    def __init__(self, states: int, steps: int) -> None:
        self.alive, self.failed = np.zeros(states, np.bool_), np.zeros(states, np.bool_)
        self.cut = np.zeros(steps, np.int64)
        self.taken = np.zeros(steps, np.int64)
        self.clashes: list[int] = []
        self.found: list[tuple[int, Numbers, list[Any]]] = []


class Vector:
    """A model under a configuration as NumPy functions: a `Kernel`. States come in chunks of any size."""

    def __init__(
        self,
        run: Run,
        properties: Sequence[Property] = (),
        witnesses: Sequence[Property] = (),
        orbits: Orbits | None = None,
    ) -> None:
        self.run, self.ground, self.packing = run, Ground(run), Packing(run)
        self.properties, self.witnesses = list(properties), list(witnesses)
        self.orbits = orbits

    # -- printing ---------------------------------------------------------------------------------
    def _build(self, name: str, lines: Iterable[str]) -> Callable[..., Any]:
        source = "\n".join([f"def {name}(S, sink, idle):", *(f" {line}" for line in lines), " return sink"])
        names: dict[str, Any] = {"np": np, "u": np.uint64}
        exec(compile(source, f"<{self.run.model.name}.{name}>", "exec"), names)
        return names[name]  # type: ignore[no-any-return]

    def _loading(self) -> list[str]:
        return [f"w{i} = S[{i}]" for i in range(self.packing.words)]

    @cached_property
    def _expand(self) -> Callable[..., Sink]:
        lines = self._loading()
        columns = Columns(self.packing.places, lines)
        for number, step in enumerate(self.ground.steps):
            self._step(number, step, columns, lines)
        return self._build("expand", lines)

    def _step(self, number: int, step: GroundStep, columns: Columns, lines: list[str]) -> None:
        """One instance: its guard over the whole chunk, the rest where that holds."""
        always = step.guard.known is not None
        lines.append(f"g = {'np.ones(len(w0), np.bool_)' if always else columns.name(step.guard)}")
        lines.append("sink.alive |= g")
        terms = self.ground.terms
        if step.claims is not terms.true:
            lines += [f"sink.failed |= g & {columns.name(terms.no(step.claims))}"]
        if step.cut is not terms.false:
            lines.append(f"sink.cut[{number}] += np.count_nonzero(g & {columns.name(step.cut)})")
            lines.append(f"g = g & {columns.name(terms.no(step.cut))}")
        if step.clash is not terms.false:
            lines.append(f"if (g & {columns.name(step.clash)}).any(): sink.clashes.append({number})")
        lines += ["m = np.flatnonzero(g)", f"sink.taken[{number}] += len(m)", "if len(m):"]
        lines += [f" {line}" for line in self._effects(number, step, columns)]

    def _effects(self, number: int, step: GroundStep, columns: Columns) -> list[str]:
        lines = [f"b{i} = w{i}[m]" for i in range(self.packing.words)]
        inner = Columns(self.packing.places, lines, columns)
        changed: dict[int, list[tuple[CellPlace, GroundTerm]]] = {}
        for cell, term in step.effects:
            place = self.packing.places[cell]
            changed.setdefault(place.word, []).append((place, term))
        after = [f"b{i}" for i in range(self.packing.words)]
        for word, effects in changed.items():
            lines.append(f"n{word} = {written(effects, inner, word)}")
            after[word] = f"n{word}"
        moved = " | ".join(f"(n{word} != b{word})" for word in changed) or "np.zeros(len(m), np.bool_)"
        found = ", ".join(f"{a}[k]" for a in after)
        return [
            *lines,
            f"k = slice(None) if idle else np.flatnonzero({moved})",
            f"sink.found.append(({number}, m[k], [{found}]))",
        ]

    @cached_property
    def _judge(self) -> Callable[..., Numbers]:
        """The position of the first broken property of each state."""
        lines = [*self._loading(), "sink = np.full(len(w0), -1)"]
        columns = Columns(self.packing.places, lines)
        for number, prop in reversed(list(enumerate(self.properties))):
            broken = self.ground.terms.no(self.ground.property(prop))
            lines.append(f"sink[np.broadcast_to({columns.name(broken)}, sink.shape)] = {number}")
        return self._build("judge", lines)

    @cached_property
    def _see(self) -> Callable[..., Truths]:
        lines = [*self._loading(), f"sink = np.zeros((len(w0), {len(self.witnesses)}), np.bool_)"]
        columns = Columns(self.packing.places, lines)
        for number, witness in enumerate(self.witnesses):
            lines.append(f"sink[:, {number}] = {columns.name(self.ground.property(witness))}")
        return self._build("see", lines)

    # -- the kernel -------------------------------------------------------------------------------
    def expand(self, rows: Rows, *, idle: bool = True) -> Expanded:
        """Every step from these states, as `Kernel` says."""
        sink = self.sink(rows, idle=idle)
        parents = np.concatenate([m for _, m, _ in sink.found] or [np.zeros(0, np.int64)])
        steps = np.repeat([n for n, _, _ in sink.found], [len(m) for _, m, _ in sink.found]).astype(np.int64)
        order = np.argsort(parents, kind="stable")
        found = self.successors(sink)[order]
        return Expanded(found, parents[order], steps[order], sink.taken, sink.cut, ~sink.alive, sink.failed)

    def sink(self, rows: Rows, *, idle: bool) -> Sink:
        """What the printed code finds; SpecError where a step writes one cell twice."""
        sink = Sink(len(rows), len(self.ground.steps))
        self._expand(np.ascontiguousarray(rows.T), sink, idle)
        if sink.clashes:
            raise clashing(self.ground, sink.clashes[0])
        return sink

    def successors(self, sink: Sink) -> Rows:
        """The states found, in the order of `sink.found`."""
        rows = np.empty((sum(len(m) for _, m, _ in sink.found), self.packing.words), np.uint64)
        for word in range(self.packing.words):
            np.concatenate([words[word] for _, _, words in sink.found] or [rows[:, word]], out=rows[:, word])
        return self.canonical(rows)

    def canonical(self, rows: Rows) -> Rows:
        """The states that stand for these and their renamings."""
        return self.orbits.canonical(rows) if self.orbits else rows

    def broken(self, rows: Rows) -> Numbers:
        """For each state the position of the first property that is false in it, -1 for none."""
        return self._judge(np.ascontiguousarray(rows.T), None, True)

    def reached(self, rows: Rows) -> Truths:
        """Which witnesses are true in which state."""
        return self._see(np.ascontiguousarray(rows.T), None, True)
