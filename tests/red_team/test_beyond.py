"""Attacks by values above the bounds: a run that never tries them says so, whichever reader made it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from oneleader.cli.check_rows import exploring, walking
from oneleader.cli.main import cli
from oneleader.cli.print_checks import as_json, summary, whole_row
from oneleader.cli.refine import as_data, printed
from oneleader.cli.tlc import graphs_compared
from oneleader.language.configuration import configure
from oneleader.models import fencing, find
from oneleader.readers.explore.explore import explore, explore_all
from oneleader.readers.explore.refine import refine as compare
from oneleader.readers.tlc.twin import Compared, Ours
from oneleader.verdict import HOLDS, VIOLATED

Build = Callable[[str], ModuleType]
CASES = Path(__file__).parent / "cases"
SAID = "values above the bounds matter, and are not tried: "

# Row 12: `exhaustive to 2 terms`, and nothing said, for a parameter that may be 3.
BOUNDED = str(CASES / "c3_bounded_param.py")


def said(*arguments: str) -> tuple[str, int]:
    result = CliRunner().invoke(cli, [*arguments], standalone_mode=False, catch_exceptions=False)
    return result.output, result.return_value


def bounded() -> str:
    """The text of the case, after its sorts."""
    text = Path(BOUNDED).read_text("utf-8")
    return text[text.index("class State") :]


@pytest.mark.parametrize(
    "command",
    [
        ("explore", "--engine", "python"),
        ("explore", "--engine", "numpy"),
        ("walk", "--seed", "1"),
        ("graph",),
    ],
    ids=" ".join,
)
def test_a_parameter_above_the_bound_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    name, *rest = command
    out = ["--out", str(tmp_path / ("x.dot" if name == "graph" else ""))]
    text, status = said(name, BOUNDED, *rest, "--size", "Term=2", *out)
    assert f"{SAID}jump(t)" in text
    assert status == 0
    as_json, _ = said(name, BOUNDED, *rest, "--size", "Term=2", *out, "--json")
    found = json.loads(as_json)
    assert "jump(t)" in (found[0] if isinstance(found, list) else found)["untried"]


def test_refine_names_it_too(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    """A model beside itself: each step that was tried is allowed, and not each was tried."""
    model = build(bounded()).MODEL
    found = compare(model, configure(model, {"Term": 2}), model)
    printed(found)
    assert f"{SAID}jump(t)" in capsys.readouterr().out
    assert (found.verdict, as_data(found)["untried"]) == (HOLDS, ["jump(t)"])


def test_rows_of_check_name_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    model = find(BOUNDED)
    (explored,) = exploring(model, sizes={"Term": 2})
    cut = "1 step exceeded the bounds and was skipped; results hold within the bounds"
    assert explored.left_out == (cut, f"{SAID}jump(t)")
    walked = walking(model, sizes={"Term": 2}, runs=2)
    assert walked.left_out == (f"{SAID}jump(t)",)
    whole_row(explored)
    summary([explored, walked], interrupted=False, quick=False, seconds=1.0)
    told = capsys.readouterr().out
    assert f"\n        {SAID}jump(t)\n" in told
    assert "bounds leave something out of c3_bounded_param: --all says what" in told
    rows = as_json([explored, walked], interrupted=False)["rows"]
    assert [f"{SAID}jump(t)" in row["left_out"] for row in rows] == [True, True]


def test_it_is_counted_among_what_was_cut(build: Build) -> None:
    """And within the bound that reaches 5, the property is false."""
    model = build(bounded()).MODEL
    found = explore(model, configure(model, {"Term": 2}))
    assert (found.verdict, found.cut > 0) == (HOLDS, True)
    assert explore(model, configure(model, {"Term": 5})).violation


# Siblings: each is false only because of a number above the bound, and at 2 terms nothing is broken.
STATE = '''
class State(Fields):
    term = field(of=Term)
    at = field(Term, of=bool)
    seen = field(Node, Term, of=bool)
    rang = field(of=bool)

@action
def step(s: State{param}) -> None:
    """1."""
    {effect}

@action
def rest(s: State) -> None:
    """2."""
    rang = s.rang
    s.rang = rang

@invariant
def fact(s: State{of}) -> bool:
    """1."""
    return {fact}

MODEL = model(__name__, State)
'''
QUIET = "no(s.rang)"
RING = "s.require(is_so)\n    s.rang = True"
PLACES = {
    "a parameter": ("t: Term", f"is_so = t > 2\n    {RING}", "", QUIET, "step(t)"),
    "a sum of one": ("t: Term", f"is_so = t + 1 > 3\n    {RING}", "", QUIET, "step(t)"),
    "one of two": ("n: Node, t: Term", f"is_so = both(t != 2, t > 1)\n    {RING}", "", QUIET, "step(t)"),
    "some number": (
        "",
        f"is_so = Term.any(lambda t: t > 2)\n    {RING}",
        "",
        QUIET,
        "step: guard is_so, Term.any",
    ),
    "not all numbers": (
        *("", f"is_so = no(Term.all(lambda t: t <= 2))\n    {RING}", "", QUIET),
        "step: guard is_so, Term.all",
    ),
    "within another quantifier": (
        *("", f"is_so = Node.any(lambda n: Term.any(lambda t: t > 2))\n    {RING}", "", QUIET),
        "step: guard is_so, Term.any",
    ),
    "a value that is written": (
        *("", "s.rang = Term.any(lambda t: t > 2)", "", QUIET),
        "step: the effect on rang, Term.any",
    ),
    "all of a relation": ("", "s.at.where(lambda old, t: True)", "t: Term", "implies(s.at[t], t <= 2)", None),
    "a parameter of a property": ("", "s.rang = True", "t: Term", "t <= 2", "fact(t)"),
    "a quantifier of a property": (
        *("", "s.rang = True", "", "Term.all(lambda t: t <= 2)"),
        "fact: Term.all",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_each_place_where_a_number_may_stand_is_named(build: Build, place: str) -> None:
    param, effect, of, fact, named = PLACES[place]
    text = STATE.format(param=param and f", {param}", effect=effect, of=of and f", {of}", fact=fact)
    model = build(text).MODEL
    small = explore(model, configure(model, {"Node": 1, "Term": 2}))
    assert small.verdict is HOLDS
    assert (named in small.untried) if named else small.untried, small.untried
    assert explore(model, configure(model, {"Node": 1, "Term": 3})).violation


def test_an_axiom_that_only_the_bound_satisfies_is_named(build: Build) -> None:
    """Numbers have no end: what follows from this axiom for all of them says nothing."""
    axiom = "\n@axiom\ndef limit(s: State) -> bool:\n    return Term.all(lambda t: t <= 2)\n\nMODEL"
    text = STATE.format(param="", effect="s.rang = False", of="", fact=QUIET)
    model = build(text.replace("\nMODEL", axiom)).MODEL
    found = explore(model, configure(model, {"Node": 1, "Term": 2}))
    assert found.untried == ["limit: Term.all"]


def test_a_twin_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither graph has the values that the other lacks: equal graphs say nothing of them."""
    at = configure(fencing.MODEL, {"Resource": 1, "Client": 1, "Token": 1})
    graphs_compared(Compared(Ours.of(fencing.MODEL, at), 0.0, 0.0))
    assert f"{SAID}acquire(t)" in capsys.readouterr().out


def test_where_no_number_can_matter_nothing_is_said() -> None:
    """The check would be worth nothing if it named everything."""
    text, _ = said("explore", "election", "--nodes", "2", "--terms", "1")
    assert SAID not in text
    assert "steps exceeded the bounds" in text


# Row 29: `ok`, status 0, although the claim is false after the first step: no property reads `ever`.
CLAIMED = '''
class State(Fields):
    t = field(of=Term)
    ever = ghost(of=bool)

@action
def up(s: State) -> None:
    """Up, for the first time, as is claimed."""
    {claims}s.claim(no(s.ever))
    t = s.t + 1
    s.t = t
    s.ever = True

@invariant
def a_number(s: State) -> bool:
    """True."""
    return s.t >= 0

MODEL = model(__name__, State)
'''


@pytest.mark.parametrize("before", ["", "s.claim(s.t >= 0)\n    "])
def test_a_claim_about_history_is_asserted(build: Build, before: str) -> None:
    model = build(CLAIMED.format(claims=before)).MODEL
    first, kept = explore_all(model, configure(model, {"Term": 2}))
    assert (first.verdict, kept.verdict) == (HOLDS, VIOLATED)
    assert kept.violation
    assert kept.violation.what == "claim"
    path = model.actions["up"].function.__code__.co_filename
    output, status = said("explore", path, "--size", "Term=2", "--out", str(Path(path).parent))
    assert status == 1
    assert "a claim inside an action is false here" in output
