"""The command `replay`, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oneleader.cli.console import judged, say
from oneleader.cli.options import chosen, fault_option, json_option, print_json
from oneleader.errors import UsageError
from oneleader.shipped import recording
from oneleader.verdict import exit_status

if TYPE_CHECKING:
    from oneleader.readers.replay.replay import Replayed


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--follow", is_flag=True, help="FILE is the folder of a cluster that runs: judge as it grows.")
@click.option(
    "--format", "format_", type=click.Choice(["oneleader", "etcd"]), help="Told from the file otherwise."
)
@click.option(
    "--model", "name", metavar="MODEL", help="The model that judges.  [default: the file's, or election]"
)
@fault_option
@json_option
def replay(
    file: Path, follow: bool, format_: str | None, name: str | None, fault: str | None, as_json: bool
) -> int:
    """Does the model allow the execution recorded in FILE?

    FILE may be the name of a recording that comes with oneleader, such as etcd-rawnode-3-nodes.
    A folder holds the traces of a cluster's nodes: they are judged as one, by each model, or by MODEL."""
    from oneleader.readers.replay import replay as replay_reader

    if follow or file.is_dir():
        from oneleader.cli.cluster import judge_folder

        if format_ or fault:
            raise UsageError("--format and --fault are for a FILE, not for the folder of a cluster")
        return judge_folder(file, name, follow=follow, as_json=as_json)
    model = chosen(name or "election", fault)[0] if name or fault else None
    file = recording(file)
    result = replay_reader.replay(file, format_, model=model)
    print_json(replayed_json(result)) if as_json else replayed(file, result)
    if result.refusal and not as_json:
        from oneleader.pictures import pages, recorded

        say(f"        {pages.see(lambda: recorded.judged(file, result, model), f'{file.stem}-refused')}")
    return exit_status([result.verdict])


def replayed(path: Path, result: Replayed) -> None:
    first, *rest = result.summary()
    say(f"replay   {path}   {result.seconds:.2f} s")
    judged(result.verdict, first)
    for line in rest:
        say(f"        {line}")


def replayed_json(result: Replayed) -> dict[str, Any]:
    refusal = result.refusal
    return {
        "format": result.format,
        "model": result.model,
        "verdict": result.verdict.worded("recording"),
        "why": result.why,
        "lines": result.lines,
        "events": result.events_judged,
        "steps": dict(result.steps),
        "not_modelled": dict(result.not_modelled),
        "candidates": result.candidates,
        "seconds": round(result.seconds, 3),
        "refusal": refusal
        and {
            "line": refusal.line,
            "text": refusal.text,
            "action": refusal.action,
            "guard": refusal.guard.name if refusal.guard else None,
            "clause": refusal.guard.clause if refusal.guard else None,
        },
    }
