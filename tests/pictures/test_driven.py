"""What `oneleader conform` found, as a story: its steps are rows, and its messages arrows between them."""

from __future__ import annotations

from oneleader.conformance.conform import conform
from oneleader.pictures.driven import of_cause, short
from oneleader.pictures.svg import svg
from tests.conformance.test_observations import VotesTwice, adapter


def test_a_finding_is_a_story() -> None:
    found = conform(adapter(VotesTwice), walks=5, seed=1)
    cause = found.causes[0]
    story = of_cause(adapter(VotesTwice), 3, cause)
    assert [row.number for row in story.rows] == list(range(len(cause.steps) + 1))
    assert story.wrong == cause.words.splitlines()[0]
    assert story.wrong_row == len(cause.steps)
    assert story.arrows
    assert all(arrow.sent < (arrow.received or 0) for arrow in story.arrows)
    assert cause.key in svg(story)


def test_a_message_is_called_by_its_kind() -> None:
    assert short("{'type': 'request_vote', 'term': 1}") == "request_vote"
    assert short('{"term":"1","type":"MsgVote"}') == "MsgVote"
    assert short("RequestVote(term=1, candidate_id='n3')") == "RequestVote"
