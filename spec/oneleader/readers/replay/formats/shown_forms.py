"""shown_forms: how each key is written that says in everybody's words what a node is like.

The form is asked for whether a model has a field for the key or not: what no model reads today may be read by
another one tomorrow, and a slip of a recorder shows at once. `oneleader trace schema` prints the same forms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from oneleader.errors import UsageError
from oneleader.readers.replay.formats.values import are_parts, are_words
from oneleader.words import quoted

ROLES = ("follower", "pre-candidate", "candidate", "leader")
WORDS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
SOME_WORDS = WORDS | {"minItems": 1}
PARTS = {"type": "array", "items": SOME_WORDS, "minItems": 1, "maxItems": 2}
NATURAL: dict[str, Any] = {"type": "integer", "minimum": 0}
MEMBERS = {"anyOf": [SOME_WORDS, PARTS]}
CHANGE = {"type": "object", "required": ["members"], "minProperties": 1, "maxProperties": 1}
ENTRY = {
    "anyOf": [
        NATURAL,
        {
            "type": "array",
            "prefixItems": [NATURAL, {"if": CHANGE, "then": {"properties": {"members": MEMBERS}}}],
            "minItems": 1,
            "maxItems": 2,
        },
    ]
}
SOME_NODES = "a list of nodes, at least one, or two such lists while they are joint"


def is_natural(written: Any) -> bool:
    return type(written) is int and written >= 0


def _are_members(written: Any) -> bool:
    return bool(written) and (are_words(written) or are_parts(written))


def _is_entry(written: Any) -> bool:
    match written:
        case [term, {"members": members, **rest}] if not rest:
            return is_natural(term) and _are_members(members)
        case [term] | [term, _]:
            return is_natural(term)
    return is_natural(written)


def _is_log(written: Any) -> bool:
    return isinstance(written, list) and all(map(_is_entry, written))


def _is_truth(written: Any) -> bool:
    return isinstance(written, bool)


class Form(NamedTuple):
    """How a key is written: as a JSON Schema, as a test of what was read, and in words."""

    schema: dict[str, Any]
    is_kept: Callable[[Any], bool]
    words: str


WHOLE = Form(NATURAL, is_natural, "a whole number from 0 on")
TRUTH = Form({"type": "boolean"}, _is_truth, "true or false")
FORMS = {
    "term": WHOLE,
    "voted_for": Form(
        {"type": ["string", "null"]},
        lambda written: written is None or isinstance(written, str),
        "a node, or null where it has voted for nobody",
    ),
    "role": Form({"enum": [*ROLES]}, lambda written: written in ROLES, f"one of {', '.join(ROLES)}"),
    "votes": Form(WORDS, are_words, "a list of nodes"),
    "log": Form(
        {"type": "array", "items": ENTRY},
        _is_log,
        'a list of entries, each [term, value] or its term alone, or [term, {"members": [nodes]}]',
    ),
    "first": Form(
        {"type": "integer", "minimum": 1},
        lambda written: is_natural(written) and written > 0,
        "an index, a whole number from 1 on",
    ),
    "snapshot": WHOLE,
    "commit": WHOLE,
    "members": Form(MEMBERS, _are_members, SOME_NODES),
    "lease": TRUTH,
    "restarts": TRUTH,
}


def check_form(key: str, written: Any) -> None:
    """UsageError where the key is not written so."""
    form = FORMS[key]
    if form.is_kept(written):
        return
    found = f"is {quoted(written)}"
    if key == "log" and isinstance(written, list):
        found = f"holds {quoted(next(entry for entry in written if not _is_entry(entry)))}"
    raise UsageError(f"`{key}` {found}: write it as {form.words}")
