"""Proofs of earlier runs: what was proved is not proved again while all that the proof reads is the same.

That is the source of the handlers' proof, of the language, the models and the prover, and of the reference.
What failed or could not be told is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import oneleader
import oneleader_raft
from oneleader.readers.earlier import Texts
from oneleader.verdict import HOLDS

READ = Texts(
    {
        Path(str(oneleader.__file__)).parent: (
            "*.py",
            "language/**/*.py",
            "models/**/*.py",
            "readers/*.py",
            "readers/engines/compiling.py",
            "readers/prove/**/*.py",
            "conformance/*.py",
            "conformance/handlers/**/*.py",
        ),
        Path(str(oneleader_raft.__file__)).parent: ("*.py",),
    }
)
T = TypeVar("T")


def once(prove: Callable[..., T], *asked: Any) -> tuple[T, bool]:
    """What `prove(*asked)` says, and whether an earlier run has said so."""
    found = READ.known(prove.__name__, *asked)
    if found is not None:
        return found, True
    found = prove(*asked)
    if found.verdict is HOLDS:  # type: ignore[attr-defined]
        READ.keep(found, prove.__name__, *asked)
    return found, False


def afresh(prove: Callable[..., T], *asked: Any) -> tuple[T, bool]:
    """The same, whatever earlier runs have said."""
    return prove(*asked), False
