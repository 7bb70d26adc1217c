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


def recordings() -> dict[str, Path]:
    """The recordings of real Rafts by their names, such as `etcd-rawnode-3-nodes`."""
    return {path.name.partition(".")[0]: path for path in sorted(RECORDINGS.glob("*.ndjson.gz"))}


def recording(name: Path | str) -> Path:
    """The file or folder of this path, else the shipped recording of this name."""
    path = Path(name)
    if path.exists():
        return path
    found = recordings().get(str(name))
    if found is None:
        raise UsageError(
            f"there is no file {name}: give the path of a recording, "
            f"or the name of one that comes with oneleader: {', '.join(recordings())}"
        )
    return found
