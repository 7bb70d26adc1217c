"""A history that no order explains, as a story: clients as lanes, operations as bars."""

from __future__ import annotations

from math import inf
from pathlib import Path

from oneleader.conformance.histories import JudgedHistory, Operation
from oneleader.story import Lane, Spot, Story, StoryRow


def of_history(file: Path, result: JudgedHistory) -> Story:
    """The failing part, up to the return that no order explains."""
    part = sorted(result.failing, key=lambda o: o.called)
    spots = {o.client: Spot() for o in part}
    events = [(o.called, 0, i) for i, o in enumerate(part)]
    events += [(o.returned, 1, i) for i, o in enumerate(part) if o.returned != inf]
    rows, wrong, stuck = [], None, result.stuck
    for number, (_, is_return, i) in enumerate(sorted(events), 1):
        o, said = part[i], words(part[i])
        spots = spots | {o.client: Spot() if is_return else Spot(busy=said)}
        label = f"{said} returns" if is_return else f"calls {said}"
        rows.append(StoryRow(number, o.client, label, spots))
        if is_return and stuck and (o.client, o.called) == (stuck.client, stuck.called):
            wrong = number
    key = f", key {result.key}" if result.key else ""
    return Story(
        title=f"{file.name}: {len(part)} of {result.operations} operations{key}, as a {result.model}",
        lanes=tuple(Lane(client, "client") for client in spots),
        rows=tuple(rows),
        wrong="No order of these operations explains what clients saw.",
        because=f"First at the return of client {stuck.client}: {words(stuck)}." if stuck else "",
        wrong_row=wrong,
        wrong_lanes=frozenset({stuck.client} if stuck else ()),
    )


def words(o: Operation) -> str:
    """The operation without its client and times."""
    return str(o).split("  ")[-1]
