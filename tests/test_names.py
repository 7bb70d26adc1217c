"""One word, one thing: no class name stands twice with two meanings."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests.places import ROOT

# A model's state and sorts are named from the paper, in a module of their own: one concept per model.
MODELS = "spec/oneleader/models/"

# Outside of the models a name of theirs means the same thing, or says here why not.
SAME_AS_IN_MODELS = {
    "Client": "whoever writes: a sort of the models, and the code that does so over HTTP",
    "Node": "Figure 2's server: a sort of the models, and the state of one in the reference",
    "Role": "Figure 4's follower, candidate and leader, in both",
    "Round": "one sending of heartbeats by a leader (dissertation 6.4), in both",
}


def classes(files: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Each class name, also of nested classes, and where it is defined."""
    found = defaultdict(list)
    for path, text in files:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{path}:{node.lineno}")
    return found


def twice(files: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The names that stand for two things."""
    found = {}
    for name, places in classes(files).items():
        outside = [place for place in places if not place.startswith(MODELS)]
        in_a_model = len(outside) < len(places)
        if len(outside) > 1 or (outside and in_a_model and name not in SAME_AS_IN_MODELS):
            found[name] = places
    return found


def sources() -> Iterable[tuple[str, str]]:
    for folder in ("spec", "reference", "workshop"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")


def test_no_class_name_stands_for_two_things() -> None:
    assert twice(sources()) == {}


def test_each_exception_is_needed() -> None:
    found = classes(sources())
    for name in SAME_AS_IN_MODELS:
        assert len({place.startswith(MODELS) for place in found[name]}) == 2, name


def test_a_second_meaning_is_found() -> None:
    model = MODELS + "election.py"
    assert twice([("a.py", "class Step: ..."), ("b.py", "def f():\n    class Step: ...")]).keys() == {"Step"}
    assert twice([(model, "class Term: ..."), ("b.py", "class Term: ...")]).keys() == {"Term"}
    assert twice([(model, "class State: ..."), (MODELS + "lease.py", "class State: ...")]) == {}
    assert Path(ROOT / model).is_file()
