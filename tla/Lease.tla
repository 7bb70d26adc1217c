-------------------------------- MODULE Lease --------------------------------
(***************************************************************************)
(* Leader leases.  A voter that acknowledges a leader's heartbeat promises *)
(* to help nobody else for Promise on its clock; a leader holds a lease    *)
(* for Lease on its clock, from when it SENT heartbeats that a quorum has  *)
(* acknowledged.  Ongaro's dissertation 6.4.1, and 3.10 and 4.2.3 for the  *)
(* transfer of leadership; 6.2 for a leader that hears from no quorum.     *)
(*                                                                         *)
(* Modelled: elections as in Election, clocks that drift, pauses of any    *)
(* length, restarts that forget all that is volatile, and a leader that    *)
(* hands over, and voids its lease for the rest of its term.               *)
(*                                                                         *)
(* Time is natural here; the proof in Python is for the reals.  There is   *)
(* no true time, and no clock is compared with another: while one advances *)
(* by x and another by y, Slow * x <= Fast * y, which is all that follows  *)
(* from rates between Slow and Fast.                                       *)
(*                                                                         *)
(* NOT modelled: reads (and that an entry of its own term is committed     *)
(* first), the log, requests that are refused without adopting their term. *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS
  Node,     \* the servers
  Quorum,   \* the sets of servers whose votes elect a leader
  Nil,      \* votedFor of a server that has not voted in its term
  Round,    \* names for the rounds of heartbeats in one term
  Lease,    \* how long a leader relies on an acknowledgement, on its clock
  Promise,  \* how long a voter keeps its promise, on its clock
  Slow,     \* what any clock advances at least, in one unit of true time
  Fast,     \* ... and at most
  LongAgo   \* what a stopwatch shows that was started long ago

\* Even on the slowest clock the lease ends before the promise on the fastest.
LeaseIsShortEnough == Lease * Fast <= Promise * Slow

ASSUME {Lease, Promise, Slow, Fast, LongAgo} \subseteq Nat
ASSUME 0 < Slow /\ Slow <= Fast /\ Promise <= LongAgo /\ Lease <= LongAgo
ASSUME LeaseIsShortEnough

\* As in Election.
VARIABLES term, votedFor, role, votes, requested, granted, heartbeat

\* Volatile: stopwatches, each by the clock of its server, and the handover.
VARIABLES
  sincePromise,  \* sincePromise[v]: since voter v last promised
  sinceSent,     \* sinceSent[n][k]: since leader n sent round k
  leaseIsVoid    \* leaseIsVoid[n]: leader n has started a handover

\* The network.
VARIABLES
  sent,          \* <<leader, t, k>>: AppendEntries of round k in term t
  acknowledged,  \* <<voter, leader, t, k>>: the reply to it
  timeoutNow,    \* <<leader, target, t>>: TimeoutNow, stand in term t
  forced         \* <<leader, candidate, t>>: a RequestVote that says so

raftVars == <<term, votedFor, role, votes, requested, granted, heartbeat>>
timeVars == <<sincePromise, sinceSent>>
netVars  == <<sent, acknowledged, timeoutNow, forced>>
vars     == <<raftVars, timeVars, netVars, leaseIsVoid>>

Raft == INSTANCE Election

Term == Nat     \* the terms that a step may name
Time == Nat     \* what a clock may advance by in one step
Plus(x, d) == x + d  \* a stopwatch that showed x, later by d

Init ==
  /\ Raft!Init
  /\ sincePromise = [n \in Node |-> LongAgo]
  /\ sinceSent = [n \in Node |-> [k \in Round |-> LongAgo]]
  /\ leaseIsVoid = [n \in Node |-> FALSE]
  /\ sent = {} /\ acknowledged = {} /\ timeoutNow = {} /\ forced = {}

-----------------------------------------------------------------------------
\* Guards, and what they are made of.

IsALeader(n)              == role[n] = "leader"
IsFollower(n)             == role[n] = "follower"
RoundIsNew(n, k)          == <<n, term[n], k>> \notin sent
HeartbeatWasSent(l, t, k) == <<l, t, k>> \in sent
TransferWasAsked(l, n)    == <<l, n, term[n] + 1>> \in timeoutNow
PromiseRanOut(v)          == sincePromise[v] >= Promise
WasForced(c, t)           == \E l \in Node : <<l, c, t>> \in forced
MayStand(n)               == PromiseRanOut(n)
VoteIsDue(v, c, t)        == PromiseRanOut(v) \/ WasForced(c, t)
DriftIsBounded(e) == \A a, b \in Node : Slow * e[a] <= Fast * e[b]

\* v acknowledged a round that leader n sent less than Lease ago.
AcknowledgedLately(n, v) == \/ v = n
                            \/ \E k \in Round :
                                 /\ <<v, n, term[n], k>> \in acknowledged
                                 /\ sinceSent[n][k] < Lease
QuorumIsSilent(n) ==
  ~ \E q \in Quorum : \A v \in q : AcknowledgedLately(n, v)
HoldsLease(n) == IsALeader(n) /\ ~leaseIsVoid[n] /\ ~QuorumIsSilent(n)

\* A server that leads no longer forgets what it sent.
ForgetLeading(n) ==
  /\ leaseIsVoid' = [leaseIsVoid EXCEPT ![n] = FALSE]
  /\ sinceSent'   = [sinceSent EXCEPT ![n] = [k \in Round |-> LongAgo]]

-----------------------------------------------------------------------------
\* Time passes, each clock at its rate.  A pause is time in which nobody acts.
Elapse(e) ==
  /\ DriftIsBounded(e)
  /\ sincePromise' = [n \in Node |-> Plus(sincePromise[n], e[n])]
  /\ sinceSent' = [n \in Node |-> [k \in Round |-> Plus(sinceSent[n][k], e[n])]]
  /\ UNCHANGED <<raftVars, netVars, leaseIsVoid>>

\* Section 5.2: the leader sends heartbeats, and notes when.
SendHeartbeat(n, k) ==
  /\ IsALeader(n)
  /\ RoundIsNew(n, k)
  /\ sent'      = sent \cup {<<n, term[n], k>>}
  /\ sinceSent' = [sinceSent EXCEPT ![n][k] = 0]
  /\ UNCHANGED <<raftVars, sincePromise, leaseIsVoid>>
  /\ UNCHANGED <<acknowledged, timeoutNow, forced>>

\* Dissertation 6.4.1: the reply is a promise.
Acknowledge(voter, leader, t, k) ==
  /\ HeartbeatWasSent(leader, t, k)
  /\ Raft!TermIsCurrent(voter, t)
  /\ IsFollower(voter)
  /\ acknowledged' = acknowledged \cup {<<voter, leader, t, k>>}
  /\ sincePromise' = [sincePromise EXCEPT ![voter] = 0]
  /\ UNCHANGED <<raftVars, sinceSent, leaseIsVoid, sent, timeoutNow, forced>>

\* Dissertation 6.2: a leader that has heard from no quorum lately steps down.
\* Any reply may have been lost, so it may at any moment; so may a candidate.
GiveUp(n) ==
  /\ ~IsFollower(n)
  /\ role'  = [role EXCEPT ![n] = "follower"]
  /\ votes' = [votes EXCEPT ![n] = {}]
  /\ ForgetLeading(n)
  /\ UNCHANGED <<term, votedFor, requested, granted, heartbeat>>
  /\ UNCHANGED <<sincePromise, netVars>>

\* Dissertation 3.10: the leader asks another to stand, and gives up its
\* lease for good: the forced request may arrive long after.
TransferLeadership(n, target) ==
  /\ IsALeader(n)
  /\ leaseIsVoid' = [leaseIsVoid EXCEPT ![n] = TRUE]
  /\ timeoutNow'  = timeoutNow \cup {<<n, target, term[n] + 1>>}
  /\ UNCHANGED <<raftVars, timeVars, sent, acknowledged, forced>>

\* Dissertation 3.10 and 4.2.3: stands at once, and says that it was told to.
StartForcedElection(n, leader) ==
  /\ TransferWasAsked(leader, n)
  /\ Raft!StartElection(n)
  /\ forced' = forced \cup {<<leader, n, term[n] + 1>>}
  /\ UNCHANGED <<timeVars, leaseIsVoid, sent, acknowledged, timeoutNow>>

-----------------------------------------------------------------------------
\* Elections.  A promise binds the voter, also as a candidate.
StartElection(n) ==
  /\ MayStand(n)
  /\ Raft!StartElection(n)
  /\ UNCHANGED <<timeVars, netVars, leaseIsVoid>>

\* Dissertation 4.2.3: no vote while the promise runs, but for a transfer.
GrantVote(voter, candidate, t) ==
  /\ VoteIsDue(voter, candidate, t)
  /\ Raft!GrantVote(voter, candidate, t)
  /\ UNCHANGED <<timeVars, netVars, leaseIsVoid>>

ReplyVote(voter, candidate, t) ==
  /\ Raft!ReplyVote(voter, candidate, t)
  /\ UNCHANGED <<timeVars, netVars, leaseIsVoid>>
ReceiveVote(candidate, voter, t) ==
  /\ Raft!ReceiveVote(candidate, voter, t)
  /\ UNCHANGED <<timeVars, netVars, leaseIsVoid>>
BecomeLeader(n, q) ==
  /\ Raft!BecomeLeader(n, q)
  /\ UNCHANGED <<timeVars, netVars, leaseIsVoid>>
StepDown(n, leader, t) ==
  /\ Raft!StepDown(n, leader, t)
  /\ UNCHANGED <<timeVars, netVars, leaseIsVoid>>

UpdateTerm(n, t) ==
  /\ Raft!UpdateTerm(n, t)
  /\ ForgetLeading(n)
  /\ UNCHANGED <<sincePromise, netVars>>

\* A crash loses the promise: the server waits as if it had just given one.
Restart(n) ==
  /\ Raft!Restart(n)
  /\ ForgetLeading(n)
  /\ sincePromise' = [sincePromise EXCEPT ![n] = 0]
  /\ UNCHANGED netVars

Next ==
  \/ \E e \in [Node -> Time] : Elapse(e)
  \/ \E n \in Node : StartElection(n) \/ Restart(n) \/ GiveUp(n)
  \/ \E n \in Node, k \in Round : SendHeartbeat(n, k)
  \/ \E v, l \in Node, t \in Term, k \in Round : Acknowledge(v, l, t, k)
  \/ \E n, m \in Node : TransferLeadership(n, m) \/ StartForcedElection(n, m)
  \/ \E n \in Node, t \in Term : UpdateTerm(n, t)
  \/ \E v, c \in Node, t \in Term :
       GrantVote(v, c, t) \/ ReplyVote(v, c, t) \/ ReceiveVote(c, v, t)
  \/ \E n \in Node, q \in Quorum : BecomeLeader(n, q)
  \/ \E n, l \in Node, t \in Term : StepDown(n, l, t)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
TypeOK ==
  /\ Raft!TypeOK
  /\ sincePromise \in [Node -> Nat] /\ sinceSent \in [Node -> [Round -> Nat]]
  /\ leaseIsVoid \in [Node -> BOOLEAN]
  /\ sent \subseteq Node \X Nat \X Round
  /\ acknowledged \subseteq Node \X Node \X Nat \X Round
  /\ timeoutNow \subseteq Node \X Node \X Nat
  /\ forced \subseteq Node \X Node \X Nat

\* The lemmas.
CandidateHasNotLed == \A n \in Node :
  Raft!IsCandidate(n) => ~Raft!LeaderWasHeard(n, term[n])
SentByLeader == \A n \in Node, t \in Term, k \in Round :
  HeartbeatWasSent(n, t, k) => Raft!LeaderWasHeard(n, t)
AcknowledgedWasSent == \A m \in acknowledged : <<m[2], m[3], m[4]>> \in sent
ForcedWasAsked == forced \subseteq timeoutNow
TimeoutNowFromLeader == \A m \in timeoutNow, t \in Term :
  m[3] = t + 1 => Raft!LeaderWasHeard(m[1], t)
TransferVoidsLease == \A m \in timeoutNow, n \in Node :
  IsALeader(n) /\ m[3] = term[n] + 1 => leaseIsVoid[n]

\* However the clocks drift, a promise is not far ahead of what it answers.
PromiseIsNotAhead == \A m \in acknowledged :
  IsALeader(m[2]) /\ term[m[2]] = m[3] =>
    Slow * sincePromise[m[1]] <= Fast * sinceSent[m[2]][m[4]]

\* The theorems: while a leader holds a lease, nobody has been elected in a
\* later term; and so at most one server holds a lease.
NoNewerLeader == \A n, m \in Node, t \in Term :
  HoldsLease(n) /\ Raft!LeaderWasHeard(m, t) => t <= term[n]
LeasesAreDisjoint == \A a, b \in Node : HoldsLease(a) /\ HoldsLease(b) => a = b
=============================================================================
