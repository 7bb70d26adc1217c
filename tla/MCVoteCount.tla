----------------------------- MODULE MCVoteCount -----------------------------
(***************************************************************************)
(* VoteCount, bounded for TLC as MCElection bounds Election.  Term has to  *)
(* be replaced twice in the .cfg: here, and as `Term <-[Election]' in the  *)
(* module that Refinement refers to.                                       *)
(***************************************************************************)
EXTENDS VoteCount

CONSTANT MaxTerm  \* no server goes beyond this term

BoundedTerm == 0..MaxTerm

\* A step out of the bound is dropped; the state that it leaves is kept.
TermIsBounded == \A n \in Node : term'[n] <= MaxTerm

\* Witness: must be violated, lest nobody ever counts a majority.
NoLeaderExists == \A n \in Node : role[n] # "leader"

-----------------------------------------------------------------------------
\* Bug double_count: a duplicated reply is counted again.  The tally then has
\* no end, so that a step which lifts it above the number of nodes is cut.
CountAgain(candidate, voter) == TRUE
TallyIsBounded == \A n \in Node : tally'[n] <= Cardinality(Node)
=============================================================================
