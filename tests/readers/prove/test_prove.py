"""prove: what is proved and what is not; every picture of a failure is one that the plain run confirms."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
import z3

from oneleader.errors import Disagreement, UsageError
from oneleader.language import (
    NIL,
    Fields,
    Model,
    NumberSort,
    Option,
    SetSort,
    action,
    both,
    field,
    ghost,
    implies,
    invariant,
    ite,
    no,
    theorem,
)
from oneleader.language.configuration import bounded
from oneleader.language.definitions import define
from oneleader.language.expr import FALSE
from oneleader.models import election
from oneleader.models.election import CANDIDATE, FOLLOWER, MODEL, Node, Quorum, Term
from oneleader.pictures.plain import show_counterexample, show_state, show_trace
from oneleader.readers.prove import prove as prove_reader
from oneleader.readers.prove.hints import load_hints
from oneleader.readers.prove.induction import Counterexample, Search, checked, sized, smallest
from oneleader.readers.prove.obligations import Obligation, obligations
from oneleader.readers.prove.prove import Proof, ProofRow, prove, update_hints
from oneleader.readers.prove.smt import answer
from oneleader.readers.run import Instance, Run
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, VIOLATED

NO_HINTS: dict[str, list[str]] = {}


def build(state: type[Fields], *functions: Callable[..., Any]) -> Model:
    """A small model of these definitions."""
    found: dict[str, dict[str, Any]] = {k: {} for k in ("action", "axiom", "invariant", "theorem", "witness")}
    for function in functions:
        found[function.__oneleader__][function.__name__] = define(function)  # type: ignore[attr-defined]
    return Model(
        name="small",
        doc="",
        fields=state.declared,
        actions=found["action"],
        axioms=found["axiom"],
        invariants=found["invariant"],
        theorems=found["theorem"],
        witnesses=found["witness"],
    )


def failing(proof: Proof) -> dict[str, ProofRow]:
    return {row.key: row for row in proof.rows if row.verdict is not HOLDS}


def obligation(model: Model, key: str) -> Obligation:
    return next(o for o in obligations(model) if o.key == key)


def picture(row: ProofRow) -> Counterexample:
    assert row.counterexample is not None, row
    return row.counterexample


# -- the election -----------------------------------------------------------------------------------
@pytest.mark.parametrize("hints", [None, NO_HINTS], ids=["hints", "no hints"])
def test_the_election_is_proved(hints: dict[str, list[str]] | None) -> None:
    proof = prove(MODEL, hints=hints)
    assert failing(proof) == {}
    assert len(proof.rows) == 7 + 8 * 7 + 1
    assert (proof.verdict, proof.status, proof.interrupted) == (HOLDS, 0, False)
    assert {row.hint for row in proof.rows} == {"none" if hints == {} else "used"}
    assert 0 < max(row.rlimit for row in proof.rows) < prove_reader.RLIMIT / 20, "close to the limit"


def test_every_seed_says_the_same() -> None:
    verdicts = [[r.verdict for r in prove(MODEL, hints=NO_HINTS, seed=seed).rows] for seed in (1, 2, 3)]
    assert verdicts[0] == verdicts[1] == verdicts[2]


def test_effort_repeats_exactly() -> None:
    first, again = (prove(MODEL, hints=NO_HINTS, only=["become_leader", "theorem"]).rows for _ in range(2))
    assert [r.rlimit for r in first] == [r.rlimit for r in again]


def forgets_its_vote() -> Model:
    @action
    def restart(s: election.State, n: Node) -> None:
        """A server whose vote is not on stable storage."""
        s.voted_for[n] = NIL
        s.role[n] = FOLLOWER
        s.votes.where(lambda old, c, v: both(c != n, old))

    return MODEL.with_action(restart)


def takes_its_vote_back() -> Model:
    @action
    def step_down(s: election.State, n: Node, leader: Node, t: Term) -> None:
        """A candidate whose vote is free again when somebody else wins."""
        leader_was_heard = s.heartbeat[leader, t]
        term_is_current = s.term[n] == t
        is_candidate = s.role[n] == CANDIDATE
        s.require(leader_was_heard, term_is_current, is_candidate)

        s.voted_for[n] = NIL
        s.role[n] = FOLLOWER
        s.votes.where(lambda old, c, v: both(c != n, old))

    return MODEL.with_action(step_down)


def without(*guards: str) -> Model:
    changed = MODEL
    for guard in guards:
        changed = changed.without_guard(*guard.split("."))
    return changed


MUTANTS = {
    "no quorum": (without("become_leader.quorum_voted"), ["become_leader/elected_by_quorum"]),
    "votes twice": (without("grant_vote.vote_is_free"), ["grant_vote/granted_is_stored"]),
    "counts old votes": (without("receive_vote.term_is_current"), ["receive_vote/votes_were_granted"]),
    "replies in any term": (
        without("reply_vote.term_is_current"),
        ["reply_vote/granted_once", "reply_vote/granted_not_from_future"],
    ),
    "never looks at terms": (
        without("grant_vote.term_is_current", "reply_vote.term_is_current", "receive_vote.term_is_current"),
        [
            "reply_vote/granted_once",
            "reply_vote/granted_not_from_future",
            "receive_vote/votes_were_granted",
        ],
    ),
    "forgets its vote": (forgets_its_vote(), ["restart/granted_is_stored"]),
    "takes its vote back": (takes_its_vote_back(), ["step_down/granted_is_stored"]),
    "quorums apart": (
        MODEL.without_axiom("quorums_intersect"),
        ["become_leader/elected_by_quorum", "theorem/election_safety"],
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_fails_where_it_should(name: str) -> None:
    mutant, expected = MUTANTS[name]
    proof = prove(mutant)
    assert list(failing(proof)) == expected
    assert (proof.verdict, proof.status) == (VIOLATED, 1)
    for row in failing(proof).values():
        found = picture(row)
        assert checked(found) == found
        assert len(found.configuration.elements["Node"]) <= 2
        assert show_counterexample(found)


def test_a_vote_in_an_older_term_is_harmless() -> None:
    """It is stored, and nobody can count it: `reply_vote` and `receive_vote` look at the term."""
    assert prove(without("grant_vote.term_is_current")).verdict is HOLDS


# -- two readings of the same expressions ----------------------------------------------------------------
SMALL = sized({Node: 2, Quorum: 2, Term: 2})


def test_what_is_proved_has_no_small_counterexample() -> None:
    assert [o.key for o in obligations(MODEL) if Search(o, SMALL).find()] == []


@pytest.mark.parametrize("name", MODEL.actions)
def test_no_step_is_proved_for_want_of_cases(name: str) -> None:
    """The invariants and guards of each action hold in some state, and the plain interpreter steps there."""
    first = next(o for o in obligations(MODEL) if o.step == name)
    found = Search(replace(first, goal="claim", body=FALSE), SMALL).find()
    assert found is not None
    assert found.instance
    run = Run(MODEL, found.configuration, frozenset(n for n, f in MODEL.fields.items() if f.kind == "ghost"))
    run.step(found.before, found.instance.action, found.instance.args)


def test_a_picture_that_the_plain_run_denies_is_an_error() -> None:
    mutant, (key, *_) = MUTANTS["forgets its vote"]
    found = smallest(obligation(mutant, key))
    assert found is not None
    assert found.after
    with pytest.raises(Disagreement, match="is reached"):
        checked(replace(found, after=found.before))
    with pytest.raises(Disagreement, match="granted_is_stored is false before the step"):
        checked(replace(found, before=found.after))
    with pytest.raises(Disagreement, match="granted_is_stored holds"):
        checked(replace(found, instance=None, after=found.before))
    grant = Instance(mutant.actions["grant_vote"], (0, 0, 0))
    with pytest.raises(Disagreement, match="refused"):
        checked(replace(found, instance=grant))


# -- hints and effort ------------------------------------------------------------------------------------
def test_the_committed_hints_are_the_present_ones() -> None:
    hints = load_hints(MODEL)
    assert list(hints) == [o.key for o in obligations(MODEL)]
    for o in obligations(MODEL):
        known = {*o.assumed, *(name for name, _ in o.facts), *(f"natural {n}" for n in MODEL.fields)}
        assert set(hints[o.key]) <= known, o.key


def test_a_stale_hint_is_told_and_does_no_harm() -> None:
    key = "become_leader/elected_by_quorum"
    (row,) = prove(MODEL, hints={key: ["invariant granted_once", "guard no_longer_there"]}, only=[key]).rows
    assert (row.verdict, row.hint) == (HOLDS, "stale")


def test_hints_are_written_where_asked(tmp_path: Path) -> None:
    path = update_hints(lock_model(), tmp_path / "lock.json")
    hints = json.loads(path.read_text())
    assert hints["release/tokens_differ"] == ["invariant tokens_differ"]
    assert {r.hint for r in prove(lock_model(), hints=hints).rows} == {"used"}


def test_too_little_effort_is_inconclusive() -> None:
    proof = prove(MODEL, hints=NO_HINTS, rlimit=100, only=["theorem", "init"])
    (row,) = failing(proof).values()
    assert (row.key, row.verdict, row.counterexample) == ("theorem/election_safety", INCONCLUSIVE, None)
    assert "no counterexample was found" in row.reason
    assert proof.status == 3


def test_too_little_effort_hides_no_counterexample() -> None:
    mutant, keys = MUTANTS["quorums apart"]
    assert {r.verdict for r in prove(mutant, hints=NO_HINTS, rlimit=100, only=keys).rows} == {VIOLATED}


def test_an_interrupted_proof_keeps_its_rows() -> None:
    """Ctrl-C while Z3 does not run; it must not be lost in one of its destructors."""

    def press(row: ProofRow) -> None:
        if row.key == "init/granted_is_stored":
            os.kill(os.getpid(), signal.SIGINT)

    proof = prove(MODEL, progress=press)
    assert (len(proof.rows), proof.interrupted, proof.status) == (3, True, 130)
    assert proof.verdict is INCONCLUSIVE


def test_ctrl_c_reaches_a_long_question() -> None:
    """Twelve pigeons, eleven holes: minutes of work."""
    context = z3.Context()
    solver = z3.SimpleSolver(ctx=context)
    sits = [[z3.Bool(f"{pigeon} in {hole}", context) for hole in range(11)] for pigeon in range(12)]
    solver.add(*(z3.Or(*holes) for holes in sits), *(z3.AtMost(*one, 1) for one in zip(*sits, strict=True)))
    assert answer(solver, 1000)[0] == z3.unknown
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            answer(solver, 4_000_000_000)
    finally:
        timer.cancel()


def test_only_what_exists_can_be_chosen() -> None:
    keys = [r.key for r in prove(MODEL, only=["theorem", "restart/granted_once"]).rows]
    assert keys == ["restart/granted_once", "theorem/election_safety"]
    with pytest.raises(UsageError, match="no obligation 'restrat': choose from init, start_election"):
        prove(MODEL, only=["restrat"])


# -- a lock with fencing tokens: every kind of field, a claim -----------------------------------------------
class Client(SetSort):
    """Somebody who wants the lock."""


class Token(NumberSort):
    """Grows with each acquisition."""


class Door(IntEnum):
    """Whether the lock may be taken."""

    OPEN = 0
    SHUT = 1


class Lock(Fields):
    holder = field(of=Option[Client])
    token = field(of=Token)
    door = field(of=Door)
    highest = field(of=Token)  # that the storage has seen
    held = field(Client, of=Token)
    last = ghost(of=Option[Token])


@action
def acquire(s: Lock, c: Client) -> None:
    """A free lock is taken, with a greater token."""
    lock_is_free = s.holder == NIL
    door_is_open = s.door == Door.OPEN
    s.require(lock_is_free, door_is_open)

    t = s.token + 1
    s.claim(t > s.highest)
    s.holder = c
    s.token = t
    s.held.where(lambda old, d: ite(d == c, t, old))
    s.last = t


@action
def release(s: Lock, c: Client) -> None:
    """The holder gives it back."""
    holds = s.holder == c
    s.require(holds)
    s.holder = NIL


@action
def shut(s: Lock) -> None:
    """No more."""
    lock_is_free = s.holder == NIL
    s.require(lock_is_free)
    s.door = Door.SHUT


@action
def write(s: Lock, c: Client) -> None:
    """The storage refuses a token lower than one that it has seen."""
    token_is_fresh = s.held[c] >= s.highest
    s.require(token_is_fresh)
    s.highest = s.held[c]


@invariant
def tokens_were_given(s: Lock, c: Client) -> bool:
    """Nobody holds a token from the future."""
    return s.held[c] <= s.token


@invariant
def highest_was_given(s: Lock) -> bool:
    """The storage has seen no token from the future."""
    return s.highest <= s.token


@invariant
def tokens_differ(s: Lock, a: Client, b: Client) -> bool:
    """No token is given twice."""
    return implies(both(s.held[a] == s.held[b], s.held[a] > 0), a == b)


@invariant
def shut_is_free(s: Lock) -> bool:
    """Nobody holds a lock that is shut."""
    return implies(s.door == Door.SHUT, s.holder == NIL)


@invariant
def last_is_remembered(s: Lock) -> bool:
    """The history is right."""
    return implies(s.last != NIL, s.last == s.token)


@theorem
def a_future_token_is_nobodys(s: Lock, c: Client, t: Token) -> bool:
    """In one state, from the invariants."""
    return implies(t > s.token, s.held[c] != t)


LOCK = (
    *(acquire, release, shut, write),
    *(tokens_were_given, highest_was_given, tokens_differ, shut_is_free, last_is_remembered),
    a_future_token_is_nobodys,
)


def lock_model(*left_out: Callable[..., Any]) -> Model:
    return build(Lock, *(f for f in LOCK if f not in left_out))


def test_the_lock_is_proved() -> None:
    proof = prove(lock_model())
    assert failing(proof) == {}
    assert "acquire/claim 1" in {row.key for row in proof.rows}


def test_true_and_not_inductive() -> None:
    """Tokens do differ in every reachable state, and without the first invariant that is no proof."""
    proof = prove(lock_model(tokens_were_given, a_future_token_is_nobodys))
    bad = failing(proof)
    assert list(bad) == ["acquire/tokens_differ", "write/highest_was_given"]
    assert show_counterexample(picture(bad["acquire/tokens_differ"])) == [
        "with 2 clients, 1 token:",
        "from",
        "  held  c2=1",
        "by",
        "  acquire(c=c1)",
        "    holder: NIL -> c1",
        "    token: 0 -> 1",
        "    held[c1]: 0 -> 1",
        "    last: NIL -> 1",
        "this is false: tokens_differ(a=c1, b=c2): No token is given twice.",
    ]


def test_a_claim_is_proved_before_it_is_used() -> None:
    bad = failing(prove(lock_model(highest_was_given)))
    assert list(bad) == ["acquire/claim 1"]
    assert show_counterexample(picture(bad["acquire/claim 1"])) == [
        "with 1 client, 1 token:",
        "from",
        "  highest  1",
        "by",
        "  acquire(c=c1)",
        "this is false: claim 1",
    ]


def test_what_is_false_at_first() -> None:
    @invariant
    def never_free(s: Lock) -> bool:
        return s.holder != NIL

    row = failing(prove(build(Lock, *LOCK, never_free)))["init/never_free"]
    assert row.reason == "false in the first state"
    assert show_counterexample(picture(row))[1:] == [
        "in",
        "  nothing has happened",
        "this is false: never_free()",
    ]


# -- rules of the language that only a proof can enforce -----------------------------------------------------
def test_two_writes_that_may_meet() -> None:
    @action
    def swap(s: Lock, a: Client, b: Client) -> None:
        they_differ = a != b
        s.require(they_differ)
        one, other = s.held[a], s.held[b]
        s.held[a] = other
        s.held[b] = one

    apart = build(Lock, *LOCK, swap)
    assert failing(prove(apart, only=["swap"])) == {}
    row = failing(prove(apart.without_guard("swap", "they_differ"), only=["swap"]))[
        "swap/distinct writes of held"
    ]
    assert picture(row).instance == Instance(picture(row).obligation.model.actions["swap"], (0, 0))


def test_counting_is_not_expressible() -> None:
    @invariant
    def few_hold_the_token(s: Lock) -> bool:
        return Client.count(lambda c: both(s.held[c] == s.token, s.token > 0)) <= 1

    proof = prove(build(Lock, *LOCK, few_hold_the_token))
    assert {r.goal for r in failing(proof).values()} == {"few_hold_the_token"}
    assert {(r.verdict, r.counterexample) for r in failing(proof).values()} == {(NOT_EXPRESSIBLE, None)}
    assert "counting Clients has no meaning" in failing(proof)["init/few_hold_the_token"].reason
    assert (proof.verdict, proof.status) == (NOT_EXPRESSIBLE, 3)


def test_what_counting_would_prove_is_not_called_violated() -> None:
    """A guard that is not expressible is left out: Z3's counterexample may be one that it forbids."""

    @action
    def reset(s: Lock) -> None:
        nobody_counts = Client.count(lambda c: s.held[c] > 0) == 0
        s.require(nobody_counts)
        s.token = 0
        s.highest = 0

    (row,) = failing(prove(build(Lock, *LOCK[:-1], reset), only=["reset/tokens_were_given"])).values()
    assert row.verdict is INCONCLUSIVE


class Marks(Fields):
    mark = field(Client, of=bool)
    flag = field(Client, of=bool)


def test_a_quantifier_captures_nothing() -> None:
    """The rewriting's own quantifier and the invariant's stand inside each other."""

    @action
    def put(s: Marks, c: Client) -> None:
        s.mark[c] = True

    @action
    def spread(s: Marks) -> None:
        s.flag.where(lambda old, c: Client.any(lambda d: both(c != d, s.mark[d])))

    @invariant
    def nothing_is_flagged(s: Marks) -> bool:
        return Client.all(lambda c: no(s.flag[c]))

    (row,) = failing(prove(build(Marks, put, spread, nothing_is_flagged))).values()
    assert row.key == "spread/nothing_is_flagged"
    assert len(picture(row).configuration.elements["Client"]) == 2


# -- printing ------------------------------------------------------------------------------------------
def test_a_counterexample_is_read_aloud() -> None:
    mutant, keys = MUTANTS["forgets its vote"]
    (row,) = prove(mutant, only=keys).rows
    assert row.reason == "not inductive: all invariants hold before the step, and this one is false after it"
    assert show_counterexample(picture(row)) == [
        "with 1 node, 1 quorum, 1 term:",
        "  member  (n1, {n1})",
        "from",
        "  voted_for  n1=n1",
        "  granted    (n1, 0, n1)",
        "by",
        "  restart(n=n1)",
        "    voted_for[n1]: n1 -> NIL",
        "this is false: granted_is_stored(voter=n1, candidate=n1): "
        "A vote of the current term that was sent stands in stable storage.",
    ]


def test_a_run_is_told_step_by_step() -> None:
    run = Run(MODEL, bounded(MODEL, nodes=2, terms=1))
    steps = []
    state = run.initial
    for name, args in (("start_election", (0,)), ("update_term", (1, 1))):
        state = run.step(state, MODEL.actions[name], args)
        steps.append((Instance(MODEL.actions[name], args), state))
    assert show_trace(run.cells, run.configuration, run.initial, steps) == [
        "0  the first state",
        "1  start_election(n=n1)",
        "     term[n1]: 0 -> 1",
        "     voted_for[n1]: NIL -> n1",
        "     role[n1]: follower -> candidate",
        "     votes[n1, n1]: false -> true",
        "     requested[n1, 1]: false -> true",
        "     granted[n1, 1, n1]: false -> true",
        "2  update_term(n=n2, t=1)",
        "     term[n2]: 0 -> 1",
    ]
    assert show_state(run.cells, run.configuration, run.initial) == ["nothing has happened"]
