"""The explorer's pages: one for each model, at bounds at which something happens and a step takes no time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from oneleader import models
from oneleader.cli.console import say
from oneleader.language.configuration import Configuration, configure
from oneleader.pictures.explorer import Explorer, runs_of
from workshop import ROOT
from workshop.studies import incident

FOLDER = ROOT / "build" / "explore"
MOST_STATES = 20_000  # in which each run of a page is sought
N2_DECIDES = "n2, n1 n2"
EXACT = {"lease": 1, "promise": 1, "slow": 1, "fast": 1}
LOGS = {"Node": 3, "Term": 2, "Index": 2, "Value": 1}
FENCED = {"Resource": 1, "Client": 2, "Token": 3}


@dataclass(frozen=True)
class PageBounds:
    """The bounds of one page."""

    sizes: Mapping[str, int]
    quorums: str = "majority"
    where: Mapping[str, Iterable[str]] = field(default_factory=dict)

    def of(self, name: str) -> Configuration:
        return configure(models.find(name), self.sizes, self.quorums, self.where)


USUAL = PageBounds({"Node": 3, "Term": 2})
LEASES = PageBounds({"Node": 2, "Term": 2, "Resource": 1, **EXACT}, N2_DECIDES)
PAGES: Mapping[str, PageBounds] = {
    **dict.fromkeys(("replication", "lease_read"), PageBounds(LOGS)),
    "membership": PageBounds({"Node": 3, "Term": 2, "Index": 2, "Value": 1}, "n1 n2 n3, n1 n2"),
    "membership_steps": PageBounds({"Node": 3, "Term": 2, "Index": 2}, "n1 n2 n3, n1 n2"),
    "snapshots": PageBounds({"Node": 2, "Term": 2, "Index": 2, "Value": 1}, "n1 n2, n1"),
    **dict.fromkeys(("lease", *(n for n in models.FLAWED if "lease" in n or "is_leader" in n)), LEASES),
    **{
        name: PageBounds(FENCED)
        for name in ("fencing", "lock", *(n for n in models.FLAWED if "fencing" in n))
    },
    "flawed/lease_without_fencing": LEASES,
    "flawed/fencing_tokens_as_strings": PageBounds({**FENCED, "Token": 11}),
    "flawed/redis_lock": PageBounds({"Client": 2, "Token": 10}),
    "flawed/alert_term_changes": PageBounds({"Value": 36, "Election": 5}),
    "flawed/bully": PageBounds({"Node": 2}),
    "flawed/incident": PageBounds(incident.SIZES),
    "environment": PageBounds(incident.SIZES, where={"away": incident.AWAY, "given": ("heals", "clocks")}),
}


def explorer(name: str, *, runs: bool = True) -> Explorer:
    """The page of a model."""
    model, at = models.find(name), PAGES.get(name, USUAL).of(name)
    return Explorer(model, at, runs_of(model, at, MOST_STATES) if runs else ())


def file_of(name: str) -> str:
    """`flawed/incident` as a file."""
    return f"{name.rpartition('/')[2]}.html"


def write(folder: Path, names: Iterable[str] = (), *, runs: bool = True) -> None:
    """The pages of these models, or of all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or (*models.MODELS, *models.FLAWED):
        (folder / file_of(name)).write_text(explorer(name, runs=runs).page(), encoding="utf-8")


@click.command("explorers")
@click.argument("names", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=FOLDER, help="The folder.")
@click.option("--no-runs", is_flag=True, help="Seek no runs to witnesses and violations first.")
def explorers(names: tuple[str, ...], out: Path, no_runs: bool) -> int:
    """Write the explorer's page of each model, or of those named."""
    write(out, names, runs=not no_runs)
    say(f"written to {out}")
    return 0
