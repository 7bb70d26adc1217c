"""How long a page of the explorer takes to show its first state, and for a step: of all models, or of some.

Processor time of the page's own thread in headless Chromium, layout and paint included, so that other work on
the machine counts for little. Steps are drawn with a seed, from the buttons that a reader would click. Beyond
200 ms for the first state, or 16 ms for the median step, the exit status is 1.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oneleader import models
from workshop.pages import explorers
from workshop.site.look import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

FIRST_MS, STEP_MS = 200, 16
STEPS, LONGEST, IDLE = 40, 12, 15  # steps in all, before the run begins again, and frames without one
CLICK = """async (choice) => {
  const buttons = [...document.querySelectorAll("#actions [data-call]:not([disabled])")];
  if (!buttons.length) return 0;
  await new Promise((done) => setTimeout(() => {
    if (choice >= 0) buttons[choice % buttons.length].click();
    requestAnimationFrame(() => setTimeout(done));
  }));
  return buttons.length;
}"""


@dataclass(frozen=True)
class Timing:
    """Of one page: kilobytes, milliseconds, and how many steps could be clicked at most."""

    name: str
    weight: int
    first: float
    step: float
    choices: int

    @property
    def is_quick(self) -> bool:
        return self.first <= FIRST_MS and self.step <= STEP_MS

    def __str__(self) -> str:
        said = "" if self.is_quick else "   TOO SLOW"
        return (
            f"{self.name:38} {self.weight:6,} KB   first state {self.first:4.0f} ms   "
            f"a step {self.step:5.1f} ms   {self.choices:4} choices{said}"
        )


def timing(browser: Browser, name: str, file: Path) -> Timing:
    tab = browser.new_page(viewport={"width": 1400, "height": 900})
    tab.set_default_timeout(0)  # however busy the machine is
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = busy(session)
    tab.goto(file.as_uri())
    tab.wait_for_selector(":root[data-ready]")
    first = busy(session) - before
    steps, choices = clicked(tab, session)
    tab.close()
    return Timing(name, file.stat().st_size // 1000, first, statistics.median(steps), choices)


def clicked(tab: Page, session: CDPSession) -> tuple[list[float], int]:
    """The milliseconds of each step beyond those of a frame without a click; the most choices there were."""
    drawn, taken, most = random.Random(1), [], 0
    idle = statistics.median(cost(tab, session, -1)[0] for _ in range(IDLE))
    for number in range(STEPS):
        if number % LONGEST == 0:
            tab.keyboard.press("Home")
        spent, choices = cost(tab, session, drawn.randrange(1 << 20))
        taken += [spent - idle] if choices else []
        most = max(most, choices)
    return taken, most


def cost(tab: Page, session: CDPSession, choice: int) -> tuple[float, int]:
    """Milliseconds until the frame after a click on this choice, and how many there were. Below 0: none."""
    before = busy(session)
    choices = int(tab.evaluate(CLICK, choice))
    return busy(session) - before, choices


def busy(session: CDPSession) -> float:
    """Milliseconds of processor time that the page has spent on tasks, our own questions left out."""
    said = {m["name"]: float(m["value"]) for m in session.send("Performance.getMetrics")["metrics"]}
    return 1000 * (said["TaskDuration"] - said["DevToolsCommandDuration"])


def main(names: list[str]) -> int:
    from playwright.sync_api import sync_playwright

    slow = 0
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for name in names or (*models.MODELS, *models.FLAWED):
            file = Path(folder) / explorers.file_of(name)
            file.write_text(explorers.explorer(name, runs=False).page(), encoding="utf-8")
            timed = timing(browser, name, file)
            print(timed, flush=True)
            slow += not timed.is_quick
        browser.close()
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
