-------------------------- MODULE MCSnapshotsLater ---------------------------
(***************************************************************************)
(* Snapshots from a later beginning, for what is far from Init: states of  *)
(* Spec in which a server leads and has appended an entry.  And bugs.      *)
(***************************************************************************)
EXTENDS MCSnapshots

\* All have voted for l, which leads term 1; those of s store an entry of it, and
\* l knows that it is committed if they are a quorum.
First == [term |-> 1, value |-> CHOOSE v \in Value : TRUE,
          config |-> InitialConfig, since |-> 0]
Led(l, s) ==
  LET stored    == [n \in Node |-> IF n \in s THEN 1 ELSE 0]
      committed == IF Change!IsQuorum(s, InitialConfig) THEN 1 ELSE 0
  IN
  /\ term           = [n \in Node |-> 1]
  /\ votedFor       = [n \in Node |-> l]
  /\ role           = [n \in Node |-> IF n = l THEN "leader" ELSE "follower"]
  /\ votes          = [n \in Node |-> IF n = l THEN Node ELSE {}]
  /\ requested      = {<<l, 1>>}
  /\ granted        = {<<n, 1, l>> : n \in Node}
  /\ heartbeat      = {<<l, 1>>}
  /\ lastLogIndex   = [n \in Node |-> [t \in Term |-> 0]]
  /\ lastLogTerm    = lastLogIndex
  /\ log            = [n \in Node |-> IF n \in s THEN <<First>> ELSE <<>>]
  /\ commitIndex    = [n \in Node |-> IF n = l THEN committed ELSE 0]
  /\ leaderLog      = [t \in Term |-> IF t = 1 THEN <<First>> ELSE <<>>]
  /\ leaderCommit   = [t \in Term |-> IF t = 1 THEN committed ELSE 0]
  /\ acknowledged   = [n \in Node |->
                         [t \in Term |-> IF t = 1 THEN stored[n] ELSE 0]]
  /\ snapshotIndex  = [n \in Node |-> 0]
  /\ leaderSnapshot = [t \in Term |-> 0]
LedBySome == \E l \in Node, s \in SUBSET Node : l \in s /\ Led(l, s)
LaterSpec == LedBySome /\ [][Next]_vars

\* Nobody else stands, or forgets what is committed.
OneStands ==
  /\ \A r, q \in requested' : r[1] = q[1]
  /\ \A n \in Node : commitIndex[n] <= commitIndex'[n]

-----------------------------------------------------------------------------
\* Bugs.  MCSnapshotsLater_bug_*.cfg replaces a definition by one of these, and
\* TLC must find the claim that it names violated.

\* any_log: logs are not compared when a vote is given.
AnyLog(voter, c, t) == TRUE

\* uncommitted: a snapshot of all that is stored.
EntryIsStored(n, k) == snapshotIndex[n] < k /\ k <= Len(log[n])

\* newer_configuration: a snapshot with the configuration that the leader uses now.
InstallWithLatest(n, t, k) ==
  /\ TakeSnapshot(n, t, k)
  /\ ~HasItsEntry(n, t, k)
  /\ log'           = [log EXCEPT ![n] =
       [From(SubSeq(leaderLog[t], 1, k), k)
          EXCEPT ![k].config = Change!ConfigOf(leaderLog[t])]]
  /\ snapshotIndex' = [snapshotIndex EXCEPT ![n] = k]

\* sends_what_is_gone: entries from where there is nothing any more.
AnyEntries(t, prev) == TRUE
=============================================================================
