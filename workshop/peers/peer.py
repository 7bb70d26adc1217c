"""The peers: which library, in which version, behind which adapter, and what it is built with.

A peer is driven through the public door and nothing else: a shim in its own language over the child-process
protocol, or, in Python, a subclass of `Adapter`. What is built is kept in .peers/ of the checkout.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from oneleader.conformance.scaffold import TEMPLATES
from oneleader.conformance.shim import Shim
from oneleader.conformance.trial import MakeAdapter
from oneleader.errors import MissingTool
from workshop.peers.go_runtime import overlay

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tests/peers"
BUILT = ROOT / ".peers"
OVERLAY = ("-overlay", "{built}/go-runtime/overlay.json")  # one runtime for all peers in Go: it is built once
SCAFFOLDS = Path(str(TEMPLATES))
GO_LINES, C_LINES = SCAFFOLDS / "go/lines.go.in", SCAFFOLDS / "c/lines.h.in"
RUST_LINES, JAVA_LINES = SCAFFOLDS / "rust/src/lines.rs.in", SCAFFOLDS / "java/Lines.java.in"
THREADS = SOURCES / "go/threads/threads.go"
LINES_BESIDE = {
    SOURCES / "go/etcd/lines.go": GO_LINES,
    SOURCES / "go/hashicorp/lines_test.go": GO_LINES,  # as the shim is a test
    SOURCES / "go-old/etcd/lines.go": GO_LINES,
}
A_COMMENT = re.compile(r"^\s*(//|#|\*|/\*|\"\"\")")


def words(path: Path) -> int:
    """How many lines of a file have a word on them, comments left out."""
    lines = path.read_text("utf-8").splitlines()
    return sum(bool(re.search(r"\w", line)) and not A_COMMENT.match(line) for line in lines)


@dataclass(frozen=True)
class Peer:
    name: str
    library: str
    version: str
    language: str
    adapter: str  # its file, below tests/peers
    remark: str = ""
    asks_liveness: bool = True

    @property
    def lines(self) -> int:
        """Of the adapter."""
        return words(SOURCES / self.adapter)

    def make(self) -> None:
        """Build or install it; MissingTool says what to install first."""
        raise NotImplementedError

    @contextmanager
    def cluster(self) -> Iterator[MakeAdapter]:
        """What `conform` takes, once it is made."""
        raise NotImplementedError
        yield


@dataclass(frozen=True)
class ShimPeer(Peer):
    """`build` is run in `folder`, below tests/peers; `{built}` is the folder for what is built, `{java}` the
    protocol's lines of the scaffold."""

    tools: Sequence[tuple[str, str]] = ()  # programs, and what to install for each
    folder: str = ""
    build: Sequence[str] = ()
    command: Sequence[str] = ()
    header: str = ""  # of a library in C, and what to install for it
    package: str = ""

    def make(self) -> None:
        for tool, package in self.tools:
            if shutil.which(tool) is None:
                raise MissingTool(f"{self.name} is built with {tool}: install {package}")
        if self.header and not has_header(self.header):
            raise MissingTool(f"{self.name} is built with {self.header}: install {self.package}")
        if self.language == "Go":
            overlay(BUILT / "go-runtime", LINES_BESIDE)
        run(self.name, self.filled(self.build), SOURCES / self.folder)

    @contextmanager
    def cluster(self) -> Iterator[MakeAdapter]:
        with Shim(self.filled(self.command), timeout=60.0) as shim:  # on a busy machine, too
            yield shim.adapter

    def filled(self, command: Sequence[str]) -> list[str]:
        return [word.replace("{built}", str(BUILT)).replace("{java}", str(JAVA_LINES)) for word in command]


@dataclass(frozen=True)
class PythonPeer(Peer):
    """In this process: a class of the module beside the others in tests/peers/python."""

    kind: str = ""
    packages: Sequence[str] = ()

    def make(self) -> None:
        lacks = [name for name in self.packages if not self._is_installed(name)]
        if lacks:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
            run(self.name, [*pip, "--target", str(self.installed), *lacks], SOURCES / "python")

    @property
    def installed(self) -> Path:
        """Apart from what oneleader itself needs, and from other versions."""
        return BUILT / f"{self.library}-{self.version}"

    def _is_installed(self, requirement: str) -> bool:
        return any(self.installed.glob(f"{requirement.replace('-', '_').replace('==', '-')}.dist-info"))

    @contextmanager
    def cluster(self) -> Iterator[MakeAdapter]:
        """Its modules are forgotten afterwards, so that another version can be imported."""
        paths, before = [str(self.installed), str(SOURCES / "python")], set(sys.modules)
        sys.path[:0] = paths
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield getattr(importlib.import_module(Path(self.adapter).stem), self.kind)
        finally:
            for path in paths:
                sys.path.remove(path)
            for name in set(sys.modules) - before:
                if str(getattr(sys.modules[name], "__file__", "")).startswith(tuple(paths)):
                    del sys.modules[name]


def has_header(header: str) -> bool:
    """Whether the C compiler finds it."""
    asked = subprocess.run(["cc", "-E", "-include", header, "-"], input=b"", capture_output=True)
    return asked.returncode == 0


def run(name: str, command: Sequence[str], folder: Path) -> None:
    """A step of building; packages of old times want an old setuptools."""
    BUILT.mkdir(exist_ok=True)
    old = str(SOURCES / "python/constraints.txt")
    environment = os.environ | {"PIP_CONSTRAINT": old, "PIP_BUILD_CONSTRAINT": old}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
        raise MissingTool(f"{name} cannot be built by `{' '.join(command)}`:\n{last}")


WITH_JOURNAL = """With a journal and dumps on disk. A run of 40 walks found that a crash between a dump and
the cutting of the journal loses acknowledged entries: `tests/peers/findings/pysyncobj_loses_entries.py`. And
a follower that is sent the first piece of a snapshot takes the leader's commit index for its own, though its
log is replaced by the last piece alone: it commits, and applies, entries that may be of nobody else
(`tests/peers/findings/pysyncobj_commits_a_piece.py`). All that is found below is of the latter: the model's
step and State Machine Safety in the step in which the first piece arrives, and with the last one the log is
shorter than what was committed so, and the commit index falls."""
ETCD = """With `PreVote`, `CheckQuorum` and `StepDownOnRemoval`: without the last, a leader that has removed
itself goes on, and drops what is proposed to it. A pre-candidate counts the answer to an earlier request for
a pre-vote, which harms nobody, for pre-votes bind nobody; it is declared (`an old pre-vote counts`). Members
change one at a time or by way of a joint configuration, when that is applied, which is declared: Figure 3
judges them, and not the model `membership`, in which they change when that is appended.

What is found is of liveness, in one walk of a hundred, and follows from that. All but one are removed. The
one that stays has stored the last entry of the change, and not heard that it is committed, so it still counts
with the others and asks for their votes. Those have an entry more and give it none, and no longer stand
themselves. So all can hear each other, and nobody is ever elected. The documentation of the library warns of
it where there are two members (`doc.go`)."""
ETCD_LATE = """The same, under an application that is late: it takes one committed entry a step, and the
others wait at the library (`MaxCommittedSizePerReady`). It is the healthy one beside the old one below."""
ETCD_OLD = """Of October 2019, under an application that is late, as above. Are faults found that were
mended since? Two are, unaided. A server that knows a change of members to be committed, and has not applied
it, stands by the members of before, and leads without what the others have committed since (etcd's issue
12133, mended by 12134). And a leader proposes to leave a joint configuration twice, and every server that
applies the second proposal panics (issue 12582). A leader that has removed itself leads on, as
`StepDownOnRemoval` came later: it drops what is proposed to it, so that nobody can be added again; and where
one voter is left it answers reads by itself, for it asks how many voters there are, and not who. Today's
version passes the same runs."""
CHANGING = """With `dynamicMembershipChange`. What is found below was read run by run, and comes of six
faults; none was a false alarm.

A change does not wait until the one before is committed: the code that asks for it compares with an index
that nothing sets. A leader that is cut off removes one after the other and commits alone
(`tests/peers/findings/pysyncobj_changes_twice.py`): a change upon one that is not committed, two leaders of a
term, a leader that lacks what is committed, and, once the others overwrite it, a commit index that falls. A
change that is committed is applied once more, and undoes one that came after it
(`tests/peers/findings/pysyncobj_undoes_changes.py`): the members do not follow from the log. A server hangs
up on whom it removes, before anybody has agreed to that; if the others elect that one, neither hears the
other again (`tests/peers/findings/pysyncobj_hangs_up.py`): members that do not catch up, and followers that
do not learn what is committed. A dump has changes that come after its last entry, committed or not
(`tests/peers/findings/pysyncobj_dumps_ahead.py`), which runs of an earlier kit came upon: the members of one
who loads it. And the two of compaction, as above: the first piece of a snapshot commits what the follower has
(State Machine Safety, and a follower without the leader's prefix by two models), and a crash after a dump
loses entries (promises survive a restart). A server never takes itself to be removed."""
IN_MEMORY = """As it comes: all is kept in memory, so a server that restarts is a new one with an old name
(`tests/peers/findings/pysyncobj_forgets.py`). Of what is found below all that names a term, a vote, a role,
the length of a log or a promise is that one fault, by what of it is seen first; what a quorum has lost is
committed differently later on. Only a follower without the leader's prefix is another: the first piece of a
snapshot, as above."""
OLD = """An old version, with a journal on disk: is a fault found that was mended since? It is: a restart
forgets term and vote (its pull request 202). What is found below is of it, and of the piece of a snapshot, as
above."""
RAFTOS = """Its serializer is JSON here: with its own it cannot read its log again
(`tests/peers/findings/raftos_cannot_read_its_log.py`). What is found below comes of six faults. A vote is
forgotten within its term, by the timer of a candidate and by a restart
(`tests/peers/findings/raftos_votes_twice.py`: by Figure 3, by both models and, where it is a candidate's
timer, as a vote in place of none). A vote is kept in a newer term, so that nobody is elected for long
(`tests/peers/findings/raftos_keeps_an_old_vote.py`: a vote of an earlier term, and the leader that is not
elected). A candidate counts answers and not who gave them, which a copy of a datagram makes two of
(`tests/peers/findings/raftos_counts_copies.py`: a leader without a quorum). A late AppendEntries drops
entries that are committed (`tests/peers/findings/raftos_drops_entries.py`: the length of a log). A leader
has one future for all its clients, so the latest is told that its command is done as soon as any is
(`tests/peers/findings/raftos_tells_another_client.py`: what clients are told is committed). An answer of a
newer term lacks a field, and raises a `KeyError`."""

LIBRAFT = """Debian's package. It calls a disk, a network and a clock that one brings (`struct raft_io`): 102
lines more, `tests/peers/c/io.h`. It commits entries of earlier terms by counting (Figure 8 of the paper;
`tests/peers/findings/libraft_commits_old_terms.c`), which was found here unaided and is known upstream: its
issue 220, mended in its pull request 336. And a leader counts the last index of who accepts a heartbeat,
though what is there differs (`tests/peers/findings/libraft_counts_what_differs.c`), the kind of Apache Ratis'
pull request 1519. Where pre-votes are asked for, who refuses one answers with the term that it was asked
for, so whoever has the longer log and an older term never learns of the newer one, and a bare majority elects
nobody (`tests/peers/findings/libraft_never_elects.c`), the kind of etcd's issue 8243. The model `pre_vote`
does not judge it: a candidate whose timer rings begins the next term without asking for pre-votes again. A
snapshot is taken with the next entry that is applied. And who is asked to hand over, and is deposed before it
has, does so when it leads again: a transfer to it succeeds, and it hands over to whom it was asked for two
terms ago."""

KAFKA = """Kafka's Raft is polled and has no thread. The log, the store of votes, the queue, the channel and
the clock are those of its own tests (`MockLog` ... of its test jars), which keep all in memory; chance is the
adapter's. Followers fetch, and one whose request was lost asks again by its own clock, which the questions
after calm do not move: liveness is not asked. Nothing is compacted. A candidate that restarts is one again,
and who led a term passes to the next before it asks for pre-votes; both are declared, and harm nobody. So is
that a leader leads on that is asked for entries in a newer term: it refuses (`UNKNOWN_LEADER_EPOCH`). Who is
in a newer term counts no more for it, so it commits nothing by them, and steps down once a majority no longer
asks."""

# --- Which there are --------------------------------------------------------------------------------------


def go(name: str, library: str, version: str, remark: str = "") -> ShimPeer:
    return ShimPeer(
        name,
        library,
        version,
        "Go",
        f"go/{name}/main.go",
        remark,
        tools=[("go", "Go 1.26 or newer")],
        folder="go",
        build=["go", "build", *OVERLAY, "-o", f"{{built}}/{name}", f"./{name}"],
        command=[f"{{built}}/{name}"],
    )


ETCD_OF_2019 = ShimPeer(
    "etcd 3.4.3, late to apply",
    "go.etcd.io/etcd/raft",
    "3.4.3",
    "Go",
    "go-old/etcd/main.go",
    ETCD_OLD,
    tools=[("go", "Go 1.26 or newer")],
    folder="go-old",
    build=["go", "build", *OVERLAY, "-o", "{built}/etcd-3.4.3", "./etcd"],
    command=["{built}/etcd-3.4.3"],
)


HASHICORP = ShimPeer(
    "hashicorp",
    "github.com/hashicorp/raft",
    "1.8.0",
    "Go",
    "go/hashicorp/shim_test.go",
    """It has threads, timers and calls of its own. Each server lives in a bubble of Go's `testing/synctest`,
in which time is virtual, on one processor, and with a runtime that draws nothing
(`workshop/peers/go_runtime.py`): its goroutines take their turns the same way twice. With Go's own the steps
of 13 seeds of 40 differed, for it draws which of several timers that ring at once is first, and which
ready case a `select` takes.

Members change one at a time. The library commits the change from one server to two by the one alone, before
the other has heard of it, which is safe and declared (`the members before a change commit it`). A change that
would have to wait is refused, so that no step makes two. The goroutine that replicates for a leader may
outlive its leadership, and send what the log has since in the name of the old term: found here, harmless as
far as we see, and declared (`a former leader sends what it has since`). So are two that a million
steps came to: who is asked to take over stays a candidate when the leader of its term sends it entries, and
stores them (Figure 2 has it follow); and who has been removed stands, without its own vote, when asked to.
A leader leads on though a heartbeat is answered in a newer term (its issue 666), which is declared as well;
the library alone shows it: `tests/peers/findings/hashicorp_leads_on.go`.

What is found below is of liveness, and seen in its text: `requestVote` and `requestPreVote` refuse a
candidate that the voter's own latest configuration lacks, which section 4.1 of the dissertation warns of.
Two leaders of different terms have each appended a change, neither of them committed. The one server's
configuration lacks the other, whose vote it needs; the third has the longer log, and is asked by the one
with the shorter. So all can hear each other, and nobody is ever elected:
`tests/peers/findings/hashicorp_refuses_strangers.go`.

Compaction is left out here. With it (`TrailingLogs` 0) the walks of an earlier adapter found within seconds
that a follower which was sent a snapshot, and has entries after it, does not know the entry at which its log
was cut. It refuses what follows, and is sent the same snapshot for ever (liveness):
`tests/peers/findings/hashicorp_forgets_its_snapshot.go`.""",
    tools=[("go", "Go 1.26 or newer")],
    folder="go",
    build=["go", "test", "-vet=off", *OVERLAY, "-c", "-o", "{built}/hashicorp", "./hashicorp"],
    command=[
        "env",
        "GOMAXPROCS=1",
        "GODEBUG=asyncpreemptoff=1,randseednop=0",
        "{built}/hashicorp",
        "-test.run=TestShim",
    ],
)


RUST = ShimPeer(
    "raft-rs",
    "raft",
    "0.7.0",
    "Rust",
    "rust/src/main.rs",
    "Its `MemStorage` keeps no data in a snapshot, so nothing is compacted.",
    tools=[("cargo", "Rust and Cargo 1.80 or newer")],
    folder="rust",
    build=["cargo", "build", "--quiet", "--target-dir", "{built}/rust"],
    command=["{built}/rust/debug/peers"],
)


C = ShimPeer(
    "libraft",
    "libraft-dev",
    "0.15.0",
    "C",
    "c/shim.c",
    LIBRAFT,
    tools=[("cc", "gcc")],
    header="raft.h",
    package="libraft-dev (Debian 12)",
    folder="c",
    build=["cc", "-O2", "-D_GNU_SOURCE", f"-I{C_LINES.parent}", "-o", "{built}/libraft", "shim.c", "-lraft"],
    command=["{built}/libraft"],
)


JVM = ShimPeer(
    "kafka-raft",
    "org.apache.kafka:kafka-raft",
    "4.1.0",
    "Java",
    "java/src/org/apache/kafka/raft/Shim.java",
    KAFKA,
    asks_liveness=False,
    tools=[("mvn", "Maven"), ("javac", "a JDK, 17 or newer")],
    folder="java",
    build=[
        "sh",
        "-c",
        'mvn --quiet --batch-mode dependency:copy-dependencies "-DoutputDirectory={built}/kafka/lib" && '
        "(echo 'package org.apache.kafka.raft;'; cat {java}) > {built}/kafka/Lines.java && "
        'javac -nowarn -cp "{built}/kafka/lib/*" -d "{built}/kafka/classes" {built}/kafka/Lines.java '
        "src/org/apache/kafka/raft/*.java",
    ],
    command=[
        "java",
        "-XX:+UseSerialGC",
        "-cp",
        "{built}/kafka/classes:{built}/kafka/lib/*",
        "org.apache.kafka.raft.Shim",
    ],
)


def python(name: str, library: str, version: str, kind: str, *more: str, remark: str = "") -> PythonPeer:
    return PythonPeer(
        name,
        library,
        version,
        "Python",
        f"python/{library.lower()}_adapter.py",
        remark,
        kind=kind,
        packages=[f"{library.lower()}=={version}", *more],
    )


ALL = (
    go("etcd", "go.etcd.io/raft/v3", "3.7.0", ETCD),
    replace(
        go("etcd", "go.etcd.io/raft/v3", "3.7.0", ETCD_LATE),
        name="etcd, late to apply",
        command=["{built}/etcd", "late"],
    ),
    ETCD_OF_2019,
    HASHICORP,
    RUST,
    C,
    JVM,
    python("PySyncObj", "PySyncObj", "0.3.17", "PySyncObjAdapter", remark=WITH_JOURNAL),
    replace(
        python("PySyncObj whose members change", "PySyncObj", "0.3.17", "Changing", remark=CHANGING),
        adapter="python/pysyncobj_members_adapter.py",
    ),
    python("PySyncObj without a journal", "PySyncObj", "0.3.17", "WithoutAJournal", remark=IN_MEMORY),
    python("PySyncObj 0.3.12", "PySyncObj", "0.3.12", "PySyncObjAdapter", remark=OLD),
    python("raftos", "raftos", "0.2.6", "RaftosAdapter", "msgpack-python==0.4.8", remark=RAFTOS),
)
PEERS = {peer.name: peer for peer in ALL}
