"""The specification language: sorts, fields, actions, properties. See docs/tutorial.md."""

from oneleader.language.definitions import action, axiom, invariant, theorem, witness
from oneleader.language.expr import both, either, implies, ite, no
from oneleader.language.fields import Fields, constant, field, ghost
from oneleader.language.model import Model, model
from oneleader.language.sorts import NIL, NumberSort, Option, SetSort

__all__ = [
    "NIL",
    "Fields",
    "Model",
    "NumberSort",
    "Option",
    "SetSort",
    "action",
    "axiom",
    "both",
    "constant",
    "either",
    "field",
    "ghost",
    "implies",
    "invariant",
    "ite",
    "model",
    "no",
    "theorem",
    "witness",
]
