"""From what a reader found to a story: a run of a model, a step that keeps no invariant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from oneleader.language.configuration import Cells, Configuration
from oneleader.language.definitions import Property
from oneleader.language.model import Model
from oneleader.language.sorts import is_number, is_set
from oneleader.pictures.plain import show_changes
from oneleader.pictures.telling import Telling, Values, named, plain
from oneleader.readers.explore.explored import Violation
from oneleader.readers.run import Instance, Run, State
from oneleader.story import NBSP, Story

if TYPE_CHECKING:  # importing it would load Z3
    from oneleader.readers.prove.induction import Counterexample


def of_run(run: Run, found: Violation, again: str = "") -> Story:
    """The counterexample that `explore` or `walk` found."""
    telling = telling_of(run.model, run.configuration)
    steps = [(run.instances[position], state) for position, state in found.steps]
    tell(telling, run.cells, run.configuration, run.initial, steps)
    last = len(steps)
    if found.step is not None:  # the instance whose claim is false, after all that was done
        instance = run.instances[found.step]
        last += 1
        _take(telling, run.configuration, last, instance, {}, ())
    wrong, because = violated(run.model, run.configuration, found.what, found.args)
    lanes = _among(telling, run.configuration, run.model.properties.get(found.what), found.args)
    return telling.story(wrong=wrong, because=because, wrong_row=last, wrong_lanes=lanes, again=again)


def of_counterexample(found: Counterexample) -> Story:
    """The step that `prove` found: from a state that keeps the invariants to one that does not."""
    obligation, at = found.obligation, found.configuration
    telling = telling_of(obligation.model, at)
    steps = [(found.instance, found.after or found.before)] if found.instance else []
    telling.title += "; a counterexample to induction: its first state need not be reachable"
    start = "a state that satisfies the invariants" if steps else "a state"
    tell(telling, found.cells, at, found.before, steps, start)
    prop = obligation.property
    if prop is None:
        wrong, because = f"{obligation.goal} does not hold", ""
    else:
        wrong = f"{prop.title} is not kept{says(prop)}"
        because = _binding(at, prop, found.args)
    lanes = _among(telling, at, prop, found.args)
    return telling.story(wrong=wrong, because=because, wrong_row=len(steps), wrong_lanes=lanes)


# -- the state ---------------------------------------------------------------------------------------------
def telling_of(model: Model, at: Configuration) -> Telling:
    """A story that begins, of this model and size."""
    elements: dict[str, tuple[Any, ...]] = {}
    for sort in model.sorts.values():
        if is_set(sort):
            elements[sort.__name__] = tuple(map(named, at.elements[sort.__name__]))
        elif is_number(sort):
            elements[sort.__name__] = tuple(at.domain(sort))
    quorums = (frozenset(q) for q in elements.get("Quorum", ()) if isinstance(q, tuple))
    return Telling(model, Values(model, elements, quorums, at.parameters), f"{model.name}: {at.describe()}")


def tell(
    telling: Telling,
    cells: Cells,
    at: Configuration,
    before: State,
    steps: Iterable[tuple[Instance | None, State]],
    start: str = "the first state",
    names: Sequence[str] = (),
) -> None:
    """Every step from a state on. Of one that nobody could name, `names` says what its action is called."""
    every = {
        (f.name, tuple(map(_at(at), f.index, key))): plain(at, f.of, value)
        for (f, key), value in zip(cells.keys, before, strict=True)
    }
    telling.begin(start, every)
    for number, (instance, after) in enumerate(steps, 1):
        written = {
            (f.name, tuple(map(_at(at), f.index, key))): plain(at, f.of, new)
            for (f, key), old, new in zip(cells.keys, before, after, strict=True)
            if old != new
        }
        changes = show_changes(cells, at, before, after)
        if instance:
            _take(telling, at, number, instance, written, changes)
        else:
            label, lane = names[number - 1], _lane_of(telling, written)
            telling.take(number, [], written, lane, label, call=label, changes=tuple(changes))
        before = after


def _lane_of(telling: Telling, written: Iterable[Any]) -> str:
    """The lane of which a step that nobody could name has changed something."""
    lanes = {lane.name for lane in telling.lanes}
    return next((str(key[0]) for _, key in written if key and str(key[0]) in lanes), "")


def _at(at: Configuration) -> Any:
    return lambda sort, value: plain(at, sort, value)


def _take(
    telling: Telling, at: Configuration, number: int, instance: Instance, written: Any, changes: Iterable[str]
) -> None:
    action = instance.action
    args = {p: plain(at, sort, v) for (p, sort), v in zip(action.params, instance.args, strict=True)}
    call = at.call(action, instance.args)
    telling.take(number, [(action.name, args)], written, call=call, changes=tuple(changes))


# -- what is wrong -----------------------------------------------------------------------------------------
def violated(model: Model, at: Configuration, what: str, args: tuple[Any, ...]) -> tuple[str, str]:
    """The violated property as a sentence, and for which values it is false."""
    if what == "deadlock":
        return "Deadlock: no step is possible here", ""
    if what == "claim":
        return "A claim inside an action is false here", ""
    if what == "refinement":
        return "The refined model does not allow the last step", ""
    prop = model.properties[what]
    return f"{prop.title} is violated{says(prop)}", _binding(at, prop, args)


def says(prop: Property) -> str:
    """What a property says, to end a sentence with; the clause that it cites behind it: `(Figure 3)`."""
    first = prop.doc.splitlines()[0].rstrip(".") if prop.doc else ""
    cited = re.fullmatch(r"((?:Figure|Section|Dissertation|Assertion) [^:]*): (.*)", first)
    if cited:
        return f": {cited[2]} ({cited[1].replace(' ', NBSP)})."
    return f": {first[0].lower()}{first[1:]}." if first else "."


def _binding(at: Configuration, prop: Property, args: tuple[Any, ...]) -> str:
    pairs = zip(prop.params, args, strict=True)
    shown = ", ".join(f"{name} = {at.show(sort, value)}" for (name, sort), value in pairs)
    return f"Not so for {shown}." if shown else ""


def _among(
    telling: Telling, at: Configuration, prop: Property | None, args: tuple[Any, ...]
) -> frozenset[str]:
    """The lanes that the violation speaks of."""
    if prop is None:
        return frozenset()
    return telling.at_fault(str(plain(at, sort, v)) for (_, sort), v in zip(prop.params, args, strict=True))
