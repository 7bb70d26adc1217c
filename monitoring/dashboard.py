"""Writes dashboard.json, for Grafana 10 or later: python monitoring/dashboard.py

One cluster at a time, chosen at the top. What an alert is about has a panel with the alert's threshold in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("dashboard.json")
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24  # of Grafana's grid
OF = '{cluster="$cluster"}'
Json = dict[str, Any]

ROLES = {"0": ("follower", "blue"), "1": ("candidate", "yellow"), "2": ("leader", "green")}


def with_role(role: str) -> str:
    return f'oneleader_role{{cluster="$cluster", role="{role}"}}'


def target(expr: str, legend: str, letter: str) -> Json:
    return {"datasource": DATASOURCE, "refId": letter, "expr": expr, "legendFormat": legend, "range": True}


def panel(kind: str, title: str, says: str, *queries: tuple[str, str]) -> Json:
    """A panel with what all kinds have. `says` is shown at its corner; a query is (expression, legend)."""
    return {
        "type": kind,
        "title": title,
        "description": says,
        "datasource": DATASOURCE,
        "targets": [target(*query, letter) for query, letter in zip(queries, "ABCDEF", strict=False)],
        "fieldConfig": {"defaults": {"custom": {}, "mappings": []}, "overrides": []},
        "options": {},
    }


def limits(made: Json, *steps: tuple[str, float]) -> Json:
    """Green, and from each of these values on another colour."""
    levels: list[Json] = [{"color": "green", "value": None}]
    levels += [{"color": color, "value": value} for color, value in steps]
    made["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolute", "steps": levels}
    return made


def stat(title: str, says: str, expr: str) -> Json:
    made = panel("stat", title, says, (expr, ""))
    made["targets"][0] |= {"range": False, "instant": True}
    made["options"] = {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return limits(made)


def lines(title: str, says: str, *queries: tuple[str, str], unit: str = "short", steps: bool = False) -> Json:
    """Lines over time; `steps` for what jumps."""
    made = panel("timeseries", title, says, *queries)
    defaults = made["fieldConfig"]["defaults"]
    defaults |= {"unit": unit, "min": 0}
    defaults["custom"] = {
        "drawStyle": "line",
        "lineInterpolation": "stepAfter" if steps else "linear",
        "lineWidth": 1,
        "fillOpacity": 0,
        "spanNulls": False,
    }
    made["options"] = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    return made


def with_limit(made: Json, value: float) -> Json:
    """The threshold of the alert as a dashed line."""
    made["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"] = {"mode": "dashed"}
    return limits(made, ("red", value))


def roles() -> Json:
    """A band for each member."""
    expr = f"sum by (member) (2 * {with_role('leader')} or {with_role('candidate')})"
    says = "What each member takes itself to be; a gap: it did not answer."
    made = panel("state-timeline", "Roles", says, (expr, "{{member}}"))
    names = {
        value: {"text": text, "color": color, "index": int(value)} for value, (text, color) in ROLES.items()
    }
    made["fieldConfig"]["defaults"] |= {
        "mappings": [{"type": "value", "options": names}],
        "custom": {"fillOpacity": 80, "lineWidth": 0},
        "color": {"mode": "thresholds"},
    }
    made["options"] = {
        "mergeValues": True,
        "showValue": "auto",
        "rowHeight": 0.9,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return limits(made)


def alerts() -> Json:
    says = "What Prometheus has told of this cluster; a member that is down has no cluster in its labels."
    fires = 'sum by (alertname, severity, {}) (ALERTS{{alertstate="firing", {}}})'
    firing = fires.format("member", 'cluster="$cluster"')
    down = fires.format("instance", 'alertname="OneleaderMemberDown"')
    made = panel("table", "Alerts that fire", says, (firing, ""), (down, ""))
    for query in made["targets"]:
        query |= {"range": False, "instant": True, "format": "table"}
    hidden: Json = {"excludeByName": {"Time": True, "Value #A": True, "Value #B": True}}
    made["transformations"] = [{"id": "merge", "options": {}}, {"id": "organize", "options": hidden}]
    made["options"] = {"showHeader": True}
    return limits(made)


def rows() -> list[tuple[int, Sequence[Json]]]:
    """The panels, row by row, with the height of each row."""
    leaders = stat(
        "Leaders", "Members that hold a lease now.", f"count(oneleader_lease_seconds{OF} > 0) or vector(0)"
    )
    top = [
        limits(leaders, ("red", 2)),
        stat("Members that answer", "Of those below.", f"count(group by (member) (oneleader_members{OF}))"),
        stat("Members", "With a vote.", f"max(oneleader_members{OF})"),
        stat("Term", "The latest.", f"max(oneleader_term{OF})"),
    ]
    by = "sum by (member)"
    elections = lines(
        "Elections in 10 minutes",
        "More than ten fire OneleaderManyElections.",
        (f"sum(increase(oneleader_elections_started_total{OF}[10m]))", "all members"),
        (f"{by} (increase(oneleader_elections_started_total{OF}[10m]))", "{{member}}"),
    )
    late = lines(
        "Late renewals of the lease in 10 minutes",
        "Less than a quarter of it was left. More than ten fire OneleaderLeaseRenewedLate.",
        ('sum(increase(oneleader_lease_renewals_total{cluster="$cluster", outcome="late"}[10m]))', "late"),
    )
    return [
        (4, top),
        (6, [roles(), alerts()]),
        (
            8,
            [
                lines("Term", "Of each member.", (f"oneleader_term{OF}", "{{member}}"), steps=True),
                lines(
                    "Last term led",
                    "Two members at one value are two leaders of one term: OneleaderTwoLeadersInOneTerm.",
                    (f"oneleader_last_term_led{OF}", "{{member}}"),
                    steps=True,
                ),
            ],
        ),
        (8, [with_limit(elections, 10), with_limit(late, 10)]),
        (
            8,
            [
                lines(
                    "Lease left",
                    "Of who leads, on its own clock.",
                    (f"oneleader_lease_seconds{OF} > 0", "{{member}}"),
                    unit="s",
                ),
                lines(
                    "Members that the leader hears",
                    "At half of the members or fewer, OneleaderLeaderWithoutQuorum.",
                    (
                        f"oneleader_connected_members{OF} and on (member) {with_role('leader')} == 1",
                        "heard by {{member}}",
                    ),
                    (f"floor(max(oneleader_members{OF}) / 2) + 1", "a quorum"),
                    steps=True,
                ),
            ],
        ),
        (
            8,
            [
                lines(
                    "Entries committed a second",
                    "As each member learns of them.",
                    (f"deriv(oneleader_commit_index{OF}[1m])", "{{member}}"),
                ),
                lines(
                    "Entries behind",
                    "What a member does not know to be committed, of what the longest log has.",
                    (
                        f"scalar(max(oneleader_last_index{OF})) - oneleader_commit_index{OF}",
                        "{{member}}",
                    ),
                ),
                lines(
                    "Fenced writes a second",
                    "One refused is enough for OneleaderFencedWritesRefused.",
                    (
                        f"sum by (outcome) (rate(oneleader_fenced_writes_total{OF}[$__rate_interval]))",
                        "{{outcome}}",
                    ),
                ),
            ],
        ),
    ]


def placed(rows: list[tuple[int, Sequence[Json]]]) -> list[Json]:
    """The panels numbered, each row as wide as the grid."""
    numbers, made, y = count(1), [], 0
    for height, panels in rows:
        width = WIDTH // len(panels)
        for i, each in enumerate(panels):
            made.append(
                {"id": next(numbers), "gridPos": {"x": i * width, "y": y, "w": width, "h": height}} | each
            )
        y += height
    return made


def variables() -> list[Json]:
    query = "label_values(oneleader_term, cluster)"
    return [
        {
            "name": "datasource",
            "label": "Data source",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
            "options": [],
            "refresh": 1,
            "regex": "",
            "hide": 0,
            "multi": False,
            "includeAll": False,
            "skipUrlSync": False,
        },
        {
            "name": "cluster",
            "label": "Cluster",
            "type": "query",
            "datasource": DATASOURCE,
            "query": {"query": query, "refId": "cluster"},
            "current": {},
            "options": [],
            "refresh": 2,  # whenever the range of time changes
            "regex": "",
            "sort": 1,
            "hide": 0,
            "multi": False,
            "includeAll": False,
            "skipUrlSync": False,
        },
    ]


def dashboard() -> Json:
    return {
        "id": None,
        "uid": "oneleader",
        "title": "oneleader",
        "description": "One cluster: who leads, for how long, and whether anybody else believes to.",
        "tags": ["oneleader", "raft"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,  # one crosshair for all panels
        "schemaVersion": 39,
        "version": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "templating": {"list": variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": placed(rows()),
    }


def text() -> str:
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
