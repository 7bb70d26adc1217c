"""Contracts of the core, for a second opinion by CrossHair: `make crosshair`.

CrossHair runs the functions on symbolic values of its own, with another tracing than `readers.paths`. Each
contract is written here once more, from the paper and not from the model. It looks for a counterexample for
as long as it is given; "no issues" means that it found none. `test_crosshair.py` sees it find a fault.
"""

from __future__ import annotations

from dataclasses import replace

from oneleader_raft.configuration import initial
from oneleader_raft.fencing import Storage
from oneleader_raft.lease import Clocks, Round, lease_holds, promise_ran_out
from oneleader_raft.raft import (
    AppendEntries,
    Entry,
    Node,
    RequestVote,
    Role,
    VoteReply,
    on_request_vote,
    on_vote_reply,
    store_entries,
)

MEMBERS = ("n1", "n2", "n3")


def voter(term: int, voted_for: str | None, log: list[int], promised_at: int) -> Node:
    entries = tuple(Entry(t, "x") for t in log)
    return Node("n1", initial(MEMBERS), Clocks(150), term, voted_for, entries, promised_at=promised_at)


def one_vote_a_term(
    term: int,
    voted_for: str | None,
    log: list[int],
    promised_at: int,
    asked: int,
    last: int,
    at: int,
    now: int,
) -> tuple[Node, Node]:
    """Figure 2, RequestVote 2: a vote that was given is not taken back, and goes to nobody else.

    pre: 0 < term and asked <= term and len(log) <= 2 and voted_for in (None, "n2", "n3")
    post: __return__[0].voted_for in (None, __return__[1].voted_for)
    """
    before = voter(term, voted_for, log, promised_at)
    return before, on_request_vote(before, RequestVote(asked, "n2", at, last), now).node


def only_up_to_date_logs(term: int, log: list[int], last: int, at: int) -> bool:
    """Section 5.4.1: the vote goes to a log with a later last term, or of the same and as long.

    pre: 0 < term and len(log) <= 2 and all(0 < t <= term for t in log) and 0 <= last <= term and 0 <= at
    post: __return__
    """
    before = voter(term, None, log, -1000)
    granted = on_request_vote(before, RequestVote(term, "n2", at, last), 0).node.voted_for == "n2"
    own = log[-1] if log else 0
    return not granted or last > own or (last == own and at >= len(log))


def no_vote_within_a_promise(term: int, promised_at: int, now: int) -> bool:
    """Dissertation 4.2.3: for as long as the promise lasts, on the own clock.

    pre: 0 < term
    post: __return__
    """
    before = voter(term, None, [], promised_at)
    granted = on_request_vote(before, RequestVote(term, "n2", 0, 0), now).node.voted_for == "n2"
    return not granted or now >= promised_at + 150


def a_majority_elects(term: int, replies: list[tuple[int, str, bool]]) -> bool:
    """Candidates 2: a leader has the votes of two of three, of its own term, itself counted.

    pre: 0 < term and len(replies) <= 2 and all(r[1] in ("n1", "n2", "n3") for r in replies)
    post: __return__
    """
    node = replace(voter(term, "n1", [], -1000), role=Role.CANDIDATE, votes=frozenset({"n1"}))
    for t, who, granted in replies:
        node = on_vote_reply(node, VoteReply(t, who, granted), 0).node
    voters = {"n1"} | {who for t, who, granted in replies if granted and t == term}
    return (node.role is Role.LEADER) == (len(voters) >= 2)


def logs_match_up_to_what_was_sent(log: list[int], prev: int, prev_term: int, new: list[int]) -> bool:
    """Log Matching: after a success the follower has exactly what was sent, behind the same entry.

    pre: len(log) <= 2 and len(new) <= 2 and 0 <= prev <= 2 and all(t > 0 for t in log + new)
    pre: prev > 0 or prev_term == 0
    post: __return__
    """
    before = voter(9, None, log, 0)
    m = AppendEntries(9, "n2", prev, prev_term, tuple(Entry(t, "x") for t in new), 0, Round(1, 0))
    taken = store_entries(before, m)
    if not taken.actions:
        return taken.node.log == before.log
    has = [entry.term for entry in taken.node.log]
    return has[prev : prev + len(new)] == new and (prev == 0 or has[prev - 1] == prev_term)


def a_lease_ends_before_the_promise(promise: int, slow: int, fast: int, x: int, y: int) -> bool:
    """While a lease lasts on the slowest clock, a promise lasts on the fastest: x and y are what they show.

    pre: 0 < promise < 100 and 0 < slow <= fast < 100 and 0 <= x and 0 <= y
    pre: slow * y <= fast * x
    post: __return__
    """
    clocks = Clocks(promise, slow, fast)
    return not lease_holds(clocks, 0, x) or not promise_ran_out(clocks, 0, y)


def tokens_do_not_fall(token: int, nonce: int, writes: list[tuple[int, int]]) -> bool:
    """A storage never accepts an older token, and of one token one grant only.

    pre: len(writes) <= 3
    post: __return__
    """
    storage = Storage(token, nonce)
    for t, n in writes:
        after = storage.write(t, n, "v")
        if after.token < storage.token or (after.token == storage.token and after.nonce != storage.nonce):
            return False
        storage = after
    return True
