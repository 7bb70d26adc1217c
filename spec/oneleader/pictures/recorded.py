"""From a recording to a story: our own format by its actions, those of etcd and CCF by what their lines say.

`replay` judges it first. Where it refuses a line, that line is the violation and the story ends there.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import combinations
from pathlib import Path
from typing import Any

from oneleader.conformance.scenes import short
from oneleader.errors import Inexpressible, UsageError
from oneleader.faults import catalogue
from oneleader.language.configuration import MOST_VALUES
from oneleader.language.model import Model
from oneleader.language.sorts import NIL, name_of
from oneleader.models.election import FOLLOWER
from oneleader.pictures.stories import says
from oneleader.pictures.telling import Telling, Values
from oneleader.pictures.vocabulary import Plain
from oneleader.readers.replay.candidates import LineRefused, NotModelled, OpenRun, TooMany
from oneleader.readers.replay.formats import ccf_lines
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.readers.replay.lines import opened, records
from oneleader.readers.replay.replay import Replayed, replay
from oneleader.story import NBSP, Arrow, Lane, Spot, Story, StoryRow

MOST_NODES = 9  # whose majorities are listed
QUIET = {"Ready", "Commit", "Replicate", "ApplyConfChange", "ChangeConf"}  # lines of etcd that are no row


def of_file(path: Path, format: str | None = None, model: Model | None = None) -> Story:
    """The story of a recording as it was found: by its own fault, if it names one, and its violation.

    UsageError where the file cannot be read.
    """
    with opened(path) as lines:
        first = next((record for _, record in records(lines)), None)
    if first is None:
        raise UsageError(f"{path} is empty")
    own = OwnFormat.recognises(first) if format is None else format == "oneleader"
    if own and model is None and isinstance(first.get("fault"), str):
        model = catalogue.find(first["fault"]).model
    return judged(path, replay(path, format, model=model, judges_states=False), model)


def judged(path: Path, result: Replayed, model: Model | None = None) -> Story:
    """The story of a recording that `replay` has judged."""
    with opened(path) as lines:
        if result.format == "oneleader":
            return _own(path, list(records(lines)), result, model)
        if result.format == "ccf":
            return _etcd(path, _as_etcd(records(lines), result), result, "CCF")
        return _etcd(path, records(lines), result)


def refusal(result: Replayed) -> dict[str, Any]:
    """What a story says of a refused line."""
    if result.refusal is None:
        return {}
    action, guard = result.refusal.action, result.refusal.guard
    if not action or guard is None:
        return {"wrong": f"The model {result.model} refuses this: {result.refusal.text}."}
    clause = guard.clause.replace(" ", NBSP)
    return {
        "wrong": f"The model {result.model} refuses {action}.",
        "because": f"Its rule: {guard.name} ({clause}).",
    }


# -- our own format ----------------------------------------------------------------------------------------
def _own(path: Path, found: list[tuple[int, dict[str, Any]]], result: Replayed, model: Model | None) -> Story:
    (_, header), *rest = found
    format = OwnFormat(header, model, result.limit, judges_states=False, run=OpenRun)
    telling = Telling(format.model, _values(format, header), f"{path.name}, a run of {format.model.name}")
    telling.begin(cells=_cells(format))
    for number, record in rest:
        before = format.candidates.run.shared_cells()
        try:
            format.judge(record)
        except (LineRefused, NotModelled, TooMany, Inexpressible):
            _take(telling, format, number - 1, record, before, "refused" if result.refusal else "not judged")
            break
        _take(telling, format, number - 1, record, before)
        if result.refusal and number == result.refusal.line:
            break  # a property is false of the state that this line reaches
    last = telling.rows[-1].number
    said = refusal(result) or _violation(format.model, header)
    named = [] if result.refusal else map(str, _values_of(header))
    at = {"wrong_row": last, "wrong_lanes": telling.at_fault(named)} if said else {}
    return telling.story(**said, **at, again=f"oneleader replay {path}")


def _take(
    telling: Telling,
    format: OwnFormat,
    number: int,
    record: dict[str, Any],
    before: Any,
    verdict: str = "",
) -> None:
    """One line of the recording; one with a verdict of its own changes nothing."""
    acts = [(name, {p: _plain(v) for p, v in args.items()}) for name, args in _named(format, record, verdict)]
    cells = {} if verdict else _cells(format, before)
    telling.now.elements |= _elements(format, telling.now)
    changes = tuple(
        f"{_cell(cell)}: {_show(telling.now(cell[0], *cell[1]))} -> {_show(v)}" for cell, v in cells.items()
    )
    calls = [f"{name}({', '.join(f'{p}={_show(v)}' for p, v in args.items())})" for name, args in acts]
    call = "; ".join(calls) or str(record.get("event", ""))
    at, event = str(record.get("node", "")), short(str(record.get("event", "")))
    label = f"{at}: {event}" if at else event
    telling.take(
        number, acts, cells, at, label, f"{verdict}: " if verdict else "", call=call, changes=changes
    )


def _named(format: OwnFormat, record: dict[str, Any], verdict: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """The actions of a line; those that were found where it names none."""
    if "actions" in record:
        return [(name, args) for name, args in record["actions"]]
    found = [] if verdict else format.found
    return [(action.name, dict(zip(dict(action.params), args, strict=True))) for action, args in found]


def _cells(format: OwnFormat, before: dict[Any, Any] | None = None) -> dict[Any, Plain]:
    """The cells that differ from before. The recording leaves nothing open, so all of the state is shared."""
    run = format.candidates.run
    before, after = before or {}, run.shared_cells()
    names = after.keys() | before.keys()
    changed = (
        c for c in names if after.get(c, run.initial.get(c[0])) != before.get(c, run.initial.get(c[0]))
    )
    return {
        (name, tuple(map(_plain, key if isinstance(key, tuple) else (key,)))): _plain(
            run.shared_value((name, key))
        )
        for name, key in sorted(changed, key=str)
    }


def _values(format: OwnFormat, header: dict[str, Any]) -> Values:
    nodes = format.closed.get("Node", ())
    listed = header.get("quorums", "majority")
    if listed == "majority":
        listed = combinations(nodes, len(nodes) // 2 + 1) if len(nodes) <= MOST_NODES else ()
    quorums = (frozenset(q) for q in listed)
    return Values(format.model, _numbers(header) | _elements(format), quorums, header.get("parameters"))


def _numbers(header: dict[str, Any]) -> dict[str, tuple[Plain, ...]]:
    """The bounds of the run, where the header says them: for pictures alone, so nobody has checked them."""
    given = header.get("numbers")
    known = given.items() if isinstance(given, dict) else ()
    return {sort: tuple(range(n + 1)) for sort, n in known if type(n) is int and 0 <= n <= MOST_VALUES}


def _elements(format: OwnFormat, so_far: Values | None = None) -> dict[str, tuple[Plain, ...]]:
    """What has appeared: sets by their elements, numbers up to the greatest, or up to the header's."""
    run = format.candidates.run
    found = {name_of(sort): tuple(elements) for sort, elements in run.elements.items()}
    for sort, greatest in run.greatest.items():
        known = len(so_far.all(name_of(sort))) if so_far else 0
        found[name_of(sort)] = tuple(range(max(greatest + 1, known)))
    return found


def _violation(model: Model, header: dict[str, Any]) -> dict[str, str]:
    """What the header says is violated at the end, as `explore` saved it."""
    match header.get("violates"):
        case [str(name), dict(values)] if name in model.properties:
            prop = model.properties[name]
            shown = ", ".join(f"{p} = {_show(_plain(v))}" for p, v in values.items())
            because = f"Not so for {shown}." if shown else ""
            return {"wrong": f"{prop.title} is violated{says(prop)}", "because": because}
    return {}


def _values_of(header: dict[str, Any]) -> Iterable[Any]:
    match header.get("violates"):
        case [str(), dict(values)]:
            return values.values()
    return ()


def _plain(value: Any) -> Plain:
    if value is NIL or value is None:
        return None
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, (frozenset, list)):
        return tuple(sorted(map(str, value)))
    if isinstance(value, dict):
        return ", ".join(f"{n} {v}" for n, v in value.items())
    return value


def _show(value: Plain) -> str:
    if isinstance(value, tuple):
        return f"{{{' '.join(value)}}}"
    return "NIL" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _cell(cell: tuple[str, tuple[Plain, ...]]) -> str:
    name, key = cell
    return f"{name}[{', '.join(map(_show, key))}]" if key else name


# -- etcd's ------------------------------------------------------------------------------------------------
def _etcd(
    path: Path, lines: Iterable[tuple[int, dict[str, Any]]], result: Replayed, whose: str = "etcd"
) -> Story:
    """What each line says of its node. Lines that only store, commit or configure are no rows."""
    end = result.refusal.line if result.refusal else result.lines
    told = _Told()
    for number, record in lines:
        if number > end:
            break
        event, is_wrong = record["event"], bool(result.refusal) and number == end
        if event["name"] not in QUIET or is_wrong:
            told.take(number, event, alone=is_wrong)
    said = refusal(result)
    if said:
        said |= {"wrong_row": end, "wrong_lanes": frozenset({told.rows[-1].lane})}
    lanes = tuple(Lane(name) for name in sorted(told.spots, key=lambda n: (len(n), n)))
    rows = tuple(_with_all(row, lanes) for row in told.rows)
    arrows = [*told.arrows, *told.unread(end)]
    arrows.sort(key=lambda a: (a.sent, a.received is None, a.received or 0))
    title = f"{path.name}, a recording of {whose}; rows are its lines"
    again = f"oneleader replay {path}"
    return Story(title, lanes, rows, tuple(arrows), **said, again=again)


def _as_etcd(
    lines: Iterable[tuple[int, dict[str, Any]]], result: Replayed
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines of CCF in the words of etcd's: what is judged of them is the same."""
    last = result.refusal.line if result.refusal else result.lines
    for number, record in lines:
        if number > last:
            return
        line = ccf_lines.read(record)
        is_told = line and (line.function in ccf_lines.BECOMES or line.packet_term)
        if line and (is_told or number == last):
            yield number, {"event": _event_of_ccf(line)}


def _event_of_ccf(line: ccf_lines.CcfLine) -> dict[str, Any]:
    words = "".join(w.title() for w in line.function.replace("recv", "receive").split("_"))
    role = (line.role or FOLLOWER).name.title()
    state = {"term": line.term, "vote": "0"}  # no line shows it
    event = {"name": words, "nid": line.node[1:], "state": state, "role": f"State{role}"}
    if line.packet_term:
        ends = [line.node[1:], line.other[1:]]
        source, to = ends if words.startswith("Send") else reversed(ends)
        kind = words.removeprefix("Send").removeprefix("Receive")
        said = {"type": kind, "term": line.packet_term, "reject": line.granted is False}
        event["msg"] = {**said, "from": source, "to": to}
    return event


def _with_all(row: StoryRow, lanes: tuple[Lane, ...]) -> StoryRow:
    after = {lane.name: row.after.get(lane.name, Spot(life="down")) for lane in lanes}
    return StoryRow(row.number, row.lane, row.label, after, row.call, row.changes, row.mark)


class _Told:
    """What the lines of etcd have said so far."""

    def __init__(self) -> None:
        self.spots: dict[str, Spot] = {}
        self.rows: list[StoryRow] = []
        self.arrows: list[Arrow] = []
        self.line = 0
        self.flying: dict[str, deque[tuple[int, str, str, str]]] = {}  # message -> row, from, to, label

    def take(self, number: int, event: dict[str, Any], alone: bool) -> None:
        """A row; what a node sends to several others line after line is one, unless it is to be `alone`."""
        node, name = f"n{event['nid']}", event["name"]
        before, self.spots[node] = self.spots.get(node), _etcd_spot(event)
        message = event.get("msg") if name.startswith(("Send", "Receive")) else None
        label = f"{node} {_words(name, bool(before))}{_message(message) if message else ''}"
        goes_on = number == self.line + 1 and bool(self.rows) and self.rows[-1].label == label
        self.line = number
        if message and name.startswith("Send"):
            if goes_on and not alone:
                return self._send(self.rows[-1].number, message)
            self._send(number, message)
        elif message:
            self._receive(number, message)
        mark = ("restart" if before else "back") if name == "InitState" else ""
        changes = _differences(node, before, self.spots[node])
        return self.rows.append(StoryRow(number, node, label, dict(self.spots), name, changes, mark))

    def _send(self, number: int, message: dict[str, Any]) -> None:
        sent = number, f"n{message['from']}", f"n{message['to']}", _message(message)
        self.flying.setdefault(json.dumps(message, sort_keys=True), deque()).append(sent)

    def _receive(self, number: int, message: dict[str, Any]) -> None:
        waiting = self.flying.get(json.dumps(message, sort_keys=True))
        if waiting:
            row, source, to, label = waiting.popleft() if len(waiting) > 1 else waiting[0]
            self.arrows.append(Arrow(source, to, label, row, number))

    def unread(self, end: int) -> Iterator[Arrow]:
        arrived = {(a.sent, a.to) for a in self.arrows}
        for waiting in self.flying.values():
            for row, source, to, label in waiting:
                if (row, to) not in arrived:
                    yield Arrow(source, to, label, row, is_lost=row < end)


def _etcd_spot(event: dict[str, Any]) -> Spot:
    state, role = event["state"], event["role"].removeprefix("State").replace("PreC", "pre-c").lower()
    vote = "" if state["vote"] == "0" else "itself" if state["vote"] == event["nid"] else f"n{state['vote']}"
    return Spot(role, state["term"], words=(f"voted for {vote}",) if vote else ())


def _words(name: str, is_known: bool) -> str:
    """`BecomeCandidate` as people say it; of what is sent or received the message says more."""
    if name == "InitState":
        return "crashes and is back" if is_known else "starts"
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
    verb, _, rest = words.partition(" ")
    return {"become": f"becomes {rest}", "send": "sends ", "receive": "receives "}.get(verb, words)


def _message(message: dict[str, Any]) -> str:
    refused = ", refusing" if message.get("reject") else ""
    return f"{message['type'].removeprefix('Msg')} of term {message['term']}{refused}"


def _differences(node: str, before: Spot | None, after: Spot) -> tuple[str, ...]:
    if before is None:
        return ()
    pairs = (("role", before.role, after.role), ("term", before.term, after.term))
    vote = [(", ".join(spot.words) or "no vote") for spot in (before, after)]
    changes = [f"{what}[{node}]: {old} -> {new}" for what, old, new in pairs if old != new]
    return (*changes, *([f"vote[{node}]: {vote[0]} -> {vote[1]}"] if vote[0] != vote[1] else []))
