"""source: what the code of a model may say, judged as the model is loaded.

What a symbol cannot refuse (`x is NIL`, `type(x)`, a table beside the state, a caught error, a clock) is
refused here, in the text of every action and property and of every function that they call. It is a list
of what is allowed, so that nothing else slips in:

| allowed                | of it                                                                           |
|------------------------|---------------------------------------------------------------------------------|
| statements             | a value under a name, an effect `s.f[x] = y`, a call, return, a function inside |
| values                 | numbers, truth values, members of enumerations, NIL, LONG_AGO, parameters       |
| operators              | `==`, `!=`, `<`, `<=`, `>`, `>=`, one at a time; `+`; `*` of times              |
| calls                  | connectives, `.all`, `.any`, `.count`, `require`, `claim`, `where`, functions   |
| names from outside     | these values, sorts, enumerations, modules, functions; each is bound once       |
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar
from weakref import WeakSet

from oneleader.errors import SpecError
from oneleader.language import expr
from oneleader.language.fields import Fields
from oneleader.language.place import place
from oneleader.language.sorts import LongAgo, Nil, Sort, answers_of, is_enum

F = TypeVar("F", bound=Callable[..., Any])

LOOP = "Python loops here: quantify with .all or .any, or rewrite a field with .where"
ITERATION = "Python iterates here: quantify with .all, .any or .count"

# Kind of syntax -> rule of the lint, and the sentence that says what to do instead.
FORBIDDEN: dict[type[ast.AST], tuple[str, str]] = {
    ast.If: ("branch", "Python decides here: write the value with ite, or two actions with their guards"),
    ast.IfExp: ("branch", "Python decides here: write ite(condition, x, y)"),
    ast.Match: ("branch", "Python decides here: write the value with ite, or an action for each case"),
    ast.Assert: ("branch", "Python decides here: write s.claim(fact)"),
    ast.And: ("connective", "`and` decides in Python: write both(x, y)"),
    ast.Or: ("connective", "`or` decides in Python: write either(x, y)"),
    ast.Not: ("connective", "`not` decides in Python: write no(x)"),
    ast.In: ("membership", "`in` decides in Python: write either(x == a, x == b) or a relation"),
    ast.NotIn: ("membership", "`not in` decides in Python: write both(x != a, x != b) or a relation"),
    ast.Is: ("membership", "`is` compares Python objects: write =="),
    ast.IsNot: ("membership", "`is not` compares Python objects: write !="),
    ast.For: ("loop", LOOP),
    ast.AsyncFor: ("loop", LOOP),
    ast.While: ("loop", LOOP),
    ast.ListComp: ("comprehension", ITERATION),
    ast.SetComp: ("comprehension", ITERATION),
    ast.DictComp: ("comprehension", ITERATION),
    ast.GeneratorExp: ("comprehension", ITERATION),
    ast.Try: ("error", "an error is caught here: a refusal has to be heard"),
    ast.TryStar: ("error", "an error is caught here: a refusal has to be heard"),
    ast.JoinedStr: ("text", "text is made here: a model has none"),
    ast.Dict: ("table", "a Python table: use a field or a constant of the state"),
    ast.Global: ("outside", "a name outside the state is changed here: use a field"),
    ast.Nonlocal: ("outside", "a name outside the state is changed here: use a field"),
    ast.Import: ("outside", "an import stands at the top of the module"),
    ast.ImportFrom: ("outside", "an import stands at the top of the module"),
}
CHAIN = "a chained comparison decides in Python: write both(a <= b, b <= c)"

CONNECTIVES = (expr.both, expr.either, expr.no, expr.implies, expr.ite)
QUANTIFIERS = ("all", "any", "count")
OF_THE_STEP = ("require", "claim")
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class _Refused(Exception):
    """A place in the source, and why it is refused."""

    def __init__(self, node: ast.AST, text: str) -> None:
        super().__init__(text)
        self.line, self.column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0) + 1
        self.text = text


_made_of_data: WeakSet[Callable[..., Any]] = WeakSet()


def made_of_data(function: F) -> F:
    """Mark a function that interprets a traced action. It says nothing of its own, so its text is not read:
    its readings are compared by the plain interpreter, as any action's are."""
    _made_of_data.add(function)
    return function


def check(function: Callable[..., Any]) -> None:
    """SpecError, with file and line, where the function or one that it calls says what is not allowed."""
    left: list[Any] = [] if function in _made_of_data else [function]
    seen = set(left)
    while left:
        called = [f for f in _checked(left.pop()) if f not in seen]
        seen.update(called)
        left += called


@lru_cache(maxsize=8192)
def _checked(function: FunctionType) -> tuple[FunctionType, ...]:
    """The functions that this one refers to; SpecError where it breaks a rule."""
    code, mark = function.__code__, getattr(function, "__oneleader__", "")
    said = f"{mark or 'function'} {function.__name__}"
    called: list[FunctionType] = []
    try:
        for node in _found(function):
            judge = _Judge(function, called)
            judge.function(node, {}, first_is_state=bool(mark))
    except _Refused as refused:
        at = place(code.co_filename, refused.line or code.co_firstlineno, refused.column)
        raise SpecError(f"{at}: {said}: {refused.text}") from None
    return tuple(called)


# -- finding the text --------------------------------------------------------------------------------
def _found(function: FunctionType) -> list[Defined]:
    """The function in its file; of several lambdas of one line, all."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    tree = _parsed("".join(lines))
    found = tree.get((code.co_name, code.co_firstlineno)) if tree else None
    if not found:
        raise _Refused(ast.Pass(), "its source is not found: write the model in a file")
    return found


@lru_cache(maxsize=256)
def _parsed(text: str) -> dict[tuple[str, int], list[Defined]] | None:
    """Every function of a text by its name and first line, decorators included."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    found: dict[tuple[str, int], list[Defined]] = {}
    for node in ast.walk(tree):
        if isinstance(node, Defined):
            decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
            line = min([node.lineno, *(d.lineno for d in decorators)])
            found.setdefault((getattr(node, "name", "<lambda>"), line), []).append(node)
    return found


@lru_cache(maxsize=256)
def _bound(text: str) -> Counter[str]:
    """How often each name is bound in a module: by its own statements, or by `global` and `nonlocal`."""
    bound: Counter[str] = Counter()
    for node in _outside_functions(ast.parse(text)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            bound[node.id] += 1
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound[node.name] += 1
        elif isinstance(node, ast.alias):
            bound[(node.asname or node.name).partition(".")[0]] += 1
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Global | ast.Nonlocal):
            bound.update(dict.fromkeys(node.names, 2))
    return bound


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, Defined | ast.ClassDef):
            yield from _outside_functions(child)


# -- judging it --------------------------------------------------------------------------------------
VALUE, STATE = "value", "state"
Names = dict[str, str]  # local name -> VALUE or STATE


@dataclass
class _Judge:
    """Walks through one function. `called` collects the functions that it refers to."""

    of: FunctionType
    called: list[FunctionType]
    texts: dict[str, str] = field(default_factory=dict)

    def function(self, node: Defined, outer: Names, *, first_is_state: bool = False) -> None:
        """A function or a lambda, with what it has from the functions around it."""
        args = node.args
        if args.vararg or args.kwarg:
            raise _Refused(node, "a parameter with a star has no sort")
        if args.defaults or any(args.kw_defaults):
            raise _Refused(node, "a parameter has no default: every step states its values")
        params = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        kinds = {p.arg: STATE if self._is_state(p) else VALUE for p in params}
        if first_is_state and params:
            kinds[params[0].arg] = STATE
        if isinstance(node, ast.Lambda):
            self.value(node.body, outer | kinds)
            return
        if isinstance(node, ast.AsyncFunctionDef):
            raise _Refused(node, "an action is no coroutine")
        self.body(node.body, outer | kinds | dict.fromkeys(_assigned(node), VALUE))

    def _is_state(self, param: ast.arg) -> bool:
        named = param.annotation.id if isinstance(param.annotation, ast.Name) else ""
        of = self.of.__globals__.get(named)
        return param.arg == "s" or (isinstance(of, type) and issubclass(of, Fields))

    # -- statements -------------------------------------------------------------------------------
    def body(self, statements: list[ast.stmt], names: Names) -> None:
        for statement in statements:
            self.statement(statement, names)

    def statement(self, node: ast.stmt, names: Names) -> None:
        if isinstance(node, ast.Expr):
            if not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
                self.value(node.value, names)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self.target(target, names)
            self.values(node.value, names)
        elif isinstance(node, ast.AnnAssign) and node.value:
            self.target(node.target, names)
            self.value(node.value, names)
        elif isinstance(node, ast.Return):
            if node.value:
                self.values(node.value, names)
        elif isinstance(node, ast.FunctionDef):
            if node.decorator_list:
                raise _Refused(node, "a function inside has no decorator")
            self.function(node, names)
        elif not isinstance(node, ast.Pass):
            self.refuse(node)

    def target(self, node: ast.expr, names: Names) -> None:
        """What is assigned to: a local name, or a cell of a field."""
        if isinstance(node, ast.Tuple):
            for part in node.elts:
                self.target(part, names)
        elif isinstance(node, ast.Subscript) and self._is_field(node.value, names):
            self.index(node.slice, names)
        elif not (self._is_field(node, names) or isinstance(node, ast.Name)):
            raise _Refused(node, "only a field of the state and a local name can be assigned to")
        elif isinstance(node, ast.Name) and names.get(node.id) == STATE:
            raise _Refused(node, "the state keeps its name")

    # -- expressions ------------------------------------------------------------------------------
    def values(self, node: ast.expr, names: Names) -> None:
        """A value, or several that a function gives back."""
        for part in node.elts if isinstance(node, ast.Tuple) else [node]:
            self.value(part, names)

    def value(self, node: ast.expr, names: Names) -> None:
        if isinstance(node, ast.Constant):
            if type(node.value) not in (bool, int):
                raise _Refused(
                    node, f"{node.value!r} is no value of a model: it has numbers and truth values"
                )
        elif isinstance(node, ast.Name):
            self.name(node, names)
        elif isinstance(node, ast.Attribute):
            if not self._is_field(node, names):
                self.resolved(node, self.outside(node, names))
        elif isinstance(node, ast.Subscript):
            is_local = isinstance(node.value, ast.Name) and names.get(node.value.id) == VALUE
            if not (is_local or self._is_field(node.value, names)):
                raise _Refused(node, "only a field, and what has a value for each element, is indexed")
            self.index(node.slice, names)
        elif isinstance(node, ast.Compare):
            self.comparison(node, names)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
            self.value(node.left, names)
            self.value(node.right, names)
        elif isinstance(node, ast.Call):
            self.call(node, names)
        elif isinstance(node, ast.Lambda):
            self.function(node, names)
        else:
            self.refuse(node)

    def index(self, node: ast.expr, names: Names) -> None:
        self.values(node, names)

    def comparison(self, node: ast.Compare, names: Names) -> None:
        if len(node.ops) > 1:
            raise _Refused(node, CHAIN)
        if not isinstance(node.ops[0], COMPARISONS):
            raise _Refused(node, FORBIDDEN[type(node.ops[0])][1])
        self.value(node.left, names)
        self.value(node.comparators[0], names)

    def name(self, node: ast.Name, names: Names) -> None:
        if names.get(node.id) == STATE:
            raise _Refused(node, "the state is no value: name one of its fields")
        if node.id not in names:
            self.resolved(node, self.outside(node, names))

    def call(self, node: ast.Call, names: Names) -> None:
        self.callee(node.func, names)
        for argument in [*node.args, *(k.value for k in node.keywords)]:
            if isinstance(argument, ast.Starred) or any(k.arg is None for k in node.keywords):
                raise _Refused(node, "an argument has no star: name each")
            if not (isinstance(argument, ast.Name) and names.get(argument.id) == STATE):
                self.value(argument, names)

    def callee(self, node: ast.expr, names: Names) -> None:
        """What is called: a function, a quantifier, or what the state offers."""
        if isinstance(node, ast.Name) and names.get(node.id) == VALUE:
            return  # a function inside, or one that was handed in, which is judged where it stands
        if isinstance(node, ast.Attribute) and node.attr == "where" and self._is_field(node.value, names):
            return
        if self._is_field(node, names) and isinstance(node, ast.Attribute) and node.attr in OF_THE_STEP:
            return
        if not isinstance(node, ast.Name | ast.Attribute):
            raise _Refused(node, "only a function that has a name is called")
        found = self.outside(node, names)
        if not isinstance(found, FunctionType) and not _is_quantifier(found):
            raise _Refused(node, f"{ast.unparse(node)} is no function of the model: {_described(found)}")
        self.resolved(node, found)

    def _is_field(self, node: ast.expr, names: Names) -> bool:
        """`s.term`: a public attribute of the state."""
        of_state = (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and names.get(node.value.id) == STATE
        )
        if of_state and isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            raise _Refused(node, f"the state has no field {node.attr}")
        return of_state

    def refuse(self, node: ast.AST) -> None:
        kinds = [node, getattr(node, "op", node)]
        for kind in kinds:
            if type(kind) in FORBIDDEN:
                raise _Refused(node, FORBIDDEN[type(kind)][1])
        raise _Refused(node, f"the language has no such syntax ({type(kinds[-1]).__name__})")

    # -- names from outside -----------------------------------------------------------------------
    def outside(self, node: ast.expr, names: Names) -> Any:
        """The object that a name, or an attribute of a module, an enumeration or a sort, stands for."""
        if isinstance(node, ast.Name) and node.id not in names:
            scope = self.of.__globals__ | dict(inspect.getclosurevars(self.of).nonlocals)
            if node.id not in scope:
                raise _Refused(node, f"{node.id} is Python's own, or not defined: it is no part of a model")
            self._bound_once(node, node.id, self.of.__code__.co_filename)
            return scope[node.id]
        if not isinstance(node, ast.Attribute):
            raise _Refused(node, "only the state, modules, sorts and enumerations have attributes")
        owner = self.outside(node.value, names)
        if isinstance(owner, ModuleType):
            if type(owner) is not ModuleType or node.attr not in vars(owner):
                raise _Refused(
                    node, f"{ast.unparse(node)} is computed when it is asked for: bind it to a name"
                )
            self._bound_once(node, node.attr, getattr(owner, "__file__", None) or "")
        elif is_enum(owner):
            if node.attr not in owner.__members__:
                raise _Refused(node, f"{owner.__name__} has no member {node.attr}")
        elif not (isinstance(owner, type) and issubclass(owner, Sort) and node.attr in QUANTIFIERS):
            raise _Refused(node, "only the state, modules, sorts and enumerations have attributes")
        return getattr(owner, node.attr, None)

    def _bound_once(self, node: ast.expr, name: str, file: str) -> None:
        text = "".join(linecache.getlines(file))
        if text and _parsed(text) is not None and _bound(text)[name] > 1:
            raise _Refused(node, f"{name} is bound more than once in {Path(file).name}: which one is meant?")

    def resolved(self, node: ast.expr, found: Any) -> None:
        """Judge an object from outside, and remember a function."""
        if isinstance(found, IntEnum) and (own := answers_of(type(found))):
            raise _Refused(node, f"{type(found).__name__} defines {own}: an enumeration has members only")
        if found in CONNECTIVES if isinstance(found, FunctionType) else _is_value(found):
            return
        if isinstance(found, FunctionType):
            self.called.append(found)
            return
        if _is_quantifier(found):
            return
        raise _Refused(node, f"{ast.unparse(node)} is outside the state: {_described(found)}")


def _assigned(node: ast.FunctionDef) -> list[str]:
    """The local names of a function, those of the functions inside left out."""
    inner = [*_outside_functions(node)]
    stored = [n.id for n in inner if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return stored + [n.name for n in inner if isinstance(n, ast.FunctionDef)]


def _is_value(found: Any) -> bool:
    """A constant that reads the same while a model is traced and while it runs."""
    if isinstance(found, IntEnum):
        return isinstance(type(found).__members__.get(found.name), IntEnum)
    return type(found) in (bool, int, Nil, LongAgo)


def _is_quantifier(found: Any) -> bool:
    function = getattr(found, "__func__", None)
    return function is not None and function in [getattr(Sort, name).__func__ for name in QUANTIFIERS]


def _described(found: Any) -> str:
    kind = type(found).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    return f"{article} {kind}. State code reads fields, constants, members, numbers, and calls functions"
