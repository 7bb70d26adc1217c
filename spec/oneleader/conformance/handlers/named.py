"""A cluster of named servers, with logs of so many entries: nothing is quantified but numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import z3

from oneleader.conformance.handlers.clusters import OF_LOGS, AnyOrNamed, Body, Fact
from oneleader.conformance.handlers.paths import Name
from oneleader.errors import Inexpressible
from oneleader.language.fields import Field
from oneleader.language.sorts import AnySort
from oneleader.language.trace import TracedProperty
from oneleader.models.election import Node as NodeSort
from oneleader.models.election import Quorum
from oneleader.models.lease import Round as RoundSort
from oneleader.readers.prove.algebra import SymbolicState, meaning
from oneleader_raft.raft import Node, NodeId
from oneleader_raft.views import View


class Named(AnyOrNamed):
    """A cluster of named servers, all of them members."""

    def __init__(self, names: tuple[NodeId, ...]) -> None:
        super().__init__()
        self.names = names
        sizes = range(len(names) // 2 + 1, len(names) + 1)
        self.quorums = [q for size in sizes for q in combinations(names, size)]
        self._elements: dict[AnySort, list[Any]] = {}
        self.witnesses: list[Any] | None = None  # of what is claimed of some round

    def _make(self, sort: AnySort) -> Any:
        names = {NodeSort: list(self.names), Quorum: [" ".join(q) for q in self.quorums]}.get(sort)
        if names is None:
            return super()._make(sort)
        made, self._elements[sort] = z3.EnumSort(sort.__name__, names, self.context)
        return made

    def elements(self, sort: AnySort) -> list[Any]:
        self.sort(sort)
        return self._elements.get(sort, [])

    def state(self, fields: Mapping[str, Field]) -> SymbolicState:
        return {**super().state(fields), "member": self._member}

    def _member(self, v: Any, q: Any) -> Any:
        pairs = zip(self.quorums, self.elements(Quorum), strict=True)
        return self.either(
            *(self.both(q == quorum, v == self.node(id)) for ids, quorum in pairs for id in ids)
        )

    def quantify(self, kind: str, sort: AnySort, body: Callable[[Any], Any]) -> Any:
        elements = self.elements(sort)
        if sort is RoundSort and kind == "any" and self.witnesses is not None:
            elements = self.witnesses
        elif not elements:
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

    # -- what the coupling says things by -----------------------------------------------------------
    def shown(self, view: View, node: Node, now: Any) -> dict[str, Any]:
        return {name: value for name, value in view.state(node, now).items() if name not in OF_LOGS}

    def node(self, server: Any) -> Any:
        return server.term if isinstance(server, Name) else self.elements(NodeSort)[self.names.index(server)]

    def each_server(self, body: Body, *triggers: Body) -> Iterator[Any]:
        yield from map(body, self.elements(NodeSort))

    def some_server(self, body: Body) -> Any:
        return self.either(*map(body, self.elements(NodeSort)))

    def each_follower(self, node: Node, body: Body, *triggers: Body) -> Iterator[Any]:
        for peer, progress in node.leadership.progress.items():
            yield body(self.node(peer), progress)

    def every_follower(self, node: Node, body: Body) -> Iterator[Any]:
        return self.each_follower(node, body)

    def each_entry(self, entries: Any, before: Any, body: Body, *triggers: Body) -> Iterator[Any]:
        for k, entry in enumerate(entries, 1):
            yield body(self.integer(before + k), self.integer(entry.term), self.value_of(entry.command))

    def each_index(self, entries: Any, before: Any, body: Body, *triggers: Body) -> Iterator[Any]:
        yield from map(body, range(before, before + len(entries) + 1))

    def everywhere(self, *fields: Body) -> Iterator[Any]:
        raise Inexpressible("a log with configurations, of named servers")

    def length(self, entries: Any) -> Any:
        return self.integer(len(entries))

    def has(self, servers: Any) -> Callable[[Any], Any]:
        found = [self.node(server) for server in servers]
        return lambda server: self.either(*(server == other for other in found))

    def is_empty(self, servers: Any) -> Any:
        return self.truth(not servers)

    def is_majority(self, servers: Any, node: Node) -> Any:
        return self.truth(len(servers) * 2 > len(self.names))

    def is_peer(self, server: Any, node: Node) -> Any:
        return self.truth(server in self.names[1:])

    def has_all_peers(self, node: Node) -> Any:
        return self.truth(set(node.leadership.progress) == set(self.names[1:]))

    def well_formed_sets(self, node: Node) -> Iterator[Fact]:
        yield from ()

    def some_quorum(self, node: Node, body: Body) -> Any:
        """body(quorum) of one, with the rounds that followers acknowledged last to choose from."""
        self.witnesses = [self.integer(p.acknowledged.number) for p in node.leadership.progress.values()]
        found = [body(quorum) for quorum in self.elements(Quorum)]
        self.witnesses = None
        return self.either(*found)

    def quorum(self, path: Any, number: int, servers: Sequence[NodeId]) -> tuple[Any, list[Any], list[Fact]]:
        return self.elements(Quorum)[self.quorums.index(tuple(servers))], [], []
