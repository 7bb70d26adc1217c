"""Histories in files: in our own JSON lines, in EDN as Jepsen, Knossos and Porcupine write it, in logs.

| format   | a line                                                                                  |
|----------|-----------------------------------------------------------------------------------------|
| jsonl    | `{"client": "a", "kind": "write", "key": "x", "value": 1, "called": 0, "returned": 1}`  |
| jsonl    | `{"client": "a", "type": "invoke", "kind": "write", "value": 1}`, and so on             |
| edn      | `{:process 0, :type :invoke, :f :write, :value 1}`, in a vector or one after another    |
| etcd-log | `INFO  jepsen.util - 0  :invoke  :write  1`                                             |
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from decimal import Decimal
from itertools import islice, pairwise
from math import inf
from pathlib import Path
from typing import Any, NoReturn

from oneleader.conformance.histories import edn
from oneleader.conformance.histories.objects import ACQUIRE, CAS, READS, BadOperation
from oneleader.conformance.histories.pairing import (
    CHANGES,
    FAIL,
    INFO,
    INVOKE,
    UNSAID,
    BadLine,
    LoggedOperation,
    Moment,
    paired,
)
from oneleader.errors import UsageError
from oneleader.readers.replay.lines import GZIP, why_no_line, why_no_text
from oneleader.words import quoted
from oneleader_raft.testbench.clients import written

ETCD_LINE = re.compile(r"INFO\s+jepsen\.util - (\S+)\s+:(\w+)\s+:(\S+)\s*(.*)$")
BEGINS = {"etcd-log": ETCD_LINE, "jsonl": re.compile(r'\{\s*"'), "edn": re.compile(r"\{\s*:")}
CALL_KEYS = {"client", "kind", "key", "called", "returned", "value", "expected", "result"}
OF_RECORDINGS = {"format", "node", "tag", "event"}  # keys that stand on each of their lines
NEMESIS = "nemesis"
MOMENT_KEYS = {"client", "type", "kind", "key", "value", "time"}
NEWLINE = b"\n"
MOST_BYTES = 1 << 29  # of a history


def read(path: Path, format: str | None = None) -> list[LoggedOperation]:
    """The operations of a file. UsageError, with the line, where it is no history."""
    text = text_of(path)
    name = format or detected(path, text)
    try:
        operations = FORMATS[name](text)
        check_clients(operations)
    except (BadLine, edn.BadEdn) as error:
        raise UsageError(f"{path}:{error.line}: {_of_another(text, error.line, name) or error}") from None
    except RecursionError:
        raise UsageError(f"{path} has a value that nests deeper than can be read") from None
    except BadOperation as error:
        refuse(path, error)
    if not operations:
        raise UsageError(f"{path} has no operation of a client whose outcome matters: nothing can be judged")
    return operations


def refuse(path: Path, error: BadOperation) -> NoReturn:
    """One sentence with the line of an operation that cannot be judged."""
    line = getattr(error.operation, "line", 0)
    raise UsageError(f"{path}:{line}: {error}") from None


def text_of(path: Path) -> str:
    """What stands in the file, unpacked where gzip packed it."""
    try:
        data = _unpacked(path)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise UsageError(f"{path} is a broken or cut off gzip file: pack or copy it again") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path} is too long: a history is held in memory, up to {MOST_BYTES:,} bytes of it")
    nul = data.find(b"\0")
    if why := why_no_text(data[:4]):
        raise UsageError(f"{path}:1: {why}")
    if nul >= 0:
        raise UsageError(f"{path}:{data[:nul].count(NEWLINE) + 1}: {why_no_line(data)}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: this is no UTF-8 text") from None
    if not text.strip():
        raise UsageError(f"{path} is empty: it has no history to judge")
    return text


def _unpacked(path: Path) -> bytes:
    """As much of the file as can be judged, and one byte more."""
    with open(path, "rb") as file:
        is_packed = file.peek(2)[:2] == GZIP
        with gzip.open(file) if is_packed else nullcontext(file) as unpacked:
            data: bytes = unpacked.read(MOST_BYTES + 1)
            return data


def detected(path: Path, text: str) -> str:
    """The format, by the first line that says something."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith(";")), "")
    if re.match(r'\s*\[\s*\{\s*"', text):
        raise UsageError(f"{path} is one JSON list: write its objects each on a line of its own")
    if name := next((name for name, begins in BEGINS.items() if begins.match(first)), ""):
        return name
    if re.match(r"[\[({]|#[a-z]", first):
        return "edn"
    raise UsageError(f"{path}: the format is not known from its first line, {first[:60]!r}: give --format")


def _of_another(text: str, number: int, name: str) -> str:
    """Why a line cannot be read: it is of another format than those before."""
    line = next(islice(text.split("\n"), number - 1, None), "").strip()
    other = next((other for other, begins in BEGINS.items() if begins.match(line)), name)
    return (
        "" if other == name else f"a line of {other} in a history of the format {name}: judge each by itself"
    )


def check_clients(operations: list[LoggedOperation]) -> None:
    """A client does one thing at a time; only what has no known end may overlap with its next call."""
    by_client: dict[str, list[LoggedOperation]] = {}
    for o in sorted(operations, key=lambda o: o.called):
        by_client.setdefault(o.client, []).append(o)
    for client, own in by_client.items():
        for a, b in pairwise(o for o in own if o.returned != inf):
            if b.called < a.returned:
                raise BadLine(b.line, f"client {client} calls while its call of line {a.line} is under way")


# -- our own --------------------------------------------------------------------------------------------
def json_lines(text: str) -> list[LoggedOperation]:
    """Operations, or calls and completions: a line each."""
    rows = list(_rows(text))
    if rows and "type" in rows[0][1]:
        return paired(_moments(rows))
    return [_call(line, row) for line, row in rows]


def _rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    first: set[str] | None = None
    lines = text.split("\n")
    for line, said in enumerate(lines, 1):
        if not said.strip():
            continue
        try:
            row = json.loads(said, object_pairs_hook=_once, parse_float=Decimal)  # times in full
        except json.JSONDecodeError as error:
            raise BadLine(line, _no_json(said, error, is_last=line == len(lines))) from None
        except RecursionError:
            raise BadLine(line, "this nests deeper than can be read") from None
        except _RepeatedKey as key:
            raise BadLine(line, f"the key '{key}' stands twice") from None
        except ValueError:  # Python reads no number of more than some 4,300 digits
            raise BadLine(line, "this has a number with more digits than can be read") from None
        if not isinstance(row, dict):
            raise BadLine(line, 'each line is a JSON object, such as {"client": "a", ...}')
        allowed = MOMENT_KEYS if "type" in row else CALL_KEYS
        if first not in (None, allowed):
            raise BadLine(line, "calls with `called` and lines with `type` are mixed in this file")
        first = allowed
        if row.keys() & OF_RECORDINGS:
            raise BadLine(line, "this is a line of a recording, which `oneleader replay` judges")
        if strange := sorted(row.keys() - allowed):
            raise BadLine(line, f"{strange[0]!r} is not known here: {', '.join(sorted(allowed))}")
        for name in ("client", "kind", *(("type",) if "type" in row else ("called",))):
            if name not in row:
                raise BadLine(line, f"this line has no {name!r}")
        yield line, row


def _no_json(said: str, error: json.JSONDecodeError, *, is_last: bool) -> str:
    if error.msg == "Extra data":
        return "several objects stand on this line: write each on a line of its own"
    what = "the file is cut off here" if is_last else "this is no JSON"
    return f"{what}, at column {error.colno}: {quoted(said[max(0, error.colno - 20) :])}"


class _RepeatedKey(Exception):
    """A key that stands twice in an object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKey(key)
        found[key] = value
    return found


def _moments(rows: list[tuple[int, dict[str, Any]]]) -> Iterator[Moment]:
    before = -inf
    for line, row in rows:
        time = _time(line, "time", row.get("time", before))
        if time < before:
            raise BadLine(line, f"time goes back from {before:g} to {time:g}: sort the lines by time")
        before = time
        value = frozen(row["value"]) if "value" in row else UNSAID
        client, kind, key = _names(line, row)
        yield Moment(line, client, row["type"], kind, key, value)


def _call(line: int, row: dict[str, Any]) -> LoggedOperation:
    called = _time(line, "called", row["called"])
    ended = row.get("returned")
    returned = inf if ended is None else _time(line, "returned", ended)
    if returned < called:
        raise BadLine(line, f"this returned at {returned:g}, before it was called at {called:g}")
    value, expected, result = (frozen(row.get(name)) for name in ("value", "expected", "result"))
    if row["kind"] in READS and value is not None:
        raise BadLine(line, f"a {row['kind']} has no value: what it returned is its 'result'")
    if row["kind"] in READS and returned != inf and "result" not in row:
        raise BadLine(line, f"this {row['kind']} returned and has no 'result': null stands for none")
    for name in ("value", *(("expected",) if row["kind"] == CAS else ())):
        if row["kind"] in CHANGES and name not in row:
            raise BadLine(line, f"this {row['kind']} has no {name!r}")
    return LoggedOperation(*_names(line, row), called, returned, value, expected, result, line)


def _names(line: int, row: dict[str, Any]) -> tuple[str, str, str]:
    """Client, kind and key, each a text or a number; no key is no key where it is null, too."""
    said = {"client": row["client"], "kind": row["kind"], "key": row.get("key")}
    if said["key"] is None:
        said["key"] = ""
    for name, value in said.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadLine(line, f"{name!r} is a name or a number, not {json.dumps(value)[:60]}")
    return str(said["client"]), str(said["kind"]), str(said["key"])


def _time(line: int, name: str, value: Any) -> float:
    """With all its digits: nanoseconds since 1970 have more than a float."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or value != value:
        raise BadLine(line, f"{name!r} is a number, not {quoted(value)}")
    return value  # type: ignore[return-value]


def frozen(value: Any) -> Any:
    """Lists as tuples, numbers with a point as floats. What is left of objects, nobody can compare."""
    if isinstance(value, Decimal):
        return float(value)
    return tuple(map(frozen, value)) if isinstance(value, list) else value


# -- by others --------------------------------------------------------------------------------------------
def edn_lines(text: str) -> list[LoggedOperation]:
    """What Jepsen and Knossos keep, and Porcupine's key-value logs."""
    values = edn.read(text)
    whole = [value for value in values if isinstance(value, tuple)]
    if len(whole) > 1:
        line = next((m.line for m in whole[1] if isinstance(m, edn.EdnMap)), 1)
        raise BadLine(line, "a second history begins here: put each into a file of its own")
    maps = [m for value in values for m in (value if isinstance(value, tuple) else (value,))]
    _check_order(m for m in maps if isinstance(m, edn.EdnMap))
    moments = [_moment(m, before) for before, m in pairwise((None, *maps)) if not _is_nemesis(m)]
    return paired(_by_key(moments))


def _check_order(maps: Iterable[edn.EdnMap]) -> None:
    """Where lines have an :index, it is their order."""
    before = -1
    for m in maps:
        index = m.get("index")
        if isinstance(index, int) and index <= before:
            raise BadLine(m.line, f"the :index goes from {before} to {index}: sort the operations by it")
        before = index if isinstance(index, int) else before


def _is_nemesis(m: Any) -> bool:
    """The nemesis breaks things; it is no client."""
    return isinstance(m, edn.EdnMap) and m.get("process") == NEMESIS


def _moment(m: Any, before: Any) -> Moment:
    """`before`: what stands before it, which is a map."""
    if not isinstance(m, edn.EdnMap):
        line, at = (
            (before.line, "after the map of this line comes") if before is not None else (1, "here stands")
        )
        raise BadLine(
            line, f"{at} {quoted(m)}: a history is made of maps, {{:process 0, :type :invoke, ...}}"
        )
    for name in ("process", "type", "f"):
        if m.get(name) is None:
            raise BadLine(m.line, f"this operation has no :{name}")
    key = m.get("key")
    of = "" if key is None else str(key)
    process, type, kind = (_word(m[name]) for name in ("process", "type", "f"))
    return Moment(m.line, process, type, kind, of, edn.as_value(m["value"]) if "value" in m else UNSAID)


def _word(value: Any) -> str:
    """`invoke` and 0 as they are written."""
    return value if isinstance(value, str) else quoted(value)


def _by_key(moments: list[Moment]) -> list[Moment]:
    """Jepsen's independent keys: where something is asked with [key nil], each value is [key value]."""
    asks = (m.value for m in moments if m.type == INVOKE and m.kind in (*READS, ACQUIRE))
    if not any(isinstance(v, tuple) and len(v) == 2 and v[1] is None for v in asks):
        return moments
    keyed = []
    for m in moments:
        if not isinstance(m.value, tuple) or len(m.value) != 2:
            found = "left out" if m.value is UNSAID else written(m.value)
            raise BadLine(m.line, f"values of this history are [key value], and this one is {found}")
        keyed.append(Moment(m.line, m.client, m.type, m.kind, str(m.value[0]), m.value[1]))
    return keyed


def etcd_log(text: str) -> list[LoggedOperation]:
    """Jepsen's log of etcd, as Porcupine and its predecessor keep it."""
    return paired(_etcd_moments(text), failed_cas_compared=True)


def _etcd_moments(text: str) -> Iterator[Moment]:
    for line, said in enumerate(text.splitlines(), 1):
        if not said.strip():
            continue
        found = ETCD_LINE.match(said.strip())
        if found is None:
            raise BadLine(line, f"no line of an etcd log (or cut off): {said[:60]!r}")
        client, type, kind, said_value = found.groups()
        if client.removeprefix(":") == NEMESIS:
            continue
        values = edn.read(said_value)
        if len(values) > 1:
            raise BadLine(line, f"one value stands at the end of a line, not {quoted(said_value)}")
        if values == ["timed-out"] and type == FAIL and kind in CHANGES:
            type = INFO  # no comparison failed, and nobody knows what came of it
        yield Moment(line, client, type, kind, value=edn.as_value(values[0]) if values else UNSAID)


FORMATS: Mapping[str, Callable[[str], list[LoggedOperation]]] = {
    "jsonl": json_lines,
    "edn": edn_lines,
    "etcd-log": etcd_log,
}
