"""Excerpts: pages show source by the name of a symbol, never a copy, and a symbol that is gone is noticed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from oneleader.errors import UsageError
from tests.places import DOCS, ROOT
from workshop.site.excerpt import EXCERPT, lines_of
from workshop.site.stage import Staging

CORE = ROOT / "reference" / "oneleader_raft"
WRITTEN = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "tla/README.md"))]
WRITTEN += [*DOCS.glob("*.md"), DOCS / "decisions" / "README.md"]


def shown(file: Path, symbol: str) -> list[str]:
    first, last = lines_of(file, symbol)
    return file.read_text("utf-8").splitlines()[first - 1 : last]


@pytest.mark.parametrize(
    ("file", "symbol", "first", "last"),
    [
        (
            CORE / "lease.py",
            "Clocks",
            "@dataclass(frozen=True)",
            "return self.promise * self.slow // self.fast",
        ),
        (CORE / "lease.py", "Clocks.lease", "@property", "return self.promise * self.slow // self.fast"),
        (CORE / "lease.py", "NO_ROUND", "NO_ROUND = Round()", "NO_ROUND = Round()"),
        (CORE / "raft.py", "Argument", "Argument: TypeAlias =", "Argument: TypeAlias ="),
        (
            ROOT / "tla/Election.tla",
            "QuorumsMeet",
            r"\* All that safety",
            r"QuorumsMeet == \A p, q \in Quorum",
        ),
        (ROOT / "tla/Election.tla", "GrantVote", r"\* RequestVote receiver 1", r"/\ UNCHANGED <<term, role"),
    ],
)
def test_a_symbol_is_found(file: Path, symbol: str, first: str, last: str) -> None:
    lines = shown(file, symbol)
    assert (lines[0].strip()[: len(first)], lines[-1].strip()[: len(last)]) == (first, last)


@pytest.mark.parametrize(
    ("file", "symbol"),
    [
        (CORE / "lease.py", "vanished"),
        (CORE / "lease.py", "Clocks.vanished"),
        (CORE / "lease.py", "dataclass"),  # imported, not defined
        (ROOT / "tla/Election.tla", "Vanished"),
        (ROOT / "tla/Election.tla", "Grant"),  # only the beginning of a name
    ],
)
def test_a_symbol_that_is_gone_fails_the_build(file: Path, symbol: str, tmp_path: Path) -> None:
    page = f"Words.\n\n[the rule](../{file.relative_to(ROOT)}#{symbol})\n\nMore words.\n"
    with pytest.raises(UsageError, match=f"defines no {symbol}"):
        Staging(tmp_path)._page(Path("docs/some.md"), page)


def test_only_a_paragraph_of_its_own_is_replaced() -> None:
    link = "[the rule](a.py#step)"
    assert EXCERPT.search(f"Words.\n\n{link}\n\nWords.")
    assert EXCERPT.search(f"Words.\n\n{link}\n")
    for text in (
        f"See {link}.",
        f"- {link}\n",
        f"{link}\nand more.",
        "[the rule](a.md#step)\n",
        "[x](a.py)\n",
    ):
        assert not EXCERPT.search(text)


def test_pages_show_what_they_speak_of(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    of = {page: len(EXCERPT.findall(page.read_text("utf-8"))) for page in WRITTEN}
    assert sum(count > 0 for count in of.values()) >= 9
    for page, count in of.items():
        name = page.relative_to(ROOT)
        staged = staging._page(name, page.read_text("utf-8"))
        assert staged.count("```{literalinclude}") == count, name


# -- Nothing is copied --------------------------------------------------------------------------------------
KINDS = (".py", ".tla", ".cfg", ".go", ".rs", ".java", ".c", ".lua", ".toml", ".yml")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN = 4  # so many lines in a row, imports aside, are a copy
HELD_EQUAL = {  # other tests compare these two, statement for statement, with the source
    "README.md": "spec/oneleader/models/election.py",
    "docs/tutorial.md": "spec/oneleader/models/lock.py",
}


def runs(code: str) -> Iterator[tuple[str, ...]]:
    lines = [line.strip() for line in code.splitlines()]
    lines = [line for line in lines if len(line) > 3 and not re.match(r"(from .* )?import |[\w, ]+,$", line)]
    yield from (tuple(lines[i : i + RUN]) for i in range(len(lines) - RUN + 1))


@cache
def sources() -> dict[tuple[str, ...], set[str]]:
    """Each run of lines of the repository's code, and the files that have it."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found: dict[tuple[str, ...], set[str]] = {}
    for file in listed.splitlines():
        if file.endswith(KINDS) and (ROOT / file).is_file():
            for run in runs((ROOT / file).read_text("utf-8")):
                found.setdefault(run, set()).add(file)
    return found


def copied(page: str, text: str) -> set[str]:
    """The first line of each run in a page's blocks of code that stands in the repository as well."""
    blocks = [code for language, code in BLOCK.findall(text) if language not in ("console", "text", "json")]
    every = [run for code in blocks for run in runs(code)]
    return {run[0] for run in every if sources().get(run, set()) - {HELD_EQUAL.get(page)}}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_holds_a_copy(page: Path) -> None:
    name = str(page.relative_to(ROOT))
    assert copied(name, page.read_text("utf-8")) == set(), "link to the symbol: the site shows its source"


def test_a_copy_is_noticed() -> None:
    code = "\n".join(shown(CORE / "lease.py", "lease_holds") + shown(CORE / "lease.py", "Clocks.lease"))
    assert copied("docs/locks.md", f"Words.\n\n```python\n{code}\n```\n")
    assert copied("README.md", f"Words.\n\n```python\n{code}\n```\n")
