"""python -m workshop: mutants, how soon faults are found, trade-offs, and the pages that commands write."""

from __future__ import annotations

import sys

import click

from oneleader.campaigns import fault_table
from oneleader.cli import faults as print_faults
from oneleader.cli.console import say
from oneleader.cli.main import guarded
from oneleader.faults import catalogue
from workshop.mutation.command import mutants
from workshop.mutation.shipped_command import shipped
from workshop.mutation.tla_claims import tla_claims
from workshop.mutation.tla_table import tla_bounds, tla_mutants
from workshop.pages import architecture, claims, faults
from workshop.pages.coupling import coupling
from workshop.pages.explorers import explorers
from workshop.pages.handler_faults import handler_faults
from workshop.pages.handlers import handlers
from workshop.pages.peers import peers
from workshop.pages.progress import progress
from workshop.pages.provers import second_prover
from workshop.pages.trade_offs import trade_offs
from workshop.peers.million import million
from workshop.site.command import site
from workshop.studies.hunt_rates import hunt_rates
from workshop.studies.kit_rates import kit_rates


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def workshop() -> None:
    """What judges and documents oneleader itself, from a checkout."""


@workshop.command("faults")
@click.option("--write", "anew", is_flag=True, help="Run every reader on every fault first: minutes.")
def faults_page(anew: bool) -> int:
    """Write docs/results/faults.md, from what the readers said last or, with --write, say now."""

    rows = [] if anew else faults.load()
    for fault in catalogue.FAULTS.values() if anew else ():
        for row in fault_table.judge(fault):
            rows.append(row)
            print_faults.fault_row(fault, row, first=row.reader == "explore")
    status = fault_table.status(rows, whole=True)
    if status == 0:
        say(f"written to {faults.write(rows)}")
    else:
        print_faults.fault_summary(rows, fault_table.blind(rows))
    return status


@workshop.command("claims")
@click.option("--all", "everything", is_flag=True, help="Run every command, whether its code changed or not.")
def claims_page(everything: bool) -> int:
    """Run the commands behind the claims, and write README's table and docs/results/claims.md."""
    shown = claims.evidence()
    for claim in claims.claims():
        if claim.command and (everything or [*claims.faults(claim, shown.get(claim.id))]):
            say(f"{claim.id}: {claim.command}")
            shown[claim.id] = claims.show(claim)
            claims.keep(shown)
    claims.write()
    return 0


@workshop.command("architecture")
def architecture_picture() -> int:
    """Draw the picture of docs/architecture.md from the import contracts."""
    say(f"written to {architecture.write()}")
    return 0


workshop.add_command(mutants)
workshop.add_command(million)
workshop.add_command(shipped)
workshop.add_command(hunt_rates)
workshop.add_command(kit_rates)
workshop.add_command(tla_mutants)
workshop.add_command(tla_bounds)
workshop.add_command(tla_claims)
workshop.add_command(trade_offs)
workshop.add_command(second_prover)
workshop.add_command(handlers)
workshop.add_command(handler_faults)
workshop.add_command(progress)
workshop.add_command(coupling)
workshop.add_command(explorers)
workshop.add_command(site)
workshop.add_command(peers)

if __name__ == "__main__":
    sys.exit(guarded(workshop))
