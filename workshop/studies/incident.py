"""incident: the incident as it happened, and the same steps against the model that has every cure.

The first part is a run of `flawed/incident`, each step taken by the interpreter. The second plays each of
its steps, and what may follow, against `environment` with nothing off. A step that is refused is not taken,
and the rest goes on without it. Which cure forbids a step is not said here but found: the one without which
the very same step is allowed in the very same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from oneleader import models
from oneleader.language.configuration import Configuration, configure
from oneleader.language.definitions import Guard
from oneleader.language.model import Model
from oneleader.models import environment
from oneleader.readers.explore.explore import ghosts_read
from oneleader.readers.explore.settings import switches
from oneleader.readers.run import Instance, Run, State

SIZES = {"Node": 5, "Term": 2, "Era": 2}
AWAY = ("n4", "n5")

# What happened: what people saw, the steps that it was, and the step below whose refusal would have
# prevented it.
HAPPENED = (
    ("n1 leads, and writes.", ("become_leader n1", "write n1"), ""),
    ("The network splits: n4 and n5 are cut off from the others.", ("partition n4", "partition n5"), ""),
    ("The smaller side elects a leader of its own.", ("become_leader n4",), "elect n4 *"),
    ("It writes.", ("write n4",), "read n4"),
    ("The old leader, which knows nothing of it, keeps writing.", ("write n1",), "write n1"),
    (
        "The network heals. Nobody can tell the old leader from the new one: both go on.",
        ("partition n4", "partition n5", "write n4"),
        "take_lease n1 {n1,n2,n3}",
    ),
    ("And the old one writes over the new one again.", ("write n1",), "write n1"),
)

# The same, where every cure is there, and then a newer leader that is rightly elected. A step that is to be
# refused begins with `!`.
CURED = (
    (
        "n1 is elected by three of five, takes a lease, reads, and writes.",
        (*("elect n1 {n1,n2,n3}", "take_lease n1 {n1,n2,n3}", "read n1", "decide_write n1", "write n1"),),
    ),
    ("The network splits: n4 and n5 are cut off from the others.", ("split",)),
    ("The smaller side elects a leader of its own?", ("!elect n4 *",)),
    ("It writes?", ("!read n4", "!decide_write n4")),
    ("The old leader keeps writing: it is the only one.", ("decide_write n1", "write n1")),
    (
        "It decides on one more write, and pauses. The network heals, and n4 hears of the term.",
        ("decide_write n1", "heal", "step_down n4 n1"),
    ),
    ("n4 is elected while the lease of n1 may still run?", ("!elect n4 {n3,n4,n5}",)),
    (
        "The lease ends, and then the promises that it rests on. Now n4 is elected.",
        (
            *("end_lease n1", "end_promise n1 n1", "end_promise n2 n1", "end_promise n3 n1"),
            "elect n4 {n3,n4,n5}",
        ),
    ),
    (
        "It takes its lease, reads, and writes.",
        ("take_lease n4 {n3,n4,n5}", "read n4", "decide_write n4", "write n4"),
    ),
    ("n1 wakes: its write, decided on in time, arrives late?", ("!write n1",)),
    ("It takes its lease again, n3 having voted for n4 by now?", ("!take_lease n1 {n1,n2,n3}",)),
    ("It decides on another write?", ("!read n1", "!decide_write n1")),
    ("It hears of the newer term, and is no leader any more.", ("step_down n1 n4",)),
)


@dataclass(frozen=True)
class IncidentStep:
    """One step: the state after it and what it broke, or the guard that refused it and the cures at work."""

    text: str  # as the plot writes it
    call: str
    after: State
    instance: Instance | None = None
    broken: str = ""
    guard: Guard | None = None
    cures: tuple[str, ...] = ()
    tried: int = 1  # how many instances were, where any would have done


@dataclass(frozen=True)
class IncidentScene:
    """A sentence, and the steps that it stands for."""

    told: str
    steps: tuple[IncidentStep, ...]
    counterpart: str = ""  # the step of the other run that is refused


@dataclass(frozen=True)
class Played:
    """One of the two runs."""

    run: Run
    scenes: tuple[IncidentScene, ...]


def as_it_happened() -> Played:
    """The run of `flawed/incident`; SpecError or Disabled where it is none."""
    model = models.find("flawed/incident")
    run = Run(model, configure(model, SIZES), ghosts(model))
    return Played(run, tuple(_scenes(run, HAPPENED)))


def as_it_should_be() -> Played:
    """The same against every cure."""
    run = Run(environment.MODEL, cured(), ghosts(environment.MODEL))
    return Played(run, tuple(_scenes(run, [(told, texts, "") for told, texts in CURED])))


def cured(off: tuple[str, ...] = ()) -> Configuration:
    """The setting: five servers, two of them away, and nothing given but that the network heals."""
    model = environment.MODEL
    at = configure(model, SIZES).where(model.fields["away"], AWAY)
    return at.where(model.fields["given"], ("heals", "clocks")).where(model.fields["off"], off)


def ghosts(model: Model) -> frozenset[str]:
    """All that its properties read."""
    return frozenset[str]().union(*(ghosts_read(model, prop) for prop in model.properties.values()))


Plot = Iterable[tuple[str, tuple[str, ...], str]]


def _scenes(run: Run, plot: Plot) -> Iterator[IncidentScene]:
    state, broken = run.initial, set[str]()
    for told, texts, counterpart in plot:
        steps = []
        for text in texts:
            if text.startswith("!"):
                steps.append(_refused(run, state, text[1:]))
                continue
            (instance,) = instances(run, text)
            state = run.step(state, instance.action, instance.args)
            new = [
                name
                for name, prop in run.model.properties.items()
                if name not in broken and run.violated(state, {name: prop})
            ]
            broken.update(new)
            call = run.configuration.call(instance.action, instance.args)
            steps.append(IncidentStep(text, call, state, instance, " ".join(new)))
        yield IncidentScene(told, tuple(steps), counterpart)


def _refused(run: Run, state: State, text: str) -> IncidentStep:
    """The guard that forbids each of these, one and the same, and the cures without which one is allowed."""
    tried = instances(run, text)
    guards = {guard.name: guard for i in tried if (guard := run.refused(state, i.action, i.args))}
    allowed = [i for i in tried if run.refused(state, i.action, i.args) is None]
    if allowed or len(guards) != 1:
        raise AssertionError(f"{text} is not refused, or by several guards: {', '.join(guards)}")
    name, *args = text.split()
    call = f"{name}({', '.join(args)})".replace("*", "any quorum")
    if len(tried) == 1:
        call = run.configuration.call(tried[0].action, tried[0].args)
    return IncidentStep(
        text, call, state, None, "", next(iter(guards.values())), _cures(run, state, tried), len(tried)
    )


def _cures(run: Run, state: State, tried: list[Instance]) -> tuple[str, ...]:
    """Which cure, if it alone were off, would let one of these steps happen in this state."""
    constant, names = environment.MODEL.fields["off"], switches_of(run.model)
    found = []
    for name in names:
        without = Run(run.model, run.configuration.where(constant, (name,)), ghosts(run.model))
        if any(without.refused(state, i.action, i.args) is None for i in tried):
            found.append(name)
    return tuple(found)


def switches_of(model: Model) -> tuple[str, ...]:
    """The names of the cures."""
    return switches(model)[1]


def instances(run: Run, text: str) -> list[Instance]:
    """`elect n4 {n3,n4,n5}` as a step; `*` stands for any value."""
    name, *args = text.split()
    wanted = [arg.replace(",", " ") for arg in args]
    return [
        i
        for i in run.instances
        if i.action.name == name
        and all(
            want in ("*", run.configuration.show(sort, value))
            for want, (_, sort), value in zip(wanted, i.action.params, i.args, strict=True)
        )
    ]
