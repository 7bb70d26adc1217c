"""Attacks by asking nothing: where no property was asked, none holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from oneleader.cli.main import cli
from oneleader.cli.tlc import as_configured
from oneleader.errors import UsageError
from oneleader.language.configuration import configure
from oneleader.readers.explore.walk import walk
from oneleader.readers.prove.prove import prove
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.printed import Result
from oneleader.readers.tlc.tlc import claims_of
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from tests.places import TLA

Build = Callable[[str], ModuleType]
SILENT = '''
class State(Fields):
    seen = field(Node, of=bool)

@action
def see(s: State, n: Node) -> None:
    """1."""
    s.seen[n] = True

MODEL = model(__name__, State)
'''


def test_a_model_without_properties_is_inconclusive(build: Build) -> None:
    model = build(SILENT).MODEL
    found = walk(model, configure(model, {"Node": 2}), seed=1)
    assert (found.verdict, found.why) == (
        INCONCLUSIVE,
        "the model has no property: there is nothing to judge",
    )
    assert prove(model).verdict is INCONCLUSIVE


def test_explore_of_nothing_says_so(build: Build, tmp_path: Path) -> None:
    file = tmp_path / "silent.py"
    file.write_text(Path(str(build(SILENT).__file__)).read_text("utf-8"), encoding="utf-8")
    found = CliRunner().invoke(cli, ["explore", str(file), "--nodes", "2"], standalone_mode=False)
    assert found.return_value == 3
    assert "the model has no property: there is nothing to judge" in found.output


# A .cfg of TLC without a claim: `ok, no error found`.
def test_what_a_config_claims() -> None:
    small = (TLA / "MCElection.cfg").read_text("utf-8")
    assert claims_of(small)[-1] == "ElectionSafety"
    assert claims_of("SPECIFICATION Spec\nPROPERTY Live\nINVARIANTS A B\nCONSTANT C = C") == (
        "Live",
        "A",
        "B",
    )
    assert claims_of("INIT Init\nNEXT Next\n\\* INVARIANT Gone\n(* PROPERTY\nGone *)") == ()


@pytest.mark.parametrize(
    ("claims", "violated", "verdict"),
    [((), None, INCONCLUSIVE), (("A",), None, HOLDS), (("A",), "A", VIOLATED), ((), "Deadlock", VIOLATED)],
)
def test_tlc_without_a_claim_is_inconclusive(claims: tuple[str, ...], violated: str, verdict: object) -> None:
    assert Result(violated, 2, 2, 2, 0.0, (), claims=claims).verdict is verdict


TOGGLE = """---- MODULE Toggle ----
VARIABLE x
Init == x = TRUE
Nothing == x = TRUE /\\ x = FALSE
Next == x' = ~x
Never == FALSE /\\ x' = x
Stays == x' = x
Yes == x \\in BOOLEAN
No == FALSE
====
"""


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("begins", "steps", "says"),
    [
        ("Nothing", "Next", "there is no initial state"),
        ("Yes", "Never", "no step leads to another state"),
        ("Init", "Stays", "no step leads to another state"),
        ("Yes", "Next", ""),
    ],
)
def test_tlc_without_a_state_or_a_step_is_inconclusive(
    tmp_path: Path, begins: str, steps: str, says: str
) -> None:
    """Before, all four were ok. From `Yes`, both states, each step leads to one that was there already."""
    (tmp_path / "Toggle.tla").write_text(TOGGLE)
    (tmp_path / "Toggle.cfg").write_text(f"INIT {begins}\nNEXT {steps}\nINVARIANT Yes\n")
    found = tlc.run(tmp_path / "Toggle.tla", tmp_path / "Toggle.cfg", workers=1)
    assert (found.vacuous, found.verdict) == (says, INCONCLUSIVE if says else HOLDS)


@pytest.mark.usefixtures("tools")
def test_a_claim_that_the_config_puts_another_in_place_of_is_refused(tmp_path: Path) -> None:
    """Before, TLC checked the other one, and the claim that is false was ok."""
    (tmp_path / "Toggle.tla").write_text(TOGGLE)
    for puts in ("No <- Yes", "No <-[Toggle] Yes"):
        (tmp_path / "Toggle.cfg").write_text(f"INIT Init\nNEXT Next\nINVARIANT No\nCONSTANT {puts}\n")
        with pytest.raises(
            UsageError, match=r"Toggle\.cfg puts Yes in place of No, and asks TLC to check No"
        ):
            tlc.run(tmp_path / "Toggle.tla", tmp_path / "Toggle.cfg")


def test_no_config_that_ships_replaces_what_it_claims() -> None:
    for config in TLA.glob("*.cfg"):
        text = config.read_text("utf-8")
        assert not {*claims_of(text)} & tlc.replaced_in(text).keys(), config.name
        assert not tlc.merges(text), config.name


PAIR = """---- MODULE Pair ----
EXTENDS Naturals, TLC
CONSTANTS Node, First
VARIABLES seen, count
Init == seen = {} /\\ count = 0
See(n) == seen' = seen \\cup {n} /\\ count' = count + 1
Next == \\E n \\in Node : count < 2 /\\ See(n)
Seen == seen
Symmetry == Permutations(Node)
Below == count < 2
FirstIsSeen == seen = {} \\/ First \\in seen
====
"""
CONSTANTS = "INIT Init\nNEXT Next\nCONSTANTS\n  Node = {a, b}\n  First = %s\n"


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            CONSTANTS % "a" + "VIEW Seen\nINVARIANT Below",
            "VIEW Seen takes states for one another that differ",
        ),
        (CONSTANTS % "a" + "SYMMETRY Symmetry\nINVARIANT FirstIsSeen", "a differs, and First names it"),
        ("SYMMETRY Symmetry\n" + CONSTANTS % "{b}" + "INVARIANT TRUE", "b differs, and First names it"),
        (CONSTANTS % "c" + "SYMMETRY Symmetry\nINVARIANT TRUE", ""),
    ],
)
def test_states_that_differ_and_are_taken_for_one_another_leave_it_open(
    tmp_path: Path, config: str, says: str
) -> None:
    """Before, a claim that is false in a state that was never looked at was ok."""
    (tmp_path / "Pair.tla").write_text(PAIR.replace("====", "Claim == TRUE\n===="))
    (tmp_path / "Pair.cfg").write_text(config.replace("INVARIANT TRUE", "INVARIANT Claim"))
    found = tlc.run(tmp_path / "Pair.tla", tmp_path / "Pair.cfg", workers=1)
    assert (found.verdict is HOLDS) == (not says)
    assert says in tlc.merges(config)


TURNS = """---- MODULE Turns ----
EXTENDS Naturals, TLC, Choice
VARIABLES at, count
vars == <<at, count>>
Init == at \\in Node /\\ count = 0
Go(n) == at' = n /\\ count' = (count + 1) % 3
Next == \\E n \\in Node : Go(n)
Spec == Init /\\ [][Next]_vars
Fair == Spec /\\ WF_vars(Next)
Symmetry == Permutations(Node)
OnlyFirst == count < 9 => at = First
Moves == []<>(count = 0)
Counts == [][count' # count]_vars
====
"""
CHOICE = "---- MODULE Choice ----\nEXTENDS TLC\nCONSTANT Node\n\\* CHOOSE, in a comment\nFirst == %s\n====\n"
SYMMETRIC = "SPECIFICATION %s\nCONSTANT Node = {a, b, c}\nSYMMETRY Symmetry\n%s\n"


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("first", "config", "says"),
    [
        (
            r"CHOOSE n \in Node : TRUE",
            SYMMETRIC % ("Spec", "INVARIANT OnlyFirst"),
            "Choice.tla may single one out",
        ),
        (r'{n \in Node : ToString(n) = "a"}', SYMMETRIC % ("Spec", "PROPERTY Counts"), "by ToString"),
        ("Node", SYMMETRIC % ("Fair", "PROPERTY Moves"), "TLC may miss loops"),
        ("Node", SYMMETRIC % ("Spec", "PROPERTY Counts"), ""),
    ],
)
def test_symmetry_knows_neither_what_a_module_singles_out_nor_loops(
    tmp_path: Path, first: str, config: str, says: str
) -> None:
    """Before, all were ok: OnlyFirst is false of two of three states, which were never looked at."""
    (tmp_path / "Turns.tla").write_text(TURNS)
    (tmp_path / "Choice.tla").write_text(CHOICE % first)
    (tmp_path / "Turns.cfg").write_text(config)
    found = tlc.run(tmp_path / "Turns.tla", tmp_path / "Turns.cfg", workers=1)
    assert (found.violated, found.verdict is HOLDS) == (None, not says)
    assert says in found.vacuous


CLIMB = """---- MODULE Climb ----
EXTENDS Naturals
VARIABLE x
Init == x = 0
Next == x < 9 /\\ x' = x + 1
Climbs == Init /\\ [][Next]_x
Fair == Climbs /\\ WF_x(Next)
Low == x < 3
Lowly == x' < 3
High == x < 99
Back == []<>(x = 0)
Ends == <>[](x = 9)
Up == [][x' > x]_x
====
"""


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("SPECIFICATION Fair\nPROPERTY Back\nCONSTRAINT Low", "under Low, TLC may miss loops that break"),
        ("SPECIFICATION Fair\nACTION_CONSTRAINTS High Lowly\nPROPERTIES Back", "property: it cuts some"),
        ("SPECIFICATION Fair\nPROPERTY Ends\nCONSTRAINT High", ""),
        ("SPECIFICATION Fair\nPROPERTY Up\nACTION_CONSTRAINT Lowly", ""),
    ],
)
def test_no_loop_is_seen_that_a_constraint_cuts(tmp_path: Path, config: str, says: str) -> None:
    """Before, `Back` held, which is never so: no step of a fair run is left that leads on from 2."""
    (tmp_path / "Climb.tla").write_text(CLIMB)
    (tmp_path / "Climb.cfg").write_text(config)
    found = tlc.run(tmp_path / "Climb.tla", tmp_path / "Climb.cfg", workers=1)
    assert (found.violated, found.verdict is HOLDS) == (None, not says)
    assert says in found.vacuous


CHANCE = """---- MODULE Chance ----
EXTENDS Naturals, TLC, Randomization
VARIABLE x
Init == x = 0
Next == x < 50 /\\ x' = x + 1
Low == x < 20
Stop == x = 5 => TLCSet("exit", TRUE)
Early == TLCGet("level") < 5 /\\ Next
Lucky == x < 1 /\\ x' \\in RandomSubset(2, 0..1000)
NotThis == x # 1000
====
"""
CHANCED = "what Chance.tla allows depends on chance, or on how TLC searches, by "


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("NEXT Next\nINVARIANTS Stop Low", "the search was ended with 1 states left"),
        ("NEXT Next\nINVARIANT Low\nCONSTRAINT Stop", "the search was ended with 1 states left"),
        ("NEXT Early\nINVARIANT Low", f"{CHANCED}TLCSet"),
        ("NEXT Lucky\nINVARIANT NotThis", f"{CHANCED}TLCSet"),
    ],
)
def test_a_search_that_ends_early_or_goes_by_chance_leaves_it_open(
    tmp_path: Path, config: str, says: str
) -> None:
    """Before, `Low` held, which is false after 20 steps: TLC had been told to stop after five, or to look at
    two of a thousand."""
    (tmp_path / "Chance.tla").write_text(CHANCE)
    (tmp_path / "Chance.cfg").write_text(f"INIT Init\n{config}\n")
    found = tlc.run(tmp_path / "Chance.tla", tmp_path / "Chance.cfg", workers=1)
    assert (found.violated, found.verdict) == (None, INCONCLUSIVE)
    assert says in found.vacuous


def test_what_a_config_puts_in_place_of_the_module_is_said() -> None:
    result = Result(
        None, 2, 2, 2, 0.0, (), claims=("A",), replaced={"VoteIsFree": "AnyVote"}, constraints=("B",)
    )
    assert [*as_configured(result)] == [
        "in place of what the module says: VoteIsFree <- AnyVote",
        "bounded by: B",
    ]


@pytest.mark.usefixtures("tools")
def test_the_command_says_that_a_config_claims_nothing(tmp_path: Path) -> None:
    lines = (TLA / "MCElection_small.cfg").read_text("utf-8").splitlines()
    config = tmp_path / "MCElection_silent.cfg"
    claim = next(i for i, line in enumerate(lines) if line.startswith(("INVARIANT", "PROPERT")))
    config.write_text("\n".join(lines[:claim]), encoding="utf-8")
    found = CliRunner().invoke(cli, ["tlc", "election", "--config", str(config)], standalone_mode=False)
    assert found.return_value == 3, found.output
    assert "the .cfg claims nothing" in found.output
