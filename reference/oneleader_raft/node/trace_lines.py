"""What the lines of a node's trace may say: what is missing, unknown or of a wrong kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..raft import Role
from ..views import VIEWS

Test = Callable[[Any], bool]
ROLES = frozenset(role.value for role in Role)
ACTIONS = frozenset(name for view in VIEWS.values() for name in (*view.actions, *view.ends))
PARAMETERS = {  # that some view asks for
    name: dict.fromkeys(p for view in VIEWS.values() for p in view.actions.get(name, ("", ()))[1])
    for name in ACTIONS
}


def is_number(value: Any) -> bool:
    return type(value) is int


def is_word(value: Any) -> bool:
    return isinstance(value, str)


def is_word_or_none(value: Any) -> bool:
    return value is None or is_word(value)


def are_words(value: Any) -> bool:
    return isinstance(value, list) and (not value or all(map(is_word, value)))


def are_sets(value: Any) -> bool:
    return isinstance(value, list) and all(map(are_words, value))


def is_source(value: Any) -> bool:
    match value:
        case None:
            return True
        case [str(), step]:
            return is_number(step) and step > 0
    return False


def are_entries(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(e, list) and len(e) == 2 and is_number(e[0]) and is_word(e[1]) for e in value
    )


HEADER: dict[str, Test] = {
    "format": is_word,
    "version": is_number,
    "node": is_word,
    "members": are_words,
    "clocks": lambda value: isinstance(value, dict),
}
CLOCKS: dict[str, Test] = dict.fromkeys(
    ("promise", "slow", "fast"), lambda value: is_number(value) and value > 0
)
STEP: dict[str, Test] = {
    "step": is_number,
    "event": is_word,
    "from": is_source,
    "clock": is_number,
    "actions": lambda value: isinstance(value, list),
    "after": lambda value: isinstance(value, dict),
}
CUT = "cut"  # the event of the line with which a later file begins
AT_A_CUT: dict[str, Test] = STEP | {
    "members": lambda value: isinstance(value, list) and all(map(are_words, value))
}
AFTER: dict[str, Test] = {
    **dict.fromkeys(("term", "length", "commit", "first", "promised_at"), is_number),
    **dict.fromkeys(("voted_for", "leader"), is_word_or_none),
    **dict.fromkeys(("votes", "pre_votes"), are_words),
    "role": ROLES.__contains__,
    "entries": are_entries,
}


def fault_of_header(said: dict[str, Any]) -> str:
    """What is wrong with a header, or nothing."""
    fault = _fault(said, HEADER, "the header") or _fault(said["clocks"], CLOCKS, "`clocks`")
    if not fault and said["clocks"]["slow"] > said["clocks"]["fast"]:
        return "by `clocks`, the slowest clock is faster than the fastest"
    return fault


def fault_of_step(said: dict[str, Any]) -> str:
    """What is wrong with a step, or nothing."""
    keys = AT_A_CUT if said.get("event") == CUT else STEP
    fault = _fault(said, keys, "this step") or _fault(said["after"], AFTER, "`after`")
    return fault or next(filter(None, map(_fault_of_action, said["actions"])), "")


def _fault(said: dict[str, Any], keys: Mapping[str, Test], what: str) -> str:
    if said.keys() != keys.keys():
        lacking, unknown = sorted(keys.keys() - said.keys()), sorted(said.keys() - keys.keys())
        return f"{what} lacks `{lacking[0]}`" if lacking else f"{what} has an unknown key `{unknown[0]}`"
    for key, test in keys.items():
        try:
            is_so = test(said[key])
        except TypeError:  # of what cannot be hashed
            is_so = False
        if not is_so:
            value = said[key]
            return f"`{key}` cannot be {repr(value) if is_word(value) else json.dumps(value):.60}"
    return ""


def _fault_of_action(taken: Any) -> str:
    match taken:
        case [str(name), dict(given)]:
            if name not in ACTIONS:
                return f"unknown action {name!r}"
            lacking = [p for p in PARAMETERS[name] if p not in given]
            return f"{name} lacks `{lacking[0]}`" if lacking else ""
    return 'an action is not written as ["name", {"argument": value, ...}]'
