---------------------------- MODULE MCMembership -----------------------------
(***************************************************************************)
(* Membership, bounded for TLC as MCReplication bounds Replication.  Term  *)
(* and Index have to be replaced in the .cfg for each module that has      *)
(* them.  No SYMMETRY: a renaming of servers changes the configurations.   *)
(***************************************************************************)
EXTENDS Membership, TLC

CONSTANTS
  MaxTerm,  \* no server goes beyond this term
  MaxIndex  \* no log goes beyond this index

BoundedTerm  == 0..MaxTerm
BoundedIndex == 0..MaxIndex

\* A step out of the bounds is dropped; the state that it leaves is kept.
TermIsBounded  == \A n \in Node : term'[n] <= MaxTerm
IndexIsBounded == \A n \in Node : Len(log'[n]) <= MaxIndex

-----------------------------------------------------------------------------
\* A later beginning, a state of Spec, for what is far from Init.

\* All have voted for l, which leads term 1; all store an entry of it, and l
\* knows that it is committed.
First == [term |-> 1, value |-> CHOOSE v \in Value : TRUE,
          config |-> InitialConfig, since |-> 0]
Led(l) ==
  /\ term         = [n \in Node |-> 1]
  /\ votedFor     = [n \in Node |-> l]
  /\ role         = [n \in Node |-> IF n = l THEN "leader" ELSE "follower"]
  /\ votes        = [n \in Node |-> IF n = l THEN Node ELSE {}]
  /\ requested    = {<<l, 1>>}
  /\ granted      = {<<n, 1, l>> : n \in Node}
  /\ heartbeat    = {<<l, 1>>}
  /\ lastLogIndex = [n \in Node |-> [t \in Term |-> 0]]
  /\ lastLogTerm  = lastLogIndex
  /\ log          = [n \in Node |-> <<First>>]
  /\ commitIndex  = [n \in Node |-> IF n = l THEN 1 ELSE 0]
  /\ leaderLog    = [t \in Term |-> IF t = 1 THEN <<First>> ELSE <<>>]
  /\ leaderCommit = [t \in Term |-> IF t = 1 THEN 1 ELSE 0]
  /\ acknowledged = [n \in Node |-> [t \in Term |-> IF t = 1 THEN 1 ELSE 0]]

\* A server leads that is no member: it may be brought in, and then alone.
LedByAnother == \E l \in Node : ~VotesIn(l, InitialConfig) /\ Led(l)
LaterSpec    == LedByAnother /\ [][Next]_vars

-----------------------------------------------------------------------------
\* Witnesses: states that must be reached, lest the claims hold vacuously.
\* Each is denied here, and TLC must find the denial violated.

\* 4.2.2: a leader has committed its own removal.
NobodyRemovesItself == \A n \in Node :
  ~(IsLeader(n) /\ IsNoMember(n) /\ LastIsCommitted(n) /\ SinceOf(log[n]) > 0)

\* A leader made two changes, and committed both.
NothingChangesTwice == \A n \in Node : \A i, j \in 1 .. commitIndex[n] :
  i < j => log[n][i].since # i \/ log[n][j].since # j

-----------------------------------------------------------------------------
\* Bugs.  MCMembership_bug_*.cfg replaces a guard by one of these, and TLC must
\* find the claim that it names violated.

\* several_at_once: without R1.
AnyChange(n, c) == c # ConfigOf(log[n])

\* change_upon_change: without R2.
AnyTime(n) == TRUE
=============================================================================
