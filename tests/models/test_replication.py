"""Log replication: how many states there are, what can happen, and what breaks without each rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from oneleader.errors import MissingTool
from oneleader.language import action, both, ite
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.models import election, replication, replication_lemmas
from oneleader.models.election import LEADER, Node, Quorum, Term
from oneleader.models.replication import MODEL, Index, State, Value
from oneleader.readers.explore.explore import explore, ghosts_read
from oneleader.readers.prove.hints import load_hints
from oneleader.readers.prove.prove import prove
from oneleader.readers.run import Disabled, Run
from oneleader.verdict import HOLDS, VIOLATED


def bounds(nodes: int, terms: int, indices: int, values: int = 1) -> Configuration:
    """So many nodes, terms, entries of a log, and commands."""
    return configure(MODEL, {"Node": nodes, "Term": terms, "Index": indices, "Value": values})


# -- Mutants ---------------------------------------------------------------------------------------
def mutant(change: Callable[..., Any]) -> Model:
    """The model with one action replaced by this one."""
    return MODEL.with_action(change)


def silent() -> Model:
    """A leader that announces itself to nobody."""

    @action
    def become_leader(s: State, n: Node, q: Quorum) -> None:
        wins = replication_lemmas.wins(s, n, q)
        s.require(wins)

        s.role[n] = LEADER
        s.elected_by[s.term[n]] = q

    return mutant(become_leader)


def unrecorded() -> Model:
    """A leader of whom history does not say which quorum elected it."""

    @action
    def become_leader(s: State, n: Node, q: Quorum) -> None:
        wins = replication_lemmas.wins(s, n, q)
        s.require(wins)

        s.role[n] = LEADER
        s.heartbeat[n, s.term[n]] = True

    return mutant(become_leader)


def forgetful_candidate() -> Model:
    """RequestVote does not tell of the candidate's log."""

    @action
    def start_election(s: State, n: Node) -> None:
        election.start_election(s, n)

    return mutant(start_election)


def unasked() -> Model:
    """A candidate asks nobody."""

    @action
    def start_election(s: State, n: Node) -> None:
        election_is_due = s.role[n] != LEADER
        s.require(election_is_due)

        t = s.term[n] + 1
        s.term[n] = t
        s.voted_for[n] = n
        s.role[n] = election.CANDIDATE
        s.granted[n, t, n] = True

    return mutant(start_election)


def asks_early() -> Model:
    """A candidate asks for votes in a term before it is in it."""

    @action
    def start_election(s: State, n: Node) -> None:
        t = s.term[n] + 1
        s.requested[n, t] = True

    return mutant(start_election)


def empty_leader() -> Model:
    """A new leader forgets that it has a log, as far as AppendEntries goes."""

    @action
    def become_leader(s: State, n: Node, q: Quorum) -> None:
        election.become_leader(s, n, q)

    return mutant(become_leader)


def counts_from_zero() -> Model:
    """The first entry goes to index 0."""

    @action
    def client_request(s: State, n: Node, value: Value) -> None:
        is_leader = s.role[n] == LEADER
        s.require(is_leader)

        t, i = s.term[n], s.log_length[n]
        s.log_length[n] = i + 1
        s.log_term[n, i] = t
        s.log_value[n, i] = value

    return mutant(client_request)


def tells_nobody() -> Model:
    """A leader appends to its log and not to what it sends."""

    @action
    def client_request(s: State, n: Node, value: Value) -> None:
        is_leader = s.role[n] == LEADER
        s.require(is_leader)

        i = s.log_length[n] + 1
        s.log_length[n] = i
        s.log_term[n, i] = s.term[n]
        s.log_value[n, i] = value

    return mutant(client_request)


def volatile_log() -> Model:
    """A crash loses the log."""

    @action
    def restart(s: State, n: Node) -> None:
        election.restart(s, n)
        s.commit_index[n] = 0
        s.log_length[n] = 0
        s.log_term.where(lambda old, m, i: ite(m == n, 0, old))

    return mutant(restart)


def truncates_always() -> Model:
    """A late message that holds less shortens the log."""

    @action
    def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
        entries_were_sent = replication.sent(s, t, prev, last, commit)
        term_is_current = s.term[n] == t
        is_follower = s.role[n] == election.FOLLOWER
        prefix_matches = replication.matches(s, n, t, prev)
        s.require(entries_were_sent, term_is_current, is_follower, prefix_matches)

        replication.store(s, n, t, prev, last, commit, last)

    return mutant(append_entries)


def keeps_the_value() -> Model:
    """A conflicting entry gets the leader's term and keeps its own value."""

    @action
    def replace_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
        entries_were_sent = replication.sent(s, t, prev, last, commit)
        term_is_current = s.term[n] == t
        is_follower = s.role[n] == election.FOLLOWER
        prefix_matches = replication.matches(s, n, t, prev)
        something_conflicts = replication.conflicts(s, n, t, prev, last)
        s.require(entries_were_sent, term_is_current, is_follower, prefix_matches, something_conflicts)

        def is_new(m: Any, i: Any) -> bool:
            return both(m == n, prev < i, i <= last)

        s.log_term.where(lambda old, m, i: ite(is_new(m, i), s.leader_log_term[t, i], old))
        s.log_length[n] = last
        s.acknowledged[n, t] = last

    return mutant(replace_entries)


def confirms_too_much() -> Model:
    """A follower confirms one entry more than it was sent."""

    @action
    def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
        entries_were_sent = replication.sent(s, t, prev, last, commit)
        s.require(entries_were_sent)

        s.acknowledged[n, t] = last + 1

    return mutant(append_entries)


def trusts_leader_commit() -> Model:
    """A follower takes leaderCommit as it is: receiver 5 without the minimum."""

    @action
    def append_entries(s: State, n: Node, t: Term, prev: Index, last: Index, commit: Index) -> None:
        entries_were_sent = replication.sent(s, t, prev, last, commit)
        term_is_current = s.term[n] == t
        s.require(entries_were_sent, term_is_current)

        s.commit_index[n] = commit

    return mutant(append_entries)


def one_term_only() -> Model:
    """History enters a commitment under the leader's term and not under the later ones."""

    @action
    def advance_commit(s: State, n: Node, i: Index, q: Quorum) -> None:
        may_commit = replication_lemmas.committable(s, n, i, q)
        s.require(may_commit)

        s.commit_index[n] = i
        s.leader_commit[s.term[n]] = i
        s.committed_up_to[s.term[n]] = i

    return mutant(advance_commit)


def not_how_much() -> Model:
    """History enters who committed last, and not up to where."""

    @action
    def advance_commit(s: State, n: Node, i: Index, q: Quorum) -> None:
        may_commit = replication_lemmas.committable(s, n, i, q)
        s.require(may_commit)

        t = s.term[n]
        s.committed_in.where(lambda old, u: ite(both(t <= u, old < t), t, old))

    return mutant(advance_commit)


def wins_again() -> Model:
    """Who has won stays candidate, and wins again."""

    @action
    def become_leader(s: State, n: Node, q: Quorum) -> None:
        wins = replication_lemmas.wins(s, n, q)
        s.require(wins)

        s.heartbeat[n, s.term[n]] = True

    return mutant(become_leader)


ANY_LOG = MODEL.without_guard("grant_vote", "log_is_up_to_date")
ALONE = MODEL.without_guard("advance_commit", "quorum_stores")
NO_PREFIX_CHECK = MODEL.without_guard("append_entries", "prefix_matches")
VOTE_TWICE = MODEL.without_guard("grant_vote", "vote_is_free")
ANY_VOTE = MODEL.without_guard("receive_vote", "vote_was_granted")
ANYBODY_APPENDS = MODEL.without_guard("client_request", "is_leader")
UNSENT = MODEL.without_guard("append_entries", "entries_were_sent")

# Each property with a model that breaks it, and the smallest bounds that show it: nodes, terms, entries.
MUTANTS: dict[str, tuple[Model, tuple[int, int, int]]] = {
    # votes and terms
    "granted_once": (VOTE_TWICE, (2, 1, 1)),
    "granted_not_from_future": (MODEL.without_guard("reply_vote", "term_is_current"), (2, 2, 1)),
    "granted_is_stored": (VOTE_TWICE, (2, 1, 1)),
    "votes_were_granted": (ANY_VOTE, (2, 1, 1)),
    "leader_was_announced": (silent(), (2, 1, 1)),
    "elected_by_some_quorum": (unrecorded(), (2, 1, 1)),
    "elected_by_quorum": (ANY_VOTE, (2, 1, 1)),
    "requested_not_from_future": (asks_early(), (2, 1, 1)),
    "heartbeat_not_from_future": (MODEL.without_guard("update_term", "term_is_newer"), (2, 2, 1)),
    "granted_was_requested": (unasked(), (2, 1, 1)),
    "stored_vote_was_requested": (unasked(), (2, 1, 1)),
    "candidate_has_not_led": (wins_again(), (2, 1, 1)),
    "candidate_has_asked": (forgetful_candidate(), (2, 2, 1)),
    # logs
    "nothing_before_the_first_entry": (counts_from_zero(), (2, 1, 1)),
    "leader_log_was_announced": (ANYBODY_APPENDS, (2, 1, 1)),
    "entry_is_a_leaders": (tells_nobody(), (2, 1, 1)),
    "log_is_a_leaders": (tells_nobody(), (2, 1, 1)),
    "leader_entry_is_a_leaders": (ANYBODY_APPENDS, (2, 1, 1)),
    "leader_log_is_a_leaders": (tells_nobody(), (2, 2, 1)),
    "leader_append_only": (tells_nobody(), (2, 1, 1)),
    "acknowledged_was_sent": (confirms_too_much(), (2, 1, 1)),
    # what a quorum stores
    "choosable_is_kept": (volatile_log(), (2, 1, 1)),
    "choosable_is_a_candidates": (volatile_log(), (2, 2, 1)),
    "choosable_is_a_leaders": (ANY_LOG, (3, 2, 1)),
    # commitment
    "committed_by_quorum": (ALONE, (2, 1, 1)),
    "committed_grows": (one_term_only(), (2, 2, 1)),
    "committed_is_a_leaders": (ANY_LOG, (3, 2, 1)),
    "commit_index_is_committed": (truncates_always(), (2, 1, 1)),
    "log_is_committed": (truncates_always(), (2, 1, 1)),
    "leader_commit_is_committed": (UNSENT, (2, 1, 1)),
    # lemmas
    "prefix_is_the_leaders": (NO_PREFIX_CHECK, (3, 2, 2)),
    "choosable_is_in_later_leader_logs": (volatile_log(), (2, 2, 1)),
    "committed_is_in_leader_logs": (one_term_only(), (2, 1, 1)),
    "choosable_is_in_no_conflict": (empty_leader(), (2, 2, 1)),
    "committed_is_choosable": (one_term_only(), (2, 1, 1)),
    "a_term_is_won_once": (wins_again(), (2, 1, 1)),
    "choosable_is_a_winners": (ANY_LOG, (3, 2, 1)),
    "committed_is_a_winners": (ANY_LOG, (3, 2, 1)),
    "terms_never_fall": (counts_from_zero(), (2, 1, 1)),
    "newer_log_goes_as_far": (ANYBODY_APPENDS, (2, 1, 1)),
    "choosable_is_its_last_leaders": (volatile_log(), (2, 2, 1)),
    "choosable_is_in_a_newer_log": (volatile_log(), (2, 1, 1)),
    "committable_is_a_later_leaders": (ANY_LOG, (3, 2, 1)),
    "later_terms_committed_more": (not_how_much(), (3, 2, 2)),
    "earlier_terms_committed_less": (one_term_only(), (2, 1, 1)),
    "committable_agrees": (ANY_LOG, (3, 2, 1)),
    # Figure 3
    "election_safety": (VOTE_TWICE, (2, 1, 1)),
    "log_matching": (NO_PREFIX_CHECK, (3, 2, 2)),
    "leader_completeness": (ANY_LOG, (3, 2, 1)),
    "state_machine_safety": (ANY_LOG, (3, 2, 1)),
}


def test_each_property_has_a_mutant() -> None:
    assert MUTANTS.keys() == MODEL.properties.keys()


@pytest.mark.parametrize("name", MUTANTS)
def test_the_mutant_breaks_the_property(name: str) -> None:
    """That the model itself does not, `test_everything_holds` says, at the same bounds or wider ones."""
    model, at = MUTANTS[name]
    prop = MODEL.properties[name]
    found = explore(model, bounds(*at), ghosts=ghosts_read(model, prop), properties=[prop])
    assert (found.verdict, found.violation and found.violation.what) == (VIOLATED, name)


# -- All states ------------------------------------------------------------------------------------
HISTORY = frozenset({"committed_term", "committed_value", "committed_up_to", "committed_in"})
WITNESSES = {  # the length of the shortest run to each, with 3 nodes, 2 terms and logs of 2 entries
    "a_leader_exists": 6,
    "two_leaders_of_different_terms": 12,
    "a_split_vote": 3,
    "an_entry_is_committed": 9,
    "an_older_entry_is_committed_indirectly": 17,
    "an_entry_was_replaced": 16,
    "a_log_was_shortened": 17,
    "figure_8": 15,
    "a_follower_lags": 9,
    "a_follower_knows_a_commit_index": 10,
    "a_candidate_lacks_a_committed_entry": 10,
}


@pytest.mark.parametrize(
    ("at", "states", "steps", "depth"),
    [((2, 2, 2, 1), 1_472, 25_173, 22), ((2, 1, 2, 2), 85, 1_820, 13), ((3, 2, 1, 1), 32_786, 569_327, 27)],
    ids=str,
)
def test_everything_holds(at: tuple[int, int, int, int], states: int, steps: int, depth: int) -> None:
    """History is determined by the rest: it multiplies no states. Which quorum elected is not."""
    found = explore(MODEL, bounds(*at), ghosts=HISTORY)
    assert (found.verdict, found.states, found.transitions, found.depth) == (HOLDS, states, steps, depth)
    assert len(found.properties) == len(MODEL.properties) - 2


def test_everything_holds_and_happens_with_longer_logs() -> None:
    """3 nodes, 2 terms, logs of 2 entries."""
    try:
        found = explore(MODEL, bounds(3, 2, 2), ghosts=HISTORY, engine="native")
    except MissingTool as missing:
        pytest.skip(str(missing))
    assert (found.verdict, found.states, found.transitions) == (HOLDS, 406_159, 14_067_186)
    assert found.witnesses == WITNESSES
    assert found.never_fired == []


def test_who_elected_whom() -> None:
    """The two invariants whose history is a choice: which quorum elected the leader of a term."""
    found = explore(MODEL, bounds(2, 2, 1), ghosts=frozenset({"elected_by"}))
    assert (found.verdict, found.states) == (HOLDS, 388)
    assert {"elected_by_quorum", "elected_by_some_quorum"} < {*found.properties}


# -- Figure 8 --------------------------------------------------------------------------------------
class Story:
    """A run of the plain interpreter, step by step. Servers are 0, 1, 2; quorums leave out one of them."""

    def __init__(self, model: Model) -> None:
        self.run = Run(model, bounds(3, 4, 2), HISTORY | {"elected_by"})
        self.state = self.run.initial

    def take(self, name: str, *args: int) -> None:
        self.state = self.run.step(self.state, self.run.model.actions[name], args)

    def elect(self, n: int, t: int) -> None:
        """Server n stands in term t, and 1 votes for it."""
        self.take("start_election", n)
        self.take("update_term", 1, t)
        self.take("grant_vote", 1, n, t)
        self.take("reply_vote", 1, n, t)
        self.take("receive_vote", n, n, t)
        self.take("receive_vote", n, 1, t)
        self.take("become_leader", n, {0: 0, 2: 2}[n])

    def figure_8c(self) -> None:
        """The entry of term 1 is on 0 and 1, and 0 leads in term 3; 2 has an entry of term 2."""
        self.elect(0, 1)
        self.take("client_request", 0, 0)
        self.take("update_term", 2, 1)
        self.elect(2, 2)
        self.take("client_request", 2, 0)
        self.take("update_term", 0, 2)
        self.elect(0, 3)
        self.take("append_entries", 1, 3, 0, 1, 0)

    def figure_8d(self) -> None:
        """Server 2 is elected by 1, overwrites that entry, and commits its own."""
        self.take("update_term", 2, 3)
        self.elect(2, 4)
        self.take("replace_entries", 1, 4, 0, 1, 0)
        self.take("client_request", 2, 0)
        self.take("append_entries", 1, 4, 1, 2, 0)
        self.take("advance_commit", 2, 2, 2)

    def broken(self) -> set[str]:
        """The properties of Figure 3 that are false now."""
        return {
            name for name, p in MODEL.theorems.items() if self.run.violated(self.state, {name: p})
        } & FIGURE_3


FIGURE_3 = {"election_safety", "log_matching", "leader_completeness", "state_machine_safety"}


def test_figure_8_is_harmless() -> None:
    story = Story(MODEL)
    story.figure_8c()
    assert story.run.witnessed(story.state, MODEL.witnesses["figure_8"])
    refused = story.run.refused(story.state, MODEL.actions["advance_commit"], (0, 1, 0))
    assert str(refused) == "entry_is_own (section 5.4.2 and Figure 8)"
    story.figure_8d()
    assert not story.run.violated(story.state, MODEL.properties)


def test_figure_8_without_section_5_4_2() -> None:
    """A leader that counts replicas of an old entry loses what it has committed: it takes four terms."""
    story = Story(MODEL.without_guard("advance_commit", "entry_is_own"))
    story.figure_8c()
    story.take("advance_commit", 0, 1, 0)
    assert story.broken() == set()
    story.figure_8d()
    assert story.broken() == {"leader_completeness", "state_machine_safety"}


def test_a_late_short_message_shortens_nothing() -> None:
    """And a leaderCommit that is older, or speaks of more than was sent, does no harm."""
    story = Story(MODEL)
    story.elect(0, 1)
    story.take("client_request", 0, 0)
    story.take("client_request", 0, 0)
    story.take("append_entries", 1, 1, 0, 2, 0)
    story.take("advance_commit", 0, 2, 0)
    story.take("append_entries", 1, 1, 2, 2, 2)
    before = story.state
    story.take("append_entries", 1, 1, 0, 1, 2)
    assert story.state == before
    with pytest.raises(Disabled):
        story.take("replace_entries", 1, 1, 0, 1, 2)


# -- Proofs ----------------------------------------------------------------------------------------
def test_everything_is_proved_for_any_size() -> None:
    proof = prove(MODEL)
    assert (proof.verdict, len(proof.rows)) == (HOLDS, 440)
    assert {row.hint for row in proof.rows} == {"used"}
    assert load_hints(MODEL).keys() == {row.key for row in proof.rows}


def test_section_5_4_2_is_needed() -> None:
    """Without it the proof fails, with a counterexample that the plain interpreter confirms."""
    broken = MODEL.without_guard("advance_commit", "entry_is_own")
    (row,) = prove(broken, only=["advance_commit/committed_by_quorum"], rlimit=400_000).rows
    assert row.verdict is VIOLATED
    assert row.counterexample
