"""Fencing: what is proved and explored, what breaks each property, and what the twin alone misses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oneleader.language import action, both, either, no
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.models import fencing
from oneleader.models.fencing import LEMMAS, MODEL, Client, Resource, State, Token, is_current
from oneleader.readers.explore.explore import explore, explore_all, ghosts_read
from oneleader.readers.prove.prove import prove
from oneleader.readers.tlc.twin import compare
from oneleader.verdict import HOLDS, VIOLATED


def at(resources: int, clients: int, tokens: int) -> Configuration:
    return configure(MODEL, {"Resource": resources, "Client": clients, "Token": tokens})


# -- What holds -----------------------------------------------------------------------------------


def test_everything_is_proved_with_its_hint() -> None:
    proof = prove(MODEL)
    assert (proof.verdict, len(proof.rows)) == (HOLDS, 92)
    assert {row.hint for row in proof.rows} == {"used"}


@pytest.mark.parametrize(
    ("resources", "clients", "tokens", "states", "most"),
    [(1, 2, 2, 103, 173), (1, 3, 3, 968, 4153), (2, 2, 1, 682, 1600), (2, 2, 2, 9634, 29929)],
)
def test_every_state_is_explored(resources: int, clients: int, tokens: int, states: int, most: int) -> None:
    found = list(explore_all(MODEL, at(resources, clients, tokens), engine="native"))
    assert all(result.exhausted for result in found)
    untested = {name for result in found for name in result.untested}
    assert untested == (set() if tokens > 1 else {"tokens_grow", "newest_is_never_refused", "no_stale_write"})
    assert {name for result in found for name in result.properties} == MODEL.properties.keys()
    assert (found[0].states, max(result.states for result in found)) == (states, most)
    for result in found:
        if result.properties:
            assert result.fired.keys() == MODEL.actions.keys()


def test_every_witness_is_reached() -> None:
    found = explore_all(MODEL, at(1, 2, 2), only=list(MODEL.witnesses))
    assert {name: depth for result in found for name, depth in result.witnesses.items()} == {
        "a_stale_write_is_refused": 7,
        "a_paused_client_writes_late": 7,
        "two_holders_write_in_turn": 7,
        "one_of_two_duplicates_is_refused": 7,
        "limit_old_holder_writes_before_the_new_one": 5,
        "limit_newest_holder_is_refused": 7,
    }


# -- What breaks it -------------------------------------------------------------------------------


def no_nonce() -> Model:
    """A resource that does not tell two grants of one token apart."""

    @action
    def accept_write(s: State, r: Resource, t: Token, c: Client) -> None:
        write_was_sent = s.sent[r, t, c]
        token_is_not_older = t >= s.greatest[r]
        s.require(write_was_sent, token_is_not_older)

        fencing.land(s, r, t, c)

    return MODEL.with_action(accept_write)


def strictly_greater() -> Model:
    """A resource that refuses the second write of a grant."""

    @action
    def refuse_write(s: State, r: Resource, t: Token, c: Client) -> None:
        write_was_sent = s.sent[r, t, c]
        token_is_not_greater = t <= s.greatest[r]
        s.require(write_was_sent, token_is_not_greater)

        fencing.refuse(s, r, c)

    return MODEL.with_action(refuse_write)


def accepting(effect: Callable[[State, Resource, Token, Client], None]) -> Model:
    """A resource that accepts what it should, and does something else then."""

    @action
    def accept_write(s: State, r: Resource, t: Token, c: Client) -> None:
        write_was_sent = s.sent[r, t, c]
        write_is_current = is_current(s, r, t, c)
        s.require(write_was_sent, write_is_current)

        effect(s, r, t, c)

    return MODEL.with_action(accept_write)


def only_token(s: State, r: Resource, t: Token, c: Client) -> None:
    s.greatest[r] = t


def only_history(s: State, r: Resource, t: Token, c: Client) -> None:
    s.landed_after[r, c, c] = True


def everybody_landed(s: State, r: Resource, t: Token, c: Client) -> None:
    s.greatest[r] = t
    s.nonce[r] = c
    s.landed_after.where(lambda old, q, x, y: either(old, both(q == r, x == c)))


def granting(effect: Callable[[State, Resource, Client, Token], None]) -> Model:
    """An issuer that grants when it should, and whose history says something else."""

    @action
    def acquire(s: State, r: Resource, c: Client, t: Token) -> None:
        client_is_new = s.token[r, c] == 0
        token_is_newer = t > s.last[r]
        s.require(client_is_new, token_is_newer)

        effect(s, r, c, t)
        s.holder[r] = c
        s.last[r] = t
        s.token[r, c] = t

    return MODEL.with_action(acquire)


def no_history(s: State, r: Resource, c: Client, t: Token) -> None:
    pass


def later_than_everybody(s: State, r: Resource, c: Client, t: Token) -> None:
    s.granted_after.where(lambda old, q, x, y: either(old, both(q == r, x == c, y != c)))


def unchecked_sender() -> Model:
    """A client that names a token at will."""

    @action
    def accept_write(s: State, r: Resource, t: Token, c: Client) -> None:
        write_is_current = is_current(s, r, t, c)
        s.require(write_is_current)

        fencing.land(s, r, t, c)

    return MODEL.with_action(accept_write)


SAME_TOKEN = MODEL.without_guard("acquire", "token_is_newer")
MUTANTS = {
    "no_stale_write": MODEL.without_guard("accept_write", "write_is_current"),
    "newest_is_never_refused": strictly_greater(),
    "one_holder_per_token": no_nonce(),
    "history_is_in_token_order": MODEL.without_guard("accept_write", "write_is_current"),
    "sent_was_granted": MODEL.without_guard("send_write", "lock_was_granted"),
    "later_was_granted": granting(later_than_everybody),
    "grants_are_ordered": granting(no_history),
    "token_is_known": SAME_TOKEN,
    "token_has_one_client": SAME_TOKEN,
    "tokens_grow": SAME_TOKEN,
    "seen_was_granted": unchecked_sender(),
    "nothing_was_seen": accepting(only_token),
    "landed_was_seen": accepting(only_history),
    "pairs_have_landed": accepting(everybody_landed),
}


def test_each_property_has_a_mutant() -> None:
    assert MUTANTS.keys() == MODEL.properties.keys()
    assert set(LEMMAS) < MODEL.properties.keys()


@pytest.mark.parametrize("name", MUTANTS)
def test_the_mutant_breaks_the_property_and_the_model_does_not(name: str) -> None:
    prop = MODEL.properties[name]
    for model, verdict in ((MUTANTS[name], VIOLATED), (MODEL, HOLDS)):
        found = explore(model, at(1, 2, 2), ghosts=ghosts_read(model, prop), properties=[prop])
        assert found.verdict == verdict


def test_a_token_is_good_for_one_resource() -> None:
    """A resource that asks whether the client holds some lock takes the token of another lock."""

    @action
    def send_write(s: State, r: Resource, c: Client) -> None:
        some_lock_was_granted = Resource.any(lambda q: s.token[q, c] > 0)
        s.require(some_lock_was_granted)

        s.sent.where(
            lambda old, q, t, d: either(
                old, both(q == r, d == c, no(t == 0), Resource.any(lambda p: s.token[p, c] == t))
            )
        )

    mutant = MODEL.with_action(send_write)
    prop = MODEL.properties["sent_was_granted"]
    assert explore(mutant, at(1, 2, 2), properties=[prop]).verdict is HOLDS
    assert explore(mutant, at(2, 1, 2), properties=[prop]).verdict is VIOLATED


# -- The twin ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("resources", "clients", "tokens", "states", "edges"), [(1, 2, 3, 465, 2221), (2, 2, 1, 2601, 17028)]
)
def test_the_twin_has_the_same_graph(
    resources: int, clients: int, tokens: int, states: int, edges: int
) -> None:
    found = compare(MODEL, at(resources, clients, tokens))
    assert (found.verdict, found.states, found.edges) == (HOLDS, states, edges), found.difference


# Dropping one of these breaks no property: safety does not need it. The twin has it, and misses it.
UNNEEDED = [
    ("acquire", "lock_is_free"),
    ("expire", "lock_is_held"),
    ("fail_over", "grants_are_lost"),
    ("refuse_write", "write_was_sent"),
]


def test_safety_needs_each_other_guard() -> None:
    needed = [(a.name, g.name) for a in MODEL.actions.values() for g in a.guards]
    for name, guard in sorted(set(needed) - set(UNNEEDED)):
        mutant = MODEL.without_guard(name, guard)
        found = {result.verdict for result in explore_all(mutant, at(1, 2, 2), only=list(MODEL.properties))}
        assert VIOLATED in found, (name, guard)


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(("name", "guard"), UNNEEDED)
def test_the_twin_misses_a_guard_that_safety_does_not_need(name: str, guard: str) -> None:
    mutant = MODEL.without_guard(name, guard)
    assert compare(mutant, at(1, 2, 2)).verdict is VIOLATED
