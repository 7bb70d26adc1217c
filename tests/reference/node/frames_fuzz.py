"""A coverage-guided fuzz of what peers send, by atheris: frames, the handshake, and messages up to the core.

    python frames_fuzz.py CORPUS [--without-validator] [-runs=N -seed=N ...]

The first byte says which door the rest comes to: raw bytes as a frame; an introduction, sealed by a sender
that knows the secret; a message of a known peer, which a follower, a leader and a node with a snapshot get.
What atheris sees as new is a branch of oneleader_raft that nothing before has reached. What is refused is
all right; any other error is not, nor is a core that forgets what is committed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["oneleader_raft"]):
    from oneleader_raft import raft
    from oneleader_raft.lease import Clocks, Round
    from oneleader_raft.messages import why_contradicted
    from oneleader_raft.node import codec, frames, links
    from oneleader_raft.raft import Durable, Entry, Node, Receive, Role

MEMBERS = ("n1", "n2", "n3")
OWN = frames.Identity("c", "n1", "http://a", frozenset(MEMBERS), Clocks(), b"the cluster's secret")
LOG = (Entry(1, "no-op"), Entry(1, "no-op"), Entry(3, "no-op"))
RAW, INTRODUCTION, MESSAGE = range(3)


class Bytes:
    """What a connection has brought; nothing comes after it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def readexactly(self, size: int) -> bytes:
        if size > len(self._data):
            raise EOFError
        found, self._data = self._data[:size], self._data[size:]
        return found

    def write(self, data: bytes) -> None:
        pass


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """Nothing waits here: it ends at its first step."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")


async def anyone(peer: str, store: str) -> None:
    pass


def nodes() -> list[Node]:
    """n1 in term 3: a follower of n2 with a committed entry, a leader, and that follower with a snapshot."""
    node = raft.restart("n1", MEMBERS, Durable(3, None, LOG[:2]), now=0).node
    follower = replace(node, commit_index=1, leader_id="n2")
    leadership = raft.Leadership(0, 3, {n: raft.Progress(4) for n in ("n2", "n3")}, Round(3, 40))
    leads = {"role": Role.LEADER, "leader_id": "n1", "log": LOG, "voted_for": "n1", "leadership": leadership}
    return [follower, replace(follower, **leads), raft.step(follower, raft.Compact(1, "x"), now=0).node]


NODES = nodes()
why = why_contradicted


def one_input(data: bytes) -> None:
    door, body = (data[0] % 3, data[1:]) if data else (RAW, b"")
    try:
        if door == RAW:
            finished(frames.unseal(Bytes(body), OWN.secret, 0))
        elif door == INTRODUCTION:
            finished(
                frames.accept(Bytes(frames.seal(OWN.secret, 0, frames.HELLO, body)), Bytes(b""), OWN, anyone)
            )
        else:
            receive(body)
    except (frames.FrameError, EOFError):
        pass


def receive(body: bytes) -> None:
    _, message = links.read(body, "n2", OWN)
    for node in NODES:
        if why(message, node):
            continue
        try:
            after = raft.step(node, Receive(message), now=10_000).node
        except raft.TwoLeadersError:
            continue
        terms = [entry.term for entry in after.log]
        assert terms == sorted(terms)
        assert after.current_term - node.current_term <= 2**32
        assert after.snapshot.index <= after.commit_index <= after.last_index
        assert all(
            after.term_at(i) == node.term_at(i) for i in (node.commit_index,) if i > after.snapshot.index
        )
        assert all(p.match_index <= after.last_index for p in after.leadership.progress.values())


def seeds() -> list[bytes]:
    """One message of each kind, and an introduction: that atheris need not spell their names."""
    round = Round(3, 40)
    said = [
        raft.RequestPreVote(4, "n2", 3, 3),
        raft.PreVoteReply(4, "n2", True),
        raft.RequestVote(4, "n2", 3, 3),
        raft.VoteReply(3, "n2", False),
        raft.AppendEntries(3, "n2", 1, 1, LOG[1:], 2, round),
        raft.AppendReply(3, "n2", True, round, 3),
        raft.TimeoutNow(3, "n2"),
    ]
    bodies = [json.dumps({"step": 7, "message": codec.plain(message)}).encode() for message in said]
    introduction = json.loads(frames._introduction(replace(OWN, id="n2"), "n1")) | {"nonce": "0" * 32}
    return [
        *(bytes([MESSAGE]) + body for body in bodies),
        bytes([INTRODUCTION]) + json.dumps(introduction).encode(),
        bytes([RAW]) + frames.seal(OWN.secret, 0, frames.MESSAGE, bodies[0]),
    ]


def main() -> None:
    global why
    words = [word for word in sys.argv if word != "--without-validator"]
    if len(words) < len(sys.argv):
        why = lambda message, node: ""  # noqa: E731  # the fuzz has to find out
    for number, seed in enumerate(seeds()):
        (Path(words[1]) / f"seed-{number}").write_bytes(seed)
    atheris.Setup(words, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
