----------------------- MODULE MCLeaseTransferLiveness -----------------------
(***************************************************************************)
(* A transfer of leadership comes about (dissertation 3.10): whom a leader *)
(* has asked to stand asks for votes in the next term.  The same is proved *)
(* for any number of servers: oneleader prove                              *)
(* progress/a_transfer_comes_about.                                        *)
(*                                                                         *)
(* ASSUMED, from a state on in which l leads term 1 and has asked another  *)
(* server, which may not have heard of term 1 yet:                         *)
(*   1. The target learns of no later term; all other steps may be taken   *)
(*      at any time, or never: elections, crashes, the leader gives up.    *)
(*   2. It adopts the leader's term in the end.                            *)
(*   3. It reads in the end that it was asked.                             *)
(*                                                                         *)
(* No clock moves, which nothing here waits for.  MaxTerm is part of the   *)
(* steps, since TLC loses a loop that a constraint cuts.  No SYMMETRY.     *)
(***************************************************************************)
EXTENDS MCLease

CONSTANTS
  Leader,  \* of term 1, by its own vote and that of all but the target
  Target   \* whom it has asked

\* The target has reached term 1, or not.
Asked(late) ==
  /\ term         = [n \in Node |-> IF n = Target /\ late THEN 0 ELSE 1]
  /\ votedFor     = [n \in Node |-> IF n = Target THEN Nil ELSE Leader]
  /\ role         = [n \in Node |-> IF n = Leader THEN "leader" ELSE "follower"]
  /\ votes        = [n \in Node |-> IF n = Leader THEN Node \ {Target} ELSE {}]
  /\ requested    = {<<Leader, 1>>}
  /\ granted      = {<<n, 1, Leader>> : n \in Node \ {Target}}
  /\ heartbeat    = {<<Leader, 1>>}
  /\ sincePromise = [n \in Node |-> LongAgo]
  /\ sinceSent    = [n \in Node |-> [k \in Round |-> LongAgo]]
  /\ leaseIsVoid  = [n \in Node |-> n = Leader]
  /\ sent = {} /\ acknowledged = {} /\ forced = {}
  /\ timeoutNow   = {<<Leader, Target, 2>>}

LInit == \E late \in BOOLEAN : Asked(late)

-----------------------------------------------------------------------------
\* The steps of Lease without time.
Steps ==
  \/ \E n \in Node : StartElection(n) \/ Restart(n) \/ GiveUp(n)
  \/ \E n, l \in Node : StartForcedElection(n, l)
  \/ \E n \in Node, t \in Term : UpdateTerm(n, t)
  \/ \E v, c \in Node, t \in Term :
       GrantVote(v, c, t) \/ ReplyVote(v, c, t) \/ ReceiveVote(c, v, t)
  \/ \E n \in Node, q \in Quorum : BecomeLeader(n, q)
  \/ \E n, l \in Node, t \in Term : StepDown(n, l, t)

MovesOn == \E t \in Term : t > 1 /\ UpdateTerm(Target, t)
Adopts  == UpdateTerm(Target, 1)
Obeys   == StartForcedElection(Target, Leader)
Stays   == Steps /\ TermIsBounded /\ ~MovesOn

LiveSpec == LInit /\ [][Stays]_vars /\ WF_vars(Adopts) /\ WF_vars(Obeys)

\* Bugs: an assumption is missing, each time another one.
NeverAdopts == LInit /\ [][Stays]_vars /\ WF_vars(Obeys)
NeverObeys  == LInit /\ [][Stays]_vars /\ WF_vars(Adopts)
GoesOn      == LInit /\ [][Steps]_vars /\ WF_vars(Adopts) /\ WF_vars(Obeys)

-----------------------------------------------------------------------------
TransferComesAbout == <>(<<Target, 2>> \in requested)
=============================================================================
