"""What a search has found, and how far it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from oneleader.readers.agree import Agreement
from oneleader.readers.premises import Premise, unmet
from oneleader.readers.run import Run, State
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, gravest


@dataclass(frozen=True)
class SearchProgress:
    """How far a run is: told about four times a second."""

    states: int
    frontier: int
    depth: int
    seconds: float
    taken_up: int = 0  # states that came from a checkpoint
    level: int = 0  # states at this depth
    expanded: int = 0  # of them: those whose steps were taken
    level_seconds: float = 0.0  # since the first of them

    @property
    def left(self) -> float | None:
        """Seconds until this level is done, at its pace; what comes after it nobody knows."""
        if not self.expanded:
            return None
        return self.level_seconds * (self.level - self.expanded) / self.expanded

    @property
    def rate(self) -> float:
        """Distinct states found a second."""
        return (self.states - self.taken_up) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Violation:
    """What went wrong, and the shortest run that shows it: (position of the instance, state after it)."""

    what: str  # the property's name, "deadlock", or "claim"
    args: tuple[int, ...]  # the values of the property's parameters
    steps: list[tuple[int, State]]
    step: int | None = None  # the instance whose claim fails after these steps

    def calls(self, run: Run) -> list[str]:
        """The steps as action calls."""
        taken = (run.instances[position] for position, _ in self.steps)
        return [run.configuration.call(instance.action, instance.args) for instance in taken]


@dataclass
class Explored:
    """What exploring one configuration gave."""

    run: Run
    symmetry: int  # how many renamings were identified; 1 for none
    symmetry_why: str = ""  # why not all of them
    exhausted: bool = False  # whether every state within the bounds was seen, and nothing is wrong there
    why: str = ""  # why it is not, or why something is wrong
    states: int = 0
    taken_up: int = 0  # of these states: those that came from a checkpoint
    transitions: int = 0
    cut: int = 0
    depth: int = 0
    seconds: float = 0.0
    properties: list[str] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    within: set[str] = field(default_factory=set)  # actions with a step that stayed within the bounds
    witnesses: dict[str, int | None] = field(default_factory=dict)  # the depth at which each was reached
    premises: dict[Premise, int | None] = field(default_factory=dict)  # the depth at which each was met
    violation: Violation | None = None
    agreement: Agreement | None = None  # with the plain interpreter, sought first
    untried: list[str] = field(default_factory=list)  # where a number above the bound may matter

    @property
    def over(self) -> bool:
        """Whether nothing is left to be sought."""
        return self.exhausted or self.violation is not None

    @property
    def verdict(self) -> Verdict:
        """On all properties together. Where nothing put any of them to the test, none holds."""
        if self.violation or (self.agreement and self.agreement.difference):
            return VIOLATED
        is_tested = not self.properties or len(self.untested) < len(self.properties)
        return HOLDS if self.exhausted and is_tested else INCONCLUSIVE

    def verdict_of(self, name: str) -> Verdict:
        """On one property: another one that is broken ends the search before this one is decided."""
        if self.violation and self.violation.what == name:
            return VIOLATED
        return HOLDS if self.exhausted and name not in self.untested else INCONCLUSIVE

    @property
    def untested(self) -> list[str]:
        """Properties that hold in every state, and would without one of their parts: it was never asked."""
        return unmet(self.premises) if self.exhausted else []

    @property
    def never_fired(self) -> list[str]:
        """Actions that no reachable state enables."""
        return [name for name in self.run.model.actions if not self.fired[name]]

    @property
    def unfired(self) -> list[str]:
        """Those of which a complete search for violations saw no step: what holds says nothing of them.

        One whose every step exceeds the bounds is among them: nobody has seen a state after it.
        """
        unseen = [name for name in self.run.model.actions if name not in self.within]
        return unseen if self.exhausted and self.properties else []

    @property
    def strength(self) -> str:
        """`exhaustive to 3 nodes, 3 quorums, 2 terms`; a search for witnesses alone ends early."""
        if self.witnesses and not self.properties:
            return f"witnesses sought in {self.run.configuration.describe()}"
        return f"exhaustive to {self.run.configuration.describe()}"

    def as_json(self) -> dict[str, Any]:
        """What was found, for machines."""
        violation = self.violation
        return {
            "model": self.run.model.name,
            "configuration": self.run.configuration.describe(),
            "ghosts": [f.name for f in self.run.cells.fields if f.kind == "ghost"],
            "verdict": gravest(
                [self.verdict, INCONCLUSIVE if self.untested or self.unfired else HOLDS]
            ).value,
            "why": self.why,
            "states": self.states,
            "symmetry": self.symmetry,
            "symmetry_why": self.symmetry_why,
            "transitions": self.transitions,
            "cut": self.cut,
            "untried": self.untried,
            "depth": self.depth,
            "seconds": round(self.seconds, 3),
            "properties": self.properties,
            "witnesses": self.witnesses,
            "premises": {premise.name: at for premise, at in self.premises.items()},
            "untested": self.untested,
            "fired": dict(self.fired),
            "never_possible": self.unfired,
            "agreement": self.agreement and str(self.agreement),
            "violation": violation and {"what": violation.what, "steps": violation.calls(self.run)},
        }
