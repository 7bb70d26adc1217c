"""oneleader: our own format. A recording of any model that names the actions it took, or shows its nodes.

    {"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1", "n2", "n3"]}
    {"node": "n1", "event": "election timeout", "actions": [["start_election", {"n": "n1"}]],
     "after": {"term": {"n1": 1}, "role": {"n1": "candidate"}, "votes": {"n1": ["n1"]}}}

The header, then one step a line: its actions are taken in their order, and then what is shown is compared
with the model. A key that stands neither here nor in the tables is refused: it would be judged by nobody.

Where a line names no actions, they are found from what it shows of its node (`observed`), for the models
`election`, `vote_count`, `pre_vote`, `replication`, `membership`, `snapshots` and `lease`:

    {"node": "n1", "event": "election timeout", "term": 1, "voted_for": "n1", "role": "candidate"}

| in the header | what it says                                                                    |
|---------------|---------------------------------------------------------------------------------|
| `model`       | a name in `oneleader.models.MODELS`                                             |
| `nodes`       | the elements of the sort Node; no others may appear                             |
| `elements`    | the same for other set sorts, by name; one not named grows as elements appear   |
| `quorums`     | "majority", or a list of lists of nodes; a quorum is written as a list of nodes |
| `configuration` | where members change: the initial one, all `nodes` where it says none;           |
|               | `configurations` says how it is written                                         |
| `constants`   | for other constants, by name: the list of the indices at which it is true       |
| `parameters`  | the lengths of time and the rates, by name: natural numbers                     |
| `incomplete`  | fields that `given` states in part: no property that reads them is judged       |
| `violates`    | what is false after the last line: ["a property", {"parameter": value, ...}],   |
|               | or an action of which a claim is                                                |
| `seed`, `numbers`, `fault`, `note` | for people                                                 |

| in a step      | what it says                                                     |
|----------------|------------------------------------------------------------------|
| `node`, `event`| who did it, and what happened, in words                          |
| `actions`      | the steps of the model: [["name", {"parameter": value, ...}]]    |
| `term`, `role`, ...  | what its node is like after them: all such keys in `shown` |
| `after`        | what stands after them, of any node, in the words of the model   |
| `given`        | what stood before the line, in the same words: it is believed   |
| `time`         | the node's clock, a number; it does not go back                  |
| `sends`, `receives` | the names of messages: each is sent before it is received   |
| `step`, `note` | for people                                                       |

What the header says has to satisfy the model's axioms, and each state that is reached its properties.

In `after`, by a field's shape: a dictionary goes from an index to what is there; a list is the set of last
indices at which a relation is true; null is NIL; a member of an enumeration stands by its name in lower case.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from functools import partial
from itertools import combinations
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.definitions import Action, Property
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import (
    AnySort,
    is_set,
)
from oneleader.models import FLAWED, MODELS, find
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
from oneleader.readers.replay.coverage import ReplayCoverage, check_keys
from oneleader.readers.replay.formats.configurations import Configurations
from oneleader.readers.replay.formats.observed import Call, ObservedElection, SeenNodes, explanations
from oneleader.readers.replay.formats.observed_lease import ObservedLease
from oneleader.readers.replay.formats.observed_log import ObservedLog
from oneleader.readers.replay.formats.observed_members import ObservedMembers, ObservedSnapshots
from oneleader.readers.replay.formats.observed_pre_vote import ObservedPreVote
from oneleader.readers.replay.formats.shown import KEYS, LAST, NodeShown, ShownKeys, expect_fixed, shown
from oneleader.readers.replay.formats.values import Observed, Reader, ValueReaders, are_words
from oneleader.readers.replay.properties import Axioms, Properties, broken, is_proved

VERSION = 1
HEADER = (
    *("format", "version", "model", "nodes", "elements", "quorums", "configuration"),
    *("constants", "parameters", "incomplete", "violates"),
)
HEADER_FOR_PEOPLE = ("seed", "numbers", "fault", "note")
STEP = ("node", "event", "actions", "given", "after", "time", "sends", "receives", *KEYS)
STEP_FOR_PEOPLE = ("step", "note")
LONGEST_GIVEN = 100  # characters of what is taken as given
MOST_LISTED = 7  # nodes whose majorities are listed: 35
IN_STEP = frozenset({*STEP, *STEP_FOR_PEOPLE})
LOOKED_AT = frozenset({"actions", "given", "after", "time", "sends", "receives"})
INFERRED: tuple[type[ObservedElection], ...] = (
    *(ObservedElection, ObservedPreVote, ObservedLog, ObservedMembers, ObservedSnapshots),
    ObservedLease,
)
Quorum = frozenset[str]
Step = tuple[list[Call] | None, list[Observed]]  # actions, None if none are named


class Quorums:
    """The constant `member` where quorums are sets of nodes; and which sets are quorums."""

    def __init__(self, nodes: tuple[str, ...], listed: Any) -> None:
        self.nodes, self.listed = nodes, None
        if listed != "majority":
            if not isinstance(listed, list) or not all(are_words(q) for q in listed) or not listed:
                raise UsageError('`quorums` is neither "majority" nor a list of lists of nodes')
            self.listed = [frozenset(q) for q in listed]
            unknown = sorted(frozenset().union(*self.listed) - set(nodes))
            if unknown:
                raise UsageError(f"`quorums` names {unknown[0]}, which is not one of the `nodes`")

    def __contains__(self, index: Any) -> bool:
        voter, quorum = index
        return voter in quorum

    def smallest(self) -> Iterable[Quorum]:
        """The quorums that properties are judged for; none where majorities are too many to list."""
        if self.listed is not None:
            return self.listed
        few = len(self.nodes) <= MOST_LISTED
        return map(frozenset, combinations(self.nodes, len(self.nodes) // 2 + 1)) if few else ()

    def completed(self, votes: Quorum) -> Quorum:
        """The votes themselves if they are a quorum, else with nodes added until they are one."""
        if self.listed:
            return votes if any(q <= votes for q in self.listed) else votes | self.listed[0]
        missing = [n for n in self.nodes if n not in votes]
        return votes | frozenset(missing[: max(0, len(self.nodes) // 2 + 1 - len(votes))])

    def within(self, nodes: Quorum, configuration: int) -> Quorum:
        """A quorum of these nodes; one with others if they are none: the model says who is missing."""
        return next((q for q in self.smallest() if q <= nodes), None) or self.completed(nodes)


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
        if header.get("format") != "oneleader":
            raise UsageError('the first line is no header {"format": "oneleader", ...}')
        if header.get("version") != VERSION:
            raise UsageError(f"version {header.get('version')!r} of the format is not known, {VERSION} is")
        check_keys(header, (*HEADER, *HEADER_FOR_PEOPLE), "the header")
        self.model = model or load(header.get("model"))
        self.sorts = self.model.sorts
        self.closed = self._elements(header)
        self.quorums = self._quorums(header)
        member = self.model.fields["member"].index if self.quorums else ()
        self.quorum_sort: AnySort = member[1] if member else None
        self.values = ValueReaders(self.closed, member)
        if isinstance(self.quorums, Configurations):
            self.values.read_by(self.sorts["Config"], self._configuration)
        constants, parameters = self._constants(header), self._parameters(header)
        self.run = run(self.model, constants, parameters, history=judges_states)
        for sort, names in self.closed.items():
            for name in names:
                self.run.see(self.sorts[sort], name)
        if self.quorums:
            for quorum in self.quorums.smallest():
                self.run.see(self.quorum_sort, quorum)
        self.axioms = Axioms(self.run, said=_object(header, "constants"))
        incomplete = self._incomplete(header)
        proved = is_proved(self.model) and not incomplete
        self.properties = Properties(self.run, *incomplete, is_proved=proved)
        self.judges_states = judges_states
        self.candidates = Candidates(self.run, limit, *([self.properties.check] if judges_states else []))
        nodes = self.closed.get("Node", ())
        changes = isinstance(self.quorums, Configurations)
        self.shown_keys = ShownKeys(self.model, self.values, nodes, self._configuration if changes else None)
        self.inferring = next((how for how in INFERRED if how.speaks(self.model)), None)
        self.seen = SeenNodes(nodes, self.quorums or Quorums(nodes, "majority"), parameters)
        self.sorts_of = {a.name: {sort for _, sort in a.params} for a in self.model.actions.values()}
        self.of_actions: dict[str, dict[str, Reader]] = {}  # what reads each of an action's arguments
        self.found: list[Call] = []  # the actions of the last line that named none, by its first explanation
        self.violates, self.initial = header.get("violates"), header.get("configuration")
        self.clocks: dict[str, float] = {}  # each node's last `time`
        self.sent: set[str] = set()  # the messages that lines name
        self.lines_given, self.cells_given = 0, Counter[str]()
        self.may_lose_states = not judges_states
        self.coverage = ReplayCoverage(
            given=[*_given(header)], ignored=header.keys() & set(HEADER_FOR_PEOPLE)
        )
        self.known_keys: frozenset[str] = LOOKED_AT
        self.left_aside: dict[str, str] = {}
        self.not_modelled: Counter[str] = Counter()
        self.events = 0

    @staticmethod
    def recognises(record: dict[str, Any]) -> bool:
        return record.get("format") == "oneleader"

    def begin(self) -> None:
        """Judge what the header says; LineRefused where it breaks an axiom."""
        if self.quorums and self.initial is not None and not isinstance(self.quorums, Configurations):
            expect_fixed(self.model, "the header's `configuration` has", self.initial, self.quorums.nodes)
        self.axioms.check()

    def end(self) -> None:
        """Judge what the header says of the end; LineRefused where the model disagrees."""
        match self.violates:
            case None:
                return
            case [str(name), dict(given)] if name in self.model.actions:
                action, args = self._step([name, given])
                self.candidates.follow(lambda state: [self._explain(state, [(action, args)], [])])
                wrong = f"a claim of {call_of(action, args)}"
            case [str(name), dict(given)] if name in self.model.properties:
                wrong = self._false_in_the_end(self.model.properties[name], given)
            case _:
                raise UsageError(f"`violates` is no property or action of {self.model.name} with its values")
        raise LineRefused(f"the recording says that {wrong} is false in the end, and in the model it is true")

    def _false_in_the_end(self, prop: Property, given: dict[str, Any]) -> str:
        if given.keys() != dict(prop.params).keys():
            raise UsageError(f"{prop.name} takes ({', '.join(dict(prop.params))}), not ({', '.join(given)})")
        if not self.properties.can_judge(prop.name):
            raise NotModelled(f"the history that {prop.name} reads is not kept: whether it is false is open")
        args = tuple(self.values.value(sort, given[param]) for param, sort in prop.params)
        if not self.run.holds(prop, self.candidates.states[0], args):
            raise broken(prop, args)
        return call_of(prop, args)

    def read(self, record: dict[str, Any]) -> Step:
        """The actions of a step, and what stands after them; UsageError where it cannot be read."""
        if not record.keys() <= IN_STEP:
            check_keys(record, (*STEP, *STEP_FOR_PEOPLE), "a step")
        node, event = record.get("node"), record.get("event")
        if not isinstance(node, str) or not isinstance(event, str):
            raise UsageError("a step needs `node` and `event`, both strings")
        if "time" in record:
            self._see_clock(node, record["time"])
        for key in ("sends", "receives"):
            if key in record and not are_words(record[key]):
                raise UsageError(f"`{key}` is not a list of the names of messages")
        steps = [self._step(action) for action in _list(record, "actions")] if "actions" in record else None
        if steps is None and "given" in record:
            raise UsageError("what is `given` comes before `actions`, and this line names none")
        if steps is None and self.inferring is None:
            raise NotModelled(
                f"the line names no actions, and those of {self.model.name} are not found without"
            )
        return steps, self._after(record) + self.shown_keys.observed(record)

    def _see_clock(self, node: str, time: Any) -> None:
        if isinstance(time, bool) or not isinstance(time, int | float) or time != time:
            raise UsageError("`time` is not a number")
        if time < self.clocks.get(node, time):
            raise UsageError(
                f"the clock of {node} goes back from {self.clocks[node]:g} to {time:g}: give the time of a "
                "clock that does not, or none"
            )
        self.clocks[node] = time

    def judge(self, record: dict[str, Any]) -> None:
        steps, after = self.read(record)
        self.run.go_in_place(steps is not None and (self.may_lose_states or self.properties.rests))
        self.take(record, steps, after)

    def take(
        self, record: dict[str, Any], steps: list[Any] | None, after: list[Observed], *, may_hide: bool = True
    ) -> None:
        """Judge a line that was read. `may_hide`: nodes take steps that they never show."""
        for message in record.get("receives", ()):
            if message not in self.sent:
                refused = LineRefused(
                    f"nobody has sent {message} before this line: where a file for each node was joined, "
                    "`oneleader trace merge` puts effects after their causes"
                )
                refused.unsent = message
                raise refused
        given = self._observed(record, "given")
        if steps is None:
            self._infer(shown(record, after), after, may_hide=may_hide)
        else:
            self.candidates.follow(lambda state: [self._explain(state, steps, after, given)])
        self._count(given)
        if self.judges_states:
            self.axioms.check()
        self.sent.update(record.get("sends", ()))
        self.events += 1
        compared = self.coverage.compared
        for field, _, _ in after:
            compared[field.name] += 1
        if not record.keys() <= self.known_keys:
            self.coverage.ignored |= record.keys() - LOOKED_AT - self.shown_keys.looked_at
            self.known_keys = LOOKED_AT | self.coverage.ignored

    def _infer(self, line: NodeShown, after: list[Observed], *, may_hide: bool) -> None:
        """The same of a line that names no actions."""
        how, seen = self.inferring, self.seen
        assert how is not None, "read() saw to it"
        for unfound in sorted(how.UNFOUND & {field.name for field, _, _ in after}):
            raise NotModelled(
                f"how `{unfound}` came to be so is not found from what lines show: name the actions"
            )
        if line.node not in seen.of:
            raise UsageError(f"{line.node!r} is not one of the header's `nodes`")

        found: list[list[Call]] = []

        def explain(before: Candidate, helpers: frozenset[str]) -> Candidate:
            state = before.copy()
            explained = how(self.model, seen, state, line, helpers)
            explained.take()
            self._compare(state, after)
            found.append(explained.taken)
            return state

        self.candidates.follow(
            lambda state: explanations(seen, line.node, partial(explain, state), may_hide=may_hide)
        )
        seen.note(line)
        self.found = found[0]

    def _count(self, given: list[Observed]) -> None:
        """What was believed, in words."""
        if not given:
            return
        if self.lines_given:
            self.coverage.given.pop()
        self.lines_given += 1
        self.cells_given.update(field.name for field, _, _ in given)
        counted = ", ".join(f"{count:,} of {name}" for name, count in self.cells_given.items())
        lines = "a line says" if self.lines_given == 1 else f"{self.lines_given:,} lines say"
        self.coverage.given.append(f"what {lines} stood before: {counted}")

    def sends(self, record: dict[str, Any], message: str) -> bool:
        """Whether the line sends the message."""
        return message in (record.get("sends") or ())

    # -- the header ---------------------------------------------------------------------------------
    def _elements(self, header: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        """The elements of each set sort that the header names."""
        elements = dict(_object(header, "elements"))
        if "nodes" in header:
            if "Node" in elements:
                raise UsageError("the header names the nodes twice, in `nodes` and in `elements`")
            elements["Node"] = header["nodes"]
        for sort, names in elements.items():
            if not is_set(self.sorts.get(sort)):
                raise UsageError(f"{self.model.name} has no set sort {sort}")
            if not are_words(names) or not names or len(set(names)) < len(names):
                raise UsageError(f"the elements of {sort} are not a list of distinct names")
        return {sort: tuple(names) for sort, names in elements.items()}

    def _constants(self, header: dict[str, Any]) -> dict[str, Container[Any]]:
        """Where each constant is true."""
        given = _object(header, "constants")
        constants: dict[str, Container[Any]] = {name: self._constant(name, at) for name, at in given.items()}
        if isinstance(self.quorums, Configurations):
            constants |= {"quorum_of": self.quorums.quorum_of, "adjacent": self.quorums.adjacent}
        return constants | ({"member": self.quorums} if self.quorums else {})

    def _quorums(self, header: dict[str, Any]) -> Quorums | Configurations | None:
        """The quorums, unless `constants` says who is a member of which."""
        member = self.model.fields.get("member")
        if member and member.kind == "constant" and "member" not in _object(header, "constants"):
            of, _ = member.index
            if of.__name__ not in self.closed:
                raise UsageError(f"{self.model.name} has quorums: the header has to name the `nodes`")
            nodes = self.closed[of.__name__]
            given = {*header, *_object(header, "constants")}
            if "quorum_of" in self.model.fields and not given & {"quorums", "quorum_of"}:
                return Configurations(nodes, header.get("configuration", [list(nodes)]))
            return Quorums(nodes, header.get("quorums", "majority"))
        if header.get("quorums", "majority") != "majority":
            raise UsageError("nothing reads `quorums` here: `constants` or the model says who is a member")
        return None

    def _incomplete(self, header: dict[str, Any]) -> list[str]:
        names = header.get("incomplete", [])
        if not are_words(names) or any(name not in self.model.fields for name in names):
            raise UsageError(f"`incomplete` is not a list of fields of {self.model.name}")
        return list(names)

    def _parameters(self, header: dict[str, Any]) -> dict[str, int]:
        given = _object(header, "parameters")
        for name, value in given.items():
            if name not in self.model.parameters:
                raise UsageError(f"{self.model.name} has no parameter {name}")
            self.values.value(self.model.fields[name].of, value)
        return given

    def _constant(self, name: str, true_at: Any) -> Container[Any]:
        field = self.model.fields.get(name)
        if field is None or field.kind != "constant":
            raise UsageError(f"{self.model.name} has no constant {name}")
        if not isinstance(true_at, list) or not all(
            isinstance(i, list) and len(i) == len(field.index) for i in true_at
        ):
            raise UsageError(f"the constant {name} is not a list of its indices, {len(field.index)} each")
        return frozenset(tuple(map(self.values.value, field.index, index)) for index in true_at)

    # -- a step ---------------------------------------------------------------------------------------
    def _step(self, written: Any) -> tuple[Action, tuple[Any, ...]]:
        """The action and its arguments; UsageError where the model has none such."""
        match written:
            case [str(name), dict(given)]:
                pass
            case _:
                raise UsageError('an action is not written as ["name", {"parameter": value, ...}]')
        if name not in self.model.actions:
            known = ", ".join(self.model.actions)
            raise UsageError(f"{self.model.name} has no action {name!r}; it has {known}")
        action = self.model.actions[name]
        if name not in self.of_actions:
            self.of_actions[name] = {p: self.values.reader(sort) for p, sort in action.params}
        readers = self.of_actions[name]
        if given.keys() != readers.keys():
            raise UsageError(f"{name} takes ({', '.join(readers)}), not ({', '.join(given)})")
        return action, tuple([read(given[param]) for param, read in readers.items()])

    def _explain(
        self, before: Candidate, steps: list[Any], after: list[Any], given: Iterable[Observed] = ()
    ) -> Candidate:
        state = before if self.run.in_place else before.copy()
        for field, index, value in given:
            is_set_of = isinstance(value, frozenset) and len(index) < len(field.index)
            for at in [(*index, last) for last in value] if is_set_of else [index]:
                state.start(field.name, at if len(at) > 1 else at[0], is_set_of or value)
        for action, args in steps:
            self._act(state, action, args)
        self._compare(state, after)
        return state

    def _compare(self, state: Candidate, after: list[Observed]) -> None:
        """What is recorded is what the model has; LineRefused otherwise."""
        for field, index, recorded in after:
            if index and index[-1] is LAST:
                index = (*index[:-1], state.get("log_length", index[0]))
            is_set_of = isinstance(recorded, frozenset) and len(index) < len(field.index)
            key = index[0] if len(index) == 1 else index
            modelled = self._true_at(state, field, index) if is_set_of else state.get(field.name, key)
            if recorded != modelled:
                where = ", ".join(map(show, index))
                raise LineRefused(
                    f"{field.name}{f'[{where}]' if index else ''} is {show(recorded)} in the recording "
                    f"and {show(modelled)} in the model"
                )

    def _act(self, state: Candidate, action: Action, args: tuple[Any, ...]) -> None:
        """The step; where what it calls a quorum is not one, with the nodes that it lacks."""
        if self.quorums is None or self.quorum_sort not in self.sorts_of[action.name]:
            return state.act(action.name, *args)
        enough = tuple(
            self.quorums.completed(value) if sort is self.quorum_sort else value
            for (_, sort), value in zip(action.params, args, strict=True)
        )
        state.act(action.name, *enough)
        if enough != args:
            call = call_of(action, args)
            raise LineRefused(f"{call}: that is no quorum of {' '.join(self.quorums.nodes)}", call)
        return None

    # -- what stands after it -----------------------------------------------------------------------------
    def _after(self, record: dict[str, Any]) -> list[Observed]:
        return self._observed(record, "after")

    def _observed(self, record: dict[str, Any], key: str) -> list[Observed]:
        found: list[Observed] = []
        for name, written in _object(record, key).items():
            field = self.model.fields.get(name)
            if field is None:
                raise UsageError(f"{self.model.name} has no field {name}")
            if field.kind != "field":
                raise UsageError(
                    f"{self.model.name} has no field {name} to compare: it is a {field.kind}, not a state"
                )
            found += self.values.observed(field, written)
        return found

    def _true_at(self, state: Candidate, field: Field, index: tuple[Any, ...]) -> frozenset[Any]:
        """The last indices at which a relation is true."""
        keys = [(*index, last) for last in self.run.domain(field.index[-1])]
        return frozenset(k[-1] for k in keys if state.get(field.name, k if len(k) > 1 else k[0]))

    def _configuration(self, written: Any) -> int:
        """The number of a configuration, which is known from now on, with a quorum of it."""
        assert isinstance(self.quorums, Configurations)
        number = self.quorums.number(written)
        self.run.see(self.quorum_sort, [*self.quorums.smallest()][number])
        return number


def _given(header: dict[str, Any]) -> Iterator[str]:
    """What the header says that no line can contradict, in words: the axioms alone are its judges."""
    for key in ("quorums", "configuration", "constants", "parameters"):
        if header.get(key, "majority") not in ("majority", {}):
            said = json.dumps(header[key], ensure_ascii=False)
            yield f"{key} {said if len(said) <= LONGEST_GIVEN else said[:LONGEST_GIVEN] + ' ...'}"


def load(name: Any) -> Model:
    """The model of that name; UsageError if there is none. A recording never names a file to be run."""
    if isinstance(name, str) and (name in MODELS or f"flawed/{name}" in FLAWED):
        return find(name)
    raise UsageError(f"{name!r} is no model of oneleader.models: {', '.join(MODELS)}")


def _list(record: dict[str, Any], key: str) -> list[Any]:
    value = record.get(key)
    if not isinstance(value, list):
        raise UsageError(f"a step needs `{key}`, a list")
    return value


def _object(record: dict[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key, {})
    if not isinstance(value, dict):
        raise UsageError(f"`{key}` is not an object")
    return value
