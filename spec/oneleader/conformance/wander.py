"""A random walk: what happens in it, and how often, is drawn from the seed before its first event.

Each walk has a mix of its own, for a storm of one kind of fault hides the faults of another. Faults know of
quorums: most walks keep a majority up, a partition often leaves the leader with a minority, and it is the
leader that crashes, pauses or is asked more often than not.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from oneleader.conformance.trial import Event, Trial

EVENTS_A_WALK = 200

# How often each event is drawn, before a walk's own mix.
WEIGHTS: Mapping[str, float] = {
    "deliver": 24,
    "burst": 6,
    "timeout": 5,
    "heartbeat": 6,
    "propose": 10,
    "read": 4,
    "compact": 2,
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
    "groups": 2,
    "pause": 0.5,
    "wake": 1,
    "elapse": 3,
    "members": 0.7,
    "heal": 1.5,
}
ALWAYS = ("deliver", "timeout", "heartbeat", "propose", "restart")  # in every mix


ANYWHERE = ("deliver", "burst", "timeout", "crash", "restart", "groups", "pause", "wake", "heal")


@dataclass(frozen=True)
class Mix:
    """What a walk is made of."""

    verbs: list[str]
    weights: list[float]
    keeps_majority: bool  # up, and awake


def wander(trial: Trial, rng: random.Random) -> None:
    """A walk, in a mix of its own."""
    mix = mixed(trial, rng)
    proposed = 0
    for _ in range(EVENTS_A_WALK):
        (verb,) = rng.choices(mix.verbs, mix.weights)
        event = draw(verb, trial, rng, proposed, mix.keeps_majority)
        if event is not None:
            proposed += verb == "propose"
            trial.play(event)


def mixed(trial: Trial, rng: random.Random) -> Mix:
    faults = trial.adapter.network.faults
    possible = {*ANYWHERE, *faults, *trial.abilities}
    possible |= {"resume"} if "freeze" in faults else set()
    possible |= {"crash_next"} if trial.adapter.crash_points else set()
    if "change_members" in trial.abilities and all(s is not None and s.members for s in trial.seen.values()):
        possible.add("members")  # without what they are, nobody can tell what is a majority
    chosen = [verb for verb in WEIGHTS if verb in possible and (verb in ALWAYS or rng.random() < 0.6)]
    weights = [WEIGHTS[verb] * rng.choice((0.5, 1, 2)) for verb in chosen]
    return Mix(chosen, weights, rng.random() < 0.7)


def draw(verb: str, trial: Trial, rng: random.Random, proposed: int, keeps_majority: bool) -> Event | None:
    """An event of this kind that can happen now; None where none can."""
    nodes = trial.nodes
    if verb in ("restart", "wake"):
        those = sorted(trial.down if verb == "restart" else trial.paused)
        return (verb, rng.choice(those)) if those else None
    if verb == "heal":
        return (verb,)
    if verb == "groups":
        return (verb, *groups(trial, rng)) if len(nodes) > 2 else None
    if verb == "elapse":
        return (verb, *elapsing(trial, rng))
    if verb in ("freeze", "resume", "break", "cut"):
        return (verb, *rng.sample(nodes, 2)) if len(nodes) > 1 else None
    if verb in ("deliver", "burst", "overtake", "copy", "lose"):
        if not (busy := trial.traffic.busy):
            return None
        link = rng.choice(busy)
        counted = verb in ("overtake", "copy", "lose")
        return (verb, *link, str(rng.randrange(trial.traffic.waiting(link)))) if counted else (verb, *link)
    if verb in ("crash", "crash_next", "pause") and keeps_majority and 2 * (len(trial.up) - 1) <= len(nodes):
        return None
    return draw_step(verb, trial, rng, proposed)


def draw_step(verb: str, trial: Trial, rng: random.Random, proposed: int) -> Event | None:
    """A step of a server. Clients and heartbeats mostly turn to one that takes itself to be a leader."""
    if not trial.up:
        return None
    often = {"timeout": 0.0, "compact": 0.5, "crash": 0.5, "crash_next": 0.5, "pause": 0.5}.get(verb, 0.9)
    at_leaders = rng.random() < often
    node = rng.choice((at_leaders and trial.leaders) or trial.up)
    if verb == "propose":
        return (verb, node, f"v{proposed + 1}")
    if verb == "transfer":
        others = [other for other in trial.nodes if other != node]
        return (verb, node, rng.choice(others)) if others else None
    if verb == "members":
        return (verb, node, other_members(trial, node, rng))
    if verb == "crash_next":
        return (verb, node, rng.choice(list(trial.adapter.crash_points)))
    return (verb, node)


def groups(trial: Trial, rng: random.Random) -> tuple[str, str]:
    """Two sides: a leader with a minority, two halves, or two halves that one server hears both."""
    nodes = rng.sample(trial.nodes, len(trial.nodes))
    kind = rng.choice(("minority", "halves", "bridge"))
    if kind == "minority" and trial.leaders:
        first = rng.choice(trial.leaders)
        nodes = [first, *(node for node in nodes if node != first)]
    middle = (len(nodes) - 1) // 2 if kind == "minority" else len(nodes) // 2
    one, other = nodes[:middle], nodes[middle:]
    if kind == "bridge":
        one = [*one, other[0]]
    return " ".join(sorted(one)), " ".join(sorted(other))


def elapsing(trial: Trial, rng: random.Random) -> tuple[str, ...]:
    """So much time, on each server's clock by its own rate."""
    slow, fast = trial.adapter.rates
    time = rng.choice((1, 3, 10, 30, 100))
    return tuple(f"{node}={time * rng.randint(slow, fast)}" for node in trial.nodes)


def other_members(trial: Trial, node: str, rng: random.Random) -> str:
    """One server more, or one less."""
    seen = trial.seen[node]
    members = set(seen.members or ()) if seen is not None else set()
    changed = members ^ {rng.choice(trial.nodes)}
    return " ".join(sorted(changed or members))
