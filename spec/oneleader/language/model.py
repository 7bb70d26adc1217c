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
| leads_to   | at last, once the environment is calm (`progress`)      | for all        |
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any

from oneleader.errors import SpecError
from oneleader.language.definitions import MARKED, Action, Property, define
from oneleader.language.fields import Field, Fields
from oneleader.language.place import place
from oneleader.language.progress import LeadsTo, define_progress
from oneleader.language.sorts import AnySort, EachSort, base
from oneleader.language.trace import TracedProperty, check


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
    extends: Model | None = None
    refines: Model | None = None
    usual: Mapping[str, int | tuple[str, ...]] = field(default_factory=dict)
    progress: dict[str, LeadsTo] = field(default_factory=dict)
    traced: dict[Property, TracedProperty] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        self._check_sorts()
        check(self)  # the rules that only a traced action can show

    @property
    def properties(self) -> dict[str, Property]:
        """Invariants and theorems: what must hold in every reachable state."""
        return self.invariants | self.theorems

    @property
    def sorts(self) -> dict[str, AnySort]:
        """Every sort that the model uses, by name, in order of appearance; of an option, what it is of."""
        return {s.__name__: s for s in self._sorts()}

    def _sorts(self) -> list[AnySort]:
        definitions = (*self.actions.values(), *self.axioms.values(), *self.properties.values())
        used = [s for f in self.fields.values() for s in (*f.index, f.of)]
        used += [s for d in (*definitions, *self.witnesses.values()) for _, s in d.params]
        return [p for s in used for p in ((s.index, s.of) if isinstance(s, EachSort) else (base(s),))]

    def _check_sorts(self) -> None:
        """Sorts are known by name in a configuration and in a proof: two of one name would be one."""
        same_name(self.name, self._sorts())

    @property
    def parameters(self) -> list[str]:
        """The lengths of time and the rates that a run is told."""
        return [f.name for f in self.fields.values() if f.kind == "parameter"]

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
            raise SpecError(f"{defined.place}: {defined.name} replaces no action of {self.name}")
        return self._with(defined)

    def without_axiom(self, name: str) -> Model:
        """This model with one axiom not assumed, and not checked of a configuration."""
        return replace(self, axioms={n: a for n, a in self.axioms.items() if n != name})

    def _with(self, changed: Action) -> Model:
        return replace(self, actions=self.actions | {changed.name: changed})


def same_name(said: str, sorts: Iterable[AnySort]) -> None:
    """SpecError where two of these sorts have one name."""
    known: dict[str, AnySort] = {}
    for sort in sorts:
        other = known.setdefault(sort.__name__, sort)
        if other is not sort:
            raise SpecError(
                f"{said}: two sorts are named {sort.__name__}, {_place(other)} and {_place(sort)}: "
                f"import one of them where both are meant to be the same, or rename one"
            )


def _place(sort: AnySort) -> str:
    return f"{sort.__module__}.{sort.__qualname__}"


def model(
    module: str,
    state: type[Fields],
    *,
    extends: Model | None = None,
    without: tuple[str, ...] = (),
    refines: Model | None = None,
    usual: Mapping[str, int | tuple[str, ...]] | None = None,
    lemmas: str | None = None,
    reading: Mapping[str, str] | None = None,
) -> Model:
    """The model that a module defines: `MODEL = model(__name__, State)` as its last line.

    What `extends` defines is taken over, but for the names in `without`; a definition of the same name
    replaces it. `refines` names the model that this one, its further fields left out, is an instance of.
    `usual` sizes sorts and parameters, and says where constants are true, for a run that does not say
    otherwise; no proof looks at it. `lemmas` is the module that holds what only the proof needs; its
    theorems stand before this module's.
    `reading` says of which fields of this model the inherited properties speak: `{"log": "whole_log"}`
    has them read `whole_log` where they say `log`, as TLA+'s `INSTANCE M WITH log <- whole_log`.
    """
    found: dict[str, dict[str, Any]] = {
        "action": dict(extends.actions) if extends else {},
        "axiom": dict(extends.axioms) if extends else {},
        "invariant": dict(extends.invariants) if extends else {},
        "theorem": dict(extends.theorems) if extends else {},
        "witness": dict(extends.witnesses) if extends else {},
        "leads_to": {},
    }
    for kind in ("invariant", "theorem", "witness") if reading else ():
        read = tuple((reading or {}).items())
        found[kind] = {name: replace(prop, reading=read) for name, prop in found[kind].items()}
    for name in without:
        if not any(definitions.pop(name, None) for definitions in found.values()):
            raise SpecError(f"{module}: without={name!r} names nothing that the extended model defines")
    marked = (*_lemmas(lemmas), *_marked(module))
    _check_imported(module, [*marked, *(d.function for defined in found.values() for d in defined.values())])
    for function in marked:
        is_progress = function.__oneleader__ == "leads_to"
        made = define_progress(function) if is_progress else define(function)
        found[function.__oneleader__][function.__name__] = made
    _check_names(module, found)
    return Model(
        name=module.rpartition(".")[2],
        doc=inspect.getdoc(sys.modules[module]) or "",
        fields=state.declared,
        actions=found["action"],
        axioms=found["axiom"],
        invariants=found["invariant"],
        theorems=found["theorem"],
        witnesses=found["witness"],
        extends=extends,
        refines=refines,
        usual={**(extends.usual if extends else {}), **(usual or {})},
        progress=found["leads_to"],
    )


def _marked(module: str) -> list[Any]:
    """The marked functions of a module, in order, without those that it imports.

    SpecError where one is lost: its name was bound again, and nobody would look at what it said.
    """
    named = vars(sys.modules[module])
    here = {id(f): f for f in named.values() if _kind(f) and f.__module__ == module}
    kept: dict[str, Any] = {}
    for function in (*here.values(), *named.pop(MARKED, ())):
        other = kept.setdefault(function.__name__, function)
        if other is not function or id(function) not in here:
            raise SpecError(
                f"{_at(function)}: {function.__oneleader__} {function.__name__} is lost: this name is bound "
                f"more than once in {module}: give each definition a name of its own"
            )
    return [*here.values()]


def _kind(found: Any) -> str:
    """Of a marked function: what it is marked as; else ""."""
    return str(getattr(found, "__oneleader__", "")) if isinstance(found, FunctionType) else ""


def _at(function: Any) -> str:
    return place(function.__code__.co_filename, function.__code__.co_firstlineno)


def _check_imported(module: str, known: list[Any]) -> None:
    """SpecError where a module imports a property that this model would not judge."""
    for name, found in vars(sys.modules[module]).items():
        kind = _kind(found)
        if kind not in ("", "action") and found not in known:
            raise SpecError(
                f"{_at(found)}: {kind} {name} is imported by {module}, which does not judge it: define it "
                f"there, or name its file as lemmas="
            )


def _check_names(module: str, found: dict[str, dict[str, Any]]) -> None:
    """SpecError where one name stands for definitions of two kinds: one of them would be lost."""
    kinds: dict[str, str] = {}
    for kind in ("action", "axiom", "invariant", "theorem", "witness"):
        for name, definition in found[kind].items():
            other = kinds.setdefault(name, kind)
            if other != kind:
                raise SpecError(
                    f"{definition.place}: {name} of {module} is a definition of two kinds, {other} and "
                    f"{kind}: give each a name of its own, or leave out the inherited one by without="
                )


def _lemmas(module: str | None) -> list[Any]:
    """The lemmas of another file. It imports the model's state, so the model has to be imported first."""
    if module is None:
        return []
    importlib.import_module(module)
    found = _marked(module)
    if not found or any(function.__oneleader__ not in ("invariant", "theorem") for function in found):
        raise SpecError(
            f"{module} holds invariants and theorems alone, and the model is imported before its lemmas"
        )
    return found
