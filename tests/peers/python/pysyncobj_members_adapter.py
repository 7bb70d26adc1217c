"""The adapter around PySyncObj, and its members change, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pysyncobj.node import Node
from pysyncobj_adapter import PySyncObjAdapter

from oneleader.conformance.adapter import May, Observed, Report


class Changing(PySyncObjAdapter):
    options = {"dynamicMembershipChange": True}
    may = (*PySyncObjAdapter.may, May.CHANGE_MEMBERS, May.JOIN_EARLY)

    def change_members(self, node: str, members: Sequence[str]) -> Report:
        server, now = self.now(node, 0), self.observe(node).members
        for other in sorted(now ^ set(members))[:1]:
            (server.removeNodeFromCluster if other in now else server.addNodeToCluster)(Node(other))
        return self.run(node)

    def receive(self, node: str, message: Any, sender: str = "") -> Report:
        """Its own transport hangs up on who is no member."""
        is_member = Node(sender) in self.servers[node].otherNodes
        return super().receive(node, message, sender) if is_member else Report()

    def observe(self, node: str) -> Observed | None:
        seen, server = super().observe(node), self.servers[node]
        return seen and replace(seen, members=frozenset({node, *(other.id for other in server.otherNodes)}))
