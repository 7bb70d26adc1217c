"""How many events a second replay judges, for each model, from 10^3 to 10^6 events.

    python -m workshop.benchmarks.bench_replay [RECORDING...]

Recordings in our own format are made on the fly, of five nodes. Those that name a model alone name their
steps: elections, one after the other; heartbeats of one leader, with time passing before each line; a log
that grows, with restarts and an election every 5,000 events, for `membership` with changes of the
configuration, and for `snapshots` with compaction too. `mixed` are as their nodes show them (`mixed_run`),
with all of that at once. The processor time of making them is taken away from the figure, and the memory is
the most that the process had. `folder` is the traces of five nodes of the reference, which the model named,
or each of four, judges as `oneleader replay FOLDER` does, with `--follow` or without. A size that would take
more than `MOST_SECONDS` is left out. Where nothing is named, a recording of etcd is then judged beside TLC
(`trace_validation`).
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import combinations, count, cycle, islice
from pathlib import Path
from typing import Any

from oneleader.readers.replay.formats import node_folders
from oneleader.readers.replay.replay import replay_lines
from oneleader.verdict import HOLDS
from oneleader_raft.views import FIXED_MEMBERS
from tests.reference.node.traced_run import TracedRun
from workshop.benchmarks import trace_validation
from workshop.benchmarks.mixed_run import NODES, Line, MixedRun

SIZES = (1_000, 10_000, 100_000, 1_000_000)
MOST_SECONDS = 300.0
ELECTION_EVERY = 5_000
CHANGE_EVERY, COMPACT_EVERY, KEPT = 100, 500, 10  # entries


def line(node: str, *actions: tuple[str, Line], **after: Any) -> Line:
    said = {name: {node: value} for name, value in after.items()}
    return {"node": node, "event": actions[0][0], "actions": [list(a) for a in actions], "after": said}


def elections(first: int = 1) -> Iterator[Line]:
    """Each term another node stands, and two others vote for it."""
    for t in count(first):
        c, *others = NODES[t % 5 :] + NODES[: t % 5]
        yield from elected(c, others[:2], t, NODES)


def elected(c: str, voters: list[str], t: int, nodes: list[str]) -> Iterator[Line]:
    """The nodes stop leading and standing; then a candidate, its voters, and those who only hear of it."""
    for n in nodes:
        yield line(n, ("restart", {"n": n}), role="follower")
    yield line(c, ("start_election", {"n": c}), term=t, voted_for=c, role="candidate")
    for v in voters:
        vote = {"voter": v, "candidate": c, "t": t}
        yield line(v, ("update_term", {"n": v, "t": t}), ("grant_vote", vote), ("reply_vote", vote), term=t)
        yield line(c, ("receive_vote", vote), votes=[c, *voters[: voters.index(v) + 1]])
    yield line(c, ("become_leader", {"n": c, "q": sorted([c, *voters])}), role="leader")
    for n in nodes:
        if n not in (c, *voters):
            yield line(n, ("update_term", {"n": n, "t": t}), term=t, role="follower")


def heartbeats() -> Iterator[Line]:
    """A leader, its rounds, and who acknowledges them; every line takes some time."""
    first = elected("n1", ["n2", "n3"], 1, NODES)
    yield from (said for said in first if said["event"] != "restart")  # which would make it wait
    passes = ("elapse", {"advance": dict.fromkeys(NODES, 10)})
    for i in count(1):
        yield line("n1", passes, ("send_heartbeat", {"n": "n1", "k": f"r{i}"}), role="leader")
        for v in NODES[1:]:
            answer = {"voter": v, "leader": "n1", "t": 1, "k": f"r{i}"}
            yield line(v, passes, ("acknowledge", answer), since_promise=0)


def logs(members: bool = False, snapshots: bool = False) -> Iterator[Line]:
    """Entries, sent to all one by one and committed; now and then another leader, by the same log.

    `members`: a leader takes n5 out of the configuration and back in, again and again; `snapshots`: each
    server discards what is committed, now and then.
    """
    length, configuration = 0, 0
    standing = NODES[:4] if members else NODES  # who is in every configuration
    for t in count(1):
        k = t % len(standing)
        c, *voters = standing[k:] + standing[:k]
        others = [n for n in NODES if n != c]
        yield from elected(c, voters[:2], t, NODES)
        committed, quorum = 0, sorted([c, *voters[:2]])  # a restart loses what is committed
        if snapshots:
            committed = max(0, (length - KEPT) // COMPACT_EVERY * COMPACT_EVERY)
        for i in range(1, ELECTION_EVERY // 6 + 1):
            length += 1
            entry = {"log_length": length, "log_term": {str(length): t}}
            if members and i % CHANGE_EVERY == 0:
                configuration = 1 - configuration
                yield line(c, ("change_config", {"n": c, "c": configuration}), **entry)
            else:
                yield line(c, ("client_request", {"n": c, "value": f"v{length}"}), **entry)
            for n in others:
                sent = {"n": n, "t": t, "prev": length - 1, "last": length, "commit": committed}
                yield line(n, ("append_entries", sent), **entry)
            yield line(c, ("advance_commit", {"n": c, "i": length, "q": quorum}), commit_index=length)
            committed = length
            if snapshots and (length - KEPT) % COMPACT_EVERY == 0 and length > COMPACT_EVERY:
                for n in NODES:
                    at = {"n": n, "k": length - KEPT}
                    yield line(n, ("compact", at), snapshot_index=length - KEPT)


def mixed(*, shows_members: bool) -> Iterator[Line]:
    """All of it at once, as the nodes show it."""
    return MixedRun(shows_members=shows_members).lines()


OF_MEMBERS: Line = {
    "quorums": [list(q) for q in combinations(NODES, 3)],
    "constants": {
        "quorum_of": [[list(q), c] for c in (0, 1) for q in combinations(NODES[: 5 - c], 3)],
        "adjacent": [[0, 1], [1, 0]],
    },
}
MADE: dict[str, tuple[Callable[[], Iterator[Line]], Line]] = {
    "election": (elections, {}),
    "replication": (logs, {}),
    "membership": (partial(logs, members=True), OF_MEMBERS),
    "snapshots": (partial(logs, members=True, snapshots=True), OF_MEMBERS),
    "lease": (heartbeats, {"parameters": {"lease": 90, "promise": 150, "slow": 99, "fast": 101}}),
    "replication, mixed": (partial(mixed, shows_members=False), {}),
    "membership, mixed": (partial(mixed, shows_members=True), {}),
    "snapshots, mixed": (partial(mixed, shows_members=True), {}),
}


def lines(name: str, events: int) -> Iterator[str]:
    make, more = MADE[name]
    header = {"format": "oneleader", "version": 1, "model": name.partition(",")[0], "nodes": NODES}
    yield json.dumps(header | more) + "\n"
    yield from (json.dumps(said) + "\n" for said in islice(make(), events))


def measured(name: str, events: int) -> tuple[float, float]:
    """Processor seconds that the judging takes, and megabytes that the process had at most."""
    started = time.process_time()
    for _ in lines(name, events):
        pass
    making, started = time.process_time() - started, time.process_time()
    found = replay_lines(lines(name, events))
    assert found.verdict is HOLDS, found.summary()
    seconds = time.process_time() - started - making
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


FOLDERS = {f"folder, {model}": [model] for model in FIXED_MEMBERS} | {"folder, all": [*FIXED_MEMBERS]}


def in_folder(folders: Path, name: str, events: int) -> tuple[float, float]:
    """The same of the traces in a folder, which the first one writes. What four models judge counts once."""
    folder = folders / str(events)
    if not folder.exists():
        folder.mkdir()
        with ProcessPoolExecutor(1) as other:
            other.submit(write_folder, folder, events).result()
    started = time.process_time()
    found = node_folders.judge(folder, FOLDERS[name])
    seconds = time.process_time() - started
    for judging in found:
        assert judging.result.verdict is HOLDS, judging.result.summary()
        assert judging.result.events_judged >= events
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_folder(folder: Path, events: int) -> None:
    """Five nodes: writes, as many heartbeats that bring nothing, an election every 3,300 events, and a
    hundred crashes, if there are many events."""
    run, chance = TracedRun(folder, members=tuple(NODES)), random.Random(1)
    crash_every, crashed_at = max(400, events // 100), 0
    for leader in cycle(NODES):
        if run.lines >= events:
            break
        run.elect(leader)
        for _ in range(8):
            run.write(leader, 20)
            run.beat(leader, 20)
            if run.lines < crashed_at + crash_every:
                continue
            crashed_at, away = run.lines, chance.choice([n for n in NODES if n != leader])
            run.away = {away}
            run.write(leader, 2)
            run.away = set()
            run.restart(away)
            run.write(leader, 2)
    run.close()


def main(names: list[str]) -> None:
    if unknown := [name for name in names if name not in (*MADE, *FOLDERS)]:
        sys.exit(f"no recording is called {unknown[0]!r}: choose of {', '.join((*MADE, *FOLDERS))}")
    with tempfile.TemporaryDirectory() as folder:
        for name in names or [*MADE, *FOLDERS]:
            show(name, measured if name in MADE else partial(in_folder, Path(folder)))
    if not names:
        trace_validation.main()


def show(name: str, measure: Callable[[str, int], tuple[float, float]]) -> None:
    """A row for each size."""
    seconds, before = 0.0, 1
    for events in SIZES:
        if seconds * events / before > MOST_SECONDS:
            print(f"{name:18} {events:>9,} events  left out: more than {MOST_SECONDS:.0f} s", flush=True)
            continue
        with ProcessPoolExecutor(1) as fresh:
            seconds, megabytes = fresh.submit(measure, name, events).result()
        before, rate = events, f"{events / seconds:>9,.0f} a second"
        print(f"{name:18} {events:>9,} events  {rate}  {megabytes:>5,.0f} MB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
