------------------------------ MODULE Snapshots ------------------------------
(***************************************************************************)
(* Snapshots: section 7 of the Raft paper and chapter 5 of the             *)
(* dissertation, on top of Membership: a server forgets the beginning of   *)
(* its log.  "InstallSnapshot 6" cites a line of Figure 13.                *)
(*                                                                         *)
(* A snapshot stands for the log up to snapshotIndex, which is committed.  *)
(* The entries that it stands for are discarded: of the last of them the   *)
(* term and the configuration are kept, and of those before it nothing.    *)
(* What is left has the indices that it had: in place of a discarded entry *)
(* there is Gone.                                                          *)
(*                                                                         *)
(* A leader sends entries that it still had when it was elected, and a     *)
(* snapshot to a follower that is behind these.  A follower that has the   *)
(* snapshot's last entry keeps what follows it; else its whole log goes,   *)
(* and the configuration as of the snapshot's index is in effect.          *)
(*                                                                         *)
(* NOT modelled: the state machine, which is the committed entries; and    *)
(* InstallSnapshot in chunks.                                              *)
(***************************************************************************)
EXTENDS Naturals, Sequences

CONSTANTS Node, Config, InitialConfig, Value, Nil  \* as in Membership

\* As in Membership.
VARIABLES term, votedFor, role, votes, requested, granted, heartbeat
VARIABLES log, commitIndex
VARIABLES lastLogIndex, lastLogTerm, leaderLog, leaderCommit, acknowledged

VARIABLES
  snapshotIndex,  \* durable: lastIncludedIndex of the snapshot of a server
  leaderSnapshot  \* the leader of a term had no entries up to here to send

snapshots == <<snapshotIndex, leaderSnapshot>>
vars == <<term, votedFor, role, votes, requested, granted, heartbeat, log,
          commitIndex, lastLogIndex, lastLogTerm, leaderLog, leaderCommit,
          acknowledged, snapshots>>

Change == INSTANCE Membership
Raft   == INSTANCE Replication WITH Quorum <- {}

Term  == Nat  \* the terms that a step may name
Index == Nat  \* the indices that a step may name

Init ==
  /\ Change!Init
  /\ snapshotIndex  = [n \in Node |-> 0]
  /\ leaderSnapshot = [t \in Term |-> 0]

-----------------------------------------------------------------------------
\* Logs of which the beginning is gone.

Gone == [term |-> 0, value |-> Nil, config |-> InitialConfig, since |-> 0]

\* What a snapshot up to k leaves of a log.
From(l, k) == [i \in 1 .. Len(l) |-> IF i < k THEN Gone
                                ELSE IF i = k THEN [l[i] EXCEPT !.value = Nil]
                                              ELSE l[i]]

-----------------------------------------------------------------------------
\* Guards, named so that each can be talked about, and replaced, alone.

\* Section 7: a snapshot is of what was applied.
EntryIsCommitted(n, k) == snapshotIndex[n] < k /\ k <= commitIndex[n]

\* The leader sent a snapshot that it had, or could have.
SnapshotWasSent(t, k) ==
  /\ \E l \in Node : Raft!Elect!LeaderWasHeard(l, t)
  /\ leaderSnapshot[t] <= k /\ k <= leaderCommit[t]
IsNews(n, k) == commitIndex[n] < k
HasItsEntry(n, t, k) ==
  k <= Len(log[n]) /\ log[n][k].term = leaderLog[t][k].term

\* A leader sends what it has.
EntriesWereKept(t, prev) == leaderSnapshot[t] <= prev

\* AppendEntries receiver 2: what a snapshot stands for is committed, and so
\* in every later leader's log.
PrefixMatches(n, t, prev) ==
  prev < snapshotIndex[n] \/ Raft!PrefixMatches(n, t, prev)

\* What is new to n begins here.
Beginning(n, prev) == Raft!Max(prev, snapshotIndex[n])
SomethingConflicts(n, t, prev, last) ==
  Raft!SomethingConflicts(n, t, Beginning(n, prev), last)

-----------------------------------------------------------------------------
\* Section 7: a snapshot; the entries that it stands for are discarded.
Compact(n, k) ==
  /\ EntryIsCommitted(n, k)
  /\ snapshotIndex' = [snapshotIndex EXCEPT ![n] = k]
  /\ log'           = [log EXCEPT ![n] = From(@, k)]
  /\ UNCHANGED <<term, votedFor, role, votes, requested, granted, heartbeat>>
  /\ UNCHANGED <<commitIndex, lastLogIndex, lastLogTerm, leaderLog>>
  /\ UNCHANGED <<leaderCommit, acknowledged, leaderSnapshot>>

\* InstallSnapshot 1, and its reply: what the snapshot stands for is stored
\* and committed.
TakeSnapshot(n, t, k) ==
  /\ SnapshotWasSent(t, k)
  /\ Raft!Elect!TermIsCurrent(n, t)
  /\ Raft!IsFollower(n)
  /\ IsNews(n, k)
  /\ commitIndex'  = [commitIndex EXCEPT ![n] = k]
  /\ acknowledged' = [acknowledged EXCEPT ![n][t] = Raft!Max(@, k)]
  /\ UNCHANGED <<term, votedFor, role, votes, requested, granted, heartbeat>>
  /\ UNCHANGED <<lastLogIndex, lastLogTerm, leaderLog, leaderCommit>>
  /\ UNCHANGED leaderSnapshot

\* InstallSnapshot 6: the log has the snapshot's last entry; retain it.
KeepAfterSnapshot(n, t, k) ==
  /\ TakeSnapshot(n, t, k)
  /\ HasItsEntry(n, t, k)
  /\ UNCHANGED <<log, snapshotIndex>>

\* InstallSnapshot 7 and 8: discard the entire log; load the snapshot, and the
\* configuration as of its index.
InstallSnapshot(n, t, k) ==
  /\ TakeSnapshot(n, t, k)
  /\ ~HasItsEntry(n, t, k)
  /\ log'           = [log EXCEPT ![n] = From(SubSeq(leaderLog[t], 1, k), k)]
  /\ snapshotIndex' = [snapshotIndex EXCEPT ![n] = k]

\* State: the log and the snapshot are persistent, and what it stands for is
\* committed.
Restart(n) ==
  /\ Raft!Elect!Restart(n)
  /\ commitIndex' = [commitIndex EXCEPT ![n] = snapshotIndex[n]]
  /\ UNCHANGED <<log, lastLogIndex, lastLogTerm, leaderLog, leaderCommit>>
  /\ UNCHANGED <<acknowledged, snapshots>>

\* Leaders 1: the leader may send the entries that it still has.
BecomeLeader(n, q) ==
  /\ Change!BecomeLeader(n, q)
  /\ leaderSnapshot' = [leaderSnapshot EXCEPT ![term[n]] = snapshotIndex[n]]
  /\ UNCHANGED snapshotIndex

\* AppendEntries receiver 1, 2 and 5, and its reply.
Receive(n, t, prev, last, commit) ==
  /\ Raft!EntriesWereSent(t, prev, last, commit)
  /\ EntriesWereKept(t, prev)
  /\ Raft!Elect!TermIsCurrent(n, t)
  /\ Raft!IsFollower(n)
  /\ PrefixMatches(n, t, prev)
  /\ commitIndex'  =
       [commitIndex EXCEPT ![n] = Raft!Max(@, Raft!Min(commit, last))]
  /\ acknowledged' = [acknowledged EXCEPT ![n][t] = Raft!Max(@, last)]
  /\ UNCHANGED <<term, votedFor, role, votes, requested, granted, heartbeat>>
  /\ UNCHANGED <<lastLogIndex, lastLogTerm, leaderLog, leaderCommit>>
  /\ UNCHANGED snapshots

\* Receiver 4: append what is new, and what no snapshot stands for.
AppendEntries(n, t, prev, last, commit) ==
  LET from == Beginning(n, prev) IN
  /\ Receive(n, t, prev, last, commit)
  /\ ~SomethingConflicts(n, t, prev, last)
  /\ log' = [log EXCEPT ![n] =
       SubSeq(@, 1, from) \o SubSeq(leaderLog[t], from + 1, last)
                          \o SubSeq(@, Raft!Max(from, last) + 1, Len(@))]

\* Receiver 3: a conflicting entry goes, and all that follow it.
ReplaceEntries(n, t, prev, last, commit) ==
  LET from == Beginning(n, prev) IN
  /\ Receive(n, t, prev, last, commit)
  /\ SomethingConflicts(n, t, prev, last)
  /\ log' = [log EXCEPT ![n] =
       SubSeq(@, 1, from) \o SubSeq(leaderLog[t], from + 1, last)]

\* As in Membership.
StartElection(n)        == Change!StartElection(n) /\ UNCHANGED snapshots
UpdateTerm(n, t)        == Change!UpdateTerm(n, t) /\ UNCHANGED snapshots
GrantVote(v, c, t)      == Change!GrantVote(v, c, t) /\ UNCHANGED snapshots
ReplyVote(v, c, t)      == Change!ReplyVote(v, c, t) /\ UNCHANGED snapshots
ReceiveVote(c, v, t)    == Change!ReceiveVote(c, v, t) /\ UNCHANGED snapshots
StepDown(n, l, t)       == Change!StepDown(n, l, t) /\ UNCHANGED snapshots
GiveUp(n)               == Change!GiveUp(n) /\ UNCHANGED snapshots
Retire(n)               == Change!Retire(n) /\ UNCHANGED snapshots
ClientRequest(n, v)     == Change!ClientRequest(n, v) /\ UNCHANGED snapshots
ChangeConfig(n, c)      == Change!ChangeConfig(n, c) /\ UNCHANGED snapshots
AdvanceCommit(n, i, q)  == Change!AdvanceCommit(n, i, q) /\ UNCHANGED snapshots

Next ==
  \/ \E n \in Node : StartElection(n) \/ Restart(n) \/ GiveUp(n) \/ Retire(n)
  \/ \E n \in Node, t \in Term : UpdateTerm(n, t)
  \/ \E v, c \in Node, t \in Term :
       GrantVote(v, c, t) \/ ReplyVote(v, c, t) \/ ReceiveVote(c, v, t)
  \/ \E n \in Node, q \in SUBSET Node : BecomeLeader(n, q)
  \/ \E n, l \in Node, t \in Term : StepDown(n, l, t)
  \/ \E n \in Node, v \in Value : ClientRequest(n, v)
  \/ \E n \in Node, c \in Config : ChangeConfig(n, c)
  \/ \E n \in Node, t \in Term, prev, last, commit \in Index :
       \/ AppendEntries(n, t, prev, last, commit)
       \/ ReplaceEntries(n, t, prev, last, commit)
  \/ \E n \in Node, i \in Index, q \in SUBSET Node : AdvanceCommit(n, i, q)
  \/ \E n \in Node, k \in Index : Compact(n, k)
  \/ \E n \in Node, t \in Term, k \in Index :
       KeepAfterSnapshot(n, t, k) \/ InstallSnapshot(n, t, k)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
TypeOK ==
  /\ Change!TypeOK
  /\ snapshotIndex \in [Node -> Nat] /\ leaderSnapshot \in [Term -> Nat]

\* A snapshot stands for nothing but what is known to be committed.
SnapshotIsCommitted == \A n \in Node :
  snapshotIndex[n] <= commitIndex[n] /\ commitIndex[n] <= Len(log[n])

\* Nothing is left of what a snapshot stands for but what section 7 keeps.
NothingElseIsLeft == \A n \in Node : LET k == snapshotIndex[n] IN
  /\ \A i \in 1 .. k - 1 : log[n][i] = Gone
  /\ \A i \in k .. Len(log[n]) : i > 0 => log[n][i].term > 0

-----------------------------------------------------------------------------
\* The theorems of Figure 3, of what both logs still have.  At the index of a
\* snapshot that is the term and the configuration.

ElectionSafety == Raft!ElectionSafety

\* Of l after a snapshot up to k, and m after one up to j.
Agree(l, k, m, j, i) == LET both == Raft!Max(k, j) IN
  i >= both => \/ l[i] = m[i]
               \/ i = both /\ From(l, i)[i] = From(m, i)[i]

LogMatching == \A a, b \in Node : \A i, j \in Index :
  /\ 0 < j /\ j <= i /\ i <= Len(log[a]) /\ i <= Len(log[b])
  /\ log[a][i].term = log[b][i].term /\ log[a][i] # Gone
  => Agree(log[a], snapshotIndex[a], log[b], snapshotIndex[b], j)

\* What a leader knows committed is in the logs of all later leaders.
LeaderCompleteness == \A n \in Node, t, u \in Term :
  Raft!Elect!LeaderWasHeard(n, u) /\ t <= u =>
    /\ leaderCommit[t] <= Len(leaderLog[u])
    /\ \A i \in 1 .. leaderCommit[t] : Agree(
         leaderLog[u], leaderSnapshot[u], leaderLog[t], leaderSnapshot[t], i)

StateMachineSafety == \A a, b \in Node :
  \A i \in 1 .. Raft!Min(commitIndex[a], commitIndex[b]) :
    Agree(log[a], snapshotIndex[a], log[b], snapshotIndex[b], i)
=============================================================================
