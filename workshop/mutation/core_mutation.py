"""Mutants of the reference's core: one function of it with one small thing wrong.

| mutation          | what changes                                              | id, in its function      |
|-------------------|-----------------------------------------------------------|--------------------------|
| comparison turned | `<` `<=`, `>` `>=`, `==` `!=`, `is`, `in` and their `not` | term_was_adopted: <=→<   |
| condition dropped | one operand of `and` or `or`; a `not`                     | counts: -m.vote_granted  |
| connective turned | `and` `or`                                                | counts: and→or           |
| guard dropped     | an `if` with its return, a `case`, the `if` of a `case`   | if not counts: dropped   |
| branch fixed      | `x if c else y` is always x, or y                         | node: always append(...) |
| field not set     | one keyword of `replace(...)`                             | node: -votes             |
| effect removed    | one part of a tuple, one `.then(...)`                     | -then(count_votes)       |
| number moved      | an integer one more, one less; `True` `False`             | m: 1→2                   |
| operator turned   | `+` `-`, `*` `//`, `|` `&`; max and min                   | node: |→&                |

The tools there are, mutmut and cosmic-ray, ask one command of tests; here simulated runs and scenarios judge
as well, in processes in which all is loaded, and what is dropped is a guard or an effect, by its name.

`installed` puts a mutant in place by giving the function other code: every name for it and every class
stays as it is. Messages, classes and their defaults are not mutated, and what is said in strings is not.
"""

from __future__ import annotations

import ast
import copy
import inspect
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any

from oneleader_raft import fencing, lease, raft, state_machine

CORE: tuple[ModuleType, ...] = (raft, lease, state_machine, fencing)

TURNED: dict[type[ast.AST], tuple[type[Any], str]] = {
    ast.Lt: (ast.LtE, "<→<="),
    ast.LtE: (ast.Lt, "<=→<"),
    ast.Gt: (ast.GtE, ">→>="),
    ast.GtE: (ast.Gt, ">=→>"),
    ast.Eq: (ast.NotEq, "==→!="),
    ast.NotEq: (ast.Eq, "!=→=="),
    ast.Is: (ast.IsNot, "is→is not"),
    ast.IsNot: (ast.Is, "is not→is"),
    ast.In: (ast.NotIn, "in→not in"),
    ast.NotIn: (ast.In, "not in→in"),
    ast.And: (ast.Or, "and→or"),
    ast.Or: (ast.And, "or→and"),
    ast.Add: (ast.Sub, "+→-"),
    ast.Sub: (ast.Add, "-→+"),
    ast.Mult: (ast.FloorDiv, "*→//"),
    ast.FloorDiv: (ast.Mult, "//→*"),
    ast.BitOr: (ast.BitAnd, "|→&"),
}
EXTREMES = {"max": "min", "min": "max"}
LONGEST = 48  # characters of source in an id


@dataclass(frozen=True)
class CoreMutant:
    """One function of the core, mutated. `function` is `on_vote_reply` or `Node.peers`."""

    id: str
    module: ModuleType
    function: str
    line: int
    tree: ast.FunctionDef


def core_mutants() -> Iterator[CoreMutant]:
    """Every mutant of every function of the core, in the order of the source."""
    for part, module, function, tree in functions():
        seen: Counter[str] = Counter()
        for what, line, mutated in mutations(tree):
            seen[what] += 1
            number = f" #{seen[what]}" if seen[what] > 1 else ""
            yield CoreMutant(f"{part}/{what}{number}", module, function, line, mutated)


def functions() -> Iterator[tuple[str, ModuleType, str, ast.FunctionDef]]:
    """The functions of the core and its classes' methods: `core/raft/Node.peers`, raft, `Node.peers`."""
    for module in CORE:
        name = module.__name__.rpartition(".")[2]
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.FunctionDef):
                yield f"core/{name}/{node.name}", module, node.name, node
            for part in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(part, ast.FunctionDef):
                    function = f"{node.name}.{part.name}"  # type: ignore[attr-defined]
                    yield f"core/{name}/{function}", module, function, part


# -- mutations ----------------------------------------------------------------------------------------
def mutations(tree: ast.FunctionDef) -> Iterator[tuple[str, int, ast.FunctionDef]]:
    """What is mutated, in words; the line; the function with it."""
    for what, line, number, choice in places(tree):
        yield what, line, mutated_at(tree, number, choice)


def places(tree: ast.FunctionDef) -> Iterator[tuple[str, int, int, int]]:
    """The same without the function: which site it is, and which of its alternatives."""
    for number, (node, place) in enumerate(_sites(tree)):
        for choice, (what, _) in enumerate(_alternatives(node)):
            yield f"{place}{what}", node.lineno, number, choice


def mutated_at(tree: ast.FunctionDef, number: int, choice: int) -> ast.FunctionDef:
    mutated = copy.deepcopy(tree)
    same, _ = list(_sites(mutated))[number]
    (_, new) = list(_alternatives(same))[choice]
    _Put(same, new).visit(mutated)
    return ast.fix_missing_locations(mutated)


Site = ast.stmt | ast.expr | ast.match_case


def _sites(tree: ast.FunctionDef) -> Iterator[tuple[Any, str]]:
    """Everything in the body that may be mutated, with the name of what it is part of: `granted: `."""
    for statement in tree.body:
        yield from _inside(statement, "")


def _inside(node: ast.AST, place: str) -> Iterator[tuple[Any, str]]:
    match node:
        case ast.Assign(targets=[target]):
            place = f"{ast.unparse(target)}: "
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _inside(value, f"{ast.unparse(target)}: ")
            return
        case ast.If(test=test):
            place = f"if {_short(test)}: "
    if isinstance(node, ast.stmt | ast.expr) and _is_words(node):
        return
    if isinstance(node, ast.stmt | ast.expr | ast.match_case):
        if isinstance(node, ast.match_case):
            node.lineno = node.pattern.lineno  # type: ignore[attr-defined]
        yield node, place
    for child in ast.iter_child_nodes(node):
        yield from _inside(child, place)


def _is_words(node: ast.AST) -> bool:
    """A docstring, or what is said in a string."""
    if isinstance(node, ast.Expr):
        node = node.value
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


Alternative = tuple[str, ast.AST | None]


def _alternatives(node: Any) -> Iterator[Alternative]:
    """What may stand in the place of this node, None for nothing."""
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                turned, what = TURNED[type(op)]
                yield what, _changed(node, ops=[*ops[:i], turned(), *ops[i + 1 :]])
        case ast.BoolOp(op=op, values=values):
            yield _turned(node, op)
            for i, operand in enumerate(values):
                rest = values[:i] + values[i + 1 :]
                yield f"-{_short(operand)}", rest[0] if len(rest) == 1 else _changed(node, values=rest)
        case ast.BinOp(op=op) if type(op) in TURNED:
            yield _turned(node, op)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield f"{_short(operand)} without not", operand
        case ast.Constant(value=bool() as value):
            yield f"{value}→{not value}", _changed(node, value=not value)
        case ast.Constant(value=int() as value):
            for moved in (value + 1, value - 1):
                yield f"{value}→{moved}", _changed(node, value=moved)
        case ast.IfExp(body=body, orelse=other):
            yield f"always {_short(body)}", body
            yield f"always {_short(other)}", other
        case ast.Call(func=ast.Name(id="max" | "min" as name)):
            other_name = EXTREMES[name]
            yield f"{name}→{other_name}", _changed(node, func=ast.Name(other_name, ast.Load()))
        case ast.Call(func=ast.Name(id="replace"), keywords=keywords):
            for i, keyword in enumerate(keywords):
                yield f"-{keyword.arg}", _changed(node, keywords=keywords[:i] + keywords[i + 1 :])
        case ast.Call(func=ast.Attribute(value=before, attr="then"), args=[rule]):
            yield f"-then({_short(rule)})", before
        case ast.Tuple(elts=elements, ctx=ast.Load()):
            for i, element in enumerate(elements):
                yield f"-{_short(element)}", _changed(node, elts=elements[:i] + elements[i + 1 :])
        case ast.If(orelse=[]):
            yield "dropped", None
        case ast.match_case(pattern=pattern, guard=guard):
            if guard:
                yield f"case {_short(pattern)}: -if {_short(guard)}", _changed(node, guard=None)
            yield f"case {_short(pattern)}: dropped", None


def _turned(node: ast.AST, op: ast.AST) -> Alternative:
    other, what = TURNED[type(op)]
    return what, _changed(node, op=other())


def _changed(node: ast.AST, **fields: Any) -> ast.AST:
    other = copy.copy(node)
    vars(other).update(fields)
    return other


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


class _Put(ast.NodeTransformer):
    """Puts something else, or nothing, in the place of one node."""

    def __init__(self, old: ast.AST, new: ast.AST | None) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        if node is self.old:
            return self.new
        self.generic_visit(node)
        if getattr(node, "body", None) == []:
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return ast.Pass() if isinstance(node, ast.Match) and not node.cases else node


# -- in place -----------------------------------------------------------------------------------------
def compiled(mutant: CoreMutant) -> CodeType:
    """The code of the mutated function."""
    tree = copy.deepcopy(mutant.tree)
    tree.decorator_list = []
    future = ast.parse("from __future__ import annotations").body
    module = ast.Module([*future, tree], [])
    namespace = dict(vars(mutant.module))
    exec(compile(module, mutant.module.__file__ or "", "exec"), namespace)
    code = namespace[tree.name].__code__
    assert isinstance(code, CodeType)
    return code


@contextmanager
def installed(mutant: CoreMutant) -> Iterator[None]:
    """The core with this mutant in it."""
    function = function_of(mutant)
    before = function.__code__
    function.__code__ = compiled(mutant)
    try:
        yield
    finally:
        function.__code__ = before


def function_of(mutant: CoreMutant) -> FunctionType:
    owner, _, name = mutant.function.rpartition(".")
    holder = vars(vars(mutant.module)[owner]) if owner else vars(mutant.module)
    found = holder[name]
    function = found.fget if isinstance(found, property) else found
    assert isinstance(function, FunctionType)
    return function
