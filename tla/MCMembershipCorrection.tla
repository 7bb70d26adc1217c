------------------------ MODULE MCMembershipCorrection ------------------------
(***************************************************************************)
(* Ongaro's correction of July 2015 (R3), from where it is asked for.      *)
(*                                                                         *)
(* Four servers.  A led term 1, committed its first entry, and brought a   *)
(* configuration that nobody else has.  B was elected for term 2 by those  *)
(* who had not heard of it, B, C and D.  A was elected for term 3 in its   *)
(* own configuration, by Electors.  B, which still leads term 2 and has    *)
(* committed nothing in it, may now bring another configuration: of these  *)
(* two, neither is adjacent to the other.                                  *)
(*                                                                         *)
(* Beginning is a state of Spec, so what is claimed of Spec is claimed of  *)
(* it.  MCMembershipCorrection_bug_*.cfg are the three shapes of the mail  *)
(* to raft-dev: two servers are added, two are removed, one and one.       *)
(***************************************************************************)
EXTENDS MCMembership

CONSTANTS
  A, B, C, D,  \* the first four servers
  Brought,     \* the configuration that A brought
  Electors     \* who elected A for term 3: a quorum of Brought

ASSUME InitialConfig = {{A, B, C, D}} /\ Adjacent(InitialConfig, Brought)
ASSUME IsQuorum(Electors, Brought) /\ IsQuorum({B, C, D}, InitialConfig)

Own == Append(<<First>>, [term |-> 1, value |-> Nil, config |-> Brought,
                          since |-> 2])

\* Who leads each term, and who elected it.
Leads(t)   == IF t = 2 THEN B ELSE A
Elected(t) == CASE t = 1 -> {A, B, C} [] t = 2 -> {B, C, D} [] t = 3 -> Electors

Beginning ==
  /\ term         = [n \in Node |-> IF n \in Electors THEN 3 ELSE 2]
  /\ votedFor     = [n \in Node |-> IF n \in Electors THEN A
                                     ELSE IF n \in {B, D} THEN B ELSE Nil]
  /\ role         = [n \in Node |-> IF n \in {A, B} THEN "leader" ELSE "follower"]
  /\ votes        = [n \in Node |-> IF n = A THEN Electors
                                     ELSE IF n = B THEN {B, C, D} ELSE {}]
  /\ requested    = {<<Leads(t), t>> : t \in 1..3}
  /\ granted      = UNION {{<<n, t, Leads(t)>> : n \in Elected(t)} : t \in 1..3}
  /\ heartbeat    = requested
  /\ lastLogIndex = [n \in Node |-> [t \in Term |->
                       CASE n = A /\ t = 3 -> 2 [] n = B /\ t = 2 -> 1 [] OTHER -> 0]]
  /\ lastLogTerm  = [n \in Node |-> [t \in Term |->
                       CASE n = A /\ t = 3 -> 1 [] n = B /\ t = 2 -> 1 [] OTHER -> 0]]
  /\ log          = [n \in Node |-> IF n = A THEN Own ELSE <<First>>]
  /\ commitIndex  = [n \in Node |-> IF n = A THEN 1 ELSE 0]
  /\ leaderLog    = [t \in Term |-> CASE t \in {1, 3} -> Own [] t = 2 -> <<First>>
                       [] OTHER -> <<>>]
  /\ leaderCommit = [t \in Term |-> IF t \in {1, 3} THEN 1 ELSE 0]
  /\ acknowledged = [n \in Node |-> [t \in Term |->
                       CASE n = A /\ t \in {1, 3} -> 2 [] n # A /\ t = 1 -> 1
                         [] n = B /\ t = 2 -> 1 [] OTHER -> 0]]

CorrectionSpec == Beginning /\ [][Next]_vars

\* Only what the two leaders do is looked at: nobody else stands or steps down.
BothLead == {n \in Node : role'[n] # "follower"} = {A, B}

\* Bug: a leader that has committed nothing in its term brings one.
OwnNeedNotBeCommitted(n) == TRUE

\* Witness: B has committed in its term, and may bring a configuration.
NothingIsCommittedInTerm2 == leaderCommit[2] < 2
=============================================================================
