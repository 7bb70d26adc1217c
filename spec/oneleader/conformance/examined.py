"""What a driven implementation was found to do: causes, verdicts of the judges apart, what was not judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from oneleader.conformance.adapter import OPTIONAL, May
from oneleader.conformance.observations import CLAUSES
from oneleader.conformance.trial import EXCEPTION, FIGURE_3, LIVENESS, Event
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, gravest

MOST_SHOWN = 40  # steps of one run


@dataclass(frozen=True)
class Target:
    """What is driven. `model` is named where no walk has come to one yet.

    judge    who judges what is seen, and by which clauses: each with where it stands, and what it needs
    nobody   what is said where nobody ever led
    """

    judge: str
    clauses: Mapping[str, tuple[str, tuple[str, ...]]]
    optional: tuple[str, ...]  # the methods that an adapter may have
    model: str
    nobody: str


RAFT = Target(
    FIGURE_3,
    CLAUSES,
    OPTIONAL,
    "election",
    "no leader was ever seen, so nothing is known of what leaders do",
)


CALM = ("calm",)  # the event after which liveness is asked for


@dataclass(frozen=True)
class Cause:
    """What is wrong, with the shortest run found that shows it.

    `after`: the known causes that this run passes over, and that it may follow from.
    """

    judge: str
    name: str
    words: str
    events: tuple[Event, ...]
    steps: tuple[str, ...]
    after: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What `known` takes."""
        return f"{self.judge}: {self.name}"

    def __str__(self) -> str:
        before_calm = [event for event in self.events if event != CALM]
        events = f"{len(before_calm)} event{'' if len(before_calm) == 1 else 's'}"
        calm = " and calm" if CALM in self.events else ""
        lines = [f"{self.key}, after {events}{calm}"]
        lines += [f"    {line}" for line in self.words.splitlines()]
        lines += [f"    it may follow from what is known, and comes after it: {key}" for key in self.after]
        lines += [f"{number:4}  {step}" for number, step in enumerate(self.steps[:MOST_SHOWN], 1)]
        more = len(self.steps) - MOST_SHOWN
        return "\n".join([*lines, *([f"      ... and {more} steps more"] if more > 0 else [])])


@dataclass
class Examined:
    """What the walks gave. Absence of a violation is a sample, not a proof."""

    seed: int
    nodes: int
    target: Target = RAFT
    network: str = ""
    walks: int = 0
    steps: int = 0
    seconds: float = 0.0
    leaders: int = 0  # walks in which there was one
    by_model: Counter[str] = field(default_factory=Counter)  # walks that each model judged
    in_part: Counter[str] = field(default_factory=Counter)  # of these, those that it left before their end
    followed: Counter[str] = field(default_factory=Counter)  # the steps of each, after somebody had led
    compared: Counter[str] = field(default_factory=Counter)  # of each clause of Figure 3
    abilities: frozenset[str] = frozenset()
    no_word: set[tuple[str, May]] = field(default_factory=set)  # a model, and what it has no word for
    causes: list[Cause] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)  # known causes, how often
    asks_liveness: bool = False
    liveness: dict[str, str] = field(default_factory=dict)  # what should come about: "" or what did not
    differs: str = ""  # how the same steps did not do the same again

    def _verdict_of(self, judge: str, enough: bool) -> Verdict:
        if any(cause.judge == judge for cause in self.causes):
            return VIOLATED
        return HOLDS if enough and self.leaders and not self.differs else INCONCLUSIVE

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Each judge's, apart."""
        found = {self.target.judge: self._verdict_of(self.target.judge, self.walks > 0)}
        for name in self.by_model or {self.target.model: 0}:
            is_silent = all(model != name for model, _ in self.no_word)
            found[name] = self._verdict_of(name, self.followed[name] > 0 and is_silent)
        if any(cause.judge == EXCEPTION for cause in self.causes):
            found[EXCEPTION] = VIOLATED
        if self.asks_liveness or self.liveness:
            found[LIVENESS] = self._verdict_of(LIVENESS, bool(self.liveness))
        return found

    @property
    def idle(self) -> list[str]:
        """The models that left each walk, as the adapter declares or by what they cannot see, before they had
        followed one step after somebody led: they say nothing, for or against."""
        silent = {name for name in self.by_model if all(model != name for model, _ in self.no_word)}
        refused = {cause.judge for cause in self.causes}
        return [name for name in self.by_model if name in silent - refused and not self.followed[name]]

    @property
    def verdict(self) -> Verdict:
        """The gravest of those who judged: an idle model leaves the whole to the others, to Figure 3 at the
        least, and its own row says that it is open."""
        idle = self.idle
        return gravest(said for judge, said in self.verdicts.items() if judge not in idle)

    @property
    def not_judged(self) -> dict[str, str]:
        """The clauses that had nothing to compare, and why."""
        needed = {name: needs for name, (_, needs) in self.target.clauses.items()}
        return {name: self._why_not(needs) for name, needs in needed.items() if not self.compared[name]}

    def _why_not(self, needs: tuple[str, ...]) -> str:
        lacks = [need for need in needs if need in self.target.optional and need not in self.abilities]
        if lacks:
            return f"the adapter has no method {lacks[0]}"
        return f"needs {' and '.join(needs)}, which was not seen" if needs else "it never came to it"

    def _how_far(self, judge: str) -> str:
        """In how many walks a model has judged, and in how many not to the end."""
        if not self.by_model[judge]:
            return ""
        if judge in self.idle:
            return "  (followed no step once there was a leader)"
        part = f", {self.in_part[judge]:,} of them in part" if self.in_part[judge] else ""
        return f"  (judged {self.by_model[judge]:,} walks{part})"

    @property
    def text(self) -> str:
        """The whole result as people read it."""
        lines = [f"{self.verdict}  (sampled: {self.walks:,} walks, {self.steps:,} steps, seed {self.seed})"]
        lines += [f"  {judge:10} {verdict}{self._how_far(judge)}" for judge, verdict in self.verdicts.items()]
        lines += [
            f"  judged     {name}: {self.compared[name]:,} times"
            for name in self.target.clauses
            if self.compared[name]
        ]
        lines += [f"  not judged {name}: {why}" for name, why in self.not_judged.items()]
        lines += [
            f"  no word    {model} has none for: {may.value}; declare {may} if it is meant"
            for model, may in sorted(self.no_word, key=str)
        ]
        lines += [f"  passed     {key}: in {count} walks, known" for key, count in self.passed_over.items()]
        lines += [f"  liveness   {what}: {wrong or 'it does'}" for what, wrong in self.liveness.items()]
        if self.asks_liveness and not self.liveness:
            lines.append("  liveness   no walk came to its calm: each ended before, or a server raised in it")
        if self.walks and not self.leaders:
            lines.append(self.target.nobody)
        if self.differs:
            lines.append(self.differs)
        return "\n".join([*lines, *map(str, self.causes)])
