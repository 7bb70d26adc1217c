"""Mutants of shipped code around the core: a file with one small thing wrong, as text.

| mutation           | what changes                                                | where                   |
|--------------------|-------------------------------------------------------------|-------------------------|
| as of the core     | see `core_mutation`                                         | every function, async   |
| exception kept in  | a `raise` does nothing                                      | every function          |
| comparison turned  | `<` `<=`, `>` `>=`, `=` `<>`, `==` `~=`                     | texts in SQL and Lua    |
| connective turned  | `AND` `OR`                                                  | the same                |
| condition dropped  | what stands before or after an `AND`, an `OR`, a WHERE      | the same                |
| number moved       | a whole number one more                                     | the same                |
| by hand            | what somebody did to it, and no test saw                    | `BY_HAND`               |
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workshop import ROOT
from workshop.mutation.core_mutation import mutations

SOURCES = {
    "node": "reference/oneleader_raft/node",
    "locks": "reference/oneleader_raft/locks",
    "testbench": "reference/oneleader_raft/testbench",
    "views": "reference/oneleader_raft/views.py",
    "messages": "reference/oneleader_raft/messages.py",
    "conformance": "spec/oneleader/conformance",
    "replay": "spec/oneleader/readers/replay",
}
TURNED = [
    (r"(?<![<>=~])<(?![<>=])", "<="),
    (r"<=", "<"),
    (r"(?<![<>=~-])>(?![<>=])", ">="),
    (r">=", ">"),
    (r"(?<![<>=~:!])=(?!=)(?= ?(?::|excluded|0))", "<>"),
    (r"==", "~="),
    (r"~=", "=="),
    (r"\bAND\b", "OR"),
    (r"\band\b", "or"),
    (r"\bOR\b(?! REPLACE)", "AND"),
    (r"\bor\b", "and"),
    (r"\bnot is_", "is_"),
    (r" (?:AND|and) [^()\n]+?(?= (?:AND|and|OR|or|then)\b|\)|\n)", ""),
    (r" (?:OR|or) [^()\n]+?(?= (?:AND|and|OR|or|then)\b|\)|\n)", ""),
    (r"\bWHERE [^()\n]+ AND ", "WHERE "),
    (r"\bWHERE [^()\n]+(?=\n)", ""),
    (r"(?<=[ (])[01](?=[ ,)\n])", "2"),
]
BY_HAND = {
    "a leader's election timer is not reset": (
        "reference/oneleader_raft/node/server.py",
        "                    case ResetElectionTimer():\n",
        "                    case ResetElectionTimer() if taken.step.node.role is not Role.LEADER:\n",
    ),
    "an unknown outcome of the cluster's store is nothing done": (
        "reference/oneleader_raft/locks/cluster.py",
        "            return row_of(step, self._client.do(operation_for(step)))\n"
        "        except UnknownOutcomeError as error:\n"
        "            raise UnknownError(step, error) from error\n",
        "            return row_of(step, self._client.do(operation_for(step)))\n"
        "        except UnknownOutcomeError:\n"
        "            return None\n",
    ),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class ShippedMutant:
    """The text of one file, with one thing wrong. `file` is its path in the checkout."""

    id: str
    file: str
    line: int
    text: str


def files(name: str) -> list[str]:
    """The files of a part, in order."""
    path = ROOT / SOURCES[name]
    found = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return [str(file.relative_to(ROOT)) for file in found]


def shipped_mutants(name: str) -> Iterator[ShippedMutant]:
    """Every mutant of every file of a part, in the order of the source."""
    for file in files(name):
        source = (ROOT / file).read_text("utf-8")
        short = file.partition(SOURCES[name].removesuffix(".py"))[2].removesuffix(".py").strip("/")
        seen: Counter[str] = Counter()
        for what, line, text in [*_of_functions(source), *_of_texts(source)]:
            if not _is_python(text):  # say, a `match` without its only case
                continue
            id = "/".join(filter(None, (name, short, what)))
            seen[id] += 1
            yield ShippedMutant(f"{id} #{seen[id]}" if seen[id] > 1 else id, file, line, text)
        for what, (of, old, new) in BY_HAND.items():
            if of == file:
                if source.count(old) != 1:
                    raise LookupError(f"{file} does not have once what {what!r} replaces: write it again")
                at = source[: source.index(old)].count("\n") + 1
                yield ShippedMutant(f"{name}/{short}/{what}", file, at, source.replace(old, new))


def _is_python(text: str) -> bool:
    try:
        compile(text, "a mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


# -- functions ----------------------------------------------------------------------------------------
def _of_functions(source: str) -> Iterator[tuple[str, int, str]]:
    for place, function in _functions(ast.parse(source), ""):
        for what, line, mutated in [*mutations(function), *_without_raise(function)]:
            yield f"{place}/{what}", line, _put(source, function, mutated)


def _functions(tree: ast.AST, place: str) -> Iterator[tuple[str, Any]]:
    """Functions and methods; what is defined within one is a part of it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield f"{place}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{place}{node.name}.")


def _without_raise(function: Any) -> Iterator[tuple[str, int, Any]]:
    raises = [node for node in ast.walk(function) if isinstance(node, ast.Raise)]
    for number, node in enumerate(raises):
        mutated = copy.deepcopy(function)
        same = [n for n in ast.walk(mutated) if isinstance(n, ast.Raise)][number]
        yield (
            f"raises {ast.unparse(node.exc) if node.exc else ''}: dropped",
            node.lineno,
            _passing(mutated, same),
        )


def _passing(tree: Any, gone: ast.Raise) -> Any:
    class Pass(ast.NodeTransformer):
        def visit_Raise(self, node: ast.Raise) -> ast.AST:
            return ast.copy_location(ast.Pass(), node) if node is gone else node

    return Pass().visit(tree)


def _put(source: str, function: Any, mutated: Any) -> str:
    """The file with the function replaced; its decorators stay, the rest is untouched."""
    lines = source.splitlines(keepends=True)
    first = min([function.lineno, *(d.lineno for d in function.decorator_list)]) - 1
    indent = " " * function.col_offset
    text = "".join(
        f"{indent}{line}\n" for line in ast.unparse(ast.fix_missing_locations(mutated)).splitlines()
    )
    return "".join([*lines[:first], text, *lines[function.end_lineno :]])


# -- texts in SQL and Lua -----------------------------------------------------------------------------
def _of_texts(source: str) -> Iterator[tuple[str, int, str]]:
    """Statements and scripts are what capital names of a module hold in triple quotes."""
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str()) | ast.JoinedStr()):
                first, last = node.lineno - 1, node.end_lineno or node.lineno
                text = "".join(lines[first:last])
                if name.isupper() and ('"""' in text or "SELECT" in text):
                    for what, at, new in _turned(text):
                        yield f"{name}/{what}", first + 1 + at, "".join([*lines[:first], new, *lines[last:]])


def _turned(text: str) -> Iterator[tuple[str, int, str]]:
    start = text.index("=") + 1  # of what is assigned
    for pattern, new in TURNED:
        for found in re.finditer(pattern, text):
            if found.start() > start and not text[: found.start()].rpartition("\n")[2].lstrip().startswith(
                "--"
            ):
                what = f"{' '.join(found[0].split())}→{new}" if new else f"-{' '.join(found[0].split())}"
                at = text[: found.start()].count("\n")
                yield what, at, text[: found.start()] + new + text[found.end() :]
