"""The state machine and fencing tokens: retries take effect once, tokens grow, old ones are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneleader_raft.fencing import Storage
from oneleader_raft.state_machine import Acquire, Cas, Command, Put, Release, Request, StateMachine, apply


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
    assert state.values == {"x": 2}
    assert results == [True, True, True, True]


def test_what_is_no_request_changes_nothing() -> None:
    assert apply(StateMachine(), 1, "no-op") == (StateMachine(), None)


def test_cas_compares() -> None:
    state, results = run(("a", 1, Cas("x", 1, 2)), ("a", 2, Cas("x", None, 3)), ("a", 3, Cas("x", 3, 4)))
    assert results == [False, True, True]
    assert state.values == {"x": 4}


def test_a_lock_has_one_holder_and_its_token_is_the_index() -> None:
    state, results = run(
        ("a", 1, Acquire("l")),
        ("b", 1, Acquire("l")),
        ("b", 2, Release("l", 2)),
        ("a", 2, Release("l", 1)),
        ("b", 3, Acquire("l")),
        ("a", 1, Acquire("l")),
    )
    assert results == [1, None, False, True, 5, True]
    assert (state.locks["l"].holder, state.locks["l"].token) == ("b", 5)


COMMANDS = st.one_of(
    st.just(Acquire("l")),
    st.builds(Release, st.just("l"), st.integers(1, 12)),
    st.builds(Put, st.just("x"), st.integers()),
)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 6), COMMANDS), max_size=20))
def test_tokens_grow_and_are_given_once(commands: list[tuple[str, int, Command]]) -> None:
    state, tokens = StateMachine(), [0]
    for index, (client, number, command) in enumerate(commands, 1):
        before = state.locks
        state, _ = apply(state, index, Request(client, number, command))
        if "l" in state.locks and state.locks != before:
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
