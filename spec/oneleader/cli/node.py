"""The commands `node`: who is a member of a cluster that runs; a backup, and a new cluster from it."""

from __future__ import annotations

import functools
import http.client
import json
import math
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from oneleader.cli.console import say
from oneleader.errors import UsageError
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, exit_status
from oneleader_raft.node import snapshots
from oneleader_raft.node.backup import restore as restored
from oneleader_raft.node.errors import DamagedError, UnusableError
from oneleader_raft.node.members import NODE_NAME

NO_NODE = "the answer is not a node's, or is cut off"
MOST_HOPS = 10  # from a node that does not lead to one that may
Said = dict[str, Any]


@click.group()
def node() -> None:
    """Manage a running cluster: its members, backup and restore.

    Start a node that is to join before you add it, with --join and the --peers of
    all others. It receives what the cluster has, and only then gets a vote.
    """


@dataclass(frozen=True)
class Asking:
    """Whom to ask, for how long, and what to show."""

    apis: Sequence[str]
    seconds: float
    token: str
    tls: ssl.SSLContext | None

    def __post_init__(self) -> None:
        for api in self.apis:
            _check_address(api)

    def ask(self, method: str, body: Said | None) -> tuple[int, Said]:
        """Of the members: the status, and what was said."""
        status, answer = self.fetch(method, "/v1/members", body)
        said = _parsed(answer)
        wanted, of = ("members", dict) if status == 200 else ("error", str)
        return (status, said) if isinstance(said.get(wanted), of) else (503, {"error": NO_NODE})

    def fetch(self, method: str, path: str, body: Said | None = None) -> tuple[int, bytes]:
        """The status and the answer of the first node that has one, or of the one that it sends us to."""
        silent: list[str] = []
        last = b""
        for api in self.apis:
            at = api.rstrip("/")
            for _ in range(MOST_HOPS):
                answer = self._ask_one(at, method, path, body)
                if answer is None:
                    silent.append(at)
                    break
                status, said, elsewhere = answer
                if status == 503:  # it knows no leader, or is busy; another one may do better
                    last = said
                    break
                if status != 307:
                    return status, said
                at = elsewhere.removesuffix(path)
                if not _is_address(at):
                    last = json.dumps({"error": NO_NODE}).encode()
                    break
        return 503, last or json.dumps({"error": f"no answer from {' '.join(silent) or 'a leader'}"}).encode()

    def _ask_one(self, at: str, method: str, path: str, body: Said | None) -> tuple[int, bytes, str] | None:
        headers = {"X-Deadline-Ms": str(int(self.seconds * 1000))}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{at}{path}", data, headers, method=method)
        opener = urllib.request.build_opener(_StayHere, urllib.request.HTTPSHandler(context=self.tls))
        try:
            with opener.open(request, timeout=self.seconds + 1) as answer:
                return answer.status, answer.read(), ""
        except urllib.error.HTTPError as error:
            return _refused(error)
        except (OSError, http.client.HTTPException):
            return None


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *of: object) -> None:
        """What is posted is not posted elsewhere by itself."""


def _refused(error: urllib.error.HTTPError) -> tuple[int, bytes, str] | None:
    """What a node says; nothing, where something else answered."""
    body = error.read()
    is_of_a_node = isinstance(_parsed(body).get("error"), str)
    return (error.code, body, error.headers.get("Location", "")) if is_of_a_node else None


def _parsed(answer: bytes) -> Said:
    """Nothing, if it is no JSON object."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_address(api: str) -> bool:
    try:
        at = urllib.parse.urlsplit(api)
        at.netloc.encode("idna")
        return (
            at.scheme in ("http", "https")
            and bool(at.hostname)
            and at.port != 0
            and not re.search(r"\s", api)
        )
    except ValueError:  # a port that is none, or a host that nobody has
        return False


def _check_address(api: str) -> None:
    if not _is_address(api):
        raise UsageError(f"{api!r} is not of the form http://HOST:PORT")


def _token(file: IO[bytes] | None) -> str:
    """What a header can carry."""
    said = file.read().strip() if file else b""
    if not re.fullmatch(rb"[ -~]*", said):
        raise UsageError("--token-file holds no token: it has characters that no header carries")
    return said.decode()


def asks(command: Callable[..., int]) -> Callable[..., int]:
    """The options of a command that asks a cluster."""

    @click.option(
        "--api", "apis", multiple=True, required=True, help="http://HOST:PORT of a node (may be repeated)."
    )
    @click.option(
        "--token-file", type=click.File("rb"), help="A file with the token that the cluster asks for."
    )
    @click.option(
        "--ca",
        type=click.Path(exists=True, dir_okay=False),
        help="The authority that signs its certificates, PEM.",
    )
    @click.option(
        "--seconds", type=click.FloatRange(0.1, 60), default=30.0, help="How long to wait.  [default: 30]"
    )
    @functools.wraps(command)
    def with_options(
        *words: str, apis: Sequence[str], token_file: Any, ca: str | None, seconds: float, **more: str
    ) -> int:
        if math.isnan(seconds):
            raise UsageError("--seconds is a number from 0.1 to 60")
        token = _token(token_file)
        try:
            tls = ssl.create_default_context(cafile=ca) if ca else None
        except ssl.SSLError as error:
            raise UsageError(f"{ca} holds no certificates: {error.reason or error}") from None
        return command(Asking(apis, seconds, token, tls), *words, **more)

    return with_options


@node.command("list")
@asks
def members(cluster: Asking) -> int:
    """Show the members and where they reach each other."""
    return _show(*cluster.ask("GET", None))


@node.command()
@click.argument("who", metavar="NAME=HOST:PORT")
@asks
def add(cluster: Asking, who: str) -> int:
    """Add a node that was started with --join."""
    return _change(cluster, join=[who])


@node.command()
@click.argument("name")
@asks
def remove(cluster: Asking, name: str) -> int:
    """Remove a node; stop it afterwards."""
    return _change(cluster, leave=[name])


@node.command()
@click.argument("name")
@click.argument("who", metavar="NAME=HOST:PORT")
@asks
def replace(cluster: Asking, name: str, who: str) -> int:
    """Replace one node by another, in one change.

    Start the new node with --join first."""
    return _change(cluster, join=[who], leave=[name])


@node.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@asks
def backup(cluster: Asking, file: Path) -> int:
    """Write all that the cluster holds to FILE."""
    status, said = cluster.fetch("GET", "/v1/backup")
    if status != 200:
        return _show(status, _parsed(said))
    part = file.with_name(f"{file.name}.part")
    try:
        part.write_bytes(said)
        index, state = snapshots.read_any(part)
        part.replace(file)
    except DamagedError:
        return _show(503, {"error": NO_NODE})
    finally:
        part.unlink(missing_ok=True)
    say(f"{file}: {snapshots.size(state):,} items, as of entry {index:,}")
    return exit_status([HOLDS])


@node.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--id", "name", required=True, help="The name of the new cluster's first node.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="Its folder.")
def restore(file: Path, name: str, data: Path) -> int:
    """Make the first node of a new cluster from a backup.

    It is the only member; others are started with --join, and added.
    """
    if not NODE_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name: up to 64 letters, digits, '.', '_' and '-'")
    try:
        items = restored(file, data, name)
    except (DamagedError, UnusableError) as error:
        raise UsageError(str(error)) from None
    say(f"{data}: {name} holds {items:,} items; start it with --peers {name}=HOST:PORT, then add others")
    return exit_status([HOLDS])


def _change(cluster: Asking, join: Sequence[str] = (), leave: Sequence[str] = ()) -> int:
    return _show(*cluster.ask("POST", {"join": dict(map(_named, join)), "leave": list(leave)}))


def _named(who: str) -> tuple[str, str]:
    name, sign, address = who.partition("=")
    if not (name and sign and address):
        raise UsageError(f"{who!r} is not of the form NAME=HOST:PORT")
    return name, address


def _show(status: int, said: Said) -> int:
    """Exit status 0: so it is; 1: refused, and why; 2: bad input; 3: nobody knows."""
    if status in (400, 401) and "error" in said:
        raise UsageError(said["error"])
    if status != 200:
        say(said.get("error", NO_NODE), style="red")
        return exit_status([VIOLATED if status == 409 else INCONCLUSIVE])
    for name, address in said["members"].items():
        say(f"{name:8} {address}")
    return exit_status([HOLDS])
