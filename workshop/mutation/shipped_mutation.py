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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from workshop import ROOT
from workshop.mutation.core_mutation import mutated_at, places

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
Mutation = tuple[str, int, Callable[[], tuple[str, str]]]  # in words, the line, how


@dataclass(frozen=True)
class ShippedMutant:
    """One thing wrong in one file, whose path in the checkout is `file`."""

    id: str
    file: str
    line: int
    mutate: Callable[[], tuple[str, str]]

    @cached_property
    def definition(self) -> str:
        """What was mutated alone: a function, a statement in SQL, a script."""
        return self.mutate()[0]

    @cached_property
    def text(self) -> str:
        """The whole file."""
        return self.mutate()[1]


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
        for what, line, mutate in [*_of_functions(source), *_of_texts(source)]:
            id = "/".join(filter(None, (name, short, what)))
            seen[id] += 1
            yield ShippedMutant(f"{id} #{seen[id]}" if seen[id] > 1 else id, file, line, mutate)
        for what, (of, old, new) in BY_HAND.items():
            if of == file:
                if source.count(old) != 1:
                    raise LookupError(f"{file} does not have once what {what!r} replaces: write it again")
                at = source[: source.index(old)].count("\n") + 1
                mutate = partial(_replaced, source, old, new)
                yield ShippedMutant(f"{name}/{short}/{what}", file, at, mutate)


def _replaced(source: str, old: str, new: str) -> tuple[str, str]:
    return new, source.replace(old, new)


# -- functions ----------------------------------------------------------------------------------------
def _of_functions(source: str) -> Iterator[Mutation]:
    for place, function in _functions(ast.parse(source), ""):
        put = partial(_put, source, function)
        for what, line, number, choice in places(function):
            yield f"{place}/{what}", line, partial(put, mutated_at, number, choice)
        for number, node in enumerate(_raises(function)):
            what = f"raises {ast.unparse(node.exc) if node.exc else ''}: dropped"
            yield f"{place}/{what}", node.lineno, partial(put, _without_raise, number)


def _functions(tree: ast.AST, place: str) -> Iterator[tuple[str, Any]]:
    """Functions and methods; what is defined within one is a part of it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield f"{place}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{place}{node.name}.")


def _raises(function: Any) -> list[ast.Raise]:
    return [node for node in ast.walk(function) if isinstance(node, ast.Raise)]


def _without_raise(function: Any, number: int) -> Any:
    mutated = copy.deepcopy(function)
    gone = _raises(mutated)[number]

    class Pass(ast.NodeTransformer):
        def visit_Raise(self, node: ast.Raise) -> ast.AST:
            return ast.copy_location(ast.Pass(), node) if node is gone else node

    return ast.fix_missing_locations(Pass().visit(mutated))


def _put(source: str, function: Any, mutated: Callable[..., Any], *at: int) -> tuple[str, str]:
    """The mutated function, and the file with it; the rest is untouched."""
    definition = ast.unparse(mutated(function, *at))
    lines = source.splitlines(keepends=True)
    first = min([function.lineno, *(d.lineno for d in function.decorator_list)]) - 1
    indent = " " * function.col_offset
    text = "".join(f"{indent}{line}\n" for line in definition.splitlines())
    return definition, "".join([*lines[:first], text, *lines[function.end_lineno :]])


# -- texts in SQL and Lua -----------------------------------------------------------------------------
def _of_texts(source: str) -> Iterator[Mutation]:
    """Statements and scripts are what capital names of a module hold in triple quotes."""
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str()) | ast.JoinedStr()):
                first, last = node.lineno - 1, node.end_lineno or node.lineno
                text = "".join(lines[first:last])
                if name.isupper() and ('"""' in text or "SELECT" in text):
                    for what, at, new in filter(_is_python, _turned(text)):
                        yield f"{name}/{what}", first + 1 + at, partial(_replaced, source, text, new)


def _is_python(turned: tuple[str, int, str]) -> bool:
    """Whether the text still ends where it did."""
    try:
        ast.parse(turned[2])
    except SyntaxError:
        return False
    return True


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
