----------------------------- MODULE MCPreVote ------------------------------
(***************************************************************************)
(* PreVote, bounded for TLC as MCElection bounds Election.  Term has to be *)
(* replaced twice in the .cfg: here, and as `Term <-[Election]' in the     *)
(* module that PreVote takes its elections from.                           *)
(***************************************************************************)
EXTENDS PreVote, FiniteSets, TLC

CONSTANT MaxTerm  \* no server goes, or asks to go, beyond this term

BoundedTerm == 0..MaxTerm

\* A step out of the bound is dropped; the state that it leaves is kept.
TermIsBounded ==
  /\ \A n \in Node : term'[n] <= MaxTerm
  /\ \A m \in preRequested' : m[2] <= MaxTerm

\* For Quorum in a .cfg.
Majority == {q \in SUBSET Node : Cardinality(q) = Cardinality(Node) \div 2 + 1}

\* For SYMMETRY; sound only if Quorum is symmetric too, as Majority is.
Symmetry == Permutations(Node)
=============================================================================
