"""The pages of the two provers: what they say is of these obligations, and a run goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneleader.language.model import Model
from oneleader.models import election, fencing
from oneleader.readers.prove import second
from oneleader.readers.prove.obligations import Obligation
from oneleader.readers.prove.progress import every_obligation
from workshop.pages import provers
from workshop.pages.provers import ComparedObligation, ComparedProvers, comparing, digest, page_of, read


@pytest.mark.parametrize(
    "model", [m for m in provers.subjects() if page_of(m).is_file()], ids=lambda m: m.name
)
def test_a_page_is_of_obligations_that_there_are(model: Model) -> None:
    """If it is not: `python -m workshop second-prover MODEL --write`."""
    said, keys = read(model), [o.key for o in every_obligation(model)]
    assert said.total == len(keys)
    assert [row.key for row in said.rows] == keys[: len(said.rows)]
    assert not said.unproved
    assert not said.grown
    assert said.line() in provers.PAGE.read_text("utf-8")


@pytest.mark.parametrize("model", [election.MODEL, fencing.MODEL], ids=lambda m: m.name)
def test_what_is_said_is_of_the_text_as_it_is(model: Model) -> None:
    assert read(model).of == digest(model)


def test_a_run_goes_on_where_the_last_one_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def of(obligation: Obligation, hint: list[str] | None) -> ComparedObligation:
        asked.append(obligation.key)
        return ComparedObligation(obligation.key, True, 0.25, len(asked) != 2, 0.5)

    monkeypatch.setattr(provers, "FOLDER", tmp_path)
    monkeypatch.setattr(ComparedObligation, "of", of)
    model, keys = fencing.MODEL, [o.key for o in every_obligation(fencing.MODEL)]
    run = comparing(model)
    found = [next(run) for _ in range(4)][-1]
    page_of(model).write_text(found.page(), encoding="utf-8")
    assert (read(model), asked, found.open) == (found, keys[:3], [keys[1]])
    assert f"| {len(keys)} | 3 | 3 | 1 | 2 | 2 |" in found.line()
    assert len([*comparing(model)][-1].rows) == len(keys)
    assert asked == keys

    other = ComparedProvers(model, found.total, "0123456789abcdef", found.rows)
    page_of(model).write_text(other.page(), encoding="utf-8")
    assert next(comparing(model)).rows == ()


def test_cvc5_is_asked_no_more_once_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(text: str, options: object) -> str:
        asked.append(text)
        return "unknown"

    monkeypatch.setattr(second, "answer", answer)
    obligation = next(every_obligation(fencing.MODEL))
    assert not second.confirms(obligation, None, seconds=0.0)
    assert not asked
    assert not second.confirms(obligation, None)
    assert asked
