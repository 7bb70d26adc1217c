"""The command `site`: stages the pages, has Sphinx build them, and looks at every link of what it built."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import click

from oneleader.cli.console import say
from oneleader.verdict import HOLDS, VIOLATED, exit_status
from workshop import ROOT
from workshop.pages import explorers
from workshop.site.look import look
from workshop.site.stage import stage

BUILD = ROOT / "build"
EXTERNAL = re.compile(r"^(https?:|mailto:|data:|blob:|javascript:)")


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=BUILD / "site", help="The folder."
)
@click.option(
    "--no-runs", is_flag=True, help="Explorer pages seek their runs in the browser alone: sooner built."
)
@click.option("--no-look", is_flag=True, help="Open no page in a browser.")
def site(out: Path, no_runs: bool, no_look: bool) -> int:
    """Build the site, check every link in it, and open every page in both themes."""
    build(out, runs=not no_runs)
    broken = list(broken_links(out))
    wrong = [] if no_look else list(look(out, sorted(out.rglob("*.html"))))
    for where in (*broken, *wrong):
        say(where)
    pages = sum(1 for _ in out.rglob("*.html"))
    say(f"site  {out / 'index.html'}   {pages} pages, {len(broken)} broken links, {len(wrong)} faults seen")
    return exit_status([VIOLATED if broken or wrong else HOLDS])


def build(out: Path, *, runs: bool) -> None:
    """Every page, in an empty folder."""
    shutil.rmtree(out, ignore_errors=True)
    extra = BUILD / "site-extra"
    shutil.rmtree(extra, ignore_errors=True)
    explorers.write(extra / "explore", runs=runs)
    stage(BUILD / "site-source")
    settings, source = str(Path(__file__).parent), str(BUILD / "site-source")
    beside = f"html_extra_path={extra}"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        "-c",
        settings,
        "-D",
        beside,
        source,
        str(out),
    ]
    subprocess.run(command, check=True)


class PageLinks(HTMLParser):
    """The targets of a page's links, what it loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.anchors |= {said[name] for name in ("id", "name") if name in said}
        if tag == "a" and "href" in said:
            self.links.append(said["href"])
        elif tag == "link" and said.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(said["href"])
        elif tag in ("script", "img", "iframe", "source") and "src" in said:
            self.loads.append(said["src"])


def broken_links(out: Path) -> Iterator[str]:
    """Each link to a page or an anchor that is not there, and each thing that is loaded from elsewhere."""
    pages = {path: PageLinks(path.read_text("utf-8")) for path in sorted(out.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(out)
        for target in (*page.links, *page.loads):
            if EXTERNAL.match(target):
                if target in page.loads and not target.startswith("data:"):
                    yield f"{name} loads {target}"
                continue
            file, _, anchor = target.partition("#")
            to = (path.parent / unquote(file.partition("?")[0])).resolve() if file else path
            to = to / "index.html" if to.is_dir() else to
            if not to.exists():
                yield f"{name} links to {target}, which is not there"
            elif (
                anchor
                and to in pages
                and "explore" not in to.parts
                and unquote(anchor) not in pages[to].anchors
            ):
                yield f"{name} links to {target}: there is no such place in it"
