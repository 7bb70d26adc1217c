-------------------------- MODULE MCElectionLiveness ------------------------
(***************************************************************************)
(* A leader is elected in the end, once timers and network behave          *)
(* (Section 5.4 of the dissertation's proof; section 5.6 of the paper:     *)
(* broadcastTime << electionTimeout << MTBF).                              *)
(*                                                                         *)
(* Claimed: from some time on a server leads, with a quorum in its term,   *)
(* for good.                                                               *)
(*                                                                         *)
(* ASSUMED.  Up to some moment anything may happen, in terms up to         *)
(* WildTerm: crashes, timeouts, messages lost.  It comes, and after it:    *)
(*   1. One server's timer fires first, whenever nobody leads a quorum     *)
(*      and it cannot win any more as it stands; no other timer fires.     *)
(*   2. Its messages, and what others send to it, are read in the end.     *)
(*   3. Nobody crashes.                                                    *)
(* The paper's randomised timeouts make 1 likely; nothing makes it sure.   *)
(*                                                                         *)
(* Terms stay below MaxTerm (an invariant), so that the bound cuts nothing *)
(* that matters here; and no SYMMETRY, which is unsound for liveness.      *)
(***************************************************************************)
EXTENDS MCElection

CONSTANT WildTerm  \* how far terms get before

VARIABLE first     \* the server whose timer fires first from now on; or Nil: not yet

lvars == <<vars, first>>

IsCalm == first # Nil

\* It leads, and a quorum is in its term.
HasQuorum(l) == role[l] = "leader" /\ \E q \in Quorum : \A v \in q : term[v] = term[l]

\* Whether v has voted for n in n's term, or still may.
MayVote(v, n) == \/ term[v] < term[n]
                 \/ term[v] = term[n] /\ votedFor[v] \in {Nil, n}
CanWin(n)     == IsCandidate(n) /\ \E q \in Quorum : \A v \in q : MayVote(v, n)

-----------------------------------------------------------------------------
\* Before: anything, in terms up to WildTerm.
Wild ==
  /\ ~IsCalm
  /\ Next
  /\ \A n \in Node : term'[n] <= WildTerm
  /\ UNCHANGED first

Calm(n) == ~IsCalm /\ first' = n /\ UNCHANGED vars

\* After it.
Timeout(n) ==
  /\ first = n
  /\ ~CanWin(n) /\ ~\E l \in Node : HasQuorum(l)
  /\ StartElection(n)
  /\ UNCHANGED first

\* n reads what it can.
Reads(n) ==
  /\ IsCalm
  /\ \/ \E t \in Term : UpdateTerm(n, t)
     \/ \E c \in Node, t \in Term : GrantVote(n, c, t) /\ votedFor[n] = Nil
     \/ \E c \in Node, t \in Term : ReplyVote(n, c, t) /\ ~VoteWasGranted(n, t, c)
     \/ \E v \in Node, t \in Term : ReceiveVote(n, v, t) /\ v \notin votes[n]
     \/ \E l \in Node, t \in Term : StepDown(n, l, t)
  /\ UNCHANGED first

Wins(n) == IsCalm /\ (\E q \in Quorum : BecomeLeader(n, q)) /\ UNCHANGED first

LInit == Init /\ first = Nil

LNext ==
  \/ Wild
  \/ \E n \in Node : Calm(n) \/ Timeout(n) \/ Reads(n) \/ Wins(n)

TimersFire   == \A n \in Node : WF_lvars(Timeout(n))
MessagesRead == \A n \in Node : WF_lvars(Reads(n)) /\ WF_lvars(Wins(n))
CalmComes    == WF_lvars(\E n \in Node : Calm(n))

LiveSpec == LInit /\ [][LNext]_lvars /\ CalmComes /\ TimersFire /\ MessagesRead

\* Bugs: an assumption is missing, each time another one.
NeverCalm   == LInit /\ [][LNext]_lvars /\ TimersFire /\ MessagesRead
NothingRead == LInit /\ [][LNext]_lvars /\ CalmComes /\ TimersFire
NoTimer     == LInit /\ [][LNext]_lvars /\ CalmComes /\ MessagesRead

-----------------------------------------------------------------------------
TermIsBelowBound == \A n \in Node : term[n] < MaxTerm

LeaderInTheEnd == \E l \in Node : <>[]HasQuorum(l)

\* Witness, denied: calm may come with an old leader about, and a split vote.
NoOldLeaderInCalm == ~(IsCalm /\ \E l \in Node : role[l] = "leader" /\ ~HasQuorum(l))
=============================================================================
