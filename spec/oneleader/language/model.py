"""Models: the actions and properties of one module, collected.

    @action
    def grant_vote(s: State, voter: Node, candidate: Node, t: Term) -> None:
        \"\"\"Figure 2, RequestVote RPC, receiver 2: at most one vote per term.\"\"\"
        vote_was_requested = s.requested[candidate, t]      # section 5.2
        term_is_current = s.term[voter] == t                # Figure 2, RequestVote receiver 1
        s.require(vote_was_requested, term_is_current)

        s.voted_for[voter] = candidate

The name of a guard is the name of its variable and its clause the comment at the end of its line;
both are read from the source, so what a person reads is what a refusal prints.

| decorator  | holds                                                   | parameters are |
|------------|---------------------------------------------------------|----------------|
| invariant  | in every reachable state; inductive with the others     | for all        |
| theorem    | in every state where the invariants hold                | for all        |
| axiom      | of the constants of every configuration                 | for all        |
| witness    | in some reachable state: nothing may hold vacuously     | for some       |
"""

from __future__ import annotations

import ast
import inspect
import io
import sys
import textwrap
import tokenize
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from oneleader.errors import SpecError
from oneleader.language.fields import Field, Fields
from oneleader.language.sorts import AnySort, base, resolve

F = TypeVar("F", bound=Callable[..., Any])


def _mark(kind: str) -> Callable[[F], F]:
    def mark(function: F) -> F:
        function.__oneleader__ = kind  # type: ignore[attr-defined]
        return function

    return mark


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


@dataclass(frozen=True)
class Action(Definition):
    """A definition that changes the state. A dropped guard is a fault: read, named, and not required."""

    guards: tuple[Guard, ...]
    dropped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Property(Definition):
    """A definition that a state satisfies or not."""

    kind: str


def define(function: Callable[..., Any]) -> Definition:
    """Read a marked function: SpecError where a parameter has no sort or a guard no name."""
    code = function.__code__
    name, where = function.__name__, f"{Path(code.co_filename).name}:{code.co_firstlineno}"
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
    file = Path(function.__code__.co_filename).name
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
        raise SpecError(
            f"{file}:{first + own[1].lineno - 1}: {who}: one require per action, before its effects"
        )
    guards: list[Guard] = []
    for call in calls:
        taken_over = _marked(function, call.func)
        if taken_over:
            guards += _guards(taken_over, f"action {taken_over.__name__}")
        for argument in call.args if call in own else []:
            line = first + argument.lineno - 1
            if not isinstance(argument, ast.Name) or argument.id not in assigned:
                raise SpecError(
                    f"{file}:{line}: {who}: give each guard a name: require takes local variables only"
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


@dataclass(frozen=True)
class Model:
    """A state and everything that is said of it. Values of this class are never changed."""

    name: str
    doc: str
    fields: dict[str, Field]
    actions: dict[str, Action]
    axioms: dict[str, Property]
    invariants: dict[str, Property]
    theorems: dict[str, Property]
    witnesses: dict[str, Property]
    refines: Model | None = None

    def __post_init__(self) -> None:
        from oneleader.language.trace import check  # the rules that only a traced action can show

        check(self)

    @property
    def properties(self) -> dict[str, Property]:
        """Invariants and theorems: what must hold in every reachable state."""
        return self.invariants | self.theorems

    @property
    def sorts(self) -> dict[str, AnySort]:
        """Every sort that the model uses, by name, in order of appearance; of an option, what it is of."""
        definitions = (*self.actions.values(), *self.axioms.values(), *self.properties.values())
        used = [s for f in self.fields.values() for s in (*f.index, f.of)]
        used += [s for d in (*definitions, *self.witnesses.values()) for _, s in d.params]
        return {s.__name__: s for s in map(base, used)}

    # -- mutations: each gives a new model --------------------------------------------------------
    def without_guard(self, action_name: str, guard: str) -> Model:
        """This model with one guard of one action not required."""
        changed = self.actions[action_name]
        if guard not in {g.name for g in changed.guards}:
            raise SpecError(f"action {action_name} has no guard {guard}")
        return self._with(replace(changed, dropped=changed.dropped | {guard}))

    def with_action(self, function: Callable[..., Any]) -> Model:
        """This model with one action replaced by a marked function of the same name."""
        defined = define(function)
        if not isinstance(defined, Action) or defined.name not in self.actions:
            raise SpecError(f"{defined.where}: {defined.name} replaces no action of {self.name}")
        return self._with(defined)

    def without_axiom(self, name: str) -> Model:
        """This model with one axiom not assumed, and not checked of a configuration."""
        return replace(self, axioms={n: a for n, a in self.axioms.items() if n != name})

    def _with(self, changed: Action) -> Model:
        return replace(self, actions=self.actions | {changed.name: changed})


def model(
    module: str,
    state: type[Fields],
    *,
    extends: Model | None = None,
    without: tuple[str, ...] = (),
    refines: Model | None = None,
) -> Model:
    """The model that a module defines: `MODEL = model(__name__, State)` as its last line.

    What `extends` defines is taken over, but for the names in `without`; a definition of the same name
    replaces it. `refines` names the model that this one, its further fields left out, is an instance of.
    """
    found: dict[str, dict[str, Any]] = {
        "action": dict(extends.actions) if extends else {},
        "axiom": dict(extends.axioms) if extends else {},
        "invariant": dict(extends.invariants) if extends else {},
        "theorem": dict(extends.theorems) if extends else {},
        "witness": dict(extends.witnesses) if extends else {},
    }
    for name in without:
        if not any(definitions.pop(name, None) for definitions in found.values()):
            raise SpecError(f"{module}: without={name!r} names nothing that the extended model defines")
    for function in vars(sys.modules[module]).values():
        kind = getattr(function, "__oneleader__", None)
        if kind and function.__module__ == module:
            found[kind][function.__name__] = define(function)
    return Model(
        name=module.rpartition(".")[2],
        doc=inspect.getdoc(sys.modules[module]) or "",
        fields=state.declared,
        actions=found["action"],
        axioms=found["axiom"],
        invariants=found["invariant"],
        theorems=found["theorem"],
        witnesses=found["witness"],
        refines=refines,
    )
