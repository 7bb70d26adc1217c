"""A scenario as a picture: a line for each server, time to the right, an arrow for each message that arrived.

Plain SVG, one file, no script: what people see first of a failure. A message that never arrived is a short
dashed stroke; a server that is down has a dotted line; what went wrong stands in red below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

LEFT, STEP, LANE, TOP = 60, 92, 90, 46
COLOURS = {"follower": "#607080", "candidate": "#c08000", "leader": "#1a7f37"}


@dataclass
class Arrow:
    """A message: sent at a step, and received at one, if it was."""

    sent: int
    source: str
    to: str
    label: str
    received: int | None = None


@dataclass
class Drawing:
    """What is drawn of a run: by step, counted from 1."""

    servers: tuple[str, ...]
    arrows: dict[int, Arrow] = field(default_factory=dict)  # by the number of the packet
    marks: list[tuple[int, str, str]] = field(default_factory=list)  # step, server, words
    states: list[dict[str, tuple[str, int]]] = field(default_factory=list)  # role or "down", and term

    def svg(self, wrong: str = "") -> str:
        width = LEFT + STEP * (len(self.states) + 1)
        height = TOP + LANE * len(self.servers) + (30 if wrong else 0)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" font-family="system-ui, sans-serif" font-size="12">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
        ]
        for server in self.servers:
            parts += self._lane(server)
        parts += [self._arrow(arrow) for arrow in self.arrows.values()]
        parts += [self._mark(*mark) for mark in self.marks]
        if wrong:
            y = TOP + LANE * len(self.servers) + 8
            parts.append(f'<text x="{LEFT}" y="{y}" fill="#b00020" font-weight="600">{escape(wrong)}</text>')
        return "\n".join([*parts, "</svg>"]) + "\n"

    def _x(self, step: float) -> float:
        return LEFT + STEP * step - STEP / 2

    def _y(self, server: str) -> float:
        return TOP + LANE * self.servers.index(server)

    def _lane(self, server: str) -> Sequence[str]:
        """The server's line, in pieces by role, with role and term where they change."""
        y, before = self._y(server), ("", 0)
        pieces = [f'<text x="12" y="{y + 4}" font-weight="600">{escape(server)}</text>']
        for step, state in enumerate(self.states, 1):
            role, term = state[server]
            x = self._x(step)
            dash = ' stroke-dasharray="2 5"' if role == "down" else ""
            wide = 5 if role == "leader" else 2
            colour = COLOURS.get(role, "#b0b0b0")
            pieces.append(
                f'<line x1="{x}" y1="{y}" x2="{x + STEP}" y2="{y}" '
                f'stroke="{colour}" stroke-width="{wide}"{dash}/>'
            )
            if role != "down" and (role, term) != before:
                pieces.append(f'<text x="{x + 4}" y="{y + 16}" fill="{colour}">{role}, term {term}</text>')
                before = role, term
        return pieces

    def _arrow(self, arrow: Arrow) -> str:
        x1, y1 = self._x(arrow.sent) + 6, self._y(arrow.source)
        if arrow.received is None:
            y2 = y1 + (10 if self._y(arrow.to) > y1 else -10)
            dashed = 'stroke="#a0a0a0" stroke-dasharray="3 3"'
            return f'<line x1="{x1}" y1="{y1}" x2="{x1 + 12}" y2="{y2}" {dashed}/>'
        x2, y2 = self._x(arrow.received), self._y(arrow.to)
        same = arrow.sent == arrow.received
        x2 += 24 if same else 0
        return (
            f'<g stroke="#3060a0" fill="#3060a0"><line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'
            f'<circle cx="{x2}" cy="{y2}" r="3"/><title>{escape(arrow.label)}</title></g>'
        )

    def _mark(self, step: int, server: str, words: str) -> str:
        return f'<text x="{self._x(step)}" y="{self._y(server) - 10}" fill="#202020">{escape(words)}</text>'
