"""own_header: the first line of a recording in our own format: which model judges, and over what.

| key             | what it says                                                                    |
|-----------------|---------------------------------------------------------------------------------|
| `model`         | a name in `oneleader.models.MODELS`                                             |
| `nodes`         | the elements of the sort Node; no others may appear                             |
| `elements`      | the same for other set sorts, by name; one not named grows as elements appear   |
| `quorums`       | "majority", or a list of lists of nodes; a quorum is written as a list of nodes |
| `configuration` | where members change: the initial one, all `nodes` where it says none;          |
|                 | `configurations` says how it is written                                         |
| `constants`     | for other constants, by name: the list of the indices at which it is true       |
| `parameters`    | the lengths of time and the rates, by name: natural numbers                     |
| `incomplete`    | fields that `given` states in part: no property that reads them is judged       |
| `violates`      | what is false after the last line: ["a property", {"parameter": value, ...}],   |
|                 | or an action of which a claim is                                                |
| `seed`, `numbers`, `fault`, `note` | for people                                                   |
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.language.sorts import AnySort, is_set
from oneleader.models import FLAWED, MODELS, find
from oneleader.readers.replay.coverage import check_keys
from oneleader.readers.replay.formats.configurations import Configurations
from oneleader.readers.replay.formats.quorums import Quorums
from oneleader.readers.replay.formats.shown import expect_fixed
from oneleader.readers.replay.formats.values import ValueReaders, are_parts, are_words
from oneleader.words import quoted

VERSION = 1
HEADER = (
    *("format", "version", "model", "nodes", "elements", "quorums", "configuration"),
    *("constants", "parameters", "incomplete", "violates"),
)
HEADER_FOR_PEOPLE = ("seed", "numbers", "fault", "note")
LONGEST_GIVEN = 100  # characters of what is taken as given


class OwnHeader:
    """What a header says, read; UsageError where it cannot be."""

    def __init__(self, header: dict[str, Any], model: Model | None) -> None:
        if header.get("format") != "oneleader":
            raise UsageError('the first line is no header {"format": "oneleader", ...}')
        if header.get("version") != VERSION or type(header["version"]) is not int:
            raise UsageError(
                f"version {quoted(header.get('version'))} of the format is not known, {VERSION} is"
            )
        check_keys(header, (*HEADER, *HEADER_FOR_PEOPLE), "the header")
        self.model = model or load(header.get("model"))
        self.sorts = self.model.sorts
        self.closed = self._elements(header)
        self.configuration = header.get("configuration")
        if "configuration" in header and not are_parts(self.configuration):
            said = quoted(self.configuration)
            raise UsageError(f"`configuration` is {said}: write it as a list of one list of nodes, or of two")
        self.quorums = self._quorums(header)
        member = self.model.fields["member"].index if self.quorums else ()
        self.quorum_sort: AnySort = member[1] if member else None
        self.values = ValueReaders(self.closed, member)
        if isinstance(self.quorums, Configurations):
            self.values.read_by(self.sorts["Config"], self.quorums.number)
        self.constants, self.parameters = self._constants(header), self._parameters(header)
        self.said = object_of(header, "constants")
        self.violates = _violates(header)
        self.incomplete = self._incomplete(header)
        self.given = [*_given(header)]
        self.ignored = header.keys() & set(HEADER_FOR_PEOPLE)

    @property
    def changes_members(self) -> bool:
        return isinstance(self.quorums, Configurations)

    def expect_fixed_members(self) -> None:
        """Where members never change: NotModelled if it begins with some of the nodes alone."""
        if isinstance(self.quorums, Quorums) and self.configuration is not None:
            who = "the header's `configuration` has"
            expect_fixed(self.model, who, self.configuration, self.quorums.nodes)

    def _elements(self, header: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        """The elements of each set sort that the header names."""
        elements = dict(object_of(header, "elements"))
        if "nodes" in header:
            if "Node" in elements:
                raise UsageError("the header names the nodes twice, in `nodes` and in `elements`")
            elements["Node"] = header["nodes"]
        for sort, names in elements.items():
            if not is_set(self.sorts.get(sort)):
                raise UsageError(f"{self.model.name} has no set sort {sort}")
            if not are_words(names) or not names or len(set(names)) < len(names):
                what = "`nodes`" if sort == "Node" and "nodes" in header else f"`{sort}` in `elements`"
                raise UsageError(f"{what} is not a list of distinct names, at least one")
        return {sort: tuple(names) for sort, names in elements.items()}

    def _constants(self, header: dict[str, Any]) -> dict[str, Container[Any]]:
        """Where each constant is true."""
        given = object_of(header, "constants")
        constants: dict[str, Container[Any]] = {name: self._constant(name, at) for name, at in given.items()}
        if isinstance(self.quorums, Configurations):
            constants |= {"quorum_of": self.quorums.quorum_of, "adjacent": self.quorums.adjacent}
        return constants | ({"member": self.quorums} if self.quorums else {})

    def _quorums(self, header: dict[str, Any]) -> Quorums | Configurations | None:
        """The quorums, unless `constants` says who is a member of which."""
        member = self.model.fields.get("member")
        if member and member.kind == "constant" and "member" not in object_of(header, "constants"):
            of, _ = member.index
            if of.__name__ not in self.closed:
                raise UsageError(f"{self.model.name} has quorums: the header has to name the `nodes`")
            nodes = self.closed[of.__name__]
            given = {*header, *object_of(header, "constants")}
            if "quorum_of" in self.model.fields and not given & {"quorums", "quorum_of"}:
                return Configurations(nodes, self.configuration or [list(nodes)])
            return Quorums(nodes, header.get("quorums", "majority"))
        for key in ("quorums", "configuration"):
            if header.get(key, "majority") != "majority":
                raise UsageError(f"nothing reads `{key}` here: `constants` or the model says who is a member")
        return None

    def _incomplete(self, header: dict[str, Any]) -> list[str]:
        names = header.get("incomplete", [])
        if not are_words(names) or any(name not in self.model.fields for name in names):
            raise UsageError(f"`incomplete` is not a list of fields of {self.model.name}")
        return list(names)

    def _parameters(self, header: dict[str, Any]) -> dict[str, int]:
        given = object_of(header, "parameters")
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


def _violates(header: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The name and the values; None where nothing is false in the end."""
    if "violates" not in header:
        return None
    match header["violates"]:
        case [str(name), dict(given)]:
            return name, given
    raise UsageError('`violates` is not written as ["a property", {"parameter": value, ...}]')


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
    raise UsageError(f"{quoted(name)} is no model of oneleader.models: {', '.join(MODELS)}")


def object_of(record: dict[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key, {})
    if not isinstance(value, dict):
        raise UsageError(f"`{key}` is not an object")
    return value
