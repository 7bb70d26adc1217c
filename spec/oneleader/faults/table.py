"""The table fault × reader: each reader must catch each fault, or say why it cannot express it.

`caught` means what the catalogue expects: `explore` and TLC break the property in exactly the expected
number of steps, `prove` fails on the expected obligation with a counterexample to induction, the
property test refuses a run of the faulty reference. Anything else is `missed`.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from oneleader.conformance.adapter import ReferenceAdapter
from oneleader.conformance.machine import check_conformance
from oneleader.errors import MissingTool
from oneleader.faults.catalogue import Fault
from oneleader.faults.reference import REFERENCE_FAULTS
from oneleader.readers import tlc
from oneleader.readers.explore import explore
from oneleader.readers.prove import prove
from oneleader.readers.twin import tla_folder

EXAMPLES = 3000  # of the property test: what needs a duplicated reply among four servers takes 1,500
CAUGHT, MISSED, NOT_EXPRESSIBLE, INCONCLUSIVE = "caught", "missed", "not expressible", "inconclusive"


@dataclass(frozen=True)
class FaultRow:
    """What one reader said of one fault; `length` is in steps, where the reader shows a run."""

    fault: str
    reader: str
    verdict: str
    length: int | None
    seconds: float
    detail: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"seconds": round(self.seconds, 3)}


def judge(fault: Fault) -> list[FaultRow]:
    """The four rows of one fault."""
    return [by_explore(fault), by_proof(fault), by_tlc(fault), by_property_test(fault)]


def by_explore(fault: Fault) -> FaultRow:
    """Breadth-first search breaks the property, in the expected number of steps."""
    model = fault.model
    result = explore(model, fault.configuration, properties=[model.properties[fault.breaks]])
    length = len(result.violation.steps) if result.violation else None
    verdict = CAUGHT if length == fault.steps else MISSED
    detail = f"{fault.breaks} broken" if length else "holds"
    if length and length != fault.steps:
        detail += f", {fault.steps} steps expected"
    return FaultRow(fault.id, "explore", verdict, length, result.seconds, detail)


def by_proof(fault: Fault) -> FaultRow:
    """The expected obligation fails, at a finite size that the plain interpreter confirms."""
    if isinstance(fault.proof, str):
        return FaultRow(fault.id, "prove", NOT_EXPRESSIBLE, None, 0.0, fault.proof)
    key = "/".join(fault.proof)
    result = prove(fault.model, only=[key])
    row = result.rows[0]
    caught = row.verdict == "violated" and row.counterexample is not None
    detail = f"{fault.proof[0]} × {fault.proof[1]}: {row.verdict}"
    return FaultRow(
        fault.id, "prove", CAUGHT if caught else MISSED, 1 if caught else None, result.seconds, detail
    )


def by_tlc(fault: Fault) -> FaultRow:
    """TLC breaks the same property on the twin's own version of the fault, in as many steps."""
    config = tla_folder() / fault.config
    module = config.with_name(f"{fault.config.partition('_')[0]}.tla")
    try:
        result = tlc.run(module, config, workers=1)  # one worker: its counterexample is a shortest one
    except MissingTool as error:
        return FaultRow(fault.id, "tlc", INCONCLUSIVE, None, 0.0, str(error))
    length = len(result.trace) - 1 if result.violated else None
    broken = fault.model.properties[fault.breaks].title
    caught = result.violated == broken and length == fault.steps
    detail = f"{result.violated} broken" if result.violated else "holds"
    return FaultRow(fault.id, "tlc", CAUGHT if caught else MISSED, length, result.seconds, detail)


def by_property_test(fault: Fault, *, seed: int = 1) -> FaultRow:
    """Hypothesis finds a run of the faulty reference that the model does not allow, and shrinks it."""
    started = time.perf_counter()
    faulty = REFERENCE_FAULTS[fault.id]
    result = check_conformance(
        partial(ReferenceAdapter, core=faulty.core), nodes=faulty.nodes, seed=seed, examples=EXAMPLES
    )
    caught = result.verdict == "violated"
    length = len(result.shrunk_steps) if caught else None
    detail = result.cause if caught else "nothing found"
    seconds = time.perf_counter() - started
    return FaultRow(fault.id, "hypothesis", CAUGHT if caught else MISSED, length, seconds, detail)
