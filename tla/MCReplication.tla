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
\* these, and TLC must find the claim that it names violated.

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

\* Takes what AppendEntries brings, but for the commit index.
Take(n, t, prev, last, commit) ==
  /\ EntriesWereSent(t, prev, last, commit)
  /\ Elect!TermIsCurrent(n, t)
  /\ IsFollower(n)
  /\ PrefixMatches(n, t, prev)
  /\ ~SomethingConflicts(n, t, prev, last)
  /\ log' = [log EXCEPT ![n] =
       SubSeq(@, 1, prev) \o SubSeq(leaderLog[t], prev + 1, last)
                          \o SubSeq(@, last + 1, Len(@))]
  /\ acknowledged' = [acknowledged EXCEPT ![n][t] = Max(@, last)]
  /\ UNCHANGED <<election, requests, leaderLog, leaderCommit>>

\* commit_falls: the commit index is what the message says, against receiver
\* 5: "if leaderCommit > commitIndex".
AppendAndLower(n, t, prev, last, commit) ==
  /\ Take(n, t, prev, last, commit)
  /\ commitIndex' = [commitIndex EXCEPT ![n] = Min(commit, last)]
CommitIndexGrows == [][\A n \in Node :
  commitIndex'[n] < commitIndex[n] => Restart(n)]_vars

\* commit_as_told: the whole log is taken for committed that far, against
\* receiver 5: "min(leaderCommit, index of last new entry)".
AppendAndTrust(n, t, prev, last, commit) ==
  /\ Take(n, t, prev, last, commit)
  /\ commitIndex' = [commitIndex EXCEPT ![n] = Max(@, Min(commit, Len(log'[n])))]

\* volatile_log: the log does not survive, against State, persistent.
RestartWithoutLog(n) ==
  /\ Elect!Restart(n)
  /\ commitIndex' = [commitIndex EXCEPT ![n] = 0]
  /\ log'         = [log EXCEPT ![n] = <<>>]
  /\ UNCHANGED <<requests, entries>>

\* commits_old_terms: without section 5.4.2.  What goes wrong takes four terms,
\* so this begins in Figure 8 (c): a leads term 3, and its entry of term 1 is
\* on a majority by now; c led term 2, and has an entry of that.
AnyEntry(n, i) == TRUE
Figure8c == \E a, b, c \in Node, v \in Value : LET old == [term |-> 1, value |-> v]
                                               new == [term |-> 2, value |-> v] IN
  /\ a # b /\ b # c /\ a # c
  /\ term         = [n \in Node |-> IF n = c THEN 2 ELSE 3]
  /\ votedFor     = [n \in Node |-> IF n = c THEN c ELSE a]
  /\ role         = [n \in Node |-> IF n = a THEN "leader" ELSE "follower"]
  /\ votes        = [n \in Node |-> IF n = a THEN {a, b} ELSE {}]
  /\ requested    = {<<a, 1>>, <<c, 2>>, <<a, 3>>}
  /\ granted      = {<<a, 1, a>>, <<b, 1, a>>, <<c, 2, c>>, <<b, 2, c>>,
                     <<a, 3, a>>, <<b, 3, a>>}
  /\ heartbeat    = requested
  /\ log          = [n \in Node |-> <<IF n = c THEN new ELSE old>>]
  /\ commitIndex  = [n \in Node |-> 0]
  /\ lastLogIndex = [n \in Node |-> [t \in Term |-> IF n = a /\ t = 3 THEN 1 ELSE 0]]
  /\ lastLogTerm  = lastLogIndex
  /\ leaderLog    = [t \in Term |-> CASE t \in {1, 3} -> <<old>> [] t = 2 -> <<new>>
                                      [] OTHER -> <<>>]
  /\ leaderCommit = [t \in Term |-> 0]
  /\ acknowledged = [n \in Node |-> [t \in Term |->
       IF <<n, t>> \in {<<a, 1>>, <<c, 2>>, <<a, 3>>, <<b, 3>>} THEN 1 ELSE 0]]
Figure8Spec == Figure8c /\ [][Next]_vars
=============================================================================
