"""The conformance test: Hypothesis drives an implementation and the model side by side.

Hypothesis chooses what happens: timers, deliveries late, twice and out of order, losses, crashes between
steps and within them. After every step `judge` says whether the model allows it. What Hypothesis finds it
shrinks, so a failure is a short scenario, in words and as a program that runs again.

    TestMyRaft = conformance_machine(MyAdapter).TestCase      # in a file of tests, for pytest
    print(check_conformance(MyAdapter).text)                  # anywhere else
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, reject, settings
from hypothesis import seed as use_seed
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from oneleader.conformance.adapter import Adapter, Observed, Report
from oneleader.conformance.judge import BeyondTheBound, Judge, LeadersOnly, Refusal, Refused, StepJudge, rules
from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.models import election

MakeAdapter = Callable[[Sequence[str]], Adapter]

TERMS = 6  # elections are started up to this term
MOST_IN_FLIGHT = 40  # the oldest messages beyond are lost
ANY = st.integers(0, 8)  # a node, by number
HOW = st.sampled_from(["once"] * 8 + ["twice"] * 3 + ["crash"] * 2 + ["lost"])
FEW = st.integers(0, 7)  # how many messages to pass over, which crash point


class NotConforming(AssertionError):
    """The implementation did what the model does not allow."""

    def __init__(self, steps: list[str], refused: Refused) -> None:
        self.steps, self._refused = steps, refused

    @property
    def refusal(self) -> Refusal:
        return self._refused.refusal

    def __str__(self) -> str:
        lines = [f"step {len(self.steps)}: {self.steps[-1]}" if self.steps else "before the first step"]
        lines += [f"    {line}" for line in self.refusal.words]
        lines += ["the steps:", *(f"{number:4}  {words}" for number, words in enumerate(self.steps, 1))]
        return "\n".join(lines)


@dataclass
class Coverage:
    """What has happened in all examples so far."""

    examples: int = 0
    steps: int = 0
    actions: Counter[str] = field(default_factory=Counter)  # of the model
    happened: Counter[str] = field(default_factory=Counter)  # timers, messages, crashes
    cut: int = 0  # examples that ended beyond the greatest term

    def never(self, model: Model = election.MODEL) -> list[str]:
        """The actions of the model that never occurred: nothing was learned about them."""
        return [name for name in model.actions if not self.actions[name]]


@dataclass(frozen=True)
class Setup:
    """What the machines of one test share."""

    make_adapter: MakeAdapter
    nodes: tuple[str, ...]
    terms: int
    judge: Callable[[], StepJudge]
    coverage: Coverage


@dataclass(frozen=True)
class InFlight:
    """A message on its way."""

    source: str
    to: str
    message: Any


class ConformanceMachine(RuleBasedStateMachine):
    """One cluster and its network, driven by Hypothesis and judged after every step.

    Hypothesis chooses evenly among rules, and leaves some out in each example. Elections need many
    deliveries, so they stand here in several forms.
    """

    setup: ClassVar[Setup]

    def __init__(self) -> None:
        super().__init__()
        self.adapter = self.setup.make_adapter(self.setup.nodes)
        self.judge = self.setup.judge()
        self.up = list(self.setup.nodes)
        self.down: list[str] = []
        self.in_flight: list[InFlight] = []
        self.steps: list[str] = []
        self.setup.coverage.examples += 1
        self._seen = self._observe()
        try:
            self.judge.begin(self._seen)
        except Refused as refused:
            self.adapter.close()
            raise NotConforming(self.steps, refused) from None

    def teardown(self) -> None:
        self.adapter.close()

    # The rules

    @rule(near=ANY, how=HOW, point=FEW)
    def timer(self, near: int, how: str, point: int) -> None:
        """What a node is due to do: restart if it is down, send heartbeats as a leader, or start an election."""
        node = self._nearest(near, self.setup.nodes)
        if node in self.down:
            self.down.remove(node)
            self.up.append(node)
            self._step(
                "restart", node, f"{node} restarts", partial(self.adapter.restart, node), restarts=True
            )
        elif self._observed(node).role == "leader" and how != "twice":
            self._timeout("heartbeat timeout", node, self.adapter.heartbeat, how, point)
        elif self._observed(node).term < self.setup.terms:
            self._timeout("election timeout", node, self.adapter.timeout, how, point)

    @rule(near=ANY)
    def crash(self, near: int) -> None:
        for node in [self._nearest(near, self.setup.nodes)]:
            if node in self.up:
                self._goes_down(node)
                self._step("crash", node, f"{node} crashes", partial(self.adapter.crash, node))

    @precondition(lambda self: self.in_flight)
    @rule(skip=FEW, how=HOW, point=FEW)
    def deliver_newest(self, skip: int, how: str, point: int) -> None:
        self._deliver(self._newest(self.in_flight, skip), how, point)

    @precondition(lambda self: self.in_flight)
    @rule(skip=FEW, how=HOW, point=FEW)
    def deliver_oldest(self, skip: int, how: str, point: int) -> None:
        self._deliver(self._newest(self.in_flight[::-1], skip), how, point)

    @precondition(lambda self: self.in_flight)
    @rule(near=ANY, skip=FEW, how=HOW, point=FEW)
    def deliver_to(self, near: int, skip: int, how: str, point: int) -> None:
        node = self._nearest(near, [packet.to for packet in self.in_flight])
        to_node = [packet for packet in self.in_flight if packet.to == node]
        self._deliver(self._newest(to_node, skip), how, point)

    # Within

    def _may_start(self) -> list[str]:
        """The nodes that are up and whose next term is one of this run."""
        return [n for n in self.up if self._observed(n).term < self.setup.terms]

    def _leaders(self) -> list[str]:
        return [n for n in self.up if self._observed(n).role == "leader"]

    def _arriving(self) -> list[InFlight]:
        return [packet for packet in self.in_flight if packet.to in self.up]

    def _observed(self, node: str) -> Observed:
        observed = self._seen[node]
        if observed is None:
            raise UsageError(f"the adapter observes nothing of {node}, which is up: it must")
        return observed

    def _observe(self) -> dict[str, Observed | None]:
        return {node: self.adapter.observe(node) for node in self.setup.nodes}

    def _nearest(self, near: int, among: Sequence[str]) -> str:
        """The first of these nodes at this number or after it, counted around."""
        size = len(self.setup.nodes)
        return min(among, key=lambda node: (self.setup.nodes.index(node) - near) % size)

    def _newest(self, packets: Sequence[InFlight], skip: int) -> InFlight:
        """The last but so many; the first where there are not so many."""
        return packets[max(0, len(packets) - 1 - skip)]

    def _crash_next(self, node: str, point: int) -> str:
        """Let the node crash in its next step. The words for it."""
        name = self.adapter.crash_points[point % len(self.adapter.crash_points)]
        self.adapter.crash_next(node, name)
        self._goes_down(node)
        return f"crashes ({name})"

    def _goes_down(self, node: str) -> None:
        self.up.remove(node)
        self.down.append(node)

    def _words(self, packet: InFlight) -> str:
        return f"{packet.to} receives {self.adapter.describe(packet.message)} from {packet.source}"

    def _timeout(self, event: str, node: str, ring: Callable[[str], Report], how: str, point: int) -> None:
        words = f"{node}: {event}"
        if how == "crash" and self.adapter.crash_points:
            event, words = "crash in a step", f"{words}, {self._crash_next(node, point)}"
        self._step(event, node, words, partial(ring, node))

    def _deliver(self, packet: InFlight, how: str, point: int) -> None:
        event, words = "message delivered", self._words(packet)
        if how != "twice":
            self.in_flight.remove(packet)
        if packet.to not in self.up:
            return self._note(
                "message lost at a node that is down", f"lost, for {packet.to} is down: {words}"
            )
        if how == "lost":
            return self._note("message lost", f"lost: {words}")
        if how == "twice":
            event, words = "message duplicated", f"{words} (and a copy of it stays in flight)"
        if how == "crash" and self.adapter.crash_points:
            event, words = "crash in a step", f"{words}, {self._crash_next(packet.to, point)}"
        return self._step(event, packet.to, words, partial(self.adapter.receive, packet.to, packet.message))

    def _note(self, event: str, words: str) -> None:
        """Something happens, maybe in the network alone."""
        self.steps.append(words)
        self.setup.coverage.steps += 1
        self.setup.coverage.happened[event] += 1

    def _step(
        self, event: str, node: str, words: str, act: Callable[[], Report], restarts: bool = False
    ) -> None:
        """A node does something, and is judged."""
        self._note(event, words)
        try:
            report = self._act(act)
            self._seen = self._observe()
            calls = self.judge.follow(node, restarts, report, self._seen)
        except Refused as refused:
            raise NotConforming(self.steps, refused) from None
        except BeyondTheBound:
            self.setup.coverage.cut += 1
            reject()
        self._send(node, report)
        self.setup.coverage.actions.update(call.partition("(")[0] for call in calls)
        if report.event:
            self.setup.coverage.happened[report.event] += 1

    def _act(self, act: Callable[[], Report]) -> Report:
        try:
            return act()
        except (UsageError, NotImplementedError):
            raise
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            raise Refused(lambda: Refusal("an exception", ("the implementation raised", cause))) from error

    def _send(self, node: str, report: Report) -> None:
        for sent in report.sent:
            if sent.to not in self.setup.nodes:
                raise UsageError(f"{node} sent a message to {sent.to!r}, which is no node of this cluster")
            self.in_flight.append(InFlight(node, sent.to, sent.message))
        del self.in_flight[:-MOST_IN_FLIGHT]


# --- Running it -------------------------------------------------------------------------------------------


def conformance_machine(
    make_adapter: MakeAdapter,
    *,
    nodes: int = 3,
    terms: int = TERMS,
    refinement: bool = True,
    model: Model = election.MODEL,
) -> type[ConformanceMachine]:
    """A Hypothesis state machine that compares an implementation with the model, step by step.

    With `refinement` off nothing is judged but Election Safety, on observed roles and terms alone.
    """
    known = rules(model, nodes, terms)
    judge: Callable[[], StepJudge] = (lambda: Judge(known)) if refinement else LeadersOnly

    class Conformance(ConformanceMachine):
        setup = Setup(make_adapter, known.nodes, terms, judge, Coverage())

    return Conformance


@dataclass(frozen=True)
class Conformed:
    """What a conformance test gave. Absence of a violation is a sample, not a proof."""

    verdict: str  # "holds" in the examples tried, "violated" or "inconclusive"
    nodes: int
    terms: int
    examples: int
    steps: int
    seconds: float
    seed: int
    coverage: Coverage
    never: list[str]  # actions of the model that did not occur: nothing was learned about them
    cause: str = ""  # short, the same for the same bug; or why it is inconclusive
    failure: str = ""  # in words
    shrunk_steps: list[str] = field(default_factory=list)
    program: str = ""  # Hypothesis' own: the shrunk scenario as Python

    @property
    def strength(self) -> str:
        return f"sampled, {self.examples:,} examples, {self.steps:,} steps, {self.nodes} nodes, {self.terms} terms"

    @property
    def text(self) -> str:
        """The whole result as people read it."""
        lines = [f"{self.verdict}  ({self.strength}, seed {self.seed})"]
        if self.verdict == "inconclusive":
            lines += [self.cause]
        if self.verdict == "holds" and self.never:
            lines += [f"never occurred, so nothing was learned about: {', '.join(self.never)}"]
        return "\n".join([*lines, *filter(None, (self.failure, self.program))])


def check_conformance(
    make_adapter: MakeAdapter,
    *,
    nodes: int = 3,
    examples: int = 200,
    steps: int = 50,
    seed: int | None = None,
    terms: int = TERMS,
    refinement: bool = True,
    model: Model = election.MODEL,
) -> Conformed:
    """Run the conformance test without pytest. The same seed gives the same run; None draws one."""
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    machine = conformance_machine(make_adapter, nodes=nodes, terms=terms, refinement=refinement, model=model)
    started = time.perf_counter()
    verdict, found = _run(use_seed(seed)(machine), examples, steps)
    coverage = machine.setup.coverage
    return Conformed(
        verdict=verdict,
        nodes=nodes,
        terms=terms,
        examples=coverage.examples,
        steps=coverage.steps,
        seconds=time.perf_counter() - started,
        seed=seed,
        coverage=coverage,
        never=coverage.never(model) if refinement else [],
        **found,
    )


def _run(machine: type[ConformanceMachine], examples: int, steps: int) -> tuple[str, dict[str, Any]]:
    """The verdict, and what there is to say of a failure."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    try:
        run_state_machine_as_test(machine, settings=chosen)
    except NotConforming as failed:
        return "violated", {
            "cause": failed.refusal.cause,
            "failure": str(failed),
            "shrunk_steps": failed.steps,
            "program": "\n".join(getattr(failed, "__notes__", [])),
        }
    except Flaky as flaky:
        why = "the same steps did not do the same again: an adapter has no clock and no randomness"
        return "inconclusive", {"cause": why, "failure": str(flaky)}
    except Unsatisfiable:
        return "inconclusive", {"cause": "every example went beyond the greatest term: give more terms"}
    except KeyboardInterrupt:
        return "inconclusive", {"cause": "interrupted"}
    return "holds", {}
