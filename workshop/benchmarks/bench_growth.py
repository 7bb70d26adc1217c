"""What a write costs a node, and a restart, at so many entries over so many keys: in processor time.

One node in one process, so that nothing is measured but what it does itself; its disk syncs.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from oneleader_raft.node.server import Server
from oneleader_raft.node.settings import NodeSettings
from oneleader_raft.state_machine import Put, Request

CLIENTS = 64
SAMPLE = 10  # the last of so many parts of the writes is measured: snapshots are written in it as well


async def started(folder: Path) -> tuple[Server, asyncio.Task[None]]:
    listener = socket.create_server(("127.0.0.1", 0))
    settings = NodeSettings("n1", {"n1": listener.getsockname()[:2]}, folder, promise_ms=50, heartbeat_ms=10)
    server = Server(settings)
    node = asyncio.create_task(server.run(listener))
    while server.lease_left == 0:
        await asyncio.sleep(0.001)
    return server, node


async def stopped(node: asyncio.Task[None]) -> None:
    node.cancel()
    await asyncio.gather(node, return_exceptions=True)


async def write(server: Server, first: int, last: int, keys: int) -> None:
    """Entries with these numbers, from so many clients at once."""
    numbers = iter(range(first, last))

    async def client(name: str) -> None:
        for number in numbers:
            await server.write(Request(name, number, Put(f"key-{number % keys}", "v" * 20)))

    await asyncio.gather(*(client(f"c{i}") for i in range(CLIENTS)))


async def grow(folder: Path, sizes: Sequence[int], keys: int) -> None:
    server, node = await started(folder)
    done, first = 1, 0.0
    for size in sizes:
        first_measured = size - size // SAMPLE
        await write(server, done, first_measured, keys)
        began = time.process_time()
        await write(server, first_measured, size, keys)
        each = (time.process_time() - began) / (size - first_measured)
        done = size
        first = first or each
        print(
            f"{size:9,} entries  {each * 1e6:8.0f} us of processor time a write   {each / first:6.2f} times",
            flush=True,
        )
    await stopped(node)


async def restart(folder: Path, keys: int) -> None:
    began = time.process_time()
    server, node = await started(folder)
    await server.write(Request("after", 1, Put("after", "v")))
    took = time.process_time() - began
    assert len(server.machine.values) == keys + 1, "nothing is lost"
    print(
        f"restart to the first write  {took:6.2f} s of processor time   term {server.node.current_term}",
        flush=True,
    )
    await stopped(node)


def main() -> None:
    keys, *sizes = map(int, sys.argv[1:]) if len(sys.argv) > 2 else (100_000, 10_000, 100_000, 1_000_000)
    print(f"{keys:,} keys")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(grow(Path(folder), sizes, keys))
        asyncio.run(restart(Path(folder), keys))


if __name__ == "__main__":
    main()
