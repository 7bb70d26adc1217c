--------------------------- MODULE TraceElection ---------------------------
(***************************************************************************)
(* Trace validation of a recording of etcd by TLC, in plain TLA+: whether  *)
(* some behaviour of Election shows, line by line, what was recorded.      *)
(*                                                                         *)
(* A line is <<node, term, vote, role, event, peer, term of the message,   *)
(* reject>>.  Between two lines only what the next one asks for is tried.  *)
(* Where no step is possible TLC reports a deadlock, and `line` is refused.*)
(*                                                                         *)
(* A server that crashes may have lost what it did since its last Ready,   *)
(* so term and vote may go back to those stored.  Messages are not taken   *)
(* back: what a crash lost may have been sent.                             *)
(***************************************************************************)
EXTENDS Election, Recording, Sequences, FiniteSets

\* Of Recording, which is written for each recording:
\*   Trace     its lines
\*   Start[n]  the term and vote with which n begins
\*   MaxTerm

VARIABLES line, stored  \* the next line; stored[n]: n's term and vote as of its last Ready

Bounded == 0..MaxTerm
Majority == {q \in SUBSET Node : Cardinality(q) = Cardinality(Node) \div 2 + 1}

N == Trace[line][1]
T == Trace[line][2]
V == Trace[line][3]
R == Trace[line][4]
Event == Trace[line][5]
Peer == Trace[line][6]
Granting == Trace[line][7] = T /\ ~Trace[line][8]  \* a reply that grants, in this term

TraceInit ==
  /\ line      = 1
  /\ stored    = Start
  /\ term      = [n \in Node |-> Start[n][1]]
  /\ votedFor  = [n \in Node |-> Start[n][2]]
  /\ role      = [n \in Node |-> "follower"]
  /\ votes     = [n \in Node |-> {}]
  /\ requested = {} /\ granted = {} /\ heartbeat = {}

\* What stands is what the line shows, and its message was sent or counted.
Shown == term[N] = T /\ votedFor[N] = V /\ role[N] = R
Sent == Event = "SendRequestVoteResponse" /\ Granting => VoteWasGranted(N, T, Peer)
Counted == Event = "ReceiveRequestVoteResponse" /\ Granting /\ IsCandidate(N) => Peer \in votes[N]

Advance ==
  /\ Shown /\ Sent /\ Counted
  /\ line' = line + 1
  /\ stored' = IF Event \in {"Ready", "InitState"} THEN [stored EXCEPT ![N] = <<T, V>>] ELSE stored
  /\ UNCHANGED vars

Restarted ==
  /\ <<T, V>> \in {stored[N], <<term[N], votedFor[N]>>}
  /\ term'     = [term EXCEPT ![N] = T]
  /\ votedFor' = [votedFor EXCEPT ![N] = V]
  /\ role'     = [role EXCEPT ![N] = "follower"]
  /\ votes'    = [votes EXCEPT ![N] = {}]
  /\ UNCHANGED <<requested, granted, heartbeat>>

Stepped ==
  \/ term[N] + 1 = T /\ R # "follower" /\ StartElection(N)
  \/ term[N] < T /\ R = "follower" /\ UpdateTerm(N, T)
  \/ term[N] = T /\ votedFor[N] # V /\ V # Nil /\ GrantVote(N, V, T)
  \/ term[N] = T /\ R = "leader" /\ \E q \in Quorum : BecomeLeader(N, q)
  \/ term[N] = T /\ IsCandidate(N) /\ R = "follower" /\ Restart(N)  \* it has heard a leader or lost
  \/ Shown /\ ~Sent /\ ReplyVote(N, Peer, T)
  \/ Shown /\ ~Counted /\ ReceiveVote(N, Peer, T)

TraceNext ==
  \/ line > Len(Trace) /\ UNCHANGED <<vars, line, stored>>
  \/ line <= Len(Trace) /\ Advance
  \/ /\ line <= Len(Trace) /\ ~(Shown /\ Sent /\ Counted)
     /\ IF Event = "InitState" THEN Restarted ELSE Stepped
     /\ UNCHANGED <<line, stored>>

TraceSpec == TraceInit /\ [][TraceNext]_<<vars, line, stored>>
=============================================================================
