"""Attacks on the language: what would make a symbol, or the text of a model, say something false."""

from __future__ import annotations

import collections.abc
import contextlib
import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from oneleader import models
from oneleader.cli.main import cli, guarded
from oneleader.errors import SpecError, UsageError
from oneleader.language import Each, Fields, NumberSort, Option, SetSort, TimeSort, field
from oneleader.language.configuration import configure
from oneleader.language.expr import variable
from oneleader.language.sealed import Sealed, tracing
from oneleader.language.sorts import resolve
from oneleader.language.trace import TracedState
from oneleader.readers.run import Run

CASES = Path(__file__).parent / "cases"
Build = Callable[[str], ModuleType]


class Node(SetSort):
    """A server."""


class Term(NumberSort):
    """A number."""


class Elapsed(TimeSort):
    """A time."""


class State(Fields):
    """A state."""

    seen = field(Node, of=bool)
    term = field(of=Term)


def sealed_values() -> dict[str, Sealed]:
    """One of each kind of value that an action sees."""
    sorts = {"set": Node, "number": Term, "truth": bool, "option": Option[Node], "each": Each[Node, Elapsed]}
    values: dict[str, Sealed] = {name: variable(name, resolve(sort)) for name, sort in sorts.items()}
    state = TracedState(State.declared)
    return values | {"read": state.term, "field": state.seen, "state": state}


VALUES = sealed_values()
# What the language itself defines; everything else that Python may call has to refuse.
OF_A_SYMBOL = {"eq", "ne", "lt", "le", "gt", "ge", "add", "radd", "mul", "rmul", "getitem"}
API = dict.fromkeys(VALUES, OF_A_SYMBOL) | {"field": {"getitem", "setitem"}, "state": set[str]()}
PROTOCOLS: tuple[Any, ...] = (
    *(object, int, float, complex, bool, str, bytes, bytearray, list, tuple, dict, set, frozenset, range),
    *(slice, memoryview, property, type, os.PathLike, contextlib.AbstractContextManager),
    *(contextlib.AbstractAsyncContextManager, collections.abc.AsyncGenerator, collections.abc.Coroutine),
)
OF_A_CLASS = {  # asked of a class or of the machinery, not of a value
    *(
        "new",
        "init",
        "init_subclass",
        "subclasshook",
        "class_getitem",
        "prepare",
        "subclasses",
        "abstractmethods",
    ),
    *(
        "doc",
        "module",
        "dict",
        "weakref",
        "weakrefoffset",
        "slots",
        "name",
        "qualname",
        "base",
        "bases",
        "mro",
    ),
    *(
        "basicsize",
        "itemsize",
        "flags",
        "dictoffset",
        "text_signature",
        "annotations",
        "type_params",
        "or_of",
    ),
    *("getattribute", "getattr", "setattr", "delattr", "class", "isabstractmethod", "getformat", "set_name"),
    *("static_attributes", "firstlineno", "alloc", "release_buffer"),
    *("iadd", "imul", "idivmod"),  # without them `x += y` is `x = x + y`
}
SPECIAL = sorted(
    name.strip("_")
    for name in {n for of in PROTOCOLS for n in dir(of)}
    | {f"__{n}__" for n in ("length_hint", "missing", "copy")}
    if name.startswith("__") and name.strip("_") not in OF_A_CLASS
)


@pytest.mark.parametrize("kind", VALUES)
def test_every_special_method_belongs_to_the_language_or_refuses(kind: str) -> None:
    value = VALUES[kind]
    assert len(SPECIAL) > 80
    for name in SPECIAL:
        if name in API[kind]:
            continue
        with tracing() as refused:
            method = getattr(type(value), f"__{name}__", None)
            assert method, f"__{name}__ is not sealed: Python would answer it itself"
            with pytest.raises(SpecError):
                method(value, *([] if name == "repr" else [1]))
            assert refused, f"__{name}__: the refusal is not remembered"


ASKED: dict[str, Callable[[Any], Any]] = {
    "truth": bool,
    "hash": hash,
    "len": len,
    "iteration": list,
    "text": str,
    "repr": repr,
    "format": lambda x: f"{x:>3}",
    "percent": lambda x: "%s" % x,  # noqa: UP031
    "int": int,
    "float": float,
    "index": lambda x: [1, 2][x],
    "range": range,
    "in a list": lambda x: x in [1, 2],
    "in a set": lambda x: x in {1, 2},
    "in it": lambda x: 1 in x,
    "table": lambda x: {1: 2}.get(x),
    "key": lambda x: {x: 1},
    "member of a set": lambda x: {x},
    "isinstance": lambda x: isinstance(x, int),
    "isinstance of a protocol": lambda x: isinstance(x, collections.abc.Mapping),
    "getattr": lambda x: getattr(x, "real", 0),
    "hasattr": lambda x: hasattr(x, "value"),
    "setattr": lambda x: setattr(x, "value", 1),
    "max": lambda x: max(x, 1),
    "sum": lambda x: sum(x),
    "sorted": lambda x: sorted([x, x]) if False else sorted(x),
    "chained": lambda x: 0 < x < 3,
    "not": lambda x: not x,
    "text compared": lambda x: x == "n1",
    "None compared": lambda x: x == None,  # noqa: E711
    "a float compared": lambda x: x == 1.5,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "call": lambda x: x(),
    "match": lambda x: _matched(x),
}


def _matched(x: Any) -> bool:
    match x:
        case int():
            return True
    return False


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("asked", ASKED)
def test_a_question_to_python_is_refused(asked: str, kind: str) -> None:
    with tracing() as refused:
        with pytest.raises(SpecError):
            ASKED[asked](VALUES[kind])
        assert refused


MODEL = '''
class State(Fields):
    term = field(Node, of=Term)
    role = field(Node, of=Role)
    seen = field(Node, of=bool)
    last = field(of=Term)

class Gate(IntEnum):
    OPEN = 0
    SHUT = 1
    def __getitem__(self, x): return type(x) is int

class Level(IntEnum):
    LOW = 0
    def __lt__(self, x): return type(x) is int
    def __radd__(self, x): return type(x) is int
    def __call__(self, x): return type(x) is int

OPEN = Gate.OPEN
LOW = Level.LOW
TABLE = {BUSY: True}
NAMES = ["n1"]
LIMIT = 1
LIMIT = 2
COUNT = 0

def free(x): return x is NIL
def innocent(s, n): return s.seen[n]
def caught(s, n):
    try:
        return bool(s.seen[n])
    except Exception:
        return True
def counted():
    global COUNT
    COUNT = COUNT + 1

@action
def step(s: State, n: Node, t: Term) -> None:
    """Section 1."""
'''
END = "\nMODEL = model(__name__, State)\n"
IMPORTS = """
import time
import types
from contextlib import suppress

given = types.ModuleType("given")
given.LIMIT = 1
computing = types.ModuleType("computing")
computing.__getattr__ = lambda name: int(time.time()) % 5

class Posing(types.ModuleType):
    LIMIT = property(lambda self: int(time.time()) % 5)

posing = Posing("posing")
"""
# The effect of an action, which a trace alone would take, or could not refuse for sure.
SILENT = {
    "is": "s.seen[n] = s.role[n] is BUSY",
    "is not": "s.seen[n] = s.role[n] is not BUSY",
    "a helper says is": "s.seen[n] = free(s.role[n])",
    "a helper of a helper": "s.seen[n] = (lambda x: free(x))(s.role[n])",
    "type": "s.seen[n] = type(s.term[n]) is int",
    "id": "s.seen[n] = id(n) == id(n)",
    "try": "try:\n        s.seen[n] = bool(s.seen[n])\n    except Exception:\n        s.seen[n] = True",
    "a helper tries": "s.seen[n] = caught(s, n)",
    "suppress": "with suppress(Exception):\n        s.seen[n] = True",
    "match on a capture": "match t:\n        case x:\n            s.term[n] = x",
    "match on a sequence": "match t:\n        case [x]:\n            s.last = x",
    "a table": "s.seen[n] = TABLE[BUSY]",
    "a table's method": "s.seen[n] = TABLE.get(BUSY, False)",
    "a table written": "TABLE[BUSY] = False",
    "a list": "NAMES.append(n)",
    "a comprehension": "s.seen[n] = [x for x in (True,)][0]",
    "any of a generator": "s.seen[n] = any(x for x in ())",
    "a loop over nothing": "for x in ():\n        s.seen[n] = True",
    "a branch on a constant": "if LIMIT:\n        s.seen[n] = True",
    "a conditional expression": "s.seen[n] = True if TABLE else False",
    "and": "s.seen[n] = True and s.seen[n]",
    "a chain of constants": "s.seen[n] = 0 < 1 < 2",
    "a walrus": "s.seen[n] = (x := True)",
    "a name bound twice": "s.last = LIMIT",
    "a name that is counted": "s.last = COUNT",
    "a global statement": "global COUNT\n    COUNT = 1",
    "a helper counts": "counted()",
    "a default": "f = lambda x, y=n: y\n    s.seen[f(n)] = True",
    "a star": "f = lambda *x: True\n    s.seen[n] = f(n)",
    "text": "x = f'{1}'\n    s.seen[n] = True",
    "a string": "s.seen[n] = innocent(s, 'n1')",
    "None": "x = None\n    s.seen[n] = True",
    "an import": "import random\n    s.last = 1",
    "random": "s.last = __import__('random').randrange(2)",
    "time": "s.seen[n] = time.time() > 0",
    "print": "print(1)",
    "open": "open('/dev/null')",
    "eval": "s.seen[n] = eval('True')",
    "exec": "exec('1')",
    "vars": "s.seen[n] = len(vars(s)) > 0",
    "globals": "s.seen[n] = globals()['free'](n)",
    "getattr": "s.seen[n] = getattr(s, 'seen')[n]",
    "isinstance": "s.seen[n] = isinstance(1, int)",
    "len": "s.seen[n] = len(NAMES) > 0",
    "the inside of a symbol": "s.seen[n] = t.op == t.op",
    "the serial of a symbol": "s.last = t.serial",
    "the inside of the state": "s._fields",
    "the class of the state": "s.seen[n] = s.__class__ == State",
    "the dictionary of the state": "x = s.__dict__\n    s.last = t",
    "a field of the sort": "s.seen[n] = Node.__name__ == Node.__name__",
    "an attribute of a function": "free.calls = 1",
    "a sort is no value": "s.seen[n] = Node == Term",
    "an alias of the state": "x = s\n    x.last = t",
    "a list display": "x = [n]\n    s.seen[x[0]] = True",
    "a dictionary display": "x = {}\n    s.seen[n] = True",
    "a deleted name": "x = t\n    del x\n    s.last = t",
    "raise": "raise KeyError(n)",
    "yield": "yield n",
    "a return of nothing but text": "return 'x'",
    "a negative": "s.last = t + -1",
    "a class inside": "class X: pass\n    s.last = t",
    "a decorator inside": "@staticmethod\n    def f(): return True\n    s.seen[n] = f()",
    "an enumeration made": "s.role[n] = Role(1)",
    "an element of a member": "s.seen[n] = OPEN[n]",
    "a member that compares": "s.seen[n] = LOW < t",
    "a member that is compared": "s.seen[n] = t > LOW",
    "a member that adds": "s.last = t + LOW",
    "a member of a class that compares": "s.seen[n] = Level.LOW < t",
    "a member indexed by another name": "x = OPEN\n    s.seen[n] = x[n]",
    "a member called": "x = LOW\n    s.seen[n] = x(n)",
    "an attribute that a module computes": "s.last = computing.LIMIT",
    "an attribute of a module of another class": "s.last = posing.LIMIT",
    "the value of a member": "s.last = BUSY.value",
    "a guard of a match": "match t:\n        case x if x == 1:\n            s.last = x",
    "a walrus in a guard": "s.require(guard := s.seen[n])",
    "a walrus in a comprehension": "s.seen[n] = any((y := x) for x in (True,))",
    "text that names itself": "x = f'{t=}'\n    s.last = t",
    "a chain of symbols": "s.seen[n] = t < s.last < t",
    "a chain of ==": "s.seen[n] = t == s.last == t",
    "not": "s.seen[n] = not s.seen[n]",
    "bool": "s.seen[n] = bool(s.seen[n])",
    "int": "s.last = int(t)",
    "min": "s.last = min(t, s.last)",
    "max": "s.last = max(t, s.last)",
    "sorted": "s.last = sorted([t, s.last])[0]",
    "sum": "s.last = sum([t, 1])",
    "abs": "s.last = abs(t)",
    "round": "s.last = round(t)",
    "divmod": "s.last, x = divmod(t, 2)",
    "all of a list": "s.seen[n] = all([s.seen[n]])",
    "any of a map": "s.seen[n] = any(map(innocent, [s], [n]))",
    "filter": "s.seen[n] = [*filter(None, [s.seen[n]])] == []",
    "zip": "s.seen[n] = [*zip([n], [n])] == [(n, n)]",
    "in a tuple": "s.seen[n] = t in (1, s.last)",
    "in a set display": "s.seen[n] = s.role[n] in {BUSY}",
    "not in": "s.seen[n] = s.role[n] not in (BUSY,)",
    "a set display": "x = {n}\n    s.last = t",
    "a key of a table": "TABLE[n] = True",
    "a table joined": "x = TABLE | {}\n    s.last = t",
    "or": "s.seen[n] = s.seen[n] or False",
    "a bit": "s.seen[n] = s.seen[n] & True",
    "a difference": "s.last = t - 1",
    "a shift": "s.last = t << 1",
    "a power": "s.last = t ** 2",
    "a quotient": "s.last = t // 2",
    "plus equals": "s.last += 1",
    "a bitwise not": "s.seen[n] = ~s.seen[n]",
    "a star in an assignment": "x, *y = t, t, t\n    s.last = x",
    "a star in a display": "x = [*NAMES]\n    s.last = t",
    "two stars": "x = dict(**TABLE)\n    s.last = t",
    "a slice": "x = s.seen[n:n]\n    s.last = t",
    "a with": "with given:\n        s.last = t",
    "a while": "while s.seen[n]:\n        s.last = t",
    "a break": "for x in (1,):\n        break",
    "a generator handed on": "yield from ()",
    "an ellipsis": "x = ...\n    s.last = t",
    "a float": "x = 1.0\n    s.last = t",
    "bytes": "x = b'1'\n    s.last = t",
    "nothing computed": "x = __debug__\n    s.last = t",
    "a special name": "s.seen[n] = __name__ == 'model'",
    "a sort made": "s.seen[n] = Node() == n",
    "a special method": "s.seen[n] = t.__eq__(1)",
    "a hash": "s.seen[n] = hash(t) == hash(t)",
    "a function's text": "s.seen[n] = free.__name__ == 'free'",
    "a function of the language": "s.seen[n] = equal(t, t)",
    "a default by keyword": "f = lambda *, y=n: y\n    s.seen[f()] = True",
    "a sort as a value": "x = Node\n    s.last = t",
    "an assertion": "assert s.seen[n]\n    s.last = t",
    "an annotation alone": "x: int\n    s.last = t",
    "a local function with a default": "def f(x=n):\n        return x\n    s.seen[f()] = True",
    "a coroutine inside": "async def f():\n        return n\n    s.last = t",
}


@pytest.mark.parametrize("what", SILENT)
def test_what_a_symbol_cannot_refuse_is_refused_in_the_source(build: Build, what: str) -> None:
    text = IMPORTS + MODEL + f"    {SILENT[what]}\n" + END
    with pytest.raises(SpecError, match=r"^/.*/model_\d+\.py:\d+:\d+: (action|function) "):
        build(text)


def test_the_model_of_these_attacks_is_sound_without_them(build: Build) -> None:
    """The cases above fail for what they add, not for what surrounds it."""
    build(IMPORTS + MODEL + "    s.seen[n] = innocent(s, n)\n    s.last = given.LIMIT\n" + END)


def test_properties_are_read_as_actions_are(build: Build) -> None:
    prop = (
        '\n@invariant\ndef fact(s: State, n: Node) -> bool:\n    """1."""\n    return no(s.role[n] is NIL)\n'
    )
    with pytest.raises(SpecError, match="invariant fact: `is` compares"):
        build(MODEL + "    s.last = t\n" + prop + END)


def test_a_refusal_that_is_caught_refuses_all_the_same(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the source is not looked at."""
    monkeypatch.setattr("oneleader.language.source.check", lambda function: None)
    with pytest.raises(SpecError, match="an error is caught here: Python branches on a state value"):
        build(MODEL + f"    {SILENT['try']}\n" + END)


def test_an_enumeration_answers_nothing_itself(build: Build) -> None:
    text = (
        "class Odd(IntEnum):\n    A = 0\n    def __eq__(self, x): return True\n    __hash__ = int.__hash__\n"
    )
    with pytest.raises(SpecError, match="Odd defines __eq__"):
        build(f"{text}\nclass State(Fields):\n    odd = field(of=Odd)\n")


def test_a_sort_keeps_its_quantifiers(build: Build) -> None:
    sort = "\nclass Own(SetSort):\n    @classmethod\n    def any(cls, body): return True\n"
    with pytest.raises(SpecError, match=r"Own\.any is no function of the model"):
        build(sort + MODEL + "    s.seen[n] = Own.any(lambda x: False)\n" + END)


# -- the cases, as a person meets them ---------------------------------------------------------------
def run(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["oneleader", *arguments])
        return guarded(cli)


@pytest.mark.parametrize("command", ["explore", "prove", "walk", "graph"])
def test_a_table_looked_up_by_a_state_value_is_refused(command: str, capsys: Any, tmp_path: Path) -> None:
    more = ["--out", str(tmp_path / "x.dot")] if command == "graph" else []
    assert run(command, str(CASES / "c8_table_get.py"), *more) == 2
    assert (
        "c8_table_get.py:36:17: action write: Python looks a state value up in a dict"
        in capsys.readouterr().err
    )


def test_two_sorts_of_one_name_are_an_error() -> None:
    with pytest.raises(
        SpecError, match=r"two sorts are named Node, c6_same_names\.Node and .*election\.Node"
    ):
        models.find(str(CASES / "c6_same_names.py"))


def test_two_enumerations_of_one_name_are_an_error(build: Build) -> None:
    other = "\nfrom oneleader.models.election import Role as Other\n"
    text = "class State(Fields):\n    a = field(Node, of=Role)\n    b = field(Node, of=Other)\n"
    with pytest.raises(SpecError, match="two sorts are named Role"):
        build(other + text + END)


@pytest.mark.parametrize("command", ["explore", "walk", "graph"])
def test_a_constant_that_is_not_given_is_an_error(command: str, capsys: Any, tmp_path: Path) -> None:
    more = ["--out", str(tmp_path / "x.dot")] if command == "graph" else []
    assert run(command, str(CASES / "constant_empty.py"), *more) == 2
    assert 'where linked[Node, Node] is true: give --where "linked=n1 n1,' in capsys.readouterr().err


def test_a_constant_is_given_from_the_command_line(tmp_path: Path, capsys: Any) -> None:
    """False where two nodes are linked: that is found; where none are, the run says so of its bounds."""
    common = ("explore", str(CASES / "constant_empty.py"), "--out", str(tmp_path))
    assert run(*common, "--nodes", "2", "--where", "linked=n1 n2,n2 n1") == 1
    assert "2 nodes, linked n1 n2, n2 n1" in capsys.readouterr().out


def test_a_constant_named_member_of_other_sorts_is_no_system_of_quorums(build: Build) -> None:
    """`--quorums` fills in Node x Quorum and nothing else, whatever the constant is called."""
    text = "class Group(SetSort):\n    pass\nclass State(Fields):\n    member = constant(Node, Group)\n"
    built = build(f"{text}    seen = field(Group, of=bool)\n{END}").MODEL
    with pytest.raises(UsageError, match=r"needs to know where member\[Node, Group\] is true"):
        Run(built, configure(built, {"Node": 2, "Group": 1}))


QUORUM_OF = {
    "a constant of other sorts": "quorum_of = constant(Node, Node)",
    "of configurations alone": "quorum_of = constant(Config, Config)",
    "a field": "quorum_of = field(Node, of=bool)",
}


@pytest.mark.parametrize("what", QUORUM_OF)
def test_nor_is_one_named_quorum_of_a_system_of_configurations(build: Build, what: str) -> None:
    """Before, `adjacent` was filled in beside it: `seen` was never true, exhaustively."""
    text = f"""
class Config(NumberSort):
    pass
class State(Fields):
    {QUORUM_OF[what]}
    adjacent = constant(Config, Config)
    seen = field(Config, of=bool)

@action
def see(s: State, a: Config) -> None:
    are_adjacent = s.adjacent[a, a]
    s.require(are_adjacent)
    s.seen[a] = True
{END}"""
    built = build(text).MODEL
    with pytest.raises(UsageError, match=r"needs to know where (quorum_of|adjacent)\["):
        Run(built, configure(built, {"Node": 2, "Config": 1}))


def test_a_set_of_configurations_has_no_majorities(build: Build) -> None:
    text = "class Quorum(SetSort):\n    pass\nclass Config(SetSort):\n    pass\nclass State(Fields):\n"
    text += "    quorum_of = constant(Quorum, Config)\n    seen = field(Config, of=bool)\n"
    built = build(text + END).MODEL
    with pytest.raises(UsageError, match=r"needs to know where quorum_of\[Quorum, Config\] is true"):
        Run(built, configure(built, {"Quorum": 2, "Config": 2}))
