"""A backup of what a cluster holds, as a new cluster of one node; others join it.

It begins with the state that the backup has, and with an identity of its own: no node of the old cluster is
let in, and with one member there is no other majority that could have begun without the state. Its log begins
far beyond the backup's end: tokens of locks are indices of the log, and none that was granted since must be
granted again.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

from immutables import Map

from ..configuration import InEffect, Membership
from ..raft import Durable, NodeId, Snapshot
from ..state_machine import StateMachine
from . import snapshots
from .errors import DamagedError, UnusableError
from .store import NodeStore

BEYOND = 1 << 32  # entries, more than come between a backup and the end of a cluster


def restore(file: Path, folder: Path, id: NodeId) -> int:
    """Make the store of node `id` in `folder`, the only member of its cluster: how many items it holds.
    DamagedError if the backup is not whole, or the store is there already; UnusableError, OSError if it
    cannot be written."""
    index, state = snapshots.read_any(file)
    path = folder / f"{id}.db"
    if os.path.lexists(path):
        raise DamagedError(f"{path} is there already: a backup is restored into a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    state = replace(state, addresses=Map())  # of the nodes of the old cluster
    snapshot = Snapshot(index + BEYOND, 1, InEffect(0, Membership((id,))), state)
    part = folder / f"{id}.restoring"  # of no use where this fails, and in nobody's way
    try:
        _write(part, id, snapshot, state)
        part.replace(path)
    except sqlite3.Error as error:
        raise UnusableError(f"{path} cannot be made: {error}") from None
    return snapshots.size(state)


def _write(path: Path, id: NodeId, snapshot: Snapshot, state: StateMachine) -> None:
    """A store that is not whole would be one without data, and not be seen to be: so this is not its name."""
    for begun in path.parent.glob(f"{path.name}*"):
        begun.unlink()
    store = NodeStore(path, id, (id,))
    try:
        store.write_snapshot(snapshot.index, state)
        store.save(Durable(1, None, (), snapshot))
    finally:
        store.close()
