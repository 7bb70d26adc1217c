"""settings: explores a model under every setting of its switches.

A model's switches are its constant that an enumeration indexes: `off[TERMS]` says that there are none,
and any other name, as in `assumed[PROMPT]`, that there are.
Each property is explored apart, so that each that is broken has its own shortest counterexample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import is_enum
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.explored import Explored
from oneleader.readers.run import Run
from oneleader.verdict import HOLDS, INCONCLUSIVE, Verdict


@dataclass(frozen=True)
class Setting:
    """What was found under one setting, for each property and each witness by its name."""

    run: Run
    switches: tuple[str, ...]
    off: tuple[str, ...]
    found: dict[str, Explored]

    def steps(self, name: str) -> int | None:
        """Steps of the shortest run that breaks the property, or reaches the witness; None if none does."""
        found = self.found[name]
        if name in found.witnesses:
            return found.witnesses[name]
        return len(found.violation.steps) if found.violation else None

    def said(self, name: str) -> str:
        """`holds`, or `7 steps`; of a witness `never` or how many."""
        steps, found = self.steps(name), self.found[name]
        if steps is not None:
            return f"{steps} steps"
        if found.verdict is INCONCLUSIVE:
            return INCONCLUSIVE.value
        return "never" if name in found.witnesses else HOLDS.value

    @property
    def verdicts(self) -> list[Verdict]:
        """Of each property; a witness that is not reached leaves open whether they hold for a reason."""
        witnesses = [name for name, found in self.found.items() if name in found.witnesses]
        unreached = any(self.steps(name) is None for name in witnesses)
        return [found.verdict for found in self.found.values()] + [INCONCLUSIVE] * unreached


def switches(model: Model) -> tuple[Field, tuple[str, ...]]:
    """The constant that says which are off, and their names. UsageError where the model has none."""
    for f in model.fields.values():
        if f.kind == "constant" and len(f.index) == 1 and is_enum(f.index[0]):
            return f, tuple(member.name.lower() for member in f.index[0])
    raise UsageError(f"{model.name} has no switches: `oneleader settings system` is the model that has")


def settings(
    model: Model, at: Configuration, *, engine: str = "numpy", switches_off: int | None = None
) -> Iterator[Setting]:
    """Every setting, with everything on first. Whatever `at` says of the switches is passed over.

    `switches_off`: only the settings where just so many of them are off.
    """
    constant, names = switches(model)
    for are_off in product((False, True), repeat=len(names)):
        if switches_off not in (None, sum(are_off)):
            continue
        off = tuple(name for name, is_off in zip(names, are_off, strict=True) if is_off)
        on = tuple(name for name in names if name not in off)
        chosen = at.where(constant, off if constant.name == "off" else on)
        found = {
            name: _explored(model, chosen, name, engine) for name in (*model.properties, *model.witnesses)
        }
        yield Setting(Run(model, chosen), names, off, found)


def _explored(model: Model, at: Configuration, name: str, engine: str) -> Explored:
    (found,) = explore_all(model, at, only=[name], engine=engine)
    return found
