"""The files that ship beside the code: the TLA+ modules and recordings of real Rafts."""

from __future__ import annotations

from pathlib import Path

from oneleader.errors import UsageError

PACKAGE = Path(__file__).resolve().parent
RECORDINGS = PACKAGE / "recordings"


def tla_folder() -> Path:
    """Where the TLA+ modules are: inside the installed package, or in the checkout that holds it."""
    for folder in (PACKAGE / "tla", PACKAGE.parents[1] / "tla"):
        if folder.is_dir():
            return folder
    raise UsageError("the TLA+ modules were not found: install the package again")
