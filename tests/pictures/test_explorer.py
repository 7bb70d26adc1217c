"""The explorer's page: what it tells is what the pictures tell, and what it exports is accepted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from oneleader import models
from oneleader.language.configuration import configure
from oneleader.pictures.explorer import Explorer, faults_of, runs_of
from oneleader.pictures.stories import of_run
from oneleader.readers.engines.javascript import RUNTIME
from oneleader.readers.explore.explored import Violation
from oneleader.readers.explore.graph import Graph
from oneleader.readers.replay.replay import replay
from oneleader.readers.run import Run
from oneleader.story import Arrow, Story
from oneleader.verdict import HOLDS, VIOLATED

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

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
    state, steps = page.run.initial, []
    for position, _ in found.steps:  # the page keeps all ghosts, and tells of their changes too
        instance = page.run.instances[position]
        state = page.run.step(state, instance.action, instance.args)
        steps.append((position, state))
    story = of_run(page.run, Violation("deadlock", (), steps))
    assert as_expected(told(node, page, [position for position, _ in steps])) == expected(story)


@pytest.mark.parametrize("name", [*models.FLAWED])
def test_it_tells_a_counterexample_as_the_picture_does(node: Evaluate, violation: Any, name: str) -> None:
    same_story(node, *violation(name))


@pytest.mark.parametrize("name", ["election", "pre_vote", "fencing", "system", "membership"])
def test_it_tells_a_drawn_run_as_the_picture_does(node: Evaluate, drawn_run: Any, name: str) -> None:
    same_story(node, *drawn_run(name))


def test_a_run_that_is_shown_leads_to_what_it_is_said_to() -> None:
    model = models.find("fencing")
    page = explorer_of("fencing", {"Resource": 1, "Client": 2, "Token": 2})
    runs, faulty = runs_of(model, page.at, 5_000), {fault.id: m for fault, m in faults_of(model)}
    assert {run.what for run in runs if not run.fault} == {*model.witnesses}
    assert {run.fault for run in runs} == {"", *faulty}
    for found in runs:
        run = Run(faulty.get(found.fault, model), page.at, frozenset(f.name for f in page.run.cells.fields))
        state = run.initial
        for position in found.steps:
            state = run.step(state, run.instances[position].action, run.instances[position].args)
        if found.what in model.witnesses:
            assert run.witnessed(state, model.witnesses[found.what])
        else:
            assert run.violated(state, {found.what: model.properties[found.what]})


# -- in a browser ------------------------------------------------------------------------------------------
GRAPH = """
() => {
  const { engine } = explorer, states = [engine.initial], steps = [];
  const numbers = new Map([[engine.initial.join(), 0]]);
  for (let i = 0; i < states.length; i++)
    for (const [position, after] of engine.successors(states[i])) {
      if (!Array.isArray(after)) continue;
      const key = after.join();
      if (!numbers.has(key)) { numbers.set(key, states.length); states.push(after); }
      steps.push([i, position, numbers.get(key)]);
    }
  return { states, steps };
}
"""
Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Open:
    """Opens an explorer's page, from a file; closed with a look at what it has asked for."""

    @contextmanager
    def opened(page: Explorer, at: str = "", width: int = 1400, **how: Any) -> Iterator[Page]:
        file = tmp_path / "explorer.html"
        file.write_text(page.page(), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, **how)
        tab, asked, wrong = context.new_page(), [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(f"{file.as_uri()}{at}")
        tab.wait_for_selector(":root[data-ready]")
        yield tab
        context.close()
        assert [url.partition("#")[0] for url in asked] == [file.as_uri()]
        assert not wrong

    return opened


def explorer_of(name: str, sizes: dict[str, int], **more: Any) -> Explorer:
    model = models.find(name)
    return Explorer(model, configure(model, sizes), **more)


INCIDENT = [
    *("become_leader(n=n1)", "write(n=n1)", "partition(n=n2)", "become_leader(n=n2)", "write(n=n2)"),
    *("partition(n=n2)", "write(n=n1)"),
]


def test_the_incident_is_clicked_through_and_prevented(visit: Open, tmp_path: Path) -> None:
    page = explorer_of("flawed/incident", {"Node": 2})
    with visit(page) as tab:
        assert tab.locator("#verdict").is_hidden()
        for call in INCIDENT:
            tab.locator(f'[data-call="{call}"]').click()
        assert tab.evaluate("explorer.calls()") == INCIDENT
        assert "NoStaleWrite is false here" in tab.locator("#properties").inner_text()
        assert "is false here" in tab.locator("#verdict").inner_text()
        link = tab.url.partition("#")[2]
        check_exports(tab, page, tmp_path)

        tab.locator('[data-switch="assumed.0"]').check()  # the cure: the network does not split
        assert tab.evaluate("explorer.calls()") == INCIDENT[:2]
        assert "partition(n=n2) is refused by network_may_fail" in tab.locator("#said").inner_text()
        assert tab.locator("#verdict").is_hidden()
    with visit(page, at=f"#{link}") as tab:  # a link is a counterexample
        assert tab.evaluate("explorer.calls()") == INCIDENT
        assert "is false here" in tab.locator("#verdict").inner_text()
    with visit(page, at="#run=0&of=00000000") as tab:
        assert "another version of the model" in tab.locator("#said").inner_text()


def check_exports(tab: Page, page: Explorer, tmp_path: Path) -> None:
    """The recording is judged, the test fails, the picture is one file."""
    file = tmp_path / "run.jsonl"
    file.write_text(tab.evaluate("explorer.recording()"))
    judged = replay(file)
    assert judged.verdict is VIOLATED
    assert judged.refusal
    assert (judged.refusal.action, judged.refusal.guard) == ("", None)
    with pytest.raises(AssertionError, match="is false after step"):
        run_test(tab.evaluate("explorer.pytest()"))
    tab.evaluate("explorer.go(2)")
    file.write_text(tab.evaluate("explorer.recording()"))
    assert replay(file).verdict is HOLDS
    run_test(tab.evaluate("explorer.pytest()"))
    tab.evaluate("explorer.go(7)")
    picture = tab.evaluate("explorer.picture()")
    assert picture.startswith("<svg")
    assert "n2 hears no leader" in picture


def run_test(text: str) -> None:
    names: dict[str, Any] = {}
    exec(text, names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    test()


GOLDEN = Path(__file__).with_name("golden")
TOLERANCE = 12  # of 255: another font makes 7, a step or the verdict that is missing 30


def difference(one: Path, two: Path, block: int = 25) -> float:
    """How far apart two pictures are, in shades of grey, in the most different fiftieth of their blocks."""
    greys = []
    for path in (one, two):
        picture = Image.open(path).convert("L")
        size = (picture.width // block, picture.height // block)
        greys.append(np.asarray(picture.resize(size, Image.Resampling.BOX), dtype=float))
    apart = np.sort(np.abs(greys[0] - greys[1]), axis=None)
    return float(apart[-(apart.size // 50) :].mean())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_incident_looks_as_it_did(visit: Open, tmp_path: Path, theme: str) -> None:
    """To renew an image, delete it and run this, which fails; then look at what it has written."""
    shots = []
    with visit(explorer_of("flawed/incident", {"Node": 2}), color_scheme=theme) as tab:
        for taken, call in enumerate(INCIDENT, 1):
            tab.locator(f'[data-call="{call}"]').click()
            if taken in (5, 7):
                shots.append(tmp_path / f"incident-{taken}-{theme}.png")
                tab.screenshot(path=shots[-1], animations="disabled")
    for shot in shots:
        golden = GOLDEN / shot.name
        if not golden.exists():
            Image.open(shot).convert("RGB").quantize(64).save(golden, optimize=True)
            pytest.fail(f"{golden} was missing; now it is as the page is today")
        assert difference(shot, golden) < TOLERANCE, f"{golden} shows something else than {shot}"
    assert difference(shots[0], shots[1]) > 2 * TOLERANCE, "two steps more are to be seen"


def test_its_graph_in_a_browser_is_that_of_explore(visit: Open) -> None:
    page = explorer_of("fencing", {"Resource": 1, "Client": 2, "Token": 2})
    graph = Graph.of(page.run)
    with visit(page) as tab:
        found = tab.evaluate(GRAPH)
    states = [tuple(state) for state in graph.states.tolist()]
    ours = [tuple(state) for state in found["states"]]
    assert len(ours) == len(states) > 100
    numbers = {state: number for number, state in enumerate(states)}
    assert {(numbers[ours[i]], p, numbers[ours[j]]) for i, p, j in found["steps"]} == set(
        map(tuple, graph.steps.tolist())
    )


def test_a_refused_step_names_its_guard_and_faults_are_switches(visit: Open) -> None:
    with visit(explorer_of("election", {"Node": 2, "Term": 1})) as tab:
        lead = tab.locator("#actions > section", has_text="BecomeLeader")
        assert "not possible: is candidate (Figure 2, Candidates 2)" in lead.inner_text()
        tab.get_by_role("button", name="Look for a violation of ElectionSafety").click()
        tab.get_by_text("is not broken in any of the").wait_for()
        tab.locator('[data-switch="no-quorum"]').check()
        tab.get_by_role("button", name="Look for a violation of ElectionSafety").click()
        tab.locator("#verdict").wait_for()
        assert len(tab.evaluate("explorer.calls()")) == 4
        header = json.loads(tab.evaluate("explorer.recording()").splitlines()[0])
        assert (header["fault"], header["violates"][0]) == ("no-quorum", "election_safety")


def test_keys_undo_branch_and_theme(visit: Open) -> None:
    with visit(explorer_of("lock", {"Client": 2, "Token": 2}), color_scheme="light") as tab:
        tab.get_by_role("button", name="Acquire c1", exact=True).focus()  # as a screen reader says it
        tab.keyboard.press("Enter")
        tab.keyboard.press("ArrowLeft")
        tab.locator('[data-call="acquire(c=c2)"]').click()
        tab.keyboard.press("u")
        branches = tab.locator("#branches button")
        assert [branches.nth(i).inner_text() for i in range(2)] == ["acquire(c=c1)", "acquire(c=c2)"]
        branches.first.click()
        assert tab.evaluate("explorer.calls()") == ["acquire(c=c1)"]
        light = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        tab.keyboard.press("t")
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != light


SHOWN = """() => Object.fromEntries(["actions", "properties", "state", "heads", "diagram"].map(
  (id) => [id, document.getElementById(id).innerHTML]))"""


def test_a_page_that_keeps_what_a_step_leaves_shows_what_a_fresh_page_does(visit: Open) -> None:
    drawn, page = random.Random(7), explorer_of("election", {"Node": 3, "Term": 2})
    with visit(page) as tab:
        for _ in range(4):
            for key in drawn.choices(["Enter", "u", "r", "Home"], [12, 2, 1, 1], k=8):
                buttons = tab.locator("#actions .instances > button:not([disabled]):visible")
                if count := buttons.count():
                    buttons.nth(drawn.randrange(count)).focus()
                tab.keyboard.press(key)
            if switches := tab.locator("[data-switch]:visible").all():
                drawn.choice(switches).set_checked(drawn.random() < 0.5)
            with visit(page, at=f"#{tab.url.partition('#')[2]}") as fresh:
                assert fresh.evaluate(SHOWN) == tab.evaluate(SHOWN)


def test_a_step_makes_one_layout_and_keeps_what_it_does_not_change(visit: Open) -> None:
    with visit(explorer_of("election", {"Node": 3, "Term": 2})) as tab:
        tab.evaluate(
            "for (const e of document.querySelectorAll('#actions > section, #theorems > li')) e.seen = 1"
        )
        session = tab.context.new_cdp_session(tab)
        session.send("Performance.enable")
        before = layouts(session)
        frame = "b.click(); await new Promise(requestAnimationFrame); await new Promise(setTimeout);"
        tab.locator("#actions .instances > button").first.evaluate(f"async (b) => {{ {frame} }}")
        assert layouts(session) - before == 1
        assert tab.evaluate("[...document.querySelectorAll('#theorems > li')].every((e) => e.seen)")
        kept = tab.evaluate("[...document.querySelectorAll('#actions > section')].map((e) => e.seen === 1)")
        assert set(kept) == {True, False}


def layouts(session: CDPSession) -> int:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return int(next(m["value"] for m in metrics if m["name"] == "LayoutCount"))


@pytest.mark.parametrize("width", [1400, 390], ids=["wide", "narrow"])
def test_nothing_stands_beyond_the_edge(visit: Open, width: int) -> None:
    with visit(explorer_of("system", {"Node": 3, "Term": 2}), width=width) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        tab.emulate_media(media="print")  # on paper: the run and the state, nothing to click
        assert tab.locator("#diagram").is_visible()
        assert tab.locator(".now").is_visible()
        assert not any(button.is_visible() for button in tab.locator("nav button, .middle button").all())
