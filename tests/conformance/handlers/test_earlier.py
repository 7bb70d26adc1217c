"""What an earlier run has proved is not proved again, unless anything that the proof reads has changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from oneleader.conformance.handlers import earlier
from oneleader.conformance.handlers.contracts import Met
from oneleader.readers.earlier import Texts
from oneleader.verdict import HOLDS, VIOLATED, Verdict

asked: list[str] = []


def prove(what: str, verdict: Verdict = HOLDS) -> Met:
    asked.append(what)
    return Met(what, 3, 7, verdict)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELEADER_CACHE", str(tmp_path))
    asked.clear()


def test_a_proof_is_made_once() -> None:
    assert earlier.once(prove, "a") == (Met("a", 3, 7, HOLDS), False)
    assert earlier.once(prove, "a") == (Met("a", 3, 7, HOLDS), True)
    assert earlier.once(prove, "b") == (Met("b", 3, 7, HOLDS), False)
    assert earlier.afresh(prove, "a") == (Met("a", 3, 7, HOLDS), False)
    assert asked == ["a", "b", "a"]


def test_other_texts_are_another_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    earlier.once(prove, "a")
    monkeypatch.setattr(earlier.READ, "hash", "one letter is another")
    assert earlier.once(prove, "a")[1] is False


def test_what_fails_is_tried_again() -> None:
    assert earlier.once(prove, "a", VIOLATED)[1] is False
    assert earlier.once(prove, "a", VIOLATED)[1] is False
    assert asked == ["a", "a"]


def test_what_is_damaged_is_proved_again(tmp_path: Path) -> None:
    earlier.once(prove, "a")
    (kept,) = tmp_path.iterdir()
    for damaged in (b"", b"not a proof", kept.read_bytes()[:-5]):
        kept.write_bytes(damaged)
        assert earlier.once(prove, "a") == (Met("a", 3, 7, HOLDS), False)


def test_a_changed_letter_is_seen(tmp_path: Path) -> None:
    core = tmp_path / "raft.py"
    core.write_text("match_index >= i")
    before = Texts({tmp_path: ("*.py",)}).hash
    core.write_text("match_index > i")
    assert Texts({tmp_path: ("*.py",)}).hash != before


PROOFS = "oneleader.conformance.handlers"
LOADED = f"""
import sys, {PROOFS}.stable, {PROOFS}.contracts
from {PROOFS}.handlers import prove_handler
from {PROOFS}.running import ANY
prove_handler("is_leader", ANY)
files = (getattr(module, "__file__", None) for name, module in sys.modules.items() if "oneleader" in name)
print(*filter(None, files), sep="\\n")
"""


def test_a_proof_reads_nothing_else() -> None:
    """Whatever a proof loads of the two packages is among the texts that it is known by."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = {Path(line).resolve() for line in done.stdout.split()}
    assert len(loaded) > 30
    assert sorted(loaded - {file.resolve() for file in earlier.READ.files()}) == []
