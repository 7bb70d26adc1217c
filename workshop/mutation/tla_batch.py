"""Many mutants of one TLA+ module in one run of TLC: starting Java costs more than a small graph.

Each mutant is a copy of the module under another name. A module around them has a variable `mutant`,
which Init chooses and which each action of a copy asks for; so the graph that TLC writes falls apart into
one graph for each mutant, which is then compared as that of the twin itself would be.

Of a mutant whose steps are far more than explore's no more are looked at. Where TLC stops at an expression
that it cannot evaluate, the others are judged again without that mutant; where it stops a third time, each is
left to a run of its own, for that is no dearer then. Where TLC takes too long they are judged in two halves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from oneleader.errors import UsageError
from oneleader.models import find
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.bounds import Bounds
from oneleader.readers.tlc.config import SHALLOW, config_text, module_of, short
from oneleader.readers.tlc.graph import TlcGraph
from oneleader.readers.tlc.printed import Result, TlcStep, UncheckedError
from oneleader.readers.tlc.twin import Ours, graphs_differ
from oneleader.shipped import tla_folder
from workshop.mutation.tla_mutation import TlaMutant, definitions

PATIENCE = 2  # times that TLC may stop at some mutant of a batch
LIMIT = 900.0  # seconds of TLC for one batch, on a machine that does much else


def differences(
    mutants: Sequence[TlaMutant], bounds: Bounds, ours: Ours, patience: int = PATIENCE
) -> list[str | None]:
    """Of each the first difference in words, "" where there is none, None where it has to be run alone."""
    if not mutants:
        return []
    try:
        return list(_differences(mutants, bounds, ours))
    except UncheckedError as stopped:
        if not patience:
            return [None for _ in mutants]
        if stopped.trace and len(mutants) > 1:
            at = mutant_at(stopped.trace[-1])
            before, after = mutants[:at], mutants[at + 1 :]
            rest = differences([*before, *after], bounds, ours, patience - 1)
            return [*rest[:at], None, *rest[at:]]
    except UsageError:  # it took too long
        pass
    half = len(mutants) // 2
    if half == 0:
        return [None]
    parts = mutants[:half], mutants[half:]
    return [said for part in parts for said in differences(part, bounds, ours, patience)]


def _differences(mutants: Sequence[TlaMutant], bounds: Bounds, ours: Ours) -> Iterator[str]:
    model = find(mutants[0].model)
    bounding, enough = module_of(model), 2 * len(ours.graph.steps) + 1_000
    config = config_text(bounding, model, bounds.of(model))
    result = run(mutants, bounding.stem, config, enough=enough, depth=bounds.depth, dump=True)
    assert result.graph is not None
    for number in range(len(mutants)):
        try:
            yield graphs_differ(ours, _part(result.graph, number))[0].replace("\n", "; ")
        except UsageError as error:  # a state that is no state of the model
            yield str(error)


def run(
    mutants: Sequence[TlaMutant],
    module: str,
    config: str,
    begin: str = "Init",
    *,
    enough: int,
    depth: int | None = None,
    dump: bool = False,
    more: Sequence[str] = (),
) -> Result:
    """One run of TLC for all of them, with `module` and the text of a configuration, claims and all.

    They begin at their own Init, or all in the states of `begin`; of each `enough` states at most are left.
    `depth`: only runs of so many steps. `more`: definitions beside those of `module`.
    """
    with TemporaryDirectory(prefix="oneleader-batch-") as name:
        folder = Path(name)
        for path in tla_folder().glob("*.tla"):
            (folder / path.name).write_bytes(path.read_bytes())
        for number, mutant in enumerate(mutants):
            (folder / f"{_copy(mutant, number)}.tla").write_text(_copied(mutant, number), encoding="utf-8")
        file = folder / "batch.cfg"
        file.write_text(_config(config, mutants, depth), encoding="utf-8")
        around = _around(mutants, module, begin, [*more, *short(depth)], enough=enough)
        return tlc.run(folder / f"{module}.tla", file, workers=1, dump=dump, around=around, limit=LIMIT)


def mutant_at(step: TlcStep) -> int:
    """Of which mutant a state is."""
    return int(str(step.state["mutant"]))


def stopped_at(stopped: UncheckedError) -> int | None:
    """The mutant at which TLC stopped: that of the last state, or whose text it cannot parse."""
    if stopped.trace:
        return mutant_at(stopped.trace[-1])
    unread = re.search(r"\bmodule \w+_(\d+)\b", str(stopped))
    return int(unread[1]) if unread else None


def _part(graph: TlcGraph, number: int) -> TlcGraph:
    """The graph of one mutant."""
    states = {key: state for key, state in graph.states.items() if state["mutant"] == number}
    edges = frozenset(edge for edge in graph.edges if edge[0] in states)
    return TlcGraph(states, graph.initial & states.keys(), edges)


def _copy(mutant: TlaMutant, number: int) -> str:
    return f"{mutant.file.removesuffix('.tla')}_{number}"


def _copied(mutant: TlaMutant, number: int) -> str:
    """The mutated module under another name, its actions guarded: `Restart(n)` is `Restart_(n)` if chosen."""
    text = mutant.text.replace(
        f"MODULE {mutant.file.removesuffix('.tla')} ", f"MODULE {_copy(mutant, number)} ", 1
    )
    heads = []
    for action in _actions(text):
        head = re.search(rf"^{action}(\([^)]*\)) +==", text, re.MULTILINE)
        assert head, action
        text = text[: head.start()] + f"{action}_{head[1]} ==" + text[head.end() :]
        heads.append(f"{action}{head[1]} == mutant = {number} /\\ UNCHANGED mutant /\\ {action}_{head[1]}")
    at = re.search(r"^Next ==", text, re.MULTILINE)
    assert at
    return text[: at.start()] + "\n".join(["VARIABLE mutant", *heads, "", text[at.start() :]])


def _actions(text: str) -> list[str]:
    """The names of definitions that Next mentions with parameters."""
    defined = definitions(text)
    names = {token.text for token in defined["Next"]} & defined.keys()
    return sorted(name for name in names if re.search(rf"^{name}\(", text, re.MULTILINE))


def _around(
    mutants: Sequence[TlaMutant], module: str, begin: str, more: Sequence[str], *, enough: int
) -> str:
    lines = [f"---- MODULE {tlc.AROUND} ----", f"EXTENDS {module}, Naturals, TLC", "VARIABLE mutant"]
    begins, steps = [], []
    for number, mutant in enumerate(mutants):
        lines.append(f"M{number} == INSTANCE {_copy(mutant, number)}")
        begins.append(f"  \\/ mutant = {number} /\\ {f'M{number}!Init' if begin == 'Init' else begin}")
        steps.append(f"Next_{number} ==\n" + _next_of(mutant.text, number))
    lines += [
        "BatchInit ==",
        *begins,
        *steps,
        "BatchNext ==",
        *(f"  \\/ Next_{i}" for i in range(len(mutants))),
    ]
    lines.append(f"ASSUME \\A i \\in 0..{len(mutants) - 1} : TLCSet(i, 0)")
    lines.append(f"BatchEnough == TLCSet(mutant, TLCGet(mutant) + 1) /\\ TLCGet(mutant) <= {enough}")
    return "\n".join([*lines, *more, "====", ""])


def _next_of(text: str, number: int) -> str:
    """The lines of Next, each action that of the copy."""
    head = re.search(r"^Next ==\n", text, re.MULTILINE)
    assert head
    lines = re.match(r"(?:[ ]+[^\n]*\n)+", text[head.end() :])
    assert lines
    names = "|".join(_actions(text))
    return re.sub(rf"\b({names})\(", lambda call: f"M{number}!{call[1]}(", lines[0])


def _config(text: str, mutants: Sequence[TlaMutant], depth: int | None) -> str:
    """The .cfg with what it puts in place of definitions put there in each copy, too."""
    lines = re.sub(r"^SPECIFICATION \w+$", "INIT BatchInit\nNEXT BatchNext", text, flags=re.M).splitlines()
    defined = definitions(mutants[0].text)
    for line in list(lines):
        put = re.match(r"\s*(\w+) <- (\w+)$", line)
        if put and put[1] in defined:
            copies = [f"  {put[1]} <-[{_copy(m, i)}] {put[2]}" for i, m in enumerate(mutants)]
            lines[lines.index(line) + 1 : lines.index(line) + 1] = copies
    lines += [] if depth is None else [f"CONSTRAINT {SHALLOW}"]
    return "\n".join([*lines, "CONSTRAINT BatchEnough", ""])
