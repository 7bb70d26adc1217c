------------------------------ MODULE PreVote -------------------------------
(***************************************************************************)
(* Pre-vote and check-quorum, after sections 9.6, 6.2 and 4.2.3 of         *)
(* "Consensus: Bridging Theory and Practice" (Ongaro, 2014).  Election is  *)
(* read first; Figure 2 is meant where no number of a section stands.      *)
(*                                                                         *)
(* A server asks whether it would get votes before it raises its term; a   *)
(* leader without a quorum steps down; whoever hears a leader ignores      *)
(* requests for votes.  So a server that is cut off from its leader, and   *)
(* not from the others, does not disturb them.  Safety needs none of it:   *)
(* every step here is one of Election, or none (Refinement).               *)
(*                                                                         *)
(* A pre-candidate is a follower that is asking.  Time is what `heard'     *)
(* says: an election timeout may pass at any moment (LoseTouch).           *)
(*                                                                         *)
(* NOT modelled: the log, changes of membership, leases, transfer of       *)
(* leadership.                                                             *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS
  Node,    \* the servers
  Quorum,  \* the sets of servers whose votes elect a leader
  Nil      \* votedFor of a server that has not voted in its term

\* As in Election.
VARIABLES term, votedFor, role, votes, requested, granted, heartbeat

\* Volatile: lost when a server restarts.
VARIABLES
  asking,    \* the servers that ask for pre-votes
  preVotes,  \* preVotes[n]: whose pre-votes n has collected
  heard      \* heard[n]: whom n has heard within an election timeout: a
             \* follower its leader, a leader its followers

\* The network: everything ever sent.
VARIABLES
  preRequested,  \* <<candidate, t>>: PreVote, t the term after candidate's
  preGranted,    \* <<voter, t, candidate>>: a reply to it that grants
  replied,       \* <<follower, t>>: a reply to AppendEntries of term t
  told           \* <<n, t>>: a reply to n that grants nothing, of term t

electionVars == <<term, votedFor, role, votes, requested, granted, heartbeat>>
localVars    == <<asking, preVotes, heard>>
networkVars  == <<preRequested, preGranted, replied, told>>
vars == <<electionVars, localVars, networkVars>>

Abstract == INSTANCE Election

Term == Nat  \* the terms that a step may name

Init ==
  /\ Abstract!Init
  /\ asking       = {}
  /\ preVotes     = [n \in Node |-> {}]
  /\ heard        = [n \in Node |-> {}]
  /\ preRequested = {}
  /\ preGranted   = {}
  /\ replied      = {}
  /\ told         = {}

-----------------------------------------------------------------------------
\* Guards.

NotLeader(n)                  == role[n] # "leader"
IsLeader(n)                   == role[n] = "leader"
IsFollower(n)                 == role[n] = "follower"
IsAsking(n)                   == n \in asking
StandsOrLeads(n)              == ~IsFollower(n) \/ IsAsking(n)
LeaderIsSilent(n)             == heard[n] = {}
VoterHearsNoLeader(n)         == LeaderIsSilent(n)
PreVoterIsNoLeader(n)         == NotLeader(n)
PreVoterHearsNoLeader(n)      == LeaderIsSilent(n)
RequestIsNotIgnored(n)        == NotLeader(n) /\ LeaderIsSilent(n)
TermIsNewer(n, t)             == t > term[n]
TermIsNext(n, t)              == t = term[n] + 1
TermIsCurrent(n, t)           == t = term[n]
TermWasReached(n, t)          == t <= term[n]
PreVoteWasRequested(c, t)     == <<c, t>> \in preRequested
PreVoteWasGranted(v, t, c)    == <<v, t, c>> \in preGranted
QuorumPreVoted(n, q)          == q \subseteq preVotes[n]
LeaderWasHeard(l, t)          == <<l, t>> \in heartbeat
ReplyWasSent(f, t)            == <<f, t>> \in replied
QuorumIsSilent(n)             == \A q \in Quorum : ~(q \subseteq heard[n] \cup {n})
TermWasTold(n, t)             == <<n, t>> \in told \/ \E l \in Node : LeaderWasHeard(l, t)
MessageWasSent(n, t) ==
  <<n, t>> \in requested \cup heartbeat \cup preRequested

\* What a server knew as pre-candidate, as leader, or of its leader.
Forget(n) ==
  /\ asking'   = asking \ {n}
  /\ preVotes' = [preVotes EXCEPT ![n] = {}]
  /\ heard'    = [heard EXCEPT ![n] = {}]

-----------------------------------------------------------------------------
\* Section 9.6.  The election timeout elapses: ask, in the same term, about
\* the next one.  A candidate abandons its election.
StartPreVote(n) ==
  /\ NotLeader(n)
  /\ LeaderIsSilent(n)
  /\ role'         = [role EXCEPT ![n] = "follower"]
  /\ votes'        = [votes EXCEPT ![n] = {}]
  /\ asking'       = asking \cup {n}
  /\ preVotes'     = [preVotes EXCEPT ![n] = {n}]
  /\ preRequested' = preRequested \cup {<<n, term[n] + 1>>}
  /\ preGranted'   = preGranted \cup {<<n, term[n] + 1, n>>}
  /\ UNCHANGED <<term, votedFor, requested, granted, heartbeat>>
  /\ UNCHANGED <<heard, replied, told>>

\* Section 9.6.  Nothing is promised: whoever asks is told, several times.
GrantPreVote(voter, candidate, t) ==
  /\ PreVoteWasRequested(candidate, t)
  /\ TermIsNewer(voter, t)
  /\ PreVoterIsNoLeader(voter)
  /\ PreVoterHearsNoLeader(voter)
  /\ preGranted' = preGranted \cup {<<voter, t, candidate>>}
  /\ UNCHANGED <<electionVars, localVars, preRequested, replied, told>>

ReceivePreVote(candidate, voter, t) ==
  /\ PreVoteWasGranted(voter, t, candidate)
  /\ TermIsNext(candidate, t)
  /\ IsAsking(candidate)
  /\ preVotes' = [preVotes EXCEPT ![candidate] = @ \cup {voter}]
  /\ UNCHANGED <<electionVars, networkVars, asking, heard>>

\* Section 9.6: a quorum would vote for it.  Now it stands.
StartElection(n, q) ==
  /\ QuorumPreVoted(n, q)
  /\ Abstract!StartElection(n)
  /\ Forget(n)
  /\ UNCHANGED networkVars

-----------------------------------------------------------------------------
\* Elections as in Election.  Section 4.2.3: whoever hears a leader, or is
\* one, neither votes nor takes over the term of a request.
GrantVote(voter, candidate, t) ==
  /\ VoterHearsNoLeader(voter)
  /\ Abstract!GrantVote(voter, candidate, t)
  /\ UNCHANGED <<localVars, networkVars>>
ReplyVote(voter, candidate, t) ==
  /\ Abstract!ReplyVote(voter, candidate, t)
  /\ UNCHANGED <<localVars, networkVars>>
ReceiveVote(candidate, voter, t) ==
  /\ Abstract!ReceiveVote(candidate, voter, t)
  /\ UNCHANGED <<localVars, networkVars>>
UpdateTerm(n, t) ==
  /\ RequestIsNotIgnored(n)
  /\ Abstract!UpdateTerm(n, t)
  /\ Forget(n)
  /\ UNCHANGED networkVars

\* A new leader has just heard from those that voted for it.
BecomeLeader(n, q) ==
  /\ Abstract!BecomeLeader(n, q)
  /\ heard' = [heard EXCEPT ![n] = votes[n] \ {n}]
  /\ UNCHANGED <<asking, preVotes, networkVars>>

-----------------------------------------------------------------------------
\* Section 5.2.  A heartbeat and the reply to it.
HearLeader(n, leader, t) ==
  /\ LeaderWasHeard(leader, t)
  /\ TermIsCurrent(n, t)
  /\ IsFollower(n)
  /\ asking'   = asking \ {n}
  /\ preVotes' = [preVotes EXCEPT ![n] = {}]
  /\ heard'    = [heard EXCEPT ![n] = @ \cup {leader}]
  /\ replied'  = replied \cup {<<n, t>>}
  /\ UNCHANGED <<electionVars, preRequested, preGranted, told>>

\* Candidates 3.  The same, of a candidate.
StepDown(n, leader, t) ==
  /\ Abstract!StepDown(n, leader, t)
  /\ heard'   = [heard EXCEPT ![n] = @ \cup {leader}]
  /\ replied' = replied \cup {<<n, t>>}
  /\ UNCHANGED <<asking, preVotes, preRequested, preGranted, told>>

ReceiveReply(leader, follower, t) ==
  /\ ReplyWasSent(follower, t)
  /\ TermIsCurrent(leader, t)
  /\ IsLeader(leader)
  /\ heard' = [heard EXCEPT ![leader] = @ \cup {follower}]
  /\ UNCHANGED <<electionVars, networkVars, asking, preVotes>>

\* An election timeout passes: what was heard before it counts no more.
LoseTouch(n) ==
  /\ heard' = [heard EXCEPT ![n] = {}]
  /\ UNCHANGED <<electionVars, networkVars, asking, preVotes>>

\* Section 6.2: a leader steps down if an election timeout elapses without a
\* round of heartbeats to a quorum.  Whoever stands may give up as well.
GiveUp(n) ==
  /\ StandsOrLeads(n)
  /\ IsLeader(n) => QuorumIsSilent(n)
  /\ role'  = [role EXCEPT ![n] = "follower"]
  /\ votes' = [votes EXCEPT ![n] = {}]
  /\ Forget(n)
  /\ UNCHANGED <<term, votedFor, requested, granted, heartbeat, networkVars>>

-----------------------------------------------------------------------------
\* Receivers 1: "reply false if term < currentTerm".  The reply tells it.
TellTerm(n, sender, t) ==
  /\ MessageWasSent(sender, t)
  /\ TermWasReached(n, t)
  /\ told' = told \cup {<<sender, term[n]>>}
  /\ UNCHANGED <<electionVars, localVars, preRequested, preGranted, replied>>

\* All Servers 2, of a leader's message or a reply.  Nobody ignores these.
LearnTerm(n, t) ==
  /\ TermWasTold(n, t)
  /\ TermIsNewer(n, t)
  /\ term'     = [term EXCEPT ![n] = t]
  /\ votedFor' = [votedFor EXCEPT ![n] = Nil]
  /\ role'     = [role EXCEPT ![n] = "follower"]
  /\ votes'    = [votes EXCEPT ![n] = {}]
  /\ Forget(n)
  /\ UNCHANGED <<requested, granted, heartbeat, networkVars>>

Restart(n) ==
  /\ Abstract!Restart(n)
  /\ Forget(n)
  /\ UNCHANGED networkVars

Next ==
  \/ \E n \in Node :
       StartPreVote(n) \/ LoseTouch(n) \/ GiveUp(n) \/ Restart(n)
  \/ \E n \in Node, q \in Quorum : StartElection(n, q) \/ BecomeLeader(n, q)
  \/ \E n \in Node, t \in Term : UpdateTerm(n, t) \/ LearnTerm(n, t)
  \/ \E v, c \in Node, t \in Term :
       \/ GrantPreVote(v, c, t) \/ ReceivePreVote(c, v, t)
       \/ GrantVote(v, c, t) \/ ReplyVote(v, c, t) \/ ReceiveVote(c, v, t)
  \/ \E n, m \in Node, t \in Term :
       \/ HearLeader(n, m, t) \/ StepDown(n, m, t)
       \/ ReceiveReply(n, m, t) \/ TellTerm(n, m, t)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
TypeOK ==
  /\ Abstract!TypeOK /\ asking \subseteq Node
  /\ preVotes \in [Node -> SUBSET Node] /\ heard \in [Node -> SUBSET Node]
  /\ preRequested \subseteq Node \X Nat /\ replied \subseteq Node \X Nat
  /\ preGranted \subseteq Node \X Nat \X Node /\ told \subseteq Node \X Nat

\* The lemmas.
PreVotesWereGranted == \A c \in Node : \A v \in preVotes[c] :
  PreVoteWasGranted(v, term[c] + 1, c)
PreVotesAreAskedFor == \A c \in Node : preVotes[c] # {} => c \in asking
PreCandidateHearsNoLeader == \A n \in asking :
  IsFollower(n) /\ LeaderIsSilent(n)
CandidateHearsNoLeader == \A n \in Node :
  role[n] = "candidate" => LeaderIsSilent(n)
BackedByQuorum == \A c \in Node, t \in Term : <<c, t>> \in requested =>
  \E q \in Quorum : \A v \in q : PreVoteWasGranted(v, t, c)
CandidateAskedForVotes == \A n \in Node :
  role[n] = "candidate" => <<n, term[n]>> \in requested
LeaderAskedForVotes == heartbeat \subseteq requested
TermWasRequested == \A n \in Node :
  term[n] = 0 \/ \E c \in Node : <<c, term[n]>> \in requested
ToldTermWasRequested == \A m \in told :
  m[2] = 0 \/ \E c \in Node : <<c, m[2]>> \in requested

\* Section 9.6: where no quorum would vote, no term is raised.
NoTermWithoutPreVotes == \A n \in Node :
  term[n] = 0 \/ \E c \in Node, q \in Quorum :
    \A v \in q : PreVoteWasGranted(v, term[n], c)

\* The theorem (Figure 3): at most one leader can be elected in a given term.
ElectionSafety == Abstract!ElectionSafety

\* Every behavior here is a behavior of Election.
Refinement == Abstract!Spec
=============================================================================
