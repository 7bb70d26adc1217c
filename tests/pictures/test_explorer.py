"""The explorer's page: what it tells is what the pictures tell, and what it exports is accepted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from oneleader import models
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Because
from oneleader.language.configuration import configure
from oneleader.language.model import Model
from oneleader.pictures.explorer import Explorer, faults_of, runs_of
from oneleader.pictures.stories import of_run
from oneleader.readers.engines.javascript import RUNTIME
from oneleader.readers.explore.explore import Violation
from oneleader.readers.explore.graph import Graph
from oneleader.readers.replay.replay import replay
from oneleader.readers.run import Run
from oneleader.story import Arrow, Story
from oneleader.verdict import HOLDS, VIOLATED

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Evaluate = Callable[[str], Any]
TEMPLATES = Path(models.__file__).parents[1] / "pictures" / "templates"
TELL = """
(() => {{
  {runtime}
  {telling}
  const MODEL = {model}, PAGE = {page}, engine = engineOf(MODEL), steps = [];
  let state = engine.initial;
  for (const position of {steps}) {{
    state = engine.effect(state, engine.instances[position].name, engine.instances[position].args);
    steps.push({{ ...engine.instances[position], after: state }});
  }}
  return storyOf(PAGE, engine, engine.initial, steps);
}})()
"""


def told(node: Evaluate, page: Explorer, positions: list[int]) -> Any:
    """The story that the page tells of these steps."""
    scripts = {"runtime": RUNTIME.read_text(), "telling": (TEMPLATES / "telling.js").read_text()}
    return node(TELL.format(**scripts, model=page.engine(), page=page.data(), steps=positions))


def expected(story: Story) -> Any:
    """The same of a story of `of_run`, as the page writes it."""
    rows = [
        {
            "number": row.number,
            "lane": row.lane,
            "label": row.label,
            "after": {
                name: {
                    "role": s.role,
                    "term": s.term,
                    "lease": s.lease,
                    "words": list(s.words),
                    "life": s.life,
                }
                for name, s in row.after.items()
            },
            "call": row.call,
            "changes": list(row.changes),
            "mark": row.mark,
            "token": row.token,
        }
        for row in story.rows
    ]
    return {
        "rows": rows,
        "arrows": sorted(map(arrow, story.arrows)),
        "lanes": [lane.name for lane in story.lanes],
    }


def arrow(a: Arrow) -> tuple[Any, ...]:
    received = -1 if a.received is None else a.received
    return (a.sent, a.source, a.to, a.label, received, a.is_lost, -1 if a.token is None else a.token)


def as_expected(said: Any) -> Any:
    lanes = [lane["name"] for lane in said["lanes"]]
    for row in said["rows"]:
        row["after"] = {name: spot for name, spot in row["after"].items() if name in lanes}
    arrows = (
        Arrow(a["source"], a["to"], a["label"], a["sent"], a["received"], a["isLost"], a["token"])
        for a in said["arrows"]
    )
    return {"rows": said["rows"], "arrows": sorted(map(arrow, arrows)), "lanes": lanes}


def same_story(node: Evaluate, run: Run, found: Violation) -> None:
    page = Explorer(run.model, run.configuration)
    kept = [(position, page.run) for position, _ in found.steps]
    state, steps = page.run.initial, []
    for position, _ in kept:  # the page keeps all ghosts, and tells of their changes too
        instance = page.run.instances[position]
        state = page.run.step(state, instance.action, instance.args)
        steps.append((position, state))
    story = of_run(page.run, Violation("deadlock", (), steps))
    assert as_expected(told(node, page, [p for p, _ in kept])) == expected(story)


@pytest.mark.parametrize("name", [*models.FLAWED])
def test_it_tells_a_counterexample_as_the_picture_does(node: Evaluate, violation: Any, name: str) -> None:
    same_story(node, *violation(name))


@pytest.mark.parametrize(
    "name", ["election", "pre_vote", "replication", "lease", "fencing", "system", "membership"]
)
def test_it_tells_a_drawn_run_as_the_picture_does(node: Evaluate, drawn_run: Any, name: str) -> None:
    same_story(node, *drawn_run(name))
