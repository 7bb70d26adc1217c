------------------------------ MODULE Membership -----------------------------
(***************************************************************************)
(* Changes of membership: chapter 4 of the Raft dissertation, and Ongaro's *)
(* correction of July 2015, on top of Replication.                         *)
(*                                                                         *)
(* An entry of the log may bring a configuration.  A server uses the       *)
(* latest one in its log, committed or not: from the append on, and until  *)
(* the entry is overwritten.  A leader may bring another one               *)
(*                                                                         *)
(*   R1  that is adjacent to the present one,                              *)
(*   R2  once the present one is committed,                                *)
(*   R3  once an entry of its own term is committed (the correction),      *)
(*                                                                         *)
(* and when its new members have caught up.  A configuration is a set of   *)
(* one or two sets of servers, and a quorum has a majority of each:        *)
(*                                                                         *)
(*   {{n1, n2, n3}}        one set;                                        *)
(*   {{n1, n2, n3}, {n4}}  joint, between {{n1, n2, n3}} and {{n4}}.       *)
(*                                                                         *)
(* So single-server change (4.1) and joint consensus (4.3) are one rule.   *)
(* Each entry says which configuration is in effect from it on, and since  *)
(* which index.  A server in no set of a configuration is a non-voting     *)
(* member: it is sent entries, and counted nowhere (4.2.1).                *)
(*                                                                         *)
(* NOT modelled: what Replication leaves out but for membership; and that  *)
(* a removed server's timeouts disturb the others (4.2.3): here anybody    *)
(* may stand at any time.  Only safety is claimed; MCMembershipLiveness    *)
(* says when a change completes.                                           *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
  Node,           \* the servers, members or not
  Config,         \* the configurations that there may be
  InitialConfig,  \* the one of an empty log
  Value,          \* the commands of clients
  Nil             \* in place of a vote, and of a command

ASSUME InitialConfig \in Config
ASSUME \A c \in Config : c \subseteq SUBSET Node /\ Cardinality(c) \in 1..2

\* As in Replication.
VARIABLES term, votedFor, role, votes, requested, granted, heartbeat
VARIABLES log, commitIndex
VARIABLES lastLogIndex, lastLogTerm, leaderLog, leaderCommit, acknowledged

vars == <<term, votedFor, role, votes, requested, granted, heartbeat, log,
          commitIndex, lastLogIndex, lastLogTerm, leaderLog, leaderCommit,
          acknowledged>>

\* A quorum is one of a configuration: Replication's Quorum is not used.
Raft == INSTANCE Replication WITH Quorum <- {}

Term  == Nat  \* the terms that a step may name
Index == Nat  \* the indices that a step may name; 0 is before the first entry
Entry == [term : Nat, value : Value \cup {Nil}, config : Config, since : Nat]

Init == Raft!Init

-----------------------------------------------------------------------------
\* Configurations.

IsMajority(q, s) == 2 * Cardinality(q \cap s) > Cardinality(s)
IsQuorum(q, c)   == \A s \in c : IsMajority(q, s)
VotesIn(n, c)    == n \in UNION c
IsJoint(c)       == Cardinality(c) = 2

\* 4.1: one server more or less.
OneServer(c, d) == \E s \in c, r \in d :
  Cardinality(s \ r) + Cardinality(r \ s) = 1

\* R1.  Quorums of adjacent configurations share a server.  4.3: from a set to
\* a joint configuration that has it, and from there to either of its sets.
Adjacent(c, d) ==
  \/ ~IsJoint(c) /\ ~IsJoint(d) /\ OneServer(c, d)
  \/ ~IsJoint(c) /\ IsJoint(d) /\ c \subseteq d
  \/ IsJoint(c) /\ ~IsJoint(d) /\ d \subseteq c

\* Of a log: the latest configuration in it, and the index that brought it.
ConfigOf(l) == IF l = <<>> THEN InitialConfig ELSE l[Len(l)].config
SinceOf(l)  == IF l = <<>> THEN 0 ELSE l[Len(l)].since

-----------------------------------------------------------------------------
\* Guards, named so that each can be talked about, and replaced, alone.

IsLeader(n)         == role[n] = "leader"
IsAQuorum(n, q)     == IsQuorum(q, ConfigOf(log[n]))
IsAdjacent(n, c)    == Adjacent(ConfigOf(log[n]), c)                     \* R1
LastIsCommitted(n)  == SinceOf(log[n]) <= commitIndex[n]                 \* R2
OwnIsCommitted(n)   == Raft!TermAt(log[n], commitIndex[n]) = term[n]     \* R3
IsNoMember(n)       == ~VotesIn(n, ConfigOf(log[n]))

\* 4.2.1: who votes in c, and did not before, stores what is committed.
HaveCaughtUp(n, c) == \A v \in Node :
  VotesIn(v, c) /\ ~VotesIn(v, ConfigOf(log[n]))
    => acknowledged[v][term[n]] >= commitIndex[n]

-----------------------------------------------------------------------------
\* One more entry, in the leader's log and in what it may send.
AppendEntry(n, entry) ==
  /\ log'          = [log EXCEPT ![n] = Append(@, entry)]
  /\ leaderLog'    = [leaderLog EXCEPT ![term[n]] = Append(@, entry)]
  /\ acknowledged' = [acknowledged EXCEPT ![n][term[n]] = Len(log[n]) + 1]
  /\ UNCHANGED <<term, votedFor, role, votes, requested, granted, heartbeat>>
  /\ UNCHANGED <<commitIndex, lastLogIndex, lastLogTerm, leaderCommit>>

\* 4.1: a leader appends a configuration, which is in effect at once.
ChangeConfig(n, c) ==
  /\ IsLeader(n)
  /\ IsAdjacent(n, c)
  /\ LastIsCommitted(n)
  /\ OwnIsCommitted(n)
  /\ HaveCaughtUp(n, c)
  /\ AppendEntry(n, [term |-> term[n], value |-> Nil, config |-> c,
                     since |-> Len(log[n]) + 1])

\* Leaders 2: a command from a client changes no configuration.
ClientRequest(n, v) ==
  /\ IsLeader(n)
  /\ AppendEntry(n, [term |-> term[n], value |-> v,
                     config |-> ConfigOf(log[n]), since |-> SinceOf(log[n])])

\* 4.2.2: a leader that is no member steps down once that is committed; until
\* then it leads servers that it is not counted among.
Retire(n) ==
  /\ IsLeader(n)
  /\ IsNoMember(n)
  /\ LastIsCommitted(n)
  /\ Raft!GiveUp(n)

\* 4.1: votes, and replicas, are counted in the leader's latest configuration.
BecomeLeader(n, q)     == IsAQuorum(n, q) /\ Raft!BecomeLeader(n, q)
AdvanceCommit(n, i, q) == IsAQuorum(n, q) /\ Raft!AdvanceCommit(n, i, q)

\* As in Replication.  Everybody takes entries from a leader and answers
\* candidates, members or not (4.1); and anybody may stand (4.2.2).
StartElection(n)        == Raft!StartElection(n)
UpdateTerm(n, t)        == Raft!UpdateTerm(n, t)
GrantVote(v, c, t)      == Raft!GrantVote(v, c, t)
ReplyVote(v, c, t)      == Raft!ReplyVote(v, c, t)
ReceiveVote(c, v, t)    == Raft!ReceiveVote(c, v, t)
StepDown(n, leader, t)  == Raft!StepDown(n, leader, t)
Restart(n)              == Raft!Restart(n)
GiveUp(n)               == Raft!GiveUp(n)
AppendEntries(n, t, prev, last, commit) ==
  Raft!AppendEntries(n, t, prev, last, commit)
ReplaceEntries(n, t, prev, last, commit) ==
  Raft!ReplaceEntries(n, t, prev, last, commit)

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

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
TypeOK ==
  /\ Raft!Elect!TypeOK
  /\ log \in [Node -> Seq(Entry)] /\ leaderLog \in [Term -> Seq(Entry)]
  /\ commitIndex \in [Node -> Nat] /\ leaderCommit \in [Term -> Nat]
  /\ \A f \in {lastLogIndex, lastLogTerm, acknowledged} :
       f \in [Node -> [Term -> Nat]]

\* An entry's configuration is the one that the entry at `since' brought.
SinceIsSaid(l) == \A i \in 1 .. Len(l) :
  /\ l[i].since <= i
  /\ l[i].config = IF l[i].since = 0 THEN InitialConfig
                                     ELSE l[l[i].since].config
ConfigurationsAreInEffect ==
  /\ \A n \in Node : SinceIsSaid(log[n])
  /\ \A t \in Term : SinceIsSaid(leaderLog[t])

LogsAreLeaders      == Raft!LogsAreLeaders
LeaderAppendOnly    == Raft!LeaderAppendOnly
AcknowledgedWasSent == Raft!AcknowledgedWasSent
CommitIndexIsInLog  == Raft!CommitIndexIsInLog

\* R1: a leader goes from each configuration to an adjacent one.
ChangesAreAdjacent == \A t \in Term : \A i \in 2 .. Len(leaderLog[t]) :
  LET c == leaderLog[t][i - 1].config
      d == leaderLog[t][i].config
  IN  leaderLog[t][i].since = i => Adjacent(c, d)

-----------------------------------------------------------------------------
\* The theorems of Figure 3.  They speak of whole entries, configurations too.

ElectionSafety     == Raft!ElectionSafety
LogMatching        == Raft!LogMatching
LeaderCompleteness == Raft!LeaderCompleteness
StateMachineSafety == Raft!StateMachineSafety
=============================================================================
