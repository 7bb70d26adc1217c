"""The page of a hunt's rates: what a run measured, a later one reads back."""

from __future__ import annotations

from pathlib import Path

from workshop.studies import hunt_rates
from workshop.studies.hunt_rates import ONCE_MISSED, Rate, measured, page, subjects

EVERY = [name for name, _ in subjects()]
FOUND = {
    "stale match": Rate("stale match", (12, None, 1), "pre_vote: receive_reply"),
    "old-reply": Rate("old-reply", (19, 35, 14), "election: receive_vote"),
    "no-terms": Rate("no-terms", (None, None, None), ""),
}


def test_a_run_goes_on_from_the_page(tmp_path: Path) -> None:
    written = tmp_path / "hunt.md"
    written.write_text(page(FOUND, EVERY), encoding="utf-8")
    assert measured(written) == FOUND
    text = written.read_text("utf-8")
    assert "| no-terms | none | none, none, none |  |" in text
    left = text.partition("Not measured: ")[2].strip(". \n").split(", ")
    assert left == [name for name in EVERY if name not in FOUND]
    assert {*ONCE_MISSED} - {"stale match"} <= {*left}


def test_what_was_measured_of_other_code_is_measured_again(tmp_path: Path) -> None:
    written = tmp_path / "hunt.md"
    written.write_text(page(FOUND, EVERY).replace(hunt_rates.digest(), "0" * 16), encoding="utf-8")
    assert measured(written) == {}
