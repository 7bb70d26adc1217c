"""States, steps and runs as plain lines of text: one line a field, and only what has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from oneleader.language.configuration import Cells, Configuration
from oneleader.language.fields import Field
from oneleader.readers.run import Instance, State

if TYPE_CHECKING:  # importing it would load Z3 for readers that do without
    from oneleader.readers.prove.induction import Counterexample

Key = tuple[Any, ...]


def show_state(cells: Cells, configuration: Configuration, state: State) -> list[str]:
    """One line a field; what has its initial value is left out.

    term     n1=1 n2=0
    granted  (n1, 1, n2) (n3, 1, n2)
    """
    found: dict[Field, list[tuple[Key, Any]]] = {}
    for (f, key), value in zip(cells.keys, state, strict=True):
        if value != configuration.first(f):
            found.setdefault(f, []).append((key, value))
    if not found:
        return ["nothing has happened"]
    width = max(len(f.name) for f in found)
    return [
        f"{f.name:{width}}  {' '.join(_entry(f, configuration, key, value) for key, value in entries)}"
        for f, entries in found.items()
    ]


def show_changes(cells: Cells, configuration: Configuration, before: State, after: State) -> list[str]:
    """One line a cell that differs: `term[n1]: 0 -> 1`."""
    return [
        f"{f.name}{_index(f, configuration, key)}: "
        f"{configuration.show(f.of, old)} -> {configuration.show(f.of, new)}"
        for (f, key), old, new in zip(cells.keys, before, after, strict=True)
        if old != new
    ]


def show_step(
    cells: Cells, configuration: Configuration, before: State, instance: Instance, after: State
) -> list[str]:
    """The action with its arguments, and below it what it changes."""
    changes = show_changes(cells, configuration, before, after) or ["nothing changes"]
    return [configuration.call(instance.action, instance.args), *_indented(changes)]


def show_trace(
    cells: Cells, configuration: Configuration, initial: State, steps: Iterable[tuple[Instance, State]]
) -> list[str]:
    """A run, its steps numbered from 1."""
    steps = list(steps)
    width = len(str(len(steps)))
    lines = [f"{0:{width}}  the first state"]
    if initial != cells.initial:
        lines += _indented(show_state(cells, configuration, initial), width + 4)
    before = initial
    for number, (instance, after) in enumerate(steps, start=1):
        call, *changes = show_step(cells, configuration, before, instance, after)
        lines += [f"{number:{width}}  {call}", *_indented(changes, width + 2)]
        before = after
    return lines


def show_constants(fields: Mapping[str, Field], configuration: Configuration) -> list[str]:
    """One line a constant: the tuples of which it is true."""
    lines = []
    for name, true_at in configuration.constants.items():
        entries = [_entry(fields[name], configuration, key, True) for key in sorted(true_at)]
        lines.append(f"{name}  {' '.join(entries) or 'nowhere'}")
    return lines


def show_counterexample(found: Counterexample) -> list[str]:
    """Why an obligation is not proved: the state before, the step, and what is false after it."""
    lines, prop = show_instance(found), found.obligation.property
    if prop is None:
        return [*lines, f"this is false: {found.obligation.goal}"]
    says = f": {prop.doc.splitlines()[0]}" if prop.doc else ""
    return [*lines, f"this is false: {found.configuration.call(prop, found.args)}{says}"]


def show_instance(found: Counterexample) -> list[str]:
    """Sizes, constants, the state and the step."""
    configuration, cells, model = found.configuration, found.cells, found.obligation.model
    lines = [f"with {configuration.describe()}:", *_indented(show_constants(model.fields, configuration))]
    if found.instance is None:
        lines += ["in", *_indented(show_state(cells, configuration, found.before))]
    else:
        lines += ["from", *_indented(show_state(cells, configuration, found.before)), "by"]
        if found.after is None:
            lines.append(f"  {configuration.call(found.instance.action, found.instance.args)}")
        else:
            step = show_step(cells, configuration, found.before, found.instance, found.after)
            lines += _indented(step)
    return lines


def _entry(f: Field, configuration: Configuration, key: Key, value: Any) -> str:
    """`n1=3`, `(n1, 2)=3`; for a relation the tuple alone, for a field without index the value alone."""
    shown = [configuration.show(sort, k) for sort, k in zip(f.index, key, strict=True)]
    result = configuration.show(f.of, value)
    relation = f.of is bool and f.init is False
    if not shown:
        return result
    at = shown[0] if len(shown) == 1 else f"({', '.join(shown)})"
    return at if relation else f"{at}={result}"


def _index(f: Field, configuration: Configuration, key: Key) -> str:
    shown = ", ".join(configuration.show(sort, k) for sort, k in zip(f.index, key, strict=True))
    return f"[{shown}]" if f.index else ""


def _indented(lines: Iterable[str], by: int = 2) -> list[str]:
    return [" " * by + line for line in lines]
