"""What a step of a server answers to: a timer, a message, a client, a crash."""

from __future__ import annotations

from dataclasses import dataclass

from oneleader.conformance.adapter import Observed


@dataclass(frozen=True)
class Prompt:
    """`what` is the verb of the event (see `trial.py`), "receive" for a message.

    sender     who sent it
    said       what the sender showed when it left
    why        what the sender did when it left: "stood" for election, "won" it, or the verb of the event
    time       how many events have happened so far in which time passed
    to_leader  of which term the sender was answering a leader's message, or None
    is_answer  what is said may be an answer to the receiver's candidacy; taken to be so where unknown
    """

    what: str
    sender: str = ""
    said: Observed | None = None
    is_answer: bool = True
    why: str = ""
    time: int = 0
    to_leader: int | None = None

    @property
    def restarts(self) -> bool:
        return self.what == "restart"
