"""The labelled graph that TLC writes with `-dump dot,actionlabels`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oneleader.errors import UsageError
from oneleader.readers.tlc.values import TlcState, parse_state, unescaped


@dataclass(frozen=True)
class TlcGraph:
    """The reachable states by their fingerprint, and the steps between them.

    Edges are a set: TLC writes a step once for each way to take it, and its action does not show
    with which arguments.
    """

    states: Mapping[int, TlcState]
    initial: frozenset[int]
    edges: frozenset[tuple[int, str, int]]


_ACTION = re.compile(r'\[label="(?:\w+!)*(\w+)"')
_STATE = re.compile(r'(-?\d+) \[label="((?:[^"\\]|\\.)*)"(,style = filled)?\]')


def read_graph(dot: Path) -> TlcGraph:
    """The file that TLC writes for `-dump dot,actionlabels`.

    TLC names a step after its action only if the action is quantified over constant sets in Next.
    """
    states: dict[int, TlcState] = {}
    initial: set[int] = set()
    edges: set[tuple[int, str, int]] = set()
    actions: dict[str, str] = {}  # what follows the ends of an edge has few values, and there are many edges
    with dot.open(encoding="utf-8") as lines:
        for line in lines:
            before, arrow, rest = line.partition(" -> ")
            if arrow and " " not in before:
                after, _, label = rest.partition(" ")
                if label not in actions:
                    actions[label] = _action(dot, line, label)
                edges.add((int(before), actions[label], int(after)))
            elif state := _STATE.match(line):
                states[int(state[1])] = parse_state(unescaped(state[2]))
                if state[3]:
                    initial.add(int(state[1]))
    missing = {end for source, _, target in edges for end in (source, target)} - states.keys()
    if missing or not initial:
        raise UsageError(f"{dot.name} is incomplete: it lacks {len(missing) or 'the initial'} states.")
    return TlcGraph(states, frozenset(initial), frozenset(edges))


def _action(dot: Path, line: str, label: str) -> str:
    """The name in `[label="Raft!Restart",...`; UsageError where there is none."""
    if named := _ACTION.match(label):
        return named[1]
    raise UsageError(f"{dot.name} was not written with -dump dot,actionlabels: {line.strip()}")
