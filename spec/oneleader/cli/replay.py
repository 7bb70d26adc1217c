"""The command `replay`, and what it prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from oneleader.cli.console import judged, say
from oneleader.cli.options import InputFile, chosen, fault_option, json_option, print_json
from oneleader.errors import UsageError
from oneleader.shipped import recording
from oneleader.verdict import INCONCLUSIVE, exit_status

if TYPE_CHECKING:
    from oneleader.readers.replay.merging import Merging
    from oneleader.readers.replay.replay import LineRefusal, Replayed
    from oneleader.readers.replay.shorten import ShortPart


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=InputFile())
@click.option("--follow", is_flag=True, help="FILE is the folder of a running cluster: judge it as it grows.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["oneleader", "etcd", "ccf"]),
    help="By default, recognised from the file.",
)
@click.option(
    "--model", "name", metavar="MODEL", help="The model that judges.  [default: the file's, or election]"
)
@fault_option
@click.option(
    "--shrink", is_flag=True, help="Find the shortest part that is still refused; write a test of it."
)
@click.option(
    "--shrink-seconds",
    type=click.FloatRange(min=0),
    default=20.0,
    show_default=True,
    help="At most this much processor time for it.",
)
@json_option
def replay(
    files: tuple[Path, ...],
    follow: bool,
    format_: str | None,
    name: str | None,
    fault: str | None,
    shrink: bool,
    shrink_seconds: float,
    as_json: bool,
) -> int:
    """Does the model allow the execution recorded in FILE?

    FILE may be the name of a recording that comes with oneleader, such as etcd-rawnode-3-nodes, or - for
    standard input.
    Several files, one for each node, are merged into one, as `oneleader trace merge` does.
    A folder holds the traces of a cluster's nodes: they are judged as one, by each model, or by MODEL."""
    from oneleader.readers.replay import replay as replay_reader

    file, merging = (files[0], None) if len(files) == 1 else merged(files)
    if follow or file.is_dir():
        from oneleader.cli.cluster import judge_folder

        if format_ or fault or shrink:
            raise UsageError("--format, --fault and --shrink are for a FILE, not for the folder of a cluster")
        return judge_folder(file, name, follow=follow, as_json=as_json)
    model = chosen(name or "election", fault)[0] if name or fault else None
    file = recording(file)
    is_read_once = not file.is_file()  # it is a pipe
    if shrink and is_read_once:
        raise UsageError(f"--shrink reads a recording again, and {file} is a pipe: save it as a file first")
    try:
        result = replay_reader.replay(file, format_, model=model)
    except replay_reader.BadRecording as bad:
        raise UsageError(f"{file}: {bad}") from None
    if result.refusal and merging and merging.verdict is INCONCLUSIVE:
        result = undecided(result, result.refusal)
    part = saved = None
    if result.refusal and shrink:
        from oneleader.readers.replay.shorten import as_test, shortened

        part = shortened(file, result, model=model, seconds=shrink_seconds)
        saved = save(file, part, as_test(part, name, fault))
    if as_json:
        print_json(replayed_json(result) | ({"shortest": str(saved)} if saved else {}))
        return exit_status([result.verdict])
    replayed(file, result)
    if result.refusal and is_read_once:
        say("        no picture: what came through a pipe is gone; save it as a file first")
    elif result.refusal:
        from oneleader.pictures import pages, recorded

        say(f"        {pages.see(lambda: recorded.judged(file, result, model), f'{file.stem}-refused')}")
    if part and saved:
        least = "the shortest part that is" if part.is_shortest else "when time was over, a part was"
        say(f"        {least} refused for this: {len(part.lines):,} of {part.of:,} lines")
        say(f"        again  oneleader replay {saved}")
        say(f"        {pages.see(lambda: recorded.judged(saved, part.result, model), saved.stem)}")
        say(f"        test   pytest {test_beside(saved)}")
    return exit_status([result.verdict])


def merged(files: tuple[Path, ...]) -> tuple[Path, Merging]:
    """One recording of several nodes' files, where the pictures are."""
    from oneleader.cli.trace import merge_into
    from oneleader.pictures import pages

    path = pages.FOLDER / f"{files[0].name.partition('.')[0]}-merged.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as output:
        merging = merge_into(output, files)
    click.echo(f"merged {path}", err=True)
    return path, merging


def undecided(result: Replayed, refusal: LineRefusal) -> Replayed:
    """Of files for which no order was found, and there may be one."""
    from oneleader.readers.replay.merging import UNDECIDED

    why = f"{UNDECIDED}: line {refusal.line}: {refusal.text}"
    return replace(result, verdict=INCONCLUSIVE, refusal=None, why=why)


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
        "never_taken": result.never_taken,
        "forbade_nothing": result.forbade_nothing,
        "not_modelled": dict(result.not_modelled),
        "candidates": result.candidates,
        "seconds": round(result.seconds, 3),
        "refusal": refusal
        and {
            "line": refusal.line,
            "text": refusal.text,
            "hint": refusal.hint,
            "action": refusal.action,
            "guard": refusal.guard.name if refusal.guard else None,
            "clause": refusal.guard.clause if refusal.guard else None,
        },
    }


def save(file: Path, part: ShortPart, test: str) -> Path:
    """The shortest part as a recording, where the pictures are, and a test of it beside it."""
    from oneleader.pictures import pages

    path = pages.FOLDER / f"{file.name.partition('.')[0]}-shortest.jsonl"
    pages.save(path, "".join(line.rstrip("\n") + "\n" for line in part.lines))
    pages.save(test_beside(path), test)
    return path


def test_beside(recording: Path) -> Path:
    words = "".join(c if c.isalnum() else "_" for c in recording.stem)
    return recording.with_name(f"test_{words}.py")
