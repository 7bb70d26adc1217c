"""docs/results/faults.md: the catalogue as a page, made from the catalogue and the readers' last rows.

The rows are kept beside it, in faults.json. Only they know seconds, and how long a drawn scenario was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from oneleader.campaigns.fault_table import CAUGHT, READERS, FaultRow
from oneleader.conformance.reference import recovery
from oneleader.errors import UsageError
from oneleader.faults.beyond import BEYOND
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Because, Fault, Unlive, Variant
from oneleader.verdict import NOT_EXPRESSIBLE, Verdict
from oneleader.words import plural
from workshop import RESULTS

SAID = {verdict.worded("fault"): verdict for verdict in Verdict}
NAMES = {"hypothesis": "property test", "tlc": "TLC"}


def load(folder: Path = RESULTS) -> list[FaultRow]:
    """The rows that were kept."""
    try:
        return [_kept(row) for row in json.loads((folder / "faults.json").read_text())]
    except OSError as error:
        raise UsageError(f"{folder / 'faults.json'}: {error.strerror}; it is in the checkout") from None


def _kept(row: dict[str, Any]) -> FaultRow:
    """A row as it was, its verdict read from its word."""
    return FaultRow(**row | {"verdict": SAID[row["verdict"]]})


def write(rows: Sequence[FaultRow], folder: Path = RESULTS) -> Path:
    """Keep the rows, and write the page."""
    kept = ",\n".join(json.dumps(row.as_json()) for row in rows)
    (folder / "faults.json").write_text(f"[\n{kept}\n]\n", encoding="utf-8")
    page = folder / "faults.md"
    page.write_text(render(load(folder)), encoding="utf-8")  # of seconds as they are kept
    return page


def render(rows: Sequence[FaultRow]) -> str:
    """The whole page."""
    said = {(row.fault, row.reader): row for row in rows}
    parts = [HEAD, *_matrix(said), DRAWN, *_drawn(rows), LIVE, *_live(said), TOLD]
    for fault in FAULTS.values():
        parts += _told(fault, said)
    return "\n".join([*parts, NOT_HERE, *_beyond(), ""])


HEAD = f"""# The catalogue of faults
<!-- Written by `make faults`; tests/faults/test_catalogue.py sees when it is stale. -->

Each is one change of a correct model, of the reference, or of both, and most are bugs of real systems. Only
a check that is seen to fail says something: so each reader is shown each fault that it can be shown, and has
to find it.

    oneleader faults                     # the list
    oneleader faults show vote-twice     # its story, the lines that change, a counterexample
    oneleader faults run --only vote-twice --reader explore
    oneleader faults run                 # all of it: minutes
    oneleader explore --fault vote-twice # and so with prove, walk, graph

- **explore**: the steps of a shortest counterexample.
- **prove**: the obligation (action × property) that fails, with a counterexample to induction.
- **TLC**: the same fault written in TLA+ (`tla/MC*_bug_*.cfg`), and the steps of its counterexample.
- **property test**: a scenario of the faulty reference, drawn by Hypothesis, that a judge refuses; the steps
  that are left when it is made short.
- **simulate**: faults have ended; {recovery.PATIENCE} election timeouts later no leader stays and commits,
  or what has to come about by then has not.
- **replay**: a recording of the faulty reference is refused at this event; one of the correct one is not.

"""

DRAWN = """
## Found by the property tests
Seeds are fixed: with the same Hypothesis the figures are the same each time. Where drawing alone would seldom
begin well, the story says with what it begins; these steps are counted too.

| fault | seed | steps found | steps shrunk | seconds | judge |
|---|---|---|---|---|---|"""

LIVE = """
## Found by what is missing
After a storm of faults of all kinds all end but one, which lasts.

| fault | seed | what lasts: what is missing | seconds |
|---|---|---|---|"""

TOLD = """
## Each fault
"""

NOT_HERE = """
## What nothing here can be shown

| fault | seen in | breaks | why |
|---|---|---|---|"""


def _matrix(said: dict[tuple[str, str], FaultRow]) -> Iterator[str]:
    names = [NAMES.get(reader, reader) for reader in READERS]
    yield f"| fault | breaks | {' | '.join(names)} |"
    yield "|---" * (len(names) + 2) + "|"
    for fault in FAULTS.values():
        cells = [_cell(said[fault.id, reader]) for reader in READERS]
        yield f"| [{fault.id}](#{fault.id}) | {fault.breaks} | {' | '.join(cells)} |"
    caught = [sum(row.verdict is CAUGHT for (_, r), row in said.items() if r == reader) for reader in READERS]
    yield f"| **{len(FAULTS)} faults** | caught: | {' | '.join(map(str, caught))} |"


def _cell(row: FaultRow) -> str:
    """What one reader said: its figure, or a dash where the fault cannot be shown to it."""
    if row.verdict is not CAUGHT:
        return "-" if row.verdict is NOT_EXPRESSIBLE else f"**{row.verdict.worded('fault')}**"
    if row.reader == "prove":
        return row.detail.partition(":")[0]
    if row.reader == "replay":
        return f"event {row.length}"
    return plural(row.length, "steps") if row.length else row.verdict.worded("fault")


def _drawn(rows: Iterable[FaultRow]) -> Iterator[str]:
    for row in rows:
        if row.reader == "hypothesis" and row.verdict is CAUGHT:
            figures = f"{row.seed} | {row.found} | {row.length} | {row.seconds:.1f}"
            yield f"| {row.fault} | {figures} | {row.detail.partition(' (')[0]} |"


def _live(said: dict[tuple[str, str], FaultRow]) -> Iterator[str]:
    for (fault, reader), row in said.items():
        if reader == "simulate" and row.verdict is CAUGHT:
            yield f"| {fault} | {row.seed} | {row.detail} | {row.seconds:.1f} |"


def _told(fault: Fault, said: dict[tuple[str, str], FaultRow]) -> Iterator[str]:
    yield f'### <a id="{fault.id}"></a>{fault.id}: {fault.title}'
    yield f"{fault.story}\n\nSeen in: {fault.sources}. Breaks: {fault.breaks}.\n"
    if isinstance(fault.variant, Variant):
        yield f"- The smallest scenario: `{fault.variant.program}`."
        if fault.variant.begin:
            yield f"- What is drawn begins after `{fault.variant.begin}`."
    if isinstance(fault.unlive, Unlive):
        yield f"- What lasts: {fault.unlive.lasting}."
    if not isinstance(fault.tlc, Because):
        yield f"- In TLA+: [{fault.tlc}](../../tla/{fault.tlc})."
    why: dict[str, list[str]] = {}
    for reader in READERS:
        row = said[fault.id, reader]
        if row.verdict is NOT_EXPRESSIBLE:
            why.setdefault(row.detail, []).append(NAMES.get(reader, reader))
    for reason, readers in why.items():
        yield f"- Not shown to {', '.join(readers)}: {reason}."
    yield ""


def _beyond() -> Iterator[str]:
    for bug in BEYOND:
        yield f"| {bug.title} | {bug.sources} | {bug.breaks} | {bug.why} |"
