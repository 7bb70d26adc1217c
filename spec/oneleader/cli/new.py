"""The command `new`: a model of thirty lines to begin with, and its test."""

from __future__ import annotations

import keyword
from pathlib import Path

import click

from oneleader import models
from oneleader.cli.console import say
from oneleader.errors import UsageError

MODEL = '''"""{title}: at most one client holds the lock."""

from oneleader.language import *


class Client(SetSort):
    """Somebody who wants the lock."""


class State(Fields):
    """The lock."""

    holder = field(of=Option[Client])


@action
def acquire(s: State, c: Client) -> None:
    """A client takes the lock."""
    lock_is_free = s.holder == NIL  # the rule: one holder at a time
    s.require(lock_is_free)

    s.holder = c


@action
def release(s: State, c: Client) -> None:
    """The holder gives the lock back."""
    holds_the_lock = s.holder == c  # the rule: nobody gives back what another holds
    s.require(holds_the_lock)

    s.holder = NIL


@theorem
def one_holder(s: State, a: Client, b: Client) -> bool:
    """At most one client holds the lock."""
    return implies(both(s.holder == a, s.holder == b), a == b)


@witness
def it_is_held(s: State, c: Client) -> bool:
    """Somebody gets it: what holds above holds for a reason."""
    return s.holder == c


MODEL = model(__name__, State, usual={{"Client": 2}})
'''
TEST = '''"""What holds of {name}, in every state that two clients can reach."""

from pathlib import Path

from oneleader.language.configuration import configure
from oneleader.models import find
from oneleader.readers.explore.explore import explore
from oneleader.verdict import HOLDS

MODEL = find(str(Path(__file__).with_name("{name}.py")))


def test_it_holds_for_a_reason() -> None:
    found = explore(MODEL, configure(MODEL, {{}}))
    assert found.verdict is HOLDS, found.violation
    assert None not in found.witnesses.values(), found.witnesses
    assert not found.never_fired


def test_the_guard_is_needed() -> None:
    at = configure(MODEL, {{}})
    without = MODEL.without_guard("release", "holds_the_lock")
    assert explore(without, at).transitions > explore(MODEL, at).transitions
'''


@click.group()
def new() -> None:
    """Start something new: a model of your own."""


@new.command()
@click.argument("name")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=".", help="Where.  [default: here]"
)
def model(name: str, folder: Path) -> int:
    """Write NAME.py, a small model of a lock, and test_NAME.py."""
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise UsageError(f"{name!r} is no name of a Python module: give one such as my_lock")
    if name in models.MODELS:
        raise UsageError(f"{name} is a model that comes with oneleader: give another name")
    files = {folder / f"{name}.py": MODEL, folder / f"test_{name}.py": TEST}
    for file in files:
        if file.exists():
            raise UsageError(f"{file} exists: give another name, or another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        file.write_text(text.format(name=name, title=name.replace("_", " ").capitalize()), encoding="utf-8")
    model_file, test_file = files
    say(f"wrote  {model_file}, {test_file}")
    say(f"next   oneleader explore {model_file}")
    say(f"       oneleader explore {model_file} --html {name}.html")
    say(f"       pytest {test_file}")
    return 0
