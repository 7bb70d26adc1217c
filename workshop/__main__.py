"""python -m workshop: mutants, trade-offs, and the pages that commands write."""

from __future__ import annotations

import sys

import click

from oneleader.campaigns import fault_table
from oneleader.cli import print_faults
from oneleader.cli.console import say
from oneleader.cli.main import guarded
from oneleader.faults import catalogue
from workshop.mutation.command import mutants
from workshop.pages import faults
from workshop.pages.provers import second_prover
from workshop.pages.trade_offs import trade_offs


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


workshop.add_command(mutants)
workshop.add_command(trade_offs)
workshop.add_command(second_prover)

if __name__ == "__main__":
    sys.exit(guarded(workshop))
