"""PySyncObj 0.3.17 with dynamicMembershipChange: an older change that is applied undoes a newer one.

A change counts from its entry's append on. When the entry is committed it is applied once more
(__doApplyCommand: "calls will be ignored"), and where a later entry has taken it back that is not ignored.
Here n3 was removed and added again. Until the second entry is applied as well, n1 counts without n3.
"""

import pickle

from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport


class Wire(Transport):
    ready, destroy, dropNode = True, lambda self: None, lambda self, node: None
    addNode, send = dropNode, lambda self, node, message: True


conf = SyncObjConf(autoTick=False, dynamicMembershipChange=True)
server = SyncObj(Node("n1"), [Node("n2"), Node("n3")], conf, transportClass=Wire)


def receives(commit, after, entries):
    common = {"type": "append_entries", "term": 1, "prevLogIdx": after, "prevLogTerm": min(after - 1, 1)}
    server._SyncObj__onMessageReceived(Node("n2"), common | {"commit_index": commit, "entries": entries})
    server.doTick()
    others = sorted(node.id for node in server.otherNodes)
    print(f"of its {len(server._SyncObj__raftLog)} entries it has applied {server.raftLastApplied}:", *others)


remove, add = (b"\x02" + pickle.dumps([verb, "n3", Node("n3")]) for verb in ("rem", "add"))
receives(1, 1, [(b"\x01", 2, 1), (remove, 3, 1), (add, 4, 1)])
receives(3, 4, [])
receives(4, 4, [])
