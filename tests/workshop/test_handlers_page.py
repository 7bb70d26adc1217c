"""docs/results/handlers.md lists what is proved, with the figures that a run prints."""

from __future__ import annotations

import pytest

from oneleader.conformance.handlers.handlers import prove_handler
from oneleader.conformance.handlers.running import ANY, of_any_size
from oneleader.conformance.handlers.stable import everything
from workshop.pages.handlers import PAGE, told

TEXT = PAGE.read_text("utf-8")


def test_every_handler_is_listed_at_every_size() -> None:
    assert [name for name, _, _ in told(TEXT)] == [handler for handler, _ in of_any_size()]
    assert all(f"| {action} |" in TEXT for _, action in everything())
    assert "not proved" not in TEXT


@pytest.mark.parametrize("handler", ["is_leader", "TimeoutNow"])
def test_its_figures_are_those_of_a_run(handler: str) -> None:
    found = prove_handler(handler, ANY)
    assert next((paths, goals) for name, paths, goals in told(TEXT) if name == handler) == (
        found.paths,
        found.goals,
    )
