"""The commands `node`: who is a member of a cluster that runs."""

from __future__ import annotations

import functools
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from oneleader.cli.console import say
from oneleader.errors import UsageError
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, exit_status

MOST_HOPS = 10  # from a node that does not lead to one that may
Said = dict[str, Any]


@click.group()
def node() -> None:
    """Say who is a member of a cluster that runs, and change it.

    A node that is to join is started before, with --join and the --peers of all
    others. It is sent what the cluster has first, and has a vote from then on.
    """


@dataclass(frozen=True)
class Asking:
    """Whom to ask, for how long, and what to show."""

    apis: Sequence[str]
    seconds: float
    token: str
    tls: ssl.SSLContext | None

    def ask(self, method: str, body: Said | None) -> tuple[int, Said]:
        """The status and the answer of the first node that has one, or of the one that it sends us to."""
        silent: list[str] = []
        for api in self.apis:
            at = api.rstrip("/")
            for _ in range(MOST_HOPS):
                answer = self._ask_one(at, method, body)
                if answer is None:
                    silent.append(at)
                    break
                status, said, elsewhere = answer
                if status != 307:
                    return status, said
                at = elsewhere.removesuffix("/v1/members")
        return 503, {"error": f"no answer from {' '.join(silent) or 'a leader'}"}

    def _ask_one(self, at: str, method: str, body: Said | None) -> tuple[int, Said, str] | None:
        headers = {"X-Deadline-Ms": str(int(self.seconds * 1000))}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None if body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(f"{at}/v1/members", data, headers, method=method)
        except ValueError:
            raise UsageError(f"{at!r} is not of the form http://HOST:PORT") from None
        opener = urllib.request.build_opener(_StayHere, urllib.request.HTTPSHandler(context=self.tls))
        try:
            with opener.open(request, timeout=self.seconds + 1) as answer:
                return answer.status, json.load(answer), ""
        except urllib.error.HTTPError as error:
            return _refused(error)
        except (OSError, ValueError):
            return None


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *of: object) -> None:
        """What is posted is not posted elsewhere by itself."""


def _refused(error: urllib.error.HTTPError) -> tuple[int, Said, str] | None:
    """What a node says; nothing, where something else answered."""
    try:
        said = json.load(error)
    except ValueError:
        return None
    is_of_a_node = isinstance(said, dict) and "error" in said
    return (error.code, said, error.headers.get("Location", "")) if is_of_a_node else None


def asks(command: Callable[..., int]) -> Callable[..., int]:
    """The options of a command that asks a cluster."""

    @click.option(
        "--api", "apis", multiple=True, required=True, help="http://HOST:PORT of a node; may be given again."
    )
    @click.option("--token-file", type=click.File(), help="The token that the cluster wants to be shown.")
    @click.option(
        "--ca", type=click.Path(exists=True, dir_okay=False), help="Who signs its certificates, PEM."
    )
    @click.option(
        "--seconds", type=click.FloatRange(0.1, 60), default=30.0, help="How long to wait.  [default: 30]"
    )
    @functools.wraps(command)
    def with_options(
        *words: str, apis: Sequence[str], token_file: Any, ca: str | None, seconds: float, **more: str
    ) -> int:
        token = token_file.read().strip() if token_file else ""
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
    """Remove a node; it may be stopped afterwards."""
    return _change(cluster, leave=[name])


@node.command()
@click.argument("name")
@click.argument("who", metavar="NAME=HOST:PORT")
@asks
def replace(cluster: Asking, name: str, who: str) -> int:
    """Put another node in the place of one, in one change.

    The other one was started with --join."""
    return _change(cluster, join=[who], leave=[name])


def _change(cluster: Asking, join: Sequence[str] = (), leave: Sequence[str] = ()) -> int:
    return _show(*cluster.ask("POST", {"join": dict(map(_named, join)), "leave": list(leave)}))


def _named(who: str) -> tuple[str, str]:
    name, sign, address = who.partition("=")
    if not (name and sign and address):
        raise UsageError(f"{who!r} is not of the form NAME=HOST:PORT")
    return name, address


def _show(status: int, said: Said) -> int:
    """Exit status 0: so it is; 1: refused, and why; 2: bad input; 3: nobody knows."""
    if status in (400, 401):
        raise UsageError(said["error"])
    if status != 200:
        say(said["error"], style="red")
        return exit_status([VIOLATED if status == 409 else INCONCLUSIVE])
    for name, address in said["members"].items():
        say(f"{name:8} {address}")
    return exit_status([HOLDS])
