"""The command `cluster`, which runs one on this machine, and `replay` of what such a cluster did."""

from __future__ import annotations

import secrets
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from oneleader.cli.console import judged, out, say
from oneleader.cli.options import print_json
from oneleader.cli.progress import ProgressLine
from oneleader.cli.replay import replayed_json
from oneleader.errors import UsageError
from oneleader.readers.replay.formats import node_folders as recorded
from oneleader.verdict import HOLDS, exit_status
from oneleader_raft.node.local import LocalCluster
from oneleader_raft.views import FIXED_MEMBERS

POLL_SECONDS = 0.25
STYLES = {"leader": "bold green", "candidate": "yellow", "follower": "", "down": "red", "silent": "red"}
Row = dict[str, Any]


@click.command()
@click.option("--nodes", type=click.IntRange(1, 9), default=3, help="Members.  [default: 3]")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the nodes' data, traces and logs here, and continue from them later.  [default: temporary]",
)
@click.option("--promise-ms", type=click.IntRange(20), default=300, help="Least election timeout.")
@click.option("--heartbeat-ms", type=click.IntRange(5), default=60, help="Time between two heartbeats.")
@click.option("--seconds", type=click.FloatRange(0.1), help="Stop automatically after this long.")
def cluster(
    nodes: int, folder: Path | None, promise_ms: int, heartbeat_ms: int, seconds: float | None
) -> int:
    """Run a cluster on this machine and show it live.

    Each node is a process. Ctrl-C stops them all.
    """
    if heartbeat_ms >= promise_ms:
        raise UsageError("--heartbeat-ms has to be less than --promise-ms")
    if not (find_spec("aiohttp") and find_spec("prometheus_client")):
        raise UsageError("a node needs more packages: pip install 'oneleader[node]'")
    options = ("--promise-ms", str(promise_ms), "--heartbeat-ms", str(heartbeat_ms))
    with tempfile.TemporaryDirectory(prefix="oneleader-") as temporary:
        data = folder or Path(temporary)
        local = LocalCluster(data, nodes, (*options, "--secret-file", str(_secret(data))))
        for line in _welcome(local, is_kept=folder is not None):
            say(line)
        try:
            local.start()
            _watch(local, seconds)
        except KeyboardInterrupt:
            pass
        finally:
            statuses = local.stop()
        failed = {id: status for id, status in statuses.items() if status not in (0, -signal.SIGKILL)}
        for id in failed:
            say(f"{id} failed: {_last_line(local.folder / f'{id}.log')}", style="red")
    say(f"stopped; judge what it did: oneleader replay {folder}" if folder else "stopped")
    return 1 if failed else 0


def _secret(folder: Path) -> Path:
    """What the nodes know and strangers on this machine do not: drawn once for a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path


def _welcome(local: LocalCluster, *, is_kept: bool) -> Iterator[str]:
    api = local.apis["n1"]
    yield f"""write    curl -L -X PUT -d '{{"value": "hello"}}' {api}/v1/keys/greeting"""
    yield f"read     curl -L {api}/v1/keys/greeting"
    yield f"judge    oneleader replay --follow {local.folder}"
    yield f"data     {local.folder}{'' if is_kept else ' (temporary)'}"
    yield ""


def _watch(local: LocalCluster, seconds: float | None) -> None:
    """Show the cluster until the time is over or all nodes are gone."""
    until = time.monotonic() + seconds if seconds else float("inf")
    shown: dict[str, Any] = {}
    with Live(console=out, auto_refresh=False, transient=False) if out.is_terminal else _nothing() as live:
        while time.monotonic() < until and any(map(local.is_running, local.members)):
            rows = [_row(local, id) for id in local.members]
            if live:
                live.update(Group(_table(rows), Text("Ctrl-C stops the cluster", style="dim")), refresh=True)
            else:
                _say_changes(rows, shown)
            time.sleep(min(POLL_SECONDS, max(0.0, until - time.monotonic())))


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _row(local: LocalCluster, id: str) -> Row:
    if not local.is_running(id):
        return {"id": id, "role": "down", "pid": "", "api": local.apis[id]}
    said = local.status(id, seconds=0.3) or {"id": id, "role": "silent", "api": local.apis[id]}
    return said | {"pid": local.processes[id].pid}


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("node", "role", "term", "lease left", "commit", "log", "hears", "process", "api"):
        table.add_column(
            title, justify="right" if title in ("term", "lease left", "commit", "log") else "left"
        )
    for row in rows:
        lease = f"{row['lease_ms']} ms" if row.get("lease_ms") else ""
        cells = [row.get("term", ""), lease, row.get("commit", ""), row.get("last", "")]
        hears = " ".join(row.get("connected", ()))
        role = Text(row["role"], style=STYLES[row["role"]])
        table.add_row(row["id"], role, *map(str, cells), hears, str(row["pid"]), row["api"])
    return table


def _say_changes(rows: Sequence[Row], shown: dict[str, Any]) -> None:
    """A plain line for each node whose role, term or api has changed."""
    for row in rows:
        now = row["role"], row.get("term"), row["api"]
        if shown.get(row["id"]) != now:
            shown[row["id"]] = now
            term = f"term {row['term']}, commit {row['commit']}" if "term" in row else ""
            say(f"{row['id']:4} {row['role']:10} {term:24} {row['api']}".rstrip())


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return lines[-1] if lines else "it has said nothing"


# -- replay of a folder --------------------------------------------------------------------------
def judge_folder(folder: Path, model: str | None, *, follow: bool, as_json: bool) -> int:
    """`oneleader replay FOLDER`: the verdict of each model, or of the one that is asked for."""
    models = [model] if model else list(FIXED_MEMBERS)
    if follow:
        with ProgressLine(quiet=as_json) as progress:
            found = recorded.follow(folder, models, lambda at: progress.tell(_at(at)))
    else:
        found = recorded.judge(folder, models)
    if as_json:
        print_json([replayed_json(judging.result) for judging in found])
    else:
        seconds = [judging.result.seconds for judging in found]
        say(f"replay   {folder}   {max(seconds):.2f} s")
        for judging in found:
            first, *rest = judging.result.summary()
            judged(judging.result.verdict, first)
            for line in rest[: -1 if judging.result.verdict is HOLDS else None]:
                say(f"        {line}")
    return exit_status([judging.result.verdict for judging in found])


def _at(found: Sequence[recorded.Judging]) -> str:
    return "  line  " + "   ".join(f"{j.model} {j.line:,}" for j in found)
