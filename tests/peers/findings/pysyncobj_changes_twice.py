"""PySyncObj 0.3.17 with dynamicMembershipChange: a leader that is cut off removes all others, commits alone.

A change waits until the one before is committed (dissertation 4.1). __changeCluster means to ask for that,
but nothing ever sets __changeClusterIDx. In the end two servers have committed different entries.
"""

import time

from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport


class Wire(Transport):
    ready, destroy, dropNode = True, lambda self: None, lambda self, node: None

    def send(self, node, message):
        return sent.append((self.me, node.id, message)) is None


def lead(leader, voter):
    """It stands, and the other one votes for it: what they send each other arrives, and nothing else."""
    for _ in range(20):
        time.sleep(0.05), servers[leader].doTick()
        while sent:
            source, to, message = sent.pop(0)
            if {source, to} == {leader, voter}:
                servers[to]._SyncObj__onMessageReceived(Node(source), message)


servers, sent, names = {}, [], ("n1", "n2", "n3")
conf = SyncObjConf(autoTick=False, dynamicMembershipChange=True, raftMinTimeout=0.31, raftMaxTimeout=0.32)
for me in names:
    servers[me] = SyncObj(Node(me), [Node(name) for name in names if name != me], conf, transportClass=Wire)
    servers[me]._SyncObj__transport.me = me
    [servers[me]._SyncObj__transport._onNodeConnected(node) for node in servers[me].otherNodes]
lead("n1", "n2"), [servers["n1"].removeNodeFromCluster(Node(name)) for name in ("n2", "n3")]
servers["n1"].doTick(), servers["n1"].doTick(), lead("n2", "n3")
for n in (servers["n1"], servers["n2"]):
    print("committed:", *(f"{i} of term {t}" for _, i, t in n._SyncObj__raftLog[1 : n.raftCommitIndex]))
