"""`oneleader scaffold go DIR`: a shim for `oneleader conform`, around a stub that is to be replaced."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from oneleader.cli.console import say
from oneleader.conformance.scaffold import SCAFFOLDS, write_scaffold


@click.command()
@click.argument("language", type=click.Choice(list(SCAFFOLDS)))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def scaffold(language: str, folder: Path) -> int:
    """Write a shim for `oneleader conform` in LANGUAGE to FOLDER.

    It compiles and runs as it is. Its stub never elects anybody: put your Raft where it says YOURS.
    """
    made = write_scaffold(language, folder)
    for name in made.files:
        say(f"wrote  {folder / name}")
    say(f"then   cd {shlex.quote(str(folder))}")
    if made.build:
        say(f"       {shlex.join(made.build)}")
    say(f"       oneleader conform --liveness -- {shlex.join(made.run)}")
    return 0
