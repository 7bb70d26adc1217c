"""State graphs by the JavaScript engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from oneleader.readers.engines.javascript import JavaScript
from oneleader.readers.run import Run

GRAPH = """
(() => {
  const engine = engineOf(%s), numbers = new Map([[engine.initial.join(), 0]]);
  const states = [engine.initial], steps = [], odd = [];
  for (let i = 0; i < states.length && i < %d; i++)
    for (const [position, after] of engine.successors(states[i])) {
      if (!Array.isArray(after)) { odd.push([i, position, after]); continue; }
      const key = after.join();
      if (!numbers.has(key)) { numbers.set(key, states.length); states.push(after); }
      steps.push([i, position, numbers.get(key)]);
    }
  const { invariants, theorems, witnesses } = engine.model;
  const told = states.map((state) => [
    ...[...invariants, ...theorems].map((property) => engine.broken(state, property) === null),
    ...witnesses.map((witness) => engine.witnessed(state, witness) !== null)]);
  return { states, steps, odd, told };
})()
"""
Evaluate = Callable[[str], Any]


@pytest.fixture(scope="session")
def graph_of(node: Evaluate) -> Callable[..., Any]:
    """The state graph by the JavaScript engine, of the steps of so many states at most: states, steps, what
    is cut or wrong, and the truth of every property and witness in every state."""

    def made(run: Run, most: int = 1_000_000) -> Any:
        return node(GRAPH % (JavaScript(run).text(), most))

    return made
