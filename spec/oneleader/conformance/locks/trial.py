"""One lock, driven event by event and judged after each.

("acquire", "c1", "c1.1")  a client asks for the lock; the grant is to be called so
("renew", "c1.1")      the client wants to keep it; "release": to give it back
("expire",)            so much time passes that no grant lasts
("fail_over",)         the issuer loses its last grant
("send", "c1.1")       the client begins a write, unless it knows that its grant is over; now it may pause
("arrive", "c1.1")     the write arrives, now or late or again
("read",)              somebody reads what was written last
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from oneleader.conformance.judge import StepRefused
from oneleader.conformance.locks.adapter import LockAdapter, LockGrant, lock_can
from oneleader.conformance.locks.fenced import FencingJudge
from oneleader.conformance.trial import Broke, Driven, Event, raised
from oneleader.errors import UsageError
from oneleader.models import fencing

TOKENS = "tokens grow"
STALE = "no write of an older grant lands after one of a newer"
ONE = "one client takes itself to hold the lock"
OVER = "a grant ends with its time"
LAST = "what is read was written last"
CLIENTS = "what clients see"  # who judges by these clauses

# Each clause, where it stands, and what an adapter must have for it to be judged.
LOCK_CLAUSES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    TOKENS: ("model fencing, acquire: strictly monotone", ()),
    STALE: ("model fencing, no_stale_write", ()),
    ONE: ("dissertation 6.4.1: a lease excludes others while it lasts, on its holder's clock", ("holds",)),
    OVER: ("dissertation 6.4.1: a lease lasts until its time is over, and no longer", ("holds", "expire")),
    LAST: ("one register", ("read",)),
}


@dataclass
class LockTrial(Driven):
    """The lock, what its clients were granted and have sent, its judges, and what happened so far."""

    adapter: LockAdapter
    clients: tuple[str, ...]
    model: FencingJudge | None = None  # beside what clients see
    known: Collection[str] = ()  # causes that are passed over
    events: list[Event] = field(default_factory=list)  # those that happened
    steps: list[str] = field(default_factory=list)  # the same in words
    heard: list[str] = field(default_factory=list)  # what each step gave, to compare runs
    grants: dict[str, LockGrant] = field(default_factory=dict)  # in their order
    sent: dict[str, str] = field(default_factory=dict)  # what each grant's write says, once it has left
    issued: list[str] = field(default_factory=list)  # those that the issuer knows of
    lost: set[str] = field(default_factory=set)  # those that it has lost
    running: set[str] = field(default_factory=set)  # grants, renewed or new since time passed, not released
    landed: list[str] = field(default_factory=list)  # whose writes were accepted, in order
    value: str | None = None  # written last
    compared: Counter[str] = field(default_factory=Counter)  # how often each clause had something to compare
    stopped: set[str] = field(default_factory=set)  # the model, where it could not follow to the end
    followed: Counter[str] = field(default_factory=Counter)  # the model's steps after a grant
    passed_over: set[str] = field(default_factory=set)  # known causes that were met
    liveness: dict[str, str] = field(default_factory=dict)
    is_told: bool = False

    def __post_init__(self) -> None:
        self.abilities = lock_can(self.adapter)
        self.models = {fencing.MODEL.name: self.model} if self.model else {}

    @property
    def has_led(self) -> bool:
        return bool(self.grants)

    # Events

    def on_acquire(self, event: Event, client: str, name: str) -> None:
        grant = self._step(event, f"{client} asks for the lock", lambda: self.adapter.acquire(client))
        if grant is None:
            self._tell("it is held")
            return
        self._tell(f"{name}, token {grant.token}")
        tokens = [self.grants[other].token for other in self.issued]
        self.grants[name] = grant
        self.issued.append(name)
        self.running.add(name)
        self._ask(lambda model: model.granted(name, grant.token))
        if tokens:
            self._compare(TOKENS, grant.token > max(tokens), f"token {grant.token} after {max(tokens)}")
        self._look()

    def on_renew(self, event: Event, name: str) -> None:
        if name in self.grants:
            done = self._step(event, f"{name} is renewed", lambda: self.adapter.renew(self.grants[name]))
            self._tell("done" if done else "it is over")
            if done:
                self.running.add(name)
                self._ask(lambda model: model.renewed(name))
            self._look()

    def on_release(self, event: Event, name: str) -> None:
        if name in self.grants:
            done = self._step(event, f"{name} is released", lambda: self.adapter.release(self.grants[name]))
            self._tell("done" if done else "it is over")
            self.running.discard(name)
            if done:
                self._ask(lambda model: model.released(name))
            self._look()

    def on_expire(self, event: Event) -> None:
        self._step(event, "time passes, more than a grant lasts", self.adapter.expire)
        self.running.clear()
        self._ask(lambda model: model.time_passed(set(self.grants)))
        self._look()

    def on_fail_over(self, event: Event) -> None:
        """Its holder hears nothing of it, so that two may take themselves to hold the lock."""
        if not self.issued:
            return
        lost = self.issued.pop()
        self.lost.add(lost)
        self._step(event, f"the issuer has lost {lost}", self.adapter.fail_over)
        last = max((self.grants[name].token for name in self.issued), default=0)
        self._ask(lambda model: model.failed_over(last))

    def on_send(self, event: Event, name: str) -> None:
        """Its holder looks at its clock, where it has one, and may pause after that."""
        if name in self.grants:
            value = f"{name} writes {len(self.steps)}"
            begins = self._step(event, f"{name} begins a write", lambda: self._holds(name))
            self._tell("" if begins else "it knows that its grant is over")
            if begins:
                self.sent[name] = value

    def on_arrive(self, event: Event, name: str) -> None:
        if name not in self.sent:
            return
        grant, value = self.grants[name], self.sent[name]
        accepted = bool(self._step(event, f"{value!r} arrives", lambda: self.adapter.write(grant, value)))
        self._tell("accepted" if accepted else "refused")
        self._ask(lambda model: model.arrived(name, grant.token, accepted))
        if accepted:
            self.value = value
            self._land(name)

    def on_read(self, event: Event) -> None:
        found = self._step(event, "a read", self.adapter.read)
        self._tell(repr(found))
        self._compare(LAST, found == self.value, f"{found!r} is read, and {self.value!r} was written last")

    # Steps and their judges

    def _step(self, event: Event, words: str, act: Callable[[], Any]) -> Any:
        self.events.append(event)
        self.steps.append(words)
        self.heard.append("")
        try:
            return act()
        except UsageError:
            raise
        except Exception as error:
            self._refuse(raised(error))
            return None

    def _tell(self, what: str) -> None:
        """What came of the step."""
        self.heard[-1] = what
        self.steps[-1] += f": {what}" if what else ""

    def _holds(self, name: str) -> bool:
        return "holds" not in self.abilities or self.adapter.holds(self.grants[name])

    def _land(self, name: str) -> None:
        order = list(self.grants)
        token = {other: self.grants[other].token for other in {*self.landed, name}}  # less, after a failover
        newer = [o for o in self.landed if order.index(o) > order.index(name) and token[o] >= token[name]]
        if len(self.landed) > 0:
            words = f"a write of {name} was accepted, after one of {newer[0] if newer else ''}"
            self._compare(STALE, not newer, words)
        self.landed.append(name)

    def _look(self) -> None:
        """Who takes itself to hold the lock now: of the latest grants, for each is asked."""
        if "holds" not in self.abilities:
            return
        known = [name for name in self.grants if name not in self.lost]
        holding = [name for name in known[-4:] if self.adapter.holds(self.grants[name])]
        self._compare(ONE, len(holding) < 2, f"{' and '.join(holding)} take themselves to hold the lock")
        if "expire" in self.abilities:
            over = [name for name in holding if name not in self.running]
            self._compare(OVER, not over, f"{' '.join(over)} would write still, and its time is over")

    def _compare(self, clause: str, holds: bool, words: str) -> None:
        self.compared[clause] += 1
        if not holds:
            self._refuse(Broke(CLIENTS, clause, f"{words}\n{clause}: {LOCK_CLAUSES[clause][0]}"))

    def _ask(self, question: Callable[[FencingJudge], None]) -> None:
        name = fencing.MODEL.name
        if self.model is None or name in self.stopped:
            return
        try:
            question(self.model)
            self.followed[name] += self.has_led
        except StepRefused as why:
            self.stopped.add(name)
            self._refuse(Broke(name, why.refusal.cause, str(why)))
