"""The rules and what shows them: each alert has a case in which it fires and one in which it does not, and no
rule can be damaged without one of them failing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from oneleader_raft.node.metrics import NAMES

Promtool = Callable[..., "CompletedProcess[str]"]
Rule = dict[str, Any]

# For each alert, what may be damaged in it: a part of its expression, and what comes in its place. Besides,
# each rule loses its severity, and its `for`, or gets a longer one.
DAMAGES = {
    "OneleaderTwoLeadersInOneTerm": [
        (") > 1", ") > 2"),
        (") > 1", ") > 0"),
        ("by (cluster, term)", "by (term)"),  # two clusters are taken for one
        ("by (cluster, term)", "by (cluster)"),  # two terms are taken for one
        ("by (cluster, member)", "by (cluster)"),
        ("by (cluster, member)", "by (cluster, member, instance)"),  # one member is counted twice
        ("last_over_time(oneleader_last_term_led[1h])", "oneleader_last_term_led"),  # the dead are forgotten
    ],
    "OneleaderStaleLeader": [
        ("\n    unless changes(oneleader_term[1m]) > 0", ""),  # two moments are taken for one
        ("\n  < on", "\n  <= on"),
        ("\n  < on", "\n  > on"),
        ('role="leader"} == 1', 'role="leader"} == 0'),
        ("oneleader_last_term_led", "oneleader_term"),  # a candidate of a later term makes a leader stale
        ("max by", "min by"),
        ("and on (cluster, member)", "and on (cluster)"),
    ],
    "OneleaderNoLeader": [
        ("== 0", "== 1"),
        ("max by", "min by"),  # one that hears nobody is enough
        ("max by (cluster)", "max by ()"),
    ],
    "OneleaderLeaderWithoutQuorum": [
        ("<=", "<"),  # half of an even number is taken for a quorum
        ("* 2 <= oneleader_members", "< (oneleader_members / 2 + 1)"),  # as in the write-up
        ("* 2", "* 3"),
        ('role="leader"} == 1', 'role="leader"} == 0'),
        ("and on (cluster, member)", "and on (cluster)"),  # followers are looked at as well
        ("and on (cluster, member)", "and on ()"),
    ],
    "OneleaderMajorityUnreachable": [
        ("<=", "<"),
        ("* 2", "* 1"),
        ("* 2", "* 3"),
        ("group by (cluster, member) (oneleader_members)", "oneleader_members"),  # one is counted twice
        ("count by (cluster) (group", "count by () (group"),
        ("or\ngroup by", "and\ngroup by"),  # all of them down is not seen
        ("[1h]", "[1m]"),
        ("unless on (cluster)", "unless on ()"),
    ],
    "OneleaderMemberDown": [("== 0", "== 1"), ('{job="oneleader"}', "")],
    "OneleaderMemberTwice": [
        ("> 1", "> 2"),
        ("by (cluster, member)", "by (member)"),
        ("by (cluster, member)", "by (cluster, member, instance)"),
    ],
    "OneleaderManyElections": [
        ("> 10", "> 20"),
        ("> 10", "> 5"),
        ("increase", "delta"),  # a restart, for a gauge
        ("[10m]", "[1m]"),
        ("by (cluster)", "by (cluster, member)"),  # no member alone stands that often
        ("increase(oneleader_elections_started_total[10m])", "oneleader_elections_started_total"),
    ],
    "OneleaderLeaseRenewedLate": [
        ("> 10", "> 50"),
        ("> 10", "> 5"),
        ('{outcome="late"}', ""),
        ('{outcome="late"}', '{outcome="in_time"}'),
        ("increase", "resets"),
    ],
    "OneleaderFencedWritesRefused": [
        ("> 0", "> 1"),
        ("> 0", ">= 0"),
        ('{outcome="refused"}', ""),
        ('{outcome="refused"}', '{outcome="accepted"}'),
        ("[10m]", "[1h]"),
        ("increase(oneleader_fenced_writes_total{outcome=\"refused\"}[10m])",
         "oneleader_fenced_writes_total{outcome=\"refused\"}"),
    ],
    "OneleaderNoProgress": [
        ("> oneleader_commit_index", ">= oneleader_commit_index"),  # an idle one
        ("> oneleader_commit_index", "< oneleader_commit_index"),
        ('role="leader"} == 1', 'role="leader"} == 0'),
        ("and on (cluster, member) oneleader_role", "and on (cluster) oneleader_role"),  # its followers too
        ("\n  and on (cluster, member) changes(oneleader_commit_index[2m]) == 0", ""),  # a busy one
        ("changes", "resets"),
        ("[2m]", "[20s]"),  # a slow one
    ],
    "OneleaderMemberHearsNoLeader": [
        ("== 0", "== 1"),
        (") == 1", ") == 0"),
        ("max by", "min by"),
        ("on (cluster) max by (cluster)", "on () max by ()"),  # a leader of another cluster
        ("\n  and on (cluster) max by (cluster) (oneleader_hears_leader) == 1", ""),  # nobody hears one
    ],
    "OneleaderMemberLags": [
        ("< on", "<= on"),
        ("max by", "min by"),
        ("max by (cluster)", "max by ()"),
        ("\n  and on (cluster, member) oneleader_hears_leader == 1", ""),  # one that is cut off
        ("leader == 1", "leader == 0"),
        ('\n  unless on (cluster, member) oneleader_role{role="leader"} == 1', ""),  # a stale leader
        ("unless on (cluster, member)", "unless on (cluster)"),
        ('role="leader"} == 1', 'role="leader"} == 0'),
        ("and on (cluster, member) oneleader_hears", "and on (cluster) oneleader_hears"),
        ("\n  and on (cluster, member) changes(oneleader_commit_index[2m]) == 0", ""),  # one that catches up
        ("changes", "resets"),
        ("[2m]", "[20s]"),
    ],
    "OneleaderStrangeStore": [("> 0", "> 1"), ("> 0", ">= 0")],
}  # fmt: skip


def cases(monitoring: Path, alert: str) -> list[dict[str, Any]]:
    """The tests of alerts.test.yml that are about this alert, and of each what is about it."""
    found = []
    for test in yaml.safe_load((monitoring / "alerts.test.yml").read_text())["tests"]:
        asked = [case for case in test["alert_rule_test"] if case["alertname"] == alert]
        if asked:
            found.append(test | {"alert_rule_test": asked})
    return found


def failures(
    promtool: Promtool, folder: Path, alert: str, rules: dict[str, Rule], tests: list[Any]
) -> set[str]:
    """Which of these rules fail a test that asks for the alert, each put in its place: one run for all."""
    named = [rule | {"alert": name} for name, rule in rules.items()]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": alert, "rules": named}]}))
    asked = [
        test
        | {"alert_rule_test": [c | {"alertname": name} for c in test["alert_rule_test"] for name in rules]}
        for test in tests
    ]
    settings = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": asked}
    (folder / "rules.test.yml").write_text(yaml.safe_dump(settings))

    verdict = promtool("test", "rules", folder / "rules.test.yml")
    found = set(re.findall(r"alertname: (\w+),", verdict.stderr))
    assert bool(found) == (verdict.returncode != 0), verdict.stderr
    return found


@pytest.mark.parametrize("name", ["alerts", "write-up.alerts"])
def test_the_rules_are_valid_and_fire_as_their_tests_say(
    name: str, promtool: Promtool, monitoring: Path
) -> None:
    valid = promtool("check", "rules", monitoring / f"{name}.yml")
    assert valid.returncode == 0, valid.stderr
    tested = promtool("test", "rules", monitoring / f"{name}.test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_alert_has_a_case_that_fires_and_one_that_does_not(
    monitoring: Path, rules: dict[str, Rule]
) -> None:
    for alert in rules:
        expected = [c["exp_alerts"] for test in cases(monitoring, alert) for c in test["alert_rule_test"]]
        assert any(expected), f"{alert} is never seen to fire"
        assert not all(expected), f"{alert} is never seen to be silent"


def test_each_rule_says_how_bad_it_is_what_is_the_case_and_what_to_do(rules: dict[str, Rule]) -> None:
    for alert, rule in rules.items():
        assert rule["labels"]["severity"] in ("critical", "warning"), alert
        assert rule["annotations"]["summary"], alert
        assert rule["annotations"]["runbook"].endswith("."), alert


def test_the_page_explains_every_alert_and_every_metric(monitoring: Path, rules: dict[str, Rule]) -> None:
    page = (monitoring.parent / "docs" / "monitoring.md").read_text()
    for name in (*rules, *NAMES):
        assert re.search(rf"`{name}\b", page), f"{name} is not in docs/monitoring.md"
    told = set(re.findall(r"\b(?:Oneleader[A-Z]\w+|oneleader_(?!raft)[a-z_]+)", page))
    assert told <= {*rules, *NAMES}


def test_the_configuration_is_valid(promtool: Promtool, monitoring: Path) -> None:
    valid = promtool("check", "config", monitoring / "prometheus.yml")
    assert valid.returncode == 0, valid.stderr


def test_a_member_has_every_metric_that_the_rules_ask_for(rules: dict[str, Rule]) -> None:
    asked = {name for rule in rules.values() for name in re.findall(r"\b[a-z]+_\w+|\bup\b", rule["expr"])}
    functions = {"count_values", "last_over_time", "group_left"}
    assert asked - functions <= NAMES | {"up"}
    assert len(asked & NAMES) >= 8  # the pattern finds them


def test_every_alert_can_be_damaged(rules: dict[str, Rule]) -> None:
    assert DAMAGES.keys() == rules.keys()


@pytest.mark.parametrize("alert", DAMAGES)
def test_a_damaged_rule_fails(
    alert: str, promtool: Promtool, monitoring: Path, rules: dict[str, Rule], tmp_path: Path
) -> None:
    words = dict(enumerate(damages(alert, rules[alert])))
    several = {f"Damaged{i}": damage[1] for i, damage in words.items()}
    failed = failures(
        promtool, tmp_path, alert, {"Intact": rules[alert], **several}, cases(monitoring, alert)
    )
    assert "Intact" not in failed
    assert not [words[i][0] for i in words if f"Damaged{i}" not in failed], "these pass"


def damages(alert: str, rule: Rule) -> Iterator[tuple[str, Rule]]:
    """The rule in each way in which it may be damaged, with words that say how."""
    yield "no severity", {key: value for key, value in rule.items() if key != "labels"}
    if "for" in rule:
        yield "no for", {key: value for key, value in rule.items() if key != "for"}
        yield "a for of 1h", rule | {"for": "1h"}
    for old, new in DAMAGES[alert]:
        assert old in rule["expr"], f"{alert} has no {old!r}"
        yield f"{new!r} for {old!r}", rule | {"expr": rule["expr"].replace(old, new, 1)}
