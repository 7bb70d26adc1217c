"""How wide words are, and where they are divided, for fonts that nobody knows beforehand."""

from __future__ import annotations

from math import fsum

WIDE_LETTERS, NARROW_LETTERS = "mwMWQO@%", "iljtfrI.,:;'|!() []"


def text_width(text: str, size: float) -> float:
    """An upper estimate for any common sans-serif font: DejaVu Sans is about the widest."""
    widths = (0.97 if c in WIDE_LETTERS else 0.42 if c in NARROW_LETTERS else 0.645 for c in text)
    units = fsum(widths)  # the same in every Python, which `sum` is not since 3.12
    return units * size


def wrapped(text: str, width: float, size: float) -> list[str]:
    """The text in lines no wider than this; a wider word is divided at a hyphen or a capital, or cut."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines += _divided(word, width, size)
    return lines or [""]


def _divided(word: str, width: float, size: float) -> list[str]:
    pieces = []
    while text_width(word, size) > width and len(word) > 2:
        joints = (i for i in range(1, len(word)) if _is_joint(word, i))
        fitting = [i for i in joints if text_width(word[:i], size) <= width]
        if not fitting:
            word = word.rstrip("…")[:-1] + "…"
            continue
        pieces.append(word[: fitting[-1]])
        word = word[fitting[-1] :]
    return [*pieces, word]


def _is_joint(word: str, i: int) -> bool:
    """Whether a word may be divided here: after a hyphen, before a capital."""
    return word[i - 1] == "-" or (word[i].isupper() and word[i - 1].islower())
