"""The archive from which Java starts TLC sooner is kept whole or not at all."""

from pathlib import Path

import pytest

from oneleader.errors import UsageError
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.archive import archived
from tests.places import TLA


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONELEADER_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def checked() -> tuple[str | None, int, int | None]:
    found = tlc.run(TLA / "MCElection.tla", TLA / "MCElection_bug_vote_twice.cfg", workers=1)
    return found.violated, len(found.trace), found.distinct


@pytest.mark.usefixtures("tools")
def test_the_first_run_makes_it_and_the_next_one_reads_it(cache: Path) -> None:
    first = checked()
    (kept,) = cache.iterdir()
    made = kept.stat()
    assert kept.suffix == ".jsa"
    assert made.st_size > 1_000_000
    with archived(tlc.find_java(), tlc.find_jar()) as flags:
        assert f"-XX:SharedArchiveFile={kept}" in flags
    assert checked() == first
    assert kept.stat().st_ino == made.st_ino  # the second run made none


@pytest.mark.usefixtures("tools")
def test_one_that_is_damaged_is_not_read(cache: Path) -> None:
    first = checked()
    (kept,) = cache.iterdir()
    kept.chmod(0o644)
    kept.write_bytes(b"no archive" * 1_000)
    assert checked() == first


@pytest.mark.usefixtures("tools")
def test_what_a_run_that_was_ended_wrote_is_not_kept(cache: Path) -> None:
    with pytest.raises(UsageError, match="did not finish"):
        tlc.run(TLA / "MCElection.tla", TLA / "MCElection.cfg", workers=1, limit=0.2)
    assert list(cache.iterdir()) == []

    def cut_off() -> None:
        with archived(tlc.find_java(), tlc.find_jar()) as (_, flag):
            Path(flag.partition("=")[2]).write_bytes(b"a part")
            raise UsageError("TLC was ended")

    with pytest.raises(UsageError, match="was ended"):
        cut_off()
    assert list(cache.iterdir()) == []
