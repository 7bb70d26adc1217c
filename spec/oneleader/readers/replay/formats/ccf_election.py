"""ccf_election: one line of a CCF recording, from one state of the election model.

Term and role on *every* line must be those of the model; a step is taken where the table says.

| function                    | actions tried                         | beside term and role           |
|-----------------------------|---------------------------------------|--------------------------------|
| a node's first line         | none: it states where the node starts | see Beginning                  |
| become_candidate            | start_election                        |                                |
| become_leader               | become_leader, by a majority of       |                                |
|                             | each of its `configurations`          |                                |
| become_follower, newer term | update_term                           |                                |
| become_follower, same term  | step_down of a candidate that has     |                                |
|                             | heard the leader; else restart        |                                |
| become_pre_vote_candidate,  | restart, of a candidate or leader     |                                |
| leadership state None       |                                       |                                |
| send_request_vote           | none                                  | it is a candidate in this term |
| recv_request_vote           | none                                  | its sender stood in its term   |
| send_request_vote_response  | grant_vote, reply_vote                | the request came               |
| recv_request_vote_response  | receive_vote, by a candidate in its   | the voter received the request |
|                             | term; before it grant_vote and        |                                |
|                             | reply_vote, if no line shows them     |                                |
| send_append_entries         | none                                  | it leads this term             |
| recv_append_entries         | none                                  | its sender led its term        |
| send_append_entries_        | none                                  | the term that it confirms      |
| response that agrees        |                                       | entries in is its own          |
| all others                  | none                                  |                                |

What is inferred, and no more
- Votes. CCF's lines do not show `voted_for`, and today none shows that a vote is granted. So it is
  granted where the reply arrives. A voter that leaves the term before may have voted for anybody whose
  request it had received: each is a candidate state. That it granted nothing needs none: a vote that was
  sent only ever enables, and the voter's own vote ends with the term.
- Giving up: check-quorum, a candidate that stops and a server that is retired lose role and votes and keep
  the vote. The model has no action of that name; what is lost is what `restart` loses.
- Beginning. The first line of a node says in which term it is, and that is taken as given. One that leads
  there, or leads at once without an election, is the first of a service: it elects itself. Of a node that
  begins as a candidate, or votes in a term that it began in, nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn

from oneleader.language.sorts import NIL
from oneleader.models.election import CANDIDATE, FOLLOWER, LEADER
from oneleader.readers.replay.candidates import Candidate, LineRefused, NotModelled
from oneleader.readers.replay.formats.ccf_lines import CcfLine
from oneleader.readers.replay.formats.etcd import agree, majorities

BEFORE = "before"  # who stood in the terms that nodes begin in


def leads_at_once(s: Candidate, line: CcfLine) -> bool:
    """The first node of a service, which has been in no election."""
    return line.function == "become_leader" and bool(s.get("term", line.node) == 0 < line.term)


class CcfElection:
    """One line from one candidate state, by the actions of `election`: `take` changes the state."""

    def __init__(self, s: Candidate, line: CcfLine) -> None:
        self.s, self.line, self.n = s, line, line.node

    def take(self) -> None:
        """The steps that the line stands for; LineRefused where they or what it shows disagree."""
        if self.s.get("began", self.n) is None:
            self.begin()
        else:
            self.become()
        self.compare()
        if self.line.function in HANDLERS and not self.line.is_pre_vote:
            HANDLERS[self.line.function](self)

    def compare(self) -> None:
        line, n = self.line, self.n
        agree(f"term[{n}]", line.term, self.s.get("term", n))
        if line.role is not None:
            agree(f"role[{n}]", line.role, self.s.get("role", n))

    # -- beginning and becoming ----------------------------------------------------------------------
    def begin(self) -> None:
        s, line, n = self.s, self.line, self.n
        stands = line.function == "become_candidate"
        if line.role == CANDIDATE and not stands:
            raise NotModelled(
                f"{n} begins as a candidate of term {line.term}: what came before is not recorded"
            )
        s.put("began", n, line.term - stands)
        if line.role == LEADER:
            return self.lead_at_once()
        self.start_in(line.term - stands)
        return self.s.act("start_election", n) if stands else None

    def start_in(self, term: int) -> None:
        """The node's term is taken from the recording; somebody stood in it."""
        self.s.start("term", self.n, term)
        if term:
            self.s.start("requested", (BEFORE, term), True)

    def lead_at_once(self) -> None:
        """The first node of a service: it is all of the configuration that elects it."""
        self.start_in(max(self.line.term - 1, 0))
        self.s.act("start_election", self.n)
        self.s.act("become_leader", self.n, frozenset({self.n}))

    def become(self) -> None:
        """The step of a line that says what the node becomes."""
        s, line, n = self.s, self.line, self.n
        gives_up = line.has_no_role or line.function == "become_pre_vote_candidate"
        if line.function == "become_candidate":
            s.act("start_election", n)
        elif leads_at_once(s, line):
            self.lead_at_once()
        elif line.function == "become_leader":
            s.act("become_leader", n, majorities(s, n, [one.nodes for one in line.conf]))
        elif line.function == "become_follower":
            self.follow()
        elif gives_up and s.get("role", n) != FOLLOWER:
            s.act("restart", n)

    def follow(self) -> None:
        """Figure 2, All Servers 2 and Candidates 3; or it gives up."""
        s, line, n = self.s, self.line, self.n
        leader, term = s.get("heard", n) or ("", None)
        if line.term > s.get("term", n):
            s.act("update_term", n, line.term)
        elif s.get("role", n) == CANDIDATE and term == line.term:
            s.act("step_down", n, leader, term)
        elif s.get("role", n) != FOLLOWER:
            s.act("restart", n)

    # -- messages --------------------------------------------------------------------------------------
    def send_request(self) -> None:
        agree("the term of the request", self.line.packet_term, self.line.term)
        if self.line.role != CANDIDATE:
            raise LineRefused(f"{self.n} asks for votes in term {self.line.term} and is no candidate in it")

    def send_entries(self) -> None:
        agree("the term of the entries", self.line.packet_term, self.line.term)
        if self.line.role != LEADER:
            raise LineRefused(f"{self.n} sends entries in term {self.line.term} and does not lead it")

    def send_confirmation(self) -> None:
        """A reply that agrees carries the term of its sender; one that rejects tells of an entry's."""
        if self.line.acknowledged is not None:
            agree("the term of the reply", self.line.packet_term, self.line.term)

    def receive_request(self) -> None:
        """Whether it votes shows later, if at all."""
        s, n, candidate, t = self.s, self.n, self.line.other, self.line.packet_term
        if not (self.is_from_before(candidate, t) or s.get("requested", (candidate, t))):
            self.refuse_unsent(f"{candidate} has not stood in term {t}", "become_candidate")
        asked = s.get("asked", (n, t)) or ()
        if t >= self.line.term and candidate not in asked:
            s.put("asked", (n, t), (*asked, candidate))

    def receive_entries(self) -> None:
        s, leader, t = self.s, self.line.other, self.line.packet_term
        if s.get("heartbeat", (leader, t)):
            s.put("heard", self.n, (leader, t))
        elif not self.is_from_before(leader, t):
            self.refuse_unsent(f"{leader} has not led term {t}", "become_leader")

    def refuse_unsent(self, why: str, cause: str) -> NoReturn:
        refused = LineRefused(f"{self.n} receives what nobody has sent: {why}")
        refused.unsent = cause, self.line.other, self.line.packet_term
        raise refused

    def is_from_before(self, node: str, term: int) -> bool:
        """Whether the node may have sent something of that term before its first line."""
        began = self.s.get("began", node)
        if began is None:
            raise NotModelled(f"no line of {node} comes before this one, which receives its message")
        return bool(term <= began)

    def send_reply(self) -> None:
        """A rejection may answer an earlier request, so it says nothing of a later one."""
        self.s.put("replies", self.n, True)
        if self.line.granted:
            agree("the term of the vote", self.line.packet_term, self.line.term)
            grant(self.s, self.n, self.line.other, self.line.term)

    def receive_reply(self) -> None:
        """Section 5.2: a vote is collected in its term; one that comes later changes nothing."""
        s, line, n = self.s, self.line, self.n
        voter, t = line.other, line.packet_term
        if not line.granted:
            return
        if s.get("replies", voter) and not s.get("granted", (voter, t, n)):
            raise LineRefused(f"{voter} has not sent its vote of term {t} to {n}")
        grant(s, voter, n, t)
        if s.get("role", n) == CANDIDATE and line.term == t:
            s.act("receive_vote", n, voter, t)


HANDLERS: dict[str, Callable[[CcfElection], None]] = {
    "send_request_vote": CcfElection.send_request,
    "recv_request_vote": CcfElection.receive_request,
    "send_request_vote_response": CcfElection.send_reply,
    "recv_request_vote_response": CcfElection.receive_reply,
    "send_append_entries": CcfElection.send_entries,
    "recv_append_entries": CcfElection.receive_entries,
    "send_append_entries_response": CcfElection.send_confirmation,
}


# -- votes ---------------------------------------------------------------------------------------------------
def explanations(before: Candidate, line: CcfLine) -> Iterator[Candidate]:
    """The states after the line: one for each candidate that a vote may have gone to unseen."""
    for after in unseen_votes(before, line):
        CcfElection(after, line).take()
        yield after


def unseen_votes(before: Candidate, line: CcfLine) -> Iterator[Candidate]:
    """Copies of the state, in each of which a node that leaves its term has voted, if it may have."""
    n, t = line.node, before.get("term", line.node)
    leaves = line.function in ("become_candidate", "become_follower") and line.term > t
    is_free = before.get("voted_for", n) is NIL and not before.get("replies", n)
    asked = before.get("asked", (n, t)) if leaves and is_free else None
    for candidate in asked or ("",):
        after = before.copy()
        if candidate:
            grant(after, n, candidate, t)
        yield after


def grant(s: Candidate, voter: str, candidate: str, t: int) -> None:
    """The vote and its reply, unless they are known already."""
    if s.get("granted", (voter, t, candidate)):
        return
    began = s.get("began", voter)
    if candidate not in (s.get("asked", (voter, t)) or ()):
        if began is None or t <= began:
            raise NotModelled(f"what {voter} did in term {t} is not recorded, and its vote is counted")
        raise LineRefused(f"{voter} votes for {candidate} in term {t}, and has not received its request")
    s.act("grant_vote", voter, candidate, t)
    s.act("reply_vote", voter, candidate, t)
