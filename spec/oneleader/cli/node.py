"""The commands `node`: who is a member of a cluster that runs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import click

from oneleader.cli.console import say
from oneleader.errors import UsageError
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, exit_status

MOST_HOPS = 10  # from a node that does not lead to one that may

API = click.option(
    "--api", "apis", multiple=True, required=True, help="http://HOST:PORT of a node; may be given again."
)
SECONDS = click.option(
    "--seconds", type=click.FloatRange(0.1, 60), default=30.0, help="How long to wait.  [default: 30]"
)


@click.group()
def node() -> None:
    """Say who is a member of a cluster that runs, and change it.

    A node that is to join is started before, with --join and the --peers of all others. It is sent what the
    cluster has first, and has a vote from then on.
    """


@node.command("list")
@API
@SECONDS
def members(apis: Sequence[str], seconds: float) -> int:
    """Show the members and where they reach each other."""
    return _show(*_ask(apis, "GET", None, seconds))


@node.command()
@click.argument("who", metavar="NAME=HOST:PORT")
@API
@SECONDS
def add(who: str, apis: Sequence[str], seconds: float) -> int:
    """Add a node that was started with --join."""
    return _change(apis, seconds, join=[who])


@node.command()
@click.argument("name")
@API
@SECONDS
def remove(name: str, apis: Sequence[str], seconds: float) -> int:
    """Remove a node; it may be stopped afterwards."""
    return _change(apis, seconds, leave=[name])


@node.command()
@click.argument("name")
@click.argument("who", metavar="NAME=HOST:PORT")
@API
@SECONDS
def replace(name: str, who: str, apis: Sequence[str], seconds: float) -> int:
    """Put another node in the place of one, in one change.

    The other one was started with --join."""
    return _change(apis, seconds, join=[who], leave=[name])


def _change(apis: Sequence[str], seconds: float, join: Sequence[str] = (), leave: Sequence[str] = ()) -> int:
    body = {"join": dict(map(_named, join)), "leave": list(leave)}
    return _show(*_ask(apis, "POST", body, seconds))


def _named(who: str) -> tuple[str, str]:
    name, sign, address = who.partition("=")
    if not (name and sign and address):
        raise UsageError(f"{who!r} is not of the form NAME=HOST:PORT")
    return name, address


def _show(status: int, said: dict[str, Any]) -> int:
    """Exit status 0: so it is; 1: refused, and why; 2: bad input; 3: nobody knows."""
    if status == 400:
        raise UsageError(said["error"])
    if status != 200:
        say(said["error"], style="red")
        return exit_status([VIOLATED if status == 409 else INCONCLUSIVE])
    for name, address in said["members"].items():
        say(f"{name:8} {address}")
    return exit_status([HOLDS])


def _ask(
    apis: Sequence[str], method: str, body: dict[str, Any] | None, seconds: float
) -> tuple[int, dict[str, Any]]:
    """The status and the answer of the first node that has one, or of the one that it sends us to."""
    silent: list[str] = []
    for api in apis:
        at = api.rstrip("/")
        for _ in range(MOST_HOPS):
            answer = _ask_one(at, method, body, seconds)
            if answer is None:
                silent.append(at)
                break
            status, said, elsewhere = answer
            if status != 307:
                return status, said
            at = elsewhere.removesuffix("/v1/members")
    return 503, {"error": f"no answer from {' '.join(silent) or 'a leader'}"}


def _ask_one(
    at: str, method: str, body: dict[str, Any] | None, seconds: float
) -> tuple[int, dict[str, Any], str] | None:
    headers = {"X-Deadline-Ms": str(int(seconds * 1000))}
    data = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(f"{at}/v1/members", data, headers, method=method)
    except ValueError:
        raise UsageError(f"{at!r} is not of the form http://HOST:PORT") from None
    try:
        with urllib.request.build_opener(_StayHere).open(request, timeout=seconds + 1) as answer:
            return answer.status, json.load(answer), ""
    except urllib.error.HTTPError as error:
        return _refused(error)
    except (OSError, ValueError):
        return None


def _refused(error: urllib.error.HTTPError) -> tuple[int, dict[str, Any], str] | None:
    """What a node says; nothing, where something else answered."""
    try:
        said = json.load(error)
    except ValueError:
        return None
    is_of_a_node = isinstance(said, dict) and "error" in said
    return (error.code, said, error.headers.get("Location", "")) if is_of_a_node else None


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *of: object) -> None:
        """What is posted is not posted elsewhere by itself."""
