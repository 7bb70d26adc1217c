"""Where a twin is compared with its model: `bounds.toml`, which `workshop/twins/search.py` writes.

For each model some small configurations whose graphs together fire every action, see every guard true and
false, and notice every mutant of the TLA+ text that is not equivalent. What none of them can show stands
there too, with the reason.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model

FILE = Path(__file__).with_name("bounds.toml")


@dataclass(frozen=True)
class Bounds:
    """A configuration, for a model that is named elsewhere. `where`: constants, as `--size off=terms`.

    `depth`: runs of so many steps; None: all runs.
    """

    sizes: Mapping[str, int]
    quorums: str = "majority"
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    depth: int | None = None

    def __repr__(self) -> str:
        """Of a depth only where there is one: what was judged before is known by this text."""
        depth = "" if self.depth is None else f", depth={self.depth}"
        return f"Bounds(sizes={self.sizes!r}, quorums={self.quorums!r}, where={self.where!r}{depth})"

    def __hash__(self) -> int:
        return hash(repr(self))

    @property
    def switched(self) -> str:
        """`, off terms`; "" where all switches are as they should be."""
        return "".join(f", {constant} {' '.join(names)}" for constant, names in self.where.items())

    def of(self, model: Model) -> Configuration:
        at = configure(model, self.sizes, self.quorums)
        for name, names in self.where.items():
            at = at.where(model.fields[name], names)
        return at


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text("utf-8"))


def bounds_of(model: Model) -> tuple[Bounds, ...]:
    """Where the twin of this model is compared, cheapest first. UsageError where that is not said."""
    found = _listed(model, "bounds")
    if not found:
        raise UsageError(f"{FILE.name} has no bounds for {model.name}: give --nodes and --terms, or --size")
    return found


def full_bounds_of(model: Model) -> tuple[Bounds, ...]:
    """Where `oneleader check` compares it, too, unless --quick: what takes long."""
    return _listed(model, "full")


def deep_bounds_of(model: Model) -> tuple[Bounds, ...]:
    """Where `oneleader check --deep` compares it, too: what takes longer still."""
    return _listed(model, "deep")


def _listed(model: Model, where: str) -> tuple[Bounds, ...]:
    return tuple(
        Bounds(
            dict(sorted(one["sizes"].items())),
            one.get("quorums", "majority"),
            {name: tuple(names) for name, names in one.get("where", {}).items()},
            one.get("depth"),
        )
        for one in _file().get(model.name, {}).get(where, ())
    )


def unseen(model: Model) -> dict[str, str]:
    """What no bounds show of this model, with the reason."""
    return dict(_file().get(model.name, {}).get("unseen", {}))
