"""A counterexample as a recording in our own format, which `replay` judges."""

from __future__ import annotations

from typing import Any

from oneleader.language.configuration import Configuration
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import NIL, AnySort, EachSort, OptionSort, is_time
from oneleader.readers.explore.explored import Violation
from oneleader.readers.run import Run, State


def recording(model: Model, run: Run, found: Violation, fault: str | None) -> list[dict[str, Any]]:
    """The counterexample in our own trace format (`readers/replay/formats/own.py`)."""
    at = run.configuration
    header = {"format": "oneleader", "version": 1, "model": model.name, **header_of(model, at)}
    if found.what in run.model.properties:
        params = run.model.properties[found.what].params
        false = zip(params, found.args, strict=True)
        header["violates"] = [found.what, {name: _plain(at, sort, v) for (name, sort), v in false}]
    if found.step is not None:
        instance = run.instances[found.step]
        said = zip(instance.action.params, instance.args, strict=True)
        header["violates"] = [instance.action.name, {name: _plain(at, sort, v) for (name, sort), v in said}]
    lines = [header | ({"fault": fault} if fault else {})]
    before: State = run.initial
    for number, (position, after) in enumerate(found.steps, 1):
        action, values = run.instances[position].action, run.instances[position].args
        args = {name: _plain(at, sort, v) for (name, sort), v in zip(action.params, values, strict=True)}
        node = next((v for v in args.values() if isinstance(v, str)), "")
        event = at.call(action, values)
        step = {"node": node, "event": event, "actions": [[action.name, args]]}
        is_last = number == len(found.steps)
        lines.append(step | {"after": _after(run, None if is_last else before, after)})
        before = after
    return lines


def header_of(model: Model, at: Configuration) -> dict[str, Any]:
    """What the header says of the configuration."""
    header: dict[str, Any] = {
        "elements": {sort: list(names) for sort, names in at.elements.items() if sort != "Quorum"}
    }
    if "Quorum" in at.elements:
        header["quorums"] = [_listed(q) for q in at.elements["Quorum"]]
    if at.greatest:
        header["numbers"] = dict(at.greatest)
    if at.parameters:
        header["parameters"] = dict(at.parameters)
    of_members = ("quorum_of", "adjacent") if at.members else ()
    if said := [name for name in (*at.chosen, *of_members) if name in model.fields]:
        header["constants"] = {name: _true_at(at, model.fields[name]) for name in said}
    return header


def _true_at(at: Configuration, constant: Field) -> list[list[Any]]:
    """The indices at which a constant is true."""
    keys = sorted(at.constants[constant.name])
    return [[_plain(at, s, k) for s, k in zip(constant.index, key, strict=True)] for key in keys]


def _after(run: Run, before: State | None, after: State) -> dict[str, Any]:
    """The cells that the step changes, by field and index, and all cells in the end, where `before` is None:
    a model whose steps do something else, or leave something undone, refuses it.

    A run cuts times at the longest and a recording does not, so times are left out, and history.
    """
    said: dict[str, Any] = {}
    for i, ((field, key), new) in enumerate(zip(run.cells.keys, after, strict=True)):
        is_shown = before is None or before[i] != new
        if is_shown and field.kind == "field" and not is_time(field.of):
            at, inner = said, field.name
            for sort, part in zip(field.index, key, strict=True):
                at, inner = at.setdefault(inner, {}), run.configuration.show(sort, part)
            at[inner] = _cell(run.configuration, field, new)
    return said


def _cell(at: Configuration, field: Field, value: Any) -> Any:
    if field.of is bool:
        return bool(value)
    if isinstance(field.of, OptionSort) and value == NIL:
        return None
    return _plain(at, field.of, value)


def _plain(at: Configuration, sort: AnySort, value: Any) -> Any:
    """`{n1 n2}` as a list, `3` as a number, one value for each element as an object."""
    if isinstance(sort, EachSort):
        return dict(zip(at.elements[sort.index.__name__], value, strict=True))
    if is_time(sort):
        return value
    return _listed(at.show(sort, value))


def _listed(shown: str) -> Any:
    if shown.startswith("{"):
        return shown.strip("{}").split()
    return int(shown) if shown.isdigit() else shown
