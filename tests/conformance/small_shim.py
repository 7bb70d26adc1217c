"""A shim around the small Raft, as somebody would write it in any language. Argument: how it misbehaves."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from oneleader.conformance.adapter import can
from tests.conformance.small_raft import SmallAdapter, SmallRaft
from tests.conformance.unsynced import BelievesWhatIsTorn, JournaledAdapter

LIES = {
    "lies about its role": {"role": "boss"},
    "lies that it is down": {"role": None},
    "lies about its vote": {"voted_for": "n9"},
    "lies about its term": {"term": -1},
    "lies about its members": {"members": ["n1", "n9"]},
    "lies about what others store": {"match": {"n1": -1}},
}
UNASKED = {
    "answers a read that nobody asked for": {"read": ["v1"]},
    "applies what has no index": {"applied": [[0, "v1"]]},
}
ARGUMENTS = dict.fromkeys(("timeout", "heartbeat", "crash", "restart", "read"), ())
ARGUMENTS |= {"propose": ("value",), "crash_keeping": ("writes", "torn")}


class CountsOneLess(SmallRaft):
    def advance(self) -> None:
        if self.role == "leader" and len(self.log) > self.commit:
            self.commit = len(self.log)
            self.apply()


class CountingAdapter(SmallAdapter):
    server = CountsOneLess


class TearingAdapter(JournaledAdapter):
    server = BelievesWhatIsTorn


ADAPTERS = {"CountsOneLess": CountingAdapter, "BelievesWhatIsTorn": TearingAdapter}


def server(adapter: SmallAdapter, node: str) -> dict[str, Any] | None:
    seen = adapter.observe(node)
    if seen is None:
        return None
    shown = {"term": seen.term, "voted_for": seen.voted_for, "role": seen.role, "log": seen.log}
    return shown | ({} if seen.commit is None else {"commit": seen.commit})


def step(adapter: SmallAdapter, request: dict[str, Any]) -> dict[str, Any]:
    node, do = request["node"], request["do"]
    if do == "receive":
        report = adapter.receive(node, request["message"], request["sender"])
    else:
        report = getattr(adapter, do)(node, *(request[name] for name in ARGUMENTS[do]))
    sent = [{"to": s.to, "message": s.message} for s in report.sent]
    given = {"applied": report.applied, "answered": report.answered, "read": report.read}
    return {"server": server(adapter, node), "sent": sent, **given}


def misbehave(how: str, answer: dict[str, Any]) -> None:
    if how == "dies":
        sys.exit("out of cheese")
    if how == "segfaults":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "leaves a child" and os.fork():
        os._exit(3)
    if how in ("hangs", "leaves a child"):
        time.sleep(60)
    if how == "prose":
        print("starting the election")
    if how == "order":
        answer["id"] -= 1
    if how == "unknown":
        answer["colour"] = "red"
    if how == "twice":
        print(json.dumps(answer))
    if how == "deaf":
        os.close(0)
        time.sleep(60)
    if how == "endless":
        while True:
            print("x" * 65536, end="")
    if how == "drips":
        for _ in range(600):
            print(" ", end="", flush=True)
            time.sleep(0.1)
    if how == "deep":
        print("[" * 100_000)
    if how == "binary":
        sys.stdout.buffer.write(b"\xff\xfe\n")
        sys.stdout.flush()
    if how in LIES:
        answer["server"] = answer.get("server", {}) | LIES[how]
    if how in UNASKED:
        answer |= UNASKED[how]
    if how == "latin-1":
        sys.stdout.flush()
        message = b'{"id":%d,"sent":[{"to":"n1","message":"\xe9"}]}\n' % answer["id"]
        os.write(1, message)
    if how == "nested":
        print(f'{{"id": {answer["id"]}, "read": {"[" * 100_000}{"]" * 100_000}}}')
    if how == "loud":
        answer["sent"] = [{"to": "n1", "message": 1}] * 10_001
    if how == "stranger":
        answer["sent"] = [{"to": "n9", "message": 1}]


def main(how: str) -> None:
    if how == "launched" and os.fork():
        return
    made = ADAPTERS.get(how, SmallAdapter)
    adapter = made([])
    for number, line in enumerate(sys.stdin):
        request = json.loads(line)
        if request["do"] == "hello":
            answer: dict[str, Any] = {"version": 1, "can": sorted(can(adapter))}
        elif request["do"] == "start":
            adapter = made(request["nodes"])
            answer = {"servers": {node: server(adapter, node) for node in request["nodes"]}}
        else:
            answer = step(adapter, request)
        answer["id"] = request["id"]
        if how == "slow":
            time.sleep(0.1)
        if number == 800 or (number > 800 and how in UNASKED):  # whose answer has to be one to a step
            misbehave(how, answer)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
