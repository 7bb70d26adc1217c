"""A search on disk finds what one in memory finds, and goes on however it ended."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from oneleader.errors import UsageError
from oneleader.language.configuration import bounded
from oneleader.models.election import MODEL
from oneleader.readers.explore import disk as module
from oneleader.readers.explore import search
from oneleader.readers.explore.explore import ENGINES, explore, explore_all
from oneleader.readers.explore.explored import Explored, SearchProgress
from oneleader.readers.explore.search import Limits
from oneleader.verdict import HOLDS, INCONCLUSIVE

AT = bounded(MODEL, nodes=3, terms=2)
COMPILED = [e for e in ENGINES if e != "python"]


def counts(found: Explored) -> tuple[object, ...]:
    return (
        *(found.verdict, found.states, found.transitions, found.cut, found.depth, found.symmetry),
        *(found.fired, found.witnesses, found.violation),
    )


@pytest.mark.parametrize("engine", COMPILED)
@pytest.mark.parametrize("symmetry", [False, True])
def test_it_finds_what_a_search_in_memory_finds(engine: str, symmetry: bool, tmp_path: Path) -> None:
    expected = explore(MODEL, AT, engine=engine, symmetry=symmetry)
    found = explore(MODEL, AT, engine=engine, symmetry=symmetry, disk=tmp_path)
    assert counts(found) == counts(expected)
    assert not [*tmp_path.iterdir()]  # nothing is left of what is over


@pytest.mark.parametrize("engine", COMPILED)
def test_it_tells_the_same_counterexample(engine: str, tmp_path: Path) -> None:
    mutant = MODEL.without_guard("grant_vote", "vote_is_free")
    assert counts(explore(mutant, AT, engine=engine, disk=tmp_path)) == counts(
        explore(mutant, AT, engine=engine)
    )


@pytest.mark.parametrize("engine", COMPILED)
@pytest.mark.parametrize("depth", [1, 6, 12])
def test_an_interrupted_search_goes_on_from_its_last_whole_level(
    engine: str, depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "REPORT_EVERY", 0)

    def interrupt(progress: SearchProgress) -> None:
        if progress.depth == depth:
            raise KeyboardInterrupt

    early = explore(MODEL, AT, engine=engine, symmetry=False, disk=tmp_path, progress=interrupt)
    assert (early.verdict, early.why) == (INCONCLUSIVE, "interrupted")
    found = explore(MODEL, AT, engine=engine, symmetry=False, disk=tmp_path)
    assert 0 < found.taken_up < found.states
    assert counts(found) == counts(explore(MODEL, AT, engine=engine, symmetry=False))


def test_what_a_crash_left_behind_is_dropped(tmp_path: Path) -> None:
    """As after a power cut within a level: parts are longer than the last place says, some half compared."""
    early = explore(MODEL, AT, symmetry=False, disk=tmp_path, limits=Limits(states=3_000))
    assert early.why == "stopped at 3,000 states"
    (folder,) = tmp_path.iterdir()
    for part in folder.glob("known-*"):
        with part.open("ab") as file:
            file.write(b"\xff" * 24)
    (folder / "found-07").write_bytes(b"\xff" * 24)
    found = explore(MODEL, AT, symmetry=False, disk=tmp_path)
    assert counts(found) == counts(explore(MODEL, AT, symmetry=False))


def test_each_search_has_its_own_folder(tmp_path: Path) -> None:
    kinds = (False, True)
    for symmetry in kinds:
        explore(MODEL, AT, symmetry=symmetry, disk=tmp_path, limits=Limits(states=100))
    assert len([*tmp_path.iterdir()]) == 2
    for symmetry in kinds:
        found = explore(MODEL, AT, symmetry=symmetry, disk=tmp_path)
        assert counts(found) == counts(explore(MODEL, AT, symmetry=symmetry))
    everything = [*explore_all(MODEL, AT, disk=tmp_path)]
    assert {r.verdict for r in everything} == {HOLDS}


def test_a_full_disk_is_inconclusive_and_goes_on_with_more_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    looks = iter(range(100_000))

    def filling(folder: Path) -> usage:
        free = module.MARGIN + 400_000 - 5_000 * next(looks)
        return usage(total=1 << 34, used=0, free=free)

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", filling)
        early = explore(MODEL, AT, symmetry=False, disk=tmp_path)
    assert early.verdict is INCONCLUSIVE
    assert early.why.startswith("stopped: the disk of")
    assert 1 < early.states < 14_387
    assert counts(explore(MODEL, AT, symmetry=False, disk=tmp_path)) == counts(
        explore(MODEL, AT, symmetry=False)
    )


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="keeps its states in memory"):
        explore(MODEL, AT, engine="python", disk=tmp_path)
    explore(MODEL, AT, disk=tmp_path, limits=Limits(states=100))
    (folder,) = tmp_path.iterdir()
    (folder / "place").write_text("{")
    with pytest.raises(UsageError, match="cannot be read: remove the folder"):
        explore(MODEL, AT, disk=tmp_path)
