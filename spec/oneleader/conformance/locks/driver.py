"""The driver of Rafts over locks: random walks, each cause with its shortest run.

print(conform_lock(MyLock, seconds=10).text)
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from oneleader.conformance.examined import Examined, Target
from oneleader.conformance.locks.adapter import LOCK_OPTIONAL, MakeLock, named
from oneleader.conformance.locks.fenced import FencingJudge
from oneleader.conformance.locks.trial import CLIENTS, LOCK_CLAUSES, LockTrial
from oneleader.conformance.trial import Event
from oneleader.conformance.walking import Walking
from oneleader.models import fencing

EVENTS_A_WALK = 60
WEIGHTS = {
    "acquire": 5,
    "renew": 2,
    "release": 2,
    "expire": 2,
    "send": 5,
    "arrive": 6,
    "read": 2,
    "fail_over": 1,
}
ALWAYS = ("acquire", "send", "arrive")
LOCK = Target(
    CLIENTS,
    LOCK_CLAUSES,
    LOCK_OPTIONAL,
    fencing.MODEL.name,
    "the lock was never granted",
)


def conform_lock(
    make: MakeLock,
    *,
    clients: int = 3,
    seconds: float = 10.0,
    walks: int | None = None,
    seed: int | None = None,
    known: Collection[str] = (),
) -> Examined:
    """Walk until the time is over, or for so many walks: the same seed and walks give the same result."""
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    search = LockDriving(make, named(clients), seed, known)
    search.go(seconds if walks is None else float("inf"), walks)
    return search.found


def lock_again(
    make: MakeLock, events: Sequence[Event], *, clients: int = 3, known: Collection[str] = ()
) -> Examined:
    """Play a run that was found before."""
    search = LockDriving(make, named(clients), 0, known)
    search.replay(tuple(events))
    return search.found


class LockDriving(Walking[LockTrial]):
    """One search over a lock."""

    target = LOCK

    def __init__(
        self, make: MakeLock, clients: tuple[str, ...], seed: int, known: Collection[str] = ()
    ) -> None:
        super().__init__(clients, seed, known)
        self.make = make

    def trial(self, by_model: bool) -> LockTrial:
        trial = LockTrial(self.make(self.nodes), self.nodes, FencingJudge() if by_model else None, self.known)
        self.found.abilities = trial.abilities
        return trial

    def wander(self, trial: LockTrial, rng: random.Random) -> None:
        possible = {*ALWAYS, *trial.abilities} - {"holds"}
        chosen = [verb for verb in WEIGHTS if verb in possible and (verb in ALWAYS or rng.random() < 0.8)]
        weights = [WEIGHTS[verb] * rng.choice((0.5, 1, 2)) for verb in chosen]
        for _ in range(EVENTS_A_WALK):
            (verb,) = rng.choices(chosen, weights)
            event = draw(verb, trial, rng)
            if event is not None:
                trial.play(event)


def draw(verb: str, trial: LockTrial, rng: random.Random) -> Event | None:
    """An event of this kind that can happen now. Most concern the latest grants, some an old one."""
    if verb in ("expire", "read", "fail_over"):
        return (verb,)
    if verb == "acquire":
        client = rng.choice(trial.clients)
        return (verb, client, f"{client}.{1 + sum(event[0] == verb for event in trial.events)}")
    those = list(trial.sent if verb == "arrive" else trial.grants)
    if not those:
        return None
    return (verb, rng.choice(those[-2:] if rng.random() < 0.7 else those))
