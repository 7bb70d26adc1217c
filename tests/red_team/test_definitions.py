"""Attacks by a definition that is lost: what nobody looks at is false, and the rest is `ok`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from oneleader import models
from oneleader.errors import SpecError
from oneleader.language import definitions

Build = Callable[[str], ModuleType]
STATE = '''
class State(Fields):
    last = field(of=Term)

@action
def step(s: State) -> None:
    """1."""
    s.last = s.last + 1
'''
END = "\nMODEL = model(__name__, State)\n"
FALSE = '''
@invariant
def fact(s: State) -> bool:
    """False after two steps."""
    return s.last < 2
'''
TRUE = FALSE.replace("s.last < 2", "s.last < s.last + 1")
IN_A_LOOP = """
for limit in (2, 1000):
    @invariant
    def fact(s: State) -> bool:
        return s.last < limit
"""
BY_A_FACTORY = """
def below(limit):
    @invariant
    def fact(s: State) -> bool:
        return s.last < limit
    return fact

below_two = below(2)
below_many = below(1000)
"""
WRAPPED = """
import functools

def harmless(function):
    @functools.wraps(function)
    def wrapper(s: State) -> bool:
        return True
    return wrapper

@harmless
@invariant
def fact(s: State) -> bool:
    return s.last < 2
"""
LOST = {
    "two of one name": FALSE + TRUE,
    "of one name and two kinds": FALSE + TRUE.replace("@invariant", "@theorem"),
    "a name that is bound again": FALSE + "\nfact = 1\n",
    "a name that is deleted": FALSE + "\ndel fact\n",
    "made in a loop": IN_A_LOOP,
    "made by a factory": BY_A_FACTORY,
    "in a branch": FALSE + "\nif True:" + TRUE.replace("\n", "\n    "),
    "hidden by a decorator": WRAPPED,
    "an action of the same name": FALSE.replace("fact", "step"),
}


@pytest.mark.parametrize("what", LOST)
def test_a_definition_that_is_lost_is_an_error(build: Build, what: str) -> None:
    with pytest.raises(SpecError, match=r"model_\d+\.py:\d+:1: (invariant fact|action step) is lost"):
        build(STATE + LOST[what] + TRUE.replace("fact", "other") + END)


def test_only_a_function_is_a_definition(build: Build) -> None:
    part = "import functools\nfact = invariant(functools.partial(lambda k, s: True, 1))\n"
    with pytest.raises(SpecError, match="is no invariant: only a function that is written with def is one"):
        build(STATE + part + END)


def test_an_action_is_not_lost_either(build: Build) -> None:
    with pytest.raises(SpecError, match="action step is lost"):
        build(STATE + STATE[STATE.index("@action") :].replace("+ 1", "+ 0") + TRUE + END)


def test_a_theorem_does_not_take_the_place_of_an_inherited_invariant(build: Build) -> None:
    base = build(STATE + FALSE + END).__name__
    more = f"import {base}\nfrom {base} import State\n{TRUE.replace('@invariant', '@theorem')}\n"
    with pytest.raises(SpecError, match=r"fact of .* is a definition of two kinds, invariant and theorem"):
        build(f"{more}MODEL = model(__name__, State, extends={base}.MODEL)\n")
    left_out = build(f"{more}MODEL = model(__name__, State, extends={base}.MODEL, without=('fact',))\n")
    assert [*left_out.MODEL.properties] == ["fact"]


def test_a_property_that_is_imported_is_judged_or_refused(build: Build) -> None:
    fields, action = STATE.split("@action")
    other = build(fields + FALSE)
    more = f"from {other.__name__} import State, fact\n@action{action}"
    with pytest.raises(SpecError, match=r"invariant fact is imported by model_.*, which does not judge it"):
        build(more + TRUE.replace("fact", "other") + END)
    judged = build(f"{more}MODEL = model(__name__, State, lemmas='{other.__name__}')\n")
    assert [*judged.MODEL.properties] == ["fact"]


def test_a_model_that_is_loaded_again_has_lost_nothing(build: Build) -> None:
    """The same functions, defined a second time in the same module."""
    module = build(STATE + TRUE + END)
    file = module.__file__ or ""
    exec(compile(Path(file).read_text("utf-8"), file, "exec"), vars(module))
    assert [*module.MODEL.properties] == ["fact"]


@pytest.mark.parametrize("kind", ["invariant", "theorem", "axiom"])
def test_what_stands_after_the_model_is_no_part_of_it(build: Build, kind: str) -> None:
    late = FALSE.replace("@invariant", f"@{kind}")
    file = build(STATE + TRUE.replace("fact", "other") + END + late).__file__
    with pytest.raises(SpecError, match=rf"model_\d+\.py:\d+: {kind} fact is lost: it stands after MODEL"):
        models.find(str(file))
    assert models.find(str(build(STATE + TRUE + END).__file__)).properties.keys() == {"fact"}


def test_no_model_that_ships_is_followed_by_a_definition() -> None:
    for name in (*models.MODELS, *models.FLAWED, *models.PROGRESS):
        function = next(iter(models.find(name).actions.values())).function
        assert definitions.MARKED not in function.__globals__, name
