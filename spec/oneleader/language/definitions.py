"""Definitions: what a marked function of a model says of itself: name, sorts, guards and their clauses."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

from oneleader.errors import SpecError
from oneleader.language.place import place
from oneleader.language.sorts import AnySort, resolve

F = TypeVar("F", bound=Callable[..., Any])


MARKED = "__oneleader_marked__"  # in the names of a module: every function that was marked there, in order


def marked(function: F, kind: str) -> F:
    """The function, as a definition of this kind; its module remembers it under MARKED."""
    if not isinstance(function, FunctionType):
        raise SpecError(f"{function!r} is no {kind}: only a function that is written with def is one")
    function.__oneleader__ = kind  # type: ignore[attr-defined]
    function.__globals__.setdefault(MARKED, []).append(function)
    return function


def _mark(kind: str) -> Callable[[F], F]:
    return lambda function: marked(function, kind)


action = _mark("action")
axiom = _mark("axiom")
invariant = _mark("invariant")
theorem = _mark("theorem")
witness = _mark("witness")


@dataclass(frozen=True)
class Guard:
    """One argument of `require`: its name, the clause it cites, and its line."""

    name: str
    clause: str
    line: int

    def __str__(self) -> str:
        return f"{self.name} ({self.clause})" if self.clause else self.name


@dataclass(frozen=True)
class Definition:
    """A function of the model: its name, parameters and their sorts, and where it stands."""

    name: str
    function: Callable[..., Any]
    params: tuple[tuple[str, AnySort], ...]
    doc: str
    file: str
    line: int

    @property
    def title(self) -> str:
        """`grant_vote` as TLA+ writes it: `GrantVote`."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def where(self) -> str:
        return f"{Path(self.file).name}:{self.line}"

    @property
    def place(self) -> str:
        """Where it stands, for an error of the model."""
        return place(self.file, self.line)

    def of(self, state: Any, *args: Any) -> Any:
        """What the function says of a state; or, of an action, what it does to it."""
        return self.function(state, *args)


@dataclass(frozen=True)
class Action(Definition):
    """A definition that changes the state. A dropped guard is a fault: read, named, and not required."""

    guards: tuple[Guard, ...]
    dropped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Property(Definition):
    """A definition that a state satisfies or not. `reading`: fields that it reads under other names."""

    kind: str
    reading: tuple[tuple[str, str], ...] = ()

    def of(self, state: Any, *args: Any) -> Any:
        return self.function(_Reading(state, dict(self.reading)) if self.reading else state, *args)


class _Reading:
    """A state of which some fields are read under other names."""

    def __init__(self, state: Any, names: dict[str, str]) -> None:
        self._state, self._names = state, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, self._names.get(name, name))


def define(function: Callable[..., Any]) -> Definition:
    """Read a marked function: SpecError where a parameter has no sort or a guard no name."""
    code = function.__code__
    name, where = function.__name__, place(code.co_filename, code.co_firstlineno)
    kind = function.__oneleader__  # type: ignore[attr-defined]
    hints = typing.get_type_hints(function)
    params = []
    for param in list(inspect.signature(function).parameters)[1:]:
        if param not in hints:
            raise SpecError(f"{where}: {kind} {name}: parameter {param} has no sort")
        try:
            params.append((param, resolve(hints[param])))
        except SpecError as error:
            raise SpecError(f"{where}: {kind} {name}: parameter {param}: {error}") from None
    common = (
        name,
        function,
        tuple(params),
        inspect.getdoc(function) or "",
        code.co_filename,
        code.co_firstlineno,
    )
    if kind == "action":
        return Action(*common, guards=_guards(function, f"action {name}"))
    return Property(*common, kind=kind)


def _guards(function: Callable[..., Any], who: str) -> tuple[Guard, ...]:
    """The guards of an action in the order in which they are required.

    They are the arguments of its own `require` and the guards of the actions that it calls, as one of
    an extending model does: `election.restart(s, n)` and then what that model adds to it.
    """
    try:
        lines, first = inspect.getsourcelines(function)
    except OSError:
        raise SpecError(f"{who}: guards are read from source: write the model in a file") from None
    source = textwrap.dedent("".join(lines))
    indented = len(lines[0]) - len(lines[0].lstrip())

    def at(node: ast.expr) -> str:
        return place(function.__code__.co_filename, first + node.lineno - 1, indented + node.col_offset + 1)

    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    tree = ast.parse(source)
    assigned = {
        target.id: (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    calls = sorted(
        (n for n in ast.walk(tree) if isinstance(n, ast.Call)), key=lambda n: (n.lineno, n.col_offset)
    )
    own = [n for n in calls if isinstance(n.func, ast.Attribute) and n.func.attr == "require"]
    if len(own) > 1:
        raise SpecError(f"{at(own[1])}: {who}: one require per action, before its effects")
    guards: list[Guard] = []
    for call in calls:
        taken_over = _marked(function, call.func)
        if taken_over:
            guards += _guards(taken_over, f"action {taken_over.__name__}")
        for argument in call.args if call in own else []:
            if not isinstance(argument, ast.Name) or argument.id not in assigned:
                raise SpecError(
                    f"{at(argument)}: {who}: give each guard a name: require takes local variables only"
                )
            start, end = assigned[argument.id]
            clause = next((comments[n] for n in range(start, end + 1) if n in comments), "")
            guards.append(Guard(argument.id, clause, first + start - 1))
    return tuple(guards)


def _marked(function: Callable[..., Any], called: ast.expr) -> Callable[..., Any] | None:
    """The action that a call inside another one takes over: `election.restart(s, n)`, or None."""
    if isinstance(called, ast.Name):
        found = function.__globals__.get(called.id)
    elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        found = getattr(function.__globals__.get(called.value.id), called.attr, None)
    else:
        found = None
    return found if getattr(found, "__oneleader__", None) == "action" else None
