"""raftos 0.2.6: an AppendEntries that comes late, or twice, takes entries from a log that holds all of them.

Figure 2 deletes an entry only if it conflicts with a new one. Here whatever follows the new one is deleted.
"""

import asyncio
import tempfile

import raftos
from raftos.serializers import JSONSerializer
from raftos.state import State

asyncio.futures.InvalidStateError = asyncio.InvalidStateError  # as in the Python of its time


class Server:
    host, port, cluster, cluster_count = "n1", 9000, [("n2", 9000), ("n3", 9000)], 2

    def __init__(self, loop):
        self.loop = loop

    async def send(self, message, to):
        pass


def append(index, commit):
    entry, before = {"term": 1, "command": {"x": index}}, index - 1
    sent = {"type": "append_entries", "term": 1, "leader_id": "n2:9000", "sender": ("n2", 9000)}
    sent |= {"request_id": 1, "prev_log_index": before, "prev_log_term": min(before, 1)}
    state.request_handler({**sent, "entries": [entry], "commit_index": commit})
    print("it has", len(state.log), "entries, and", state.log.commit_index, "committed")


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
with tempfile.TemporaryDirectory() as folder:
    raftos.configure({"log_path": folder, "heartbeat_interval": 1e9, "serializer": JSONSerializer})
    state = State(Server(loop))
    state.start()
    _ = append(1, 0), append(2, 2), append(1, 0)
