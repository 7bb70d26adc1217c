"""Runs the fast tests under each Python that the package supports and that is found here.

`make versions`, or `python tests/versions.py 3.12`. It says which interpreters were missing: not tested.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)$")


def supported() -> list[str]:
    """The versions that pyproject.toml says are tested."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [found[1] for line in project["classifiers"] if (found := CLASSIFIER.match(line))]


def interpreter(version: str) -> str | None:
    """Where this version is: on the PATH, if it starts, or among those of pyenv."""
    own = Path.home() / ".pyenv" / "versions"
    for path in (shutil.which(f"python{version}"), *sorted(map(str, own.glob(f"{version}.*/bin/python")))):
        if path and _version(path) == version:
            return path
    return None


def _version(path: str) -> str:
    """What the interpreter says that it is; "" where it does not start."""
    ask = "import sys; print('{}.{}'.format(*sys.version_info))"
    return subprocess.run([path, "-c", ask], capture_output=True, text=True).stdout.strip()


def passes(version: str, python: str) -> bool:
    """The fast tests, in an environment of their own."""
    folder = ROOT / f".venv-{version}"
    done = folder / "installed"
    if not done.exists() or done.stat().st_mtime < (ROOT / "pyproject.toml").stat().st_mtime:
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--editable", ".[dev,tlc]"], cwd=ROOT, check=True)
        done.touch()
    tests = ["-m", "pytest", "--quiet", "--numprocesses", "auto", "--dist", "worksteal", "-m", "not slow"]
    return subprocess.run([str(folder / "bin/python"), *tests], cwd=ROOT).returncode == 0


def main(wanted: list[str]) -> int:
    found = {version: interpreter(version) for version in wanted or supported()}
    passed = {version: passes(version, python) for version, python in found.items() if python}
    for version, python in found.items():
        said = "missing: not tested" if not python else "passed" if passed[version] else "FAILED"
        print(f"Python {version:5} {said:20} {python or ''}")
    return 0 if passed and all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
