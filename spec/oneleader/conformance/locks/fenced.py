"""The model `fencing` beside a lock: is what it did a run of the model?

Each grant is a client of the model, by the name of the grant, and there is one resource. An issuer's patience
may have ended (`expire`) once time has passed since it granted or renewed. A write that is refused without
need is refused by the model too, unless the grant's time may be over: then it need not have been sent.
"""

from __future__ import annotations

from collections.abc import Callable

from oneleader.conformance.adapter import May
from oneleader.conformance.following import grounds
from oneleader.conformance.judge import StepRefused, refused
from oneleader.language.sorts import NIL
from oneleader.models import fencing
from oneleader.readers.replay.candidates import Candidate, LineRefused

RESOURCE = "the resource"


class FencingJudge:
    """Follows one run of a lock. Each method is told what has happened to a grant, by its name."""

    def __init__(self) -> None:
        self.candidates = grounds(fencing.MODEL, ()).fresh()
        self.no_word: set[May] = set()
        self.overdue: set[str] = set()  # whose time may be over

    def granted(self, name: str, token: int) -> None:
        def step(s: Candidate) -> None:
            if s.get("holder", RESOURCE) in self.overdue:
                s.act("expire", RESOURCE)
            s.act("acquire", RESOURCE, name, token)

        self.follow(f"{name} was granted token {token}", step)

    def failed_over(self, last: int) -> None:
        """`last`: the greatest token that the issuer still knows of."""
        self.follow("the issuer has lost a grant", lambda s: s.act("fail_over", RESOURCE, last))

    def time_passed(self, names: set[str]) -> None:
        self.overdue |= names

    def renewed(self, name: str) -> None:
        def step(s: Candidate) -> None:
            if s.get("holder", RESOURCE) != name:
                raise LineRefused(f"renew: {name} is renewed, and for the model it is over")

        self.follow(f"{name} was renewed", step)
        self.overdue.discard(name)

    def released(self, name: str) -> None:
        def step(s: Candidate) -> None:
            if s.get("holder", RESOURCE) == name:
                s.act("expire", RESOURCE)

        self.follow(f"{name} was released", step)

    def arrived(self, name: str, token: int, is_accepted: bool) -> None:
        def step(s: Candidate) -> None:
            if not s.get("sent", (RESOURCE, token, name)):
                s.act("send_write", RESOURCE, name)
            if is_accepted:
                s.act("accept_write", RESOURCE, token, name)
            elif self.is_stale(s, name, token) or name not in self.overdue:
                s.act("refuse_write", RESOURCE, token, name)

        what = "accepted" if is_accepted else "refused"
        self.follow(f"a write of {name}, with token {token}, was {what}", step)

    def is_stale(self, s: Candidate, name: str, token: int) -> bool:
        seen = s.get("greatest", RESOURCE)
        return bool(token < seen or (token == seen and s.get("nonce", RESOURCE) not in (NIL, name)))

    def follow(self, words: str, step: Callable[[Candidate], None]) -> None:
        def explain(before: Candidate) -> list[Candidate]:
            after = before.copy()
            step(after)
            return [after]

        try:
            self.candidates.follow(explain)
        except LineRefused as why:
            raise refusal(words, why) from None


def refusal(words: str, why: LineRefused) -> StepRefused:
    if why.guard:
        action = why.action.partition("(")[0]
        wants = f"the model would need  {why.action}"
        return refused(f"{action}: {why.guard}", words, wants, f"which it forbids: {why.guard}")
    return refused(f"observation: {why.text.partition(':')[0]}", words, why.text)
