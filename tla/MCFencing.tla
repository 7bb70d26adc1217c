----------------------------- MODULE MCFencing ------------------------------
(***************************************************************************)
(* Fencing, bounded for TLC.  A .cfg gives Resource, Client, Nil and       *)
(* MaxToken, and replaces Token (Nat, which TLC cannot enumerate) by       *)
(* BoundedToken: no step leaves it, since Acquire names its token.         *)
(***************************************************************************)
EXTENDS Fencing, TLC

CONSTANT MaxToken  \* the greatest token that is given out

BoundedToken == 0..MaxToken

\* For SYMMETRY.
Symmetry == Permutations(Client) \cup Permutations(Resource)

\* For FailOver in a .cfg: tokens are unique.
NoFailOver(r, t) == FALSE

-----------------------------------------------------------------------------
\* Witnesses: states that must be reached, lest the claims hold vacuously.
\* Each is denied here, and TLC must find the denial violated.

\* A write that was sent would be refused.
NoWriteIsStale == \A r \in Resource, t \in Token, c \in Client :
  WriteWasSent(r, t, c) => t >= greatest[r]

\* A client that paused writes, and a newer holder has written before.
NoLateWrite == [][\A r \in Resource, t \in Token, c \in Client :
  t < greatest[r] => ~(<<r, t, c>> \in sent' \ sent)]_vars

\* After a failover two clients have written with one token.
NoDuplicates == \A r \in Resource, t \in Token, a, b \in Client :
  WriteWasSent(r, t, a) /\ WriteWasSent(r, t, b) /\ t = greatest[r] => a = b

\* What fencing cannot give: a write lands although its writer is not the
\* holder any more.  Somebody else is, and has not written yet.
LandsTooLate(r, t, c) ==
  /\ AcceptWrite(r, t, c)
  /\ t < last[r] /\ holder[r] \notin {c, Nil}
  /\ ~HasWritten(r, holder[r])
NoOldHolderWrites == [][\A r \in Resource, t \in Token, c \in Client :
  ~LandsTooLate(r, t, c)]_vars

-----------------------------------------------------------------------------
\* Bugs.  MCFencing_bug_*.cfg replaces a guard or an action of Fencing by one
\* of these, and TLC must find a theorem violated.

\* no_comparison: the resource takes every write.
AnyWrite(r, t, c) == TRUE

\* no_nonce: the resource does not tell two grants of one token apart.
TokenIsNotOlder(r, t, c) == t >= greatest[r]

\* strictly_greater: the resource refuses the second write of a grant.
TokenIsGreater(r, t, c) == t > greatest[r]

\* same_token: the issuer gives out its last token again.
TokenIsNotSmaller(r, t) == t >= last[r] /\ t > 0
=============================================================================
