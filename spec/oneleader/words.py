"""How names and counts are written."""

from __future__ import annotations

import json
from typing import Any


def plural(count: int, things: str) -> str:
    """`2 properties`, `1 property`."""
    one = f"{things[:-3]}y" if things.endswith("ies") else things.removesuffix("s")
    one = "witness" if things == "witnesses" else one
    return f"{count} {one if count == 1 else things}"


def quoted(value: Any, most: int = 60) -> str:
    """A value of somebody's file as JSON writes it, shortened: a sentence has to stay one."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= most else f"{text[:most]}..."


def title(name: str) -> str:
    """`election_safety` as TLA+ and people write it."""
    return "".join(part.capitalize() for part in name.split("_"))


def snake(name: str) -> str:
    """`ElectionSafety` as Python writes it."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
