"""`make bench-peers`: our engines and the explicit-state checkers for Python on PyPI, on one election.

The election is written below as their users would write it: plain functions over tuples and frozen
sets. Each must find the same states. musil needs Python 3.12; what is not installed is left out.
`bench_peers.py 4,2` takes other bounds, and leaves out our slow oracle.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from oneleader.language.configuration import bounded
from oneleader.models.election import MODEL
from oneleader.readers.explore.explore import explore
from oneleader.verdict import HOLDS

NODES, TERMS = map(int, sys.argv[1].split(",")) if len(sys.argv) > 1 else (3, 2)
QUORUM = NODES // 2 + 1
FOLLOWER, CANDIDATE, LEADER = range(3)


class PeerState(NamedTuple):
    term: tuple[int, ...]
    voted_for: tuple[int, ...]
    role: tuple[int, ...]
    votes: tuple[frozenset[int], ...]
    requested: frozenset[tuple[int, int]]
    granted: frozenset[tuple[int, int, int]]
    heartbeat: frozenset[tuple[int, int]]


NOBODY: frozenset[int] = frozenset()
INITIAL = PeerState(
    *((0,) * NODES, (-1,) * NODES, (FOLLOWER,) * NODES, (NOBODY,) * NODES),
    *(frozenset(), frozenset(), frozenset()),
)


def put(old: tuple[Any, ...], at: int, new: Any) -> tuple[Any, ...]:
    return (*old[:at], new, *old[at + 1 :])


def follower(s: PeerState, n: int) -> PeerState:
    return s._replace(role=put(s.role, n, FOLLOWER), votes=put(s.votes, n, NOBODY))


def can_start(n: int, s: PeerState) -> bool:
    return s.role[n] != LEADER and s.term[n] < TERMS


def start(n: int, s: PeerState) -> PeerState:
    t = s.term[n] + 1
    return PeerState(
        put(s.term, n, t),
        put(s.voted_for, n, n),
        put(s.role, n, CANDIDATE),
        put(s.votes, n, frozenset({n})),
        s.requested | {(n, t)},
        s.granted | {(n, t, n)},
        s.heartbeat,
    )


def can_grant(v: int, c: int, t: int, s: PeerState) -> bool:
    return (c, t) in s.requested and s.term[v] == t and s.voted_for[v] in (-1, c)


def grant(v: int, c: int, t: int, s: PeerState) -> PeerState:
    return s._replace(voted_for=put(s.voted_for, v, c))


def can_reply(v: int, c: int, t: int, s: PeerState) -> bool:
    return s.voted_for[v] == c and s.term[v] == t


def reply(v: int, c: int, t: int, s: PeerState) -> PeerState:
    return s._replace(granted=s.granted | {(v, t, c)})


def can_receive(v: int, c: int, t: int, s: PeerState) -> bool:
    return (v, t, c) in s.granted and s.term[c] == t and s.role[c] == CANDIDATE


def receive(v: int, c: int, t: int, s: PeerState) -> PeerState:
    return s._replace(votes=put(s.votes, c, s.votes[c] | {v}))


def can_lead(n: int, s: PeerState) -> bool:
    return s.role[n] == CANDIDATE and len(s.votes[n]) >= QUORUM


def lead(n: int, s: PeerState) -> PeerState:
    return s._replace(role=put(s.role, n, LEADER), heartbeat=s.heartbeat | {(n, s.term[n])})


def can_update(n: int, t: int, s: PeerState) -> bool:
    return t > s.term[n] and any((c, t) in s.requested for c in range(NODES))


def update(n: int, t: int, s: PeerState) -> PeerState:
    return follower(s, n)._replace(term=put(s.term, n, t), voted_for=put(s.voted_for, n, -1))


def can_step_down(n: int, leader: int, t: int, s: PeerState) -> bool:
    return (leader, t) in s.heartbeat and s.term[n] == t and s.role[n] == CANDIDATE


def always(s: PeerState) -> bool:
    return True


def stop(n: int, s: PeerState) -> PeerState:
    return follower(s, n)


def instances() -> Iterator[tuple[str, Callable[[PeerState], bool], Callable[[PeerState], PeerState]]]:
    """Each possible step: its name, its guard and its effect."""
    nodes, terms = range(NODES), range(TERMS + 1)
    for n in nodes:
        yield f"start({n})", partial(can_start, n), partial(start, n)
        yield f"lead({n})", partial(can_lead, n), partial(lead, n)
        yield f"restart({n})", always, partial(stop, n)
        for t in terms:
            yield f"update({n}, {t})", partial(can_update, n, t), partial(update, n, t)
            for m in nodes:
                at = f"({n}, {m}, {t})"
                yield f"grant{at}", partial(can_grant, n, m, t), partial(grant, n, m, t)
                yield f"reply{at}", partial(can_reply, n, m, t), partial(reply, n, m, t)
                yield f"receive{at}", partial(can_receive, n, m, t), partial(receive, n, m, t)
                yield f"step_down{at}", partial(can_step_down, n, m, t), partial(stop, n)


def one_leader(s: PeerState) -> bool:
    """Election safety."""
    return len({t for _, t in s.heartbeat}) == len(s.heartbeat)


# -- who checks it ---------------------------------------------------------------------------------
def minicheck(module: Any) -> int:
    steps = [*instances()]
    protocol = module.Protocol(
        name="election",
        candidate=False,
        fields=PeerState._fields,
        initial=INITIAL,
        transitions=lambda s: [(name, do(PeerState(*s))) for name, can, do in steps if can(PeerState(*s))],
        invariants={"one_leader": lambda d: one_leader(PeerState(**d))},
    )
    found = module.check_safety(protocol, max_states=10**7)
    assert found["properties"]["one_leader"]["holds"] is True
    return int(found["reachable_states"])


def musil(module: Any) -> int:
    actions = [module.Action(*step) for step in instances()]
    model = module.Model(init=[INITIAL], actions=actions, invariants={"one_leader": one_leader})
    found = module.check(model, max_states=10**7)
    assert found.ok
    return int(found.states_explored)


def ours(engine: str) -> int:
    at, safety = bounded(MODEL, nodes=NODES, terms=TERMS), [MODEL.theorems["election_safety"]]
    found = explore(MODEL, at, properties=safety, symmetry=False, engine=engine)
    assert found.verdict is HOLDS
    return found.states


def main() -> None:
    print(f"{NODES} nodes, {TERMS} terms, election safety; seconds of the wall clock, this run")
    seconds: dict[str, float] = {}
    checkers: dict[str, Callable[[], int]] = {
        **{engine: partial(ours, engine) for engine in ("numpy", "native")},
        "native, again": partial(ours, "native"),
    }
    if len(sys.argv) < 2:
        checkers["python"] = partial(ours, "python")
    peers: dict[str, Callable[[Any], int]] = {"minicheck": minicheck, "musil": musil}
    for name, theirs in peers.items():
        try:
            checkers[name] = partial(theirs, importlib.import_module(name))
        except ImportError:
            print(f"  {name} is not installed: pip install 'oneleader[bench]' (musil: Python 3.12)")
    expected = ours("numpy")
    for name, check in checkers.items():
        started = time.perf_counter()
        states = check()
        seconds[name] = time.perf_counter() - started
        assert states == expected, f"{name} saw {states} states"
        print(f"  {name:14}{states:>10,} states {seconds[name]:8.2f} s {states / seconds[name]:>12,.0f} /s")
    for peer in ("minicheck", "musil"):
        if peer in seconds:
            told = ", ".join(
                f"{name} {seconds[peer] / seconds[name]:,.0f} times" for name in ("numpy", "native, again")
            )
            print(f"  against {peer}: {told}")


if __name__ == "__main__":
    main()
