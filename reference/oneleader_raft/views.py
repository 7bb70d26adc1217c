"""A run of the reference in the words of each model: which of its actions a model has, and its state.

The core reports more than any one model knows. `pre_vote` has no log, `replication` no promises, `election`
neither; each is shown what it has. In `election` to give up is a `restart`: both lose role and votes alone.
Where a model cannot say something that changes what it has, its view ends: of those but `membership` and
`snapshots` where a configuration is changed or a log compacted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, zip_longest
from typing import Any

from .configuration import InEffect, Membership
from .lease import Clocks
from .raft import ActionTaken, Entry, Node, NodeId, Role

Clock = Mapping[NodeId, int]
Part = Callable[[Node, int], dict[str, Any]]  # of the state that is shown, at a time of the node's clock


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
        return {name: value for part in self.parts for name, value in part(node, now).items()}


def elapse(clocks: Clock, before: Clock) -> list[Any]:
    """The step by which time passes."""
    return ["elapse", {"advance": {n: clocks[n] - before[n] for n in clocks}}]


def of_elections(node: Node, now: int) -> dict[str, Any]:
    return {
        "term": node.current_term,
        "voted_for": node.voted_for,
        "role": node.role.value,
        "votes": sorted(node.votes),
    }


def of_pre_votes(node: Node, now: int) -> dict[str, Any]:
    state: dict[str, Any] = {"asking": node.id in node.pre_votes, "pre_votes": sorted(node.pre_votes)}
    if node.role is not Role.LEADER:  # of a leader the model says whom it has heard since some moment
        state["heard"] = [] if node.leader_id is None else [node.leader_id]
    return state


def of_logs(node: Node, now: int) -> dict[str, Any]:
    state: dict[str, Any] = {"log_length": node.last_index, "commit_index": node.commit_index}
    state["log_term"] = {str(i): entry.term for i, entry in _entries(node)}
    state["log_value"] = {str(i): str(entry.command) for i, entry in _entries(node)}
    return state


def _entries(node: Node) -> Iterable[tuple[int, Entry]]:
    return enumerate(node.log, node.snapshot.index + 1)


def of_members(node: Node, now: int) -> dict[str, Any]:
    state = of_logs(node, now)
    is_change = {str(i): isinstance(entry.command, Membership) for i, entry in _entries(node)}
    state["log_value"] = {i: None if is_change[i] else value for i, value in state["log_value"].items()}
    state |= {"log_config": {}, "log_since": {}}
    for i, in_effect in _in_effect(node):
        state["log_config"][str(i)] = [list(part) for part in in_effect.configuration.sets]
        state["log_since"][str(i)] = in_effect.since
    return state


def _in_effect(node: Node) -> Iterable[tuple[int, InEffect]]:
    """The configuration as of each index, from that of the snapshot on."""
    for this, following in zip_longest(node.history, node.history[1:]):
        end = following.since if following else node.last_index + 1
        yield from ((i, this) for i in range(max(this.since, node.snapshot.index), end))


def of_snapshots(node: Node, now: int) -> dict[str, Any]:
    state = of_members(node, now)
    state["snapshot_index"] = node.snapshot.index
    state["log_term"][str(node.snapshot.index)] = node.snapshot.term
    return state


def of_leases(node: Node, now: int) -> dict[str, Any]:
    return {"since_promise": now - node.promised_at}


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
