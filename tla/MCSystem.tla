------------------------------ MODULE MCSystem ------------------------------
(***************************************************************************)
(* System, bounded for TLC: a .cfg gives the servers, the quorums, what is *)
(* off, and the greatest term.                                             *)
(***************************************************************************)
EXTENDS System, FiniteSets

CONSTANT MaxTerm  \* the greatest term

Majority == {q \in SUBSET Node : Cardinality(q) = Cardinality(Node) \div 2 + 1}

\* For ACTION_CONSTRAINT: a step beyond the bound is cut.
TermIsBounded == \A n \in Node : term'[n] <= MaxTerm

-----------------------------------------------------------------------------
\* Witness: must be reached, lest the claims hold vacuously.  It is denied here,
\* and TLC must find the denial violated.

\* Two servers take themselves to be the leader.
NoTwoLeaders == \A a, b \in leads : a = b
=============================================================================
