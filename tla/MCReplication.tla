---------------------------- MODULE MCReplication ----------------------------
(***************************************************************************)
(* Replication, bounded for TLC as MCElection bounds Election.  Term has   *)
(* to be replaced twice in the .cfg: here, and as `Term <-[Election]' in   *)
(* the module that Elect refers to.                                        *)
(***************************************************************************)
EXTENDS Replication, FiniteSets, TLC

CONSTANTS
  MaxTerm,  \* no server goes beyond this term
  MaxIndex  \* no log goes beyond this index

BoundedTerm  == 0..MaxTerm
BoundedIndex == 0..MaxIndex

\* A step out of the bounds is dropped; the state that it leaves is kept.
TermIsBounded  == \A n \in Node : term'[n] <= MaxTerm
IndexIsBounded == \A n \in Node : Len(log'[n]) <= MaxIndex

\* For Quorum in a .cfg: the smallest majorities are enough.
Majority == {q \in SUBSET Node : Cardinality(q) = Cardinality(Node) \div 2 + 1}

\* For SYMMETRY; sound only if Quorum is symmetric too, as Majority is.
Symmetry == Permutations(Node) \cup Permutations(Value)

-----------------------------------------------------------------------------
\* Witnesses: states that must be reached, lest the claims hold vacuously.
\* Each is denied here, and TLC must find the denial violated.

NothingIsCommitted == \A n \in Node : commitIndex[n] = 0

\* An entry of an older term, committed by one of a newer term after it.
NoOlderEntryIsCommitted == \A n \in Node, i \in Index :
  ~( /\ IsLeader(n) /\ 0 < i /\ i <= commitIndex[n]
     /\ log[n][i].term < term[n] /\ leaderCommit[log[n][i].term] < i )

\* A server confirmed an entry and has another one there now.
NoEntryIsReplaced == \A n \in Node, t \in Term :
  \A i \in 1 .. Min(acknowledged[n][t], Len(log[n])) :
    log[n][i].term = leaderLog[t][i].term

NoLogIsShortened == \A n \in Node, t \in Term :
  acknowledged[n][t] <= Len(log[n])

\* Figure 8 (c): an entry of an old term is on a quorum, the leader knows,
\* and nobody may take it for committed.
NoFigure8 == \A n \in Node, i \in Index, q \in Quorum :
  ~( /\ IsLeader(n) /\ 0 < i /\ i <= Len(log[n])
     /\ log[n][i].term < term[n] /\ QuorumStores(n, i, q)
     /\ \A t \in Term : leaderCommit[t] < i )

-----------------------------------------------------------------------------
\* Bugs.  MCReplication_bug_*.cfg replaces a guard or an action by one of
\* these, and TLC must find the claim that it names violated.  (What goes
\* wrong without section 5.4.2 takes four terms, Figure 8: too many states
\* here.  tests/models/test_replication.py goes that way by hand.)

\* any_log: votes whatever the candidate's log is, against section 5.4.1.
AnyLog(voter, c, t) == TRUE

\* no_prefix_check: against AppendEntries receiver 2.  (Then a piece may
\* leave a gap; a log is a sequence, so only what leaves none is tried.)
AnyPrefix(n, t, prev) == prev <= Len(log[n])

\* commit_alone: the leader's own log is enough, against Leaders 4.
AnyReplicas(n, i, q) == TRUE

\* truncate_always: a late message that holds less shortens the log.
AppendAndTruncate(n, t, prev, last, commit) ==
  /\ Receive(n, t, prev, last, commit)
  /\ ~SomethingConflicts(n, t, prev, last)
  /\ log' = [log EXCEPT ![n] =
       SubSeq(@, 1, prev) \o SubSeq(leaderLog[t], prev + 1, last)]
=============================================================================
