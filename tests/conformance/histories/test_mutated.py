"""Parts of published histories and small ones of each object, changed at random: verdicts as by brute force.

The oracle shares nothing with the search: it tries every operation that may come next, over plain values.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

from oneleader.conformance.histories import Operation, judge
from oneleader.conformance.histories.formats import read
from oneleader.conformance.histories.objects import OBJECTS, BadOperation, guessed, tells
from oneleader.errors import UsageError

SAMPLES = Path(__file__).with_name("samples")
CASES = 20_000 if os.environ.get("ONELEADER_PROFILE") == "deep" else 120
STARTS: dict[str, list[Any]] = {
    "register": [None, 0, 1, 3, True],
    "key-value": [None, "a"],
    "set": [None, (1,), (1, 2)],
    "mutex": [None, True, False],
    "fenced-lock": [None, 0, 2],
}
NOTHING: dict[str, Any] = {"set": (), "mutex": False, "fenced-lock": -1}
KINDS = {
    "register": ("read", "write", "cas"),
    "key-value": ("get", "put", "append"),
    "set": ("add", "add", "remove", "read"),
    "mutex": ("acquire", "release", "expire"),
    "fenced-lock": ("acquire", "release", "acquire", "release", "expire"),
}
VALUES: dict[str, list[Any]] = {
    "register": [0, 1, None, True, "1"],
    "key-value": ["a", "b", ""],
    "set": [1, 2],
}


def told(value: Any) -> str:
    """Values that differ in JSON differ: 1 is not true."""
    return json.dumps(value)


def fits(name: str, o: Operation, held: Any) -> tuple[bool, Any]:
    """Whether the object, holding this, gives this result; and what it holds then."""
    is_open = o.returned == inf
    match o.kind:
        case "read" if name == "set":
            return is_open or sorted(map(told, o.result)) == sorted(map(told, held)), held
        case "read" | "get":
            is_absent = name == "key-value" and held is None and o.result == ""
            return is_open or told(o.result) == told(held) or is_absent, held
        case "write" | "put":
            return True, o.value
        case "append":
            return True, (held or "") + o.value
        case "add":
            return True, held if o.value in held else (*held, o.value)
        case "remove":
            return True, tuple(v for v in held if v != o.value)
        case "cas":
            succeeds = told(held) == told(o.expected)
            return is_open or o.result == succeeds, o.value if succeeds else held
    return locks(name, o, held, is_open)


def locks(name: str, o: Operation, held: Any, is_open: bool) -> tuple[bool, Any]:
    if name == "mutex":
        return o.kind == "expire" or held == (o.kind == "release"), o.kind == "acquire"
    holder, last = held if isinstance(held, tuple) else (None, held)
    if o.kind == "acquire":
        token = last + 1 if is_open else o.result
        return holder is None and token > last, (o.client, token)
    return o.kind == "expire" or holder == o.client, (None, last)


def is_explained(name: str, operations: list[Operation], held: Any) -> bool:
    """Whether some order of all that returned, and of some others, fits."""
    if all(o.returned == inf for o in operations):
        return True
    first = min(o.returned for o in operations)
    for i, o in enumerate(operations):
        if o.called <= first:
            is_so, after = fits(name, o, held)
            if is_so and is_explained(name, operations[:i] + operations[i + 1 :], after):
                return True
    return False


@cache
def published(file: str) -> dict[str, list[Operation]]:
    """Its operations by key, in the order of their calls."""
    found: dict[str, list[Operation]] = {}
    for o in sorted(read(SAMPLES / file), key=lambda o: o.called):
        found.setdefault(o.key, []).append(replace(o, key="", client=f"c{o.called}"))
    return found


def part(draw: random.Random) -> tuple[str, list[Operation]]:
    file = draw.choice(["etcd_000.log", "etcd_002.log", "etcd_005.log", "c01-bad.txt", "c01-ok.txt"])
    own = draw.choice([*published(file).values()])
    first = draw.randrange(len(own))
    return "register" if file.endswith("log") else "key-value", own[first : first + draw.randint(2, 7)]


def small(draw: random.Random) -> tuple[str, list[Operation]]:
    name = draw.choice([*KINDS])
    return name, [drawn(draw, name, i) for i in range(draw.randint(2, 6))]


def drawn(draw: random.Random, name: str, i: int) -> Operation:
    kind, called, values = draw.choice(KINDS[name]), draw.randint(0, 12), VALUES.get(name, [None])
    value = draw.choice(values) if kind not in ("read", "get") else None
    result = (
        draw.choice(values) if kind in ("read", "get") else draw.randint(0, 4) if kind == "acquire" else None
    )
    if name == "set" and kind == "read":
        result = tuple(draw.sample([1, 2, 3], draw.randint(0, 3)))
    if name == "mutex":
        result = None
    expected, result = (draw.choice(values), draw.random() < 0.5) if kind == "cas" else (None, result)
    client = draw.choice("abc") if name == "fenced-lock" else f"c{i}"
    return Operation(client, kind, "", called, called + draw.randint(0, 6), value, expected, result)


def changed(draw: random.Random, o: Operation) -> Operation:
    """Of unknown outcome, longer, shorter, or earlier."""
    match draw.choice(["open", "longer", "shorter", "earlier", "same"]):
        case "open":
            return replace(o, returned=inf, result=None)
        case "longer":
            return replace(o, returned=o.returned + draw.randint(1, 40))
        case "shorter":
            return replace(o, returned=o.called)
        case "earlier":
            return replace(o, called=o.called - draw.randint(1, 40))
    return o


def test_verdicts_are_those_of_brute_force() -> None:
    draw, seen = random.Random(1), set()
    for case in range(CASES):
        name, operations = part(draw) if case % 2 else small(draw)
        at = draw.randrange(len(operations))
        operations[at : at + 1] = [changed(draw, operations[at])]
        start = draw.choice(STARTS[name])
        held = NOTHING.get(name) if start is None else start
        expected = is_explained(name, operations, held)
        found = judge(operations, OBJECTS[name], start, shrink_seconds=0)
        explained = "holds" if any(tells(OBJECTS[name].checked(o)) for o in operations) else "inconclusive"
        assert str(found.verdict) == (explained if expected else "violated"), (case, name, start, operations)
        seen.add((name, expected))
    assert seen == {(name, is_so) for name in KINDS for is_so in (True, False)}


def test_the_comparison_would_notice_a_wrong_verdict() -> None:
    first = Operation("a", "write", "", 0, 1, 1)
    assert is_explained("register", [first, Operation("b", "read", "", 2, 3, result=1)], None)
    assert not is_explained("register", [first, Operation("b", "read", "", 2, 3, result=True)], None)


# -- in files ---------------------------------------------------------------------------------------------
Event = tuple[int, str, str, Any]  # client, type, kind, value
LINES = {
    "edn": "{{:process {}, :type :{}, :f :{}, :value {}}}",
    "etcd-log": "INFO  jepsen.util - {}\t:{}\t:{}\t{}",
}
OF_FILES = {"register": ("read", "write", "cas"), "key-value": ("get", "put", "append")}


def as_edn(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{' '.join(map(as_edn, value))}]"
    return "nil" if value is None else json.dumps(value)


def right(draw: random.Random, name: str, values: list[Any]) -> list[Event]:
    """What clients of an object see. Half of them learn what came of their call at once, the others late."""
    held: Any = None
    events: list[Event] = []
    late: list[Event] = []
    for client in range(draw.randint(2, 6)):
        kind = draw.choice(OF_FILES[name])
        value = None if kind in ("read", "get") else draw.choice(values)
        if kind == "cas":
            value = draw.choice(values), value
        events.append((client, "invoke", kind, value))
        result, done = value, "ok"
        if kind in ("read", "get"):
            result = held
        elif kind == "cas":
            done, held = ("ok", value[1]) if held == value[0] else ("fail", held)
        else:
            held = (held or "") + value if kind == "append" else value
        (events if draw.random() < 0.5 else late).append((client, done, kind, result))
    return events + draw.sample(late, len(late))


def lie(draw: random.Random, events: list[Event], values: list[Any]) -> None:
    """Another value, client, type or kind; a line twice, none, or elsewhere."""
    i = draw.randrange(len(events))
    client, type, kind, value = events.pop(i)
    other = (draw.choice(values), value[1]) if isinstance(value, tuple) else draw.choice(values)
    match draw.choice(["value", "value", "client", "type", "kind", "twice", "gone", "elsewhere"]):
        case "value":
            events.insert(i, (client, type, kind, other))
        case "client":
            events.insert(i, (draw.randint(0, 5), type, kind, value))
        case "type":
            events.insert(i, (client, draw.choice(["invoke", "ok", "fail", "info"]), kind, value))
        case "kind":
            events.insert(i, (client, type, draw.choice(["read", "write", "get", "put", "txn"]), value))
        case "twice":
            events[i:i] = [(client, type, kind, value)] * 2
        case "elsewhere":
            events.insert(draw.randint(0, len(events)), (client, type, kind, value))


def told_of(events: list[Event], *, fails_compare: bool) -> list[Operation] | None:
    """The operations; None where the lines contradict each other."""
    calls: dict[int, tuple[int, str, Any]] = {}
    found = []
    for at, (client, type, kind, value) in enumerate([*events, *((c, "end", "", None) for c in range(6))]):
        if (type == "invoke") is (client in calls) and type != "end":
            return None
        if type == "invoke":
            calls[client] = at, kind, value
        elif client in calls:
            called, asked, argument = calls.pop(client)
            if type != "end" and kind != asked:
                return None
            if type == "fail" and not (asked == "cas" and fails_compare):
                continue
            is_read, is_open = asked in ("read", "get"), type in ("info", "end")
            is_alike = told(argument) == told(value) or (argument if is_read else value) is None
            if (asked == "cas" and not isinstance(argument, tuple)) or not (is_alike or is_open):
                return None
            result = None if is_open else value if is_read else type == "ok" if asked == "cas" else None
            expected, new = argument if asked == "cas" else (None, None if is_read else argument)
            end = inf if is_open else at
            found.append(Operation(f"c{at}", asked, "", called, end, new, expected, result))
    return found or None


def object_of(operations: list[Operation]) -> str:
    """A register, or a key of strings; "" where they are of none."""
    if all(o.kind in OF_FILES["register"] for o in operations):
        return "register"
    changes = [o for o in operations if o.kind not in ("read", "get")]
    told = [v for o in changes for v in ((o.expected, o.value) if o.kind == "cas" else (o.value,))]
    read = [o.result for o in operations if o not in changes and o.result is not None]
    are_strings = all(isinstance(v, str) for v in (*told, *read))
    known = {kind for of in OF_FILES.values() for kind in of}
    return "key-value" if are_strings and all(o.kind in known for o in operations) else ""


def test_what_files_lie_is_judged_as_by_brute_force(tmp_path: Path) -> None:
    draw, seen, path = random.Random(1), set(), tmp_path / "history"
    for case in range(4 * CASES):
        name, form = draw.choice([("register", "edn"), ("register", "etcd-log"), ("key-value", "edn")])
        values = [*range(4)] if name == "register" else ["a", "b"]
        events = right(draw, name, values)
        for _ in range(draw.randint(0, 2)):
            lie(draw, events, values)
            if not events:
                break
        path.write_text("".join(LINES[form].format(c, t, k, as_edn(v)) + "\n" for c, t, k, v in events))
        operations = told_of(events, fails_compare=form == "etcd-log")
        expected = "bad"
        if operations and (one := object_of(operations)):
            tell = any(o.returned != inf and o.kind in ("read", "get", "cas") for o in operations)
            expected = (
                "violated" if not is_explained(one, operations, None) else "holds" if tell else "inconclusive"
            )
        try:
            own = read(path, form)
            found = str(judge(own, guessed(own), shrink_seconds=0).verdict)
        except (UsageError, BadOperation):
            found = "bad"
        assert found == expected, (case, path.read_text())
        seen.add(found)
    assert seen == {"holds", "violated", "inconclusive", "bad"}
