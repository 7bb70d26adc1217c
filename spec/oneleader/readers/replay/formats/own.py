"""oneleader: our own format. A recording of any model that names the actions it took, or shows its nodes.

    {"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1", "n2", "n3"]}
    {"node": "n1", "event": "election timeout", "actions": [["start_election", {"n": "n1"}]],
     "after": {"term": {"n1": 1}, "role": {"n1": "candidate"}, "votes": {"n1": ["n1"]}}}

The header, then one step a line: its actions are taken in their order, and then what is shown is compared
with the model. A key that no table names is refused: it would be judged by nobody.

Where a line names no actions, they are found from what it shows of its node (`observed`), for the models
`election`, `vote_count`, `pre_vote`, `replication`, `membership`, `snapshots` and `lease`:

    {"node": "n1", "event": "election timeout", "term": 1, "voted_for": "n1", "role": "candidate"}

What the header may say stands in `own_header`, what a step may say in `own_steps`. The header has to satisfy
the model's axioms, and each state that is reached its properties.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from oneleader.errors import UsageError
from oneleader.language.definitions import Action, Property
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.readers.replay.candidates import (
    Candidate,
    Candidates,
    LineRefused,
    NotModelled,
    OpenRun,
    call_of,
    show,
)
from oneleader.readers.replay.compiled import CompiledRun
from oneleader.readers.replay.coverage import Counts, ReplayCoverage
from oneleader.readers.replay.formats.agreed import NEVER, Agreed
from oneleader.readers.replay.formats.configurations import Configurations
from oneleader.readers.replay.formats.forgetting import OldRounds, OldTerms, SentNames
from oneleader.readers.replay.formats.given import Believed
from oneleader.readers.replay.formats.observed import Call, ObservedElection
from oneleader.readers.replay.formats.observed_lease import ObservedLease
from oneleader.readers.replay.formats.observed_log import ObservedLog
from oneleader.readers.replay.formats.observed_members import ObservedMembers, ObservedSnapshots
from oneleader.readers.replay.formats.observed_pre_vote import ObservedPreVote
from oneleader.readers.replay.formats.own_header import OwnHeader
from oneleader.readers.replay.formats.own_steps import OwnSteps, ReadAfter, Step, counted
from oneleader.readers.replay.formats.quorums import Quorums
from oneleader.readers.replay.formats.seen import SeenNodes, explanations
from oneleader.readers.replay.formats.shown import LAST, NodeShown, ShownKeys, shown
from oneleader.readers.replay.formats.values import Observed
from oneleader.readers.replay.properties import Axioms, Properties, broken, is_proved
from oneleader.words import quoted

NOBODY: frozenset[str] = frozenset()
LOOKED_AT = frozenset({"actions", "given", "after", "time", "sends", "receives"})
INFERRED: tuple[type[ObservedElection], ...] = (
    *(ObservedElection, ObservedPreVote, ObservedLog, ObservedMembers, ObservedSnapshots),
    ObservedLease,
)


class ToldLine(Protocol):
    """What a line says: the steps of its node, as `actions` has them, and its state `after` them. `read` is
    what this was read as."""

    node: str
    actions: list[Any]
    after: dict[str, Any]
    read: Any


class ReadLine:
    """What such a line was read as, when it would have changed nothing last, as `agreed` counts, and how many
    times it came that are not counted yet."""

    __slots__ = ("after", "agreed_at", "calls", "times")

    def __init__(self, calls: list[Call], after: ReadAfter) -> None:
        self.calls, self.after, self.agreed_at, self.times = calls, after, NEVER, 0


class OwnFormat:
    """Judges one recording, line by line. There is one candidate state: the recording leaves no step out."""

    name = "oneleader"

    def __init__(
        self,
        header: dict[str, Any],
        model: Model | None,
        limit: int,
        *,
        judges_states: bool = True,
        run: type[OpenRun] = CompiledRun,
    ) -> None:
        """`judges_states`: whether properties are judged of the states reached, beside the guards."""
        read = OwnHeader(header, model)
        self.header, self.model, self.sorts, self.closed = read, read.model, read.sorts, read.closed
        self.quorums, self.quorum_sort = read.quorums, read.quorum_sort
        self.run = self._run(run, history=judges_states)
        self.axioms = Axioms(self.run, said=read.said)
        proved = is_proved(self.model) and not read.incomplete
        self.properties = Properties(self.run, *read.incomplete, is_proved=proved)
        self.judges_states = judges_states
        self.candidates = Candidates(self.run, limit, *([self.properties.check] if judges_states else []))
        if read.changes_members:
            read.values.read_by(self.sorts["Config"], self._configuration)
        nodes = self.closed.get("Node", ())
        configuration = self._configuration if read.changes_members else None
        self.shown_keys = ShownKeys(self.model, read.values, nodes, configuration)
        self.inferring = next((how for how in INFERRED if how.speaks(self.model)), None)
        self.steps = OwnSteps(self.model, read.values, self.shown_keys, may_infer=self.inferring is not None)
        quorums = self.quorums or Quorums(nodes, "majority")
        self.seen = SeenNodes(nodes, quorums, read.parameters, self.model.fields)
        self.agreed = Agreed(self.model)
        actions = self.model.actions.values() if self.quorums else ()
        self.of_quorums = {a.name for a in actions if self.quorum_sort in dict(a.params).values()}
        self.found: list[Call] = []  # the actions of the last line that named none, by its first explanation
        self.sent, self.rounds, self.terms = SentNames(), self._rounds(), self._terms()
        self.believed = Believed(self.model)
        self.may_lose_states = not judges_states
        self.coverage = ReplayCoverage(given=[*read.given], ignored=read.ignored)
        self.known_keys: frozenset[str] = LOOKED_AT
        self.left_aside: dict[str, str] = {}
        self.not_modelled: Counter[str] = Counter()
        self.events = 0
        # Lines that change nothing are counted together: up to `rests_until` events none needs a look.
        self.rests_until, self.rested = 0, 0
        self.repeated: list[ReadLine] = []

    def _run(self, run: type[OpenRun], *, history: bool) -> OpenRun:
        """A run over what the header names."""
        read = self.header
        found = run(self.model, read.constants, read.parameters, history=history)
        for sort, names in self.closed.items():
            for name in names:
                found.see(self.sorts[sort], name)
        if self.quorums:
            for quorum in self.quorums.smallest():
                found.see(self.quorum_sort, quorum)
        return found

    @staticmethod
    def recognises(record: dict[str, Any]) -> bool:
        return record.get("format") == "oneleader"

    def begin(self) -> None:
        """Judge what the header says; LineRefused where it breaks an axiom."""
        self.header.expect_fixed_members()
        self._claim()
        self.axioms.check()

    def end(self) -> None:
        """Judge what the header says of the end; LineRefused where the model disagrees."""
        claim = self._claim()
        if claim is None:
            return
        of, args = claim
        if isinstance(of, Property):
            self._expect_false(of, args)
        else:
            self.candidates.follow(lambda state: [self._explained(state, ([(of, args)], [], []), "")])
        wrong = call_of(of, args) if isinstance(of, Property) else f"a claim of {call_of(of, args)}"
        raise LineRefused(f"the recording says that {wrong} is false in the end, and in the model it is true")

    def _claim(self) -> tuple[Property, tuple[Any, ...]] | Call | None:
        """What is false in the end, or an action of which a claim is; UsageError where the model has none."""
        if self.header.violates is None:
            return None
        name, given = self.header.violates
        if name in self.model.actions:
            return self.steps.call([name, given])
        prop = self.model.properties.get(name)
        if prop is None:
            raise UsageError(
                f"`violates` names {quoted(name)}: {self.model.name} has no such property or action"
            )
        if given.keys() != dict(prop.params).keys():
            raise UsageError(f"{prop.name} takes ({', '.join(dict(prop.params))}), not ({', '.join(given)})")
        return prop, tuple(self.header.values.value(sort, given[param]) for param, sort in prop.params)

    def _expect_false(self, prop: Property, args: tuple[Any, ...]) -> None:
        """LineRefused, in the words of the property, where it is."""
        if not self.properties.can_judge(prop.name):
            raise NotModelled(f"the history that {prop.name} reads is not kept: whether it is false is open")
        if not self.run.holds(prop, self.candidates.states[0], args):
            raise broken(prop, args)

    def read(self, record: dict[str, Any]) -> Step:
        return self.steps.read(record)

    def judge(self, record: dict[str, Any]) -> None:
        self._catch_up()
        self.rests_until = 0
        step = self.read(record)
        steps, given, _ = step
        is_last_word = steps is not None or not self.seen.helpers(record["node"])
        self.run.go_in_place(self._may_lose_state and is_last_word and not given)
        self.take(record, step)

    @property
    def _may_lose_state(self) -> bool:
        """There is one state, and what it was before the next line nobody asks."""
        return len(self.candidates.states) == 1 and (self.may_lose_states or self.properties.rests)

    def tell(self, told: ToldLine) -> bool:
        """Judge a line that names these steps and shows this state of its node, and no more than that; False
        if it has to be judged as a record. What was told before is known by its identity."""
        read: ReadLine | None = told.read
        if (
            read is not None
            and read.agreed_at == self.agreed.now
            and (self.events < self.rests_until or self._is_resting())
        ):
            self.events += 1
            self.rested += 1
            if not read.times:
                self.repeated.append(read)
            read.times += 1
            return True
        self._catch_up()
        if not self._may_lose_state or told.node not in self.steps.latest:
            return False
        if read is not None and self._changes_nothing(read):
            self.candidates.stay(read.calls)
            self._end_line(read.after.counts)
            return True
        calls = [self.steps.call(step) for step in told.actions]
        after = self.steps.after(told.node, told.after)
        told.read = ReadLine(calls, after)
        self.run.go_in_place(True)
        self._expect_remembered(after.cells)
        self._follow(told.node, (calls, [], after.cells))
        self._settle(told.node)
        self._end_line(after.counts)
        return True

    def _is_resting(self) -> bool:
        """Whether neither a property is due to be judged nor anything to be forgotten."""
        self.count_repeated()
        left = self.properties.due - self.properties.states - 1 if self._may_lose_state else 0
        self.rests_until = self.events + min(left, self.terms.rests(self.events) if self.terms else left)
        return self.events < self.rests_until

    def _catch_up(self) -> None:
        """With the lines that were only counted."""
        if self.rested:
            self.properties.rest(self.rested)
            self.rested = 0

    def count_repeated(self) -> None:
        """And with their steps and observations."""
        self._catch_up()
        for read in self.repeated:
            for action, _ in read.calls:
                self.candidates.steps[action.name] += read.times
            self.coverage.compare(read.after.counts, read.times)
            read.times = 0
        self.repeated.clear()

    def _changes_nothing(self, line: ReadLine) -> bool:
        """Such steps would leave all as it is, and what the node shows is as it was."""
        agreed = self.agreed
        if line.agreed_at == agreed.now:
            return True
        if any(agreed.would_change(*call) for call in line.calls) or agreed.new(line.after.cells):
            return False
        line.agreed_at = agreed.now
        return True

    def take(self, record: dict[str, Any], step: Step, *, may_hide: bool = True) -> None:
        """Judge a line that was read. `may_hide`: nodes take steps that they never show."""
        node, (steps, given, after) = record["node"], step
        if "receives" in record:
            self.sent.check(record["receives"])
        self._expect_remembered(after)
        if given:
            self._begin_elsewhere()
        if steps is None:
            self._infer(shown(record, after), after, may_hide=may_hide)
        else:
            self._follow(node, step)
        self._settle(node, given, record.get("sends", ()))
        self._end_line(counted(after))
        if not record.keys() <= self.known_keys:
            shown_of = {"node"} if steps is None else NOBODY
            self.coverage.ignored |= record.keys() - LOOKED_AT - self.shown_keys.looked_at - shown_of
            self.known_keys = LOOKED_AT | self.coverage.ignored

    def _expect_remembered(self, after: list[Observed]) -> None:
        """NotModelled where it speaks of what is forgotten."""
        if self.rounds and self.rounds.forgotten:
            self.rounds.check(after)
        if self.terms and (self.terms.first or self.terms.discarded):
            self.terms.check(after)

    def _settle(self, node: str, given: Sequence[Observed] = (), sends: Sequence[str] = ()) -> None:
        """The steps of a line were taken: what is believed from now on, what is forgotten, and the axioms."""
        is_said = self.believed.note(node, given)
        if sends:
            is_said |= self.sent.add(sends)
        if self.rounds and self.rounds.forget():
            self.agreed.start_again()
            is_said = True
        if is_said:
            self.coverage.given[len(self.header.given) :] = self._believed_words()
        if self.judges_states:
            self.axioms.check()

    def _end_line(self, shown: Counts) -> None:
        """A line was accepted that shows so many cells of these fields."""
        if self.terms and self.terms.forget(self.events):
            self.agreed.start_again()
        self.events += 1
        self.coverage.compare(shown)

    def _follow(self, node: str, step: Step) -> None:
        """The steps that a line names."""
        steps, given, after = step
        if not steps and not given and not self.agreed.new(after):
            return self.candidates.stay()
        try:
            if self.run.in_place:
                self.candidates.follow_in_place(self._explain, steps or [], after)
            else:
                self.candidates.follow(lambda state: [self._explained(state, step, node)])
        except LineRefused as refused:
            if self.rounds:
                self.rounds.check_refusal(refused)
            if self.terms:
                self.terms.check_refusal(steps or [])
            raise
        return None

    def _rounds(self) -> OldRounds | None:
        """Where the model is `lease` and its run can forget."""
        if self.model.name != "lease" or not isinstance(self.run, CompiledRun):
            return None
        return OldRounds(self.run, self.candidates, self.seen.messages, self.header.parameters["lease"])

    def _terms(self) -> OldTerms | None:
        """Where the model's steps are of present terms, and its properties proved."""
        nodes = self.closed.get("Node", ())
        may_forget = self.properties.is_proved and self.model.name in OldTerms.MODELS and nodes
        if not may_forget or not isinstance(self.run, CompiledRun):
            return None
        return OldTerms(self.run, self.candidates, self.properties, nodes)

    def _begin_elsewhere(self) -> None:
        """A line says what stood before it: no proof speaks of what follows, and all of it is kept."""
        if self.terms and (self.terms.first or self.terms.discarded):
            raise NotModelled(
                "a line says in `given` what stood before it, and what would judge that, from terms of long "
                "ago, is not remembered"
            )
        self.terms = None
        self.properties.begin_elsewhere()

    def _believed_words(self) -> Iterator[str]:
        yield from self.believed.words()
        yield from self.sent.words()
        yield from self.rounds.words() if self.rounds else ()

    def _infer(self, line: NodeShown, after: list[Observed], *, may_hide: bool) -> None:
        """The same of a line that names no actions."""
        how, seen = self.inferring, self.seen
        assert how is not None, "read() saw to it"
        for unfound in how.UNFOUND and sorted(how.UNFOUND & {field.name for field, _, _ in after}):
            raise NotModelled(
                f"how `{unfound}` came to be so is not found from what lines show: name the actions"
            )
        found: list[list[Call]] = []

        def explain(state: Candidate, helpers: frozenset[str] = NOBODY) -> Candidate:
            explained = how(self.model, seen, state, line, helpers)
            explained.take()
            self.agreed.start_again()
            self._compare(state, after)
            found.append(explained.taken)
            return state

        if self.run.in_place:
            self.candidates.follow_in_place(explain)
        else:
            self.candidates.follow(
                lambda state: explanations(
                    seen, line.node, lambda helpers: explain(state.copy(), helpers), may_hide=may_hide
                )
            )
        seen.note(line)
        self.found = found[0]

    def sends(self, record: dict[str, Any], message: str) -> bool:
        """Whether the line sends the message."""
        return message in (record.get("sends") or ())

    # -- a step ---------------------------------------------------------------------------------------
    def _explained(self, before: Candidate, step: Step, node: str) -> Candidate:
        """The state after a line that names its actions."""
        steps, given, after = step
        state = before.copy()
        if given:
            self.believed.take(state, node, given)
            self.properties.check_beginning(state, node)
            self.agreed.start_again()
        self._explain(state, steps or [], after)
        return state

    def _explain(self, state: Candidate, steps: list[Call], after: list[Observed]) -> None:
        for action, args in steps:
            self._act(state, action, args)
        self.agreed.take(steps, in_place=self.run.in_place)
        self._compare(state, after)

    def _compare(self, state: Candidate, after: list[Observed]) -> None:
        """What is recorded is what the model has; LineRefused otherwise."""
        in_place = self.run.in_place
        for said in self.agreed.new(after):
            field, index, recorded = said
            last = index[-1] if index else None
            if type(last) is range:
                self._compare_range(state, said)
                continue
            if in_place and len(index) == 1:  # for the one state that there is
                self.agreed.cells[field.name][index] = said
            if last is LAST:
                index = (*index[:-1], state.get("log_length", index[0]))
            modelled: Any
            if type(recorded) is frozenset and len(index) < len(field.index):
                modelled = state.true_at(field.name, index, self.run.domain(field.index[-1]))
            else:
                modelled = state.get(field.name, index[0] if len(index) == 1 else index)
            if recorded != modelled:
                raise unlike(field, index, recorded, modelled)

    def _compare_range(self, state: Candidate, said: Observed) -> None:
        """The same of many cells that follow one another."""
        field, index, recorded = said
        modelled = state.between(field.name, index[:-1], index[-1])
        if recorded != modelled:
            at = next(k for k, (said, had) in enumerate(zip(recorded, modelled, strict=True)) if said != had)
            raise unlike(field, (*index[:-1], index[-1][at]), recorded[at], modelled[at])

    def _act(self, state: Candidate, action: Action, args: tuple[Any, ...]) -> None:
        """The step; where what it calls a quorum is not one, with the nodes that it lacks."""
        if action.name not in self.of_quorums:
            return state.act(action.name, *args)
        assert self.quorums is not None
        enough = tuple(
            self.quorums.completed(value) if sort is self.quorum_sort else value
            for (_, sort), value in zip(action.params, args, strict=True)
        )
        state.act(action.name, *enough)
        if enough != args:
            call = call_of(action, args)
            raise LineRefused(f"{call}: that is no quorum of {' '.join(self.quorums.nodes)}", call)
        return None

    def _configuration(self, written: Any) -> int:
        """The number of a configuration, which is known from now on, with a quorum of it."""
        assert isinstance(self.quorums, Configurations)
        number = self.quorums.number(written)
        self.run.see(self.quorum_sort, [*self.quorums.smallest()][number])
        return number


def unlike(field: Field, index: tuple[Any, ...], recorded: Any, modelled: Any) -> LineRefused:
    """`log_term[n1, 3] is 2 in the recording and 1 in the model`"""
    where = ", ".join(map(show, index))
    return LineRefused(
        f"{field.name}{f'[{where}]' if index else ''} is {show(recorded)} in the recording "
        f"and {show(modelled)} in the model"
    )
