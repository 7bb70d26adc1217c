"""One vocabulary of verdicts, one exit status for each; no other module spells them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from oneleader.verdict import (
    HOLDS,
    INCONCLUSIVE,
    NOT_EXPRESSIBLE,
    VIOLATED,
    WORDS,
    Verdict,
    decided,
    exit_status,
    gravest,
)
from tests.places import ROOT

WORDED = {word for words in WORDS.values() for word in words.values()} | {v.value for v in Verdict}

# What only looks like a verdict, with the reason.
ALLOWED = {
    ("spec/oneleader/pictures", "refused"): "the mark of a write that a storage refuses",
    ("workshop/studies/incident_story.py", "refused"): "the same mark",
    ("workshop/mutation/model_judge.py", "refused"): "a mutant that is no model: the name of a judge",
    ("workshop/mutation/tla_judge.py", "refused"): "the same of a mutant of the TLA+ text",
    ("workshop/mutation/proof_judge.py", "refused"): "what the proof does with a changed core: a column",
    ("workshop/mutation/proof_judge.py", "proved"): "the same",
    ("workshop/mutation/model_judge.py", "caught"): "how many mutants were caught: a heading",
    ("workshop/benchmarks/bench_peers.py", "holds"): "a key in the JSON of another checker",
    ("workshop/benchmarks/bench_histories.py", "holds"): "a key in the JSON of Porcupine's program",
    ("spec/oneleader/conformance/locks", "holds"): "what a client of a lock does: a method of its adapter",
    ("spec/oneleader/conformance/locks", "accepted"): "what a storage does with a write",
    ("spec/oneleader/conformance/locks", "refused"): "the same",
    ("spec/oneleader/conformance/shim.py", "holds"): "the method of a lock's adapter, asked of a shim",
    ("spec/oneleader/cli/tlc.py", "violated"): "a key in the JSON of `tlc`: what is violated",
}


def spelled(text: str) -> Iterator[tuple[int, str]]:
    """Each string literal that is a verdict or a word for one, with its line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and node.value in WORDED:
            yield node.lineno, node.value


def allowed(path: str, word: str) -> bool:
    return any(path.startswith(place) and word == said for place, said in ALLOWED)


def test_no_other_module_spells_a_verdict() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for folder in ("spec", "workshop")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "verdict.py"
        for line, word in spelled(path.read_text("utf-8"))
        if not allowed(str(path.relative_to(ROOT)), word)
    ]
    assert found == []


@pytest.mark.parametrize("word", ["holds", "proved", "not expressible"])
def test_a_stray_verdict_is_found(word: str) -> None:
    assert [*spelled(f"def judge():\n    return {word!r}")] == [(2, word)]
    assert not [*spelled(f'"""It {word}."""')]


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([], 3),
        ([HOLDS], 0),
        ([HOLDS, INCONCLUSIVE], 3),
        ([HOLDS, NOT_EXPRESSIBLE], 3),
        ([INCONCLUSIVE, VIOLATED, NOT_EXPRESSIBLE], 1),
    ],
)
def test_exit_status(verdicts: list[Verdict], status: int) -> None:
    assert (exit_status(verdicts), exit_status(verdicts, interrupted=True)) == (status, 130)


def test_the_gravest_verdict_stands_for_all() -> None:
    assert gravest(Verdict) is VIOLATED
    assert gravest([HOLDS, NOT_EXPRESSIBLE]) is NOT_EXPRESSIBLE
    assert gravest([NOT_EXPRESSIBLE, INCONCLUSIVE]) is INCONCLUSIVE


def test_a_question_is_decided_by_another_reader_or_stays_open() -> None:
    assert decided([("a", NOT_EXPRESSIBLE), ("a", HOLDS), ("b", HOLDS)]) == [HOLDS, HOLDS]
    assert decided([("a", NOT_EXPRESSIBLE), ("b", HOLDS)]) == [NOT_EXPRESSIBLE, HOLDS]
    assert decided([("a", NOT_EXPRESSIBLE), ("a", INCONCLUSIVE)]) == [NOT_EXPRESSIBLE, INCONCLUSIVE]


def test_a_reader_words_a_verdict_in_its_own_way() -> None:
    assert [HOLDS.worded(kind) for kind in WORDS] == ["holds", "proved", "accepted", "caught"]
    assert INCONCLUSIVE.worded("recording") == f"{INCONCLUSIVE}" == "inconclusive"
    assert HOLDS != "holds"  # so that mypy finds a comparison with a string
