"""access: what a compiled program calls to read and write cells and rows, and to say what it has touched.

layered   into the candidate at hand, above what all candidates share: the state before a step remains
in place  into the shared state itself, where one state is followed and nobody asks what it was before
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from oneleader.language.fields import Field
from oneleader.readers.replay.candidates import UNSET

if TYPE_CHECKING:
    from oneleader.readers.replay.compiled import CompiledRun

Access = dict[str, Any]


def prefix_of(index: tuple[Any, ...]) -> Any:
    """The key of the row that a cell is in."""
    return index[0] if len(index) == 2 else index[:-1]


# -- layered -----------------------------------------------------------------------------------------------
def layered(run: CompiledRun, fields: Iterable[Field]) -> Access:
    """By name, for the fields that change."""
    found = _touching(run)
    for f in fields:
        found |= _rows(run, f.name) if f.name in run.kinds else _cells(run, f)
    return found


def _cells(run: CompiledRun, f: Field) -> Access:
    name, initial, shared = f.name, f.init, run.shared[f.name]

    def get(key: Any) -> Any:
        value = run.now.changes.get((name, key), UNSET)
        return shared.get(key, initial) if value is UNSET else value

    def put(key: Any, value: Any) -> None:
        cell, state = (name, key), run.now
        state.touched.append(cell)
        if shared.get(key, initial) == value:
            state.changes.pop(cell, None)
        else:
            state.changes[cell] = value

    return {f"get_{name}": get, f"put_{name}": put}


def _rows(run: CompiledRun, name: str) -> Access:
    shared, empty = run.shared[name], run.empty[name]

    def row(prefix: Any) -> Any:
        return run.now.changes.get((name, prefix)) or shared.get(prefix) or empty

    def own(prefix: Any) -> Any:
        return run.now.own(name, prefix)

    def set(prefix: Any, row: Any) -> None:
        run.now.set(name, prefix, row)
        run.now.whole.add(name)

    def put(key: Any, value: Any) -> None:
        run.now.touched.append((name, key))
        run.now.own(name, prefix_of(key)).put(key[-1], value)

    return {f"row_{name}": row, f"own_{name}": own, f"set_{name}": set, f"put_{name}": put}


def _touching(run: CompiledRun) -> Access:
    """How the program notes which cells it has written, for the properties that read them."""

    def touch_keys(name: str, prefix: Any, keys: Iterable[Any]) -> None:
        before = prefix if isinstance(prefix, tuple) else (prefix,)
        run.now.touched += [(name, (*before, key)) for key in keys]

    def touch_range(name: str, prefix: Any, start: int, values: list[Any]) -> None:
        touch_keys(name, prefix, range(start, start + len(values)))

    def whole(name: str) -> None:
        run.now.whole.add(name)

    return {"touch_keys": touch_keys, "touch_range": touch_range, "whole": whole}


# -- in place ------------------------------------------------------------------------------------------------
def in_place(run: CompiledRun, fields: Iterable[Field]) -> Access:
    """The same for a program that is written to read `cells_term` and the like directly."""
    found: Access = {}
    for f in fields:
        found[f"cells_{f.name}"], found[f"initial_{f.name}"] = run.shared[f.name], f.init
        if f.name in run.kinds:
            found |= _rows_in_place(run, f.name)
    return found


def _rows_in_place(run: CompiledRun, name: str) -> Access:
    rows, empty = run.shared[name], run.empty[name]

    def put(key: Any, value: Any) -> None:
        rows[prefix_of(key)].put(key[-1], value)

    return {f"initial_{name}": empty, f"put_{name}": put}
