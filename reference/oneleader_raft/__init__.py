"""The compact reference Raft: elections.

`raft` is the protocol: `step(node, event)` gives the node after the event, the model's actions that it took
and the effects that a driver must carry out. `simulator` is such a driver: a deterministic cluster with every
fault on demand. Start reading in `raft.py`.
"""

from .raft import (
    NIL,
    Action,
    AppendEntries,
    AppendReply,
    Durable,
    Effect,
    ElectionTimeout,
    Event,
    HeartbeatTimeout,
    Message,
    Node,
    NodeId,
    Receive,
    RequestVote,
    ResetElectionTimer,
    Role,
    Send,
    Step,
    Store,
    TwoLeadersError,
    VoteReply,
    action,
    restart,
    step,
)
from .simulator import CALM, FAULTY, Cluster, Core, Entry, Packet, Settings, Simulation

__all__ = [
    "CALM",
    "FAULTY",
    "NIL",
    "Action",
    "AppendEntries",
    "AppendReply",
    "Cluster",
    "Core",
    "Durable",
    "Effect",
    "ElectionTimeout",
    "Entry",
    "Event",
    "HeartbeatTimeout",
    "Message",
    "Node",
    "NodeId",
    "Packet",
    "Receive",
    "RequestVote",
    "ResetElectionTimer",
    "Role",
    "Send",
    "Settings",
    "Simulation",
    "Step",
    "Store",
    "TwoLeadersError",
    "VoteReply",
    "action",
    "restart",
    "step",
]
