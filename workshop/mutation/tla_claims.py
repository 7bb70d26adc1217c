"""The command `tla-claims`: each invariant and property of the TLA+ can fail.

A configuration that must fail shows it of the claim that it violates. For every other claim a suspect is
sought that TLC refutes by this claim:

| suspect                 | what is wrong with it                                                        |
|-------------------------|------------------------------------------------------------------------------|
| a mutant of the modules | one small thing, see `tla_mutation`, in those too that they are built on     |
| another configuration   | a bug: one that must fail by another claim, with this one in its place       |
| smaller bounds          | a bound is one less: for claims that the bounds cut nothing                  |

What TypeOK says of each variable is a claim of its own, defined around the module (`conjuncts`): a mutant
that breaks one would hide that another allows everything. Values of no type are tried first, in short runs.

They are tried wherever the claim is checked, at the smallest bounds first. Which mutants are refuted shows in
one run of TLC for all of them (`tla_batch`); each of these is then asked alone, and that counts.
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
from typing import NamedTuple

import click

from oneleader.cli.console import say
from oneleader.errors import UsageError
from oneleader.models import FLAWED, MODELS, find
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.config import SHALLOW, module_of, short
from oneleader.readers.tlc.printed import UncheckedError
from oneleader.shipped import tla_folder
from workshop import ROOT
from workshop.mutation.tla_batch import mutant_at, run, stopped_at
from workshop.mutation.tla_mutation import (
    TWINS,
    TlaMutant,
    folder_of,
    mutants,
    of_no_type,
    tokens_of,
    used_by,
)

PAGE = ROOT / "docs/results/tla-claims.md"
LIMIT = 120.0  # seconds of TLC for one mutant
FEW = 3  # steps after which a value of no type has shown, as a rule
ENOUGH = 1_500  # states of each mutant in a run of all
HEAD = """# Each claim in TLA+ can fail
Made by `python -m workshop tla-claims --write`; not to be edited.

Every invariant and property that a configuration in [`tla/`](../../tla/README.md) checks, and what makes TLC
refute it: `in` a configuration that must fail, with this claim in the place of its own where it has another;
`by` a mutant of the module, or a smaller bound, in the first of the configurations that check the claim,
smallest first, where there is one; `nothing` where none has been found yet. What TypeOK says of one variable
is a claim, too: `TypeOK_term`. The fingerprint is that of these configurations and of the modules that they
use, without comments.

| module | claim | refuted | fingerprint |
|---|---|---|---|
"""
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (by nothing|(?:by|in) `.*`) \| `(\w+)` \|$", re.MULTILINE)
BOUND = re.compile(r"^( *(Max\w+) = )(\d+)$", re.MULTILINE)
SECTION = re.compile(r"^\s*([A-Z_]+)\b", re.MULTILINE)
TEMPORALLY = frozenset({"PROPERTY", "PROPERTIES"})
CLAIMING = TEMPORALLY | {"INVARIANT", "INVARIANTS"}
TEMPORAL = "temporal property"
TYPES = "TypeOK"  # what it says of each variable is a claim, too


class Place(NamedTuple):
    """Where a claim is checked: a module, and a configuration of it."""

    module: str
    config: str


@dataclass(frozen=True)
class TlaClaim:
    """An invariant or a property, and where it is checked: the fewest states first."""

    name: str
    places: tuple[Place, ...]

    @property
    def module(self) -> str:
        return self.places[0].module


@dataclass(frozen=True)
class Suspect:
    """What TLC may refute: `said` on the page, with a module's text and a configuration's of its own.

    `depth`: only runs of so many steps are looked at.
    """

    said: str
    config: str
    mutant: TlaMutant | None = None
    depth: int | None = None


def manifest() -> dict[str, dict[str, object]]:
    told: dict[str, dict[str, object]] = json.loads((tla_folder() / "manifest.json").read_text("utf-8"))
    return told["configurations"]  # type: ignore[return-value]


def claims() -> Iterator[tuple[TlaClaim, str]]:
    """Each claim of each twin, with a configuration that must fail by it, or ""."""
    refuted: dict[tuple[str, object], str] = {}
    checked: dict[tuple[str, str], list[tuple[int, Place]]] = defaultdict(list)
    for name, told in manifest().items():
        module = Path(str(told["module"])).stem
        if told["violates"]:
            refuted[twin_of(module), violated(name, told)] = name
            continue
        for claim in tlc.claims_of(text_of(name)):
            checked[twin_of(module), claim].append((int(str(told["distinct"])), Place(module, name)))
    for (twin, claim), places in checked.items():
        of = TlaClaim(claim, tuple(place for _, place in sorted(places)))
        yield of, refuted.get((twin, claim), "")
        if claim == TYPES:
            first = tuple(sorted(of.places, key=lambda place: begins_at(place) != "Init"))  # which is mutated
            yield from ((TlaClaim(name, first), "") for name in conjuncts(of.module))


@cache
def conjuncts(module: str) -> dict[str, str]:
    """TypeOK_term and the like: what TypeOK says of each variable; another module's are claims there."""
    file = tla_folder() / f"{stem_of(twin_of(module)).removeprefix('MC')}.tla"
    body = re.search(rf"^{TYPES} ==(.*?)\n\n", file.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert body, file
    found = {}
    for conjunct in (" ".join(each.split()) for each in body[1].split("/\\")):
        if not conjunct or conjunct.endswith(f"!{TYPES}"):
            continue
        of_each = re.fullmatch(r"\\A (\w+) \\in \{(.*?)\} : (.*)", conjunct)
        name, variables, said = of_each.groups() if of_each else ("", conjunct.split()[0], conjunct)
        for variable in variables.split(", "):
            assert variable.isidentifier(), conjunct
            found[f"{TYPES}_{variable}"] = re.sub(rf"\b{name}\b", variable, said) if name else said
    return found


def defined(module: str, names: set[str]) -> list[str]:
    """What those of these names say that no module defines."""
    return [f"{name} == {text}" for name, text in conjuncts(module).items() if name in names]


def text_of(config: str) -> str:
    return (tla_folder() / config).read_text("utf-8")


def violated(name: str, configuration: dict[str, object]) -> object:
    """What the configuration violates: TLC says of a temporal property that there is one, not which."""
    said = configuration["violates"]
    if said != TEMPORAL:
        return said
    (claim,) = tlc.claims_of(only(text_of(name), None, TEMPORALLY))
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
            if TYPES in names:
                names += sorted(name for name in wanted or () if name.startswith(f"{TYPES}_"))
            is_wanted = section in claiming
            kept += [
                f"{section} {name}" for name in names if is_wanted and (wanted is None or name in wanted)
            ]
    return "\n".join(kept) + "\n"


def asking(config: str, wanted: set[str], of: str) -> str:
    """A configuration with these claims of another one in the place of its own."""
    others = only(of, wanted)
    claims = [line for line in others.splitlines() if line.startswith(tuple(CLAIMING))]
    return only(config, set()) + "\n".join(claims) + "\n"


def refutes(suspect: Suspect, module: str, wanted: set[str]) -> str:
    """The claim among these that TLC finds violated in the suspect; "" if none, or if it cannot say.

    Of a property TLC does not say which one it is, so each is asked alone.
    """
    config = only(suspect.config, wanted)
    temporal = set(tlc.claims_of(only(config, None, TEMPORALLY)))
    always = set(tlc.claims_of(config)) - temporal
    if always and (violated := _violated(suspect, module, always)) in always:
        return str(violated)
    return next((claim for claim in sorted(temporal) if _violated(suspect, module, {claim})), "")


def _violated(suspect: Suspect, module: str, asked: set[str]) -> str | None:
    with TemporaryDirectory(prefix="oneleader-claim-") as name:
        folder = folder_of(suspect.mutant, Path(name)) if suspect.mutant else tla_folder()
        file = Path(name) / "claims.cfg"
        shallow = "" if suspect.depth is None else f"CONSTRAINT {SHALLOW}\n"
        file.write_text(only(suspect.config, asked) + shallow, encoding="utf-8")
        more = [*defined(module, asked), *short(suspect.depth)]
        lines = [f"---- MODULE {tlc.AROUND} ----", f"EXTENDS {module}, TLC", *more, "====", ""]
        around = "\n".join(lines) if more else ""
        try:
            return tlc.run(folder / f"{module}.tla", file, workers=1, around=around, limit=LIMIT).violated
        except UsageError:
            return None


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


def sought(place: Place, wanted: set[str], first: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Claims, and what TLC refutes by them: suspects of these names first, until no claim is left."""
    for suspect in suspects(place, wanted, first):
        while wanted and (claim := refutes(suspect, place.module, wanted)):
            wanted.discard(claim)
            yield claim, suspect.said


def suspects(place: Place, wanted: set[str], first: frozenset[str]) -> Iterator[Suspect]:
    """Values of no type where a type is in question; what refuted claims before, mutants of what the twin is
    built on, and those that are refuted in a run with others; smaller bounds, bugs, and other mutants."""
    config = text_of(place.config)
    alone: list[TlaMutant] = []
    every = [*mutants(twin_of(place.module))]
    for mutant in untyped(place) if any(name.startswith(TYPES) for name in wanted) else ():
        yield Suspect(f"by `{mutant.id}`", config, mutant, depth=FEW)
    known = [mutant for mutant in (*every, *beneath(place)) if f"by `{mutant.id}`" in first]
    for mutant in dict.fromkeys([*known, *beneath(place)]):
        yield Suspect(f"by `{mutant.id}`", config, mutant)
    for mutant in likely(place, wanted, [m for m in every if m.goes_with_others], alone):
        yield Suspect(f"by `{mutant.id}`", config, mutant)
    for bound in BOUND.finditer(config):
        less = int(bound[3]) - 1
        text = f"{config[: bound.start()]}{bound[1]}{less}{config[bound.end() :]}"
        yield Suspect(f"by `{place.config}: {bound[2]} = {less}`", text)
    for name, told in manifest().items():
        if told["violates"] and "_bug_" in name and Path(str(told["module"])).stem == place.module:
            yield Suspect(f"in `{name}`", asking(text_of(name), wanted, config))
    for mutant in [*alone, *(m for m in every if not m.goes_with_others)]:
        yield Suspect(f"by `{mutant.id}`", config, mutant)


def beneath(place: Place) -> Iterator[TlaMutant]:
    """Mutants of the modules that a twin is built on, as Lease on Election; and its own of no type."""
    own = {mutant.file for mutant in mutants(twin_of(place.module))}
    yield from untyped(place)
    others = _used(place) - own
    yield from (mutant for twin in TWINS for mutant in mutants(twin) if mutant.file in others)


def untyped(place: Place) -> list[TlaMutant]:
    """Those with a value of no type, in the twin itself and in what it is built on, bounds last."""
    used, own = _used(place), twin_of(place.module)
    found = [mutant for twin in TWINS for mutant in of_no_type(twin) if mutant.file in used]
    return sorted(found, key=lambda mutant: (mutant.file.startswith("MC"), mutant.model != own))


@cache
def _used(place: Place) -> set[str]:
    return {file.name for file in used_by(tla_folder() / f"{place.module}.tla")}


def likely(
    place: Place, wanted: set[str], left: list[TlaMutant], alone: list[TlaMutant]
) -> Iterator[TlaMutant]:
    """Of those left each that TLC refutes in a run of all; what has to be run alone joins the others."""
    begin = begins_at(place)
    while wanted and left and begin:
        try:
            config, more = only(text_of(place.config), wanted), defined(place.module, wanted)
            found = run(left, place.module, config, begin, enough=ENOUGH, more=more)
        except UncheckedError as stopped:
            at = stopped_at(stopped)
            if at is None:
                break
            alone.append(left.pop(at))
            continue
        except UsageError:  # it took too long
            break
        if not found.violated:
            return
        yield left.pop(mutant_at(found.trace[-1]))
    alone += left


def begins_at(place: Place) -> str:
    """Where the behaviors of a configuration begin whose steps are those of Next; else ""."""
    named = re.search(r"^SPECIFICATION (\w+)$", text_of(place.config), re.MULTILINE)
    assert named
    begun = re.compile(rf"^{named[1]} == (\w+) /\\ \[\]\[Next\]_vars$", re.MULTILINE)
    texts = (file.read_text("utf-8") for file in used_by(tla_folder() / f"{place.module}.tla"))
    return next((found[1] for text in texts if (found := begun.search(text))), "")


def row(claim: TlaClaim, said: str) -> str:
    cell = said.replace("|", "\\|")
    return f"| `{claim.module}` | `{claim.name}` | {cell} | `{fingerprint(claim.places)}` |"


@cache
def fingerprint(places: tuple[Place, ...]) -> str:
    """Of the text of the modules, without comments, and of the configurations."""
    files = {file for module, _ in places for file in used_by(tla_folder() / f"{module}.tla")}
    said = [[token.text for token in tokens_of(file.read_text("utf-8"))] for file in sorted(files)]
    configs = [text_of(config) for _, config in places]
    return hashlib.sha256(repr((said, configs)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Refutation:
    """What the page says of a claim, and of what text."""

    said: str
    of: str


NOTHING = "by nothing"


def kept(page: Path = PAGE) -> dict[tuple[str, str], Refutation]:
    """What the page says, for each module and claim."""
    text = page.read_text("utf-8") if page.exists() else ""
    return {
        (module, claim): Refutation(said.replace("\\|", "|"), of)
        for module, claim, said, of in ROW.findall(text)
    }


@click.command("tla-claims")
@click.option("--write", is_flag=True, help=f"Write docs/results/{PAGE.name}.")
@click.option("--fresh", is_flag=True, help="Seek again what the page already has.")
@click.argument("names", nargs=-1)
def tla_claims(write: bool, fresh: bool, names: tuple[str, ...]) -> int:
    """For each claim of the TLA+ modules, or of those NAMES, something by which TLC refutes it."""
    every, before = list(claims()), {} if fresh else kept()
    found = {claim: f"in `{config}`" for claim, config in every if config}
    for claim, _ in every:
        known = before.get((claim.module, claim.name), Refutation(NOTHING, ""))
        if claim not in found and known.said != NOTHING and known.of == fingerprint(claim.places):
            found[claim] = known.said
    left = [c for c, _ in every if c not in found and c.module in (names or {c.module})]
    for claim, said in _found(left, before):
        say(f"{claim.module}: {claim.name} {said}")
        found[claim] = said
        if write:
            PAGE.write_text(page(every, found), encoding="utf-8")
    if write:
        PAGE.write_text(page(every, found), encoding="utf-8")
    for claim, _ in every:
        if claim not in found:
            say(f"{claim.module}: nothing refutes {claim.name}")
    return 0 if len(found) == len(every) else 1


def _found(left: list[TlaClaim], before: dict[tuple[str, str], Refutation]) -> Iterator[tuple[TlaClaim, str]]:
    """What refutes each of these: all claims of one place together, then what is left at the next one."""
    depth = max((len(claim.places) for claim in left), default=0)
    for number in range(depth):
        here: dict[Place, dict[str, TlaClaim]] = defaultdict(dict)
        for claim in left:
            if number < len(claim.places):
                here[claim.places[number]][claim.name] = claim
        for place, of in here.items():
            first = frozenset(r.said for (module, _), r in before.items() if module == place.module)
            for name, said in sought(place, set(of), first):
                left.remove(of[name])
                yield of[name], said


def page(every: list[tuple[TlaClaim, str]], found: dict[TlaClaim, str]) -> str:
    return HEAD + "\n".join(row(claim, found.get(claim, NOTHING)) for claim, _ in every) + "\n"
