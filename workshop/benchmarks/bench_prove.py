"""`make bench-prove`: all safety proofs of all models with their hints, over all cores, for each seed.

`bench_prove.py 5` does it with the seeds 0 to 4. Seconds of a proof are processor seconds of its process;
those of all of them are by the clock, so other work beside them counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from oneleader.campaigns.cores import Died, cores, over_cores
from oneleader.models import MODELS, find
from oneleader.readers.prove.hints import hints_file
from oneleader.readers.prove.prove import prove
from oneleader.verdict import HOLDS

LONGEST_FIRST = ("snapshots", "membership", "lease_read", "logless")


@dataclass(frozen=True)
class Proved:
    """A proof of a model, with one seed."""

    model: str
    obligations: int
    left: Sequence[str]
    seconds: float


def proved(name: str, seed: int) -> Proved:
    started = time.process_time()
    proof = prove(find(name), seed=seed)
    left = [row.key for row in proof.rows if (row.verdict, row.hint) != (HOLDS, "used")]
    if proof.verdict is not HOLDS and not left:
        left = ["not everything is possible"]
    return Proved(name, len(proof.rows), left, time.process_time() - started)


def proving(seed: int) -> bool:
    """All models; whether everything went through with its hint."""
    hinted = [name for name, model in MODELS.items() if hints_file(model).is_file()]
    names = sorted(hinted, key=lambda name: [*LONGEST_FIRST, name].index(name))
    started, found = time.perf_counter(), []
    for outcome in over_cores([partial(proved, name, seed) for name in names], preload=[__name__]):
        done = outcome.result
        if isinstance(done, Died):
            done = Proved(names[outcome.number], 0, [done.cause], outcome.seconds)
        found.append(done)
        what = f"  {done.model:14}{done.obligations:>6,} obligations {done.seconds:7.1f} s"
        print(f"{what}  {'; '.join(done.left)}".rstrip(), flush=True)
    wall, used = time.perf_counter() - started, sum(done.seconds for done in found)
    every = sum(done.obligations for done in found)
    print(f"  {f'seed {seed}':14}{every:>6,} obligations {used:7.1f} s, {wall:.1f} s on {cores()} cores")
    return not any(done.left for done in found)


def main() -> int:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    unstable = [seed for seed in range(seeds) if not proving(seed)]
    return 1 if unstable else 0


if __name__ == "__main__":
    sys.exit(main())
