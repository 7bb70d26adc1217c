"""A snapshot of the state machine in a file: JSON lines, each item for itself, and a digest at the end.

    {"format": "oneleader-snapshot", "version": 1, "index": 81234}
    ["values", "greeting", "hello"]
    ["locks", "report", ["c1", 7, "c1/4", 10000, 7]]
    ...
    {"lines": 100002, "sha256": "..."}

It is written beside its place, synced and moved there: so a file under its name is whole, or was damaged
later, and then it is refused. Its digest is its *seal*: by that the store knows it from all others, of other
clusters and of other times. Reading and writing take a while, and are for a thread: an item takes so little
that the event loop is not held up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from immutables import Map

from ..fencing import Holding, Storage
from ..state_machine import Session, StateMachine
from .errors import DamagedError

FORMAT, VERSION = "oneleader-snapshot", 1
END = 200  # bytes, more than the last line has


def write(path: Path, index: int, state: StateMachine) -> None:
    """The state after the entry at `index`; it is there and synced on return."""
    part = path.with_name(f"{path.name}.part")
    try:
        _write(part, index, state)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)  # on a disk that is full, it would take the last of it
        raise
    _sync_folder(path.parent)


def read(path: Path, index: int) -> StateMachine:
    """DamagedError if this is not, whole, the state after the entry at `index`."""
    found, state = read_any(path)
    if found != index:
        raise DamagedError(f"{path} is the state after entry {found}, and {index} was expected")
    return state


def read_any(path: Path) -> tuple[int, StateMachine]:
    """After which entry it is, and the state. DamagedError if it is not whole."""
    try:
        with path.open("rb") as file:
            return _read(file)
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing") from None
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from None


def seal(path: Path) -> str:
    """What its end says of all that is before: no other snapshot has it. DamagedError if that is cut off."""
    try:
        with path.open("rb") as file:
            file.seek(-min(END, path.stat().st_size), os.SEEK_END)
            return str(json.loads(file.read().splitlines()[-1])["sha256"])
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing") from None
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise DamagedError(f"{path} is damaged: {error}") from None


def size(state: StateMachine) -> int:
    """How many items it has."""
    return sum(len(getattr(state, name)) for name in READERS)


def move(path: Path, to: Path) -> None:
    """Have what was received under its own name, synced."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.replace(to)
    _sync_folder(to.parent)


# -- Within --------------------------------------------------------------------------------------------


def _write(path: Path, index: int, state: StateMachine) -> None:
    digest, lines = sha256(), 0
    with path.open("wb") as file:
        for said in chain([_header(index)], _items(state)):
            line = json.dumps(said).encode() + b"\n"
            digest.update(line)
            lines += 1
            file.write(line)
        file.write(json.dumps({"lines": lines, "sha256": digest.hexdigest()}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _plain(value: Any) -> Any:
    """The fields of a grant, a fenced key or a session, in their order; what is plain stays so."""
    return list(vars(value).values()) if isinstance(value, Holding | Storage | Session) else value


READERS: dict[str, Any] = {
    "values": lambda value: value,
    "locks": lambda fields: Holding(*fields),
    "fenced": lambda fields: Storage(*fields),
    "sessions": lambda fields: Session(*fields),
    "addresses": lambda address: address,
}


def _header(index: int) -> dict[str, Any]:
    return {"format": FORMAT, "version": VERSION, "index": index}


def _items(state: StateMachine) -> Iterator[list[Any]]:
    for name in READERS:
        for key, value in getattr(state, name).items():
            yield [name, key, _plain(value)]


def _read(file: Iterable[bytes]) -> tuple[int, StateMachine]:
    found: dict[str, dict[str, Any]] = {name: {} for name in READERS}
    digest, lines, index, end = sha256(), 0, 0, None
    for line in file:
        said = json.loads(line)
        if isinstance(said, list):
            name, key, value = said
            found[name][key] = READERS[name](value)
        elif lines == 0:
            index = int(said["index"])
            if said != _header(index):
                raise ValueError(f"it begins with {line[:100]!r}")
        else:
            end = said
            break
        digest.update(line)
        lines += 1
    if end != {"lines": lines, "sha256": digest.hexdigest()}:
        raise ValueError("it is cut off, or its digest is another one")
    return index, StateMachine(**{name: Map(items) for name, items in found.items()})


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
