"""One state at a time: the terms printed as plain Python over a flat tuple of cells.

For readers that look at each step as they go (walks, refinement, conformance, graphs): some thirty
times faster than the plain interpreter, and its states are the same tuples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from oneleader.errors import SpecError
from oneleader.language.definitions import Property
from oneleader.readers.engines.ground import Ground, GroundStep
from oneleader.readers.engines.kernel import clashing
from oneleader.readers.engines.terms import GroundTerm, shared
from oneleader.readers.run import ClaimFailed, Run, State

SIGNS = {"eq": " == ", "le": " <= ", "add": " + ", "count": " + ", "and": " and ", "or": " or "}


class PythonPrinter:
    """Prints terms as Python over `c`; what has been given a name is called by it."""

    def __init__(self) -> None:
        self.named: set[int] = set()

    def share(self, roots: Iterable[GroundTerm]) -> Iterator[str]:
        """Definitions of what these terms use more than once."""
        for term in shared(roots, lambda term: bool(term.parts) and term.serial not in self.named):
            yield f"x{term.serial} = {self.text(term)}"
            self.named.add(term.serial)

    def text(self, term: GroundTerm) -> str:
        """A term as an expression."""
        if term.serial in self.named:
            return f"x{term.serial}"
        if term.op == "const":
            return repr(term.args[0])
        if term.op == "cell":
            return f"c[{term.args[0]}]"
        if term.op in SIGNS:
            return f"({SIGNS[term.op].join(map(self.text, term.parts))})"
        parts = [self.text(part) for part in term.parts]
        if term.op == "not":
            return f"(not {parts[0]})"
        if term.op == "ite":
            return f"({parts[1]} if {parts[0]} else {parts[2]})"
        return self._pick(term, *parts)

    def _pick(self, term: GroundTerm, index: str, *options: str) -> str:
        last = len(options) - 1
        at = index if term.parts[0].most <= last else f"min({index}, {last})"
        cells = [option.args[0] for option in term.parts[1:] if option.op == "cell"]
        if len(cells) == len(options) and cells == [*range(cells[0], cells[0] + len(cells))]:
            return f"c[{cells[0]} + {at}]"
        return f"({', '.join(options)})[{at}]"


class Scalar:
    """A model under a configuration, printed as Python."""

    def __init__(self, run: Run) -> None:
        self.run, self.ground = run, Ground(run)
        self._names: dict[str, Any] = {"ClaimFailed": ClaimFailed, "clashing": self._clashing}

    def _clashing(self, number: int) -> SpecError:
        return clashing(self.ground, number)

    def _build(self, name: str, lines: Iterable[str]) -> Any:
        source = "\n    ".join([f"def {name}(c):", *lines])
        exec(compile(source, f"<{self.run.model.name}.{name}>", "exec"), self._names)
        return self._names[name]

    @cached_property
    def successors(self) -> Callable[[State], list[tuple[int, State | None]]]:
        """The steps of a state: (position of the instance, state after it, None where it is cut).

        ClaimFailed, with the position, where a claim is false; SpecError where a cell is written twice.
        """
        steps = (line for number, step in enumerate(self.ground.steps) for line in self._step(number, step))
        made: Callable[[State], list[tuple[int, State | None]]] = self._build(
            "successors", ["steps = []", "add = steps.append", *steps, "return steps"]
        )
        return made

    def _step(self, number: int, step: GroundStep) -> Iterator[str]:
        printer, terms = PythonPrinter(), self.ground.terms
        yield from printer.share([step.guard])
        yield f"if {printer.text(step.guard)}:"
        inner = printer.share([step.claims, step.cut, step.clash, *(value for _, value in step.effects)])
        yield from (f" {line}" for line in inner)
        if step.claims is not terms.true:
            yield f" if not {printer.text(step.claims)}: raise ClaimFailed({step.position})"
        if step.cut is not terms.false:
            yield f" if {printer.text(step.cut)}: add(({step.position}, None))"
            yield " else:"
        else:
            yield " if True:"
        if step.clash is not terms.false:
            yield f"  if {printer.text(step.clash)}: raise clashing({number})"
        yield "  n = list(c)"
        yield from (f"  n[{cell}] = {printer.text(value)}" for cell, value in step.effects)
        yield f"  add(({step.position}, tuple(n)))"

    def broken(self, properties: Sequence[Property]) -> Callable[[State], Property | None]:
        """A function that finds the first of these properties that is false in a state."""
        lines = []
        for number, prop in enumerate(properties):
            printer, holds = PythonPrinter(), self.ground.property(prop)
            lines += [*printer.share([holds]), f"if not {printer.text(holds)}: return properties[{number}]"]
        self._names["properties"] = tuple(properties)
        made: Callable[[State], Property | None] = self._build("broken", [*lines, "return None"])
        return made

    def reached(self, witness: Property) -> Callable[[State], bool]:
        """A function that says whether the witness is true in a state."""
        printer, some = PythonPrinter(), self.ground.property(witness)
        made: Callable[[State], bool] = self._build(
            "reached", [*printer.share([some]), f"return {printer.text(some)}"]
        )
        return made
