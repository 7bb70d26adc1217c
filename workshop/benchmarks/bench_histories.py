"""`make bench-histories`: verdicts on Porcupine's own histories, ours and Porcupine's.

Both judge what `formats.py` has read, after one warm-up, on one core. Seconds are of the processor,
for the verdict alone; the last column has ours with reading the files and shrinking what fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from oneleader.conformance.histories import JudgedHistory, Operation, judge
from oneleader.conformance.histories.formats import read
from oneleader.conformance.histories.objects import guessed
from oneleader.verdict import HOLDS

HERE = Path(__file__).with_name("porcupine")
MODULE = "github.com/anishathalye/porcupine"
SETS = {"etcd, registers": "jepsen/*.log", "key-value": "kv/*.txt"}
NULL = "\0"


@dataclass
class Timed:
    """A history, our verdict and Porcupine's seconds."""

    file: Path
    operations: list[Operation]
    ours: JudgedHistory
    read_and_shrunk: float
    porcupine: float = 0.0


def go(*arguments: str, said: str | None = None, **also: str) -> str:
    if not shutil.which("go"):
        raise SystemExit("install Go 1.22 or newer: Porcupine is written in it")
    environment = {**os.environ, **also}
    done = subprocess.run(
        ["go", *arguments], cwd=HERE, env=environment, input=said, text=True, check=True, capture_output=True
    )
    return done.stdout


def data() -> Path:
    """Porcupine's test data, which comes with its module."""
    go("mod", "download", MODULE)
    return Path(go("list", "-m", "-f", "{{.Dir}}", MODULE).strip(), "test_data")


def judged(file: Path) -> Timed:
    began = process_time()
    operations = list[Operation](read(file))
    result = judge(operations, guessed(operations))
    return Timed(file, operations, result, process_time() - began)


def as_json(one: Timed) -> str:
    last = max(o.returned for o in one.operations if o.returned != inf) + 1

    def text(value: Any) -> str:
        return NULL if value is None else json.dumps(value).strip('"')

    calls = [
        {
            **{"Kind": o.kind, "Key": o.key, "Value": text(o.value), "Expected": text(o.expected)},
            **{"Result": text(o.result), "Known": o.returned != inf, "Called": int(o.called)},
            "Returned": int(min(o.returned, last)),
        }
        for o in one.operations
    ]
    return json.dumps({"Name": str(one.file), "Object": one.ours.model, "Calls": calls})


def beside_porcupine(rows: list[Timed]) -> None:
    """Porcupine's seconds. RuntimeError where it comes to another verdict."""
    with TemporaryDirectory() as folder:
        program = str(Path(folder, "porcupine"))
        go("build", "-o", program, ".")
        said = "".join(as_json(row) + "\n" for row in rows)
        done = subprocess.run(
            [program],
            input=said,
            text=True,
            check=True,
            capture_output=True,
            env={**os.environ, "GOMAXPROCS": "1"},
        )
    for row, line in zip(rows, done.stdout.splitlines(), strict=True):
        theirs = json.loads(line)
        if theirs["holds"] != (row.ours.verdict is HOLDS):
            raise RuntimeError(f"{row.file}: {row.ours.verdict} here, holds: {theirs['holds']} by Porcupine")
        row.porcupine = theirs["seconds"]


def main() -> None:
    folder = data()
    columns = f"{'files':>6} {'operations':>11} {'ours':>8} {'Porcupine':>10} {'all of ours':>13}"
    print(f"{'verdicts, seconds':24} {columns}")
    for what, pattern in SETS.items():
        files = [file for file in sorted(folder.glob(pattern)) if file.read_text().strip()]
        judged(files[0])  # compiles and imports
        rows = [judged(file) for file in files]
        beside_porcupine(rows)
        operations = sum(len(row.operations) for row in rows)
        ours, theirs = sum(row.ours.seconds for row in rows), sum(row.porcupine for row in rows)
        whole = sum(row.read_and_shrunk for row in rows)
        print(f"  {what:22} {len(rows):>6} {operations:>11,} {ours:>8.3f} {theirs:>10.3f} {whole:>13.3f}")


if __name__ == "__main__":
    main()
