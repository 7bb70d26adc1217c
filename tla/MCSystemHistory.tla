-------------------------- MODULE MCSystemHistory ---------------------------
(***************************************************************************)
(* System with a history: which election each leader won, and of which     *)
(* each write is.  Nobody in the system can know that; the claims about    *)
(* writes speak of it.                                                     *)
(***************************************************************************)
EXTENDS MCSystem

CONSTANT MaxEra  \* how many elections there may be

VARIABLES
  elected,  \* how many elections there were
  won,      \* won[n]: the latest that n won
  decided,  \* decided[n]: the one that n's pending write is of
  landed    \* the latest of whose leader a write has landed

history == <<elected, won, decided, landed>>
hvars   == <<vars, history>>

HInit ==
  /\ Init
  /\ elected = 0 /\ landed = 0
  /\ won     = [n \in Node |-> 0]
  /\ decided = [n \in Node |-> 0]

HElect(n, q) ==
  /\ Elect(n, q)
  /\ elected' = elected + 1
  /\ won'     = [won EXCEPT ![n] = elected + 1]
  /\ UNCHANGED <<decided, landed>>

HDecideWrite(n) ==
  /\ DecideWrite(n)
  /\ decided' = [decided EXCEPT ![n] = won[n]]
  /\ UNCHANGED <<elected, won, landed>>

HWrite(n) ==
  /\ Write(n)
  /\ landed' = IF landed < decided[n] THEN decided[n] ELSE landed
  /\ UNCHANGED <<elected, won, decided>>

Others ==
  /\ \/ \E n \in Node : Restart(n) \/ EndLease(n)
     \/ \E n \in Node, q \in Quorum : TakeLease(n, q)
     \/ \E n, m \in Node : StepDown(n, m) \/ EndPromise(n, m)
  /\ UNCHANGED history

HNext ==
  \/ \E n \in Node, q \in Quorum : HElect(n, q)
  \/ \E n \in Node : HDecideWrite(n) \/ HWrite(n)
  \/ Others

HSpec == HInit /\ [][HNext]_hvars

EraIsBounded == elected' <= MaxEra

-----------------------------------------------------------------------------
\* No write lands after one of a leader that was elected later.
NoStaleWrite == [][\A n \in Node : HWrite(n) => decided[n] >= landed]_hvars

\* The storage refuses no write of the leader elected last.
NewestIsAccepted == \A n \in Node :
  pending[n] > 0 /\ decided[n] = elected => StorageAccepts(n)

-----------------------------------------------------------------------------
\* Witness, a limit: a write lands when another leader has been elected that
\* has written nothing yet.  TLC must find its denial violated.
NoOutdatedWrite == [][\A n \in Node :
  HWrite(n) => ~(decided[n] < elected /\ landed <= decided[n])]_hvars
=============================================================================
