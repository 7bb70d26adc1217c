"""From what `oneleader conform` found to a story: its shortest run, played again on a fresh cluster."""

from __future__ import annotations

from contextlib import closing, suppress
from itertools import pairwise

from oneleader.conformance.adapter import Observed
from oneleader.conformance.conform import names
from oneleader.conformance.examined import Cause
from oneleader.conformance.network import LinkName, Traffic, Underway
from oneleader.conformance.trial import Broke, MakeAdapter, Trial
from oneleader.story import Arrow, Lane, Spot, Story, StoryRow

MARKS = {
    "crash": "crash",
    "restart": "back",
    "pause": "pause",
    "wake": "resume",
    "elapse": "time",
    "cut": "cut",
}
LONGEST = 28  # characters of a message's name


class Heard(Traffic):
    """The messages on their way, and those that have arrived: sent in which step, taken in which."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.trial, self.arrows = trial, list[Arrow]()

    def arrived(self, link: LinkName, flight: Underway) -> None:
        super().arrived(link, flight)
        label = short(self.trial.adapter.describe(flight.message))
        self.arrows.append(Arrow(*link, label, flight.sent_at, len(self.trial.steps) + 1))


def of_cause(make: MakeAdapter, nodes: int, cause: Cause) -> Story:
    """The run of a finding, up to the step that is refused."""
    trial = Trial(make(names(nodes)), names(nodes), known=cause.after)
    trial.traffic = traffic = Heard(trial)
    rows = [StoryRow(0, "", "at first", spots(trial))]
    with closing(trial.adapter), suppress(Broke):
        for event in cause.events:
            before = len(trial.steps)
            try:
                trial.play(event)
            finally:
                rows += [row(trial, number, spots(trial)) for number in range(before, len(trial.steps))]
    lanes = tuple(Lane(node) for node in trial.nodes)
    wrong, _, because = cause.words.partition("\n")
    last = rows[-1].number
    return Story(cause.key, lanes, tuple(rows), tuple(traffic.arrows), wrong, because, last)


def row(trial: Trial, number: int, after: dict[str, Spot]) -> StoryRow:
    """A step; those of a burst share what is seen after it."""
    verb, *rest = trial.events[number]
    lane = rest[1] if verb in ("deliver", "overtake", "copy") else rest[0] if rest else ""
    label = "receives" if verb in ("deliver", "overtake", "copy") else trial.steps[number]
    return StoryRow(number + 1, lane if lane in trial.nodes else "", label, after, mark=MARKS.get(verb, ""))


def spots(trial: Trial) -> dict[str, Spot]:
    return {node: spot(shown, node in trial.paused) for node, shown in trial.seen.items()}


def spot(shown: Observed | None, is_paused: bool) -> Spot:
    if shown is None or shown.role is None:
        return Spot(life="down", term=shown.term if shown else None)
    words = [f"voted for {shown.voted_for}"] if shown.voted_for else []
    if shown.log is not None:
        length = shown.first - 1 + len(shown.log)
        words.append(f"{length} {'entry' if length == 1 else 'entries'}")
    words += [f"{shown.commit} committed"] if shown.commit else []
    life = "paused" if is_paused else "up"
    return Spot(shown.role, shown.term, bool(shown.lease), tuple(words), life)


def short(message: str) -> str:
    """The first word that names a kind of message, in whatever form it is shown."""
    quoted = [word for word in message.replace("'", '"').split('"') if word.replace("_", "").isalpha()]
    named = next((b for a, b in pairwise(quoted) if a in ("type", "kind")), "")
    return (named or message.partition("(")[0])[:LONGEST]
