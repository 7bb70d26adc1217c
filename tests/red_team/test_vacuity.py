"""Attacks by a premise that never happens: a property that nothing put to the test is no plain ok."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from oneleader.campaigns.campaign import Campaign
from oneleader.cli.check_rows import exploring
from oneleader.cli.explore import open_verdict
from oneleader.cli.main import cli
from oneleader.language.configuration import configure
from oneleader.language.model import Model
from oneleader.readers.explore.explore import explore
from oneleader.readers.explore.search import Limits
from oneleader.readers.explore.walk import UNTESTED, walk
from oneleader.verdict import HOLDS, INCONCLUSIVE

Build = Callable[[str], ModuleType]

# `led` is never true; `seen` and `sent` are, `sent` only after `seen`.
STEPS = """
class State(Fields):
    seen = field(Node, of=bool)
    sent = field(Node, of=bool)
    led = field(Node, of=bool)

@action
def see(s: State, n: Node) -> None:
    \"\"\"1.\"\"\"
    s.seen[n] = True

@action
def send(s: State, n: Node) -> None:
    \"\"\"2.\"\"\"
    was_seen = s.seen[n]  # 2
    s.require(was_seen)

    s.sent[n] = True
"""
# Each says of PREMISE something that holds in every state, and is put to the test where PREMISE happens.
WAYS = {
    "if_then": "implies(s.PREMISE[n], s.seen[n])",
    "not_or": "either(no(s.PREMISE[n]), s.seen[n])",
    "or_not": "either(s.seen[n], no(s.PREMISE[n]))",
    "never_without": "no(both(s.PREMISE[n], no(s.seen[n])))",
    "never_with_premise_last": "no(both(no(s.seen[n]), s.PREMISE[n]))",
    "with_another_premise": "implies(both(s.seen[n], s.PREMISE[n]), s.seen[n])",
    "branch": "ite(s.PREMISE[n], s.seen[n], n == n)",
    "other_branch": "ite(no(s.PREMISE[n]), n == n, s.seen[n])",
    "nested": "implies(s.seen[n], implies(s.PREMISE[n], s.seen[n]))",
    "nested_in_quantifiers": "Node.all(lambda a: implies(s.PREMISE[a], Node.any(lambda b: s.seen[b])))",
    "below_exists": "Node.any(lambda a: implies(s.PREMISE[a], s.seen[a]))",
    "no_example": "no(Node.any(lambda a: both(s.PREMISE[a], no(s.seen[a]))))",
    "premise_is_exists": "implies(Node.any(lambda a: s.PREMISE[a]), Node.any(lambda a: s.seen[a]))",
    "one_of_two": "both(implies(s.sent[n], s.seen[n]), implies(s.PREMISE[n], s.seen[n]))",
    "several_claims": "implies(s.PREMISE[n], either(s.sent[m], s.seen[n]))",
    "never_two": "no(both(s.PREMISE[n], s.PREMISE[m], n != m, no(s.seen[m])))",
    "counted": "Node.count(lambda a: s.PREMISE[a]) <= Node.count(lambda a: s.seen[a])",
    "counted_in_a_premise": "implies(Node.count(lambda a: s.PREMISE[a]) > 0, Node.any(lambda a: s.seen[a]))",
    "as_truth_values": "s.PREMISE[n] == both(s.PREMISE[n], s.seen[n])",
}
TWO = {"Node": 2}


def modelled(build: Build, premise: str, **ways: str) -> Model:
    """These ways as the invariants of one model."""
    said = [
        f'@invariant\ndef {name}(s: State, n: Node, m: Node) -> bool:\n    """{name}."""\n    return {way}\n'
        for name, way in ways.items()
    ]
    text = "\n".join([STEPS, *said, "MODEL = model(__name__, State)"])
    return build(text.replace("PREMISE", premise)).MODEL  # type: ignore[no-any-return]


@pytest.mark.parametrize("engine", ["python", "numpy", "native"])
def test_a_premise_that_never_happens_is_no_success(build: Build, engine: str) -> None:
    never = modelled(build, "led", **WAYS)
    found = explore(never, configure(never, TWO), engine=engine)
    assert {*WAYS} - {*found.untested} == set()
    assert (found.exhausted, found.verdict) == (True, INCONCLUSIVE)
    assert {found.verdict_of(name) for name in WAYS} == {INCONCLUSIVE}
    happens = modelled(build, "sent", **WAYS)
    found = explore(happens, configure(happens, TWO), engine=engine)
    assert (found.verdict, found.untested) == (HOLDS, [])


def test_one_property_that_was_tested_does_not_speak_for_another(build: Build) -> None:
    model = modelled(build, "led", vacuous=WAYS["if_then"], tested="implies(s.sent[n], s.seen[n])")
    found = explore(model, configure(model, TWO))
    assert (found.verdict_of("tested"), found.verdict_of("vacuous")) == (HOLDS, INCONCLUSIVE)
    assert (found.untested, open_verdict(found)) == (["vacuous"], INCONCLUSIVE)
    assert found.as_json()["verdict"] == "inconclusive"


def test_what_one_node_can_never_show(build: Build) -> None:
    """`n != m` is a premise that no run of one node meets."""
    two = modelled(build, "sent", two="implies(both(s.sent[n], n != m), s.seen[n])")
    assert explore(two, configure(two, {"Node": 1})).untested == ["two"]
    assert explore(two, configure(two, TWO)).verdict is HOLDS


def test_what_says_nothing_is_never_tested(build: Build) -> None:
    silent = modelled(build, "sent", nothing="either(s.sent[n], n == n)")
    assert explore(silent, configure(silent, TWO)).untested == ["nothing"]


def test_a_search_that_was_cut_off_says_nothing_of_premises(build: Build) -> None:
    """What is not met yet may still be."""
    model = modelled(build, "led", late=WAYS["if_then"])
    found = explore(model, configure(model, TWO), limits=Limits(states=1))
    assert (found.untested, found.verdict) == ([], INCONCLUSIVE)


def test_a_search_goes_on_with_the_premises_it_has_met(build: Build, tmp_path: Path) -> None:
    model, kept = modelled(build, "sent", later=WAYS["if_then"]), tmp_path / "kept"
    at, limits = configure(model, {"Node": 3}), Limits(states=20)
    assert explore(model, at, limits=limits, checkpoint=kept, symmetry=False).verdict is INCONCLUSIVE
    assert explore(model, at, checkpoint=kept, symmetry=False).verdict is HOLDS


def test_the_command_says_which_property_and_which_premise(build: Build, tmp_path: Path) -> None:
    ways = {"fine": WAYS["if_then"].replace("PREMISE", "sent"), "vacuous": WAYS["one_of_two"]}
    file, asked = str(modelled(build, "led", **ways).actions["see"].file), ["--nodes", "2"]
    text, status = said("explore", file, *asked)
    assert "ok    Fine" in text
    assert "????  Vacuous" in text
    assert "never put to the test, exhaustive to 2 nodes: premise 2 of 2 is never met" in text
    assert status == 3
    assert said("explore", file, *asked, "--property", "fine")[1] == 0
    (found,) = json.loads(said("explore", file, *asked, "--property", "vacuous", "--json")[0])
    assert (found["verdict"], found["untested"]) == ("inconclusive", ["vacuous"])
    assert found["premises"] == {"premise 1 of vacuous": 2, "premise 2 of vacuous": None}


def test_a_row_of_check_says_it(build: Build) -> None:
    model = modelled(build, "led", vacuous=WAYS["if_then"])
    (row,) = exploring(model, nodes=2)
    assert (row.verdict, row.detail) == (INCONCLUSIVE, "never put to the test: vacuous")
    (row,) = exploring(model, nodes=2, small=True)
    assert (row.verdict, row.left_out) == (HOLDS, ("never put to the test: vacuous",))


# Each action would break `quiet`, and is never possible within two nodes and two terms.
BEYOND = {
    "a number above the bound": "s.last == 4",
    "a number that some quantifier never has": "Term.any(lambda t: t > 4)",
    "more nodes than there are": "Node.count(lambda n: s.seen[n]) > 2",
    "what never happens": "s.rang",
}


@pytest.mark.parametrize("what", BEYOND)
@pytest.mark.parametrize("of", ["field", "ghost"])
def test_an_action_that_is_never_possible_is_no_success(build: Build, what: str, of: str) -> None:
    built = build(
        f"""
class State(Fields):
    last = field(of=Term)
    seen = field(Node, of=bool)
    rang = field(of=bool)
    heard = {of}(of=bool)

@action
def see(s: State, n: Node) -> None:
    t = s.last + 1
    s.last = t
    s.seen[n] = True

@action
def rest(s: State) -> None:
    s.seen.where(lambda old, n: old)

@action
def ring(s: State) -> None:
    is_time = {BEYOND[what]}  # 2
    s.require(is_time)
    s.heard = True

@invariant
def quiet(s: State) -> bool:
    return no(s.heard)

MODEL = model(__name__, State)
"""
    )
    text, status = said("explore", built.__file__ or "", "--nodes", "2", "--terms", "2")
    assert "????  every action                        never possible within the bounds: ring" in text
    assert status == 3
    *_, found = json.loads(said("explore", built.__file__ or "", "--nodes", "2", "--terms", "2", "--json")[0])
    assert (found["verdict"], found["never_possible"]) == ("inconclusive", ["ring"])
    *_, row = exploring(built.MODEL, nodes=2, terms=2)
    assert row.left_out[0] == "never possible within the bounds: ring"


@pytest.mark.parametrize("engine", ["python", "native"])
def test_a_walk_that_never_tested_something_is_no_success(build: Build, engine: str) -> None:
    """It named that, and was ok, with status 0."""
    for others in ({}, {"tested": "implies(s.sent[n], s.seen[n])"}):
        model = modelled(build, "led", **others, vacuous=WAYS["or_not"])
        found = walk(model, configure(model, TWO), seed=1, runs=3, engine=engine)
        assert (found.verdict, found.why, found.untested) == (INCONCLUSIVE, UNTESTED, ["vacuous"])
    model = modelled(build, "sent", tested=WAYS["or_not"])
    found = walk(model, configure(model, TWO), seed=1, runs=3, engine=engine)
    assert (found.verdict, found.untested) == (HOLDS, [])


@pytest.mark.parametrize(
    ("premise", "length", "status"), [("led", 3, 3), ("sent", 3, 0), ("sent", 1, 3)]
)  # one step is too short to send
def test_nor_are_walks_of_a_campaign(premise: str, length: int, status: int, build: Build) -> None:
    """These did not even name it."""
    file = str(modelled(build, premise, vacuous=WAYS["or_not"]).properties["vacuous"].file)
    asked = ("--nodes", "2", "--runs", "4", "--chunk", "2", "--length", str(length), "--seed", "1")
    text, is_status = said("campaign", "walk", file, *asked)
    assert (is_status, "never put to the test: vacuous" in text) == (status, status == 3)


def test_what_one_walk_of_a_campaign_lacks_another_may_have() -> None:
    """Each met one of two premises: together they put the property to the test."""
    parts = [{"verdict": "holds", "tested": {"p": {"1": number == 0, "2": number == 1}}} for number in (0, 1)]
    jobs = [{"kind": "walk"}, {"kind": "walk"}]
    assert Campaign(jobs, dict(enumerate(parts))).merged["verdict"] == "holds"
    assert Campaign(jobs[:1], {0: parts[0]}).merged["verdict"] == "inconclusive"


def said(*arguments: str) -> tuple[str, int]:
    result = CliRunner().invoke(cli, arguments, standalone_mode=False, catch_exceptions=False)
    return result.output, result.return_value


CLIMBS = """
class State(Fields):
    last = field(of=Term, init=2)
    seen = field(Node, of=bool)

@action
def climb(s: State, n: Node) -> None:
    t = s.last + 1
    s.last = t
    s.seen[n] = True

@invariant
def unseen(s: State, n: Node) -> bool:
    return no(s.seen[n])

MODEL = model(__name__, State)
"""


def test_a_search_whose_every_step_exceeds_the_bounds_is_no_success(build: Build) -> None:
    """Before, `unseen` was exhaustive, and ok: it is false after the first step, which no reader took."""
    file = build(CLIMBS).__file__ or ""
    text, status = said("explore", file, "--nodes", "2", "--terms", "2")
    assert "????  every action                        never possible within the bounds: climb" in text
    assert status == 3
    text, status = said("walk", file, "--nodes", "2", "--terms", "2", "--seed", "1")
    assert "no run took a step within the bounds" in text
    assert status == 3
    assert said("explore", file, "--nodes", "2", "--terms", "3")[1] == 1
