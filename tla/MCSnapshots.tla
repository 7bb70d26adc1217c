----------------------------- MODULE MCSnapshots -----------------------------
(***************************************************************************)
(* Snapshots, bounded for TLC as MCMembership bounds Membership.           *)
(***************************************************************************)
EXTENDS Snapshots, TLC

CONSTANTS
  MaxTerm,  \* no server goes beyond this term
  MaxIndex  \* no log goes beyond this index

BoundedTerm  == 0..MaxTerm
BoundedIndex == 0..MaxIndex

\* A step out of the bounds is dropped; the state that it leaves is kept.
TermIsBounded  == \A n \in Node : term'[n] <= MaxTerm
IndexIsBounded == \A n \in Node : Len(log'[n]) <= MaxIndex
=============================================================================
