"""docs/results/coupling.md speaks of each fact of the coupling, and a run keeps what it finds."""

from __future__ import annotations

import time

import pytest

from oneleader.conformance.handlers import facts
from oneleader.conformance.handlers.facts import SMALL, Asked, facts_of
from oneleader.conformance.handlers.stable import COUPLINGS
from workshop.pages import coupling
from workshop.pages.coupling import PAGE, Inquiry, page, reasons, said, told, unexplained

TEXT = PAGE.read_text("utf-8")
NEEDED = {(model, fact) for model, fact, _, _ in told(TEXT)}


@pytest.mark.parametrize("model", COUPLINGS)
def test_every_fact_is_listed(model: str) -> None:
    """As needed, or by name as not needed or not known; and nothing else is."""
    left = [line for line in TEXT.splitlines() if line.startswith(f"| `{model}` |")]
    assert [fact for fact in facts_of(model) if not any(fact in line for line in left)] == []
    assert {fact for of, fact in NEEDED if of == model} <= {*facts_of(model)}


def test_the_proof_that_a_row_names_fails_without_the_fact() -> None:
    """One row is asked again, of a proof that is quick."""
    rows = (row for row in told(TEXT) if row[2] == said(("heartbeat timeout", SMALL)))
    model, fact, _, goal = next(rows)
    assert [*facts.needed(model, "heartbeat timeout", SMALL, [fact])] == [(fact, goal)]


def test_what_nobody_has_explained_is_no_page() -> None:
    some = [
        Asked("lease", "a", "two servers: read", "b"),
        Asked("lease", "c"),
        Asked("lease", "d", untried=("any number: e", "any number: f")),
    ]
    assert [row.fact for row in unexplained(some)] == ["c"]
    assert told(page([some[0], some[2]])) == [("lease", "a", "two servers: read", "b")]
    assert "| `lease` | d | any number: e, f |" in page([some[0], some[2]])
    assert all(fact in facts_of(model) for model, of in reasons().items() for fact in of)


def test_what_was_found_is_kept_when_a_run_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[tuple[str, ...], object] = {}

    class Store:
        known = staticmethod(lambda *asked: kept.get(asked))
        keep = staticmethod(lambda answer, *asked: kept.update({asked: answer}))

    def needed(model: str, proof: str, size: object, left: object, paths: object) -> object:
        yield "its term is known", "a goal"
        raise KeyboardInterrupt

    monkeypatch.setattr(coupling, "READ", Store)
    monkeypatch.setattr(coupling, "needed", needed)
    search = Inquiry("election", time.monotonic() + 60)
    proof = ("restart", SMALL)
    with pytest.raises(KeyboardInterrupt):
        search.attempt(proof, search.left(proof))
    again = Inquiry("election", 0)
    assert [*again.found] == ["its term is known"]
    assert "its term is known" not in again.left(proof)
    again.attempt(proof, again.left(proof))  # the time is over: nothing is asked
    assert said(proof) in again.rows()[-1].untried
