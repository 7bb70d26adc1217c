"""check: every reader on every model, the reference, the recordings and the faults.

`CHECKS` is the list; to add a check, add a line. Each is done in a process of its own, on all cores, and the
longest are begun first: the seconds of a line are an estimate, on one quiet core, for that alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import oneleader
import oneleader_raft
from oneleader.campaigns.cores import Died, Running, cores, over_cores
from oneleader.campaigns.fault_table import READERS
from oneleader.cli.check_row import CheckRow
from oneleader.cli.check_rows import (
    breaking,
    comparing,
    confirming,
    conforming,
    counted,
    drawing,
    exploring,
    handling,
    judging,
    proving,
    refining,
    replaying,
    switched_off,
    twinning,
    walking,
)
from oneleader.conformance.handlers import earlier
from oneleader.conformance.handlers.running import ANY as ANY_CLUSTER
from oneleader.conformance.handlers.running import CHANGING, HANDLERS, WITH_CHANGES
from oneleader.errors import MissingTool, UsageError
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Because, Fault, FaultyModel
from oneleader.models import find
from oneleader.models.flawed.bully import Assumption
from oneleader.readers.earlier import Texts
from oneleader.readers.tlc.bounds import deep_bounds_of, full_bounds_of
from oneleader.readers.tlc.tlc import find_jar
from oneleader.shipped import tla_folder
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, Kind

ALWAYS, QUICK, FULL, DEEP = "always", "with --quick only", "without --quick only", "with --deep only"
Rows = Callable[..., CheckRow | Iterable[CheckRow]]
READER_OF: dict[Rows, str] = {
    exploring: "explore",
    breaking: "explore",
    switched_off: "settings",
    proving: "prove",
    counted: "prove",
    confirming: "cvc5",
    comparing: "tlc",
    twinning: "tlc",
    walking: "walk",
    refining: "refine",
    conforming: "hypothesis",
    drawing: "hypothesis",
    handling: "handlers",
    replaying: "replay",
}


def jar() -> dict[Path, tuple[str, ...]]:
    """TLC itself, where it is installed."""
    try:
        return {find_jar().parent: (find_jar().name,)}
    except MissingTool:
        return {}


OURS, RAFT = Path(oneleader.__file__).parent, Path(oneleader_raft.__file__).parent
MODELS = ("*.py", "cli/*", "language/**/*", "models/**/*", "readers/**/*", "recordings/*")
REFERENCE = ("campaigns/*", "conformance/**/*", "faults/**/*", "pictures/__init__.py", "pictures/plain.py")
BESIDE = {tla_folder(): ("*",), **jar()}
CORE = (
    "*.py",
    *(
        f"node/{name}.py"
        for name in ("__init__", "beginnings", "disk", "errors", "json_keys", "log", "recording", "trace*")
    ),
)
ON_MODELS = Texts({OURS: MODELS, RAFT: CORE, **BESIDE})
ON_ALL = Texts({OURS: (*MODELS, *REFERENCE), RAFT: (*CORE, "testbench/**/*", "locks/**/*"), **BESIDE})
PROOF = earlier.READ.patterns
ON_HANDLERS = Texts({**PROOF, OURS: (*PROOF[OURS], "cli/check_row*.py")})


@dataclass(frozen=True)
class Check:
    """One reader on one model, on the reference or on one fault. It can be called in another process."""

    model: str
    reader: str
    rows: Rows
    seconds: float
    when: str = ALWAYS

    def __call__(self) -> list[CheckRow]:
        made = self.rows()
        return [replace(row, model=self.model) for row in ([made] if isinstance(made, CheckRow) else made)]

    @property
    def title(self) -> str:
        return f"{self.model} {self.reader}"

    def known(self) -> list[CheckRow] | None:
        """Its rows, where an earlier run has made them from the same texts."""
        rows: list[CheckRow] | None = self._read.known(self.model, self.reader, told(self.rows))
        return rows and [replace(row, is_earlier=True) for row in rows]

    def keep(self, rows: list[CheckRow]) -> None:
        """For later runs; what does not hold is asked again."""
        if rows and all(row.verdict in (HOLDS, NOT_EXPRESSIBLE) for row in rows):
            self._read.keep(rows, self.model, self.reader, told(self.rows))

    @property
    def _read(self) -> Texts:
        if self.reader == "handlers":
            return ON_HANDLERS
        return ON_ALL if self.model.startswith(("reference", "fault ")) else ON_MODELS

    def unknown(self, cause: str) -> CheckRow:
        """The row of a check that came to no end."""
        kind: Kind = "fault" if self.model.startswith("fault ") else "property"
        return CheckRow(self.model, self.reader, "not finished", INCONCLUSIVE, "", 0.0, cause, kind=kind)


def told(value: Any) -> Any:
    """A partial call, told apart from others by the names of its functions."""
    if isinstance(value, partial):
        return told(value.func), *map(told, value.args), value.keywords
    return getattr(value, "__qualname__", value)


def of(model: str, rows: Rows, seconds: float, when: str = ALWAYS, **bounds: Any) -> Check:
    """A check of a model; of the model's own name only, since models are not sent to other processes."""
    return Check(model, READER_OF[rows], partial(_found, rows, model, bounds), seconds, when)


def larger(model: str, seconds: float, when: str) -> Iterable[Check]:
    """Its twin at what bounds.toml has for checks without --quick, or for --deep."""
    for at in (full_bounds_of if when == FULL else deep_bounds_of)(find(model)):
        yield of(model, comparing, seconds, when, sizes=at.sizes, quorums=at.quorums, depth=at.depth)


def _found(rows: Rows, name: str, bounds: dict[str, Any]) -> CheckRow | Iterable[CheckRow]:
    return rows(find(name), **bounds)


def quick_readers(fault: Fault) -> Iterable[str]:
    """The readers that --quick asks about a fault: all of them where the quick ones cannot express it."""
    cannot = all(isinstance(said, Because) for said in (fault.explore, fault.unlive, fault.refused))
    return READERS if cannot else QUICK_READERS


def when_judged(fault: Fault, reader: str) -> str:
    """Where members change or logs are compacted, --deep alone asks the readers that take long."""
    if reader in quick_readers(fault):
        return ALWAYS
    model = fault.faulty.base.name if isinstance(fault.faulty, FaultyModel) else ""
    return DEEP if model in OF_CHANGES and reader in LONG_READERS else FULL


def reference(rows: Rows, seconds: float, when: str = ALWAYS, **bounds: Any) -> Check:
    """A check of the reference."""
    return Check("reference", READER_OF[rows], partial(rows, **bounds), seconds, when)


ANY = "proved for any cluster size, unbounded terms"
LOGS = "proved for any cluster size, unbounded terms and logs"
CLOCKS = "proved for any cluster size, unbounded terms, any clocks within the axioms"
CLIENTS = "proved for any number of clients and resources, unbounded tokens"
TWO_QUORUMS = "n1 n2, n1 n3"
N2_DECIDES = "n2, n1 n2"  # two servers, and the second in every quorum: it can overtake the first
EXACT = {"lease": 1, "promise": 1, "slow": 1, "fast": 1}  # no drift
ONE_FEWER = "n1 n2 n3, n1 n2, n1"  # configurations: a server is removed each time, or comes back
ONE_LEAVES = "n1 n2, n1"
ONE_JOINS = "n2, n1 n2"  # before, one server decides alone, and replaces what the other has begun
JOINT = "n1 n2 n3, n1 n2 n3 + n1, n1"  # from three servers to one by joint consensus
TWO_ENTRIES = {"Index": 2, "Value": 1}  # where an older one is committed indirectly
ONE_ENTRY = {"Index": 1, "Value": 1}
TO_THREE, TO_FOUR = ({"Node": 3, "Term": 2, "Index": entries} for entries in (3, 4))
TOGETHER = {"together": True, "small": True}
SHARED = {"Resource": 1, "Client": 2, "Token": 2}
ALL_ASSUMED = {"assumed": [assumption.name.lower() for assumption in Assumption]}
STALE = "no_stale_write"
ETCD, RAWNODE = "etcd-raft-example", "etcd-rawnode-3-nodes"
PRE_VOTES = "etcd-rawnode-5-nodes-prevote-checkquorum"

SOON = {"restart", "is_leader", "TimeoutNow", "election timeout", "transfer"}  # handlers proved in seconds
SECONDS_OF_HANDLER = {"AppendEntries": 20.0, "AppendReply": 12.0, "RequestVote": 10.0, "serve": 3.0}
SECONDS_WITH_CHANGES = {
    "advance_change": 50.0,
    "AppendEntries": 35.0,
    "AppendReply": 30.0,
    "RequestVote": 11.0,
    "TimeoutNow": 7.0,
    "propose": 6.0,
}
SECONDS_OF_FAULT = {"explore": 0.4, "tlc": 1.5, "hypothesis": 0.8}
SLOW_FAULTS: dict[tuple[str, str], float] = {
    ("votes-within-its-promise", "tlc"): 12,
    ("any-log-wins", "tlc"): 12,
    ("added-and-added", "tlc"): 10,
    ("tokens-as-strings", "hypothesis"): 10,
    ("no-prefix-check", "tlc"): 6,
    ("answers-before-storing", "hypothesis"): 6,
    ("change-upon-change", "tlc"): 5,
    ("commits-alone", "tlc"): 5,
}
QUICK_READERS, LONG_READERS = ("explore", "simulate", "replay"), ("tlc", "hypothesis")  # of the faults
OF_CHANGES = {"membership", "membership_steps", "membership_on_apply", "snapshots"}

CHECKS: tuple[Check, ...] = (
    of("election", exploring, 1, nodes=3, terms=2),
    of("election", exploring, 1, FULL, nodes=3, terms=2, quorums=TWO_QUORUMS),
    of("election", exploring, 1, FULL, nodes=3, terms=3, ghosts=False),
    of("election", exploring, 1, FULL, nodes=5, terms=1, ghosts=False, small=True),  # one term: one leader
    of("election", proving, 1, strength=ANY),
    of("election", confirming, 0.5),
    of("election", twinning, 3),
    of("election", comparing, 5, FULL, nodes=3, terms=2),
    of("election", comparing, 1, FULL, nodes=2, terms=3),
    of("election", comparing, 5, FULL, nodes=3, terms=2, quorums=TWO_QUORUMS),
    *larger("election", 2, DEEP),
    of("election", walking, 2, QUICK, nodes=5, terms=6, runs=100),
    of("election", walking, 6, FULL, nodes=5, terms=6, runs=1000),
    of("election", replaying, 1, recording=ETCD),
    of("election", replaying, 1, recording=RAWNODE),
    of("vote_count", exploring, 1, nodes=3, terms=2),
    of("vote_count", refining, 1, nodes=3, terms=2),
    of("vote_count", twinning, 2),
    of("vote_count", comparing, 5, FULL, nodes=3, terms=2),
    of("pre_vote", exploring, 2, nodes=3, terms=1, ghosts=False, small=True),
    of("pre_vote", proving, 2, strength=ANY),
    of("pre_vote", confirming, 1),
    of("pre_vote", refining, 1, nodes=2, terms=1, quorums=N2_DECIDES),
    of("pre_vote", twinning, 5),
    *larger("pre_vote", 30, FULL),
    of("pre_vote", replaying, 1, recording=PRE_VOTES),
    of("replication", exploring, 2, nodes=2, terms=2, sizes=TWO_ENTRIES, small=True),
    of("replication", exploring, 1, FULL, nodes=3, terms=2, sizes=ONE_ENTRY, ghosts=False, small=True),
    of("replication", proving, 5, strength=LOGS),
    of("replication", refining, 1, nodes=2, terms=2, quorums=N2_DECIDES),
    of("replication", twinning, 6),
    of("replication", comparing, 5, nodes=2, terms=2, sizes=TWO_ENTRIES),
    *larger("replication", 8, DEEP),
    *(of("replication", replaying, 1, recording=recording) for recording in (ETCD, RAWNODE, PRE_VOTES)),
    of("membership", exploring, 2, QUICK, terms=2, nodes=2, sizes=ONE_ENTRY, quorums=ONE_LEAVES, **TOGETHER),
    *(
        of(
            "membership",
            exploring,
            2,
            FULL,
            terms=2,
            nodes=2,
            sizes=TWO_ENTRIES,
            quorums=configs,
            **TOGETHER,
        )
        for configs in (ONE_LEAVES, ONE_JOINS)
    ),
    of("membership", counted, 1),
    of("membership", proving, 10, strength=LOGS),
    of("membership", twinning, 8),
    *larger("membership", 8, DEEP),
    of("membership_steps", exploring, 5, QUICK, quorums=ONE_FEWER, sizes=TO_THREE, small=True),
    of("membership_steps", exploring, 2, FULL, sizes=TO_FOUR, quorums=ONE_FEWER),
    of("membership_steps", exploring, 3, sizes=TO_FOUR, quorums=JOINT, small=True),
    of("membership_on_apply", exploring, 7, DEEP, sizes=TO_THREE, quorums=ONE_FEWER),
    of("membership_on_apply", exploring, 0.5, nodes=2, terms=2, quorums="n1 n2, n1", small=True),
    of("logless", exploring, 1, nodes=2, terms=2, quorums="n1 n2, n1", small=True),
    of("logless", proving, 11, DEEP, strength=ANY),
    of("snapshots", exploring, 2, ALWAYS, terms=2, nodes=2, sizes=ONE_ENTRY, quorums=ONE_LEAVES, **TOGETHER),
    of("snapshots", exploring, 6, DEEP, terms=2, nodes=2, sizes=TWO_ENTRIES, quorums=ONE_JOINS, **TOGETHER),
    of("snapshots", proving, 13, strength=LOGS),
    of("snapshots", twinning, 15, DEEP),
    *larger("snapshots", 20, DEEP),
    of("lease", exploring, 2, nodes=2, terms=2, quorums=N2_DECIDES),
    of("lease", exploring, 12, FULL, nodes=3, terms=2, ghosts=False, sizes=EXACT),
    of("lease", exploring, 4, FULL, nodes=2, terms=2, quorums=N2_DECIDES, sizes={"Round": 2, **EXACT}),
    of("lease", proving, 3, strength=CLOCKS),
    of("lease", confirming, 4, DEEP),
    of("lease", refining, 2, nodes=2, terms=2, quorums=N2_DECIDES, times=EXACT),
    of("lease", twinning, 8),
    of("lease", comparing, 1, FULL, nodes=2, terms=1),
    of("lease", comparing, 17, FULL, nodes=2, terms=2, quorums=N2_DECIDES, sizes=EXACT),
    of("lease_read", proving, 5, strength=LOGS),
    *(
        of(f"flawed/{name}", breaking, 1, nodes=2, terms=2, sizes=EXACT, quorums=N2_DECIDES, breaks=breaks)
        for name, breaks in (
            ("lease_from_receipt", "no_newer_leader"),
            ("lease_forgotten_promise", "no_newer_leader"),
            ("lease_taken_again", "no_newer_leader"),
        )
    ),
    of(
        "flawed/lease_without_fencing",
        breaking,
        1,
        nodes=2,
        terms=2,
        sizes={"Resource": 1, **EXACT},
        quorums=N2_DECIDES,
        breaks=STALE,
    ),
    of("fencing", exploring, 1, sizes={"Resource": 1, "Client": 3, "Token": 3}),
    of("fencing", exploring, 1, FULL, sizes={"Resource": 2, "Client": 2, "Token": 2}),
    of("fencing", proving, 1, strength=CLIENTS),
    of("fencing", confirming, 0.5),
    of("fencing", twinning, 2),
    of("fencing", comparing, 1, FULL, sizes={"Resource": 1, "Client": 2, "Token": 3}),
    of("fencing", comparing, 1, FULL, sizes={"Resource": 2, "Client": 2, "Token": 1}),
    of("flawed/fencing_token_expires", breaking, 1, sizes=SHARED, breaks=STALE),
    of("flawed/fencing_tokens_as_strings", breaking, 1, sizes=SHARED | {"Token": 10}, breaks=STALE),
    of("flawed/incident", breaking, 1, nodes=2, breaks=STALE),
    of("flawed/fencing_check_then_act", breaking, 1, sizes=SHARED, breaks=STALE),
    of("system", exploring, 2, QUICK, nodes=3, terms=2),
    of("system", exploring, 3, FULL, nodes=5, terms=2),
    of("system", switched_off, 2, nodes=3, terms=2),
    of("system", twinning, 12),
    of("system", comparing, 1, FULL, nodes=2, terms=2),
    of("system", comparing, 3, FULL, nodes=3, terms=2),
    of("flawed/bully", exploring, 1, nodes=2, true_at=ALL_ASSUMED),  # right where all is as it assumes
    of("flawed/bully", switched_off, 1, nodes=1),
    of("flawed/bully", twinning, 4),
    of("flawed/bully", comparing, 4, FULL, nodes=2),
    reference(conforming, 5, QUICK, nodes=3, examples=200),
    reference(conforming, 5, FULL, nodes=3, examples=300),
    reference(drawing, 5, QUICK, nodes=3, examples=30),
    reference(drawing, 17, FULL, nodes=3, examples=300),
    *(
        reference(
            handling,
            SECONDS_OF_HANDLER.get(handler, 1),
            ALWAYS if handler in SOON else FULL,
            handler=handler,
            scope=ANY_CLUSTER,
        )
        for handler in HANDLERS
    ),
    *(
        reference(handling, SECONDS_WITH_CHANGES.get(handler, 2), DEEP, handler=handler, scope=CHANGING)
        for handler in WITH_CHANGES
    ),
    *(
        Check(
            f"fault {id}",
            reader,
            partial(judging, id, reader),
            SLOW_FAULTS.get((id, reader), SECONDS_OF_FAULT.get(reader, 0.2)),
            when_judged(fault, reader),
        )
        for id, fault in FAULTS.items()
        for reader in READERS
    ),
)


def chosen(*, quick: bool = False, deep: bool = False, only: Iterable[str] = ()) -> list[Check]:
    """The checks to do. `quick`: smaller bounds and fewer runs, and not every reader on the faults.

    `deep`: all others and what takes longest. `only`: of these models and faults alone, by their names;
    UsageError where there is no such check.
    """
    when = {ALWAYS, QUICK} if quick else {ALWAYS, FULL, DEEP} if deep else {ALWAYS, FULL}
    checks = [check for check in CHECKS if check.when in when]
    names = {check.model.removeprefix("fault ") for check in checks}
    for name in only:
        if name not in names:
            models = ", ".join(name for name in by_model(checks) if not name.startswith("fault "))
            raise UsageError(f"check has no {name!r}: give the id of a fault, or one of {models}")
    return [check for check in checks if not only or check.model.removeprefix("fault ") in only]


def left_to_deep(only: Iterable[str] = ()) -> list[str]:
    """What --deep adds to the checks `only` of these, by model and reader."""
    left = [check for check in chosen(deep=True, only=only) if check.when == DEEP]
    return [f"faults {check.reader}" if check.model.startswith("fault ") else check.title for check in left]


def done(
    checks: Sequence[Check],
    *,
    workers: int | None = None,
    cached: bool = False,
    tick: Callable[[Sequence[str], float], None] = lambda running, left: None,
) -> Generator[tuple[Check, list[CheckRow]], None, None]:
    """Each check with its rows, as soon as it is done. A check that has none, or died, is inconclusive.

    `cached`: what an earlier run has found of the same texts is taken from it. `tick` is handed the titles
    of what runs, and about how many seconds are left.
    """
    known = {check: found for check in checks if cached and (found := check.known())}
    yield from known.items()
    jobs = sorted((check for check in checks if check not in known), key=lambda check: -check.seconds)
    left = Left([check.seconds for check in jobs], workers or cores())

    def looked(running: Sequence[Running]) -> None:
        tick([jobs[job.number].title for job in running], left.after(running))

    with closing(over_cores(jobs, workers=workers, preload=[__name__], tick=looked)) as outcomes:
        for outcome in outcomes:
            check, rows = jobs[outcome.number], outcome.result
            left.ended(outcome.number, outcome.seconds)
            if isinstance(rows, Died):
                yield check, [check.unknown(rows.cause)]
                continue
            if cached:
                check.keep(rows)
            yield check, rows or [check.unknown("it came to no result")]


class Left:
    """How long the rest takes: its estimates, times what the estimates were worth so far."""

    def __init__(self, seconds: Sequence[float], workers: int) -> None:
        self.waiting = dict(enumerate(seconds))
        self.workers = workers
        self.estimated = self.took = 0.0

    def ended(self, number: int, seconds: float) -> None:
        self.estimated += self.waiting.pop(number)
        self.took += seconds

    def after(self, running: Sequence[Running]) -> float:
        """Seconds from now on, with these jobs under way."""
        pace = self.took / self.estimated if self.estimated else 1.0
        rest = {number: pace * seconds for number, seconds in self.waiting.items()}
        for job in running:
            rest[job.number] = max(0.0, rest[job.number] - job.seconds)
        longest = max((rest[job.number] for job in running), default=0.0)
        return max(longest, sum(rest.values()) / self.workers)


def in_order(checks: Sequence[Check], rows: dict[Check, list[CheckRow]]) -> list[CheckRow]:
    """All rows in the order of the list, whatever order they came in."""
    return [row for check in checks for row in rows.get(check, [])]


def by_model(checks: Iterable[Check]) -> dict[str, list[Check]]:
    """What belongs together: one line of the table."""
    groups: dict[str, list[Check]] = defaultdict(list)
    for check in checks:
        groups[check.model].append(check)
    return dict(groups)
