"""Requests drawn from the API's own description: no answer is a failure, and each is as described."""

from __future__ import annotations

import traceback
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from oneleader_raft.node.local import LocalCluster
from oneleader_raft.node.openapi import DOCUMENT

schemathesis = pytest.importorskip("schemathesis", reason="install schemathesis: pip install '.[dev]'")

EXAMPLES = max(8, settings.default.max_examples // 4)
DRAWN = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
METHODS = {"get", "put", "post", "delete"}
Codes = dict[tuple[str, str], set[int]]

# A node whose answers are not those that it describes: a key that is no string.
WRONG = """
import sys
from aiohttp import web
from oneleader_raft.node.__main__ import main
from oneleader_raft.node.api import Api

async def get_key(self, request):
    return web.json_response({"key": 1, "value": None, "found": False})

Api.get_key = get_key
sys.exit(main())
"""


def asked(api: str, only: str = "") -> Codes:
    """What each operation answered; but the change of members, which waits for nodes that are not there."""
    from schemathesis.specs.openapi import checks

    described = [
        checks.content_type_conformance,
        checks.response_schema_conformance,
        checks.status_code_conformance,
    ]
    seen: Codes = defaultdict(set)

    def ask(case: Any) -> None:
        answer = case.call(base_url=api, timeout=30)
        seen[case.operation.method, case.operation.path].add(answer.status_code)
        assert answer.status_code != 500, answer.text
        case.validate_response(answer, checks=described)

    for found in schemathesis.openapi.from_url(f"{api}/openapi.json").get_all_operations():
        operation = found.ok()
        waits = (operation.method, operation.path) == ("post", "/v1/members")
        if not waits and only in operation.path:
            DRAWN(given(case=operation.as_strategy())(ask))()
    return seen


def test_what_the_description_allows_is_answered_as_it_says(clusters: Callable[..., LocalCluster]) -> None:
    cluster = clusters(nodes=1, trace=False)
    cluster.start()
    seen = asked(cluster.apis[cluster.leader()])
    described = {
        (method, path) for path, item in DOCUMENT["paths"].items() for method in item.keys() & METHODS
    }
    left_out = {("post", "/v1/members"), ("get", "/openapi.json")}  # the latter by schemathesis: it was read
    assert described - seen.keys() == left_out
    never_done = [operation for operation, codes in seen.items() if not {200, 201, 409, 400} & codes]
    assert not never_done
    assert {200, 400, 409} <= set().union(*seen.values())
    assert cluster.is_running("n1")


def test_an_answer_that_is_not_as_described_is_noticed(clusters: Callable[..., LocalCluster]) -> None:
    from schemathesis.core.failures import FailureGroup

    cluster = clusters(nodes=1, trace=False, run=("-c", WRONG))
    cluster.start()
    api = cluster.apis[cluster.leader()]
    with pytest.raises(FailureGroup) as caught:
        asked(api, "/v1/keys/")
    assert '1 is not of type "string"' in "".join(traceback.format_exception(caught.value))
