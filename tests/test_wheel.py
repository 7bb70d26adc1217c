"""The wheel alone, installed far from the checkout, does all that `oneleader --help` shows.

It is installed into an environment of its own that finds the dependencies where these tests find them. There
an audit hook refuses, and writes down, every file of the checkout that is opened: nothing may be read there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from oneleader.cli.main import EXAMPLES, cli
from oneleader.shipped import recordings
from tests.places import ROOT

pytest.importorskip("hatchling", reason="building the wheel needs hatchling: pip install '.[dev]'")
pytestmark = pytest.mark.slow("a wheel is built and installed, and every command of --help runs from it")

COMMANDS = [line.strip() for line in EXAMPLES.splitlines() if line.strip().startswith("oneleader ")]
SHORTER = {
    "check": "--only vote_count --only vote-twice",
    "faults": "--only vote-twice",
    "cluster": "--seconds 10",
    "node": "--help",  # it asks a cluster that runs
}
HISTORY = """\
{"client": "a", "kind": "write", "key": "x", "value": 1, "called": 0, "returned": 1}
{"client": "b", "kind": "read", "key": "x", "result": 1, "called": 2, "returned": 3}
"""
STATUS = {"oneleader explore election --fault vote-twice": 1}

WATCH = """
import os, sys
_log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _refuse(event, args):
    if event in ("open", "os.listdir", "os.scandir") and isinstance(args[0], (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(args[0]))
        if path.startswith({root!r} + os.sep) and not path.startswith({but!r}):
            os.write(_log, (path + "\\n").encode())
            raise PermissionError(13, "a file of the checkout", path)
sys.addaudithook(_refuse)
"""


@dataclass(frozen=True)
class Installed:
    """An environment with nothing but the wheel and the dependencies."""

    folder: Path
    wheel: Path
    log: Path

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """One command, as it is typed there, with nothing of ours in its environment."""
        program, *arguments = command.split()
        bare = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST", "ONELEADER"))}
        return self._called([str(self.folder / "bin" / program), *arguments], bare | environment)

    def python(self, text: str) -> subprocess.CompletedProcess[str]:
        return self._called([str(self.folder / "bin/python"), "-c", text], dict(os.environ))

    def _called(self, command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        at = self.folder / "somewhere"
        at.mkdir(exist_ok=True)
        (at / "history.jsonl").write_text(HISTORY)  # what examples read and run
        run_shim = f"cd shim && exec {self.folder / 'bin/python'} -m tests.conformance.small_shim"
        (at / "my-shim").write_text(f"#!/bin/sh\n{run_shim}\n")
        (at / "my-shim").chmod(0o755)
        (at / "shim/tests/conformance").mkdir(parents=True, exist_ok=True)
        for file in ("small_shim.py", "small_raft.py", "unsynced.py"):
            shutil.copy(ROOT / "tests" / "conformance" / file, at / "shim/tests/conformance")
        return subprocess.run(command, cwd=at, env=env, capture_output=True, text=True, timeout=600)

    @property
    def read(self) -> list[str]:
        """The files of the checkout that were asked for."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("far")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder, symlinks=True, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    log, dependencies = folder / "read.log", sysconfig.get_path("purelib")
    (packages / "_watch.py").write_text(WATCH.format(log=str(log), root=str(ROOT), but=dependencies))
    (packages / "zz-dependencies.pth").write_text(f"{dependencies}\nimport _watch\n")
    return Installed(folder, wheel, log)


@pytest.fixture
def unread(installed: Installed) -> Iterator[Installed]:
    """Nothing of the checkout is read."""
    yield installed
    assert installed.read == []


def test_the_watch_sees_what_is_read(installed: Installed) -> None:
    """The check of all other tests here can fail, also where the error is caught."""
    for what in ("open", "__import__('os').listdir"):
        asked = ROOT / "README.md" if what == "open" else ROOT / "tests"
        said = installed.python(f"try: {what}({str(asked)!r})\nexcept OSError: print('refused')")
        assert said.stdout == "refused\n", said.stderr
        assert installed.read == [str(asked)]
        installed.log.unlink()


def test_what_ships_is_what_users_use(installed: Installed) -> None:
    names = {name for name in zipfile.ZipFile(installed.wheel).namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in names} == {"oneleader", "oneleader_raft"}
    sources = {"oneleader": "spec/oneleader", "oneleader_raft": "reference/oneleader_raft"}
    expected = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for package, folder in {**sources, "oneleader/tla": "tla"}.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    for kind in (".tla", ".cfg", ".ndjson.gz", "hints/lease.json", ".c", ".j2", "page.js", "py.typed"):
        assert [name for name in names if name.endswith(kind)], kind


@pytest.mark.parametrize("module", ["workshop", "tests", "monitoring"])
def test_what_does_not_ship_is_not_there(unread: Installed, module: str) -> None:
    assert f"No module named '{module}'" in unread.python(f"import {module}").stderr
    assert unread.python("import oneleader, oneleader_raft.node.server").returncode == 0


def test_every_command_has_an_example(unread: Installed) -> None:
    listed = unread.run("oneleader --help").stdout.partition("Commands:\n")[2].partition("\n\n")[0]
    assert {line.split()[0] for line in listed.splitlines()} == {command.split()[1] for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_run_from_the_wheel_alone(unread: Installed, command: str, tools: None) -> None:
    shorter = command.replace("--minutes 5", "--minutes 0.1" if "conform" in command else "--minutes 0.02")
    shorter = shorter.replace("--runs 1000", "--runs 100")
    said = unread.run(f"{shorter} {SHORTER.get(command.split()[1], '')}")
    assert said.returncode == STATUS.get(command, 0), said.stdout[-2000:] + said.stderr[-2000:]
    assert said.stdout
    assert "Traceback" not in said.stderr


def test_shipped_recordings_are_known_by_name(unread: Installed) -> None:
    said = unread.run("oneleader replay no-such-recording")
    assert said.returncode == 2
    assert said.stderr.count("\n") == 1
    assert all(name in said.stderr for name in recordings())


def _examples(command: click.Command) -> Iterator[str]:
    """Each command that the help of this one or of one below it shows."""
    for text in (command.help or "", command.epilog or ""):
        yield from (line.strip() for line in text.splitlines() if line.strip().startswith("oneleader "))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in filter(
            None, (command.get_command(context, name) for name in command.list_commands(context))
        ):
            yield from _examples(below)


def test_no_help_shows_an_example_that_is_not_run() -> None:
    assert {*_examples(cli)} <= {*COMMANDS}
