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


_EDGE = re.compile(r'(-?\d+) -> (-?\d+) \[label="(?:\w+!)*(\w+)"')
_STATE = re.compile(r'(-?\d+) \[label="((?:[^"\\]|\\.)*)"(,style = filled)?\]')


def read_graph(dot: Path) -> TlcGraph:
    """The file that TLC writes for `-dump dot,actionlabels`.

    TLC names a step after its action only if the action is quantified over constant sets in Next.
    """
    states: dict[int, TlcState] = {}
    initial: set[int] = set()
    edges: set[tuple[int, str, int]] = set()
    with dot.open(encoding="utf-8") as lines:
        for line in lines:
            if edge := _EDGE.match(line):
                edges.add((int(edge[1]), edge[3], int(edge[2])))
            elif state := _STATE.match(line):
                states[int(state[1])] = parse_state(re.sub(r"\\(.)", unescaped, state[2]))
                if state[3]:
                    initial.add(int(state[1]))
            elif " -> " in line:
                raise UsageError(f"{dot.name} was not written with -dump dot,actionlabels: {line.strip()}")
    missing = {end for source, _, target in edges for end in (source, target)} - states.keys()
    if missing or not initial:
        raise UsageError(f"{dot.name} is incomplete: it lacks {len(missing) or 'the initial'} states.")
    return TlcGraph(states, frozenset(initial), frozenset(edges))
