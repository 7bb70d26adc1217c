"""What may be said of a stopwatch, and that everything else is refused where it stands."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import indent
from types import ModuleType

import pytest

from oneleader.errors import SpecError, UsageError
from oneleader.language.configuration import Configuration, configure
from oneleader.readers.prove.prove import prove
from oneleader.readers.run import Disabled, Run
from oneleader.verdict import HOLDS, VIOLATED

Build = Callable[[str], ModuleType]

STATE = '''
class Elapsed(TimeSort):
    """Time."""


class Other(TimeSort):
    """Time in another unit."""


class State(Fields):
    since = field(Node, of=Elapsed, init=LONG_AGO)
    start = field(of=Elapsed)
    past = ghost(Node, of=Elapsed)
    late = field(Node, of=bool)
    term = field(Node, of=Term)
    wait = parameter(of=Elapsed)
    fast = parameter(of=Elapsed)
    far = parameter(of=Other)

'''
ELAPSE = '''
@action
def elapse(s: State, by: Each[Node, Elapsed], d: Elapsed) -> None:
    """Time passes."""
    some_time_passes = Node.all(lambda n: d <= s.fast * by[n])
    s.require(some_time_passes)

    s.since.where(lambda old, n: old + by[n])
    s.past.where(lambda old, n: by[n] + old)
    s.start = s.start + d

'''
END = "\nMODEL = model(__name__, State)\n"
HERE = "  # <--"


def action(body: str, params: str = "n: Node, m: Node, t: Term") -> str:
    return f'\n@action\ndef step(s: State, {params}) -> None:\n    """Section 1."""\n{indent(body, "    ")}\n'


def prop(body: str, kind: str = "invariant") -> str:
    return f'\n@{kind}\ndef fact(s: State, n: Node, m: Node) -> bool:\n    """Section 1."""\n    {body}\n'


def refusal(build: Build, text: str) -> str:
    """What the error says; the line that it names is the marked one, if there is one."""
    with pytest.raises(SpecError) as raised:
        build(text + END)
    found = re.fullmatch(r"(?:/.*/(model_\d+)\.py:(\d+):\d+: )?(.*)", str(raised.value))
    assert found
    if HERE in text:
        lines = Path(str(sys.modules[found[1]].__file__)).read_text().splitlines()
        assert [i for i, line in enumerate(lines, 1) if line.endswith(HERE)] == [int(found[2])]
    return found[3]


QUESTION = "a stopwatch is compared by >= or < with a parameter: has so much time passed?"
ADVANCES = "advances are compared by a * x <= b * y alone"
PRODUCT = "`*` multiplies a time by a parameter of the model"
SUM = "only an advance, a parameter of the action that lets time pass, is added to a stopwatch"
# What is wrong -> (the sentence, the body of an action with its line marked)
IN_ACTION = {
    "equality": (QUESTION, "s.late[n] = s.since[n] == s.wait  # <--"),
    "inequality": (QUESTION, "s.late[n] = s.since[n] != s.wait  # <--"),
    "more than": (QUESTION, "s.late[n] = s.since[n] > s.wait  # <--"),
    "at most": (QUESTION, "s.late[n] = s.since[n] <= s.wait  # <--"),
    "with 0": (QUESTION, "s.late[n] = s.since[n] >= 0  # <--"),
    "with a product": (QUESTION, "s.late[n] = s.since[n] >= s.fast * s.wait  # <--"),
    "with a sum": (QUESTION, "s.late[n] = s.since[n] >= s.fast + s.wait  # <--"),
    "a multiple with a parameter": (QUESTION, "s.late[n] = s.fast * s.since[n] >= s.wait  # <--"),
    "two stopwatches, strictly": (QUESTION, "s.late[n] = s.since[n] < s.since[m]  # <--"),
    "a literal": ("5 stands where Elapsed is wanted: declare it", "s.late[n] = s.since[n] >= 5  # <--"),
    "a literal written": ("5 stands where Elapsed is wanted: declare it", "s.since[n] = 5  # <--"),
    "another unit": (
        "a value of sort Elapsed stands where Other is wanted",
        "s.late[n] = s.since[n] >= s.far  # <--",
    ),
    "a number": (
        "a value of sort Elapsed stands where Term is wanted",
        "s.late[n] = s.since[n] >= s.term[n]  # <--",
    ),
    "long ago compared": ("LONG_AGO is no length of time", "s.late[n] = s.since[n] >= LONG_AGO  # <--"),
    "long ago as a number": ("LONG_AGO stands where Term is wanted", "s.term[n] = LONG_AGO  # <--"),
    "a parameter written to a stopwatch": ("since is a stopwatch: set it to 0", "s.since[n] = s.wait  # <--"),
    "a product written": ("since is a stopwatch: set it to 0", "s.since[n] = s.fast * s.since[n]  # <--"),
    "a parameter in a branch": (
        "since is a stopwatch: set it to 0",
        "s.since[n] = ite(s.late[n], s.wait, s.since[n])  # <--",
    ),
    "a parameter added": (SUM, "s.since[n] = s.since[n] + s.wait  # <--"),
    "a stopwatch added": (SUM, "s.since[n] = s.since[n] + s.since[m]  # <--"),
    "a product of stopwatches": (PRODUCT, "s.late[n] = s.since[n] * s.since[m] <= s.since[n]  # <--"),
    "a product with a literal": (PRODUCT, "s.late[n] = s.since[n] * 0 <= s.since[n]  # <--"),
    "a parameter changed": ("wait is a parameter", "s.wait = 0  # <--"),
    "counting times": (
        "Elapsed is no sort to quantify over",
        "s.late[n] = Elapsed.any(lambda x: True)  # <--",
    ),
    "a part of a node": ("a value of sort Node has no parts to index", "s.late[n] = n[m] == n  # <--"),
}


@pytest.mark.parametrize("what", IN_ACTION)
def test_what_an_action_may_not_say_is_refused_with_its_line(build: Build, what: str) -> None:
    says, body = IN_ACTION[what]
    said = refusal(build, STATE + ELAPSE + action(body))
    assert said.startswith("action step: ")
    assert says in said


PARAMETERS = "by: Each[Node, Elapsed], d: Elapsed"
# What is wrong -> (the sentence, the body of the action that lets time pass, with its line marked)
IN_ELAPSE = {
    "an advance compared with a parameter": (ADVANCES, "is_short = d <= s.wait  # <--\ns.require(is_short)"),
    "an advance compared strictly": (
        ADVANCES,
        "is_short = Node.all(\n    lambda n: by[n] < d  # <--\n)\ns.require(is_short)",
    ),
    "a sum of advances compared": (
        ADVANCES,
        "is_short = Node.all(\n    lambda n: by[n] + d <= d  # <--\n)\ns.require(is_short)",
    ),
    "an advance and a stopwatch": (QUESTION, "is_short = d <= s.start  # <--\ns.require(is_short)"),
    "an advance is no index": (
        "a value of sort Elapsed stands where Node is wanted",
        "s.late[d] = True  # <--",
    ),
    "an advance alone written": ("start is a stopwatch", "s.start = d  # <--"),
}


@pytest.mark.parametrize("what", IN_ELAPSE)
def test_what_may_not_be_said_of_advances(build: Build, what: str) -> None:
    says, body = IN_ELAPSE[what]
    assert says in refusal(build, STATE + action(body, PARAMETERS))


WHOLE = {
    "no action lets time pass": ("since[Node] is a stopwatch and no action lets time pass", STATE),
    "two do": (
        "elapse and pass_again let time pass",
        STATE + ELAPSE + ELAPSE.replace("elapse", "pass_again"),
    ),
    "one stopwatch is forgotten": (
        "elapse lets time pass: it has to advance since[Node]",
        STATE + ELAPSE.replace("    s.since.where(lambda old, n: old + by[n])\n", ""),
    ),
    "one is forgotten at some": (
        "elapse lets time pass: it has to advance since[Node]",
        STATE + ELAPSE.replace("old + by[n]", "ite(s.late[n], old, old + by[n])"),
    ),
    "one takes the other's time": (
        "elapse lets time pass: it has to advance start",
        STATE.replace("of=Elapsed)\n    past", "of=Elapsed)\n    other = field(of=Elapsed)\n    past")
        + ELAPSE.replace("s.start + d", "s.other + d"),
    ),
    "stopwatches compared in a guard": (
        "action step: guard is_later compares two stopwatches: only an invariant may",
        STATE + ELAPSE + action("is_later = s.since[n] <= s.since[m]\ns.require(is_later)"),
    ),
    "stopwatches compared in an effect": (
        "action step: the effect on late compares two stopwatches: only an invariant may",
        STATE + ELAPSE + action("s.late[n] = s.since[n] <= s.since[m]"),
    ),
    "stopwatches compared in a theorem": (
        "theorem fact compares two stopwatches: only an invariant may",
        STATE + ELAPSE + prop("return s.since[n] <= s.since[m]", "theorem"),
    ),
    "a time is a property's parameter": (
        "invariant fact: a time is no parameter of a property",
        STATE + ELAPSE + prop("return d <= d").replace("m: Node", "d: Elapsed"),
    ),
    "a time as index": (
        "Elapsed is no index: time is not counted",
        STATE.replace("field(Node, of=bool)", "field(Elapsed, of=bool)"),
    ),
    "an optional time": ("Option[Elapsed]", STATE.replace("of=bool", "of=Option[Elapsed]")),
    "a field of many times": ("is no field's sort", STATE.replace("of=bool", "of=Each[Node, Elapsed]")),
    "each of a number": (
        "Each gives every element of a set sort",
        STATE.replace("of=bool", "of=Each[Term, Elapsed]"),
    ),
    "each node a node": (
        "Each gives every element of a set sort",
        STATE.replace("of=bool", "of=Each[Node, Node]"),
    ),
    "a first value": ("init=3 is no constant of Elapsed", STATE.replace("init=LONG_AGO", "init=3")),
    "long ago for a number": (
        "init=LONG_AGO is no constant of Term",
        STATE.replace("of=Term", "of=Term, init=LONG_AGO"),
    ),
    "a parameter that is no time": ("a parameter is a time or a rate", STATE.replace("of=Other", "of=Term")),
}


@pytest.mark.parametrize("what", WHOLE)
def test_what_only_the_whole_model_shows(build: Build, what: str) -> None:
    says, text = WHOLE[what]
    assert says in refusal(build, text)


ALLOWED = (
    STATE
    + ELAPSE
    + action(
        "is_time = s.since[n] >= s.wait\ns.require(is_time)\ns.since[n] = 0\ns.late[n] = s.past[n] < s.wait"
    ).replace("s.past[n] <", "s.start <")
    + action("s.since.where(lambda old, k: ite(k == n, LONG_AGO, ite(k == m, s.since[n], old)))").replace(
        "step", "copy"
    )
    + prop("return s.since[n] <= s.fast * s.past[m]")
    + prop("return both(s.wait > 0, s.wait * s.wait <= s.fast + s.wait, s.wait != s.fast)", "axiom").replace(
        "fact", "spans"
    )
)


def at(**changes: object) -> Configuration:
    usual = Configuration(
        {"Node": ("n1", "n2")},
        {"Term": 1},
        parameters={"wait": 2, "fast": 3, "far": 1},
        longest={"Elapsed": 3, "Other": 1},
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def test_what_is_allowed_runs(build: Build) -> None:
    model = build(ALLOWED + END).MODEL
    run = Run(model, at())
    actions = model.actions
    assert run.initial == (3, 3, 0, False, False, 0, 0)
    state = run.step(run.initial, actions["step"], (0, 1, 0))
    assert state == (0, 3, 0, True, False, 0, 0)
    state = run.step(state, actions["elapse"], ((2, 1), 1))
    assert state == (2, 3, 1, True, False, 0, 0)  # 3 and 1 more is stored as 3
    assert run.step(state, actions["copy"], (0, 1, 0))[:2] == (3, 2)
    with pytest.raises(Disabled):
        run.step(state, actions["elapse"], ((2, 0), 1))
    assert at().call(actions["elapse"], ((2, 1), 1)) == "elapse(by=n1 2, n2 1, d=1)"
    assert at().show(model.fields["since"].of, 3) == "3+"
    assert at().value(model.fields["since"].of, "3+") == 3


def test_a_configuration_is_checked(build: Build) -> None:
    model = build(ALLOWED + END).MODEL
    with pytest.raises(UsageError, match=r"breaks the axiom spans"):
        Run(model, at(parameters={"wait": 3, "fast": 3, "far": 1}))
    with pytest.raises(UsageError, match="needs a value for far"):
        Run(model, at(parameters={"wait": 2, "fast": 3}))
    with pytest.raises(UsageError, match=r"fact says 1 \* x <= 0 \* y of two times"):
        Run(model.without_axiom("spans"), at(parameters={"wait": 2, "fast": 0, "far": 1}))
    with pytest.raises(UsageError, match="needs a value for wait: give --size wait=2"):
        configure(model, {"Node": 2, "Term": 1})
    with pytest.raises(UsageError, match="wait=-1 is no time"):
        configure(model, {"Node": 2, "Term": 1, "wait": -1, "fast": 3, "far": 1})
    made = configure(model, {"Node": 2, "Term": 1, "wait": 2, "fast": 3, "far": 1})
    assert (made.parameters, made.longest) == (at().parameters, at().longest)
    assert made.describe() == "2 nodes, 1 term, wait 2, fast 3, far 1"


PROOF = (
    STATE.replace("start = ", "since_all = ").replace("init=LONG_AGO)\n", "init=LONG_AGO)\n", 1)
    + ELAPSE.replace("s.start", "s.since_all")
    + "\n@invariant\ndef reached(s: State, n: Node) -> bool:\n"
    '    """Whoever is late has waited."""\n    return implies(s.late[n], s.since[n] >= s.wait)\n'
    + action("is_time = s.since[n] >= s.wait\ns.require(is_time)\ns.late[n] = True")
)


def test_times_are_reals_in_a_proof_and_a_counterexample_is_one_of_whole_numbers(build: Build) -> None:
    model = build(PROOF + END).MODEL
    assert prove(model, hints={}).verdict is HOLDS
    broken = prove(model.without_guard("step", "is_time"), hints={}, only=["step/reached"]).rows[0]
    assert broken.verdict is VIOLATED
    assert broken.counterexample
    assert broken.counterexample.configuration.parameters["wait"] > 0


def test_long_ago_is_no_less_than_any_parameter(build: Build) -> None:
    says = (
        '\n@invariant\ndef fact(s: State, n: Node) -> bool:\n    """All."""\n    return s.since[n] >= s.%s\n'
    )
    assert prove(build(STATE + ELAPSE + says % "wait" + END).MODEL, hints={}).verdict is HOLDS
    at_first = STATE.replace("init=LONG_AGO", "init=0") + ELAPSE
    found = prove(build(at_first + says % "fast" + END).MODEL, hints={}, only=["init"])
    assert found.verdict is VIOLATED
