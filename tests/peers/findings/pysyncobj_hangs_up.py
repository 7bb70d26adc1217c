"""PySyncObj 0.3.17 with dynamicMembershipChange: who was removed is not heard, though nobody agreed to that.

A removal counts from its entry's append on, and its server hangs up on who is removed (TCPTransport,
_onIncomingMessageReceived). If the others elect that one, as they may while the removal is not committed, it
can never tell the server that its entry is gone. A server hears who is no member (dissertation 4.1, 4.2.3).
"""

import pickle
import socket

from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import TCPNode


def free_address():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return f"localhost:{probe.getsockname()[1]}"


addresses = [free_address() for _ in range(3)]
never = {"raftMinTimeout": 1e6, "raftMaxTimeout": 1e6 + 1, "connectionTimeout": 1e7}
conf = SyncObjConf(autoTick=False, dynamicMembershipChange=True, **never)
n1, n2, n3 = (SyncObj(me, [other for other in addresses if other != me], conf) for me in addresses)


def hears(one):
    for _ in range(60):
        n1.doTick(0.02), one.doTick(0.02)
    return "is" if one.isNodeConnected(n1.selfNode) else "is not"


print("n3", hears(n3), "heard, n2", hears(n2))
entry = (b"\x02" + pickle.dumps(["rem", addresses[2], TCPNode(addresses[2])]), 2, 1)
common = {"type": "append_entries", "term": 1, "commit_index": 1, "prevLogIdx": 1, "prevLogTerm": 0}
n1._SyncObj__onMessageReceived(n2.selfNode, common | {"entries": [entry]})
print("committed:", n1.raftCommitIndex, "of", entry[1], "entries; n3", hears(n3), "heard, n2", hears(n2))
