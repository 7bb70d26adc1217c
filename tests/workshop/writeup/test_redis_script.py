"""The write-up's Lua script on a Redis server: each step of the model is a command, with the same answer.

The counterexamples of `flawed/redis_lock` are run for real, and so are random runs of the model, with the
script as it stands and with the corrected ones. After each step the server has what the model has.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oneleader import models
from oneleader.language.configuration import configure
from oneleader.readers.explore.explore import explore_all, ghosts_read
from oneleader.readers.run import Instance, Run, State
from tests.services import running_redis

MODEL = models.find("flawed/redis_lock")
RULES = ("numbers", "remembers", "atomic")
HERE = Path(__file__).parent
WRITTEN, LOCK, WRITE = (
    (HERE / f"{name}.lua").read_text() for name in ("lock", "lock_corrected", "write_corrected")
)
KEY, EPOCH, VALUE = "lock:orders", "epoch:orders", "orders"
GHOSTS = frozenset().union(*(ghosts_read(MODEL, prop) for prop in MODEL.properties.values()))


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A client of a Redis server of our own, on a free port of loopback."""
    with running_redis() as started, started.client(decode_responses=True) as client:
        yield client


class Written:
    """The write-up's clients: what each holds, and the commands that its code sends."""

    rules: tuple[str, ...] = ()

    def __init__(self, client: Any) -> None:
        self.redis, self.tokens, self.landed = client, dict[str, int](), list[int]()
        client.flushdb()

    def elect(self) -> bool:
        return True

    def acquire(self, c: str, t: int) -> bool:
        """AcquireLockWithFencing."""
        if self.lock(c, t) is None:
            return False
        self.tokens[c] = t
        return True

    def refuse(self, t: int) -> bool:
        return self.lock("c1", t) is None

    def lock(self, c: str, t: int) -> Any:
        return self.redis.eval(WRITTEN, 1, KEY, t, c)

    def expire(self) -> bool:
        """The ten seconds pass: the script has set them, and here they are cut short."""
        assert 9_000 < self.redis.pttl(KEY) <= 10_000
        self.redis.pexpire(KEY, 1)
        while self.redis.exists(KEY):
            time.sleep(0.001)
        return True

    def check_write(self, c: str) -> bool:
        """WriteWithFencing, its first half: `token < currentToken` is false."""
        return self.tokens[c] >= self.epoch()

    def write(self, c: str) -> bool:
        """Its second half: storage.Set."""
        self.redis.set(VALUE, f"{self.tokens[c]} by {c}")
        self.landed.append(self.tokens[c])
        return True

    def epoch(self) -> int:
        return int(self.redis.hget(KEY, "epoch") or 0)

    def owner(self) -> str:
        return self.redis.hget(KEY, "owner") or "NIL"

    def is_stale(self) -> bool:
        return any(later < earlier for earlier, later in zip(self.landed, self.landed[1:], strict=False))


class Corrected(Written):
    """The corrected scripts: epochs as numbers, one that outlives the lock, a write that compares."""

    rules = RULES

    def lock(self, c: str, t: int) -> Any:
        return self.redis.eval(LOCK, 2, KEY, EPOCH, t, c)

    def write(self, c: str) -> bool:
        if not self.redis.eval(WRITE, 2, VALUE, EPOCH, self.tokens[c], f"{self.tokens[c]} by {c}"):
            return False
        self.landed.append(self.tokens[c])
        return True

    def epoch(self) -> int:
        return int(self.redis.get(EPOCH) or 0)

    def owner(self) -> str:
        return self.redis.get(KEY) or "NIL"


def a_run(*kept: str) -> Run:
    at = configure(MODEL, {"Client": 2, "Token": 10}).where(MODEL.fields["kept"], kept)
    return Run(MODEL, at, GHOSTS)


def do(run: Run, clients: Written, instance: Instance) -> bool:
    """The step as commands; whether they were obeyed."""
    action, at = instance.action, run.configuration
    shown = [at.show(sort, v) for (_, sort), v in zip(action.params, instance.args, strict=True)]
    args = [int(text) if text.isdigit() else text for text in shown]
    return bool(getattr(clients, action.name)(*args))


def told(run: Run, state: State) -> tuple[str, int, bool]:
    """Of the model: owner, epoch, and whether a write was stale."""
    values = {f.name: value for (f, _), value in zip(run.cells.keys, state, strict=True) if not f.index}
    shown = run.configuration.show(MODEL.fields["owner"].of, values["owner"])
    return shown, values["epoch"], bool(values["stale"])


def follow(run: Run, clients: Written, steps: list[tuple[int, State]]) -> None:
    """A run of the model on the server: every answer is the model's, and so is what is stored."""
    for position, after in steps:
        assert do(run, clients, run.instances[position])
        assert (clients.owner(), clients.epoch(), clients.is_stale()) == told(run, after)


BREAKS = [
    ("numbers", "no_stale_write"),
    ("numbers", "newest_is_never_refused"),
    ("remembers", "no_stale_write"),
    ("remembers", "one_owner_per_token"),
    ("atomic", "no_stale_write"),
]


@pytest.mark.parametrize(("missing", "name"), BREAKS)
def test_each_counterexample_is_a_run_of_the_server(server: Any, missing: str, name: str) -> None:
    """The model lacks one rule; the script as it stands lacks all, and does the same."""
    kept = [rule for rule in RULES if rule != missing]
    (found,) = explore_all(MODEL, a_run(*kept).configuration, only=[name])
    assert found.violation
    run, clients = a_run(), Written(server)
    state, steps = run.initial, []
    for position, _ in found.violation.steps:
        instance = run.instances[position]
        if instance.action.name == "write" and missing != "atomic":  # as written, a write is two steps
            check = Instance(MODEL.actions["check_write"], instance.args)
            state = run.step(state, check.action, check.args)
            steps.append((run.instances.index(check), state))
        state = run.step(state, instance.action, instance.args)
        steps.append((position, state))
    follow(run, clients, steps)
    assert run.violated(state, {name: MODEL.properties[name]})


def walks(run: Run, seed: int, length: int) -> list[tuple[int, State]]:
    """A random run, its steps drawn by their action first."""
    dice, state, steps = random.Random(seed), run.initial, []
    for _ in range(length):
        enabled = [(p, after) for p, after in run.steps(state) if after is not None]
        names = sorted({run.instances[p].action.name for p, _ in enabled})
        name = dice.choice(names)
        position, state = dice.choice([(p, s) for p, s in enabled if run.instances[p].action.name == name])
        steps.append((position, state))
    return steps


@pytest.mark.parametrize("kind", [Written, Corrected])
@pytest.mark.parametrize("seed", range(25))
def test_random_runs_of_the_model_are_runs_of_the_server(server: Any, kind: type[Written], seed: int) -> None:
    run = a_run(*kind.rules)
    follow(run, kind(server), walks(run, seed, 25))


REFUSED = ("script_accepts", "token_is_not_stale", "write_goes_on")  # by the script, not by the client


@pytest.mark.parametrize("kind", [Written, Corrected])
def test_what_the_model_forbids_the_server_refuses(server: Any, kind: type[Written]) -> None:
    """After random runs: no lock and no write that the model does not allow is had from the server."""
    run, tried = a_run(*kind.rules), 0
    asked = ("acquire", "write" if kind is Corrected else "check_write")
    for seed in range(30):
        steps, clients = walks(run, seed, 10), kind(server)
        follow(run, clients, steps)
        for instance in run.instances:
            if instance.action.name in asked:
                guard = run.refused(steps[-1][1], instance.action, instance.args)
                if guard and guard.name in REFUSED:
                    assert not do(run, clients, instance)
                    tried += 1
    assert tried > 50


def test_nine_is_greater_than_ten_eleven_and_a_hundred(server: Any) -> None:
    """As measured on Redis 7.0.15; and the corrected script takes each."""
    clients: Written = Written(server)
    assert clients.acquire("c1", 9)
    assert [clients.acquire("c2", t) for t in (10, 11, 100)] == [False, False, False]
    clients = Corrected(server)
    assert clients.acquire("c1", 9)
    assert [clients.acquire("c2", t) for t in (10, 11, 100, 99)] == [True, True, True, False]


def test_an_older_epoch_acquires_after_the_time_to_live_itself(server: Any) -> None:
    """With a second instead of ten, and nothing else changed: no command of ours ends the lock."""
    server.flushdb()
    script = WRITTEN.replace('"EXPIRE", key, 10', '"EXPIRE", key, 1')
    assert script != WRITTEN
    assert server.eval(script, 1, KEY, 9, "new") == "9"
    assert server.eval(script, 1, KEY, 8, "old") is None
    time.sleep(1.2)
    assert server.eval(script, 1, KEY, 8, "old") == "8"


def test_the_script_returns_a_string_where_the_code_wants_a_number(server: Any) -> None:
    """`result.(int64)` panics: the first lock that is ever acquired ends the program."""
    server.flushdb()
    assert isinstance(server.eval(WRITTEN, 1, KEY, 9, "c1"), str)
    server.flushdb()
    assert isinstance(server.eval(LOCK, 2, KEY, EPOCH, 9, "c1"), int)


def test_a_holder_cannot_renew(server: Any) -> None:
    """Its epoch is not smaller than itself: the lock ends after ten seconds, whoever works under it."""
    clients = Written(server)
    assert clients.acquire("c1", 9)
    assert not clients.acquire("c1", 9)
