"""Values and states of TLA+ as TLC prints them, in Python."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from oneleader.errors import UsageError

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


TlcState: TypeAlias = Function  # the name of each variable to its value

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
        return unescaped(token[1:-1]), at + 1
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


def unescaped(text: str) -> str:
    r"""A string of TLA+ or of DOT without its escapes: `\n` is a new line, and `\\` one backslash."""
    parts = text.split("\\\\")  # from left to right, so what is left of each begins an escape
    for escape, meant in {**_ESCAPES, "\\": ""}.items():
        parts = [part.replace(escape, meant) for part in parts]
    return "\\".join(parts)


_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\r": "\r", r"\f": "\f"}  # of another character: itself

_VARIABLE = re.compile(r"^(?:/\\ )?(\w+) = ", re.MULTILINE)


def parse_state(text: str) -> TlcState:
    r"""A state as TLC prints it: `/\ x = 1` on a line for each variable."""
    _, *parts = _VARIABLE.split(text)
    if not parts:
        raise UsageError(f"This is no state that TLC prints: {text}")
    names, values = parts[::2], parts[1::2]
    return Function(zip(names, map(_parse, values), strict=True))
