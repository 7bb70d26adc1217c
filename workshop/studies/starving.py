"""starving: a run on which what a `leads_to` promises never comes, where one of its assumptions is left out.

A run begins as any other. From some state on, the assumptions that are left hold: what is given, and that
the environment takes certain steps no more. It ends in a loop in which the goal is not reached, and each fair
step is taken, or changes nothing at some time: for ever, nothing that fairness asks for is left out. Most
loops have no step at all, where no fair step is possible any more. It is a run of the model itself, without
any bound: what the bound of the search cuts off counts as a change.

`starve` seeks one, breadth first, on compiled steps. `why_not` looks at a run that was found, step by step
with the plain interpreter, and shares no code with the search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from oneleader.language.progress import FairStep, LeadsTo, Predicate, Stop, sort_of_each
from oneleader.language.sorts import reading
from oneleader.readers.engines.scalar import Scalar
from oneleader.readers.run import Cut, Disabled, Instance, Run, State

Values = dict[str, Any]  # of the parameters of what is promised
Steps = tuple[FairStep, ...]
Taken = tuple[int, ...]
Possible = tuple[int, State | None]  # the position of an instance, and the state after it; None: cut off
Successors = Callable[[State], list[Possible]]
Graph = dict[State, list[tuple[int, State]]]
MOST_STATES = 60_000  # reached before the assumptions hold
MOST_CALM = 2_000  # and afterwards, for the same values of the parameters


@dataclass(frozen=True)
class Starved:
    """Positions of instances: those taken `before` the assumptions hold, then in the `calm`, and again and
    again in the `loop`."""

    values: Values
    before: Taken
    calm: Taken
    loop: Taken = ()


class Promise:
    """What a `leads_to` says of plain states, for some values of its parameters."""

    def __init__(self, run: Run, found: LeadsTo, values: Values) -> None:
        self.run, self.found, self.values = run, found, values

    # -- predicates ------------------------------------------------------------------------------
    def says(self, predicate: Predicate, state: State, own: Values | None = None) -> bool:
        names = predicate.__code__.co_varnames[1 : predicate.__code__.co_argcount]
        values = self.values | (own or {})
        self.run.before = state
        with reading(self.run):
            return bool(predicate(self.run._state, *(values[name] for name in names)))

    def begins(self, state: State) -> bool:
        """All that is given holds, and the goal is not reached yet."""
        return not self.is_reached(state) and all(self.says(given, state) for given in self.found.given)

    def is_reached(self, state: State) -> bool:
        return self.says(self.found.function, state)

    # -- steps -----------------------------------------------------------------------------------
    def is_taken(self, state: State, instance: Instance, after: State) -> bool:
        """Whether the environment may take this step still."""
        return not any(self._is_stopped(stop, state, instance, after) for stop in self.found.stops)

    def _is_stopped(self, stop: Stop, state: State, instance: Instance, after: State) -> bool:
        own = _arguments(instance)
        if stop.action != instance.action.name or not self._match(stop.arguments, own):
            return False
        if stop.leaving:
            return not self.says(stop.leaving, after)
        return stop.when is None or self.says(stop.when, state, own)

    def _match(
        self, asked: tuple[tuple[str, str | int], ...], own: Values, member: Values | None = None
    ) -> bool:
        values = self.values | (member or {})
        return all(own[name] == (values[x] if isinstance(x, str) else x) for name, x in asked)

    def fair(self) -> list[frozenset[int]]:
        """The steps of each stage and member, and the last one: each set is one that fairness is asked of."""
        found = [self._instances(steps, member) for steps in self.found.fair for member in self._members()]
        return [*found, self._instances(self.found.by, {})] if self.found.by else found

    def _instances(self, steps: Steps, member: Values) -> frozenset[int]:
        return frozenset(
            position
            for position, instance in enumerate(self.run.instances)
            for fair in steps
            if fair.action == instance.action.name
            and self._match(fair.arguments, _arguments(instance), member)
        )

    def _members(self) -> Iterator[Values]:
        """Each member of the quorum, by the name that stages have for it."""
        if not self.found.each:
            yield {}
            return
        v, q = self.found.each
        sort = sort_of_each(self.found)
        assert sort is not None
        true_at = self.run.configuration.constants["member"]
        yield from ({v: n} for n in self.run.configuration.domain(sort) if (n, self.values[q]) in true_at)


def _arguments(instance: Instance) -> Values:
    return dict(zip((name for name, _ in instance.action.params), instance.args, strict=True))


def promises(run: Run, found: LeadsTo) -> Iterator[Promise]:
    """For all values of the parameters."""
    names = [name for name, _ in found.params]
    for values in run.configuration.assignments(found.params):
        yield Promise(run, found, dict(zip(names, values, strict=True)))


# --- The search -------------------------------------------------------------------------------------------


def starve(run: Run, found: LeadsTo, first: Taken = (), most: int = MOST_STATES) -> Starved | None:
    """A run on which the promise is not kept, or None within these bounds; it begins with these steps.

    `most`: how many states are reached before the assumptions hold.
    """
    successors, start = Scalar(run).successors, run.initial
    for position in first:
        start = _taken(run, start, position)
    calm = [_Calm(promise, successors) for promise in promises(run, found)]
    before: dict[State, Taken] = {start: first}
    left = [start]
    while left and len(before) < most:
        following = []
        for state in left:
            for one in calm:
                if (ends := one.ends(state)) is not None:
                    return Starved(one.promise.values, before[state], *ends)
            for position, after in successors(state):
                if after is not None and after not in before:
                    before[after] = (*before[state], position)
                    following.append(after)
        left = following
    return None


class _Calm:
    """The states that come once the assumptions hold, for some values of the parameters."""

    def __init__(self, promise: Promise, successors: Successors) -> None:
        self.promise, self.successors, self.fair = promise, successors, promise.fair()
        self.seen: set[State] = set()

    def ends(self, start: State) -> tuple[Taken, Taken] | None:
        """The steps from here to a loop, and those of the loop; None if there is none that is fair."""
        if start in self.seen or not self.promise.begins(start):
            return None
        self.seen.add(start)
        graph: Graph = {}
        way: dict[State, Taken] = {start: ()}
        for state in (left := [start]):
            possible = self.successors(state)
            if all(self._is_idle(unit, state, possible) for unit in self.fair):
                return way[state], ()
            graph[state] = [*self._on(state, possible)]
            for position, after in graph[state] if len(left) < MOST_CALM else ():
                if after not in self.seen:
                    self.seen.add(after)
                    way[after] = (*way[state], position)
                    left.append(after)
        return self._loop(graph, way)

    def _on(self, state: State, possible: list[Possible]) -> Iterator[tuple[int, State]]:
        """The steps that change something, after which the goal is not reached."""
        for position, after in possible:
            if after is None or after == state or self.promise.is_reached(after):
                continue
            if self.promise.is_taken(state, self.promise.run.instances[position], after):
                yield position, after

    def _is_idle(self, unit: frozenset[int], state: State, possible: list[Possible]) -> bool:
        return unit.isdisjoint(position for position, after in possible if after != state)

    def _loop(self, graph: Graph, way: dict[State, Taken]) -> tuple[Taken, Taken] | None:
        """The first round that is fair, among states of which each leads to each."""
        before: dict[State, list[State]] = {state: [] for state in graph}
        for state, edges in graph.items():
            for _, after in edges:
                before.get(after, []).append(state)
        left = set(graph)
        for root in graph:
            if root in left:
                onwards = _closed(root, {s: [after for _, after in graph[s]] for s in left})
                among = _closed(root, {s: before[s] for s in onwards})
                left -= among
                if (loop := self._round(graph, root, [s for s in graph if s in among])) is not None:
                    return way[root], loop
        return None

    def _round(self, graph: Graph, root: State, among: list[State]) -> Taken | None:
        """From one of these back to it, as each fair step needs; None where that is not there."""
        at, taken, inside = root, Taken(), set(among)
        for unit in self.fair:
            idle = (s for s in among if self._is_idle(unit, s, self.successors(s)))
            goal, position, after = next(((s, (), s) for s in idle), None) or next(
                ((s, (p,), s2) for s in among for p, s2 in graph[s] if p in unit and s2 in inside),
                (None, (), None),
            )
            if goal is None or after is None:
                return None
            taken += (*_path(graph, at, goal, inside), *position)
            at = after
        return taken + _path(graph, at, root, inside)


def _closed(root: State, following: dict[State, list[State]]) -> set[State]:
    """All of these states that are reached from one."""
    found = {root}
    for state in (left := [root]):
        new = {after for after in following[state] if after in following} - found
        found |= new
        left += new
    return found


def _path(graph: Graph, start: State, goal: State, inside: set[State]) -> Taken:
    """The steps of a shortest way there."""
    way: dict[State, Taken] = {start: ()}
    for state in (left := [start]):
        if state == goal:
            break
        for position, after in graph[state]:
            if after in inside and after not in way:
                way[after] = (*way[state], position)
                left.append(after)
    return way[goal]


# --- The judge --------------------------------------------------------------------------------------------


def why_not(run: Run, found: LeadsTo, starved: Starved) -> str:
    """Why this run shows nothing, by the plain interpreter; "" if it shows that the promise is broken."""
    promise, state = Promise(run, found, starved.values), run.initial
    for position in starved.before:
        state = _taken(run, state, position)
    if not promise.begins(state):
        return "what is given does not hold where the calm begins"
    states = [state]
    for position in (*starved.calm, *starved.loop):
        after = _taken(run, states[-1], position)
        if not promise.is_taken(states[-1], run.instances[position], after):
            return "a step is taken that the environment takes no more"
        if promise.is_reached(after):
            return "the goal is reached"
        states.append(after)
    again = states[len(starved.calm) :]
    if again[0] != again[-1]:
        return "the loop does not come back to where it began"
    for unit in promise.fair():
        if unit.isdisjoint(starved.loop) and all(_changes(run, state, unit) for state in again):
            return "a step that fairness asks for stays possible"
    return ""


def _taken(run: Run, state: State, position: int) -> State:
    instance = run.instances[position]
    return run.step(state, instance.action, instance.args)


def _changes(run: Run, state: State, unit: frozenset[int]) -> bool:
    """One of these steps is possible and changes something."""
    for position in unit:
        try:
            if _taken(run, state, position) != state:
                return True
        except Disabled:
            pass
        except Cut:
            return True
    return False
