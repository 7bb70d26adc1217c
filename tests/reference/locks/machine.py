"""The property test of a store of locks: Hypothesis drives it, and the model `fencing` beside it.

Clients acquire, pause, renew, release and write, late and twice; grants expire; the issuer loses its last
grants. Whatever the store answers has to be a step that the model allows, by the plain interpreter. Where it
is none, the step is taken all the same, without its guard, to see which property the store has broken.

A client of the model is one grant here: it acquires once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar, Protocol

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from oneleader.language import NIL
from oneleader.language.configuration import configure
from oneleader.models.fencing import LEMMAS, MODEL
from oneleader.readers.run import Disabled, Run
from oneleader_raft.locks import Found, Grant, HeldError, LostError, StaleError

CLIENTS, TOKENS = 6, 120
TAKEOVERS = 3
UNGUARDED = {
    name: MODEL.without_guard(name, guard).actions[name]
    for name, guard in [
        ("acquire", "token_is_newer"),
        ("accept_write", "write_is_current"),
        ("refuse_write", "write_is_stale"),
    ]
}
PROPERTIES = [name for name in MODEL.properties if name not in LEMMAS]
NUMBER = st.integers(0, 7)  # which client, which write: modulo how many there are


class Broken(AssertionError):
    """The store did what the model does not allow: and the properties that this breaks, if any."""

    def __init__(self, words: str, properties: list[str] | None = None) -> None:
        self.properties = properties or []
        super().__init__(
            "; this breaks ".join([words, *[", ".join(self.properties)] * bool(self.properties)])
        )


class Judge:
    """The model, with one resource, beside the store."""

    run = Run(
        MODEL,
        configure(MODEL, {"Resource": 1, "Client": CLIENTS, "Token": TOKENS}),
        frozenset(f.name for f in MODEL.fields.values() if f.kind == "ghost"),
    )

    def __init__(self) -> None:
        self.state = self.run.initial

    def take(self, name: str, *args: Any) -> None:
        try:
            self.state = self.run.step(self.state, MODEL.actions[name], (0, *args))
        except Disabled as disabled:
            guard = MODEL.actions[name].guards[disabled.guard]
            words = self.run.configuration.call(MODEL.actions[name], (0, *args))
            raise Broken(f"{words}: {guard}", self._broken_by(name, *args)) from None

    def allows(self, name: str, *args: Any) -> bool:
        return self.run.refused(self.state, MODEL.actions[name], (0, *args)) is None

    def value(self, field: str, *index: int) -> Any:
        cells = self.run.cells
        position = next(i for i, (f, key) in enumerate(cells.keys) if (f.name, key) == (field, (0, *index)))
        return self.state[position]

    def _broken_by(self, name: str, *args: Any) -> list[str]:
        if name not in UNGUARDED:
            return []
        try:
            after = self.run.step(self.state, UNGUARDED[name], (0, *args))
        except Disabled:
            return []
        return [name for name in PROPERTIES if self.run.violated(after, {name: MODEL.properties[name]})]


class API(Protocol):
    """`Locks`, or `AsyncLocks` driven from outside."""

    def acquire(self, resource: str, ttl: float = ..., wait: float = ...) -> Grant: ...
    def renew(self, grant: Grant) -> Grant: ...
    def release(self, grant: Grant) -> bool: ...
    def write_with_fencing(self, key: str, value: str, token: int, nonce: str = ...) -> None: ...
    def read(self, key: str) -> Found | None: ...


@dataclass(frozen=True)
class Subject:
    """A store under test.

    locks     its API
    expire    let the time of a grant that holds run out
    set_back  the issuer loses grants: its greatest token for the lock is this one again, and nobody holds it;
              None where an issuer loses nothing, and tokens start anywhere
    replace   another issuer takes over, and has lost nothing
    between   called by a store whose steps are not atomic: what others do meanwhile
    """

    locks: API
    expire: Callable[[Grant], object]
    set_back: Callable[[str, int], None] | None = None
    replace: Callable[[], None] | None = None
    between: list[Callable[[], None]] = field(default_factory=list)


@dataclass(frozen=True)
class Sent:
    """A write that may arrive at any time."""

    client: int
    value: str


class LocksMachine(RuleBasedStateMachine):
    subject: ClassVar[Subject]
    numbers: ClassVar[Any] = count()
    happened: ClassVar[dict[str, int]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.judge = Judge()
        self.name = f"é/ {next(self.numbers)}"
        self.grants: list[Grant] = []  # of client i
        self.sent: list[Sent] = []
        self.landed = ""  # the value that was accepted last

    @initialize(first=st.sampled_from([0, 8, 98, 2**53 - 2, 2**63 - 200]))
    def begin(self, first: int) -> None:
        """Where the tokens start: where they get longer, or become too long for a double."""
        if self.subject.set_back is None:
            probe = self.subject.locks.acquire(f"before {self.name}", 60)
            self.subject.locks.release(probe)
            first = probe.token
        elif first:
            self.subject.set_back(self.name, first)
        self.first = first

    # -- The lock --------------------------------------------------------------------------------
    @precondition(lambda self: len(self.grants) < CLIENTS)
    @rule()
    def acquire(self) -> None:
        client, last = len(self.grants), self.judge.value("last")
        try:
            grant = self.subject.locks.acquire(self.name, 60)
        except HeldError:
            if self.judge.allows("acquire", client, last + 1):
                raise Broken("acquire: refused, and the lock is free") from None
            self.note("held")
        else:
            if grant.token <= self.first:
                raise Broken(f"acquire: token {grant.token}, and {self.first} has been given out")
            self.judge.take("acquire", client, grant.token - self.first)
            self.grants.append(grant)
            self.note("acquired")

    @precondition(lambda self: self.holder is not None)
    @rule()
    def expire(self) -> None:
        self.subject.expire(self.grants[self.holder])
        self.judge.take("expire")
        self.note("expired")

    @precondition(lambda self: self.grants)
    @rule(number=NUMBER)
    def release(self, number: int) -> None:
        client = number % len(self.grants)
        ended = self.subject.locks.release(self.grants[client])
        self.same(ended, client == self.holder, "release")
        if ended:
            self.judge.take("expire")
        self.note("released" if ended else "released in vain")

    @precondition(lambda self: self.grants)
    @rule(number=NUMBER)
    def renew(self, number: int) -> None:
        client, renewed = number % len(self.grants), True
        try:
            self.subject.locks.renew(self.grants[client])
        except LostError:
            renewed = False
        self.same(renewed, client == self.holder, "renew")
        self.note("renewed" if renewed else "lost")

    @precondition(lambda self: self.subject.set_back is not None and self.judge.value("last") > 0)
    @rule(back=st.integers(1, 3))
    def fail_over(self, back: int) -> None:
        assert self.subject.set_back is not None
        token = max(0, self.judge.value("last") - back)
        if self.first + token > 0:
            self.subject.set_back(self.name, self.first + token)
            self.judge.take("fail_over", token)
            self.note("failed over")

    @precondition(lambda self: self.subject.replace is not None)
    @rule()
    def take_over(self) -> None:
        """For the model nothing happens. A few times for all: it takes a second."""
        assert self.subject.replace is not None
        if self.happened.get("taken over", 0) < TAKEOVERS:
            self.subject.replace()
            self.look()
            self.note("taken over")

    # -- Writing ---------------------------------------------------------------------------------
    @precondition(lambda self: self.grants)
    @rule(number=NUMBER)
    def write(self, number: int) -> None:
        """By anybody who was ever granted the lock: for who has paused no time has passed."""
        client = number % len(self.grants)
        self.send(client)
        self.arrives(self.sent[-1])

    @precondition(lambda self: self.sent)
    @rule(number=NUMBER)
    def arrive_again(self, number: int) -> None:
        self.arrives(self.sent[-1 - number % len(self.sent)])

    @precondition(lambda self: self.grants)
    @rule(one=NUMBER, two=NUMBER)
    def race(self, one: int, two: int) -> None:
        """The second write arrives while the first is being served, where the store lets it."""
        first, second = (self.send(number % len(self.grants)) for number in (one, two))
        outcomes: dict[Sent, bool] = {}
        self.subject.between.append(lambda: outcomes.update({second: self.put(second)}))
        outcomes[first] = self.put(first)
        while self.subject.between:
            self.subject.between.pop()()
        found = self.subject.locks.read(self.name)
        landed_last = (first, second) if found and found.value == second.value else (second, first)
        orders = [landed_last, landed_last[::-1]]
        explained = [order for order in orders if self.explains(order, outcomes)]
        for write in (explained or orders)[0]:
            self.judge_write(write, outcomes[write])
        self.look()
        self.note("raced")

    def send(self, client: int) -> Sent:
        self.judge.take("send_write", client)
        self.sent.append(Sent(client, f"value {len(self.sent)}"))
        return self.sent[-1]

    def put(self, write: Sent) -> bool:
        grant = self.grants[write.client]
        try:
            self.subject.locks.write_with_fencing(self.name, write.value, grant.token, grant.nonce)
        except StaleError:
            return False
        return True

    def arrives(self, write: Sent) -> None:
        accepted = self.put(write)
        self.judge_write(write, accepted)
        self.look()
        self.note("accepted" if accepted else "refused")

    def judge_write(self, write: Sent, accepted: bool) -> None:
        token = self.grants[write.client].token - self.first
        self.judge.take("accept_write" if accepted else "refuse_write", token, write.client)
        if accepted:
            self.landed = write.value

    def explains(self, order: tuple[Sent, ...], outcomes: dict[Sent, bool]) -> bool:
        """Whether this order of two writes is one that the model allows, and gives what can be read."""
        state, landed = self.judge.state, self.landed
        try:
            for write in order:
                self.judge_write(write, outcomes[write])
            self.look()
        except AssertionError:
            return False
        else:
            return True
        finally:
            self.judge.state, self.landed = state, landed

    def look(self) -> None:
        """What can be read is what the model says."""
        found = self.subject.locks.read(self.name)
        greatest, nonce = self.judge.value("greatest"), self.judge.value("nonce")
        expected = None
        if nonce is not NIL:
            expected = Found(self.landed, greatest + self.first)
        self.same(found, expected, "read")

    # -- Helpers -----------------------------------------------------------------------------------
    @property
    def holder(self) -> int | None:
        holder = self.judge.value("holder")
        return None if holder is NIL else int(holder)

    def same(self, answer: object, expected: object, what: str) -> None:
        if answer != expected:
            raise Broken(f"{what}: the store says {answer}, the model {expected}")

    def note(self, event: str) -> None:
        self.happened[event] = self.happened.get(event, 0) + 1


def machine(subject: Subject) -> type[LocksMachine]:
    return type("Machine", (LocksMachine,), {"subject": subject, "happened": {}})


def soon(milliseconds: float = 3) -> None:
    time.sleep(milliseconds / 1000)


def play(running: LocksMachine, first: int, steps: str) -> None:
    """These steps, where the greatest token before was `first`: "acquire, write 0, race 0 1"."""
    running.begin(first)
    for step in steps.split(", "):
        rule, *numbers = step.split()
        getattr(running, rule)(*map(int, numbers))
