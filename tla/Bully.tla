------------------------------- MODULE Bully -------------------------------
(***************************************************************************)
(* The bully algorithm (Garcia-Molina, Elections in a Distributed          *)
(* Computing System, 1982).  The live node with the greatest number        *)
(* coordinates.  Who hears nothing from its coordinator asks the greater   *)
(* nodes; where none answers it halts the smaller ones, and takes over     *)
(* when they have stopped.  There are neither terms nor quorums: silence   *)
(* is taken for death.  The paper's section II says when that is right,    *)
(* and three of its assumptions are switches here:                         *)
(*                                                                         *)
(*   "fail_stop"  a node that failed knows it when it is back (5)          *)
(*   "network"    no message between live nodes is lost (8)                *)
(*   "prompt"     a live node answers at once (9)                          *)
(*                                                                         *)
(* With all three there is one coordinator; without any one of them there  *)
(* are two.                                                                *)
(*                                                                         *)
(* A call and its answer are one step.                                     *)
(*                                                                         *)
(* NOT modelled: the reorganisation of the paper's applications, messages  *)
(* that cross, and that a coordinator is elected at all.                   *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS
  MaxNode,  \* the greatest bully
  Assumed,  \* what is assumed of nodes and network
  Nil       \* nobody

Node == 0..MaxNode

ASSUME Assumed \subseteq {"fail_stop", "network", "prompt"}

VARIABLES
  status,    \* status[n]: down, election, halting (it has asked the greater ones) or normal
  superior,  \* superior[n]: who halted n or, when n is normal, its coordinator; or Nil
  paused,    \* those who are alive, and do and answer nothing
  beyond     \* those on the other side of a partition

vars == <<status, superior, paused, beyond>>

Init ==
  /\ status   = [n \in Node |-> "down"]
  /\ superior = [n \in Node |-> Nil]
  /\ paused   = {}
  /\ beyond   = {}

-----------------------------------------------------------------------------
\* Guards, named so that each can be talked about, and replaced, alone.

IsUp(n)             == status[n] # "down"
IsAwake(n)          == IsUp(n) /\ n \notin paused
Answers(n, m)       == IsAwake(m) /\ (n \in beyond <=> m \in beyond)
Coordinates(n)      == status[n] = "normal" /\ superior[n] = n
HasStopped(n, by)   == status[n] = "election" /\ superior[n] = by
NodesMayPause       == "prompt" \notin Assumed
NetworkMayFail      == "network" \notin Assumed
GreaterAreSilent(n) == \A m \in Node : n < m => ~Answers(n, m)
SmallerStopped(n)   == \A m \in Node : m < n /\ Answers(n, m) => HasStopped(m, n)

-----------------------------------------------------------------------------
\* A node fails ...
Crash(n) ==
  /\ IsUp(n)
  /\ status'   = [status EXCEPT ![n] = "down"]
  /\ paused'   = paused \ {n}
  /\ superior' = [superior EXCEPT ![n] = IF "fail_stop" \in Assumed THEN Nil ELSE superior[n]]
  /\ UNCHANGED beyond

\* ... and is back: it calls an election or, not knowing that it was away,
\* goes on.
Recover(n) ==
  /\ ~IsUp(n)
  /\ status' = [status EXCEPT ![n] = IF superior[n] = Nil THEN "election" ELSE "normal"]
  /\ UNCHANGED <<superior, paused, beyond>>

Pause(n) ==
  /\ NodesMayPause
  /\ IsAwake(n)
  /\ paused' = paused \cup {n}
  /\ UNCHANGED <<status, superior, beyond>>

Resume(n) ==
  /\ n \in paused
  /\ paused' = paused \ {n}
  /\ UNCHANGED <<status, superior, beyond>>

\* The node's links fail, or come back.
Partition(n) ==
  /\ NetworkMayFail
  /\ beyond' = IF n \in beyond THEN beyond \ {n} ELSE beyond \cup {n}
  /\ UNCHANGED <<status, superior, paused>>

\* A node calls an election: its coordinator does not answer as such ...
CallElection(n) ==
  /\ status'   = [status EXCEPT ![n] = "election"]
  /\ superior' = [superior EXCEPT ![n] = Nil]
  /\ UNCHANGED <<paused, beyond>>

Suspect(n, c) ==
  /\ IsAwake(n)
  /\ status[n] = "normal" /\ superior[n] = c
  /\ ~(Answers(n, c) /\ Coordinates(c))
  /\ CallElection(n)

\* ... or it is one, and finds somebody who does not follow it.
CheckMembers(n, m) ==
  /\ IsAwake(n) /\ Coordinates(n)
  /\ Answers(n, m) /\ superior[m] # n
  /\ CallElection(n)

\* No greater node answers.
Stand(n) ==
  /\ IsAwake(n) /\ status[n] = "election"
  /\ GreaterAreSilent(n)
  /\ status'   = [status EXCEPT ![n] = "halting"]
  /\ superior' = [superior EXCEPT ![n] = Nil]
  /\ UNCHANGED <<paused, beyond>>

\* It makes a smaller node stop whatever it does.
Halt(n, m) ==
  /\ IsAwake(n) /\ status[n] = "halting"
  /\ m < n /\ Answers(n, m)
  /\ status'   = [status EXCEPT ![m] = "election"]
  /\ superior' = [superior EXCEPT ![m] = n]
  /\ UNCHANGED <<paused, beyond>>

\* All smaller nodes have stopped, or are silent.
TakeOver(n) ==
  /\ IsAwake(n) /\ status[n] = "halting"
  /\ SmallerStopped(n)
  /\ status'   = [status EXCEPT ![n] = "normal"]
  /\ superior' = [superior EXCEPT ![n] = n]
  /\ UNCHANGED <<paused, beyond>>

\* The coordinator tells a node that it halted to go on.
Inform(n, m) ==
  /\ IsAwake(n) /\ Coordinates(n)
  /\ Answers(n, m) /\ HasStopped(m, n)
  /\ status' = [status EXCEPT ![m] = "normal"]
  /\ UNCHANGED <<superior, paused, beyond>>

Next ==
  \/ \E n \in Node : Crash(n) \/ Recover(n) \/ Pause(n) \/ Resume(n) \/ Partition(n)
  \/ \E n \in Node : Stand(n) \/ TakeOver(n)
  \/ \E n, m \in Node : Suspect(n, m) \/ CheckMembers(n, m) \/ Halt(n, m) \/ Inform(n, m)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
TypeOK ==
  /\ status \in [Node -> {"down", "election", "halting", "normal"}]
  /\ superior \in [Node -> Node \cup {Nil}]
  /\ paused \subseteq Node /\ beyond \subseteq Node

\* While all is as assumed.  NormalNodesAgree is the paper's Assertion 1.
OneCoordinator == \A a, b \in Node : Coordinates(a) /\ Coordinates(b) => a = b
NormalNodesAgree == \A a, b \in Node :
  status[a] = "normal" /\ status[b] = "normal" => superior[a] = superior[b]
=============================================================================
