"""What the handlers' proof, for any number of servers, says of a core in which something is wrong.

A changed core is the reference with a fault of the catalogue, or a mutant of it. The proof of the core itself
goes through (docs/results/handlers.md), and on a path on which nothing that differs is run, a changed core
does the same: so only the other paths are proved again. A loop that the proof takes by its contract is not
run there, nor is what the loop calls: so of a mutant of these the contract is asked first. What goes through
while the members stay is asked about again where they change.

| by             | what                                                                      |
|----------------|---------------------------------------------------------------------------|
| refused        | a goal of a handler is not proved, or the contract of a loop is not met   |
| not understood | the code takes apart what has any size, so nothing is known of it         |
| proved         | every goal on every path: nothing that the proof speaks of is broken      |
| not run        | no handler comes there                                                    |
| open           | the time was over first                                                   |
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from oneleader.conformance.handlers.contracts import CONTRACTS, check_contract
from oneleader.conformance.handlers.facts import DEAR
from oneleader.conformance.handlers.handlers import prove_path, runs
from oneleader.conformance.handlers.running import (
    ANY,
    ANY_ALONE,
    CHANGING,
    HANDLERS,
    IS_LEADER,
    OTHER_PARTS,
    RESTART,
    WITH_CHANGES,
    Size,
)
from oneleader.conformance.reference.patch import Patched
from oneleader.errors import Inexpressible
from oneleader.faults.fault import Fault, Unlive, Variant
from oneleader.verdict import HOLDS
from oneleader_raft import raft
from oneleader_raft.core import RAFT, Core
from oneleader_raft.lease import Clocks
from workshop import ROOT
from workshop.mutation.core_mutation import CoreMutant, compiled, function_of, installed

REFUSED, NOT_UNDERSTOOD, PROVED = "refused", "not understood", "proved"
NOT_RUN, OPEN = "not run", "open"
GRAVITY = (NOT_RUN, PROVED, NOT_UNDERSTOOD, OPEN, REFUSED)
READ = (
    (ROOT / "spec/oneleader/language", "*.py"),
    (ROOT / "spec/oneleader/models", "*.py"),
    (ROOT / "spec/oneleader/readers/prove", "algebra.py"),
    (ROOT / "spec/oneleader/readers/prove", "smt.py"),
    (ROOT / "spec/oneleader/conformance/handlers", "*.py"),
    (ROOT / "reference/oneleader_raft", "*.py"),
)
OF_EVENTS = ("step", "on_event", "on_message", "adopt_term")
OF_ONE, OF_CHANGES = ", alone", ", members change"
ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # in what an exception says
DISPATCH = {"step", "on_event", "on_message"}  # which lead to every handler


@dataclass(frozen=True)
class Said:
    """What the proof says of a changed core: `where`, a handler or a loop, and `what` fails there."""

    id: str
    by: str
    where: str = ""
    what: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Changed:
    """A core in which something is wrong.

    rules    the functions of the core that differ, by name
    differs  whether this is code of theirs
    modules  where that stands, if not in the core
    in_place within it, the core is the changed one
    """

    id: str
    core: Core
    rules: frozenset[str]
    differs: Callable[[CodeType], bool]
    in_place: Callable[[], AbstractContextManager[None]] = nullcontext
    modules: tuple[ModuleType, ...] = ()
    mark: str = ""  # of the source of what differs


def of_fault(fault: Fault) -> Changed | None:
    """None where it is no fault of the core's steps."""
    made = fault.variant if isinstance(fault.variant, Variant) else fault.unlive
    if not isinstance(made, Variant | Unlive) or not isinstance(made.core, Core):
        return None
    core, module = made.core, sys.modules[made.make.__module__]
    runs = ("step", "restart", "is_leader")
    differing = frozenset(name for name in runs if getattr(core, name) != getattr(RAFT, name))
    rules = core.rules if isinstance(core, Patched) else differing
    if not rules:
        return None
    return Changed(
        fault.id,
        core,
        rules,
        lambda code: code.co_filename == module.__file__,
        modules=(module,),
        mark=mark_of(inspect.getsource(made.make)),
    )


def mark_of(source: str) -> str:
    return sha256(source.encode()).hexdigest()[:12]


def mark_of_proof() -> str:
    """Of the code by which the proof is made, its version of Z3, and the core: not of words in them."""
    files = sorted(file for folder, pattern in READ for file in folder.glob(pattern))
    return mark_of("\n".join([version("z3-solver"), *map(_without_words, files)]))


def _without_words(file: Path) -> str:
    tree = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def of_mutant(mutant: CoreMutant) -> Changed:
    code, function = compiled(mutant), function_of(mutant)

    @contextmanager
    def in_place() -> Iterator[None]:
        before, function.__code__ = function.__code__, code
        try:
            yield
        finally:
            function.__code__ = before

    name = mutant.function.rpartition(".")[2]
    return Changed(mutant.id, RAFT, frozenset({name}), lambda ran: ran is code, in_place)


def judge(changed: Changed, seconds: float, first: str = "") -> Said:
    """What the proof says, handler by handler: `first` this one, and those that take long last; and where the
    members change, of what goes through while they stay."""
    started = time.process_time()
    found = _judge(changed, (ANY, ANY_ALONE), HANDLERS, first, started + seconds)
    if found.by in (NOT_RUN, PROVED):
        found = max(found, judge_changes(changed, seconds, first), key=lambda said: GRAVITY.index(said.by))
    return replace(found, seconds=time.process_time() - started)


def judge_changes(changed: Changed, seconds: float, first: str = "") -> Said:
    """What the proof says, where members change."""
    started = time.process_time()
    found = _judge(changed, (CHANGING,), WITH_CHANGES, first, started + seconds)
    return replace(found, seconds=time.process_time() - started)


def _judge(
    changed: Changed, sizes: Sequence[Size], handlers: Sequence[str], first: str, until: float
) -> Said:
    found = Said(changed.id, NOT_RUN)
    for size in sizes:
        for handler in _in_order(handlers, changed.rules, first):
            by, what = _judge_handler(changed, handler, size, until)
            if GRAVITY.index(by) > GRAVITY.index(found.by):
                where = "" if by == PROVED else f"{handler}{_of(size)}"
                found = replace(found, by=by, where=where, what=what)
            if by in (REFUSED, OPEN):
                return found
    return found


def _of(size: Size) -> str:
    return OF_CHANGES if size.changes else OF_ONE if size.alone else ""


def judge_mutant(mutant: CoreMutant, seconds: float, first: str = "") -> Said:
    """What the contracts of its loops say, and what the handlers do, as some run it themselves."""
    said = [Said(mutant.id, NOT_RUN)]
    for loop in loops_with(mutant):
        said.append(_judge_loop(mutant, loop))
        if said[-1].by == REFUSED:
            return said[-1]
    return max(judge(of_mutant(mutant), seconds, first), *said, key=lambda one: GRAVITY.index(one.by))


def _judge_loop(mutant: CoreMutant, loop: str) -> Said:
    try:
        with installed(mutant):
            met = check_contract(loop)
    except Inexpressible:
        return Said(mutant.id, NOT_UNDERSTOOD, f"the contract of {loop}")
    by = PROVED if met.verdict is HOLDS else REFUSED
    where = "" if by == PROVED else f"the contract of {loop}"
    return Said(mutant.id, by, where, met.failing, met.seconds)


def loops_with(mutant: CoreMutant) -> list[str]:
    """The loops that the proof takes by their contracts, and that are this function or come to it."""
    name = mutant.function.rpartition(".")[2]
    return [loop for loop in CONTRACTS if name in called_from(loop.rpartition(".")[2])]


def _judge_handler(changed: Changed, handler: str, size: Size, until: float) -> tuple[str, str]:
    watch, found = _Watch(changed), NOT_RUN
    try:
        for path, ran, cluster in runs(handler, size, watch.core, changed.modules):
            if time.process_time() > until:
                return OPEN, ""
            if not watch.saw_it:
                continue
            found = PROVED
            if ran.does_nothing:
                continue
            verdict, failing, _ = prove_path(cluster, path, ran, size.models)
            if verdict is not HOLDS:
                return REFUSED, ADDRESS.sub("", failing)
    except Inexpressible:
        return NOT_UNDERSTOOD, ""
    return found, ""


class _Watch:
    """A changed core, and whether its last step ran any of what differs."""

    def __init__(self, changed: Changed) -> None:
        self.changed, self.saw_it = changed, False
        core = changed.core
        self.core = Core(self._watched(core.step), self._watched(core.restart), self._watched(core.is_leader))

    def _watched(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            self.saw_it = False
            before = sys.getprofile()
            with self.changed.in_place():
                sys.setprofile(self._saw)
                try:
                    return run(*arguments)
                finally:
                    sys.setprofile(before)

        return watched

    def _saw(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and self.changed.differs(frame.f_code):
            self.saw_it = True
            sys.setprofile(None)


# --- Which handlers may come to a function ----------------------------------------------------------------


def _in_order(handlers: Sequence[str], rules: frozenset[str], first: str) -> Sequence[str]:
    """Those that may come to one of these functions."""
    first, *_ = first.split(", ")
    found = (handler for handler in handlers if rules & reached(handler))
    return sorted(found, key=lambda handler: (handler != first, handler in DEAR))


@cache
def reached(handler: str) -> frozenset[str]:
    """The functions of the core that a handler may come to, by what its code names."""
    own = "_".join(re.findall("[A-Z]?[a-z]+", handler)).lower()
    if handler in (RESTART, IS_LEADER):
        return called_from(own)
    return called_from("step", handler) if handler in OTHER_PARTS else called_from(*OF_EVENTS, f"on_{own}")


@cache
def called_from(*names: str) -> frozenset[str]:
    """These functions of the core, and all that they may come to."""
    found: set[str] = set()
    left = [*names]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [] if name in DISPATCH else _named(name)
    return frozenset(found)


def _named(name: str) -> Iterator[str]:
    function = FUNCTIONS.get(name)
    codes = [function.__code__] if function else []
    while codes:
        code = codes.pop()
        codes += [part for part in code.co_consts if isinstance(part, CodeType)]
        yield from FUNCTIONS.keys() & {*code.co_names}


def _functions() -> dict[str, FunctionType]:
    """Of the core, with the properties and methods of its classes, by name."""
    found: dict[str, FunctionType] = {}
    for holder in (raft.Node, raft.Step, Clocks, raft):
        for name, x in vars(holder).items():
            x = x.fget if isinstance(x, property) else x
            if isinstance(x, FunctionType) and x.__module__.startswith("oneleader_raft"):
                found[name] = x
    return found


FUNCTIONS = _functions()
