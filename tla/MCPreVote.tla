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

-----------------------------------------------------------------------------
\* Bugs.  MCPreVote_bug_*.cfg replaces an action by one of these, and TLC must
\* find a claim violated.

\* counted_as_a_vote: a candidate does not tell a late pre-vote from a vote.
ReceiveAnyVote(candidate, voter, t) ==
  /\ PreVoteWasGranted(voter, t, candidate) \/ Abstract!VoteWasGranted(voter, t, candidate)
  /\ TermIsCurrent(candidate, t)
  /\ Abstract!IsCandidate(candidate)
  /\ votes' = [votes EXCEPT ![candidate] = @ \cup {voter}]
  /\ UNCHANGED <<term, votedFor, role, requested, granted, heartbeat>>
  /\ UNCHANGED <<localVars, networkVars>>

\* clears_the_vote: granting a pre-vote resets the vote.
GrantAndClear(voter, candidate, t) ==
  /\ PreVoteWasRequested(candidate, t)
  /\ TermIsNewer(voter, t)
  /\ PreVoterIsNoLeader(voter)
  /\ PreVoterHearsNoLeader(voter)
  /\ preGranted' = preGranted \cup {<<voter, t, candidate>>}
  /\ votedFor'   = [votedFor EXCEPT ![voter] = Nil]
  /\ UNCHANGED <<term, role, votes, requested, granted, heartbeat>>
  /\ UNCHANGED <<localVars, preRequested, replied, told>>
GrantedOnce == Abstract!GrantedOnce
=============================================================================
