"""The page of what the models come to: of each assumption the run that starves without it."""

from __future__ import annotations

import re

import pytest

from oneleader.models import PROGRESS, find
from workshop.pages import progress
from workshop.pages.progress import NOT_FOUND, PAGE, starving, weaker

ROW = re.compile(r"^\| (\w+) \| ([^|]+) \|" + 4 * r" *([^|]*?) *\|" + "$", re.MULTILINE)
RUNS = {(name, without): rest for name, without, *rest in ROW.findall(PAGE.read_text("utf-8"))}
PROMISES = {name: (find(model), found) for model in PROGRESS for name, found in find(model).progress.items()}


def test_each_assumption_has_a_run_that_starves_but_these() -> None:
    """If not: `make progress`."""
    assert RUNS.keys() == {
        (name, without) for name, (_, found) in PROMISES.items() for without in weaker(found)
    }
    assert {key for key, (values, *_) in RUNS.items() if values.startswith("none found: ")} == {*NOT_FOUND}


@pytest.mark.parametrize("name", ["a_leader_is_elected", "a_transfer_comes_about", "a_change_is_committed"])
def test_the_runs_are_those_of_the_models_as_they_are(name: str) -> None:
    model, found = PROMISES[name]
    for without, weakened in weaker(found).items():
        run = starving(model, weakened)
        assert run is not None
        loop = run.loop or "nothing is possible"
        assert [run.values, run.before, run.calm, loop] == RUNS[name, without], without


def test_none_is_found_of_what_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MOST", 300)
    for name in ("a_leader_is_elected", "a_change_is_committed"):
        assert starving(*PROMISES[name]) is None
