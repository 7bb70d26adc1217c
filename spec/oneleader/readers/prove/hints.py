"""hints: for each obligation of a model, the hypotheses that an earlier proof of it used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from oneleader.language.model import Model

Hints = Mapping[str, list[str]]


def hints_file(model: Model) -> Path:
    return Path(__file__).parent / "hints" / f"{model.name}.json"


def load_hints(model: Model) -> Hints:
    """The committed hints of a model and of those that it extends; none where there is no file."""
    path = hints_file(model)
    own: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {**(load_hints(model.extends) if model.extends else {}), **own}
