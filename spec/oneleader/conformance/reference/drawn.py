"""Scenarios drawn by Hypothesis: one rule with weighted verbs, nodes by number, and what it shrinks to."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as use_seed
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from oneleader.conformance.reference.scenario import CRASHES, Broken, Scenario
from oneleader_raft.core import RAFT, Core
from oneleader_raft.raft import NodeId, Role
from oneleader_raft.views import VIEWS

POINTS = list(CRASHES)
VERBS = {
    "campaign": 4,
    "sync": 8,
    "trip": 6,
    "deliver": 5,
    "propose": 4,
    "heartbeat": 1,
    "timeout": 2,
    "crash": 1,
    "crash_in": 2,
    "restart": 3,
    "read": 3,
    "retry": 1,
    "elapse": 2,
    "stand": 2,
    "transfer": 1,
    "overtake": 3,
    "succeed": 2,
    "hand_over": 1,
    "lose": 1,
}
CHOICES = [verb for verb, weight in VERBS.items() for _ in range(weight)]
CHANGING = [*["add"] * 4, *["remove"] * 4, *["swap"] * 2, *["compact"] * 3, *["leave_behind"] * 3]
SOMETIMES = ["crash", "crash_in", "elapse", "stand", "transfer", "hand_over", "lose", "retry", "deliver"]
SMALL = st.integers(0, 8)
MOMENTS = (1, 2, 4, 7, 10, 11, 15)


class ScenarioMachine(RuleBasedStateMachine):
    """Draws scenarios. One rule with weighted verbs, as in `machine`, and nodes by number."""

    nodes: ClassVar[int] = 3
    joining: ClassVar[int] = 0
    core: ClassVar[Core] = RAFT
    models: ClassVar[tuple[str, ...]] = tuple(VIEWS)
    failed: ClassVar[list[tuple[Broken, Scenario]]] = []
    steps: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        self.scenario = Scenario(self.nodes, self.core, self.models, self.joining)
        self.without: set[str] = set()

    @initialize(without=st.sets(st.sampled_from(SOMETIMES)))
    def weather(self, without: set[str]) -> None:
        """What does not happen in this example: a storm of one kind hides the faults of another."""
        self.without = without

    @rule(verb=st.sampled_from(CHOICES), a=SMALL, b=SMALL, c=SMALL)
    def happens(self, verb: str, a: int, b: int, c: int) -> None:
        self._happens(verb, a, b, c)

    def _happens(self, verb: str, a: int, b: int, c: int) -> None:
        if verb in self.without:
            return
        ids = self.scenario.cluster.members
        node, other = ids[a % len(ids)], ids[(a + 1 + b % max(1, len(ids) - 1)) % len(ids)]
        self.steps.append(1)
        try:
            self.take(verb, node, other, c)
        except Broken as broken:
            self.failed.append((broken, self.scenario))
            raise

    def take(self, verb: str, node: NodeId, other: NodeId, c: int) -> None:
        s = self.scenario
        match verb:
            case "campaign" | "stand" | "transfer" | "lose" | "overtake" | "succeed":
                getattr(s, verb)(node, other)
            case "hand_over":
                leader = self._leads(c) or node
                others = [n for n in (node, other, *s.cluster.members) if n != leader] or [leader]
                s.hand_over(leader, others[0], others[-1])
            case "trip":
                s.trip(node, other, back=max(0, c - 5))
            case "sync":
                s.sync(self._leads(c) or node, other)
            case "deliver":
                s.deliver(node, other, back=c % 4, again=c >= 4)
            case "crash_in":
                s.crash_in(node, POINTS[c % len(POINTS)], other, lucky=c >= 6)
            case "elapse":
                s.elapse(node, MOMENTS[c % len(MOMENTS)])
            case "add" | "remove":
                getattr(s, verb)(self._leads(c) or node, other)
            case "swap":
                s.swap(self._leads(c) or node, node, other)
            case "leave_behind":
                leader = self._leads(c) or node
                others = [n for n in (other, node, *s.cluster.members) if n != leader] or [leader]
                s.leave_behind(leader, others[0], others[-1])
            case "propose" | "read" | "heartbeat" | "compact" if self._leads(c):
                getattr(s, verb)(self._leads(c))
            case _:
                getattr(s, verb)(node)

    def _leads(self, c: int) -> NodeId:
        """Mostly those who take themselves for leaders are asked."""
        cluster = self.scenario.cluster
        leaders = [n for n in cluster.members if cluster.is_up(n) and cluster.node(n).role is Role.LEADER]
        return leaders[c % len(leaders)] if leaders and c < 8 else ""


class ChangingMachine(ScenarioMachine):
    """The same where members change and logs are compacted."""

    @rule(verb=st.sampled_from([*CHOICES, *CHANGING]), a=SMALL, b=SMALL, c=SMALL)
    def happens(self, verb: str, a: int, b: int, c: int) -> None:
        self._happens(verb, a, b, c)


def draw(
    machine: type[ScenarioMachine],
    core: Core = RAFT,
    *,
    nodes: int = 3,
    joining: int = 0,
    examples: int = 300,
    seed: int = 1,
    shrink: bool = False,
    database: Path | None = None,
) -> type[ScenarioMachine]:
    """Draw scenarios until one is broken: then the last of `failed` is the shortest that was found."""

    class Drawn(machine):  # type: ignore[misc, valid-type]
        pass

    Drawn.core, Drawn.nodes, Drawn.joining, Drawn.failed, Drawn.steps = core, nodes, joining, [], []
    phases = (Phase.reuse, Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    chosen = settings(
        max_examples=examples,
        stateful_step_count=40,
        database=DirectoryBasedExampleDatabase(database) if database else None,
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=phases,
    )
    try:
        run_state_machine_as_test(use_seed(seed)(Drawn), settings=chosen)
    except Broken:
        assert Drawn.failed
    return Drawn
