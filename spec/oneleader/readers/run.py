"""run: the plain interpreter. It calls the actions on plain values and shares nothing with tracing.

It is the oracle that every compiled engine is compared with, and slow for that reason: one Python
call per action and binding of its parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from oneleader.errors import SpecError, UsageError
from oneleader.language.configuration import Cells, Configuration
from oneleader.language.definitions import Action, Guard, Property
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import Sort, base, is_number, reading

State = tuple[int, ...]


@dataclass(frozen=True)
class Instance:
    """An action with values for its parameters: one possible step."""

    action: Action
    args: tuple[Any, ...]


class Disabled(Exception):
    """A guard does not hold; `guard` is its position in `require`."""

    def __init__(self, guard: int) -> None:
        super().__init__(guard)
        self.guard = guard


class Cut(Exception):
    """The step leaves the bound that this run gives to a number sort."""


class ClaimFailed(Exception):
    """A claim inside an action is false in a state where its guards hold; with its instance's position."""


class PlainField:
    """One field of the state before the step, and what the step writes to it."""

    def __init__(self, run: Run, field: Field, start: int, keys: list[tuple[Any, ...]]) -> None:
        self.run, self.field, self.keys = run, field, keys
        self.at: dict[Any, int] = {k: start + i for i, k in enumerate(keys)}
        self.at |= {k[0]: cell for k, cell in self.at.items() if len(k) == 1}  # s.f[n] and s.f[n,]
        least, most = run.configuration.bounds(field.of)
        self.values = range(least, most + 1)
        self.written: dict[int, Any] = {}

    def __getitem__(self, key: Any) -> Any:
        if self.written:
            raise SpecError(
                f"{self.field.name} is read after it was written: reads see the state before the step"
            )
        try:
            return self.run.before[self.at[key]]
        except KeyError:
            self._beyond_the_bound(key)
            return self.run.configuration.first(self.field)  # no step of this run ever wrote there

    def __setitem__(self, key: Any, value: Any) -> None:
        try:
            cell = self.at[key]
        except KeyError:
            self._beyond_the_bound(key)
            raise Cut from None
        if cell in self.written:
            raise SpecError(f"{self.field.name}[{key}] is written twice in one step")
        value = self.run.configuration.stored(self.field, value)
        if value not in self.values:
            if is_number(base(self.field.of)) and isinstance(value, int) and value >= 0:
                raise Cut
            raise SpecError(f"{value!r} is outside {self.field}")
        self.written[cell] = value

    def where(self, new: Any) -> None:
        keyed = [(k if len(k) != 1 else k[0]) for k in self.keys]
        values = [new(self[key], *k) for key, k in zip(keyed, self.keys, strict=True)]
        for key, value in zip(keyed, values, strict=True):
            self[key] = value

    def _beyond_the_bound(self, key: Any) -> None:
        """SpecError unless `key` misses its domain only by a number above the run's bound."""
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) != len(self.field.index):
            raise SpecError(f"{self.field} takes {len(self.field.index)} indices, not {len(parts)}")
        for part, sort in zip(parts, self.field.index, strict=True):
            domain = self.run.configuration.domain(sort)
            if part not in domain and not (is_number(sort) and part > domain[-1]):
                raise SpecError(f"{self.field.name}[{key}] is outside {self.field}")


class PlainConstant:
    """A constant: the table that the configuration gives."""

    def __init__(self, true_at: frozenset[tuple[Any, ...]]) -> None:
        self.true_at = true_at

    def __getitem__(self, key: Any) -> bool:
        return (key if isinstance(key, tuple) else (key,)) in self.true_at


class PlainParameter:
    """A parameter: the value that the configuration gives."""

    def __init__(self, field: Field, value: int) -> None:
        self.field, self.value = field, value

    def __getitem__(self, key: tuple[()]) -> int:
        return self.value


class LeftOut:
    """A ghost field that this run does not keep: nothing that stays may depend on it."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.was_read = False

    def __getitem__(self, key: Any) -> Any:
        self.was_read = True
        return self.field.init

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def where(self, new: Any) -> None:
        pass


View = PlainField | PlainConstant | PlainParameter | LeftOut


class PlainState:
    """The `s` of an action in a plain run."""

    def __init__(self, fields: dict[str, View]) -> None:
        scalars = {n: f for n, f in fields.items() if not isinstance(f, PlainConstant) and not f.field.index}
        self.__dict__["_scalars"] = scalars
        self.__dict__["_dropped"] = frozenset()
        self.__dict__["_required"] = 0  # guards so far: an action that takes over another requires twice
        self.__dict__["_failed"] = False  # whether a claim is false: it counts where all guards hold
        self.__dict__["_left_out"] = [f for f in fields.values() if isinstance(f, LeftOut)]
        self.__dict__.update({n: f for n, f in fields.items() if n not in scalars})

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["_scalars"][name][()]

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__["_scalars"][name][()] = value

    def require(self, *guards: Any) -> None:
        before = self.__dict__["_required"]
        self._forget_reads()
        for position, guard in enumerate(guards, before):
            if guard is False and position not in self.__dict__["_dropped"]:
                raise Disabled(position)
        self.__dict__["_required"] = before + len(guards)

    def claim(self, *facts: Any) -> None:
        reads_what_is_left_out = self._forget_reads()
        if not all(facts) and not reads_what_is_left_out:
            self.__dict__["_failed"] = True

    def _forget_reads(self) -> bool:
        """Whether a ghost field that is left out has been read since this was asked last."""
        found = [f for f in self.__dict__["_left_out"] if f.was_read]
        for f in found:
            f.was_read = False
        return bool(found)


class Run:
    """A model under a configuration: initial state, steps and properties, on plain values."""

    def __init__(
        self, model: Model, configuration: Configuration, ghosts: frozenset[str] = frozenset()
    ) -> None:
        configuration.check(model)
        self.model, self.configuration = model, configuration
        self.cells = Cells.of(model, configuration, ghosts)
        self.initial: State = self.cells.initial
        self.before: State = self.initial
        views: dict[str, View] = {}
        for f in model.fields.values():
            if f.kind == "constant":
                views[f.name] = PlainConstant(configuration.constants.get(f.name, frozenset()))
            elif f.kind == "parameter":
                views[f.name] = PlainParameter(f, configuration.parameters[f.name])
            elif f in self.cells.fields:
                keys = [key for field, key in self.cells.keys if field is f]
                views[f.name] = PlainField(self, f, self.cells.start[f.name], keys)
            else:
                views[f.name] = LeftOut(f)
        self._written = [v.written for v in views.values() if isinstance(v, PlainField)]
        self._state: Any = PlainState(views)
        self.instances = [
            Instance(action, args)
            for action in model.actions.values()
            for args in configuration.assignments(action.params)
        ]
        self._check_axioms()

    # -- the reading of quantifiers ---------------------------------------------------------------
    def quantify(self, kind: str, sort: type[Sort], body: Any) -> Any:
        values = (body(x) for x in self.configuration.domain(sort))
        return all(values) if kind == "all" else any(values) if kind == "any" else sum(values)

    # -- steps ------------------------------------------------------------------------------------
    def step(self, state: State, action: Action, args: tuple[Any, ...]) -> State:
        """The state after the action. Raises Disabled, Cut, ClaimFailed, or SpecError."""
        self.before = state
        for written in self._written:
            written.clear()
        positions = frozenset(i for i, g in enumerate(action.guards) if g.name in action.dropped)
        self._state.__dict__.update(_dropped=positions, _required=0, _failed=False)
        self._state._forget_reads()
        try:
            with reading(self):
                action.function(self._state, *args)
        except SpecError as error:
            raise SpecError(f"{action.place}: {self.configuration.call(action, args)}: {error}") from None
        except Cut:
            if self._state._failed:
                raise ClaimFailed from None
            raise
        if self._state._failed:
            raise ClaimFailed
        after = list(state)
        for written in self._written:
            for cell, value in written.items():
                after[cell] = value
            written.clear()
        return tuple(after)

    def steps(self, state: State) -> Iterator[tuple[int, State | None]]:
        """Every step possible here: the position of its instance, and the state after it (None: cut)."""
        for position, instance in enumerate(self.instances):
            try:
                yield position, self.step(state, instance.action, instance.args)
            except Disabled:
                pass
            except Cut:
                yield position, None
            except ClaimFailed:
                raise ClaimFailed(position) from None

    def refused(self, state: State, action: Action, args: tuple[Any, ...]) -> Guard | None:
        """The guard that forbids this step here, or None."""
        try:
            self.step(state, action, args)
        except Disabled as disabled:
            return action.guards[disabled.guard]
        except Cut:
            pass
        return None

    # -- properties -------------------------------------------------------------------------------
    def holds(self, prop: Property, state: State, args: tuple[Any, ...]) -> bool:
        """Whether the property is true of the state for these values of its parameters."""
        self.before = state
        for written in self._written:
            written.clear()
        with reading(self):
            return bool(prop.of(self._state, *args))

    def violated(
        self, state: State, properties: dict[str, Property]
    ) -> tuple[Property, tuple[Any, ...]] | None:
        """The first property that is false here, and the values for which it is."""
        for prop in properties.values():
            for args in self.configuration.assignments(prop.params):
                if not self.holds(prop, state, args):
                    return prop, args
        return None

    def witnessed(self, state: State, witness: Property) -> bool:
        """Whether the witness is true here for some values of its parameters."""
        return any(
            self.holds(witness, state, args) for args in self.configuration.assignments(witness.params)
        )

    def _check_axioms(self) -> None:
        found = self.violated(self.initial, self.model.axioms)
        if found:
            axiom, args = found
            call, says = self.configuration.call(axiom, args), axiom.doc.partition("\n")[0]
            raise UsageError(f"this configuration breaks the axiom {call}{f': {says}' if says else ''}")
