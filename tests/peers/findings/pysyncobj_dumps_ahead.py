"""PySyncObj 0.3.17 with dynamicMembershipChange: a dump has changes that come after its last entry.

It holds the state as of what was applied, and the members as they are now (__tryLogCompaction). Who loads it,
as it restarts or was sent it, counts with members that nobody may have agreed to, and nothing in its log says
so: here n3's removal is entry 4, which is not committed, and the dump ends with entry 3.
"""

import pickle
import shutil
import tempfile

from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport


class Wire(Transport):
    ready, destroy, dropNode = True, lambda self: None, lambda self, node: None
    addNode, send = dropNode, lambda self, node, message: True


def started(name, *others):
    files = {"journalFile": f"{folder}/{name}.journal", "fullDumpFile": f"{folder}/{name}.dump"}
    conf = SyncObjConf(autoTick=False, useFork=False, dynamicMembershipChange=True, **files)
    return SyncObj(Node(name), [Node(other) for other in others], conf, transportClass=Wire)


with tempfile.TemporaryDirectory() as folder:
    n1 = started("n1", "n2", "n3")
    entries = [(b"\x01", 2, 1), (b"\x01", 3, 1), (b"\x02" + pickle.dumps(["rem", "n3", Node("n3")]), 4, 1)]
    common = {"type": "append_entries", "term": 1, "prevLogIdx": 1, "prevLogTerm": 0}
    n1._SyncObj__onMessageReceived(Node("n2"), common | {"commit_index": 3, "entries": entries})
    n1.doTick(), n1.forceLogCompaction(), n1.doTick(), n1.doTick()
    shutil.copy(f"{folder}/n1.dump", f"{folder}/n2.dump")
    n2 = started("n2", "n1", "n3")
    n2.doTick()
    print("its last entry is", n2._SyncObj__raftLog[-1][1], "and the others are", *n2.otherNodes)
