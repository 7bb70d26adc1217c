"""Doctored recordings: compiled replay gives the verdict of the plain interpreter, in place and layered."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneleader.errors import Inexpressible, UsageError
from oneleader.readers.replay import properties
from oneleader.readers.replay.candidates import LineRefused, NotModelled, OpenRun
from oneleader.readers.replay.compiled import CompiledRun
from oneleader.readers.replay.formats import forgetting
from oneleader.readers.replay.formats.own import OwnFormat
from workshop.benchmarks import bench_replay, mixed_run

LINES = 70
Line = dict[str, Any]


@pytest.fixture(scope="module")
def recordings() -> dict[str, list[Line]]:
    """Of each model that has a bench: elections, changes and snapshots every few lines."""
    with pytest.MonkeyPatch.context() as patch:
        for name, n in (("ELECTION_EVERY", 30), ("CHANGE_EVERY", 2), ("COMPACT_EVERY", 2), ("KEPT", 1)):
            patch.setattr(bench_replay, name, n)
        kept = dict(zip(bench_replay.NODES, (0, 1, 2, 9, 0), strict=True))
        of_mixed = {
            "ELECTION_EVERY": 9,
            "CHANGE_EVERY": 2,
            "CRASH_EVERY": 3,
            "COMPACT_EVERY": 2,
            "KEPT": kept,
        }
        for name, value in of_mixed.items():
            patch.setattr(mixed_run, name, value)
        return {
            model: [json.loads(said) for said in islice(bench_replay.lines(model, LINES), LINES)]
            for model in bench_replay.MADE
        }


def verdict(lines: list[Line], run: type[OpenRun], *, judges_states: bool) -> tuple[int, str]:
    """The line that is refused, or the last one, and what is said of it."""
    format = OwnFormat(lines[0], None, 64, judges_states=judges_states, run=run)
    for number, line in enumerate(lines[1:], 2):
        try:
            format.judge(line)
        except (LineRefused, NotModelled, UsageError, Inexpressible) as why:
            return number, f"{type(why).__name__} {why}"
    return len(lines), ""


def leaves(value: Any) -> list[tuple[Any, Any]]:
    """Each place of a line that can be doctored: what holds it, and its key or position."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [leaf for key, of in items for leaf in ([(value, key)] if _is_leaf(of) else leaves(of))]


def _is_leaf(value: Any) -> bool:
    return isinstance(value, (bool, int, str))


def doctored(lines: list[Line], data: st.DataObject) -> list[Line]:
    """Left out, twice, exchanged with the next one, done by another node, or with another value in it."""
    found = json.loads(json.dumps(lines))
    at = data.draw(st.integers(1, len(found) - 2), label="line")
    match data.draw(st.sampled_from(["drop", "twice", "exchange", "value", "value", "value"]), label="how"):
        case "drop":
            del found[at]
        case "twice":
            found.insert(at, found[at])
        case "exchange":
            found[at], found[at + 1] = found[at + 1], found[at]
        case _:
            said = {key: value for key, value in found[at].items() if key not in ("node", "event")}
            places = leaves([said.get("actions", {}), said.get("after", {})] if "actions" in said else said)
            if places:
                holder, key = data.draw(st.sampled_from(places), label="place")
                holder[key] = data.draw(other(holder[key]), label="value")
    return found


def other(value: Any) -> st.SearchStrategy[Any]:
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, int):
        return st.sampled_from([n for n in (0, 1, value - 1, value + 1, value + 7) if n not in (value, -1)])
    if value in bench_replay.NODES:
        return st.sampled_from([n for n in bench_replay.NODES if n != value])
    return st.sampled_from(["leader", "follower", "candidate", "v1", "restart", "n9"])


def is_of_old_terms(found: tuple[int, str], plain: tuple[int, str]) -> bool:
    """Open, as what was sent then is forgotten; or refused in the same line, by a guard that reads terms."""
    refusals = [said.startswith("LineRefused") for _, said in (found, plain)]
    both_refuse = found[0] == plain[0] and all(refusals)
    by_its_term = any(name in found[1] for name in forgetting.NOT_OF_OLD_TERMS)
    return "of long ago is not remembered" in found[1] or (both_refuse and by_its_term)


@pytest.mark.parametrize("model", bench_replay.MADE)
def test_compiled_and_plain_agree(model: str, recordings: dict[str, list[Line]]) -> None:
    refused: list[int] = []

    most = max(15, settings.default.max_examples // 4 if settings.default else 0)

    @settings(max_examples=most // 2 if "mixed" in model else most)
    @given(st.data())
    def judged(data: st.DataObject) -> None:
        lines = doctored(recordings[model], data)
        plain = verdict(lines, OpenRun, judges_states=False)
        assert verdict(lines, CompiledRun, judges_states=False) == plain, "in place"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(properties, "FIRST", 5)
            patch.setattr(properties, "EVERY", 3)  # in place on two lines, layered on the third
            patch.setattr(forgetting, "MOST_TERMS", 2)
            patch.setattr(forgetting, "MOST_STATES", LINES // 2)
            found = verdict(lines, CompiledRun, judges_states=True)
            assert found == plain or is_of_old_terms(found, plain), "in place and layered"
        refused.append(plain[0] if plain[1] else 0)

    assert verdict(recordings[model], OpenRun, judges_states=False)[1] == ""
    judged()
    assert any(refused), "no doctored recording was refused"
