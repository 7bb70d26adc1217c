"""The command line `oneleader`: each command reads its options, calls one reader, prints what it said.

A reader is imported by the command that needs it: Z3 and Hypothesis take a while to load.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import click

from oneleader import models
from oneleader.cli import print_faults
from oneleader.cli import print_results as show
from oneleader.cli.console import out, say
from oneleader.cli.progress import ProgressLine
from oneleader.errors import Disagreement, SpecError, UsageError
from oneleader.faults import catalogue
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.readers.explore import explore as explore_reader
from oneleader.readers.run import Run
from oneleader.shipped import recording, tla_folder
from oneleader.verdict import INCONCLUSIVE, INTERRUPTED, USAGE, exit_status
from oneleader.words import snake

F = TypeVar("F", bound=Callable[..., Any])

EXAMPLES = """
\b
Examples:
  oneleader check --quick
  oneleader explore election --nodes 3 --terms 2
  oneleader explore election --fault vote-twice
  oneleader settings system
  oneleader prove election
  oneleader tlc election --nodes 3 --terms 1
  oneleader walk election --nodes 5 --terms 6 --seed 1
  oneleader replay etcd-rawnode-3-nodes
  oneleader cluster --nodes 3
  oneleader conform --minutes 5 -- ./my-shim
  oneleader picture etcd-rawnode-3-nodes --rows 1:40 --format text
  oneleader graph election --nodes 2 --terms 1 --out election.dot
  oneleader handlers --only restart
  oneleader hunt --minutes 5
  oneleader linearizable history.edn
  oneleader faults run
  oneleader campaign walk election --runs 1000 --seed 1 --cluster
"""


@click.group(
    epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="oneleader")
def cli() -> None:
    """At most one leader, and proof of it: one model of Raft elections and everything that reads it."""


# -- options that several commands share ---------------------------------------------------------
def model_argument(command: F) -> F:
    return click.argument("name", metavar="MODEL", default="election")(command)


def fault_option(command: F) -> F:
    return click.option("--fault", help="Inject this fault (ids: `oneleader faults`).")(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")(
        command
    )


def bounds(nodes: int, terms: int) -> Callable[[F], F]:
    def add(command: F) -> F:
        command = click.option(
            "--where",
            multiple=True,
            metavar="CONSTANT=NAMES",
            help="Where a constant is true, e.g. off=terms,lease or 'edge=n1 n2,n2 n3'.",
        )(command)
        command = click.option(
            "--size",
            "sizes",
            multiple=True,
            metavar="SORT=N",
            help="The size of any sort, e.g. Client=2.",
        )(command)
        command = click.option(
            "--quorums", metavar="LIST", help="'majority', or a list such as 'n1 n2, n1 n3'."
        )(command)
        command = click.option(
            "--terms", type=int, help=f"The greatest term of the run.  [default: {terms}]"
        )(command)
        return click.option("--nodes", type=int, help=f"How many servers.  [default: {nodes}]")(command)

    return add


def chosen(name: str, fault: str | None) -> tuple[Model, catalogue.Fault | None]:
    """The model, or the faulty one."""
    if not fault:
        return models.find(name), None
    found = catalogue.find(fault)
    return found.model, found


def constants(model: Model) -> list[str]:
    return [name for name, f in model.fields.items() if f.kind == "constant"]


def constant(model: Model, text: str) -> tuple[str, Sequence[str]]:
    """`off=terms,lease`: the constant, and where it is true. UsageError where the model has none of it."""
    name, equals, listed = text.partition("=")
    if not equals:
        raise UsageError(f"--where {text} is not of the form CONSTANT=NAMES, e.g. --where off=terms,lease")
    if name not in constants(model):
        has = f"choose from {', '.join(constants(model))}" if constants(model) else "it has none"
        raise UsageError(f"{model.name} has no constant {name}: {has}")
    return name, [part.strip() for part in listed.split(",") if part.strip()]


def configuration(
    model: Model,
    found: catalogue.Fault | None,
    default: tuple[int, int],
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
) -> Configuration:
    """The bounds asked for; where none are, those of the fault or of the command."""
    faulty = found.faulty_model if found else None
    usual = faulty.sizes if faulty else dict(zip(("Node", "Term"), default, strict=True))
    asked = {k: v for k, v in (("Node", nodes), ("Term", terms)) if v is not None}
    true_at = dict(faulty.constants) if faulty else {}
    true_at |= dict(constant(model, text) for text in where)
    for text in sizes:
        sort, _, number = text.partition("=")
        if sort in constants(model):
            raise UsageError(f"{sort} is a constant of {model.name} and has no size: use --where {text}")
        if not number.lstrip("-").isdigit():
            raise UsageError(f"--size {text} is not of the form SORT=N, e.g. --size Client=2")
        asked[sort] = int(number)
    return configure(
        model,
        {**usual, **asked},
        quorums or (faulty.quorums if faulty else "majority"),
        true_at,
    )


# -- the commands --------------------------------------------------------------------------------
@cli.command()
@click.option("--quick", is_flag=True, help="Smaller bounds: a minute or two.")
@click.option("--all", "every", is_flag=True, help="One line a row, not one a model and one a fault.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this model or fault (may be repeated).")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
@json_option
def check(quick: bool, every: bool, only: tuple[str, ...], workers: int | None, as_json: bool) -> int:
    """Run every reader on every model, the reference and all faults."""
    from oneleader.cli import checks, print_checks
    from oneleader.cli.check_row import status

    started, interrupted = time.perf_counter(), False
    wanted = checks.chosen(quick=quick, only=only)
    table = print_checks.Table(wanted, every=every, quiet=as_json)
    try:
        with closing(checks.done(wanted, workers=workers, tick=table.tick)) as doing:
            for one, rows in doing:
                table.add(one, rows)
    except KeyboardInterrupt:
        interrupted = True
    if as_json:
        print_json(print_checks.as_json(table.all_rows, interrupted=interrupted))
    else:
        table.unfinished()
        seconds = time.perf_counter() - started
        print_checks.summary(table.all_rows, interrupted=interrupted, quick=quick, seconds=seconds)
    return status(table.all_rows, interrupted=interrupted)


@cli.command()
@model_argument
@bounds(3, 2)
@fault_option
@click.option("--property", "only", multiple=True, metavar="NAME", help="Check only this (may be repeated).")
@click.option("--no-symmetry", is_flag=True, help="Tell states apart that differ in the names of nodes.")
@click.option(
    "--engine",
    type=click.Choice(explore_reader.ENGINES),
    default="numpy",
    help="python is the slow oracle, native compiles C.  [default: numpy]",
)
@click.option("--max-states", type=click.IntRange(1), help="Stop, inconclusive, after this many states.")
@click.option("--max-memory", type=click.IntRange(1), metavar="MIB", help="Stop, inconclusive, above this.")
@click.option("--out", "folder", default="runs", help="Where a counterexample is written.  [default: runs]")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save a search that ends early in this file; go on from there the next time. Needs --property.",
)
@click.option(
    "--disk",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the states in files in this folder, not in memory; go on from there after an early end.",
)
@json_option
def explore(
    name: str,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    fault: str | None,
    only: tuple[str, ...],
    no_symmetry: bool,
    engine: str,
    max_states: int | None,
    max_memory: int | None,
    folder: str,
    checkpoint: Path | None,
    disk: Path | None,
    as_json: bool,
) -> int:
    """Visit every reachable state of a bounded MODEL.

    A violation is printed as a shortest run to it, and saved.
    """
    model, found = chosen(name, fault)
    at = configuration(model, found, (3, 2), nodes, terms, quorums, sizes, where)
    if checkpoint and disk:
        raise UsageError("--disk goes on by itself: give it without --checkpoint")
    if checkpoint and len(only) != 1:
        raise UsageError("--checkpoint keeps one search: name one property with --property")
    wanted = [snake(p) for p in only] or ([found.broken.name] if found else None)
    results = []
    with ProgressLine(quiet=as_json) as progress:
        for result in explore_reader.explore_all(
            model,
            at,
            only=wanted,
            symmetry=not no_symmetry,
            engine=engine,
            limits=explore_reader.Limits(max_states, max_memory),
            progress=progress,
            announce=lambda sentence: None if as_json else click.echo(f"memory   {sentence}", err=True),
            checkpoint=checkpoint,
            disk=disk,
        ):
            results.append(result)
            if not as_json:
                progress.clear()
                show.explored(result)
            if result.violation:
                path = show.save(Path(folder), model, result.run, result.violation, fault)
                if not as_json:
                    show.violation(result.run, result.violation, path)
            if result.why == "interrupted":
                break
    if as_json:
        print_json([r.as_json() for r in results])
    verdicts = [r.verdict for r in results] + [show.witness_verdict(r) for r in results]
    return exit_status(verdicts, interrupted=any(r.why == "interrupted" for r in results))


@cli.command()
@model_argument
@fault_option
@click.option("--only", multiple=True, metavar="NAME", help="Only this action, property or action/property.")
@click.option("--no-hints", is_flag=True, help="Give Z3 every hypothesis each time.")
@click.option(
    "--update-hints", is_flag=True, help="Find out which hypotheses are needed, and write them down."
)
@click.option("--rlimit", type=click.IntRange(1), help="Z3's effort an obligation.")
@click.option("--seed", type=int, default=0, help="Z3's random seed.")
@click.option(
    "--prover",
    type=click.Choice(["z3", "cvc5", "both"]),
    default="z3",
    help="cvc5 confirms or has no opinion; both: what only one proves is not known.  [default: z3]",
)
@click.option("--instance", is_flag=True, help="Print a model of axioms and Init, and one for each action.")
@click.option("--grid", is_flag=True, help="Also show the milliseconds of each obligation.")
@json_option
def prove(
    name: str,
    fault: str | None,
    only: tuple[str, ...],
    no_hints: bool,
    update_hints: bool,
    rlimit: int | None,
    seed: int,
    prover: str,
    instance: bool,
    grid: bool,
    as_json: bool,
) -> int:
    """Prove MODEL for any number of nodes, with Z3."""
    from oneleader.readers.prove import prove as prove_reader

    model, found = chosen(name, fault)
    model = found.faulty_model.proved if found else model
    if update_hints:
        say(f"hints written to {prove_reader.update_hints(model)}")
        return 0
    proof = prove_reader.prove(
        model,
        hints={} if no_hints else None,
        only=only or None,
        rlimit=rlimit or prove_reader.RLIMIT,
        seed=seed,
        prover=prover,
    )
    if as_json:
        print_json(show.proof_json(proof))
    else:
        show.proof(proof, grid=grid)
        if instance:
            show.instances(proof)
    return proof.status


@cli.command()
@model_argument
@bounds(3, 1)
@click.option("--config", metavar="FILE", help="Run TLC on this .cfg of tla/ instead of comparing graphs.")
@click.option("--workers", type=click.IntRange(1), default=2, help="TLC's workers.  [default: 2]")
@click.option(
    "--graph",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Our graph, as `oneleader graph` wrote it, instead of exploring anew.",
)
@json_option
def tlc(
    name: str,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    config: str | None,
    workers: int,
    graph: Path | None,
    as_json: bool,
) -> int:
    """Compare the TLA+ of MODEL with the model, graph with graph.

    Without bounds: at several small ones, whose graphs together fire every action and see every guard true
    and false. With bounds: at these alone, and what they do not exercise is named.
    """
    from oneleader.readers.tlc import tlc as tlc_reader
    from oneleader.readers.tlc import twin as twin_reader

    model = models.find(name)
    if config:
        path = Path(config) if Path(config).exists() else tla_folder() / config
        module = tla_folder() / f"{path.stem.partition('_')[0]}.tla"
        result = tlc_reader.run(module, path, workers=workers)
        print_json(show.tlc_json(result)) if as_json else show.tlc(module.name, path.name, result)
        if result.trace and not as_json:
            from oneleader.pictures import pages, traced

            say(pages.see(lambda: traced.of_tlc(path, result), path.stem))
        return exit_status([result.verdict])
    if any(given is not None for given in (nodes, terms, quorums, graph)) or sizes or where:
        at = configuration(model, None, (3, 1), nodes, terms, quorums, sizes, where)
        compared = twin_reader.compare(model, at, workers=workers, graph=graph)
        if as_json:
            print_json(show.compared_json(compared))
        else:
            show.compared(compared)
            show.exercised(compared)
        return exit_status([compared.verdict])
    found = []
    for compared in twin_reader.compare_all(model):
        found.append(compared)
        if not as_json:
            show.compared(compared)
    covered = twin_reader.covered(model, found)
    print_json(show.twin_json(found, covered)) if as_json else show.covered(covered)
    return exit_status([*(compared.verdict for compared in found), covered.verdict])


@cli.command()
@click.argument("name", metavar="MODEL", default="system")
@bounds(3, 2)
@json_option
def settings(
    name: str,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    as_json: bool,
) -> int:
    """Explore a bounded MODEL under each setting of its switches."""
    from oneleader.cli import print_settings
    from oneleader.readers.explore import settings as settings_reader

    model = models.find(name)
    at = configuration(model, None, (3, 2), nodes, terms, quorums, sizes, where)
    found = []
    if not as_json:
        print_settings.head(model, settings_reader.switches(model)[1], at)
    for setting in settings_reader.settings(model, at):
        found.append(setting)
        if not as_json:
            print_settings.row(setting)
    if as_json:
        print_json([print_settings.as_json(setting) for setting in found])
    return exit_status(found[0].verdicts)


@cli.command()
@model_argument
@bounds(2, 1)
@fault_option
@click.option("--out", "file", type=click.Path(path_type=Path), required=True, help="A .dot or .npz file.")
@json_option
def graph(
    name: str,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    fault: str | None,
    file: Path,
    as_json: bool,
) -> int:
    """Write the state graph of a bounded MODEL to a file.

    DOT for Graphviz, or a NumPy archive that `oneleader tlc --graph` compares.
    """
    from oneleader.readers.explore.graph import Graph

    model, found = chosen(name, fault)
    at = configuration(model, found, (2, 1), nodes, terms, quorums, sizes, where)
    made = Graph.of(Run(model, at))
    made.write(file)
    told = {"file": str(file), "states": len(made.states), "steps": len(made.steps)}
    if as_json:
        print_json(told)
    else:
        said = f"{at.describe()}   {told['states']:,} states   {told['steps']:,} steps"
        say(f"graph    {model.name}  {said}   written to {file}")
    return 0


@cli.command()
@model_argument
@bounds(5, 6)
@fault_option
@click.option("--runs", type=click.IntRange(1), default=200, help="How many runs.  [default: 200]")
@click.option("--length", type=click.IntRange(1), default=100, help="Steps a run.  [default: 100]")
@click.option(
    "--engine",
    type=click.Choice(["python", "native"]),
    default="python",
    help="native compiles the model first: for long walks.  [default: python]",
)
@click.option("--seed", type=int, help="The seed; a fresh one is drawn and printed otherwise.")
@click.option("--out", "folder", default="runs", help="Where a counterexample is written.  [default: runs]")
@json_option
def walk(
    name: str,
    nodes: int | None,
    terms: int | None,
    quorums: str | None,
    sizes: tuple[str, ...],
    where: tuple[str, ...],
    fault: str | None,
    runs: int,
    length: int,
    engine: str,
    seed: int | None,
    folder: str,
    as_json: bool,
) -> int:
    """Walk through MODEL at random and check every state."""
    from oneleader.readers.explore import walk as walk_reader

    model, found = chosen(name, fault)
    at = configuration(model, found, (5, 6), nodes, terms, quorums, sizes, where)
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    result = walk_reader.walk(model, at, seed=seed, runs=runs, length=length, engine=engine)
    path = show.save(Path(folder), model, result.run, result.violation, fault) if result.violation else None
    if as_json:
        print_json(show.walked_json(result))
    else:
        show.walked(result)
        if result.violation and path:
            show.violation(result.run, result.violation, path)
    return exit_status([result.verdict], interrupted=result.why == "interrupted")


@cli.command()
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
    print_json(show.replayed_json(result)) if as_json else show.replayed(file, result)
    if result.refusal and not as_json:
        from oneleader.pictures import pages, recorded

        say(f"        {pages.see(lambda: recorded.judged(file, result, model), f'{file.stem}-refused')}")
    return exit_status([result.verdict])


@cli.group(invoke_without_command=True)
@click.pass_context
def faults(context: click.Context) -> None:
    """List the faults, show one, or run every reader on each."""
    if context.invoked_subcommand is None:
        print_faults.faults(list(catalogue.FAULTS.values()))


@faults.command("show")
@click.argument("id")
def faults_show(id: str) -> int:
    """Tell the story of one fault, with its shortest counterexample."""
    print_faults.fault(catalogue.find(id))
    return 0


@faults.command("run")
@click.option("--only", "ids", multiple=True, metavar="ID", help="Only this fault (may be repeated).")
@click.option(
    "--reader",
    "readers",
    multiple=True,
    type=click.Choice(["explore", "prove", "tlc", "hypothesis", "simulate", "replay"]),
    help="Only this reader (may be repeated).",
)
@json_option
def faults_run(ids: tuple[str, ...], readers: tuple[str, ...], as_json: bool) -> int:
    """Run every reader on every fault: a table."""
    from oneleader.campaigns import fault_table

    wanted = [catalogue.find(id) for id in ids] or list(catalogue.FAULTS.values())
    rows = []
    for fault in wanted:
        found = []
        for row in fault_table.judge(fault, readers or fault_table.READERS):
            found.append(row)
            if not as_json:
                print_faults.fault_row(fault, row, first=len(found) == 1)
        rows += found
    whole = not ids and not readers
    if as_json:
        print_json([r.as_json() for r in rows])
    else:
        print_faults.fault_summary(rows, fault_table.blind(rows) if whole else [])
    return fault_table.status(rows, whole=whole)


# -- the frame -----------------------------------------------------------------------------------
def print_json(value: Any) -> None:
    out.print_json(json.dumps(value)) if out.is_terminal else print(json.dumps(value))


def complain(sentence: str) -> int:
    """One sentence on standard error, and status 2."""
    click.echo(f"oneleader: {sentence}", err=True)
    return USAGE


def main() -> None:
    """Run the command line: every bad input is one sentence, never a traceback."""
    from oneleader.cli.campaign import campaign  # it takes its shared options from here
    from oneleader.cli.cluster import cluster
    from oneleader.cli.conform import conform
    from oneleader.cli.linearizable import linearizable
    from oneleader.cli.picture import picture
    from oneleader.cli.reference import handlers, hunt
    from oneleader.cli.refine import refine
    from oneleader.cli.trace import trace

    for command in (
        campaign,
        cluster,
        conform,
        handlers,
        hunt,
        linearizable,
        picture,
        refine,
        trace,
    ):
        cli.add_command(command)
    sys.exit(guarded(cli))


def guarded(group: click.Group) -> int:
    """Run a command line: the exit status. Bad input is one sentence, never a traceback."""
    try:
        status = group.main(standalone_mode=False) or 0
    except click.UsageError as error:
        status = complain(f"{error.format_message()} See `oneleader --help`.")
    except (UsageError, SpecError) as error:
        status = complain(str(error))
    except Disagreement as error:
        complain(f"{error}. This is a fault of oneleader, not of the model: please report it.")
        status = exit_status([INCONCLUSIVE])
    except (KeyboardInterrupt, click.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output left
        status = 0
    except OSError as error:
        status = complain(f"cannot use {error.filename or 'a file'}: {error.strerror}")
    return int(status)
