"""EDN, as far as histories are written in it: values with the line in which they begin.

Maps become dicts, vectors and lists tuples, sets frozensets (a tuple where they hold an element twice),
keywords and symbols `Keyword`. Tags (`#inst`, `#jepsen.history.Op`) are dropped, their values kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TOKEN = re.compile(
    r"""[\s,]+|;[^\n]*|(?P<string>"(?:[^"\\]|\\.)*")|(?P<open>\#?\{|\(|\[)|(?P<close>[\])}])"""
    r"""|(?P<discard>\#_)|(?P<tag>\#[A-Za-z:][^\s,()\[\]{}"]*)|(?P<char>\\(?:[a-z]+|.))|(?P<atom>[^\s,()\[\]{}";]+)""",
    re.DOTALL,
)
CLOSES = {"(": ")", "[": "]", "{": "}", "#{": "}"}
CONSTANTS = {"nil": None, "true": True, "false": False}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
NUMBER = re.compile(r"[+-]?\d+N?$|[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?$")


class BadEdn(ValueError):
    """What is wrong, and in which line."""

    def __init__(self, line: int, said: str) -> None:
        super().__init__(said)
        self.line = line


class Keyword(str):
    """`:read`, without its colon; also a symbol."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, repr=False)
class EdnName:
    """A keyword or a symbol where a value stands: no string equals it."""

    text: str

    def __repr__(self) -> str:
        return f":{self.text}"


@dataclass(frozen=True, slots=True, repr=False)
class EdnWholeFloat:
    """1.0 where a value stands: in EDN no whole number equals it, as 1 does in Python and in JSON."""

    value: float

    def __repr__(self) -> str:
        return repr(self.value)


def as_value(read: Any) -> Any:
    """What was read, with names that are no strings, and floats that are no whole numbers."""
    if isinstance(read, Keyword):
        return EdnName(read)
    if isinstance(read, float) and read.is_integer():
        return EdnWholeFloat(read)
    return type(read)(map(as_value, read)) if isinstance(read, tuple | frozenset) else read


class EdnMap(dict[Any, Any]):
    """A map that knows in which line it begins."""

    line = 0


class Opened:
    """A collection that is being read. `skip`: how many of the next values `#_` discards."""

    def __init__(self, sign: str, line: int) -> None:
        self.sign, self.line, self.skip = sign, line, 0
        self.values: list[Any] = []

    def add(self, value: Any) -> None:
        if self.skip:
            self.skip -= 1
        else:
            self.values.append(value)

    def closed(self, sign: str, line: int) -> Any:
        if CLOSES.get(self.sign) != sign:
            raise BadEdn(line, f"{sign!r} closes {self.sign!r} of line {self.line}")
        if self.sign == "{":
            return self._as_map()
        values = tuple(self.values)
        if self.sign != "#{":
            return values
        try:
            return frozenset(values) if len(set(values)) == len(values) else values
        except TypeError:
            raise BadEdn(self.line, "a set of values that cannot be compared") from None

    def _as_map(self) -> EdnMap:
        if len(self.values) % 2:
            raise BadEdn(self.line, "this map has a key without a value")
        try:
            made = EdnMap(zip(self.values[::2], self.values[1::2], strict=True))
        except TypeError:
            raise BadEdn(self.line, "a key of this map cannot be compared") from None
        if len(made) < len(self.values) // 2:
            raise BadEdn(self.line, "this map has a key twice")
        made.line = self.line
        return made


def read(text: str) -> list[Any]:
    """The values that stand in the text one after another. BadEdn if it is not EDN."""
    stack, line = [Opened("", 1)], 1
    for kind, token, line in _tokens(text):
        if kind == "open":
            stack.append(Opened(token, line))
        elif kind == "close":
            if len(stack) == 1:
                raise BadEdn(line, f"{token!r} closes nothing")
            value = stack.pop().closed(token, line)
            stack[-1].add(value)
        elif kind == "discard":
            stack[-1].skip += 1
        elif kind != "tag":
            stack[-1].add(_atom(kind, token, line))
    if len(stack) > 1:
        raise BadEdn(stack[1].line, f"the file is cut off: nothing closes the {stack[1].sign!r} of this line")
    return stack[0].values


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at, line = 0, 1
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise BadEdn(line, f"the file is cut off, or this is no EDN: {text[at : at + 20]!r}")
        if found.lastgroup:
            yield found.lastgroup, found.group(), line
        line += found.group().count("\n")
        at = found.end()


def _atom(kind: str, token: str, line: int) -> Any:
    if kind == "string":
        return re.sub(r"\\(.)", lambda m: ESCAPES.get(m[1], m[1]), token[1:-1], flags=re.DOTALL)
    if kind == "char":
        return token[1:]
    if token in CONSTANTS:
        return CONSTANTS[token]
    if NUMBER.match(token):
        number = token.rstrip("NM")
        try:
            return int(number) if re.fullmatch(r"[+-]?\d+", number) else float(number)
        except ValueError:  # Python reads no number of more than some 4,300 digits
            raise BadEdn(line, "this is a number with more digits than can be read") from None
    if token[0].isdigit():
        raise BadEdn(line, f"{token!r} is no number")
    return Keyword(token.lstrip(":"))
