"""Recordings that show their nodes and name no action: the steps are found, and doctored copies refused."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from oneleader.errors import Inexpressible
from oneleader.models import find
from oneleader.pictures.recorded import judged
from oneleader.readers.replay.candidates import Candidate, LineRefused
from oneleader.readers.replay.form import faults_of
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.readers.replay.merging import Merging
from oneleader.readers.replay.replay import BadRecording, Replayed, replay, replay_lines
from oneleader.readers.replay.shorten import shortened
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED

Line = dict[str, Any]
NODES = ["n1", "n2", "n3"]


def header(model: str = "replication") -> Line:
    return {"format": "oneleader", "version": 1, "model": model, "nodes": NODES}


def line(node: str, term: int, vote: str | None, role: str, log: list[Any], commit: int, **also: Any) -> Line:
    shown = {"term": term, "voted_for": vote, "role": role, "log": log, "commit": commit}
    return {"node": node, "event": "step", **shown, **also}


A, B, X = [1, "a"], [2, "b"], [1, "x"]
# n1 leads term 1 and commits a; its x reaches nobody; n2 leads term 2 and replaces x by b.
RUN = [
    *(line(n, 0, None, "follower", [], 0) for n in NODES),
    line("n1", 1, "n1", "candidate", [], 0),  # line 5
    line("n2", 1, "n1", "follower", [], 0),
    line("n1", 1, "n1", "leader", [], 0),
    line("n1", 1, "n1", "leader", [A], 0),  # line 8
    line("n2", 1, "n1", "follower", [A], 0),
    line("n1", 1, "n1", "leader", [A], 1),  # line 10
    line("n2", 1, "n1", "follower", [A], 1),
    line("n3", 1, None, "follower", [A], 1),
    line("n1", 1, "n1", "leader", [A, X], 1),
    line("n2", 2, "n2", "candidate", [A], 1),  # line 14
    line("n3", 2, "n2", "follower", [A], 1),
    line("n2", 2, "n2", "leader", [A, B], 1),
    line("n1", 2, None, "follower", [A, B], 1),  # line 17
    line("n2", 2, "n2", "leader", [A, B], 2),
    line("n1", 2, None, "follower", [A, B], 0, restarts=True),  # line 19
    line("n1", 2, None, "follower", [A, B], 2),
]


def judge(
    lines: list[Line], model: str = "replication", by: str | None = None, judges_states: bool = False
) -> Replayed:
    """By guards and what is shown alone: properties take most of the time, and are for one test here."""
    text = (json.dumps(record) + "\n" for record in (header(model), *lines))
    return replay_lines(text, model=find(by) if by else None, judges_states=judges_states)


def only(*keys: str, of: list[Line] = RUN) -> list[Line]:
    return [{key: value for key, value in record.items() if key in ("node", "event", *keys)} for record in of]


def test_the_steps_are_found() -> None:
    found = judge(RUN, judges_states=True)
    assert found.verdict is HOLDS, found.summary()
    assert found.steps == {
        **{"start_election": 2, "update_term": 4, "grant_vote": 2, "reply_vote": 2, "receive_vote": 2},
        **{"become_leader": 2, "client_request": 3, "append_entries": 4, "replace_entries": 1},
        **{"advance_commit": 2, "restart": 1},
    }
    assert found.observations == 133


@pytest.mark.parametrize("model", ["election", "vote_count"])
def test_a_model_compares_what_it_has_a_field_for(model: str) -> None:
    found = judge(RUN, by=model)
    assert (found.verdict, found.observations) == (HOLDS, 3 * len(RUN))
    assert "not looked at in the recording: commit, event, log" in found.rests_on


@pytest.mark.parametrize(
    ("number", "change", "text"),
    [
        (6, {"voted_for": "n3"}, "grant_vote(voter=n2, candidate=n3, t=1): vote_was_requested"),
        (15, {"voted_for": "n1"}, "grant_vote(voter=n3, candidate=n1, t=2): log_is_up_to_date"),
        (16, {"term": 1}, "term[n2] is 1 in the recording and 2 in the model"),
        (17, {"term": 1}, "voted_for[n1] is NIL in the recording and n1 in the model"),
        (9, {"role": "leader"}, "become_leader(n=n2, q={n1 n2}): is_candidate"),
        (12, {"log": [[1, "z"]]}, "log_value[n3, 1] is z in the recording and a in the model"),
        (17, {"log": [B, B]}, "log_term[n1, 1] is 2 in the recording and 1 in the model"),
        (14, {"log": []}, "n2 shows 0 entries and had 1, and none of its leader's conflicts with the rest"),
        (8, {"commit": 1}, "advance_commit(n=n1, i=1, q={n1 n2}): quorum_stores"),
        (11, {"commit": 2}, "append_entries(n=n2, t=1, prev=2, last=2, commit=2): entries_were_sent"),
        (17, {"commit": 0}, "the commit index of n1 goes back from 1 to 0"),
        (7, {"votes": ["n1", "n3"]}, "receive_vote(candidate=n1, voter=n3, t=1): vote_was_granted"),
    ],
)
def test_a_doctored_copy_is_refused_at_its_line(number: int, change: Line, text: str) -> None:
    doctored = deepcopy(RUN)
    doctored[number - 2] |= change
    found = judge(doctored)
    assert found.refusal, found.summary()
    assert (found.refusal.line, found.verdict) == (number, VIOLATED)
    assert found.refusal.text.startswith(text), found.refusal.text


def test_a_vote_that_is_not_there_is_missed_where_it_is_counted() -> None:
    doctored = deepcopy(RUN)
    doctored[4]["voted_for"] = None
    found = judge(doctored)
    assert found.refusal
    assert found.refusal.line == 7
    assert found.refusal.text.startswith("become_leader(n=n1, q={n1 n2}): quorum_voted")


# -- as much as is known -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "keys",
    [
        ("term", "role"),
        ("term", "voted_for", "role", "commit", "restarts"),
        ("term", "voted_for", "role", "log"),
        ("term", "voted_for", "log", "commit", "restarts"),
    ],
    ids=" ".join,
)
def test_what_is_never_shown_may_have_been(keys: tuple[str, ...]) -> None:
    found = judge(only(*keys))
    assert found.verdict is HOLDS, found.summary()


def test_two_leaders_of_a_term_are_refused_though_nobody_shows_a_vote() -> None:
    shown = only("term", "role", of=deepcopy(RUN))
    shown[9] |= {"role": "candidate"}
    shown.insert(10, {"node": "n2", "event": "wins", "term": 1, "role": "leader"})
    found = judge(shown)
    assert found.verdict is VIOLATED


def test_servers_that_write_nothing_may_have_voted_and_stood() -> None:
    assert judge([record for record in RUN if record["node"] == "n1"][:5]).verdict is HOLDS
    assert judge([line("n1", 7, "n2", "follower", [], 0)]).verdict is HOLDS


def test_but_only_for_one_of_two() -> None:
    """n2 and n3 show no votes: either may have voted for n1, and then not for n5 too."""
    five = header("election") | {"nodes": ["n1", "n2", "n3", "n4", "n5"]}
    n1 = {"node": "n1", "event": "wins", "term": 1, "role": "leader", "voted_for": "n1"}
    n4 = {"node": "n4", "event": "votes", "term": 1, "role": "follower", "voted_for": "n5"}
    n5 = {"node": "n5", "event": "stands", "term": 1, "role": "candidate", "voted_for": "n5"}
    lines = [five, n5, n4, n1, n5 | {"role": "leader"}]
    found = [replay_lines(json.dumps(x) + "\n" for x in lines[:n]) for n in (4, 5)]
    assert [f.verdict for f in found] == [HOLDS, VIOLATED], found[1].summary()
    assert found[1].refusal
    assert "quorum_voted" in found[1].refusal.text


def test_a_line_that_names_its_step_is_judged_in_each_state_that_is_left() -> None:
    """Two of three servers voted for n1, nobody knows which; then n5 goes on from where it is."""
    five = header("election") | {"nodes": ["n1", "n2", "n3", "n4", "n5"]}
    n1 = {"node": "n1", "event": "wins", "term": 1, "role": "leader", "voted_for": "n1"}
    n2 = {"node": "n2", "event": "waits", "term": 0, "role": "follower", "voted_for": None}
    n5 = {"node": "n5", "event": "stands", "actions": [["start_election", {"n": "n5"}]]}
    for term, verdict in ((1, HOLDS), (2, HOLDS), (3, VIOLATED)):
        shown = n5 | {"after": {"term": {"n5": term}}}
        lines = [json.dumps(x) + "\n" for x in (five, n2, n1, shown)]
        found = replay_lines(lines, judges_states=False)
        assert found.verdict is verdict, found.summary()


def test_what_a_hidden_log_could_explain_is_inconclusive() -> None:
    """n1 leads and shows no log; it may have appended a before it went, and then n2 may have it."""
    shown = deepcopy(RUN[:6])
    for record in shown:
        if record["node"] == "n1":
            del record["log"], record["commit"]
    gone = {"node": "n1", "event": "goes", "term": 1, "voted_for": "n1", "role": "follower"}
    stores = line("n2", 1, "n1", "follower", [A], 0)
    assert judge([*shown, stores]).verdict is HOLDS
    found = judge([*shown, gone, stores])
    assert found.verdict is INCONCLUSIVE
    assert found.why.startswith("line 9: the log of n1 is not shown, so whether this may be is open: ")
    assert judge([*RUN[:6], gone, stores]).verdict is VIOLATED


def test_a_role_without_its_term_is_inconclusive() -> None:
    found = judge(only("role", "log"))
    assert (found.verdict, found.why) == (
        INCONCLUSIVE,
        "line 5: n1 is candidate in a term that its line does not show; "
        "lines 1 to 4 were judged and accepted",
    )


def test_what_shows_nothing_is_inconclusive() -> None:
    found = judge(only("lease"))
    assert (found.verdict, found.observations) == (INCONCLUSIVE, 0)
    assert found.why.startswith("there is nothing to judge")


def test_a_vote_without_its_term_is_inconclusive() -> None:
    found = judge(only("voted_for"))
    assert (found.verdict, "n1 votes in a term that its line does not show" in found.why) == (
        INCONCLUSIVE,
        True,
    )


def test_votes_that_are_gone_say_that_nobody_stands() -> None:
    """Nobody shows a role: n2, elected, hears of a newer election and shows no votes any more."""
    shown = only("term", "voted_for", "log", of=[record | {"votes": []} for record in RUN[:6]])
    votes = {3: ["n1"], 5: ["n1", "n2"]}
    lines = [record | {"votes": votes.get(i, [])} for i, record in enumerate(shown)]
    lines[5]["role"] = "leader"
    assert judge([*lines, lines[0] | {"term": 1, "voted_for": "n1"}]).verdict is HOLDS


def test_a_leader_shows_in_one_line_what_it_did_last() -> None:
    """n1 appends b and commits a, then hears of term 2: its next line is that of a follower."""
    stands = line("n2", 2, "n2", "candidate", [A], 0)
    last = line("n1", 2, None, "follower", [A, [1, "b"]], 1)
    assert judge([*RUN[:8], stands, last]).verdict is HOLDS
    assert judge([*RUN[:7], stands | {"log": []}, last]).verdict is VIOLATED, "nobody but n1 has a"


def test_a_model_whose_actions_are_not_found_is_inconclusive() -> None:
    found = replay_lines(json.dumps(x) + "\n" for x in (header("system") | {"elements": {}}, *only("term")))
    assert (found.verdict, found.why) == (
        INCONCLUSIVE,
        "line 2: the line names no actions, and those of system are not found without; "
        "line 1 was judged and accepted",
    )


def test_members_are_fixed() -> None:
    """Wherever a recording says others: in a line, in an entry of a log, or in the header."""
    assert judge([{"node": "n1", "event": "joins", "members": NODES, "term": 0}]).verdict is HOLDS
    entry = line("n1", 1, "n1", "candidate", [[1, {"members": ["n1"]}]], 0)
    stands = line("n1", 1, "n1", "candidate", [], 0)
    for lines in (
        [header(), {"node": "n1", "event": "joins", "members": ["n1"]}],
        [header(), {"node": "n1", "event": "joins", "members": [["n1"], NODES]}],
        [header(), entry],
        [header("election"), entry],
        [header("election") | {"configuration": [["n1"]]}, stands],
    ):
        found = replay_lines(json.dumps(record) + "\n" for record in lines)
        assert found.verdict is INCONCLUSIVE
        assert "the members n1" in found.why


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        ({"log": 3}, "`log` is 3: write it as a list of entries"),
        ({"log": [["1", "a"]]}, '`log` holds ["1", "a"]'),
        ({"log": [1, True]}, "`log` holds true: write it as a list of entries, each [term, value]"),
        ({"log": [[1, {"members": []}]]}, '`log` holds [1, {"members": []}]'),
        ({"log": [[1, "a"], 2]}, "some entries are shown with a value and some without"),
        ({"log": [[1, "a", 3]]}, '`log` holds [1, "a", 3]'),
        ({"log": [], "first": 0}, "`first` is 0: write it as an index"),
        ({"voted_for": "n9"}, "'n9' is no Node of the header's"),
        ({"role": "king"}, "`role` is 'king': write it as one of follower, pre-candidate, candidate, leader"),
        ({"role": "Follower"}, "`role` is 'Follower': write it as one of follower"),
        ({"after": {"role": {"n1": "Leader"}}}, "'Leader' is no Role: follower, candidate, leader"),
        ({"votes": {"n1": True}}, '`votes` is {"n1": true}: write it as a list of nodes'),
        ({"snapshot": "x"}, "`snapshot` is 'x': write it as a whole number from 0 on"),
        ({"time": 10**400}, "`time` is not a number, or one beyond all clocks"),
        ({"term": -1}, "`term` is -1: write it as a whole number from 0 on"),
        ({"term": 2.0}, "`term` is 2.0: write it as a whole number from 0 on"),
        ({"members": "n1"}, "`members` is 'n1': write it as a list of nodes"),
        ({"members": [["n1"], []]}, '`members` is [["n1"], []]: write it as a list of nodes, at least one'),
        ({"restarts": 1}, "`restarts` is 1: write it as true or false"),
        ({"vote": "n1"}, "unknown key `vote` in a step"),
        ({"node": "n9"}, "'n9' is not one of the header's `nodes`"),
    ],
)
def test_a_bad_line_is_one_sentence(shown: Line, says: str) -> None:
    with pytest.raises(BadRecording, match="line 2: ") as error:
        judge([{"node": "n1", "event": "step", **shown}])
    assert says in str(error.value)


# -- the same steps, named and found -------------------------------------------------------------------------
def test_a_recording_without_its_actions_is_judged_by_what_stands_after_them() -> None:
    """The model's own words in `after` do as well."""
    stands = {"node": "n1", "event": "t", "after": {"term": {"n1": 1}, "voted_for": {"n1": "n1"}}}
    votes = {"node": "n2", "event": "v", "after": {"term": {"n2": 1}, "voted_for": {"n2": "n1"}}}
    wins = {"node": "n1", "event": "w", "after": {"role": {"n1": "leader"}, "heartbeat": {"n1": {"1": True}}}}
    assert judge([stands, votes, wins]).verdict is HOLDS
    votes = {"node": "n2", "event": "v", "after": {"term": {"n2": 1}, "voted_for": {"n2": None}}}
    n3 = {"node": "n3", "event": "v", "after": {"term": {"n3": 1}, "voted_for": {"n3": None}}}
    found = judge([stands, votes, n3, wins])
    assert found.refusal
    assert found.refusal.line == 5


def seen_of(s: Candidate, n: str) -> Line:
    """All that can be shown of a node."""
    vote, length = s.get("voted_for", n), s.get("log_length", n)
    entries = [[s.get("log_term", (n, i)), s.get("log_value", (n, i))] for i in range(1, length + 1)]
    found = line(n, s.get("term", n), vote if isinstance(vote, str) else None, "", entries, 0)
    votes = [v for v in NODES if s.get("votes", (n, v))]
    return found | {"role": s.get("role", n).name.lower(), "commit": s.get("commit_index", n), "votes": votes}


OFTEN = {
    **{"append_entries": 60, "replace_entries": 60, "become_leader": 60, "advance_commit": 40},
    **{"receive_vote": 40, "grant_vote": 20, "reply_vote": 20, "client_request": 6, "update_term": 20},
    **{"start_election": 1, "restart": 0.2, "give_up": 0.2, "step_down": 5},
}


def drawn(seed: int, tries: int = 7000) -> list[Line]:
    """A run of the model: after each step, what its node shows."""
    draw, model = random.Random(seed), OwnFormat(header(), None, 1, judges_states=False)
    model.may_lose_states = False
    actions = list(model.model.actions.values())
    weights, found = [OFTEN[a.name] for a in actions], []
    for action in draw.choices(actions, weights, k=tries):
        s = model.candidates.states[0]
        t = max(s.get("term", n) for n in NODES)
        values = {"Node": NODES, "Term": [t], "Index": range(4), "Value": "ab"}
        given = {p: draw.choice(values[x.__name__]) for p, x in action.params if x.__name__ != "Quorum"}
        given |= {p: draw.sample(NODES, 2) for p, x in action.params if x.__name__ == "Quorum"}
        try:
            record = {"node": "", "event": action.name, "actions": [[action.name, given]]}
            model.take(record, model.read(record))
        except (LineRefused, Inexpressible):
            continue
        shown = seen_of(model.candidates.states[0], given[action.params[0][0]])
        found.append(shown | ({"restarts": True} if action.name == "restart" else {}))
    return found


@pytest.mark.parametrize("seed", [3])
def test_what_the_model_allowed_is_allowed_when_it_is_only_seen(seed: int) -> None:
    lines = drawn(seed)
    found = judge(lines)
    assert found.verdict is HOLDS, (seed, found.summary())
    assert found.steps["append_entries"]
    assert found.steps["become_leader"]


# -- files of nodes ------------------------------------------------------------------------------------------
def test_files_of_nodes_are_merged() -> None:
    files = [[header(), *(x for x in RUN if x["node"] == n)] for n in ("n3", "n2", "n1")]
    merging = Merging([(f"f{i}", [json.dumps(x) + "\n" for x in f]) for i, f in enumerate(files)])
    lines = list(merging.lines())
    assert (merging.waiting, len(lines)) == ([], 1 + len(RUN))
    assert replay_lines(lines).verdict is HOLDS


def test_lint_reads_them() -> None:
    lines = [json.dumps(x) + "\n" for x in (header(), *RUN, {"node": "n1", "event": "x", "term": "1"})]
    assert list(faults_of(lines)) == [
        f"line {len(RUN) + 2}: `term` is '1': write it as a whole number from 0 on"
    ]


# -- a refusal -----------------------------------------------------------------------------------------------
def test_a_refusal_is_drawn_and_shortened(tmp_path: Path) -> None:
    doctored = deepcopy(RUN[:6])
    doctored[4]["voted_for"] = None
    path = tmp_path / "run.jsonl"
    path.write_text("".join(json.dumps(x) + "\n" for x in (header("election"), *doctored)))
    found = replay(path)
    story = judged(path, found)
    assert [row.call for row in story.rows][4:] == ["start_election(n=n1)", "update_term(n=n2, t=1)", "step"]
    assert story.wrong == "The model election refuses become_leader(n=n1, q={n1 n2})."
    part = shortened(path, found)
    assert len(part.lines) == 4  # the header, n2 and n3 without a vote, n1 that leads
