"""What `oneleader campaign` prints: one merged result of many jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from oneleader.campaigns.campaign import Campaign, Job, Result, rebuilt, setting, untested
from oneleader.cli.console import NAME, beneath, judged, not_tested, say
from oneleader.cli.counterexamples import save, violation
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict
from oneleader.words import plural, title

ROW = (50, 20, 12)  # the widths of a row of a sweep


def progress(made: Campaign) -> str:
    """`  12 / 100 jobs   3.2 jobs/s   about 28 s left`."""
    done, every = len(made.results), len(made.jobs)
    rate = (done - made.taken_up) / made.seconds if made.seconds else 0.0
    left = f"   {rate:,.1f} jobs/s   about {(every - done) / rate:,.0f} s left" if rate else ""
    return f"  {done:,} / {every:,} jobs{left}"


def as_json(made: Campaign, seed: int | None) -> Result:
    merged = made.merged
    drawn = {} if merged["kind"] == "explore" else {"seed": seed}
    return {**merged, **drawn, "why": made.why, "seconds": round(made.seconds, 3)}


def campaign(made: Campaign, seed: int | None) -> None:
    """The merged result; then what is missing."""
    merged, job = made.merged, made.jobs[0]
    said: dict[str, Callable[[Result, Job, int | None], None]]
    said = {"walk": _walked, "explore": _swept, "conform": _conformed}
    if merged["done"]:
        said[merged["kind"]](merged, job, seed)
    if merged["done"] < merged["jobs"]:
        judged(INCONCLUSIVE, f"{merged['done']:,} of {merged['jobs']:,} jobs are done: {made.why}")
    taken_up = f", {made.taken_up:,} of them from the journal" if made.taken_up else ""
    say(f"        {plural(merged['done'], 'jobs')}{taken_up}, in {made.seconds:.1f} s")


def _fired(merged: Result) -> None:
    for name, times in merged["fired"].items():
        say(f"        {name:26} {f'{times:,} times' if times else 'never'}")


def _walked(merged: Result, job: Job, seed: int | None) -> None:
    model, at = setting(job)
    say(
        f"walk     {model.name}  {at.describe()}   seed {seed}   {merged['runs']:,} runs   "
        f"{merged['steps']:,} steps"
    )
    strength = f"sampled, {merged['runs']:,} runs, {merged['steps']:,} states after their steps"
    judged(Verdict(merged["verdict"]), "every property in every state", strength, widths=(NAME,))
    beneath(not_tested(untested(merged)))
    _fired(merged)
    for name, reached in merged["witnesses"].items():
        reach = "reached" if reached else "not reached"
        say(f"        witness {title(name):{NAME}} {reach}")


def _swept(merged: Result, job: Job, seed: int | None) -> None:
    rows = merged["rows"]
    say(f"explore  {rows[0]['model']}  a sweep   {merged['states']:,} states")
    for row in rows:
        where = row["configuration"] + (f" with {', '.join(row['ghosts'])}" if row["ghosts"] else "")
        broken = row["violation"]
        what = f"{title(broken['what'])} in {len(broken['steps'])} steps" if broken else row["why"]
        columns = (where, f"{row['states']:>12,} states", f"depth {row['depth']}", what)
        judged(Verdict(row["verdict"]), *columns, widths=ROW)
    for name, reached in merged["witnesses"].items():
        verdict = HOLDS if reached else INCONCLUSIVE
        reach = "reached" if reached else "not reached in any of these"
        judged(verdict, f"witness {title(name)}", reach, widths=ROW)
    never = [name for name, is_possible in merged["possible"].items() if not is_possible]
    if never:
        said = f"never possible within the bounds of any: {', '.join(never)}"
        judged(INCONCLUSIVE, "every action", said, widths=ROW)


def _conformed(merged: Result, job: Job, seed: int | None) -> None:
    name, fault, _ = job["about"].values()
    say(
        f"conform  {Path(name).name}{f' with the fault {fault}' if fault else ''}  {job['nodes']} nodes, "
        f"{job['terms']} terms   seed {seed}   {merged['examples']:,} examples   {merged['steps']:,} steps"
    )
    strength = f"sampled, {merged['examples']:,} examples, {merged['steps']:,} steps"
    judged(Verdict(merged["verdict"]), "each step is one that the model allows", strength, widths=(NAME,))
    _fired(merged)
    failures = sorted(merged["failures"], key=lambda failure: failure["verdict"] != VIOLATED.value)
    for failure in failures[:1]:
        judged(Verdict(failure["verdict"]), failure["cause"])
        for line in [*failure["text"].splitlines(), *failure["program"].splitlines()]:
            say(f"        {line}")
        asked = f"nodes={job['nodes']}, terms={job['terms']}, steps={job['length']}, "
        asked += f"examples={failure['examples']}, seed={failure['seed']}"
        say(f"again  check_conformance(..., {asked})")


def violations(made: Campaign, folder: Path, *, silent: bool) -> None:
    """Write every counterexample as a recording; print the first, and the places of the others."""
    fault: Any = made.jobs[0]["about"]["fault"]
    for number, said in enumerate(made.merged.get("violations", [])):
        model, run, found = rebuilt(made.jobs[0], said)
        is_one_of_many = made.jobs[0]["kind"] == "explore"
        place = "-".join(f"{sort.lower()}{size}" for sort, size in said["sizes"].items())
        path = save(folder / place if is_one_of_many else folder, model, run, found, fault)
        if silent:
            continue
        if number:
            say(f"again  oneleader replay {path}")
            continue
        if said["run"]:
            judged(VIOLATED, f"run {said['run']:,}: {found.what}", f"{len(found.steps)} steps")
        violation(run, found, path, fault)
