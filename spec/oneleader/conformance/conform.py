"""A driver that finds things: random walks over a cluster, judged after each step, shortened afterwards.

    print(conform(MyAdapter, seconds=60).text)

Each walk draws from the seed what happens in it and how often, and goes on until a judge refuses a step.
Plain walks reach the faults of logs within seconds where drawn scenarios that are shrunk as they go do not.
What is found is a cause with its shortest run; those in `known` are passed over, and a finding does not end
the search. Two judges look on and are reported apart: Figure 3 on observations, in every walk, and
the models, which are slower, in one walk of `MODEL_EVERY`.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from oneleader.conformance.adapter import MODELS, Adapter, May, Observed, can
from oneleader.conformance.examined import Examined
from oneleader.conformance.following import grounds
from oneleader.conformance.judge import Judge, StepJudge, rules
from oneleader.conformance.leases import LeaseJudge
from oneleader.conformance.memberships import MembershipJudge, membership_grounds
from oneleader.conformance.pre_votes import PreVoteJudge
from oneleader.conformance.refinement import LogJudge
from oneleader.conformance.trial import Event, MakeAdapter, Trial
from oneleader.conformance.walking import Walking
from oneleader.conformance.wander import wander
from oneleader.errors import UsageError
from oneleader.models import election, lease, membership, pre_vote, replication

TERMS = 6  # of the model; a walk that goes beyond is judged by Figure 3 alone from there


def conform(
    make_adapter: MakeAdapter,
    *,
    nodes: int = 3,
    seconds: float = 10.0,
    walks: int | None = None,
    seed: int | None = None,
    known: Collection[str] = (),
    liveness: bool = False,
) -> Examined:
    """Walk until the time is over, or for so many walks: the same seed and walks give the same result."""
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    search = Driving(make_adapter, names(nodes), seed, known, liveness)
    search.go(seconds if walks is None else float("inf"), walks)
    return search.found


def again(
    make_adapter: MakeAdapter, events: Sequence[Event], *, nodes: int = 3, known: Collection[str] = ()
) -> Examined:
    """Play a run that was found before: judged by Figure 3 alone, and by the models too."""
    search = Driving(make_adapter, names(nodes), 0, known, False)
    search.replay(tuple(events))
    return search.found


def names(nodes: int) -> tuple[str, ...]:
    return tuple(f"n{i}" for i in range(1, nodes + 1))


def clocks_of(adapter: Adapter, seen: Sequence[Observed | None]) -> dict[str, int]:
    """The parameters of the model `lease`; UsageError where it cannot be judged by what the adapter shows."""
    if any(shown is None or shown.clock is None for shown in seen):
        raise UsageError("the adapter names the model lease: it has to show each server's clock")
    slow, fast = adapter.rates
    if adapter.promise <= 0 or adapter.lease * fast > adapter.promise * slow:
        raise UsageError(
            f"the adapter names the model lease, with a lease of {adapter.lease}, promises of "
            f"{adapter.promise} and rates of {slow} to {fast}: a lease is safe up to promise * slow / fast"
        )
    return {"lease": adapter.lease, "promise": adapter.promise, "slow": slow, "fast": fast}


class Driving(Walking[Trial]):
    """One search over a Raft."""

    def __init__(
        self,
        make_adapter: MakeAdapter,
        nodes: tuple[str, ...],
        seed: int,
        known: Collection[str] = (),
        liveness: bool = False,
        shortens: bool = True,
    ) -> None:
        super().__init__(nodes, seed, known, liveness, shortens)
        self.make_adapter = make_adapter
        self.rules = rules(election.MODEL, len(nodes), TERMS)

    def wander(self, trial: Trial, rng: random.Random) -> None:
        wander(trial, rng)

    def models(self, adapter: Adapter) -> dict[str, StepJudge]:
        """Those that can be compared with what the adapter shows."""
        unknown = [name for name in adapter.models if name not in MODELS]
        if unknown:
            raise UsageError(f"the adapter names the model {unknown[0]!r}: choose from {', '.join(MODELS)}")
        found: dict[str, StepJudge] = {election.MODEL.name: Judge(self.rules, adapter.may)}
        seen = [adapter.observe(node) for node in self.nodes]
        if all(s is not None and None not in (s.log, s.commit) and s.first == 1 for s in seen):
            found[replication.MODEL.name] = LogJudge(grounds(replication.MODEL, self.nodes), adapter.may)
            changes = "change_members" in can(adapter) and all(s is not None and s.members for s in seen)
            if changes and May.APPLY_MEMBERS not in adapter.may:
                found[membership.MODEL.name] = MembershipJudge(membership_grounds(self.nodes), adapter.may)
        if pre_vote.MODEL.name in adapter.models:
            found[pre_vote.MODEL.name] = PreVoteJudge(grounds(pre_vote.MODEL, self.nodes), adapter.may)
        if lease.MODEL.name in adapter.models:
            known = grounds(lease.MODEL, self.nodes, clocks_of(adapter, seen))
            found[lease.MODEL.name] = LeaseJudge(known, adapter.may)
        return found if self.turn % 2 else dict(reversed(found.items()))

    def trial(self, by_model: bool) -> Trial:
        adapter = self.make_adapter(self.nodes)
        self.found.network, self.found.abilities = adapter.network.name, can(adapter)
        try:
            return Trial(adapter, self.nodes, self.models(adapter) if by_model else {}, self.known)
        except BaseException:
            adapter.close()
            raise
