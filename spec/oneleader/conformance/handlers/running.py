"""The handlers, each run once along a path, and what has to hold of that run without any model.

A handler is run on a server of which only the shape is known (`servers`). What is *plain* of a run: the
server stays well-formed, what changed is stored first, and what is committed is applied.

A step has parts (`PARTS`): a leader that is silent is known no more; the event; a change of members goes on;
entries are applied and reads answered. Of any number of servers each is proved by itself, which leaves the
sum of their paths in the place of the product: a part leaves a server as `well_formed` and the coupling say,
and of any such server the next one is proved, whatever was stored, committed and applied before.
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
from oneleader.conformance.handlers.paths import CodePath, Infeasible
from oneleader.conformance.handlers.servers import Anything, Unknown, well_formed
from oneleader.conformance.handlers.symbolic import (
    AnyPath,
    Entries,
    entries_of,
    in_place,
    members_of,
    same_entries,
)
from oneleader.errors import Inexpressible
from oneleader_raft import raft
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
    Role,
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
            return ("snapshots",)
        return ("replication",) if self.whole else COMPACTED_LOGS

    @property
    def short(self) -> str:
        several = "any number of servers" + (", members that change" if self.changes else " from 2 on")
        members = "a server alone" if self.alone else several
        logs = "no log is compacted" if self.whole else "any part of a log compacted"
        return f"{members}, logs and messages of any length, {logs}"


ANY, ANY_ALONE = Size(), Size(alone=True)
WHOLE, WHOLE_ALONE = Size(whole=True), Size(alone=True, whole=True)
CHANGING = Size(changes=True)
COMPACTED_LOGS = tuple("snapshots" if model == "replication" else model for model in FIXED_MEMBERS)


# --- The handlers ----------------------------------------------------------------------------------------

Made: TypeAlias = Unknown | Anything
RESTART, IS_LEADER = "restart", "is_leader"
ON_EVENT = "on_event"
PARTS = ("lose_touch", ON_EVENT, "advance_change", "serve")  # of a step, in their order
OTHER_PARTS = tuple(part for part in PARTS if part != ON_EVENT)  # each is a handler by itself
AFTER_EVENT = PARTS[2:]
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
HANDLERS = (RESTART, IS_LEADER, *EVENTS, *OTHER_PARTS)
OF_SNAPSHOTS = (InstallSnapshot.__name__, "compact")  # nothing happens there while logs are whole
OF_WHOLE_LOGS = tuple(handler for handler in HANDLERS if handler not in OF_SNAPSHOTS)
OF_NOBODY = ("election timeout", "heartbeat timeout", "propose", "read", "transfer")  # no server sends it
ALONE = (RESTART, IS_LEADER, *OF_NOBODY, *OTHER_PARTS)


CHANGE = "change members"  # which does nothing while the members stay
EVENTS_WITH_CHANGES: dict[str, Callable[[Any], Event]] = {
    **EVENTS,
    CHANGE: lambda u: ChangeMembers(u.wanted()),
}
WITH_CHANGES = (*HANDLERS, CHANGE)


def of_names(handlers: Sequence[str]) -> tuple[str, ...]:
    """Those that are run of named servers, whose steps are run whole."""
    return tuple(handler for handler in handlers if handler not in OTHER_PARTS)


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


class StoredBefore:
    """What a server had stored before a step: perhaps what it is to store after it, perhaps not."""

    def __init__(self, path: CodePath) -> None:
        self.path = path
        self.is_now: Durable | None = None

    def __eq__(self, now: object) -> bool:
        is_same = self.path.choose([False, True])
        self.is_now = now if is_same and isinstance(now, Durable) else None
        return is_same

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Earlier:
    """A server before an event, of which a later part of its step is run."""

    commit_index: Any
    durable: Any


@dataclass(frozen=True)
class Start:
    """A server and what happens to it, before anything has: many paths begin with the same.

    part      of a step, the one that is run; empty where all of it is, or no step
    earlier   of a later part of a step: what the server was before the event
    premises  what each model says of it, once that is written down: one by one, and as one formula
    """

    u: Made
    part: str
    before: Node
    now: Any
    event: Event | None
    earlier: Earlier | None = None
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
            and self.start.part not in OTHER_PARTS
            and step.node is self.before
            and not (step.actions or members_of(step.effects))
            and not self.acts_as_leader
        )


def begin(u: Made, handler: str, modules: tuple[ModuleType, ...] = ()) -> Start:
    part, earlier = _part_of(u, handler), None
    with _in_place(u, modules):
        now: Any = u.path.number("now", None)
        before = u.node(now)
        event = EVENTS_WITH_CHANGES[handler](u) if handler in EVENTS_WITH_CHANGES else None
        if part == ON_EVENT:
            u.path.assume(_hears_whom_it_knows(u, before, now))
        elif part in AFTER_EVENT:
            earlier = _earlier(u, before)
    return Start(u, part, before, now, event, earlier)


def _part_of(u: Made, handler: str) -> str:
    """Of named servers steps are run whole."""
    if isinstance(u, Unknown) or handler in (RESTART, IS_LEADER):
        return ""
    return handler if handler in OTHER_PARTS else ON_EVENT


def _hears_whom_it_knows(u: Made, node: Node, now: Any) -> Any:
    """Else it loses touch, before anything happens to it."""
    c = u.cluster
    if node.leader_id is None or node.role is Role.LEADER:
        return c.truth(True)
    return c.integer(now) < c.integer(node.promised_at) + c.integer(node.clocks.promise)


def _earlier(u: Made, node: Node) -> Earlier:
    """Nothing lets a commit index fall."""
    commit_index = u.path.number("commit index before")
    u.path.assume(commit_index <= node.commit_index)
    return Earlier(commit_index, StoredBefore(u.path))


def run(start: Start, handler: str, core: Core, modules: tuple[ModuleType, ...] = ()) -> Ran:
    begun: list[tuple[str, Any]] = []
    parts = {part: _noted(start, part, begun) for part in PARTS if start.part}
    with _in_place(start.u, modules, getattr(core, "rules", NONE)), in_place(parts, (raft,)):
        return _run(start, handler, core, begun)


def _noted(start: Start, part: str, begun: list[tuple[str, Any]]) -> Callable[..., Step]:
    """Where a part of a step begins; all but the one that is run pass the server on."""
    run = vars(raft)[part]

    def noted(node: Node, *rest: Any) -> Step:
        begun.append((part, rest[-1]))
        if part == start.part:
            return run(node, *rest)  # type: ignore[no-any-return]
        return Step(start.before if part == PARTS[0] else node)

    return noted


def _in_place(
    u: Made, modules: tuple[ModuleType, ...], rules: Set[str] = NONE
) -> AbstractContextManager[None]:
    return nullcontext() if isinstance(u, Unknown) else any_size(u.path, modules, rules)


def _run(start: Start, handler: str, core: Core, begun: Sequence[tuple[str, Any]]) -> Ran:
    before, now, event = start.before, start.now, start.event
    acts = False
    try:
        if handler == IS_LEADER:
            step, acts = Step(before), bool(core.is_leader(before, now))
        elif handler == RESTART:
            step = core.restart(before.id, start.u.first_members(before), before.durable, now, before.clocks)
        else:
            earlier: Any = start.earlier or before
            happened: Any = event
            step = core.step(earlier, happened, now)
    except (Infeasible, Inexpressible, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever is raised must be shown to be out of reach
        return Ran(start, None, f"{type(error).__name__}: {error}", (), False)
    applied = 0 if handler == RESTART else (start.earlier or before).commit_index  # by the state machine
    return Ran(start, step, "", (*_of_part(start, step, begun), *plain(start, step, applied)), acts)


def _of_part(start: Start, step: Step, begun: Sequence[tuple[str, Any]]) -> Iterator[Fact]:
    """What the proofs of the other parts take for true."""
    if start.part:
        in_order = [part for part, _ in begun] == [*PARTS] and all(now is start.now for _, now in begun)
        yield "each part, in its order", start.u.cluster.truth(in_order)
    if start.part == PARTS[0]:
        yield "hears whom it knows", _hears_whom_it_knows(start.u, step.node, start.now)


def plain(start: Start, step: Step, applied: Any) -> Iterator[Fact]:
    """What needs no model: well-formed; what changed is stored first, what is committed is applied, by the
    last part of a step."""
    u, after, effects = start.u, step.node, members_of(step.effects)
    cluster = u.cluster
    yield from well_formed(cluster, after, start.now)
    if isinstance(u.path, AnyPath):
        yield from u.path.required
    stores = [e for e in effects if isinstance(e, Store)]
    if stores:
        yield "stored first", cluster.truth(effects[0] is stores[0])
        yield "stored first", same_durable(u, stores[0].durable, after.durable)
    else:
        yield "stored", same_durable(u, (start.earlier or start.before).durable, after.durable)
    if start.part in ("", PARTS[-1]):
        yield from _applies(u, after, effects, applied)
    else:
        yield "applied later", cluster.truth(not any(isinstance(e, Apply | Restore) for e in effects))
        yield "commit index", cluster.integer(applied) <= cluster.integer(after.commit_index)


def _applies(u: Made, after: Node, effects: Sequence[Any], known: Any) -> Iterator[Fact]:
    """What is committed, by a state machine that begins with the snapshot where it knows less."""
    cluster, begins = u.cluster, after.snapshot.index
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


def same_durable(u: Made, a: Any, b: Durable) -> Any:
    """The same term, vote, log and snapshot."""
    c = u.cluster
    a = a.is_now if isinstance(a, StoredBefore) else a
    if a is None:
        return c.truth(False)
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
