"""An implementation in any language: a child process that speaks JSON lines. See docs/any-language.md.

One request a line on its standard input, one answer a line on its standard output, in order. What an answer
may hold stands in `shim.schema.json`. A shim that does not keep to it ends the search with one sentence.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from typing import Any

from oneleader.conformance.adapter import OPTIONAL, Adapter, May, Observed, Report, Sent
from oneleader.conformance.network import NETWORKS, Network
from oneleader.errors import UsageError

VERSION = 1
SCHEMA: Mapping[str, Any] = json.loads(files(__package__).joinpath("shim.schema.json").read_text("utf-8"))
STARTING = 60.0  # seconds to answer the first request at least: runtimes take a while to load
MOST_SHOWN = 200  # characters of a line that is complained of
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "null": type(None),
}


class ShimError(UsageError):
    """The child process does not keep to the protocol."""


class RaisedInShim(Exception):
    """The shim answered with an `error`: its implementation raised."""


class Shim:
    """The child process. `with Shim(command) as shim: conform(shim.adapter)`."""

    def __init__(self, command: Sequence[str], timeout: float = 10.0, network: Network | None = None) -> None:
        self.command, self.timeout = command, timeout
        self.number = 0
        self.waiting = b""  # read, and not yet taken as an answer
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        pipe = subprocess.PIPE
        try:
            self.child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.errors)
        except OSError as error:
            raise ShimError(f"cannot start the shim {command[0]}: {error.strerror}") from None
        try:
            self._greet(network)
        except BaseException:
            self.close()
            raise

    def _greet(self, network: Network | None) -> None:
        hello = self.ask("hello", "hello", version=VERSION)
        if hello["version"] != VERSION:
            raise ShimError(f"the shim speaks version {hello['version']} of the protocol, not {VERSION}")
        self.can = self._among("can", hello.get("can", []), OPTIONAL)
        may = self._among("may", hello.get("may", []), [m.value for m in May])
        self.may = [May(name) for name in may]
        (name,) = self._among("network", [hello.get("network", "udp")], NETWORKS)
        self.network = network or NETWORKS[name]
        self.crash_points = tuple(hello.get("crash_points", []))

    def _among(self, field: str, given: Sequence[str], known: Any) -> list[str]:
        for name in given:
            if name not in known:
                raise ShimError(f"the shim says {name!r} in {field!r}: choose from {', '.join(known)}")
        return list(given)

    def __enter__(self) -> Shim:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.child.kill()
        self.child.communicate()
        self.errors.close()

    def adapter(self, nodes: Sequence[str]) -> Adapter:
        return ShimAdapter(self, nodes)

    # One request and its answer

    def ask(self, do: str, kind: str, **more: Any) -> dict[str, Any]:
        """The answer to a request; `kind` says what the schema calls it."""
        if self.waiting:
            raise self._wrong(f"wrote a line that nobody asked for: {shortened(self.waiting)}")
        self.number += 1
        request = json.dumps({"id": self.number, "do": do, **more}, separators=(",", ":"))
        assert self.child.stdin is not None
        try:
            self.child.stdin.write(request.encode() + b"\n")
            self.child.stdin.flush()
        except OSError:
            raise self._wrong(f"ended before it was asked {shortened(request.encode())}") from None
        return self._answer(self._line(request), kind)

    def _line(self, request: str) -> bytes:
        assert self.child.stdout is not None
        reading = self.child.stdout.fileno()
        while b"\n" not in self.waiting:
            limit = self.timeout if self.number > 1 else max(self.timeout, STARTING)
            if not select.select([reading], [], [], limit)[0]:
                asked = shortened(request.encode())
                raise self._wrong(f"gave no answer within {limit:g} seconds to {asked}")
            data = os.read(reading, 1 << 16)
            if not data:
                raise self._wrong(f"ended when it was asked {shortened(request.encode())}")
            self.waiting += data
        line, _, self.waiting = self.waiting.partition(b"\n")
        return line

    def _answer(self, line: bytes, kind: str) -> dict[str, Any]:
        try:
            answer = json.loads(line)
        except ValueError:
            raise self._wrong(f"wrote a line that is not JSON: {shortened(line)}") from None
        wrong = misfit(answer, SCHEMA["$defs"][kind], "the answer")
        if wrong:
            raise self._wrong(f"wrote {shortened(line)}, where {wrong}")
        if answer["id"] != self.number:
            raise self._wrong(f"answered {answer['id']} when it was asked {self.number}: {shortened(line)}")
        found: dict[str, Any] = answer
        return found

    def _wrong(self, what: str) -> ShimError:
        """One sentence, with the last words of the child."""
        with suppress(subprocess.TimeoutExpired):
            self.child.wait(0.2)
        self.errors.seek(0)
        last = self.errors.read().decode(errors="replace").strip().splitlines()[-1:]
        said = f"; its last words: {last[0]}" if last else ""
        return ShimError(f"the shim {what}{said}")


def shortened(line: bytes) -> str:
    text = line.decode(errors="replace").strip()
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + " ..."


def misfit(value: Any, schema: Mapping[str, Any], where: str) -> str:
    """How a value does not fit a schema, of the words that `shim.schema.json` uses; "" if it fits."""
    if "$ref" in schema:
        return misfit(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], where)
    wanted = schema.get("type", [])
    names = [wanted] if isinstance(wanted, str) else wanted
    if names and (isinstance(value, bool) or not isinstance(value, tuple(TYPES[n] for n in names))):
        return f"{where} is not {' or '.join(names)}"
    if isinstance(value, dict):
        return misfit_object(value, schema, where)
    if isinstance(value, list) and "items" in schema:
        found = (misfit(item, schema["items"], f"{where}[{i}]") for i, item in enumerate(value))
        return next(filter(None, found), "")
    return ""


def misfit_object(value: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> str:
    lacks = [name for name in schema.get("required", ()) if name not in value]
    if lacks:
        return f"{where} lacks {lacks[0]!r}"
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name, inner in value.items():
        if name not in known and others is False:
            return f"{where} has an unknown field {name!r}: choose from {', '.join(known)}"
        wrong = misfit(inner, known.get(name, others), f"{name!r}")
        if wrong:
            return wrong
    return ""


class ShimAdapter(Adapter):
    """A cluster in the child process, from its `start` to the next one's."""

    def __init__(self, shim: Shim, nodes: Sequence[str]) -> None:
        self.shim = shim
        self.may, self.network, self.crash_points = shim.may, shim.network, shim.crash_points
        self.abilities = frozenset(shim.can)
        answer = shim.ask("start", "start", nodes=list(nodes))
        if set(answer["servers"]) != set(nodes):
            raise ShimError(
                f"the shim started {' '.join(answer['servers'])} when asked for {' '.join(nodes)}"
            )
        self.servers = {node: observed(shown) for node, shown in answer["servers"].items()}

    def timeout(self, node: str) -> Report:
        return self._step("timeout", node)

    def heartbeat(self, node: str) -> Report:
        return self._step("heartbeat", node)

    def receive(self, node: str, message: Any, sender: str = "") -> Report:
        return self._step("receive", node, sender=sender, message=message)

    def crash(self, node: str) -> Report:
        return self._step("crash", node)

    def restart(self, node: str) -> Report:
        return self._step("restart", node)

    def propose(self, node: str, value: str) -> Report:
        return self._step("propose", node, value=value)

    def read(self, node: str) -> Report:
        return self._step("read", node)

    def compact(self, node: str) -> Report:
        return self._step("compact", node)

    def transfer(self, node: str, to: str) -> Report:
        return self._step("transfer", node, to=to)

    def change_members(self, node: str, members: Sequence[str]) -> Report:
        return self._step("change_members", node, members=list(members))

    def crash_next(self, node: str, point: str) -> None:
        self._step("crash_next", node, point=point)

    def observe(self, node: str) -> Observed | None:
        return self.servers[node]

    def describe(self, message: Any) -> str:
        return json.dumps(message, sort_keys=True)

    def _step(self, do: str, node: str, **more: Any) -> Report:
        answer = self.shim.ask(do, "step", node=node, **more)
        if "error" in answer:
            raise RaisedInShim(answer["error"])
        if "server" in answer:
            self.servers[node] = observed(answer["server"])
        return Report(
            [Sent(sent["to"], sent["message"]) for sent in answer.get("sent", [])],
            applied=[(index, plain(value)) for index, value in map(pair, answer.get("applied", []))],
            answered=[plain(value) for value in answer.get("answered", [])],
            read=[plain(value) for value in answer.get("read", [])],
        )


def observed(shown: Mapping[str, Any] | None) -> Observed | None:
    if shown is None:
        return None
    given = dict(shown)
    if "log" in given:
        given["log"] = tuple((term, plain(value)) for term, value in map(pair, given["log"]))
    for name in ("votes", "members"):
        if name in given:
            given[name] = frozenset(given[name])
    return Observed(**given)


def pair(given: Sequence[Any]) -> tuple[int, Any]:
    """[term, value] or [index, value]."""
    if len(given) != 2 or not isinstance(given[0], int):
        raise ShimError(f"the shim wrote {json.dumps(given)} where a number and a value belong")
    return given[0], given[1]


def plain(value: Any) -> Hashable:
    """A value that can be compared and hashed."""
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value
