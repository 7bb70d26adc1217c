"""PySyncObj 0.3.17: a follower that is sent the first piece of a snapshot commits entries of its own.

A snapshot comes in pieces. With each of them the follower takes the leader's commit index for its own, as far
as its log goes (__onMessageReceived), though its log is replaced by the last piece alone: what it holds until
then may never have been committed, and it is applied. Entries that do not fit, in contrast, commit nothing.
"""

import tempfile

from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport


class Wire(Transport):
    ready, destroy, send = True, lambda self: None, lambda self, node, message: True


with tempfile.TemporaryDirectory() as folder:
    files = {"journalFile": f"{folder}/journal", "fullDumpFile": f"{folder}/dump"}
    conf = SyncObjConf(autoTick=False, useFork=False, **files)
    server = SyncObj(Node("n1"), [Node("n2"), Node("n3")], conf, transportClass=Wire)

    def receives(sender, **message):
        server._SyncObj__onMessageReceived(Node(sender), {"type": "append_entries", **message})
        server.doTick()
        print("of its log up to 2, in term", server._SyncObj__raftLog[-1][2], "it has applied", end=" ")
        print(server.raftLastApplied)

    # The leader of term 1 reaches nobody else, so its entry 2 is never committed.
    receives("n2", term=1, commit_index=1, prevLogIdx=1, prevLogTerm=0, entries=[(b"\x01", 2, 1)])
    # In term 2 another entry 2 is committed, and compacted. First an entry that comes after it:
    receives("n3", term=2, commit_index=2, prevLogIdx=2, prevLogTerm=2, entries=[(b"\x01", 3, 2)])
    receives("n3", term=2, commit_index=2, serialized=(b"the first piece", True, False))
