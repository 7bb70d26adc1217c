"""campaign: many independent jobs (walks, explorations, conformance tests), here or on a Dask cluster.

A job is plain data and deterministic: it gives the same result on any machine that runs the same code,
which the job itself names. So results are merged by the numbers of their jobs, whatever order they came
in; a job that is lost is done again; and what stands in a journal need not be done.

Where a walk or a conformance test finds a violation, later jobs are not needed: the campaign tells the
first one, as if all had been one long run. Of a sweep all configurations are needed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import sha256
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

import oneleader
import oneleader_raft
from oneleader import models
from oneleader.campaigns.journal import Journal, key
from oneleader.campaigns.sources import digest, forget_older
from oneleader.errors import UsageError
from oneleader.faults import catalogue
from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.readers.explore.explore import explore_all, plan
from oneleader.readers.explore.explored import Explored, Violation
from oneleader.readers.explore.search import Limits
from oneleader.readers.explore.walk import UNTESTED, walk
from oneleader.readers.run import Run, State
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict, gravest

Job = dict[str, Any]
Result = dict[str, Any]

MOST_JOBS = 100_000
_ONE_AT_A_TIME = Lock()  # the readers know no threads, and a worker may have several


# -- what a job is about ---------------------------------------------------------------------------
@lru_cache
def code() -> str:
    """Names the code of this installation: a result says something of the same code only."""
    found = sha256()
    for package in (oneleader, oneleader_raft):
        folder = Path(package.__path__[0])
        for path in sorted(p for p in folder.rglob("*") if p.suffix in (".py", ".c")):
            found.update(f"{path.relative_to(folder.parent)}\n".encode() + path.read_bytes())
    return found.hexdigest()


def subject(name: str, fault: str | None = None) -> Job:
    """What a job is about: a model or an adapter by its name, or by FILE.py with a digest of what it says."""
    file, is_file, attribute = name.partition(".py")
    about = {"name": name, "fault": fault, "text": ""}
    if is_file:
        path = Path(file + is_file).resolve()
        about |= {"name": f"{path}{attribute}", "text": digest(path)}
    return {"code": code(), "about": about}


def _about(job: Job) -> tuple[str, str | None, str]:
    """The name, the fault and the digest; UsageError where they are not what the job's sender has."""
    name, fault, text = job["about"].values()
    if job["code"] != code():
        raise UsageError("a worker runs other code of oneleader than you do: install the same there")
    if text and text != digest(Path(name.partition(":")[0])):
        raise UsageError(
            f"{name}, or what it imports, is not the same on a worker: all need the same files at that place"
        )
    return name, fault, text


@lru_cache(maxsize=16)
def _model(name: str, fault: str | None, text: str) -> Model:
    if text:
        forget_older(Path(name))
    return catalogue.find(fault).model if fault else models.find(name)


def setting(job: Job) -> tuple[Model, Configuration]:
    """The model of a job and its configuration."""
    model = _model(*_about(job))
    return model, configure(model, job["sizes"], job["quorums"])


@lru_cache(maxsize=16)
def _adapter(name: str, fault: str | None, text: str) -> Callable[[Any], Any]:
    from oneleader.conformance.adapter import Adapter, ReferenceAdapter

    if name == "reference" and fault:
        return partial(ReferenceAdapter, core=catalogue.variant(fault))
    path, _, wanted = name.partition(":")
    if text:
        forget_older(Path(path))
    if text and str(Path(path).parent) not in sys.path:
        sys.path.append(str(Path(path).parent))  # what stands beside it can be imported
    own = getattr(models.module_of(Path(path), "adapter"), wanted, None) if text else None
    found = ReferenceAdapter if name == "reference" else own
    if fault or not (isinstance(found, type) and issubclass(found, Adapter)):
        raise UsageError(
            f"there is no adapter {name}{f' with the fault {fault}' if fault else ''}: "
            "give reference, or FILE.py:CLASS with a subclass of Adapter"
        )
    return found


def adapter(job: Job) -> Callable[[Any], Any]:
    """What is tested: the reference, maybe a faulty one, or the adapter CLASS of FILE.py."""
    return _adapter(*_about(job))


# -- violations, as plain data and back ------------------------------------------------------------
def _told(job: Job, run: Run, found: Violation | None, number: int | None = None) -> list[Result]:
    """`number` tells which of many runs it was."""
    if found is None:
        return []
    ghosts = sorted(f.name for f in run.cells.fields if f.kind == "ghost")
    where = {"sizes": job["sizes"], "ghosts": ghosts, "run": number}
    said = {"what": found.what, "args": [int(a) for a in found.args], "step": found.step}
    positions = [int(position) for position, _ in found.steps]
    return [where | said | {"positions": positions, "steps": found.calls(run)}]


def rebuilt(job: Job, said: Result) -> tuple[Model, Run, Violation]:
    """A violation from what a campaign's job says of it: the plain interpreter takes its steps again."""
    model, at = setting(job | {"sizes": said["sizes"]})
    run = Run(model, at, frozenset(said["ghosts"]))
    state, steps = run.initial, list[tuple[int, State]]()
    for position in said["positions"]:
        instance = run.instances[position]
        state = run.step(state, instance.action, instance.args)
        steps.append((position, state))
    return model, run, Violation(said["what"], tuple(said["args"]), steps, said["step"])


# -- the three kinds of job: how they are made, and how one is done ----------------------------------
def _shares(total: int, chunk: int, seed: int) -> Iterator[Job]:
    """A longer campaign begins with the shares of a shorter one, seeds and all."""
    if total > chunk * MOST_JOBS:
        raise UsageError(f"that makes more than {MOST_JOBS:,} jobs: give a larger --chunk")
    for start in range(0, total, chunk):
        drawn = int.from_bytes(sha256(f"{seed} {start}".encode()).digest()[:4], "big")
        yield {"seed": drawn, "first": start + 1, "share": min(chunk, total - start)}


def walks(
    about: Job, sizes: Mapping[str, int], quorums: str, *, seed: int, runs: int, length: int, chunk: int
) -> list[Job]:
    """`runs` random runs, `chunk` a job. Which runs they are depends on seed, length and chunk alone."""
    fixed = {"kind": "walk", **about, "sizes": dict(sizes), "quorums": quorums, "length": length}
    return [fixed | share for share in _shares(runs, chunk, seed)]


def _walk(job: Job) -> Result:
    model, at = setting(job)
    made = walk(model, at, seed=job["seed"], runs=job["share"], length=job["length"])
    _end_if(made.why == "interrupted")
    tested: dict[str, dict[str, bool]] = {name: {} for name in model.properties}
    for premise, met in made.premises.items():
        tested[premise.tests][premise.name] = met
    return {
        "verdict": (HOLDS if made.why == UNTESTED else made.verdict).value,  # what one lacks another may have
        "runs": made.runs,
        "steps": made.steps,
        "fired": {name: made.fired[name] for name in model.actions},
        "witnesses": {name: bool(reached) for name, reached in made.witnesses.items()},
        "tested": tested,
        "violations": _told(job, made.run, made.violation, job["first"] + made.runs - 1),
    }


def sweep(about: Job, sizes: Mapping[str, list[int]], quorums: str, **options: Any) -> list[Job]:
    """One job for each combination of the sizes; the options are `only`, `symmetry`, `engine`, `states`."""
    combinations = [dict(zip(sizes, chosen, strict=True)) for chosen in product(*sizes.values())]
    fixed = {"kind": "explore", **about, "quorums": quorums}
    asked = {"only": None, "symmetry": True, "engine": "numpy", "states": None} | options
    return [fixed | asked | {"sizes": chosen} for chosen in combinations]


def _explore(job: Job) -> Result:
    model, at = setting(job)
    asked = {name: job[name] for name in ("only", "symmetry", "engine")}
    found = [*explore_all(model, at, limits=Limits(job["states"]), **asked)]
    _end_if(any(result.why == "interrupted" for result in found))
    return {
        "verdict": gravest(result.verdict for result in found).value,
        "states": sum(result.states for result in found),
        "witnesses": {
            name: depth is not None for result in found for name, depth in result.witnesses.items()
        },
        "possible": {
            name: name not in result.unfired
            for result in found
            if result.properties
            for name in model.actions
        },
        "rows": [_row(result) for result in found],
        "violations": [said for result in found for said in _told(job, result.run, result.violation)],
    }


def _row(result: Explored) -> Result:
    """Whether each action is possible is asked of all rows together."""
    row = result.as_json()
    del row["seconds"]  # all else is the same each time
    return row | {"verdict": gravest([result.verdict, INCONCLUSIVE if result.untested else HOLDS]).value}


def conformance(
    about: Job, *, nodes: int, terms: int, seed: int, examples: int, steps: int, chunk: int
) -> list[Job]:
    """`examples` of Hypothesis against an implementation of Raft, `chunk` a job, each with its own seed."""
    fixed = {"kind": "conform", **about, "nodes": nodes, "terms": terms, "length": steps}
    return [fixed | share for share in _shares(examples, chunk, seed)]


def _conform(job: Job) -> Result:
    from oneleader.conformance.machine import check_conformance
    from oneleader.models import election

    asked = {"nodes": job["nodes"], "terms": job["terms"], "steps": job["length"], "seed": job["seed"]}
    made = check_conformance(adapter(job), examples=job["share"], **asked)
    _end_if(made.cause == "interrupted")
    failure = {
        "verdict": made.verdict.value,
        "cause": made.cause,
        "text": made.failure,
        "program": made.program,
    }
    failure |= {"seed": job["seed"], "examples": job["share"]}
    return {
        "verdict": made.verdict.value,
        "examples": made.examples,
        "steps": made.steps,
        "fired": {name: made.coverage.actions[name] for name in election.MODEL.actions},
        "failures": [] if made.verdict is HOLDS else [failure],
    }


def _end_if(interrupted: bool) -> None:
    """The readers return what an interrupted run has seen; a job is done or it is not."""
    if interrupted:
        raise KeyboardInterrupt


def check(jobs: list[Job]) -> None:
    """UsageError where they make no sense: it is said before a cluster is started."""
    for job in jobs if jobs[0]["kind"] == "explore" else jobs[:1]:
        if job["kind"] == "conform":
            from oneleader.conformance.machine import conformance_machine

            conformance_machine(adapter(job), nodes=job["nodes"], terms=job["terms"])
        else:
            model, at = setting(job)
            Run(model, at)
            plan(model, job.get("only"))


def do(job: Job) -> tuple[Result, float]:
    """The result of one job, and how many seconds it took: what a worker is asked for."""
    with _ONE_AT_A_TIME:
        started = time.perf_counter()
        result = {"walk": _walk, "explore": _explore, "conform": _conform}[job["kind"]](job)
        return result, time.perf_counter() - started


# -- merging -----------------------------------------------------------------------------------------
def merged(parts: list[Any]) -> Any:
    """Verdicts to the one that outranks, numbers to their sum, truth to `any`, lists end to end."""
    match parts[0]:
        case dict():
            names = dict.fromkeys(name for part in parts for name in part)
            return {name: merged([part[name] for part in parts if name in part]) for name in names}
        case str():
            return gravest(map(Verdict, parts)).value
        case bool():
            return any(parts)
        case list():
            return [item for part in parts for item in part]
        case _:
            return sum(parts)


def untested(walked: Result) -> list[str]:
    """The properties that no walk of all put to the test."""
    return [name for name, premises in walked.get("tested", {}).items() if not all(premises.values())]


def needed(jobs: list[Job], results: Mapping[int, Result]) -> int:
    """Jobs from this number on need not be done."""
    violated = [
        n for n, r in results.items() if r["verdict"] == VIOLATED.value and jobs[n]["kind"] != "explore"
    ]
    return min(violated, default=len(jobs) - 1) + 1


class Lost(Exception):
    """Why nothing more can be done; what is done is kept."""


Done = tuple[Result, float]  # and in how many seconds
Doing = Generator[tuple[int, Done | None], None, None]  # (number, None): the job cannot be done
Executor = Callable[[Mapping[int, Job], Callable[[int], bool]], Doing]  # in any order, while they are wanted


def here(jobs: Mapping[int, Job], wanted: Callable[[int], bool]) -> Doing:
    """Without a cluster: one job after the other, in this process."""
    for number, job in jobs.items():
        if wanted(number):
            yield number, do(job)


@dataclass
class Campaign:
    """What is done of some jobs. `taken_up` of the results stood in the journal."""

    jobs: list[Job]
    results: dict[int, Result] = field(default_factory=dict)
    taken_up: int = 0
    why: str = ""  # why jobs are missing
    seconds: float = 0.0

    @property
    def merged(self) -> Result:
        """All as one, the same in whatever order and from wherever it came.

        Where jobs are missing, a sweep reached a witness or could take an action nowhere, or no walk put some
        property to the test, it is inconclusive, unless violated.
        """
        end = needed(self.jobs, self.results)
        counted = [self.results[number] for number in sorted(self.results) if number < end]
        total: Result = merged(counted) if counted else {"verdict": INCONCLUSIVE.value}
        seen = [*total.get("witnesses", {}).values(), *total.get("possible", {}).values()]
        vacuous = self.jobs[0]["kind"] == "explore" and not all(seen)
        is_open = len(counted) < end or vacuous or bool(untested(total))
        verdict = gravest([Verdict(total["verdict"]), INCONCLUSIVE if is_open else HOLDS]).value
        return {"kind": self.jobs[0]["kind"], "jobs": end, "done": len(counted), **total, "verdict": verdict}


def campaign(
    jobs: list[Job],
    *,
    execute: Executor = here,
    journal: Journal | None = None,
    progress: Callable[[Campaign], None] = lambda _: None,
) -> Campaign:
    """Do what the journal lacks. Ctrl-C ends it early: what is done is kept, `why` is "interrupted"."""
    keys = [key(job) for job in jobs]
    known = journal.results if journal else {}
    made = Campaign(jobs, {n: known[k] for n, k in enumerate(keys) if k in known})
    made.taken_up, started = len(made.results), time.perf_counter()
    left = {n: job for n, job in enumerate(jobs) if n not in made.results and n < needed(jobs, made.results)}
    progress(made)
    try:
        with closing(execute(left, lambda n: n < needed(jobs, made.results))) as doing:
            for number, done in doing if left else ():
                if done is None:
                    made.why = f"job {number + 1} ended its worker again and again: is memory short there?"
                    continue
                if journal:
                    journal.add(keys[number], jobs[number], *done)
                made.results[number] = done[0]  # after it: what is told to be done is in the journal
                made.seconds = time.perf_counter() - started
                progress(made)
    except KeyboardInterrupt:
        made.why = "interrupted"
    except Lost as lost:
        made.why = str(lost)
    made.seconds = time.perf_counter() - started
    return made
