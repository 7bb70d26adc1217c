"""raftos 0.2.6: a server that learns of a newer term keeps its vote of the older one.

Figure 2: votedFor is the candidate that received the vote in the current term, so in a new term it is free.
Here a server has voted in term 1, and does not answer the only candidate of term 2. When all have voted,
nobody is elected until enough of them have stood and forgotten it.
"""

import asyncio
import tempfile

import raftos
from raftos.state import State


class Server:
    """What raftos.server.Node gives to a State, without its socket."""

    host, port, cluster, cluster_count = "n1", 9000, [("n2", 9000), ("n3", 9000)], 2

    def __init__(self, loop):
        self.loop = loop

    async def send(self, message, to):
        print(f"in term {message['term']} it answers {to[0]}: {message['vote_granted']}")

    def broadcast(self, message):
        pass


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
ask = {"type": "request_vote", "last_log_index": 0, "last_log_term": 0}
with tempfile.TemporaryDirectory() as folder:
    raftos.configure({"log_path": folder, "heartbeat_interval": 1e9})
    state = State(Server(loop))
    state.start()
    for term, name in ((1, "n2"), (2, "n3")):
        state.request_handler({**ask, "term": term, "candidate_id": f"{name}:9000", "sender": (name, 9000)})
        loop.run_until_complete(asyncio.sleep(0.01))
        print("in term", state.storage.term, "it has voted for", state.storage.voted_for)
