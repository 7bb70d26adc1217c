"""Attacks on `refine`: fields go by name, cut steps are counted, what was never taken is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oneleader import models
from oneleader.cli.main import main
from oneleader.errors import SpecError, UsageError
from oneleader.language.configuration import configure
from oneleader.models import election, lease, vote_count
from oneleader.readers.explore.refine import refine
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED

CASES = Path(__file__).parent / "cases"
COUNTER = '''
class State(Fields):
    {fields}

@action
def step(s: State) -> None:
    """1."""
    {effect}

MODEL = model(__name__, State)
'''

REST = '''
@action
def rest(s: State) -> None:
    """2."""
    x = s.x
    s.x = x

MODEL'''
CLAIMS = "s.claim(s.x)\n    s.x = True"


def counter(build: Any, effect: str, *fields: str) -> Any:
    return build(COUNTER.format(effect=effect, fields="\n    ".join(fields))).MODEL


def run(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["oneleader", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0)


@pytest.mark.parametrize("abstract", [[], [str(CASES / "r_swap_abs.py")]])
def test_fields_go_by_name_and_not_by_their_order(abstract: list[str], tmp_path: Path, capsys: Any) -> None:
    assert run("refine", str(CASES / "r_swap.py"), *abstract, "--out", str(tmp_path)) == 1
    said = capsys.readouterr().out
    assert "refine   r_swap → r_swap_abs" in said
    assert "the refined model does not allow the last step" in said


def test_fields_in_another_order_are_the_same(build: Any) -> None:
    one = counter(build, "s.x = True", "x = field(of=bool)", "y = field(of=bool)")
    two = counter(build, "s.x = True", "y = field(of=bool)", "x = field(of=bool)")
    assert refine(one, configure(one, {}), two).verdict is HOLDS


def test_a_field_that_is_missing_is_said(build: Any) -> None:
    one = counter(build, "s.x = True", "x = field(of=bool)")
    two = counter(build, "s.x = True", "x = field(of=bool)", "y = field(of=bool)")
    with pytest.raises(UsageError, match="has no field y, which model_"):
        refine(one, configure(one, {}), two)
    assert refine(two, configure(two, {}), one).left_out == ["y"]


def test_a_field_of_another_sort_is_said(build: Any) -> None:
    one = counter(build, "s.x = True", "x = field(of=bool)")
    two = counter(build, "s.x = 1", "x = field(of=Term)")
    with pytest.raises(UsageError, match="x is not the same in both"):
        refine(one, configure(one, {}), two)


def test_sorts_of_one_name_in_two_modules_are_an_error(build: Any) -> None:
    one = counter(build, "s.x.where(lambda old, n: True)", "x = field(Node, of=bool)")
    two = counter(build, "s.x.where(lambda old, n: True)", "x = field(Node, of=bool)")
    with pytest.raises(SpecError, match="two sorts are named Node"):
        refine(one, configure(one, {"Node": 2}), two)


def test_another_first_state_is_a_violation(build: Any) -> None:
    one = counter(build, "s.x = 1", "x = field(of=Index, init=1)")
    two = build(
        f"from {one.actions['step'].function.__module__} import Index\n"
        + COUNTER.format(effect="s.x = 1", fields="x = field(of=Index)")
    ).MODEL
    found = refine(one, configure(one, {"Index": 2}), two)
    assert (found.verdict, found.why) == (VIOLATED, "their first states differ")


def test_steps_that_are_cut_are_counted_and_an_action_only_cut_leaves_it_open(build: Any) -> None:
    """Its one step leaves the bound at once: nothing was compared, which is no success."""
    one = counter(build, "s.x = 5", "x = field(of=Index)")
    found = refine(one, configure(one, {"Index": 2}), one)
    assert (found.verdict, found.cut, found.never_taken) == (INCONCLUSIVE, 1, ["step"])


def test_a_model_that_only_stutters_is_no_success(build: Any) -> None:
    one = counter(build, "s.y = True", "x = field(of=bool)", "y = field(of=bool)")
    two = counter(build, "s.x = True", "x = field(of=bool)")
    found = refine(one, configure(one, {}), two)
    assert (found.verdict, found.abstract, found.never_matched) == (INCONCLUSIVE, 0, ["step"])


def test_a_model_whose_steps_only_rest_is_no_success(build: Any) -> None:
    """Each step is one of the abstract `rest`, which changes nothing: `step` was never compared."""
    one = counter(build, "s.y = True", "x = field(of=bool)", "y = field(of=bool)")
    two = build(COUNTER.format(effect="s.x = True", fields="x = field(of=bool)").replace("MODEL", REST)).MODEL
    found = refine(one, configure(one, {}), two)
    assert (found.verdict, found.never_matched) == (INCONCLUSIVE, ["step", "rest"])
    assert found.why == "no step changes the abstract model: nothing was compared"


@pytest.mark.parametrize("claims", ["concrete", "abstract"])
@pytest.mark.parametrize("runs", [0, 3])
def test_a_claim_that_is_false_is_a_violation(build: Any, claims: str, runs: int) -> None:
    """It was a traceback: neither model is one whose steps may be compared."""
    honest, lying = (counter(build, effect, "x = field(of=bool)") for effect in ("s.x = True", CLAIMS))
    one, two = (lying, honest) if claims == "concrete" else (honest, lying)
    found = refine(one, configure(one, {}), two, runs=runs)
    assert found.verdict is VIOLATED
    assert found.why == f"{lying.name} claims of step() what is false where it is taken"


def test_at_small_bounds_step_down_never_happens_and_it_says_so() -> None:
    """What `check` called ok: two nodes, one term."""
    found = refine(lease.MODEL, configure(lease.MODEL, {"Node": 2, "Term": 1}))
    assert found.verdict is INCONCLUSIVE
    assert "step_down" in found.never_taken


def test_random_runs_find_a_step_that_is_not_allowed() -> None:
    """With the tally counting a vote twice, a candidate leads without a quorum."""
    broken = vote_count.MODEL.without_guard("receive_vote", "vote_is_new")
    at = configure(broken, {"Node": 3, "Term": 1})
    found = refine(broken, at, runs=200, length=40)
    assert found.verdict is VIOLATED
    assert found.violation
    last = found.violation.calls(found.run)[-1]
    assert last.startswith("become_leader")
    assert refine(vote_count.MODEL, at, runs=3, length=40).violation is None


def test_the_command_says_what_was_compared(capsys: Any) -> None:
    assert run("refine", "vote_count", "election", "--nodes", "2", "--terms", "1", "--runs", "5") in (0, 3)
    said = capsys.readouterr().out
    assert "fields left out: tally" in said
    assert "left the bound and were compared with nothing" in said
    assert "election agrees with the plain interpreter" in said
    assert models.find("election") is election.MODEL
