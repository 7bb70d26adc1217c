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
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, reject, settings
from hypothesis import seed as use_seed
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from oneleader.conformance.adapter import Adapter, May, Observed, Report, hand_over
from oneleader.conformance.conform import Driving, names
from oneleader.conformance.judge import (
    BeyondTheBound,
    Judge,
    LeadersOnly,
    StepJudge,
    StepRefusal,
    StepRefused,
    refused,
    rules,
)
from oneleader.conformance.prompt import Prompt
from oneleader.conformance.scenes import Scene, SceneStep, scene_of_adapter, servers_seen, short
from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.models import election
from oneleader.story import Story
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict

MakeAdapter = Callable[[Sequence[str]], Adapter]

CALMS = 2  # walks after which something has to come about
TERMS = 6  # elections are started up to this term
MOST_IN_FLIGHT = 40  # the oldest messages beyond are lost
WEIGHTS = {
    "deliver newest": 4,
    "deliver oldest": 3,
    "deliver to": 4,
    "timer": 6,
    "election timeout": 1,
    "duplicate": 5,
    "crash": 1,
    "crash in a timer": 1,
    "crash in a delivery": 1,
    "lose": 1,
}
TIMERS = ("timer", "election timeout", "crash in a timer")
VERBS = dict.fromkeys(("message delivered", "message duplicated"), "receive")
EVENTS = [event for event, weight in WEIGHTS.items() for _ in range(weight)]
DISTURBANCES = ["crash", "crash in a delivery", "crash in a timer", "duplicate", "election timeout", "lose"]
NEAR = st.integers(0, 8)  # a node, by number
SKIP = st.integers(0, 7)


class NotConforming(AssertionError):
    """The implementation did what the model does not allow."""

    def __init__(self, steps: list[str], refused: StepRefused, scene: Scene) -> None:
        self.steps, self._refused, self._scene = steps, refused, scene

    @property
    def refusal(self) -> StepRefusal:
        return self._refused.refusal

    @property
    def story(self) -> Story:
        """What happened, for a picture."""
        wrong = f"This does not conform: {self.refusal.cause}."
        return self._scene.story(wrong, "; ".join(" ".join(line.split()) for line in self.refusal.words))

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
    leaders: int = 0  # steps after which somebody led
    no_word: set[May] = field(default_factory=set)  # steps that the model has no word for

    def never(self, model: Model = election.MODEL) -> list[str]:
        """The actions of the model that never occurred: nothing was learned about them."""
        return [name for name in model.actions if not self.actions[name]]


@dataclass(frozen=True)
class Setup:
    """What the machines of one test share."""

    make_adapter: MakeAdapter
    nodes: tuple[str, ...]
    terms: int
    judge: Callable[[Collection[May]], StepJudge]
    coverage: Coverage


@dataclass(frozen=True)
class InFlight:
    """A message on its way."""

    source: str
    to: str
    message: Any
    number: int = field(default=0, compare=False)  # tells equal ones apart in a picture


class ConformanceMachine(RuleBasedStateMachine):
    """One cluster and its network, driven by Hypothesis and judged after every step.

    One rule with weighted events: Hypothesis chooses evenly among rules and leaves some out, and elections
    need timers and many deliveries. Nodes are chosen by number and messages counted from one end, so that a
    scenario stays much the same when Hypothesis takes a step out of it.
    """

    setup: ClassVar[Setup]

    def __init__(self) -> None:
        super().__init__()
        self.adapter = self.setup.make_adapter(self.setup.nodes)
        self.judge = self.setup.judge(self.adapter.may)
        self.down: set[str] = set()
        self.in_flight: list[InFlight] = []
        self.steps: list[str] = []
        self.without: set[str] = set()
        self.setup.coverage.examples += 1
        self._seen = self._observe()
        self.scene = scene_of_adapter(self.setup.nodes)
        self.scene.look(servers_seen(self._seen))
        try:
            self.judge.begin(self._seen)
        except StepRefused as why:
            self.adapter.close()
            raise NotConforming(self.steps, why, self.scene) from None

    def teardown(self) -> None:
        self.adapter.close()

    @initialize(without=st.sets(st.sampled_from(DISTURBANCES)))
    def weather(self, without: set[str]) -> None:
        """What does not happen in this example: a storm of one kind hides the faults of another."""
        self.without = without

    @rule(what=st.sampled_from(EVENTS), near=NEAR, skip=SKIP)
    def happens(self, what: str, near: int, skip: int) -> None:
        """One event; nothing where it cannot happen. `skip` passes over messages or crash points."""
        if what in self.without:
            return
        node = self.setup.nodes[near % len(self.setup.nodes)]
        if what == "crash":
            self._crash(node)
        elif what in TIMERS:
            self._timer(what, node, skip)
        elif self.in_flight:
            self._message(what, node, skip)

    # Events

    def _crash(self, node: str) -> None:
        if node not in self.down:
            self.down.add(node)
            self._step("crash", node, f"{node} crashes", self.adapter.crash)

    def _timer(self, what: str, node: str, skip: int) -> None:
        """What the node is due to do: come back, send heartbeats as a leader, or start an election."""
        observed = self._observed(node)
        if node in self.down:
            self.down.remove(node)
            self._step("restart", node, f"{node} restarts", self.adapter.restart)
        elif observed.role == "leader" and what != "election timeout":
            self._step("heartbeat timeout", node, f"{node}: heartbeat timeout", self.adapter.heartbeat)
        elif observed.term < self.setup.terms:
            words = f"{node}: election timeout"
            self._step("election timeout", node, words, self.adapter.timeout, self._crash_point(what, skip))

    def _message(self, what: str, node: str, skip: int) -> None:
        """A message is delivered, once or not for the last time, or lost."""
        packet = self._message_for(what, node, skip)
        words = f"{packet.to} receives {self.adapter.describe(packet.message)} from {packet.source}"
        is_copied = what == "duplicate"
        if not is_copied:
            packet = self.in_flight.pop(self.in_flight.index(packet))  # of equal ones the oldest
        if what == "lose":
            self._note("message lost", f"lost: {words}")
            self.scene.lose(packet.number)
        elif packet.to in self.down:
            self.scene.lose(packet.number)
            self._note("message lost at a node that is down", f"lost, for {packet.to} is down: {words}")
        else:
            event = "message duplicated" if is_copied else "message delivered"
            words += " (and a copy of it stays in flight)" if is_copied else ""
            receive = partial(self._receive, packet=packet)
            self._step(event, packet.to, words, receive, self._crash_point(what, skip))

    def _message_for(self, what: str, node: str, skip: int) -> InFlight:
        """The last in flight but `skip`; or of those to the node; or of all, counted from the oldest."""
        among = self.in_flight
        if what == "deliver oldest":
            among = among[::-1]
        elif what != "deliver newest":
            among = [packet for packet in among if packet.to == node] or among
        return among[max(0, len(among) - 1 - skip)]

    def _receive(self, node: str, packet: InFlight) -> Report:
        self.scene.receive(packet.number)
        return hand_over(self.adapter, packet.source, node, packet.message)

    def _crash_point(self, what: str, skip: int) -> str:
        points = self.adapter.crash_points if what.startswith("crash in") else ()
        return points[skip % len(points)] if points else ""

    # Steps

    def _note(self, event: str, words: str, node: str = "") -> None:
        """Something happens, maybe in the network alone."""
        self.steps.append(words)
        self.scene.steps.append(SceneStep(short(words), node, words))
        self.scene.look(servers_seen(self._seen))
        self.setup.coverage.steps += 1
        self.setup.coverage.happened[event] += 1

    def _step(
        self, event: str, node: str, words: str, act: Callable[[str], Report], crash_point: str = ""
    ) -> None:
        """A node does something, crashes in the middle of it if there is a crash point, and is judged."""
        if crash_point:
            self.adapter.crash_next(node, crash_point)
            self.down.add(node)
            event, words = "crash in a step", f"{words}, and crashes: {crash_point}"
        self._note(event, words, node)
        try:
            report = self._act(act, node)
            self._seen = self._observe()
            self.scene.look(servers_seen(self._seen))
            calls = self.judge.follow(node, Prompt(VERBS.get(event, event)), report, self._seen)
            self.setup.coverage.no_word |= self.judge.no_word
            self.setup.coverage.leaders += any(
                o is not None and o.role == "leader" for o in self._seen.values()
            )
        except StepRefused as why:
            raise NotConforming(self.steps, why, self.scene) from why.__cause__
        except BeyondTheBound:
            self.setup.coverage.cut += 1
            reject()
        self._send(node, report)
        self.setup.coverage.actions.update(call.partition("(")[0] for call in calls)
        if report.event:
            self.setup.coverage.happened[report.event] += 1

    def _act(self, act: Callable[[str], Report], node: str) -> Report:
        try:
            return act(node)
        except UsageError:
            raise
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            raise refused("an exception", "the implementation raised", cause) from error

    def _send(self, node: str, report: Report) -> None:
        for sent in report.sent:
            if sent.to not in self.setup.nodes:
                raise UsageError(f"{node} sent a message to {sent.to!r}, which is no node of this cluster")
            packet = InFlight(node, sent.to, sent.message, len(self.scene.flights))
            self.in_flight.append(packet)
            self.scene.send(packet.number, node, sent.to, short(self.adapter.describe(sent.message)))
        for packet in self.in_flight[:-MOST_IN_FLIGHT]:
            self.scene.lose(packet.number)
        del self.in_flight[:-MOST_IN_FLIGHT]

    def _observe(self) -> dict[str, Observed | None]:
        return {node: self.adapter.observe(node) for node in self.setup.nodes}

    def _observed(self, node: str) -> Observed:
        observed = self._seen[node]
        if observed is None and node not in self.down:
            raise UsageError(f"the adapter observes nothing of {node}, which is up: it must")
        return observed or Observed(0, None, None)


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

    def judge(may: Collection[May]) -> StepJudge:
        return Judge(known, may) if refinement else LeadersOnly()

    class Conformance(ConformanceMachine):
        setup = Setup(make_adapter, known.nodes, terms, judge, Coverage())

    return Conformance


@dataclass(frozen=True)
class Conformed:
    """What a conformance test gave. Absence of a violation is a sample, not a proof."""

    verdict: Verdict  # of the examples tried
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
    story: Story | None = None  # of the shrunk scenario, for a picture

    @property
    def strength(self) -> str:
        sample = f"sampled, {self.examples:,} examples, {self.steps:,} steps"
        return f"{sample}, {self.nodes} nodes, {self.terms} terms"

    @property
    def text(self) -> str:
        """The whole result as people read it."""
        lines = [f"{self.verdict}  ({self.strength}, seed {self.seed})"]
        if self.verdict is INCONCLUSIVE:
            lines += [self.cause]
        if self.verdict is HOLDS and self.never:
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
    if verdict is HOLDS and (why := _untold(coverage) or _stuck(make_adapter, nodes, seed)):
        verdict, found = INCONCLUSIVE, {"cause": why}
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


def _untold(coverage: Coverage) -> str:
    """Why a test that found nothing wrong has not shown that it holds; "" if it has."""
    if coverage.no_word:
        steps = ", ".join(sorted(may.value for may in coverage.no_word))
        return (
            f"it takes steps that the model has no word for: {steps}. If it means to, declare them in `may`"
        )
    if coverage.steps and not coverage.leaders:
        return "no leader was ever seen, so nothing is known of what leaders do"
    return ""


def _stuck(make_adapter: MakeAdapter, nodes: int, seed: int) -> str:
    """What does not come about after calm; "" if all does. `conform` with liveness tells more of it."""
    search = Driving(make_adapter, names(nodes), seed, (), True, shortens=False)
    for number in range(CALMS):
        search.walk(number, by_model=False)
    wrong = [f"{what}: {why}" for what, why in search.found.liveness.items() if why]
    return f"after calm, not so: {wrong[0]}: conform(..., liveness=True) shows it" if wrong else ""


def _run(machine: type[ConformanceMachine], examples: int, steps: int) -> tuple[Verdict, dict[str, Any]]:
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
        return VIOLATED, {
            "cause": failed.refusal.cause,
            "failure": str(failed),
            "shrunk_steps": failed.steps,
            "story": failed.story,
            "program": "\n".join(getattr(failed, "__notes__", [])),
        }
    except Flaky as flaky:
        why = "the same steps did not do the same again: an adapter has no clock and no randomness"
        once = [str(e) for e in getattr(flaky, "exceptions", ()) if isinstance(e, NotConforming)]
        return INCONCLUSIVE, {"cause": why, "failure": "\n".join(["seen once:", *once]) if once else ""}
    except Unsatisfiable:
        return INCONCLUSIVE, {"cause": "every example went beyond the greatest term: give more terms"}
    except KeyboardInterrupt:
        return INCONCLUSIVE, {"cause": "interrupted"}
    return HOLDS, {}
