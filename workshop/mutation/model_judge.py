"""What becomes of each mutant of a model: the cheapest reader that tells it from the model.

In this order:

| by       | what it means                                                                             |
|----------|-------------------------------------------------------------------------------------------|
| refused  | it is no model: the language or the explorer refuses it, say a stopwatch that stands      |
| property | `explore` breaks a property, a claim, or gets stuck, at small bounds                      |
| witness  | a state that should be reachable is not any more, or an action is never taken             |
| twin     | the graph of states and steps is another one than that of the hand-written TLA+           |
| proof    | `prove` refutes an obligation of the action, with a counterexample to induction           |
| unproved | nothing above, but Z3 does not prove the action any more: weaker than wrong               |

`survived` is what nobody tells apart: it has to stand in `equivalent.toml`, with the reason. Of such a
one is said how alike it is: proved the same step (`mutation_equivalence`, asked before the proofs), the same
graph with all histories, or another history.

That graphs are the same says something only where they ask what was mutated: under every setting of the
model's switches the graphs are compared, and in one of them the action was taken, and the mutated guard was
true and was false. Otherwise the outcome is `not exercised`, and no reason makes up for that.

TLC is not run here. That the TLA+ twins have the graphs of the models at the bounds TWINNED is what `check`
and the models' tests compare; so a mutant whose graph is another one there would fail them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

from oneleader.errors import SpecError, UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.model import Model
from oneleader.models import MODELS
from oneleader.readers.explore.explore import explore, explore_all
from oneleader.readers.explore.explored import Explored
from oneleader.readers.explore.graph import Graph
from oneleader.readers.explore.search import Limits
from oneleader.readers.prove.prove import rows
from oneleader.readers.run import Run
from oneleader.readers.tlc.bounds import Bounds, bounds_of
from oneleader.readers.tlc.coverage import ModelCoverage
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from oneleader.words import plural
from workshop.mutation import model_mutation as mutation
from workshop.mutation.equivalence import proved_the_same
from workshop.mutation.model_mutation import Mutant, mutants

REFUSED, PROPERTY, WITNESS, PROOF, TWIN = "refused", "property", "witness", "proof", "twin"
UNPROVED, SURVIVED, UNEXERCISED = "unproved", "survived", "not exercised"
PROVED_SAME = "the same step in every state that the invariants allow, by Z3"
SAME, HISTORY = "the same graph, histories included", "a history says something else"
CAUGHT = (REFUSED, PROPERTY, WITNESS, TWIN, PROOF, UNPROVED)

MOST_STATES = 700_000  # of a mutant: what grows beyond has been told from the model by its graph
RLIMIT = 1_000_000  # of Z3's work for an attempt: about a second


N2_DECIDES = "n2, n1 n2"  # two servers, and the second in every quorum: it can overtake the first
EXACT = {"lease": 1, "promise": 1, "slow": 1, "fast": 1}

OFF = tuple({"off": (switch,)} for switch in ("quorum", "terms", "lease", "fencing"))


def servers(nodes: int, terms: int, quorums: str = "majority", **sizes: int) -> Bounds:
    return Bounds({"Node": nodes, "Term": terms, **sizes}, quorums)


# Where to explore, cheapest first: together they reach the witnesses, and each takes seconds at most.
EXPLORED: dict[str, tuple[Bounds, ...]] = {
    "election": (servers(3, 1), servers(2, 3, N2_DECIDES), servers(3, 2)),
    "vote_count": (servers(3, 1), servers(2, 1), servers(3, 2)),
    "pre_vote": (servers(2, 1), servers(2, 1, N2_DECIDES), servers(2, 2)),
    "replication": (
        servers(2, 2, N2_DECIDES, Index=1, Value=1),
        servers(2, 2, Index=2, Value=1),
    ),
    "lease": (
        servers(2, 1, N2_DECIDES, **EXACT),
        servers(2, 1, "majority", Round=2, **EXACT),
        servers(2, 2, N2_DECIDES, **EXACT),
    ),
    "fencing": (
        Bounds({"Resource": 1, "Client": 2, "Token": 2}),
        Bounds({"Resource": 1, "Client": 3, "Token": 3}),
        Bounds({"Resource": 2, "Client": 2, "Token": 1}),
    ),
    "system": (servers(3, 1), servers(3, 2), *(Bounds({"Node": 3, "Term": 2}, where=off) for off in OFF)),
}

# Where a twin is compared with its model: by `oneleader check`, some of them without --quick alone.
TWINNED: dict[str, tuple[Bounds, ...]] = {
    "election": (servers(3, 1), servers(2, 3)),
    "vote_count": (servers(3, 1), servers(3, 2)),
    "pre_vote": (servers(2, 1), servers(2, 1, N2_DECIDES), servers(2, 2)),
    "replication": (
        servers(2, 2, Index=2, Value=1),
        servers(2, 2, N2_DECIDES, Index=2, Value=1),
    ),
    "lease": (
        servers(2, 1),
        servers(2, 1, N2_DECIDES, Round=2, **EXACT),
        servers(2, 2, N2_DECIDES, **EXACT),
    ),
    "fencing": (
        Bounds({"Resource": 1, "Client": 2, "Token": 3}),
        Bounds({"Resource": 2, "Client": 2, "Token": 1}),
    ),
    "system": bounds_of(MODELS["system"]),
}

SWITCHED = {"system": "off"}  # models with switches, and the constant that says which are off
PROVED = ("election", "pre_vote", "replication", "lease", "fencing")


@dataclass(frozen=True)
class JudgedMutant:
    """What became of a mutant. `what`: the property, the witness, the obligation, in words."""

    id: str
    kind: str
    by: str
    what: str
    seconds: float = 0.0


def judge(mutant: Mutant) -> JudgedMutant:
    """By the cheapest reader that tells it from its model."""
    started = time.perf_counter()
    by, what = _verdict(mutant)
    return JudgedMutant(mutant.id, mutant.kind, by, what, time.perf_counter() - started)


def judge_id(id: str) -> JudgedMutant:
    """The same of a mutant by its id: what another process is told. UsageError where there is none."""
    return judge(find(id))


def digest(name: str) -> str:
    """A fingerprint of a model and of where it is explored: if it changes, all is judged again."""
    told = mutation.digest(MODELS[name]), EXPLORED[name], TWINNED.get(name), MOST_STATES, RLIMIT
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def find(id: str) -> Mutant:
    name = id.partition("/")[0]
    found = next((m for m in mutants(MODELS[name]) if m.id == id), None) if name in MODELS else None
    if found is None:
        raise UsageError(f"there is no mutant {id!r}: `python -m workshop mutants MODEL --list` has them")
    return found


def _verdict(mutant: Mutant) -> tuple[str, str]:
    try:
        model = mutant.model
        lost = None
        for bounds in EXPLORED[mutant.base.name]:
            found = _explored(mutant.base, model, bounds)
            if found and found[0] == PROPERTY:
                return found
            lost = lost or found
    except SpecError as error:
        return REFUSED, str(error).rpartition(": ")[2]
    if lost:
        return lost
    if mutant.base.name in PROVED and proved_the_same(mutant, RLIMIT):
        return SURVIVED, PROVED_SAME
    for bounds in TWINNED.get(mutant.base.name, ()):
        if not _same_graph(mutant.base, model, bounds):
            return TWIN, bounds.of(model).describe()
    proof = _proved(mutant) if mutant.base.name in PROVED else None
    return proof or _survived(mutant)


# -- explore ------------------------------------------------------------------------------------------
NEVER = "never"


@lru_cache(maxsize=64)
def usual(name: str, bounds: Bounds) -> Mapping[str, str]:
    """What exploring a model itself gives: how far each witness is, whether each action is taken; where
    switches are off, how far the shortest run is that breaks each property."""
    broken, outcome = _outcome(MODELS[name], bounds)
    assert not broken, f"{name}: {broken} at {bounds}"
    return outcome


def _explored(base: Model, model: Model, bounds: Bounds) -> tuple[str, str] | None:
    """A property broken, a witness or an action lost; None where it is as with the model."""
    expected = usual(base.name, bounds)
    broken, outcome = _outcome(model, bounds)
    if broken:
        return PROPERTY, broken
    for name, found in outcome.items():
        if found != expected[name]:
            by = PROPERTY if name in base.properties else WITNESS
            told = f"never {name}" if found == NEVER else f"{name} {found}, not {expected[name]}"
            return by, told + bounds.switched
    return None


def _outcome(model: Model, bounds: Bounds) -> tuple[str, dict[str, str]]:
    """What is broken, if anything, and else what was reached and taken; of what was explored to its end."""
    at = bounds.of(model)
    if bounds.where:
        return "", _apart(model, at)
    result = _ended(explore(model, at, ghosts=_histories(model), limits=Limits(states=MOST_STATES)))
    if result.violation:
        return f"{result.violation.what} broken in {plural(len(result.violation.steps), 'steps')}", {}
    if result.verdict is not HOLDS:
        return "", {}
    outcome = {name: _far(depth) for name, depth in result.witnesses.items()}
    return "", outcome | {name: "taken" if result.fired[name] else NEVER for name in model.actions}


def _ended(result: Explored) -> Explored:
    """Of an interrupted search explore tells what it has seen: of a mutant nothing follows from that."""
    if result.why == "interrupted":
        raise KeyboardInterrupt
    return result


def _histories(model: Model) -> frozenset[str]:
    """All of them, in one exploration: at small bounds that is less work than one for each."""
    return frozenset(name for name, f in model.fields.items() if f.kind == "ghost")


def _apart(model: Model, at: Configuration) -> dict[str, str]:
    """Each property and each witness explored apart: under a switch that is off, some are broken."""
    outcome = {}
    for name in (*model.properties, *model.witnesses):
        (result,) = map(_ended, explore_all(model, at, only=[name], limits=Limits(states=MOST_STATES)))
        if name in model.witnesses:
            outcome[name] = _far(result.witnesses[name])
        elif result.violation:
            outcome[name] = _far(len(result.violation.steps))
        else:
            outcome[name] = result.verdict.value
    return outcome


def _far(steps: int | None) -> str:
    return NEVER if steps is None else f"in {plural(steps, 'steps')}"


# -- prove --------------------------------------------------------------------------------------------
def _proved(mutant: Mutant) -> tuple[str, str] | None:
    """The first obligation of the action that is refuted, else the first that is left open, if any."""
    unproved = None
    for row in rows(mutant.model, only=[mutant.action], rlimit=RLIMIT):
        if row.verdict is VIOLATED:
            return PROOF, row.goal
        if row.verdict is INCONCLUSIVE:
            unproved = unproved or (UNPROVED, row.goal)
    return unproved


# -- the graph ----------------------------------------------------------------------------------------
def _survived(mutant: Mutant) -> tuple[str, str]:
    """How alike it is to its model; refused where the graphs say nothing of what was mutated."""
    base, model = mutant.base, mutant.model
    for bounds in settings_of(base.name):
        if not _same_graph(base, model, bounds):
            return (
                UNEXERCISED,
                f"another graph at {bounds.of(model).describe()}, where the twin is not compared",
            )
    missing = unexercised(mutant, _coverage(base.name))
    if missing:
        return UNEXERCISED, f"not seen where graphs were compared: {', '.join(missing)}"
    return SURVIVED, SAME if _same_histories(base, model) else HISTORY


def settings_of(name: str) -> tuple[Bounds, ...]:
    """Every setting of the switches of a model, at small bounds; none where it has no switches."""
    if name not in SWITCHED:
        return ()
    constant = SWITCHED[name]
    names = [switch.name.lower() for switch in MODELS[name].fields[constant].index[0]]
    chosen = (some for number in range(len(names) + 1) for some in combinations(names, number))
    return tuple(
        replace(servers(2, 2, N2_DECIDES), where={constant: some} if some else {}) for some in chosen
    )


def unexercised(mutant: Mutant, coverage: ModelCoverage) -> list[str]:
    """What the graphs compared leave out of the place that was mutated: the action, or the guard."""
    wanted = {mutant.action}
    if "effect" not in mutant.id.split("/")[2]:
        guard = mutant.id.split("/")[2].partition(":")[0].removeprefix("-")
        wanted |= {f"{mutant.action}.{guard}: {truth}" for truth in ("true", "false")}
    return sorted(wanted - coverage.seen)


@lru_cache
def _coverage(name: str) -> ModelCoverage:
    """What all the graphs that are compared with those of a mutant exercise together."""
    everywhere = (*TWINNED.get(name, ()), *settings_of(name))
    runs = (Run(MODELS[name], bounds.of(MODELS[name])) for bounds in everywhere)
    return ModelCoverage.of(MODELS[name], map(Graph.of, runs))


def _same_histories(base: Model, model: Model) -> bool:
    """The same graph at the smallest bounds, with every history kept."""
    return _same_graph(base, model, EXPLORED[base.name][0], _histories(base))


def _same_graph(base: Model, model: Model, bounds: Bounds, ghosts: frozenset[str] = frozenset()) -> bool:
    """The same states and the same edges between them, with these histories."""
    usual = _graph(base, bounds, ghosts)
    try:
        other = Graph.of(Run(model, bounds.of(model), ghosts), most=len(usual[0]))
    except UsageError:
        return False  # it has more states
    states, edges = _canonical(other)
    return np.array_equal(usual[0], states) and np.array_equal(usual[1], edges)


Canonical = tuple[npt.NDArray[np.int16], npt.NDArray[np.uint32]]
_graphs: dict[tuple[str, Bounds, frozenset[str]], Canonical] = {}


def _graph(base: Model, bounds: Bounds, ghosts: frozenset[str]) -> Canonical:
    key = base.name, bounds, ghosts
    if key not in _graphs:
        _graphs[key] = _canonical(Graph.of(Run(base, bounds.of(base), ghosts)))
    return _graphs[key]


def _canonical(graph: Graph) -> Canonical:
    """States in an order of their own, and the labelled edges between them, as TLC shows them: the name of
    an action and not its arguments."""
    order = np.lexsort(graph.states.T)
    number = np.empty(len(order), np.uint32)
    number[order] = np.arange(len(order))
    actions = list(graph.run.model.actions)
    action = np.array([actions.index(i.action.name) for i in graph.run.instances], np.uint32)
    before, instance, after = graph.steps.T
    edges = np.stack([number[before], action[instance], number[after]], axis=1)
    return graph.states[order], np.unique(edges, axis=0)
