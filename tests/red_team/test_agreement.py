"""The plain interpreter is asked first: whatever leaks through the seals, a difference is an alarm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oneleader import models
from oneleader.cli.main import cli, guarded
from oneleader.language import sealed
from oneleader.language.configuration import configure
from oneleader.models import lock
from oneleader.readers import agree
from oneleader.readers.agree import agreement, small_agreement
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.walk import walk
from oneleader.readers.prove.prove import prove
from oneleader.verdict import HOLDS, VIOLATED

CASES = Path(__file__).parent / "cases"
TWO = configure(lock.MODEL, {"Client": 2, "Token": 2})


@pytest.fixture
def unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The language as it was: symbols are hashed, and no source is read."""
    monkeypatch.setattr("oneleader.language.source.check", lambda function: None)
    monkeypatch.setattr("oneleader.language.expr.Expr.__hash__", object.__hash__)
    monkeypatch.setattr(sealed, "sealed", lambda: False)


@pytest.mark.usefixtures("unsealed")
def test_without_seals_a_table_is_still_found_out() -> None:
    model = models.find(str(CASES / "c8_table_get.py"))
    at = configure(model, {"Node": 2})
    found = agreement(model, at)
    assert "c8_table_get.py:33: write(n=n" in found.difference
    assert "Python says it gives wrote[n" in found.difference
    assert "as traced, it is not possible" in found.difference
    results = [*explore_all(model, at)]
    assert [r.verdict for r in results] == [VIOLATED]
    assert walk(model, at, seed=1).verdict is VIOLATED
    assert prove(model).verdict is VIOLATED


@pytest.mark.usefixtures("unsealed")
def test_the_commands_say_so(capsys: Any, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "sys.argv", ["oneleader", "explore", str(CASES / "c8_table_get.py"), "--out", str(tmp_path)]
        )
        assert guarded(cli) == 1
    assert "traced and plain disagree (seed 1)" in capsys.readouterr().out


LEAKS = {
    "an identity": ("s.seen[n] = s.role[n] is not BUSY", "s.last > 5"),
    "a wrong property": ("s.seen[n] = True", "type(s.last) is not int"),
    "a table in a property": ("s.seen[n] = True", "{BUSY: True}.get(s.role[n], False) == s.seen[n]"),
    "a global that changes": ("s.seen[n] = bool(TICKS.append(1) or len(TICKS) % 2)", "s.last > 5"),
}


@pytest.mark.usefixtures("unsealed")
@pytest.mark.parametrize("leak", LEAKS)
def test_other_leaks_are_found_out(build: Any, leak: str) -> None:
    effect, fact = LEAKS[leak]
    model = build(f'''
TICKS = []

class State(Fields):
    role = field(Node, of=Role)
    seen = field(Node, of=bool)
    last = field(of=Term)

@action
def turn(s: State, n: Node) -> None:
    """1."""
    s.role[n] = BUSY

@action
def step(s: State, n: Node) -> None:
    """1."""
    {effect}

@invariant
def fact(s: State, n: Node) -> bool:
    """1."""
    return {fact}

MODEL = model(__name__, State)
''').MODEL
    assert small_agreement(model).verdict is VIOLATED


def test_what_was_compared_is_said() -> None:
    found = agreement(lock.MODEL, TWO)
    assert found.verdict is HOLDS
    assert found.steps > 100
    assert found.judged > 100
    assert str(found).startswith("agrees with the plain interpreter on ")
    assert str(found).endswith("seed 1; every action taken")
    assert agreement(lock.MODEL, TWO) is found, "made once"


def test_an_action_that_was_never_taken_is_named() -> None:
    never = lock.MODEL.actions["acquire"]
    alone = agree.Agreement(1, 0, 1, 1, never=(never.name,))
    assert str(alone).endswith("never taken: acquire")


@pytest.mark.parametrize("name", ["election", "system", "fencing"])
def test_shipped_models_agree_on_every_action(name: str) -> None:
    found = small_agreement(models.MODELS[name])
    assert (found.difference, found.never) == ("", ())
