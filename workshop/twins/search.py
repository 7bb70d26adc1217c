"""Chooses the bounds at which a twin is compared with its model, and writes them to bounds.toml.

    python -m workshop tla-bounds [MODEL]...

Candidates are tried from the cheapest to the dearest; one is taken where it shows what none before it did:
an action that fires, a guard that is true or false, or a mutant of the TLA+ text that it notices. What a
candidate costs is its number of states and, since Java has to start, never less than a few hundred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations
from typing import Any

from oneleader.models import find
from oneleader.readers.tlc.bounds import FILE, Bounds
from oneleader.readers.tlc.coverage import ModelCoverage
from workshop.mutation.tla_judge import NoticedBefore, judge, ours
from workshop.mutation.tla_mutation import mutants

STARTING = 600  # states that TLC explores in the time that it takes to start
MOST = 20_000  # states: more than this take too long
N2_DECIDES = "n2, n1 n2"  # two servers, and the second in every quorum: it can overtake the first
FIRST_TWO = "n1 n2, n1 n3"
EXACT = {"lease": 1, "promise": 1, "slow": 1, "fast": 1}
DRIFT = {"lease": 1, "promise": 2, "slow": 1, "fast": 2}
LONG = {"lease": 1, "promise": 2, "slow": 2, "fast": 3}
CURES = ("quorum", "terms", "lease", "fencing")
ASSUMED = ("fail_stop", "network", "prompt")


def servers(
    nodes: int, terms: int, quorums: str = "majority", sizes: Mapping[str, int] | None = None
) -> Bounds:
    return Bounds({"Node": nodes, "Term": terms, **(sizes or {})}, quorums)


def elections() -> Iterator[Bounds]:
    for nodes, terms in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (2, 3)):
        yield servers(nodes, terms)
    yield from (servers(2, terms, N2_DECIDES) for terms in (1, 2, 3))
    yield servers(3, 1, FIRST_TWO)
    yield servers(3, 2, FIRST_TWO)


def counts() -> Iterator[Bounds]:
    yield from (servers(*at) for at in ((1, 1), (2, 1), (3, 1), (2, 2), (2, 3), (3, 2)))


def pre_votes() -> Iterator[Bounds]:
    yield from (servers(1, terms) for terms in (1, 2, 3))
    yield servers(2, 1)
    yield servers(2, 1, N2_DECIDES)


def replications() -> Iterator[Bounds]:
    for quorums in ("majority", N2_DECIDES):
        for terms, index, value in ((1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1), (2, 1, 2), (2, 2, 1)):
            yield servers(2, terms, quorums, {"Index": index, "Value": value})
    yield servers(1, 2, sizes={"Index": 2, "Value": 1})
    yield servers(3, 1, sizes={"Index": 1, "Value": 1})


def memberships() -> Iterator[Bounds]:
    small = {"Index": 2, "Value": 1}
    for configurations in (N2_DECIDES, "n1 n2, n1", "n1 + n2, n2, n1, n1 n2", "n2, n1 n2, n2 + n1"):
        yield servers(2, 1, configurations, small)
    yield servers(2, 2, N2_DECIDES, {"Index": 1, "Value": 1})


def leases() -> Iterator[Bounds]:
    for times in (EXACT, DRIFT, LONG):
        yield servers(1, 2, sizes=times)
        yield servers(2, 1, sizes=times)
        yield servers(2, 1, N2_DECIDES, times)
    yield servers(2, 1, N2_DECIDES, {"Round": 2, **EXACT})
    yield servers(2, 2, sizes=EXACT)


def tokens() -> Iterator[Bounds]:
    for resources, clients, greatest in ((1, 1, 2), (1, 2, 2), (1, 2, 3), (2, 1, 2), (2, 2, 1)):
        yield Bounds({"Resource": resources, "Client": clients, "Token": greatest})


def systems() -> Iterator[Bounds]:
    for where in ({}, *({"off": (cure,)} for cure in CURES)):
        yield Bounds({"Node": 2, "Term": 2}, N2_DECIDES, where)
        yield Bounds({"Node": 3, "Term": 1}, "majority", where)
    yield servers(3, 2)


def bullies() -> Iterator[Bounds]:
    yield Bounds({"Node": 1})
    for number in (3, 2, 1):
        yield from (Bounds({"Node": 2}, where={"assumed": of}) for of in combinations(ASSUMED, number))


CANDIDATES = {
    "election": elections,
    "vote_count": counts,
    "pre_vote": pre_votes,
    "replication": replications,
    "membership": memberships,
    "snapshots": memberships,
    "lease": leases,
    "fencing": tokens,
    "system": systems,
    "flawed/bully": bullies,
}


def candidates(model: str) -> list[Bounds]:
    """The cheapest first; of equally cheap ones the one that shows more."""
    cost: dict[Bounds, tuple[int, int]] = {}
    for bounds in CANDIDATES[model]():
        graph = ours(model, bounds).graph
        if len(graph.states) <= MOST:
            cost[bounds] = max(STARTING, len(graph.states)), -len(shown_by(model, bounds))
    return sorted(cost, key=lambda bounds: cost[bounds])


@cache
def shown_by(model: str, bounds: Bounds) -> frozenset[str]:
    """The actions that fire at these bounds, and the guards that are true and false."""
    return ModelCoverage.of(find(model), [ours(model, bounds).graph]).seen


def chosen(model: str, equivalent: frozenset[str], store: NoticedBefore, workers: int) -> Iterator[Bounds]:
    """The candidates that are taken."""
    seen: frozenset[str] = frozenset()
    left = [mutant for mutant in mutants(model) if mutant.id not in equivalent]
    for bounds in candidates(model):
        shows, said = shown_by(model, bounds), judge(left, bounds, store, workers)
        survivors = [mutant for mutant, one in zip(left, said, strict=True) if not one.by]
        if not shows <= seen or len(survivors) < len(left):
            yield bounds
        seen, left = seen | shows, survivors
        if not left and seen >= ModelCoverage.of(find(model), []).wanted:
            return


def text(model: str, taken: list[Bounds]) -> str:
    """The entries of bounds.toml for one model."""
    return "\n".join(f"[[{model}.bounds]]\n{_entry(bounds)}" for bounds in taken)


def _entry(bounds: Bounds) -> str:
    lines = [f"sizes = {_table(bounds.sizes)}"]
    lines += [] if bounds.quorums == "majority" else [f'quorums = "{bounds.quorums}"']
    where = {name: "[" + ", ".join(f'"{one}"' for one in names) + "]" for name, names in bounds.where.items()}
    lines += [f"where = {_table(where)}"] if where else []
    return "\n".join([*lines, ""])


def _table(pairs: Any) -> str:
    return "{ " + ", ".join(f"{name} = {value}" for name, value in pairs.items()) + " }"


HEADER = """\
# Where each TLA+ twin is compared with its model, cheapest first. Chosen by `make tla-bounds`: change the
# candidates in workshop/twins/search.py instead of this file.
"""


def write(entries: dict[str, list[Bounds]]) -> None:
    FILE.write_text(
        "\n".join([HEADER, *(text(find(m).name, taken) for m, taken in entries.items())]), "utf-8"
    )
