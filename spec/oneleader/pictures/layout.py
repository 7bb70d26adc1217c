"""Where everything of a picture goes. Numbers are in CSS pixels; nothing here knows of SVG.

What keeps labels free, by construction rather than by luck:

    words of a row     stand in a column of their own, on the left
    words of a lane    stand on pills on that lane, below the line of the event, and are as wide as a pill
    a message          leaves and arrives on the line of an event, where no pill is, and goes down only in the
                       gap beside its receiver, into which no pill reaches

So an arrow never crosses a word. It may cross another lane's line, on the line of its own event.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from oneleader.pictures.lettering import text_width, wrapped
from oneleader.story import NBSP, Arrow, Lane, Spot, Story, StoryRow

TERMS = 6  # colours, used in turn from term 1 on; term 0 has its own
BROAD = ("write", "refused", "time", "pause", "resume", "crash", "restart", "back")  # marks
LEADING = ("leader", "coordinator")
STANDING = ("candidate", "pre-candidate", "election", "halting")


@dataclass(frozen=True)
class Measures:
    """The sizes of one layout."""

    name: str
    number: float  # the column of the rows' numbers
    label: float  # the column of their words
    gap: float  # between the pills of two lanes
    pill: float  # the greatest width of a pill
    words: float  # font size of the rows
    small: float  # font size of pills


WIDE = Measures("wide", 34, 268, 54, 118, 13, 11)
NARROW = Measures("narrow", 22, 86, 10, 78, 11.5, 9.5)
PHONE = 370.0  # as wide as a narrow picture may be and need not be made smaller
HEAD, SLOT, LINE, SMALL_LINE, BEFORE, AFTER = 46.0, 9.0, 17.0, 14.0, 17.0, 9.0


@dataclass(frozen=True)
class Text:
    x: float
    y: float
    words: str


@dataclass(frozen=True)
class Pill:
    """Words on a lane. `kind` is role, word, gone (no longer so) or life; a role has its term beside it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    term: int | None
    lines: tuple[Text, ...]
    badge: Text | None = None


@dataclass(frozen=True)
class Segment:
    """A piece of a lane between two events."""

    x: float
    top: float
    bottom: float
    style: Literal["leads", "stands", "follows", "plain", "paused"]
    term: int | None


@dataclass(frozen=True)
class Bar:
    """A lease, or an operation under way, from the event that began it to the one that ended it."""

    x: float
    top: float
    bottom: float
    term: int | None
    title: str = "lease"


@dataclass(frozen=True)
class Mark:
    """What is drawn where an event happens, from its first to its last line."""

    x: float
    y: float
    bottom: float
    kind: str
    term: int | None
    token: int | None


@dataclass(frozen=True)
class MessageLine:
    """A message. `points` from the sender to its end; a cross there if it is lost, a head if it arrives."""

    arrow: Arrow
    points: tuple[tuple[float, float], ...]
    kind: Literal["arrives", "lost", "open"]
    direction: int
    token: tuple[float, float] | None = None

    @property
    def end(self) -> tuple[float, float]:
        return self.points[-1]


@dataclass(frozen=True)
class Placed:
    """A row and all that stands in it."""

    row: StoryRow
    top: float
    height: float
    y: float
    is_wrong: bool
    words: tuple[Text, ...]
    small: tuple[Text, ...]
    pills: tuple[Pill, ...]
    marks: tuple[Mark, ...]
    rings: tuple[tuple[float, float, float, float], ...]  # around the lanes that are at fault


@dataclass
class Picture:
    story: Story
    measures: Measures
    width: float
    height: float
    columns: tuple[tuple[Lane, float], ...]
    rows: tuple[Placed, ...]
    segments: list[Segment] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    lines: list[MessageLine] = field(default_factory=list)


def colour(term: int | None) -> str:
    """The class of a term's colour; `tn` where there are no terms."""
    return "tn" if term is None else "t0" if term <= 0 else f"t{1 + (term - 1) % TERMS}"


def laid_out(story: Story, measures: Measures = WIDE) -> Picture:
    return Layout(story, measures).picture()


class Layout:
    def __init__(self, story: Story, measures: Measures) -> None:
        self.story, self.m = story, measures
        digits = text_width(str(story.rows[-1].number), measures.small)
        self.m = measures = replace(measures, number=max(measures.number, digits + 10))
        self.pill = self._widest_pill()
        self.pitch = self.pill + measures.gap
        if measures.name == NARROW.name:  # few lanes leave room for words
            room = PHONE - measures.number - 20 - self.pitch * len(story.lanes)
            self.m = measures = replace(measures, label=max(measures.label, room))
        self.left = measures.number + measures.label + 12
        lanes = story.lanes
        self.x = {lane.name: self.left + self.pitch * (i + 0.5) for i, lane in enumerate(lanes)}
        self.width = self.left + self.pitch * max(1, len(lanes)) + 8
        self.slots: dict[int, list[Arrow | None]] = {r.number: self._slots(r) for r in story.rows}
        self.lines_at: dict[int, float] = {}  # row -> the line of its event

    def picture(self) -> Picture:
        top, placed = HEAD, []
        for row in self.story.rows:
            placed.append(self._place(row, top))
            top += placed[-1].height
        columns = tuple((lane, self.x[lane.name]) for lane in self.story.lanes)
        picture = Picture(self.story, self.m, self.width, top + 8, columns, tuple(placed))
        for lane in self.story.lanes:
            self._follow(picture, lane, placed)
        picture.lines = self._lines()
        return picture

    # -- rows ----------------------------------------------------------------------------------------
    def _place(self, row: StoryRow, top: float) -> Placed:
        m, story = self.m, self.story
        y = top + BEFORE
        self.lines_at[row.number] = y
        bottom = y + SLOT * max(0, len(self.slots[row.number]) - 1)
        is_wrong = row.number == story.wrong_row
        words = [
            Text(m.number + 6, y + 4 + LINE * i, line)
            for i, line in enumerate(wrapped(row.label, m.label, m.words))
        ]
        sends = [line for said in story.sent_by(row) for line in wrapped(f"→{NBSP}{said}", m.label, m.small)]
        start = words[-1].y + SMALL_LINE + 1
        small = [Text(m.number + 6, start + SMALL_LINE * i, line) for i, line in enumerate(sends)]
        pills, ends = self._pills(row, bottom + 12)
        low = max([(small or words)[-1].y + 5, bottom + 8, *ends.values()])
        rings = []
        if is_wrong:
            for name in (n for n in self.x if n in story.wrong_lanes):
                end = ends.get(name, bottom + 10)
                rings.append((self.x[name] - self.pill / 2 - 5, y - 12, self.pill + 10, end - y + 17))
        return Placed(
            row,
            top,
            low - top + AFTER,
            y,
            is_wrong,
            tuple(words),
            tuple(small),
            tuple(pills),
            tuple(self._marks(row, y, bottom)),
            tuple(rings),
        )

    def _slots(self, row: StoryRow) -> list[Arrow | None]:
        """The lines of a row, from above: one for each message that arrives, one for all that leave."""
        arriving: list[Arrow | None] = [a for a in self.story.arrows if a.received == row.number]
        leaves = any(a.sent == row.number and a.received != row.number for a in self.story.arrows)
        return [*arriving, *([None] if leaves else [])]

    def _line(self, row: int, slot: int) -> float:
        return self.lines_at[row] + SLOT * slot

    def _marks(self, row: StoryRow, y: float, bottom: float) -> list[Mark]:
        if row.lane not in self.x:
            return []
        term = row.after[row.lane].term
        return [Mark(self.x[row.lane], y, bottom, row.mark or "event", term, row.token)]

    # -- lanes ---------------------------------------------------------------------------------------
    def _follow(self, picture: Picture, lane: Lane, placed: list[Placed]) -> None:
        """The lane's line and its bars, from event to event."""
        x, bar = self.x[lane.name], None
        for i, here in enumerate(placed):
            spot = here.row.after[lane.name]
            below = placed[i + 1].y if i + 1 < len(placed) else here.top + here.height
            if spot.life != "down":
                picture.segments.append(Segment(x, here.y, below, _style(spot), spot.term))
            if spot.lease or spot.busy:
                bar = Bar(x, bar.top if bar else here.y, below, spot.term, spot.busy or "lease")
            elif bar:
                picture.bars.append(bar)
                bar = None
        if bar:
            picture.bars.append(bar)

    def _pills(self, row: StoryRow, top: float) -> tuple[list[Pill], dict[str, float]]:
        """The pills of the lanes that changed, and where they end."""
        pills, ends = [], {}
        before, changed = self.story.before(row), self.story.changed(row)
        for name in self.x:
            whole = self.story.whole(row, name)
            if name in changed or whole:
                y = top
                for kind, words, term in said_on_pills(before[name], row.after[name], whole):
                    pills.append(self._pill(self.x[name], y, kind, words, term))
                    y += pills[-1].height + 3
                    ends[name] = y - 3
        return pills, ends

    def _pill(self, x: float, y: float, kind: str, words: str, term: int | None) -> Pill:
        size, badge = self.m.small, self._badge(kind, term)
        lines = wrapped(words, self.pill - badge - 10, size)
        width = max(text_width(line, size) for line in lines) + badge + 10
        height = 4 + (size + 2.5) * len(lines)
        left = x - width / 2
        middle = left + badge + (width - badge) / 2
        texts = [Text(middle, y + size + 1.5 + (size + 2.5) * i, line) for i, line in enumerate(lines)]
        number = Text(left + badge / 2, y + size + 1.5, str(term)) if badge else None
        return Pill(left, y, width, height, kind, term, tuple(texts), number)

    def _badge(self, kind: str, term: int | None) -> float:
        """The width of the term beside a role."""
        return text_width(str(term), self.m.small) + 8 if kind == "role" and term is not None else 0.0

    def _widest_pill(self) -> float:
        """As wide as the widest pill, within bounds."""
        widths = [40.0]
        for row in self.story.rows:
            for spot in row.after.values():
                for kind, words, term in said_on_pills(spot, spot, True):
                    widths.append(text_width(words, self.m.small) + self._badge(kind, term) + 10)
        widths += [text_width(lane.shown, self.m.words) for lane in self.story.lanes]
        return min(max(widths) + 1, self.m.pill)

    # -- messages --------------------------------------------------------------------------------------
    def _lines(self) -> list[MessageLine]:
        lines: list[MessageLine] = []
        open_ends: set[tuple[tuple[float, float], ...]] = set()
        tokens: set[tuple[float, float] | None] = set()
        for arrow in self.story.arrows:
            if arrow.source not in self.x or arrow.to not in self.x:
                continue
            line = self._routed(arrow)
            if line.kind == "open" and line.points in open_ends:
                continue  # to several receivers on one side
            if line.token in tokens:
                line = replace(line, token=None)
            open_ends.add(line.points)
            tokens.add(line.token)
            lines.append(line)
        return sorted(lines, key=lambda line: line.kind == "arrives")  # which is seen where they share a way

    def _routed(self, arrow: Arrow) -> MessageLine:
        here, there = self.x[arrow.source], self.x[arrow.to]
        d = 1 if there > here else -1
        y = self._leaves(arrow)
        start, beside = here + 6 * d, there - d * (self.pill / 2 + 3)
        token = (start + 13 * d, y) if arrow.token is not None and arrow.sent != arrow.received else None
        if arrow.received is None and arrow.is_lost:
            return MessageLine(arrow, ((start, y), (beside - 4 * d, y)), "lost", d, token)
        if arrow.received is None:
            reaches = here + d * (self.pill / 2 + self.m.gap * 0.7)
            return MessageLine(arrow, ((start, y), (reaches, y)), "open", d, token)
        to = self._line(arrow.received, self.slots[arrow.received].index(arrow))
        end = there - d * self._half(arrow.received, arrow.to)
        if arrow.received == arrow.sent:
            return MessageLine(arrow, ((here + 5 * d, to), (end, to)), "arrives", d, token)
        into = there - d * (self.pitch - self.pill / 2 - 3)
        return MessageLine(arrow, ((start, y), (into, y), (beside, to), (end, to)), "arrives", d, token)

    def _half(self, number: int, lane: str) -> float:
        """Half the width of the mark at which a message arrives, and a little more."""
        row = next(r for r in self.story.rows if r.number == number)
        return 13.0 if row.lane == lane and row.mark in BROAD else 9.0

    def _leaves(self, arrow: Arrow) -> float:
        """The line on which it leaves; from above where it was sent before the first row."""
        if arrow.sent not in self.lines_at:
            return HEAD - 4
        return self._line(arrow.sent, max(0, len(self.slots[arrow.sent]) - 1))


SIGNS = {
    "term": "the term, a colour each",
    "leads": "leads",
    "stands": "stands for election",
    "follows": "follows",
    "lease": "holds a lease",
    "busy": "an operation under way",
    "arrives": "a message",
    "lost": "a message that nobody reads",
    "open": "still on its way at the end",
    "write": "a write, and its token",
    "refused": "a write that is refused",
    "crash": "a crash",
    "back": "back after a crash",
    "cut": "links fail, or come back",
    "paused": "paused",
    "time": "time passes",
    "gone": "no longer so",
    "wrong": "what contradicts the property",
}


@dataclass(frozen=True)
class Sign:
    kind: str
    words: str
    x: float
    y: float


def legend(picture: Picture, left: float = 14.0) -> tuple[list[Sign], float]:
    """The signs that occur, in lines, and the height of it all."""
    x, y, signs = left, 16.0, []
    for kind in (k for k in SIGNS if k in _occurring(picture)):
        wide = 35 + text_width(SIGNS[kind], 11) + 16
        if x > left and x + wide > picture.width:
            x, y = left, y + 24
        signs.append(Sign(kind, SIGNS[kind], x, y))
        x += wide
    return signs, y + 20


def _occurring(picture: Picture) -> set[str]:
    pills = [p for r in picture.rows for p in r.pills]
    found: set[str] = {s.style for s in picture.segments} | {line.kind for line in picture.lines}
    found |= {m.kind for r in picture.rows for m in r.marks} | {r.row.mark for r in picture.rows}
    found |= {"crash"} if "restart" in found else set()
    found |= {"term"} if any(p.badge for p in pills) else set()
    found |= {"gone"} if any(p.kind == "gone" for p in pills) else set()
    found |= {"lease" if b.title == "lease" else "busy" for b in picture.bars}
    return found | ({"wrong"} if any(r.rings for r in picture.rows) else set())


def _style(spot: Spot) -> Literal["leads", "stands", "follows", "plain", "paused"]:
    if spot.life == "paused":
        return "paused"
    if spot.role in LEADING:
        return "leads"
    return "stands" if spot.role in STANDING else "follows" if spot.role else "plain"


def said_on_pills(before: Spot, after: Spot, whole: bool = False) -> list[tuple[str, str, int | None]]:
    """What the pills of a lane say: kind, words, term. Only what is new, unless the whole is asked for; and
    once more, struck out, what is so no longer and has nothing of its kind in its place."""
    said: list[tuple[str, str, int | None]] = []
    role = ", ".join(filter(None, (after.role, "lease" if after.lease else "")))
    is_new = (before.role, before.term, before.lease, before.life) != (
        after.role,
        after.term,
        after.lease,
        after.life,
    )
    if role and after.life != "down" and (is_new or whole):
        said.append(("role", role, after.term))
    if after.life != "up" and (is_new or whole):
        said.append(("life", after.life, None))
    new = [word for word in after.words if whole or word not in before.words]
    said += [("word", word, None) for word in new]
    replaced = {word.split()[0] for word in new}
    gone = [word for word in before.words if word not in after.words and word.split()[0] not in replaced]
    said += [("gone", word, None) for word in gone]
    if before.lease and not after.lease:
        said.append(("gone", "lease", None))
    return said
