------------------------------ MODULE VoteCount ------------------------------
(***************************************************************************)
(* A candidate that counts.  Election collects a set of voters; a server   *)
(* holds a number, and a number cannot tell a vote from a duplicate of it. *)
(* Here a candidate keeps a tally, and remembers whom it has counted.      *)
(*                                                                         *)
(* The claim is Refinement: with the tally left out and majorities for     *)
(* quorums, every step here is a step of Election, or no step of it.       *)
(*                                                                         *)
(* Modelled and NOT modelled: as in Election.  Steps that count nothing    *)
(* are those of Election, and only say what becomes of the tally.          *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Node,  \* the servers
  Nil    \* votedFor of a server that has not voted in its term

\* As in Election.
VARIABLES term, votedFor, role, requested, granted, heartbeat

\* Volatile.
VARIABLES
  votes,  \* votes[n]: the servers whose votes candidate n has counted
  tally   \* tally[n]: how many votes that is

vars == <<term, votedFor, role, votes, tally, requested, granted, heartbeat>>

\* The smallest majorities; whatever contains one is a majority.
Majority == {q \in SUBSET Node : Cardinality(q) = Cardinality(Node) \div 2 + 1}

Abstract == INSTANCE Election WITH Quorum <- Majority

Term == Nat  \* the terms that a step may name

Init ==
  /\ Abstract!Init
  /\ tally = [n \in Node |-> 0]

-----------------------------------------------------------------------------
\* Guards.

NotCountedYet(candidate, voter) == voter \notin votes[candidate]
TallyIsMajority(n)              == 2 * tally[n] > Cardinality(Node)

-----------------------------------------------------------------------------
\* Candidates 1: vote for self.  That is the first vote counted.
StartElection(n) ==
  /\ Abstract!StartElection(n)
  /\ tally' = [tally EXCEPT ![n] = 1]

\* What ends a candidacy forgets the count: All Servers 2, Candidates 3, and
\* a restart (State: the count is not persistent).
UpdateTerm(n, t) ==
  /\ Abstract!UpdateTerm(n, t)
  /\ tally' = [tally EXCEPT ![n] = 0]
StepDown(n, leader, t) ==
  /\ Abstract!StepDown(n, leader, t)
  /\ tally' = [tally EXCEPT ![n] = 0]
Restart(n) ==
  /\ Abstract!Restart(n)
  /\ tally' = [tally EXCEPT ![n] = 0]

\* RequestVote receiver 1 and 2, and its results: the voter's side.
GrantVote(voter, candidate, t) ==
  /\ Abstract!GrantVote(voter, candidate, t)
  /\ UNCHANGED tally
ReplyVote(voter, candidate, t) ==
  /\ Abstract!ReplyVote(voter, candidate, t)
  /\ UNCHANGED tally

\* RequestVote results: "true means candidate received vote".  A duplicated
\* reply is not counted again.
ReceiveVote(candidate, voter, t) ==
  /\ Abstract!VoteWasGranted(voter, t, candidate)
  /\ Abstract!ReplyIsCurrent(candidate, t)
  /\ Abstract!IsCandidate(candidate)
  /\ NotCountedYet(candidate, voter)
  /\ votes' = [votes EXCEPT ![candidate] = @ \cup {voter}]
  /\ tally'   = [tally EXCEPT ![candidate] = @ + 1]
  /\ UNCHANGED <<term, votedFor, role, requested, granted, heartbeat>>

\* Candidates 2: votes from a majority of servers; become leader.
\* Leaders 1: upon election, send heartbeats.
BecomeLeader(n) ==
  /\ Abstract!IsCandidate(n)
  /\ TallyIsMajority(n)
  /\ role'      = [role EXCEPT ![n] = "leader"]
  /\ heartbeat' = heartbeat \cup {<<n, term[n]>>}
  /\ UNCHANGED <<term, votedFor, votes, tally, requested, granted>>

Next ==
  \/ \E n \in Node : StartElection(n) \/ BecomeLeader(n) \/ Restart(n)
  \/ \E n \in Node, t \in Term : UpdateTerm(n, t)
  \/ \E v, c \in Node, t \in Term :
       GrantVote(v, c, t) \/ ReplyVote(v, c, t) \/ ReceiveVote(c, v, t)
  \/ \E n, l \in Node, t \in Term : StepDown(n, l, t)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
TypeOK == Abstract!TypeOK /\ tally \in [Node -> Nat]

\* The number says what the set says; this is why counting is enough.
TallyIsExact == \A n \in Node : tally[n] = Cardinality(votes[n])

\* The theorem (Figure 3): at most one leader can be elected in a given term.
ElectionSafety == Abstract!ElectionSafety

\* Every behavior here is a behavior of Election.
Refinement == Abstract!Spec
=============================================================================
