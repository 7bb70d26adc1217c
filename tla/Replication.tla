----------------------------- MODULE Replication -----------------------------
(***************************************************************************)
(* Log replication in Raft: sections 5.3 and 5.4 and the rest of Figure 2, *)
(* on top of Election.  "receiver 3" cites a line of Figure 2.             *)
(*                                                                         *)
(* Modelled: logs, the comparison of logs in RequestVote, AppendEntries    *)
(* with any number of entries, truncation only where an entry conflicts,   *)
(* commitment by a leader (of entries of its term only) and by followers,  *)
(* and crashes that keep the log and lose the commit index.                *)
(*                                                                         *)
(* What AppendEntries carries is not stored message by message.  A leader  *)
(* only appends, so all that the leader of a term sent is a piece of its   *)
(* log in that term, leaderLog[t]; any piece may arrive at any time, again *)
(* or never.  Of a follower's replies the greatest index is kept: a leader *)
(* that hears less acts as if the others were lost.                        *)
(*                                                                         *)
(* NOT modelled: nextIndex (which piece to send is free), refusals of      *)
(* AppendEntries, applying entries, snapshots, changes of membership, and  *)
(* time.  Only safety is claimed.                                          *)
(***************************************************************************)
EXTENDS Naturals, Sequences

CONSTANTS
  Node,    \* the servers
  Quorum,  \* the sets of servers whose votes elect a leader and commit
  Value,   \* the commands of clients
  Nil      \* votedFor of a server that has not voted in its term

\* As in Election.
VARIABLES term, votedFor, role, votes, requested, granted, heartbeat

\* Durable (Figure 2, State, persistent state on all servers).
VARIABLE log  \* log[n]: the entries of n, each with a term and a value

\* Volatile: lost when a server restarts.
VARIABLE commitIndex  \* commitIndex[n]: how many entries n knows committed

\* The network.
VARIABLES
  lastLogIndex,  \* lastLogIndex[c][t]: in RequestVote of candidate c for t
  lastLogTerm,   \* lastLogTerm[c][t]: likewise
  leaderLog,     \* leaderLog[t]: what the leader of t sends pieces of
  leaderCommit,  \* leaderCommit[t]: the greatest leaderCommit it has sent
  acknowledged   \* acknowledged[n][t]: n replied that it stores so much of it

election == <<term, votedFor, role, votes, requested, granted, heartbeat>>
requests == <<lastLogIndex, lastLogTerm>>
entries  == <<leaderLog, leaderCommit, acknowledged>>
vars     == <<election, log, commitIndex, requests, entries>>

Elect == INSTANCE Election

Term  == Nat  \* the terms that a step may name
Index == Nat  \* the indices that a step may name; 0 is before the first entry
Entry == [term : Nat, value : Value]

Init ==
  /\ Elect!Init
  /\ log          = [n \in Node |-> <<>>]
  /\ commitIndex  = [n \in Node |-> 0]
  /\ lastLogIndex = [n \in Node |-> [t \in Term |-> 0]]
  /\ lastLogTerm  = [n \in Node |-> [t \in Term |-> 0]]
  /\ leaderLog    = [t \in Term |-> <<>>]
  /\ leaderCommit = [t \in Term |-> 0]
  /\ acknowledged = [n \in Node |-> [t \in Term |-> 0]]

-----------------------------------------------------------------------------
\* Logs.

TermAt(l, i) == IF i = 0 THEN 0 ELSE l[i].term
LastTerm(l)  == TermAt(l, Len(l))
Max(i, j)    == IF i < j THEN j ELSE i
Min(i, j)    == IF i < j THEN i ELSE j

-----------------------------------------------------------------------------
\* Guards, named so that each can be talked about, and replaced, alone.

\* Section 5.4.1, of the log that the request tells of.
LogIsUpToDate(voter, c, t) ==
  \/ lastLogTerm[c][t] > LastTerm(log[voter])
  \/ /\ lastLogTerm[c][t] = LastTerm(log[voter])
     /\ lastLogIndex[c][t] >= Len(log[voter])

EntriesWereSent(t, prev, last, commit) ==
  /\ \E l \in Node : Elect!LeaderWasHeard(l, t)
  /\ prev <= last /\ last <= Len(leaderLog[t])
  /\ commit <= leaderCommit[t]

IsFollower(n) == role[n] = "follower"
IsLeader(n)   == role[n] = "leader"

PrefixMatches(n, t, prev) ==
  /\ prev <= Len(log[n])
  /\ TermAt(log[n], prev) = TermAt(leaderLog[t], prev)

SomethingConflicts(n, t, prev, last) ==
  \E i \in prev + 1 .. Min(last, Len(log[n])) :
    log[n][i].term # leaderLog[t][i].term

EntryIsNew(n, i)       == commitIndex[n] < i /\ i <= Len(log[n])
EntryIsOwn(n, i)       == TermAt(log[n], i) = term[n]
QuorumStores(n, i, q)  == \A v \in q : acknowledged[v][term[n]] >= i

-----------------------------------------------------------------------------
\* Elections.  Candidates 1: RequestVote tells of the candidate's last entry.
StartElection(n) ==
  /\ Elect!StartElection(n)
  /\ lastLogIndex' = [lastLogIndex EXCEPT ![n][term[n] + 1] = Len(log[n])]
  /\ lastLogTerm'  = [lastLogTerm EXCEPT ![n][term[n] + 1] = LastTerm(log[n])]
  /\ UNCHANGED <<log, commitIndex, entries>>

\* RequestVote receiver 2: and the candidate's log is as up to date as mine.
GrantVote(voter, candidate, t) ==
  /\ LogIsUpToDate(voter, candidate, t)
  /\ Elect!GrantVote(voter, candidate, t)
  /\ UNCHANGED <<log, commitIndex, requests, entries>>

\* Leaders 1: what the leader of this term may send is the log that it has.
BecomeLeader(n, q) ==
  /\ Elect!BecomeLeader(n, q)
  /\ leaderLog'    = [leaderLog EXCEPT ![term[n]] = log[n]]
  /\ leaderCommit' = [leaderCommit EXCEPT ![term[n]] = commitIndex[n]]
  /\ acknowledged' = [acknowledged EXCEPT ![n][term[n]] = Len(log[n])]
  /\ UNCHANGED <<log, commitIndex, requests>>

\* State: the log is persistent, commitIndex is volatile.
Restart(n) ==
  /\ Elect!Restart(n)
  /\ commitIndex' = [commitIndex EXCEPT ![n] = 0]
  /\ UNCHANGED <<log, requests, entries>>

\* Dissertation 6.2: steps down within the term, at any moment.
GiveUp(n) ==
  /\ ~IsFollower(n)
  /\ role'  = [role EXCEPT ![n] = "follower"]
  /\ votes' = [votes EXCEPT ![n] = {}]
  /\ UNCHANGED <<term, votedFor, requested, granted, heartbeat>>
  /\ UNCHANGED <<log, commitIndex, requests, entries>>

ReplyVote(voter, candidate, t) ==
  /\ Elect!ReplyVote(voter, candidate, t)
  /\ UNCHANGED <<log, commitIndex, requests, entries>>
ReceiveVote(candidate, voter, t) ==
  /\ Elect!ReceiveVote(candidate, voter, t)
  /\ UNCHANGED <<log, commitIndex, requests, entries>>
UpdateTerm(n, t) ==
  /\ Elect!UpdateTerm(n, t)
  /\ UNCHANGED <<log, commitIndex, requests, entries>>
StepDown(n, leader, t) ==
  /\ Elect!StepDown(n, leader, t)
  /\ UNCHANGED <<log, commitIndex, requests, entries>>

-----------------------------------------------------------------------------
\* Leaders 2: a command from a client: append it to the local log.
ClientRequest(n, v) ==
  LET longer == Append(log[n], [term |-> term[n], value |-> v]) IN
  /\ IsLeader(n)
  /\ log'          = [log EXCEPT ![n] = longer]
  /\ leaderLog'    = [leaderLog EXCEPT ![term[n]] = longer]
  /\ acknowledged' = [acknowledged EXCEPT ![n][term[n]] = Len(longer)]
  /\ UNCHANGED <<election, commitIndex, requests, leaderCommit>>

\* AppendEntries receiver 1, 2 and 5, and its reply.  A commit index never
\* falls, whatever an old message says.
Receive(n, t, prev, last, commit) ==
  /\ EntriesWereSent(t, prev, last, commit)
  /\ Elect!TermIsCurrent(n, t)
  /\ IsFollower(n)
  /\ PrefixMatches(n, t, prev)
  /\ commitIndex'  = [commitIndex EXCEPT ![n] = Max(@, Min(commit, last))]
  /\ acknowledged' = [acknowledged EXCEPT ![n][t] = Max(@, last)]
  /\ UNCHANGED <<election, requests, leaderLog, leaderCommit>>

\* Receiver 4: append what is new.  A short, late message shortens nothing.
AppendEntries(n, t, prev, last, commit) ==
  /\ Receive(n, t, prev, last, commit)
  /\ ~SomethingConflicts(n, t, prev, last)
  /\ log' = [log EXCEPT ![n] =
       SubSeq(@, 1, prev) \o SubSeq(leaderLog[t], prev + 1, last)
                          \o SubSeq(@, last + 1, Len(@))]

\* Receiver 3: a conflicting entry goes, and all that follow it.
ReplaceEntries(n, t, prev, last, commit) ==
  /\ Receive(n, t, prev, last, commit)
  /\ SomethingConflicts(n, t, prev, last)
  /\ log' = [log EXCEPT ![n] =
       SubSeq(@, 1, prev) \o SubSeq(leaderLog[t], prev + 1, last)]

\* Leaders 4: a quorum stores an entry of the leader's own term (Figure 8).
AdvanceCommit(n, i, q) ==
  /\ IsLeader(n)
  /\ EntryIsNew(n, i)
  /\ QuorumStores(n, i, q)
  /\ EntryIsOwn(n, i)
  /\ commitIndex'  = [commitIndex EXCEPT ![n] = i]
  /\ leaderCommit' = [leaderCommit EXCEPT ![term[n]] = i]
  /\ UNCHANGED <<election, log, requests, leaderLog, acknowledged>>

Next ==
  \/ \E n \in Node : StartElection(n) \/ Restart(n) \/ GiveUp(n)
  \/ \E n \in Node, t \in Term : UpdateTerm(n, t)
  \/ \E v, c \in Node, t \in Term :
       GrantVote(v, c, t) \/ ReplyVote(v, c, t) \/ ReceiveVote(c, v, t)
  \/ \E n \in Node, q \in Quorum : BecomeLeader(n, q)
  \/ \E n, l \in Node, t \in Term : StepDown(n, l, t)
  \/ \E n \in Node, v \in Value : ClientRequest(n, v)
  \/ \E n \in Node, t \in Term, prev, last, commit \in Index :
       \/ AppendEntries(n, t, prev, last, commit)
       \/ ReplaceEntries(n, t, prev, last, commit)
  \/ \E n \in Node, i \in Index, q \in Quorum : AdvanceCommit(n, i, q)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
TypeOK ==
  /\ Elect!TypeOK
  /\ log \in [Node -> Seq(Entry)] /\ leaderLog \in [Term -> Seq(Entry)]
  /\ commitIndex \in [Node -> Nat] /\ leaderCommit \in [Term -> Nat]
  /\ \A f \in {lastLogIndex, lastLogTerm, acknowledged} :
       f \in [Node -> [Term -> Nat]]

\* An entry was created by the leader of its term, and up to it a log is the
\* log of that leader; so too for the logs of leaders.
IsALeaders(l) == \A i \in 1 .. Len(l) : LET t == l[i].term IN
  /\ t > 0 /\ i <= Len(leaderLog[t]) /\ leaderLog[t][i].term = t
  /\ SubSeq(l, 1, i) = SubSeq(leaderLog[t], 1, i)
LogsAreLeaders ==
  /\ \A n \in Node : IsALeaders(log[n])
  /\ \A t \in Term : IsALeaders(leaderLog[t])

\* Figure 3: a leader never takes back what it has announced in its term.
LeaderAppendOnly == \A n \in Node : IsLeader(n) => log[n] = leaderLog[term[n]]

\* Nobody has confirmed more than there is.
AcknowledgedWasSent == \A n \in Node, t \in Term :
  acknowledged[n][t] <= Len(leaderLog[t])

\* A commit index speaks of entries that are there.
CommitIndexIsInLog == \A n \in Node : commitIndex[n] <= Len(log[n])

-----------------------------------------------------------------------------
\* The theorems of Figure 3.

ElectionSafety == Elect!ElectionSafety

LogMatching == \A a, b \in Node : \A i \in 1 .. Min(Len(log[a]), Len(log[b])) :
  log[a][i].term = log[b][i].term =>
    SubSeq(log[a], 1, i) = SubSeq(log[b], 1, i)

\* What a leader knows committed is in the logs of all later leaders.
LeaderCompleteness == \A n \in Node, t, u \in Term :
  Elect!LeaderWasHeard(n, u) /\ t <= u =>
    /\ leaderCommit[t] <= Len(leaderLog[u])
    /\ SubSeq(leaderLog[u], 1, leaderCommit[t])
         = SubSeq(leaderLog[t], 1, leaderCommit[t])

StateMachineSafety == \A a, b \in Node :
  LET i == Min(commitIndex[a], commitIndex[b]) IN
  SubSeq(log[a], 1, i) = SubSeq(log[b], 1, i)
=============================================================================
