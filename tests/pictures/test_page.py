"""The page in a real browser: what people see, press and print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from oneleader.pictures.html import html
from oneleader.story import Story

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Tell = Callable[[str], Story]
Open = Callable[..., Any]

CURRENT = "document.querySelector('.diagram.wide .row.current')?.dataset.row ?? null"
VEIL = "document.querySelector('.diagram.wide .veil').height.baseVal.value"

# Each pair of words in a diagram that is seen whose boxes meet by more than half a pixel.
MEETING = """
() => {
  const found = [];
  for (const svg of document.querySelectorAll("svg")) {
    if (!svg.getClientRects().length) continue;
    const texts = [...svg.querySelectorAll("text")].filter((t) => t.textContent);
    const boxes = texts.map((t) => t.getBoundingClientRect());
    for (let i = 0; i < boxes.length; i++)
      for (let j = i + 1; j < boxes.length; j++) {
        const [a, b] = [boxes[i], boxes[j]];
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 0.5 && high > 2.5) found.push([texts[i].textContent, texts[j].textContent]);
      }
  }
  return found;
}
"""
OUTSIDE = """
() => [...document.querySelectorAll(".rows .pill")].filter((p) => p.getClientRects().length).filter((p) => {
  const box = p.getBoundingClientRect();
  let t = p.nextElementSibling;
  while (t && t.tagName !== "text") t = t.nextElementSibling;
  const words = [];
  for (; t && t.tagName === "text"; t = t.nextElementSibling) words.push(t.getBoundingClientRect());
  return words.some((w) => w.left < box.left - 0.5 || w.right > box.right + 0.5);
}).length
"""


@pytest.fixture
def visit(browser: Browser, tell: Tell, tmp_path: Path) -> Open:
    """Opens the page of a story, from a file; closed with a look at what it has asked for."""

    @contextmanager
    def opened(name: str = "vote-cleared", at: str = "", width: int = 1280, **how: Any) -> Iterator[Page]:
        file = tmp_path / "page.html"
        file.write_text(html(tell(name)), encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, reduced_motion="reduce", **how
        )
        page, asked, wrong = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{file.as_uri()}{at}")
        yield page
        context.close()
        assert [url.partition("#")[0] for url in asked] == [file.as_uri()]
        assert not wrong

    return opened


def test_it_steps_by_keyboard(visit: Open) -> None:
    with visit() as page:
        assert page.evaluate(CURRENT) is None
        assert page.evaluate(VEIL) == 0
        for key, expected in (
            *(("ArrowRight", "0"), ("j", "1"), ("ArrowRight", "2"), ("k", "1"), ("ArrowLeft", "0")),
            *(("ArrowLeft", "0"), ("End", "12"), ("j", "12"), ("Home", "0"), ("v", "12"), ("k", "11")),
        ):
            page.keyboard.press(key)
            assert page.evaluate(CURRENT) == expected, key
        assert page.locator(".where").inner_text() == "step 11 of 12"
        assert "votes[n3, n2]: false -> true" in page.locator("aside").inner_text()
        assert page.evaluate(VEIL) > 0
        assert page.url.endswith("#at-11")
        page.keyboard.press("Escape")
        assert page.evaluate(CURRENT) is None
        assert page.evaluate(VEIL) == 0


def test_it_jumps_to_the_violation(visit: Open) -> None:
    with visit(width=1000) as page:
        page.get_by_role("button", name="Jump to the violation").click()
        row = page.locator(".diagram.wide .row.current")
        assert row.get_attribute("data-row") == "12"
        assert "Violation: ElectionSafety" in str(row.get_attribute("aria-label"))
        box = row.bounding_box()
        assert 0 < box["y"] < 900


def test_a_row_can_be_asked_for_and_focused(visit: Open) -> None:
    with visit(at="#at-8") as page:
        assert page.evaluate(CURRENT) == "8"
        page.locator(".diagram.wide .row.current").focus()
        page.keyboard.press("ArrowDown")
        assert page.evaluate(CURRENT) == "9"
        assert page.evaluate("document.activeElement.dataset.row") == "9"
        page.keyboard.press("ArrowUp")
        assert page.evaluate("document.activeElement.dataset.row") == "8"


def test_hovering_tells_what_changed(visit: Open) -> None:
    with visit() as page:
        page.locator(".diagram.wide .row[data-row='8'] .label").first.hover()
        assert "voted_for[n2]: n1 -> NIL" in page.locator("aside").inner_text()
        page.mouse.move(2, 2)
        assert "n3 becomes the leader" in page.locator("aside").inner_text()


def test_without_a_script_everything_is_there(visit: Open) -> None:
    with visit(java_script_enabled=False) as page:
        assert page.locator("nav").is_hidden()
        assert page.locator(".diagram.wide .row").count() == 13
        assert page.locator(".list > ol > li").count() == 13
        for words in ("ElectionSafety is violated", "Not so for t = 1", "voted_for[n2]: n1 -> NIL"):
            assert page.get_by_text(words).last.is_visible()


@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "narrow"])
@pytest.mark.parametrize(
    "name",
    ["vote-cleared", "flawed/fencing_check_then_act", "flawed/lease_from_receipt", "system", "replication"],
)
def test_no_words_meet(visit: Open, name: str, width: int) -> None:
    with visit(name, width=width) as page:
        assert page.evaluate(MEETING) == []
        assert page.evaluate(OUTSIDE) == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_check_sees_words_that_meet(visit: Open) -> None:
    with visit() as page:
        page.evaluate(
            "document.querySelector('.diagram.wide .row:nth-child(3) .label').setAttribute('x', '420')"
        )
        page.evaluate(
            "document.querySelector('.diagram.wide .row:nth-child(3) .label').setAttribute('y', '210')"
        )
        assert page.evaluate(MEETING)
        page.evaluate(
            "document.querySelector('.diagram.wide .rows .pill ~ text.words').setAttribute('x', '900')"
        )
        assert page.evaluate(OUTSIDE)


def test_it_is_light_or_dark(visit: Open) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with visit(color_scheme="light") as page:
        light = page.evaluate(ground)
        page.keyboard.press("t")
        dark = page.evaluate(ground)
        assert light != dark
    with visit(color_scheme="dark") as page:
        assert page.evaluate(ground) == dark
        page.keyboard.press("t")
        assert page.evaluate(ground) == light


def test_it_prints_the_whole_run_in_light(visit: Open) -> None:
    with visit(color_scheme="dark", at="#at-3", width=390) as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.locator("nav").is_hidden()
        assert page.locator("aside").is_hidden()
        assert page.locator(".diagram.wide").is_visible()
        assert page.locator(".diagram.wide .veil").is_hidden()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.pdf(format="A4").startswith(b"%PDF")
