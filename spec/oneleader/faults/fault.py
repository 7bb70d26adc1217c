"""What a fault is, and how one is entered into the catalogue.

    @fault(
        "voting twice in a term",
        sources="nebula PR#3415",
        breaks="Election Safety",
        base=election.MODEL, sizes={"Node": 2, "Term": 1},
        explore=("election_safety", 10),
        prove=("grant_vote", "granted_is_stored"),
        tlc="MCElection_bug_vote_twice.cfg",
    )
    def vote_twice(m: Model) -> Model:
        \"\"\"A voter grants every request.\"\"\"
        return m.without_guard("grant_vote", "vote_is_free")


    @vote_twice.core(replay="timeout n1; ...", refused="election: grant_vote, vote_is_free")
    def _() -> Core:
        ...                       # the same fault in the reference

The function is the line that changes: from the correct model to the wrong one, and from the reference's rules
to a core with another one in the place of one of them. A reader to which the fault cannot be shown has a
`Because` in its place.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from oneleader.conformance.reference.patch import LockRules
from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration, configure
from oneleader.language.definitions import Property, define
from oneleader.language.model import Model
from oneleader_raft.core import Core

C = TypeVar("C", Core, LockRules)


class Because(str):
    """Why a reader cannot be shown a fault."""


COUNTING = Because("counting has no meaning at any cluster size: Z3 would need the number of nodes")
SWITCHES = Because("`system` is explored, not proved: each of its cures is proved in a model of its own")
NO_PROOF = Because("a model of its own, without the lemmas that a proof of its parent needs")
NOT_WRITTEN = Because("not written as TLA+")
NO_MODEL = Because("no model speaks of it")
LIVENESS = Because("it breaks no safety, and this reader knows of no liveness")
SAFETY = Because("it breaks safety, which needs no lasting fault to show")
NOT_IN_CORE = Because("an assumption of the model, or a part that the reference's core does not have")
NO_TRACE = Because("a recording says what a server did, and not what it answered to a client")


@dataclass(frozen=True)
class FaultyModel:
    """A faulty model, and the smallest bounds that show it. `constants`: where each is true.

    `whole`: the model whose proof the same change breaks, where `base` is drawn in larger steps.
    """

    base: Model
    change: Callable[[Model], Model]
    sizes: Mapping[str, int]
    quorums: str = "majority"
    constants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    whole: Model | None = None

    @property
    def model(self) -> Model:
        return self.change(self.base)

    @property
    def proved(self) -> Model:
        """The faulty model whose proof has to fail."""
        return self.change(self.whole or self.base)

    @property
    def lines(self) -> str:
        """What changes: of the base, by a constant, or all of it, where the base is a flawed model."""
        if self.model is not self.base:
            return _body(self.change)
        settings = (f"{name}: {' '.join(at)}" for name, at in self.constants.items())
        return "\n".join(settings) or f"all of oneleader.models.flawed.{self.base.name}"

    @property
    def configuration(self) -> Configuration:
        return configure(self.model, self.sizes, self.quorums, self.constants)


@dataclass(frozen=True)
class Variant:
    """A faulty core, or faulty locks, and with how many servers it does harm.

    joining  further servers, no members at first
    begin    what happens before the first step that is drawn
    cause    how what a drawn scenario breaks begins; several where one of them comes first by chance
    program  the smallest scenario
    refused  the model that refuses a recording of it, the action, and the guard or `state`
    """

    core: Core | LockRules
    make: Callable[[], Core | LockRules]
    nodes: int
    begin: str
    cause: tuple[str, ...]
    program: str
    refused: str | Because
    joining: int = 0


@dataclass(frozen=True)
class Unlive:
    """A faulty core without liveness.

    lasting  the fault that stays: see `conformance.recovery`
    missing  how it is said what is missing
    """

    core: Core
    make: Callable[[], Core]
    lasting: str
    missing: tuple[str, ...]


@dataclass
class Fault:
    """A fault, and what each reader is expected to say of it.

    explore  the property that is broken, and the steps of a shortest counterexample
    prove    (action, property) of an obligation that must fail
    fails_at the size at which it does, where all smaller ones take long to try
    tlc      the .cfg that shows it; `tla/manifest.json` says what TLC must find
    """

    id: str
    title: str
    story: str
    sources: str
    breaks: str
    faulty: FaultyModel | Because
    explore: tuple[str, int] | Because
    prove: tuple[str, str] | Because
    tlc: str | Because
    fails_at: Mapping[str, int] = field(default_factory=dict)
    variant: Variant | Because = NOT_IN_CORE
    unlive: Unlive | Because = SAFETY

    @property
    def model(self) -> Model:
        """The faulty model."""
        return self.faulty_model.model

    @property
    def configuration(self) -> Configuration:
        return self.faulty_model.configuration

    @property
    def faulty_model(self) -> FaultyModel:
        """The faulty model; UsageError where no model has this fault."""
        if isinstance(self.faulty, Because):
            raise UsageError(f"{self.id} is a fault of the reference alone: {self.faulty}")
        return self.faulty

    @property
    def refused(self) -> str | Because:
        """What `replay` says of a recording with this fault."""
        return self.variant if isinstance(self.variant, Because) else self.variant.refused

    @property
    def broken(self) -> Property:
        """The property that explore breaks; where a claim is, any one: claims are judged with it."""
        every = self.model.properties
        name = "" if isinstance(self.explore, Because) else self.explore[0]
        return every[name] if name in every else next(iter(every.values()))

    @property
    def changes(self) -> dict[str, str]:
        """Where -> the lines that change there, as source."""
        found = {}
        if isinstance(self.faulty, FaultyModel):
            found[f"in the model {self.faulty.base.name}"] = self.faulty.lines
        for made in (self.variant, self.unlive):
            if not isinstance(made, Because):
                found["in the reference"] = _body(made.make)
        return found

    def core(
        self,
        *,
        replay: str,
        refused: str | Because,
        cause: str | tuple[str, ...] | None = None,
        nodes: int = 3,
        joining: int = 0,
        begin: str = "",
    ) -> Callable[[Callable[[], C]], Callable[[], C]]:
        """Enter the same fault as a variant of the reference. `cause` is `refused` where not given."""
        causes = (cause,) if isinstance(cause, str) else cause or _causes(str(refused))

        def enter(make: Callable[[], C]) -> Callable[[], C]:
            self.story = self.story or _doc(make)
            self.variant = Variant(make(), make, nodes, begin, causes, replay, refused, joining)
            return make

        return enter


FAULTS: dict[str, Fault] = {}


def fault(
    title: str,
    *,
    sources: str,
    breaks: str,
    base: Model,
    sizes: Mapping[str, int],
    explore: tuple[str, int] | Because,
    prove: tuple[str, str] | Because,
    tlc: str | Because = NOT_WRITTEN,
    quorums: str = "majority",
    constants: Mapping[str, Sequence[str]] | None = None,
    fails_at: Mapping[str, int] | None = None,
    whole: Model | None = None,
) -> Callable[[Callable[[Model], Model]], Fault]:
    """Enter the decorated change under its name, with dashes; its docstring is the story."""

    def enter(change: Callable[[Model], Model]) -> Fault:
        faulty = FaultyModel(base, change, sizes, quorums, constants or {}, whole)
        said = (faulty, explore, prove, tlc, fails_at or {})
        made = Fault(_id(change), title, _doc(change), sources, breaks, *said)
        return FAULTS.setdefault(made.id, made)

    return enter


def core_fault(
    title: str,
    *,
    sources: str,
    breaks: str,
    why: Because,
    replay: str,
    refused: str | Because,
    cause: str | tuple[str, ...] | None = None,
    nodes: int = 3,
    joining: int = 0,
    begin: str = "",
    tlc: str | Because | None = None,
) -> Callable[[Callable[[], Core]], Callable[[], Core]]:
    """Enter a fault that the reference can have and no model; `why` not."""

    def enter(make: Callable[[], Core]) -> Callable[[], Core]:
        made = Fault(_id(make), title, _doc(make), sources, breaks, why, why, why, tlc or why)
        FAULTS.setdefault(made.id, made)
        how = made.core(
            replay=replay, refused=refused, cause=cause, nodes=nodes, joining=joining, begin=begin
        )
        return how(make)

    return enter


def live_fault(
    title: str,
    *,
    sources: str,
    lasting: str,
    missing: str | tuple[str, ...],
    tlc: str | Because = NOT_WRITTEN,
) -> Callable[[Callable[[], Core]], Callable[[], Core]]:
    """Enter a fault that breaks liveness alone."""

    def enter(make: Callable[[], Core]) -> Callable[[], Core]:
        unlive = Unlive(make(), make, lasting, (missing,) if isinstance(missing, str) else missing)
        made = Fault(
            _id(make),
            title,
            _doc(make),
            sources,
            breaks="availability",
            faulty=LIVENESS,
            explore=LIVENESS,
            prove=LIVENESS,
            tlc=tlc,
            variant=LIVENESS,
            unlive=unlive,
        )
        FAULTS.setdefault(made.id, made)
        return make

    return enter


def with_property(m: Model, function: Callable[..., bool]) -> Model:
    """The model with one theorem replaced by a marked function of the same name."""
    defined = define(function)
    assert isinstance(defined, Property)
    assert defined.name in m.theorems
    return replace(m, theorems=m.theorems | {defined.name: defined})


def _causes(refused: str) -> tuple[str, ...]:
    """Once a log is compacted `snapshots` says what `membership` would."""
    return tuple(dict.fromkeys((refused, refused.replace("membership: ", "snapshots: "))))


def _id(function: Callable[..., Any]) -> str:
    return function.__name__.strip("_").replace("_", "-")


def _doc(function: Callable[..., Any]) -> str:
    return " ".join((function.__doc__ or "").split())


def _body(function: Callable[..., Any]) -> str:
    """The source of a function without its decorators and its docstring."""
    source = textwrap.dedent(inspect.getsource(function))
    start = source.index("def ")
    body = source[start:].partition("\n")[2]
    if function.__doc__:
        body = body.partition('"""')[2].partition('"""')[2].lstrip("\n")
    return textwrap.dedent(body).rstrip()
