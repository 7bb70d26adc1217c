"""What keeps a node from starting, and what a client gets in place of an answer."""

from ..raft import NodeId


class DamagedError(Exception):
    """A stored state that cannot be trusted: one sentence says why, and what to do. Nothing was written."""


class UnusableError(Exception):
    """A file that cannot be read or written as a node needs it: one sentence. The data may be whole."""


class NotLeaderError(Exception):
    """Nothing was done: this node does not lead. `leader` may."""

    def __init__(self, leader: NodeId | None) -> None:
        super().__init__("this node does not lead")
        self.leader = leader


class OutcomeUnknownError(Exception):
    """It may have been done, or not."""


class StaleRequestError(Exception):
    """A client's number that is below one that it has used."""


class BusyError(Exception):
    """Nothing was done: too much is pending already."""


class ClockError(Exception):
    """Neither a lease nor a promise that was counted on this clock means anything: the node has to stop."""
