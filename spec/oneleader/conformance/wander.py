"""A random walk: what happens in it, and how often, is drawn from the seed before its first event.

Each walk has a mix of its own, for a storm of one kind of fault hides the faults of another. Faults know of
quorums: most walks keep a majority up, a partition often leaves the leader with a minority, and it is the
leader that crashes, pauses or is asked more often than not. In half of the walks some events come together,
as `episodes.py` has them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from oneleader.conformance.episodes import (
    EPISODES,
    STORM,
    Episode,
    clocks,
    keeps_time,
    next_value,
    other_members,
    ring,
    run_out,
)
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
    "crash_keeping": 1.5,
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
    "retry": 1,
}
EARLY = 0.2  # of the election timers ring while a promise may bind
CHANGES = 6.0  # in addition, of members, in a storm of them
ALWAYS = ("deliver", "timeout", "heartbeat", "propose", "restart")  # in every mix


CRASHES = ("crash", "crash_next", "crash_keeping", "pause")  # after any of them a majority may be lacking
ANYWHERE = ("deliver", "burst", "timeout", "crash", "restart", "groups", "pause", "wake", "heal")


@dataclass(frozen=True)
class Mix:
    """What a walk is made of."""

    verbs: list[str]
    weights: list[float]
    keeps_majority: bool  # up, and awake
    episodes: Mapping[str, Episode]  # by their verb


def wander(trial: Trial, rng: random.Random) -> None:
    """A walk, in a mix of its own."""
    mix = mixed(trial, rng)
    for _ in range(EVENTS_A_WALK):
        (verb,) = rng.choices(mix.verbs, mix.weights)
        if verb in mix.episodes:
            mix.episodes[verb].play(trial, rng)
            continue
        event = draw(verb, trial, rng, mix.keeps_majority)
        if event is None:
            continue
        if verb == "timeout":
            ring(trial, rng, event[1], EARLY)
        else:
            trial.play(event)


def mixed(trial: Trial, rng: random.Random) -> Mix:
    faults = trial.adapter.network.faults
    possible = {*ANYWHERE, *faults, *trial.abilities}
    possible |= {"resume"} if "freeze" in faults else set()
    possible |= {"crash_next"} if trial.adapter.crash_points else set()
    possible |= {"members"} if can_change(trial) else set()
    storm = "members" in possible and rng.random() < 0.3
    episodes = STORM if storm else episodes_of(possible, rng)
    often = 0.6 if storm or not episodes else 0.4  # what is drawn one by one disturbs them
    chosen = [verb for verb in WEIGHTS if verb in possible and (verb in ALWAYS or rng.random() < often)]
    weights = [WEIGHTS[verb] * rng.choice((0.5, 1, 2)) for verb in chosen]
    keeps_majority = rng.random() < 0.7
    if storm:
        chosen, weights = [*chosen, "members"], [*weights, CHANGES]
    together = [episode.weight for episode in episodes.values()]
    return Mix([*chosen, *episodes], [*weights, *together], keeps_majority, episodes)


def episodes_of(possible: set[str], rng: random.Random) -> Mapping[str, Episode]:
    """Half of the walks have some of those that this adapter can have."""
    can = {verb: episode for verb, episode in EPISODES.items() if possible >= {*episode.needs}}
    return {verb: can[verb] for verb in can if rng.random() < 0.6} if rng.random() < 0.5 else {}


def draw(verb: str, trial: Trial, rng: random.Random, keeps_majority: bool) -> Event | None:
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
    if verb in CRASHES and keeps_majority and 2 * (len(trial.up) - 1) <= len(nodes):
        return None
    return draw_step(verb, trial, rng)


def can_change(trial: Trial) -> bool:
    """Whether members can: without what they are, nobody can tell what is a majority."""
    shown = all(s is None or s.members for s in trial.seen.values())
    return "change_members" in trial.abilities and shown


def draw_step(verb: str, trial: Trial, rng: random.Random) -> Event | None:
    """A step of a server. Clients and heartbeats mostly turn to one that takes itself to be a leader."""
    if not trial.up:
        return None
    often = 0.5 if verb in CRASHES else {"timeout": 0.0, "compact": 0.5}.get(verb, 0.9)
    at_leaders = rng.random() < often
    node = rng.choice(
        (verb == "crash_keeping" and untold(trial)) or (at_leaders and trial.leaders) or trial.up
    )
    if verb == "propose":
        return (verb, node, next_value(trial))
    if verb == "retry":
        waiting = trial.figure_3.clients.unanswered
        return (verb, node, str(rng.choice(waiting))) if waiting else None
    if verb == "transfer":
        others = [other for other in trial.nodes if other != node]
        return (verb, node, rng.choice(others)) if others else None
    if verb == "members":
        return (verb, node, other_members(trial, node, rng))
    if verb == "crash_keeping":
        return (verb, node, rng.choice("0012"), *rng.choice(((), ("torn",))))
    if verb == "crash_next":
        return (verb, node, rng.choice(list(trial.adapter.crash_points)))
    return (verb, node)


def untold(trial: Trial) -> list[str]:
    """The servers that have changed since a message left them: they may have writes that are not synced."""
    return [node for node in trial.up if trial.seen[node] != trial.figure_3.promised.get(node)]


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
    """Some time; often as much as it takes until a promise may have run out, when no lease may last."""
    brink = (run_out(trial, trial.adapter.rates[1]),) * 3 if keeps_time(trial) else ()
    return clocks(trial, rng, rng.choice((1, 3, 10, 30, 100, *brink)))
