"""Go's runtime without its dice, for a library whose goroutines have to take their turns the same way twice.

Three things in it are drawn: which of several timers that ring at the same instant is first (in a bubble of
`testing/synctest`), which of several ready cases a `select` takes, and where an iteration over a map begins.
And who has run for 10 ms is put behind all others. `go build -overlay` takes the files that are changed here
in place of the installed ones, and puts the protocol of `oneleader scaffold go` beside each shim. What is
drawn depends on nothing but on what was drawn since `runtime.Redraw`, which is added.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from oneleader.errors import MissingTool

CHANGES = {
    "time.go": ("t.rand = cheaprand()", "t.rand = uint32(drawn())"),
    "select.go": ("j := cheaprandn(uint32(norder + 1))", "j := uint32(drawn() % uint64(norder+1))"),
    "rand.go": ("func maps_rand() uint64 {\n\treturn rand()", "func maps_rand() uint64 {\n\treturn 1"),
    "proc.go": ("const forcePreemptNS = 10 * 1000 * 1000", "const forcePreemptNS = 10 * 1000 * 1000 * 1000"),
}
DRAWN = """
var draws uint64

// Redraw has all that is drawn from now on drawn as it was after the last time.
func Redraw() { draws = 0 }

// drawn is the next number of SplitMix64.
func drawn() uint64 {
	draws++
	x := draws * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
"""


def overlay(folder: Path, beside: Mapping[Path, Path]) -> Path:
    """What `-overlay` takes, made of the runtime that is installed; MissingTool where it is another one.

    `beside` are more files that are to be there, each with the one that it is.
    """
    asked = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True)
    runtime = Path(asked.stdout.strip()) / "src/runtime"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (before, after) in CHANGES.items():
        text = (runtime / name).read_text("utf-8")
        if text.count(before) != 1:
            raise MissingTool(f"the runtime of this Go lacks {before!r} in {name}: install Go 1.26")
        more = DRAWN if name == "rand.go" else ""
        keep(folder / name, text.replace(before, after) + more)
    replaced = {str(runtime / name): str(folder / name) for name in CHANGES}
    replaced |= {str(path): str(content) for path, content in beside.items()}
    keep(folder / "overlay.json", json.dumps({"Replace": replaced}))
    return folder / "overlay.json"


def keep(path: Path, text: str) -> None:
    """Left alone where it is there: another test may be building with it."""
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
