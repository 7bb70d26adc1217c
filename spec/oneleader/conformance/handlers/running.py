"""The handlers, each run once along a path, and what has to hold of that run without any model.

A handler is run on a server of which only the shape is known (`servers`). What is *plain* of a run: the
server stays well-formed, what changed is stored first, and what is committed is applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeAlias

import z3

from oneleader.conformance.handlers.clusters import AnyOrNamed, Fact
from oneleader.conformance.handlers.loops import NONE, any_size
from oneleader.conformance.handlers.paths import Infeasible
from oneleader.conformance.handlers.servers import Anything, Unknown, well_formed
from oneleader.conformance.handlers.symbolic import (
    AnyPath,
    Entries,
    entries_of,
    members_of,
    same_entries,
)
from oneleader.errors import Inexpressible
from oneleader_raft.core import Core
from oneleader_raft.raft import (
    AppendEntries,
    AppendReply,
    Apply,
    ChangeMembers,
    Compact,
    Durable,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    InstallSnapshot,
    Node,
    PendingRead,
    PreVoteReply,
    Propose,
    Read,
    Receive,
    RequestPreVote,
    RequestVote,
    Restore,
    Step,
    Store,
    TimeoutNow,
    Transfer,
    VoteReply,
)
from oneleader_raft.views import FIXED_MEMBERS


@dataclass(frozen=True)
class Size:
    """Of servers, logs and pending reads: any number. `alone`: one member, else two and more. `whole`: no log
    is compacted, else a snapshot may stand for the beginning of each. `changes`: the members change, by the
    configurations in a log."""

    alone: bool = False
    whole: bool = False
    changes: bool = False

    def __str__(self) -> str:
        return (
            f"{self.short}, any number of pending reads, senders that are members or not. {self._members} "
            "Terms, indices, rounds, times and rates are any integers, and commands any values."
        )

    @property
    def _members(self) -> str:
        if self.changes:
            return (
                "The members change: they are any servers, this one or not, and any entry may bring any "
                "configuration, joint or not."
            )
        return "The members stay: no change of them is in the log."

    @property
    def models(self) -> tuple[str, ...]:
        """`snapshots` says of compacted logs what `replication` says of whole ones."""
        if self.changes:
            return ("membership",)
        return ("replication",) if self.whole else COMPACTED_LOGS

    @property
    def short(self) -> str:
        from_two_on = "any number of servers" + ("" if self.changes else " from 2 on")
        members = "a server alone" if self.alone else from_two_on
        logs = "no log is compacted" if self.whole else "any part of a log compacted"
        return f"{members}, logs and messages of any length, {logs}"


ANY, ANY_ALONE = Size(), Size(alone=True)
WHOLE, WHOLE_ALONE = Size(whole=True), Size(alone=True, whole=True)
CHANGING = Size(whole=True, changes=True)
COMPACTED_LOGS = tuple("snapshots" if model == "replication" else model for model in FIXED_MEMBERS)


# --- The handlers ----------------------------------------------------------------------------------------

Made: TypeAlias = Unknown | Anything
RESTART, IS_LEADER = "restart", "is_leader"
EVENTS: dict[str, Callable[[Made], Event]] = {
    "election timeout": lambda u: ElectionTimeout(),
    "heartbeat timeout": lambda u: HeartbeatTimeout(),
    **{
        kind.__name__: lambda u, kind=kind: Receive(u.message(kind))  # type: ignore[misc]
        for kind in (
            RequestPreVote,
            PreVoteReply,
            RequestVote,
            VoteReply,
            AppendEntries,
            AppendReply,
            InstallSnapshot,
            TimeoutNow,
        )
    },
    "propose": lambda u: Propose(u.command("command")),
    "read": lambda u: Read("new"),
    "transfer": lambda u: Transfer(u.target()),
    "compact": lambda u: Compact(u.path.number("compact to"), "a newer state"),
}
HANDLERS = (RESTART, IS_LEADER, *EVENTS)
OF_SNAPSHOTS = (InstallSnapshot.__name__, "compact")  # nothing happens there while logs are whole
OF_WHOLE_LOGS = tuple(handler for handler in HANDLERS if handler not in OF_SNAPSHOTS)
ALONE = (RESTART, IS_LEADER, "election timeout", "heartbeat timeout", "propose", "read", "transfer")


CHANGE = "change members"  # which does nothing while the members stay
EVENTS_WITH_CHANGES: dict[str, Callable[[Any], Event]] = {
    **EVENTS,
    CHANGE: lambda u: ChangeMembers(u.wanted()),
}
WITH_CHANGES = (*OF_WHOLE_LOGS, CHANGE)


def of_any_size(only: Sequence[str] = ()) -> list[tuple[str, Size]]:
    """Two servers and more, and then a server alone; logs that are compacted or not, and then whole ones."""
    return [
        (handler, size)
        for size in (ANY, ANY_ALONE, WHOLE, WHOLE_ALONE)
        for handler in only or HANDLERS
        if handler in (OF_WHOLE_LOGS if size.whole else HANDLERS)
    ]


def of_changing(only: Sequence[str] = ()) -> list[tuple[str, Size]]:
    """Any number of servers, of which the members change."""
    return [(handler, CHANGING) for handler in only or WITH_CHANGES if handler in WITH_CHANGES]


@dataclass(frozen=True)
class Start:
    """A server and what happens to it, before anything has: many paths begin with the same.

    premises: what each model says of it, once that is written down: one by one, and as one formula
    """

    u: Made
    before: Node
    now: Any
    event: Event | None
    premises: dict[str, tuple[list[Fact], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ran:
    """One path through a handler: where it began, the step or what was raised, and what is plain of it."""

    start: Start
    step: Step | None
    raised: str
    plain: tuple[Fact, ...]
    acts_as_leader: bool

    @property
    def before(self) -> Node:
        return self.start.before

    @property
    def does_nothing(self) -> bool:
        """The server is the very same, and nothing comes of it."""
        step = self.step
        return (
            step is not None
            and step.node is self.before
            and not (step.actions or members_of(step.effects))
            and not self.acts_as_leader
        )


def begin(u: Made, handler: str, modules: tuple[ModuleType, ...] = ()) -> Start:
    with _in_place(u, modules):
        now: Any = u.path.number("now", None)
        before = u.node(now)
        event = EVENTS_WITH_CHANGES[handler](u) if handler in EVENTS_WITH_CHANGES else None
    return Start(u, before, now, event)


def run(start: Start, handler: str, core: Core, modules: tuple[ModuleType, ...] = ()) -> Ran:
    with _in_place(start.u, modules, getattr(core, "rules", NONE)):
        return _run(start, handler, core)


def _in_place(
    u: Made, modules: tuple[ModuleType, ...], rules: Set[str] = NONE
) -> AbstractContextManager[None]:
    return nullcontext() if isinstance(u, Unknown) else any_size(u.path, modules, rules)


def _run(start: Start, handler: str, core: Core) -> Ran:
    before, now, event = start.before, start.now, start.event
    acts = False
    try:
        if handler == IS_LEADER:
            step, acts = Step(before), bool(core.is_leader(before, now))
        elif event is None:
            step = core.restart(before.id, start.u.first_members(before), before.durable, now, before.clocks)
        else:
            step = core.step(before, event, now)
    except (Infeasible, Inexpressible, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever is raised must be shown to be out of reach
        return Ran(start, None, f"{type(error).__name__}: {error}", (), False)
    known = 0 if handler == RESTART else before.commit_index  # to the state machine
    return Ran(start, step, "", tuple(plain(start.u, before, step, now, known)), acts)


def plain(u: Made, before: Node, step: Step, now: Any, known: Any) -> Iterator[Fact]:
    """What needs no model: well-formed; what changed is stored first, what is committed is applied, by a
    state machine that begins with the snapshot where it knows less."""
    after, effects, cluster = step.node, members_of(step.effects), u.cluster
    yield from well_formed(cluster, after, now)
    if isinstance(u.path, AnyPath):
        yield from u.path.required
    stores = [e for e in effects if isinstance(e, Store)]
    if stores:
        yield "stored first", cluster.truth(effects[0] is stores[0])
        yield "stored first", same_durable(u, stores[0].durable, after.durable)
    else:
        yield "stored", same_durable(u, before.durable, after.durable)
    begins = after.snapshot.index
    restored = [e for e in effects if isinstance(e, Restore)]
    applied = [e for e in effects if isinstance(e, Apply)]
    is_behind = cluster.integer(known) < cluster.integer(begins)
    yield "restored", is_behind == cluster.truth(bool(restored))
    if restored:
        comes_first = not applied or effects.index(restored[0]) < effects.index(applied[0])
        is_it = [restored[0].snapshot is after.snapshot, comes_first, len(restored) == 1]
        yield "restored", cluster.truth(all(is_it))
        known = begins
    first, last = cluster.integer(known), cluster.integer(after.commit_index)
    if not applied:
        yield "applied", last <= first
        return
    apply, *more = applied
    yield "applied", z3.And(not more, last > first, cluster.integer(apply.index) == first + 1)
    yield "applied", same_slice(u, apply.entries, after.log, known - begins, after.commit_index - begins)


def same_durable(u: Made, a: Durable, b: Durable) -> Any:
    """The same term, vote, log and snapshot."""
    c = u.cluster
    same_term = c.integer(a.current_term) == c.integer(b.current_term)
    same_vote = c.optional(a.voted_for) == c.optional(b.voted_for)
    log_is_same = c.truth(True) if a.log is b.log else same_log(u, a.log, b.log)
    return z3.And(same_term, same_vote, log_is_same, c.truth(a.snapshot is b.snapshot))


def same_log(u: Made, a: Any, b: Any) -> Any:
    if isinstance(u.path, AnyPath):
        return same_entries(entries_of(u.path, a), b)
    c = u.cluster
    same = [
        z3.And(c.integer(x.term) == c.integer(y.term), c.same_command(x.command, y.command))
        for x, y in zip(a, b, strict=False)
    ]
    return z3.And(c.truth(len(a) == len(b)), *same)


def same_slice(u: Made, entries: Any, log: Any, first: Any, last: Any) -> Any:
    """The entries of the log after `first` up to `last`."""
    if not isinstance(u.path, AnyPath):
        return same_log(u, entries, log[first:last])
    low, whole = u.path.integer(first), entries_of(u.path, log)
    part = Entries(u.path, u.path.integer(last) - low, whole.columns, whole.offset + low)
    return same_entries(entries_of(u.path, entries), part)


def reads_answered(c: AnyOrNamed, before: Node, event: Event | None) -> dict[Any, PendingRead]:
    """What is to be true of each read that may be answered: its index and its round."""
    reads = {read.id: read for read in members_of(before.leadership.reads)}
    if isinstance(event, Read):
        commit, noop = c.integer(before.commit_index), c.integer(before.leadership.noop)
        index: Any = z3.If(commit >= noop, commit, noop)
        reads[event.id] = PendingRead(event.id, index, c.integer(before.leadership.round.number) + 1)
    return reads
