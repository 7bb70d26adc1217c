"""The state machine and fencing tokens: retries take effect once, tokens grow, old ones are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneleader_raft.fencing import GREATEST, Storage, is_token
from oneleader_raft.state_machine import (
    Acquire,
    Cas,
    Command,
    Expire,
    FencedPut,
    ForgetClients,
    Locate,
    Put,
    Release,
    Renew,
    Request,
    StateMachine,
    apply,
)


def run(*commands: tuple[str, int, Command]) -> tuple[StateMachine, list[object]]:
    state, results = StateMachine(), []
    for index, (client, number, command) in enumerate(commands, 1):
        state, result = apply(state, index, Request(client, number, command))
        results.append(result)
    return state, results


def test_a_retry_takes_effect_once_and_has_the_same_result() -> None:
    """Dissertation 6.3: another client's write lies between."""
    state, results = run(
        ("a", 1, Put("x", 1)), ("b", 1, Cas("x", 1, 2)), ("a", 1, Put("x", 1)), ("b", 1, Cas("x", 1, 2))
    )
    assert dict(state.values) == {"x": 2}
    assert results == [True, True, True, True]


def test_what_is_no_request_changes_nothing() -> None:
    assert apply(StateMachine(), 1, "no-op") == (StateMachine(), None)


def test_cas_compares() -> None:
    state, results = run(("a", 1, Cas("x", 1, 2)), ("a", 2, Cas("x", None, 3)), ("a", 3, Cas("x", 3, 4)))
    assert results == [False, True, True]
    assert dict(state.values) == {"x": 4}


def test_a_lock_has_one_holder_and_its_token_is_the_index() -> None:
    state, results = run(
        ("a", 1, Acquire("l", 1000)),
        ("b", 1, Acquire("l", 1000)),
        ("b", 2, Release("l", 2)),
        ("a", 2, Release("l", 1)),
        ("b", 3, Acquire("l", 1000)),
        ("a", 1, Acquire("l", 1000)),
    )
    assert results == [1, None, False, True, 5, True]
    grant = state.locks["l"]
    assert (grant.holder, grant.token, grant.nonce, grant.ttl, grant.renewed) == ("b", 5, "b/3", 1000, 5)


def test_what_was_renewed_does_not_expire() -> None:
    """The leader's Expire was under way when the holder renewed: its `renewed` is no longer the grant's."""
    state, results = run(
        ("a", 1, Acquire("l", 1000)),
        ("a", 2, Renew("l", 1)),
        ("leader", 1, Expire("l", 1, 1)),
        ("b", 1, Renew("l", 9)),
        ("leader", 2, Expire("l", 1, 2)),
        ("a", 3, Renew("l", 1)),
        ("b", 2, Acquire("l", 1000)),
        ("a", 4, Release("l", 1)),
    )
    assert results == [1, True, False, False, True, False, 7, False]
    assert state.locks["l"].token == 7


def test_a_fenced_key_takes_no_older_token_and_is_no_other_key() -> None:
    state, results = run(
        ("a", 1, FencedPut("x", "old", 3, "a/1")),
        ("b", 1, FencedPut("x", "new", 5, "b/1")),
        ("a", 2, FencedPut("x", "late", 3, "a/1")),
        ("c", 1, FencedPut("x", "twin", 5, "c/1")),
        ("b", 2, FencedPut("x", "newer", 5, "b/1")),
    )
    assert results == [True, True, False, False, True]
    assert state.fenced["x"].value == "newer"
    assert dict(state.values) == {}


@pytest.mark.parametrize("token", [0, -1, True, 1.0, "1", None])
def test_only_a_positive_integer_is_a_token(token: object) -> None:
    """Not even where the storage's own rule lets it pass: 0 with no nonce is what stands there at first."""
    for nonce in ("a/1", None):
        state, results = run(("a", 1, FencedPut("x", "v", token, nonce)))  # type: ignore[arg-type]
        assert (results, dict(state.fenced)) == ([False], {})


COMMANDS = st.one_of(
    st.just(Acquire("l", 1000)),
    st.builds(Release, st.just("l"), st.integers(1, 12)),
    st.builds(Expire, st.just("l"), st.integers(1, 12), st.integers(1, 12)),
    st.builds(Put, st.just("x"), st.integers()),
)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6), COMMANDS), max_size=20))
def test_tokens_grow_and_are_given_once(commands: list[tuple[str, int, Command]]) -> None:
    state, tokens = StateMachine(), [0]
    for index, (client, number, command) in enumerate(commands, 1):
        state, result = apply(state, index, Request(client, number, command))
        if "l" in state.locks and result == index == state.locks["l"].token:
            tokens.append(state.locks["l"].token)
    assert tokens == sorted(set(tokens))


@pytest.mark.parametrize(
    ("token", "nonce", "accepted"),
    [(8, "a", False), (9, "a", True), (9, "b", False), (10, "b", True), (11, "a", True)],
)
def test_a_storage_takes_no_older_token_and_one_grant_a_token(token: int, nonce: str, accepted: bool) -> None:
    after = Storage(9, "a", "old").write(token, nonce, "new")
    assert (after.value == "new") is accepted
    assert after.token == max(token, 9)


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from("ab"))))
def test_what_is_written_is_in_the_order_of_tokens(writes: list[tuple[int, str]]) -> None:
    storage, landed = Storage(), []
    for number, (token, nonce) in enumerate(writes):
        after = storage.write(token, nonce, number)
        if after is not storage:
            landed.append((token, nonce))
        storage = after
    assert [token for token, _ in landed] == sorted(token for token, _ in landed)
    assert len(dict(landed)) == len(set(landed)), "one grant for each token"


@pytest.mark.parametrize(
    ("token", "is_one"), [(1, True), (0, False), (GREATEST, True), (GREATEST + 1, False), (2.0, False)]
)
def test_tokens_fit_into_what_every_storage_has(token: object, is_one: bool) -> None:
    assert is_token(token) is is_one
    assert GREATEST == 2**63 - 1


def test_where_servers_are_reached_is_kept() -> None:
    state, results = run(
        ("a", 1, Locate("n4", "h:1")), ("a", 2, Locate("n5", "h:2")), ("a", 3, Locate("n4", "h:3"))
    )
    assert results == [True, True, True]
    assert dict(state.addresses) == {"n4": "h:3", "n5": "h:2"}


def test_a_client_that_was_silent_is_forgotten_and_begins_again() -> None:
    asked = [("a", 1, Put("x", 1)), ("b", 1, Put("x", 2)), ("a", 2, Put("x", 3)), ("n", 1, ForgetClients(2))]
    state, results = run(*asked)
    assert results[-1] is True
    assert {client: session.index for client, session in state.sessions.items()} == {"a": 3, "n": 4}
    state, result = apply(state, 5, Request("n", 2, ForgetClients(2)))
    assert result is False
    state, _ = apply(state, 6, Request("b", 1, Put("x", 4)))
    assert state.values["x"] == 4, "a repetition that comes too late is a new command"
    state, _ = apply(state, 7, Request("a", 2, Put("x", 5)))
    assert state.values["x"] == 4, "and that of a client that is remembered is none"
