"""A model as C: the functions that `native.c` calls, printed from terms.

The compiler sees one function for many steps: those that share a condition are tested together, and
what several of them use is computed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from oneleader.language.definitions import Property
from oneleader.readers.engines.ground import Ground, GroundStep
from oneleader.readers.engines.packing import CellPlace, Packing
from oneleader.readers.engines.terms import GroundTerm, shared

A_FUNCTION = 200  # steps or conditions: compilers take more than twice as long for twice the function
SIGNS = {"eq": " == ", "le": " <= ", "add": " + ", "count": " + "}
ALL_BITS = 2**64 - 1


class CPrinter:
    """Prints terms as C, for one function or block: `w0`, `w1` ... are the words of the state.

    A test of some bits of a word against a constant costs the same for one cell and for many: `and` and
    `or` print one for each word.
    """

    def __init__(self, places: Sequence[CellPlace], named: Iterable[int] = ()) -> None:
        self.places, self.named = places, set(named)

    def share(self, roots: Iterable[GroundTerm]) -> Iterator[str]:
        """Definitions of what these terms use more than once."""
        for term in shared(roots, self._long):
            yield f"const i64 x{term.serial} = {self.text(term)};"
            self.named.add(term.serial)

    def _long(self, term: GroundTerm) -> bool:
        return bool(term.parts) and term.serial not in self.named and self._bits(term) is None

    def text(self, term: GroundTerm) -> str:
        """A term as an expression."""
        return f"x{term.serial}" if term.serial in self.named else f"({self._text(term)})"

    def all(self, parts: Iterable[GroundTerm]) -> str:
        """A condition: all of these."""
        return " && ".join(self._joined(parts, conjoined=True)) or "1"

    def _text(self, term: GroundTerm) -> str:
        bits = self._bits(term)
        if bits and term.op != "cell":
            return tested(*bits, "==")
        if term.op in SIGNS:
            return SIGNS[term.op].join(map(self.text, term.parts))
        return getattr(self, f"_{term.op}")(term)  # type: ignore[no-any-return]

    def _const(self, term: GroundTerm) -> str:
        """A sum of plain literals would be computed in an int of C, of 32 bits."""
        return f"{int(term.args[0])}LL"

    def _cell(self, term: GroundTerm) -> str:
        place = self.places[term.args[0]]
        value = f"(i64)(w{place.word} >> {place.shift} & {place.mask})"
        return f"{value} - {place.offset}" if place.offset else value

    def _and(self, term: GroundTerm) -> str:
        return " & ".join(self._joined(term.parts, conjoined=True))

    def _or(self, term: GroundTerm) -> str:
        return " | ".join(self._joined(term.parts, conjoined=False))

    def _not(self, term: GroundTerm) -> str:
        return f"!{self.text(term.parts[0])}"

    def _ite(self, term: GroundTerm) -> str:
        return "{} ? {} : {}".format(*map(self.text, term.parts))

    def _pick(self, term: GroundTerm) -> str:
        index, *options = map(self.text, term.parts)
        chosen = [f"{index} == {number} ? {option} : " for number, option in enumerate(options[:-1])]
        return "".join(chosen) + options[-1]

    def _joined(self, parts: Iterable[GroundTerm], *, conjoined: bool) -> list[str]:
        """The parts of an `and`, or those of an `or`: that not all of its bits are the other way round."""
        tests: dict[int, tuple[int, int]] = {}
        rest = []
        for part in parts:
            word, mask, value = self._bits(part) or (0, 0, 0)
            before, expected = tests.get(word, (0, 0))
            if mask & before or not (mask if conjoined else mask.bit_count() == 1):
                rest.append(self.text(part))
            else:
                tests[word] = before | mask, expected | (value if conjoined else value ^ mask)
        sign = "==" if conjoined else "!="
        return [f"({tested(word, *test, sign)})" for word, test in tests.items()] + rest

    def _bits(self, term: GroundTerm) -> tuple[int, int, int] | None:
        """The word, the mask and the value of a test of one cell against a constant."""
        inner = term.parts[0] if term.op in ("eq", "not") else term
        if inner.op != "cell" or not term.truth or (term.op == "eq" and term.parts[1].known is None):
            return None
        place = self.places[inner.args[0]]
        value = term.op != "not" if term.op != "eq" else term.parts[1].args[0] + place.offset
        return place.word, place.mask << place.shift, int(value) << place.shift


def tested(word: int, mask: int, value: int, sign: str) -> str:
    """A comparison of some bits of a word."""
    return f"(w{word} & {mask:#x}u) {sign} {value:#x}u"


class Case(NamedTuple):
    """A step with its number, and those conditions of its guard that are not tested yet."""

    number: int
    step: GroundStep
    guard: tuple[GroundTerm, ...]


class Program:
    """The functions of one model that `native.c` calls."""

    def __init__(
        self, ground: Ground, packing: Packing, properties: Sequence[Property], witnesses: Sequence[Property]
    ) -> None:
        self.ground, self.places, self.words = ground, packing.places, range(packing.words)
        self.properties = [ground.property(p) for p in properties]
        self.witnesses = [ground.property(w) for w in witnesses]

    def text(self) -> str:
        """All functions."""
        return "\n".join([*self._steps(), *self._first_false(), *self._witnessed(), ""])

    def _function(self, head: str, printer: CPrinter, terms: Iterable[GroundTerm]) -> Iterator[str]:
        """The head of a function, the words of the state, and what the terms share."""
        yield f"{head} {{"
        yield from (f"const u64 w{i} = s[{i}];" for i in self.words)
        yield from printer.share(terms)

    def _truth(self, name: str, terms: Sequence[GroundTerm]) -> Iterator[str]:
        """A function: whether all of these are true."""
        printer = CPrinter(self.places)
        yield from self._function(f"static int {name}(const u64 *s)", printer, terms)
        yield f"return {printer.all(terms)};\n}}"

    def _first_false(self) -> Iterator[str]:
        calls = []
        for number, term in enumerate(self.properties):
            parts = conditions(term)
            for start in range(0, len(parts), A_FUNCTION):
                name = f"property_{number}_{start}"
                yield from self._truth(name, parts[start : start + A_FUNCTION])
                calls.append(f"if (!{name}(s)) return {number};")
        yield "\n".join(["static i64 first_false(const u64 *s) {", *calls, "return -1;\n}"])

    def _witnessed(self) -> Iterator[str]:
        for number, term in enumerate(self.witnesses):
            yield from self._truth(f"witness_{number}", [term])
        yield "static void witnessed(const u64 *s, uint8_t *truth) {"
        yield from (f"truth[{number}] = witness_{number}(s);" for number in range(len(self.witnesses)))
        yield "}"

    # -- steps ------------------------------------------------------------------------------------
    def _steps(self) -> Iterator[str]:
        cases = [Case(n, step, conditions(step.guard)) for n, step in enumerate(self.ground.steps)]
        calls = []
        for number, some in enumerate(packed(grouped(cases).values(), A_FUNCTION)):
            printer = CPrinter(self.places)
            head = f"static u32 steps_{number}(Worker *k, const u64 *s, u64 *after, u32 n)"
            yield from self._function(head, printer, dict.fromkeys(t for case in some for t in case.guard))
            yield from self._branches(some, printer)
            yield "return n;\n}"
            calls.append(f"n = steps_{number}(k, s, after, n);")
        yield "static u32 steps(Worker *k, const u64 *s, u64 *after) {\nu32 n = 0;"
        yield from calls
        yield "return n;\n}"

    def _branches(self, cases: list[Case], printer: CPrinter) -> Iterator[str]:
        """The steps, those together that need the same: what most of them need is tested first."""
        for term, group in grouped(cases).items():
            if term is None or len(group) == 1:
                for case in group:
                    yield f"if ({printer.all(case.guard)}) {{"
                    yield from self._taken(case, printer)
                    yield "}"
            else:
                rest = [case._replace(guard=tuple(t for t in case.guard if t is not term)) for case in group]
                yield f"if ({printer.all([term])}) {{"
                yield from self._branches(rest, printer)
                yield "}"

    def _taken(self, case: Case, outer: CPrinter) -> Iterator[str]:
        """What a step does whose guard holds."""
        number, step, _ = case
        printer, terms = CPrinter(self.places, outer.named), self.ground.terms
        yield from printer.share([step.claims, step.cut, step.clash, *(value for _, value in step.effects)])
        if step.claims is not terms.true:
            yield f"if (!{printer.text(step.claims)}) FAIL;"
        if step.cut is not terms.false:
            yield f"if ({printer.text(step.cut)}) CUT({number}); else"
        if step.clash is not terms.false:
            yield f"if ({printer.text(step.clash)}) CLASH({number}); else"
        yield "{"
        yield f"u64 *t = after + n * W; k->step[n++] = {number};"
        yield from (f"t[{word}] = {self._word(word, step, printer)};" for word in self.words)
        yield "}"

    def _word(self, word: int, step: GroundStep, printer: CPrinter) -> str:
        """One word after a step: what stays, the constants, and each new value at its place."""
        kept, constant, parts = ALL_BITS, 0, []
        for cell, term in step.effects:
            place = self.places[cell]
            if place.word != word:
                continue
            kept &= ~(place.mask << place.shift)
            if term.known is None:
                value = f"{printer.text(term)} + {place.offset}" if place.offset else printer.text(term)
                parts.append(f"(u64)({value}) << {place.shift}")
            else:
                constant |= term.known + place.offset << place.shift
        stays = f"w{word}" if kept == ALL_BITS else f"(w{word} & {kept:#x}u)"
        return " | ".join([stays, *([f"{constant:#x}u"] if constant else []), *parts])


def conditions(term: GroundTerm) -> tuple[GroundTerm, ...]:
    """What must be true for this to be, one by one."""
    return term.parts if term.op == "and" else () if term.known else (term,)


def grouped(cases: Iterable[Case]) -> dict[GroundTerm | None, list[Case]]:
    """The steps by the condition of each that most steps share; None where it shares none."""
    cases = list(cases)
    uses = Counter(term for case in cases for term in case.guard)
    groups: dict[GroundTerm | None, list[Case]] = {}
    for case in cases:
        shared = [term for term in case.guard if uses[term] > 1]
        most = max(shared, key=lambda term: (uses[term], -term.serial), default=None)
        groups.setdefault(most, []).append(case)
    return groups


def packed(groups: Iterable[list[Case]], size: int) -> Iterator[list[Case]]:
    """The same steps in lists of at most that size, groups whole where possible."""
    some: list[Case] = []
    for group in groups:
        for start in range(0, len(group), size):
            part = group[start : start + size]
            if len(some) + len(part) > size:
                yield some
                some = []
            some += part
    if some:
        yield some
