"""PySyncObj 0.3.17, with journal and dump: a crash right after a compaction loses acknowledged entries.

The dump is written in one tick and the journal is cut in a later one. A server that stops between them
finds a journal that does not begin where the dump ends, and clears it (__loadDumpFile): also what came after
the dump, which it has told the leader that it stores.
"""

import tempfile

from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport


class Wire(Transport):
    ready, destroy = True, lambda self: None

    def send(self, node, message):
        return print("to", node.id, message) is None


def start(folder):
    files = {"journalFile": f"{folder}/journal", "fullDumpFile": f"{folder}/dump"}
    conf = SyncObjConf(autoTick=False, useFork=False, **files)
    return SyncObj(Node("n1"), [Node("n2"), Node("n3")], conf, transportClass=Wire)


with tempfile.TemporaryDirectory() as folder:
    server = start(folder)
    sent = {"type": "append_entries", "term": 1, "commit_index": 3, "prevLogIdx": 1, "prevLogTerm": 0}
    server._SyncObj__onMessageReceived(Node("n2"), {**sent, "entries": [(b"\x01", i, 1) for i in (2, 3, 4)]})
    for _ in ("applies what is committed", "compacts it"):
        server.forceLogCompaction() if server.raftLastApplied == 3 else None
        server.doTick()
    print("its last entry is", server._SyncObj__raftLog[-1][1])
    server.destroy()
    server = start(folder)
    server.doTick()
    print("after a restart it is", server._SyncObj__raftLog[-1][1])
