"""The command `prove`, and what it prints."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from oneleader.cli.console import NAME, beneath, judged, mark, not_tried, out, say
from oneleader.cli.explore import agreed
from oneleader.cli.options import chosen, fault_option, json_option, model_argument, print_json
from oneleader.pictures.plain import show_counterexample, show_instance
from oneleader.readers.beyond import untried_axioms
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, gravest
from oneleader.words import title

if TYPE_CHECKING:  # importing them would load Z3 for commands that do without
    from oneleader.readers.prove.induction import Counterexample
    from oneleader.readers.prove.prove import Proof, ProofRow


@click.command()
@model_argument
@fault_option
@click.option("--only", multiple=True, metavar="NAME", help="Only this action, property or action/property.")
@click.option("--no-hints", is_flag=True, help="Give Z3 every hypothesis each time.")
@click.option(
    "--update-hints", is_flag=True, help="Find the hypotheses that each proof needs, and save them."
)
@click.option("--rlimit", type=click.IntRange(1), help="Z3's effort per obligation.")
@click.option("--seed", type=int, default=0, help="Z3's random seed.")
@click.option(
    "--prover",
    type=click.Choice(["z3", "cvc5", "both"]),
    default="z3",
    help="cvc5 can only confirm; with both, what only one proves is inconclusive.  [default: z3]",
)
@click.option(
    "--instance",
    is_flag=True,
    help="Print a finite instance of the axioms and Init, and one for each action.",
)
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
        print_json(proof_json(proof))
    else:
        proved(proof, grid=grid)
        if instance:
            instances(proof)
    return proof.status


def proved(result: Proof, *, grid: bool = False) -> None:
    """A line a property; then each obligation that is not proved, with its picture."""
    say(
        f"prove    {result.model.name}  any number of nodes, unbounded terms   {len(result.rows)} obligations"
    )
    if grid:
        _grid(result)
    for goal in dict.fromkeys(r.goal for r in result.rows):
        _goal(goal, [r for r in result.rows if r.goal == goal], in_part=goal in result.in_part)
    for row in result.rows:
        if row.verdict not in (HOLDS, NOT_EXPRESSIBLE):
            judged(row.verdict, f"{row.step} × {title(row.goal)}", row.reason)
            if row.counterexample:
                for text in show_counterexample(row.counterexample):
                    say(f"        {text}")
                say(f"        {_seen(row.counterexample)}")
    stale = [r.key for r in result.rows if r.hint == "stale"]
    if stale:
        say(f"  hints no longer suffice for {', '.join(stale)}: run oneleader prove --update-hints")
    if result.interrupted:
        say("  interrupted: the rest was not tried")
    agreed(result.agreement)
    possible(result)
    judged(result.verdict, proof_summary(result), f"{result.seconds:.1f} s")


def _goal(goal: str, rows: list[ProofRow], *, in_part: bool) -> None:
    """One property: of how many of its obligations it is proved, or why it cannot be asked."""
    verdict = INCONCLUSIVE if in_part else gravest(row.verdict for row in rows)
    reasons = dict.fromkeys(row.reason for row in rows if row.verdict is NOT_EXPRESSIBLE)
    done = sum(row.verdict is HOLDS for row in rows)
    said = "; ".join(reasons) or f"{done} of {len(rows)} proved{', the others were not asked' * in_part}"
    judged(verdict, title(goal), said, widths=(NAME,))


def _grid(result: Proof) -> None:
    """Milliseconds, action × property."""
    steps = list(dict.fromkeys(r.step for r in result.rows))
    goals = list(dict.fromkeys(r.goal for r in result.rows))
    by = {(r.step, r.goal): r for r in result.rows}
    letters = [chr(ord("a") + i) if i < 26 else str(i) for i in range(len(goals))]
    say(f"  {'':24}{'  '.join(f'{x:>5}' for x in letters)}")
    for step in steps:
        line = out.render_str(f"  {step:24}")
        for goal in goals:
            row = by.get((step, goal))
            if row is None:
                line.append("    .  ")
            elif row.verdict is HOLDS:
                line.append(f"{row.seconds * 1000:5.0f}  ")
            else:
                line.append_text(mark(row.verdict)).append("   ")
        out.print(line)
    say("  milliseconds each;  " + "  ".join(f"{x} {title(g)}" for x, g in zip(letters, goals, strict=True)))


def possible(result: Proof) -> None:
    """That nothing was proved of nothing: what has a model, and what was not seen to be possible."""
    for answer in result.possible:
        if answer.verdict is not HOLDS:
            judged(answer.verdict, answer.what, answer.reason)
    seen = [a for a in result.possible if a.instance]
    if seen and seen[0].instance and seen[0] is result.possible[0]:
        kinds, every = (Counter(a.kind for a in some[1:]) for some in (seen, result.possible))
        said = [f"{kinds[kind]} of {every[kind]} {kind}" for kind in every]
        can = f"; {' and '.join(said)} are possible" if said else ""
        at = seen[0].instance.configuration
        say(f"  axioms and Init have a model of {at.describe()}{can}")
        beneath(not_tried(untried_axioms(result.model, at, constants_end=True)))
    by = Counter(prover for r in result.rows for prover in r.by if r.verdict is HOLDS)
    if set(by) != {"z3"}:
        say("  " + "; ".join(f"{p} proves {n} of {len(result.rows)}" for p, n in sorted(by.items())))
        alone = [r.key for r in result.rows if r.verdict is HOLDS and r.by == ("z3",)]
        if alone:
            say(f"  by z3 alone: {', '.join(alone)}")
    if result.assumes:
        say(f"  assumes: {', '.join(result.assumes)}; not proved here")


def instances(result: Proof) -> None:
    """A model of axioms and Init, and for each action a state in which it is possible."""
    for answer in result.possible:
        if answer.instance and answer.kind != "premises":
            say(f"  {answer.what} {'have a model' if answer.instance.instance is None else 'is possible'}")
            for line in show_instance(answer.instance):
                say(f"    {line}")


def proof_summary(result: Proof) -> str:
    """`64 of 64 proved for any cluster size`, where nothing limits it."""
    done = f"{sum(r.verdict is HOLDS for r in result.rows)} of {len(result.rows)} proved"
    if any(answer.verdict is not HOLDS for answer in result.possible):
        return f"{done}, but not everything is possible: see above"
    if result.assumes:
        return f"{done} for any cluster size, if what is assumed and not proved here holds"
    if result.in_part:
        return f"{done} for any cluster size, and not all that makes the properties hold was asked"
    return f"{done} for any cluster size"


def _seen(found: Counterexample) -> str:
    from oneleader.pictures import pages
    from oneleader.pictures.stories import of_counterexample

    key = f"{found.obligation.model.name}-{found.obligation.step}-{found.obligation.goal}"
    return pages.see(lambda: of_counterexample(found), key)


def proof_json(result: Proof) -> dict[str, Any]:
    return {
        "model": result.model.name,
        "verdict": result.verdict.worded("proof"),
        "seconds": round(result.seconds, 3),
        "interrupted": result.interrupted,
        "agreement": result.agreement and str(result.agreement),
        "assumes": result.assumes,
        "possible": [
            {"what": a.what, "verdict": str(a.verdict), "reason": a.reason} for a in result.possible
        ],
        "rows": [
            {
                "step": r.step,
                "goal": r.goal,
                "verdict": r.verdict.worded("proof"),
                "seconds": round(r.seconds, 4),
            }
            | {"rlimit": r.rlimit, "hint": r.hint, "reason": r.reason, "by": r.by}
            for r in result.rows
        ],
    }
