"""PySyncObj 0.3.17, as it comes: without a journalFile a server that restarts forgets its term and its vote.

Figure 2 has currentTerm and votedFor on stable storage; without the option everything is kept in memory. So a
restart within an election can make two leaders of one term. With a journalFile both are kept.
"""

from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport


class Wire(Transport):
    ready = True

    def __init__(self, server, me, others):
        super().__init__(server, me, others)
        self.sent = server.sent = []
        server.receive = self._onMessageReceived

    def send(self, node, message):
        self.sent.append((node.id, message))
        return True

    def destroy(self):
        pass


def start():
    return SyncObj(Node("n1"), [Node("n2"), Node("n3")], SyncObjConf(autoTick=False), transportClass=Wire)


for candidate in ("n2", "n3"):
    server = start()
    ask = {"type": "request_vote", "term": 1, "last_log_index": 1, "last_log_term": 0}
    server.receive(Node(candidate), ask)
    print("in term 1 it answers", *(f"{to}: {message['type']}" for to, message in server.sent))
    server.destroy()
