"""docs/results/handlers.md lists what is proved; its figures are compared where the handlers are proved."""

from __future__ import annotations

from oneleader.conformance.handlers.contracts import CONTRACTS
from oneleader.conformance.handlers.running import of_any_size, of_changing
from oneleader.conformance.handlers.stable import MEMBERS_CHANGE, everything
from workshop.pages.handlers import PAGE, PAGE_OF_CHANGES, told

TEXT, OF_MEMBERS = (page.read_text("utf-8") for page in (PAGE, PAGE_OF_CHANGES))


def test_every_handler_is_listed_at_every_size() -> None:
    assert [name for name, _, _ in told(TEXT)] == [handler for handler, _ in of_any_size()]
    assert all(f"| {action} |" in TEXT for coupling, action in everything() if coupling != MEMBERS_CHANGE)
    assert "not proved" not in TEXT


def test_every_handler_is_listed_where_members_change() -> None:
    assert [name for name, _, _ in told(OF_MEMBERS)] == [handler for handler, _ in of_changing()]
    of_changes = [action for coupling, action in everything() if coupling == MEMBERS_CHANGE]
    assert all(f"| {action} |" in OF_MEMBERS for action in of_changes)
    assert all(f"| `{function}` |" in OF_MEMBERS for function in CONTRACTS)
    assert "not proved" not in OF_MEMBERS
