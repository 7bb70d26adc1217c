"""Faults of locks and of what they protect: who holds one, which number it has, and what the storage asks."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from immutables import Map

from oneleader.conformance.reference.patch import LockRules
from oneleader.faults.fault import NO_PROOF, NOT_WRITTEN, fault
from oneleader.language import action
from oneleader.language.model import Model
from oneleader.models import fencing
from oneleader.models.fencing import Client, Resource, State, Token
from oneleader.models.flawed import (
    fencing_check_then_act,
    fencing_token_expires,
    fencing_tokens_as_strings,
    lease_without_fencing,
)
from oneleader_raft import state_machine
from oneleader_raft.fencing import Storage
from oneleader_raft.state_machine import StateMachine

MX = "mutual exclusion: a write of an old holder lands"
LATE = "acquire; send c1; expire; acquire; send c2; arrive c2; arrive c1"


def accepting(is_accepted: Any) -> LockRules:
    """A storage that asks something else of a write."""

    def write(storage: Storage, token: int, nonce: Hashable, value: Hashable) -> Storage:
        return Storage(token, nonce, value) if is_accepted(storage, token, nonce) else storage

    return LockRules(write=write)


def issuing(token: Any) -> LockRules:
    """An issuer that numbers its grants otherwise."""

    def apply(state: StateMachine, index: int, command: Any) -> Any:
        after, result = state_machine.apply(state, index, command)
        if not isinstance(command.command, state_machine.Acquire) or result is None:
            return after, result
        number = token(state, index)
        locks = Map({name: replace(grant, token=number) for name, grant in after.locks.items()})
        return replace(after, locks=locks, values=after.values.set("last", number)), number

    return LockRules(apply=apply)


# --- What the storage asks --------------------------------------------------------------------------------


@fault(
    "the storage compares nothing",
    sources="etcd#11456, #11457, curator#1121, Kleppmann on Redlock",
    breaks=MX,
    base=fencing.MODEL,
    sizes={"Resource": 1, "Client": 2, "Token": 2},
    explore=("no_stale_write", 7),
    prove=("accept_write", "history_is_in_token_order"),
    tlc="MCFencing_bug_no_comparison.cfg",
)
def no_comparison(m: Model) -> Model:
    """A holder pauses, its lock expires, another one is granted it and writes; then the first one wakes."""
    return m.without_guard("accept_write", "write_is_current")


@no_comparison.core(replay=LATE, refused="fencing: accept_write, write_is_current")
def _() -> LockRules:
    return accepting(lambda storage, token, nonce: True)


@fault(
    "a lease is trusted without fencing",
    sources="the incident of the write-up; tikv#964: a pause between the check and the write",
    breaks=MX,
    base=lease_without_fencing.MODEL,
    sizes={
        **{"Node": 2, "Term": 2, "Round": 1, "Resource": 1},
        **{"lease": 1, "promise": 1, "slow": 1, "fast": 1},
    },
    quorums="n2, n1 n2",
    explore=("no_stale_write", 9),
    prove=NO_PROOF,
    tlc="MCSystemHistory_bug_no_fencing.cfg",
)
def lease_without_fencing_(m: Model) -> Model:
    """The leader checks its lease, which is sound, and pauses before it writes."""
    return m


@fault(
    "two grants with one token are not told apart",
    sources="issuers whose state is lost in a failover, such as a replicated Redis",
    breaks="one holder per token",
    base=fencing.MODEL,
    sizes={"Resource": 1, "Client": 2, "Token": 1},
    explore=("one_holder_per_token", 7),
    prove=("accept_write", "landed_was_seen"),
    tlc="MCFencing_bug_no_nonce.cfg",
)
def no_nonce(m: Model) -> Model:
    """The storage compares tokens alone: an issuer that lost its last grant gives out its token again, and
    both holders write."""

    @action
    def accept_write(s: State, r: Resource, t: Token, c: Client) -> None:
        write_was_sent = s.sent[r, t, c]  # the network: a write may stay in it
        token_is_not_older = t >= s.greatest[r]  # the fault: the same token, of whomever
        s.require(write_was_sent, token_is_not_older)

        fencing.land(s, r, t, c)

    return m.with_action(accept_write)


@no_nonce.core(
    replay="acquire; send c1; arrive c1; fail_over; acquire; send c2; arrive c2",
    refused="fencing: accept_write, write_is_current",
)
def _() -> LockRules:
    return accepting(lambda storage, token, nonce: token >= storage.token)


@fault(
    "a storage that wants each token to be greater",
    sources="`token > last` in many a description of fencing",
    breaks="availability: a holder can write once",
    base=fencing.MODEL,
    sizes={"Resource": 1, "Client": 1, "Token": 1},
    explore=("newest_is_never_refused", 4),
    prove=("refuse_write", "newest_is_never_refused"),
    tlc="MCFencing_bug_strictly_greater.cfg",
)
def strictly_greater(m: Model) -> Model:
    """The second write of a grant is refused, though nobody newer has the lock."""

    @action
    def refuse_write(s: State, r: Resource, t: Token, c: Client) -> None:
        write_was_sent = s.sent[r, t, c]  # the network: a write may stay in it
        token_is_not_greater = t <= s.greatest[r]  # the fault: its own token too
        s.require(write_was_sent, token_is_not_greater)

        fencing.refuse(s, r, c)

    return m.with_action(refuse_write)


@strictly_greater.core(
    replay="acquire; send c1; arrive c1; arrive c1", refused="fencing: refuse_write, write_is_stale"
)
def _() -> LockRules:
    return accepting(lambda storage, token, nonce: token > storage.token)


@fault(
    "tokens compared as strings",
    sources="the write-up's Redis script: Lua compares what HGET returns",
    breaks=MX,
    base=fencing_tokens_as_strings.MODEL,
    sizes={"Resource": 1, "Client": 2, "Token": 10},
    explore=("no_stale_write", 7),
    prove=NO_PROOF,
    tlc=NOT_WRITTEN,
)
def tokens_as_strings(m: Model) -> Model:
    """ "9" is greater than "10": an old holder writes, and the new one is refused."""
    return m


@tokens_as_strings.core(
    replay="acquire; expire; acquire; expire; acquire; expire; acquire; expire; acquire; expire; acquire; "
    "send c5; send c6; arrive c5; arrive c6",
    refused="fencing: refuse_write, write_is_stale",
    cause=("fencing: refuse_write, write_is_stale", "fencing: accept_write, write_is_current"),
)
def _() -> LockRules:
    def is_accepted(storage: Storage, token: int, nonce: Hashable) -> bool:
        same = token == storage.token and nonce == storage.nonce
        return same or str(token) > str(storage.token or "")

    return accepting(is_accepted)


@fault(
    "compared first, written later",
    sources="the write-up's WriteWithFencing; measured on Redis 7.0.15",
    breaks=MX,
    base=fencing_check_then_act.MODEL,
    sizes={"Resource": 1, "Client": 2, "Token": 2},
    explore=("no_stale_write", 9),
    prove=NO_PROOF,
    tlc=NOT_WRITTEN,
)
def check_then_act(m: Model) -> Model:
    """The older write is checked, pauses, and lands after the newer one."""
    return m


# --- Which number a grant has -----------------------------------------------------------------------------


@fault(
    "a takeover without a new number",
    sources="cockroach#101836, PR#123442, PR#36942: a lease is taken over in the same epoch",
    breaks=MX,
    base=fencing.MODEL,
    sizes={"Resource": 1, "Client": 2, "Token": 1},
    explore=("tokens_grow", 3),
    prove=("acquire", "tokens_grow"),
    tlc="MCFencing_bug_same_token.cfg",
)
def same_token(m: Model) -> Model:
    """The issuer grants the lock again under its old number: nothing distinguishes the two holders."""
    return m.without_guard("acquire", "token_is_newer")


@same_token.core(replay="acquire; expire; acquire", refused="fencing: acquire, token_is_newer")
def _() -> LockRules:
    return issuing(lambda state, index: state.values.get("last", index))


@fault(
    "a token that expires with its lock",
    sources="the write-up's Redis script: EXPIRE on the hash that holds the epoch; measured on Redis 7.0.15",
    breaks=MX,
    base=fencing_token_expires.MODEL,
    sizes={"Resource": 1, "Client": 2, "Token": 2},
    explore=("no_stale_write", 7),
    prove=NO_PROOF,
    tlc=NOT_WRITTEN,
)
def token_expires(m: Model) -> Model:
    """After a quiet time the counter begins again: the new holder's number is one that an old one had."""
    return m


@token_expires.core(
    replay="acquire; expire; acquire; expire; acquire", refused="fencing: acquire, token_is_newer"
)
def _() -> LockRules:
    return issuing(lambda state, index: 1)
