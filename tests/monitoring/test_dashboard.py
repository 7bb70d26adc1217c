"""The dashboard: it is what the script writes, asks for what there is, and fills the grid of Grafana."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType
from typing import Any

import pytest
import yaml

from oneleader_raft.node.metrics import NAMES

KINDS = {"stat", "timeseries", "state-timeline", "table"}


@pytest.fixture
def panels(dashboard: ModuleType) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = dashboard.dashboard()["panels"]
    return made


def exprs(panels: list[dict[str, Any]]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_the_file_is_what_the_script_writes(dashboard: ModuleType) -> None:
    assert dashboard.FILE.read_text() == dashboard.text(), "run python monitoring/dashboard.py"
    assert json.loads(dashboard.text()) == dashboard.dashboard()


def test_a_member_has_every_metric_that_it_asks_for(
    dashboard: ModuleType, panels: list[dict[str, Any]]
) -> None:
    asked = set(re.findall(r"\b(?:oneleader|raft)_\w+", dashboard.text()))
    assert asked <= NAMES
    aliases = {name for name in NAMES if name.startswith("raft_")}
    for_rules_alone = {"oneleader_hears_leader", "oneleader_strange_stores"}
    assert asked == NAMES - aliases - for_rules_alone


def test_its_queries_are_valid(
    panels: list[dict[str, Any]], promtool: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    def verdict(exprs: list[str]) -> CompletedProcess[str]:
        rules = [
            {"record": f"q{i}", "expr": e.replace("$__rate_interval", "5m")} for i, e in enumerate(exprs)
        ]
        (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": rules}]}))
        return promtool("check", "rules", tmp_path / "queries.yml")

    valid = verdict(exprs(panels))
    assert valid.returncode == 0, valid.stderr
    assert verdict([*exprs(panels), "sum by (member"]).returncode != 0


def test_each_panel_is_complete(panels: list[dict[str, Any]]) -> None:
    for panel in panels:
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"].keys() == {"defaults", "overrides"}
        letters = [target["refId"] for target in panel["targets"]]
        assert letters
        assert len(set(letters)) == len(letters)
        for asked in (panel, *panel["targets"]):
            assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_the_panels_fill_the_grid_and_do_not_overlap(panels: list[dict[str, Any]]) -> None:
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: list[tuple[int, int]] = []
    for panel in panels:
        at = panel["gridPos"]
        taken += [
            (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        ]
    assert len(set(taken)) == len(taken), "two panels overlap"
    assert set(taken) == {(x, y) for x in range(24) for y in range(max(y for _, y in taken) + 1)}


def test_each_variable_that_a_query_uses_is_there(
    dashboard: ModuleType, panels: list[dict[str, Any]]
) -> None:
    defined = {variable["name"] for variable in dashboard.dashboard()["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", " ".join([*exprs(panels), json.dumps(panels)])))
    assert used - {"__rate_interval"} == defined
