------------------------------ MODULE Election ------------------------------
(***************************************************************************)
(* Leader election in Raft, after Figure 2 of "In Search of an             *)
(* Understandable Consensus Algorithm (Extended Version)" (Ongaro and      *)
(* Ousterhout, 2014).  "Candidates 3" cites a bullet or a line of it.      *)
(*                                                                         *)
(* Modelled: terms, votes, elections by any quorums that meet, a leader's  *)
(* heartbeats, restarts that keep only what is durable, and a network that *)
(* loses, duplicates, delays and reorders messages.                        *)
(*                                                                         *)
(* NOT modelled: the log (so neither the comparison of logs in RequestVote *)
(* receiver 2, nor commitment), changes of membership, pre-vote, refusals  *)
(* (all they tell is a term, and UpdateTerm hears of it from a request),   *)
(* and time: a timeout may strike at any moment.  Only safety is claimed.  *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS
  Node,    \* the servers
  Quorum,  \* the sets of servers whose votes elect a leader
  Nil      \* votedFor of a server that has not voted in its term

\* All that safety asks of quorums.  Majorities meet; so do many other sets.
QuorumsMeet == \A p, q \in Quorum : p \cap q # {}

ASSUME Nil \notin Node /\ Quorum \subseteq SUBSET Node
ASSUME QuorumsMeet

Term == Nat  \* the terms that a step may name
Role == {"follower", "candidate", "leader"}

\* Durable (Figure 2, State, persistent state on all servers).
VARIABLES
  term,     \* term[n]: currentTerm, the latest term that n has seen
  votedFor  \* votedFor[n]: whom n voted for in term[n], or Nil

\* Volatile: lost when a server restarts.
VARIABLES
  role,     \* role[n]: follower, candidate or leader
  votes     \* votes[n]: the servers whose votes candidate n has collected

\* The network: everything ever sent.  A message that is never read is lost;
\* one that is read again is duplicated, delayed or reordered.
VARIABLES
  requested,  \* <<candidate, t>>: RequestVote of candidate for term t
  granted,    \* <<voter, t, candidate>>: a reply to it with voteGranted
  heartbeat   \* <<leader, t>>: AppendEntries of leader in term t

vars == <<term, votedFor, role, votes, requested, granted, heartbeat>>

Init ==
  /\ term      = [n \in Node |-> 0]
  /\ votedFor  = [n \in Node |-> Nil]
  /\ role      = [n \in Node |-> "follower"]
  /\ votes     = [n \in Node |-> {}]
  /\ requested = {}
  /\ granted   = {}
  /\ heartbeat = {}

-----------------------------------------------------------------------------
\* Guards, named so that each can be talked about, and replaced, alone.

NotLeader(n)                == role[n] # "leader"
IsCandidate(n)              == role[n] = "candidate"
TermIsNewer(n, t)           == t > term[n]
TermIsCurrent(n, t)         == t = term[n]
ReplyIsCurrent(c, t)        == t = term[c]
VoteWasRequested(c, t)      == <<c, t>> \in requested
VoteWasGranted(voter, t, c) == <<voter, t, c>> \in granted
VoteIsFree(voter, c)        == votedFor[voter] \in {Nil, c}
VoteIsStored(voter, c)      == votedFor[voter] = c
QuorumVoted(n, q)           == q \subseteq votes[n]
LeaderWasHeard(l, t)        == <<l, t>> \in heartbeat

\* Enough to hear of a term: all its messages follow a request of that term.
TermWasSent(t) == \E c \in Node : VoteWasRequested(c, t)

-----------------------------------------------------------------------------
\* Followers 2, Candidates 4: the election timeout elapses.  Candidates 1:
\* increment currentTerm, vote for self, send RequestVote to all.  The own
\* vote counts as sent, so that there is only one kind of vote.
StartElection(n) ==
  /\ NotLeader(n)
  /\ term'      = [term EXCEPT ![n] = @ + 1]
  /\ votedFor'  = [votedFor EXCEPT ![n] = n]
  /\ role'      = [role EXCEPT ![n] = "candidate"]
  /\ votes'     = [votes EXCEPT ![n] = {n}]
  /\ requested' = requested \cup {<<n, term[n] + 1>>}
  /\ granted'   = granted \cup {<<n, term[n] + 1, n>>}
  /\ UNCHANGED heartbeat

\* All Servers 2: a message with a newer term; adopt it, become follower.
UpdateTerm(n, t) ==
  /\ TermWasSent(t)
  /\ TermIsNewer(n, t)
  /\ term'     = [term EXCEPT ![n] = t]
  /\ votedFor' = [votedFor EXCEPT ![n] = Nil]
  /\ role'     = [role EXCEPT ![n] = "follower"]
  /\ votes'    = [votes EXCEPT ![n] = {}]
  /\ UNCHANGED <<requested, granted, heartbeat>>

\* RequestVote receiver 1 and 2: one vote a term.  Stored here and answered
\* in ReplyVote, for a server may crash between the two (State, persistent:
\* "updated on stable storage before responding to RPCs").
GrantVote(voter, candidate, t) ==
  /\ VoteWasRequested(candidate, t)
  /\ TermIsCurrent(voter, t)
  /\ VoteIsFree(voter, candidate)
  /\ votedFor' = [votedFor EXCEPT ![voter] = candidate]
  /\ UNCHANGED <<term, role, votes, requested, granted, heartbeat>>

\* RequestVote results: voteGranted, once the vote is stored.
ReplyVote(voter, candidate, t) ==
  /\ VoteIsStored(voter, candidate)
  /\ TermIsCurrent(voter, t)
  /\ granted' = granted \cup {<<voter, t, candidate>>}
  /\ UNCHANGED <<term, votedFor, role, votes, requested, heartbeat>>

\* RequestVote results: "true means candidate received vote".  A vote counts
\* only in the election that asked for it (section 5.2: for the same term).
ReceiveVote(candidate, voter, t) ==
  /\ VoteWasGranted(voter, t, candidate)
  /\ ReplyIsCurrent(candidate, t)
  /\ IsCandidate(candidate)
  /\ votes' = [votes EXCEPT ![candidate] = @ \cup {voter}]
  /\ UNCHANGED <<term, votedFor, role, requested, granted, heartbeat>>

\* Candidates 2: votes from a quorum; become leader.
\* Leaders 1: upon election, send heartbeats.
BecomeLeader(n, q) ==
  /\ IsCandidate(n)
  /\ QuorumVoted(n, q)
  /\ role'      = [role EXCEPT ![n] = "leader"]
  /\ heartbeat' = heartbeat \cup {<<n, term[n]>>}
  /\ UNCHANGED <<term, votedFor, votes, requested, granted>>

\* Candidates 3: AppendEntries from the leader of the term; become follower.
\* The term is the same, so the vote stays.
StepDown(n, leader, t) ==
  /\ LeaderWasHeard(leader, t)
  /\ TermIsCurrent(n, t)
  /\ IsCandidate(n)
  /\ role'  = [role EXCEPT ![n] = "follower"]
  /\ votes' = [votes EXCEPT ![n] = {}]
  /\ UNCHANGED <<term, votedFor, requested, granted, heartbeat>>

\* A crash and a restart.  State: currentTerm and votedFor are persistent.
\* Section 5.2: servers start up as followers.
Restart(n) ==
  /\ role'  = [role EXCEPT ![n] = "follower"]
  /\ votes' = [votes EXCEPT ![n] = {}]
  /\ UNCHANGED <<term, votedFor, requested, granted, heartbeat>>

Next ==
  \/ \E n \in Node : StartElection(n) \/ Restart(n)
  \/ \E n \in Node, t \in Term : UpdateTerm(n, t)
  \/ \E v, c \in Node, t \in Term :
       GrantVote(v, c, t) \/ ReplyVote(v, c, t) \/ ReceiveVote(c, v, t)
  \/ \E n \in Node, q \in Quorum : BecomeLeader(n, q)
  \/ \E n, l \in Node, t \in Term : StepDown(n, l, t)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
TypeOK ==
  /\ term \in [Node -> Nat] /\ votedFor \in [Node -> Node \cup {Nil}]
  /\ role \in [Node -> Role] /\ votes \in [Node -> SUBSET Node]
  /\ requested \subseteq Node \X Nat /\ heartbeat \subseteq Node \X Nat
  /\ granted \subseteq Node \X Nat \X Node

\* The lemmas.  A voter grants one candidate a term, in terms that it has
\* reached, and never more than its stable storage says.
GrantedOnce == \A v, c, d \in Node, t \in Term :
  VoteWasGranted(v, t, c) /\ VoteWasGranted(v, t, d) => c = d
GrantedNotFromFuture == \A v, c \in Node, t \in Term :
  VoteWasGranted(v, t, c) => t <= term[v]
GrantedIsStored == \A v, c \in Node :
  VoteWasGranted(v, term[v], c) => VoteIsStored(v, c)

\* What a candidate has collected was sent to it; whoever leads has said so,
\* and was elected by a quorum.
VotesWereGranted == \A c \in Node : \A v \in votes[c] :
  VoteWasGranted(v, term[c], c)
LeaderWasAnnounced == \A n \in Node :
  role[n] = "leader" => LeaderWasHeard(n, term[n])
ElectedByQuorum == \A n \in Node, t \in Term : LeaderWasHeard(n, t) =>
  \E q \in Quorum : \A v \in q : VoteWasGranted(v, t, n)

\* The theorem (Figure 3): at most one leader can be elected in a given term.
ElectionSafety == \A a, b \in Node, t \in Term :
  LeaderWasHeard(a, t) /\ LeaderWasHeard(b, t) => a = b
=============================================================================
