"""The logless protocol: repaired it holds; as published it has two leaders of one term."""

from __future__ import annotations

import pytest

from oneleader.language.configuration import Configuration, configure
from oneleader.language.model import Model
from oneleader.models import find
from oneleader.models.logless import MODEL
from oneleader.readers.explore.explore import explore
from oneleader.readers.prove.prove import load_hints, prove, rows
from oneleader.readers.run import Disabled, Run
from oneleader.verdict import HOLDS, VIOLATED

PUBLISHED = find("flawed/logless_published")


def bounds(model: Model, nodes: int, terms: int, versions: int, configurations: str) -> Configuration:
    return configure(model, {"Node": nodes, "Term": terms, "Version": versions}, configurations)


def test_everything_holds_and_happens() -> None:
    """Two servers, of which one may be removed and come back."""
    found = explore(MODEL, bounds(MODEL, 2, 2, 1, "n1 n2, n1"))
    assert (found.verdict, found.states, found.never_fired) == (HOLDS, 3_464, [])
    assert None not in found.witnesses.values()


def test_everything_is_proved_for_any_size() -> None:
    """That each premise is possible is a matter of `check`."""
    proved = list(rows(MODEL))
    assert {row.key: row.verdict for row in proved if row.verdict is not HOLDS} == {}
    assert len(proved) == 331
    assert {row.hint for row in proved} == {"used"}
    assert load_hints(MODEL).keys() == {row.key for row in proved}


@pytest.mark.parametrize(
    ("action", "guard", "goal"),
    [
        ("take_config", "term_is_reached", "held_is_reached"),
        ("take_config", "is_follower", "candidate_has_asked"),
    ],
)
def test_each_rule_is_needed(action: str, guard: str, goal: str) -> None:
    """Without it the proof fails, with a counterexample that the plain interpreter confirms."""
    (row,) = prove(MODEL.without_guard(action, guard), only=[f"{action}/{goal}"], rlimit=50_000).rows
    assert row.verdict is VIOLATED
    assert row.counterexample


# -- As published ----------------------------------------------------------------------------------
class Story:
    """A run that is written down: n3 leads term 1 and removes n1 and then n2, while n1 stands in term 2."""

    def __init__(self, model: Model) -> None:
        self.model, self.steps = model, 0
        self.run = Run(model, bounds(model, 5, 2, 2, "n1 n2 n3 n4 n5, n2 n3 n4 n5, n3 n4 n5"))
        self.state = self.run.initial

    def take(self, name: str, *args: str | int) -> None:
        action, at = self.model.actions[name], self.run.configuration
        values = [at.value(sort, arg) for (_, sort), arg in zip(action.params, args, strict=True)]
        self.state = self.run.step(self.state, action, tuple(values))
        self.steps += 1

    def vote(self, voter: str, candidate: str, term: int) -> None:
        self.take("update_term", voter, term)
        self.take("grant_vote", voter, candidate, term)
        self.take("reply_vote", voter, candidate, term)
        self.take("receive_vote", candidate, voter, term)

    def change(self, c: int) -> None:
        """n2 counts as one that holds the configuration, and n4 as one that is in the term."""
        self.take("take_config", "n2", 1, c - 1)
        self.take("take_config", "n5", 1, c - 1)
        quorums = ("{n2 n3 n5}", "{n3 n4 n5}") if self.model is PUBLISHED else ("{n2 n3 n5}",)
        self.take("change_members", "n3", c, *quorums)

    def tell(self) -> None:
        self.take("bootstrap", 0)
        self.take("start_election", "n3")
        self.vote("n5", "n3", 1)
        self.vote("n4", "n3", 1)
        self.take("become_leader", "n3", "{n3 n4 n5}")
        # n1 stands in term 2 with the configuration of all, and n2 votes for it.
        self.take("update_term", "n1", 1)
        self.take("start_election", "n1")
        self.vote("n2", "n1", 2)
        self.change(1)
        self.change(2)
        self.take("take_config", "n5", 1, 2)
        # n4 holds no newer configuration, and elects n1; the new members elect n5.
        self.vote("n4", "n1", 2)
        self.take("become_leader", "n1", "{n1 n2 n4}")
        self.take("start_election", "n5")
        self.vote("n3", "n5", 2)
        self.take("become_leader", "n5", "{n3 n5}")


def test_as_published_a_term_has_two_leaders() -> None:
    """The run of 24 steps in which a vote is given, sent and counted in one: here in three."""
    story = Story(PUBLISHED)
    story.tell()
    broken = story.run.violated(story.state, {"election_safety": PUBLISHED.theorems["election_safety"]})
    assert broken is not None
    assert story.steps == 35


def test_the_repaired_model_refuses_the_same_run() -> None:
    """n2 is in term 2: it counts no longer for the quorum of the leader of term 1."""
    story = Story(MODEL)
    with pytest.raises(Disabled):
        story.tell()
    assert story.steps == 19
