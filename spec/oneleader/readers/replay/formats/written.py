"""A counterexample as a recording in our own format, which `replay` judges."""

from __future__ import annotations

from typing import Any

from oneleader.language.configuration import Configuration
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import AnySort, EachSort, is_time
from oneleader.readers.explore.explore import Violation
from oneleader.readers.run import Run


def recording(model: Model, run: Run, found: Violation, fault: str | None) -> list[dict[str, Any]]:
    """The counterexample in our own trace format (`readers/replay/formats/own.py`)."""
    at = run.configuration
    header: dict[str, Any] = {"format": "oneleader", "version": 1, "model": model.name}
    header["elements"] = {sort: list(names) for sort, names in at.elements.items() if sort != "Quorum"}
    if "Quorum" in at.elements:
        header["quorums"] = [_listed(q) for q in at.elements["Quorum"]]
    if at.greatest:
        header["numbers"] = dict(at.greatest)
    if at.parameters:
        header["parameters"] = dict(at.parameters)
    if at.chosen:
        header["constants"] = {name: _true_at(at, model.fields[name]) for name in at.chosen}
    if found.what in run.model.properties:
        params = run.model.properties[found.what].params
        false = zip(params, found.args, strict=True)
        header["violates"] = [found.what, {name: _plain(at, sort, v) for (name, sort), v in false}]
    lines = [header | ({"fault": fault} if fault else {})]
    for position, _ in found.steps:
        action, values = run.instances[position].action, run.instances[position].args
        args = {name: _plain(at, sort, v) for (name, sort), v in zip(action.params, values, strict=True)}
        node = next((v for v in args.values() if isinstance(v, str)), "")
        event = at.call(action, values)
        lines.append({"node": node, "event": event, "actions": [[action.name, args]]})
    return lines


def _true_at(at: Configuration, constant: Field) -> list[list[Any]]:
    """The indices at which a constant is true."""
    keys = sorted(at.constants[constant.name])
    return [[_plain(at, s, k) for s, k in zip(constant.index, key, strict=True)] for key in keys]


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
