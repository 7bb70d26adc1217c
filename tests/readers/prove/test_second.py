"""The second prover: what it confirms, and that a fault in either translation does not pass both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from oneleader.models import MODELS
from oneleader.readers.prove import second
from oneleader.readers.prove.attempts import PORTFOLIO, attempt
from oneleader.readers.prove.hints import load_hints
from oneleader.readers.prove.obligations import Obligation, obligations
from oneleader.readers.prove.prove import prove, rows
from oneleader.readers.prove.second import answer, confirms, unconfirmed
from oneleader.readers.prove.smt import AnySize
from oneleader.readers.prove.smtlib import SmtLib, script
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED

pytest.importorskip("cvc5", reason="pip install 'oneleader[cvc5]'")

Build = Callable[[str], ModuleType]
SMALL = ("election", "fencing", "pre_vote", "lease")  # the others: make second-prover


@pytest.mark.parametrize("name", SMALL)
def test_cvc5_confirms_every_obligation(name: str) -> None:
    """No list excuses one of the small models."""
    model = MODELS[name]
    found = {row.key: row for row in rows(model, prover="cvc5")}
    assert [key for key, row in found.items() if row.verdict is not HOLDS] == []
    assert {row.by for row in found.values()} == {("cvc5",)}
    assert not unconfirmed().get(name)


def test_the_list_names_what_there_is() -> None:
    for name, keys in unconfirmed().items():
        assert set(keys) <= {o.key for o in obligations(MODELS[name])}
        assert keys == sorted(set(keys))


# One model in which every operator decides something: each comparison is true or false by it alone.
OPERATORS = '''
class Span(TimeSort):
    """A time."""

class State(Fields):
    special = constant(Node, of=bool)
    most = parameter(of=Span)
    t = field(Node, of=Term)
    u = field(Node, of=Term)
    who = field(of=Option[Node])
    f = field(Node, of=bool)
    marked = field(Node, of=bool)
    role = field(Node, of=Role)
    ran = field(Node, of=Span, init=LONG_AGO)

@axiom
def some_are(s: State) -> bool:
    """Somebody is special."""
    return Node.any(lambda n: s.special[n])

@action
def step(s: State, n: Node) -> None:
    """A node goes on."""
    n_is_not_behind = s.u[n] <= s.t[n]
    s.require(n_is_not_behind)
    t = s.t[n] + 1
    s.t[n] = t
    s.who = n
    s.f[n] = True
    s.marked.where(lambda old, m: either(old, m == n))
    s.role[n] = BUSY

@action
def pass_time(s: State, by: Each[Node, Span]) -> None:
    """Time passes."""
    s.ran.where(lambda old, n: old + by[n])

@invariant
def not_behind(s: State, n: Node) -> bool:
    """True: + grows."""
    return s.u[n] <= s.t[n]

@invariant
def who_is_marked(s: State, n: Node) -> bool:
    """True."""
    return implies(s.who == n, both(s.f[n], s.t[n] > 0))

@invariant
def both_ways_of_writing(s: State, n: Node) -> bool:
    """True: the same cell, once by its index and once by a rewriting."""
    return s.marked[n] == s.f[n]

@invariant
def busy_is_marked(s: State, n: Node) -> bool:
    """True."""
    return either(s.role[n] == IDLE, s.f[n])

@invariant
def ran_long(s: State, n: Node) -> bool:
    """True: it never starts anew."""
    return s.ran[n] >= s.most

@theorem
def nobody_is_marked(s: State, n: Node) -> bool:
    """False."""
    return no(s.f[n])

@theorem
def no_special(s: State) -> bool:
    """False."""
    return Node.all(lambda n: no(s.special[n]))

@theorem
def all_special(s: State) -> bool:
    """False."""
    return Node.all(lambda n: s.special[n])

@theorem
def one_is_all(s: State, n: Node) -> bool:
    """False."""
    return implies(s.special[n], Node.all(lambda m: s.special[m]))

@theorem
def both_of_them(s: State, n: Node) -> bool:
    """False: the first alone."""
    return implies(s.f[n], both(s.f[n], s.role[n] == IDLE))

@theorem
def never_equal(s: State, n: Node) -> bool:
    """False: at first they are."""
    return s.u[n] < s.t[n]

@theorem
def never_greater(s: State, n: Node) -> bool:
    """False: one step, and it is."""
    return s.t[n] <= s.u[n]

@theorem
def nobody_yet(s: State) -> bool:
    """False: one step, and somebody is."""
    return s.who == NIL

@theorem
def two_is_much(s: State, n: Node) -> bool:
    """False: it is a step or two more."""
    return implies(s.t[n] > 0, s.t[n] + 1 > s.u[n] + 2)

@theorem
def chosen(s: State, n: Node) -> bool:
    """False: of an `ite`, the wrong side."""
    return ite(s.f[n], s.role[n] == IDLE, s.role[n] == BUSY)

MODEL = model(__name__, State)
'''
TRUE_ONES = {"both_ways_of_writing", "not_behind", "who_is_marked", "busy_is_marked", "ran_long"}


def asked(model: Any) -> list[Obligation]:
    """Every obligation, each theorem alone: after a false one the next would be proved of nothing."""
    found = list(obligations(replace(model, theorems={})))
    for name, theorem in model.theorems.items():
        *_, last = obligations(replace(model, theorems={name: theorem}))
        found.append(last)
    return found


def proved_by(model: Any, prover: str) -> set[str]:
    """With little effort: all of it is easy."""
    if prover == "z3":
        return {o.key for o in asked(model) if attempt(o, PORTFOLIO[0], rlimit=100_000).result == "unsat"}
    return {o.key for o in asked(model) if answer(script(o), {"rlimit-per": "5000"}) == "unsat"}


@pytest.fixture(scope="module")
def operators(build: Build) -> Any:
    return build(OPERATORS).MODEL


@pytest.fixture(scope="module")
def honest(operators: Any) -> set[str]:
    """What both prove where neither is broken: all that is true, and no false theorem."""
    by_z3, by_cvc5 = (proved_by(operators, prover) for prover in ("z3", "cvc5"))
    assert by_z3 == by_cvc5
    assert {key.partition("/")[2] for key in by_z3} == TRUE_ONES
    return by_z3


WRONG: dict[str, Callable[..., Any]] = {
    "less": lambda self, x, y: self.at_most(x, y),
    "at_most": lambda self, x, y: self.no(self.at_most_(y, x)),  # <
    "equal": lambda self, x, y: self.both(),
    "add": lambda self, x, y: x,
    "both": lambda self, *xs: self.either_(*xs),
    "either": lambda self, *xs: self.both_(*xs),
    "no": lambda self, x: x,
    "ite": lambda self, condition, x, y: y,
    "closed": lambda self, prop, state: self.both(),
    "_for_all_swapped": lambda self, kind, sort, body: self.quantify_(
        {"all": "any", "any": "all"}[kind], sort, body
    ),
}


def broken(monkeypatch: pytest.MonkeyPatch, algebra: type, operator: str) -> None:
    """One operator of a translation means something else."""
    for name in ("at_most", "either", "both", "quantify"):
        monkeypatch.setattr(algebra, f"{name}_", getattr(algebra, name), raising=False)
    target = "quantify" if operator == "_for_all_swapped" else operator
    monkeypatch.setattr(algebra, target, WRONG[operator])


@pytest.mark.parametrize("operator", WRONG)
@pytest.mark.parametrize(("algebra", "faulty", "sound"), [(AnySize, "z3", "cvc5"), (SmtLib, "cvc5", "z3")])
def test_a_broken_translation_is_seen_by_the_other_prover(
    operators: Any,
    honest: set[str],
    monkeypatch: pytest.MonkeyPatch,
    algebra: type,
    faulty: str,
    sound: str,
    operator: str,
) -> None:
    """It proves something false, or no longer what is true: either way the two differ, and `both` says so."""
    broken(monkeypatch, algebra, operator)
    by_faulty = proved_by(operators, faulty)
    assert by_faulty != honest, f"{operator}: nothing in this model depends on it"
    assert proved_by(operators, sound) == honest


def test_what_only_one_proves_is_not_known(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """`both`, with Z3's `no` gone: Z3 "proves" a false theorem, and cvc5 does not confirm it."""
    text = """
class State(Fields):
    f = field(Node, of=bool)

@action
def on(s: State, n: Node) -> None:
    \"\"\"On.\"\"\"
    s.f[n] = True

@theorem
def nobody(s: State, n: Node) -> bool:
    \"\"\"False.\"\"\"
    return no(s.f[n])

MODEL = model(__name__, State)
"""
    model = build(text).MODEL
    assert [r.verdict for r in rows(model, prover="both")] == [VIOLATED]
    monkeypatch.setattr(AnySize, "closed", lambda self, prop, state: self.both())
    (row,) = rows(model, prover="both")
    assert (row.verdict, row.by) == (INCONCLUSIVE, ("z3",))
    assert "cvc5 does not confirm" in row.reason
    monkeypatch.undo()
    monkeypatch.setattr(SmtLib, "closed", lambda self, prop, state: self.both())
    (row,) = rows(model, prover="both")
    assert (row.verdict, row.by) == (VIOLATED, ("cvc5",))
    assert "one of the two translations is wrong" in row.reason


def test_a_false_sat_is_no_refutation(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `mbqi` and without the tautologies of options cvc5 says `sat` of what Z3 and cvc5 itself prove."""
    model = MODELS["pre_vote"]
    hints = load_hints(model)
    monkeypatch.setattr(SmtLib, "options_are_exhausted", lambda self: [])
    said = {o.key: answer(script(o, hints[o.key]), {"mbqi": "true"}) for o in obligations(model)}
    wrong = [key for key, text in said.items() if text == "sat"]
    assert wrong
    monkeypatch.undo()
    assert all(confirms(o, hints[o.key]) for o in obligations(model) if o.key in wrong)
    monkeypatch.setattr(second, "answer", lambda text, options: "sat")
    (row, *_) = rows(model, prover="cvc5", only=[wrong[0]])
    assert row.verdict is INCONCLUSIVE
    assert row.counterexample is None


def test_no_hypotheses_of_a_proof_contradict_each_other() -> None:
    """The goal left out, cvc5 proves nothing: `unsat` comes from the goal."""
    model = MODELS["election"]
    for obligation in obligations(model):
        text = script(obligation, load_hints(model)[obligation.key])
        *before, goal, question, _ = text.split("\n")
        assert goal.startswith("(assert ")
        if obligation.step == "theorem" or obligation.step == "init":  # others end with naturals
            assert answer("\n".join([*before, question]), {"rlimit-per": "20000"}) != "unsat"


def test_both_say_who_proved_what() -> None:
    proof = prove(MODELS["election"], prover="both", only=["init"])
    assert {row.by for row in proof.rows} == {("z3", "cvc5")}


def test_a_missing_prover_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from oneleader.errors import MissingTool

    monkeypatch.setitem(sys.modules, "cvc5", None)
    with pytest.raises(MissingTool, match=r"pip install 'oneleader\[cvc5\]'"):
        prove(MODELS["election"], prover="cvc5", only=["init"])
