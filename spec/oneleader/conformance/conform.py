"""A driver that finds things: random walks over a cluster, judged after each step, shortened afterwards.

    print(conform(MyAdapter, seconds=60).text)

Each walk draws from the seed what happens in it and how often, and goes on until a judge refuses a step.
Plain walks reach the faults of logs within seconds where drawn scenarios that are shrunk as they go do not.
What is found is a cause with its shortest run; those in `known` are passed over, and a finding does not end
the search. Two judges look on and are reported apart: Figure 3 on observations, in every walk, and
the models, which are slower, in one walk of `MODEL_EVERY`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing

from oneleader.conformance.adapter import MODELS, Adapter, Observed, can
from oneleader.conformance.examined import Cause, Examined
from oneleader.conformance.following import grounds
from oneleader.conformance.judge import Judge, StepJudge, rules
from oneleader.conformance.leases import LeaseJudge
from oneleader.conformance.pre_votes import PreVoteJudge
from oneleader.conformance.refinement import LogJudge
from oneleader.conformance.trial import Broke, Event, MakeAdapter, Trial
from oneleader.conformance.wander import wander
from oneleader.errors import UsageError
from oneleader.models import election, lease, pre_vote, replication
from oneleader.readers.shortest import shortest

MODEL_EVERY = 2
MOST_SHRINKING = 60.0  # seconds for one finding
TERMS = 6  # of the model; a walk that goes beyond is judged by Figure 3 alone from there


def conform(
    make_adapter: MakeAdapter,
    *,
    nodes: int = 3,
    seconds: float = 10.0,
    walks: int | None = None,
    seed: int | None = None,
    known: Collection[str] = (),
    liveness: bool = False,
) -> Examined:
    """Walk until the time is over, or for so many walks: the same seed and walks give the same result."""
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    search = Driving(make_adapter, names(nodes), seed, known, liveness)
    search.go(seconds if walks is None else float("inf"), walks)
    return search.found


def again(
    make_adapter: MakeAdapter, events: Sequence[Event], *, nodes: int = 3, known: Collection[str] = ()
) -> Examined:
    """Play a run that was found before: judged by Figure 3 alone, and by the models too."""
    search = Driving(make_adapter, names(nodes), 0, known, False)
    search.replay(tuple(events))
    return search.found


def names(nodes: int) -> tuple[str, ...]:
    return tuple(f"n{i}" for i in range(1, nodes + 1))


def clocks_of(adapter: Adapter, seen: Sequence[Observed | None]) -> dict[str, int]:
    """The parameters of the model `lease`; UsageError where it cannot be judged by what the adapter shows."""
    if any(shown is None or shown.clock is None for shown in seen):
        raise UsageError("the adapter names the model lease: it has to show each server's clock")
    slow, fast = adapter.rates
    if adapter.promise <= 0 or adapter.lease * fast > adapter.promise * slow:
        raise UsageError(
            f"the adapter names the model lease, with a lease of {adapter.lease}, promises of "
            f"{adapter.promise} and rates of {slow} to {fast}: a lease is safe up to promise * slow / fast"
        )
    return {"lease": adapter.lease, "promise": adapter.promise, "slow": slow, "fast": fast}


class Driving:
    """One search: its walks, and what they found."""

    def __init__(
        self,
        make_adapter: MakeAdapter,
        nodes: tuple[str, ...],
        seed: int,
        known: Collection[str],
        liveness: bool,
        shortens: bool = True,
    ) -> None:
        self.make_adapter, self.nodes, self.known, self.liveness = make_adapter, nodes, known, liveness
        self.found = Examined(seed, len(nodes))
        self.shortens = shortens  # what is found
        self.turn = 0  # which model judges first: what one refuses the others do not see
        self.rules = rules(election.MODEL, len(nodes), TERMS)

    def go(self, seconds: float, walks: int | None) -> None:
        started = time.perf_counter()
        self.found.differs = self.difference()
        number = 0
        while not self.found.differs and (walks is None or number < walks):
            if time.perf_counter() - started > seconds:
                break
            self.walk(number)
            number += 1
            self.found.seconds = time.perf_counter() - started

    def replay(self, events: tuple[Event, ...]) -> None:
        """Figure 3 first: a run that it found is not cut short by the model."""
        for by_model in (False, True):
            broke = self.play(events, by_model, counted=True)
            self.note(events, by_model, broke)

    # Trials

    def models(self, adapter: Adapter) -> dict[str, StepJudge]:
        """Those that can be compared with what the adapter shows."""
        unknown = [name for name in adapter.models if name not in MODELS]
        if unknown:
            raise UsageError(f"the adapter names the model {unknown[0]!r}: choose from {', '.join(MODELS)}")
        found: dict[str, StepJudge] = {election.MODEL.name: Judge(self.rules, adapter.may)}
        seen = [adapter.observe(node) for node in self.nodes]
        if all(s is not None and None not in (s.log, s.commit) and s.first == 1 for s in seen):
            found[replication.MODEL.name] = LogJudge(grounds(replication.MODEL, self.nodes), adapter.may)
        if pre_vote.MODEL.name in adapter.models:
            found[pre_vote.MODEL.name] = PreVoteJudge(grounds(pre_vote.MODEL, self.nodes), adapter.may)
        if lease.MODEL.name in adapter.models:
            known = grounds(lease.MODEL, self.nodes, clocks_of(adapter, seen))
            found[lease.MODEL.name] = LeaseJudge(known, adapter.may)
        return found if self.turn % 2 else dict(reversed(found.items()))

    def trial(self, by_model: bool) -> Trial:
        adapter = self.make_adapter(self.nodes)
        self.found.network, self.found.abilities = adapter.network.name, can(adapter)
        try:
            return Trial(adapter, self.nodes, self.models(adapter) if by_model else {}, self.known)
        except BaseException:
            adapter.close()
            raise

    def play(self, events: Sequence[Event], by_model: bool, counted: bool = False) -> Broke | None:
        """What breaks when these events happen."""

        def drive(trial: Trial) -> None:
            for event in events:
                trial.play(event)

        return self.run(by_model, drive, counted)

    def run(self, by_model: bool, drive: Callable[[Trial], object], counted: bool = False) -> Broke | None:
        """Drive one trial, count what was seen of it if it is a walk, and say what broke."""
        broke: Broke | None = None
        try:
            trial = self.trial(by_model)
        except Broke as at_once:
            return at_once
        with closing(trial.adapter):
            try:
                drive(trial)
            except Broke as why:
                broke = why
            finally:
                if counted:
                    self.count(trial)
        return broke

    def count(self, trial: Trial) -> None:
        self.found.walks += 1
        self.found.steps += len(trial.steps)
        self.found.leaders += bool(trial.figure_3.leaders)
        self.found.compared.update(trial.figure_3.compared)
        self.found.passed_over.update(trial.passed_over)
        for name, model in trial.models.items():
            self.found.by_model[name] += 1
            self.found.in_part[name] += name in trial.stopped
            self.found.no_word |= {(name, may) for may in model.no_word}
        for what, wrong in trial.liveness.items():
            self.found.liveness[what] = self.found.liveness.get(what) or wrong

    def difference(self) -> str:
        """The same steps twice: where they differ, if they do."""
        rng = random.Random(f"{self.found.seed} twice")
        heard: list[list[str]] = []
        played: list[tuple[Event, ...]] = []
        steps: list[str] = []

        def drive(trial: Trial) -> None:
            trial.is_told = True
            try:
                if played:
                    for event in played[0]:
                        trial.play(event)
                else:
                    wander(trial, rng)
            finally:
                played.append(tuple(trial.events))
                heard.append(trial.heard)
                steps.extend(trial.steps)

        for _ in range(2):
            self.run(False, drive)
        if len(heard) < 2:
            return ""  # broken before the first step: the walks say so
        for number, (one, two) in enumerate(zip(*heard, strict=False), 1):
            if one != two:
                step = f"step {number} ({steps[number - 1]})"
                return f"{step} is not the same twice: first it {one}; then it {two}"
        return "" if len(heard[0]) == len(heard[1]) else "the same steps ended earlier the second time"

    # Walks

    def walk(self, number: int, by_model: bool | None = None) -> None:
        """One walk, and what is to be learned from it."""
        rng = random.Random(f"{self.found.seed} {number}")
        by_model = number % MODEL_EVERY == MODEL_EVERY - 1 if by_model is None else by_model
        self.turn += by_model
        events: list[Event] = []

        def drive(trial: Trial) -> None:
            try:
                wander(trial, rng)
                if self.liveness:
                    trial.play(("calm",))
            finally:
                events.extend(trial.events)

        broke = self.run(by_model, drive, counted=True)
        self.note(tuple(events), by_model, broke)

    def note(self, events: tuple[Event, ...], by_model: bool, broke: Broke | None) -> None:
        """A cause that is new is kept, with its shortest run; as it was found if the search ends before."""
        if broke is None or any(cause.key == broke.key for cause in self.found.causes):
            return
        self.found.causes.append(Cause(broke.judge, broke.cause, broke.words, events, ()))
        if self.shortens:
            self.found.causes[-1] = self.cause(events, by_model, broke)

    def cause(self, events: tuple[Event, ...], by_model: bool, broke: Broke) -> Cause:
        """The same breach by as few events as can be."""

        until = time.perf_counter() + MOST_SHRINKING

        def fails(shorter: tuple[Event, ...]) -> bool:
            if time.perf_counter() > until:
                return False
            again = self.play(shorter, by_model)
            return again is not None and again.key == broke.key

        least = shortest(events, fails)
        steps: list[str] = []

        def drive(trial: Trial) -> None:
            try:
                for event in least:
                    trial.play(event)
            finally:
                steps.extend(trial.steps)

        last = self.run(by_model, drive) or broke
        return Cause(broke.judge, broke.cause, last.words, least, tuple(steps))
