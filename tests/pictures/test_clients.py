"""The picture of a history that no order explains."""

from __future__ import annotations

from pathlib import Path

from oneleader.conformance.histories import Operation, judge
from oneleader.pictures.clients import of_history
from oneleader.pictures.html import html


def test_lanes_bars_and_the_first_place_that_no_order_explains() -> None:
    history = [
        Operation("a", "write", "x", 0, 3, value=1),
        Operation("b", "write", "x", 4, 5, value=2),
        Operation("c", "read", "x", 6, 8, result=1),
    ]
    story = of_history(Path("h.jsonl"), judge(history))
    assert [lane.name for lane in story.lanes] == ["a", "b", "c"]
    assert [row.lane for row in story.rows] == ["a", "a", "b", "b", "c", "c"]
    assert story.rows[4].after["c"].busy == "read x -> 1"
    assert story.rows[5].after["c"].busy == ""
    assert story.wrong_row == 6
    page = html(story)
    assert "First at the return of client c: read x -&gt; 1" in page
    assert page.count("<title>write x := 2</title>") == 2  # wide and narrow
    assert "an operation under way" in page
    assert "holds a lease" not in page
