----------------------------- MODULE MCElection -----------------------------
(***************************************************************************)
(* Election, bounded for TLC.  A .cfg gives Node, Nil, MaxTerm and Quorum, *)
(* replaces Term (Nat, which TLC cannot enumerate) by BoundedTerm, and     *)
(* cuts the steps that leave it by ACTION_CONSTRAINT TermIsBounded.        *)
(*                                                                         *)
(* The bound is no conjunct of an action: then TLC would name a step after *)
(* the bounding operator and not after the action of Figure 2.             *)
(***************************************************************************)
EXTENDS Election, FiniteSets, TLC

CONSTANT MaxTerm  \* no server goes beyond this term

BoundedTerm == 0..MaxTerm

\* A step out of the bound is dropped; the state that it leaves is kept.
TermIsBounded == \A n \in Node : term'[n] <= MaxTerm

\* For Quorum in a .cfg.  The smallest majorities are enough: a larger one
\* that has voted contains a smallest one that has voted.
Majority == {q \in SUBSET Node : Cardinality(q) = Cardinality(Node) \div 2 + 1}

\* For SYMMETRY; sound only if Quorum is symmetric too, as Majority is.
Symmetry == Permutations(Node)

-----------------------------------------------------------------------------
\* Witnesses: states that must be reached, lest the claims hold vacuously.
\* Each is denied here, and TLC must find the denial violated.

IsLeader(n) == role[n] = "leader"

NoLeaderExists == \A n \in Node : ~IsLeader(n)

\* An old leader need not know of a newer one.
NoTwoLeadersOfDifferentTerms == \A old, new \in Node :
  ~(IsLeader(old) /\ IsLeader(new) /\ term[old] < term[new])

\* All have voted in one term, and no candidate has the votes of a quorum.
SplitVote(t) ==
  /\ \A n \in Node : term[n] = t /\ votedFor[n] # Nil
  /\ \A c \in Node, q \in Quorum : \E v \in q : votedFor[v] # c
NoSplitVote == \A t \in Term : ~SplitVote(t)

-----------------------------------------------------------------------------
\* Bugs.  MCElection_bug_*.cfg replaces a guard or an action of Election by
\* one of these, and TLC must find ElectionSafety violated.

\* no_quorum: leads with whatever votes it has, against Candidates 2.
AnyVotes(n, q) == TRUE

\* no_terms, for voter and candidate; old_reply, for the candidate alone: a
\* vote is not tied to the term that it was asked for, against RequestVote
\* receiver 1 and section 5.2.
AnyTerm(n, t) == TRUE

\* vote_twice: grants every request, against RequestVote receiver 2.
VoteIsAlwaysFree(voter, c) == TRUE

\* vote_not_durable: votedFor does not survive, against State, persistent.
RestartWithoutVote(n) ==
  /\ votedFor' = [votedFor EXCEPT ![n] = Nil]
  /\ role'     = [role EXCEPT ![n] = "follower"]
  /\ votes'    = [votes EXCEPT ![n] = {}]
  /\ UNCHANGED <<term, requested, granted, heartbeat>>

\* vote_cleared: whoever hears the leader of its own term becomes follower
\* as if the term were new, followers included.  (If only candidates forgot,
\* GrantedOnce would fail and ElectionSafety hold: a candidate has voted for
\* itself, and never stands again in the same term.)
StepDownWithoutVote(n, leader, t) ==
  /\ LeaderWasHeard(leader, t)
  /\ TermIsCurrent(n, t)
  /\ NotLeader(n)
  /\ votedFor' = [votedFor EXCEPT ![n] = Nil]
  /\ role'     = [role EXCEPT ![n] = "follower"]
  /\ votes'    = [votes EXCEPT ![n] = {}]
  /\ UNCHANGED <<term, requested, granted, heartbeat>>

\* refusal_is_a_vote: whatever a voter answers is counted.
AnyAnswer(voter, t, c) == TRUE

\* term_falls: any other term is adopted, lower ones too (TermIsNewer is
\* replaced by AnyTerm), against All Servers 2.

\* own_vote_not_saved: a candidate does not note that it has voted, against
\* Candidates 1.
StartWithoutVote(n) ==
  /\ NotLeader(n)
  /\ term'      = [term EXCEPT ![n] = @ + 1]
  /\ votedFor'  = [votedFor EXCEPT ![n] = Nil]
  /\ role'      = [role EXCEPT ![n] = "candidate"]
  /\ votes'     = [votes EXCEPT ![n] = {n}]
  /\ requested' = requested \cup {<<n, term[n] + 1>>}
  /\ granted'   = granted \cup {<<n, term[n] + 1, n>>}
  /\ UNCHANGED heartbeat

\* term_not_durable: neither does the term survive.
RestartWithoutTerm(n) ==
  /\ term'     = [term EXCEPT ![n] = 0]
  /\ votedFor' = [votedFor EXCEPT ![n] = Nil]
  /\ role'     = [role EXCEPT ![n] = "follower"]
  /\ votes'    = [votes EXCEPT ![n] = {}]
  /\ UNCHANGED <<requested, granted, heartbeat>>

\* disjoint_quorums: Election assumes QuorumsMeet, and TLC would stop there.
\* Replacing QuorumsMeet by this lets it show what the assumption prevents.
AnyQuorums == TRUE
=============================================================================
