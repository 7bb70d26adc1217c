"""A random walk: what happens in it, and how often, is drawn from the seed before its first event.

Each walk has a mix of its own, for a storm of one kind of fault hides the faults of another. Faults know of
quorums: most walks keep a majority up, a partition often leaves the leader with a minority, and it is the
leader that crashes, pauses or is asked more often than not. Where members change, some events come
together: an election that a majority carries through; a leader that is cut off, and overthrown by the others.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
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
}
# In some walks members change all the time, one change upon another, and these come in addition.
STORM: Mapping[str, float] = {"members": 6, "elect": 2, "agree": 2, "overthrow": 1}
ALWAYS = ("deliver", "timeout", "heartbeat", "propose", "restart")  # in every mix


CRASHES = ("crash", "crash_next", "crash_keeping", "pause")  # after any of them a majority may be lacking
ANYWHERE = ("deliver", "burst", "timeout", "crash", "restart", "groups", "pause", "wake", "heal")
TOGETHER = ("elect", "agree", "overthrow")  # several events, one after another


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
        if verb in TOGETHER:
            together(verb, trial, rng)
            continue
        event = draw(verb, trial, rng, proposed, mix.keeps_majority)
        if event is not None:
            proposed += verb == "propose"
            trial.play(event)


def mixed(trial: Trial, rng: random.Random) -> Mix:
    faults = trial.adapter.network.faults
    possible = {*ANYWHERE, *faults, *trial.abilities}
    possible |= {"resume"} if "freeze" in faults else set()
    possible |= {"crash_next"} if trial.adapter.crash_points else set()
    possible |= {"members"} if can_change(trial) else set()
    chosen = [verb for verb in WEIGHTS if verb in possible and (verb in ALWAYS or rng.random() < 0.6)]
    weights = [WEIGHTS[verb] * rng.choice((0.5, 1, 2)) for verb in chosen]
    keeps_majority = rng.random() < 0.7
    if "members" in chosen and rng.random() < 0.5:
        chosen, weights = [*chosen, *STORM], [*weights, *STORM.values()]
    return Mix(chosen, weights, keeps_majority)


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
    if verb in CRASHES and keeps_majority and 2 * (len(trial.up) - 1) <= len(nodes):
        return None
    return draw_step(verb, trial, rng, proposed)


def together(verb: str, trial: Trial, rng: random.Random) -> None:
    """Events that lead somewhere, which drawn one by one they seldom do."""
    leader = newest_leader(trial)
    if verb == "elect" and trial.up:
        elect(trial, rng, trial.up)
    elif verb == "agree" and leader:
        trial.play(("heartbeat", leader))
        exchange(trial, rng, leader, trial.up)
    elif verb == "overthrow" and leader and len(trial.up) > 1:
        overthrow(trial, rng, leader)


def elect(trial: Trial, rng: random.Random, among: Sequence[str]) -> None:
    """One of these stands."""
    one = rng.choice(among)
    trial.play(("timeout", one))
    exchange(trial, rng, one, among)


def exchange(trial: Trial, rng: random.Random, one: str, among: Sequence[str]) -> None:
    """What is on its way between it and a majority arrives, in a few rounds: votes, entries."""
    others = rng.sample(among, min(len(among), len(trial.nodes) // 2 + 1))
    for _ in range(3):
        for other in others:
            trial.play(("burst", one, other))
            trial.play(("burst", other, one))


def overthrow(trial: Trial, rng: random.Random, leader: str) -> None:
    """A leader that is cut off is asked for other members; the others elect one, who is asked as well."""
    others = [node for node in trial.up if node != leader]
    trial.play(("groups", leader, " ".join(others)))
    for _ in range(2):
        leader = newest_leader(trial) or leader
        trial.play(("members", leader, other_members(trial, leader, rng)))
        elect(trial, rng, others)
    trial.play(("heal",))


def newest_leader(trial: Trial) -> str:
    """The one of the greatest term; or ""."""
    terms = {node: seen.term for node in trial.leaders if (seen := trial.seen[node]) is not None}
    return max(terms, key=lambda node: terms[node], default="")


def can_change(trial: Trial) -> bool:
    """Whether members can: without what they are, nobody can tell what is a majority."""
    shown = all(s is None or s.members for s in trial.seen.values())
    return "change_members" in trial.abilities and shown


def draw_step(verb: str, trial: Trial, rng: random.Random, proposed: int) -> Event | None:
    """A step of a server. Clients and heartbeats mostly turn to one that takes itself to be a leader."""
    if not trial.up:
        return None
    often = 0.5 if verb in CRASHES else {"timeout": 0.0, "compact": 0.5}.get(verb, 0.9)
    at_leaders = rng.random() < often
    node = rng.choice(
        (verb == "crash_keeping" and untold(trial)) or (at_leaders and trial.leaders) or trial.up
    )
    if verb == "propose":
        return (verb, node, f"v{proposed + 1}")
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
    """So much time, on each server's clock by its own rate."""
    slow, fast = trial.adapter.rates
    time = rng.choice((1, 3, 10, 30, 100))
    return tuple(f"{node}={time * rng.randint(slow, fast)}" for node in trial.nodes)


def other_members(trial: Trial, node: str, rng: random.Random) -> str:
    """One server more or less; or one in the place of another, or any others, by way of a joint one."""
    seen = trial.seen[node]
    members = set(seen.members or ()) if seen is not None else set()
    most = rng.choice((1, 1, 1, 2, 2, len(trial.nodes)))
    changed = members ^ set(rng.sample(trial.nodes, min(most, len(trial.nodes))))
    return " ".join(sorted(changed or members))
