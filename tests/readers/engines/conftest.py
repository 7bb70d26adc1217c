"""Node.js, which runs what the JavaScript engine prints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from oneleader.readers.engines.javascript import RUNTIME, JavaScript
from oneleader.readers.run import Run

# One program after the other, a line of JSON each; the answer is what it evaluates to, or its error.
LOOP = """
require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
  let said;
  try { said = { value: (0, eval)(JSON.parse(line)) }; }
  catch (error) { said = { error: String(error.stack) }; }
  process.stdout.write(JSON.stringify(said) + "\\n");
});
"""
GRAPH = """
(() => {
  const engine = engineOf(%s), numbers = new Map([[engine.initial.join(), 0]]);
  const states = [engine.initial], steps = [], odd = [];
  for (let i = 0; i < states.length && states.length <= %d; i++)
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
def node() -> Iterator[Evaluate]:
    """Evaluates JavaScript. Where Node.js is missing a test is skipped, but not in CI."""
    found = shutil.which("node")
    if found is None:
        says = "no Node.js: apt install nodejs"
        pytest.fail(says) if os.environ.get("CI") else pytest.skip(says)
    process = subprocess.Popen([found, "-e", LOOP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    stdin, stdout = process.stdin, process.stdout

    def evaluate(text: str) -> Any:
        stdin.write(json.dumps(text) + "\n")
        stdin.flush()
        said = json.loads(stdout.readline())
        assert "error" not in said, said
        return said.get("value")

    evaluate(f"{RUNTIME.read_text()}; Object.assign(globalThis, {{ each, count, every, some, engineOf }}); 0")
    yield evaluate
    process.stdin.close()
    process.wait(10)


@pytest.fixture(scope="session")
def graph_of(node: Evaluate) -> Callable[..., Any]:
    """The state graph by the JavaScript engine, of so many states at most: states, steps, what is
    cut or wrong, and the truth of every property and witness in every state."""

    def made(run: Run, most: int = 1_000_000) -> Any:
        return node(GRAPH % (JavaScript(run).text(), most))

    return made
