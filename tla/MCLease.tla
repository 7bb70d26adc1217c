------------------------------- MODULE MCLease -------------------------------
(***************************************************************************)
(* Lease, bounded for TLC as MCElection bounds Election.  Stopwatches are  *)
(* compared with Lease and Promise alone, so whatever is above all of the  *)
(* parameters is shown as MaxElapsed, the greatest of them: nothing is     *)
(* lost, and time needs no last moment.                                    *)
(***************************************************************************)
EXTENDS Lease, FiniteSets, TLC

CONSTANTS
  MaxTerm,    \* no server goes beyond this term
  MaxElapsed  \* the greatest of Lease, Promise, Slow and Fast

BoundedTerm == 0..MaxTerm
CappedTime  == 0..MaxElapsed
Longest     == MaxElapsed
CappedPlus(x, d) == IF x + d < MaxElapsed THEN x + d ELSE MaxElapsed

\* A step out of the bound is dropped; the state that it leaves is kept.
TermIsBounded ==
  /\ \A n \in Node : term'[n] <= MaxTerm
  /\ \A m \in timeoutNow' : m[3] <= MaxTerm

\* For Quorum in a .cfg.
Majority == {q \in SUBSET Node : Cardinality(q) = Cardinality(Node) \div 2 + 1}

\* For SYMMETRY; sound only if Quorum is symmetric too, as Majority is.
Symmetry == Permutations(Node)

-----------------------------------------------------------------------------
\* Witnesses: states that must be reached, lest the claims hold vacuously.
\* Each is denied here, and TLC must find the denial violated.

NoLeaseIsHeld == \A n \in Node : ~HoldsLease(n)

\* A lease is held while an old leader has not noticed.
NoLeaseBesideAnOldLeader == \A n, old \in Node :
  ~(HoldsLease(n) /\ IsALeader(old) /\ term[old] < term[n])

\* A leader had a lease, it ran out, and another was elected.
NoLeaderAfterALease == \A n, new \in Node, q \in Quorum :
  ~(/\ IsALeader(n) /\ ~leaseIsVoid[n]
    /\ \A v \in q \ {n} : \E k \in Round : <<v, n, term[n], k>> \in acknowledged
    /\ IsALeader(new) /\ term[n] < term[new])

\* A voter promised, waited, and voted for another.
NoPromiseRanOut == \A v, n, c \in Node, t \in Term, k \in Round :
  ~(/\ t < term[v] /\ <<v, n, t, k>> \in acknowledged
    /\ v # c /\ votedFor[v] = c /\ ~WasForced(c, term[v]))

\* A leader handed over, and a voter helped although its promise still ran.
NoTransferWithinPromises == \A l, c, v \in Node, k \in Round, t \in Term :
  ~(/\ IsALeader(c) /\ <<l, c, term[c]>> \in forced /\ v # c
    /\ t + 1 = term[c] /\ <<v, l, t, k>> \in acknowledged
    /\ <<v, term[c], c>> \in granted /\ ~PromiseRanOut(v))

-----------------------------------------------------------------------------
\* Bugs.  MCLease_bug_*.cfg replaces a guard or an action of Lease by one of
\* these, and TLC must find NoNewerLeader violated.

\* drift_ignored: the lease is as long as the promise.
AnyLength == TRUE

\* candidate: a voter stands itself in spite of its promise.
\* voter: it votes in spite of its promise.
AnyCandidate(n) == TRUE
AnyVoter(v, c, t) == TRUE

\* forgotten_promise: a restarted voter does not wait.
RestartAtOnce(n) ==
  /\ Raft!Restart(n)
  /\ ForgetLeading(n)
  /\ sincePromise' = [sincePromise EXCEPT ![n] = LongAgo]
  /\ UNCHANGED netVars

\* taken_again: a leader gives up a transfer and takes its lease again.
AbandonTransfer(n) ==
  /\ IsALeader(n)
  /\ leaseIsVoid' = [leaseIsVoid EXCEPT ![n] = FALSE]
  /\ UNCHANGED <<raftVars, timeVars, netVars>>
TakenAgain == Init /\ [][Next \/ \E n \in Node : AbandonTransfer(n)]_vars

\* ticks: a clock that a pause stops is within no bound of the others.
AnyDrift(e) == TRUE

\* kept_in_transfer: a leader that hands over goes on to rely on its lease.
TransferAndKeep(n, target) ==
  /\ IsALeader(n)
  /\ timeoutNow' = timeoutNow \cup {<<n, target, term[n] + 1>>}
  /\ UNCHANGED <<raftVars, timeVars, leaseIsVoid, sent, acknowledged, forced>>

\* from_receipt: the leader counts from when an acknowledgement arrives.
\* (Here from a duplicate of it as well: one arrival is enough to fail.)
ReceiveAcknowledgement(n, v, k) ==
  /\ IsALeader(n)
  /\ <<v, n, term[n], k>> \in acknowledged
  /\ sinceSent' = [sinceSent EXCEPT ![n][k] = 0]
  /\ UNCHANGED <<raftVars, sincePromise, leaseIsVoid, netVars>>
FromReceipt == Init /\ [][Next \/ \E n, v \in Node, k \in Round :
                                    ReceiveAcknowledgement(n, v, k)]_vars
=============================================================================
