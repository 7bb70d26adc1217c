"""raftos 0.2.6: a client is told that its command is done when that of another one is.

Section 8: a client's command is answered once it is applied. A leader keeps one future for all its clients.
"""

import asyncio
import tempfile

import raftos
from raftos.state import State


class Server:
    """What raftos.server.Node gives to a State, without its socket."""

    host, port, cluster_count = "n1", 9000, 2
    cluster = [("n2", 9000), ("n3", 9000)]

    async def send(self, message, to):
        pass


async def main():
    Server.loop = asyncio.get_running_loop()
    state = State(Server())
    state.start()
    state.to_leader()
    first, second = (asyncio.ensure_future(state.state.execute_command({x: x})) for x in "ab")
    await asyncio.sleep(0)
    stored = {"type": "append_entries_response", "term": 0, "success": True, "request_id": 0}
    for _ in range(2):  # what is committed is applied before the next message
        state.request_handler({**stored, "sender": ("n2", 9000), "last_log_index": 1})
    await asyncio.sleep(0)
    print("committed:", state.state.log.commit_index, "told:", [first.done(), second.done()])
    first.cancel()


with tempfile.TemporaryDirectory() as folder:
    raftos.configure({"log_path": folder, "heartbeat_interval": 1e9})
    asyncio.run(main())
