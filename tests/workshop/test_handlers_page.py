"""The page of the handlers says what a run has proved."""

from __future__ import annotations

from oneleader.conformance.handlers.contracts import check_contract
from oneleader.conformance.handlers.handlers import prove_handler
from oneleader.conformance.handlers.running import ANY, WHOLE
from oneleader.conformance.handlers.stable import everything, prove_stable
from workshop.pages.handlers import page, told


def test_the_page_has_the_figures_of_the_run() -> None:
    handled = [prove_handler("is_leader", size) for size in (ANY, WHOLE)]
    kept, met = prove_stable(*next(iter(everything()))), check_contract("terms")
    text = page(handled, [kept], [met])
    assert told(text) == [("is_leader", one.paths, one.goals) for one in handled]
    assert f"{sum(one.paths for one in handled) + met.paths} paths" in text
    assert f"| {kept.action} | {kept.goals} |" in text
    assert f"| `terms` | {met.most} | {met.paths} |" in text
