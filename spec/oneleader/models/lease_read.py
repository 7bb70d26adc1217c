"""Reads under a lease: a leader answers from its own log, and the answer is the latest there is.

Dissertation 6.4: a leader that has committed an entry of its own term, and knows that nobody has been
elected after it, knows every write that any server has acknowledged. A read is linearizable if it
returns no less than what was acknowledged to anybody before it was asked, and everybody agrees on it.

The argument has three parts, and each is checked:

1. `lease` proves `no_newer_leader`: while a lease holds, nobody has been elected in a later term.
2. This model is `replication` with that as a premise, and proves the rest: any cluster, any log.
3. Both are elections with something added: each of their steps is, on the fields of `election`, a step
   of it or none (`oneleader refine`). So a run of a Raft that has both, leases left out, is a run of
   this model, and logs left out, one of `lease`; in both of them the same servers lead the same terms.
"""

from __future__ import annotations

from oneleader.language import both, implies, invariant, model, theorem, witness
from oneleader.models import replication
from oneleader.models.election import LEADER, Node, Term
from oneleader.models.replication import Index, State


def leads_last(s: State, n: Node) -> bool:
    """What a lease says: the server leads, and nobody has been elected in a later term."""
    nobody_is_newer = Term.all(lambda t: Node.all(lambda m: implies(s.heartbeat[m, t], t <= s.term[n])))
    return both(s.role[n] == LEADER, nobody_is_newer)


def has_committed(s: State, n: Node) -> bool:
    """Dissertation 6.4, step 1: an entry of the leader's own term is committed."""
    i = s.commit_index[n]
    return both(i > 0, s.log_term[n, i] == s.term[n])


def may_read(s: State, n: Node) -> bool:
    """The leader may answer a read from its log, up to its commit index, and ask nobody."""
    return both(leads_last(s, n), has_committed(s, n))


@invariant
def committed_in_grows(s: State, t: Term, u: Term) -> bool:
    """The last term in which something was committed is no earlier for a later term."""
    return implies(t <= u, s.committed_in[t] <= s.committed_in[u])


@invariant
def leader_knows_its_commits(s: State, n: Node, u: Term) -> bool:
    """A leader's commit index is no less than what it has committed."""
    is_last = both(s.role[n] == LEADER, s.committed_in[u] == s.term[n])
    return implies(is_last, s.committed_up_to[u] <= s.commit_index[n])


@invariant
def own_commit_was_noted(s: State, n: Node) -> bool:
    """Where a leader's commit index is at an entry of its term, it was this leader that committed last."""
    own = both(s.role[n] == LEADER, has_committed(s, n))
    return implies(own, s.committed_in[s.term[n]] == s.term[n])


@theorem
def lease_read_is_latest(s: State, n: Node, m: Node) -> bool:
    """No server has applied, or acknowledged to a client, anything that the reader does not return."""
    return implies(may_read(s, n), s.commit_index[m] <= s.commit_index[n])


@theorem
def lease_read_is_agreed(s: State, n: Node, m: Node, i: Index) -> bool:
    """Up to any server's commit index the reader's log is that server's."""
    is_applied = both(i > 0, i <= s.commit_index[m])
    return implies(both(may_read(s, n), is_applied), replication.agree(s, n, m, i))


@witness
def a_read_is_due(s: State, n: Node, old: Node) -> bool:
    """A leader may read, and one of an earlier term has not noticed and has committed something."""
    is_old = both(s.role[old] == LEADER, s.term[old] < s.term[n], s.commit_index[old] > 0)
    return both(may_read(s, n), is_old)


@witness
def limit_too_early(s: State, n: Node, m: Node) -> bool:
    """Why an entry of its own has to be committed first: the last leader knows less than another server."""
    return both(leads_last(s, n), s.commit_index[n] < s.commit_index[m])


@witness
def limit_too_late(s: State, n: Node, m: Node) -> bool:
    """Why it needs the lease: a leader with an entry of its own committed, and another has committed more."""
    return both(s.role[n] == LEADER, has_committed(s, n), s.commit_index[n] < s.commit_index[m])


MODEL = model(__name__, State, extends=replication.MODEL)
