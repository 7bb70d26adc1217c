"""The peers: which library, in which version, behind which adapter, and what it is built with.

A peer is driven through the public door and nothing else: a shim in its own language over the child-process
protocol, or, in Python, a subclass of `Adapter`. What is built is kept in .peers/ of the checkout.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from oneleader.conformance.shim import Shim
from oneleader.conformance.trial import MakeAdapter
from oneleader.errors import MissingTool

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tests/peers"
BUILT = ROOT / ".peers"
A_COMMENT = re.compile(r"^\s*(//|#|--|\*|/\*)")


@dataclass(frozen=True)
class Peer:
    """`build` are commands, run in `folder`; `{built}` in a command is the folder for what is built."""

    name: str
    library: str
    version: str
    language: str
    adapter: str  # its file, below tests/peers
    tools: dict[str, str]  # each program that it needs: what to install on Debian
    folder: str
    build: Sequence[Sequence[str]]
    command: Sequence[str]

    @property
    def lines(self) -> int:
        """Of the adapter: those with a word on them, comments left out."""
        text = (SOURCES / self.adapter).read_text("utf-8")
        return sum(bool(re.search(r"\w", line)) and not A_COMMENT.match(line) for line in text.splitlines())

    @contextmanager
    def cluster(self) -> Iterator[MakeAdapter]:
        """The peer, built, as what `conform` takes."""
        self.make()
        with Shim(self.filled(self.command)) as shim:
            yield shim.adapter

    def make(self) -> None:
        for tool, package in self.tools.items():
            if shutil.which(tool) is None:
                raise MissingTool(f"{self.name} is built with {tool}: install {package}")
        BUILT.mkdir(exist_ok=True)
        for command in self.build:
            done = subprocess.run(
                self.filled(command), cwd=SOURCES / self.folder, capture_output=True, text=True
            )
            if done.returncode:
                last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
                raise MissingTool(f"{self.name} cannot be built: {' '.join(command)}\n{last}")

    def filled(self, command: Sequence[str]) -> list[str]:
        return [word.replace("{built}", str(BUILT)) for word in command]


def go(name: str, library: str, version: str, package: str) -> Peer:
    build = ["go", "build", "-o", f"{{built}}/{package}", f"./{package}"]
    adapter = f"go/{package}/main.go"
    return Peer(
        name, library, version, "Go", adapter, {"go": "golang-go"}, "go", [build], [f"{{built}}/{package}"]
    )


PEERS = {peer.name: peer for peer in (go("etcd", "go.etcd.io/raft/v3", "3.7.0", "etcd"),)}
