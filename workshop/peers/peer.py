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
from dataclasses import dataclass
from pathlib import Path

from oneleader.conformance.shim import Shim
from oneleader.conformance.trial import MakeAdapter
from oneleader.errors import MissingTool

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tests/peers"
BUILT = ROOT / ".peers"
INSTALLED = BUILT / "python"  # apart from what oneleader itself needs
A_COMMENT = re.compile(r"^\s*(//|#|\*|/\*|\"\"\")")


@dataclass(frozen=True)
class Peer:
    name: str
    library: str
    version: str
    language: str
    adapter: str  # its file, below tests/peers
    setting: str = ""  # in what setting it is driven, if it has several

    @property
    def lines(self) -> int:
        """Of the adapter: those with a word on them, comments left out."""
        text = (SOURCES / self.adapter).read_text("utf-8")
        return sum(bool(re.search(r"\w", line)) and not A_COMMENT.match(line) for line in text.splitlines())

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
    """`build` is run in `folder`, below tests/peers; `{built}` is the folder for what is built."""

    tools: Sequence[tuple[str, str]] = ()  # programs, and what to install for each
    folder: str = ""
    build: Sequence[str] = ()
    command: Sequence[str] = ()

    def make(self) -> None:
        for tool, package in self.tools:
            if shutil.which(tool) is None:
                raise MissingTool(f"{self.name} is built with {tool}: install {package}")
        run(self.name, self.filled(self.build), SOURCES / self.folder)

    @contextmanager
    def cluster(self) -> Iterator[MakeAdapter]:
        with Shim(self.filled(self.command)) as shim:
            yield shim.adapter

    def filled(self, command: Sequence[str]) -> list[str]:
        return [word.replace("{built}", str(BUILT)) for word in command]


@dataclass(frozen=True)
class PythonPeer(Peer):
    """In this process: a class of the module beside the others in tests/peers/python."""

    kind: str = ""
    packages: Sequence[str] = ()

    def make(self) -> None:
        lacks = [name for name in self.packages if not self._is_installed(name)]
        if lacks:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
            run(self.name, [*pip, "--target", str(INSTALLED), *lacks], SOURCES / "python")

    def _is_installed(self, requirement: str) -> bool:
        return any(INSTALLED.glob(f"{requirement.replace('-', '_').replace('==', '-')}.dist-info"))

    @contextmanager
    def cluster(self) -> Iterator[MakeAdapter]:
        paths = [str(INSTALLED), str(SOURCES / "python")]
        sys.path[:0] = paths
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(Path(self.adapter).stem)
        finally:
            for path in paths:
                sys.path.remove(path)
        yield getattr(module, self.kind)


def run(name: str, command: Sequence[str], folder: Path) -> None:
    """A step of building; packages of old times want an old setuptools."""
    BUILT.mkdir(exist_ok=True)
    old = str(SOURCES / "python/constraints.txt")
    environment = os.environ | {"PIP_CONSTRAINT": old, "PIP_BUILD_CONSTRAINT": old}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
        raise MissingTool(f"{name} cannot be built by `{' '.join(command)}`:\n{last}")


# --- Which there are --------------------------------------------------------------------------------------


def go(name: str, library: str, version: str) -> ShimPeer:
    return ShimPeer(
        name,
        library,
        version,
        "Go",
        f"go/{name}/main.go",
        tools=[("go", "Go 1.26 or newer")],
        folder="go",
        build=["go", "build", "-o", f"{{built}}/{name}", f"./{name}"],
        command=[f"{{built}}/{name}"],
    )


def python(name: str, version: str, kind: str, *more: str, setting: str = "") -> PythonPeer:
    return PythonPeer(
        f"{name}, {setting}" if setting else name,
        name,
        version,
        "Python",
        f"python/{name.lower()}_adapter.py",
        setting,
        kind=kind,
        packages=[f"{name.lower()}=={version}", *more],
    )


ALL = (
    go("etcd", "go.etcd.io/raft/v3", "3.7.0"),
    python("PySyncObj", "0.3.17", "PySyncObjAdapter", setting="with a journal"),
    python("PySyncObj", "0.3.17", "WithoutAJournal", setting="as it comes"),
    python("raftos", "0.2.6", "RaftosAdapter", "msgpack-python==0.4.8"),
)
PEERS = {peer.name: peer for peer in ALL}
