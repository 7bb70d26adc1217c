"""Files of nodes as one recording: each effect after its cause, whatever the order and the clocks."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from itertools import islice, permutations
from pathlib import Path
from typing import Any

import pytest

from oneleader.cli.replay import replay
from oneleader.cli.trace import merge
from oneleader.errors import UsageError
from oneleader.readers.replay.candidates import LineRefused
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.readers.replay.merging import Merging
from oneleader.readers.replay.replay import replay_lines
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED
from workshop.benchmarks import bench_replay

Step = dict[str, Any]
NODES = ["n1", "n2", "n3"]
HEADER: Step = {"format": "oneleader", "version": 1, "model": "election", "nodes": NODES}


def step(node: str, *actions: list[Any], **also: Any) -> Step:
    return {"node": node, "event": "step", "actions": list(actions), **also}


STANDS = step("n1", ["start_election", {"n": "n1"}], time=10)
VOTES = step(
    "n2",
    ["update_term", {"n": "n2", "t": 1}],
    ["grant_vote", {"voter": "n2", "candidate": "n1", "t": 1}],
    ["reply_vote", {"voter": "n2", "candidate": "n1", "t": 1}],
    time=4,
)
COUNTS = step("n1", ["receive_vote", {"candidate": "n1", "voter": "n2", "t": 1}], time=12)
LEADS = step("n1", ["become_leader", {"n": "n1", "q": ["n1", "n2"]}], after={"role": {"n1": "leader"}})
FOLLOWS = step("n3", ["update_term", {"n": "n3", "t": 1}], after={"term": {"n3": 1}})
FILES = {"n1": [STANDS, COUNTS, LEADS], "n2": [VOTES], "n3": [FOLLOWS]}


def text(*steps: Step, header: Step = HEADER) -> list[str]:
    return [json.dumps(line) + "\n" for line in (header, *steps)]


def merging(*files: list[Step]) -> Merging:
    return Merging([(f"file{i}", text(*steps)) for i, steps in enumerate(files, 1)])


# -- in order ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", list(permutations(FILES)))
def test_the_order_of_the_files_does_not_matter(order: tuple[str, ...]) -> None:
    found = merging(*(FILES[n] for n in order))
    lines = list(found.lines())
    assert not found.waiting
    assert replay_lines(lines).verdict is HOLDS
    assert len(lines) == 6


def test_joined_as_they_stand_they_are_refused() -> None:
    """What the merging is for."""
    assert replay_lines(text(*FILES["n1"], *FILES["n2"], *FILES["n3"])).verdict is VIOLATED


def test_what_no_model_speaks_of_is_inconclusive() -> None:
    """A line that cannot be judged, when it is read or when it is taken, waits as it stands; no more."""
    for unjudged in ({"members": ["n1"]}, {"role": "candidate"}):
        found = merging([{"node": "n1", "event": "step"} | unjudged], FILES["n2"][:1])
        assert len([*found.lines()]) == 3
        assert found.verdict is INCONCLUSIVE
        assert any("n1" in place for place in found.waiting)


def walked(seed: int, tries: int = 3000) -> list[Step]:
    """Steps that the model allows, drawn: any order of the nodes, any order of their actions."""
    draw = random.Random(seed)
    format = OwnFormat(HEADER, None, 1, judges_states=False)
    format.may_lose_states = False
    format.run.go_in_place(False)
    found = []
    for _ in range(tries):
        n, other, t = draw.choice(NODES), draw.choice(NODES), draw.randrange(1, 9)
        name, given = draw.choice(
            [
                *[("update_term", {"n": n, "t": t})] * 9,
                *[("grant_vote", {"voter": n, "candidate": other, "t": t})] * 9,
                *[("reply_vote", {"voter": n, "candidate": other, "t": t})] * 9,
                *[("receive_vote", {"candidate": n, "voter": other, "t": t})] * 9,
                *[("become_leader", {"n": n, "q": sorted({n, other})})] * 9,
                *[("step_down", {"n": n, "leader": other, "t": t})] * 9,
                *[("start_election", {"n": n}), ("restart", {"n": n})],
            ]
        )
        line = step(n, [name, given])
        try:
            format.take(line, format.read(line))
        except LineRefused:
            continue
        found.append(line)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_what_the_model_allowed_is_allowed_when_merged(seed: int) -> None:
    steps = walked(seed)
    assert len({s["actions"][0][0] for s in steps}) > 4
    files = [[s for s in steps if s["node"] == n] for n in NODES]
    random.Random(seed).shuffle(files)
    found = merging(*files)
    lines = list(found.lines())
    assert not found.waiting
    assert replay_lines(lines).lines == len(steps) + 1


@pytest.mark.parametrize("model", ["replication", "membership", "snapshots"])
def test_logs_members_and_snapshots_are_merged(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recordings of the benchmark, with elections, changes and snapshots every few lines."""
    for name, n in (("ELECTION_EVERY", 30), ("CHANGE_EVERY", 2), ("COMPACT_EVERY", 2), ("KEPT", 1)):
        monkeypatch.setattr(bench_replay, name, n)
    header, *steps = (json.loads(line) for line in islice(bench_replay.lines(model, 120), 120))
    assert replay_lines(text(*steps, header=header)).verdict is HOLDS
    by_node = [[s for s in steps if s["node"] == n] for n in reversed(header["nodes"])]
    assert replay_lines(text(*(s for own in by_node for s in own), header=header)).verdict is VIOLATED
    found = Merging([(f"file{i}", text(*own, header=header)) for i, own in enumerate(by_node)])
    assert replay_lines(found.lines()).verdict is HOLDS
    assert not found.waiting


def test_it_is_a_stream() -> None:
    def without_end() -> Iterator[str]:
        yield from text()
        while True:
            yield json.dumps(step("n1", ["start_election", {"n": "n1"}])) + "\n"
            yield json.dumps(step("n1", ["restart", {"n": "n1"}])) + "\n"

    found = Merging([("a", without_end()), ("b", text(VOTES))])
    assert len(list(islice(found.lines(), 500))) == 500


# -- clocks and messages -----------------------------------------------------------------------------------
def test_clocks_that_differ_are_a_hint() -> None:
    """n2 votes at 4 by its clock, for a candidate that stands at 10 by its own."""
    found = merging(FILES["n1"], FILES["n2"])
    assert replay_lines(found.lines()).verdict is HOLDS
    hint = "by the clocks 1 line comes before its cause, by 6 at most: file2:2 waits for file1:2"
    assert list(found.hints()) == [hint]


def test_clocks_choose_between_lines_that_are_free() -> None:
    times = [30, 10, 20]
    files = [[step(n, ["start_election", {"n": n}], time=at)] for n, at in zip(NODES, times, strict=True)]
    found = merging(*files)
    assert [json.loads(line).get("node") for line in found.lines()] == [None, "n2", "n3", "n1"]
    assert not list(found.hints())


def test_a_message_is_received_after_it_was_sent() -> None:
    sends = step("n2", ["start_election", {"n": "n2"}], sends=["m1"])
    receives = step("n1", ["start_election", {"n": "n1"}], receives=["m1"])
    found = merging([receives], [sends])
    assert [json.loads(line).get("node") for line in found.lines()] == [None, "n2", "n1"]
    refusal = replay_lines(text(receives, sends)).refusal
    assert refusal
    assert refusal.line == 2
    assert "nobody has sent m1 before this line" in refusal.text
    assert "oneleader trace merge" in refusal.text
    assert refusal.hint.startswith("it is sent in line 3: ")


def test_what_no_order_allows_is_named_and_still_written() -> None:
    twice = step("n2", ["grant_vote", {"voter": "n2", "candidate": "n3", "t": 1}])
    stands = step("n3", ["start_election", {"n": "n3"}])
    found = merging(FILES["n1"], [VOTES, twice, FOLLOWS | {"node": "n2"}], [stands])
    lines = list(found.lines())
    assert len(lines) == 8
    assert [place.partition(" ")[0] for place in found.waiting] == ["file2:3:"]
    assert "vote_is_free" in found.waiting[0] or "grant_vote" in found.waiting[0]
    assert replay_lines(lines).verdict is VIOLATED


FIVE: Step = {"format": "oneleader", "version": 1, "model": "pre_vote", "nodes": [*NODES, "n4", "n5"]}


def seen(node: str, term: int, vote: str | None, role: str, votes: list[str]) -> Step:
    return {"node": node, "event": "step", "term": term, "voted_for": vote, "role": role, "votes": votes}


PRE_VOTED = [
    seen("n1", 0, None, "pre-candidate", ["n1", "n2", "n4"]),
    seen("n1", 1, "n1", "candidate", ["n1"]),
]
OTHERS = [
    [
        seen("n3", 0, None, "pre-candidate", ["n3", "n4", "n5"]),
        seen("n3", 1, "n3", "candidate", ["n3"]),
        seen("n3", 1, "n3", "leader", ["n3", "n4", "n5"]),
    ],
    *([seen(n, 1, "n3", "follower", [])] for n in ("n4", "n5")),
    [seen("n2", 1, None, "follower", [])],
]


def test_where_steps_of_others_are_not_shown_another_order_may_exist(tmp_path: Path) -> None:
    """n2 gave n1 its pre-vote before its only line, which shows nothing of that."""
    for first, verdict in ((True, HOLDS), (False, INCONCLUSIVE)):
        files = [PRE_VOTED, *OTHERS] if first else [*OTHERS, PRE_VOTED]
        found = Merging([(f"file{i}", text(*steps, header=FIVE)) for i, steps in enumerate(files)])
        lines = list(found.lines())
        assert found.verdict is verdict, found.waiting
        assert replay_lines(lines).verdict is (HOLDS if first else VIOLATED)
        for i, steps in enumerate(files):
            (tmp_path / f"{i}.jsonl").write_text("".join(text(*steps, header=FIVE)))
        paths = [str(tmp_path / f"{i}.jsonl") for i in range(len(files))]
        assert merge.main([*paths, "--output", str(tmp_path / "all")], standalone_mode=False) == (
            0 if first else 3
        )
        assert replay.main(paths, standalone_mode=False) == (0 if first else 3)


# -- bad input ---------------------------------------------------------------------------------------------
GOOD = "".join(text(*FILES["n1"])).encode()
OTHER = "".join(text(VOTES)).encode()
ETCD = b'{"event": {"name": "InitState", "nid": "1"}}\n'
BACK = [VOTES, step("n2", ["restart", {"n": "n2"}], time=3)]
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "b is empty: it needs the header at least"),
    "no header": (json.dumps(VOTES).encode(), "b:1: the first line is no header"),
    "cut off": (OTHER[:-9], "b:2: the recording is cut off in the middle of this line"),
    "gzip, cut off": (gzip.compress(OTHER, mtime=0)[:-20], "the compressed file is damaged or cut off here"),
    "UTF-16": (OTHER.decode().encode("utf-16"), "b:1: this is UTF-16 or UTF-32 text: save it as UTF-8"),
    "another format": (ETCD, "b:1: the first line is no header"),
    "mixed formats": (OTHER + ETCD, "b:3: unknown key `event`|b:3: a step needs"),
    "two recordings": (OTHER + OTHER, "b:3: a second header"),
    "two nodes of one name": (GOOD, "b:2: n1 has lines in .*a too: give each node one name"),
    "another model": (
        OTHER.replace(b"election", b"replication"),
        "b:1: `model` is not what the header of .*a says",
    ),
    "clock going back": ("".join(text(*BACK)).encode(), "b:3: the clock of n2 goes back from 4 to 3"),
    "no clock": (OTHER.replace(b"4", b'"4"'), "b:2: `time` is not a number"),
    "no names": (OTHER.replace(b'"time": 4', b'"sends": 4'), "b:2: `sends` is not a list of the names"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_with_the_line(name: str, tmp_path: Path) -> None:
    content, says = BAD[name]
    (tmp_path / "a").write_bytes(GOOD)
    (tmp_path / "b").write_bytes(content)
    arguments = ["--output", *(str(tmp_path / name) for name in ("out", "a", "b"))]
    with pytest.raises(UsageError, match=says):
        merge.main(arguments, standalone_mode=False)


def test_a_clock_that_goes_back_in_one_file_is_refused_by_replay_too() -> None:
    with pytest.raises(UsageError, match=r"line 4: the clock of n2 goes back from 4 to 3"):
        replay_lines(text(STANDS, *BACK))


@pytest.mark.parametrize(
    "header",
    [
        {"model": "lease", "parameters": {"promise": 10, "lease": 5, "fast": 1, "slow": 1}},
        {"model": "membership_on_apply", "configuration": [NODES]},
    ],
)
def test_what_nodes_share_beside_messages_is_in_one_recording(header: Step) -> None:
    with pytest.raises(UsageError, match=f"in the model {header['model']} nodes share more than messages"):
        Merging([("a", text(header=HEADER | header))])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n, steps in FILES.items():
        (tmp_path / f"{n}.jsonl.gz").write_bytes(gzip.compress("".join(text(*steps)).encode()))
    files = [str(tmp_path / f"{n}.jsonl.gz") for n in reversed(NODES)]
    assert merge.main(files, standalone_mode=False) == 0
    shown = capsys.readouterr()
    assert replay_lines(shown.out.splitlines(keepends=True)).verdict is HOLDS
    assert "hint: by the clocks" in shown.err


def test_replay_of_several_files_merges_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for n, steps in FILES.items():
        Path(f"{n}.jsonl").write_text("".join(text(*steps)))
    files = [f"{n}.jsonl" for n in reversed(NODES)]
    assert replay.main(files, standalone_mode=False) == 0
    assert replay.main(["n1.jsonl"], standalone_mode=False) == 1, "whose votes nobody grants"
    with pytest.raises(UsageError, match=r"no\.jsonl cannot be read"):
        replay.main(["n1.jsonl", "no.jsonl"], standalone_mode=False)
