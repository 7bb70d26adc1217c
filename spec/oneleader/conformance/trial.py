"""One cluster of an implementation, driven event by event and judged after each.

An event is a tuple of strings, so that runs can be saved, shown and shortened by leaving events out: one
that cannot happen is passed over.

("timeout", "n1")            the election timer rings; so "heartbeat", "crash", "restart", "read", "compact"
("propose", "n1", "v3")      a client proposes a value
("transfer", "n1", "n2")     n1 is to hand its leadership over
("crash_next", "n1", point)  the next step of n1 crashes in the middle
("deliver", "n1", "n2")      the oldest message of n1 to n2 arrives; "burst": all of them do
("overtake", "n1", "n2", k)  the one after k others does; "copy": and stays on its way; "lose": never will
("freeze", "n1", "n2")       what travels there waits; "resume"; "break": it is lost
("cut", "n1", "n2")          what is sent there is lost, until ("heal",)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from oneleader.conformance.adapter import Adapter, Observed, Report, can, hand_over
from oneleader.conformance.judge import BeyondTheBound, Judge, StepRefused
from oneleader.conformance.network import Traffic
from oneleader.conformance.observations import Observations
from oneleader.errors import UsageError

MakeAdapter = Callable[[Sequence[str]], Adapter]
Event = tuple[str, ...]

FIGURE_3, MODEL, EXCEPTION = "Figure 3", "model", "exception"  # who found it


class Broke(Exception):
    """A step that a judge refuses, or in which the implementation raised."""

    def __init__(self, judge: str, cause: str, words: str) -> None:
        super().__init__(words)
        self.judge, self.cause, self.words = judge, cause, words

    @property
    def key(self) -> str:
        """The name of the cause, for `known`."""
        return f"{self.judge}: {self.cause}"


@dataclass
class Trial:
    """The cluster, its network, its judges, and what happened so far."""

    adapter: Adapter
    nodes: tuple[str, ...]
    model: Judge | None = None  # None: judged by Figure 3 alone
    events: list[Event] = field(default_factory=list)  # those that happened
    steps: list[str] = field(default_factory=list)  # the same in words
    heard: list[str] = field(default_factory=list)  # what each step gave, to compare runs
    down: set[str] = field(default_factory=set)
    dying: set[str] = field(default_factory=set)  # crash in their next step
    went_beyond: bool = False  # the greatest term of the model

    def __post_init__(self) -> None:
        self.abilities = can(self.adapter)
        self.traffic = Traffic()
        self.figure_3 = Observations(self.nodes)
        self.seen: dict[str, Observed | None] = {n: self.adapter.observe(n) for n in self.nodes}
        self._judge_beginning()

    @property
    def up(self) -> list[str]:
        return [node for node in self.nodes if node not in self.down]

    @property
    def leaders(self) -> list[str]:
        return [n for n in self.up if (seen := self.seen[n]) is not None and seen.role == "leader"]

    def play(self, event: Event) -> None:
        """Let it happen, if it can. Broke where the step is refused."""
        verb, *rest = event
        act = getattr(self, f"on_{verb}", None)
        if act is None:
            raise UsageError(f"{verb!r} is no event of a run")
        act(event, *rest)

    # Timers, crashes, clients

    def on_timeout(self, event: Event, node: str) -> None:
        self._step(event, node, f"{node}: election timeout", lambda: self.adapter.timeout(node))

    def on_heartbeat(self, event: Event, node: str) -> None:
        self._step(event, node, f"{node}: heartbeat timeout", lambda: self.adapter.heartbeat(node))

    def on_compact(self, event: Event, node: str) -> None:
        self._step(event, node, f"{node} compacts its log", lambda: self.adapter.compact(node))

    def on_transfer(self, event: Event, node: str, to: str) -> None:
        words = f"{node} is to hand over to {to}"
        self._step(event, node, words, lambda: self.adapter.transfer(node, to))

    def on_propose(self, event: Event, node: str, value: str) -> None:
        def propose() -> Report:
            self.figure_3.clients.propose(value)
            return self.adapter.propose(node, value)

        self._step(event, node, f"a client proposes {value} to {node}", propose)

    def on_read(self, event: Event, node: str) -> None:
        def read() -> Report:
            self.figure_3.clients.ask(node)
            return self.adapter.read(node)

        self._step(event, node, f"a client reads at {node}", read)

    def on_crash(self, event: Event, node: str) -> None:
        def crash() -> Report:
            self._fall(node)
            return self.adapter.crash(node)

        self._step(event, node, f"{node} crashes", crash)

    def on_crash_next(self, event: Event, node: str, point: str) -> None:
        if node in self.up and node not in self.dying and point in self.adapter.crash_points:
            self.adapter.crash_next(node, point)
            self.dying.add(node)
            self._note(event, f"the next step of {node} crashes: {point}")

    def on_restart(self, event: Event, node: str) -> None:
        if node in self.down:
            self.down.remove(node)
            self._step(event, node, f"{node} restarts", lambda: self.adapter.restart(node), restarts=True)

    # The network

    def on_deliver(self, event: Event, source: str, to: str) -> None:
        self._arrive(event, source, to, "0", keep=False)

    def on_overtake(self, event: Event, source: str, to: str, position: str) -> None:
        self._arrive(event, source, to, position, keep=False)

    def on_copy(self, event: Event, source: str, to: str, position: str) -> None:
        self._arrive(event, source, to, position, keep=True)

    def on_burst(self, event: Event, source: str, to: str) -> None:
        for _ in range(self.traffic.waiting((source, to))):
            self._arrive(("deliver", source, to), source, to, "0", keep=False)

    def on_lose(self, event: Event, source: str, to: str, position: str) -> None:
        if int(position) < self.traffic.waiting((source, to)):
            message = self.traffic.take((source, to), int(position))
            self._note(event, f"lost: {self.adapter.describe(message)} from {source} to {to}")

    def on_freeze(self, event: Event, source: str, to: str) -> None:
        if (source, to) not in self.traffic.frozen:
            self.traffic.frozen.add((source, to))
            self._note(event, f"what {source} sends to {to} is held up")

    def on_resume(self, event: Event, source: str, to: str) -> None:
        if (source, to) in self.traffic.frozen:
            self.traffic.frozen.remove((source, to))
            self._note(event, f"the link from {source} to {to} resumes")

    def on_break(self, event: Event, source: str, to: str) -> None:
        if self.traffic.links[source, to]:
            self.traffic.drop((source, to))
            self._note(event, f"the link from {source} to {to} breaks: what it held is lost")

    def on_cut(self, event: Event, source: str, to: str) -> None:
        if (source, to) not in self.traffic.cut:
            self.traffic.cut.add((source, to))
            self._note(event, f"what {source} sends to {to} is lost from now on")

    def on_heal(self, event: Event) -> None:
        if self.traffic.cut or self.traffic.frozen:
            self.traffic.heal()
            self._note(event, "the network heals")

    def _arrive(self, event: Event, source: str, to: str, position: str, *, keep: bool) -> None:
        if int(position) >= self.traffic.waiting((source, to)):
            return
        message = self.traffic.take((source, to), int(position), keep=keep)
        words = f"{to} receives {self.adapter.describe(message)} from {source}"
        words += " (and a copy of it stays on its way)" if keep else ""
        if to in self.down:
            self._note(event, f"lost, for {to} is down: {words}")
        else:
            self._step(event, to, words, lambda: hand_over(self.adapter, source, to, message))

    # Steps and their judges

    def _note(self, event: Event, words: str) -> None:
        self.events.append(event)
        self.steps.append(words)
        self.heard.append("")

    def _step(
        self, event: Event, node: str, words: str, act: Callable[[], Report], restarts: bool = False
    ) -> None:
        if node not in self.up:
            return
        if node in self.dying and not restarts:
            words += ", and crashes in the middle"
        self._note(event, words)
        try:
            report = act()
            if node in self.dying and not restarts:
                self._fall(node)
            self.seen[node] = self.adapter.observe(node)
        except UsageError:
            raise
        except Exception as error:
            name = type(error).__name__
            raise Broke(EXCEPTION, name, f"the implementation raised {name}: {error}") from error
        self.heard[-1] = self._heard(report, self.seen[node])
        self._judge(node, restarts, report)
        for sent in report.sent:
            if sent.to not in self.nodes:
                raise UsageError(f"{node} sent a message to {sent.to!r}, which is no node of this cluster")
            self.traffic.send((node, sent.to), sent.message)

    def _fall(self, node: str) -> None:
        self.down.add(node)
        self.dying.discard(node)
        self.figure_3.clients.forget(node)

    def _heard(self, report: Report, seen: Observed | None) -> str:
        sent = [f"{self.adapter.describe(s.message)} to {s.to}" for s in report.sent]
        return f"sent {', '.join(sent) or 'nothing'}; shows {seen}"

    def _judge_beginning(self) -> None:
        for node, seen in self.seen.items():
            if seen is None:
                raise UsageError(f"the adapter observes nothing of {node}, which is up: it must")
        breach = self.figure_3.begin(self.seen)
        if breach is not None:
            raise Broke(FIGURE_3, breach.cause, str(breach))
        self._ask_the_model(lambda model: model.begin(self.seen))

    def _judge(self, node: str, restarts: bool, report: Report) -> None:
        if node in self.up and self.seen[node] is None:
            raise UsageError(f"the adapter observes nothing of {node}, which is up: it must")
        # The model first, where it looks on: in all other walks Figure 3 judges alone.
        self._ask_the_model(lambda model: model.follow(node, restarts, report, self.seen))
        breach = self.figure_3.follow(node, restarts, report, self.seen)
        if breach is not None:
            raise Broke(FIGURE_3, breach.cause, str(breach))

    def _ask_the_model(self, question: Callable[[Judge], Any]) -> None:
        if self.model is None or self.went_beyond:
            return
        try:
            question(self.model)
        except BeyondTheBound:
            self.went_beyond = True
        except StepRefused as why:
            raise Broke(MODEL, why.refusal.cause, str(why)) from None
