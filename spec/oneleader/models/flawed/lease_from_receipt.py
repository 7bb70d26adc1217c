"""A lease counted from the receipt of an acknowledgement: what etcd's raft library and hashicorp/raft do.

The voter promised before its reply was on its way, and nothing bounds how long a reply travels. The
write-up's `IsLeader` does it too, and more: `flawed/is_leader`.
"""

from __future__ import annotations

from oneleader.language import action, field, model, no
from oneleader.models import lease
from oneleader.models.election import LEADER, Node, Term
from oneleader.models.lease import Round


class State(lease.State):
    """As in lease, and which acknowledgements the leader has received: the first time counts."""

    received = field(Node, Node, Term, Round, of=bool)  # voter, leader, term, round


@action
def receive_acknowledgement(s: State, leader: Node, voter: Node, k: Round) -> None:
    """The leader counts from now on, not from when it sent the round."""
    t = s.term[leader]
    is_a_leader = s.role[leader] == LEADER  # section 5.2: replies to AppendEntries
    was_acknowledged = s.acknowledged[voter, leader, t, k]  # section 5.2: a reply of this term
    is_the_first = no(s.received[voter, leader, t, k])  # section 5.1: a duplicated reply says nothing new
    s.require(is_a_leader, was_acknowledged, is_the_first)

    s.received[voter, leader, t, k] = True
    s.since_sent[leader, k] = 0


MODEL = model(__name__, State, extends=lease.MODEL)
