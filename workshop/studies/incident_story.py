"""The incident as two pictures: as it happened, and the same steps against every cure.

A step that was refused is a row like the others, with the guard that refused it; nothing changes in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from oneleader.pictures.stories import tell, telling_of, violated
from oneleader.story import Arrow, Spot, Story, StoryRow
from workshop.studies.incident import IncidentStep, Played

# What a step does not do when it is refused.
REFUSED = {
    "elect": "{n} is not elected",
    "take_lease": "{n} gets no lease",
    "read": "{n} may not act: it does not read",
    "decide_write": "{n} does not write",
    "write": "the late write of {n} is refused",
}


def story(played: Played, title: str) -> Story:
    """All of a run. Where it breaks something, the last of it is what the picture is about."""
    run, at = played.run, played.run.configuration
    steps = [step for scene in played.scenes for step in scene.steps]
    telling = telling_of(run.model, at)
    tell(
        telling,
        run.cells,
        at,
        run.initial,
        [(step.instance, step.after) for step in steps],
        names=[refusal(step) for step in steps],
    )
    spots = [cut_off(played, run.initial, telling.rows[0])]
    spots += [cut_off(played, s.after, row) for s, row in zip(steps, telling.rows[1:], strict=True)]
    telling.rows[0] = replace(telling.rows[0], after=spots[0])
    for number, step in enumerate(steps, 1):
        telling.rows[number] = said(step, replace(telling.rows[number], after=spots[number]))
    broken = [(number, step.broken) for number, step in enumerate(steps, 1) if step.broken]
    made = telling.story()
    made = replace(made, title=title, arrows=tuple(arrived(arrow, steps) for arrow in made.arrows))
    if not broken:
        return made
    row, what = broken[-1]
    wrong, because = violated(run.model, at, what, ())
    return replace(made, wrong=wrong, because=because, wrong_row=row)


def refusal(step: IncidentStep) -> str:
    """What a refused step is called, and the guard."""
    if not step.guard:
        return ""
    action, node, *_ = step.text.split()
    return f"{REFUSED[action].format(n=node)}: {step.guard.name}"


def arrived(arrow: Arrow, steps: list[IncidentStep]) -> Arrow:
    """A write that the storage refused is not lost: it was read there."""
    for number, step in enumerate(steps, 1):
        is_it = step.guard and step.text == f"write {arrow.source}" and arrow.to == "storage"
        if is_it and arrow.received is None and arrow.sent < number:
            return replace(arrow, received=number, is_lost=False)
    return arrow


def said(step: IncidentStep, row: StoryRow) -> StoryRow:
    """A row; of a refused step, where it was refused and by what."""
    if not step.guard:
        return row
    because = f"{step.guard.name}: {step.guard.clause}"
    lane = "storage" if step.guard.name == "storage_accepts" else step.text.split()[1]
    return replace(row, lane=lane, mark="refused", call=step.call, changes=(because,))


def cut_off(played: Played, state: tuple[int, ...], row: StoryRow) -> Mapping[str, Spot]:
    """The lanes, those that are away said to be where the network is split."""
    run = played.run
    split = next((i for i, (f, _) in enumerate(run.cells.keys) if f.name == "is_split"), None)
    if split is None or not state[split]:
        return row.after
    away = run.configuration.chosen["away"]
    return {
        lane: replace(spot, words=("cut off", *spot.words)) if lane in away else spot
        for lane, spot in row.after.items()
    }
