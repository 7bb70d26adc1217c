"""A story as SVG, as a page that steps, or as text."""

from oneleader.story import Story


def drawn(story: Story) -> str:
    """A story as a notebook shows it: the template engine is loaded only then."""
    from oneleader.pictures.svg import svg

    return svg(story)


Story.drawn = drawn
