"""`oneleader conform -- ./my-shim`: a Raft in any language, driven through a child process."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from oneleader.cli.console import complain, say
from oneleader.cli.options import Duration, json_option, print_json
from oneleader.conformance.conform import Driving, names
from oneleader.conformance.examined import Cause, Examined
from oneleader.conformance.locks.adapter import named
from oneleader.conformance.locks.driver import LockDriving
from oneleader.conformance.network import NETWORKS
from oneleader.conformance.shim import Shim
from oneleader.errors import UsageError
from oneleader.verdict import exit_status

FORMAT = "oneleader run 1"


def at_most_one(_: click.Context, __: click.Parameter, files: tuple[Path, ...]) -> Path | None:
    """The file of `--again`, and not the last of several."""
    if len(files) > 1:
        raise click.BadParameter(f"one run at a time, and not {' and '.join(map(str, files))}")
    return files[0] if files else None


@click.command()
@click.argument("command", nargs=-1, required=True)
@click.option(
    "--again",
    type=click.Path(path_type=Path),
    multiple=True,
    callback=at_most_one,
    help="Replay the run in this file and do nothing else.",
)
@click.option(
    "--nodes",
    type=click.IntRange(2, 7),
    default=3,
    show_default=True,
    help="How many servers, or clients of a lock.",
)
@click.option("--network", type=click.Choice(sorted(NETWORKS)), help="[default: what the shim says]")
@click.option("--minutes", type=Duration(), default=1.0, show_default=True, help="For how long to search.")
@click.option("--walks", type=click.IntRange(1), help="Stop after this many walks instead.")
@click.option("--seed", type=int, help="The same seed and walks give the same result.  [default: drawn]")
@click.option("--known", multiple=True, metavar="CAUSE", help="Step past this finding (may be repeated).")
@click.option(
    "--liveness",
    is_flag=True,
    help="Also check that a calm network gets a leader, and that proposals commit.",
)
@click.option("--timeout", type=Duration(), default=10.0, show_default=True, help="Seconds for each answer.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), help="Where findings go.")
@json_option
def conform(
    command: tuple[str, ...],
    again: Path | None,
    nodes: int,
    network: str | None,
    minutes: float,
    walks: int | None,
    seed: int | None,
    known: tuple[str, ...],
    liveness: bool,
    timeout: float,
    out: Path,
    as_json: bool,
) -> int:
    """Drive and judge a Raft, or a lock, in any language.

    COMMAND starts the shim, which speaks JSON lines: docs/any-language.md.
    """
    saved: dict[str, Any] = read_run(again) if again else {"nodes": nodes, "events": []}
    if again and is_run(Path(command[0])):  # as a shell's *.json gives them
        raise UsageError(f"--again takes one run at a time: {command[0]} is another one, and no shim")
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    failed, interrupted = "", False
    with Shim(command, timeout, NETWORKS[network] if network else None) as shim:
        search = searching(shim, saved["nodes"], seed, known, liveness)
        try:
            if again:
                search.replay(tuple(map(tuple, saved["events"])))
            else:
                search.go(60 * minutes if walks is None else float("inf"), walks)
        except UsageError as error:
            failed = str(error)
        except KeyboardInterrupt:
            interrupted = True
    files = [] if again else [save(cause, search.found.nodes, out) for cause in search.found.causes]
    if as_json:
        print_json(as_object(search.found, failed))
    else:
        show(search.found, files, command)
    if failed:
        return complain(failed)
    return exit_status([search.found.verdict], interrupted=interrupted)


def searching(
    shim: Shim, nodes: int, seed: int, known: tuple[str, ...], liveness: bool
) -> Driving | LockDriving:
    """A search over what is behind the shim: a Raft, or a lock and its clients."""
    if not shim.is_lock:
        return Driving(shim.adapter, names(nodes), seed, known, liveness)
    if liveness:
        raise UsageError("--liveness is for Rafts: of a lock nothing is judged but safety")
    return LockDriving(shim.lock, named(nodes), seed, known)


def read_run(path: Path) -> dict[str, Any]:
    try:
        run = json.loads(path.read_text("utf-8"))
        is_ours = run["format"] == FORMAT and type(run["nodes"]) is int and isinstance(run["events"], list)
        is_ours = is_ours and all(isinstance(word, str) for event in run["events"] for word in event)
    except (ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise UsageError(f"{path} is not a run that `oneleader conform` saved")
    saved: dict[str, Any] = run
    return saved


def is_run(path: Path) -> bool:
    with suppress(OSError, UsageError):
        return bool(read_run(path))
    return False


def save(cause: Cause, nodes: int, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    name = "-".join("".join(c if c.isalnum() else " " for c in cause.key).split()).lower()
    path = folder / f"conform-{name}.json"
    run = {"format": FORMAT, "cause": cause.key, "nodes": nodes, "events": cause.events, "steps": cause.steps}
    path.write_text(json.dumps(run, indent=1) + "\n", "utf-8")
    return path


def show(found: Examined, files: list[Path], command: tuple[str, ...]) -> None:
    say(found.text)
    for path in files:
        say(f"again  oneleader conform --again {path} -- {' '.join(command)}")


def as_object(found: Examined, failed: str) -> dict[str, Any]:
    return {
        "verdict": str(found.verdict),
        "verdicts": {judge: str(verdict) for judge, verdict in found.verdicts.items()},
        "seed": found.seed,
        "walks": found.walks,
        "steps": found.steps,
        "compared": dict(found.compared),
        "not_judged": found.not_judged,
        "no_word": sorted([model, may.value] for model, may in found.no_word),
        "passed_over": dict(found.passed_over),
        "liveness": found.liveness,
        "differs": found.differs,
        "causes": [
            {"key": c.key, "words": c.words, "after": c.after, "events": c.events, "steps": c.steps}
            for c in found.causes
        ],
        "shim": failed,
    }
