"""docs/results/handlers.md lists what is proved; its figures are compared where the handlers are proved."""

from __future__ import annotations

from oneleader.conformance.handlers.running import of_any_size
from oneleader.conformance.handlers.stable import everything
from workshop.pages.handlers import PAGE, told

TEXT = PAGE.read_text("utf-8")


def test_every_handler_is_listed_at_every_size() -> None:
    assert [name for name, _, _ in told(TEXT)] == [handler for handler, _ in of_any_size()]
    assert all(f"| {action} |" in TEXT for _, action in everything())
    assert "not proved" not in TEXT
