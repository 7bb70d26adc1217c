"""The lint over models/: one bad snippet a rule, and the models themselves are clean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest

from oneleader import models
from oneleader.language import lint

CLEAN = '''
"""A model."""
LIMIT = 3 if True and not False else 4  # module-level code may use what it likes
NAMES = [n for n in "abc" if n not in "b"]


def find(name):
    """No state code: its first parameter is not s."""
    if name is None or name not in NAMES:
        raise KeyError(name)


@action
def grant(s, c):
    """Section 1."""
    is_free = s.holder == NIL  # section 1.1
    nobody_waits = Client.all(  # section 1.2
        lambda other: no(s.waits[other])
    )
    s.require(is_free, nobody_waits)

    s.holder = c
'''

# (rule, its line in the body, body of a marked function)
BAD = [
    ("branch", 1, "if s.a:\n    s.b = 1"),
    ("branch", 3, "if s.a:\n    s.b = 1\nelif s.c:\n    s.b = 2\nelse:\n    s.b = 3"),
    ("branch", 1, "s.b = 1 if s.a else 2"),
    ("branch", 1, "assert s.a"),
    ("branch", 1, "match s.a:\n    case 1:\n        s.b = 1"),
    ("connective", 1, "s.b = s.a and s.c"),
    ("connective", 1, "s.b = s.a or s.c"),
    ("connective", 1, "s.b = not s.a"),
    ("membership", 1, "s.b = s.a in (1, 2)"),
    ("membership", 1, "s.b = s.a not in (1, 2)"),
    ("membership", 1, "s.b = s.a is NIL"),
    ("membership", 1, "s.b = s.a is not NIL"),
    ("chain", 1, "s.b = 1 <= s.a <= 3"),
    ("loop", 1, "for n in range(3):\n    s.f[n] = 1"),
    ("loop", 1, "while s.a:\n    s.b = 1"),
    ("comprehension", 1, "s.b = all(s.f[n] for n in range(3))"),
    ("comprehension", 1, "s.b = [s.f[n] for n in range(3)]"),
    ("comprehension", 1, "s.b = {s.f[n] for n in range(3)}"),
    ("comprehension", 1, "s.b = {n: s.f[n] for n in range(3)}"),
    ("connective", 1, "s.b = Node.all(lambda n: not s.f[n])"),
    ("connective", 2, "def inner(n):\n    return s.f[n] and s.a\ns.b = Node.all(inner)"),
    ("clause", 1, "is_free = s.a == 1\ns.require(is_free)"),
    ("clause", 1, "is_free = s.a == 1  #\ns.require(is_free)"),
    ("guard", 1, "s.require(s.a == 1)"),
    ("guard", 1, "s.require(*facts)"),
    ("guard", 1, "free = s.a == 1  # section 1\ns.require(free)"),
    ("guard", 2, "is_free = s.a == 1  # section 1\nis_free = s.b == 1  # section 2\ns.require(is_free)"),
]


def marked(body: str, mark: str = "action") -> str:
    return f'@{mark}\ndef step(s):\n    """Section 1."""\n{indent(body, "    ")}\n'


@pytest.mark.parametrize(("rule", "line", "body"), BAD)
def test_each_rule_finds_its_snippet(rule: str, line: int, body: str) -> None:
    found = lint.lint(marked(body), "m.py")
    assert (rule, line + 3) in [(f.rule, f.line) for f in found]
    assert {f.rule for f in found} == {rule}  # and nothing else is said of it


@pytest.mark.parametrize("mark", sorted(lint.MARKS))
def test_every_mark_is_state_code_and_needs_a_docstring(mark: str) -> None:
    for decorator in (mark, f"language.{mark}"):
        assert [f.rule for f in lint.lint(marked("return not s.a", decorator), "m.py")] == ["connective"]
        (found,) = lint.lint(f"@{decorator}\ndef step(x):\n    return x.a\n", "m.py")
        assert str(found) == "m.py:2: docstring: step has none: cite the paper or say it in a sentence"


def test_a_helper_that_takes_the_state_is_state_code() -> None:
    assert [f.rule for f in lint.lint("def newest(s, n):\n    return s.a[n] or s.b[n]\n", "m.py")] == [
        "connective"
    ]
    assert [f.rule for f in lint.lint("newest = lambda s, n: s.a[n] or s.b[n]\n", "m.py")] == ["connective"]
    assert lint.lint("def newest(a, b):\n    return a or b\n", "m.py") == []


def test_length_counts_from_def_to_the_last_line() -> None:
    fits = marked("\n".join(f"s.f{i} = 1" for i in range(23)))
    assert lint.lint(fits, "m.py") == []
    (found,) = lint.lint(fits + "    s.last = 1\n", "m.py")
    assert (found.line, found.rule) == (2, "length")
    assert "26 lines: at most 25" in found.text


def test_a_finding_says_where_and_what_to_do_instead() -> None:
    (found,) = lint.lint(marked("s.b = s.a is NIL"), "models/m.py")
    assert str(found) == "models/m.py:4: membership: `is` compares Python objects: write =="


def test_clean_code_and_the_real_models_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint.lint(dedent(CLEAN), "m.py") == []
    assert lint.main([]) == 0
    assert capsys.readouterr().out == ""


def test_a_change_to_a_real_model_is_found() -> None:
    election = Path(models.__path__[0]) / "election.py"
    broken = election.read_text().replace("t > s.term[n]  #", "not (t <= s.term[n])  #")
    (found,) = lint.lint(broken, "election.py")
    assert found.rule == "connective"


def test_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "bad.py").write_text(marked("s.b = s.a or s.c"))
    assert lint.main([str(tmp_path)]) == 1
    assert "bad.py:4: connective: " in capsys.readouterr().out
    assert lint.main([str(tmp_path / "missing.py")]) == 2
    assert capsys.readouterr().err.startswith("oneleader.lint: there is no file or folder ")
    (tmp_path / "deep" / "bad.py").write_text("def (")
    assert lint.main([str(tmp_path)]) == 1
    assert "bad.py:1: syntax: " in capsys.readouterr().out
    (tmp_path / "deep" / "bad.py").write_bytes(b"\xff\xfe")
    assert lint.main([str(tmp_path)]) == 2


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "oneleader.language.lint"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    missing = subprocess.run([*command, "nowhere"], check=False, capture_output=True, text=True)
    assert (missing.returncode, missing.stdout, missing.stderr.count("\n")) == (2, "", 1)
