"""A leader that gives up a transfer of leadership and takes its lease again.

The forced request for votes that the transfer brought about may still be on its way.
"""

from __future__ import annotations

from oneleader.language import action, model
from oneleader.models import lease
from oneleader.models.election import LEADER, Node
from oneleader.models.lease import State


@action
def abandon_transfer(s: State, n: Node) -> None:
    """Dissertation 3.10: after an election timeout the leader goes on as if it had not asked."""
    is_a_leader = s.role[n] == LEADER  # dissertation 3.10: the prior leader resumes
    s.require(is_a_leader)

    s.lease_is_void[n] = False


MODEL = model(__name__, State, extends=lease.MODEL)
