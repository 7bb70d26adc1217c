"""Random walks over whatever is driven: what breaks in them is a cause, shortened by leaving out events.

Rafts (`conform`) and locks (`locks/driver`) are driven alike. A walk is a function of its seed and number.
Two judges look on: one of what is seen, in every walk, and models, which are slower, in one of `MODEL_EVERY`.
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from typing import Generic, Protocol, TypeVar

from oneleader.conformance.adapter import May
from oneleader.conformance.examined import RAFT, Cause, Examined, Target
from oneleader.conformance.trial import Broke, Event, TimeIsOver
from oneleader.readers.shortest import shortest

MODEL_EVERY = 2
MOST_SHRINKING = 60.0  # seconds for one finding


class Closable(Protocol):
    def close(self) -> None: ...


class HasNoWord(Protocol):
    @property
    def no_word(self) -> set[May]: ...


class Drivable(Protocol):
    """What is driven, event by event, and what has been seen of it."""

    events: list[Event]
    steps: list[str]
    heard: list[str]
    is_told: bool
    until: float
    stopped: set[str]
    followed: Counter[str]
    passed_over: set[str]
    liveness: dict[str, str]

    @property
    def adapter(self) -> Closable: ...

    @property
    def models(self) -> Mapping[str, HasNoWord]: ...

    @property
    def compared(self) -> Counter[str]: ...

    @property
    def has_led(self) -> bool: ...

    def understand(self, event: Event) -> None: ...

    def play(self, event: Event) -> None: ...


T = TypeVar("T", bound=Drivable)


class Walking(ABC, Generic[T]):
    """One search: its walks, and what they found."""

    target: Target = RAFT

    def __init__(
        self,
        nodes: tuple[str, ...],
        seed: int,
        known: Collection[str] = (),
        liveness: bool = False,
        shortens: bool = True,
    ) -> None:
        self.nodes, self.known, self.liveness = nodes, known, liveness
        self.found = Examined(seed, len(nodes), self.target, asks_liveness=liveness)
        self.shortens = shortens  # what is found
        self.until = float("inf")  # when a search is over, in the middle of a walk if need be
        self.turn = 0  # which model judges first: what one refuses the others do not see

    @abstractmethod
    def trial(self, by_model: bool) -> T:
        """One that has just begun."""

    @abstractmethod
    def wander(self, trial: T, rng: random.Random) -> None:
        """A walk, in a mix of its own."""

    def go(self, seconds: float, walks: int | None) -> None:
        started = time.perf_counter()
        self.until = started + seconds
        self.found.differs = self.difference()
        number = 0
        while not self.found.differs and (walks is None or number < walks):
            if time.perf_counter() > self.until:
                break
            self.walk(number)
            number += 1
            self.found.seconds = time.perf_counter() - started

    def replay(self, events: tuple[Event, ...]) -> None:
        """Figure 3 first: a run that it found is not cut short by the model."""
        self.run(False, lambda trial: [trial.understand(event) for event in events])
        for by_model in (False, True):
            broke = self.play(events, by_model, counted=True)
            self.note(events, by_model, broke)

    # Trials

    def play(
        self, events: Sequence[Event], by_model: bool, counted: bool = False, until: float = float("inf")
    ) -> Broke | None:
        """What breaks when these events happen."""

        def drive(trial: T) -> None:
            for event in events:
                trial.play(event)

        return self.run(by_model, drive, counted, until)

    def run(
        self,
        by_model: bool,
        drive: Callable[[T], object],
        counted: bool = False,
        until: float = float("inf"),
    ) -> Broke | None:
        """Drive one trial, count what was seen of it if it is a walk, and say what broke."""
        broke: Broke | None = None
        try:
            trial = self.trial(by_model)
        except Broke as at_once:
            return at_once
        trial.until = until
        with closing(trial.adapter):
            try:
                drive(trial)
            except Broke as why:
                broke = why
            except TimeIsOver:
                pass
            finally:
                if counted:
                    self.count(trial)
        return broke

    def count(self, trial: T) -> None:
        self.found.walks += 1
        self.found.steps += len(trial.steps)
        self.found.leaders += trial.has_led
        self.found.compared.update(trial.compared)
        self.found.passed_over.update(trial.passed_over)
        for name, model in trial.models.items():
            self.found.by_model[name] += 1
            self.found.in_part[name] += name in trial.stopped
            self.found.followed[name] += trial.followed[name]
            self.found.no_word |= {(name, may) for may in model.no_word}
        for what, wrong in trial.liveness.items():
            self.found.liveness[what] = self.found.liveness.get(what) or wrong

    def difference(self) -> str:
        """The same steps twice: where they differ, if they do."""
        rng = random.Random(f"{self.found.seed} twice")
        heard: list[list[str]] = []
        played: list[tuple[Event, ...]] = []
        steps: list[str] = []

        def drive(trial: T) -> None:
            trial.is_told = True
            try:
                if played:
                    for event in played[0]:
                        trial.play(event)
                else:
                    self.wander(trial, rng)
            finally:
                played.append(tuple(trial.events))
                heard.append(trial.heard)
                steps.extend(trial.steps)

        for _ in range(2):
            self.run(False, drive, until=self.until)
        if time.perf_counter() > self.until:
            return "there was not enough time to take the same steps twice"
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

        def drive(trial: T) -> None:
            try:
                self.wander(trial, rng)
                if self.liveness:
                    trial.play(("calm",))
            finally:
                events.extend(trial.events)

        broke = self.run(by_model, drive, counted=True, until=self.until)
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
            again = self.play(shorter, by_model, until=until)
            return again is not None and again.key == broke.key

        least = shortest(events, fails)
        steps: list[str] = []
        after: set[str] = set()

        def drive(trial: T) -> None:
            try:
                for event in least:
                    trial.play(event)
            finally:
                steps.extend(trial.steps)
                after.update(trial.passed_over)

        last = self.run(by_model, drive) or broke
        return Cause(broke.judge, broke.cause, last.words, least, tuple(steps), tuple(sorted(after)))
