"""Shrinking by leaving out: a run that fails, made as short as it can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

E = TypeVar("E")


def shortest(program: tuple[E, ...], fails: Callable[[tuple[E, ...]], bool]) -> tuple[E, ...]:
    """The program with whatever can be left out left out: half of it, a quarter, ... a line at a time."""
    size = len(program)
    while size := size // 2:
        size, program = size, _without_chunks(program, size, fails)
    while (shorter := _without_chunks(program, 1, fails)) != program:
        program = shorter
    return program


def _without_chunks(
    program: tuple[E, ...], size: int, fails: Callable[[tuple[E, ...]], bool]
) -> tuple[E, ...]:
    """From the end to the beginning, each chunk is taken out if what is left still fails."""
    for start in range(len(program) - size, -1, -size):
        shorter = program[:start] + program[start + size :]
        if fails(shorter):
            program = shorter
    return program
