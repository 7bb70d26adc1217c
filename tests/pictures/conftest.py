"""Stories to draw, and a browser to look at the pictures with."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest

from oneleader import models
from oneleader.faults import catalogue
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.pictures.stories import of_run
from oneleader.readers.explore.explore import explore, explore_all, ghosts_read
from oneleader.readers.explore.explored import Violation
from oneleader.readers.run import Run
from oneleader.story import Story

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EXACT = {"lease": 1, "promise": 1, "slow": 1, "fast": 1, "Node": 2, "Term": 2}
FENCED = {"Resource": 1, "Client": 2, "Token": 2}
N2_DECIDES = "n2, n1 n2"  # with two servers: n2 is in every quorum

# flawed model -> the property that is false, sizes, quorums
FLAWED: dict[str, tuple[str, dict[str, int], str]] = {
    "flawed/alert_term_changes": ("high_term_changes_is_true", {"Value": 36, "Election": 5}, "majority"),
    "flawed/alerts": ("multiple_leaders_is_true", {"Node": 3, "Term": 2}, "majority"),
    "flawed/bully": ("one_coordinator", {"Node": 2}, "majority"),
    "flawed/election_in_a_loop": ("election_safety", {"Node": 3, "Term": 2}, "majority"),
    "flawed/fencing_check_then_act": ("no_stale_write", FENCED, "majority"),
    "flawed/fencing_token_expires": ("history_is_in_token_order", FENCED, "majority"),
    "flawed/fencing_tokens_as_strings": ("no_stale_write", FENCED | {"Token": 11}, "majority"),
    "flawed/incident": ("no_stale_write", {"Node": 3}, "majority"),
    "flawed/is_leader": ("no_newer_leader", EXACT, N2_DECIDES),
    "flawed/lease_forgotten_promise": ("no_newer_leader", EXACT, N2_DECIDES),
    "flawed/lease_from_receipt": ("no_newer_leader", EXACT, N2_DECIDES),
    "flawed/lease_taken_again": ("no_newer_leader", EXACT, N2_DECIDES),
    "flawed/lease_without_fencing": ("no_stale_write", EXACT | {"Resource": 1}, N2_DECIDES),
    "flawed/logless_published": (
        *("election_safety", {"Node": 5, "Term": 2, "Version": 2}),
        "n1 n2 n3 n4 n5, n2 n3 n4 n5, n3 n4 n5",
    ),
    "flawed/redis_lock": ("no_stale_write", {"Client": 2, "Token": 10}, "majority"),
}

# The shortest counterexample to lease_without_fencing.
OVERTAKEN = """
start_election(n=n1) update_term(n=n2,t=1) grant_vote(voter=n2,candidate=n1,t=1)
reply_vote(voter=n2,candidate=n1,t=1) receive_vote(candidate=n1,voter=n2,t=1) become_leader(n=n1,q={n2})
send_heartbeat(n=n1,k=r1) acknowledge(voter=n2,leader=n1,t=1,k=r1) decide_write(n=n1,q={n2},r=r1)
elapse(advance=n1_1,n2_1) start_election(n=n2) become_leader(n=n2,q={n2}) decide_write(n=n2,q={n2},r=r1)
write(n=n2,t=2,r=r1) write(n=n1,t=1,r=r1)
"""


def two_leaders() -> list[str]:
    """n3 leads term 1 and removes n1 and then n2, while n1 stands in term 2, for which n2 has voted."""

    def vote(voter: str, candidate: str, term: int) -> list[str]:
        said = f"voter={voter},candidate={candidate},t={term}"
        received = f"candidate={candidate},voter={voter},t={term}"
        return [
            f"update_term(n={voter},t={term})",
            *(f"{act}({said})" for act in ("grant_vote", "reply_vote")),
            f"receive_vote({received})",
        ]

    def change(c: int) -> list[str]:
        takes = [f"take_config(n={n},t=1,v={c - 1})" for n in ("n2", "n5")]
        return [*takes, f"change_members(n=n3,c={c},q={{n2_n3_n5}},r={{n3_n4_n5}})"]

    return [
        *("bootstrap(c=0)", "start_election(n=n3)", *vote("n5", "n3", 1), *vote("n4", "n3", 1)),
        *("become_leader(n=n3,q={n3_n4_n5})", "update_term(n=n1,t=1)", "start_election(n=n1)"),
        *(*vote("n2", "n1", 2), *change(1), *change(2), "take_config(n=n5,t=1,v=2)"),
        *(*vote("n4", "n1", 2), "become_leader(n=n1,q={n1_n2_n4})", "start_election(n=n5)"),
        *(*vote("n3", "n5", 2), "become_leader(n=n5,q={n3_n5})"),
    ]


BY_HAND = {  # finding these takes a minute, or longer
    "flawed/lease_without_fencing": OVERTAKEN.split(),
    "flawed/logless_published": two_leaders(),
}


@cache
def found(name: str) -> tuple[Run, Violation]:
    """The shortest counterexample to a flawed model."""
    what, sizes, quorums = FLAWED[name]
    model = models.find(name)
    at = configure(model, sizes, quorums)
    if name in BY_HAND:
        return acted(model, at, BY_HAND[name], what)
    (explored,) = explore_all(model, at, only=[what])
    assert explored.violation, name
    return explored.run, explored.violation


def acted(model: Model, at: Configuration, calls: list[str], what: str) -> tuple[Run, Violation]:
    """The run that takes these steps, and violates the property at its end."""
    ghosts = frozenset(f.name for f in model.fields.values() if f.kind == "ghost")
    run = Run(model, at, ghosts)
    written = {at.call(i.action, i.args).replace(", ", ",").replace(" ", "_"): i for i in run.instances}
    steps, state = [], run.initial
    for call in calls:
        instance = written[call]
        state = run.step(state, instance.action, instance.args)
        steps.append((run.instances.index(instance), state))
    false = run.violated(state, {what: model.properties[what]})
    assert false, "nothing is violated"
    return run, Violation(what, false[1], steps)


@cache
def of_fault(id: str) -> Story:
    """The shortest counterexample to a fault of the catalogue."""
    fault = catalogue.find(id)
    ghosts = ghosts_read(fault.model, fault.broken)
    explored = explore(fault.model, fault.configuration, properties=[fault.broken], ghosts=ghosts)
    assert explored.violation
    return of_run(explored.run, explored.violation, f"oneleader replay runs/{id}.jsonl")


@cache
def walked(name: str, steps: int = 30, seed: int = 5) -> tuple[Run, Violation]:
    """A run of any model, each step drawn from those that are possible."""
    model = models.find(name)
    sizes = {"Node": 3, "Term": 3, "Client": 2, "Token": 3, "Resource": 2, "Index": 2, "Value": 2}
    run, rng = Run(model, configure(model, sizes)), random.Random(seed)
    taken, state = [], run.initial
    for _ in range(steps):
        possible = [(p, after) for p, after in run.steps(state) if after is not None and after != state]
        if not possible:
            break
        taken.append(rng.choice(possible))
        state = taken[-1][1]
    return run, Violation("deadlock", (), taken)


@pytest.fixture(scope="session")
def tell() -> Callable[[str], Story]:
    """The story of a name: a flawed model's or a fault's counterexample, a run of any other model."""

    def told(name: str) -> Story:
        if name in models.FLAWED:
            return of_run(*found(name), "oneleader replay runs/x.jsonl")
        return of_fault(name) if name in catalogue.FAULTS else of_run(*walked(name))

    return told


@pytest.fixture(scope="session")
def violation() -> Callable[[str], tuple[Run, Violation]]:
    """A flawed model's counterexample."""
    return found


@pytest.fixture(scope="session")
def drawn_run() -> Callable[[str], tuple[Run, Violation]]:
    """A drawn run of a model."""
    return lambda name: walked(name, steps=10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium. Where it is missing a test is skipped, but not in CI. While it is open an event loop
    runs, so other modules could have none of their own."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        says = "no browser: apt install chromium, pip install playwright"
        pytest.fail(says) if os.environ.get("CI") else pytest.skip(says)
    arguments = ["--no-sandbox", "--disable-background-networking"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=arguments)
        yield opened
        opened.close()
