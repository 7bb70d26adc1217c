"""Leases: explored, proved for any clocks, and each way to get them wrong found in its shortest run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import z3

from oneleader.cli.counterexamples import save
from oneleader.errors import UsageError
from oneleader.language import LONG_AGO, action, ite
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.models import election
from oneleader.models.election import FOLLOWER, LEADER, Node, Quorum
from oneleader.models.flawed import lease_forgotten_promise, lease_from_receipt, lease_taken_again
from oneleader.models.lease import MODEL, Round, State
from oneleader.readers.explore.explore import explore, explore_all, ghosts_read
from oneleader.readers.prove.hints import load_hints
from oneleader.readers.prove.prove import prove
from oneleader.readers.replay.replay import replay
from oneleader.readers.run import Run
from oneleader.readers.tlc.twin import compare
from oneleader.verdict import HOLDS, VIOLATED

EXACT = {"lease": 1, "promise": 1, "slow": 1, "fast": 1}  # no drift
DRIFT = {"lease": 2, "promise": 3, "slow": 2, "fast": 3}  # as long a lease as the axiom allows
N2_DECIDES = "n2, n1 n2"  # with two servers: n2 is in every quorum, and may be overtaken by itself


def at(
    model: Model = MODEL, nodes: int = 2, terms: int = 2, quorums: str = N2_DECIDES, **sizes: int
) -> Configuration:
    return configure(model, {"Node": nodes, "Term": terms, **sizes}, quorums)


# -- Every state --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sizes", "states"),
    [(DRIFT, [152_545, 270_203, 270_203]), (EXACT | {"Round": 2}, [343_452, 647_140, 647_140])],
    ids=["clocks that drift", "two rounds"],
)
def test_everything_holds_and_nothing_vacuously(sizes: Mapping[str, int], states: list[int]) -> None:
    found = list(explore_all(MODEL, at(**sizes)))
    assert [r.verdict for r in found] == [HOLDS] * len(found)
    reached = {name: depth for r in found for name, depth in r.witnesses.items()}
    assert reached.keys() == MODEL.witnesses.keys()
    assert None not in reached.values()
    assert {p for r in found for p in r.properties} == MODEL.properties.keys()
    assert [r.states for r in found if r.properties] == states


def test_three_servers() -> None:
    """Clocks without drift: with it there are 11,011,600 states, see `oneleader check`."""
    found = next(explore_all(MODEL, at(nodes=3, quorums="majority", **EXACT)))
    assert (found.verdict, found.states, found.depth) == (HOLDS, 1_467_859, 33)
    assert None not in found.witnesses.values()


def test_the_plain_interpreter_explores_the_same() -> None:
    bounds = at(terms=1, **EXACT)
    plain, fast = (explore(MODEL, bounds, engine=engine) for engine in ("python", "numpy"))
    counts = [
        (r.verdict, r.states, r.transitions, r.depth, r.cut, r.fired, r.witnesses) for r in (plain, fast)
    ]
    assert counts[0] == counts[1]


# -- Any number of servers, any clocks ----------------------------------------------------------------
def test_proved_for_any_cluster_any_lease_and_any_rates() -> None:
    proof = prove(MODEL)
    assert {row.verdict for row in proof.rows} == {HOLDS}
    assert {row.hint for row in proof.rows} == {"used"}
    assert len(proof.rows) == 318


slow, fast, lease, promise = z3.Reals("slow fast lease promise")
RATES = z3.And(slow > 0, slow <= fast, lease > 0, promise > 0)
LONG_ENOUGH = lease * fast <= promise * slow  # the axiom lease_is_short_enough


def is_valid(claim: z3.BoolRef) -> bool:
    solver = z3.Solver()
    solver.add(z3.Not(claim))
    return bool(solver.check() == z3.unsat)


def overlap(sent: z3.ArithRef, promised: z3.ArithRef, leader: z3.ArithRef, voter: z3.ArithRef) -> z3.BoolRef:
    """A lease holds although its voter is free: so much true time has passed since the round was sent, since
    the voter promised, and so much by the leader's clock and by the voter's."""
    return z3.And(
        *(promised >= 0, promised <= sent),
        *(slow * sent <= leader, leader <= fast * sent),
        *(slow * promised <= voter, voter <= fast * promised),
        *(leader < lease, voter >= promise),
    )


def test_the_bound_is_exact() -> None:
    """Within it no lease overlaps; beyond it one does: a prompt promise, and clocks at both extremes."""
    times = z3.Reals("sent promised leader voter")
    assert is_valid(z3.Implies(z3.And(RATES, LONG_ENOUGH), z3.Not(overlap(*times))))
    x = promise / fast
    assert is_valid(z3.Implies(z3.And(RATES, z3.Not(LONG_ENOUGH)), overlap(x, x, slow * x, promise)))


@pytest.mark.parametrize("clocks", [2, 3, 5])
def test_bounded_rates_are_what_the_guard_says_without_true_time(clocks: int) -> None:
    """There is a true time in which each clock ran between slow and fast exactly if slow * x <= fast * y
    for any two: the greatest of all advances, divided by fast."""
    by = z3.Reals(" ".join(f"by{i}" for i in range(clocks)))
    some = z3.And(RATES, *(x >= 0 for x in by))
    guard = z3.And(*(slow * x <= fast * y for x in by for y in by))

    def runs(d: z3.ArithRef) -> z3.BoolRef:
        return z3.And(*(z3.And(slow * d <= x, x <= fast * d) for x in by))

    assert is_valid(z3.Implies(z3.And(some, runs(z3.Real("d"))), guard))
    at_least = by[0]
    for x in by[1:]:
        at_least = z3.If(x > at_least, x, at_least)
    assert is_valid(z3.Implies(z3.And(some, guard), runs(at_least / fast)))


# -- Clocks that can be compared ------------------------------------------------------------------------
skew = z3.Real("skew")  # every clock is within this of true time


def within(clock: z3.ArithRef, time: z3.ArithRef) -> z3.BoolRef:
    return z3.And(time - skew <= clock, clock <= time + skew)


def overlap_by_intervals(*at: z3.ArithRef) -> z3.BoolRef:
    """A lease holds although its voter is free, each having measured an interval on its own clock.

    `at`: true time and the leader's clock when it sent the round, true time and the voter's clock when it
    promised, and now: true time, the leader's clock and the voter's.
    """
    sent, leader_then, promised, voter_then, now, leader_now, voter_now = at
    clocks = ((leader_then, sent), (voter_then, promised), (leader_now, now), (voter_now, now))
    in_order = z3.And(sent <= promised, promised <= now)
    is_held = leader_now - leader_then < lease
    is_free = voter_now - voter_then >= promise
    return z3.And(in_order, is_held, is_free, *(within(c, t) for c, t in clocks))


def overlap_by_deadlines(*at: z3.ArithRef) -> z3.BoolRef:
    """The same where both compare their clocks with a deadline that the message carries: the leader holds
    the lease up to `lease`, and the voter is bound up to `promise`, both as readings of a clock."""
    now, leader_now, voter_now = at
    is_held, is_free = leader_now < lease, voter_now >= promise
    return z3.And(is_held, is_free, within(leader_now, now), within(voter_now, now))


@pytest.mark.parametrize(
    ("overlaps", "times", "apart"), [(overlap_by_intervals, 7, 4), (overlap_by_deadlines, 3, 2)]
)
def test_the_bound_for_skewed_clocks_is_exact(
    overlaps: Callable[..., z3.BoolRef], times: int, apart: int
) -> None:
    """Safe where lease + apart * skew <= promise, and for no longer lease."""
    some = z3.And(skew >= 0, lease > 0, promise > 0)
    enough = lease + apart * skew <= promise
    at = z3.Reals(" ".join(f"t{i}" for i in range(times)))
    assert is_valid(z3.Implies(z3.And(some, enough), z3.Not(overlaps(*at))))
    if overlaps is overlap_by_intervals:  # the leader's clock goes back by all it can, the voter's ahead
        d = promise - 2 * skew
        worst = (z3.RealVal(0), skew, z3.RealVal(0), -skew, d, d - skew, d + skew)
        assert is_valid(z3.Implies(z3.And(some, z3.Not(enough), d >= 0), overlaps(*worst)))
    else:
        worst = (promise - skew, promise - 2 * skew, promise)
        assert is_valid(z3.Implies(z3.And(some, z3.Not(enough)), overlaps(*worst)))


def test_the_proof_knows_of_clocks_only_that_leases_end_before_promises() -> None:
    """One invariant relates the clocks. Time keeps it, and a restart; standing and voting use it, with the
    axiom: when the promise has run out, so has the lease. Nothing else in the proof asks how clocks run,
    so with skewed clocks it is the same proof: `since_promise <= since_sent + 4 * skew` in its place."""
    clocks = {"axiom lease_is_short_enough", "axiom clocks_run", "guard drift_is_bounded"}
    using = {key for key, names in load_hints(MODEL).items() if clocks & set(names)}
    assert using == {
        "elapse/promise_is_not_ahead",
        "restart/promise_is_not_ahead",
        "start_election/stored_vote_broke_no_promise",
        "start_election/granted_vote_broke_no_promise",
        "grant_vote/stored_vote_broke_no_promise",
    }
    since_promise, since_sent = z3.Reals("since_promise since_sent")
    kept = z3.Implies(since_promise >= promise, since_sent >= lease)
    by_rates = z3.And(RATES, LONG_ENOUGH, slow * since_promise <= fast * since_sent)
    by_skew = z3.And(skew >= 0, lease + 4 * skew <= promise, since_promise <= since_sent + 4 * skew)
    assert is_valid(z3.Implies(by_rates, kept))
    assert is_valid(z3.Implies(by_skew, kept))
    assert not is_valid(z3.Implies(since_promise <= since_sent + 4 * skew, kept))


# -- How it goes wrong --------------------------------------------------------------------------------
@action
def send_heartbeat(s: State, n: Node, k: Round) -> None:
    """A round may be sent again, and the leader counts from the last time."""
    is_a_leader = s.role[n] == LEADER
    s.require(is_a_leader)

    s.sent[n, s.term[n], k] = True
    s.since_sent[n, k] = 0


# Fault -> the model, how many servers, parameters, steps of the shortest run to two leaders of which the
# older holds a lease, and an obligation that cannot be proved of it.
FAULTS: dict[str, tuple[Model, int, Mapping[str, int], int, str]] = {
    "counted from receipt": (
        lease_from_receipt.MODEL, 2, EXACT, 12, "receive_acknowledgement/promise_is_not_ahead",
    ),
    "drift ignored": (
        MODEL.without_axiom("lease_is_short_enough"), 2, DRIFT | {"lease": 3}, 11,
        "grant_vote/stored_vote_broke_no_promise",
    ),
    "the promise is forgotten": (
        lease_forgotten_promise.MODEL, 2, EXACT, 11, "restart/promise_is_not_ahead",
    ),
    "the voter stands itself": (
        MODEL.without_guard("start_election", "promise_ran_out"), 2, EXACT, 10,
        "start_election/stored_vote_broke_no_promise",
    ),
    "the voter votes": (
        MODEL.without_guard("grant_vote", "vote_is_due"), 3, EXACT, 15,
        "grant_vote/stored_vote_broke_no_promise",
    ),
    "taken again after a transfer": (
        lease_taken_again.MODEL, 2, EXACT, 12, "abandon_transfer/transfer_voids_lease",
    ),
    "counted from a later sending": (
        MODEL.with_action(send_heartbeat), 2, EXACT, 12, "send_heartbeat/promise_is_not_ahead",
    ),
    "clocks at any rate": (
        MODEL.without_guard("elapse", "drift_is_bounded"), 2, EXACT, 11, "elapse/promise_is_not_ahead",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_found_in_its_shortest_run(name: str) -> None:
    model, nodes, sizes, steps, _ = FAULTS[name]
    bounds = at(model, nodes, quorums="majority" if nodes == 3 else N2_DECIDES, **sizes)
    found = explore(model, bounds, properties=list(model.theorems.values()))
    assert found.violation
    assert (found.violation.what, len(found.violation.steps)) == ("no_newer_leader", steps)


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_cannot_be_proved(name: str) -> None:
    model, *_, obligation = FAULTS[name]
    (row,) = prove(model, only=[obligation]).rows
    assert row.verdict is VIOLATED
    assert row.counterexample


def test_its_run_is_saved_and_replayed(tmp_path: Path) -> None:
    """Times are whole numbers and not cut in a recording; the parameters stand in its header."""
    model = lease_from_receipt.MODEL
    found = explore(model, at(model, **EXACT), properties=list(model.theorems.values()))
    assert found.violation
    path = save(tmp_path, model, found.run, found.violation, None)
    told = replay(path)
    assert (told.verdict, told.events_judged, told.steps["elapse"]) == (VIOLATED, 11, 1)
    assert told.refusal
    assert told.refusal.property == "promise_is_not_ahead"  # the lemma that the fault breaks first
    path.write_text(path.read_text().replace('{"n1": 1, "n2": 1}', '{"n1": 1, "n2": 0}'))
    told = replay(path)
    assert told.refusal
    assert "drift_is_bounded" in told.refusal.text


def test_a_lease_beyond_the_bound_is_refused() -> None:
    with pytest.raises(UsageError, match=r"breaks the axiom lease_is_short_enough\(\): Even"):
        Run(MODEL, at(**DRIFT | {"lease": 3}))


def without_the_record() -> Model:
    """Nobody notes who was overtaken."""

    @action
    def become_leader(s: State, n: Node, q: Quorum) -> None:
        election.become_leader(s, n, q)

    return MODEL.with_action(become_leader)


def with_forgotten_terms() -> Model:
    """A restart loses the term as well."""

    @action
    def restart(s: State, n: Node) -> None:
        s.term[n] = 0
        s.role[n] = FOLLOWER
        s.since_promise[n] = 0
        s.lease_is_void[n] = False
        s.since_sent.where(lambda old, m, k: ite(m == n, LONG_AGO, old))

    return MODEL.with_action(restart)


def with_candidates_again() -> Model:
    """A leader that hears from nobody stands again in its term."""

    @action
    def give_up(s: State, n: Node) -> None:
        is_a_leader = s.role[n] == LEADER
        s.require(is_a_leader)
        s.role[n] = election.CANDIDATE

    return MODEL.with_action(give_up)


VOTES_ANYWAY = FAULTS["the voter stands itself"][0]
MUTANTS = {
    "heartbeat_not_from_future": with_forgotten_terms(),
    "candidate_has_not_led": with_candidates_again(),
    "sent_by_leader": MODEL.without_guard("send_heartbeat", "is_a_leader"),
    "acknowledged_was_sent": MODEL.without_guard("acknowledge", "heartbeat_was_sent"),
    "promise_is_not_ahead": FAULTS["clocks at any rate"][0],
    "forced_was_asked": MODEL.without_guard("start_forced_election", "transfer_was_asked"),
    "timeout_now_from_leader": MODEL.without_guard("transfer_leadership", "is_a_leader"),
    "transfer_voids_lease": lease_taken_again.MODEL,
    "later_transfer_overtakes": MODEL.without_guard("transfer_leadership", "is_a_leader"),
    "overtaken_by_some_quorum": without_the_record(),
    "overtakers_moved_on": MODEL.without_guard("become_leader", "quorum_voted"),
    "stored_vote_broke_no_promise": VOTES_ANYWAY,
    "granted_vote_broke_no_promise": VOTES_ANYWAY,
    "overtakers_broke_no_promise": VOTES_ANYWAY,
    "no_newer_leader": VOTES_ANYWAY,
    "leases_are_disjoint": VOTES_ANYWAY,
}


def test_each_property_has_a_mutant() -> None:
    assert MUTANTS.keys() == MODEL.properties.keys() - election.MODEL.properties.keys()


@pytest.mark.parametrize("name", MUTANTS)
def test_the_mutant_breaks_the_property(name: str) -> None:
    model = MUTANTS[name]
    prop = model.properties[name]
    found = explore(model, at(model, **EXACT), ghosts=ghosts_read(model, prop), properties=[prop])
    assert found.verdict is VIOLATED


# -- The twin -----------------------------------------------------------------------------------------
@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("bounds", "states", "edges"),
    [
        (at(terms=1, **DRIFT), 880, 7_452),
        (at(terms=1, **EXACT | {"Round": 2}), 892, 7_474),
        (at(nodes=3, terms=1, quorums="majority", **EXACT), 3_896, 35_757),
    ],  # and `oneleader check` at two terms: 39,463 states
    ids=["drift", "two rounds", "three servers"],
)
def test_tlc_has_the_same_graph(bounds: Configuration, states: int, edges: int) -> None:
    found = compare(MODEL, bounds)
    assert (found.difference, found.states, found.edges) == ("", states, edges)


# Dropping one of these breaks no property: safety does not need it. The twin has it, and misses it.
UNNEEDED = [
    ("acknowledge", "is_follower"),
    ("give_up", "stands_or_leads"),
]


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(("name", "guard"), UNNEEDED, ids=str)
def test_the_twin_misses_a_guard_that_safety_does_not_need(name: str, guard: str) -> None:
    mutant = MODEL.without_guard(name, guard)
    assert compare(mutant, at(mutant, terms=1, **EXACT)).verdict is VIOLATED
