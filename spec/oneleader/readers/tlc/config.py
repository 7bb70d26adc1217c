"""The module and the .cfg that are given to TLC, for a configuration of a model.

Where a configuration's quorums are the majorities, it is the module's own definition that TLC runs with;
only other quorums are handed in. A module around it prints the quorums that TLC uses and what the module
calls a majority, of servers or of votes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from oneleader.errors import UsageError
from oneleader.language.configuration import Configuration, majorities
from oneleader.language.model import Model
from oneleader.language.sorts import is_enum
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.states import member_sets
from oneleader.shipped import tla_folder

SELDOM = 100  # states, until they are counted again
MOST_SERVERS = 5  # among so many, and all fewer, the module's definition of majorities is compared
QUORUMS, ENOUGH, SHALLOW = "quorums", "StatesAreEnough", "RunIsShort"
SMALLEST = "Majority"  # a definition of the smallest majorities; the others are asked of any set of servers
MAJORITIES = {  # the definitions of modules, and how the majorities among 1..k are asked of each
    SMALLEST: "Among(1..k)!Majority",
    "IsMajority": "{q \\in SUBSET (1..k) : IsMajority(q, 1..k)}",
    "TallyIsMajority": "{q \\in SUBSET (1..k) : Counting(1..k, Cardinality(q))!TallyIsMajority(1)}",
}
COUNTING = "Counting(servers, c) == INSTANCE {} WITH Node <- servers, tally <- [n \\in servers |-> c]"


def module_of(model: Model, folder: Path | None = None) -> Path:
    """`tla/MCElection.tla` for the model `election`."""
    title = "".join(part.capitalize() for part in model.name.split("_"))
    module = (folder or tla_folder()) / f"MC{title}.tla"
    if not module.is_file():
        raise UsageError(f"the model {model.name} has no TLA+ twin: there is no tla/{module.name}")
    return module


def around_text(module: Path, bounds: str, *, enough: int, depth: int | None = None) -> str:
    """A module around the twin's: it prints the quorums, and stops where states are far too many.

    `depth`: see `short`.
    """
    lines = [f"EXTENDS {module.stem}, Naturals, TLC"]
    if re.search(r"^\s*Quorum\b", bounds, re.MULTILINE):
        lines.append(f'ASSUME PrintT(<<"{QUORUMS}", Quorum>>)')
    for rule in _majority_rules(module):
        lines += {
            SMALLEST: [f"Among(servers) == INSTANCE {module.stem} WITH Node <- servers"],
            "TallyIsMajority": [COUNTING.format(module.stem)],
        }.get(rule, [])
        lines.append(f'ASSUME PrintT(<<"{rule}", [k \\in 1..{MOST_SERVERS} |-> {MAJORITIES[rule]}]>>)')
    # To ask TLC for its number of states at each of them would cost a fifth of its time.
    often = f"TLCGet(1) % {SELDOM} # 0"
    lines.append("ASSUME TLCSet(1, 0)")
    lines.append(f'{ENOUGH} == TLCSet(1, TLCGet(1) + 1) /\\ ({often} \\/ TLCGet("distinct") <= {enough})')
    lines += short(depth)
    return "\n".join([f"---- MODULE {tlc.AROUND} ----", *lines, "====", ""])


def short(depth: int | None) -> list[str]:
    """A constraint by which TLC looks at runs of up to `depth` steps.

    With one worker TLC goes breadth-first, and its level is the length of a shortest run.
    """
    return [] if depth is None else [f'{SHALLOW} == TLCGet("level") <= {depth}']


def checked_by(bounds: str, depth: int | None) -> str:
    """The .cfg of a comparison: `bounds`, and what the module around the twin's defines."""
    return f"{bounds}INVARIANT {ENOUGH}\n" + ("" if depth is None else f"CONSTRAINT {SHALLOW}\n")


def _majority_rules(module: Path) -> list[str]:
    """What the module, or the one that it bounds, defines of majorities."""
    texts = [path.read_text("utf-8") for path in (module, module.with_stem(module.stem[2:]))]
    return [rule for rule in MAJORITIES if re.search(rf"^{rule}\b", "\n".join(texts), re.MULTILINE)]


def config_text(module: Path, model: Model, configuration: Configuration) -> str:
    """The constants of the module's own .cfg, with the sizes of this configuration; no properties."""
    committed = module.with_suffix(".cfg").read_text()
    lines = re.split(r"^(?:INVARIANT|PROPERT|SYMMETRY)", committed, flags=re.MULTILINE)[0].splitlines()
    greatest = {**configuration.greatest, **configuration.longest}
    sizes = {f"Max{sort}": str(number) for sort, number in greatest.items()}
    sizes |= {name.capitalize(): str(value) for name, value in configuration.parameters.items()}
    for sort, names in configuration.elements.items():
        sizes[sort] = _set(_subsets(model, configuration, sort) or names)
    if configuration.members:
        shown = [_set(map(_set, sets)) for sets in member_sets(configuration)]
        sizes |= {"Config": _set(shown), "InitialConfig": shown[0]}
    own = {"Quorum": "<- Majority"} if quorums_of(configuration) == _majorities(configuration) else {}
    for f in model.fields.values():
        if f.kind == "constant" and is_enum(f.index[0]):
            chosen = configuration.chosen.get(f.name, ())
            sizes[f.name.capitalize()] = "{" + ", ".join(f'"{shown}"' for shown in chosen) + "}"
    values = {name: f"= {value}" for name, value in sizes.items()} | own
    return "\n".join(_sized(line, values) for line in lines) + "\n"


def _sized(line: str, values: dict[str, str]) -> str:
    """A line such as `  MaxTerm = 2` or `  Quorum <- Majority` with the value that is wanted."""
    bound = re.match(r"(\s*)(\w+)\s*(?:=|<-)", line)
    return f"{bound[1]}{bound[2]} {values[bound[2]]}" if bound and bound[2] in values else line


def quorums_of(configuration: Configuration) -> frozenset[frozenset[str]]:
    """The quorums of a configuration, by the names of their members; none where it has no such sort."""
    names, members = configuration.elements.get("Node", ()), configuration.constants.get("member", ())
    return frozenset(
        frozenset(names[n] for n, of in members if of == q)
        for q in range(len(configuration.elements.get("Quorum", ())))
    )


def _majorities(configuration: Configuration) -> frozenset[frozenset[str]]:
    names = configuration.elements.get("Node", ())
    return frozenset(frozenset(names[n] for n in q) for q in majorities(len(names)))


def _subsets(model: Model, configuration: Configuration, sort: str) -> list[str]:
    """A sort whose elements a constant relates to another's is, in TLA+, a set of subsets of that one."""
    for f in model.fields.values():
        if f.kind == "constant" and len(f.index) == 2 and f.index[1].__name__ == sort:
            names, true_at = configuration.elements[f.index[0].__name__], configuration.constants[f.name]
            members = (
                [name for m, name in enumerate(names) if (m, e) in true_at]
                for e in configuration.domain(f.index[1])
            )
            return [_set(m) for m in members]
    return []


def _set(elements: Iterable[str]) -> str:
    """A set, as TLA+ writes it."""
    return "{" + ", ".join(sorted(elements)) + "}"
