"""The form of recordings: the schema and the lint know the keys that the judge knows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oneleader.readers.replay.form import faults_of, schema
from oneleader.readers.replay.formats.own_header import HEADER, HEADER_FOR_PEOPLE
from oneleader.readers.replay.formats.own_steps import STEP, STEP_FOR_PEOPLE

HEAD: dict[str, Any] = {"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1", "n2"]}
GOOD: dict[str, Any] = {"node": "n1", "event": "x", "actions": [["start_election", {"n": "n1"}]]}


def faults(*lines: Any) -> list[str]:
    return list(faults_of(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))


def test_the_schema_names_the_keys_that_the_judge_knows() -> None:
    header, step = schema()["anyOf"]
    assert header["properties"].keys() == {*HEADER, *HEADER_FOR_PEOPLE}
    assert step["properties"].keys() == {*STEP, *STEP_FOR_PEOPLE}
    assert header["additionalProperties"] is step["additionalProperties"] is False


def test_lines_that_are_right_have_no_fault() -> None:
    assert faults(HEAD, GOOD, GOOD) == [], "that n1 cannot stand twice in a line is for `replay` to say"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], ["there is no line"]),
        (
            [HEAD, GOOD | {"afer": {}}, GOOD, GOOD | {"node": 1}],
            ["line 2: unknown key `afer`", "line 4: a step"],
        ),
        ([HEAD | {"quorums": [["n1"], ["n2"]]}], ["line 1: the axiom quorums_intersect"]),
        ([HEAD | {"model": "paxos"}, GOOD], ["line 1: 'paxos' is no model"]),
        ([HEAD, GOOD, '{"node": '], ["line 3: the recording is cut off"]),
        (["hello"], ["line 1: this is not valid JSON"]),
        ([HEAD, GOOD, HEAD, GOOD], ["line 3: a second header"]),
        ([HEAD, {"event": {"name": "Ready", "nid": "1"}}], ["line 2: a line of etcd in a recording"]),
        ([HEAD, GOOD | {"after": {"term": {"n9": 1}}}], ["line 2: 'n9' is no Node"]),
        ([HEAD, GOOD | {"actions": [], "given": {"leader": 1}}], ["line 2: election has no field leader"]),
        ([HEAD, GOOD | {"members": ["n1"]}, GOOD], ["line 2: n1 has the members n1, and in election"]),
    ],
)
def test_what_is_wrong_is_said_line_by_line(lines: list[Any], says: list[str]) -> None:
    found = faults(*lines)
    assert len(found) == len(says)
    assert all(fault.startswith(said) for fault, said in zip(found, says, strict=True)), found
