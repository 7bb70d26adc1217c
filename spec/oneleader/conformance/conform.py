"""A driver that finds things: random walks over a cluster, judged after each step, shortened afterwards.

    print(conform(MyAdapter, seconds=60).text)

Each walk draws from the seed what happens in it and how often, and goes on until a judge refuses a step.
Plain walks reach the faults of logs within seconds where drawn scenarios that are shrunk as they go do not.
What is found is a cause with its shortest run; those in `known` are passed over, and a finding does not end
the search. Two judges look on and are reported apart: Figure 3 on observations, in every walk, and
the model `election`, which is slower, in one walk of `MODEL_EVERY`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing

from oneleader.conformance.adapter import can
from oneleader.conformance.calm import LIVENESS, calm_down
from oneleader.conformance.examined import Cause, Examined
from oneleader.conformance.judge import Judge, rules
from oneleader.conformance.trial import Broke, Event, MakeAdapter, Trial
from oneleader.models import election
from oneleader.readers.shortest import shortest

EVENTS_A_WALK = 120
MODEL_EVERY = 5
TERMS = 6  # of the model; a walk that goes beyond is judged by Figure 3 alone from there

# How often each event is drawn, before a walk's own mix.
WEIGHTS: Mapping[str, float] = {
    "deliver": 24,
    "burst": 6,
    "timeout": 3,
    "heartbeat": 6,
    "propose": 5,
    "read": 4,
    "compact": 1,
    "transfer": 0.5,
    "crash": 0.7,
    "crash_next": 0.7,
    "restart": 3,
    "overtake": 6,
    "copy": 3,
    "lose": 2,
    "freeze": 1,
    "resume": 2,
    "break": 1,
    "cut": 0.7,
    "heal": 1,
}
ALWAYS = ("deliver", "timeout", "heartbeat", "propose", "restart")  # in every mix


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


def again(make_adapter: MakeAdapter, events: Sequence[Event], *, nodes: int = 3) -> Examined:
    """Play a run that was found before, judged by both judges."""
    search = Driving(make_adapter, names(nodes), 0, (), False)
    search.replay(tuple(events))
    return search.found


def names(nodes: int) -> tuple[str, ...]:
    return tuple(f"n{i}" for i in range(1, nodes + 1))


class Driving:
    """One search: its walks, and what they found."""

    def __init__(
        self,
        make_adapter: MakeAdapter,
        nodes: tuple[str, ...],
        seed: int,
        known: Collection[str],
        liveness: bool,
    ) -> None:
        self.make_adapter, self.nodes, self.known, self.liveness = make_adapter, nodes, known, liveness
        self.found = Examined(seed, len(nodes))
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

    def trial(self, by_model: bool) -> Trial:
        adapter = self.make_adapter(self.nodes)
        self.found.network, self.found.abilities = adapter.network.name, can(adapter)
        try:
            return Trial(adapter, self.nodes, Judge(self.rules, adapter.may) if by_model else None)
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
            if counted:
                self.count(trial)
        return broke

    def count(self, trial: Trial) -> None:
        self.found.walks += 1
        self.found.steps += len(trial.steps)
        self.found.leaders += bool(trial.figure_3.leaders)
        self.found.compared.update(trial.figure_3.compared)
        if trial.model is not None:
            self.found.by_model += 1
            self.found.no_word |= trial.model.no_word

    def difference(self) -> str:
        """The same steps twice: where they differ, if they do."""
        rng = random.Random(f"{self.found.seed} twice")
        heard: list[list[str]] = []
        played: list[tuple[Event, ...]] = []
        steps: list[str] = []

        def drive(trial: Trial) -> None:
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

    def walk(self, number: int) -> None:
        """One walk, and what is to be learned from it."""
        rng = random.Random(f"{self.found.seed} {number}")
        by_model = number % MODEL_EVERY == MODEL_EVERY - 1
        events: list[Event] = []

        def drive(trial: Trial) -> None:
            try:
                wander(trial, rng)
                if self.liveness:
                    self.note_liveness(calm_down(trial))
            finally:
                events.extend(trial.events)

        broke = self.run(by_model, drive, counted=True)
        self.note(tuple(events), by_model, broke)

    def note(self, events: tuple[Event, ...], by_model: bool, broke: Broke | None) -> None:
        """A cause that is new is kept, with its shortest run."""
        if broke is None:
            return
        if broke.key in self.known:
            self.found.passed_over[broke.key] += 1
        elif all(cause.key != broke.key for cause in self.found.causes):
            self.found.causes.append(self.cause(events, by_model, broke))

    def note_liveness(self, failed: Mapping[str, str]) -> None:
        for what in LIVENESS:
            if what in failed:
                self.found.liveness[what] = self.found.liveness.get(what) or failed[what]

    def cause(self, events: tuple[Event, ...], by_model: bool, broke: Broke) -> Cause:
        """The same breach by as few events as can be."""

        def fails(shorter: tuple[Event, ...]) -> bool:
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


# --- One walk ---------------------------------------------------------------------------------------------


def wander(trial: Trial, rng: random.Random) -> None:
    """A walk, in a mix of its own."""
    weights = mix(trial, rng)
    proposed = 0
    for _ in range(EVENTS_A_WALK):
        (verb,) = rng.choices(list(weights), list(weights.values()))
        event = draw(verb, trial, rng, proposed)
        if event is not None:
            proposed += verb == "propose"
            trial.play(event)


def mix(trial: Trial, rng: random.Random) -> dict[str, float]:
    """What happens in a walk, and how often: a storm of one kind hides the faults of another."""
    possible = [
        verb
        for verb in WEIGHTS
        if verb in trial.adapter.network.faults
        or verb in trial.abilities
        or verb in ("deliver", "burst", "timeout", "crash", "restart", "heal")
        or (verb == "resume" and "freeze" in trial.adapter.network.faults)
        or (verb == "crash_next" and trial.adapter.crash_points)
    ]
    chosen = [verb for verb in possible if verb in ALWAYS or rng.random() < 0.6]
    return {verb: WEIGHTS[verb] * rng.choice((0.5, 1, 2)) for verb in chosen}


def draw(verb: str, trial: Trial, rng: random.Random, proposed: int) -> Event | None:
    """An event of this kind that can happen now; None where none can."""
    nodes = trial.nodes
    if verb == "restart":
        return (verb, rng.choice(sorted(trial.down))) if trial.down else None
    if verb == "heal":
        return (verb,)
    if verb in ("freeze", "resume", "break", "cut"):
        return (verb, *rng.sample(nodes, 2))
    if verb in ("deliver", "burst", "overtake", "copy", "lose"):
        if not trial.traffic.busy:
            return None
        link = rng.choice(trial.traffic.busy)
        counted = verb in ("overtake", "copy", "lose")
        return (verb, *link, str(rng.randrange(trial.traffic.waiting(link)))) if counted else (verb, *link)
    return draw_step(verb, trial, rng, proposed)


def draw_step(verb: str, trial: Trial, rng: random.Random, proposed: int) -> Event | None:
    """A step of a server. Clients and heartbeats mostly turn to one that takes itself to be a leader."""
    if not trial.up:
        return None
    at_leaders = verb in ("heartbeat", "propose", "read", "transfer") and rng.random() < 0.9
    node = rng.choice((at_leaders and trial.leaders) or trial.up)
    if verb == "propose":
        return (verb, node, f"v{proposed + 1}")
    if verb == "transfer":
        return (verb, node, rng.choice([other for other in trial.nodes if other != node]))
    if verb == "crash_next":
        return (verb, node, rng.choice(list(trial.adapter.crash_points)))
    return (verb, node)
