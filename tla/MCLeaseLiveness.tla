--------------------------- MODULE MCLeaseLiveness --------------------------
(***************************************************************************)
(* A lease is taken in the end, once timers and network behave, and a      *)
(* leader may keep it.                                                     *)
(*                                                                         *)
(* Claimed: somebody holds a lease again and again.                        *)
(*                                                                         *)
(* ASSUMED, from the first state on, in which nobody leads and every       *)
(* promise has run out:                                                    *)
(*   1. One server's timer fires first, and no other one's; nobody crashes *)
(*      or hands over, and no leader resigns between two heartbeats.       *)
(*   2. Messages are read in the end; a leader sends heartbeats in the end *)
(*      whenever it holds no lease.                                        *)
(*   3. Time does not pass while a heartbeat or its reply is under way:    *)
(*      a round trip takes less than a lease.                              *)
(* A round is sent again once it is forgotten, all that was said of it     *)
(* with it, so that rounds do not run out: it stands for a new one.        *)
(*                                                                         *)
(* Terms stay below MaxTerm (an invariant); no SYMMETRY.                   *)
(***************************************************************************)
EXTENDS MCLease

CONSTANT First  \* the server whose timer fires first

\* Somebody has not answered a round of the leader that could still count.
Unanswered == \E l, v \in Node, k \in Round :
  /\ IsALeader(l) /\ v # l
  /\ <<l, term[l], k>> \in sent
  /\ sinceSent[l][k] < Lease
  /\ <<v, l, term[l], k>> \notin acknowledged

\* A round that counts for nothing any more is forgotten.
Forget(n, k) ==
  /\ IsALeader(n) /\ <<n, term[n], k>> \in sent /\ sinceSent[n][k] >= Lease
  /\ sent' = sent \ {<<n, term[n], k>>}
  /\ acknowledged' = {m \in acknowledged : ~(m[2] = n /\ m[3] = term[n] /\ m[4] = k)}
  /\ UNCHANGED <<raftVars, timeVars, timeoutNow, forced, leaseIsVoid>>

\* The steps of Lease, where the assumptions allow them.
Timeout  == role[First] = "follower" /\ StartElection(First)
Passes   == ~Unanswered /\ \E e \in [Node -> Time] : Elapse(e)
Anytime  == \E e \in [Node -> Time] : Elapse(e)
Sends(n) == ~HoldsLease(n) /\ \E k \in Round : SendHeartbeat(n, k) \/ Forget(n, k)
Reads(n) ==
  \/ \E t \in Term : UpdateTerm(n, t)
  \/ \E c \in Node, t \in Term : GrantVote(n, c, t) /\ votedFor[n] = Nil
  \/ \E c \in Node, t \in Term : ReplyVote(n, c, t) /\ ~Raft!VoteWasGranted(n, t, c)
  \/ \E v \in Node, t \in Term : ReceiveVote(n, v, t) /\ v \notin votes[n]
  \/ \E q \in Quorum : BecomeLeader(n, q)
  \/ \E l \in Node, t \in Term, k \in Round :
       Acknowledge(n, l, t, k) /\ <<n, l, t, k>> \notin acknowledged

Others == Timeout \/ \E n \in Node : Sends(n) \/ Reads(n)
Live   == WF_vars(Timeout) /\ \A n \in Node : WF_vars(Sends(n)) /\ WF_vars(Reads(n))

LiveSpec == Init /\ [][Others \/ Passes]_vars /\ Live

\* Bugs: an assumption is missing, each time another one.
AnyDelay    == Init /\ [][Others \/ Anytime]_vars /\ Live
NothingRead == Init /\ [][Others \/ Passes]_vars /\ WF_vars(Timeout) /\ \A n \in Node : WF_vars(Sends(n))

-----------------------------------------------------------------------------
TermIsBelowBound == \A n \in Node : term[n] < MaxTerm

SomebodyHoldsALease == \E n \in Node : HoldsLease(n)
LeaseAgainAndAgain  == []<>SomebodyHoldsALease

\* Witness, denied: a lease runs out, and is not taken for granted.
NoLeaseRunsOut == [][SomebodyHoldsALease => SomebodyHoldsALease']_vars
=============================================================================
