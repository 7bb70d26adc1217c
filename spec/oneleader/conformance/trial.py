"""One cluster of an implementation, driven event by event and judged after each.

An event is a tuple of strings, so that runs can be saved, shown and shortened by leaving events out: one
that cannot happen is passed over.

("timeout", "n1")            the election timer rings; so "heartbeat", "crash", "restart", "read", "compact"
("propose", "n1", "v3")      a client proposes a value
("retry", "n1", "v3")        the client that has no answer asks again
("transfer", "n1", "n2")     n1 is to hand its leadership over
("crash_keeping", "n1", k)   n1 crashes: k unsynced writes reach its disk; and with "torn" a part of the next
("crash_next", "n1", point)  the next step of n1 crashes in the middle
("deliver", "n1", "n2")      the oldest message of n1 to n2 arrives; "burst": all of them do
("overtake", "n1", "n2", k)  the one after k others does; "copy": and stays on its way; "lose": never will
("freeze", "n1", "n2")       what travels there waits; "resume"; "break": it is lost
("cut", "n1", "n2")          what is sent there is lost, until ("heal",)
("groups", "n1 n2", "n2 n3") only servers of one group hear each other: a partition, or a bridge
("elapse", "n1=3", "n2=4")   so much time passes on each clock
("pause", "n1")              it does nothing, and what is sent to it waits; "wake"
("members", "n1", "n1 n2")   n1 is asked for a cluster of these
("calm",)                    the network heals, and what should come about has so many rounds to (`calm.py`)
"""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from inspect import signature
from itertools import combinations
from time import perf_counter

from oneleader.conformance.adapter import OPTIONAL, ROLES, Adapter, Observed, Report, can, hand_over
from oneleader.conformance.judge import BeyondTheBound, StepJudge, StepRefused
from oneleader.conformance.network import Traffic, Underway
from oneleader.conformance.observations import Observations
from oneleader.conformance.prompt import Prompt
from oneleader.errors import UsageError

MakeAdapter = Callable[[Sequence[str]], Adapter]
Event = tuple[str, ...]
TIMES = {"timeout", "heartbeat", "elapse", "restart", "wake"}  # events in which time passes
MOST_SENT = 10_000  # messages of one step

FIGURE_3, EXCEPTION, LIVENESS = "Figure 3", "exception", "liveness"  # who found it; or a model, by its name


class Broke(Exception):
    """A step that a judge refuses, or in which the implementation raised."""

    def __init__(self, judge: str, cause: str, words: str) -> None:
        super().__init__(words)
        self.judge, self.cause, self.words = judge, cause, words

    @property
    def key(self) -> str:
        """The name of the cause, for `known`."""
        return f"{self.judge}: {self.cause}"


class TimeIsOver(Exception):
    """The search may not go on: nothing is wrong."""


class RaisedElsewhere(Exception):
    """An implementation in another process says that it raised."""


class Driven:
    """What is driven, and passes over causes that are known."""

    known: Collection[str]
    passed_over: set[str]
    until = float("inf")  # by `time.perf_counter`

    def play(self, event: Event) -> None:
        """Let it happen, if it can. Broke where the step is refused, TimeIsOver where time is up."""
        verb, *rest = event
        act = getattr(self, f"on_{verb}", None)
        if act is None:
            raise UsageError(f"{verb!r} is no event of a run")
        if perf_counter() > self.until:
            raise TimeIsOver
        act(event, *rest)

    def understand(self, event: Event) -> None:
        """UsageError where this, which comes from a file, is no event: those that are drawn are."""
        verb, *words = event or ("nothing",)
        try:
            told = signature(getattr(self, f"on_{verb}")).bind(event, *words).arguments
        except (AttributeError, TypeError):
            raise UsageError(f"{' '.join(event)!r} is no event of a run") from None
        counts = [told[name] for name in ("position", "writes") if name in told]
        counts += [clock.partition("=")[2] for clock in told.get("clocks", ())]
        if not all(count.isdecimal() for count in counts):
            raise UsageError(f"{' '.join(event)!r} is no event of a run: it needs a number")

    def _refuse(self, broke: Broke) -> None:
        """It is over, unless this is known."""
        if broke.key not in self.known:
            raise broke
        self.passed_over.add(broke.key)


@dataclass
class Trial(Driven):
    """The cluster, its network, its judges, and what happened so far."""

    adapter: Adapter
    nodes: tuple[str, ...]
    models: dict[str, StepJudge] = field(default_factory=dict)  # beside Figure 3
    known: Collection[str] = ()  # causes that are passed over
    events: list[Event] = field(default_factory=list)  # those that happened
    steps: list[str] = field(default_factory=list)  # the same in words
    heard: list[str] = field(default_factory=list)  # what each step gave, to compare runs
    down: set[str] = field(default_factory=set)
    dying: set[str] = field(default_factory=set)  # crash in their next step
    paused: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)  # models that could not follow to the end
    followed: Counter[str] = field(default_factory=Counter)  # of each model, steps after a leader was seen
    passed_over: set[str] = field(default_factory=set)  # known causes that were met
    stood: dict[str, int] = field(default_factory=dict)  # in which step each candidate stood
    liveness: dict[str, str] = field(default_factory=dict)  # what should have come about: "" or what did not
    to_hand_over: dict[str, int] = field(default_factory=dict)  # leader -> its term when it was asked last
    raised: int = 0  # how often a server raised what is known
    time: int = 0  # how many events have happened in which time passed
    is_told: bool = False  # whether steps are described for the comparison of two runs

    def __post_init__(self) -> None:
        self.abilities = can(self.adapter)
        self.traffic = Traffic()
        self.figure_3 = Observations(self.nodes, self.adapter.may)
        self.seen: dict[str, Observed | None] = {n: self._look(n) for n in self.nodes}
        self._judge_beginning()

    @property
    def up(self) -> list[str]:
        """The servers that can take a step."""
        return [node for node in self.nodes if node not in self.down and node not in self.paused]

    @property
    def leaders(self) -> list[str]:
        return [n for n in self.up if (seen := self.seen[n]) is not None and seen.role == "leader"]

    @property
    def compared(self) -> Counter[str]:
        return self.figure_3.compared

    @property
    def has_led(self) -> bool:
        return bool(self.figure_3.leaders)

    def understand(self, event: Event) -> None:
        super().understand(event)
        lacks = {"members": "change_members"}.get(event[0], event[0])
        if lacks in OPTIONAL and lacks not in self.abilities:
            raise UsageError(f"the run has {' '.join(event)!r}, and the adapter has no method {lacks}")

    def on_calm(self, event: Event) -> None:
        """What should come about, and does not, is a finding too; not where somebody raised what is known
        meanwhile, for who has crashed need not do it."""
        from oneleader.conformance.calm import calm_down

        self.events.append(event)
        before, raised = len(self.events), self.raised
        found = calm_down(self)
        del self.events[before:]
        if self.raised > raised:
            return
        self.liveness = found
        for what, wrong in self.liveness.items():
            if wrong:
                self._refuse(Broke(LIVENESS, what, f"after calm, not so: {what}: {wrong}"))

    # Timers, crashes, clients

    def on_timeout(self, event: Event, node: str) -> None:
        self._step(event, node, f"{node}: election timeout", lambda: self.adapter.timeout(node))

    def on_heartbeat(self, event: Event, node: str) -> None:
        self._step(event, node, f"{node}: heartbeat timeout", lambda: self.adapter.heartbeat(node))

    def on_compact(self, event: Event, node: str) -> None:
        self._step(event, node, f"{node} compacts its log", lambda: self.adapter.compact(node))

    def on_members(self, event: Event, node: str, members: str) -> None:
        words = f"{node} is asked for a cluster of {members}"
        self._step(event, node, words, lambda: self.adapter.change_members(node, members.split()))

    def on_elapse(self, event: Event, *clocks: str) -> None:
        """Time passes, for servers that pause too."""
        advance = {node: int(time) for node, _, time in (clock.partition("=") for clock in clocks)}
        self._note(event, f"time passes: {' '.join(clocks)}")
        self.adapter.elapse(advance)
        self.seen |= {node: self._look(node) for node in self.nodes}
        for breach in self.figure_3.leases(self.seen):
            self._refuse(Broke(FIGURE_3, breach.cause, str(breach)))

    def on_pause(self, event: Event, node: str) -> None:
        if node in self.up:
            self.paused.add(node)
            self._note(event, f"{node} pauses")

    def on_wake(self, event: Event, node: str) -> None:
        if node in self.paused:
            self.paused.discard(node)
            self._note(event, f"{node} goes on")

    def on_transfer(self, event: Event, node: str, to: str) -> None:
        words, seen = f"{node} is to hand over to {to}", self.seen[node]
        if node in self.leaders and seen is not None:
            self.to_hand_over[node] = seen.term
        self._step(event, node, words, lambda: self.adapter.transfer(node, to))

    def on_propose(self, event: Event, node: str, value: str) -> None:
        def propose() -> Report:
            self.figure_3.clients.propose(value)
            return self.adapter.propose(node, value)

        self._step(event, node, f"a client proposes {value} to {node}", propose)

    def on_retry(self, event: Event, node: str, value: str) -> None:
        if value in self.figure_3.clients.unanswered:
            words = f"the client of {value}, without an answer, asks {node}"
            self._step(event, node, words, lambda: self.adapter.retry(node, value))

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

    def on_crash_keeping(self, event: Event, node: str, writes: str, torn: str = "") -> None:
        def crash() -> Report:
            self._fall(node)
            return self.adapter.crash_keeping(node, int(writes), bool(torn))

        words = f"{node} crashes, and {writes} of its unsynced writes are kept"
        self._step(event, node, f"{words}, and a part of the next" if torn else words, crash)

    def on_crash_next(self, event: Event, node: str, point: str) -> None:
        if node in self.up and node not in self.dying and point in self.adapter.crash_points:
            self.adapter.crash_next(node, point)
            self.dying.add(node)
            self._note(event, f"the next step of {node} crashes: {point}")

    def on_restart(self, event: Event, node: str) -> None:
        if node in self.down:
            self.down.remove(node)
            self._step(event, node, f"{node} restarts", lambda: self.adapter.restart(node))

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
            message = self.traffic.take((source, to), int(position)).message
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

    def on_groups(self, event: Event, *groups: str) -> None:
        together = {pair for group in groups for pair in combinations(sorted(group.split()), 2)}
        apart = {pair for pair in combinations(sorted(self.nodes), 2) if pair not in together}
        self.traffic.cut = {link for one, other in apart for link in ((one, other), (other, one))}
        self._note(event, f"only these hear each other: {', '.join(groups)}")

    def on_heal(self, event: Event) -> None:
        if self.traffic.cut or self.traffic.frozen or self.paused:
            self.traffic.heal()
            self.paused.clear()
            self._note(event, "the network heals")

    def _arrive(self, event: Event, source: str, to: str, position: str, *, keep: bool) -> None:
        link = (source, to)
        if to in self.paused or int(position) >= self.traffic.waiting(link):
            return
        flight = self.traffic.take(link, int(position), keep=keep)
        words = f"{to} receives {self.adapter.describe(flight.message)} from {source}"
        words += " (and a copy of it stays on its way)" if keep else ""
        if to in self.down:
            self._note(event, f"lost, for {to} is down: {words}")
        else:
            self.traffic.arrived(link, flight)
            is_answer, to_leader = self._is_answer(to, flight), led(flight.answers)
            prompt = Prompt("receive", source, flight.said, is_answer, flight.why, to_leader=to_leader)
            self._step(event, to, words, lambda: hand_over(self.adapter, source, to, flight.message), prompt)

    def _is_answer(self, candidate: str, flight: Underway) -> bool:
        """Whether its sender had heard of the candidacy, or answers, in its term, to one before: Figure 2's
        replies do not say what they answer."""
        before, said, now = flight.answers, flight.said, self.seen[candidate]
        in_its_term = said is not None and now is not None and said.term == now.term
        to_one_before = in_its_term and before is not None and before.role == "candidate"
        return to_one_before or flight.heard_of >= self.stood.get(candidate, 0)

    # Steps and their judges

    def _note(self, event: Event, words: str) -> None:
        self.time += event[0] in TIMES
        self.events.append(event)
        self.steps.append(words)
        self.heard.append("")

    def _step(
        self, event: Event, node: str, words: str, act: Callable[[], Report], prompt: Prompt | None = None
    ) -> None:
        if node not in self.up:
            return
        prompt = prompt or Prompt(event[0])
        dies = node in self.dying and not prompt.restarts
        self._note(event, f"{words}, and crashes in the middle" if dies else words)
        before = self.seen[node]
        report = self._taken(node, act, dies)
        if report is None:  # it has not come to its end, so it need not have done what it should have
            report, prompt = Report(), replace(prompt, to_leader=None)
        if self.is_told:
            self.heard[-1] = self._heard(report, self.seen[node])
        self._check_report(node, report)
        self._judge(node, replace(prompt, time=self.time), report)
        now, why = len(self.steps), why_sent(prompt.what, before, self.seen[node])
        for sent in report.sent:
            answers = prompt.said if sent.to == prompt.sender and why == "receive" else None
            message = Underway(sent.message, self.seen[node], now, why, answers)
            self.traffic.send((node, sent.to), message)

    def _taken(self, node: str, act: Callable[[], Report], dies: bool) -> Report | None:
        """What a step gave, and what is seen after it; None where it raised and that is known."""
        before = self.seen[node]
        report: Report | None = None
        try:
            report = act()
            if dies:
                self._fall(node)
            self.seen[node] = self._look(node)
        except UsageError:
            raise
        except Exception as error:
            self._refuse(raised(error))
            self._bring_down(node)
        self._check_sight(node)
        now = self.seen[node]
        if now is not None and (now.lease is not None or now.clock is not None):  # time passes for all
            self.seen |= {other: self._look(other) for other in self.nodes if other != node}
        was = (before.role, before.term) if before else None
        if now is not None and now.role == "candidate" and was != (now.role, now.term):
            self.stood[node] = len(self.steps)
        return report

    def _bring_down(self, node: str) -> None:
        """Who raised is as one that crashed in the middle: what it would do after that says nothing of it."""
        self._fall(node)
        self.raised += 1
        self.seen[node] = None
        try:
            seen = self._look(node)
            if seen is not None and seen.role is not None:  # what panicked may be down by itself
                self.adapter.crash(node)
            self.seen[node] = self._look(node)
        except UsageError:
            raise
        except Exception as error:
            self._refuse(raised(error))

    def _look(self, node: str) -> Observed | None:
        """What is seen of a server; its log as it is now, whatever becomes of the list."""
        seen = self.adapter.observe(node)
        is_list = seen is not None and seen.log is not None and not isinstance(seen.log, tuple)
        return replace(seen, log=tuple(seen.log or ())) if seen is not None and is_list else seen

    def _fall(self, node: str) -> None:
        self.down.add(node)
        self.paused.discard(node)
        self.dying.discard(node)

    def _heard(self, report: Report, seen: Observed | None) -> str:
        sent = [f"{self.adapter.describe(s.message)} to {s.to}" for s in report.sent]
        return f"sent {', '.join(sent) or 'nothing'}; shows {seen}"

    def _check_report(self, node: str, report: Report) -> None:
        """What an adapter says of a step can be what a step did."""
        if len(report.sent) > MOST_SENT:
            raise UsageError(f"{node} sent {len(report.sent):,} messages in one step: at most {MOST_SENT:,}")
        stranger = next((sent.to for sent in report.sent if sent.to not in self.nodes), None)
        if stranger is not None:
            raise UsageError(f"{node} sent a message to {stranger!r}, which is no node of this cluster")
        if any(index < 1 for index, _ in report.applied):
            raise UsageError(f"{node} applied an entry with an index below 1: {list(report.applied)}")
        if len(report.read) > self.figure_3.clients.waiting(node):
            raise UsageError(f"{node} answered a read that no client waits for: {list(report.read)}")

    def _check_sight(self, node: str) -> None:
        """What an adapter shows can be what a server is."""
        seen = self.seen[node]
        if seen is None:
            if node not in self.down:
                raise UsageError(f"the adapter observes nothing of {node}, which is up: it must")
            return
        wrong = senseless(seen, self.nodes, node in self.down)
        if wrong:
            raise UsageError(f"the adapter shows of {node} what cannot be: {wrong}")

    def _judge_beginning(self) -> None:
        for node in self.nodes:
            self._check_sight(node)
        breach = self.figure_3.begin(self.seen)
        if breach is not None:
            self._refuse(Broke(FIGURE_3, breach.cause, str(breach)))
        for name, model in self.models.items():
            self._ask(name, lambda model=model: model.begin(self.seen))  # type: ignore[misc]

    def _judge(self, node: str, prompt: Prompt, report: Report) -> None:
        # The models first, where they look on: in all other walks Figure 3 judges alone.
        for name, model in self.models.items():
            if name not in self.stopped:
                self._ask(name, lambda model=model: model.follow(node, prompt, report, self.seen))  # type: ignore[misc]
                self.followed[name] += self.has_led and name not in self.stopped
        for breach in self.figure_3.look(node, prompt, report, self.seen):
            self._refuse(Broke(FIGURE_3, breach.cause, str(breach)))
        if node in self.down:  # what it had answered before is judged
            self.figure_3.clients.forget(node)

    def _ask(self, name: str, question: Callable[[], object]) -> None:
        try:
            question()
        except BeyondTheBound:
            self.stopped.add(name)
        except StepRefused as why:
            self.stopped.add(name)
            self._refuse(Broke(name, why.refusal.cause, str(why)))


def raised(error: Exception) -> Broke:
    """An exception of the implementation: the same bug is told by its kind and by the function it is in."""
    if isinstance(error, RaisedElsewhere):
        return Broke(EXCEPTION, without_numbers(str(error)), f"the implementation raised: {error}")
    name, frames = type(error).__name__, traceback.extract_tb(error.__traceback__)
    cause = f"{name} in {frames[-1].name}" if frames else name
    broke = Broke(EXCEPTION, cause, f"the implementation raised {name}: {error}")
    broke.__cause__ = error
    return broke


def why_sent(verb: str, before: Observed | None, now: Observed | None) -> str:
    """What a server did when messages left: it stood for election, won it, or answered to the event."""
    if before is None or now is None:
        return verb
    if now.role == "leader" and (before.role, before.term) != (now.role, now.term):
        return "won"
    return "stood" if now.role == "candidate" and now.term > before.term else verb


def led(seen: Observed | None) -> int | None:
    """The term that a server leads."""
    return seen.term if seen is not None and seen.role == "leader" else None


def without_numbers(text: str) -> str:
    """The first line, in which another run has other numbers."""
    return re.sub(r"\d+", "N", (text.splitlines() or ["an error without words"])[0])


def senseless(seen: Observed, nodes: Sequence[str], is_down: bool) -> str:
    """Why this cannot be what is seen of a server; "" if it can."""
    if seen.role is not None and seen.role not in ROLES:
        return f"the role {seen.role!r}: it is {', '.join(ROLES)} or None"
    if (seen.role is None) != is_down:
        return "no role, and it is up" if seen.role is None else f"the role {seen.role}, and it is down"
    if seen.voted_for is not None and seen.voted_for not in nodes:
        return f"a vote for {seen.voted_for!r}, which is no node of this cluster"
    named = (name for names in (seen.votes, seen.members, seen.joint, seen.match) if names for name in names)
    stranger = next((name for name in named if name not in nodes), None)
    if stranger is not None:
        return f"votes, members or match indices with {stranger!r}, which is no node of this cluster"
    match = min(seen.match.values(), default=0) if seen.match else 0
    numbers = {"term": seen.term, "commit index": seen.commit, "match index": match}
    below = next((name for name, value in numbers.items() if value is not None and value < 0), "")
    if below or seen.first < 1:
        return f"a {below} below 0" if below else f"a log that begins with the index {seen.first}"
    return ""
