"""lines: the lines of a recording, read: JSON objects, one a line, plain or gzip-compressed."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from os import PathLike
from typing import Any

import msgspec

from oneleader.errors import UsageError
from oneleader.words import quoted
from oneleader_raft.node.json_keys import NoNumber, Twice, is_whole, with_care

LONGEST = 1 << 26  # bytes of a line: a file that has no lines is not read to its end
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
GZIP = b"\x1f\x8b"
PACKED = {b"BZh": "bzip2", b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}


class Malformed(UsageError):
    """A line that is no JSON object."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


@contextmanager
def opened(path: str | PathLike[str]) -> Iterator[Iterable[bytes]]:
    """The lines of a recording, unpacked; UsageError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            if file.peek(2)[:2] == GZIP:
                with gzip.open(file) as unpacked:
                    yield iter(partial(unpacked.readline, LONGEST), b"")
            else:
                yield iter(partial(file.readline, LONGEST), b"")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None


def records(lines: Iterable[bytes | str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line with its number; blank lines are passed over."""
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if line and not line.isspace():
                yield number, _record(number, line)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Malformed(number + 1, "the compressed file is damaged or cut off here") from None


def why_no_text(start: bytes) -> str:
    """What to do with a file that begins so, where gzip was unpacked already; "" where it may be text."""
    packed = next((name for begins, name in PACKED.items() if start.startswith(begins)), "")
    if packed:
        return f"this file is packed by {packed}: unpack it, or pack it by gzip"
    if start.startswith(GZIP):
        return "this file is packed by gzip twice: unpack it once"
    return why_no_line(start)


def why_no_line(line: bytes) -> str:
    """The same of any of its lines."""
    if line.startswith(WIDE) or (b"\0" in line[:4] and line[:2] != b"\0\0"):
        return "this is UTF-16 or UTF-32 text: save it as UTF-8"
    return "this line holds NUL bytes, as files do that a crash has cut off" if b"\0" in line else ""


def _decoded(number: int, line: bytes) -> str:
    """The text of a line. A mark at the beginning of a file that says UTF-8 is passed over."""
    if why := why_no_text(line) if number == 1 else why_no_line(line):
        raise Malformed(number, why)
    if len(line) >= LONGEST:
        raise Malformed(number, f"this line is longer than {LONGEST:,} bytes: write one JSON object a line")
    try:
        return line.removeprefix(codecs.BOM_UTF8).decode() if number == 1 else line.decode()
    except UnicodeDecodeError:
        raise Malformed(number, "this is not UTF-8 text") from None


def _record(number: int, line: bytes | str) -> dict[str, Any]:
    found = _at_once(line)
    return _with_care(number, line) if found is None else found


def _at_once(line: bytes | str) -> dict[str, Any] | None:
    """The same as `_with_care`, and soon done; None where that one has to look."""
    try:
        text = line.encode() if isinstance(line, str) else line
        if len(text) >= LONGEST:
            return None
        found = READ(text)
        return found if type(found) is dict and is_whole(text, found) else None
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None


READ = msgspec.json.Decoder().decode


def _with_care(number: int, line: bytes | str) -> dict[str, Any]:
    """A line, or what is wrong with it."""
    text = line if isinstance(line, str) else _decoded(number, line)
    try:
        record = with_care(text)
    except Twice as twice:
        raise Malformed(number, f"the key `{twice}` stands twice in one object") from None
    except NoNumber as word:
        raise Malformed(number, f"{word} is no number in JSON: leave it out, or write null") from None
    except RecursionError:
        raise Malformed(number, f"this nests deeper than can be read: {quoted(text[:40])}") from None
    except ValueError as error:
        if not isinstance(error, json.JSONDecodeError):  # Python reads at most some 4,300 digits
            raise Malformed(number, "this has a number with more digits than can be read") from None
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            raise Malformed(
                number, "several objects stand on this line: write one JSON object a line"
            ) from None
        if not text.endswith("\n") and text.lstrip().startswith("{"):
            raise Malformed(number, "the recording is cut off in the middle of this line") from None
        raise Malformed(number, f"this is not valid JSON: {text.strip()[:40]!r}") from None
    if not isinstance(record, dict):
        raise Malformed(number, f"this is not a JSON object: {text.strip()[:40]!r}")
    return record
