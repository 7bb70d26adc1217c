"""raftos 0.2.6: a candidate whose timer rings becomes a follower and forgets its vote of that term.

Figure 2: votedFor is the candidate that received the vote in the current term. Here a server votes for
itself and then for another one, both in term 1. A restart does the same.
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
        pass

    def broadcast(self, message):
        pass


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
ask = {"type": "request_vote", "term": 1, "candidate_id": "n2:9000", "last_log_index": 0, "last_log_term": 0}
with tempfile.TemporaryDirectory() as folder:
    raftos.configure({"log_path": folder, "heartbeat_interval": 1e9})
    state = State(Server(loop))
    state.start()
    state.state.election_timer.callback()  # it stands in term 1
    print("in term", state.storage.term, "it voted for", state.storage.voted_for)
    state.state.election_timer.callback()  # nobody answered
    state.request_handler({**ask, "sender": ("n2", 9000)})
    print("in term", state.storage.term, "it voted for", state.storage.voted_for)
