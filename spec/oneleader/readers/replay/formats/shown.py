"""shown: what a line says of its node in everybody's words, as cells of the model.

| key         | what it says of the line's node                                   | in the model            |
|-------------|-------------------------------------------------------------------|-------------------------|
| `term`      | its term                                                          | `term`                  |
| `voted_for` | whom it has voted for in that term; null                          | `voted_for`             |
| `role`      | follower, pre-candidate (a follower that asks), candidate, leader | `role`                  |
| `votes`     | the votes that it has collected, all of them                      | `votes`                 |
| `log`       | its entries from `first` on, each [term, value] or a term         | `log_length`,           |
|             |                                                                   | `log_term`, `log_value` |
| `first`     | the index of the first entry in `log`, 1 otherwise                |                         |
| `commit`    | its commit index                                                  | `commit_index`          |
| `members`   | the voters that it knows: in these models, always the `nodes`     |                         |
| `lease`     | whether it takes itself to have a lease: no model is asked        |                         |
| `restarts`  | true: it has just started again                                   |                         |

They are the words of the kit's protocol. What a model has no field for is not compared, and replay says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.readers.replay.candidates import NotModelled
from oneleader.readers.replay.formats.values import Observed, ValueReaders, are_words

KEYS = ("term", "voted_for", "role", "votes", "log", "first", "commit", "members", "lease", "restarts")
SINGLE = {
    "term": "term",
    "voted_for": "voted_for",
    "role": "role",
    "votes": "votes",
    "commit": "commit_index",
}
FIELDS = {"term", "voted_for", "role", "votes", "log_length", "log_term", "log_value", "commit_index"}
UNSEEN = object()
ENTRY = "entry"  # the value of every entry, where a recording shows terms alone

LogEntry = tuple[Any, Any]  # its term and its value, each UNSEEN where it is not shown


@dataclass(slots=True)
class NodeShown:
    """What a line shows of its node: the values of the model's fields there, and its log."""

    node: str
    fields: dict[str, Any] = field(default_factory=dict)
    entries: dict[int, LogEntry] = field(default_factory=dict)
    votes: frozenset[str] | None = None  # None where the line does not show them
    restarts: bool = False

    def get(self, name: str) -> Any:
        """UNSEEN where the line does not show it."""
        return self.fields.get(name, UNSEEN)

    @property
    def what(self) -> frozenset[str]:
        """The fields of which the line shows something."""
        return frozenset(self.fields) | ({"votes"} if self.votes is not None else set())


class ShownKeys:
    """Reads those keys as cells of a model."""

    def __init__(self, model: Model, values: ValueReaders, nodes: Iterable[str]) -> None:
        self.model, self.values, self.nodes = model, values, frozenset(nodes)
        self.has_values: bool | None = None  # of entries, as the first one shows
        self.looked_at = {"members", "restarts"} | {k for k, name in SINGLE.items() if name in model.fields}
        self.looked_at |= {"log", "first"} if "log_length" in model.fields else set()

    def observed(self, record: Mapping[str, Any]) -> list[Observed]:
        """The cells of which the keys of a line speak."""
        node, found = record["node"], []
        for key, name in SINGLE.items():
            if key in record and name in self.model.fields:
                found += self._cells(name, {node: _role(record[key]) if key == "role" else record[key]})
        if "log" in record and "log_length" in self.model.fields:
            found += self._log(node, record)
        if "members" in record:
            self._same_members(node, record["members"])
        if not isinstance(record.get("restarts", False), bool):
            raise UsageError("`restarts` is not true or false")
        return found

    def _cells(self, name: str, written: Any) -> list[Observed]:
        return self.values.observed(self.model.fields[name], written)

    def _log(self, node: str, record: Mapping[str, Any]) -> list[Observed]:
        first, log = record.get("first", 1), record["log"]
        if type(first) is not int or first < 1:
            raise UsageError("`first` is no index: a whole number from 1 on")
        if not isinstance(log, list):
            raise UsageError("`log` is not a list of entries, each [term, value] or a term")
        found = self._cells("log_length", {node: first - 1 + len(log)})
        terms, values = {}, {}
        for index, entry in enumerate(log, first):
            term, value = self._entry(entry)
            terms[str(index)] = term
            if value is not UNSEEN:
                values[str(index)] = value
        found += self._cells("log_term", {node: terms}) if terms else []
        return found + (self._cells("log_value", {node: values}) if values else [])

    def _entry(self, entry: Any) -> LogEntry:
        found: LogEntry
        match entry:
            case [term, value]:
                found = term, value if isinstance(value, str) else json.dumps(value)
            case int() | [_]:
                found = entry[0] if isinstance(entry, list) else entry, UNSEEN
            case _:
                raise UsageError(
                    f"{entry!r} is no entry of a log: write it as [term, value], or its term alone"
                )
        has_value = found[1] is not UNSEEN
        if self.has_values not in (None, has_value):
            raise UsageError(
                "some entries are shown with a value and some without: show it of all, or of none"
            )
        self.has_values = has_value
        return found

    def _same_members(self, node: str, members: Any) -> None:
        if not are_words(members):
            raise UsageError("`members` is not a list of nodes")
        if frozenset(members) != self.nodes:
            raise NotModelled(
                f"{node} has the members {' '.join(sorted(members))}, and in {self.model.name} they are the "
                "`nodes` of the header for ever"
            )


def shown(record: Mapping[str, Any], observed: Iterable[Observed]) -> NodeShown:
    """What the cells say of the line's node, those of `after` among them."""
    found = NodeShown(record["node"], restarts=record.get("restarts", False))
    for of, index, value in observed:
        if not index or index[0] != found.node or of.name not in FIELDS:
            continue
        if of.name == "votes":
            voters = value if isinstance(value, frozenset) else frozenset(index[1:]) if value else frozenset()
            found.votes = (found.votes or frozenset()) | voters
        elif of.name in ("log_term", "log_value"):
            term, entry = found.entries.get(index[1], (UNSEEN, UNSEEN))
            found.entries[index[1]] = (value, entry) if of.name == "log_term" else (term, value)
            found.fields[of.name] = None
        else:
            found.fields[of.name] = value
    return found


def _role(written: Any) -> Any:
    return "follower" if written == "pre-candidate" else written
