"""An implementation in any language: a child process that speaks JSON lines. See docs/any-language.md.

One request a line on its standard input, one answer a line on its standard output, in order. What an answer
may hold stands in `shim.schema.json`. A shim that does not keep to it ends the search with one sentence.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, TypeVar

import msgspec

from oneleader.conformance.adapter import MODELS, OPTIONAL, Adapter, May, Observed, Report, Sent
from oneleader.conformance.locks.adapter import LOCK_OPTIONAL, LockAdapter, LockGrant
from oneleader.conformance.network import NETWORKS, Network
from oneleader.conformance.trial import RaisedElsewhere
from oneleader.errors import UsageError

VERSION = 1
SCHEMA = files(__package__).joinpath("shim.schema.json")
ACQUIRE = "acquire"  # what a shim around a lock can, and no other
SLICE = 0.2  # seconds after which it is looked whether the child is still there
STARTING = 60.0  # seconds to answer the first request at least: runtimes take a while to load
MOST_SHOWN = 200  # characters of a line that is complained of
LONGEST_LINE = 1 << 24  # bytes
LAST_WORDS = 1 << 20  # bytes of its standard error that are read
# Where Go, Java and Rust say it, before the stack: in Rust on the line after.
A_PANIC = re.compile(r"panic: |fatal error: |Exception in thread |thread '.*' .*panicked at ")
MOST_ERRORS = 1 << 26  # bytes of it that are kept on the disk


# --- What the lines hold ----------------------------------------------------------------------------------


class Line(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Every answer repeats the number of its request."""

    id: int


class ServerShown(msgspec.Struct, forbid_unknown_fields=True):
    """What can be seen of a server."""

    term: int
    voted_for: str | None
    role: Literal["follower", "pre-candidate", "candidate", "leader"] | None
    votes: list[str] | None = None
    log: list[tuple[int, Any]] | None = None
    first: int = 1
    commit: int | None = None
    members: list[str] | None = None
    match: dict[str, int] | None = None
    lease: bool | None = None
    clock: int | None = None
    joint: list[str] | None = None


class SentShown(msgspec.Struct, forbid_unknown_fields=True):
    """A message that left; it is handed on as it was written."""

    to: str
    message: msgspec.Raw


class HelloAnswer(Line, kw_only=True):
    """What the shim can."""

    version: int
    can: list[str] = []
    may: list[str] = []
    network: str = "udp"
    crash_points: list[str] = []
    rates: tuple[int, int] = (1, 1)
    models: list[str] = []
    promise: int = 0
    lease: int = 0


class StartAnswer(Line, kw_only=True):
    """All servers, at first."""

    servers: dict[str, ServerShown | None]


class ElapseAnswer(Line, kw_only=True):
    """Those of which something else is to be seen now."""

    servers: dict[str, ServerShown | None] = {}


class StepAnswer(Line, kw_only=True):
    """What a step did; `server` is left out where nothing is new to be seen."""

    server: ServerShown | msgspec.UnsetType | None = msgspec.UNSET
    sent: list[SentShown] = []
    applied: list[tuple[int, Any]] = []
    answered: list[Any] = []
    read: list[Any] = []
    error: str | None = None


class GrantShown(msgspec.Struct, forbid_unknown_fields=True):
    """A lock that was granted; `handle` comes back with all that is done by it."""

    token: int
    handle: Any = None


class LockAnswer(Line, kw_only=True):
    """What a step of a lock gave: a grant, whether it was done, or a value that was read."""

    grant: GrantShown | None = None
    done: bool = False
    value: Any = None
    error: str | None = None


L = TypeVar("L", bound=Line)


def schema() -> dict[str, Any]:
    """The JSON Schema of an answer, as it stands in `shim.schema.json`."""
    kinds = (HelloAnswer, StartAnswer, ElapseAnswer, StepAnswer, LockAnswer)
    _, parts = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    title = f"What a shim answers to oneleader conform, one line for each request, version {VERSION}"
    any_of = [{"$ref": f"#/$defs/{name}"} for name in (kind.__name__ for kind in kinds)]
    draft = "https://json-schema.org/draft/2020-12/schema"
    whole = {"$schema": draft, "title": title, "$defs": parts, "anyOf": any_of}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(whole))
    return plain


# --- The child process ------------------------------------------------------------------------------------


class ShimError(UsageError):
    """The child process does not keep to the protocol."""


class Shim:
    """The child process. `with Shim(command) as shim: conform(shim.adapter)`."""

    def __init__(self, command: Sequence[str], timeout: float = 10.0, network: Network | None = None) -> None:
        self.command, self.timeout = command, timeout
        self.number = 0
        self.may_have_left = True  # all to another process, and ended well before its first answer
        self.waiting = bytearray()  # read, and not yet taken as an answer
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        pipe = subprocess.PIPE
        try:
            self.child = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=self.errors, bufsize=0, start_new_session=True
            )
        except OSError as error:
            raise ShimError(f"cannot start the shim {command[0]}: {error.strerror}") from None
        assert self.child.stdin is not None
        os.set_blocking(self.child.stdin.fileno(), False)
        try:
            self._greet(network)
        except BaseException:
            self.close()
            raise

    def _greet(self, network: Network | None) -> None:
        hello = self.ask("hello", HelloAnswer, version=VERSION)
        self.may_have_left = self.child.poll() == 0
        if hello.version != VERSION:
            raise ShimError(f"the shim speaks version {hello.version} of the protocol, not {VERSION}")
        self.can = self._among("can", hello.can, (*OPTIONAL, ACQUIRE, *LOCK_OPTIONAL))
        self.may = [May(name) for name in self._among("may", hello.may, [m.value for m in May])]
        (name,) = self._among("network", [hello.network], NETWORKS)
        self.network = network or NETWORKS[name]
        self.models = self._among("models", hello.models, MODELS)
        self.promise, self.lease = hello.promise, hello.lease
        self.crash_points, self.rates = tuple(hello.crash_points), hello.rates
        if not 0 < self.rates[0] <= self.rates[1]:
            raise ShimError(f"the shim says {list(self.rates)} in 'rates': the least above 0, the greatest")

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
        """End the child, and what it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.kill()
        for pipe in (self.child.stdin, self.child.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        self.child.wait()
        self.errors.close()

    def adapter(self, nodes: Sequence[str]) -> Adapter:
        return ShimAdapter(self, nodes)

    @property
    def is_lock(self) -> bool:
        """Whether there is a lock behind it, and no Raft."""
        return ACQUIRE in self.can

    def lock(self, clients: Sequence[str]) -> LockAdapter:
        return ShimLock(self, clients)

    # One request and its answer

    def ask(self, do: str, kind: type[L], **more: Any) -> L:
        """The answer to a request."""
        if self.waiting:
            raise self._wrong(f"wrote a line that nobody asked for: {shortened(bytes(self.waiting))}")
        self.number += 1
        self._forget_errors()
        try:
            request = msgspec.json.encode({"id": self.number, "do": do, **more})
        except OverflowError:
            raise self._wrong(f"gave a number beyond 64 bits, which {do!r} has to name") from None
        limit = self.timeout if self.number > 1 else max(self.timeout, STARTING)
        until = time.monotonic() + limit
        late = f"gave no answer within {limit:g} seconds to {shortened(request)}"
        self._write(request + b"\n", until, late)
        return self._answer(self._line(request, until, late), kind)

    def _forget_errors(self) -> None:
        """A shim may log as much as it likes; where it writes next is shared with it."""
        file = self.errors.fileno()
        if os.fstat(file).st_size > MOST_ERRORS:
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)

    def _write(self, request: bytes, until: float, late: str) -> None:
        assert self.child.stdin is not None
        writing, asked = self.child.stdin.fileno(), shortened(request)
        while request:
            if not self._is_ready([], [writing], until):
                raise self._wrong(self._ended(f"before it was asked {asked}") if self._is_gone() else late)
            try:
                request = request[os.write(writing, request) :]
            except OSError:
                raise self._wrong(self._ended(f"before it was asked {asked}")) from None

    def _line(self, request: bytes, until: float, late: str) -> bytes:
        assert self.child.stdout is not None
        reading = self.child.stdout.fileno()
        start = 0
        while (end := self.waiting.find(b"\n", start)) < 0:
            start = len(self.waiting)
            if start > LONGEST_LINE:
                so_far = shortened(bytes(self.waiting[:1000]))
                raise self._wrong(f"wrote a line without an end, {start >> 20} MB so far: {so_far}")
            is_ready = self._is_ready([reading], [], until)
            data = os.read(reading, 1 << 16) if is_ready else b""
            if not data and not is_ready and not self._is_gone():
                raise self._wrong(late)
            if not data:
                said = f"; it wrote {shortened(bytes(self.waiting))}" if self.waiting else ""
                raise self._wrong(self._ended(f"when it was asked {shortened(request)}{said}"))
            self.waiting += data
        line = bytes(self.waiting[:end])
        del self.waiting[: end + 1]
        return line

    def _is_ready(self, reading: list[int], writing: list[int], until: float) -> bool:
        """Whether a pipe can be used by then. Of a child that is gone no more is waited for: what it has
        started may keep its pipes open."""
        is_gone = False
        while True:
            patience = 0.0 if is_gone else min(SLICE, max(0.0, until - time.monotonic()))
            if any(select.select(reading, writing, [], patience)):
                return True
            if is_gone or time.monotonic() >= until:
                return False
            is_gone = self._is_gone()

    def _is_gone(self) -> bool:
        status = self.child.poll()
        return status is not None and not (self.may_have_left and status == 0)

    def _ended(self, when: str) -> str:
        """How, where that says something: nobody has last words in a segmentation fault."""
        with suppress(subprocess.TimeoutExpired):
            self.child.wait(SLICE)
        status = self.child.returncode
        if status is None:
            return f"closed its pipes {when}"
        if status < 0:
            return f"ended by {signal.Signals(-status).name} {when}"
        return f"ended with status {status} {when}" if status else f"ended {when}"

    def _answer(self, line: bytes, kind: type[L]) -> L:
        try:
            line.decode()  # the messages too, which are handed on as they are
            answer = msgspec.json.decode(line, type=kind)
        except msgspec.ValidationError as error:
            raise self._wrong(f"wrote {shortened(line)}, which is no answer: {plainly(error)}") from None
        except RecursionError:
            raise self._wrong(f"wrote a line that is nested too deeply: {shortened(line)}") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._wrong(f"wrote a line that is not JSON: {shortened(line) or 'an empty one'}") from None
        if answer.id != self.number:
            raise self._wrong(f"answered {answer.id} when it was asked {self.number}: {shortened(line)}")
        return answer

    def _wrong(self, what: str) -> ShimError:
        """One sentence, with the last words of the child."""
        with suppress(subprocess.TimeoutExpired):
            self.child.wait(SLICE)
        self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - LAST_WORDS))
        last = last_words(self.errors.read())
        return ShimError(f"the shim {what}{f'; its last words: {last}' if last else ''}")


def last_words(errors: bytes) -> str:
    """The last line that it wrote, or that on which its language tells why a process ends."""
    lines = errors.decode(errors="replace").strip().splitlines()
    told = [number for number, line in enumerate(lines) if A_PANIC.match(line)]
    words = lines[told[-1] :][: 2 if lines[told[-1]].endswith(":") else 1] if told else lines[-1:]
    return shortened(" ".join(words).encode())


def shortened(line: bytes) -> str:
    """A line as people can read it: one that is empty, or has signs that cannot be seen, too."""
    text = line.decode(errors="replace").strip()
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: MOST_SHOWN + 1])
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + " ..."


def plainly(error: msgspec.ValidationError) -> str:
    """`Expected `int`, got `str` - at `$.server.term`` in the words of the protocol's page."""
    what, _, where = str(error).partition(" - at ")
    at = where.strip("`").removeprefix("$").lstrip(".")
    what = what.replace("Object missing required field", "it lacks").replace("`", "'")
    what = what.replace("Object contains unknown field", "it has an unknown field")
    what = what[0].lower() + what[1:]
    return f"in {at!r}, {what}" if at else what


class ShimAdapter(Adapter):
    """A cluster in the child process, from its `start` to the next one's."""

    def __init__(self, shim: Shim, nodes: Sequence[str]) -> None:
        self.shim = shim
        self.may, self.network, self.crash_points = shim.may, shim.network, shim.crash_points
        self.abilities, self.rates = frozenset(shim.can), shim.rates
        self.models, self.promise, self.lease = shim.models, shim.promise, shim.lease
        answer = shim.ask("start", StartAnswer, nodes=list(nodes))
        if set(answer.servers) != set(nodes):
            raise ShimError(f"the shim started {' '.join(answer.servers)} when asked for {' '.join(nodes)}")
        self.servers = {node: observed(shown) for node, shown in answer.servers.items()}

    def timeout(self, node: str) -> Report:
        return self._step("timeout", node)

    def heartbeat(self, node: str) -> Report:
        return self._step("heartbeat", node)

    def receive(self, node: str, message: Any, sender: str = "") -> Report:
        return self._step("receive", node, sender=sender, message=message)

    def crash(self, node: str) -> Report:
        self.servers[node] = None  # unless it says what is stored
        return self._step("crash", node)

    def crash_keeping(self, node: str, writes: int, torn: bool) -> Report:
        self.servers[node] = None
        return self._step("crash_keeping", node, writes=writes, torn=torn)

    def restart(self, node: str) -> Report:
        return self._step("restart", node)

    def propose(self, node: str, value: str) -> Report:
        return self._step("propose", node, value=value)

    def retry(self, node: str, value: str) -> Report:
        return self._step("retry", node, value=value)

    def read(self, node: str) -> Report:
        return self._step("read", node)

    def compact(self, node: str) -> Report:
        return self._step("compact", node)

    def transfer(self, node: str, to: str) -> Report:
        return self._step("transfer", node, to=to)

    def change_members(self, node: str, members: Sequence[str]) -> Report:
        return self._step("change_members", node, members=list(members))

    def elapse(self, advance: Mapping[str, int]) -> None:
        answer = self.shim.ask("elapse", ElapseAnswer, advance=dict(advance))
        self.servers |= {node: observed(shown) for node, shown in answer.servers.items()}

    def crash_next(self, node: str, point: str) -> None:
        self._step("crash_next", node, point=point)

    def observe(self, node: str) -> Observed | None:
        return self.servers[node]

    def describe(self, message: msgspec.Raw) -> str:
        """Its keys in order, for some languages write them as they come."""
        try:
            return msgspec.json.encode(msgspec.json.decode(message), order="sorted").decode()
        except (msgspec.DecodeError, OverflowError):  # what JSON may say and Python cannot
            return bytes(message).decode()

    def _step(self, do: str, node: str, **more: Any) -> Report:
        answer = self.shim.ask(do, StepAnswer, node=node, **more)
        if answer.error is not None:
            raise RaisedElsewhere(answer.error)
        if not isinstance(answer.server, msgspec.UnsetType):
            self.servers[node] = observed(answer.server)
        return Report(
            [Sent(sent.to, sent.message) for sent in answer.sent],
            applied=[(index, plain(value)) for index, value in answer.applied],
            answered=[plain(value) for value in answer.answered],
            read=[plain(value) for value in answer.read],
        )


class ShimLock(LockAdapter):
    """A lock in the child process, from its `start` to the next one's."""

    def __init__(self, shim: Shim, clients: Sequence[str]) -> None:
        self.shim, self.abilities = shim, frozenset(shim.can) & {*LOCK_OPTIONAL}
        self._ask("start", nodes=list(clients))

    def acquire(self, client: str) -> LockGrant | None:
        grant = self._ask(ACQUIRE, client=client).grant
        return LockGrant(client, grant.token, grant.handle) if grant else None

    def write(self, grant: LockGrant, value: str) -> bool:
        return self._of("write", grant, value=value)

    def renew(self, grant: LockGrant) -> bool:
        return self._of("renew", grant)

    def release(self, grant: LockGrant) -> bool:
        return self._of("release", grant)

    def holds(self, grant: LockGrant) -> bool:
        return self._of("holds", grant)

    def expire(self) -> None:
        self._ask("expire")

    def fail_over(self) -> None:
        self._ask("fail_over")

    def read(self) -> Hashable:
        return plain(self._ask("read").value)

    def _of(self, do: str, grant: LockGrant, **more: Any) -> bool:
        by = {"client": grant.client, "token": grant.token, "handle": grant.handle}
        return self._ask(do, **by, **more).done

    def _ask(self, do: str, **more: Any) -> LockAnswer:
        answer = self.shim.ask(do, LockAnswer, **more)
        if answer.error is not None:
            raise RaisedElsewhere(answer.error)
        return answer


def observed(shown: ServerShown | None) -> Observed | None:
    if shown is None:
        return None
    return Observed(
        shown.term,
        shown.voted_for,
        shown.role,
        None if shown.votes is None else frozenset(shown.votes),
        None if shown.log is None else tuple((term, plain(value)) for term, value in shown.log),
        shown.first,
        shown.commit,
        None if shown.members is None else frozenset(shown.members),
        shown.match,
        shown.lease,
        shown.clock,
        None if shown.joint is None else frozenset(shown.joint),
    )


@dataclass(frozen=True)
class Written:
    """A value that is no text, number or null: it equals what is written the same, and no text or number."""

    text: str

    def __repr__(self) -> str:
        return self.text


def plain(value: Any) -> Hashable:
    """A value that can be compared and hashed."""
    if isinstance(value, (dict, list, bool)):
        return Written(json.dumps(value, sort_keys=True, ensure_ascii=False))
    return value  # type: ignore[no-any-return]
