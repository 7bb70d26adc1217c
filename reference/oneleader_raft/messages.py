"""What nobody can have sent.

A message is *impossible* if no run of `raft.py` sends it, whatever crashes, and however its messages are
delayed, copied and lost. `why_impossible` tells by the message alone, `why_contradicted` by what its receiver
knows. Both answer in words, and with "" for a message that may be true. Drivers ask before the core sees a
message: what is impossible is damaged, forged, or sent by a faulty server.

The rules follow from the core, and hold of all that it sends in simulated runs and drawn scenarios
(`tests/reference/test_messages.py`).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import chain, pairwise
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from .configuration import Membership
from .lease import LONG_AGO, NO_ROUND, Round
from .raft import (
    NIL,
    AppendEntries,
    AppendReply,
    InstallSnapshot,
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

Rule: TypeAlias = tuple[bool, str]  # whether it holds, and what is wrong where it does not

KINDS = get_args(Message)
SENDERS = ("candidate_id", "voter_id", "leader_id", "follower_id")
MOST = 2**62  # of any number: what is read fits into 64 bits, and so does one more
TERMS_MISSED = 2**32  # of elections, while a server is away: one a second for 136 years


class ImpossibleMessageError(ValueError):
    """A message that nobody can have sent was handed to a server."""


def why_impossible(message: Any, source: NodeId, to: NodeId, members: Collection[NodeId]) -> str:
    """Why no server can have sent this, by the message alone."""
    kind: type = type(message)
    rules_of_kind = RULES.get(kind)
    if rules_of_kind is None:
        return f"{kind.__name__} is no kind of message"
    rules = chain(_types(message), _addresses(message, source, to, members), rules_of_kind(message))
    return _first_broken(kind, rules)


def why_contradicted(message: Message, node: Node) -> str:
    """Why no server can have sent this, by what `node` knows, which receives it."""
    known = KNOWN.get(type(message))
    rules = chain(_terms_known(message, node), known(message, node) if known else ())
    return _first_broken(type(message), rules)


def sender(message: Message) -> NodeId:
    """Whom a message says it is from."""
    return next(getattr(message, name) for name in SENDERS if hasattr(message, name))  # type: ignore[no-any-return]


def _first_broken(kind: type, rules: Iterator[Rule]) -> str:
    return next((f"{kind.__name__}: {words}" for holds, words in rules if not holds), "")


# --- By the message alone ---------------------------------------------------------------------------------


def _addresses(m: Message, source: NodeId, to: NodeId, members: Collection[NodeId]) -> Iterator[Rule]:
    yield source in members, f"{source} is no member"
    yield to in members, f"{to} is no member"
    yield source != to, f"{to} does not speak to itself"
    yield sender(m) == source, f"{source} speaks in the name of {sender(m)}"
    yield m.term >= 1, "nobody speaks in term 0"


def _request(m: RequestPreVote | RequestVote) -> Iterator[Rule]:
    yield from _position("last_log", m.last_log_index, m.last_log_term)
    yield m.last_log_term < m.term, "its log has entries of the term that it asks for"


def _request_vote(m: RequestVote) -> Iterator[Rule]:
    yield from _request(m)
    if m.forced_by is not NIL:
        yield m.forced_by != m.candidate_id, "a candidate is asked by another to stand"
        # Dissertation 3.10: by the leader of the term before, which waits until it has all
        yield m.last_log_term == m.term - 1, "who is asked to stand has the last entries of the leader"


def _append_entries(m: AppendEntries) -> Iterator[Rule]:
    terms = [m.prev_log_term, *(entry.term for entry in m.entries)]
    last = m.prev_log_index + len(m.entries)
    yield from _position("prev_log", m.prev_log_index, m.prev_log_term)
    yield all(term >= 1 for term in terms[1:]), "an entry of term 0"
    yield all(a <= b for a, b in pairwise(terms)), "terms of entries decrease"
    yield terms[-1] <= m.term, "an entry of a later term than the leader's"
    yield bool(m.entries) or m.prev_log_term == m.term, "a leader's log ends with an entry of its own"
    yield m.leader_commit <= last, "a leader commits no more than it has"
    yield last < MOST, "a log is not so long"
    for entry in m.entries:
        if isinstance(entry.command, Membership):
            yield from _configuration(entry.command)
    yield from _leaders_round(m.round)


def _install_snapshot(m: InstallSnapshot) -> Iterator[Rule]:
    index, term, in_effect = m.snapshot.index, m.snapshot.term, m.snapshot.in_effect
    yield 1 <= index < MOST, "it stands for an entry at least"
    yield 1 <= term <= m.term, "its last entry is of the leader's term or of one before"
    yield in_effect.since <= index, "its configuration is that as of its index"
    yield from _configuration(in_effect.configuration)
    yield from _leaders_round(m.round)


def _configuration(c: Membership) -> Iterator[Rule]:
    yield from _types(c, "configuration: ")
    yield bool(c.members), "somebody has to be a member"
    for part in c.sets:
        yield list(part) == sorted(set(part)), "members are in order, and no one twice"
    yield c.old != c.members, "a joint configuration leads to other members"


def _append_reply(m: AppendReply) -> Iterator[Rule]:
    yield from _round(m.round)
    if m.round == NO_ROUND:
        yield not m.success, "a success answers a round"
        yield m.index == m.conflict_term == 0, "to the leader of an older term it says the newer one alone"
        return
    yield m.index >= 1, "there is no index 0 to go on with"
    yield m.conflict_term < m.term, "nothing conflicts in the leader's own term"
    yield not m.success or m.conflict_term == 0, "a success has no conflict"


def _nothing(*_: Any) -> Iterator[Rule]:
    yield from ()


RULES: dict[type, Callable[[Any], Iterator[Rule]]] = {
    RequestPreVote: _request,
    PreVoteReply: _nothing,
    RequestVote: _request_vote,
    VoteReply: _nothing,
    AppendEntries: _append_entries,
    AppendReply: _append_reply,
    InstallSnapshot: _install_snapshot,
    TimeoutNow: _nothing,
}


def _position(name: str, index: int, term: int) -> Iterator[Rule]:
    yield (
        (index == 0) == (term == 0),
        f"{name}_index {index} with {name}_term {term}: only index 0 has term 0",
    )


def _round(round: Round) -> Iterator[Rule]:
    yield (round.number == 0) == (round.sent_at == LONG_AGO), "round 0 is no round, and was never sent"


def _leaders_round(round: Round) -> Iterator[Rule]:
    yield from _round(round)
    yield round != NO_ROUND, "a leader sends in rounds"


# --- By what the receiver knows ---------------------------------------------------------------------------


def _terms_known(m: Message, node: Node) -> Iterator[Rule]:
    yield m.term - node.current_term <= TERMS_MISSED, f"term {m.term}, after term {node.current_term}"


def _answer(asked: int) -> Callable[[Any, Node], Iterator[Rule]]:
    """A server asks in its current term, or, for pre-votes, in the one after; it has stored that term."""

    def known(m: Any, node: Node) -> Iterator[Rule]:
        answers = m.round != NO_ROUND if isinstance(m, AppendReply) else m.vote_granted
        yield not answers or m.term <= node.current_term + asked, f"{node.id} asked nobody in term {m.term}"
        if isinstance(m, AppendReply) and answers:
            yield from _answer_to_leader(m, node)

    return known


def _answer_to_leader(m: AppendReply, node: Node) -> Iterator[Rule]:
    is_to_this_leader = node.role is Role.LEADER and m.term == node.current_term
    if is_to_this_leader:
        yield m.round <= node.leadership.round, f"a round that {node.id} has not sent"
        yield m.index <= node.last_index, f"index {m.index}, of a log that ends at {node.last_index}"


def _entries_known(m: AppendEntries, node: Node) -> Iterator[Rule]:
    """Figure 3: one leader in a term; two logs with the same entry are the same before it; what is committed
    stays."""
    yield from _leader_known(m, node)
    if m.term < node.current_term:
        return
    prev, kept = m.prev_log_index, max(m.prev_log_index, node.snapshot.index)
    if node.snapshot.index <= prev <= node.commit_index:
        yield node.term_at(prev) == m.prev_log_term, f"another entry is committed at {prev}"
    for i, (own, new) in enumerate(zip(node.after(kept), m.entries[kept - prev :], strict=False), kept + 1):
        yield own == new or own.term != new.term, f"two entries of term {new.term} at {i}"
        yield own == new or i > node.commit_index, f"another entry is committed at {i}"


def _snapshot_known(m: InstallSnapshot, node: Node) -> Iterator[Rule]:
    """The same of what a snapshot stands for, all of it committed."""
    yield from _leader_known(m, node)
    if m.term < node.current_term:
        return
    k, knows_it = m.snapshot.index, node.snapshot.index <= m.snapshot.index <= node.last_index
    same_entry = knows_it and node.term_at(k) == m.snapshot.term
    yield not knows_it or same_entry or k > node.commit_index, f"another entry is committed at {k}"
    if same_entry:
        *_, in_effect = (known for known in node.history if known.since <= k)
        yield in_effect == m.snapshot.in_effect, f"another configuration is in effect at {k}"
    # Where nothing has changed the members since then, it is the one that is committed here
    is_of_before = m.snapshot.in_effect.since <= node.commit_index <= k
    *_, committed = (known for known in node.history if known.since <= node.commit_index)
    yield not is_of_before or m.snapshot.in_effect == committed, "another configuration is committed"


def _leader_known(m: AppendEntries | InstallSnapshot | TimeoutNow, node: Node) -> Iterator[Rule]:
    is_of_this_term = m.term == node.current_term
    yield not is_of_this_term or node.leader_id in (NIL, m.leader_id, node.id), f"{node.leader_id} leads it"


def _order_known(m: TimeoutNow, node: Node) -> Iterator[Rule]:
    yield m.term <= node.current_term, f"{node.id} has nothing of the leader of term {m.term}"
    yield from _leader_known(m, node)


KNOWN: dict[type, Callable[[Any, Node], Iterator[Rule]]] = {
    PreVoteReply: _answer(1),
    VoteReply: _answer(0),
    AppendEntries: _entries_known,
    AppendReply: _answer(0),
    InstallSnapshot: _snapshot_known,
    TimeoutNow: _order_known,
}


# --- Types ------------------------------------------------------------------------------------------------


def _types(value: Any, name: str = "") -> Iterator[Rule]:
    """Each field is exactly what it is annotated as: `True` is no number. Numbers are within bounds."""
    for field, hint in _hints(value.__class__):
        yield from _typed(getattr(value, field), hint, f"{name}{field}")


@cache
def _hints(kind: type) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))


def _typed(value: Any, hint: Any, name: str) -> Iterator[Rule]:
    if hint is object:
        return  # the driver's
    if hint is Hashable:
        yield _has_hash(value), f"{name} cannot be hashed"
    elif get_origin(hint) is tuple:
        yield type(value) is tuple, f"{name} is no tuple"
        for part in value:
            yield from _typed(part, get_args(hint)[0], f"{name}: ")
    elif get_origin(hint) in (Union, types.UnionType):
        yield type(value) in get_args(hint), f"{name} is {value!r:.40}"
    else:
        yield type(value) is hint, f"{name} is no {hint.__name__}"
        if hint is int:
            yield _in_range(value, name), f"{name} is out of range"
        elif is_dataclass(hint):
            yield from _types(value, name if name.endswith(": ") else f"{name}: ")


def _in_range(value: int, name: str) -> bool:
    is_time = name.endswith("sent_at")  # a clock may begin anywhere
    return (-MOST if is_time else 0) <= value < MOST


def _has_hash(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
