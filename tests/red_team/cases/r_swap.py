"""Says that it refines r_swap_abs, and flips y."""
from __future__ import annotations
from oneleader.language import NIL, Fields, NumberSort, Option, SetSort, action, both, either, field, ghost, implies, invariant, model, no, theorem, witness, constant, axiom, ite
import r_swap_abs
class State(Fields):
    """S."""
    y = field(of=bool)
    x = field(of=bool)

@action
def flip(s: State) -> None:
    """x."""
    now = no(s.y)
    s.y = now

MODEL = model(__name__, State, refines=r_swap_abs.MODEL)
