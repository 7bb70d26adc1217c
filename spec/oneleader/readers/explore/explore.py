"""explore: every reachable state of a bounded configuration, breadth first.

Breadth first, so that a counterexample and a witness are shortest ones. Properties that read ghost
fields are explored apart, with those fields kept: history multiplies states. A run that stops at a
bound on states or memory is inconclusive, whatever it has seen so far; so is a property that nothing
put to the test (`premises.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.definitions import Property
from oneleader.language.expr import Expr
from oneleader.language.model import Model
from oneleader.language.trace import ghosts_needed, reads, trace_action, trace_property
from oneleader.readers.agree import agreement
from oneleader.readers.explore import checkpoint as checkpoints
from oneleader.readers.explore.disk import Stored, stored
from oneleader.readers.explore.explored import Explored, SearchProgress
from oneleader.readers.explore.search import NO_LIMITS, BreadthFirst, Limits
from oneleader.readers.explore.states import Packed, States, states_of
from oneleader.readers.premises import premises_of
from oneleader.readers.run import Run

ENGINES = ("python", "numpy", "native")


def ghosts_read(model: Model, prop: Property) -> frozenset[str]:
    """The ghost fields that a property reads, and those that these are computed from."""
    return _ghosts_of(model, trace_property(model, prop).body)


def claimed(model: Model) -> Iterator[frozenset[str]]:
    """Likewise of each claim within an action: it is asserted only where they are kept."""
    for action in model.actions.values():
        yield from (_ghosts_of(model, claim) for claim in trace_action(model, action).claims)


def _ghosts_of(model: Model, said: Expr) -> frozenset[str]:
    read = frozenset(name for name in reads(said) if model.fields[name].kind == "ghost")
    return ghosts_needed(model, read)


def plan(model: Model, only: list[str] | None = None) -> list[tuple[frozenset[str], list[Property]]]:
    """The explorations that properties and claims ask for: without ghosts first, then with those read."""
    everything = model.properties | model.witnesses
    unknown = [name for name in only or [] if name not in everything]
    if unknown:
        raise UsageError(f"{model.name} has no property {unknown[0]}: choose from {', '.join(everything)}")
    chosen = [p for name, p in everything.items() if only is None or name in only]
    groups: dict[frozenset[str], list[Property]] = {} if only else {frozenset(): []}
    for prop in chosen:
        groups.setdefault(ghosts_read(model, prop), []).append(prop)
    for ghosts in () if only else claimed(model):
        if not any(ghosts <= kept for kept in groups):
            groups[ghosts] = []
    return sorted(groups.items(), key=lambda group: len(group[0]))


def explore(
    model: Model,
    configuration: Configuration,
    *,
    ghosts: frozenset[str] = frozenset(),
    properties: list[Property] | None = None,
    symmetry: bool = True,
    engine: str = "numpy",
    limits: Limits = NO_LIMITS,
    progress: Callable[[SearchProgress], None] = lambda _: None,
    announce: Callable[[str], None] = lambda _: None,
    checkpoint: Path | None = None,
    disk: Path | None = None,
) -> Explored:
    """Explore one configuration with the given ghost fields; all properties that read no other ghosts.

    `engine` is one of ENGINES: they find the same. `announce` is told how much memory a state will
    take. Ctrl-C ends it early: the result so far is returned, inconclusive, with `why` "interrupted".
    Exploring for witnesses alone ends when all are reached. A search that ends early is saved in the
    file `checkpoint`, and goes on from there where the file exists. With `disk` the states are files in
    that folder, and memory is no limit.
    """
    run = Run(model, configuration, ghosts)
    if properties is None:
        everything = (model.properties | model.witnesses).values()
        properties = [p for p in everything if ghosts_read(model, p) <= ghosts]
    safety = [p for p in properties if p.kind != "witness"]
    witnesses = [p for p in properties if p.kind == "witness"]
    sought = [*witnesses, *(premise for p in safety for premise in premises_of(model, p))]
    agreed = agreement(model, configuration)
    if agreed.difference:
        names = [p.name for p in safety]
        return Explored(run, 1, why=str(agreed), properties=names, agreement=agreed)
    memory = limits.memory and limits.memory * 2**20
    states: States
    if disk:
        states = stored(engine, run, safety, sought, disk, symmetry=symmetry)
    else:
        states = states_of(engine, run, safety, sought, symmetry=symmetry, memory=memory)
    looking = BreadthFirst(states, safety, sought, limits, progress)
    saved: _Saved | _OnDisk | None = None
    if checkpoint:
        saved = _Saved(looking, states, checkpoint, [*safety, *sought])
    if isinstance(states, Stored):
        saved = _OnDisk(looking, states)
    try:
        announce(states.estimate())
        looking.go()
    except KeyboardInterrupt:
        looking.result.why = "interrupted"
    if saved:
        saved.close()
    looking.finish()
    looking.result.agreement = agreed
    return looking.result


def explore_all(
    model: Model,
    configuration: Configuration,
    *,
    only: list[str] | None = None,
    symmetry: bool = True,
    engine: str = "numpy",
    limits: Limits = NO_LIMITS,
    progress: Callable[[SearchProgress], None] = lambda _: None,
    announce: Callable[[str], None] = lambda _: None,
    checkpoint: Path | None = None,
    disk: Path | None = None,
) -> Iterator[Explored]:
    """Explore all that a model's properties ask for: one result for each set of ghost fields needed."""
    for ghosts, properties in plan(model, only):
        yield explore(
            model,
            configuration,
            ghosts=ghosts,
            properties=properties,
            symmetry=symmetry,
            engine=engine,
            limits=limits,
            progress=progress,
            announce=announce,
            checkpoint=checkpoint,
            disk=disk,
        )


class _Saved:
    """The checkpoint of a search: taken up where there is one, written or removed at the end."""

    def __init__(self, looking: BreadthFirst, states: States, path: Path, properties: list[Property]) -> None:
        if not isinstance(states, Packed):
            raise UsageError("the engine python keeps no checkpoint: use --engine numpy or native")
        self.looking, self.states, self.path = looking, states, path
        self.key = checkpoints.digest(states.run, properties, states.order)
        if path.exists():
            place, rows = checkpoints.load(path, self.key)
            states.restore(rows)
            looking.resume(place)

    def close(self) -> None:
        """Keep what was found where the search is not over."""
        if self.looking.result.over:
            self.path.unlink(missing_ok=True)
        else:
            checkpoints.save(self.path, self.key, self.looking.place, self.states.rows[: self.states.size])


class _OnDisk:
    """A search on disk: taken up where there is one, kept after each level, removed when it is over."""

    def __init__(self, looking: BreadthFirst, states: Stored) -> None:
        self.looking, self.states = looking, states
        looking.keep = states.keep
        if states.place:
            looking.resume(states.place)

    def close(self) -> None:
        """Remove what is not needed any more."""
        self.states.close(over=self.looking.result.over)
