"""The picture of the architecture page, made from the import contracts in pyproject.toml.

A box is a room: its name and the first line of its docstring. Rooms on one row do not import each other;
imports go downwards only. What import-linter checks and what the picture shows is the same text.
"""

from __future__ import annotations

import ast
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from workshop import RESULTS, ROOT

TARGET = RESULTS / "pictures" / "architecture.svg"
SOURCES = {"oneleader": ROOT / "spec", "oneleader_raft": ROOT / "reference"}


@dataclass(frozen=True)
class Room:
    """A package or module of the house, and what it says it is for."""

    name: str
    purpose: str


@cache
def contracts() -> list[dict[str, object]]:
    """The contracts of import-linter, as pyproject.toml states them."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found: list[dict[str, object]] = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    return found


def floors(package: str) -> list[list[Room]]:
    """The layers of a package from the top down, each with its rooms."""
    for contract in contracts():
        if contract["type"] == "layers" and contract["containers"] == [package]:
            layers = contract["layers"]
            assert isinstance(layers, list)
            return [[room(package, name.strip()) for name in str(layer).split("|")] for layer in layers]
    raise LookupError(f"no contract has the layers of {package}")


def room(package: str, name: str) -> Room:
    """A room with the first sentence of its docstring."""
    below = SOURCES[package] / package / name
    file = below / "__init__.py" if below.is_dir() else below.with_suffix(".py")
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    first = " ".join(said.partition("\n\n")[0].split())
    return Room(name, first.partition(". ")[0].rstrip("."))


def svg() -> str:
    """Both houses, the reference below the models that are checked against it."""
    loader = jinja2.PackageLoader("workshop.pages")
    made = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    houses = [("oneleader", floors("oneleader")), ("oneleader_raft", floors("oneleader_raft"))]
    return made.get_template("architecture.svg.j2").render(houses=houses) + "\n"


def write(target: Path = TARGET) -> Path:
    """Draw the picture."""
    target.write_text(svg(), encoding="utf-8")
    return target
