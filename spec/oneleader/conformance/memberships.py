"""Refinement of `membership`: changes of members, from what can be observed alone.

The adapter shows each server's members. Terms, votes, roles and logs are explained as in `following` and
`refinement`, but for

| what is seen                       | actions tried                                                       |
|------------------------------------|---------------------------------------------------------------------|
| an entry more, and other members,  | change_config, after what could be committed before it;             |
| at a leader                        | without the guard that who joins has caught up, by declaration      |
| it leads                           | become_leader by a quorum of the members in its log                 |
| a greater commit index, at one     | advance_commit by a quorum of the members in its log; of those      |
|                                    | before the latest change, by declaration, and no further than that  |
| members, at anybody                | they are those of the latest change in its log (dissertation 4.1)   |

Members that were changed when that was committed, and not when it was appended, are named and not judged.
What the entry of a change says as a value is not compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import replace
from typing import Any

from oneleader.conformance.adapter import May, Observed
from oneleader.conformance.following import Grounds, grounds
from oneleader.conformance.refinement import LogJudge, LogStep, with_log
from oneleader.errors import Inexpressible
from oneleader.language.definitions import Action
from oneleader.language.members import Members
from oneleader.models import membership
from oneleader.models.election import Quorum
from oneleader.models.membership import Config
from oneleader.readers.replay.candidates import Candidates, LineRefused
from oneleader.readers.replay.formats.configurations import Configurations

CAUGHT_UP = "new_members_caught_up"
A_QUORUM = "is_a_quorum"


def without(guard: str, action: str, name: str) -> Action:
    return replace(membership.MODEL.actions[action], name=name, dropped=frozenset({guard}))


_early = without(CAUGHT_UP, "change_config", "change_config_early")
_before = without(A_QUORUM, "advance_commit", "advance_commit_before")
DECLARED = {action.name: action for action in (_early, _before)}
WITH_DECLARED = replace(membership.MODEL, actions=membership.MODEL.actions | DECLARED)


class MembershipGrounds(Grounds):
    """The model `membership`, and the configurations that a run has shown so far."""

    def constants(self) -> dict[str, Container[Any]]:
        self.configurations = Configurations(self.nodes, [list(self.nodes)])
        of, adjacent = self.configurations.quorum_of, self.configurations.adjacent
        return {"member": self.configurations, "quorum_of": of, "adjacent": adjacent}

    def fresh(self) -> Candidates:
        del self.configurations.known[1:]
        return super().fresh()

    def number(self, members: Members) -> int:
        """Of a configuration, which its servers make known."""
        number = self.configurations.number_of(members)
        self.run.see(Quorum, frozenset().union(*members.sets))
        self.run.see(Config, number)
        return number


def membership_grounds(nodes: tuple[str, ...]) -> MembershipGrounds:
    found = grounds(WITH_DECLARED, nodes, kind=MembershipGrounds)
    assert isinstance(found, MembershipGrounds)
    return found


class MembershipStep(LogStep):
    """One step of a server whose log says who the members are."""

    def __init__(self, of: MembershipJudge, *rest: Any) -> None:
        super().__init__(of, *rest)
        self.grounds = of.grounds

    @property
    def config(self) -> int:
        """The configuration that the model has it use."""
        return int(self.s.get("log_config", (self.n, self.get("log_length"))))

    @property
    def in_use(self) -> Members:
        return self.grounds.configurations.known[self.config]

    def majority(self, is_preferred: Callable[[str], bool]) -> frozenset[str]:
        """A majority of each set of the members that it uses."""
        return majority_of(self.in_use, is_preferred)

    def terms(self) -> None:
        is_new = self.now.term > self.get("term") and self.now.role == "candidate"
        if is_new and self.now.voted_for is None and self.n not in frozenset().union(*self.in_use.sets):
            self.of.leave(May.STANDS_APART)
        super().terms()

    # -- changes ---------------------------------------------------------------------------------------
    def append(self, length: int, last: int) -> None:
        self.commit_before(length)
        shown = members_of(self.now)
        if shown is None and self.now.role is None and last > length:
            raise Inexpressible("a leader wrote as it crashed, and its members are not shown")
        if last == length or shown in (None, self.in_use):
            super().append(length, last)
        elif last > length + 1:
            raise Inexpressible("one of several entries changes the members")
        else:
            self.change(self.grounds.number(shown))

    def change(self, config: int) -> None:
        try:
            self.s.act("change_config", self.n, config)
        except LineRefused as why:
            if why.guard is None or why.guard.name != CAUGHT_UP:
                raise
            self.of.say(May.JOIN_EARLY)
            self.s.act("change_config_early", self.n, config)

    def commits(self) -> None:
        """The entry of a change, and what comes before it, may be committed by the members before it: each
        majority of theirs shares a server with each majority of the members after (R1)."""
        commit, since = self.committed, int(self.s.get("log_since", (self.n, self.get("log_length"))))
        try:
            super().commits()
        except LineRefused:
            config = self.s.get("log_config", (self.n, since - 1)) if 0 < commit <= since else self.config
            former = self.grounds.configurations.known[config]
            quorum = majority_of(former, lambda v: self.is_known(v, commit))
            if not self.leads or former == self.in_use or not all(self.is_known(v, commit) for v in quorum):
                raise
            self.of.say(May.COMMIT_BY_FORMER)
            self.s.act("advance_commit_before", self.n, commit, quorum)

    def forget(self, index: int) -> None:
        super().forget(index)
        self.s.put("log_config", (self.n, index), 0)
        self.s.put("log_since", (self.n, index), 0)

    def is_change(self, index: int) -> bool:
        return bool(self.s.get("log_since", (self.n, index)) == index)

    # -- what is seen ----------------------------------------------------------------------------------
    def compare(self) -> None:
        super().compare()
        shown = members_of(self.now)
        if shown is None or shown == self.in_use:
            return
        before = self.of.last.get(self.n)
        has_news = before is None or self.prompt.restarts or self.now.commit != before.commit
        takes_snapshot = before is not None and self.now.first - 1 > (before.commit or 0)
        is_later = takes_snapshot and shown in self.later_ones()
        if (has_news and not is_later) or shown in self.committed_ones():
            self.of.leave(May.APPLY_MEMBERS)
        raise LineRefused(
            f"members: {self.n} shows {in_short(shown)}, and its log says {in_short(self.in_use)}"
        )

    def committed_ones(self) -> list[Members]:
        """The configuration of what it has committed: in effect still, where changes wait until then."""
        config = self.s.get("log_config", (self.n, self.get("commit_index")))
        return [self.grounds.configurations.known[config]]

    def later_ones(self) -> list[Members]:
        """Those that its leader's entries bring beyond what it has committed, of which no snapshot up to
        there may say anything."""
        s, term, known = self.s, self.now.term, self.grounds.configurations.known
        indices = range(self.get("commit_index") + 1, int(s.get("leader_log_length", term)) + 1)
        return [known[s.get("leader_log_config", (term, index))] for index in indices]


class MembershipJudge(LogJudge):
    """Follows one run of an implementation in the model `membership`."""

    step = MembershipStep

    def __init__(self, known: MembershipGrounds, may: Collection[May] = ()) -> None:
        super().__init__(known, may)
        self.grounds = known

    def begin(self, seen: Mapping[str, Observed | None]) -> None:
        """The members at first are those that everybody shows."""
        first = next((m for shown in seen.values() if shown and (m := members_of(shown))), None)
        if first is not None:
            self.grounds.configurations.known[:] = [first]
        self.grounds.number(self.grounds.configurations.known[0])
        super().begin(seen)

    def look_at_members(self, now: Observed) -> None:
        """Here they may change."""

    def shown(self, now: Observed) -> str:
        members = members_of(now)
        return f"{with_log(now)}; members {in_short(members)}" if members else with_log(now)


def majority_of(members: Members, is_preferred: Callable[[str], bool]) -> frozenset[str]:
    """A majority of each set, of those that are preferred as far as there are."""
    chosen: set[str] = set()
    for part in members.sets:
        first = sorted(part, key=lambda v: (not is_preferred(v), v))
        chosen.update(first[: len(first) // 2 + 1])
    return frozenset(chosen)


def members_of(shown: Observed) -> Members | None:
    """The configuration that a server shows; the members of before stand first while it is joint."""
    if shown.members is None:
        return None
    return Members((shown.joint, shown.members) if shown.joint else (shown.members,))


def in_short(members: Members) -> str:
    """`n1 n2 n3`, or `n1 n2 + n1 n3`."""
    return " + ".join(" ".join(sorted(part)) for part in members.sets)
