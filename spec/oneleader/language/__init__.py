"""The specification language: sorts, fields, actions, properties. See docs/tutorial.md."""

from oneleader.language.definitions import action, axiom, invariant, theorem, witness
from oneleader.language.expr import both, either, implies, ite, no
from oneleader.language.fields import Fields, constant, field, ghost, parameter
from oneleader.language.model import Model, model
from oneleader.language.progress import leads_to, never, step
from oneleader.language.sorts import LONG_AGO, NIL, Each, NumberSort, Option, SetSort, TimeSort

__all__ = [
    "LONG_AGO",
    "NIL",
    "Each",
    "Fields",
    "Model",
    "NumberSort",
    "Option",
    "SetSort",
    "TimeSort",
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
    "leads_to",
    "model",
    "never",
    "no",
    "parameter",
    "step",
    "theorem",
    "witness",
]
