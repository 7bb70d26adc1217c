"""The site: what is staged links to what is staged, what is built is looked at, and the checks can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from oneleader import models
from workshop import ROOT
from workshop.pages import explorers
from workshop.site import command
from workshop.site.command import broken_links
from workshop.site.look import Tab
from workshop.site.stage import API, LINK, PURE, Staging, stage

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SITE = ROOT / "workshop" / "site"


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("staged")
    stage(folder)
    return folder


def test_each_link_of_a_staged_page_leads_to_one(staged: Path) -> None:
    pages = {path.relative_to(staged) for path in staged.rglob("*.md")}
    assert {
        Path("models") / f"{name.rpartition('/')[2]}.md" for name in (*models.MODELS, *models.FLAWED)
    } <= pages
    assert {Path("core") / f"{module}.md" for module in PURE} <= pages
    assert {Path("api") / f"{module}.md" for modules in API.values() for module in modules} <= pages
    links = 0
    for page in pages:
        for _, target, _ in LINK.findall((staged / page).read_text("utf-8")):
            if ":" not in target:
                links += 1
                assert (staged / page.parent / target).exists(), f"{page}: {target}"
    assert links > 300


def shown(page: Path, heading: str) -> list[str]:
    """The lines of source that stand under a heading."""
    found = re.search(
        rf"## {heading}\n.*?```\{{literalinclude\}} (\S+)\n:language: python\n:lines: (\d+)-(\d+)\n",
        page.read_text("utf-8"),
        re.DOTALL,
    )
    assert found
    lines = (page.parent / found[1]).resolve().read_text("utf-8").splitlines()
    return lines[int(found[2]) - 1 : int(found[3])]


def test_a_source_is_shown_and_not_copied(staged: Path) -> None:
    text = shown(staged / "models" / "election.md", "GrantVote")
    assert (text[0], text[1][:14], text[-1]) == (
        "@action",
        "def grant_vote",
        "    s.voted_for[voter] = candidate",
    )
    assert "vote_was_requested" not in (staged / "models" / "election.md").read_text("utf-8")
    text = shown(staged / "core" / "lease.md", "Clocks")
    assert (text[0], text[1]) == ("@dataclass(frozen=True)", "class Clocks:")


def test_the_incident_can_be_clicked_through(staged: Path) -> None:
    page = (staged / "docs" / "results" / "incident.md").read_text("utf-8")
    links = re.findall(r'href="(\.\./\.\./explore/(\w+)\.html#run=([\w.]+)[^"]*)"', page)
    assert [name for _, name, _ in links] == ["incident", *["environment"] * 6]
    assert "without any cure</a>: every step is taken, and then OneLeaderPerTerm" in page
    assert "with quorum alone</a>: it ends before <code>elect(n=n4, q={n3 n4 n5})</code>, refused by" in page
    (_, _, steps), *_ = links
    calls = [int(step, 36) for step in steps.split(".")]
    run = explorers.explorer("flawed/incident", runs=False).run
    state = run.initial
    for position in calls:
        state = run.step(state, run.instances[position].action, run.instances[position].args)
    assert run.violated(state, {"no_stale_write": run.model.properties["no_stale_write"]})


def test_every_model_has_bounds_for_its_page() -> None:
    for name in (*models.MODELS, *models.FLAWED):
        assert explorers.PAGES.get(name, explorers.USUAL).of(name).describe()


# -- built --------------------------------------------------------------------------------------------------
TABLE = "# A page\n\n| n | name |\n|---|---|\n" + "".join(f"| {i} | name {20 - i} |\n" for i in range(1, 15))
GOOD = (
    '<html id="top"><body><a href="other.html#here">x</a><a href="#top">y</a><img src="data:,"></body></html>'
)
OTHER = '<html><body><h1 id="here">x</h1></body></html>'


def test_a_broken_link_is_told(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "other.html").write_text(OTHER)
    assert list(broken_links(tmp_path)) == []
    (tmp_path / "other.html").write_text(OTHER.replace("here", "there"))
    (tmp_path / "bad.html").write_text(
        '<a href="no.html">x</a><script src="https://x.example/y.js"></script>'
    )
    assert list(broken_links(tmp_path)) == [
        "bad.html links to no.html, which is not there",
        "bad.html loads https://x.example/y.js",
        "index.html links to other.html#here: there is no such place in it",
    ]


@pytest.fixture(scope="module")
def built(staged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small site: the front page, a model, a module, a table."""
    folder = tmp_path_factory.mktemp("small")
    source = folder / "source"
    source.mkdir()
    front = (staged / "index.md").read_text("utf-8").partition("```{toctree}")[0]
    (source / "index.md").write_text(f"{front}\n```{{toctree}}\nlock\napi\ntable\n```\n")
    model = Staging(source)._model_page("lock", models.find("lock"))
    (source / "lock.md").write_text(model.replace("../" * 4 + "spec", str(ROOT / "spec")))
    (source / "api.md").write_text((staged / "api" / "oneleader.readers.retrace.md").read_text("utf-8"))
    (source / "table.md").write_text(TABLE)
    call = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-c", str(SITE)]
    subprocess.run(
        [*call, str(source), str(folder / "site")], check=True, env={**os.environ, "NO_COLOR": "1"}
    )
    return folder / "site"


def test_the_api_is_made_of_docstrings(built: Path) -> None:
    text = (built / "api.html").read_text("utf-8")
    assert "Take these steps, a line each" in text
    assert 'id="oneleader.readers.retrace.retrace"' in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright

        from workshop.site.look import chromium

        path = chromium()
    except Exception as missing:
        pytest.fail(str(missing)) if os.environ.get("CI") else pytest.skip(str(missing))
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield made
        made.close()


def test_it_is_opened_in_both_themes(built: Path, browser: Browser) -> None:
    tab = Tab(browser)
    for page in (built / f"{name}.html" for name in ("index", "lock", "api", "table")):
        assert tab.opened(page) == [], page


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('<script src="http://127.0.0.1:9/x.js"></script>', "asks for http://127.0.0.1:9/x.js"),
        ("<script>nothing()</script>", "nothing is not defined"),
        ('<div style="width: 3000px; height: 1px"></div>', "is 1720 pixels wider than the screen (light)"),
        ("<style>html { background: #fff }</style>", "has the ground rgb(255, 255, 255) (dark)"),
        ("<style>body { background: #111 }</style>", "has the ground rgb(17, 17, 17) (light)"),
    ],
)
def test_what_is_wrong_with_a_page_is_told(tmp_path: Path, browser: Browser, body: str, said: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><html><body style='margin: 0; background: #fff'>{body}</body></html>")
    page.write_text(
        page.read_text().replace("; background: #fff", "" if "#111" in body else "; background: #fff")
    )
    assert said in Tab(browser).opened(page)


def test_a_table_is_filtered_and_sorted(built: Path, browser: Browser) -> None:
    tab = browser.new_page()
    tab.goto((built / "table.html").as_uri())
    rows: Callable[[], Any] = lambda: tab.locator("tbody tr:visible td:first-child").all_inner_texts()  # noqa: E731
    assert len(rows()) == 14
    tab.get_by_label("filter the rows of the table").fill("NAME 9")
    assert rows() == ["1", "9", "11"]
    tab.locator("th").first.click()
    tab.locator("th").first.click()
    assert rows() == ["11", "9", "1"]
    assert tab.locator("output").inner_text() == "3 of 14"
    tab.close()


# Pages that one template makes: of these one in so many is opened here, and each by `make site`.
ALIKE = {"source": 16, "explore": 3, "models": 3, "api": 3}


@pytest.mark.slow("some 340 pages are built, and a third are seen in both themes: minutes")
def test_the_whole_site_is_crawled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, browser: Browser) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path)
    out = tmp_path / "site"
    command.build(out, runs=False)
    pages = sorted(out.rglob("*.html"))
    assert len(pages) > 300
    assert list(broken_links(out)) == []
    rooms = {room: [page for page in pages if page.relative_to(out).parts[0] == room] for room in ALIKE}
    others = set(pages).difference(*rooms.values())
    seen = [*sorted(others), *(page for room, each in ALIKE.items() for page in rooms[room][::each])]
    assert len(seen) > 90
    tab = Tab(browser)
    assert {page: wrong for page in seen if (wrong := tab.opened(page))} == {}


def test_the_command_fails_where_a_link_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        command, "build", lambda out, runs: (out / "index.html").write_text('<a href="no.html">')
    )
    assert command.site.main([f"--out={tmp_path}", "--no-look"], standalone_mode=False) == 1
