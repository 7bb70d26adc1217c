"""What the HTTP API offers, as an OpenAPI document. A test compares it with the routes."""

from __future__ import annotations

from typing import Any

STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
VALUE = {"description": "A string, a 64-bit integer, or null.", "type": ["string", "integer", "null"]}
TOKEN = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
OK = {"type": "object", "properties": {"ok": BOOLEAN}, "required": ["ok"]}
ERROR = {"type": "object", "properties": {"error": STRING}, "required": ["error"]}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": STRING}


def _header(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": schema, "description": description}


DEADLINE = _header("X-Deadline-Ms", {"type": "integer", "minimum": 1}, "How long the client will wait.")
ONCE = [
    _header("X-Client", STRING, "The client's name: with it and X-Request a retry takes effect once."),
    _header("X-Request", {"type": "integer", "minimum": 1}, "Grows; one request of a client is under way."),
    DEADLINE,
]


def _answers(found: dict[str, Any], conflict: str = "", code: str = "200") -> dict[str, Any]:
    """The answers of what the leader alone does."""
    said = {
        code: {"description": "Done.", "content": _json(found)},
        "307": {"description": "Another node leads: the same path there."},
        "400": {"description": "Bad input.", "content": _json(ERROR)},
        "401": {"description": "The cluster wants a token.", "content": _json(ERROR)},
        "503": {
            "description": "No leader is known, or it is busy. Nothing was done.",
            "content": _json(ERROR),
        },
        "504": {"description": "Unknown: it may or may not have been done.", "content": _json(ERROR)},
    }
    if conflict:
        said["409"] = {"description": conflict, "content": {"application/json": {}}}
    return said


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": _json(schema)}


def _plain(summary: str, **more: Any) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": {"description": "So it is."}} | more}}


PLACES = {"type": "object", "additionalProperties": STRING, "description": "HOST:PORT of each, by its name."}
MEMBERS = _object({"members": PLACES})
KEY, LOCK = _in_path("key"), _in_path("name")
GRANT = _object({"token": TOKEN, "nonce": STRING})

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "oneleader",
        "version": "1",
        "description": "A key-value store with fenced locks, on a Raft whose core is checked. "
        "Any node may be asked; what only the leader does, others redirect to it.",
    },
    "paths": {
        "/v1/keys/{key}": {
            "parameters": [KEY],
            "get": {
                "summary": "Read a key, linearizably.",
                "parameters": [DEADLINE],
                "responses": _answers(_object({"key": STRING, "value": VALUE, "found": BOOLEAN})),
            },
            "put": {
                "summary": "Write a key; with `expected`, only if it has that value (null: or none).",
                "parameters": ONCE,
                "requestBody": _body(_object({"value": VALUE}, expected=VALUE)),
                "responses": _answers(OK, "It has another value."),
            },
        },
        "/v1/locks/{name}": {
            "parameters": [LOCK],
            "post": {
                "summary": "Acquire a lock for a while.",
                "parameters": ONCE,
                "requestBody": _body(_object({"ttl_ms": {"type": "integer", "minimum": 1}})),
                "responses": _answers(GRANT, "Somebody holds it.", code="201"),
            },
            "put": {
                "summary": "Renew a lock: its time starts again.",
                "parameters": ONCE,
                "requestBody": _body(_object({"token": TOKEN})),
                "responses": _answers(OK, "It is not held under this token."),
            },
            "delete": {
                "summary": "Release a lock.",
                "parameters": [*ONCE, {"name": "token", "in": "query", "required": True, "schema": TOKEN}],
                "responses": _answers(OK, "It is not held under this token."),
            },
        },
        "/v1/fenced/{key}": {
            "parameters": [KEY],
            "get": {
                "summary": "Read a fenced key, linearizably.",
                "parameters": [DEADLINE],
                "responses": _answers(_object({"value": VALUE, "token": INTEGER, "found": BOOLEAN})),
            },
            "put": {
                "summary": "Write a fenced key, unless a newer grant has.",
                "parameters": ONCE,
                "requestBody": _body(_object({"value": VALUE, "token": TOKEN, "nonce": STRING})),
                "responses": _answers(OK, "A newer grant has written to it, or another one with this token."),
            },
        },
        "/v1/members": {
            "get": {
                "summary": "The members, as far as this node knows, and where they reach each other.",
                "responses": {"200": {"description": "So it is.", "content": _json(MEMBERS)}},
            },
            "post": {
                "summary": "Change the members: those that join catch up first, then all of it takes effect "
                "at once. Answered when it is committed.",
                "parameters": [DEADLINE],
                "requestBody": _body(_object({}, join=PLACES, leave={"type": "array", "items": STRING})),
                "responses": _answers(MEMBERS, "The members stay as they are, and why."),
            },
        },
        "/v1/backup": {
            "get": {
                "summary": "All that the cluster holds, as lines of JSON, to be restored into a new one.",
                "parameters": [DEADLINE],
                "responses": _answers({})
                | {"200": {"description": "The backup.", "content": {"application/jsonl": {}}}},
            },
        },
        "/v1/leader": _plain("Who leads, as far as this node knows.", **{"503": {"description": "Unknown."}}),
        "/v1/status": _plain("This node: role, term, lease, log, peers."),
        "/health": _plain("This node answers."),
        "/ready": _plain(
            "This node serves clients, or knows which node does.", **{"503": {"description": "Not now."}}
        ),
        "/metrics": _plain("Metrics in the text format of Prometheus."),
        "/openapi.json": _plain("This document."),
    },
}
