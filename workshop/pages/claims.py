"""The claims: docs/claims.toml with its evidence, as README's table and docs/results/claims.md.

A claim names the command that shows it, and the figures to be read off what the command prints; or it names a
test alone, and every run of the tests shows it. What a command printed is kept in docs/results/claims.json,
with a digest of the code that it speaks of: evidence older than its code counts for nothing.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from oneleader.errors import UsageError
from workshop import DOCS, RESULTS, ROOT

SOURCE, KEPT, PAGE = DOCS / "claims.toml", RESULTS / "claims.json", RESULTS / "claims.md"
README = ROOT / "README.md"
RUN = {f"pytest.mark.{mark}" for mark in ("parametrize", "usefixtures", "slow")}  # with these a test runs
RUN |= {"given", "settings", "example"}
EMPTY = re.compile(r", (\[\]|\(\))[,)]")  # of no values
BLOCK = re.compile(r"(?<=<!-- claims -->\n).*?(?=<!-- /claims -->)", re.DOTALL)


@dataclass(frozen=True)
class PrintedFigures:
    """What one run of a command printed: the figures that a claim quotes."""

    date: str
    code: str
    figures: Mapping[str, str]


@dataclass(frozen=True)
class Claimed:
    """One claim. `{name}` in its words stands for the figure of that name."""

    id: str
    says: str
    by: str
    strength: str
    test: str
    command: str = ""
    code: tuple[str, ...] = ()
    figures: Mapping[str, str] = field(default_factory=dict)
    is_in_readme: bool = True

    def with_figures(self, shown: PrintedFigures | None) -> Claimed:
        """The claim with the figures that were shown; where none were, it says so."""
        values = shown.figures if shown else dict.fromkeys(self.figures, "?")
        says, strength = self.says.format(**values), self.strength.format(**values)
        return replace(self, says=says, strength=strength)


def claims() -> list[Claimed]:
    """All claims, in the order of the file; UsageError where one is incomplete."""
    read = _read()
    found = []
    for entry in read["claim"]:
        code = [path for name in entry.get("code", ()) for path in read["code"].get(name, [name])]
        try:
            found.append(Claimed(**entry | {"code": tuple(code)}))
        except TypeError as error:
            raise UsageError(f"{SOURCE.name}: the claim {entry.get('id')}: {error}") from None
    return found


def trusted() -> list[Mapping[str, str]]:
    """What has to be right for the claims to mean what they say."""
    listed: list[Mapping[str, str]] = _read()["trusted"]
    return listed


def _read() -> dict[str, Any]:
    return tomllib.loads(SOURCE.read_text(encoding="utf-8"))


def evidence() -> dict[str, PrintedFigures]:
    """What the commands printed when they last ran."""
    if not KEPT.is_file():
        return {}
    return {id: PrintedFigures(**shown) for id, shown in json.loads(KEPT.read_text(encoding="utf-8")).items()}


def digest(claim: Claimed) -> str:
    """Names what was run, what was read off it, and the code that it speaks of."""
    return sha256(
        repr((claim.command, sorted(claim.figures.items()), _code(claim.code))).encode()
    ).hexdigest()[:16]


@cache
def _code(paths: tuple[str, ...]) -> str:
    """Names the text of these files and of the code in these folders."""
    told = sha256()
    for path in paths:
        at = ROOT / path
        kinds = (".py", ".c", ".tla", ".cfg", ".json", ".gz", ".toml")
        files = sorted(f for f in at.rglob("*") if f.suffix in kinds) if at.is_dir() else [at]
        for file in files:
            told.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return told.hexdigest()


# -- what is wrong -------------------------------------------------------------------------------
def faults(claim: Claimed, shown: PrintedFigures | None) -> Iterator[str]:
    """What a claim lacks, in sentences."""
    if not is_a_test(claim.test):
        yield f"{claim.id}: there is no test {claim.test}"
    if not claim.command:
        return
    yield from (f"{claim.id}: there is no {path}" for path in claim.code if not (ROOT / path).exists())
    if not claim.code:
        yield f"{claim.id}: say which code its command speaks of"
    if shown is None:
        yield f"{claim.id}: its command was never run; run `make claims`"
    elif shown.code != digest(claim):
        yield f"{claim.id}: its evidence of {shown.date} is older than the code; run `make claims`"
    elif set(shown.figures) != set(claim.figures):
        yield f"{claim.id}: its figures are not those that were shown; run `make claims`"


def is_a_test(name: str) -> bool:
    """`tests/x/test_y.py::test_z` is there, and runs in every run; without a name, some test of it."""
    file, _, function = name.partition("::")
    at = ROOT / file
    if not (at.is_file() and at.name.startswith("test_")):
        return False
    module = ast.parse(at.read_text(encoding="utf-8"))
    of = [node for node in module.body if isinstance(node, ast.FunctionDef) and function in ("", node.name)]
    run = [node for node in of if _runs(node, module)]
    return not _is_left_out(module) and bool(run) and (not function or len(of) == 1)


def _runs(node: ast.FunctionDef, module: ast.Module) -> bool:
    """Whether pytest collects the function, and runs it everywhere. A skip within is a failure in CI: see
    tests/conftest.py."""
    named = {
        ast.unparse(a.targets[0]): ast.unparse(a.value) for a in module.body if isinstance(a, ast.Assign)
    }
    marks = [named.get(ast.unparse(mark), ast.unparse(mark)) for mark in node.decorator_list]
    return node.name.startswith("test_") and all(
        mark.partition("(")[0] in RUN and not EMPTY.search(mark) for mark in marks
    )


def _is_left_out(module: ast.Module) -> bool:
    """Whether the whole module may be: by a mark of all its tests, or by a skip as it is imported."""
    outside = [n for n in module.body if not isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return any(re.search(r"\b(skip\w*|xfail|importorskip)\b", ast.unparse(node)) for node in outside)


# -- showing -------------------------------------------------------------------------------------
def show(claim: Claimed) -> PrintedFigures:
    """Run the claim's command and read its figures; UsageError where it fails or does not print one."""
    words = [str(Path(sys.executable).with_name("oneleader")), *shlex.split(claim.command)[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"{claim.id}: `{claim.command}` ended with status {done.returncode}: {done.stdout}")
    figures = {name: _figure(claim, pattern, done.stdout) for name, pattern in claim.figures.items()}
    return PrintedFigures(datetime.now(UTC).date().isoformat(), digest(claim), figures)


def _figure(claim: Claimed, pattern: str, printed: str) -> str:
    """The one value that the pattern reads off; a pattern that reads several says nothing of the whole."""
    found = sorted({match[1] for match in re.finditer(pattern, printed)})
    if not found:
        raise UsageError(f"{claim.id}: `{claim.command}` prints nothing like {pattern}")
    if len(found) > 1:
        raise UsageError(f"{claim.id}: `{claim.command}` prints several like {pattern}: {', '.join(found)}")
    return found[0]


def keep(shown: Mapping[str, PrintedFigures]) -> None:
    """Write the evidence down, in the order of the claims."""
    kept = {claim.id: vars(shown[claim.id]) for claim in claims() if claim.id in shown}
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


# -- pages ---------------------------------------------------------------------------------------
def table() -> str:
    """README's table: a row for each of the main claims."""
    shown = evidence()
    rows = [claim.with_figures(shown.get(claim.id)) for claim in claims() if claim.is_in_readme]
    lines = ["| claim | by | how strongly |", "|---|---|---|"]
    lines += [f"| [{c.says}](docs/results/claims.md#{c.id}) | {c.by} | {c.strength} |" for c in rows]
    return "\n".join([*lines, ""])


def readme() -> str:
    """README with the table as it has to be."""
    return BLOCK.sub(lambda _: table(), README.read_text(encoding="utf-8"))


def page() -> str:
    """Every claim with its evidence, and what is trusted."""
    shown = evidence()
    lines = ["# Claims and their evidence", "<!-- Written by `make claims` from docs/claims.toml. -->", ""]
    lines += ["Each claim names what shows it. A command's figures were read off what it printed on the date"]
    lines += ["given; CI fails when the code has changed since. A test runs in every test run.", ""]
    for claim in claims():
        lines += _told(claim.with_figures(shown.get(claim.id)), shown.get(claim.id))
    lines += ["## What is trusted", "Every claim rests on these.", ""]
    lines += ["| what | why, and what checks it |", "|---|---|"]
    lines += [f"| {entry['what']} | {entry['why']} |" for entry in trusted()]
    return "\n".join([*lines, ""])


def _told(claim: Claimed, shown: PrintedFigures | None) -> Iterator[str]:
    yield f"## {claim.id}"
    yield f"{claim.says}: {claim.strength}.".replace("](docs/", "](../")
    yield ""
    if claim.command:
        printed = (
            ", ".join(f"{name} {value}" for name, value in shown.figures.items()) if shown else "never run"
        )
        dated = f" on {shown.date}" if shown else ""
        yield f"- `{claim.command}` printed{dated}: {printed or 'no figures; it succeeded'}"
    yield f"- test: [`{claim.test}`](../../{claim.test.partition('::')[0]})"
    yield ""


def write() -> None:
    """README's table and the page."""
    README.write_text(readme(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
