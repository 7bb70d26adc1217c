"""look: opens every page of the site in headless Chromium, light and dark, and says what is wrong with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from oneleader.errors import MissingTool

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTHS = {"light": 1280, "dark": 390}  # so each page is seen wide and narrow as well
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Where it is. MissingTool otherwise."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise MissingTool("no browser was found: apt install chromium, or give --no-look")
    return found


def look(site: Path, pages: Iterable[Path], shots: Path | None = None) -> Iterator[str]:
    """Each page that asks for anything outside, says an error, or is wider than the screen."""
    from playwright.sync_api import sync_playwright

    pages = list(pages)
    arguments = ["--no-sandbox", "--disable-background-networking", "--allow-file-access-from-files"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        tab = Tab(browser)
        for page in pages:
            for wrong in tab.opened(page, shots):
                yield f"{page.relative_to(site)}: {wrong}"
        browser.close()


class Tab:
    """One tab: pages are opened in it one after the other, and each is seen in both themes."""

    def __init__(self, browser: Browser) -> None:
        self.page = browser.new_page()
        self.page.set_default_timeout(120_000)  # ms, on a machine that does much else
        self.wrong: list[str] = []
        self.page.on("request", lambda r: self.asked(r.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def asked(self, url: str) -> None:
        if url.startswith("http"):
            self.wrong.append(f"asks for {url}")

    def opened(self, page: Path, shots: Path | None = None) -> list[str]:
        """What is wrong with one page."""
        self.wrong.clear()
        self.page.goto(page.as_uri())
        for theme in WIDTHS:
            self.wrong += [f"{wrong} ({theme})" for wrong in self.seen(theme)]
            if shots:
                self.page.screenshot(path=shots / f"{page.stem}-{theme}.png")
        return list(self.wrong)

    def seen(self, theme: str) -> Iterator[str]:
        """What is wrong in this theme."""
        self.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        self.page.set_viewport_size({"width": WIDTHS[theme], "height": 900})
        beyond = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if beyond > 0:
            yield f"is {beyond} pixels wider than the screen"
        ground = self.page.evaluate("getComputedStyle(document.body).backgroundColor")
        is_dark = sum(int(part) for part in ground.strip("rgba()").split(",")[:3]) < 3 * 128
        if is_dark != (theme == "dark"):
            yield f"has the ground {ground}"
