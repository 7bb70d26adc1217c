"""Attacks on `prove`: nothing follows from nothing, and nothing from what was not proved."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType

import pytest
from click.testing import CliRunner

from oneleader.cli.main import cli
from oneleader.errors import SpecError
from oneleader.readers.prove.obligations import obligations
from oneleader.readers.prove.prove import Proof, prove
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict

Build = Callable[[str], ModuleType]

STATE = '''
class State(Fields):
    good = constant(Node, of=bool)
    better = constant(Node, Term, of=bool)
    term = field(Node, of=Term)
    f = field(Node, of=bool)
    g = field(Node, of=bool)

@action
def bump(s: State, n: Node) -> None:
    """A newer term."""
    {guard}
    t = s.term[n] + 1
    s.term[n] = t
'''
END = "\nMODEL = model(__name__, State)\n"
ALWAYS_ZERO = '''
@invariant
def always_zero(s: State, n: Node) -> bool:
    """False in fact."""
    return s.term[n] == 0
'''


def axiom(name: str, says: str) -> str:
    return f'\n@axiom\ndef {name}(s: State) -> bool:\n    """An axiom."""\n    return {says}\n'


def says(proof: Proof) -> dict[str, str]:
    return {answer.what: str(answer.verdict) for answer in proof.possible}


# Row 5: 2 of 2 proved from axioms that contradict each other.
@pytest.mark.parametrize(
    "axioms",
    [
        ["Node.any(lambda n: s.good[n])", "no(Node.any(lambda n: s.good[n]))"],
        ["Node.all(lambda n: both(s.good[n], no(s.good[n])))"],
        ["Node.all(lambda n: s.good[n])", "Node.any(lambda n: no(s.good[n]))"],
        [
            "Node.any(lambda n: Term.all(lambda t: s.better[n, t]))",
            "Term.any(lambda t: Node.all(lambda n: no(s.better[n, t + 1])))",
        ],
    ],
)
def test_axioms_that_contradict_each_other_are_violated(build: Build, axioms: list[str]) -> None:
    text = STATE.format(guard="pass") + "".join(axiom(f"a{i}", a) for i, a in enumerate(axioms))
    proof = prove(build(text + ALWAYS_ZERO + END).MODEL)
    assert {row.verdict for row in proof.rows} == {HOLDS}  # each of them, of nothing
    assert says(proof)["axioms and Init"] == "violated"
    assert (proof.verdict, proof.status) == (VIOLATED, 1)
    assert "contradict each other" in proof.possible[0].reason


def test_axioms_without_a_small_model_are_inconclusive(build: Build) -> None:
    """Every number below a good one is good, and one above 5,000 is: no small instance has it."""
    text = STATE.format(guard="pass") + axiom(
        "far", "Term.any(lambda t: both(t > 5000, Node.any(lambda n: s.better[n, t])))"
    )
    text += '\n@invariant\ndef true(s: State, n: Node) -> bool:\n    """True."""\n    return s.term[n] >= 0\n'
    proof = prove(build(text + END).MODEL)
    assert says(proof)["axioms and Init"] == "inconclusive"
    assert (proof.verdict, proof.status) == (INCONCLUSIVE, 3)


@pytest.mark.parametrize(
    "guard",
    ["is_so = s.term[n] + 1 == 0", "is_so = both(s.f[n], no(s.f[n]))", "is_so = s.term[n] > 0"],
)
def test_an_action_that_is_never_possible(build: Build, guard: str) -> None:
    """Its guard contradicts itself, or the invariants: it keeps them all, of nothing."""
    proof = prove(build(STATE.format(guard=f"{guard}\n    s.require(is_so)") + ALWAYS_ZERO + END).MODEL)
    assert {row.verdict for row in proof.rows} == {HOLDS}
    assert says(proof) == {"axioms and Init": "holds", "bump": "violated"}
    assert proof.status == 1


@pytest.mark.parametrize(
    "body",
    [
        "implies(both(s.f[n], no(s.f[n])), s.g[n])",
        "implies(s.term[n] + 1 == 0, s.g[n])",
        "Node.all(lambda m: implies(both(s.f[m], s.f[n], m != m), s.g[n]))",
        "both(s.term[n] >= 0, implies(s.f[n], s.g[n]))",  # f is never true, by the other invariant
        "implies(s.term[n] >= 0, implies(s.f[n], s.g[n]))",
    ],
)
def test_a_premise_that_can_never_hold(build: Build, body: str) -> None:
    quiet = '\n@invariant\ndef f_is_off(s: State, n: Node) -> bool:\n    """True."""\n    return no(s.f[n])\n'
    vacuous = (
        f'\n@invariant\ndef vacuous(s: State, n: Node) -> bool:\n    """Of nothing."""\n    return {body}\n'
    )
    proof = prove(build(STATE.format(guard="pass") + quiet + vacuous + END).MODEL)
    assert {row.verdict for row in proof.rows} == {HOLDS}
    assert "violated" in {v for what, v in says(proof).items() if what.startswith("premise")}
    assert proof.status == 1


# Row 13: 3 of 3 proved for any cluster size, where an assumed invariant is false.
HARM = '''
@action
def on(s: State, n: Node) -> None:
    """Switched on."""
    s.f[n] = True

@action
def harm(s: State, n: Node) -> None:
    """What is on does harm."""
    f_is_on = s.f[n]
    s.require(f_is_on)
    s.g[n] = True

@invariant
def no_harm(s: State, n: Node) -> bool:
    """False: on, harm."""
    return no(s.g[n])

@{kind}
def nothing_is_on(s: State, n: Node) -> bool:
    """False: on."""
    return no(s.f[n])
'''


@pytest.mark.parametrize("only", [["no_harm"], ["harm"], ["harm/no_harm"], ["init", "harm"]])
@pytest.mark.parametrize("kind", ["invariant", "theorem"])
@pytest.mark.parametrize(
    "hints", [{}, {"harm/no_harm": ["invariant nothing_is_on", "theorem nothing_is_on", "guard f_is_on"]}]
)
def test_what_is_assumed_is_named(
    build: Build, only: list[str], kind: str, hints: dict[str, list[str]]
) -> None:
    model = build(STATE.format(guard="pass") + HARM.format(kind=kind) + END).MODEL
    proof = prove(model, only=only, hints=hints)
    assert "nothing_is_on" in proof.assumes
    assert (proof.verdict, proof.status) == (INCONCLUSIVE, 3)


@pytest.mark.parametrize("only", [["init"], ["init/nothing_is_on"], ["bump", "init"]])
def test_a_property_is_not_proved_by_some_of_its_obligations(build: Build, only: list[str]) -> None:
    """It holds at first and is kept by `bump`, and is false: nobody asked about `on`."""
    module = build(STATE.format(guard="pass") + HARM.format(kind="invariant") + END)
    file, proof = module.__file__, prove(module.MODEL, only=only)
    assert (proof.verdict, "nothing_is_on" in proof.in_part) == (INCONCLUSIVE, True)
    names = [word for name in only for word in ("--only", name)]
    said = CliRunner().invoke(cli, ["prove", str(file), *names], standalone_mode=False)
    assert said.return_value == 3, said.output
    assert "????  NothingIsOn" in said.output
    assert "proved, the others were not asked" in said.output
    as_json = CliRunner().invoke(cli, ["prove", str(file), *names, "--json"], standalone_mode=False)
    assert (as_json.return_value, json.loads(as_json.output)["verdict"]) == (3, "inconclusive")


def test_the_last_line_never_forgets_what_was_assumed() -> None:
    said = CliRunner().invoke(cli, ["prove", "election", "--only", "theorem"], standalone_mode=False)
    assert said.return_value == 3
    assert "assumes: " in said.output
    assert "proved for any cluster size, if what is assumed and not proved here holds" in said.output
    whole = CliRunner().invoke(cli, ["prove", "election", "--instance"], standalone_mode=False)
    assert whole.return_value == 0
    assert "axioms and Init have a model of 1 node, 1 quorum, 1 term; 8 of 8 actions" in whole.output
    assert "become_leader is possible" in whole.output


def test_writes_that_may_meet_are_no_small_print(build: Build) -> None:
    """What a step leads to is judged as if its writes were apart: that is assumed, too."""
    swap = '''
@action
def swap(s: State, a: Node, b: Node) -> None:
    """Two writes that meet where a is b."""
    one, other = s.f[a], s.g[b]
    s.f[a] = other
    s.f[b] = one

@invariant
def true(s: State, n: Node) -> bool:
    """True."""
    return s.term[n] >= 0
'''
    proof = prove(build(STATE.format(guard="pass") + swap + END).MODEL, only=["swap/true"])
    assert "swap/distinct writes of f" in proof.assumes
    assert proof.status == 3


# Hints, theorems, recursion.
def test_a_hint_names_only_what_may_be_assumed(build: Build) -> None:
    """No hint adds one: not the goal after the step, none of another action, no theorem to itself."""
    model = build(STATE.format(guard="pass") + HARM.format(kind="invariant") + END).MODEL
    names = [h for o in obligations(model) for h in (*o.hypotheses, f"theorem {o.goal}", o.goal, "False")]
    proof = prove(model, hints={o.key: names for o in obligations(model)})
    assert [row.key for row in proof.rows if row.verdict is not HOLDS] == ["on/nothing_is_on"]


def test_theorems_do_not_prove_each_other(build: Build) -> None:
    circle = "".join(
        f'\n@theorem\ndef {name}(s: State, n: Node) -> bool:\n    """False."""\n    return no(s.f[n])\n'
        for name in ("one", "two")
    )
    on = '\n@action\ndef on(s: State, n: Node) -> None:\n    """On."""\n    s.f[n] = True\n'
    proof = prove(build(STATE.format(guard="pass") + on + circle + END).MODEL)
    assert {r.key: r.verdict for r in proof.rows} == {"theorem/one": VIOLATED, "theorem/two": HOLDS}
    assert proof.status == 1


def test_a_definition_that_calls_itself_is_an_error_with_its_place(build: Build) -> None:
    text = '''
def reachable(s: State, n: Node) -> bool:
    return either(s.f[n], reachable(s, n))

@invariant
def never(s: State, n: Node) -> bool:
    """Of a definition without end."""
    return no(reachable(s, n))
'''
    with pytest.raises(SpecError, match="invariant never: RecursionError"):
        build(STATE.format(guard="pass") + text + END)


@pytest.mark.parametrize("through", ["s.seen[n]", "both(s.f[n], s.seen[n])", "Node.any(lambda m: s.seen[m])"])
def test_history_feeds_no_guard(build: Build, through: str) -> None:
    text = STATE.format(guard=f"is_so = {through}\n    s.require(is_so)")
    text = text.replace(
        "    g = field(Node, of=bool)\n", "    g = field(Node, of=bool)\n    seen = ghost(Node, of=bool)\n"
    )
    with pytest.raises(SpecError, match="reads the ghost field seen"):
        build(text + ALWAYS_ZERO + END)


def test_axioms_that_a_small_model_shows_in_part_say_so(build: Build) -> None:
    """No number is good: what follows one that is, is seen nowhere up to any bound."""
    far = axiom("far", "Term.all(lambda t: either(t < 2, Node.any(lambda n: s.better[n, t])))")
    module = build(STATE.format(guard="pass") + far + ALWAYS_ZERO + END)
    said = CliRunner().invoke(cli, ["prove", str(module.__file__)], standalone_mode=False)
    assert "values above the bounds matter, and are not tried: far: Term.all" in said.output


PIGEONS = '''
@axiom
def each_has_a_hole(s: State, t: Term) -> bool:
    """Of the numbers from 5 on."""
    return implies(both(t >= 5, t < {end}), either({holes}))

@axiom
def no_two_share_one(s: State, t: Term, u: Term, h: Term) -> bool:
    """Of the same."""
    return implies(both(t >= 5, t < u, s.sits[t, h]), no(s.sits[u, h]))

@action
def on(s: State, n: Node) -> None:
    """On."""
    {guard}
    s.f[n] = True

@invariant
def off(s: State, n: Node) -> bool:
    """False, unless nothing can be."""
    return no(s.f[n])
'''


def pigeons(holes: int, guard: str = "pass") -> str:
    """One more number than there are holes for them."""
    state = "\nclass State(Fields):\n    sits = constant(Term, Term, of=bool)\n    f = field(Node, of=bool)\n"
    named = ", ".join(f"s.sits[t, {20 + hole}]" for hole in range(holes))
    return state + PIGEONS.format(end=5 + holes + 1, holes=named, guard=guard)


@pytest.mark.parametrize(("holes", "said"), [(5, VIOLATED), (6, VIOLATED), (9, INCONCLUSIVE)])
def test_axioms_that_contradict_each_other_of_greater_numbers_prove_nothing(
    build: Build, holes: int, said: Verdict
) -> None:
    """A small instance has no such number; to refute them takes more than a moment, or more than is tried."""
    proof = prove(build(pigeons(holes) + END).MODEL, only=["init"])
    assert proof.possible[0].verdict is said
    assert proof.verdict is not HOLDS


def test_nor_does_an_action_that_such_axioms_forbid(build: Build) -> None:
    text = pigeons(5, "is_on = s.c[n]\n    s.require(is_on)")
    text = text.replace("    f = field", "    c = constant(Node, of=bool)\n    f = field", 1)
    text = text.replace("t: Term) -> bool:", "t: Term, n: Node) -> bool:", 1)
    text = text.replace("either(", "either(no(s.c[n]), ", 1)
    proof = prove(build(text + END).MODEL)
    assert {row.verdict for row in proof.rows} == {HOLDS}
    assert says(proof)["on"] == "violated"
    assert proof.status == 1


def test_nor_one_that_an_invariant_forbids_of_greater_numbers(build: Build) -> None:
    """f is off, which is said of the numbers from 3 on; an instance of two numbers says nothing of f."""
    text = STATE.format(guard="is_on = s.f[n]\n    s.require(is_on)") + ALWAYS_ZERO
    text += (
        '\n@invariant\ndef f_is_off(s: State, t: Term, n: Node) -> bool:\n    """True."""\n'
        "    return implies(t > 2, no(s.f[n]))\n"
    )
    proof = prove(build(text + END).MODEL)
    assert {row.verdict for row in proof.rows} == {HOLDS}
    assert says(proof)["bump"] == "violated"
    assert proof.status == 1


def test_axioms_of_all_numbers_that_have_a_model_are_no_alarm(build: Build) -> None:
    """No small instance shows that each number is good somewhere: Z3 says that there is a model."""
    text = STATE.format(guard="pass") + axiom("far", "Term.all(lambda t: Node.any(lambda n: s.better[n, t]))")
    text += '\n@invariant\ndef true(s: State, n: Node) -> bool:\n    """True."""\n    return s.term[n] >= 0\n'
    assert prove(build(text + END).MODEL).status == 0
