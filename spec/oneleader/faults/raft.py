"""The faulty cores by id, for whoever wants nothing else of the catalogue."""

from dataclasses import dataclass

from oneleader.faults.catalogue import variants
from oneleader_raft.cluster import Core


@dataclass(frozen=True)
class RaftFault:
    """A faulty core, and with how many servers it does harm."""

    core: Core
    nodes: int


RAFT_FAULTS = {
    id: RaftFault(found.core, found.nodes) for id, found in variants().items() if isinstance(found.core, Core)
}
