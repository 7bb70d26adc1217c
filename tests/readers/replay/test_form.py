"""The form of recordings: the schema and the lint know the keys that the judge knows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
        ([HEAD, {"node": "n9", "event": "x"}], ["line 2: 'n9' is not one of the header's `nodes`"]),
        ([HEAD, GOOD | {"after": {"term": {"n9": 1}}}], ["line 2: 'n9' is no Node"]),
        ([HEAD, GOOD | {"actions": [], "given": {"leader": 1}}], ["line 2: election has no field leader"]),
        ([HEAD, GOOD | {"members": ["n1"]}, GOOD], ["line 2: n1 has the members n1, and in election"]),
    ],
)
def test_what_is_wrong_is_said_line_by_line(lines: list[Any], says: list[str]) -> None:
    found = faults(*lines)
    assert len(found) == len(says)
    assert all(fault.startswith(said) for fault, said in zip(found, says, strict=True)), found


# -- the schema and the lint agree -------------------------------------------------------------------------
SHOWN = {"node": "n1", "event": "x", "term": 1, "voted_for": "n2", "role": "leader", "votes": ["n1"]}
MESSAGES = {"time": 1.5, "sends": ["m"], "receives": ["m"], "step": 1, "note": {"by": "hand"}}
LOGGED = SHOWN | {"log": [[1, "a"], [2, {"x": 1}]], "first": 2, "commit": 1, "restarts": True}
CHANGED = LOGGED | {"log": [[1, {"members": ["n1", "n2"]}]], "members": [["n1"], ["n1", "n2"]]}
TRACES: list[list[dict[str, Any]]] = [
    [
        HEAD | {"quorums": [["n1", "n2"]], "seed": 1, "note": "x", "incomplete": ["term"]},
        SHOWN | MESSAGES,
        GOOD | {"after": {"term": {"n1": 1}, "votes": {"n1": ["n1"]}, "role": {"n1": "leader"}}},
        GOOD | {"given": {"requested": {"n2": [3]}}},
        LOGGED | {"lease": True, "snapshot": 1, "members": ["n1", "n2"]},
    ],
    [
        HEAD
        | {"configuration": [["n1", "n2"]], "violates": ["election_safety", {"a": "n1", "b": "n2", "t": 1}]},
        SHOWN,
    ],
    [
        {"format": "oneleader", "version": 1, "model": "election", "elements": {"Node": ["n1", "n2"]}}
        | {"constants": {"member": [["n1", "both"], ["n2", "both"]]}, "numbers": {}, "fault": "none"},
        GOOD,
    ],
    [HEAD | {"model": "pre_vote"}, SHOWN | {"role": "pre-candidate"} | MESSAGES],
    [HEAD | {"model": "replication"}, LOGGED],
    [HEAD | {"model": "replication"}, LOGGED | {"log": [1, [2]], "snapshot": 0}],
    [HEAD | {"model": "membership", "configuration": [["n1"], ["n1", "n2"]]}, CHANGED, LOGGED],
    [HEAD | {"model": "snapshots"}, CHANGED | {"snapshot": 2}, SHOWN | {"members": ["n1"]}],
    [
        HEAD | {"model": "lease", "parameters": {"lease": 2, "promise": 3, "slow": 1, "fast": 1}},
        SHOWN | MESSAGES | {"lease": True, "time": 3},
    ],
]

# What the schema accepts and the lint does not, by its words.
BEYOND_A_SCHEMA = {
    "it is a name that the model declares": r"(?:has|of) no (?:such |set )?(?:field|action|sort|constant)"
    r"|has no parameter|needs the parameter|takes \(|no such property|is no model of|is not a list of fields",
    "it is a name that the header declares": r"is no \w+ of the header's|not one of the (?:header's )?`nodes`"
    r"|has quorums: the header has to name the `nodes`|has the members",
    "the model's field has another shape, within `after`, `given`, `actions` or `constants`": r"is no [A-Z]"
    r"|is no bool|where an index is wanted|is not a list of its indices",
    "the model does not read the header's key, or what lines show": r"nothing reads|names no actions",
    "the model's axioms decide": r"the axiom ",
    "what was shown before decides": r"goes back from|shown with a value and some without",
}

WORDS = st.sampled_from(["n1", "n2", "n9", "Leader", "leader", "", "1", "oneleader", "majority", "term"])
NUMBERS = st.sampled_from([0, 1, 2, -1, 0.5, -1.5, 10**18, 2**64, 10**30, 10**400])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from(
    [*HEADER, *HEADER_FOR_PEOPLE, *STEP, *STEP_FOR_PEOPLE, "afer", "Term", "Node", "n2", "members"]
)
SCHEMA = jsonschema_rs.validator_for(schema())


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each value within, as what holds it and where."""
    for at in [*value] if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, at
        yield from places(value[at])


def capital(value: Any) -> str:
    return str(value).capitalize()


def unpacked(value: Any) -> Any:
    return value[0] if value and isinstance(value, list) else None


RETYPED = st.sampled_from(
    [str, bool, capital, unpacked, lambda had: [had], lambda had: [had, had], lambda had: {"n1": had}]
)


@st.composite
def slips(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A trace whose last line has one slip or two."""
    trace = draw(st.sampled_from(TRACES))
    *before, line = deepcopy(trace[: draw(st.integers(1, len(trace)))])
    for _ in range(draw(st.integers(1, 2))):
        holder, at = draw(st.sampled_from([(line, draw(KEYS)), *places(line)]))
        had = holder.pop(at, None) if isinstance(holder, dict) else holder.pop(at)
        slip = draw(st.sampled_from(["delete", "rename", "retype", "retype", "change"]))
        if slip == "delete":
            continue
        now = draw(RETYPED)(had) if slip == "retype" else draw(JSON) if slip == "change" else had
        if isinstance(holder, dict):
            holder[draw(KEYS) if slip == "rename" else at] = now
        else:
            holder.insert(at, now)
    return [*before, line]


def disagreement(lines: list[dict[str, Any]]) -> str:
    """Between the schema and the lint, of the last line; "" where there is none."""
    last, accepts = f"line {len(lines)}: ", SCHEMA.is_valid(lines[-1])
    found = [fault for fault in faults(*lines) if fault.startswith(last)]
    if accepts and any(not re.search("|".join(BEYOND_A_SCHEMA.values()), fault) for fault in found):
        return f"the schema accepts what the lint does not: {found}"
    return "" if accepts or found else "the lint accepts what the schema does not"


@pytest.mark.parametrize("trace", TRACES)
def test_a_trace_without_a_slip_is_accepted_by_both(trace: list[dict[str, Any]]) -> None:
    assert faults(*trace) == []
    assert all(map(SCHEMA.is_valid, trace))


def test_a_whole_number_has_no_point() -> None:
    """For a schema 2.0 is the whole number 2, and we ask for one way of writing."""
    line = GOOD | {"term": 2.0}
    assert SCHEMA.is_valid(line)
    assert faults(HEAD, line) == ["line 2: `term` is 2.0: write it as a whole number from 0 on"]


@settings(max_examples=300)
@given(slips())
def test_the_schema_accepts_what_the_lint_accepts(lines: list[dict[str, Any]]) -> None:
    assert disagreement(lines) == ""
