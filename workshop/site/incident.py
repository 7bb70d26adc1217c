"""The incident on the explorer: links that hold its steps, under each cure, and what then comes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from oneleader.pictures.explorer import Explorer
from oneleader.readers.run import Run
from workshop.pages import explorers
from workshop.studies import incident

# The same incident in the model that has the cures as switches.
STEPS = (
    *("elect n1 {n1,n2,n3}", "read n1", "decide_write n1", "write n1", "read n1", "decide_write n1", "split"),
    *("elect n4 {n3,n4,n5}", "read n4", "decide_write n4", "write n4", "write n1"),
)
CURES = ("quorum", "terms", "lease", "fencing")
SETTINGS = (CURES, *(tuple(cure for cure in CURES if cure != on) for on in CURES))  # what is off
SECTION = """
## Take the steps yourself
The explorer runs the model in your browser. Undo a step, take another one, and watch which rule refuses it.

<p class="try"><a class="button" href="{happened}">The incident, step by step</a>
<a class="button quiet" href="{cured}">The same against every cure</a></p>

The same incident in the model that has each cure as a switch. Turn one on, and see whether the run gets to
its end:

<ul class="cures">
{settings}
</ul>

<iframe class="explorer" title="the incident on the explorer" loading="lazy" src="{first}"></iframe>
"""


def incident_section() -> str:
    """A part of the page docs/results/incident.md."""
    happened = explorers.explorer("flawed/incident", runs=False)
    page = explorers.explorer("environment", runs=False)
    links = [(off, _link(page, "environment", _calls(page), off)) for off in SETTINGS]
    listed = (f'<li><a href="{link}">{_words(off)}</a>: {outcome(page, off)}.</li>' for off, link in links)
    return SECTION.format(
        happened=_link(happened, "flawed/incident", [*_taken(incident.as_it_happened())], ()),
        cured=_link(page, "environment", [*_taken(incident.as_it_should_be())], ()),
        settings="\n".join(listed),
        first=links[0][1],
    )


def outcome(page: Explorer, off: Sequence[str]) -> str:
    """Where the run ends under this setting, and what is false then."""
    at = page.at.where(page.model.fields["off"], off)
    run = Run(page.model, at, frozenset(f.name for f in page.model.fields.values() if f.kind == "ghost"))
    state = run.initial
    for text in STEPS:
        (instance,) = incident.instances(run, text)
        refused = run.refused(state, instance.action, instance.args)
        if refused:
            call = at.call(instance.action, instance.args)
            return f"it ends before <code>{call}</code>, refused by {refused}"
        state = run.step(state, instance.action, instance.args)
    false = [p.title for name, p in page.model.theorems.items() if run.violated(state, {name: p})]
    return f"every step is taken, and then {', '.join(false)} are false" if false else "nothing is false"


def _words(off: Sequence[str]) -> str:
    on = [cure for cure in CURES if cure not in off]
    return f"with {' and '.join(on)} alone" if on else "without any cure"


def _calls(page: Explorer) -> list[str]:
    return [page.at.call(i.action, i.args) for text in STEPS for i in incident.instances(page.run, text)]


def _taken(played: incident.Played) -> Iterator[str]:
    """The steps of a run that were not refused."""
    steps = (step for scene in played.scenes for step in scene.steps)
    yield from (step.call for step in steps if step.instance)


def _link(page: Explorer, name: str, calls: Sequence[str], off: Sequence[str]) -> str:
    return escape(f"../../explore/{explorers.file_of(name)}{page.address(calls, off)}")
