------------------------ MODULE MCReplicationLiveness ------------------------
(***************************************************************************)
(* An entry of a leader is committed and every follower learns it, once    *)
(* timers and network behave (section 5.3).  The same is proved for any    *)
(* number of servers: oneleader prove progress/an_entry_is_committed and   *)
(* progress/every_follower_learns, which have these assumptions.           *)
(*                                                                         *)
(* Claimed: the entry is committed by its leader; and each server in Up    *)
(* knows it then, though it forgets it whenever it restarts.  It learns    *)
(* it, too, if the leader restarts or gives up after it has told.          *)
(*                                                                         *)
(* ASSUMED, from a state on in which a leads term 2 with an entry of its   *)
(* own; b has a conflicting one of term 1, which it leads still, or it     *)
(* stands in term 2; c has an empty log:                                   *)
(*   1. Nobody asks for votes, and the leader neither restarts nor gives   *)
(*      up.  All other steps may be taken at any time, or never.           *)
(*   2. The servers in Up take part in the end: they adopt the term, stop  *)
(*      standing in it, store what the leader sends, and its answers count.*)
(*   3. Up holds a majority.                                               *)
(*                                                                         *)
(* The bounds are part of the steps, since TLC loses a loop that a         *)
(* constraint cuts: MaxIndex leaves out further entries of clients only.   *)
(* No SYMMETRY.                                                            *)
(***************************************************************************)
EXTENDS MCReplication

CONSTANT Up  \* the servers that read their messages, in the end

Old(v) == [term |-> 1, value |-> v]
New(v) == [term |-> 2, value |-> v]

\* b leads term 1, or stands in term 2.
Begun(a, b, c, v, stands) ==
  /\ term         = [n \in Node |-> IF n = b /\ ~stands THEN 1 ELSE 2]
  /\ votedFor     = [n \in Node |-> IF n = b THEN b ELSE a]
  /\ role         = [n \in Node |-> CASE n = a -> "leader" [] n = c -> "follower"
                       [] n = b -> IF stands THEN "candidate" ELSE "leader"]
  /\ votes        = [n \in Node |-> CASE n = a -> {a, c} [] n = c -> {}
                       [] n = b -> IF stands THEN {b} ELSE {b, c}]
  /\ requested    = {<<b, 1>>, <<a, 2>>} \cup IF stands THEN {<<b, 2>>} ELSE {}
  /\ granted      = {<<b, 1, b>>, <<c, 1, b>>, <<a, 2, a>>, <<c, 2, a>>}
                    \cup IF stands THEN {<<b, 2, b>>} ELSE {}
  /\ heartbeat    = {<<b, 1>>, <<a, 2>>}
  /\ log          = [n \in Node |-> CASE n = a -> <<New(v)>> [] n = b -> <<Old(v)>>
                       [] n = c -> <<>>]
  /\ commitIndex  = [n \in Node |-> 0]
  /\ lastLogIndex = [n \in Node |-> [t \in Term |->
                       IF stands /\ n = b /\ t = 2 THEN 1 ELSE 0]]
  /\ lastLogTerm  = lastLogIndex
  /\ leaderLog    = [t \in Term |-> CASE t = 1 -> <<Old(v)>> [] t = 2 -> <<New(v)>>
                       [] OTHER -> <<>>]
  /\ leaderCommit = [t \in Term |-> 0]
  /\ acknowledged = [n \in Node |-> [t \in Term |->
                       IF <<n, t>> \in {<<a, 2>>, <<b, 1>>} THEN 1 ELSE 0]]

LInit == \E a \in Up, b, c \in Node, v \in Value, stands \in BOOLEAN :
  a # b /\ b # c /\ a # c /\ Begun(a, b, c, v, stands)

-----------------------------------------------------------------------------
Leads(n) == IsLeader(n) /\ term[n] = 2

\* What the fairness is of: a message of the leader, with all that it has.
Adopts(n)  == n \in Up /\ UpdateTerm(n, 2)
Follows(n) == n \in Up /\ \E l \in Node : StepDown(n, l, 2)
Stores(n)  == n \in Up /\ LET last == Len(leaderLog[2]) IN
                \/ AppendEntries(n, 2, 0, last, leaderCommit[2])
                \/ ReplaceEntries(n, 2, 0, last, leaderCommit[2])
Commits(n) == Leads(n) /\ \E i \in Index, q \in Quorum : AdvanceCommit(n, i, q)

Stands   == \E n \in Node : StartElection(n)
Restarts == \E n \in Node : Leads(n) /\ Restart(n)
GivesUp  == \E n \in Node : Leads(n) /\ GiveUp(n)
Calm     == Next /\ TermIsBounded /\ IndexIsBounded /\ ~Stands /\ ~Restarts /\ ~GivesUp

Adopting   == \A n \in Node : WF_vars(Adopts(n))
Following  == \A n \in Node : WF_vars(Follows(n))
Storing    == \A n \in Node : WF_vars(Stores(n))
Committing == \A n \in Node : WF_vars(Commits(n))
Fair       == Adopting /\ Following /\ Storing /\ Committing

LiveSpec == LInit /\ [][Calm]_vars /\ Fair

\* Bugs: an assumption is missing, each time another one; Up is a constant.
NobodyAdopts   == LInit /\ [][Calm]_vars /\ Following /\ Storing /\ Committing
NobodyFollows  == LInit /\ [][Calm]_vars /\ Adopting /\ Storing /\ Committing
NothingStored  == LInit /\ [][Calm]_vars /\ Adopting /\ Following /\ Committing
NobodyCommits  == LInit /\ [][Calm]_vars /\ Adopting /\ Following /\ Storing
SomebodyStands == LInit /\ [][Calm \/ Stands]_vars /\ Fair
LeaderRestarts == LInit /\ [][Calm \/ Restarts]_vars /\ Fair
LeaderGivesUp  == LInit /\ [][Calm \/ GivesUp]_vars /\ Fair

LeaderMayLeave == LInit /\ [][Calm \/ Restarts \/ GivesUp]_vars /\ Fair

-----------------------------------------------------------------------------
EntryIsCommitted   == <>(\E n \in Node : Leads(n) /\ commitIndex[n] >= 1)
EveryFollowerLearns == \A n \in Up : <>(commitIndex[n] >= 1)
WhatWasToldIsLearned == \A n \in Up : leaderCommit[2] >= 1 ~> commitIndex[n] >= 1
=============================================================================
