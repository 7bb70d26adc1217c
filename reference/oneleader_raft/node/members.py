"""Changes of members that an operator asks for: one at a time, from the request to its outcome.

Where a server is reached is an entry of the log (`Locate`), before the one that makes it a member; so all
nodes know it, and those that join later as well.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..configuration import Membership
from ..raft import Node, NodeId

Address = tuple[str, int]
NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ChangeRefusedError(Exception):
    """The members stay as they are: one sentence."""


@dataclass(frozen=True)
class Change:
    """What is asked for, and who waits for it."""

    wanted: tuple[NodeId, ...]
    outcome: asyncio.Future[None]

    def look(self, node: Node) -> None:
        """It has come about once the wanted members are committed."""
        is_in_effect = node.configuration == Membership(self.wanted)
        is_committed = node.since <= node.commit_index
        if is_in_effect and is_committed and not self.outcome.done():
            self.outcome.set_result(None)

    def fail(self, why: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(why)


def wanted(node: Node, join: Collection[NodeId], leave: Collection[NodeId]) -> tuple[NodeId, ...]:
    """The members with some more and some less. ChangeRefusedError where that makes no sense."""
    there = [id for id in join if id in node.members]
    absent = [id for id in leave if id not in node.members]

    if not join and not leave:
        raise ChangeRefusedError("nobody is to join, and nobody to leave")
    if there:
        raise ChangeRefusedError(f"{there[0]} is a member already")
    if absent:
        raise ChangeRefusedError(f"{absent[0]} is no member: the members are {' '.join(node.members)}")
    return tuple(sorted({*node.members, *join} - {*leave}))


def places(addresses: Mapping[NodeId, str]) -> dict[NodeId, Address]:
    found = ((id, address.rpartition(":")) for id, address in addresses.items())
    return {id: (host.strip("[]"), int(port)) for id, (host, _, port) in found}
