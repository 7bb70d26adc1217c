------------------------------ MODULE MCBully -------------------------------
(***************************************************************************)
(* Bully for TLC: it is finite as it stands.  A .cfg gives the greatest    *)
(* node and what is assumed.                                               *)
(***************************************************************************)
EXTENDS Bully

-----------------------------------------------------------------------------
\* Witnesses: must be reached, lest the claims hold vacuously.  Each is denied
\* here, and TLC must find the denial violated.

\* The greatest node is down, and another coordinates and is followed.
NoSmallerOneCoordinates == \A n, m, f \in Node :
  ~(n < m /\ ~IsUp(m) /\ Coordinates(n) /\ f # n /\ status[f] = "normal" /\ superior[f] = n)

\* A greater node is about to halt the coordinator.
NoBullyReturns == \A n, m \in Node : ~(n < m /\ Coordinates(n) /\ status[m] = "halting")
=============================================================================
