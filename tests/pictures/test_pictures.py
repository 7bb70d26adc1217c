"""Stories and what is drawn of them: right arrows, free labels, and nothing left out."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from oneleader import models
from oneleader.errors import UsageError
from oneleader.faults.catalogue import FAULTS
from oneleader.faults.fault import Because
from oneleader.pictures.html import html
from oneleader.pictures.layout import NARROW, WIDE, Measures, Picture, laid_out
from oneleader.pictures.lettering import text_width, wrapped
from oneleader.pictures.palette import DARK, LIGHT, Palette
from oneleader.pictures.svg import svg
from oneleader.pictures.telling import fitting
from oneleader.pictures.text import text
from oneleader.pictures.vocabulary import VOCABULARIES
from oneleader.story import Arrow, Lane, Spot, Story, StoryRow
from tests.places import RESULTS

HERE = Path(__file__).parent
SHOWN = [id for id, fault in FAULTS.items() if not isinstance(fault.explore, Because)]
EVERY = pytest.mark.parametrize("name", [*models.FLAWED, *SHOWN, *models.MODELS])
Tell = Callable[[str], Story]
Box = tuple[float, float, float, float]


# -- Stories -----------------------------------------------------------------------------------------------
def test_a_counterexample_is_told_in_words(tell: Tell) -> None:
    story = tell("vote-cleared")
    assert story.wrong.startswith("ElectionSafety is violated: at most one leader can be elected")
    assert story.because == "Not so for t = 1, a = n1, b = n3."
    assert (story.wrong_row, story.wrong_lanes) == (12, {"n1", "n3"})
    assert [lane.name for lane in story.lanes] == ["n1", "n2", "n3"]
    assert story.rows[9].label == "n2 votes for n3"
    assert story.rows[8].changes == ("voted_for[n2]: n1 -> NIL",)
    assert story.rows[12].after["n1"] == Spot("leader", 1, words=("voted for itself",))


def test_messages_go_from_where_they_are_sent_to_where_they_are_read(tell: Tell) -> None:
    arrows = tell("vote-cleared").arrows
    read = [(a.label, a.source, a.to, a.sent, a.received) for a in arrows if a.received is not None]
    assert ("RequestVote", "n3", "n2", 4, 9) in read
    assert ("vote granted", "n2", "n3", 10, 11) in read
    assert [(a.label, a.to) for a in arrows if a.is_lost] == [
        ("RequestVote", "n3"),
        ("RequestVote", "n1"),
        ("AppendEntries", "n3"),
    ]
    assert [a.to for a in arrows if a.sent == 12 and not a.is_lost] == ["n1", "n2"]  # the run ends there


def test_two_leases_at_once_are_two_bars(tell: Tell) -> None:
    story = tell("flawed/lease_from_receipt")
    assert [name for name, spot in story.rows[-1].after.items() if spot.lease] == ["n1", "n2"]
    bars = laid_out(story).bars
    assert len(bars) == 3  # that of n1 ends, and is counted anew when n2 has one
    assert {lane for lane, x in laid_out(story).columns for b in bars if b.x == x} == {
        Lane("n1"),
        Lane("n2"),
    }


def test_a_stale_write_carries_its_token(tell: Tell) -> None:
    story = tell("flawed/lease_without_fencing")
    assert [(r.token, r.lane) for r in story.rows if r.mark == "write"] == [(2, "r1"), (1, "r1")]
    late = next(a for a in story.arrows if a.received == story.wrong_row)
    assert (late.source, late.to, late.token) == ("n1", "r1", 1)
    assert late.received is not None
    assert late.received - late.sent > 5


@pytest.mark.parametrize("name", [*models.MODELS, *models.FLAWED])
def test_a_vocabulary_speaks_of_what_its_model_has(name: str) -> None:
    """Every action of the model has words, and these name its parameters and fields alone."""
    model = models.find(name)
    words = fitting(model)
    assert words in VOCABULARIES
    assert model.actions.keys() <= words.acts.keys(), model.actions.keys() - words.acts.keys()
    for action in model.actions.values():
        act = words.acts[action.name]
        names = {p: "x" for p, _ in action.params} | {"term": "1"}
        act.words.format_map(names), act.at.format_map(names)
        for reading in act.reads:
            _check_reading(reading, model.fields, names, words.messages)
    for field, message in words.messages.items():
        ends = [e for e in (message.source, message.to, message.token) if isinstance(e, int)]
        assert field not in model.fields or max(ends, default=0) < len(model.fields[field].index)


def _check_reading(reading: str, fields: dict, names: dict[str, str], messages: object) -> None:  # type: ignore[type-arg]
    field, *parts = reading.split()
    assert field in messages, reading  # type: ignore[operator]
    assert len(parts) == len(fields[field].index), reading
    assert all(part in ("*", "@term") or part.lstrip("<") in names for part in parts), reading


def test_a_model_that_nobody_knows_is_told_by_its_fields(build: Callable[[str], object]) -> None:
    from oneleader.language.configuration import configure
    from oneleader.pictures.stories import of_run
    from oneleader.readers.explore.explored import Violation
    from oneleader.readers.run import Run

    module = build(
        "class State(Fields):\n    busy = field(Node, of=bool)\n\n\n"
        "@action\ndef begin(s: State, n: Node) -> None:\n    '''A node begins.'''\n"
        "    is_idle = no(s.busy[n])\n    s.require(is_idle)\n    s.busy[n] = True\n\n\n"
        "MODEL = model(__name__, State)\n"
    )
    run = Run(module.MODEL, configure(module.MODEL, {"Node": 2}))  # type: ignore[attr-defined]
    position, after = next(iter(run.steps(run.initial)))
    assert after is not None
    story = of_run(run, Violation("deadlock", (), [(position, after)]))
    assert [lane.name for lane in story.lanes] == ["n1", "n2"]
    assert (story.rows[1].label, story.rows[1].lane) == ("begin: n n1", "n1")
    assert story.rows[1].after["n1"].words == ("busy",)


# -- Windows -----------------------------------------------------------------------------------------------
def long_story(rows: int) -> Story:
    spots = {"a": Spot("follower", 1), "b": Spot("follower", 1)}
    told = tuple(StoryRow(i, "a" if i % 2 else "b", f"step {i}", spots) for i in range(rows))
    arrows = tuple(Arrow("a", "b", "m", i, i + 3) for i in range(1, rows - 3, 2))
    return Story("long", (Lane("a"), Lane("b")), told, arrows)


def test_of_a_long_run_the_end_is_shown() -> None:
    story = long_story(5000).fitting()
    assert [story.rows[0].number, story.rows[-1].number] == [4940, 4999]
    assert "Rows 4940 to 4999; left out: 4,940 rows before." in svg(long_story(5000))


def test_a_window_keeps_what_reaches_into_it() -> None:
    story = long_story(40).window(10, 20)
    assert {a.sent for a in story.arrows} >= {7, 9, 19}
    assert all(a.received is None or a.received <= 20 for a in story.arrows)
    assert laid_out(story).lines
    with pytest.raises(UsageError, match="no rows 50:60: the run has rows 0 to 39"):
        long_story(40).window(50, 60)


# -- Labels are free, by their estimated widths; `test_page` measures in a browser -------------------------
@EVERY
@pytest.mark.parametrize("measures", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_label_meets_another_nor_a_message(tell: Tell, name: str, measures: Measures) -> None:
    picture = laid_out(tell(name), measures)
    boxes = words_of(picture)
    for (a, said), (b, other) in combinations(boxes, 2):
        assert not meet(a, b), (said, other)
    for line in picture.lines:
        for (x1, y1), (x2, y2) in pairwise(line.points):
            for box, said in boxes:
                assert not crosses((x1, y1, x2, y2), box), (line.arrow, said)


def words_of(picture: Picture) -> list[tuple[Box, str]]:
    """The boxes of all that is read."""
    m, boxes = picture.measures, []
    for r in picture.rows:
        boxes += [((t.x, t.y - m.words, t.x + m.label, t.y + 3), t.words) for t in r.words]
        boxes += [((t.x, t.y - m.small, t.x + m.label, t.y + 3), t.words) for t in r.small]
        boxes += [((p.x, p.y, p.x + p.width, p.y + p.height), p.lines[0].words) for p in r.pills]
    return boxes


def meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def crosses(line: Box, box: Box, pieces: int = 40) -> bool:
    """Whether a straight line enters a box, looked at in many points."""
    x1, y1, x2, y2 = line
    points = ((x1 + (x2 - x1) * i / pieces, y1 + (y2 - y1) * i / pieces) for i in range(pieces + 1))
    return any(box[0] < x < box[2] and box[1] < y < box[3] for x, y in points)


def test_the_check_sees_a_label_that_is_in_the_way() -> None:
    assert meet((0, 0, 10, 10), (9, 9, 20, 20))
    assert crosses((0, 0, 100, 100), (40, 40, 60, 60))
    assert not crosses((0, 0, 100, 0), (40, 40, 60, 60))


# -- The three forms ---------------------------------------------------------------------------------------
@EVERY
def test_every_model_is_drawn(tell: Tell, name: str) -> None:
    story = tell(name)
    drawn = ElementTree.fromstring(svg(story))
    said = " ".join(" ".join(drawn.itertext()).split())
    page, plain = html(story), text(story)
    assert story.wrong
    for row in story.rows:
        assert row.label in said
        assert f'id="step-{row.number}"' in page
    for lane in story.lanes:
        assert lane.shown in plain
    assert "None" not in plain
    assert "inf" not in plain.replace("inform", "").replace("infer", "")


@pytest.mark.parametrize(
    ("file", "draw"), [(HERE / "vote-cleared.txt", text), (RESULTS / "pictures" / "vote-cleared.svg", svg)]
)
def test_the_picture_of_a_run(tell: Tell, file: Path, draw: Callable[[Story], str]) -> None:
    """As text, and as it stands in the documentation: ONELEADER_REWRITE=1 writes both anew."""
    drawn = draw(tell("vote-cleared"))
    if os.environ.get("ONELEADER_REWRITE"):
        file.write_text(drawn, encoding="utf-8")
    assert drawn == file.read_text(encoding="utf-8")


def test_what_is_told_is_escaped() -> None:
    spots = {"<n&1>": Spot("leader", 1)}
    story = Story(
        "<b>", (Lane("<n&1>"),), (StoryRow(0, "<n&1>", "a < b & c", spots),), wrong="x <y> z", wrong_row=0
    )
    ElementTree.fromstring(svg(story))
    assert "<y>" not in html(story)
    assert "<n&1>" not in html(story)


def contrast(a: str, b: str) -> float:
    """WCAG's ratio of two colours, from 1 to 21."""
    lighter, darker = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# -- Colours -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_have_contrast(palette: Palette) -> None:
    """WCAG 2.2: 4.5 for words, 3 for what else has a meaning."""
    grounds = (palette.ground, palette.band, palette.raised, palette.wrong_ground)
    for ground in grounds:
        for words in (palette.ink, palette.muted, palette.wrong):
            assert contrast(words, ground) >= 4.5, (words, ground)
        for line in (*palette.terms, palette.message, palette.lost, palette.quiet):
            assert contrast(line, ground) >= 3, (line, ground)
    for term in palette.terms:
        assert contrast(palette.on_term, term) >= 4.5, term
    assert contrast(palette.on_term, palette.ink) >= 4.5
    assert contrast("#777777", "#888888") < 1.5


def test_no_two_neighbouring_terms_look_alike_to_the_colour_blind() -> None:
    """Deuteranopia and protanopia, as Viénot, Brettel and Mollon (1999) have them."""
    for palette in (LIGHT, DARK):
        for a, b in pairwise((*palette.terms[1:], palette.terms[1])):
            for matrix in (PROTAN, DEUTAN):
                assert distance(seen(a, matrix), seen(b, matrix)) > 60, (a, b)


PROTAN = ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0))
DEUTAN = ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0))


def seen(colour: str, matrix: tuple[tuple[float, ...], ...]) -> list[float]:
    linear = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    mixed = [sum(w * c for w, c in zip(line, linear, strict=True)) for line in matrix]
    return [255 * max(0.0, min(1.0, c)) ** (1 / 2.2) for c in mixed]


def distance(a: list[float], b: list[float]) -> float:
    return float(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5)


def test_a_wide_word_is_divided_where_it_has_joints() -> None:
    assert wrapped("n1 receives AppendEntriesReply", 90, 11) == ["n1 receives", "AppendEntries", "Reply"]
    assert wrapped("pre-candidate", 60, 11) == ["pre-", "candidate"]
    assert wrapped("incomprehensibilities", 60, 11)[0].endswith("…")


def test_widths_are_estimated_from_above() -> None:
    assert text_width("follower", 11) > 40
    assert text_width("", 11) == 0
