"""docs/results/progress.md: each assumption has a run that starves without it, and it does; or a reason."""

from __future__ import annotations

import re
from functools import cache

import pytest

from oneleader.models import PROGRESS, find
from oneleader.readers.explore.starving import Starved, promises, why_not
from oneleader.readers.run import Run
from workshop.pages.progress import PAGE, reason, small, weaker

ROW = re.compile(r"^\| (\w+) \| (.+?) \| (\d) \| (.*?) ?\\\| ?(.*) \|$", re.MULTILINE)
RUNS = {(name, without): (before, calm) for name, without, _, before, calm in ROW.findall(PAGE.read_text())}
ASKED = {
    (found.name, assumption): (model, found)
    for model in map(find, PROGRESS)
    for found in model.progress.values()
    for assumption in weaker(found)
}


@cache
def runs(name: str) -> list[tuple[Run, list[str]]]:
    found = [*small(find(name))]
    return [(run, [run.configuration.call(i.action, i.args) for i in run.instances]) for run in found]


def test_each_assumption_has_a_run_or_a_reason() -> None:
    assert {*RUNS} == {asked for asked in ASKED if not reason(*asked)}
    assert all(reason(*asked) == "" or asked not in RUNS for asked in ASKED)


@pytest.mark.parametrize("asked", RUNS, ids=" without ".join)
def test_the_run_starves(asked: tuple[str, str]) -> None:
    """As the plain interpreter says, of the steps that the page names."""
    model, found = ASKED[asked]
    before, (calm, _, loop) = RUNS[asked][0], RUNS[asked][1].partition("again and again")
    steps = [re.findall(r"`(.+?)`", part) for part in (before, calm, loop)]
    weakened = weaker(found)[asked[1]]
    name = next(name for name in PROGRESS if find(name).name == model.name)
    for run, calls in runs(name):
        if all(step in calls for part in steps for step in part):
            taken = [tuple(map(calls.index, part)) for part in steps]
            if any(_starves(run, weakened, promise.values, taken) for promise in promises(run, weakened)):
                return
    pytest.fail("no promise is broken by it")


def _starves(run: Run, found: object, values: dict[str, object], taken: list[tuple[int, ...]]) -> bool:
    return why_not(run, found, Starved(values, *taken)) == ""  # type: ignore[arg-type]
