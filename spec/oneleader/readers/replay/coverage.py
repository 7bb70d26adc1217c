"""coverage: what a verdict on a recording rests on, and what nobody looked at.

A recording shows of the model what its cluster happened to do: the guards of an action that it never took
were not asked, and a guard that forbade nothing would have been as true had it said nothing at all. A guard
forbids a step in an accepted recording where several explanations of a line were tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

from oneleader.errors import UsageError
from oneleader.language.model import Model

Counts = tuple[tuple[str, int], ...]  # fields, and of how many cells of each something is said
MOST_KINDS = 1 << 10  # of such, that are kept until they are counted together
MOST_CELLS = 1 << 6  # of them in one that is kept


@dataclass
class ReplayCoverage:
    """Counted while a recording is judged.

    compared  field of the model -> how many observations of it were compared with the model
    given     what was believed because the recording says so, in words
    ignored   keys of the recording that no judgement looks at
    """

    given: list[str] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)
    _compared: Counter[str] = field(default_factory=Counter)
    _lines: Counter[Counts] = field(default_factory=Counter)  # which say so much, and are not counted yet

    @property
    def compared(self) -> Counter[str]:
        self._count()
        return self._compared

    def _count(self) -> None:
        for counts, times in self._lines.items():
            for name, cells in counts:
                self._compared[name] += cells * times
        self._lines.clear()

    def compare(self, counts: Counts, times: int = 1) -> None:
        """So many lines say that much."""
        self._lines[counts] += times
        if len(self._lines) > MOST_KINDS or len(counts) > MOST_CELLS:
            self._count()

    def never_compared(self, model: Model) -> list[str]:
        """The fields of the model of which the recording shows nothing."""
        compared = self.compared
        return [f.name for f in model.fields.values() if f.kind == "field" and not compared[f.name]]

    @staticmethod
    def never_taken(model: Model, steps: Counter[str]) -> list[str]:
        """The actions that the recording does not show."""
        return [name for name in model.actions if not steps[name]]

    @staticmethod
    def forbade_nothing(
        model: Model, steps: Counter[str], forbade: Counter[tuple[str, str]]
    ) -> dict[str, list[str]]:
        """The guards of the actions taken that never forbade a step, by the action."""
        found = {
            action.name: [g.name for g in action.guards if not forbade[action.name, g.name]]
            for action in model.actions.values()
            if steps[action.name]
        }
        return {name: guards for name, guards in found.items() if guards}

    def words(self, model: Model) -> Iterator[str]:
        """A line for each of them that there is."""
        total = self.compared.total()
        yield f"{total:,} observation{'s'[: total != 1]} compared with the model"
        yield from (f"taken as given: {words}" for words in self.given)
        if absent := self.never_compared(model):
            yield f"fields of the model never compared: {', '.join(absent)}"
        if self.ignored:
            yield f"not looked at in the recording: {', '.join(sorted(self.ignored))}"


def check_keys(found: Iterable[str], known: Iterable[str], where: str) -> None:
    """UsageError where there is a key that nothing knows: what it says would be judged by nobody."""
    known = tuple(known)
    for key in found:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f": do you mean `{near[0]}`?" if near else f"; known are {', '.join(known)}"
            raise UsageError(f"unknown key `{key}` in {where}{hint}")
