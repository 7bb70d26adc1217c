"""How long a cluster is without a leader: the experiment of section 9.3 and Figure 16 of the Raft paper.

Five servers, one of which leads and crashes. As in the paper, the logs have different lengths, so that two of
the other four cannot be elected; all have just heard a heartbeat, so that their timers start at once; and the
leader crashes at a random moment within its heartbeat interval, half of the least election timeout. The paper
has "a broadcast time of roughly 15 ms" and does not say how it is spread: here a message takes up to 7.5 ms,
so that a broadcast is answered within 15. The simulator runs in tenths of a millisecond.

The paper's Raft votes without asking first. So does "Figure 2" here: the reference without pre-votes and
promises.
"""

from __future__ import annotations

import random
from dataclasses import replace

from oneleader.conformance.reference.patch import patched
from oneleader_raft import raft
from oneleader_raft.core import RAFT, Core
from oneleader_raft.raft import Durable, Entry, Node, Role, Step
from oneleader_raft.testbench.simulator import CALM, Simulation

TENTHS = 10  # of a millisecond
ONE_WAY = (0, 75)
PATIENCE = 10_000  # ms
LOG = (Entry(1, "a"), Entry(1, "b"), Entry(1, "c"))
LENGTHS = {"n1": 3, "n2": 3, "n3": 2, "n4": 1, "n5": 3}  # of the logs; n5 led
STORED = {id: Durable(1, "n5", LOG[:length]) for id, length in LENGTHS.items()}


def without_pre_votes() -> Core:
    """Followers 2 and Candidates 4 to the letter: whose timer rings starts an election."""

    def on_election_timeout(node: Node, now: int) -> Step:
        if node.role is Role.LEADER:
            return raft.check_quorum(node, now)
        how = raft.action("start_election", n=node.id)
        return raft.give_up(node).then(lambda node: raft.start_election(node, now, how))

    def hears_leader(node: Node, now: int) -> bool:
        return node.role is Role.LEADER

    return patched(on_election_timeout, hears_leader)


PAPER = {  # section 9.3, in words: timeouts -> what the paper says of the milliseconds without a leader
    (150, 150): "consistently longer than 10,000",
    (150, 155): "a median of 287",
    (150, 200): "513 at worst, of 1,000 trials",
    (12, 24): "35 on average, 152 at worst",
}
CONTENDERS = {"Figure 2": without_pre_votes(), "with pre-vote": RAFT}


def downtime(seed: int, timeout: tuple[int, int], core: Core = RAFT) -> float:
    """Milliseconds from the crash of the leader to the election of the next; `PATIENCE` if there is none."""
    least, most = timeout
    settings = replace(
        CALM,
        election_timeout=(least * TENTHS, most * TENTHS),
        heartbeat_interval=least * TENTHS // 2,
        delay=ONE_WAY,
        rates=(1, 1),
        slow=1,
        fast=1,
        clients=0,
        fault_interval=PATIENCE * TENTHS,
    )
    simulation = Simulation(STORED, seed, settings, core, traced=False, stored=STORED)
    simulation.cluster.crash("n5")
    nodes = [id for id in STORED if id != "n5"]
    led = simulation.run(
        PATIENCE * TENTHS, lambda: any(simulation.cluster.node(id).role is Role.LEADER for id in nodes)
    )
    crashed_at = random.Random(seed).random() * least / 2
    return simulation.now / TENTHS - crashed_at if led else PATIENCE
