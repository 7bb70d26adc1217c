"""smtlib: an obligation as SMT-LIB 2.6 text, for a prover that shares nothing with Z3.

No term, simplifier or printer of Z3 is involved: a fault in `smt.py` and one here would have to be the
same fault. What both share is what comes before: tracing, `obligations.py`, `meaning` and `after`.

| in the language  | here                                                    |
|------------------|---------------------------------------------------------|
| a set sort       | `declare-sort`                                          |
| a number, a time | Int, Real; quantified over those >= 0                   |
| an IntEnum       | a datatype without parts                                |
| Option[X]        | a datatype: nil, some(value of X)                       |
| a field          | `declare-fun`                                           |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from oneleader.errors import Inexpressible
from oneleader.language.fields import Field
from oneleader.language.sorts import (
    NIL,
    AnySort,
    EachSort,
    LongAgo,
    OptionSort,
    base,
    is_enum,
    is_number,
    is_set,
    is_time,
    name_of,
)
from oneleader.language.trace import TracedProperty
from oneleader.readers.prove.algebra import SymbolicState, meaning
from oneleader.readers.prove.obligations import Obligation
from oneleader.readers.prove.question import Question


def script(obligation: Obligation, names: Iterable[str] | None = None) -> str:
    """The negated obligation, assuming only the hypotheses in `names` if given: `unsat` proves it.

    A hypothesis that is not expressible is left out: assuming less is sound.
    """
    text = SmtLib()
    question = Question(obligation, text)
    known = []
    for name, hypothesis_of in question.hypotheses.items():
        if names is None or name in names:
            with suppress(Inexpressible):
                known.append(hypothesis_of())
    return text.script([*known, *text.options_are_exhausted(), question.negated, *question.parameters])


class SmtLib:
    """An algebra whose terms are text."""

    def __init__(self) -> None:
        self._sorts: dict[AnySort, str] = {}
        self._declared: dict[str, str] = {}  # in the order in which they have to stand
        self._optional: dict[str, tuple[tuple[AnySort, ...], OptionSort]] = {}
        self._bound = 0

    def script(self, assertions: Iterable[str]) -> str:
        """Declarations, assertions and the question."""
        asserted = [f"(assert {text})" for text in assertions]
        return "\n".join(["(set-logic ALL)", *self._declared.values(), *asserted, "(check-sat)", ""])

    # -- sorts, constants, states ------------------------------------------------------------
    def sort(self, sort: AnySort) -> str:
        if sort not in self._sorts:
            self._sorts[sort] = self._make(sort)
        return self._sorts[sort]

    def _make(self, sort: AnySort) -> str:
        if sort is bool:
            return "Bool"
        if is_number(sort) or sort is int:
            return "Int"
        if is_time(sort):
            return "Real"
        name = name_of(sort)
        if is_set(sort):
            self._declared[f"sort {name}"] = f"(declare-sort |{name}| 0)"
        else:
            parts = self._members(sort) if is_enum(sort) else self._option(sort)
            self._declared[f"sort {name}"] = f"(declare-datatypes ((|{name}| 0)) (({parts})))"
        return f"|{name}|"

    def _members(self, sort: AnySort) -> str:
        return " ".join(f"(|{name_of(sort)}.{member.name}|)" for member in sort)

    def _option(self, sort: OptionSort) -> str:
        name = name_of(sort)
        return f"(|{name}.nil|) (|{name}.some| (|{name}.value| {self.sort(sort.of)}))"

    def _function(self, name: str, index: tuple[AnySort, ...], of: AnySort) -> Callable[..., str]:
        sorts = " ".join(map(self.sort, index))
        self._declared[f"function {name}"] = f"(declare-fun |{name}| ({sorts}) {self.sort(of)})"
        if isinstance(of, OptionSort):
            self._optional[name] = index, of
        return lambda *args: f"(|{name}| {' '.join(args)})" if args else f"|{name}|"

    def constant(self, name: str, sort: AnySort) -> Any:
        if isinstance(sort, EachSort):
            return self._function(name, (sort.index,), sort.of)
        return self._function(name, (), sort)()

    def state(self, fields: Mapping[str, Field]) -> SymbolicState:
        """A state of which nothing is known."""
        return {name: self._function(f.name, f.index, f.of) for name, f in fields.items()}

    def initial(self, fields: Mapping[str, Field]) -> SymbolicState:
        """The first state: constants are unknown, everything else is as declared."""
        fixed = self.state({name: f for name, f in fields.items() if f.fixed})
        return {name: fixed[name] if f.fixed else self._always(f) for name, f in fields.items()}

    def _always(self, f: Field) -> Callable[..., str]:
        value = self.literal(f.init, f.of)
        return lambda *index: value

    def options_are_exhausted(self) -> list[str]:
        """Tautologies: each optional field is nil, or some of its value.

        cvc5 instantiates with terms that it sees; without these it finds models whose values lie outside
        of a sort's universe, and says `sat`.
        """
        return [
            self._for_all(index, lambda *at, name=name, of=of: self._nil_or_some(name, of, at))
            for name, (index, of) in self._optional.items()
        ]

    def _nil_or_some(self, name: str, of: OptionSort, at: tuple[str, ...]) -> str:
        option, x = name_of(of), f"(|{name}| {' '.join(at)})" if at else f"|{name}|"
        return f"(or (= {x} |{option}.nil|) (= {x} (|{option}.some| (|{option}.value| {x}))))"

    # -- naturals ----------------------------------------------------------------------------
    def natural(self, x: Any, sort: AnySort) -> str | None:
        """`x >= 0` where the sort is one of numbers or times. None: there is nothing to say."""
        if isinstance(sort, EachSort):
            return self._for_all((sort.index,), lambda at: f"(>= {x(at)} 0.0)")
        if not (is_number(base(sort)) or is_time(sort)):
            return None
        if isinstance(sort, OptionSort):
            option = name_of(sort)
            return f"(or (= {x} |{option}.nil|) (>= (|{option}.value| {x}) 0))"
        return f"(>= {x} {'0.0' if is_time(sort) else '0'})"

    def field_is_natural(self, f: Field, state: SymbolicState) -> str:
        """Every value of the field is >= 0; of a parameter, and it was not LONG_AGO."""
        if f.kind == "parameter":
            return f"(and (>= {state[f.name]()} 0.0) (<= {state[f.name]()} {self._long_ago(f.of)}))"
        return self._for_all(f.index, lambda *at: self.natural(state[f.name](*at), f.of) or "true")

    # -- quantifiers -------------------------------------------------------------------------
    def _for_all(self, sorts: tuple[AnySort, ...], body: Callable[..., str], kind: str = "forall") -> str:
        """Quantified over naturals where the sort is one of numbers. A new name for each variable."""
        names = [f"|{name_of(sort)}!{self._bound + i}|" for i, sort in enumerate(sorts)]
        self._bound += len(names)
        inner = body(*names)
        naturals = [n for n in map(self.natural, names, sorts) if n is not None]
        if naturals:
            sign = "=>" if kind == "forall" else "and"
            inner = f"({sign} {self.both(*naturals)} {inner})"
        variables = " ".join(f"({name} {self.sort(sort)})" for name, sort in zip(names, sorts, strict=True))
        return f"({kind} ({variables}) {inner})" if names else inner

    def closed(self, prop: TracedProperty, state: SymbolicState) -> str:
        """The property, for all values of its parameters."""
        params = [p.args[0] for p in prop.params]
        return self._for_all(
            tuple(p.sort for p in prop.params),
            lambda *values: meaning(self, prop.body, state, dict(zip(params, values, strict=True))),
        )

    def quantify(self, kind: str, sort: AnySort, body: Callable[[Any], Any]) -> str:
        if kind == "count":
            raise Inexpressible(f"counting {sort.__name__}s has no meaning at any cluster size")
        return self._for_all((sort,), body, "forall" if kind == "all" else "exists")

    # -- operations --------------------------------------------------------------------------
    def literal(self, value: Any, sort: AnySort) -> str:
        self.sort(sort)
        if sort is bool:
            return "true" if value else "false"
        if isinstance(sort, OptionSort):
            return f"|{name_of(sort)}.nil|" if value == NIL else self.some(self.literal(value, sort.of), sort)
        if is_enum(sort):
            return f"|{name_of(sort)}.{sort(value).name}|"
        if is_time(sort):
            return self._long_ago(sort) if isinstance(value, LongAgo) else f"{int(value)}.0"
        return str(int(value))

    def _long_ago(self, sort: AnySort) -> str:
        """Some time that is no less than any parameter: which one is left open."""
        return str(self.constant(f"{name_of(sort)} long ago", sort))

    def stored(self, x: str, f: Field) -> str:
        return x

    def some(self, x: str, sort: AnySort) -> str:
        self.sort(sort)
        return f"(|{name_of(sort)}.some| {x})"

    def equal(self, x: str, y: str) -> str:
        return f"(= {x} {y})"

    def less(self, x: str, y: str) -> str:
        return f"(< {x} {y})"

    def at_most(self, x: str, y: str) -> str:
        return f"(<= {x} {y})"

    def add(self, x: str, y: str) -> str:
        return f"(+ {x} {y})"

    def multiply(self, x: str, y: str) -> str:
        return f"(* {x} {y})"

    def both(self, *xs: str) -> str:
        return f"(and {' '.join(xs)})" if len(xs) > 1 else xs[0] if xs else "true"

    def either(self, *xs: str) -> str:
        return f"(or {' '.join(xs)})" if len(xs) > 1 else xs[0] if xs else "false"

    def no(self, x: str) -> str:
        return f"(not {x})"

    def ite(self, condition: str, x: str, y: str) -> str:
        return f"(ite {condition} {x} {y})"
