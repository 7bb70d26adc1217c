"""raftos 0.2.6: a candidate counts answers, and not who gave them.

Section 5.2: a candidate wins with votes of a majority of the servers. Its messages are datagrams, which a
network may deliver twice: here one voter of five makes a leader.
"""

import asyncio
import tempfile

import raftos
from raftos.state import State


class Server:
    """What raftos.server.Node gives to a State, without its socket."""

    host, port, cluster_count = "n1", 9000, 4
    cluster = [(f"n{number}", 9000) for number in range(2, 6)]

    def __init__(self, loop):
        self.loop = loop

    async def send(self, message, to):
        pass

    def broadcast(self, message):
        pass


loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
vote = {"type": "request_vote_response", "term": 1, "vote_granted": True, "sender": ("n2", 9000)}
with tempfile.TemporaryDirectory() as folder:
    raftos.configure({"log_path": folder, "heartbeat_interval": 1e9})
    state = State(Server(loop))
    state.start()
    state.state.election_timer.callback()  # it stands in term 1
    for number in (1, 2):
        state.request_handler(vote)
        print("with", number, "answers of n2 it is", type(state.state).__name__)
