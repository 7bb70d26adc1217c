------------------------- MODULE MCPreVoteLiveness --------------------------
(***************************************************************************)
(* What pre-vote and check-quorum buy, under a partial partition: some     *)
(* links are cut for good, so that a server may miss its leader and reach  *)
(* the others still (Howard and Abraham, "Raft does not guarantee liveness *)
(* in the face of network faults", 2020).                                  *)
(*                                                                         *)
(* Claimed: a leader with a quorum is elected in the end and stays, and    *)
(* once there is one it is not deposed.                                    *)
(*                                                                         *)
(* ASSUMED, of all that happens after the links were cut:                  *)
(*   1. A message passes over a link, and only there.  It is read while it *)
(*      is still what its sender would say; votes are said for good.       *)
(*   2. Heartbeats and the replies to them arrive in time: over a link no  *)
(*      election timeout passes without one.                               *)
(*   3. Election timeouts are spread apart (section 9.3): none elapses     *)
(*      while an election is under way, or before a new leader is heard.   *)
(*      An election takes less: nobody gives up while it can win.          *)
(*   4. Whatever can go on happening happens; a timeout that can elapse    *)
(*      again and again does elapse (strong fairness).                     *)
(*   5. Nobody crashes.                                                    *)
(* Terms stay below MaxTerm (an invariant), so that the bound cuts nothing *)
(* that matters here; and no SYMMETRY, which is unsound for liveness.      *)
(***************************************************************************)
EXTENDS MCPreVote

CONSTANTS
  Link,  \* the pairs of servers, {a, b}, that reach each other
  Led    \* the servers that may lead term 1 when the links are cut; or Nil:
         \* nobody leads yet

Linked(a, b)    == {a, b} \in Link
Reaches(n, q)   == \A v \in q \ {n} : Linked(n, v)
IsCandidate(n)  == role[n] = "candidate"
Stands(n)       == IsAsking(n) \/ IsCandidate(n)
LeadsAll(l, ns) == IsLeader(l) /\ \A v \in ns \ {l} : term[v] = term[l]

\* It leads, and a quorum within its reach is in its term.
HasQuorum(l) == \E q \in Quorum : Reaches(l, q) /\ LeadsAll(l, q)

\* It follows somebody that leads its term, within reach.
HasLeader(n) == \E l \in Node : Linked(n, l) /\ LeadsAll(l, {n})
HearsLeader(n) == \E l \in heard[n] : Linked(n, l) /\ LeadsAll(l, {n})

\* Whether v would say yes to n now.
WouldPreVote(v, n) ==
  PreVoterIsNoLeader(v) /\ PreVoterHearsNoLeader(v) /\ TermIsNewer(v, term[n] + 1)
WouldVote(v, n) ==
  \/ votedFor[v] = n /\ term[v] = term[n]
  \/ /\ VoterHearsNoLeader(v) /\ NotLeader(v)
     /\ term[v] < term[n] \/ (term[v] = term[n] /\ votedFor[v] = Nil)
CanWin(n) == \E q \in Quorum : Reaches(n, q) /\ \A v \in q \ {n} :
  IF IsAsking(n) THEN WouldPreVote(v, n) ELSE WouldVote(v, n)

\* Assumption 3.
Quiet == \A n \in Node : ~Stands(n) /\ (HasLeader(n) => StandsOrLeads(n) \/ HearsLeader(n))

-----------------------------------------------------------------------------
\* The steps of PreVote, where the assumptions allow them.
Timeout(n)     == Quiet /\ IsFollower(n) /\ StartPreVote(n)
Silence(n)     == ~HasQuorum(n) /\ ~HearsLeader(n) /\ LoseTouch(n)
Resignation(n) == ~(Stands(n) /\ CanWin(n)) /\ GiveUp(n)

\* What n does when it has read a message of m, or has all that it needs.
Read(n, m, t) ==
  \/ Stands(m) /\ (GrantPreVote(n, m, t) \/ GrantVote(n, m, t))
  \/ WouldPreVote(m, n) /\ ReceivePreVote(n, m, t)
  \/ ReceiveVote(n, m, t)
  \/ IsLeader(m) /\ TermIsCurrent(m, t) /\ (HearLeader(n, m, t) \/ StepDown(n, m, t))
  \/ ReceiveReply(n, m, t)
  \/ TellTerm(n, m, t)
Newer(n, m, t) ==
  \/ IsCandidate(m) /\ TermIsCurrent(m, t) /\ UpdateTerm(n, t)
  \/ TermIsCurrent(m, t) /\ LearnTerm(n, t)
FromLinked(n, m) == Linked(n, m) /\ \E t \in Term : Read(n, m, t) \/ Newer(n, m, t)
Goes(n) ==
  \/ \E q \in Quorum : StartElection(n, q) \/ BecomeLeader(n, q)
  \/ \E c \in Node, t \in Term : ReplyVote(n, c, t)

LiveNext == \E n \in Node :
  \/ Timeout(n) \/ Silence(n) \/ Resignation(n) \/ Goes(n)
  \/ \E m \in Node : FromLinked(n, m)

Fairness == \A n \in Node :
  /\ SF_vars(Timeout(n)) /\ WF_vars(Silence(n)) /\ WF_vars(Resignation(n) \/ Goes(n))
  /\ \A m \in {m \in Node : Linked(n, m)} : WF_vars(FromLinked(n, m))

-----------------------------------------------------------------------------
\* l leads term 1, and all hear it, when the links are cut.
LedBy(l) ==
  /\ term         = [n \in Node |-> 1]
  /\ votedFor     = [n \in Node |-> l]
  /\ role         = [n \in Node |-> IF n = l THEN "leader" ELSE "follower"]
  /\ votes        = [n \in Node |-> IF n = l THEN Node ELSE {}]
  /\ requested    = {<<l, 1>>}
  /\ granted      = {<<n, 1, l>> : n \in Node}
  /\ heartbeat    = {<<l, 1>>}
  /\ asking       = {}
  /\ preVotes     = [n \in Node |-> {}]
  /\ heard        = [n \in Node |-> IF n = l THEN Node \ {l} ELSE {l}]
  /\ preRequested = {<<l, 1>>}
  /\ preGranted   = {<<n, 1, l>> : n \in Node}
  /\ replied      = {<<n, 1>> : n \in Node \ {l}}
  /\ told         = {}

Start == \E l \in Led : IF l = Nil THEN Init ELSE LedBy(l)

LiveSpec == Start /\ [][LiveNext]_vars /\ Fairness

-----------------------------------------------------------------------------
TermIsBelowBound == \A n \in Node : term[n] < MaxTerm

LeaderInTheEnd == \E l \in Node : <>[]HasQuorum(l)
LeaderStays == [][\A l \in Node : HasQuorum(l) => HasQuorum(l)']_vars

\* Bugs.
\* no_pre_vote: stands whenever its timeout elapses, and is listened to.
OnlyAsking(n, q)    == IsAsking(n)
Always(n)           == TRUE
\* no_check_quorum: a leader never resigns.
StandsOnly(n)       == Stands(n)
=============================================================================
