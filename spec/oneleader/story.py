"""A story: what happened in a run, as every picture of it needs it, and nothing of how it is drawn.

One lane for each server, client and storage; one row for each event, numbered as the run numbers its steps;
arrows for the messages. Row 0 is the state before the first event. Readers make stories (`stories.py`),
pictures draw them (`picture_svg`, `picture_html`, `picture_text`); neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import ClassVar

from oneleader.errors import UsageError

NBSP = "\N{NO-BREAK SPACE}"
MOST_ROWS = 400  # of one picture: more than this nobody reads, and few programs show
SHOWN_ROWS = 60  # where nobody says which rows of a long recording are wanted


@dataclass(frozen=True)
class Lane:
    """Somebody to whom things happen. `kind` is server, client, lock or storage."""

    name: str
    kind: str = "server"
    title: str = ""

    @property
    def shown(self) -> str:
        return self.title or self.name


@dataclass(frozen=True)
class Spot:
    """How a lane is after a row: what it takes itself to be, its term, whether it holds a lease.

    `life` is up, down or paused; `words` is the rest that matters: `voted for n2`, `token 3`;
    `busy` is the operation of a client that is under way.
    """

    role: str = ""
    term: int | None = None
    lease: bool = False
    words: tuple[str, ...] = ()
    life: str = "up"
    busy: str = ""


@dataclass(frozen=True)
class Arrow:
    """A message, from the row in which it was sent to the one in which it was read, if it was.

    `is_lost`: it was sent, and nobody read it although the run went on. Neither read nor lost: it is still
    on its way when the run ends. `token`: what a write carries.
    """

    source: str
    to: str
    label: str
    sent: int
    received: int | None = None
    is_lost: bool = False
    token: int | None = None


@dataclass(frozen=True)
class StoryRow:
    """One event. `lane` is where it happened, "" where everywhere; `changes` says what is new, a line each.

    `mark` tells its kind where that matters: crash, back, restart (both at once), pause, resume, cut, time,
    write or refused.
    """

    number: int
    lane: str
    label: str
    after: Mapping[str, Spot]
    call: str = ""
    changes: tuple[str, ...] = ()
    mark: str = ""
    token: int | None = None


@dataclass(frozen=True)
class Story:
    """A whole run. `wrong` is a sentence: what is violated; `because` for which values, `wrong_row` where.

    `left_out` is how many rows there are before and after those shown.
    """

    title: str
    lanes: tuple[Lane, ...]
    rows: tuple[StoryRow, ...]
    arrows: tuple[Arrow, ...] = ()
    wrong: str = ""
    because: str = ""
    wrong_row: int | None = None
    wrong_lanes: frozenset[str] = frozenset()
    again: str = ""
    left_out: tuple[int, int] = field(default=(0, 0))
    drawn: ClassVar[Callable[[Story], str]] = lambda story: f"<p>{escape(story.title)}</p>"

    def _repr_html_(self) -> str:
        """How a notebook shows it: as a picture, by `pictures`, in which it was made."""
        return type(self).drawn(self)

    def window(self, first: int, last: int) -> Story:
        """Only the rows of these numbers, and what reaches into them. UsageError if there are none."""
        rows = tuple(r for r in self.rows if first <= r.number <= last)
        if not rows:
            has = f"{self.rows[0].number} to {self.rows[-1].number}" if self.rows else "none"
            raise UsageError(f"there are no rows {first}:{last}: the run has rows {has}")
        first, last = rows[0].number, rows[-1].number
        arrows = tuple(
            a if a.received is None or a.received <= last else replace(a, received=None)
            for a in self.arrows
            if a.sent <= last and (a.sent >= first or first <= (a.received or 0))
        )
        before = sum(r.number < first for r in self.rows)
        after = len(self.rows) - before - len(rows)
        left_out = (self.left_out[0] + before, self.left_out[1] + after)
        return replace(self, rows=rows, arrows=arrows, left_out=left_out)

    def fitting(self, most: int = MOST_ROWS) -> Story:
        """The story, or its last rows up to the violation where it is too long to be read."""
        if len(self.rows) <= most:
            return self
        end = self.rows[-1].number if self.wrong_row is None else self.wrong_row
        return self.window(end - SHOWN_ROWS + 1, end)

    def before(self, row: StoryRow) -> Mapping[str, Spot]:
        """How all lanes were before a row; as after it for the first one shown."""
        position = next(i for i, r in enumerate(self.rows) if r.number == row.number)
        return (self.rows[position - 1] if position else row).after

    def changed(self, row: StoryRow) -> list[str]:
        """The lanes that a row changed; all of them in the first one shown."""
        if row.number == self.rows[0].number:
            return [lane.name for lane in self.lanes]
        before = self.before(row)
        return [lane.name for lane in self.lanes if before[lane.name] != row.after[lane.name]]

    def whole(self, row: StoryRow, name: str) -> bool:
        """Whether all is said of a lane here: in the first row shown, and where it is at fault."""
        is_at_fault = row.number == self.wrong_row and name in self.wrong_lanes
        return is_at_fault or row.number == self.rows[0].number

    def sent_by(self, row: StoryRow) -> list[str]:
        """The messages that a row sends, a line each: `RequestVote to n2, n3 (n3: lost)`."""
        by_label: dict[str, list[Arrow]] = {}
        for a in self.arrows:
            if a.sent == row.number:
                by_label.setdefault(a.label, []).append(a)
        return [_sent(label, arrows) for label, arrows in by_label.items()]


def _sent(label: str, arrows: list[Arrow]) -> str:
    lost = [a.to for a in arrows if a.is_lost]
    to = list(dict.fromkeys(a.to for a in arrows))
    said = f"{label} to {', '.join(to)}"
    if not lost:
        return said
    return f"{said} (lost)" if set(lost) == set(to) else f"{said} ({', '.join(lost)}: lost)"
