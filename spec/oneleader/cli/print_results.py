"""What each command prints: for people in words, for machines as plain data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneleader.cli.console import judged, mark, out, say
from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.pictures.plain import show_counterexample, show_instance, show_state, show_trace
from oneleader.readers.agree import Agreement
from oneleader.readers.explore.explore import Explored, Violation
from oneleader.readers.replay.formats.written import recording
from oneleader.readers.run import Run
from oneleader.verdict import HOLDS, INCONCLUSIVE, NOT_EXPRESSIBLE, VIOLATED, Verdict, gravest
from oneleader.words import title

if TYPE_CHECKING:  # importing them would load Z3 and Hypothesis for commands that do without
    from oneleader.readers.explore.walk import Walked
    from oneleader.readers.prove.induction import Counterexample
    from oneleader.readers.prove.prove import Proof, ProofRow
    from oneleader.readers.replay.replay import Replayed
    from oneleader.readers.tlc.coverage import ModelCoverage
    from oneleader.readers.tlc.tlc import Result
    from oneleader.readers.tlc.twin import Compared

NAME = 34  # the width of a property's name


# -- explore -------------------------------------------------------------------------------------
def explored(result: Explored) -> None:
    """The header line, a line a property and a witness, and what was cut."""
    orbits = f" (orbits of {result.symmetry})" if result.symmetry > 1 else ""
    ghosts = ", ".join(f.name for f in result.run.cells.fields if f.kind == "ghost")
    rate = (result.states - result.taken_up) / result.seconds if result.seconds else 0
    depth = max(result.depth, len(result.violation.steps) if result.violation else 0)
    say(
        f"explore  {result.run.model.name}  {result.run.configuration.describe()}"
        f"{'  with ' + ghosts if ghosts else ''}   {result.states:,} states{orbits}   "
        f"{result.transitions:,} steps   depth {depth}   {rate:,.0f} states/s"
    )
    if result.symmetry_why:
        say(f"        symmetry: {result.symmetry_why}")
    _agreed(result.agreement)
    for name in result.properties:
        broken = result.violation is not None and result.violation.what == name
        verdict = VIOLATED if broken else HOLDS if result.verdict is HOLDS else INCONCLUSIVE
        said = f"{len(result.violation.steps)} steps" if broken and result.violation else _said(result)
        judged(verdict, title(name), said, widths=(NAME,))
    for name, at in result.witnesses.items():
        end = "within the bound" if result.verdict is HOLDS else "before the run ended"
        reached = f"reached at depth {at}" if at is not None else f"not reached {end}"
        judged(HOLDS if at is not None else INCONCLUSIVE, f"witness {title(name)}", reached, widths=(NAME,))
    if result.violation and result.violation.what not in result.properties:
        judged(VIOLATED, result.violation.what, f"{len(result.violation.steps)} steps", widths=(NAME,))
    if result.never_fired and result.verdict is HOLDS and not ghosts:
        say(f"        never possible: {', '.join(result.never_fired)}")
    if result.cut and result.verdict is HOLDS:
        skipped = f"{result.cut:,} steps exceeded the bounds and were skipped"
        say(f"        {skipped}; results hold within the bounds")
    if result.untried and result.verdict is HOLDS:
        say(f"        values above the bounds matter, and are not tried: {', '.join(result.untried)}")


def _agreed(agreement: Agreement | None) -> None:
    """Whether traced and plain are the same: a difference in bold, for it makes everything else worthless."""
    if agreement and agreement.difference:
        judged(VIOLATED, str(agreement))
    elif agreement:
        say(f"        {agreement}")


def _said(result: Explored) -> str:
    if result.verdict is HOLDS:
        return result.strength
    return result.why or "not decided: the run ended at another violation"


def witness_verdict(result: Explored) -> Verdict:
    """A witness that a complete exploration did not reach leaves open whether anything holds for a reason."""
    unreached = result.verdict is HOLDS and None in result.witnesses.values()
    return INCONCLUSIVE if unreached else HOLDS


# -- counterexamples -----------------------------------------------------------------------------
def violation(run: Run, found: Violation, path: Path) -> None:
    """The counterexample step by step, what changed marked, and the command that replays it."""
    say()
    for line in show_trace(run.cells, run.configuration, run.initial, _with_instances(run, found)):
        say(line)
    say()
    say(_sentence(run, found), style="bold")
    say(f"again  oneleader replay {path}")
    say(f"see    {path.with_suffix('.html')}")
    say()


def _with_instances(run: Run, found: Violation) -> list[Any]:
    return [(run.instances[position], state) for position, state in found.steps]


def _sentence(run: Run, found: Violation) -> str:
    """What is wrong in the last state, in words."""
    if found.what == "deadlock":
        return "deadlock: no step is possible here"
    if found.what == "claim":
        return "a claim inside an action is false here"
    if found.what == "refinement":
        return "violated  the last step is none that the refined model allows"
    prop = run.model.properties[found.what]
    said = prop.doc.splitlines()[0]
    return f"violated  {title(prop.name)}: {said}\n          not so for {_binding(run, found)}"


def _binding(run: Run, found: Violation) -> str:
    params = run.model.properties[found.what].params
    pairs = zip(params, found.args, strict=True)
    return ", ".join(f"{name}={run.configuration.show(sort, value)}" for (name, sort), value in pairs)


def save(folder: Path, model: Model, run: Run, found: Violation, fault: str | None) -> Path:
    """Write a counterexample as a recording that `replay` judges, and its picture beside it; UsageError where
    that is impossible."""
    from oneleader.pictures import pages  # jinja2 takes a while to load
    from oneleader.pictures.stories import of_run

    name = "-".join(filter(None, (fault or model.name, found.what.replace("_", "-"))))
    path = folder / f"{name}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in recording(model, run, found, fault)))
    except OSError as error:
        raise UsageError(
            f"cannot write the counterexample to {path}: {error.strerror}; give another --out"
        ) from None
    pages.write(of_run(run, found, f"oneleader replay {path}"), path.with_suffix(".html"))
    return path


# -- prove ---------------------------------------------------------------------------------------
def proof(result: Proof, *, grid: bool = False) -> None:
    """A line a property; then each obligation that is not proved, with its picture."""
    say(
        f"prove    {result.model.name}  any number of nodes, unbounded terms   {len(result.rows)} obligations"
    )
    if grid:
        _grid(result)
    for goal in dict.fromkeys(r.goal for r in result.rows):
        _goal(goal, [r for r in result.rows if r.goal == goal])
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
    _agreed(result.agreement)
    possible(result)
    judged(result.verdict, proof_summary(result), f"{result.seconds:.1f} s")


def _goal(goal: str, rows: list[ProofRow]) -> None:
    """One property: of how many of its obligations it is proved, or why it cannot be asked."""
    verdict = gravest(row.verdict for row in rows)
    reasons = dict.fromkeys(row.reason for row in rows if row.verdict is NOT_EXPRESSIBLE)
    done = sum(row.verdict is HOLDS for row in rows)
    said = "; ".join(reasons) or f"{done} of {len(rows)} proved"
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
        say(f"  axioms and Init have a model of {seen[0].instance.configuration.describe()}{can}")
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


# -- TLC -----------------------------------------------------------------------------------------
def tlc(module: str, config: str, result: Result) -> None:
    say(
        f"tlc      {module} with {config}   {result.distinct:,} states   {result.generated:,} generated   "
        f"depth {result.depth}   {result.seconds:.1f} s"
    )
    if result.verdict is HOLDS:
        judged(HOLDS, "no error found within the bounds of the .cfg")
        return
    judged(VIOLATED, result.violated or "", f"{len(result.trace) - 1} steps")
    before: dict[Any, Any] = {}
    for step in result.trace:
        changed = {k: v for k, v in step.state.items() if before.get(k) != v} if before else {}
        say(f"  {step.action}")
        for variable, value in changed.items():
            say(f"      {variable} = {tla(value)}")
        before = dict(step.state)


def tla(value: Any) -> str:
    """A value read from TLC, in TLA+ again."""
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(map(tla, value))) + "}"
    if isinstance(value, tuple):
        return "<<" + ", ".join(map(tla, value)) + ">>"
    if hasattr(value, "items"):
        return "(" + " @@ ".join(f"{tla(k)} :> {tla(v)}" for k, v in value.items()) + ")"
    return str(value).upper() if isinstance(value, bool) else str(value)


def tlc_json(result: Result) -> dict[str, Any]:
    return {
        "violated": result.violated,
        "distinct": result.distinct,
        "generated": result.generated,
        "depth": result.depth,
        "seconds": round(result.seconds, 3),
        "trace": [step.action for step in result.trace],
    }


def compared(result: Compared) -> None:
    """Whether the two graphs are one."""
    say(
        f"tlc      {result.run.model.name}  {result.run.configuration.describe()}   "
        f"TLC {result.tlc_seconds:.1f} s, in all {result.seconds:.1f} s"
    )
    if result.difference:
        judged(result.verdict, "the graphs differ")
        for line in difference(result):
            say(f"        {line}")
    else:
        judged(result.verdict, f"the same {result.states:,} states and {result.edges:,} labelled transitions")


def difference(result: Compared) -> list[str]:
    """Where the graphs part, with the two states of the transition that only one of them has."""
    lines = result.difference.splitlines()
    if result.edge:
        cells, at = result.run.cells, result.run.configuration
        before, _, after = result.edge
        lines += ["from this state:", *(f"  {line}" for line in show_state(cells, at, before))]
        lines += ["to this state:", *(f"  {line}" for line in show_state(cells, at, after))]
    return lines


def exercised(result: Compared) -> None:
    """What bounds that somebody chose exercise: a note, since equal graphs are what was asked for."""
    coverage = result.coverage
    say(f"        at these bounds {coverage.describe()}")
    for name in coverage.missing:
        say(f"        not seen: {name}")


def covered(coverage: ModelCoverage) -> None:
    """Whether the bounds together exercise every rule; what they leave out is named."""
    say("tlc      what the bounds exercise together")
    judged(coverage.verdict, coverage.describe())
    for name in coverage.missing:
        say(f"        not seen: {name}")
    for name, reason in coverage.reasons.items():
        say(f"        cannot be seen: {name}: {reason}")


def twin_json(found: Sequence[Compared], coverage: ModelCoverage) -> dict[str, Any]:
    return {
        "compared": [compared_json(one) for one in found],
        "coverage": {
            "verdict": str(coverage.verdict),
            "describe": coverage.describe(),
            "missing": coverage.missing,
            "reasons": dict(coverage.reasons),
        },
    }


def compared_json(result: Compared) -> dict[str, Any]:
    return {
        "model": result.run.model.name,
        "configuration": result.run.configuration.describe(),
        "verdict": result.verdict.value,
        "states": result.states,
        "edges": result.edges,
        "seconds": round(result.seconds, 3),
        "difference": result.difference,
        "not_seen": result.coverage.missing,
    }


# -- walk ----------------------------------------------------------------------------------------
def walked(result: Walked) -> None:
    """Verdict, seed, how often each action fired, which never did."""
    rate = result.steps / result.seconds if result.seconds else 0
    say(
        f"walk     {result.run.model.name}  {result.run.configuration.describe()}   seed {result.seed}   "
        f"{result.runs:,} runs   {result.steps:,} steps   {rate:,.0f} steps/s"
    )
    _agreed(result.agreement)
    judged(result.verdict, "every property in every state", result.why or result.strength, widths=(NAME,))
    for name in result.run.model.actions:
        times = result.fired[name]
        say(f"        {name:26} {f'{times:,} times' if times else 'never'}")
    for name, reached in result.witnesses.items():
        say(f"        witness {title(name):{NAME}} {'reached' if reached else 'not reached'}")


def walked_json(result: Walked) -> dict[str, Any]:
    return {
        "model": result.run.model.name,
        "configuration": result.run.configuration.describe(),
        "seed": result.seed,
        "verdict": result.verdict.value,
        "why": result.why,
        "agreement": result.agreement and str(result.agreement),
        "runs": result.runs,
        "steps": result.steps,
        "seconds": round(result.seconds, 3),
        "fired": {name: result.fired[name] for name in result.run.model.actions},
        "never_fired": result.never_fired,
        "witnesses": result.witnesses,
        "violation": result.violation
        and {"what": result.violation.what, "steps": result.violation.calls(result.run)},
    }


# -- replay --------------------------------------------------------------------------------------
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
