"""What a leader sends to a follower of the entries that the core asks it to send: nothing twice, and never so
much that a heartbeat waits behind it.

The core sends a follower, each time, all that it is not known to have. On one connection frames arrive in
their order, so what is on its way need not be said again: the next message goes on where the last one ended.
There is a limit to what is on its way. Where it is reached, or a long message is still leaving in parts, the
message goes without entries: a heartbeat, which the follower hears at once.

A leader may send any piece of its log of this term, with what is committed of it: so all of these are
messages that the core could have sent. If the follower says that it lacks what came before, or the connection
is a new one, it begins again where the core says.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Protocol

from ..raft import AppendEntries, AppendReply, Entry, Event, Message, Node, NodeId, Propose, Receive

MOST_ENTRY_BYTES = 1 << 17  # of entries in one message, if there are more than one
MOST_UNDER_WAY = 1 << 18  # bytes of entries that a follower has not acknowledged


class Sender(Protocol):
    """What `Links` does."""

    def send(self, to: NodeId, step: int, message: Message) -> bool: ...
    def connection(self, to: NodeId) -> object: ...
    def is_busy(self, to: NodeId) -> bool: ...
    def is_in_parts(self, to: NodeId) -> bool: ...


@dataclass
class Flow:
    """What was sent on a connection, in a term.

    start   the entries after this index are sent
    round   in which that began
    sent    up to here
    left    the same, without the last message
    sizes   of what may be under way: the last index of each message, and its bytes
    """

    connection: object
    term: int
    round: int
    start: int
    sent: int
    left: int
    sizes: deque[tuple[int, int]] = field(default_factory=deque)

    def has_room(self, match_index: int) -> bool:
        """Of a follower that is not yet known to have what comes before, one message is to say so."""
        while self.sizes and self.sizes[0][0] <= match_index:
            self.sizes.popleft()
        if match_index < self.start:
            return not self.sizes
        return sum(size for _, size in self.sizes) < MOST_UNDER_WAY


class Pipeline:
    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._flows: dict[NodeId, Flow] = {}

    def send(self, leader: Node, step: int, to: NodeId, message: AppendEntries) -> None:
        """What is to be said of it now."""
        flow = self._flow(to, message)
        after = flow.left if self._sender.is_in_parts(to) else flow.sent
        rest = going_on(message, max(after, message.prev_log_index))
        rest = fitting(rest) if self._has_room(leader, to, flow) else beginning(rest, 0)
        if self._sender.send(to, step, rest) and rest.entries:
            flow.left, flow.sent = flow.sent, rest.prev_log_index + len(rest.entries)
            flow.sizes.append((flow.sent, sum(map(size, rest.entries))))

    def hear(self, event: Event) -> None:
        """A follower that lacks what came before a message is sent it again."""
        match event:
            case Receive(AppendReply(success=False) as reply):
                flow = self._flows.get(reply.follower_id)
                if flow and reply.term == flow.term and reply.round.number > flow.round:
                    del self._flows[reply.follower_id]

    def can_go_on(self, leader: Node) -> bool:
        """There is more to send to somebody, and room for it."""
        return any(self._can_go_on(leader, to, flow) for to, flow in self._flows.items())

    def _can_go_on(self, leader: Node, to: NodeId, flow: Flow) -> bool:
        follower = leader.leadership.progress.get(to)
        connection = self._sender.connection(to)
        if follower is None or connection is None or flow.connection is not connection:
            return False
        is_behind = flow.term == leader.current_term and flow.sent < leader.last_index
        entries_are_there = follower.next_index > leader.snapshot.index  # else the core sends a snapshot
        return is_behind and entries_are_there and self._has_room(leader, to, flow)

    def _has_room(self, leader: Node, to: NodeId, flow: Flow) -> bool:
        follower = leader.leadership.progress.get(to)
        return not self._sender.is_busy(to) and flow.has_room(follower.match_index if follower else 0)

    def _flow(self, to: NodeId, message: AppendEntries) -> Flow:
        flow, connection = self._flows.get(to), self._sender.connection(to)
        goes_on = (
            flow is not None
            and flow.connection is connection
            and flow.term == message.term
            and flow.start <= message.prev_log_index
        )
        if flow is None or not goes_on:
            prev, round = message.prev_log_index, message.round.number
            flow = self._flows[to] = Flow(connection, message.term, round, prev, prev, prev)
        return flow


def going_on(message: AppendEntries, after: int) -> AppendEntries:
    """Without the entries up to an index."""
    known = after - message.prev_log_index
    if known == 0:
        return message
    term = message.entries[known - 1].term
    return replace(message, prev_log_index=after, prev_log_term=term, entries=message.entries[known:])


def beginning(message: AppendEntries, count: int) -> AppendEntries:
    """With so many of its entries, and what is committed of them."""
    if count == len(message.entries):
        return message
    commit = min(message.leader_commit, message.prev_log_index + count)
    return replace(message, entries=message.entries[:count], leader_commit=commit)


def fitting(message: AppendEntries) -> AppendEntries:
    """With as many of its entries as fit into one message, one at the least."""
    total = 0
    for before, entry in enumerate(message.entries):
        total += size(entry)
        if before and total > MOST_ENTRY_BYTES:
            return beginning(message, before)
    return message


def size(entry: Entry) -> int:
    """An estimate of its bytes: strings may take six bytes a character."""
    return 100 + len(str(entry.command))


def weight(event: Event) -> int:
    """An estimate of the bytes of entries that an event brings."""
    match event:
        case Propose(command):
            return size(Entry(0, command))
        case Receive(AppendEntries(entries=entries)):
            return sum(map(size, entries))
    return 0
