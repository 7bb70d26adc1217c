------------------------------ MODULE System -------------------------------
(***************************************************************************)
(* The composition: an elected leader takes a lease, has a token and       *)
(* writes to the storage.  Four cures of the incident, each of which may   *)
(* be off:                                                                 *)
(*                                                                         *)
(*   "quorum"   off: any one voter is a quorum                             *)
(*   "terms"    off: terms are neither carried nor compared, and each      *)
(*              leader counts its own tokens                               *)
(*   "lease"    off: a leader acts by its role                             *)
(*   "fencing"  off: the storage accepts everything                        *)
(*                                                                         *)
(* What the other modules prove is a rule here: a quorum's votes are one   *)
(* step (Election), the promises that a lease rests on outlast it (Lease), *)
(* and the storage compares and writes in one step (Fencing).              *)
(*                                                                         *)
(* Any time may pass between any two steps, and a message that is lost is  *)
(* a step that is not taken.                                               *)
(*                                                                         *)
(* NOT modelled: the log, clocks, elections that fail, transfer of         *)
(* leadership, and liveness.                                               *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS
  Node,    \* the servers
  Quorum,  \* sets of servers, any two of which meet
  Off,     \* the cures that are missing
  Nil      \* no lease

Cures == {"quorum", "terms", "lease", "fencing"}

ASSUME /\ Quorum \subseteq SUBSET Node
       /\ \A p, q \in Quorum : p \cap q # {}
       /\ Off \subseteq Cures

\* The servers.
VARIABLES
  term,      \* term[n]: the latest that n knows of; without terms, how often it was elected
  leads,     \* those who take themselves to be the leader
  lease,     \* lease[n]: the quorum whose promises n's lease rests on, or Nil
  promised,  \* <<v, n>>: v has promised n to elect nobody for a while
  pending    \* pending[n]: the token of a write that n decided on and that has not arrived, or 0

\* The storage.
VARIABLE
  greatest   \* the greatest token that it has seen

vars == <<term, leads, lease, promised, pending, greatest>>

Init ==
  /\ term     = [n \in Node |-> 0]
  /\ leads    = {}
  /\ lease    = [n \in Node |-> Nil]
  /\ promised = {}
  /\ pending  = [n \in Node |-> 0]
  /\ greatest = 0

-----------------------------------------------------------------------------
On(cure) == cure \notin Off

\* The server itself and, with quorums, all of this one.
Voters(n, q) == {n} \cup (IF On("quorum") THEN q ELSE {})

\* Those whose term becomes n's, when these have heard from n.
Carried(n, q) == {n} \cup (IF On("terms") THEN Voters(n, q) ELSE {})

\* Guards, named so that each can be talked about, and replaced, alone.
IsLeader(n)            == n \in leads
NoLaterTerm(n, q)      == On("terms") => \A v \in Voters(n, q) : term[v] <= term[n]
NobodyPromised(n, q)   == On("lease") =>
                            \A v \in Voters(n, q), m \in Node : <<v, m>> \notin promised
NobodyElseLeads(n, q)  == \A v \in Voters(n, q) : IsLeader(v) => v = n
RestsOn(n, v)          == lease[n] # Nil /\ v \in Voters(n, lease[n])
MayAct(n)              == IsLeader(n) /\ (On("lease") => lease[n] # Nil)
TokenIsNotOlder(n)     == pending[n] >= greatest
StorageAccepts(n)      == On("fencing") => TokenIsNotOlder(n)

-----------------------------------------------------------------------------
\* A server stands and gets its quorum's votes.  Whoever votes for another
\* follows it.
Elect(n, q) ==
  /\ ~IsLeader(n)
  /\ NoLaterTerm(n, q)
  /\ NobodyPromised(n, q)
  /\ term'  = [v \in Node |-> IF v \in Carried(n, q) THEN term[n] + 1 ELSE term[v]]
  /\ leads' = (leads \ Voters(n, q)) \cup {n}
  /\ lease' = [v \in Node |-> IF v \in Voters(n, q) THEN Nil ELSE lease[v]]
  /\ UNCHANGED <<promised, pending, greatest>>

\* A server hears of a later term.
StepDown(n, m) ==
  /\ On("terms")
  /\ term[n] < term[m]
  /\ term'  = [term EXCEPT ![n] = term[m]]
  /\ leads' = leads \ {n}
  /\ lease' = [lease EXCEPT ![n] = Nil]
  /\ UNCHANGED <<promised, pending, greatest>>

\* A crash loses what the server was about to do, not its term and promises.
Restart(n) ==
  /\ leads'   = leads \ {n}
  /\ lease'   = [lease EXCEPT ![n] = Nil]
  /\ pending' = [pending EXCEPT ![n] = 0]
  /\ UNCHANGED <<term, promised, greatest>>

\* Heartbeats, and a quorum that answers them and promises to wait.
TakeLease(n, q) ==
  /\ On("lease")
  /\ IsLeader(n)
  /\ NoLaterTerm(n, q)
  /\ NobodyElseLeads(n, q)
  /\ lease'    = [lease EXCEPT ![n] = q]
  /\ promised' = promised \cup {<<v, n>> : v \in Voters(n, q)}
  /\ term'     = [v \in Node |-> IF v \in Carried(n, q) THEN term[n] ELSE term[v]]
  /\ UNCHANGED <<leads, pending, greatest>>

\* The lease runs out on the leader's clock ...
EndLease(n) ==
  /\ lease[n] # Nil
  /\ lease' = [lease EXCEPT ![n] = Nil]
  /\ UNCHANGED <<term, leads, promised, pending, greatest>>

\* ... and the promise on the voter's, which is after any lease that rests on it.
EndPromise(v, n) ==
  /\ <<v, n>> \in promised
  /\ ~RestsOn(n, v)
  /\ promised' = promised \ {<<v, n>>}
  /\ UNCHANGED <<term, leads, lease, pending, greatest>>

\* A leader finds that it may act, and decides to write.
DecideWrite(n) ==
  /\ MayAct(n)
  /\ pending' = [pending EXCEPT ![n] = term[n]]
  /\ UNCHANGED <<term, leads, lease, promised, greatest>>

\* The write arrives; with fencing the storage compares its token.
Write(n) ==
  /\ pending[n] > 0
  /\ StorageAccepts(n)
  /\ greatest' = IF On("fencing") THEN pending[n] ELSE greatest
  /\ pending'  = [pending EXCEPT ![n] = 0]
  /\ UNCHANGED <<term, leads, lease, promised>>

Next ==
  \/ \E n \in Node : Restart(n) \/ EndLease(n) \/ DecideWrite(n) \/ Write(n)
  \/ \E n \in Node, q \in Quorum : Elect(n, q) \/ TakeLease(n, q)
  \/ \E n, m \in Node : StepDown(n, m) \/ EndPromise(n, m)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
TypeOK ==
  /\ term \in [Node -> Nat] /\ leads \subseteq Node
  /\ lease \in [Node -> Quorum \cup {Nil}]
  /\ promised \subseteq Node \X Node
  /\ pending \in [Node -> Nat] /\ greatest \in Nat

\* The theorems of which no history is needed.  The others, of writes, are in
\* MCSystemHistory.
OneLeaderPerTerm == \A a, b \in Node :
  IsLeader(a) /\ IsLeader(b) /\ term[a] = term[b] => a = b
OneActingLeader == \A a, b \in Node : MayAct(a) /\ MayAct(b) => a = b
=============================================================================
