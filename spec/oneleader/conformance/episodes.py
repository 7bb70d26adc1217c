"""Episodes of a walk: events that lead somewhere together, and drawn one by one seldom do.

Each is of a kind that Rafts go through: an election, a change of leaders in a partition, a candidate that is
heard late, leadership handed over, a successor that does not know yet what is committed, answers that arrive
twice. What is drawn in them (who, how many, what comes between) is drawn from the walk's seed, and an event
that cannot happen is passed over, as everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from oneleader.conformance.trial import Event, Trial


@dataclass(frozen=True)
class Episode:
    """`needs`: what an adapter, or its network, has to have besides."""

    play: Callable[[Trial, random.Random], None]
    weight: float
    needs: tuple[str, ...] = ()


# --- Time -------------------------------------------------------------------------------------------------


def clocks(trial: Trial, rng: random.Random, time: int) -> tuple[str, ...]:
    """So much time, on each server's clock by a rate of its own: as slow as may be, as fast, or between."""
    slow, fast = trial.adapter.rates
    return tuple(f"{node}={time * rng.choice((slow, fast, rng.randint(slow, fast)))}" for node in trial.nodes)


def run_out(trial: Trial, rate: int) -> int:
    """The time in which a promise runs out on a clock of this rate."""
    return -(-trial.adapter.promise // rate)


def ring(trial: Trial, rng: random.Random, node: str, early: float = 0.0) -> None:
    """An election timer rings when no promise binds any more; or, as often as `early` says, before."""
    if keeps_time(trial) and rng.random() >= early:
        trial.play(("elapse", *clocks(trial, rng, run_out(trial, trial.adapter.rates[0]))))
    trial.play(("timeout", node))


def keeps_time(trial: Trial) -> bool:
    """Whether time passes as the walk says, and it is known how long a promise binds."""
    return "elapse" in trial.abilities and trial.adapter.promise > 0


# --- Elections, and what is agreed upon -------------------------------------------------------------------


def elect(trial: Trial, rng: random.Random, among: Sequence[str] = ()) -> None:
    """One of these stands, or of all that are up."""
    among = among or trial.up
    if among:
        one = rng.choice(among)
        ring(trial, rng, one)
        exchange(trial, rng, one, among)


def agree(trial: Trial, rng: random.Random) -> None:
    """A leader is heard by a majority."""
    leader = newest_leader(trial)
    if leader:
        trial.play(("heartbeat", leader))
        exchange(trial, rng, leader, trial.up)


def overthrow(trial: Trial, rng: random.Random) -> None:
    """A leader that is cut off is asked for other members; the others elect one, who is asked as well."""
    leader, others = leader_and_others(trial)
    if not leader or not others:
        return
    trial.play(("groups", leader, " ".join(others)))
    for _ in range(2):
        leader = newest_leader(trial) or leader
        trial.play(("members", leader, other_members(trial, leader, rng)))
        elect(trial, rng, others)
    trial.play(("heal",))


def leave_behind(trial: Trial, rng: random.Random) -> None:
    """A leader is cut off; the others elect one, who commits something. Then clients ask the old one, which
    may still be on its way to hear what the others answered it before."""
    leader, others = leader_and_others(trial)
    if not leader or len(others) <= len(trial.nodes) // 2:
        return
    if is_heard_late := rng.random() < 0.3:
        trial.play(("heartbeat", leader))
        for other in others:
            trial.play(("burst", leader, other))
    trial.play(("groups", leader, " ".join(others)))
    elect(trial, rng, others)
    newest = newest_leader(trial)
    trial.play(("propose", newest or leader, next_value(trial)))
    exchange(trial, rng, newest or leader, others)
    for verb in rng.sample(("read", "propose"), 2):
        trial.play((verb, leader) if verb == "read" else (verb, leader, next_value(trial)))
    if is_heard_late:
        for other in others:
            trial.play(("burst", other, leader))
    if rng.random() < 0.5:
        trial.play(("heal",))


def overwrite(trial: Trial, rng: random.Random) -> None:
    """A leader is cut off, with one other if the rest are a majority, and goes on writing. They elect one
    that commits something, and brings it to those in a few rounds. Then one of those stands, and is asked."""
    leader, others = leader_and_others(trial)
    rest = rng.sample(others, min(len(others), max(2, len(trial.nodes) // 2 + 1)))
    apart = [leader, *(node for node in others if node not in rest)][:2]
    if not leader or len(rest) <= len(trial.nodes) // 2:
        return
    trial.play(("groups", " ".join(apart), " ".join(rest)))
    for _ in range(rng.choice((2, 4))):
        trial.play(("propose", leader, next_value(trial)))
    trial.play(("heartbeat", leader))
    meet(trial, leader, apart[1:])
    elect(trial, rng, rest)
    newest = newest_leader(trial)
    if newest == leader:
        return
    for _ in range(rng.choice((1, 3, 5))):
        trial.play(("propose", newest, next_value(trial)))
    exchange(trial, rng, newest, rest)
    trial.play(("heal",))
    for _ in range(rng.choice((1, 3))):
        trial.play(("heartbeat", newest))
        meet(trial, newest, apart)
    one = rng.choice(apart)
    ring(trial, rng, one)
    exchange(trial, rng, one, trial.up)
    for _ in range(2):
        trial.play(("propose", one, next_value(trial)))


def late(trial: Trial, rng: random.Random) -> None:
    """One stands and is not heard at first: the others hear the leader, time passes or one of them restarts,
    and then they hear who stands."""
    leader, others = leader_and_others(trial)
    if not leader or len(others) < 2:
        return
    one, *voters = rng.sample(others, len(others))
    ring(trial, rng, one)
    trial.play(("heartbeat", leader))
    meet(trial, leader, voters)
    between = rng.choice(("nothing", "a restart", "time"))
    if between == "a restart":
        trial.play(("crash", voters[0]))
        trial.play(("restart", voters[0]))
    elif between == "time" and keeps_time(trial):
        trial.play(("elapse", *clocks(trial, rng, run_out(trial, trial.adapter.rates[1]))))
    exchange(trial, rng, one, voters)


def hand_over(trial: Trial, rng: random.Random) -> None:
    """The leader is to hand over to one that hears of it late, when the others have heard the leader again;
    meanwhile its timer may ring."""
    leader, others = leader_and_others(trial)
    if not leader or len(others) < 2:
        return
    to, *voters = rng.sample(others, len(others))
    trial.play(("heartbeat", leader))
    meet(trial, leader, others)
    trial.play(("transfer", leader, to))
    if rng.random() < 0.5:
        trial.play(("timeout", leader))
    trial.play(("heartbeat", leader))
    meet(trial, leader, voters)
    trial.play(("burst", leader, to))
    exchange(trial, rng, to, voters)


def succeed(trial: Trial, rng: random.Random) -> None:
    """What a bare majority stores is committed, and only the leader knows. One of that majority is elected by
    those who lack it, and is asked at once."""
    leader, others = leader_and_others(trial)
    if not leader or len(others) < 2:
        return
    first, *rest = rng.sample(others, len(others))
    trial.play(("propose", leader, next_value(trial)))
    meet(trial, leader, [first, *rest[: len(trial.nodes) // 2 - 1]])
    ring(trial, rng, first)
    writes = rng.random() < 0.3  # who begins without an entry of its own commits nothing before
    for _ in range(4):
        meet(trial, first, rest)
        if first in trial.leaders and writes:
            trial.play(("propose", first, next_value(trial)))
            meet(trial, first, rest)
        if first in trial.leaders:
            trial.play(("read", first))


def echo(trial: Trial, rng: random.Random) -> None:
    """One stands; of each voter in turn the request arrives twice, or the answer."""
    if not trial.up:
        return
    one, *others = rng.sample(trial.up, len(trial.up))
    ring(trial, rng, one)
    for _ in range(2):
        for other in rng.sample(others, len(others)):
            there, back = (one, other), (other, one)
            twice = rng.choice((there, back))
            for link in (there, back):
                for position in range(trial.traffic.waiting(link) if link == twice else 0):
                    trial.play(("copy", *link, str(position)))
                trial.play(("burst", *link))


def replace(trial: Trial, rng: random.Random) -> None:
    """A leader that is cut off goes on writing. The others elect one that commits less, and compacts it: the
    old leader is sent a snapshot within what it has written."""
    leader, others = leader_and_others(trial)
    if not leader or len(others) <= len(trial.nodes) // 2:
        return
    trial.play(("groups", leader, " ".join(others)))
    for _ in range(rng.choice((2, 3, 4))):
        trial.play(("propose", leader, next_value(trial)))
    elect(trial, rng, others)
    newest = newest_leader(trial)
    if newest != leader:
        send_snapshot(trial, rng, newest, others)
        ask_who_took_it(trial, rng, leader)


def behind(trial: Trial, rng: random.Random) -> None:
    """One is cut off while the others commit something. The leader is asked for other members, and before
    that is committed it makes a snapshot, which it sends to the one that was cut off."""
    leader, others = leader_and_others(trial)
    if not leader or len(others) < 2:
        return
    late, *rest = rng.sample(others, len(others))
    trial.play(("groups", late, " ".join([leader, *rest])))
    trial.play(("propose", leader, next_value(trial)))
    trial.play(("heartbeat", leader))
    exchange(trial, rng, leader, rest)
    trial.play(("members", leader, other_members(trial, leader, rng)))
    trial.play(("compact", leader))
    trial.play(("heal",))
    trial.play(("heartbeat", leader))
    for _ in range(3):
        meet(trial, leader, [late])
    ask_who_took_it(trial, rng, late)


def long_ago(trial: Trial, rng: random.Random) -> None:
    """What a leader sent in an earlier term arrives at one that it leads again, before it is left behind."""
    leader, others = leader_and_others(trial)
    if not leader or len(others) < 2:
        return
    late, *rest = rng.sample(others, len(others))
    for _ in range(rng.choice((2, 4, 6))):
        trial.play(("heartbeat", leader))
        meet(trial, leader, rest)
    sent = trial.traffic.waiting((leader, late))
    for _ in range(2):  # it hears no quorum, steps down, and stands
        ring(trial, rng, leader)
    for _ in range(3):
        meet(trial, leader, rest)
    while sent < trial.traffic.waiting((leader, late)):
        trial.play(("overtake", leader, late, str(sent)))
    meet(trial, leader, [late])
    leave_behind(trial, rng)


def ask_again(trial: Trial, rng: random.Random) -> None:
    """A leader stores a value at the others, and falls silent. Its successor commits it, and other values;
    then the first client, who has no answer, asks again."""
    leader, others = leader_and_others(trial)
    if not leader or len(others) <= len(trial.nodes) // 2:
        return
    value = next_value(trial)
    trial.play(("propose", leader, value))
    for other in others:
        trial.play(("burst", leader, other))
    trial.play(("groups", leader, " ".join(others)))
    elect(trial, rng, others)
    newest = newest_leader(trial)
    more = ("propose", newest, next_value(trial))
    asked: tuple[Event, ...] = (("read", newest), more, ("retry", newest, value), ("read", newest))
    for event in asked if newest != leader else ():
        trial.play(event)
        exchange(trial, rng, newest, others)
    trial.play(("heal",))


# --- What they are made of --------------------------------------------------------------------------------


def meet(trial: Trial, one: str, others: Sequence[str]) -> None:
    """What is on its way between it and each of these arrives, there and back."""
    for other in others:
        trial.play(("burst", one, other))
        trial.play(("burst", other, one))


def exchange(trial: Trial, rng: random.Random, one: str, among: Sequence[str]) -> None:
    """It meets a majority in a few rounds: votes, entries."""
    others = rng.sample(among, min(len(among), len(trial.nodes) // 2 + 1))
    for _ in range(3):
        meet(trial, one, others)


def send_snapshot(trial: Trial, rng: random.Random, leader: str, among: Sequence[str]) -> None:
    """What it has is committed among these, and is a snapshot for all others."""
    trial.play(("heartbeat", leader))
    exchange(trial, rng, leader, among)
    trial.play(("compact", leader))
    trial.play(("heal",))
    for _ in range(2):
        trial.play(("heartbeat", leader))
        meet(trial, leader, [node for node in trial.up if node != leader])


def ask_who_took_it(trial: Trial, rng: random.Random, node: str) -> None:
    """Who has taken a snapshot stands, and is read from before anybody writes."""
    if "read" not in trial.abilities or rng.random() < 0.3:
        return
    ring(trial, rng, node)
    exchange(trial, rng, node, trial.up)
    trial.play(("read", node))
    exchange(trial, rng, node, trial.up)


def leader_and_others(trial: Trial) -> tuple[str, list[str]]:
    """The newest leader, or "", and who is up besides."""
    leader = newest_leader(trial)
    return leader, [node for node in trial.up if node != leader]


def newest_leader(trial: Trial) -> str:
    """The one of the greatest term; or ""."""
    terms = {node: seen.term for node in trial.leaders if (seen := trial.seen[node]) is not None}
    return max(terms, key=lambda node: terms[node], default="")


def next_value(trial: Trial) -> str:
    """No value is proposed twice."""
    return f"v{len(trial.figure_3.clients.writes) + 1}"


def other_members(trial: Trial, node: str, rng: random.Random) -> str:
    """One server more or less; or one in the place of another, or any others, by way of a joint one."""
    seen = trial.seen[node]
    members = set(seen.members or ()) if seen is not None else set()
    most = rng.choice((1, 1, 1, 2, 2, len(trial.nodes)))
    changed = members ^ set(rng.sample(trial.nodes, min(most, len(trial.nodes))))
    return " ".join(sorted(changed or members))


EPISODES: Mapping[str, Episode] = {
    "elect": Episode(elect, 1),
    "agree": Episode(agree, 1, ("heartbeat",)),
    "late": Episode(late, 2, ("heartbeat",)),
    "hand_over": Episode(hand_over, 2, ("heartbeat", "transfer")),
    "succeed": Episode(succeed, 2, ("propose", "read")),
    "leave_behind": Episode(leave_behind, 1, ("propose", "read")),
    "overwrite": Episode(overwrite, 0.5, ("propose", "heartbeat")),
    "echo": Episode(echo, 2, ("copy",)),
    "replace": Episode(replace, 2, ("propose", "compact", "heartbeat")),
    "behind": Episode(behind, 2, ("propose", "compact", "heartbeat", "members")),
    "ask_again": Episode(ask_again, 1, ("propose", "read", "retry")),
    "long_ago": Episode(long_ago, 1, ("propose", "read", "heartbeat", "overtake")),
}
# In some walks members change all the time, one change upon another, and these come in addition.
STORM: Mapping[str, Episode] = {
    "elect": Episode(elect, 2),
    "agree": Episode(agree, 2),
    "overthrow": Episode(overthrow, 1),
}
