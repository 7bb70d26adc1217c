"""A run that starves is found without an assumption, none with all of them; and the judge can say no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oneleader.language.configuration import configure
from oneleader.language.progress import LeadsTo
from oneleader.models import find
from oneleader.readers.run import Run
from workshop.pages.progress import weaker
from workshop.studies.starving import Starved, starve, why_not


def small(name: str, servers: int) -> tuple[Run, LeadsTo]:
    model = find(f"progress/{name}")
    (found,) = model.progress.values()
    sizes = {"Index": 1, "Value": 1} if "Index" in model.sorts else {}
    times = dict.fromkeys(model.parameters, 1)
    sizes |= {"Round": 1} if "Round" in model.sorts else {}
    return Run(model, configure(model, {"Node": servers, "Term": 2, **sizes, **times})), found


ELECTED, FOUND = small("a_leader_is_elected", 1)
START, WINS, RESTARTS = (
    [ELECTED.configuration.call(i.action, i.args) for i in ELECTED.instances].index(call)
    for call in ("start_election(n=n1)", "become_leader(n=n1, q={n1})", "restart(n=n1)")
)
VALUES = {"c": 0, "t": 1, "q": 0}
WITHOUT_RESTARTS = weaker(FOUND)["no more restart(n=c)"]


@pytest.mark.parametrize("assumption", weaker(FOUND))
def test_a_run_starves_without_an_assumption(assumption: str) -> None:
    found = weaker(FOUND)[assumption]
    starved = starve(ELECTED, found)
    assert starved is not None
    assert why_not(ELECTED, found, starved) == ""
    assert why_not(ELECTED, FOUND, starved) != ""  # with it, this is no such run


@pytest.mark.parametrize(
    ("name", "servers"), [("a_leader_is_elected", 2), ("an_entry_is_committed", 1), ("a_lease_is_taken", 1)]
)
def test_none_starves_with_all_assumptions(name: str, servers: int) -> None:
    assert starve(*small(name, servers)) is None


def test_a_loop_is_found_where_steps_never_end() -> None:
    """A heartbeat comes again whenever a member has lost touch: it never grants its pre-vote."""
    run, found = small("an_election_is_started", 2)
    weakened = weaker(found)["no more hear_leader() when of_the_quorum"]
    starved = starve(run, weakened)
    assert starved is not None
    assert starved.loop
    assert why_not(run, weakened, starved) == ""
    assert why_not(run, weakened, replace(starved, loop=())) == "a step that fairness asks for stays possible"
    half = replace(starved, loop=starved.loop[:1])
    assert why_not(run, weakened, half) == "the loop does not come back to where it began"


@pytest.mark.parametrize(
    ("found", "before", "calm", "why"),
    [
        (WITHOUT_RESTARTS, (START,), (RESTARTS,), ""),
        (FOUND, (START,), (RESTARTS,), "a step is taken that the environment takes no more"),
        (FOUND, (START,), (), "a step that fairness asks for stays possible"),
        (FOUND, (START,), (WINS,), "the goal is reached"),
        (FOUND, (START, RESTARTS), (), "what is given does not hold where the calm begins"),
    ],
)
def test_the_judge_says_why_not(
    found: LeadsTo, before: tuple[int, ...], calm: tuple[int, ...], why: str
) -> None:
    assert why_not(ELECTED, found, Starved(VALUES, before, calm)) == why
