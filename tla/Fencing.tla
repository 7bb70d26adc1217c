------------------------------ MODULE Fencing -------------------------------
(***************************************************************************)
(* Fencing tokens: what a resource does about a holder that no longer      *)
(* holds its lock.  A lock is granted with a token, each write carries the *)
(* token of the writer's grant, and the resource keeps the greatest token  *)
(* that it has seen; it compares and writes in one atomic step.            *)
(*                                                                         *)
(* The token of a lock is the log index of its committed acquire entry, or *)
(* a counter of the issuer; the token of what a leader itself writes is    *)
(* its term.  One resource uses one kind.                                  *)
(*                                                                         *)
(* Modelled: clients that pause for any time between grant and write, a    *)
(* network that loses, duplicates, delays and reorders writes, issuers     *)
(* whose last grants are lost in a failover, and the nonce that tells two  *)
(* grants of one token apart.  A client draws a nonce for each acquire.    *)
(* Here the nonce is the client, and a client acquires a lock once: who    *)
(* acquires it again is, here, another client.                             *)
(*                                                                         *)
(* NOT modelled: what is written, a failover of the resource itself (it    *)
(* loses the greatest token, and nothing here survives that), how the      *)
(* issuer agrees on its grants, and time: a lock may expire at any moment. *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS
  Resource,  \* what the locks protect: storages, each with one lock
  Client,    \* those who acquire each lock once, and write
  Nil        \* nobody

ASSUME Nil \notin Client

Token == Nat  \* the tokens that a step may name; 0 is nobody's

\* The issuer.
VARIABLES
  holder,  \* holder[r]: who has the lock of r, as far as the issuer knows, or Nil
  last     \* last[r]: the token of the last grant that the issuer knows of

\* The clients, and the network, which is everything ever sent.  Nobody takes
\* back a token: a client may go on believing that it holds the lock.
VARIABLES
  token,  \* token[r][c]: the token of c's grant, or 0
  sent    \* <<r, t, c>>: c wrote to r with token t

\* The resource.
VARIABLES
  greatest,  \* greatest[r]: the greatest token that r has seen
  nonce      \* nonce[r]: the client whose grant that was, or Nil

issuer  == <<holder, last>>
clients == <<token, sent>>
storage == <<greatest, nonce>>
vars    == <<holder, last, token, sent, greatest, nonce>>

Init ==
  /\ holder   = [r \in Resource |-> Nil]
  /\ last     = [r \in Resource |-> 0]
  /\ token    = [r \in Resource |-> [c \in Client |-> 0]]
  /\ sent     = {}
  /\ greatest = [r \in Resource |-> 0]
  /\ nonce    = [r \in Resource |-> Nil]

-----------------------------------------------------------------------------
\* Guards, named so that each can be talked about, and replaced, alone.

LockIsFree(r)         == holder[r] = Nil
LockIsHeld(r)         == holder[r] # Nil
ClientIsNew(r, c)     == token[r][c] = 0
TokenIsNewer(r, t)    == t > last[r]
GrantsAreLost(r, t)   == t < last[r]
LockWasGranted(r, c)  == token[r][c] > 0
WriteWasSent(r, t, c) == <<r, t, c>> \in sent

\* What the resource asks of a write: no token older than one seen, and one
\* grant a token.
WriteIsCurrent(r, t, c) == \/ t > greatest[r]
                           \/ t = greatest[r] /\ c = nonce[r]

-----------------------------------------------------------------------------
\* The issuer grants the lock.  Tokens may leave numbers out, as log indices do.
Acquire(r, c, t) ==
  /\ LockIsFree(r)
  /\ ClientIsNew(r, c)
  /\ TokenIsNewer(r, t)
  /\ holder' = [holder EXCEPT ![r] = c]
  /\ last'   = [last EXCEPT ![r] = t]
  /\ token'  = [token EXCEPT ![r][c] = t]
  /\ UNCHANGED <<sent, storage>>

\* The holder releases its lock, or the issuer's patience ends.  The holder
\* may never hear of it.
Expire(r) ==
  /\ LockIsHeld(r)
  /\ holder' = [holder EXCEPT ![r] = Nil]
  /\ UNCHANGED <<last, clients, storage>>

\* A new issuer takes over and has lost the last grants (asynchronous
\* replication): it will give out their tokens again.
FailOver(r, t) ==
  /\ GrantsAreLost(r, t)
  /\ holder' = [holder EXCEPT ![r] = Nil]
  /\ last'   = [last EXCEPT ![r] = t]
  /\ UNCHANGED <<clients, storage>>

\* A client writes.  It may have paused: for it, no time has passed.
SendWrite(r, c) ==
  /\ LockWasGranted(r, c)
  /\ sent' = sent \cup {<<r, token[r][c], c>>}
  /\ UNCHANGED <<issuer, token, storage>>

\* A write arrives, now or late or again, and lands: one atomic step.
AcceptWrite(r, t, c) ==
  /\ WriteWasSent(r, t, c)
  /\ WriteIsCurrent(r, t, c)
  /\ greatest' = [greatest EXCEPT ![r] = t]
  /\ nonce'    = [nonce EXCEPT ![r] = c]
  /\ UNCHANGED <<issuer, clients>>

\* A write arrives and changes nothing.
RefuseWrite(r, t, c) ==
  /\ WriteWasSent(r, t, c)
  /\ ~WriteIsCurrent(r, t, c)
  /\ UNCHANGED vars

Next ==
  \/ \E r \in Resource : Expire(r)
  \/ \E r \in Resource, t \in Token : FailOver(r, t)
  \/ \E r \in Resource, c \in Client : SendWrite(r, c)
  \/ \E r \in Resource, t \in Token, c \in Client :
       Acquire(r, c, t) \/ AcceptWrite(r, t, c) \/ RefuseWrite(r, t, c)

Spec == Init /\ [][Next]_vars

\* Clients do not pause for ever, and the network delivers in the end.
EachWrites == \A r \in Resource, c \in Client :
  /\ WF_vars(SendWrite(r, c))
  /\ \A t \in Token : WF_vars(AcceptWrite(r, t, c))

FairSpec == Spec /\ EachWrites

-----------------------------------------------------------------------------
TypeOK ==
  /\ holder \in [Resource -> Client \cup {Nil}] /\ last \in [Resource -> Nat]
  /\ token \in [Resource -> [Client -> Nat]]
  /\ sent \subseteq Resource \X Nat \X Client
  /\ nonce \in [Resource -> Client \cup {Nil}] /\ greatest \in [Resource -> Nat]

\* The lemmas.  What was sent, and what a resource has seen, is a grant.
SentWasGranted == \A r \in Resource, t \in Token, c \in Client :
  WriteWasSent(r, t, c) => token[r][c] = t /\ t > 0
SeenWasGranted == \A r \in Resource, c \in Client :
  nonce[r] = c => token[r][c] = greatest[r] /\ LockWasGranted(r, c)
NothingWasSeen == \A r \in Resource : nonce[r] = Nil => greatest[r] = 0

\* The theorems, whatever the issuer does: accepted writes are in the order of
\* their tokens, and the writes accepted with one token are one holder's.
HistoryIsInTokenOrder == [][\A r \in Resource : greatest'[r] >= greatest[r]]_vars
OneHolderPerToken == [][\A r \in Resource :
  (greatest'[r] = greatest[r] /\ nonce[r] # Nil) => nonce'[r] = nonce[r]]_vars

\* While tokens are unique, that is without FailOver:
\* the issuer knows of each grant, and a token has one client ...
TokenIsKnown == \A r \in Resource, c \in Client : token[r][c] <= last[r]
TokenHasOneClient == \A r \in Resource, a, b \in Client :
  LockWasGranted(r, a) /\ token[r][a] = token[r][b] => a = b

\* ... later grants have greater tokens, so that by HistoryIsInTokenOrder no
\* write of an older holder lands after one of a newer holder ...
TokensGrow == [][\A r \in Resource, c \in Client :
  token'[r][c] # token[r][c] =>
    \A d \in Client \ {c} : token[r][d] < token'[r][c]]_vars

\* ... and the newest holder is never refused.
IsNewest(r, c) == token[r][c] = last[r] /\ last[r] > 0
NewestIsNeverRefused == \A r \in Resource, c \in Client :
  IsNewest(r, c) => WriteIsCurrent(r, token[r][c], c)

\* While tokens are unique, and each writes: so does the newest holder, or a
\* newer one takes its place.
HasWritten(r, c) == nonce[r] = c
NewestWrites == \A r \in Resource, c \in Client :
  IsNewest(r, c) ~> (HasWritten(r, c) \/ last[r] > token[r][c])
=============================================================================
