"""A story as plain text, for a terminal: a column a lane, a line an event, and below it what has changed."""

from __future__ import annotations

import itertools
import textwrap

from oneleader.pictures.layout import LEADING, STANDING, said_on_pills
from oneleader.story import NBSP, Arrow, Spot, Story, StoryRow

NARROWEST, WIDEST, LABEL = 12, 30, 52
MARKS = {
    "crash": "✗",
    "restart": "✗",
    "back": "○",
    "pause": "‖",
    "resume": "▸",
    "cut": "≠",
    "time": "◷",
    "write": "◆",
    "refused": "◇",
}


def text(story: Story) -> str:
    """The whole picture, without colours: everything is said in words and signs."""
    story = story.fitting()
    columns = _Columns(story)
    lines = [f"✗ {story.wrong}" if story.wrong else "", story.because and f"  {story.because}", story.title]
    lines = [line.replace(NBSP, " ") for line in lines if line]
    lines += ["", columns.heads()]
    for row in story.rows:
        lines += columns.row(row)
    lines += ["", SIGNS]
    return "\n".join(line.rstrip() for line in lines) + "\n"


SIGNS = """\
● event  ┃ leads  ┇ stands  │ follows  ═│═ holds a lease  -x- no longer so
○──▶ a message, in the row in which it is read  ●┄┄✕ one that nobody reads"""


class _Columns:
    """How wide the label and each lane are, and how a row is written in them."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.number = max(len(str(r.number)) for r in story.rows)
        self.label = min(LABEL, max(len(r.label) for r in story.rows))
        longest = max(
            (len(w) for r in story.rows for s in r.after.values() for w in _words(s, s, True)), default=0
        )
        self.lane = min(max(longest + 4, NARROWEST, *(len(lane.shown) + 2 for lane in story.lanes)), WIDEST)
        self.at = {lane.name: i * self.lane + self.lane // 2 for i, lane in enumerate(story.lanes)}
        self.left = " " * (self.number + self.label + 4)

    def heads(self) -> str:
        return self.left + "".join(lane.shown.center(self.lane) for lane in self.story.lanes)

    def row(self, row: StoryRow) -> list[str]:
        """The line of the event, one more for each further message, and the words of lanes that changed."""
        is_wrong = row.number == self.story.wrong_row
        first, *more = textwrap.wrap(row.label, self.label) or [""]
        left = [f"{row.number:{self.number}}{'✗' if is_wrong else ' '} {first}"]
        left += [" " * (self.number + 2) + line for line in more]
        right = [*self._messages(row), *self._changed(row)]
        right += ["".join(self._canvas(row))] * (len(left) - len(right))
        return [a.ljust(len(self.left)) + b for a, b in itertools.zip_longest(left, right, fillvalue="")]

    def _canvas(self, row: StoryRow) -> list[str]:
        """An empty line: only the lanes."""
        line = [" "] * (self.lane * len(self.at))
        for name, x in self.at.items():
            line[x] = _stroke(row.after[name])
            if row.after[name].lease:
                line[x - 1] = line[x + 1] = "═"
        return line

    def _messages(self, row: StoryRow) -> list[str]:
        """The event's own line; each message that arrives with it has a line, from its sender's lane."""
        arrows = [a for a in self.story.arrows if a.received == row.number]
        lost = [a for a in self.story.arrows if a.sent == row.number and a.is_lost]
        lines = [self._canvas(row) for _ in range(max(1, len(arrows)))]
        for line, arrow in zip(lines, arrows, strict=False):
            self._draw(line, arrow)
        for arrow in [] if arrows else lost:
            self._draw(lines[0], arrow)
        if row.lane in self.at:
            lines[0][self.at[row.lane]] = MARKS.get(row.mark, "●")
            self._token(lines[0], row)
        return ["".join(line) for line in lines]

    def _token(self, line: list[str], row: StoryRow) -> None:
        if row.token is not None:
            for i, c in enumerate(str(row.token), self.at[row.lane] + 1):
                line[i] = c

    def _draw(self, line: list[str], arrow: Arrow) -> None:
        if arrow.source not in self.at or arrow.to not in self.at:
            return
        start, end = self.at[arrow.source], self.at[arrow.to]
        d = 1 if end > start else -1
        for x in range(start + d, end, d):
            line[x] = "┄" if arrow.is_lost else "─"
        line[start] = "○"
        line[end - d] = "✕" if arrow.is_lost else "▶" if d > 0 else "◀"

    def _changed(self, row: StoryRow) -> list[str]:
        """What is new of each lane, below one another."""
        before, changed = self.story.before(row), self.story.changed(row)
        said: dict[str, list[str]] = {}
        for name in self.at:
            whole = self.story.whole(row, name)
            is_told = whole or name in changed
            said[name] = _words(before[name], row.after[name], whole) if is_told else []
        lines = []
        for i in range(max(map(len, said.values()), default=0)):
            line = self._canvas(row)
            for name, words in said.items():
                if i < len(words):
                    word = words[i] if len(words[i]) < self.lane else words[i][: self.lane - 2] + "…"
                    start = self.at[name] - len(word) // 2
                    line[start : start + len(word)] = word
            lines.append("".join(line))
        return lines


def _stroke(spot: Spot) -> str:
    if spot.life != "up":
        return " " if spot.life == "down" else "┊"
    return "┃" if spot.role in LEADING else "┇" if spot.role in STANDING else "│"


def _words(before: Spot, after: Spot, whole: bool) -> list[str]:
    """`leader 2`, `voted for n1`, and struck out what is so no longer."""
    said = said_on_pills(before, after, whole)
    return [
        f"-{words}-" if kind == "gone" else f"{words} {term}" if term is not None else words
        for kind, words, term in said
    ]
