------------------------ MODULE MCMembershipLiveness -------------------------
(***************************************************************************)
(* A change of members completes, once timers and network behave: from the *)
(* initial configuration to Target, through a joint one or at once.        *)
(*                                                                         *)
(* Claimed: from some time on Target is committed; and a leader that is no *)
(* member of it does not lead for ever (dissertation 4.2.2).               *)
(*                                                                         *)
(* ASSUMED, from a state on in which a member leads and has committed an   *)
(* entry of its term:                                                      *)
(*   1. The leader stays: nobody stands, it does not crash or give up.     *)
(*   2. Messages to and from the servers in Up are read in the end.        *)
(*   3. Up holds a majority of each set of each configuration on the way.  *)
(*   4. The leader goes on: from the initial configuration, and from a     *)
(*      joint one, it makes the next change in the end.                    *)
(* Removed servers can break 1: pre-vote and promises keep them quiet      *)
(* (4.2.3; PreVote, Lease).                                                *)
(*                                                                         *)
(* Logs stay within MaxIndex (an invariant); no SYMMETRY.                  *)
(***************************************************************************)
EXTENDS MCMembership

CONSTANTS
  Target,  \* the configuration that is wanted
  Up       \* the servers that read their messages, in the end

LInit == \E l \in Up : VotesIn(l, InitialConfig) /\ Led(l)

\* The steps of Membership, where the assumptions allow them.
Goes(l)    == ConfigOf(log[l]) # Target
              /\ \E c \in Config \ {InitialConfig} : ChangeConfig(l, c)
Reads(n)   == n \in Up /\ \E last \in Index :
                AppendEntries(n, 1, Len(log[n]), last, leaderCommit[1])
Commits(l) == \E i \in Index, q \in SUBSET Node : AdvanceCommit(l, i, q)
Resigns(l) == IsLeader(l) /\ GiveUp(l)

Others == \E n \in Node : Goes(n) \/ Reads(n) \/ Commits(n) \/ Retire(n)
Going   == \A n \in Node : WF_vars(Goes(n))
Reading == \A n \in Node : WF_vars(Reads(n))
Leading == \A n \in Node : WF_vars(Commits(n)) /\ WF_vars(Retire(n))

LiveSpec == LInit /\ [][Others]_vars /\ Going /\ Reading /\ Leading

\* Bugs: an assumption is missing, each time another one; Up is a constant.
NothingRead  == LInit /\ [][Others]_vars /\ Going /\ Leading
NobodyGoesOn == LInit /\ [][Others]_vars /\ Reading /\ Leading
LeaderLeaves == LInit /\ [][Others \/ \E n \in Node : Resigns(n)]_vars
                /\ Going /\ Reading /\ Leading

-----------------------------------------------------------------------------
LogsAreBelowBound == \A n \in Node : Len(log[n]) < MaxIndex

Completed(n)    == ConfigOf(log[n]) = Target /\ LastIsCommitted(n)
ChangeCompletes == <>[](\E n \in Node : Completed(n))
LeaderRetires   == <>[](\A n \in Node : IsLeader(n) => ~IsNoMember(n))
=============================================================================
