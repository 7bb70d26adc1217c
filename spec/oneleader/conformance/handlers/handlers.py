"""Every handler of the reference, along every path, takes steps that the models allow.

A handler is run on a server of which only the shape is known (who is who, and how many entries a log has):
its terms, indices, clocks, commands and votes are terms for Z3 (`readers.paths`). For each path and each
model it is then proved, from the coupling before (`coupling`), that

- the guards of the actions that the step reports hold, one after the other,
- what they lead to is, for this server, what the handler returned,
- every message that it sends is licensed, and what it knows of the others is true,
- the server is well-formed, what has to be stored is stored first, and it answers by its lease only with one.

So this is a proof of refinement within its `Scope`, and for all integers. Beyond that nothing is proved: a
fault that needs a longer log, a server more or a pending read more is not seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import z3

from oneleader.conformance.handlers.coupling import KNOWN, Coupling, Fact, Named
from oneleader.conformance.handlers.paths import CodePath, Infeasible, Name, Number, paths, term_of
from oneleader.language.sorts import OptionSort
from oneleader.models.election import Node as NodeSort
from oneleader.models.replication import Value
from oneleader.readers.prove.algebra import SymbolicState
from oneleader.readers.prove.smt import answer
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from oneleader.words import plural
from oneleader_raft.configuration import initial
from oneleader_raft.core import RAFT, Core
from oneleader_raft.lease import LONG_AGO, Clocks, Round
from oneleader_raft.raft import (
    NIL,
    NOBODY_LED,
    AppendEntries,
    AppendReply,
    Apply,
    ElectionTimeout,
    Entry,
    Event,
    HeartbeatTimeout,
    Leadership,
    Message,
    Node,
    NodeId,
    PendingRead,
    PreVoteReply,
    Progress,
    Propose,
    Read,
    ReadReady,
    Receive,
    RequestPreVote,
    RequestVote,
    Role,
    Send,
    Step,
    Store,
    TimeoutNow,
    Transfer,
    VoteReply,
)

RLIMIT = 20_000_000


# --- Any server, any message -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Scope:
    """Of what there are only so many where a handler is proved; of everything else, any number.

    nodes  servers, and all of them members from beginning to end
    log    entries of a log; the entries of a message end there as well
    reads  reads that a leader has not answered yet
    """

    nodes: int = 2
    log: int = 1
    reads: int = 1

    @property
    def short(self) -> str:
        servers, entries, reads = (
            plural(self.nodes, "servers"),
            plural(self.log, "entries"),
            plural(self.reads, "pending reads"),
        )
        return f"{servers}, logs of up to {entries}, up to {reads}"

    def __str__(self) -> str:
        return (
            f"{self.short}. Messages end where such a log ends; the members stay; terms, indices, rounds, "
            "times and rates are any integers, and commands any values."
        )


@dataclass
class Unknown:
    """Makes values of which nothing but their shape is known, on one path."""

    path: CodePath
    world: Named
    scope: Scope

    def log(self, name: str, most: int) -> tuple[Entry, ...]:
        length = self.path.choose(range(most + 1))
        return tuple(
            Entry(self.path.number(f"{name} {i} term"), self.command(f"{name} {i}"))
            for i in range(1, length + 1)
        )

    def command(self, name: str) -> Any:
        return Name(
            self.path,
            z3.Const(name, self.world.sort(Value)),
            lambda other: z3.Const(str(other), self.world.sort(Value)),
        )

    def vote(self) -> Any:
        option = self.world.sort(OptionSort(NodeSort))

        def lift(other: Any) -> Any:
            return option.nil if other is None else option.some(self.world.node(other))

        return Name(self.path, z3.Const("voted for", option), lift)

    def round(self, name: str) -> Round:
        number = self.path.number(f"{name} round")
        sent_at = self.path.number(f"{name} sent at", None)
        is_none = number.term == 0
        self.path.assume(is_none == (sent_at.term == LONG_AGO), sent_at.term >= LONG_AGO)
        return Round(number, sent_at)

    def node(self, now: Number) -> Node:
        """Any well-formed server."""
        path, (me, *peers) = self.path, self.world.nodes
        clocks = self.clocks()
        role = path.choose([Role.FOLLOWER, Role.CANDIDATE, Role.LEADER])
        half = len(self.world.nodes) // 2
        minority = [frozenset((me, *some)) for k in range(half) for some in combinations(peers, k)]
        if role is Role.CANDIDATE and not minority:
            raise Infeasible  # alone, it wins at once
        node = Node(
            me,
            initial(self.world.nodes),  # and no change is pending: see `Scope`
            clocks,
            current_term=path.number("current term"),
            voted_for=self.vote() if role is Role.FOLLOWER else me,
            log=self.log("log", self.scope.log),
            role=role,
            commit_index=path.number("commit index"),
            promised_at=path.number("promised at", None),
        )
        if role is Role.FOLLOWER:
            asked = path.choose([frozenset(), *minority])
            node = replace(node, pre_votes=asked, leader_id=path.choose([NIL, *peers]) if not asked else NIL)
        elif role is Role.CANDIDATE:
            node = replace(node, votes=path.choose(minority))
        else:
            majority = [frozenset((me, *some)) for some in combinations(peers, half)]
            node = replace(node, votes=path.choose(majority), leader_id=me, leadership=self.leadership(peers))
        for _, fact in well_formed(node, now):
            path.assume(fact)
        return node

    def clocks(self) -> Clocks:
        promise, slow, fast = (self.path.number(name, 1) for name in ("promise", "slow", "fast"))
        self.path.assume(slow.term <= fast.term)
        return Clocks(promise, slow, fast)

    def leadership(self, peers: list[NodeId]) -> Leadership:
        path = self.path
        progress = {
            peer: Progress(
                path.number(f"next index of {peer}"), path.number(f"match index of {peer}"), self.round(peer)
            )
            for peer in peers
        }
        reads = tuple(
            PendingRead(f"read {i}", path.number(f"index of read {i}"), path.number(f"round of read {i}"))
            for i in range(1, self.scope.reads + 1)
        )
        return Leadership(
            since=path.number("leads since", None),
            noop=path.number("no-op"),
            progress=progress,
            round=self.round("own"),
            reads=path.choose([reads[:k] for k in range(len(reads) + 1)]),
            transfer_to=path.choose([NIL, *peers]),
        )


def well_formed(node: Node, now: Any) -> Iterator[Fact]:
    """What holds of a server by itself at any time."""
    last, half, leadership = node.last_index, len(node.members) // 2, node.leadership
    terms = [entry.term for entry in node.log]
    yield "term", node.current_term >= 0
    yield "terms of entries", all_of(t >= 1 for t in terms)
    yield "terms of entries", all_of(t <= node.current_term for t in terms)
    yield "commit index", all_of([node.commit_index >= 0, node.commit_index <= last])
    yield "promise", node.promised_at <= now
    yield "promise", node.promised_at >= LONG_AGO
    yield "time", all_of([now >= 0, node.clocks.lease <= -LONG_AGO])
    if node.role is not Role.LEADER:
        yield "leads nobody", leadership == NOBODY_LED
    if node.role is Role.FOLLOWER:
        asks = node.id in node.pre_votes
        yield "no votes", not node.votes
        yield "asks or not", asks or not node.pre_votes
        yield "asks", not asks or (len(node.pre_votes) <= half and node.leader_id is NIL)
        yield "leader", node.leader_id != node.id
        yield "asks", not asks or node.promised_at + node.clocks.promise <= now
    else:
        yield "votes", node.id in node.votes and (len(node.votes) > half) == (node.role is Role.LEADER)
        yield "voted for itself", node.voted_for == node.id
        yield "asks no more", not node.pre_votes
        yield "leader", node.leader_id == (node.id if node.role is Role.LEADER else NIL)
        yield "term", node.current_term >= 1
    if node.role is Role.LEADER:
        yield "since", leadership.since <= now
        yield "since", leadership.since >= LONG_AGO
        yield "round", leadership.round.number >= 1
        yield "round", leadership.round.sent_at <= now
        yield "no-op", all_of([leadership.noop >= 1, leadership.noop <= last])
        for i, entry in enumerate(node.log, 1):
            is_noop, is_own = term_of(leadership.noop) == i, term_of(entry.term == node.current_term)
            yield "no-op", z3.Implies(is_noop, is_own)
        yield "transfer", leadership.transfer_to != node.id
        yield "followers", set(leadership.progress) == set(node.peers)
        for p in leadership.progress.values():
            yield "match index", all_of([p.match_index >= 0, p.match_index <= last])
            yield "next index", all_of([p.match_index < p.next_index, p.next_index <= last + 1])
        for read in leadership.reads:
            yield "reads", all_of([leadership.noop <= read.index, read.index <= last])
            yield "reads", read.round <= leadership.round.number + 1
            yield "reads", read.round >= 1


def all_of(facts: Iterable[Any]) -> Any:
    """The conjunction; without asking Python for a truth."""
    known = [term_of(fact) for fact in facts]
    terms = [fact for fact in known if not isinstance(fact, bool)]
    if False in [fact for fact in known if isinstance(fact, bool)]:
        return False
    return z3.And(terms) if terms else True


def any_message(u: Unknown, kind: type) -> Message:
    path, (_, *peers) = u.path, u.world.nodes
    if not peers:
        raise Infeasible
    sender: NodeId = path.choose(peers)
    number: Callable[[str], Any] = path.number
    term = number("term")
    if kind is RequestVote:
        forced: Any = path.choose([NIL, Name(path, z3.Const("leader", u.world.sort(NodeSort)), u.world.node)])
        return RequestVote(term, sender, number("last log index"), number("last log term"), forced)
    if kind is RequestPreVote:
        return RequestPreVote(term, sender, number("last log index"), number("last log term"))
    if kind in (VoteReply, PreVoteReply):
        return kind(term, sender, path.choose([True, False]))
    if kind is AppendEntries:
        entries, prev = u.log("new", u.scope.log), number("prev")
        path.assume(prev + len(entries) <= u.scope.log)
        return AppendEntries(
            term, sender, prev, number("prev term"), entries, number("leader commit"), u.round("its")
        )
    if kind is AppendReply:
        success = path.choose([True, False])
        return AppendReply(term, sender, success, u.round("its"), number("index"), number("conflict term"))
    return TimeoutNow(term, sender)


# --- The handlers ----------------------------------------------------------------------------------------

RESTART, IS_LEADER = "restart", "is_leader"
EVENTS: dict[str, Callable[[Unknown], Event]] = {
    "election timeout": lambda u: ElectionTimeout(),
    "heartbeat timeout": lambda u: HeartbeatTimeout(),
    **{
        kind.__name__: lambda u, kind=kind: Receive(any_message(u, kind))  # type: ignore[misc]
        for kind in (
            RequestPreVote,
            PreVoteReply,
            RequestVote,
            VoteReply,
            AppendEntries,
            AppendReply,
            TimeoutNow,
        )
    },
    "propose": lambda u: Propose(u.command("command")),
    "read": lambda u: Read("new"),
    "transfer": lambda u: Transfer(u.path.choose(u.world.nodes)),
}
HANDLERS = (RESTART, IS_LEADER, *EVENTS)
ALONE = (RESTART, IS_LEADER, "election timeout", "heartbeat timeout", "propose", "read", "transfer")


@dataclass(frozen=True)
class Ran:
    """One path through a handler: the server before, the step or what was raised, and what is plain of it."""

    before: Node
    now: Any
    event: Event | None
    step: Step | None
    raised: str
    plain: tuple[Fact, ...]
    acts_as_leader: bool

    @property
    def does_nothing(self) -> bool:
        """The server is the very same, and nothing comes of it."""
        step = self.step
        return (
            step is not None
            and step.node is self.before
            and step == Step(step.node)
            and not self.acts_as_leader
        )


def run(u: Unknown, handler: str, core: Core) -> Ran:
    now: Any = u.path.number("now", None)
    before = u.node(now)
    event = EVENTS[handler](u) if handler in EVENTS else None
    acts = False
    try:
        if handler == IS_LEADER:
            step, acts = Step(before), bool(core.is_leader(before, now))
        elif event is None:
            step = core.restart(before.id, before.members, before.durable, now, before.clocks)
        else:
            step = core.step(before, event, now)
    except (Infeasible, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever is raised must be shown to be out of reach
        return Ran(before, now, event, None, f"{type(error).__name__}: {error}", (), False)
    return Ran(before, now, event, step, "", tuple(plain(before, step, now)), acts)


def plain(before: Node, step: Step, now: Any) -> Iterator[Fact]:
    """What needs no model: well-formed; what changed is stored first, what is committed is applied."""
    after = step.node
    yield from well_formed(after, now)
    stores = [e for e in step.effects if isinstance(e, Store)]
    if stores:
        yield "stored first", step.effects[0] is stores[0] and stores[0].durable == after.durable
    elif before.durable.log is not after.durable.log or before.durable != after.durable:
        yield "stored", before.durable == after.durable
    applied = [e for e in step.effects if isinstance(e, Apply)]
    if after.commit_index > before.commit_index:
        first, last = before.commit_index, after.commit_index
        yield "applied", [Apply(first + 1, after.log[first:last])] == applied
    else:
        yield "applied", not applied


def reads_answered(before: Node, event: Event | None) -> dict[Any, PendingRead]:
    """What is to be true of each read that may be answered: its index and its round."""
    reads = {read.id: read for read in before.leadership.reads}
    if isinstance(event, Read):
        index = max(before.commit_index, before.leadership.noop)
        reads[event.id] = PendingRead(event.id, index, before.leadership.round.number + 1)
    return reads


# --- The proof -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Handled:
    """What is known of one handler within a scope; `failing` names a goal that was not proved."""

    handler: str
    scope: Scope
    paths: int
    goals: int
    verdict: Verdict
    failing: str = ""
    seconds: float = 0.0


def prove_handler(handler: str, scope: Scope, core: Core = RAFT) -> Handled:
    """Prove one handler, along every path, against every model. Stops at the first goal that fails."""
    started, count, goals = time.perf_counter(), 0, 0

    def handled(verdict: Verdict, failing: str = "") -> Handled:
        seconds = time.perf_counter() - started
        return Handled(handler, scope, count, goals, verdict, failing, seconds)

    world = Named(tuple(f"n{i + 1}" for i in range(scope.nodes)))
    for path, ran in paths(lambda path: run(Unknown(path, world, scope), handler, core), world.context):
        count += 1
        if ran.does_nothing:
            continue
        for model in KNOWN:
            proof = PathProof(world, model, path, ran)
            if proof.is_over:
                continue
            goals += len(proof.goals)
            verdict, failing = proof.attempt()
            if verdict is HOLDS and ran.raised:
                break  # out of reach by this model: that is enough
            if verdict is not HOLDS and not (ran.raised and model != [*KNOWN][-1]):
                return handled(verdict, f"{model}: {failing}")
    return handled(HOLDS) if count else handled(INCONCLUSIVE, "no path at all")


class PathProof:
    """One path and one model: what is assumed, and what has to follow."""

    def __init__(self, world: Named, model: str, path: CodePath, ran: Ran) -> None:
        self.world, self.path, self.ran = world, path, ran
        self.coupling = Coupling(world, model, path.words)
        state = world.state(self.coupling.model.fields)
        self.assumed = [*path.condition, *self._facts_before(state)]
        self.known = {fact.get_id() for fact in self.assumed}
        taken = ran.step.actions if ran.step else ()
        self.is_over = not self.coupling.view.ends.isdisjoint(a.name for a in taken)
        self.goals: list[Fact] = [] if self.is_over else list(self._goals(state))

    def _facts_before(self, state: SymbolicState) -> list[Any]:
        ran, coupling = self.ran, self.coupling
        message = ran.event.message if isinstance(ran.event, Receive) else None
        facts = coupling.premise(state, ran.before, ran.now, message)
        for name in coupling.model.parameters:
            value = getattr(ran.before.clocks, name)
            facts.append((name, state[name]() == z3.ToReal(term_of(value))))
        return [self._formula(fact) for _, fact in facts]

    def _goals(self, state: SymbolicState) -> Iterator[Fact]:
        ran, coupling = self.ran, self.coupling
        if ran.step is None:
            yield ran.raised, False
            return
        guards, state = coupling.take(state, ran.step.actions)
        yield from guards
        if coupling.name == "replication":  # it knows most of this; its invariants hold after the step too
            known = coupling.invariant("commit_index_is_committed", state, n=self.world.node(ran.before.id))
            yield from ((name, z3.Implies(known, self._formula(fact))) for name, fact in ran.plain)
        sent: list[tuple[Message, NodeId]] = []
        for send in ran.step.effects:
            if isinstance(send, Send):
                guards, state = coupling.take(state, (send.action,) if send.action else ())
                yield from guards
                sent.append((send.message, send.to))
        for message, to in sent:
            yield "to a peer", to in ran.before.peers
            yield from coupling.licensed(state, message, to)
        yield from coupling.holds(state, ran.step.node, ran.now)
        if coupling.name == "lease":
            yield from self._acts(state)

    def _acts(self, state: SymbolicState) -> Iterator[Fact]:
        """Who acts as the leader has a lease; so has who answers a read, or a majority confirmed it."""
        ran, coupling = self.ran, self.coupling
        assert ran.step is not None
        node = ran.step.node
        if ran.acts_as_leader:
            yield "is_leader", coupling.has_a_lease(state, node)
        reads = reads_answered(ran.before, ran.event)
        for effect in ran.step.effects:
            if isinstance(effect, ReadReady):
                read = reads[effect.id]
                yield "read: index", term_of(read.index <= node.commit_index)
                confirmed = self._confirmed(node, read)
                yield "read: leads", z3.Or(confirmed, coupling.has_a_lease(state, node))
        for read in node.leadership.reads:
            if read.id in reads:
                yield (
                    "read: kept",
                    all_of([reads[read.id].index <= read.index, reads[read.id].round <= read.round]),
                )

    def _confirmed(self, node: Node, read: PendingRead) -> Any:
        """A majority has acknowledged a round that began after the read."""
        progress = node.leadership.progress

        def has(id: NodeId) -> Any:
            return True if id == node.id else term_of(read.round <= progress[id].acknowledged.number)

        return self.world.either(*(self.world.both(*map(has, q)) for q in self.world.quorums))

    def _formula(self, fact: Any) -> Any:
        made = term_of(fact)
        return z3.BoolVal(made, self.world.context) if isinstance(made, bool) else made

    def attempt(self) -> tuple[Verdict, str]:
        """The verdict, and which goal is not proved."""
        goals = [(name, self._formula(goal)) for name, goal in self.goals if goal is not True]
        goals = [
            (name, goal) for name, goal in goals if goal.get_id() not in self.known and not z3.is_true(goal)
        ]
        if not goals:
            return HOLDS, ""
        solver = z3.SimpleSolver(ctx=self.world.context)
        solver.add(*self.assumed)
        solver.add(z3.Not(z3.And(*(goal for _, goal in goals), self.world.context)))
        result, _ = answer(solver, RLIMIT)
        if result == z3.unsat:
            return HOLDS, ""
        if result == z3.unknown:
            return INCONCLUSIVE, f"Z3 could not tell, on the path of {self.ran.event}"
        found = solver.model()
        broken = [name for name, goal in goals if z3.is_false(found.eval(goal, model_completion=True))]
        return VIOLATED, broken[0] if broken else "one of its goals"
