"""The colours of the pictures, in light and in dark.

Terms have six hues, in an order in which neighbours stay apart for the common kinds of colour blindness;
their numbers are always written. Contrast with the ground is at least 4.5 for everything that is read and 3
for every line. `tests/pictures/test_pictures.py` computes both.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    ground: str  # of the page
    raised: str  # of panels and pills
    band: str  # of every other row
    chosen: str  # of the row that is looked at
    ink: str
    muted: str
    rule: str  # of frames
    quiet: str  # of lanes without a term
    message: str
    lost: str
    wrong: str
    wrong_ground: str
    on_term: str  # the number on a term's colour
    terms: tuple[str, ...]  # of term 0, and then in turn


LIGHT = Palette(
    ground="#ffffff",
    raised="#ffffff",
    band="#f6f7f9",
    chosen="#e6effa",
    ink="#1b2330",
    muted="#566172",
    rule="#d5dae2",
    quiet="#7c8796",
    message="#3a4657",
    lost="#6b7686",
    wrong="#b3122b",
    wrong_ground="#fdecee",
    on_term="#ffffff",
    terms=("#687385", "#0069a8", "#b84300", "#9c2f78", "#7a5c00", "#4f46b8", "#00735a"),
)
DARK = Palette(
    ground="#12161d",
    raised="#1a2029",
    band="#171c25",
    chosen="#1e2f45",
    ink="#e8ecf2",
    muted="#a3aebd",
    rule="#343d4b",
    quiet="#8793a4",
    message="#c3ccd9",
    lost="#8f9bab",
    wrong="#ff8a94",
    wrong_ground="#3a1a20",
    on_term="#10141a",
    terms=("#9ba6b6", "#5cb3ef", "#f49a5b", "#ea8fc6", "#dcc04b", "#aaa4f7", "#45c9a0"),
)
