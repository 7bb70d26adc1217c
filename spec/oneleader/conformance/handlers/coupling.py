"""How a server of the reference and a state of a model stand to each other, as formulas.

Three things are said, each of a state in which every server is named and quorums are the majorities:

seen      what `oneleader_raft.views` shows of a server is what the model has for it
known     what a server believes of the others is true in the model: its votes, what followers store and
          have acknowledged, its lease
licensed  whatever a message says stands in the model's network

The first two of a server and the third of all messages in flight make up the relation between a cluster and
the model. `handlers` proves that every step of the core keeps it for the server that takes the step and for
what that sends. That the steps of the *other* servers keep what this one knows and what is in flight is not
proved here: those steps only add to what was granted, sent and stored, and drawn scenarios judge whole
clusters. Message by message and field by field the relation is what an invariant is to a proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, product
from typing import Any, TypeAlias

import z3

from oneleader.conformance.handlers.paths import term_of
from oneleader.language.expr import Symbolic, variable
from oneleader.language.fields import Field
from oneleader.language.sorts import AnySort, OptionSort, is_enum, is_time, reading
from oneleader.language.trace import TracedProperty, TracedState, trace_action, trace_property
from oneleader.models import MODELS
from oneleader.models import lease as leases
from oneleader.models.election import Node as NodeSort
from oneleader.models.election import Quorum
from oneleader.models.lease import Round as RoundSort
from oneleader.models.replication import Value
from oneleader.readers.prove.algebra import SymbolicState, after, meaning
from oneleader.readers.prove.smt import AnySize
from oneleader_raft.raft import (
    ActionTaken,
    AppendEntries,
    AppendReply,
    Message,
    Node,
    NodeId,
    PreVoteReply,
    RequestPreVote,
    RequestVote,
    Role,
    TimeoutNow,
    VoteReply,
)
from oneleader_raft.views import VIEWS

Fact: TypeAlias = tuple[str, Any]  # its name, and what it says


class Named(AnySize):
    """Numbers and times of any size, in a cluster of named servers. Rounds have numbers."""

    def __init__(self, nodes: tuple[NodeId, ...]) -> None:
        super().__init__()
        self.nodes = nodes
        sizes = range(len(nodes) // 2 + 1, len(nodes) + 1)
        self.quorums = [q for size in sizes for q in combinations(nodes, size)]
        self._elements: dict[AnySort, list[Any]] = {}
        self.some_round, self.some_term = z3.Ints("some_round some_term", self.context)
        self.witnesses: list[Any] | None = None  # of what is claimed of some round

    def _make(self, sort: AnySort) -> Any:
        if sort is RoundSort:
            return z3.IntSort(self.context)
        names = {NodeSort: list(self.nodes), Quorum: [" ".join(q) for q in self.quorums]}.get(sort)
        if names is None:
            return super()._make(sort)
        made, self._elements[sort] = z3.EnumSort(sort.__name__, names, self.context)
        return made

    def elements(self, sort: AnySort) -> list[Any] | None:
        self.sort(sort)
        return self._elements.get(sort)

    def node(self, id: NodeId) -> Any:
        return (self.elements(NodeSort) or [])[self.nodes.index(id)]

    def state(self, fields: Mapping[str, Field]) -> SymbolicState:
        return {**super().state(fields), "member": self._member}

    def _member(self, v: Any, q: Any) -> Any:
        pairs = zip(self.quorums, self.elements(Quorum) or [], strict=True)
        return self.either(
            *(self.both(q == quorum, v == self.node(id)) for ids, quorum in pairs for id in ids)
        )

    def quantify(self, kind: str, sort: AnySort, body: Callable[[Any], Any]) -> Any:
        elements = self.elements(sort)
        if sort is RoundSort and kind == "any" and self.witnesses is not None:
            elements = self.witnesses
        if elements is None:
            return super().quantify(kind, sort, body)
        return (self.both if kind == "all" else self.either)(*map(body, elements))

    def closed(self, prop: TracedProperty, state: SymbolicState) -> Any:
        """Every server and quorum by name; numbers, times and rounds quantified over."""
        names, sorts = (
            zip(*((p.args[0], p.sort) for p in prop.params), strict=True) if prop.params else ((), ())
        )
        domains = [self.elements(sort) or [self._variable(sort)] for sort in sorts]
        bodies = (
            meaning(self, prop.body, state, dict(zip(names, args, strict=True))) for args in product(*domains)
        )
        left = [(d[0], sort) for d, sort in zip(domains, sorts, strict=True) if not self.elements(sort)]
        return self.forall([v for v, _ in left], tuple(s for _, s in left), self.both(*bodies))


class Coupling:
    """One model, and the formulas that connect it with the reference. `words` are the path's."""

    def __init__(self, world: Named, model: str, words: Mapping[str, Any]) -> None:
        self.world, self.words = world, words
        self.name, self.model, self.view = model, MODELS[model], VIEWS[model]
        self.rounds: list[Any] = []
        self.terms: list[Any] = []
        self.is_premise = False

    # -- values ----------------------------------------------------------------------------------
    def value(self, sort: AnySort, x: Any) -> Any:
        """What the reference has, as the model's sort."""
        world = self.world
        if isinstance(sort, OptionSort):
            option = world.sort(sort)
            if x is None:
                return option.nil
            return (
                x.term
                if hasattr(x, "term") and x.term.sort() == option
                else option.some(self.value(sort.of, x))
            )
        if sort is NodeSort:
            return x.term if hasattr(x, "term") else world.node(x)
        if sort is Quorum:
            return (world.elements(Quorum) or [])[world.quorums.index(tuple(x))]
        if sort is RoundSort:
            return self._written(str(x).removeprefix("r"))
        if sort is Value:
            return self.words.get(x) if x in self.words else z3.Const(str(x), world.sort(Value))
        if is_enum(sort):
            return world.literal(sort[x.upper()], sort)
        if is_time(sort):
            return real(world, x)
        if sort is bool:
            return z3.BoolVal(x, world.context) if isinstance(x, bool) else term_of(x)
        return term_of(x) if hasattr(x, "term") else z3.IntVal(x, world.context)

    def _written(self, text: str) -> Any:
        return self.words[text] if text in self.words else z3.IntVal(int(text), self.world.context)

    # -- steps -----------------------------------------------------------------------------------
    def take(
        self, state: SymbolicState, actions: tuple[ActionTaken, ...]
    ) -> tuple[list[Fact], SymbolicState]:
        """The guards of the actions that the model has, each where it stands, and the state after them."""
        facts: list[Fact] = []
        for name, arguments in self.view.taken(actions):
            action = self.model.actions[name]
            traced = trace_action(self.model, action)
            values = {p: self.value(sort, arguments[p]) for p, sort in action.params}
            for guard, expr in traced.guards:
                facts.append((f"{name}: {guard.name}", meaning(self.world, expr, state, values)))
            state = after(self.world, traced.updates, state, values)
        return facts, state

    def invariant(self, name: str, state: SymbolicState, **values: Any) -> Any:
        """What an invariant or theorem of the model, proved for any cluster, says of these values."""
        prop = trace_property(self.model, self.model.properties[name])
        numbers = {
            k: z3.IntVal(v, self.world.context) if isinstance(v, int) else v for k, v in values.items()
        }
        return meaning(self.world, prop.body, state, numbers)

    # -- the relation ----------------------------------------------------------------------------
    def premise(self, state: SymbolicState, node: Node, now: Any, message: Message | None) -> list[Fact]:
        """What is known before a step. What is said of all rounds or terms is said here of those that the
        step may come to as well, and what the model proves where the step needs it."""
        self.is_premise = True
        self.rounds = [self.world.some_round, term_of(node.leadership.round.number) + 1]
        self.terms = [self.world.some_term, term_of(node.current_term) + 1]
        if message is not None:
            self.terms.append(term_of(message.term) + 1)
        facts = self.holds(state, node, now)
        if message is not None:
            facts += self.licensed(state, message, node.id)
        self.is_premise, self.rounds, self.terms = False, [self.world.some_round], [self.world.some_term]
        return facts

    def holds(self, state: SymbolicState, node: Node, now: Any) -> list[Fact]:
        """`seen` and `known`, of one server; what is said of all rounds or terms is said of any one."""
        return [*self.seen(state, node, now), *KNOWN[self.name](self, state, node, now)]

    def seen(self, state: SymbolicState, node: Node, now: Any) -> Iterator[Fact]:
        for name, value in self.view.state(node, now).items():
            field = self.model.fields[name]
            yield from self._cells(state, field, (self.world.node(node.id),), value)

    def _cells(
        self, state: SymbolicState, field: Field, index: tuple[Any, ...], value: Any
    ) -> Iterator[Fact]:
        name = f"state: {field.name}"
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from self._cells(state, field, (*index, int(key)), inner)
        elif isinstance(value, list):
            for id in self.world.nodes:
                yield name, state[field.name](*index, self.world.node(id)) == (id in value)
        else:
            yield name, state[field.name](*index) == self.value(field.of, value)

    def clock(self, id: NodeId) -> Any:
        return z3.Real(f"clock of {id}", self.world.context)

    def term_is_known(self, state: SymbolicState, t: Any) -> Any:
        """Whoever is in a term got there from somebody's request for votes."""
        asked = [state["requested"](self.world.node(c), t) for c in self.world.nodes]
        return self.world.either(t <= 0, *asked)

    def licensed(self, state: SymbolicState, m: Message, to: NodeId) -> list[Fact]:
        facts = LICENCES[type(m)](self, state, m, self.world.node(to), to)
        return [(f"{type(m).__name__}: {what}", fact) for what, fact in facts]

    def has(self, *fields: str) -> bool:
        return all(field in self.model.fields for field in fields)

    def round_was_sent_at(self, state: SymbolicState, leader: NodeId, t: Any, round: Any) -> Any:
        """By the clock of the leader, if it leads that term still."""
        world, n = self.world, self.world.node(leader)
        leads = world.both(
            state["role"](n) == self.value(self.model.fields["role"].of, "leader"), state["term"](n) == t
        )
        ago = self.clock(leader) - real(world, round.sent_at)
        return z3.Implies(leads, state["since_sent"](n, term_of(round.number)) == ago)

    def has_a_lease(self, state: SymbolicState, node: Node) -> Any:
        """The model's own `holds_lease`, of some quorum and the rounds that followers acknowledged last."""
        symbols = variable("n", NodeSort), variable("q", Quorum)
        with reading(Symbolic()):
            said: Any = leases.holds_lease(TracedState(self.model.fields), *symbols)  # type: ignore[arg-type]
        n = self.world.node(node.id)
        self.world.witnesses = [term_of(p.acknowledged.number) for p in node.leadership.progress.values()]
        of = [meaning(self.world, said, state, {"n": n, "q": q}) for q in self.world.elements(Quorum) or []]
        self.world.witnesses = None
        return self.world.either(*of)


def z_int(c: Coupling, x: Any) -> Any:
    return x.term if hasattr(x, "term") else z3.IntVal(x, c.world.context)


def real(world: Named, x: Any) -> Any:
    return z3.ToReal(x.term) if hasattr(x, "term") else z3.RealVal(x, world.context)


# --- What a server knows of the others, by model ----------------------------------------------------------


def of_elections(c: Coupling, state: SymbolicState, node: Node, now: Any) -> Iterator[Fact]:
    yield "its term is known", c.term_is_known(state, term_of(node.current_term))
    if node.leader_id is not None:
        leader = c.world.node(node.leader_id)
        yield "whom it takes for the leader leads", state["heartbeat"](leader, term_of(node.current_term))


def of_logs(c: Coupling, state: SymbolicState, node: Node, now: Any) -> Iterator[Fact]:
    yield from of_elections(c, state, node, now)
    n, t = c.world.node(node.id), term_of(node.current_term)
    yield "nothing stands at index 0", state["log_term"](n, 0) == 0
    if c.is_premise:
        for id in c.world.nodes:
            yield "no number is less", state["acknowledged"](c.world.node(id), t) >= 0
        for i in range(1, node.last_index + 1):
            yield "invariant", c.invariant("log_is_a_leaders", state, n=n, i=i, j=i)
    if node.role is not Role.LEADER:
        return
    yield "its log is the leader's", state["leader_log_length"](t) == node.last_index
    for i in range(node.last_index + 1):
        yield "its log is the leader's", state["leader_log_term"](t, i) == state["log_term"](n, i)
        yield "its log is the leader's", state["leader_log_value"](t, i) == state["log_value"](n, i)
    yield "it tells what is committed", state["leader_commit"](t) == term_of(node.commit_index)
    yield "it stores its own log", state["acknowledged"](n, t) == node.last_index
    for peer, progress in node.leadership.progress.items():
        stored = state["acknowledged"](c.world.node(peer), t)
        yield "followers store what they said", term_of(progress.match_index) <= stored


def of_leases(c: Coupling, state: SymbolicState, node: Node, now: Any) -> Iterator[Fact]:
    yield from of_elections(c, state, node, now)
    n, t, leadership, world = c.world.node(node.id), term_of(node.current_term), node.leadership, c.world
    yield "its clock", c.clock(node.id) == real(world, now)
    if leadership.transfer_to is None:
        yield "its lease is good", z3.Not(state["lease_is_void"](n))
    last = term_of(leadership.round.number)
    for i in c.rounds:
        for u in c.terms:
            yield "terms to come are new", z3.Implies(u > t, z3.Not(state["sent"](n, u, i)))
        if node.role is not Role.FOLLOWER:
            yield "rounds to come are new", z3.Implies(i > last, z3.Not(state["sent"](n, t, i)))
    if node.role is not Role.LEADER:
        return
    yield "its round was sent", state["sent"](n, t, last)
    yield "when it was sent", c.round_was_sent_at(state, node.id, t, leadership.round)
    for peer, progress in leadership.progress.items():
        number = term_of(progress.acknowledged.number)
        sent = state["sent"](n, t, number)
        answered = state["acknowledged"](world.node(peer), n, t, number)
        when = c.round_was_sent_at(state, node.id, t, progress.acknowledged)
        yield "followers acknowledged", z3.Implies(number != 0, world.both(sent, answered, when))


KNOWN = {"election": of_elections, "pre_vote": of_elections, "replication": of_logs, "lease": of_leases}


# --- What a message may say ---------------------------------------------------------------------------------

Licence: TypeAlias = Iterator[Fact]


def request_vote(c: Coupling, state: SymbolicState, m: RequestVote, to: Any, receiver: NodeId) -> Licence:
    candidate, t = c.world.node(m.candidate_id), term_of(m.term)
    yield "a candidate asked", state["requested"](candidate, t)
    yield "of a term that it reached", c.world.both(t > 0, t <= state["term"](candidate))
    if c.name == "pre_vote":
        yield "nobody hands over", m.forced_by is None
    if c.name == "replication":
        yield "its log", state["last_log_index"](candidate, t) == term_of(m.last_log_index)
        yield "its log", state["last_log_term"](candidate, t) == term_of(m.last_log_term)
    if c.name == "lease" and m.forced_by is not None:
        leader = c.value(NodeSort, m.forced_by)
        yield "a leader asked it to", state["forced"](leader, candidate, t)


def request_pre_vote(
    c: Coupling, state: SymbolicState, m: RequestPreVote, to: Any, receiver: NodeId
) -> Licence:
    if c.name == "pre_vote":
        yield "a server asked", state["pre_requested"](c.world.node(m.candidate_id), term_of(m.term))


def _tells_term(c: Coupling, state: SymbolicState, t: Any, to: Any) -> Licence:
    yield "its term is known", c.term_is_known(state, t)
    if c.name == "pre_vote":
        yield "it was told", state["told"](to, t)


def vote_reply(c: Coupling, state: SymbolicState, m: VoteReply, to: Any, receiver: NodeId) -> Licence:
    if not m.vote_granted:
        yield from _tells_term(c, state, term_of(m.term), to)
        return
    t = term_of(m.term)
    yield "the vote was granted", state["granted"](c.world.node(m.voter_id), t, to)
    yield "of a term that it reached", t <= state["term"](to)
    yield "its term is known", c.term_is_known(state, t)


def pre_vote_reply(c: Coupling, state: SymbolicState, m: PreVoteReply, to: Any, receiver: NodeId) -> Licence:
    if not m.vote_granted:
        yield from _tells_term(c, state, term_of(m.term), to)
    elif c.name == "pre_vote":
        yield "the pre-vote was granted", state["pre_granted"](c.world.node(m.voter_id), term_of(m.term), to)


def append_entries(c: Coupling, state: SymbolicState, m: AppendEntries, to: Any, receiver: NodeId) -> Licence:
    leader, t, world = c.world.node(m.leader_id), term_of(m.term), c.world
    yield "a leader sent it", state["heartbeat"](leader, t)
    yield "its term is known", world.both(t > 0, c.term_is_known(state, t))
    yield "to another", m.leader_id != receiver
    if c.is_premise:
        for other in c.world.nodes:
            yield "theorem", c.invariant("election_safety", state, t=t, a=c.world.node(other), b=leader)
    yield "in a round", term_of(m.round.number) >= 1
    for entry in m.entries:
        yield (
            "its entries are of its term or before",
            world.both(term_of(entry.term) >= 1, term_of(entry.term) <= t),
        )
    yield (
        "nothing is before index 1",
        z3.Implies(z_int(c, m.prev_log_index) == 0, z_int(c, m.prev_log_term) == 0),
    )
    if c.name == "replication":
        prev = term_of(m.prev_log_index)
        yield "its log is as long", prev + len(m.entries) <= state["leader_log_length"](t)
        yield "what is before", state["leader_log_term"](t, prev) == term_of(m.prev_log_term)
        for i, entry in enumerate(m.entries, 1):
            value = c.value(c.model.fields["log_value"].of, str(entry.command))
            yield "its entries", state["leader_log_term"](t, prev + i) == term_of(entry.term)
            yield "its entries", state["leader_log_value"](t, prev + i) == value
            if c.is_premise:
                yield "invariant", c.invariant("leader_log_is_a_leaders", state, u=t, i=prev + i, j=prev + i)
        yield "what is committed", term_of(m.leader_commit) <= state["leader_commit"](t)
    if c.name == "lease":
        yield "the round was sent", state["sent"](leader, t, term_of(m.round.number))
        yield "when it was sent", c.round_was_sent_at(state, m.leader_id, t, m.round)


def append_reply(c: Coupling, state: SymbolicState, m: AppendReply, to: Any, receiver: NodeId) -> Licence:
    follower, t, world = c.world.node(m.follower_id), term_of(m.term), c.world
    number = term_of(m.round.number)
    is_answer = world.either(number != 0)
    yield "its term is known", c.term_is_known(state, t)
    yield "an answer to a leader", z3.Implies(is_answer, state["heartbeat"](to, t))
    yield "a success answers", world.either(is_answer, not m.success)
    if c.name == "pre_vote":
        yield "it was told", z3.Or(is_answer, state["told"](to, t))
        yield "it heard the leader", z3.Implies(is_answer, state["replied"](follower, t))
    if c.name == "replication" and m.success:
        stored = state["acknowledged"](follower, t)
        yield "it stores as much", term_of(m.index) <= stored
        yield "and the leader has as much", term_of(m.index) <= state["leader_log_length"](t)
    if c.name == "lease":
        answered = world.both(state["sent"](to, t, number), state["acknowledged"](follower, to, t, number))
        yield "it promised", z3.Implies(is_answer, answered)
        yield "when it was asked", z3.Implies(is_answer, c.round_was_sent_at(state, receiver, t, m.round))


def timeout_now(c: Coupling, state: SymbolicState, m: TimeoutNow, to: Any, receiver: NodeId) -> Licence:
    leader, t = c.world.node(m.leader_id), term_of(m.term)
    yield "its term is known", c.term_is_known(state, t)
    yield "a leader sent it", state["heartbeat"](leader, t)
    if c.name == "lease":
        yield "a leader asked", state["timeout_now"](leader, to, t + 1)


LICENCES: dict[type, Callable[[Coupling, SymbolicState, Any, Any, NodeId], Licence]] = {
    RequestVote: request_vote,
    RequestPreVote: request_pre_vote,
    VoteReply: vote_reply,
    PreVoteReply: pre_vote_reply,
    AppendEntries: append_entries,
    AppendReply: append_reply,
    TimeoutNow: timeout_now,
}
