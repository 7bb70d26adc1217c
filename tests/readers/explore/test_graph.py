"""The state graph as a file: DOT for people, an archive that `twin` compares."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oneleader.errors import UsageError
from oneleader.faults.catalogue import find
from oneleader.language.configuration import bounded
from oneleader.models import vote_count
from oneleader.models.election import MODEL
from oneleader.readers.explore.graph import Graph
from oneleader.readers.run import Run
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.twin import compare
from oneleader.verdict import HOLDS, VIOLATED

AT = bounded(MODEL, nodes=2, terms=1)


def test_it_has_every_state_and_step_of_the_plain_interpreter() -> None:
    run = Run(MODEL, bounded(MODEL, nodes=2, terms=2))
    graph = Graph.of(run)
    states = graph.plain()
    expected = {(s, p, after) for s in states for p, after in run.steps(s) if after is not None}
    assert {(states[a], p, states[b]) for a, p, b in graph.steps.tolist()} == expected
    assert len(graph.steps) == len(expected)
    assert (len(states), states[0], graph.depth[0]) == (len({*states}), run.initial, 0)
    for before, _, after in graph.steps.tolist():
        assert graph.depth[after] <= graph.depth[before] + 1
    assert all(np.isin(np.arange(1, len(states)), graph.steps[:, 2]))


def test_an_archive_is_read_back(tmp_path: Path) -> None:
    run, file = Run(MODEL, AT), tmp_path / "election.npz"
    graph = Graph.of(run, engine="native")
    graph.write(file)
    back = Graph.read(file, run)
    assert back.plain() == graph.plain()
    assert (back.steps == graph.steps).all()
    assert (back.depth == graph.depth).all()
    said = json.loads(np.load(file)["said"].tobytes())
    assert said["cells"][:3] == ["term[n1]", "term[n2]", "voted_for[n1]"]
    assert said["instances"][0] == "start_election(n=n1)"


def test_dot_names_what_changed_and_the_steps(tmp_path: Path) -> None:
    file = tmp_path / "election.dot"
    graph = Graph.of(Run(MODEL, AT))
    graph.write(file)
    lines = file.read_text().splitlines()
    assert lines[0] == "digraph election {"
    assert '  s0 [label="initial"];' in lines
    assert any("role[n1] = candidate" in line for line in lines)
    assert any(line.startswith("  s0 -> s") and "start_election(n=n1)" in line for line in lines)
    edges = {(a, b) for a, _, b in graph.steps.tolist()}
    assert sum(" -> " in line for line in lines) == len(edges)


def test_a_graph_in_a_file_is_compared_with_tlc(tmp_path: Path) -> None:
    try:
        tlc.find_java(), tlc.find_jar()
    except tlc.MissingTool as missing:
        pytest.skip(str(missing))
    run, file = Run(MODEL, AT), tmp_path / "election.npz"
    graph = Graph.of(run)
    graph.write(file)
    assert compare(MODEL, AT, graph=file).verdict is HOLDS
    Graph(run, graph.states, graph.depth, graph.steps[1:]).write(file)
    assert compare(MODEL, AT, graph=file).verdict is VIOLATED


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    run, file = Run(MODEL, AT), tmp_path / "a.npz"
    with pytest.raises(UsageError, match=r"ends in neither \.dot nor \.npz"):
        Graph.of(run).write(tmp_path / "a.txt")
    with pytest.raises(UsageError, match="more than 10 states are too many for a graph"):
        Graph.of(run, most=10)
    file.write_bytes(b"nothing")
    with pytest.raises(UsageError, match="is no graph"):
        Graph.read(file, run)
    Graph.of(run).write(file)
    with pytest.raises(UsageError, match="is the graph of another model, of an earlier text"):
        Graph.read(file, Run(MODEL, bounded(MODEL, nodes=2, terms=2)))
    with pytest.raises(UsageError, match="is the graph of another model, of an earlier text"):
        Graph.read(file, Run(vote_count.MODEL, bounded(vote_count.MODEL, nodes=2, terms=1)))


def test_a_graph_of_an_earlier_text_of_the_model_is_refused(tmp_path: Path) -> None:
    """Before, names alone were compared, so an old graph stood for a model that had been edited since."""
    faulty = replace(find("vote-twice").faulty_model.model, name=MODEL.name)
    file = tmp_path / "before.npz"
    Graph.of(Run(MODEL, AT)).write(file)
    with pytest.raises(UsageError, match="of an earlier text of this one"):
        Graph.read(file, Run(faulty, AT))
