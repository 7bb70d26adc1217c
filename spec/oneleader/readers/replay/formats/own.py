"""oneleader: our own format. A recording that names the actions it took, of any model.

    {"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1", "n2", "n3"]}
    {"node": "n1", "event": "election timeout", "actions": [["start_election", {"n": "n1"}]],
     "after": {"term": {"n1": 1}, "role": {"n1": "candidate"}, "votes": {"n1": ["n1"]}}}

The header, then one step a line: its actions are taken in their order, and then `after` is compared with
the model. A key that stands neither here nor in the tables is refused: it would be judged by nobody.

| in the header | what it says                                                                    |
|---------------|---------------------------------------------------------------------------------|
| `model`       | a name in `oneleader.models.MODELS`                                             |
| `nodes`       | the elements of the sort Node; no others may appear                             |
| `elements`    | the same for other set sorts, by name; one not named grows as elements appear   |
| `quorums`     | "majority", or a list of lists of nodes; a quorum is written as a list of nodes |
| `configuration` | where members change: the initial one; `configurations` says how it is written     |
| `constants`   | for other constants, by name: the list of the indices at which it is true       |
| `parameters`  | the lengths of time and the rates, by name: natural numbers                     |
| `violates`    | what is false after the last line: ["a property", {"parameter": value, ...}],   |
|               | or an action of which a claim is                                                |
| `seed`, `numbers`, `fault`, `note` | for people                                                 |

| in a step      | what it says                                                     |
|----------------|------------------------------------------------------------------|
| `node`, `event`| who did it, and what happened, in words                          |
| `actions`      | the steps of the model: [["name", {"parameter": value, ...}]]    |
| `after`        | what stands after them                                           |
| `step`, `note` | for people                                                       |

What the header says has to satisfy the model's axioms, and each state that is reached its properties.

In `after`, by a field's shape: a dictionary goes from an index to what is there; a list is the set of last
indices at which a relation is true; null is NIL; a member of an enumeration stands by its name in lower case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from itertools import combinations
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.definitions import Action, Property
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import (
    NIL,
    AnySort,
    EachSort,
    OptionSort,
    is_enum,
    is_number,
    is_set,
    is_time,
    name_of,
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
from oneleader.readers.replay.properties import Properties, broken, check_axioms

VERSION = 1
HEADER = (
    *("format", "version", "model", "nodes", "elements", "quorums", "configuration"),
    *("constants", "parameters", "violates"),
)
HEADER_FOR_PEOPLE = ("seed", "numbers", "fault", "note")
STEP = ("node", "event", "actions", "after")
STEP_FOR_PEOPLE = ("step", "note")
MOST_LISTED = 7  # nodes whose majorities are listed: 35
Quorum = frozenset[str]


class Quorums:
    """The constant `member` where quorums are sets of nodes; and which sets are quorums."""

    def __init__(self, nodes: tuple[str, ...], listed: Any) -> None:
        self.nodes, self.listed = nodes, None
        if listed != "majority":
            if not isinstance(listed, list) or not all(_are_words(q) for q in listed) or not listed:
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
        self.quorums: Quorums | Configurations | None = None
        self.quorum_sort: AnySort = None
        constants, parameters = self._constants(header), self._parameters(header)
        self.run = run(self.model, constants, parameters, history=judges_states)
        for sort, names in self.closed.items():
            for name in names:
                self.run.see(self.sorts[sort], name)
        if self.quorums:
            for quorum in self.quorums.smallest():
                self.run.see(self.quorum_sort, quorum)
        self.properties = Properties(self.run)
        self.candidates = Candidates(self.run, limit, *([self.properties.check] if judges_states else []))
        self.violates = header.get("violates")
        self.coverage = ReplayCoverage(ignored=header.keys() & set(HEADER_FOR_PEOPLE))
        self.left_aside: dict[str, str] = {}
        self.not_modelled: Counter[str] = Counter()
        self.events = 0

    @staticmethod
    def recognises(record: dict[str, Any]) -> bool:
        return record.get("format") == "oneleader"

    def begin(self) -> None:
        """Judge what the header says; LineRefused where it breaks an axiom."""
        check_axioms(self.run)

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
        args = tuple(self._value(sort, given[param]) for param, sort in prop.params)
        if not self.run.holds(prop, self.candidates.states[0], args):
            raise broken(prop, args)
        return call_of(prop, args)

    def read(self, record: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        """The actions of a step, and what stands after them; UsageError where it cannot be read."""
        check_keys(record, (*STEP, *STEP_FOR_PEOPLE), "a step")
        node, event = record.get("node"), record.get("event")
        if not isinstance(node, str) or not isinstance(event, str):
            raise UsageError("a step needs `node` and `event`, both strings")
        return [self._step(action) for action in _list(record, "actions")], list(self._after(record))

    def judge(self, record: dict[str, Any]) -> None:
        steps, after = self.read(record)
        self.candidates.follow(lambda state: [self._explain(state, steps, after)])
        self.events += 1
        self.coverage.compared.update(field.name for field, _, _ in after)
        self.coverage.ignored |= record.keys() - {"actions", "after"}

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
            if not _are_words(names) or not names or len(set(names)) < len(names):
                raise UsageError(f"the elements of {sort} are not a list of distinct names")
        return {sort: tuple(names) for sort, names in elements.items()}

    def _constants(self, header: dict[str, Any]) -> dict[str, Container[Any]]:
        """Where each constant is true; `member` says who is in a quorum, and that a quorum itself says."""
        given, members = _object(header, "constants"), dict[str, Container[Any]]()
        member = self.model.fields.get("member")
        if member and member.kind == "constant" and "member" not in given:
            of, self.quorum_sort = member.index
            if of.__name__ not in self.closed:
                raise UsageError(f"{self.model.name} has quorums: the header has to name the `nodes`")
            nodes = self.closed[of.__name__]
            if "configuration" in header:
                self.quorums = changing = Configurations(nodes, header["configuration"])
                members |= {"quorum_of": changing.quorum_of, "adjacent": changing.adjacent}
            else:
                self.quorums = Quorums(nodes, header.get("quorums", "majority"))
            members["member"] = self.quorums
        elif header.get("quorums", "majority") != "majority":
            raise UsageError("nothing reads `quorums` here: `constants` or the model says who is a member")
        return {**{name: self._constant(name, at) for name, at in given.items()}, **members}

    def _parameters(self, header: dict[str, Any]) -> dict[str, int]:
        given = _object(header, "parameters")
        for name, value in given.items():
            if name not in self.model.parameters:
                raise UsageError(f"{self.model.name} has no parameter {name}")
            self._value(self.model.fields[name].of, value)
        return given

    def _constant(self, name: str, true_at: Any) -> Container[Any]:
        field = self.model.fields.get(name)
        if field is None or field.kind != "constant":
            raise UsageError(f"{self.model.name} has no constant {name}")
        if not isinstance(true_at, list) or not all(
            isinstance(i, list) and len(i) == len(field.index) for i in true_at
        ):
            raise UsageError(f"the constant {name} is not a list of its indices, {len(field.index)} each")
        return frozenset(tuple(map(self._value, field.index, index)) for index in true_at)

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
        if given.keys() != dict(action.params).keys():
            wanted = ", ".join(dict(action.params))
            raise UsageError(f"{name} takes ({wanted}), not ({', '.join(given)})")
        return action, tuple(self._value(sort, given[param]) for param, sort in action.params)

    def _explain(self, before: Candidate, steps: list[Any], after: list[Any]) -> Candidate:
        state = before.copy()
        for action, args in steps:
            self._act(state, action, args)
        for field, index, recorded in after:
            modelled = self._modelled(state, field, index, recorded)
            if recorded != modelled:
                where = ", ".join(map(show, index))
                raise LineRefused(
                    f"{field.name}{f'[{where}]' if index else ''} is {show(recorded)} in the recording "
                    f"and {show(modelled)} in the model"
                )
        return state

    def _act(self, state: Candidate, action: Action, args: tuple[Any, ...]) -> None:
        """The step; where what it calls a quorum is not one, with the nodes that it lacks."""
        if self.quorums is None:
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
    def _after(self, record: dict[str, Any]) -> Iterable[tuple[Field, tuple[Any, ...], Any]]:
        for name, written in _object(record, "after").items():
            field = self.model.fields.get(name)
            if field is None or field.kind != "field":
                kind = "field" if field is None else f"field {name} to compare: it is a {field.kind},"
                raise UsageError(
                    f"{self.model.name} has no {kind}{f' {name}' if field is None else ' not a state'}"
                )
            yield from self._cells(field, (), written)

    def _cells(self, field: Field, index: tuple[Any, ...], written: Any) -> Iterable[Any]:
        """Each cell, or set of cells, that `written` speaks of: (field, index, value)."""
        depth, whole = len(index), len(field.index)
        if depth < whole and isinstance(written, dict):
            for key, inner in written.items():
                yield from self._cells(
                    field, (*index, self._value(field.index[depth], _key(field.index[depth], key))), inner
                )
        elif depth == whole - 1 and field.of is bool and isinstance(written, list):
            yield field, index, frozenset(self._value(field.index[depth], key) for key in written)
        elif depth == whole:
            yield field, index, self._value(field.of, written)
        else:
            raise UsageError(f"`after` of {field}: {written!r} stands where an index is wanted")

    def _modelled(self, state: Candidate, field: Field, index: tuple[Any, ...], recorded: Any) -> Any:
        if not isinstance(recorded, frozenset) or len(index) == len(field.index):
            return state.get(field.name, index[0] if len(index) == 1 else index)
        keys = [(*index, last) for last in self.run.domain(field.index[-1])]
        return frozenset(k[-1] for k in keys if state.get(field.name, k if len(k) > 1 else k[0]))

    def _value(self, sort: AnySort, written: Any) -> Any:
        """A value of the sort; UsageError if `written` is not one."""
        if isinstance(sort, OptionSort):
            return NIL if written is None else self._value(sort.of, written)
        if self.quorums and sort is self.quorum_sort:
            if not _are_words(written):
                raise UsageError(f"{written!r} is no {name_of(sort)}: write it as a list of nodes")
            return frozenset(self._value(self.sorts["Node"], node) for node in written)
        if isinstance(self.quorums, Configurations) and sort is self.sorts["Config"]:
            number = self.quorums.number(written)
            self.run.see(self.quorum_sort, [*self.quorums.smallest()][number])
            return number
        if sort is bool and isinstance(written, bool):
            return written
        if is_enum(sort) and isinstance(written, str) and written.upper() in sort.__members__:
            return sort[written.upper()]
        if isinstance(sort, EachSort) and isinstance(written, dict):
            if written.keys() != set(self.closed.get(sort.index.__name__, ())):
                raise UsageError(f"{written!r} does not say a time for each {sort.index.__name__}")
            return {n: self._value(sort.of, v) for n, v in written.items()}
        if (is_number(sort) or is_time(sort)) and type(written) is int and written >= 0:
            return written
        if is_set(sort) and isinstance(written, str):
            if written in self.closed.get(sort.__name__, (written,)):
                return written
            raise UsageError(
                f"{written!r} is no {sort.__name__} of the header's: {', '.join(self.closed[sort.__name__])}"
            )
        raise UsageError(f"{written!r} is no {name_of(sort)}")


def load(name: Any) -> Model:
    """The model of that name; UsageError if there is none. A recording never names a file to be run."""
    if isinstance(name, str) and (name in MODELS or f"flawed/{name}" in FLAWED):
        return find(name)
    raise UsageError(f"{name!r} is no model of oneleader.models: {', '.join(MODELS)}")


def _key(sort: AnySort, key: str) -> Any:
    """JSON writes every key of a dictionary as a string."""
    return int(key) if is_number(sort) and key.isdecimal() else key


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


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
