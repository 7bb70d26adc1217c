"""lint: what a model must not say in Python, found without running it.

    python -m oneleader.lint [paths]

A model is read with values that may be symbols, so Python must not decide anything in its place. Most
of that is an error as soon as an action is traced; some is silent (`x is NIL` is just False), and all
of it is easier to mend where it stands. State code is every marked function and every function that
takes `s` as its first parameter, with the functions and lambdas inside; module-level code is free.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from oneleader.errors import UsageError
from oneleader.language.source import CHAIN, FORBIDDEN

MARKS = {"action", "axiom", "invariant", "theorem", "witness"}
MOST_LINES = 25

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, order=True)
class Finding:
    """A rule broken in one place; printed as `file:line: rule: what to do`."""

    file: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.text}"


def lint(source: str, file: str) -> list[Finding]:
    """Every finding in one file of models, in order of its lines."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [Finding(file, error.lineno or 1, "syntax", f"this is not Python: {error.msg}")]
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    return sorted(
        Finding(file, line, rule, text)
        for function in _state_code(tree)
        for line, rule, text in (
            *_decisions(function),
            *_shape(function),
            *_guards(function, comments),
        )
    )


def _state_code(node: ast.AST) -> Iterator[Function]:
    """The outermost functions that are state code."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function) and (_mark(child) or _takes_state(child)):
            yield child
        else:
            yield from _state_code(child)


def _mark(function: Function) -> str:
    """`action`, `invariant` ...: what the function is marked as; "" for a helper."""
    if isinstance(function, ast.Lambda):
        return ""
    names = (
        d.attr if isinstance(d, ast.Attribute) else getattr(d, "id", "") for d in function.decorator_list
    )
    return next((name for name in names if name in MARKS), "")


def _takes_state(function: Function) -> bool:
    params = [*function.args.posonlyargs, *function.args.args]
    return bool(params) and params[0].arg == "s"


Found = Iterator[tuple[int, str, str]]


def _decisions(function: Function) -> Found:
    """Where Python would decide, loop or iterate in the model's place."""
    for node in ast.walk(function):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Compare) and len(node.ops) > 1:
            yield line, "chain", CHAIN
        operators: list[ast.AST] = [node]
        if isinstance(node, ast.BoolOp | ast.UnaryOp):
            operators = [node.op]
        elif isinstance(node, ast.Compare):
            operators = list(node.ops)
        for operator in operators if line else []:
            if type(operator) in FORBIDDEN:
                rule, text = FORBIDDEN[type(operator)]
                yield line, rule, text


def _shape(function: Function) -> Found:
    """Docstrings and length."""
    if isinstance(function, ast.Lambda):
        return
    if _mark(function) and not ast.get_docstring(function):
        yield (
            function.lineno,
            "docstring",
            f"{function.name} has none: cite the paper or say it in a sentence",
        )
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if lines > MOST_LINES:
        text = f"{function.name} has {lines} lines: at most {MOST_LINES}; split the step or name its parts"
        yield function.lineno, "length", text


def _guards(function: Function, comments: dict[int, str]) -> Found:
    """Each guard is a local variable whose name is a sentence, with its clause at the end of its line."""
    assigned: dict[str, list[ast.Assign]] = {}
    for node in ast.walk(function):
        for target in node.targets if isinstance(node, ast.Assign) else []:
            if isinstance(node, ast.Assign) and isinstance(target, ast.Name):
                assigned.setdefault(target.id, []).append(node)
    for guard in _required(function):
        if not isinstance(guard, ast.Name) or guard.id not in assigned:
            yield (
                guard.lineno,
                "guard",
                "require takes local variables: `name = ...  # clause`, then its name",
            )
            continue
        places = assigned[guard.id]
        if len(places) > 1:
            text = f"the guard {guard.id} is assigned twice: its clause would be the wrong one; use two names"
            yield places[1].lineno, "guard", text
        if "_" not in guard.id.strip("_"):
            text = f"{guard.id} is not a sentence: name the guard for what it says, like term_is_current"
            yield places[0].lineno, "guard", text
        lines = range(places[0].lineno, (places[0].end_lineno or places[0].lineno) + 1)
        if not any(comments.get(line) for line in lines):
            text = f"the guard {guard.id} cites nothing: end its line with the clause as a comment"
            yield places[0].lineno, "clause", text


def _required(function: Function) -> Iterator[ast.expr]:
    """The arguments of `require`."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "require":
            yield from node.args


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}: name models to lint, or nothing for all")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the findings. 0: none; 1: some; 2: a path that does not exist."""
    parser = argparse.ArgumentParser(
        prog="python -m oneleader.lint", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders (default: the models)")
    paths = parser.parse_args(arguments).paths or [Path(__file__).parents[1] / "models"]
    try:
        files = [file for path in paths for file in _files(path)]
        findings = [f for file in files for f in lint(file.read_text("utf-8"), str(file))]
    except (UsageError, OSError, UnicodeError) as error:
        print(f"oneleader.lint: {error}", file=sys.stderr)
        return 2
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
