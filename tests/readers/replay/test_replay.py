"""replay: verdicts, the `oneleader` format, bad input; the open-ended interpreter beside the plain one."""

import bz2
import codecs
import gzip
import json
import random
import re
from enum import IntEnum

import pytest

from oneleader.errors import Inexpressible, SpecError, UsageError
from oneleader.language import NIL, Fields, NumberSort, Option, SetSort, action, field, ite, model
from oneleader.language.configuration import bounded
from oneleader.models import election, vote_count
from oneleader.readers.replay.candidates import Candidate, Candidates, LineRefused, OpenRun, TooMany
from oneleader.readers.replay.compiled import CompiledRun
from oneleader.readers.replay.coverage import ReplayCoverage
from oneleader.readers.replay.formats.own import OwnFormat
from oneleader.readers.replay.replay import BadRecording, replay, replay_lines
from oneleader.readers.run import Cut, Disabled, Run
from oneleader.verdict import HOLDS, INCONCLUSIVE, VIOLATED

HEADER = {"format": "oneleader", "version": 1, "model": "election", "nodes": ["n1", "n2", "n3"], "seed": 7}


def step(node, *actions, event="step", **after):
    return {"node": node, "event": event, "actions": list(map(list, actions)), "after": after}


ELECTION = [
    HEADER,
    step(
        "n1",
        ("start_election", {"n": "n1"}),
        term={"n1": 1},
        voted_for={"n1": "n1", "n2": None},
        role={"n1": "candidate"},
        votes={"n1": ["n1"]},
        requested={"n1": {"1": True, "2": False}},
    ),
    step(
        "n2",
        ("update_term", {"n": "n2", "t": 1}),
        ("grant_vote", {"voter": "n2", "candidate": "n1", "t": 1}),
        ("reply_vote", {"voter": "n2", "candidate": "n1", "t": 1}),
        voted_for={"n2": "n1"},
        granted={"n2": {"1": ["n1"]}},
    ),
    step("n1", ("receive_vote", {"candidate": "n1", "voter": "n2", "t": 1}), votes={"n1": ["n2", "n1"]}),
    step("n1", ("become_leader", {"n": "n1", "q": ["n1", "n2"]}), role={"n1": "leader", "n3": "follower"}),
    step("n3", event="nothing"),
]


def judge(records, **options):
    return replay_lines((json.dumps(r) + "\n" for r in records), **options)


def refused_at(result, line, text):
    assert result.verdict is VIOLATED, result.summary()
    assert (result.refusal.line, result.refusal.text, result.status) == (line, text, 1)
    return result.refusal


# -- the oneleader format ------------------------------------------------------------------------------------
def test_an_election_is_accepted():
    result = judge(ELECTION)
    assert (result.verdict, result.status, result.lines, result.events_judged) == (HOLDS, 0, 6, 5)
    assert (result.format, result.model, result.candidates, result.not_modelled) == (
        *("oneleader", "election"),
        *(1, {}),
    )
    assert result.summary() == [
        "accepted  oneleader recording, model election",
        "5 events judged: 6 steps (1 start_election, 1 update_term, 1 grant_vote, 1 reply_vote, "
        "1 receive_vote, 1 become_leader)",
        "12 observations compared with the model",
        "fields of the model never compared: heartbeat",
        "not looked at in the recording: event, node, seed",
        "8 of 8 properties judged on every state reached",
        "actions never taken, so their guards were not asked: step_down, restart",
        "guards that forbade nothing: start_election (not_leader), "
        "grant_vote (vote_was_requested, term_is_current, vote_is_free), "
        "reply_vote (vote_is_stored, term_is_current), "
        "receive_vote (vote_was_granted, term_is_current, is_candidate), "
        "become_leader (is_candidate, quorum_voted), update_term (term_was_sent, term_is_newer)",
        "at most 1 candidate state (limit 64)",
    ]


def test_a_second_vote_is_refused():
    second = [
        *ELECTION[:3],
        step("n3", ("start_election", {"n": "n3"})),
        step("n2", ("grant_vote", {"voter": "n2", "candidate": "n3", "t": 1})),
    ]
    call = "grant_vote(voter=n2, candidate=n3, t=1)"
    refusal = refused_at(judge(second), 5, f"{call}: vote_is_free (Figure 2, RequestVote receiver 2)")
    assert (refusal.action, refusal.guard.name) == (call, "vote_is_free")
    mutant = election.MODEL.without_guard("grant_vote", "vote_is_free")
    broken = judge(second, model=mutant).refusal  # by what holds of every state, not by a guard
    assert (broken.line, broken.guard, broken.property) == (5, None, "granted_is_stored")


@pytest.mark.parametrize(
    ("after", "text"),
    [
        ({"term": {"n1": 2}}, "term[n1] is 2 in the recording and 1 in the model"),
        ({"voted_for": {"n1": None}}, "voted_for[n1] is NIL in the recording and n1 in the model"),
        ({"role": {"n1": "leader"}}, "role[n1] is leader in the recording and candidate in the model"),
        ({"votes": {"n1": []}}, "votes[n1] is {} in the recording and {n1} in the model"),
        ({"votes": {"n1": ["n1", "n3"]}}, "votes[n1] is {n1 n3} in the recording and {n1} in the model"),
        ({"requested": {"n1": [1, 2]}}, "requested[n1] is {1 2} in the recording and {1} in the model"),
        (
            {"granted": {"n1": {"1": {"n1": False}}}},
            "granted[n1, 1, n1] is false in the recording and true in the model",
        ),
    ],
)
def test_what_stands_after_a_step_is_compared(after, text):
    refused_at(judge([HEADER, ELECTION[1] | {"after": after}]), 2, text)


@pytest.mark.parametrize(
    ("quorum", "text"),
    [
        (["n1"], "become_leader(n=n1, q={n1}): that is no quorum of n1 n2 n3"),
        (["n1", "n2", "n3"], "become_leader(n=n1, q={n1 n2 n3}): quorum_voted (section 5.2: majority)"),
        (["n3"], "become_leader(n=n1, q={n1 n3}): quorum_voted (section 5.2: majority)"),
    ],
)
def test_a_quorum_has_to_be_one(quorum, text):
    wins = step("n1", ("become_leader", {"n": "n1", "q": quorum}))
    refused_at(judge([*ELECTION[:4], wins]), 5, text)


def test_quorums_may_be_listed():
    listed = HEADER | {"quorums": [["n1"], ["n1", "n3"]]}
    wins = step("n1", ("become_leader", {"n": "n1", "q": ["n1"]}))
    assert judge([listed, ELECTION[1], wins]).verdict is HOLDS
    apart = judge([HEADER | {"quorums": [["n1"], ["n2"]]}]).refusal
    assert (apart.line, apart.property) == (1, "quorums_intersect")


def test_another_model_can_stand_in():
    tallied = [*ELECTION[:4], step("n1", ("become_leader", {"n": "n1"}), tally={"n1": 2})]
    assert judge(tallied, model=vote_count.MODEL).verdict is HOLDS
    assert judge([HEADER | {"model": "vote_count"}, *tallied[1:]]).model == "vote_count"
    early = [*tallied[:3], tallied[4]]
    assert judge(early, model=vote_count.MODEL).refusal.guard.name == "majority_voted"
    unasked = [*ELECTION[:2], ELECTION[3]]  # the guard of the action that vote_count takes over
    assert judge(unasked, model=vote_count.MODEL).refusal.guard.name == "vote_was_granted"


# -- a model that is no election ---------------------------------------------------------------------------
class Client(SetSort):
    """A client of the lock."""


class Token(NumberSort):
    """A fencing token."""


class Door(IntEnum):
    """A member whose name is one word."""

    OPEN = 0
    SHUT = 1


class Lock(Fields):
    """A lock, and what each client holds."""

    holder = field(of=Option[Client])
    issued = field(of=Token)
    token = field(Client, of=Option[Token])
    used = field(Token, of=bool)
    door = field(of=Door)


@action
def acquire(s: Lock, c: Client) -> None:
    """A free lock is taken, with a token above all issued."""
    lock_is_free = s.holder == NIL  # mutual exclusion
    token_is_new = Token.all(lambda t: ite(t > s.issued, s.used[t] == False, True))  # noqa: E712  # fencing
    s.require(lock_is_free, token_is_new)

    t = s.issued + 1
    s.holder = c
    s.issued = t
    s.used[t] = True
    s.door = Door.SHUT
    s.token.where(lambda old, other: ite(other == c, t, old))


@action
def release(s: Lock, c: Client) -> None:
    """The holder lets go, and all tokens are used up."""
    client_holds = s.holder == c  # nobody else may
    s.require(client_holds)

    s.holder = NIL
    s.used.where(lambda old, t: ite(t <= s.issued, True, old))


@action
def forget(s: Lock, c: Client) -> None:
    """What no finite recording can hold: every token, however great."""
    s.used.where(lambda old, t: True)


@action
def give(s: Lock, c: Client, d: Client) -> None:
    """A token each: two writes, which coincide where c is d."""
    s.token[c] = 1
    s.token[d] = 2


@action
def boast(s: Lock, c: Client) -> None:
    """A claim that is wrong."""
    s.claim(s.issued > 0)


LOCK = model(__name__, Lock)


def test_a_lock_is_replayed():
    header = {"format": "oneleader", "version": 1, "elements": {"Client": ["ann", "bob"]}}
    ann, bob = {"c": "ann"}, {"c": "bob"}
    taken = [
        header,
        step(
            "ann",
            ("acquire", ann),
            holder="ann",
            issued=1,
            token={"ann": 1, "bob": None},
            used=[1],
            door="shut",
        ),
        step("ann", ("release", ann), holder=None, used=[0, 1]),
        step("bob", ("acquire", bob), token={"ann": 1, "bob": 2}, used={"2": True, "9": False}),
    ]
    assert judge(taken, model=LOCK).verdict is HOLDS
    twice = [*taken[:2], step("bob", ("acquire", bob))]
    refused_at(judge(twice, model=LOCK), 3, "acquire(c=bob): lock_is_free (mutual exclusion)")
    wrong = [*taken[:2], step("bob", holder="bob")]
    refused_at(judge(wrong, model=LOCK), 3, "holder is bob in the recording and ann in the model")


def test_a_change_without_end_is_inconclusive():
    header = {"format": "oneleader", "version": 1}
    result = judge([header, step("ann", ("forget", {"c": "ann"}))], model=LOCK)
    assert (result.verdict, result.status) == (INCONCLUSIVE, 3)
    assert result.why == (
        "line 2: used[Token] is rewritten at every number, without end; line 1 was judged and accepted"
    )


def test_what_a_model_says_wrongly():
    header = {"format": "oneleader", "version": 1}
    refused_at(
        judge([header, step("ann", ("boast", {"c": "ann"}))], model=LOCK),
        2,
        "boast(c=ann): what it claims of this state does not hold",
    )
    with pytest.raises(SpecError, match=r"token\[ann\] is written twice in one step"):
        judge([header, step("ann", ("give", {"c": "ann", "d": "ann"}))], model=LOCK)


def test_a_member_that_has_done_nothing_counts():
    """n2 appears in the constant alone, and its vote is missing all the same."""
    header = {"format": "oneleader", "version": 1, "model": "election"}
    header["constants"] = {"member": [["n1", "both"], ["n2", "both"]]}
    stands = step("n1", ("start_election", {"n": "n1"}))
    wins = step("n1", ("become_leader", {"n": "n1", "q": "both"}))
    assert judge([header, stands, wins]).refusal.guard.name == "quorum_voted"


# -- bad input -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"version": 2}, "line 1: version 2 of the format is not known"),
        ({"model": "raft"}, "'raft' is no model of oneleader.models"),
        ({"model": "../x"}, "'../x' is no model"),
        ({"model": None}, "null is no model"),
        ({"nodes": "n1"}, "`nodes` is not a list of distinct names"),
        (
            {"elements": {"Quorum": []}},
            "`Quorum` in `elements` is not a list of distinct names",
        ),
        ({"nodes": ["n1", "n1"]}, "distinct names"),
        ({"elements": {"Term": ["1"]}}, "election has no set sort Term"),
        ({"elements": []}, "`elements` is not an object"),
        ({"quorums": "most"}, '`quorums` is neither "majority" nor a list'),
        ({"quorums": [["n9"]]}, "`quorums` names n9, which is not one of the `nodes`"),
        ({"constants": {"leader": []}}, "election has no constant leader"),
        ({"constants": {"member": [["n1"]]}}, "the constant member is not a list of its indices, 2 each"),
        ({"quorums": [[]]}, "nor a list of lists of nodes, none empty"),
        (
            {"configuration": None},
            "`configuration` is null: write it as a list of one list of nodes, or of two",
        ),
        ({"configuration": [["n1"], [], []]}, "`configuration` is"),
        ({"violates": None}, '`violates` is not written as ["a property", {"parameter": value, ...}]'),
        ({"violates": ["one_leader_a_term"]}, "`violates` is not written as"),
        ({"violates": ["safe", {}]}, "`violates` names 'safe': election has no such property or action"),
        ({"incomplete": "term"}, "`incomplete` is not a list of fields of election"),
        ({"incomplete": ["terms"]}, "`incomplete` is not a list of fields of election"),
    ],
)
def test_a_bad_header(edit, says):
    with pytest.raises(BadRecording) as error:
        judge([HEADER | edit])
    assert says in str(error.value)


def test_what_is_given_is_believed_and_named():
    given = {"given": {"requested": {"n2": [3]}, "granted": {"n2": {"3": ["n1"]}}, "term": {"n3": 2}}}
    learns = step("n3", ("update_term", {"n": "n3", "t": 3}))
    assert "term_was_sent" in judge([HEADER, learns]).refusal.text
    believed = judge([HEADER | {"incomplete": ["term"]}, learns | given])
    assert believed.verdict is HOLDS
    said = "taken as given: what a line says stood before: 1 of requested, 1 of granted, 1 of term"
    assert said in believed.summary()
    assert "granted_not_from_future" in judge([HEADER, learns | given]).refusal.text
    with pytest.raises(
        BadRecording, match="what is `given` comes before `actions`, and this line names none"
    ):
        judge([HEADER, {"node": "n1", "event": "?", "term": 1} | given])


STANDS = step("n1", ("start_election", {"n": "n1"}))
WINS = step("n1", ("become_leader", {"n": "n1", "q": ["n1", "n2"]}))
RINGS = step("n2", ("start_election", {"n": "n2"}))


@pytest.mark.parametrize(
    ("lines", "given", "verdict", "says"),
    [
        ([STANDS, WINS], {"votes": {"n1": ["n2"]}}, VIOLATED, r"votes\[n1, n2\] was true before"),
        ([STANDS, STANDS], {"term": {"n1": 5}}, VIOLATED, r"term\[n1\] was 5 before, and the model has 1"),
        ([STANDS, STANDS], {"role": {"n1": "follower"}}, VIOLATED, r"role\[n1\] was follower before"),
        ([STANDS, RINGS], {"term": {"n1": 0}}, VIOLATED, r"term\[n1\] was 0 before"),
        ([STANDS, RINGS], {"term": {"n3": 1}}, VIOLATED, r"term\[n3\] was 1 before"),
        ([STANDS, RINGS], {"granted": {"n1": {"1": ["n2"]}}}, INCONCLUSIVE, "the lines of n1 are there from"),
        ([STANDS, RINGS], {"granted": {"n3": {"1": ["n2"]}}}, HOLDS, "1 of granted"),
        ([STANDS, RINGS], {"term": {"n2": 3}, "role": {"n2": "candidate"}}, HOLDS, "1 of term, 1 of role"),
    ],
)
def test_what_a_line_should_show_is_not_believed(lines, given, verdict, says):
    """A node says once in what state it began; of a node that shows everything, nothing is believed."""
    incomplete = {"incomplete": ["term", "votes", "granted", "requested"]}
    found = judge([HEADER | incomplete, *lines[:-1], lines[-1] | {"given": given}])
    summary = "\n".join(found.summary())
    assert (found.verdict, bool(re.search(says, summary))) == (verdict, True), summary


def test_a_message_is_not_believed_of_a_node_whose_lines_begin_later():
    believes = RINGS | {"given": {"granted": {"n3": {"1": ["n2"]}}}}
    header = HEADER | {"incomplete": ["term", "granted"]}
    found = judge([header, believes, step("n3", ("start_election", {"n": "n3"}))])
    assert found.verdict is INCONCLUSIVE, found.summary()
    assert "the lines of n3 are there from its first step on" in found.why


def test_a_header_without_nodes():
    with pytest.raises(UsageError, match="election has quorums: the header has to name the `nodes`"):
        judge([{"format": "oneleader", "version": 1, "model": "election"}])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"event": "x"}, "a step needs `node` and `event`"),
        ({"node": "n1", "event": "x", "actions": {}}, "a step needs `actions`, a list"),
        (
            step("n1", ("become_leader", {"n": "n1", "q": "n1 n2"})),
            "'n1 n2' is no Quorum: write it as a list",
        ),
        (step("n1", ([], {})), 'an action is not written as ["name"'),
        (step("n1", ["restart"]), 'an action is not written as ["name", {"parameter": value, ...}]'),
        (step("n1", ("reboot", {})), "election has no action 'reboot'; it has start_election, grant_vote"),
        (step("n1", ("restart", {"node": "n1"})), "restart takes (n), not (node)"),
        (step("n1", ("restart", {"n": "n9"})), "'n9' is no Node of the header's: n1, n2, n3"),
        (step("n1", ("restart", {"n": 1})), "1 is no Node"),
        (step("n1", ("update_term", {"n": "n1", "t": -1})), "-1 is no Term"),
        (step("n1", ("update_term", {"n": "n1", "t": True})), "true is no Term"),
        (step("n1", lease={"n1": 1}), "election has no field lease"),
        (step("n1", member={"n1": []}), "election has no field member to compare: it is a constant"),
        (step("n1", unsent={"n1": []}), "election has no field unsent to compare: it is a ghost"),
        (step("n1", role={"n1": "king"}), "'king' is no Role"),
        (step("n1", term=3), "`after` of term[Node]: 3 stands where an index is wanted"),
        (step("n1", term=["n1"]), '`after` of term[Node]: ["n1"] stands where an index is wanted'),
        (step("n1", requested={"n1": {"x": True}}), "'x' is no Term"),
        ({"node": "n1", "event": "x", "actions": [], "after": 3}, "`after` is not an object"),
    ],
)
def test_a_bad_line(line, says):
    with pytest.raises(BadRecording) as error:
        judge([*ELECTION[:2], line])
    assert str(error.value).startswith(f"line 3: {says}")
    assert str(error.value).endswith("; lines 1 to 2 were judged and accepted")
    assert error.value.so_far.events_judged == 1


GOOD = "".join(json.dumps(r) + "\n" for r in ELECTION).encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"hello\n", "line 1: this is not valid JSON: 'hello'"),
        (b"[1]\n", "line 1: this is not a JSON object: '[1]'"),
        (GOOD + b'{"a": [-Infinity]}', "line 7: -Infinity is no number in JSON: leave it out, or write null"),
        (b'{"a": NaN}\n', "line 1: NaN is no number in JSON"),
        (b"\xff\n", "line 1: this is not UTF-8 text"),
        (GOOD.decode().encode("utf-16"), "line 1: this is UTF-16 or UTF-32 text: save it as UTF-8"),
        (GOOD.decode().encode("utf-16-be"), "line 1: this is UTF-16 or UTF-32 text"),
        (GOOD.decode().encode("utf-32"), "line 1: this is UTF-16 or UTF-32 text"),
        (
            GOOD + bytes(512),
            "line 7: this line holds NUL bytes, as files do that a crash has cut",
        ),
        (bz2.compress(GOOD), "line 1: this file is packed by bzip2: unpack it, or pack it by gzip"),
        (
            GOOD + GOOD,
            "line 7: a second header: another recording begins here; judge each in a file of its own",
        ),
        (
            GOOD + b'{"event": {"name": "Ready", "nid": "1"}}\n',
            "line 7: a line of etcd in a recording of the format oneleader: judge each by itself; lines",
        ),
        (b"[" * 100_000 + b"\n", "line 1: this nests deeper than can be read: '[[["),
        (
            GOOD + b'{"node": ' + b"9" * 5_000 + b"}\n",
            "line 7: this has a number with more digits than can be",
        ),
        (
            GOOD + b'{"node": "n1", "event": "x", "term": "' + b"9" * 5_000 + b'"}\n',
            f"line 7: `term` is '{'9' * 59}...: write it as a whole number from 0 on; lines 1 to 6 were",
        ),
        (b'{"a": 1}\n', "line 1: this is no format known here"),
        (GOOD[:-30], "line 6: the recording is cut off in the middle of this line; lines 1 to 5 were judged"),
        (GOOD + b'{"node"', "line 7: the recording is cut off in the middle of this line; lines 1 to 6 were"),
        (GOOD + b"}\n", "line 7: this is not valid JSON: '}'"),
        (GOOD.replace(b"\n", b"\r"), "line 1: several objects stand on this line: write one JSON object a"),
        (gzip.compress(GOOD, mtime=0)[:-20], "the compressed file is damaged or cut off here"),
        (b"\x1f\x8b rubbish", "line 1: the compressed file is damaged or cut off here"),
    ],
)
def test_a_bad_file(tmp_path, content, says):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError) as error:
        replay(path)
    assert str(error.value).startswith(says) or says in str(error.value)
    assert "\n" not in str(error.value)


def test_files(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        replay(tmp_path / "missing.jsonl")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        replay(tmp_path)
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    plain.write_bytes(GOOD.rstrip() + b"\n\n")
    packed.write_bytes(gzip.compress(GOOD))
    marked = tmp_path / "marked"
    marked.write_bytes(codecs.BOM_UTF8 + GOOD)
    for path in (plain, packed, str(plain), marked):
        assert replay(path).verdict is HOLDS
    assert replay(plain, "oneleader").format == "oneleader"
    with pytest.raises(UsageError, match="line 1: `event` is missing"):
        replay(plain, "etcd")
    with pytest.raises(UsageError, match="unknown format 'zookeeper': choose one of oneleader, etcd"):
        replay(plain, "zookeeper")


@pytest.mark.parametrize(
    "content", [b"", b"\n \n", gzip.compress(b"", mtime=0)], ids=["empty", "blank", "packed"]
)
def test_an_empty_file(tmp_path, content):
    path = tmp_path / "trace.jsonl"
    path.write_bytes(content)
    result = replay(path)
    assert result.verdict is INCONCLUSIVE
    assert result.status == 3
    assert result.summary()[:2] == [
        "inconclusive  no recording",
        "there is nothing to judge: no line says what was done, or what stood after it",
    ]


# -- the open-ended interpreter ----------------------------------------------------------------------------
def plain_outcome(run, state, instance):
    """The guard that refuses, or the cells after the step, or None where the step is cut."""
    try:
        after = run.step(state, instance.action, instance.args)
    except Disabled as disabled:
        return instance.action.guards[disabled.guard]
    except Cut:
        return None
    return dict(zip(run.cells.keys, after, strict=True))


def open_outcome(run, candidate, instance):
    after = candidate.copy()
    try:
        after.act(instance.action.name, *instance.args)
    except LineRefused as refused:
        return refused.guard
    return {
        (field, key): after.get(field.name, key if len(key) != 1 else key[0]) for field, key in run.cells.keys
    }


def test_it_agrees_with_the_plain_interpreter():
    """In 150 states of random runs: the same guard refuses, or the same state comes after."""
    run = Run(election.MODEL, bounded(election.MODEL, nodes=3, terms=4))
    rng, enabled = random.Random(3), 0
    for _ in range(5):
        open_run = OpenRun(election.MODEL, run.configuration.constants)
        state, candidate = run.initial, Candidate(open_run, {})
        for _ in range(30):
            for instance in run.instances:
                expected = plain_outcome(run, state, instance)
                if expected is not None:
                    assert open_outcome(run, candidate, instance) == expected
                    enabled += isinstance(expected, dict)
            position, state = rng.choice([s for s in run.steps(state) if s[1] is not None])
            candidate.act(run.instances[position].action.name, *run.instances[position].args)
    assert enabled > 1000


def test_counting_numbers_is_inexpressible():
    with pytest.raises(Inexpressible, match="Token has no greatest number here"):
        OpenRun(LOCK, {}).quantify("count", Token, lambda t: True)


def putting(**values):
    def put(state):
        after = state.copy()
        for name, value in values.items():
            after.put(name, (), value)
        return after

    return put


def test_candidates_share_what_they_agree_on():
    run = OpenRun(LOCK, {})
    candidates = Candidates(run, 2)
    to_ann, to_bob = putting(issued=5, holder="ann"), putting(issued=5, holder="bob")

    candidates.follow(lambda state: [to_ann(state), to_bob(state)])
    assert run.shared_cells() == {("issued", ()): 5}
    assert [s.changes for s in candidates.states] == [{("holder", ()): "ann"}, {("holder", ()): "bob"}]
    candidates.follow(lambda state: [state])
    assert (len(candidates.states), candidates.largest) == (2, 2)
    candidates.follow(lambda state: [putting(holder=NIL, issued=0)(state)])
    assert (run.shared_cells(), [s.changes for s in candidates.states]) == ({}, [{}])
    with pytest.raises(TooMany):
        Candidates(run, 1).follow(lambda state: [to_ann(state), to_bob(state)])


def test_candidates_that_come_to_the_same_are_one():
    candidates = Candidates(OpenRun(LOCK, {}), 2)
    candidates.follow(lambda state: [state, putting(holder="bob")(state)])
    candidates.follow(lambda state: [putting(holder=NIL)(state) if state.get("holder") == "bob" else state])
    assert len(candidates.states) == 1


def test_a_recording_may_begin_with_blank_lines():
    lines = ["\n", *(json.dumps(line) + "\n" for line in ELECTION)]
    assert replay_lines(lines).verdict is HOLDS
    with pytest.raises(BadRecording, match="line 3: a second header"):
        replay_lines([*lines[:2], *lines[1:]])


def test_a_file_that_is_packed_twice_is_a_sentence(tmp_path):
    path = tmp_path / "run.jsonl.gz"
    path.write_bytes(gzip.compress(gzip.compress(json.dumps(HEADER).encode())))
    with pytest.raises(BadRecording, match="line 1: this file is packed by gzip twice: unpack it once"):
        replay(path)


def test_values_are_quoted_as_json_writes_them():
    bad = [json.dumps(HEADER), json.dumps(step("n1", term={"n1": None}))]
    with pytest.raises(BadRecording, match="line 2: null is no Term"):
        replay_lines(bad)
    with pytest.raises(BadRecording, match="line 1: version true of the format is not known"):
        replay_lines([json.dumps(HEADER | {"version": True})])


def test_a_file_without_lines_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("oneleader.readers.replay.lines.LONGEST", 1000)
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps(HEADER) + "\n" + json.dumps(step("n1", event="x" * 5000)) + "\n")
    with pytest.raises(BadRecording, match="line 2: this line is longer than 1,000 bytes") as error:
        replay(path)
    assert "line 1 was judged and accepted" in str(error.value)
    gz = tmp_path / "run.jsonl.gz"
    gz.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(BadRecording, match="line 2: this line is longer"):
        replay(gz)


# -- A whole log in one line -------------------------------------------------------------------------------


def of_a_log(changes=lambda terms: terms):
    """n1 leads twice, appends 12 entries each time, and shows all of its log."""
    header = HEADER | {"model": "replication", "nodes": ["n1"]}
    lines = [header]
    for t in (1, 2):
        win = [("start_election", {"n": "n1"}), ("become_leader", {"n": "n1", "q": ["n1"]})]
        lines.append(step("n1", *win, term={"n1": t}))
        lines += [step("n1", ("client_request", {"n": "n1", "value": "x"})) for _ in range(12)]
        lines.append(step("n1", ("restart", {"n": "n1"})))
    terms = {str(i): 1 if i <= 12 else 2 for i in range(1, 25)}
    return [*lines, step("n1", log_term={"n1": changes(terms)})]


@pytest.mark.parametrize("run", [OpenRun, CompiledRun])
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (lambda terms: terms, ""),
        (lambda terms: dict(reversed(terms.items())), ""),
        (lambda terms: terms | {"13": 1}, "log_term[n1, 13] is 1 in the recording and 2 in the model"),
        (lambda terms: terms | {"25": 2}, "log_term[n1, 25] is 2 in the recording and 0 in the model"),
        (lambda terms: {str(int(i) + 1): t for i, t in terms.items()}, "log_term[n1, 13] is 1 in the"),
        (lambda terms: {k: terms[k] for k in terms if k != "5"} | {"24": 1}, "log_term[n1, 24] is 1 in the"),
        (lambda terms: terms | {"7": True}, "true is no Term"),
        (lambda terms: terms | {"7": -1}, "-1 is no Term"),
        (lambda terms: {"0" + i: t for i, t in terms.items()} | {"020": 1}, "log_term[n1, 20] is 1 in the"),
        (lambda terms: terms | {"x": 1}, "is no Index"),
        (lambda terms: terms | {"9" * 5_000: 1}, "is no Index"),
    ],
)
def test_many_entries_in_one_line_are_compared_each(run, changes, text):
    """They are compared at once where they follow one another, and otherwise one by one."""
    header, *lines = (json.loads(json.dumps(line)) for line in of_a_log(changes))
    judging = OwnFormat(header, None, 1, run=run)
    judging.begin()
    for line in lines[:-1]:
        judging.judge(line)
    if not text:
        before = judging.coverage.compared["log_term"]
        judging.judge(lines[-1])
        assert judging.coverage.compared["log_term"] == before + 24
        return
    with pytest.raises((LineRefused, UsageError), match=re.escape(text)):
        judging.judge(lines[-1])


def test_what_lines_show_is_counted_without_being_kept() -> None:
    """A million lines with another log each, or one with a long log, cost no memory."""
    coverage = ReplayCoverage()
    for i in range(10_000):
        coverage.compare((("log_term", i),), 2)
    assert len(coverage._lines) < 2_000
    coverage.compare((("log_term", 1),) * 1_000)
    assert not coverage._lines
    assert coverage.compared == {"log_term": 10_000 * 9_999 + 1_000}
