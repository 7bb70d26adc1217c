"""look: opens every page of the site in headless Chromium, light and dark, and says what is wrong with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from oneleader.errors import MissingTool

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

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

    arguments = ["--no-sandbox", "--disable-background-networking", "--allow-file-access-from-files"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        for page in pages:
            for theme in WIDTHS:
                for wrong in opened(browser, page, theme, shots):
                    yield f"{page.relative_to(site)} ({theme}): {wrong}"
        browser.close()


def opened(browser: Browser, page: Path, theme: str, shots: Path | None) -> list[str]:
    """What is wrong with one page in one theme."""
    size: ViewportSize = {"width": WIDTHS[theme], "height": 900}
    context = browser.new_context(viewport=size, color_scheme="dark" if theme == "dark" else "light")
    tab, wrong = context.new_page(), list[str]()
    tab.on("request", lambda r: wrong.append(f"asks for {r.url}") if r.url.startswith("http") else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto(page.as_uri())
    beyond = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
    if beyond > 0:
        wrong.append(f"is {beyond} pixels wider than the screen")
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    is_dark = sum(int(part) for part in ground.strip("rgba()").split(",")[:3]) < 3 * 128
    if is_dark != (theme == "dark"):
        wrong.append(f"has the ground {ground}")
    if shots:
        tab.screenshot(path=shots / f"{page.stem}-{theme}.png")
    context.close()
    return wrong
