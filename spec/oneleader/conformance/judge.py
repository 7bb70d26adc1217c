"""The model beside an implementation: is what the implementation did a run of the model?

`Judge` keeps one state of the model and moves it by the actions that a step took. It refuses a step where

    an action is not enabled          the guard and its clause are named
    what is observed differs          the field, the value seen and the model's value are named
    a property of the model is false  the property is named, and the nodes and terms for which it is false

An implementation that does not report its actions is judged by its observations: some few actions of the
affected node must lead to what is observed. One state is enough for that, though sending is not observed:
a vote that may have been sent is taken as sent, and what was sent only ever enables.

Correct implementations take steps that the model has no word for (`May`): a leader or candidate becomes a
follower within its term. To the model that is a server that restarts without having crashed, so it is
followed as `restart`, and its name is kept in `no_word`, unless the adapter declares that it may be. A
candidate does so when a timer rings, or when an answer tells it that it has lost; a message of a server that
had not heard of its candidacy is no reason, unless that server leads.

`LeadersOnly` is the weaker judge: it knows no model, and refuses two leaders in one term.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

from oneleader.conformance.adapter import FOLLOWER, PRE_CANDIDATE, May, Observed, Report, Taken
from oneleader.conformance.prompt import Prompt
from oneleader.errors import Disagreement, UsageError
from oneleader.language.configuration import bounded
from oneleader.language.definitions import Action, Guard
from oneleader.language.model import Model
from oneleader.language.sorts import NIL, is_number
from oneleader.models.election import Node, Quorum, Role
from oneleader.readers.engines.scalar import Scalar
from oneleader.readers.run import Cut, Disabled, Instance, Run, State

OLD_VOTE = "a vote of an earlier term"
OLD_VOTE_IS_REFUSED = (
    "a vote is for one term (Figure 2, votedFor), and nobody asked for this one in the new term"
)
MOST_ACTIONS = 4  # in one step that does not report its actions; more where a quorum is larger

Seen = Mapping[str, Observed | None]


@dataclass(frozen=True)
class StepRefusal:
    """Why a step is refused. `cause` is short and the same for the same bug; `words` explain it, in lines."""

    cause: str
    words: tuple[str, ...]


class StepRefused(Exception):
    """A step is refused. The refusal is looked for only when it is read: shrinking throws most away."""

    def __init__(self, find: Callable[[], StepRefusal]) -> None:
        self._find = find

    @cached_property
    def refusal(self) -> StepRefusal:
        return self._find()

    def __str__(self) -> str:
        return "\n".join(self.refusal.words)


def refused(cause: str, *words: str) -> StepRefused:
    return StepRefused(lambda: StepRefusal(cause, words))


class BeyondTheBound(Exception):
    """An allowed step leaves the terms of this run: what follows cannot be judged."""


class StepJudge(Protocol):
    """What the machine asks of a judge."""

    @property
    def no_word(self) -> set[May]:
        """Steps that were taken, not declared, and not judged."""

    def begin(self, seen: Seen) -> None:
        """Judge the cluster before its first step."""

    def follow(self, node: str, prompt: Prompt, report: Report, seen: Seen) -> list[str]:
        """Judge a step of `node`: the actions that it took, as calls. Refused, or BeyondTheBound."""


# --- What is the same in every run ------------------------------------------------------------------------


class Rules:
    """A model of elections for these nodes, ready to judge. Built once; the state is the judge's."""

    def __init__(self, model: Model, nodes: int, terms: int) -> None:
        self.configuration = bounded(model, nodes=nodes, terms=terms)
        ghosts = frozenset(f.name for f in model.fields.values() if f.kind == "ghost")
        self.model, self.terms = model, terms
        self.run = Run(model, self.configuration, ghosts)
        engine = Scalar(self.run)
        self.successors, self.broken = engine.successors, engine.broken([*model.properties.values()])
        self.nodes = self.configuration.elements["Node"]
        self.number = {name: i for i, name in enumerate(self.nodes)}
        self.at = {(field.name, key): i for i, (field, key) in enumerate(self.run.cells.keys)}
        self.quorums = [
            frozenset(n for n in range(nodes) if (n, q) in self.configuration.constants["member"])
            for q in range(len(self.configuration.elements["Quorum"]))
        ]
        self.of_node = [
            frozenset(i for i, inst in enumerate(self.run.instances) if inst.args[0] == node)
            for node in range(nodes)
        ]
        self.most = max(MOST_ACTIONS, nodes // 2 + 2)

    def call(self, instance: Instance) -> str:
        return self.configuration.call(instance.action, instance.args)

    # Values

    def instance(self, taken: Taken) -> Instance:
        """The step of the model that an implementation names; Refused for a term that nobody can know."""
        if taken.name not in self.model.actions:
            raise UsageError(
                f"the adapter reports {taken.name!r}, which is no action of the model {self.model.name}: "
                f"choose from {', '.join(self.model.actions)}"
            )
        action = self.model.actions[taken.name]
        if {name for name, _ in action.params} != set(taken.args):
            wanted = ", ".join(name for name, _ in action.params)
            raise UsageError(f"the adapter reports {taken.name} with {dict(taken.args)}: it takes {wanted}")
        return Instance(action, tuple(self._value(sort, taken.args[name]) for name, sort in action.params))

    def _value(self, sort: Any, given: Any) -> Any:
        if sort is Node and given in self.number:
            return self.number[given]
        if sort is Quorum and not isinstance(given, str):
            return self._quorum(frozenset(self._value(Node, name) for name in given))
        if is_number(sort) and isinstance(given, int) and given > self.terms:
            raise refused("a term out of nowhere", f"term {given}, in which nobody can have asked for votes")
        return self.configuration.value(sort, given)

    def _quorum(self, members: frozenset[int]) -> int:
        """The quorum among these nodes; where they are no quorum, one that its votes come close to."""
        return max(range(len(self.quorums)), key=lambda q: len(self.quorums[q] & members))

    # Observations

    def cells_of(self, node: int, observed: Observed) -> Iterator[tuple[str, int, Any]]:
        """What a state must hold for this to be observed of a node: (field, cell, value)."""
        yield "term", self.at["term", (node,)], observed.term
        vote = NIL if observed.voted_for is None else self._value(Node, observed.voted_for)
        yield "voted_for", self.at["voted_for", (node,)], vote
        if observed.role is not None:
            yield "role", self.at["role", (node,)], role_of(observed.role)
        if observed.role is not None and observed.votes is not None:
            votes = {self._value(Node, name) for name in observed.votes}
            for voter in range(len(self.nodes)):
                yield "votes", self.at["votes", (node, voter)], voter in votes

    def shows(self, state: State, node: int) -> Observed:
        """What would be observed of a node if the implementation were the model."""
        term, vote, role = (state[self.at[name, (node,)]] for name in ("term", "voted_for", "role"))
        votes = frozenset(name for v, name in enumerate(self.nodes) if state[self.at["votes", (node, v)]])
        return Observed(term, None if vote == NIL else self.nodes[vote], Role(role).name.lower(), votes)


def role_of(name: str) -> Role:
    """A pre-candidate is a follower that asks."""
    name = "follower" if name == PRE_CANDIDATE else name
    if name.upper() not in Role.__members__:
        raise UsageError(f"the adapter observes the role {name!r}: it is follower, candidate, leader or None")
    return Role[name.upper()]


def in_words(observed: Observed) -> str:
    """`term 2, voted for n1, candidate with the votes of n1 n3`."""
    vote = f"voted for {observed.voted_for}" if observed.voted_for is not None else "no vote"
    words = [f"term {observed.term}", vote, *([observed.role] if observed.role else [])]
    votes = f" with the votes of {' '.join(sorted(observed.votes))}" if observed.votes else ""
    return ", ".join(words) + votes


_built: dict[tuple[int, int, int], Rules] = {}  # each keeps its model, so that no id is used again


def rules(model: Model, nodes: int, terms: int) -> Rules:
    """The rules for these bounds, built once in a process."""
    key = id(model), nodes, terms
    if key not in _built:
        _built[key] = Rules(model, nodes, terms)
    return _built[key]


# --- The judges -------------------------------------------------------------------------------------------


class Judge:
    """Follows one run of an implementation in the model."""

    def __init__(self, known: Rules, may: Collection[May] = ()) -> None:
        self.rules, self.may = known, may
        self.state = known.run.initial
        self.no_word: set[May] = set()  # steps that were taken, not declared, and not judged
        self.compared: dict[str, Observed] = {}  # what each server showed when it agreed with the model last
        self.promised: dict[str, Observed] = {}  # what each server showed when a message left it last

    def begin(self, seen: Seen) -> None:
        self._compare(seen, "at first")

    def follow(self, node: str, prompt: Prompt, report: Report, seen: Seen) -> list[str]:
        shown = seen.get(node)
        if shown is not None and shown.members not in (None, frozenset(self.rules.nodes)):
            self.no_word |= {May.CHANGE_MEMBERS} - set(self.may)
            raise BeyondTheBound
        if report.actions is None:
            calls = self._infer(node, prompt, report, now := seen.get(node))
            if report.sent and now is not None:
                self.promised[node] = now
        else:
            self.compared.clear()  # what is reported may be said of anybody
            calls = [self._take(self.rules.instance(taken), str(taken)) for taken in report.actions]
        self._compare(seen, f"after {', '.join(calls)}" if calls else "and no action was taken")
        self._judge_properties()
        return calls

    def _take(self, instance: Instance, said: str = "") -> str:
        """Take a step that the implementation took, as it says itself or as is inferred."""
        call = self.rules.call(instance)
        try:
            self.state = self.rules.run.step(self.state, instance.action, instance.args)
        except Disabled as disabled:
            guard = instance.action.guards[disabled.guard]
            raise refused(
                f"{instance.action.name}: {guard}",
                f"it took {said or call}",
                f"which the model forbids: {guard}",
            ) from None
        except Cut:
            raise BeyondTheBound from None
        return call

    def _compare(self, seen: Seen, when: str) -> None:
        for name, observed in seen.items():
            if observed is None or observed is self.compared.get(name):
                continue  # no step of another server changes what this one shows
            if not self._agrees(self.state, self.rules.number[name], observed):
                raise self._differs(name, observed, when)
            self.compared[name] = observed

    def _agrees(self, state: State, node: int, observed: Observed) -> bool:
        return all(state[cell] == value for _, cell, value in self.rules.cells_of(node, observed))

    def _differs(self, name: str, observed: Observed, when: str) -> StepRefused:
        node = self.rules.number[name]
        wanted = self.rules.cells_of(node, observed)
        fields = list(dict.fromkeys(field for field, cell, value in wanted if self.state[cell] != value))
        ours = self.rules.shows(self.state, node)
        if observed.votes is None or observed.role is None:
            ours = replace(ours, votes=None)
        return refused(
            f"observation: {', '.join(fields)}",
            f"{when}, {' and '.join(fields)} of {name} differ{'s' if len(fields) == 1 else ''}:",
            f"observed   {in_words(observed)}",
            f"the model  {in_words(replace(ours, role=ours.role if observed.role else None))}",
        )

    def _judge_properties(self) -> None:
        broken = self.rules.broken(self.state)
        if broken is None:
            return
        found = self.rules.run.violated(self.state, {broken.name: broken})
        if not found:
            raise Disagreement(f"the engines disagree on {broken.name}")
        call = self.rules.configuration.call(broken, found[1])
        raise refused(f"property: {broken.name}", f"{call} is false", broken.doc.partition("\n")[0])

    # Without reported actions

    def _infer(self, name: str, prompt: Prompt, report: Report, observed: Observed | None) -> list[str]:
        """Take the shortest sequence of the node's actions that leads to what is observed of it."""
        self._answer_late(name, observed)
        before = self.state
        search = StepSearch(self.rules, self.rules.number[name], prompt.restarts, observed)
        path = search.go(before)
        is_cut = search.cut
        if path is None and not prompt.restarts:
            path, cut_too = self._without_a_word(name, prompt, observed)
            is_cut |= cut_too
        if path is None:
            assert observed is not None, "anything leads to nothing observed"
            step = leads_away(prompt, self.rules.shows(before, search.node).term, observed, is_news=True)
            if step is not None:
                self.no_word |= {step} - set(self.may)
                raise BeyondTheBound
            if self._may_be_lost(name, prompt, observed) or (is_cut and observed.term > self.rules.terms):
                raise BeyondTheBound
            raise StepRefused(lambda: search.explain(before))
        calls = [self._take(instance) for instance in path]
        vote = self.rules.shows(self.state, search.node).voted_for
        if vote is not None and any(sent.to == vote for sent in report.sent):
            calls += self._take_vote_as_sent(name, vote)
        return calls

    def _may_be_lost(self, name: str, prompt: Prompt, observed: Observed) -> bool:
        """A crash lost what no message has told of: what else the server did meanwhile is not known. It is
        seen in the crash, or, where nothing is seen of the disk, when it is back."""
        told = self.promised.get(name)
        keeps = told is None or observed.term > told.term or observed.voted_for == told.voted_for
        last = self.compared.get(name)
        is_back = prompt.restarts and last is not None and last.role is not None
        return (observed.role is None or is_back) and keeps and (told is None or observed.term >= told.term)

    def _answer_late(self, name: str, observed: Observed | None) -> None:
        """A server leaves its term, and its answer with its vote may still have to leave it."""
        was = self.rules.shows(self.state, self.rules.number[name])
        leaves = observed is not None and observed.term > was.term
        if leaves and was.voted_for is not None and was.voted_for != name:
            self._take_vote_as_sent(name, was.voted_for)

    def _without_a_word(
        self, name: str, prompt: Prompt, observed: Observed | None
    ) -> tuple[Path | None, bool]:
        """The steps to what is observed if the server gave its role up first, within its term; and whether
        some left the bound."""
        was = self.rules.shows(self.state, self.rules.number[name])
        gives_up = giving_up(was.role, prompt)
        if gives_up is None or observed is None:
            return None, False
        search = StepSearch(self.rules, self.rules.number[name], True, observed)
        path = search.go(self.state)
        if path is not None and gives_up not in self.may:
            self.no_word.add(gives_up)
        return path, search.cut

    def _take_vote_as_sent(self, voter: str, candidate: str) -> list[str]:
        """A message went to the candidate that has the node's vote: it may have been the vote."""
        term = self.rules.shows(self.state, self.rules.number[voter]).term
        was_sent = self.state[
            self.rules.at["granted", (self.rules.number[voter], term, self.rules.number[candidate])]
        ]
        if was_sent:
            return []
        reply = Taken("reply_vote", {"voter": voter, "candidate": candidate, "t": term})
        return [self._take(self.rules.instance(reply))]


def giving_up(role: str | None, prompt: Prompt) -> May | None:
    """What it is called when a server of this role becomes a follower of its term; None where it may not.

    A candidate that hears from a server which had not heard of its candidacy has been refused by nobody.
    """
    if role == "leader":
        return May.STEP_DOWN
    if role != "candidate":
        return None
    if prompt.what != "receive":
        return May.ASK_AGAIN
    return May.GIVE_UP if prompt.is_answer else None


def leads_away(prompt: Prompt, term: int, now: Observed, is_news: bool) -> May | None:
    """What a step of a server of this term is called after which a model cannot follow the run. `is_news`:
    nobody has asked for votes in the term that it shows."""
    if prompt.what == "timeout" and now.role == "candidate" and now.term > term + 1:
        return May.SKIPS_TERMS
    if prompt.restarts and (now.role, now.term) == ("candidate", term):
        return May.STANDS_ON
    passes = prompt.what in ("timeout", "restart") and now.role in (FOLLOWER, PRE_CANDIDATE)
    is_free = is_news and now.term > term and now.voted_for is None
    return May.PASSES_A_TERM if passes and is_free else None


Path = tuple[Instance, ...]


class StepSearch:
    """Breadth first through the steps of one node, to what is observed of it."""

    def __init__(self, known: Rules, node: int, restarts: bool, observed: Observed | None) -> None:
        self.rules, self.node, self.restarts, self.observed = known, node, restarts, observed
        self.wanted = [] if observed is None else list(known.cells_of(node, observed))
        self.cut = False  # did an allowed step leave the bound?
        self.reached: dict[tuple[State, bool], Path] = {}

    def go(self, state: State) -> Path | None:
        frontier: list[tuple[State, bool]] = [(state, False)]
        self.reached = {frontier[0]: ()}
        for _ in range(self.rules.most + 1):
            following: list[tuple[State, bool]] = []
            for here in frontier:
                if self._arrived(*here):
                    return self.reached[here]
                if len(self.reached[here]) < self.rules.most:
                    following += self._expand(*here)
            frontier = following
        return None

    def _arrived(self, state: State, restarted: bool) -> bool:
        return restarted == self.restarts and all(state[cell] == value for _, cell, value in self.wanted)

    def _expand(self, state: State, restarted: bool) -> Iterator[tuple[State, bool]]:
        for position, after in self.rules.successors(state):
            if position not in self.rules.of_node[self.node]:
                continue
            instance = self.rules.run.instances[position]
            is_restart = instance.action.name == "restart"
            if is_restart and (restarted or not self.restarts):
                continue
            if after is None:
                self.cut = True
                continue
            there = after, restarted or is_restart
            if there not in self.reached and not self._is_too_far(after):
                self.reached[there] = (*self.reached[state, restarted], instance)
                yield there

    def _is_too_far(self, state: State) -> bool:
        """Terms only grow."""
        return self.observed is not None and state[self.rules.at["term", (self.node,)]] > self.observed.term

    def explain(self, before: State) -> StepRefusal:
        """What is observed, and the one guard without which some sequence would have led to it."""
        assert self.observed is not None
        name = self.rules.nodes[self.node]
        ours = replace(self.rules.shows(before, self.node), votes=None)
        words = [
            f"{name} now shows  {in_words(self.observed)}",
            f"it was, for the model,  {in_words(ours)}",
            f"no {self.rules.most} actions of {name} lead from there to what it shows",
        ]
        if ours.term == self.observed.term and ours.voted_for is not None and self.observed.voted_for is None:
            taken_back = "no action of the model takes a vote back within its term (Figure 2, votedFor)"
            return StepRefusal("observation: voted_for", (*words[:2], taken_back))
        if self._keeps_its_vote(before, ours):
            return StepRefusal(f"observation: {OLD_VOTE}", (*words[:2], OLD_VOTE_IS_REFUSED))
        for (state, restarted), path in self.reached.items():
            for instance, guard in self._with_one_guard_broken(state, restarted):
                calls = [*(f"{self.rules.call(i)}, allowed" for i in path), self.rules.call(instance)]
                words += [f"the nearest: {'; '.join(calls)}", f"which the model forbids: {guard}"]
                return StepRefusal(f"{instance.action.name}: {guard}", tuple(words))
        return self._nearest(before, words)

    def _keeps_its_vote(self, before: State, ours: Observed) -> bool:
        """It shows the vote of an earlier term in one in which nobody has asked for it."""
        assert self.observed is not None
        term, vote = self.observed.term, self.observed.voted_for
        if vote is None or vote != ours.voted_for or not ours.term < term <= self.rules.terms:
            return False
        return not before[self.rules.at["requested", (self.rules.number[vote], term)]]

    def _nearest(self, before: State, words: list[str]) -> StepRefusal:
        """An action that explains what has changed, and what else it would have changed."""
        changed = self._differences(before)
        for position, after in self.rules.successors(before):
            instance = self.rules.run.instances[position]
            if position not in self.rules.of_node[self.node] or after is None:
                continue
            apart = self._differences(after)
            if not changed & apart and instance.action.name != "restart":
                fields = ", ".join(sorted(apart))
                shows = in_words(replace(self.rules.shows(after, self.node), votes=None))
                words += [f"the nearest: {self.rules.call(instance)}", f"after which it would show  {shows}"]
                return StepRefusal(f"{instance.action.name}: without its {fields}", tuple(words))
        return StepRefusal(f"observation: {', '.join(sorted(changed))}", tuple(words))

    def _differences(self, state: State) -> set[str]:
        return {field for field, cell, value in self.wanted if state[cell] != value}

    def _with_one_guard_broken(self, state: State, restarted: bool) -> Iterator[tuple[Instance, Guard]]:
        for position in sorted(self.rules.of_node[self.node]):
            instance = self.rules.run.instances[position]
            for guard in instance.action.guards:
                after = self._forced(state, instance, guard)
                if after is not None and self._arrived(after, restarted):
                    yield instance, guard

    def _forced(self, state: State, instance: Instance, guard: Guard) -> State | None:
        """The state after a step in which one guard was not required, if that is all it needs."""
        unguarded: Action = replace(instance.action, dropped=instance.action.dropped | {guard.name})
        try:
            return self.rules.run.step(state, unguarded, instance.args)
        except (Disabled, Cut):
            return None


class LeadersOnly:
    """Election Safety alone, on what is observed: at most one leader of a term, now or ever."""

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}
        self.no_word: set[May] = set()

    def begin(self, seen: Seen) -> None:
        for name, observed in seen.items():
            if observed is not None and observed.role == "leader":
                other = self.leaders.setdefault(observed.term, name)
                if other != name:
                    raise refused(
                        "two leaders in one term",
                        f"{other} and {name} both led term {observed.term}",
                        "Figure 3, Election Safety: at most one leader can be elected in a given term",
                    )

    def follow(self, node: str, prompt: Prompt, report: Report, seen: Seen) -> list[str]:
        self.begin(seen)
        return []
