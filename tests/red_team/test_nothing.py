"""Attacks by asking nothing: where no property was asked, none holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from oneleader.cli.main import cli
from oneleader.language.configuration import configure
from oneleader.readers.explore.walk import walk
from oneleader.readers.prove.prove import prove
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
    assert Result(violated, 1, 1, 1, 0.0, (), claims=claims).verdict is verdict


@pytest.mark.usefixtures("tools")
def test_the_command_says_that_a_config_claims_nothing(tmp_path: Path) -> None:
    lines = (TLA / "MCElection_small.cfg").read_text("utf-8").splitlines()
    config = tmp_path / "MCElection_silent.cfg"
    claim = next(i for i, line in enumerate(lines) if line.startswith(("INVARIANT", "PROPERT")))
    config.write_text("\n".join(lines[:claim]), encoding="utf-8")
    found = CliRunner().invoke(cli, ["tlc", "election", "--config", str(config)], standalone_mode=False)
    assert found.return_value == 3, found.output
    assert "the .cfg claims nothing" in found.output
