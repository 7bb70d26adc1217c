"""retrace: takes the steps of a run that somebody wrote down, and says what is false along them.

A counterexample kept as a test is such a run. It fails as long as the model takes these steps and breaks the
property; a step that the model refuses ends the run, and then nothing is broken after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from textwrap import indent
from typing import Any

from oneleader import models
from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration
from oneleader.language.definitions import Definition, Guard
from oneleader.language.members import Members
from oneleader.language.model import Model
from oneleader.readers.explore.explored import Violation
from oneleader.readers.run import ClaimFailed, Cut, Disabled, Instance, Run, State
from oneleader.words import plural, title


@dataclass(frozen=True)
class Retraced:
    """The states of the run. `ended`: why it went no further than they do, "" where it took every step."""

    run: Run
    states: list[State]
    ended: str = ""
    claim: str = ""  # the step whose claim is false

    def broken(self, what: str) -> str | None:
        """Where the property is false, in words; None where it is true in every state of the run.

        `what` may also be "claim" and "deadlock".
        """
        if what == "claim":
            return self.claim or None
        if what == "deadlock":
            stuck = not self.ended and next(self.run.steps(self.states[-1]), None) is None
            return f"no step is possible after step {len(self.states) - 1}" if stuck else None
        if what not in self.run.model.properties:
            raise UsageError(f"{self.run.model.name} has no property {what}")
        prop = self.run.model.properties[what]
        for number, state in enumerate(self.states):
            found = self.run.violated(state, {what: prop})
            if found:
                return f"{self.run.configuration.call(prop, found[1])} is false after step {number}"
        return None


def retrace(model: Model, at: Configuration, steps: str) -> Retraced:
    """Take these steps, a line each: `grant_vote(voter=n2, candidate=n1, t=1)`. UsageError where there is no
    such step: a run that was mistyped must not pass."""
    run = Run(model, at, frozenset(f.name for f in model.fields.values() if f.kind == "ghost"))
    named = {at.call(instance.action, instance.args): instance for instance in run.instances}
    states = [run.initial]
    calls = [line.strip() for line in steps.strip().splitlines()]
    for call in calls:
        if call not in named:
            raise UsageError(f"{model.name} has no step {call} in {at.describe()}")
    for call in calls:
        try:
            states.append(_after(run, states[-1], named[call]))
        except Disabled as refused:
            guard: Guard = named[call].action.guards[refused.guard]
            return Retraced(run, states, f"{call} is refused: {guard}")
        except Cut:
            return Retraced(run, states, f"{call} leaves the bounds")
        except ClaimFailed:
            return Retraced(run, states, claim=f"a claim of {call} is false")
    return Retraced(run, states)


def _after(run: Run, state: State, instance: Instance) -> State:
    return run.step(state, instance.action, instance.args)


# -- the run as a test -------------------------------------------------------------------------------------
FOLLOWED = '''"""{told}"""

{imports}
from oneleader.readers.retrace import retrace

MODEL = {model}
AT = {at}
STEPS = """
{steps}
"""


def test_{what}() -> None:
    """{says}"""
    false = retrace(MODEL, AT, STEPS).broken("{what}")
    assert false is None, false
'''
COMPARED = '''"""{told}"""

{imports}
from oneleader.readers.explore.refine import refine

MODEL = {model}
AT = {at}


def test_{what}() -> None:
    """{says}"""
    assert refine(MODEL, AT).violation is None
'''


def as_test(run: Run, found: Violation, fault: str | None = None) -> str:
    """A counterexample as a test for pytest, which fails with it."""
    calls = found.calls(run)
    if found.step is not None:
        instance = run.instances[found.step]
        calls.append(run.configuration.call(instance.action, instance.args))
    prop, name = run.model.properties.get(found.what), models.name_of(run.model)
    return (COMPARED if found.what == "refinement" else FOLLOWED).format(
        told=f"{title(found.what)} is violated, after {plural(len(calls), 'steps')}.",
        imports="\n".join(sorted([*imports_of(run.configuration), FIND_FAULT if fault else FIND])),
        model=f'find("{fault}").model' if fault else f'find("{name}")',
        at=configuration_text(run.configuration),
        steps="\n".join(calls),
        what=found.what,
        says=_first_line(prop) if prop else SAYS[found.what],
    )


CONFIGURATION = "from oneleader.language.configuration import Configuration"
MEMBERS = "from oneleader.language.members import Members"
FIND, FIND_FAULT = "from oneleader.models import find", "from oneleader.faults.catalogue import find"
SAYS = {
    "deadlock": "In every state some step is possible.",
    "claim": "What an action claims is true where its guards hold.",
    "refinement": "Each step is one of the refined model, or changes nothing there.",
}


def imports_of(at: Configuration) -> list[str]:
    """What the text of the configuration needs."""
    return [CONFIGURATION, *([MEMBERS] if at.members else [])]


def _first_line(prop: Definition) -> str:
    return prop.doc.splitlines()[0] if prop.doc else f"{prop.title}."


def configuration_text(at: Configuration) -> str:
    """The configuration as Python, which makes it again."""
    return f"Configuration(\n{indent(''.join(_arguments(at)), '    ')})"


def _arguments(at: Configuration) -> Iterator[str]:
    for part in fields(at):
        value = getattr(at, part.name)
        if value or part.default is part.default_factory is MISSING:
            yield f"{part.name}={_plain(value) if isinstance(value, Mapping) else _literal(value)},\n"


def _plain(value: Any) -> str:
    """A table as a literal, the elements of a set in order: the same text in every run."""
    entries = (f'"{key}": {_literal(at)}' for key, at in value.items())
    return f"{{{', '.join(entries)}}}"


def _literal(value: Any) -> str:
    if isinstance(value, Members):
        return f"Members({_literal(value.sets)})"
    if isinstance(value, tuple) and value and not isinstance(value[0], str | int):
        return f"({', '.join(map(_literal, value))},)"
    if isinstance(value, frozenset):
        keys = (tuple(map(int, key)) if isinstance(key, tuple) else int(key) for key in sorted(value))
        return f"frozenset({{{', '.join(map(repr, keys))}}})" if value else "frozenset()"
    return repr(value).replace("'", '"')
