"""The command `tla-claims`: each invariant and property of the TLA+ can fail.

A configuration that must fail shows it of the claim that it violates. For every other claim a mutant of the
TLA+ text is sought, at the smallest bounds at which the claim is checked, that TLC refutes by this claim.
What was found is kept in docs/results/tla-claims.md, and a later run goes on from there: a row counts for the
text that its fingerprint is of.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from oneleader.cli.console import say
from oneleader.errors import UsageError
from oneleader.models import FLAWED, MODELS, find
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.config import module_of
from oneleader.shipped import tla_folder
from workshop import ROOT
from workshop.mutation.tla_mutation import TlaMutant, folder_of, mutants, tokens_of, used_by

PAGE = ROOT / "docs/results/tla-claims.md"
LIMIT = 120.0  # seconds of TLC for one mutant
HEAD = """# Each claim in TLA+ can fail
Made by `python -m workshop tla-claims --write`; not to be edited.

Every invariant and property that a configuration in [`tla/`](../../tla/README.md) checks, and what makes TLC
refute it: a configuration that must fail, or a mutant of the module, at the smallest bounds at which the
claim is checked; `nothing` where none has been found yet. The fingerprint is that of this configuration and
of the modules that it uses, without comments.

| module | claim | refuted | fingerprint |
|---|---|---|---|
"""
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (?:by|in) (`.*`|nothing) \| `(\w+)` \|$", re.MULTILINE)
SECTION = re.compile(r"^\s*([A-Z_]+)\b", re.MULTILINE)
TEMPORALLY = frozenset({"PROPERTY", "PROPERTIES"})
CLAIMING = TEMPORALLY | {"INVARIANT", "INVARIANTS"}
TEMPORAL = "temporal property"


@dataclass(frozen=True)
class TlaClaim:
    """An invariant or a property of a module, and the smallest configuration that checks it."""

    module: str
    name: str
    config: str


def manifest() -> dict[str, dict[str, object]]:
    told: dict[str, dict[str, object]] = json.loads((tla_folder() / "manifest.json").read_text("utf-8"))
    return told["configurations"]  # type: ignore[return-value]


def claims() -> Iterator[tuple[TlaClaim, str]]:
    """Each claim of each twin, with a configuration that must fail by it, or ""."""
    refuted: dict[tuple[str, object], str] = {}
    checked: dict[tuple[str, str], list[tuple[int, str, str]]] = defaultdict(list)
    for name, told in manifest().items():
        module = Path(str(told["module"])).stem
        if told["violates"]:
            refuted[twin_of(module), violated(name, told)] = name
            continue
        for claim in tlc.claims_of((tla_folder() / name).read_text("utf-8")):
            checked[twin_of(module), claim].append((int(str(told["distinct"])), name, module))
    for (twin, claim), configs in checked.items():
        _, config, module = min(configs)
        yield TlaClaim(module, claim, config), refuted.get((twin, claim), "")


def violated(name: str, configuration: dict[str, object]) -> object:
    """What the configuration violates: TLC says of a temporal property that there is one, not which."""
    said = configuration["violates"]
    if said != TEMPORAL:
        return said
    (claim,) = tlc.claims_of(only((tla_folder() / name).read_text("utf-8"), None, TEMPORALLY))
    return claim


def only(config: str, wanted: set[str] | None, claiming: frozenset[str] = CLAIMING) -> str:
    """A configuration with these of its claims alone, under these headings; None: with all under them."""
    kept, section = [], ""
    for line in config.splitlines():
        found = SECTION.match(line)
        section = found[1] if found and found[1] in tlc.KEYWORDS else section
        if section not in CLAIMING:
            kept.append(line)
        else:
            names = [word for word in re.sub(r"\\\*.*", "", line).split() if word != section]
            is_wanted = section in claiming
            kept += [
                f"{section} {name}" for name in names if is_wanted and (wanted is None or name in wanted)
            ]
    return "\n".join(kept) + "\n"


def refutes(mutant: TlaMutant, module: str, config: str, wanted: set[str]) -> str:
    """The claim among these that TLC finds violated in the mutant; "" if none, or if it cannot say."""
    with TemporaryDirectory(prefix="oneleader-claim-") as name:
        folder = folder_of(mutant, Path(name))
        file = folder / "claims.cfg"
        file.write_text(only((tla_folder() / config).read_text("utf-8"), wanted), encoding="utf-8")
        try:
            found = tlc.run(folder / f"{module}.tla", file, workers=1, limit=LIMIT)
        except UsageError:
            return ""
        return found.violated if found.violated in wanted else ""


@cache
def bounding() -> dict[str, str]:
    """The model of each module that bounds a twin: election of MCElection."""
    return {stem: name for name in (*MODELS, *FLAWED) if (stem := stem_of(name))}


def twin_of(module: str) -> str:
    """The model whose twin a module bounds, or goes on from: election of MCElectionLiveness."""
    return bounding()[max((stem for stem in bounding() if module.startswith(stem)), key=len)]


def stem_of(model: str) -> str:
    """MCElection of election; "" of a model that has no twin."""
    try:
        return module_of(find(model)).stem
    except UsageError:
        return ""


def sought(
    module: str, config: str, wanted: set[str], first: frozenset[str]
) -> Iterator[tuple[str, TlaMutant]]:
    """Claims with a mutant that TLC refutes by them: those of these names first, until no claim is left."""
    for mutant in sorted(mutants(twin_of(module)), key=lambda mutant: _unlikely(mutant, first)):
        while wanted and (claim := refutes(mutant, module, config, wanted)):
            wanted.discard(claim)
            yield claim, mutant


def _unlikely(mutant: TlaMutant, first: frozenset[str]) -> tuple[bool, int]:
    """What is refuted most often comes first: a guard or an effect that is missing. Without an action less
    can happen, so only what has to happen can fail."""
    what = mutant.id.partition(": ")[2]
    is_missing = what[0] == "-" or "EXCEPT→" in what or what.endswith("unchanged")
    return mutant.id not in first, 3 if mutant.definition in ("Init", "Next") else 1 if is_missing else 2


def row(claim: TlaClaim, by: str) -> str:
    cell = by.replace("|", "\\|")
    return f"| `{claim.module}` | `{claim.name}` | {cell} | `{fingerprint(claim.module, claim.config)}` |"


@cache
def fingerprint(module: str, config: str) -> str:
    """Of the text of the modules, without comments, and of the configuration."""
    said = [
        [t.text for t in tokens_of(f.read_text("utf-8"))] for f in used_by(tla_folder() / f"{module}.tla")
    ]
    return hashlib.sha256(repr((said, (tla_folder() / config).read_text("utf-8"))).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Refutation:
    """What the page says of a claim: the configuration or the mutant, and of what text."""

    by: str
    of: str


def kept(page: Path = PAGE) -> dict[tuple[str, str], Refutation]:
    """What the page says, for each module and claim."""
    text = page.read_text("utf-8") if page.exists() else ""
    return {
        (module, claim): Refutation(by.strip("`").replace("\\|", "|"), of)
        for module, claim, by, of in ROW.findall(text)
    }


@click.command("tla-claims")
@click.option("--write", is_flag=True, help=f"Write docs/results/{PAGE.name}.")
@click.option("--fresh", is_flag=True, help="Seek again what the page already has.")
@click.argument("names", nargs=-1)
def tla_claims(write: bool, fresh: bool, names: tuple[str, ...]) -> int:
    """For each claim of the TLA+ modules, or of those NAMES, something by which TLC refutes it."""
    every = list(claims())
    found: dict[TlaClaim, str] = {claim: f"in `{config}`" for claim, config in every if config}
    open_: dict[tuple[str, str], list[TlaClaim]] = defaultdict(list)
    before = kept()
    for claim, _ in every:
        known = before.get((claim.module, claim.name), Refutation("nothing", ""))
        is_known = known.by != "nothing" and known.of == fingerprint(claim.module, claim.config) and not fresh
        if claim not in found and is_known:
            found[claim] = f"by `{known.by}`"
        elif claim not in found and claim.module in (names or {claim.module}):
            open_[claim.module, claim.config].append(claim)
    for (module, config), of in open_.items():
        tried = frozenset(r.by for (m, _), r in before.items() if m == module)
        for name, mutant in sought(module, config, {claim.name for claim in of}, tried):
            say(f"{module}: {name} by {mutant.id}")
            found[next(claim for claim in of if claim.name == name)] = f"by `{mutant.id}`"
            if write:
                PAGE.write_text(page(every, found), encoding="utf-8")
    if write:
        PAGE.write_text(page(every, found), encoding="utf-8")
    for claim, _ in every:
        if claim not in found:
            say(f"{claim.module}: nothing refutes {claim.name}")
    return 0 if len(found) == len(every) else 1


def page(every: list[tuple[TlaClaim, str]], found: dict[TlaClaim, str]) -> str:
    return HEAD + "\n".join(row(claim, found.get(claim, "by nothing")) for claim, _ in every) + "\n"
