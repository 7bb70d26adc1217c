"""What a write costs a node, and a restart, at so many entries over so many keys: in processor time.

One node in one process, so that nothing is measured but what it does itself; its disk syncs. A snapshot of
all keys is written every now and then, in a thread of its own; a sample has one or two of these, or none. So
what they cost is told apart: for each of all the entries since the start.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from oneleader_raft.node import snapshots
from oneleader_raft.node.server import Server
from oneleader_raft.node.settings import NodeSettings
from oneleader_raft.state_machine import Put, Request, StateMachine

CLIENTS = 64
SAMPLE = 10  # the last of so many parts of the writes is measured


class Snapshots:
    """How many the node has written, and the processor time that they took."""

    written, seconds = 0, 0.0

    @classmethod
    def count(cls) -> None:
        write = snapshots.write

        def counted(path: Path, index: int, state: StateMachine) -> None:
            began = time.thread_time()
            write(path, index, state)
            cls.written, cls.seconds = cls.written + 1, cls.seconds + time.thread_time() - began

        snapshots.write = counted


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
        began, before = time.process_time(), Snapshots.seconds
        await write(server, first_measured, size, keys)
        took = time.process_time() - began - (Snapshots.seconds - before)
        each = took / (size - first_measured)
        done = size
        first = first or each
        print(
            f"{size:9,} entries  {each * 1e6:6.0f} us of processor time a write  {each / first:5.2f} times  "
            f"and {Snapshots.seconds / size * 1e6:4.0f} us for {Snapshots.written} snapshots",
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
    logging.getLogger("oneleader_raft").setLevel(logging.ERROR)  # its clients, in this process, make it stall
    Snapshots.count()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(grow(Path(folder), sizes, keys))
        asyncio.run(restart(Path(folder), keys))


if __name__ == "__main__":
    main()
