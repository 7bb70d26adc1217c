"""How a server of the reference and a state of a model stand to each other, as formulas.

Three things are said, of any cluster or of one of named servers (`clusters`):

seen      what `oneleader_raft.views` shows of a server is what the model has for it
known     what a server believes of the others is true in the model: its votes, what followers store and
          have acknowledged, its lease
licensed  whatever a message says stands in the model's network

The first two of a server and the third of all messages in flight make up the relation between a cluster and
the model. `handlers` proves that every step of the core keeps it for the server that takes the step and for
what that sends, `stable` that the steps of the *other* servers keep what this one knows and what is in
flight, and that it holds at first. So it holds at any time: it is an invariant.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import z3

from oneleader.conformance.handlers.clusters import AnyOrNamed, Fact
from oneleader.conformance.handlers.licences import LICENCES
from oneleader.conformance.handlers.paths import CodePath, term_of
from oneleader.conformance.handlers.servers import last_index
from oneleader.conformance.handlers.symbolic import Servers
from oneleader.language.expr import Symbolic, variable
from oneleader.language.fields import Field
from oneleader.language.sorts import AnySort, OptionSort, is_enum, is_time, reading
from oneleader.language.trace import TracedState, trace_action, trace_property
from oneleader.models import MODELS
from oneleader.models import lease as leases
from oneleader.models.election import Node as NodeSort
from oneleader.models.election import Quorum
from oneleader.models.lease import Round as RoundSort
from oneleader.models.membership import Config
from oneleader.models.replication import Value
from oneleader.readers.prove.algebra import SymbolicState, after, meaning
from oneleader_raft.raft import (
    ActionTaken,
    Message,
    Node,
    Role,
)
from oneleader_raft.views import VIEWS, View


class Coupling:
    """One model, and the formulas that connect it with the reference, on one path.

    known     of the quorums that were named: what is true of a set that is a majority
    obliged   and that each is one, to be proved
    without   a fact that is no part of it: neither assumed nor proved
    """

    def __init__(self, cluster: AnyOrNamed, model: str, path: CodePath, without: str = "") -> None:
        self.cluster, self.path, self.without = cluster, path, without
        self.name, self.model = model, MODELS[model]
        self.view: View = VIEWS[model]
        self.rounds: list[Any] = []
        self.terms: list[Any] = []
        self.known: list[Any] = []
        self.obliged: list[Fact] = []
        self._quorums: dict[int, tuple[Any, Any]] = {}  # the sets are kept, so that their ids stay taken

    @property
    def is_premise(self) -> bool:
        return self.cluster.is_given

    # -- values ----------------------------------------------------------------------------------
    def value(self, sort: AnySort, x: Any) -> Any:
        """What the reference has, as the model's sort."""
        cluster = self.cluster
        if isinstance(sort, OptionSort) and sort.of is NodeSort:
            return cluster.optional(x)
        if sort is NodeSort:
            return cluster.node(x)
        if sort is Quorum:
            return self._quorum(x)
        if sort is RoundSort:
            return self._written(str(x).removeprefix("r"))
        if sort is Config:
            return self.cluster.configuration(self.path, x)
        if sort is Value:
            return self.path.words.get(x) if x in self.path.words else cluster.value(str(x))
        if is_enum(sort):
            return cluster.literal(sort[x.upper()], sort)
        if is_time(sort):
            return real(cluster, x)
        return cluster.truth(x) if sort is bool else cluster.integer(x)

    def _written(self, text: str) -> Any:
        words = self.path.words
        return words[text] if text in words else self.cluster.integer(int(text))

    def _quorum(self, servers: Any) -> Any:
        key = servers.has.get_id() if isinstance(servers, Servers) else id(servers)
        if key not in self._quorums:
            q, known, obliged = self.cluster.quorum(self.path, len(self._quorums), servers)
            self._quorums[key] = q, servers
            self.known += known
            if (
                self.has("quorum_of") and not self.cluster.has_changes
            ):  # every majority is one of the initial configuration
                of_the_first = self.cluster.function("quorum_of", self.model.fields)(q, 0)
                self.known.append(z3.Implies(self.cluster.is_majority_of_all(servers), of_the_first))
            self.obliged += obliged
        return self._quorums[key][0]

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
                facts.append((f"{name}: {guard.name}", meaning(self.cluster, expr, state, values)))
            state = after(self.cluster, traced.updates, state, values)
        return facts, state

    def invariant(self, name: str, state: SymbolicState, **values: Any) -> Any:
        """What an invariant or theorem of the model, proved for any cluster, says of these values."""
        prop = trace_property(self.model, self.model.properties[name])
        numbers = {k: self.cluster.integer(v) for k, v in values.items()}
        return meaning(self.cluster, prop.body, state, numbers)

    # -- the relation ----------------------------------------------------------------------------
    def premise(self, state: SymbolicState, node: Node, now: Any, message: Message | None) -> list[Fact]:
        """What is known before a step. What is said of all rounds or terms is said here of those that the
        step may come to as well, and what the model proves where the step needs it. A step may come to the
        next round of a leader, and to the first of a later term: alone, a server that leads learns of a
        later term, is told to stand, and leads again at once."""
        cluster = self.cluster
        cluster.is_given = True
        self.rounds = [cluster.some_round, term_of(node.leadership.round.number) + 1, cluster.integer(1)]
        self.terms = [cluster.some_term, term_of(node.current_term) + 1]
        if message is not None:
            self.terms.append(term_of(message.term) + 1)
        facts = self.holds(state, node, now)
        if message is not None:
            facts += self.licensed(state, message, node.id)
        self.to_be_proved()
        return facts

    def to_be_proved(self) -> None:
        """From here on, what is said is a goal: of all rounds and terms, it is said of any one."""
        self.cluster.is_given = False
        self.rounds, self.terms = [self.cluster.some_round], [self.cluster.some_term]

    def holds(self, state: SymbolicState, node: Node, now: Any) -> list[Fact]:
        """`seen` and `known`, of one server; what is said of all rounds or terms is said of any one."""
        facts = [*self.seen(state, node, now), *KNOWN[self.name](self, state, node, now)]
        return [fact for fact in facts if fact[0] != self.without]

    def seen(self, state: SymbolicState, node: Node, now: Any) -> Iterator[Fact]:
        n = self.cluster.node(node.id)
        for name, value in self.cluster.shown(self.view, node, now).items():
            field = self.model.fields[name]
            for fact in self._shows(state, field, n, value):
                yield f"state: {name}", fact
        if self.has("log_length"):
            yield from self._shows_log(state, n, node)

    def _shows(self, state: SymbolicState, field: Field, n: Any, value: Any) -> Iterator[Any]:
        read = state[field.name]
        if not isinstance(value, list | Servers):
            yield read(n) == self.value(field.of, value)
            return
        has = self.cluster.has(value)
        triggers = [lambda v: read(n, v)]
        if isinstance(value, Servers) and not z3.is_K(value.has):
            triggers.append(has)
        yield from self.cluster.each_server(lambda v: read(n, v) == has(v), *triggers)

    def _shows_log(self, state: SymbolicState, n: Any, node: Node) -> Iterator[Fact]:
        before, sort = self.cluster.integer(node.snapshot.index), self.model.fields["log_value"].of

        def terms(i: Any) -> Any:
            return state["log_term"](n, i)

        def values(i: Any) -> Any:
            return state["log_value"](n, i)

        yield "state: log_length", state["log_length"](n) == last_index(self.cluster, node)
        if self.has("snapshot_index"):
            yield "state: snapshot_index", state["snapshot_index"](n) == before
            yield "state: log_term", terms(before) == self.cluster.integer(node.snapshot.term)

        def same_term(i: Any, term: Any, value: Any) -> Any:
            return terms(i) == term

        def same_value(i: Any, term: Any, value: Any) -> Any:
            return values(i) == self.cluster.logged(sort, value)

        for fact in self.cluster.each_entry(node.log, before, same_term, terms, values):
            yield "state: log_term", fact
        for fact in self.cluster.each_entry(node.log, before, same_value, terms, values):
            yield "state: log_value", fact
        if self.has("log_config"):
            configs, since = (partial(state[name], n) for name in ("log_config", "log_since"))
            for name, fact in self.cluster.in_effect(self.path, node, configs, since):
                yield f"state: {name}", fact

    def term_is_known(self, state: SymbolicState, t: Any) -> Any:
        """A server in a term got there from somebody's request for votes."""
        return self.cluster.either(t <= 0, self.cluster.some_server(lambda c: state["requested"](c, t)))

    def licensed(self, state: SymbolicState, m: Message, to: Any) -> list[Fact]:
        facts = LICENCES[type(m)](self, state, m, self.cluster.node(to))
        said = [(f"{type(m).__name__}: {what}", fact) for what, fact in facts]
        return [fact for fact in said if fact[0] != self.without]

    def has(self, *fields: str) -> bool:
        return all(field in self.model.fields for field in fields)

    def round_was_sent_at(self, state: SymbolicState, leader: Any, t: Any, round: Any) -> Any:
        """By the clock of the leader, if it leads that term still."""
        cluster = self.cluster
        leads = cluster.both(
            state["role"](leader) == self.value(self.model.fields["role"].of, "leader"),
            state["term"](leader) == t,
        )
        ago = cluster.clock(leader) - real(cluster, round.sent_at)
        return z3.Implies(leads, state["since_sent"](leader, cluster.integer(round.number)) == ago)

    def has_a_lease(self, state: SymbolicState, node: Node) -> Any:
        """The model's own `holds_lease`, of some quorum."""
        symbols = variable("n", NodeSort), variable("q", Quorum)
        with reading(Symbolic()):
            said: Any = leases.holds_lease(TracedState(self.model.fields), *symbols)  # type: ignore[arg-type]
        n = self.cluster.node(node.id)
        return self.cluster.some_quorum(node, lambda q: meaning(self.cluster, said, state, {"n": n, "q": q}))


def real(cluster: AnyOrNamed, x: Any) -> Any:
    return z3.ToReal(x.term) if hasattr(x, "term") else z3.RealVal(x, cluster.context)


# --- What a server knows of the others, by model ----------------------------------------------------------


def of_elections(c: Coupling, state: SymbolicState, node: Node, now: Any) -> Iterator[Fact]:
    t = term_of(node.current_term)
    yield "its term is known", c.term_is_known(state, t)
    if node.leader_id is not None:
        yield "whom it takes for the leader leads", state["heartbeat"](c.cluster.node(node.leader_id), t)


def of_logs(c: Coupling, state: SymbolicState, node: Node, now: Any) -> Iterator[Fact]:
    yield from of_elections(c, state, node, now)
    n = c.cluster.node(node.id)
    yield "nothing stands at index 0", state["log_term"](n, 0) == 0
    if c.is_premise:
        yield from _no_number_is_less(c, state, term_of(node.current_term))
        for fact in c.cluster.each_entry(
            node.log,
            0,
            lambda i, term, value: c.invariant("log_is_a_leaders", state, n=n, i=i, j=i),
            lambda i: state["log_term"](n, i),
        ):
            yield "invariant", fact
    if node.role is Role.LEADER:
        yield from _leads(c, state, node)


def of_snapshots(c: Coupling, state: SymbolicState, node: Node, now: Any) -> Iterator[Fact]:
    """A log of which the beginning may be gone."""
    if c.cluster.has_changes:
        yield from of_members(c, state, node, now)
        if node.role is Role.LEADER:
            begins, t = c.cluster.integer(node.snapshot.index), term_of(node.current_term)
            yield "it had entries from its snapshot on", state["leader_snapshot"](t) <= begins
        return
    yield from of_elections(c, state, node, now)
    cluster, n, t = c.cluster, c.cluster.node(node.id), term_of(node.current_term)
    begins = cluster.integer(node.snapshot.index)
    for field in ("log_config", "log_since"):
        for fact in cluster.everywhere(state[field], state[f"leader_{field}"]):
            yield "nobody has changed the members", fact
    if c.is_premise:
        yield from _no_number_is_less(c, state, t)
        yield "invariant", c.invariant("commit_index_is_known", state, n=n)
        for fact in cluster.each_index(
            node.log,
            begins,
            lambda i: c.invariant("an_entry_is_as_created", state, n=n, i=i),
            lambda i: state["log_term"](n, i),
        ):
            yield "invariant", fact
    if node.role is Role.LEADER:
        yield from _leads(c, state, node)
        yield "it had entries from its snapshot on", state["leader_snapshot"](t) <= begins


def _no_number_is_less(c: Coupling, state: SymbolicState, t: Any) -> Iterator[Fact]:
    for fact in c.cluster.each_server(
        lambda v: state["acknowledged"](v, t) >= 0, lambda v: state["acknowledged"](v, t)
    ):
        yield "no number is less", fact


def _leads(c: Coupling, state: SymbolicState, node: Node) -> Iterator[Fact]:
    """What a leader has announced is its log, and what it knows of its followers is true."""
    cluster, log, begins = c.cluster, node.log, node.snapshot.index
    n, t = cluster.node(node.id), term_of(node.current_term)
    of_leader, of_log = state["leader_log_term"], state["log_term"]
    of_leaders, of_logs = state["leader_log_value"], state["log_value"]

    yield "its log is the leader's", state["leader_log_length"](t) == last_index(cluster, node)
    for fact in cluster.each_index(
        log, begins, lambda i: of_leader(t, i) == of_log(n, i), lambda i: of_leader(t, i)
    ):
        yield "its log is the leader's", fact
    for fact in cluster.each_entry(
        log, begins, lambda i, term, value: of_leaders(t, i) == of_logs(n, i), lambda i: of_leaders(t, i)
    ):
        yield "its log is the leader's", fact
    yield "it tells what is committed", state["leader_commit"](t) == term_of(node.commit_index)
    yield "it stores its own log", state["acknowledged"](n, t) == last_index(cluster, node)
    for fact in cluster.each_follower(
        node,
        lambda v, progress: cluster.integer(progress.match_index) <= state["acknowledged"](v, t),
        lambda v: state["acknowledged"](v, t),
    ):
        yield "followers store what they said", fact


def of_leases(c: Coupling, state: SymbolicState, node: Node, now: Any) -> Iterator[Fact]:
    yield from of_elections(c, state, node, now)
    cluster, leadership = c.cluster, node.leadership
    n, t = cluster.node(node.id), term_of(node.current_term)
    yield "its clock", cluster.clock(n) == real(cluster, now)
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
    yield "when it was sent", c.round_was_sent_at(state, n, t, leadership.round)

    def answered(v: Any, progress: Any) -> Any:
        number = cluster.integer(progress.acknowledged.number)
        sent, heard = state["sent"](n, t, number), state["acknowledged"](v, n, t, number)
        when = c.round_was_sent_at(state, n, t, progress.acknowledged)
        return z3.Implies(number != 0, cluster.both(sent, heard, when))

    for fact in cluster.each_follower(node, answered):
        yield "followers acknowledged", fact


def of_members(c: Coupling, state: SymbolicState, node: Node, now: Any) -> Iterator[Fact]:
    """A log in which entries may bring configurations."""
    yield from of_elections(c, state, node, now)
    n, t = c.cluster.node(node.id), term_of(node.current_term)
    if c.is_premise:
        for u in (t, *c.terms):
            yield from _no_number_is_less(c, state, u)
        yield "invariant", c.invariant("nothing_before_the_first_entry", state, n=n, t=t)
        yield "invariant", c.invariant("nothing_was_created_before", state, t=0, i=0)
        yield "invariant", c.invariant("commit_index_is_known", state, n=n)
        for fact in c.cluster.each_index(
            node.log,
            node.snapshot.index,
            lambda i: c.invariant("an_entry_is_as_created", state, n=n, i=i),
            *(partial(state[field], n) for field in ("log_term", "log_config", "log_since")),
        ):
            yield "invariant", fact
    if node.role is Role.LEADER:
        yield from _leads(c, state, node)
        yield from _announced_configurations(c, state, node)


def _announced_configurations(c: Coupling, state: SymbolicState, node: Node) -> Iterator[Fact]:
    n, t = c.cluster.node(node.id), term_of(node.current_term)
    for field in ("log_config", "log_since"):
        of_leader, of_log = partial(state[f"leader_{field}"], t), partial(state[field], n)
        for fact in c.cluster.each_index(
            node.log,
            node.snapshot.index,
            lambda i, a=of_leader, b=of_log: a(i) == b(i),
            of_leader,
        ):
            yield "its log is the leader's", fact


KNOWN = {
    "membership": of_members,
    "election": of_elections,
    "pre_vote": of_elections,
    "replication": of_logs,
    "snapshots": of_snapshots,
    "lease": of_leases,
}
