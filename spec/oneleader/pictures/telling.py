"""Telling: the steps of a model, one after the other, become a story in the words of its vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from oneleader.language.configuration import Configuration
from oneleader.language.fields import Field
from oneleader.language.model import Model
from oneleader.language.sorts import (
    NIL,
    AnySort,
    EachSort,
    OptionSort,
    base,
    is_enum,
    is_set,
    name_of,
)
from oneleader.pictures.vocabulary import VOCABULARIES, Act, Plain, Vocabulary
from oneleader.story import Arrow, Lane, Spot, Story, StoryRow

Cell = tuple[str, tuple[Plain, ...]]
EVERYWHERE = ""


class Values:
    """The state as it is told: cells by field and index. What is not there has its first value."""

    def __init__(
        self,
        model: Model,
        elements: Mapping[str, tuple[Plain, ...]],
        quorums: Iterable[frozenset[str]] = (),
        parameters: Mapping[str, int] | None = None,
    ) -> None:
        self.cells: dict[Cell, Plain] = {}
        self.first = {f.name: first_value(f) for f in model.fields.values()}
        self.elements = dict(elements)
        self.quorums = tuple(quorums)
        self.parameters = dict(parameters or {})

    def __call__(self, field: str, *key: Plain) -> Plain:
        return self.cells.get((field, key), self.first.get(field))

    def all(self, sort: str) -> tuple[Plain, ...]:
        return self.elements.get(sort, ())


def first_value(f: Field) -> Plain:
    if isinstance(f.of, OptionSort):
        return None
    if is_enum(f.of):
        return f.of(f.init).name.lower()
    return f.init if isinstance(f.init, (bool, int)) else float("inf")  # long ago


def plain(at: Configuration, sort: AnySort, value: Any) -> Plain:
    """A value of a run as it is told: `n1`, 3, None, ("n1", "n2")."""
    if isinstance(sort, OptionSort) and value == NIL:
        return None
    of = base(sort)
    if of is bool:
        return bool(value)
    shown = at.show(of, value)
    if isinstance(of, EachSort):
        return shown
    if is_enum(of) or is_set(of):
        return named(shown)
    return int(value)


def named(shown: str) -> Plain:
    """A quorum by its members, anything else by its name."""
    return tuple(shown.strip("{}'").split()) if shown.startswith("{") else shown


def fitting(model: Model) -> Vocabulary:
    """The first vocabulary that the model has the fields for; else one that says no more than is there."""
    known = next((v for v in VOCABULARIES if v.needs <= model.fields.keys()), None)
    return known or plainly(model)


def plainly(model: Model) -> Vocabulary:
    """Lanes for the elements of each set sort, and of each field with one index there what it holds."""
    sorts = [s for s in model.sorts.values() if is_set(s) and s.__name__ != "Quorum"]
    fields = [
        f for f in model.fields.values() if f.kind == "field" and len(f.index) == 1 and f.index[0] in sorts
    ]

    def spot(now: Any, name: str) -> Spot:
        words = []
        for f in fields:
            value = now(f.name, name) if name in now.all(name_of(f.index[0])) else now.first[f.name]
            if value != now.first[f.name]:
                words.append(f.name if value is True else f"{f.name} {told(value)}")
        return Spot(words=tuple(words))

    acts = {}
    for a in model.actions.values():
        at = next((f"{{{p}}}" for p, sort in a.params if sort in sorts), EVERYWHERE)
        rest = ", ".join(f"{p} {{{p}}}" for p, _ in a.params)
        acts[a.name] = Act(a.name.replace("_", " ") + (f": {rest}" if rest else ""), at)
    lanes = tuple((s.__name__, "server", "{}") for s in sorts)
    return Vocabulary(frozenset(), lanes, spot, acts, places=() if lanes else (("model", "server"),))


def told(value: Plain) -> str:
    """A value within a sentence."""
    if isinstance(value, tuple):
        return " and ".join(map(str, value))
    return "nobody" if value is None else str(value)


class SentFrom(NamedTuple):
    """Where a message comes from, and when; `to` is "" where it goes to everybody."""

    row: int
    source: str
    to: str
    token: int | None


@dataclass
class Telling:
    """A story in the making: `take` one step after the other, then `story`."""

    model: Model
    now: Values
    title: str
    rows: list[StoryRow] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.words = fitting(self.model)
        self.sent: dict[Cell, SentFrom] = {}
        self.lanes: tuple[Lane, ...] = ()

    # -- steps ---------------------------------------------------------------------------------------
    def begin(self, label: str = "the first state", cells: Mapping[Cell, Plain] | None = None) -> None:
        """Row 0, with these cells at other than their first values."""
        self.lanes = tuple(self._lanes())
        self.now.cells.update(cells or {})
        self._send(0, EVERYWHERE, cells or {})
        self.rows.append(StoryRow(0, EVERYWHERE, label, self._spots()))

    def take(
        self,
        number: int,
        acts: Sequence[tuple[str, Mapping[str, Plain]]],
        written: Mapping[Cell, Plain],
        lane: str = EVERYWHERE,
        label: str = "",
        verdict: str = "",
        **said: Any,
    ) -> None:
        """One row: the actions with their arguments, and the cells that they have written.

        `lane` stands where there is not just one action beside time that passes, `label` where there is none,
        and `verdict` before either; `said` is the rest of the row.
        """
        known = [(self.words.acts.get(name) or plainly(self.model).acts[name], args) for name, args in acts]
        tokens = [self._token(act, args) for act, args in known]
        self.now.cells.update(written)
        self.lanes = tuple(self._lanes())
        spots = self._spots()
        told_of = [act for act, _ in known if act.mark != "time"] or [act for act, _ in known]
        words = []
        is_of_several = len(told_of) > 1
        if is_of_several:  # what one of them sends another may read
            self._send(number, lane, written)
        for (act, args), token in zip(known, tokens, strict=True):
            names = {name: told(value) for name, value in args.items()}
            at = act.at.format_map(names)
            term = spots[at].term if at in spots else None
            if act in told_of:
                is_undone = act.undone and written and not any(written.values())
                template = act.undone if is_undone else act.words
                words.append(template.format_map({**names, "term": term}))
            if told_of == [act]:
                lane, said = at, {"mark": act.mark, "token": token, **said}
            self._read(number, at, act, args, term)
            for source, to, what in act.within:
                for one in self._each(source, args):
                    self._draw(one, to.format_map(names), what.format_map(names), number, number, token)
        label = verdict + ("; ".join(words) or label)
        if not is_of_several:
            self._send(number, lane, written)
        self.rows.append(StoryRow(number, lane, label, spots, **said))

    def at_fault(self, named: Iterable[str]) -> frozenset[str]:
        """The lanes that a violation names; where it names none, the one of the last step."""
        names = set(named)
        lanes = frozenset(lane.name for lane in self.lanes if lane.name in names)
        return lanes or frozenset({self.rows[-1].lane} - {EVERYWHERE})

    def story(self, **said: Any) -> Story:
        """All that was told, with `wrong`, `because` and the like."""
        self.lanes = tuple(lane for lane in self.lanes if self._matters(lane))
        empty = Spot()
        rows = tuple(
            replace(r, after={lane.name: r.after.get(lane.name, empty) for lane in self.lanes})
            for r in self.rows
        )
        ends = rows[-1].number if rows else 0
        arrows = [*self.arrows, *self._unread(ends)]
        arrows.sort(key=lambda a: (a.sent, a.received is None, a.received or 0))
        return Story(self.title, self.lanes, rows, tuple(arrows), **said)

    # -- lanes ---------------------------------------------------------------------------------------
    def _lanes(self) -> Iterable[Lane]:
        before = [Lane(name, kind) for name, kind in self.words.places if kind in ("client", "lock")]
        yield from before
        for sort, kind, template in self.words.lanes:
            for one in self.now.all(sort):
                number = isinstance(one, int)
                yield Lane(template.format(one), kind, f"{sort.lower()} {one}" if number else "")
        yield from (Lane(name, kind) for name, kind in self.words.places if Lane(name, kind) not in before)

    def _matters(self, lane: Lane) -> bool:
        """A place, such as the storage, to which nothing happens in this run is left out."""
        if (lane.name, lane.kind) not in self.words.places or len(self.words.places) == len(self.lanes):
            return True
        is_reached = any(lane.name in (a.source, a.to) for a in (*self.arrows, *self._unread(0)))
        return is_reached or any(
            r.lane == lane.name or r.after.get(lane.name, Spot()) != Spot() for r in self.rows
        )

    def _spots(self) -> dict[str, Spot]:
        return {lane.name: self.words.spot(self.now, lane.name) for lane in self.lanes}

    # -- messages --------------------------------------------------------------------------------------
    def _send(self, row: int, lane: str, written: Mapping[Cell, Plain]) -> None:
        for (name, key), value in written.items():
            message = self.words.messages.get(name)
            if message is None or not value:
                continue
            token = value if message.token == "value" else None
            if isinstance(message.token, int):
                token = key[message.token]
            source = self._end(message.source, key) or lane
            self.sent[name, key] = SentFrom(row, source, self._end(message.to, key), token)

    @staticmethod
    def _end(end: int | str | None, key: tuple[Plain, ...]) -> str:
        return "" if end is None else end if isinstance(end, str) else str(key[end])

    def _read(self, row: int, lane: str, act: Act, args: Mapping[str, Plain], term: int | None) -> None:
        """The newest message that each reading means; of several readings of a leader's log the newest."""
        found: dict[str, tuple[str, SentFrom]] = {}  # by source
        for reading in act.reads:
            for cell in self._meant(reading, args, term):
                sent = self.sent[cell]
                if sent.source != lane and (
                    sent.source not in found or sent.row >= found[sent.source][1].row
                ):
                    found[sent.source] = cell[0], sent
        if any("*" in reading for reading in act.reads) and found:
            newest = max(found, key=lambda source: found[source][1].row)
            found = {newest: found[newest]}
        for source, (name, sent) in found.items():
            self._draw(source, lane, self.words.messages[name].name, sent.row, row, sent.token)

    def _meant(self, reading: str, args: Mapping[str, Plain], term: int | None) -> Iterable[Cell]:
        name, *parts = reading.split()
        wanted = [self._part(part, args, term) for part in parts]
        for field_name, key in self.sent:
            fits = field_name == name and all(w is None or k in w for w, k in zip(wanted, key, strict=True))
            if fits:
                yield field_name, key

    @staticmethod
    def _part(part: str, args: Mapping[str, Plain], term: int | None) -> tuple[Plain, ...] | None:
        if part == "*":
            return None
        if part == "@term":
            return (term,)
        return tuple(args.get(part[1:], ())) if part.startswith("<") else (args[part],)

    def _each(self, template: str, args: Mapping[str, Plain]) -> Iterable[str]:
        if template.startswith("<"):
            return [str(v) for v in args.get(template[1:], ())]
        return [template.format_map({name: told(value) for name, value in args.items()})]

    def _draw(self, source: str, to: str, label: str, sent: int, received: int, token: int | None) -> None:
        if source != to:
            self.arrows.append(Arrow(source, to, label, sent, received, token=token))

    def _token(self, act: Act, args: Mapping[str, Plain]) -> int | None:
        """The token of a write, read before the step: an argument, or a field."""
        name, *key = act.token.split() or ("",)
        if name in args:
            return int(args[name])
        return self.now(name, *(args[k] for k in key)) if name else None

    def _unread(self, ends: int) -> Iterable[Arrow]:
        """Messages that nobody read: lost, as far as this run goes, unless it ends with their sending."""
        arrived = {(a.source, a.to, a.sent, a.label) for a in self.arrows}
        servers = [lane.name for lane in self.lanes if lane.kind == "server"]
        for (name, _), (row, source, to, token) in self.sent.items():
            message = self.words.messages[name]
            for one in [to] if to else servers:
                if not source or one == source or (source, one, row, message.name) in arrived:
                    continue
                if message.at_once and to:
                    yield Arrow(source, one, message.name, row, row, token=token)
                elif not message.at_once:
                    yield Arrow(source, one, message.name, row, is_lost=row < ends, token=token)
