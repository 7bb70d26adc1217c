"""A story as one HTML page that needs nothing else: no server, no request, and to be read no script.

The diagram is there twice, for wide screens and for narrow ones; below it every step is told in words, which
is what prints, what a screen reader reads and what the script shows beside the diagram while stepping.
"""

from __future__ import annotations

from oneleader.pictures.layout import NARROW, WIDE, laid_out, legend
from oneleader.pictures.svg import left_out, templates, told
from oneleader.story import Story


def html(story: Story) -> str:
    """The page. Stepping: the arrow keys, `v` for the violation; see its footer."""
    story = story.fitting()
    pictures = [(picture, *legend(picture)) for picture in (laid_out(story, WIDE), laid_out(story, NARROW))]
    template = templates().get_template("picture.html.j2")
    return template.render(story=story, pictures=pictures, left_out=left_out(story), told=told).strip() + "\n"
