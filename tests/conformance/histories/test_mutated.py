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
from oneleader.conformance.histories.objects import OBJECTS, tells

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
