"""A run of the reference in the words of each model: which of its actions a model has, and its state.

The core reports more than any one model knows. `pre_vote` has no log, `replication` no promises, `election`
neither; each is shown what it has. In `election` to give up is a `restart`: both lose role and votes alone.
Where a model cannot say something that changes what it has, its view ends: of those but `membership` and
`snapshots` where a configuration is changed or a log compacted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, zip_longest
from operator import attrgetter
from typing import Any

from .configuration import History, InEffect, Membership
from .lease import Clocks
from .raft import ActionTaken, Entry, Node, NodeId, Role, Snapshot

Clock = Mapping[NodeId, int]


class Part:
    """What some models have of a node: a function of these attributes of it, and of its clock if it is timed.
    Where they are as they were, so is the part."""

    def __init__(
        self, of: Callable[..., dict[str, Any]], attributes: tuple[str, ...], is_timed: bool
    ) -> None:
        self.of, self.is_timed = of, is_timed
        self._attributes = attrgetter(*attributes) if attributes[1:] else _single(attributes[0])

    def made_of(self, node: Any, now: int) -> tuple[Any, ...]:
        """The arguments of `of`: of a node, or of what has the attributes of one."""
        found: tuple[Any, ...] = self._attributes(node)
        return (*found, now) if self.is_timed else found


def _single(attribute: str) -> Callable[[Any], tuple[Any, ...]]:
    get = attrgetter(attribute)
    return lambda node: (get(node),)


def part(*attributes: str, is_timed: bool = False) -> Callable[[Callable[..., dict[str, Any]]], Part]:
    return lambda of: Part(of, attributes, is_timed)


@dataclass(frozen=True)
class View:
    """What one model sees.

    actions  name in a report -> name in the model, its parameters
    parts    of a node's state, which make what the model has of it
    has_configurations: whether members may change
    ends     the actions from which on the model can say nothing more
    """

    actions: Mapping[str, tuple[str, tuple[str, ...]]]
    parts: tuple[Part, ...]
    has_clocks: bool = False
    has_configurations: bool = False
    ends: frozenset[str] = field(default_factory=frozenset)

    def header(
        self, clocks: Clocks, members: Collection[NodeId], nodes: Collection[NodeId]
    ) -> dict[str, Any]:
        """What the header of a recording has to say for this model, where these were the initial members."""
        values = {name: getattr(clocks, name) for name in ("lease", "promise", "slow", "fast")}
        said: dict[str, Any] = {"parameters": values} if self.has_clocks else {}
        if self.has_configurations:
            return said | {"configuration": [sorted(members)]}
        majorities = combinations(sorted(members), len(members) // 2 + 1)
        is_everybody = len(members) == len(nodes)
        return said | {"quorums": "majority" if is_everybody else [*map(list, majorities)]}

    def takes(self, names: Iterable[str]) -> bool:
        """Whether the model has any of these actions."""
        return not self.actions.keys().isdisjoint(names)

    def taken(self, actions: Iterable[ActionTaken]) -> list[Any]:
        """The actions that the model has, each with its name there and its parameters: [name, {...}]."""
        return self.named((a.name, dict(a.arguments)) for a in actions if a.name in self.actions)

    def named(self, actions: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Any]:
        """The same of names with arguments."""
        found = []
        for name, arguments in actions:
            if name in self.actions:
                called, parameters = self.actions[name]
                found.append([called, {p: arguments[p] for p in parameters}])
        return found

    def of(
        self, id: NodeId, actions: Iterable[ActionTaken], after: Node, clocks: Clock, before: Clock
    ) -> tuple[list[Any], dict[str, Any]]:
        """One step, as a recording has it: the actions, and the state of the server after them."""
        steps = self.taken(actions)
        if self.has_clocks and clocks != before:
            steps.insert(0, elapse(clocks, before))
        return steps, {name: {id: value} for name, value in self.state(after, clocks[id]).items()}

    def state(self, node: Node, now: int) -> dict[str, Any]:
        """What the model has of a node."""
        return {k: value for part in self.parts for k, value in part.of(*part.made_of(node, now)).items()}


def elapse(clocks: Clock, before: Clock) -> list[Any]:
    """The step by which time passes."""
    return ["elapse", {"advance": {n: clocks[n] - before[n] for n in clocks}}]


@part("current_term", "voted_for", "role", "votes")
def of_elections(term: int, voted_for: NodeId | None, role: Role, votes: Iterable[NodeId]) -> dict[str, Any]:
    return {"term": term, "voted_for": voted_for, "role": role.value, "votes": sorted(votes)}


@part("id", "pre_votes", "role", "leader_id")
def of_pre_votes(
    id: NodeId, pre_votes: Collection[NodeId], role: Role, leader: NodeId | None
) -> dict[str, Any]:
    state: dict[str, Any] = {"asking": id in pre_votes, "pre_votes": sorted(pre_votes)}
    if role is not Role.LEADER:  # of a leader the model says whom it has heard since some moment
        state["heard"] = [] if leader is None else [leader]
    return state


@part("last_index", "commit_index", "log", "snapshot.index")
def of_logs(length: int, commit: int, log: Sequence[Entry], begins: int) -> dict[str, Any]:
    state: dict[str, Any] = {"log_length": length, "commit_index": commit}
    entries = [(str(i), entry) for i, entry in enumerate(log, begins + 1)]
    state["log_term"] = {i: entry.term for i, entry in entries}
    state["log_value"] = {i: str(entry.command) for i, entry in entries}
    return state


@part("last_index", "commit_index", "log", "snapshot.index", "history")
def of_members(
    length: int, commit: int, log: Sequence[Entry], begins: int, history: History
) -> dict[str, Any]:
    state = of_logs.of(length, commit, log, begins)
    is_change = {str(i): isinstance(entry.command, Membership) for i, entry in enumerate(log, begins + 1)}
    state["log_value"] = {i: None if is_change[i] else value for i, value in state["log_value"].items()}
    state |= {"log_config": {}, "log_since": {}}
    for i, in_effect in _in_effect(length, begins, history):
        state["log_config"][str(i)] = [list(part) for part in in_effect.configuration.sets]
        state["log_since"][str(i)] = in_effect.since
    return state


def _in_effect(length: int, begins: int, history: History) -> Iterable[tuple[int, InEffect]]:
    """The configuration as of each index, from that of the snapshot on."""
    for this, following in zip_longest(history, history[1:]):
        end = following.since if following else length + 1
        yield from ((i, this) for i in range(max(this.since, begins), end))


@part("last_index", "commit_index", "log", "snapshot", "history")
def of_snapshots(
    length: int, commit: int, log: Sequence[Entry], snapshot: Snapshot, history: History
) -> dict[str, Any]:
    state = of_members.of(length, commit, log, snapshot.index, history)
    state["snapshot_index"] = snapshot.index
    state["log_term"][str(snapshot.index)] = snapshot.term
    return state


@part("promised_at", is_timed=True)
def of_leases(promised_at: int, now: int) -> dict[str, Any]:
    return {"since_promise": now - promised_at}


def _same(**parameters: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {name: (name, tuple(words.split())) for name, words in parameters.items()}


_ELECTIONS = _same(
    start_election="n",
    grant_vote="voter candidate t",
    reply_vote="voter candidate t",
    receive_vote="candidate voter t",
    become_leader="n q",
    update_term="n t",
    step_down="n leader t",
    restart="n",
) | {"learn_term": ("update_term", ("n", "t"))}
_FORCED = {"start_forced_election": ("start_election", ("n",))}
_LOGS = _same(
    give_up="n",
    client_request="n value",
    append_entries="n t prev last commit",
    replace_entries="n t prev last commit",
    advance_commit="n i q",
)
_MEMBERS = _ELECTIONS | _FORCED | _LOGS | _same(change_config="n c", retire="n")
_SNAPSHOTS = _same(compact="n k", keep_after_snapshot="n t k", install_snapshot="n t k")
_CHANGES = frozenset({"change_config"})
_COMPACTIONS = frozenset({"compact"})

VIEWS: dict[str, View] = {
    "election": View(_ELECTIONS | _FORCED | {"give_up": ("restart", ("n",))}, (of_elections,), ends=_CHANGES),
    "pre_vote": View(
        _ELECTIONS
        | _same(
            start_pre_vote="n",
            grant_pre_vote="voter candidate t",
            receive_pre_vote="candidate voter t",
            start_election="n q",
            hear_leader="n leader t",
            receive_reply="leader follower t",
            lose_touch="n",
            give_up="n",
            tell_term="n sender t",
            learn_term="n t",
        ),
        (of_elections, of_pre_votes),
        ends=_CHANGES | {"start_forced_election"},  # nobody hands over
    ),
    "replication": View(_ELECTIONS | _FORCED | _LOGS, (of_elections, of_logs), ends=_CHANGES | _COMPACTIONS),
    "lease": View(
        _ELECTIONS
        | _same(
            give_up="n",
            send_heartbeat="n k",
            acknowledge="voter leader t k",
            transfer_leadership="n target",
            start_forced_election="n leader",
        ),
        (of_elections, of_leases),
        has_clocks=True,
        ends=_CHANGES,
    ),
    "membership": View(_MEMBERS, (of_elections, of_members), has_configurations=True, ends=_COMPACTIONS),
    "snapshots": View(_MEMBERS | _SNAPSHOTS, (of_elections, of_snapshots), has_configurations=True),
}
FIXED_MEMBERS = tuple(name for name, view in VIEWS.items() if not view.has_configurations)
