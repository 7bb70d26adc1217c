"""Each rule of the language: a model that breaks it cannot be built, and the error names the line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import indent
from types import ModuleType

import pytest

from oneleader.errors import SpecError
from oneleader.language import NIL, both, either, implies, ite, no
from oneleader.language.configuration import Configuration
from oneleader.language.expr import variable
from oneleader.language.sealed import tracing
from oneleader.models.environment import Node
from oneleader.readers.run import Cut, Disabled, Run

Build = Callable[[str], ModuleType]

STATE = """
class State(Fields):
    term = field(Node, of=Term)
    index = field(Node, of=Index)
    role = field(Node, of=Role)
    vote = field(Node, of=Option[Node])
    seen = field(Node, Term, of=bool)
    clock = field(of=Term)
    newest = field(of=Option[Term])
    member = constant(Node, Node)
    past = ghost(Node, of=Term)
    lost = ghost(of=bool)

"""
END = "\nMODEL = model(__name__, State)\n"
HERE = "  # <--"


def action(body: str, params: str = "n: Node, m: Node, t: Term") -> str:
    return f'\n@action\ndef step(s: State, {params}) -> None:\n    """Section 1."""\n{indent(body, "    ")}\n'


def prop(body: str, kind: str = "invariant", params: str = "n: Node, m: Node, t: Term") -> str:
    return f'\n@{kind}\ndef fact(s: State, {params}) -> bool:\n    """Section 1."""\n{indent(body, "    ")}\n'


def refusal(build: Build, text: str) -> tuple[str, int]:
    """What the error says, without the file, and how far its line is from the marked one."""
    with pytest.raises(SpecError) as raised:
        build(STATE + text + END)
    found = re.fullmatch(r"/.*/(model_\d+)\.py:(\d+):(\d+): (.*)", str(raised.value))
    assert found, f"no file, line and column in: {raised.value}"
    lines = Path(str(sys.modules[found[1]].__file__)).read_text().splitlines()
    marked = [i for i, line in enumerate(lines, 1) if line.endswith(HERE)]
    assert len(marked) == 1
    assert lines[int(found[2]) - 1][int(found[3]) - 1 :][:1].strip(), "the column is that of no text"
    return found[4], int(found[2]) - marked[0]


BRANCH = "Python branches on a state value here"
# What is wrong -> (a part of the sentence, the body of an action with its line marked)
IN_ACTION = {
    "a written field is read": (
        "clock is read after it was written",
        "s.clock = t\ns.past[n] = s.clock  # <--",
    ),
    "a written field is rewritten": (
        "seen is read after it was written",
        "s.seen[n, t] = True\ns.seen.where(lambda old, a, b: old)  # <--",
    ),
    "a cell is written twice": ("term is written twice in one step", "s.term[n] = t\ns.term[n] = 0  # <--"),
    "a rewritten field is written": (
        "term is written twice in one step",
        "s.term.where(lambda old, a: t)\ns.term[n] = 0  # <--",
    ),
    "a guard after an effect": (
        "a guard stands after an effect",
        "is_new = t > 0\ns.clock = t\ns.require(is_new)  # <--",
    ),
    "a ghost beside others in a claim": (
        "a claim that reads a ghost field stands in a call of its own",
        "s.claim(t > 0, s.past[n] == t)  # <--",
    ),
    "a claim after an effect": ("a claim stands after an effect", "s.clock = t\ns.claim(t > 0)  # <--"),
    "if": (BRANCH, "if s.seen[n, t]:  # <--\n    s.clock = t"),
    "if else": (BRANCH, "s.clock = t if n == m else 0  # <--"),
    "and": (BRANCH, "s.seen[n, t] = n == m and t == 0  # <--"),
    "or": (BRANCH, "s.seen[n, t] = n == m or t == 0  # <--"),
    "not": (BRANCH, "s.seen[n, t] = not s.seen[n, t]  # <--"),
    "in": (BRANCH, "s.seen[n, t] = n in (s.vote[n], s.vote[m])  # <--"),
    "chained comparison": (BRANCH, "s.seen[n, t] = 0 <= t <= 3  # <--"),
    "in a quantifier": (BRANCH, "s.seen[n, t] = Node.all(\n    lambda a: not s.seen[a, t]  # <--\n)"),
    "iterating": ("quantify with .all or .any", "for x in s.term[n]:  # <--\n    s.clock = x"),
    "iterating over a field": ("quantify with .all or .any", "for x in s.term:  # <--\n    s.clock = x"),
    "a set sort's constant as index": ("a set sort has no constants", "s.term[0] = t  # <--"),
    "a set sort's constant as value": ("a set sort has no constants", "s.vote[n] = 0  # <--"),
    "a set sort's constant compared": ("a set sort has no constants", "s.seen[n, t] = n == 0  # <--"),
    "order on a set sort": ("`<` on Node: only numbers have order and +", "s.seen[n, t] = n < m  # <--"),
    "order on an enumeration": ("`<` on Role", "s.seen[n, t] = s.role[n] < s.role[m]  # <--"),
    "sum of a set sort": ("`+` on Node", "s.clock = n + m  # <--"),
    "order on an Option": ("`<=` on Option[Term]", "s.seen[n, t] = s.newest <= t  # <--"),
    "two number sorts compared": (
        "a value of sort Index stands where Term is wanted",
        "s.seen[n, t] = s.term[n] == s.index[n]  # <--",
    ),
    "a number of another sort written": ("a value of sort Term stands where Index", "s.index[n] = t  # <--"),
    "an Option where a value is wanted": (
        "a value of sort Option[Node] stands where Node is wanted",
        "s.term[s.vote[n]] = t  # <--",
    ),
    "a truth value where a number is wanted": ("True stands where Term is wanted", "s.clock = True  # <--"),
    "a number where a truth value is wanted": ("1 stands where bool is wanted", "s.seen[n, t] = 1  # <--"),
    "a negative number": ("-3 stands where Term is wanted", "s.clock = -3  # <--"),
    "None": ("None stands where Option[Node] is wanted", "s.vote[n] = None  # <--"),
    "NIL written without Option": (
        "NIL stands where Term is wanted: declare the field as Option[Term]",
        "s.term[n] = NIL  # <--",
    ),
    "NIL compared without Option": ("NIL stands where Node is wanted", "s.seen[n, t] = n == NIL  # <--"),
    "one index too few": ("seen[Node, Term] takes 2 indices, not 1", "s.clock = t\ns.seen[n] = True  # <--"),
    "one index too many": ("term[Node] takes 1 indices, not 2", "s.clock = s.term[n, t]  # <--"),
    "no index written": ("term[Node] takes 1 indices, not 0", "s.term = t  # <--"),
    "no index compared": (
        "Python compares term[Node] without its index",
        "s.seen[n, t] = s.term == t  # <--",
    ),
    "no index ordered": ("Python compares term[Node] without its index", "s.seen[n, t] = s.term > t  # <--"),
    "no index in a connective": ("is not a truth value", "s.lost = no(s.seen)  # <--"),
    "no index in a branch": (
        "Python branches on seen[Node, Term] without its index",
        "s.lost = not s.seen  # <--",
    ),
    "an unknown field": ("the state has no field terms", "s.terms[n] = t  # <--"),
    "a constant written": ("member is a constant", "s.member[n, m] = True  # <--"),
    "a constant rewritten": ("member is a constant", "s.member.where(lambda old, a, b: old)  # <--"),
    "~": ("Python computes with a state value here", "s.seen[n, t] = ~s.seen[n, t]  # <--"),
    "&": ("Python computes with a state value here", "s.seen[n, t] = s.seen[n, t] & s.lost  # <--"),
    "|": ("Python computes with a state value here", "s.seen[n, t] = s.seen[n, t] | s.lost  # <--"),
    "a number in a connective": ("is not a truth value", "s.lost = both(t, n == m)  # <--"),
    "a sort in a connective": ("is not a truth value", "s.lost = both(Node, n == m)  # <--"),
    "a condition that is a number": ("is not a truth value", "s.clock = ite(t, t, t)  # <--"),
    "branches of two sorts": ("stands where", "s.clock = ite(n == m, t, n)  # <--"),
    "branches without a sort": (
        "both branches of ite are literals",
        "s.vote[n] = ite(n == m, NIL, 1)  # <--",
    ),
    "a guard that is a number": (
        "a value of sort Term stands where bool is wanted",
        "is_new = s.clock\ns.require(is_new)  # <--",
    ),
    "a guard without a name": ("give each guard a name", "s.require(t > 0)  # <--"),
    "a parameter as a guard": ("give each guard a name", "s.require(t)  # <--"),
    "two requires": (
        "one require per action",
        "is_new = t > 0\ns.require(is_new)\ns.require(is_new)  # <--",
    ),
    "a product": ("`*` on Term: only a time is multiplied", "s.clock = t * 2  # <--"),
    "a Python error": ("TypeError: ", "s.clock = no(t > 0, t > 1)  # <--"),
}


@pytest.mark.parametrize("what", IN_ACTION)
def test_an_action_that_breaks_a_rule_is_refused_with_its_line(build: Build, what: str) -> None:
    says, body = IN_ACTION[what]
    text, off = refusal(build, action(body))
    assert text.startswith("action step: ")
    assert says in text
    assert off == 0


IN_PROPERTY = {
    "it branches": (BRANCH, "return s.lost or n == m  # <--"),
    "it has no index": ("Python compares term[Node] without its index", "return s.term == t  # <--"),
}


@pytest.mark.parametrize("what", IN_PROPERTY)
@pytest.mark.parametrize("kind", ["invariant", "theorem", "witness", "axiom"])
def test_a_property_that_breaks_a_rule_is_refused_with_its_line(build: Build, what: str, kind: str) -> None:
    says, body = IN_PROPERTY[what]
    text, off = refusal(build, prop(body, kind))
    assert text.startswith(f"{kind} fact: ")
    assert says in text
    assert off == 0


# What is wrong -> (the whole sentence, the text of the model with the line of the definition marked)
OF_DEFINITIONS = {
    "a parameter without a sort": (
        "action step: parameter n has no sort",
        action("s.clock = 1", "n").replace("@action", "@action  # <--"),
    ),
    "a parameter that is no sort": (
        "action step: parameter n: <class 'int'> is not a sort: "
        "use a SetSort, a NumberSort, a TimeSort, an IntEnum, Option[...] or bool",
        action("s.clock = 1", "n: int").replace("@action", "@action  # <--"),
    ),
    "a ghost in a guard": (
        "action step: guard is_known reads the ghost field past",
        action("is_known = s.past[n] == t\ns.require(is_known)").replace("@action", "@action  # <--"),
    ),
    "a ghost in a guard's quantifier": (
        "action step: guard is_known reads the ghost field past",
        action("is_known = Node.any(lambda a: s.past[a] == t)\ns.require(is_known)").replace(
            "@action", "@action  # <--"
        ),
    ),
    "a ghost in another field's value": (
        "action step: the effect on clock reads the ghost field past",
        action("s.clock = s.past[n]").replace("@action", "@action  # <--"),
    ),
    "a ghost in another field's index": (
        "action step: the effect on seen reads the ghost field past",
        action("s.seen[n, s.past[n]] = True").replace("@action", "@action  # <--"),
    ),
    "a ghost in another field's rewriting": (
        "action step: the effect on term reads the ghost field past",
        action("s.term.where(lambda old, a: s.past[a])").replace("@action", "@action  # <--"),
    ),
    "a property claims": (
        "invariant fact: a property only reads",
        prop("s.claim(n == m)\nreturn n == m").replace("@invariant", "@invariant  # <--"),
    ),
    "a property returns nothing": (
        "invariant fact: it returns no truth value",
        prop("s.term[n] == t").replace("@invariant", "@invariant  # <--"),
    ),
    "a property returns a number": (
        "invariant fact: it returns no truth value",
        prop("return s.term[n]").replace("@invariant", "@invariant  # <--"),
    ),
    "an axiom reads a moving field": (
        "axiom fact reads term, which is no constant",
        prop("return both(s.member[n, m], s.term[n] == t)", "axiom").replace("@axiom", "@axiom  # <--"),
    ),
    "require in a loop": (
        "action step: 2 guards were required and 1 are named in its source: "
        "require stands once, in the action itself",
        action("is_new = t > 0\nfor _ in range(2):\n    s.require(is_new)").replace(
            "@action", "@action  # <--"
        ),
    ),
    "require in a helper": (
        "action step: 1 guards were required and 0 are named in its source: "
        "require stands once, in the action itself",
        "\ndef helper(s, t):\n    s.require(t > 0)\n"
        + action("helper(s, t)").replace("@action", "@action  # <--"),
    ),
}


@pytest.mark.parametrize("what", OF_DEFINITIONS)
def test_a_definition_that_breaks_a_rule_is_refused_with_its_first_line(build: Build, what: str) -> None:
    says, text = OF_DEFINITIONS[what]
    assert refusal(build, text) == (says, 0)


# A declaration -> a part of the sentence
DECLARATIONS = {
    "f = field(Node, of=Node)": "a field of Node has no first value",
    "f = field(Node, of=Node, init=0)": "init=0 is no constant of Node",
    "f = field(of=Option[Node], init=0)": "init=0 is no constant of Option[Node]",
    "f = field(of=Term, init=-1)": "init=-1 is no constant of Term",
    "f = field(of=Term, init=NIL)": "init=NIL is no constant of Term",
    "f = field(of=bool, init=0)": "init=0 is no constant of bool",
    "f = field(of=Term, init=True)": "init=True is no constant of Term",
    "f = field(of=Role, init=0)": "init=0 is no constant of Role",
    "f = field(of=int)": "<class 'int'> is not a sort",
    "f = field(Option[Node], of=bool)": "Option[Node] is no index",
    "f = field(3, of=bool)": "3 is not a sort",
    "f = constant(Node, of=Term)": "a constant is a relation",
    "f = constant()": "a constant without an index",
    "require = field(of=Term)": "a field cannot be named require",
    "_f = field(of=Term)": "a field cannot be named _f",
    "f = field(of=IntEnum('Odd', 'A B'))": "the members of Odd must be 0, 1, 2 ...",
}


@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_a_field_that_breaks_a_rule_is_refused(build: Build, declaration: str) -> None:
    with pytest.raises(SpecError, match=re.escape(DECLARATIONS[declaration])):
        build(f"\nclass State(Fields):\n    {declaration}\n")


def test_what_a_field_may_start_with(build: Build) -> None:
    state = build(
        "\nclass State(Fields):\n    a = field(of=Term, init=2)\n    b = field(of=Option[Term], init=1)\n"
        "    c = field(of=Option[Node], init=NIL)\n    d = field(of=bool, init=True)\n"
        "    e = field(of=Role, init=BUSY)\n    dropped = field(of=bool)\n    guards = field(of=bool)\n"
    ).State
    assert [f.init for f in state.declared.values()] == [2, 1, NIL, True, 1, False, False]


def test_guards_need_a_source(build: Build) -> None:
    module = build(STATE + END)
    exec(action("s.clock = 1"), module.__dict__)
    with pytest.raises(SpecError, match="action step: guards are read from source"):
        module.model(module.__name__, module.State)


def test_a_good_action_is_read_whole(build: Build) -> None:
    body = (
        "is_new = t > s.term[n]  # section 5.1\nis_long = (  # 5.2\n    n != m\n)\ns.require(is_new, is_long)"
    )
    guards = build(STATE + action(body) + END).MODEL.actions["step"].guards
    assert [str(g) for g in guards] == ["is_new (section 5.1)", "is_long (5.2)"]


# -- the plain interpreter -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong", [lambda: both(1, True), lambda: either(0), lambda: no(None), lambda: implies(True, "x")]
)
def test_connectives_take_truth_values_only(wrong: Callable[[], object]) -> None:
    with pytest.raises(SpecError, match="is not a truth value"):
        wrong()


def test_connectives_on_plain_values() -> None:
    assert [both(), both(True, True), both(True, False)] == [True, True, False]
    assert [either(), either(False, True), either(False, False)] == [False, True, False]
    assert [no(True), implies(True, False), implies(False, False)] == [False, False, True]
    assert [ite(True, 1, 2), ite(False, 1, 2)] == [1, 2]


def test_a_quantifier_has_a_meaning_only_while_a_model_is_read(build: Build) -> None:
    with pytest.raises(SpecError, match=r"Node\.all"):
        build(STATE).Node.all(lambda n: True)


def plain(build: Build, body: str, params: str = "n: Node, m: Node, t: Term") -> Run:
    model = build(STATE + action(body, params) + END).MODEL
    bounds = Configuration({"Node": ("n1", "n2")}, {"Term": 2, "Index": 2}, {"member": frozenset()})
    return Run(model, bounds)


def take(run: Run, *args: int) -> dict[str, int]:
    """The cells that a step from the initial state changes."""
    after = run.step(run.initial, run.model.actions["step"], args)
    keys = [f"{field.name}{list(key)}" for field, key in run.cells.keys]
    return {k: v for k, old, v in zip(keys, run.initial, after, strict=True) if old != v}


def test_two_writes_that_meet_in_one_cell(build: Build) -> None:
    run = plain(build, "s.term[n] = t\ns.term[m] = 0")
    assert take(run, 0, 1, 2) == {"term[0]": 2}
    with pytest.raises(SpecError, match=r"step\(n=n1, m=n1, t=2\): term\[0\] is written twice in one step"):
        take(run, 0, 0, 2)


def test_two_writes_to_different_cells_of_a_row(build: Build) -> None:
    run = plain(build, "s.seen[n, t] = True\ns.seen[n, 0] = True\ns.seen[m, t] = True")
    assert take(run, 0, 1, 2) == dict.fromkeys(["seen[0, 0]", "seen[0, 2]", "seen[1, 2]"], True)


def test_a_value_outside_its_domain(build: Build) -> None:
    with pytest.raises(SpecError, match=r"step\(n=n1, m=7, t=2\): 7 is outside vote\[Node\]"):
        take(plain(build, "s.vote[n] = m"), 0, 7, 2)
    with pytest.raises(SpecError, match=r"term\[7\] is outside term\[Node\]"):
        take(plain(build, "s.term[m] = t"), 0, 7, 2)
    with pytest.raises(SpecError, match=r"step\(n=n1, m=-1, t=2\): term\[-1\] is outside term\[Node\]"):
        take(plain(build, "s.clock = s.term[m]"), 0, -1, 2)


def test_a_step_beyond_the_bound_is_cut(build: Build) -> None:
    value, option = plain(build, "s.term[n] = t + 1"), plain(build, "s.newest = t + 1")
    index, rewriting = (
        plain(build, "s.seen[n, t + 1] = True"),
        plain(build, "s.term.where(lambda old, a: t + 1)"),
    )
    for run in (value, option, index, rewriting):
        take(run, 0, 1, 1)
        with pytest.raises(Cut):
            take(run, 0, 1, 2)
    assert [list(r.steps(r.initial))[2][1] for r in (value, option, index, rewriting)] == [None] * 4


def test_reading_beyond_the_bound_gives_the_first_value(build: Build) -> None:
    run = plain(build, "s.seen[n, 0] = no(either(s.seen[n, t + t], s.seen[n, 9]))")
    assert take(run, 0, 1, 2) == {"seen[0, 0]": True}


def test_a_guard_that_forbids_a_step_is_named(build: Build) -> None:
    run = plain(
        build, "is_new = t > 0  # section 1\nis_other = n != m  # section 2\ns.require(is_new, is_other)"
    )
    step = run.model.actions["step"]
    with pytest.raises(Disabled):
        take(run, 0, 1, 0)
    assert str(run.refused(run.initial, step, (0, 1, 0))) == "is_new (section 1)"
    assert str(run.refused(run.initial, step, (0, 0, 1))) == "is_other (section 2)"
    assert run.refused(run.initial, step, (0, 1, 1)) is None
    dropped = Run(run.model.without_guard("step", "is_new"), run.configuration)
    assert take(dropped, 0, 1, 0) == {}


def test_a_ghost_left_out_is_not_written(build: Build) -> None:
    body = "s.past[n] = s.past[n] + 1\ns.lost = either(s.lost, n == m)\ns.clock = t"
    run = plain(build, body)
    assert take(run, 0, 0, 1) == {"clock[]": 1}
    kept = Run(run.model, run.configuration, frozenset({"past", "lost"}))
    assert take(kept, 0, 0, 1) == {"clock[]": 1, "past[0]": 1, "lost[]": True}


def test_mutations_that_name_nothing(build: Build) -> None:
    module = build(STATE + action("s.clock = t") + END)
    with pytest.raises(SpecError, match="action step has no guard is_new"):
        module.MODEL.without_guard("step", "is_new")
    with pytest.raises(SpecError, match="other replaces no action of"):
        module.MODEL.with_action(
            build(action("s.clock = t").replace("def step(s: State", "def other(s")).other
        )


def test_a_trace_seals_symbols_in_its_own_thread_alone() -> None:
    """`replay --follow` traces each model in a thread of its own."""
    symbol = variable("n", Node)
    with tracing() as refusals, ThreadPoolExecutor(1) as elsewhere:
        assert elsewhere.submit(hash, symbol).result() == elsewhere.submit(hash, symbol).result()
        assert refusals == []
        with pytest.raises(SpecError, match="up in a dict or a set"):
            hash(symbol)
        assert len(refusals) == 1
