"""documents: the pages of docs/ that are made of what the readers find.

Each page is a template with its prose; whatever is a verdict, a length or a run in it was found a moment
before. Counterexamples are files of their own, in docs/results/counterexamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from oneleader import models
from oneleader.errors import UsageError
from oneleader.language.configuration import configure
from oneleader.models import system
from oneleader.pictures.html import html
from oneleader.pictures.plain import show_trace
from oneleader.pictures.stories import of_run
from oneleader.pictures.svg import svg
from oneleader.pictures.text import text as picture
from oneleader.readers.explore.explored import Violation
from oneleader.readers.explore.settings import Setting, settings
from oneleader.readers.run import Run
from oneleader.verdict import HOLDS, VIOLATED
from oneleader.words import title
from workshop.studies import approaches, incident, write_up
from workshop.studies.approaches import APPROACHES, QUESTIONS, SERVED, Cell
from workshop.studies.incident_story import story

FOLDER = "counterexamples"
Files = dict[str, str]  # path below docs/results/ -> text


def everything(is_proved: Callable[[str], bool]) -> Files:
    """Every file. `is_proved` is asked by a model's name whether its proof goes through."""
    return {**trade_offs(is_proved), **the_incident(), **the_write_up()}


@cache
def proved(name: str) -> bool:
    """Prove a model, for any number of servers."""
    from oneleader.readers.prove.prove import prove

    return prove(models.find(name)).status == 0


# -- the trade-offs ------------------------------------------------------------------------------
def trade_offs(is_proved: Callable[[str], bool]) -> Files:
    """The page, and the runs that its tables link to."""
    rows = [[*approaches.cells(approach, is_proved)] for approach in APPROACHES]
    files = {path(cell.name): of_cell(cell) for row in rows for cell in row if cell.violation}
    (head, *_), bully = rows, models.find("flawed/bully")
    page = template("trade-offs.md.j2").render(
        rows=rows,
        questions=[*QUESTIONS],
        said=said,
        strength=head[0].run.configuration.describe().partition(", off")[0],
        asked=sum(cell.asked for row in rows for cell in row if cell.verdict is HOLDS),
        system=[*settings(system.MODEL, configure(system.MODEL, approaches.SIZES))],
        bully=[row for row in settings(bully, configure(bully, {"Node": 2})) if len(row.off) <= 1],
        on_off=on_off,
        length=length,
    )
    return {"trade-offs.md": page, **files}


def brief(cell: Cell) -> str:
    """A cell of the table: what holds and how strongly, or how soon it breaks."""
    if cell.question.asks == SERVED:
        return {HOLDS: "yes", VIOLATED: "no"}.get(cell.verdict, str(cell.verdict))
    if cell.violation:
        return str(cell.steps)
    return f"{cell.verdict}, proved" if cell.proved else str(cell.verdict)


def said(cell: Cell) -> str:
    """The same with a link to where it is told."""
    return f"[{brief(cell)}]({path(cell.name)})" if cell.violation else brief(cell)


def on_off(row: Setting) -> str:
    """`on | off | on`."""
    return " | ".join("off" if name in row.off else "on" for name in row.switches)


def length(row: Setting, name: str) -> str:
    """`holds`, or how many steps."""
    steps = row.steps(name)
    return str(HOLDS) if steps is None else str(steps)


def of_cell(cell: Cell) -> str:
    """The file of a counterexample of the trade-offs."""
    assert cell.violation
    heading = f"{cell.approach.name}: {cell.question.heading}"
    if cell.question.asks != SERVED:
        return told(heading, cell.run, cell.violation)
    away = ", ".join(cell.run.configuration.chosen["away"])
    last = f"from here on no write of the newest leader can land while {away} is cut off"
    return told(heading, cell.run, cell.violation, last=last, again="python -m workshop trade-offs")


# -- the incident --------------------------------------------------------------------------------
def the_incident() -> Files:
    """The page and its pictures: what happened, which missing rule allowed each step, what refuses it."""
    happened, cured = incident.as_it_happened(), incident.as_it_should_be()
    refusals = {step.text: step for scene in cured.scenes for step in scene.steps if step.guard}
    stories = {
        "incident-happened": story(happened, "The incident as it happened"),
        "incident-cured": story(cured, "The same steps against every cure"),
    }
    page = template("incident.md.j2").render(
        happened=happened, cured=cured, refusals=refusals, title=title, doc=first_line, stories=stories
    )
    svgs = {f"{name}.svg": svg(told) for name, told in stories.items()}
    pages = {f"{name}.html": html(told) for name, told in stories.items()}
    return {"incident.md": page, **svgs, **pages}


# -- the write-up --------------------------------------------------------------------------------
def the_write_up() -> Files:
    """The page, and the shortest run that shows each defect."""
    found = {shown.defect.id: shown for shown in write_up.shown()}
    files: Files = {}
    for id, shown in found.items():
        assert shown.written.violation
        files[path(f"write-up-{id}")] = told(
            f"The write-up: {id.replace('-', ' ')}", shown.written.run, shown.written.violation
        )
    page = template("write-up.md.j2").render(found=found, path=path, title=title)
    return {"write-up.md": page, **files}


# -- what they share -----------------------------------------------------------------------------
def path(name: str) -> str:
    """Of a counterexample, below docs/results/."""
    return f"{FOLDER}/{name}.txt"


def told(heading: str, run: Run, found: Violation, *, last: str = "", again: str = "") -> str:
    """A run as text: what it shows, its model and setting, how to see it again, its picture, each step."""
    prop = (run.model.properties | run.model.witnesses)[found.what]
    steps = [(run.instances[position], state) for position, state in found.steps]
    pairs = zip(prop.params, found.args, strict=True)
    binding = ", ".join(f"{name}={run.configuration.show(sort, value)}" for (name, sort), value in pairs)
    lines = [
        f"{heading}: {len(steps)} steps" if len(steps) != 1 else f"{heading}: 1 step",
        f"model  {run.model.name}, {run.configuration.describe()}",
        f"again  {again or command(run, found.what)}",
        "",
        *([] if last else [picture(of_run(run, found))]),
        *show_trace(run.cells, run.configuration, run.initial, steps),
        "",
        last or f"violated  {title(prop.name)}: {first_line(prop)}",
    ]
    if binding and not last:
        lines.append(f"          not so for {binding}")
    return "\n".join(lines) + "\n"


def command(run: Run, name: str) -> str:
    """What finds the run again."""
    at, model = run.configuration, run.model
    found = next(
        (n for n in (*models.MODELS, *models.FLAWED) if n.removeprefix("flawed/") == model.name), model.name
    )
    sizes = {sort: len(names) for sort, names in at.elements.items() if sort != "Quorum"}
    sizes |= {**at.greatest, **at.parameters}
    if "Node" in sizes:
        sizes.pop("Count", None)
    options = [f"--size {sort}={n}" for sort, n in sizes.items()]
    options += [f"--where {name}={','.join(chosen)}" for name, chosen in at.chosen.items() if chosen]
    quorums = ", ".join(q.strip("{}") for q in at.elements.get("Quorum", ()))
    if quorums:
        options.append(f"--quorums '{quorums}'")
    return f"oneleader explore {found} {' '.join(options)} --property {name}"


def first_line(prop: Any) -> str:
    """What a property or an action says, in a sentence."""
    return str(prop.doc).splitlines()[0]


@cache
def template(name: str) -> jinja2.Template:
    """A page with its prose."""
    loader = jinja2.PackageLoader("workshop.pages")
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(name)


def written(files: Files, folder: Path) -> list[str]:
    """Write them; which files changed, and which counterexamples are not linked any more and were removed."""
    changed = list(stale(files, folder))
    try:
        (folder / FOLDER).mkdir(exist_ok=True)
        for name in changed:
            if name in files:
                (folder / name).write_text(files[name], encoding="utf-8")
            else:
                (folder / name).unlink()
    except OSError as error:
        raise UsageError(f"cannot write below {folder}: {error.strerror}") from None
    return changed


def stale(files: Files, folder: Path) -> Iterator[str]:
    """The files that are not as they would be written, and those that would not."""
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}: run this in the checkout, or give --docs")
    for name, text in files.items():
        at = folder / name
        if not at.is_file() or at.read_text(encoding="utf-8") != text:
            yield name
    for at in sorted((folder / FOLDER).glob("*.txt")):
        if f"{FOLDER}/{at.name}" not in files:
            yield f"{FOLDER}/{at.name}"
