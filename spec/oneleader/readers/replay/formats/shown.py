"""shown: what a line says of its node in everybody's words, as cells of the model.

| key         | what it says of the line's node                                   | in the model            |
|-------------|-------------------------------------------------------------------|-------------------------|
| `term`      | its term                                                          | `term`                  |
| `voted_for` | whom it has voted for in that term; null                          | `voted_for`             |
| `role`      | follower, pre-candidate (a follower that asks), candidate, leader | `role`                  |
|             |                                                                   | `asking`                |
| `votes`     | the votes that it has collected, all; those of a pre-candidate,   | `votes`, `pre_votes`    |
|             | where `role` says that, are pre-votes                             |                         |
| `log`       | its entries from `first` on, each [term, value] or a term; one    | `log_length`,           |
|             | that brings a configuration is [term, {"members": [nodes]}]       | `log_term`, `log_value` |
| `first`     | the index of the first entry in `log`; otherwise 1, or the one    |                         |
|             | behind `snapshot`                                                 |                         |
| `snapshot`  | the index up to which a snapshot stands for its log               | `snapshot_index`        |
| `commit`    | its commit index                                                  | `commit_index`          |
| `members`   | the voters that it knows: a list, or two while they are joint;    | `log_config` of its     |
|             | where a model has no changes of them, always the `nodes`          | last entry              |
| `lease`     | true: it takes itself to have a lease                             | `lease_is_void`         |
| `restarts`  | true: it has just started again                                   |                         |

They are the words of the kit's protocol. What a model has no field for is not compared, and replay says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.readers.replay.candidates import NotModelled
from oneleader.readers.replay.formats.shown_forms import FORMS, check_form
from oneleader.readers.replay.formats.values import Observed, ValueReaders, are_parts

KEYS = tuple(FORMS)
SINGLE = {
    "term": "term",
    "voted_for": "voted_for",
    "role": "role",
    "votes": "votes",
    "commit": "commit_index",
    "snapshot": "snapshot_index",
}
FIELDS = {"term", "voted_for", "role", "log_length", "commit_index", "snapshot_index", "asking"}
SETS = ("votes", "pre_votes")
UNSEEN = object()
LAST = object()  # the index of the last entry of a log, in an observation
ENTRY = "entry"  # the value of every entry, where a recording shows terms alone

LogEntry = tuple[Any, Any]  # its term and its value, each UNSEEN where it is not shown


@dataclass(slots=True)
class NodeShown:
    """What a line shows of its node: the values of the model's fields there, and its log."""

    node: str
    fields: dict[str, Any] = field(default_factory=dict)
    entries: dict[int, LogEntry] = field(default_factory=dict)
    configurations: dict[int, int] = field(default_factory=dict)  # that entries bring: by index, its number
    sets: dict[str, frozenset[str]] = field(default_factory=dict)  # `votes` and `pre_votes`, where shown
    members: int | None = None  # the number of the configuration that the node has
    lease: bool | None = None
    restarts: bool = False
    time: Any = None
    sends: tuple[str, ...] = ()
    receives: tuple[str, ...] = ()

    def get(self, name: str) -> Any:
        """UNSEEN where the line does not show it."""
        return self.fields.get(name, UNSEEN)

    @property
    def votes(self) -> frozenset[str] | None:
        """None where the line does not show them."""
        return self.sets.get("votes")

    @property
    def what(self) -> frozenset[str]:
        """The fields of which the line shows something."""
        asks = (
            {"asking"} if self.fields.get("asking") else set()
        )  # who never asks does not show whether it does
        messages = {key for key, named in (("sends", self.sends), ("receives", self.receives)) if named}
        return (frozenset(self.fields) - {"asking"}) | asks | self.sets.keys() | messages


class ShownKeys:
    """Reads those keys as cells of a model. `configuration` numbers the configurations, where it has them."""

    def __init__(
        self,
        model: Model,
        values: ValueReaders,
        nodes: Iterable[str],
        configuration: Callable[[Any], int] | None = None,
    ) -> None:
        self.model, self.values, self.nodes = model, values, frozenset(nodes)
        self.configuration = configuration
        self.has_values: bool | None = None  # of entries, as the first one shows
        self.looked_at = {"members", "restarts"} | {k for k, name in SINGLE.items() if name in model.fields}
        self.looked_at |= {"log", "first"} if "log_length" in model.fields else set()
        self.looked_at |= {"lease"} if "lease_is_void" in model.fields else set()

    def observed(self, record: Mapping[str, Any]) -> list[Observed]:
        """The cells of which the keys of a line speak."""
        for key in record.keys() & FORMS:
            check_form(key, record[key])
        node, found = record["node"], self._single(record)
        if "log" in record and "log_length" in self.model.fields:
            found += self._log(node, record)
        if "members" in record:
            found += self._members(node, record["members"])
        elif not self.configuration and "log" in record:
            for members in filter(None, map(_brings, record["log"])):
                self._members(node, members)
        if record.get("lease") and "lease_is_void" in self.model.fields:
            found += self._cells("lease_is_void", {node: False})
        return found

    def _single(self, record: Mapping[str, Any]) -> list[Observed]:
        """The keys that speak of one field each; of a pre-candidate, the votes are pre-votes."""
        node, fields, found = record["node"], self.model.fields, list[Observed]()
        asks = record.get("role") == "pre-candidate"
        for key, of in SINGLE.items():
            name = "pre_votes" if key == "votes" and asks else of
            if key in record and name in fields:
                found += self._cells(name, {node: _role(record[key]) if key == "role" else record[key]})
        if "role" in record and "asking" in fields:
            found += self._cells("asking", {node: asks})
        return found

    def _cells(self, name: str, written: Any) -> list[Observed]:
        return self.values.observed(self.model.fields[name], written)

    def _log(self, node: str, record: Mapping[str, Any]) -> list[Observed]:
        log, first = record["log"], record.get("first", record.get("snapshot", 0) + 1)
        found = self._cells("log_length", {node: first - 1 + len(log)})
        of_term, of_value = self.model.fields["log_term"], self.model.fields["log_value"]
        read_term, read_value = self.values.reader(of_term.of), self.values.reader(of_value.of)
        for index, entry in enumerate(log, first):
            if self.configuration and (members := _brings(entry)):
                term, value = entry[0], None
                found += self._brought(node, index, members)
            else:
                term, value = self._entry(entry)
            found.append((of_term, (node, index), read_term(term)))
            if value is not UNSEEN:
                found.append((of_value, (node, index), read_value(value)))
        return found

    def _brought(self, node: str, index: int, members: Any) -> list[Observed]:
        """The entry brings a configuration, which is in effect since then."""
        config, since = self.model.fields["log_config"], self.model.fields["log_since"]
        return [(config, (node, index), self._number(members)), (since, (node, index), index)]

    def _number(self, members: Any) -> int:
        assert self.configuration is not None
        return self.configuration(_parts(members))

    def _entry(self, entry: Any) -> LogEntry:
        term, *values = entry if isinstance(entry, list) else [entry]
        if self.has_values not in (None, bool(values)):
            raise UsageError(
                "some entries are shown with a value and some without: show it of all, or of none"
            )
        self.has_values = bool(values)
        if not values:
            return term, UNSEEN
        return term, values[0] if isinstance(values[0], str) else json.dumps(values[0])

    def _members(self, node: str, members: Any) -> list[Observed]:
        if self.configuration:
            return [(self.model.fields["log_config"], (node, LAST), self._number(members))]
        expect_fixed(self.model, f"{node} has", _parts(members), self.nodes)
        return []


def expect_fixed(model: Model, who_has: str, parts: Any, nodes: Collection[str]) -> None:
    """Where members never change: all `nodes` of the header; NotModelled where it says others."""
    if any(set(part) != set(nodes) for part in parts):
        said = " and ".join(" ".join(sorted(part)) for part in parts)
        raise NotModelled(
            f"{who_has} the members {said}, and in {model.name} they are the `nodes` of the header for ever"
        )


def _parts(members: Any) -> Any:
    """The lists of members, where there may be one that stands by itself."""
    return members if are_parts(members) else [members]


def _brings(entry: Any) -> Any:
    """The members, where the entry brings a configuration."""
    match entry:
        case [_, {"members": members, **rest}] if not rest:
            return members
    return None


def shown(record: Mapping[str, Any], observed: Iterable[Observed]) -> NodeShown:
    """What the cells say of the line's node, those of `after` among them."""
    found = NodeShown(
        record["node"],
        lease=record.get("lease"),
        restarts=record.get("restarts", False),
        time=record.get("time"),
        sends=tuple(record.get("sends", ())),
        receives=tuple(record.get("receives", ())),
    )
    in_effect: dict[int, int] = {}
    since: dict[int, int] = {}
    for of, index, value in observed:
        if not index or index[0] != found.node:
            continue
        name = of.name
        if name in FIELDS:
            found.fields[name] = value
        elif name in ("log_term", "log_value"):
            term, entry = found.entries.get(index[1], (UNSEEN, UNSEEN))
            found.entries[index[1]] = (value, entry) if name == "log_term" else (term, value)
            found.fields[name] = None
        elif name in SETS:
            voters = value if isinstance(value, frozenset) else frozenset(index[1:]) if value else frozenset()
            found.sets[name] = found.sets.get(name, frozenset()) | voters
        elif name == "log_config" and index[1] is LAST:
            found.members = value
        elif name in ("log_config", "log_since"):
            (in_effect if name == "log_config" else since)[index[1]] = value
    found.configurations = {i: number for i, number in in_effect.items() if since.get(i) == i}
    return found


def _role(written: Any) -> Any:
    return "follower" if written == "pre-candidate" else written
