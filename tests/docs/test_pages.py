"""Pages cannot lie about the code: every path, symbol and link that they name exists."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from oneleader.errors import UsageError
from tests.places import DOCS, RESULTS, ROOT
from workshop.pages import architecture
from workshop.site.excerpt import lines_of

WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "tla" / "README.md", *DOCS.rglob("*.md")]
PAGES = [page for page in WRITTEN if page.is_file()]
ROOTS = ("", "spec/", "reference/", "spec/oneleader/", "reference/oneleader_raft/", "docs/", "tests/", "tla/")
A_PATH = re.compile(r"(?:[\w.-]+/)+[\w.-]*\.(?:py|tla|cfg|md|json|toml|yml|c|lua|svg|html)")
A_FILE = re.compile(r"[\w-]+\.(?:py|tla|cfg|toml)")
AN_ANCHOR = re.compile(r"[^\w\- ]")
MADE_BY_READERS = re.compile(
    r"^(?:runs/|out/|my_|n\d|.*FILE)|by_hand|\bhunt/|NAME\.|MODEL_|Name\.|^(?:MC)?Spec\.tla"
)
OF_THE_READER = {
    "my_raft.py",
    "lock.py",
    "model.py",
    "tla2tools.jar",
}  # for people to write


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def files() -> frozenset[str]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True)
    return frozenset(listed.stdout.decode().splitlines())


@cache
def sources() -> str:
    return "\n".join((ROOT / file).read_text() for file in files() if file.endswith((".py", ".tla", ".toml")))


def missing_paths(page: Path) -> Iterator[str]:
    """The files that a page names in code font and that nobody has."""
    known = files()
    for quoted in re.findall(r"`([^`\n]+)`", page.read_text()):
        for path in A_PATH.findall(quoted) or A_FILE.findall(quoted):
            if Path(path).name in OF_THE_READER or MADE_BY_READERS.search(path):
                continue
            here = str(page.parent.relative_to(ROOT))
            if not any(f"{root}{path}" in known for root in (*ROOTS, f"{here}/")) and not any(
                file.endswith(f"/{path}") for file in known
            ):
                yield path


def missing_links(page: Path) -> Iterator[str]:
    """The links that lead to no file, or to no heading or symbol of it."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        file = page.parent / target if target else page
        if not file.exists() or (anchor and not leads_to(file, anchor)):
            yield link


def leads_to(file: Path, anchor: str) -> bool:
    if file.suffix not in (".py", ".tla"):
        return anchor in anchors(file)
    try:
        return bool(lines_of(file, anchor))
    except UsageError:
        return False


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are shown by common renderers."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    named = set(re.findall(r'(?:id|name)="([\w-]+)"', text))
    return named | {AN_ANCHOR.sub("", heading.lower()).replace(" ", "-") for heading in headings}


def missing_symbols(page: Path) -> Iterator[str]:
    """Functions and classes that a page names as `name(...)` or `CamelCase` and no source has."""
    text = page.read_text()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for symbol in re.findall(r"`(?:[a-z_]+\.)*([A-Za-z_]\w+)\(", prose):
        if not re.search(rf"\b{symbol}\b", sources() + text.replace(f"`{symbol}(", "")):
            yield symbol


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_names_exists(page: Path) -> None:
    of_mutants = ("mutants", "tla-claims")  # where the names of mutants look like paths
    if not any(words in page.relative_to(ROOT).as_posix() for words in of_mutants):
        assert [*missing_paths(page)] == []
    assert [*missing_links(page)] == []
    assert [*missing_symbols(page)] == []


def test_what_is_missing_is_noticed(tmp_path: Path) -> None:
    page = ROOT / "docs" / "index.md"
    text = "`language/gone.py` `gone.py` [a](gone.md) [b](index.md#gone) [c](../tla/Lease.tla#Gone) "
    text += "`vanished_" + "function(x)`"
    fake = page.with_name("fake-page-of-a-test.md")
    fake.write_text(text)
    try:
        assert [*missing_paths(fake)] == ["language/gone.py", "gone.py"]
        assert [*missing_links(fake)] == ["gone.md", "index.md#gone", "../tla/Lease.tla#Gone"]
        assert [*missing_symbols(fake)] == ["vanished_" + "function"]
    finally:
        fake.unlink()


def test_the_index_has_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#]+\.md)\)", (DOCS / "index.md").read_text()))
    pages = {str(page.relative_to(DOCS)) for pattern in ("*.md", "*/*.md") for page in DOCS.glob(pattern)}
    pages -= {"index.md"}  # deeper pages are parts of one: every mutant of a model, a counterexample
    assert pages - linked == set()


DECISIONS = DOCS / "decisions" / "README.md"


def test_each_decision_stands_in_the_index_with_date_and_status() -> None:
    text = DECISIONS.read_text()
    headings = re.findall(r"^## (\d+)\. (.+)$", text, re.MULTILINE)
    rows = re.findall(
        r"^\| \[(\d+)\]\(#[^)]+\) \| (.+?) \| (\d{4}-\d\d-\d\d) \| (.+) \|$", text, re.MULTILINE
    )
    assert [(number, title) for number, title, _, _ in rows] == headings
    assert [number for number, _ in headings] == [str(i + 1) for i in range(len(headings))]


def test_the_architecture_is_drawn_from_the_contracts() -> None:
    drawn = (RESULTS / "pictures" / "architecture.svg").read_text()
    assert drawn == architecture.svg(), "run `make pages`"
    for layer in architecture.floors("oneleader"):
        assert all(room.purpose for room in layer)
