"""shorten: the shortest part of a refused recording in which the same line is refused, for the same reason.

Lines before it are left out, as many at a time as possible, and what is left is judged again. The reason is
the whole sentence: without its history a line may be refused for another one, which says nothing of the run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike

from oneleader.errors import UsageError
from oneleader.language.model import Model
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.readers.replay.lines import opened, records
from oneleader.readers.replay.replay import Replayed, replay_lines
from oneleader.readers.retrace import FIND, FIND_FAULT
from oneleader.readers.shortest import shortest

SHORTEN_SECONDS = 20.0


@dataclass(frozen=True)
class ShortPart:
    """The lines that are left, of how many, and what replay says of them."""

    lines: tuple[str, ...]
    of: int
    result: Replayed
    is_shortest: bool  # without any of its lines the last one is not refused so


def shortened(
    path: str | PathLike[str],
    result: Replayed,
    *,
    model: Model | None = None,
    seconds: float = SHORTEN_SECONDS,
) -> ShortPart:
    """The shortest part found within so many seconds of processor time, of a recording that is refused."""
    assert result.refusal is not None
    with opened(path) as file:
        lines = [_text(line) for line in islice(file, result.refusal.line)]
    return shorten(lines, result, model=model, seconds=seconds)


def shorten(
    lines: Sequence[str], result: Replayed, *, model: Model | None = None, seconds: float = SHORTEN_SECONDS
) -> ShortPart:
    """The same of lines. A header stays, and so does the format."""
    assert result.refusal is not None
    wanted, until = result.refusal.text, time.process_time() + seconds
    lines = [line for line in lines if line.strip()]
    has_header = OwnFormat.recognises(next(records(lines))[1])
    header, before, last = tuple(lines[:has_header]), tuple(lines[has_header:-1]), lines[-1]

    def is_refused(part: tuple[str, ...]) -> bool:
        if time.process_time() > until:
            return False
        found = _judged((*header, *part, last), result, model).refusal
        return found is not None and (found.line, found.text) == (len(header) + len(part) + 1, wanted)

    kept = (*header, *shortest(before, is_refused), last)
    is_shortest = time.process_time() < until
    found = replay_lines(kept, result.format, model=model, limit=result.limit)
    return ShortPart(kept, len(lines), found, is_shortest)


def _judged(lines: Iterable[str], result: Replayed, model: Model | None) -> Replayed:
    """What replay says; nothing of a part that cannot be read, such as one without a node's start."""
    judges_states = bool(result.refusal and result.refusal.property)  # else guards and observations do
    try:
        return replay_lines(
            lines, result.format, model=model, limit=result.limit, judges_states=judges_states
        )
    except UsageError:
        return Replayed()


def _text(line: bytes | str) -> str:
    return line if isinstance(line, str) else line.decode()


TEST = '''"""{told}"""

{imports}

MODEL = {model}
LINES = [
{lines}
]


def test_the_model_allows_it() -> None:
    """Refused: {why}."""
    result = replay_lines(LINES, "{format}", model=MODEL)
    assert result.verdict is HOLDS, result.summary()
'''
REPLAY = "from oneleader.readers.replay.replay import replay_lines\nfrom oneleader.verdict import HOLDS"


def as_test(part: ShortPart, name: str | None, fault: str | None) -> str:
    """The part as a test for pytest, which fails as long as the model refuses it."""
    assert part.result.refusal is not None
    find = FIND_FAULT if fault else FIND if name else ""
    return TEST.format(
        told=f"{len(part.lines)} of {part.of} lines of a recording that {part.result.model} refuses.",
        imports=f"{find}\n{REPLAY}".strip(),
        model=f'find("{fault}").model' if fault else f'find("{name}")' if name else "None",
        lines="\n".join(f"    {line.strip()!r},  # noqa: E501" for line in part.lines),
        why=part.result.refusal.text.replace("\\", "\\\\").replace('"', '\\"'),
        format=part.result.format,
    )
