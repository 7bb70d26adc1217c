"""text: what a traced action computes, as the text of Python, over rows of cells and without bounds.

What speaks of the action's parameters alone is computed once and gets a name. A quantifier over numbers
visits the range that its body names; where it names none, every number that has appeared, which is noted in
`slow`: that costs what the log has of entries. The names that the text uses are those of `compiled`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneleader.language.expr import Expr
from oneleader.language.model import Model
from oneleader.language.sorts import LONG_AGO, NIL, base, is_enum, is_number, is_set
from oneleader.readers.replay.literals import Literals, bounds, literals, variables_of

Env = Mapping[str, str]  # the name of a variable -> the Python name of its value


def joined(keys: list[str]) -> str:
    """One key, or the tuple of several."""
    return keys[0] if len(keys) == 1 else f"({', '.join(keys)})"


class ValueText:
    """Writes what an action computes, in `lines`."""

    def __init__(
        self, model: Model, kinds: Mapping[str, str], env: Env, *, is_in_place: bool = False
    ) -> None:
        self.model, self.kinds, self.is_in_place = model, kinds, is_in_place
        self.lines: list[str] = []
        self.slow: list[str] = []  # what visits every number that has appeared
        self.env = dict(env)  # of the parameters
        self.count = 0
        self.named: dict[str, str] = {}  # text of a value -> the name that has it
        self.noted: set[tuple[Any, str]] = set()  # values that their sorts are said to have
        self.part = ""  # what is being written, in words
        self.old: Expr | None = None  # what `old` stands for, in a loop over cells that are rewritten

    # -- names ----------------------------------------------------------------------------------------
    def name(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def let(self, text: str) -> str:
        """A name for a value, computed once."""
        if text.isidentifier() or text.isdigit():
            return text
        if text not in self.named:
            self.named[text] = self.name()
            self.lines.append(f"{self.named[text]} = {text}")
        return self.named[text]

    def is_fixed(self, e: Expr) -> bool:
        """Whether it speaks of the action's parameters alone."""
        return variables_of(e) <= self.env.keys()

    def seen(self, sort: Any, value: str) -> None:
        """From now on the sort has this value."""
        sort = base(sort)
        if (sort, value) in self.noted:
            return
        self.noted.add((sort, value))
        if is_number(sort):
            self.lines.append(f"if {value} > greatest[{sort.__name__}]: greatest[{sort.__name__}] = {value}")
        elif is_set(sort):
            self.lines.append(f"elements_{sort.__name__}[{value}] = None")

    # -- values -----------------------------------------------------------------------------------------
    def value(self, e: Expr, env: Env | None = None) -> str:
        """The text of an expression."""
        env = self.env if env is None else env
        text: str = getattr(self, f"of_{e.op}")(e, env)
        return self.let(text) if e.op in ("read", "ite", "any", "all") and self.is_fixed(e) else text

    def values(self, parts: Any, env: Env) -> list[str]:
        return [self.value(e, env) for e in parts]

    def of_const(self, e: Expr, env: Env) -> str:
        value = e.args[0]
        if value is NIL or value is LONG_AGO:
            return repr(value)
        return f"{type(value).__name__}.{value.name}" if is_enum(type(value)) else repr(value)

    def of_var(self, e: Expr, env: Env) -> str:
        return env[e.args[0]]

    def of_some(self, e: Expr, env: Env) -> str:
        return self.value(e.args[0], env)

    def of_parameter(self, e: Expr, env: Env) -> str:
        return f"parameter_{e.args[0]}"

    def of_apply(self, e: Expr, env: Env) -> str:
        of, index = self.values(e.args, env)
        return f"{of}[{index}]"

    def _joined(self, sign: str, parts: Any, env: Env) -> str:
        return f"({f' {sign} '.join(self.values(parts, env))})"

    def of_eq(self, e: Expr, env: Env) -> str:
        return self._joined("==", e.args, env)

    def of_lt(self, e: Expr, env: Env) -> str:
        return self._joined("<", e.args, env)

    def of_le(self, e: Expr, env: Env) -> str:
        return self._joined("<=", e.args, env)

    def of_add(self, e: Expr, env: Env) -> str:
        return self._joined("+", e.args, env)

    def of_mul(self, e: Expr, env: Env) -> str:
        return self._joined("*", e.args, env)

    def of_and(self, e: Expr, env: Env) -> str:
        return self._joined("and", e.args, env)

    def of_or(self, e: Expr, env: Env) -> str:
        return self._joined("or", e.args, env)

    def of_not(self, e: Expr, env: Env) -> str:
        return f"(not {self.value(e.args[0], env)})"

    def of_ite(self, e: Expr, env: Env) -> str:
        condition, x, y = self.values(e.args, env)
        return f"({x} if {condition} else {y})"

    def of_read(self, e: Expr, env: Env) -> str:
        if e is self.old:
            return "old"
        name, *index = e.args
        field = self.model.fields[name]
        if field.kind == "constant":
            return f"(({', '.join(self.values(index, env))},) in constant_{name})"
        if name in self.kinds:
            return f"{self.row(name, index[:-1], env)}.get({self.value(index[-1], env)})"
        return self.found("get", name, self.key(index, env))

    def found(self, how: str, name: str, key: str) -> str:
        """A cell or a row, to read."""
        return f"cells_{name}.get({key}, initial_{name})" if self.is_in_place else f"{how}_{name}({key})"

    def key(self, index: Any, env: Env) -> str:
        return joined(self.values(index, env))

    def row(self, name: str, prefix: Any, env: Env) -> str:
        """The row of a field, to read."""
        text = self.found("row", name, self.key(prefix, env))
        return self.let(text) if all(map(self.is_fixed, prefix)) else text

    # -- quantifiers --------------------------------------------------------------------------------------
    def of_all(self, e: Expr, env: Env) -> str:
        return self.quantified("all", e, env)

    def of_any(self, e: Expr, env: Env) -> str:
        return self.quantified("any", e, env)

    def of_count(self, e: Expr, env: Env) -> str:
        v, body = e.args
        if is_number(v.sort):
            return f"uncountable({v.sort.__name__!r})"
        name = f"q{len(env)}"
        return f"sum({self.value(body, {**env, v.args[0]: name})} for {name} in {self.domain(v.sort)})"

    def quantified(self, kind: str, e: Expr, env: Env) -> str:
        """Over a range, where the body names one; of two rows, by comparing them."""
        v, body = e.args
        name = f"q{len(env)}"
        inner = {**env, v.args[0]: name}
        is_any = kind == "any"
        if is_number(v.sort):
            low, high, rest = bounds(v, literals(body, is_any))
            if high:
                found = self._differs(v, rest, self.low(low, env), self.high(high, env), env)
                if not found:
                    condition = " and ".join(self.values(rest, inner)) or "True"
                    found = f"any({condition} for {name} in {self.range(low, high, env)})"
                return found if is_any else f"(not {found})"
        if found := self._apart(kind, v, body, env):
            return found
        loops = [f"for {name} in {self.domain(v.sort)}"]
        while body.op == kind and is_set(body.args[0].sort):  # one loop inside the other
            v, body = body.args
            inner[v.args[0]] = name = f"q{len(inner)}"
            loops.append(f"for {name} in {self.domain(v.sort)}")
        return f"{kind}({self.value(body, inner)} {' '.join(loops)})"

    def _apart(self, kind: str, v: Expr, body: Expr, env: Env) -> str:
        """`x(a) <= y(b)` for all a and b: the greatest x and the least y are compared."""
        if kind != "all" or body.op != "all" or not is_set(v.sort) or not is_set(body.args[0].sort):
            return ""
        w, compared = body.args
        if compared.op not in ("lt", "le") or v is w:
            return ""
        x, y = compared.args
        if w.args[0] in variables_of(x) or v.args[0] in variables_of(y):
            return ""
        sides = [
            f"[{self.value(side, {**env, of.args[0]: 'q'})} for q in {self.domain(of.sort)}]"
            for side, of in ((x, v), (y, w))
        ]
        return f"all_{compared.op}({', '.join(sides)})"

    def _differs(self, v: Expr, rest: Literals, low: str, high: str, env: Env) -> str:
        """`f[.., v] != g[.., v]` over a range compares the rows; nothing where the body is another."""
        if len(rest) != 1 or rest[0].op != "not" or rest[0].args[0].op != "eq":
            return ""
        sides = rest[0].args[0].args
        if not all(self._is_row_at(x, v, "number") for x in sides):
            return ""
        one, other = (self.row(x.args[0], x.args[1:-1], env) for x in sides)
        return f"{one}.differs({other}, {low}, {high})"

    def _is_row_at(self, x: Expr, v: Expr, kind: str) -> bool:
        """Whether it reads, at index v, a row that does not depend on v."""
        return (
            x.op == "read"
            and self.kinds.get(x.args[0]) == kind
            and x.args[-1] is v
            and not any(v.args[0] in variables_of(a) for a in x.args[1:-1])
        )

    def domain(self, sort: Any) -> str:
        if is_number(sort):
            self.slow.append(f"{self.part} visits every {sort.__name__}")
            return f"range(greatest[{sort.__name__}] + 2)"
        if is_set(sort):
            return f"elements_{sort.__name__}"
        return "(False, True)" if sort is bool else f"tuple({sort.__name__})"

    def low(self, of: list[tuple[Expr, bool]], env: Env) -> str:
        ends = [f"{self.value(e, env)}{' + 1' * is_strict}" for e, is_strict in of] or ["0"]
        return ends[0] if len(ends) == 1 else f"max({', '.join(ends)})"

    def high(self, of: list[tuple[Expr, bool]], env: Env) -> str:
        ends = [f"{self.value(e, env)}{' - 1' * is_strict}" for e, is_strict in of]
        return ends[0] if len(ends) == 1 else f"min({', '.join(ends)})"

    def range(self, low: list[tuple[Expr, bool]], high: list[tuple[Expr, bool]], env: Env) -> str:
        return f"range({self.low(low, env)}, {self.high(high, env)} + 1)"
