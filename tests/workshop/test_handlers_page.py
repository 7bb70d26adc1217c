"""docs/results/handlers.md lists what is proved; its figures are compared where the handlers are proved."""

from __future__ import annotations

from oneleader.conformance.handlers.contracts import CONTRACTS
from oneleader.conformance.handlers.running import of_any_size, of_changing
from oneleader.conformance.handlers.stable import MODELS_OF_CHANGES, MODELS_OF_CORE, everything
from workshop.pages.handlers import PAGE, PAGE_OF_CHANGES, told

TEXT, OF_MEMBERS = (page.read_text("utf-8") for page in (PAGE, PAGE_OF_CHANGES))


def test_every_handler_is_listed_at_every_size() -> None:
    assert [name for name, _, _ in told(TEXT)] == [handler for handler, _ in of_any_size()]
    assert all(f"| {action} |" in TEXT for model, action in everything() if model in MODELS_OF_CORE)
    assert "not proved" not in TEXT


def test_every_handler_is_listed_where_members_change() -> None:
    """Or named as one of which nothing is said."""
    listed = [name for name, _, _ in told(OF_MEMBERS)]
    left = OF_MEMBERS.partition("Not all handlers were run: ")[2].partition(" nothing is said")[0]
    assert {*listed} | {*left.split("`")[1::2]} == {handler for handler, _ in of_changing()}
    assert listed
    assert all(f"| {action} |" in OF_MEMBERS for model, action in everything() if model in MODELS_OF_CHANGES)
    assert all(f"| `{function}` |" in OF_MEMBERS for function in CONTRACTS)
    assert "not proved" not in OF_MEMBERS
