"""What Sphinx is given: the repository's pages at their own paths, so that their links hold as they are.

Beside them stand pages that are made here: one for each model and each pure module of the reference, shown
by symbol beside the prose; one for each other source file that a page links to; the API. The order of the
pages is that of `docs/index.md`.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from oneleader import models
from oneleader.language.definitions import Action, Definition
from oneleader.language.model import Model
from workshop import DOCS, ROOT
from workshop.pages import explorers
from workshop.site.excerpt import EXCERPT, lines_of
from workshop.site.incident import incident_section

BESIDE = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "tla/README.md")
COPIED = (".svg", ".html", ".png")  # beside the pages, as they are
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json", ".lua": "lua", ".tla": "text", ".cfg": "text"}
SOURCES = "source"  # the folder of source pages
CORE = Path("reference/oneleader_raft")
PURE = ("raft", "lease", "fencing", "configuration", "state_machine", "messages")  # modules of the core
ANCHORED = re.compile(r'^(#+) <a id="([^"]+)"></a>', re.MULTILINE)
HEADING = re.compile(r"^## (.*)$", re.MULTILINE)
API = {
    "Models": (
        "oneleader.language",
        "oneleader.language.configuration",
        "oneleader.models",
    ),
    "Readers": (
        *("oneleader.readers.run", "oneleader.readers.explore.explore", "oneleader.readers.explore.walk"),
        *("oneleader.readers.explore.graph", "oneleader.readers.retrace", "oneleader.readers.replay.replay"),
        "oneleader.verdict",
    ),
    "Your own Raft": (
        "oneleader.conformance.adapter",
        "oneleader.conformance.conform",
        "oneleader.conformance.history",
    ),
    "Pictures": (
        "oneleader.story",
        "oneleader.pictures.stories",
        "oneleader.pictures.svg",
        "oneleader.pictures.explorer",
    ),
    "The reference": ("oneleader_raft.core", "oneleader_raft.views", "oneleader_raft.locks"),
}


def stage(folder: Path) -> None:
    """Write everything that Sphinx reads to an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    Staging(folder).write()


class Staging:
    """One staging: the source files that pages link to are collected on the way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources: set[Path] = set()  # paths below the root

    def write(self) -> None:
        for path in (*sorted(DOCS.rglob("*")), *(ROOT / name for name in BESIDE)):
            name = path.relative_to(ROOT)
            if path.suffix == ".md":
                self._put(name, self._linked(name, self._page(name, path.read_text("utf-8"))))
            elif path.suffix in COPIED:
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, self.folder / name)
        for known, model in _models():
            self._put(Path("models") / f"{_short(known)}.md", self._model_page(known, model))
        self._put(Path("models/index.md"), _models_index())
        for module in PURE:
            self._put(Path("core") / f"{module}.md", self._core_page(CORE / f"{module}.py"))
        self._put(Path("api/index.md"), _api_index())
        for heading, modules in API.items():
            for module in modules:
                self._put(Path("api") / f"{module}.md", _api_page(heading, module))
        self._put(Path("index.md"), (Path(__file__).parent / "front.md").read_text("utf-8") + _toctrees())
        for source in sorted(self.sources):
            self._put(Path(SOURCES) / f"{source}.md", self._source_page(source))

    def _put(self, name: Path, text: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def _page(self, name: Path, text: str) -> str:
        """The page, and what only the site can show."""
        text = ANCHORED.sub(r"(\2)=\n\1 ", text)  # a target as MyST writes it
        text = EXCERPT.sub(lambda found: self._excerpt(name, found), text)
        return text + incident_section() if name == Path("docs/results/incident.md") else text

    # -- links ------------------------------------------------------------------------------------
    def _linked(self, page: Path, text: str) -> str:
        """The text, its links to files of the repository replaced by ones to pages that show them."""
        return LINK.sub(lambda found: self._link(page, found), text)

    def _link(self, page: Path, found: re.Match[str]) -> str:
        words, target, anchor = found.groups()
        if ":" in target or (page.parent / target).suffix in (".md", *COPIED):
            return found[0]
        file = Path(os.path.normpath(page.parent / target))
        if (ROOT / file).is_dir():
            file = file / "README.md"
            self.sources |= set() if (self.folder / file).exists() or str(file) in BESIDE else {file}
            inside = file if str(file) in BESIDE else Path(SOURCES) / f"{file}.md"
        elif file.parent == CORE and file.stem in PURE:
            inside = Path("core") / f"{file.stem}.md"
            anchor = anchor and anchor.partition(".")[0].lower()  # each symbol of the module has a heading
        else:
            self.sources.add(file)
            inside = Path(SOURCES) / f"{file}.md"
            anchor = None if file.suffix in LANGUAGES else anchor  # a source is shown as one block
        return f"[{words}]({os.path.relpath(inside, page.parent)}{anchor or ''})"

    # -- models -----------------------------------------------------------------------------------
    def _model_page(self, name: str, model: Model) -> str:
        """The model's prose, and each definition with its source."""
        summary, _, rest = model.doc.partition("\n\n")
        own = [d for d in _definitions(model) if _is_own(model, d)]
        parts = [
            f"# {_heading(name)}",
            " ".join(summary.split()),
            f'<p class="try"><a class="button" href="../explore/{explorers.file_of(name)}">'
            "Take its steps in your browser</a></p>",
            *map(_as_written, rest.split("\n\n")),
            *(self._definition(definition) for definition in own),
        ]
        return "\n\n".join(filter(None, parts)) + "\n"

    def _definition(self, definition: Definition) -> str:
        file = Path(definition.file).resolve().relative_to(ROOT)
        self.sources.add(file)
        kind = "action" if isinstance(definition, Action) else getattr(definition, "kind", "")
        said = " ".join(definition.doc.split())
        lines, first = inspect.getsourcelines(definition.function)
        shown = self._shown(Path("models"), file, (first, first + len(lines) - 1))
        return f"## {definition.title}\n\n*{kind}* — {said}\n\n{shown}"

    # -- the reference ----------------------------------------------------------------------------
    def _core_page(self, file: Path) -> str:
        """The module's prose, and each class and function with its source."""
        tree = ast.parse((ROOT / file).read_text("utf-8"))
        module = f"oneleader_raft.{file.stem}"
        parts = [
            f"# {file.name}",
            f"```{{eval-rst}}\n.. automodule:: {module}\n   :no-members:\n   :no-index:\n```",
        ]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                parts += [
                    f"## {node.name}",
                    (ast.get_docstring(node) or "").partition("\n\n")[0],
                    self._shown(Path("core"), file, lines_of(ROOT / file, node.name)),
                ]
        return "\n\n".join(filter(None, parts)) + "\n"

    def _excerpt(self, page: Path, found: re.Match[str]) -> str:
        """The link, and below it the source of the symbol that it leads to."""
        _, target, symbol = found.groups()
        file = Path(os.path.normpath(page.parent / target))
        return f"{found[0]}\n\n{self._shown(page.parent, file, lines_of(ROOT / file, symbol))}"

    def _shown(self, folder: Path, file: Path, lines: tuple[int, int] | None = None) -> str:
        """A file of the repository, or some lines of it, on a page of this folder: read, never copied."""
        path = os.path.relpath(ROOT / file, self.folder / folder)
        options = [f":language: {LANGUAGES.get(file.suffix, 'text')}"]
        options += [f":lines: {lines[0]}-{lines[1]}"] if lines else []
        return "\n".join([f"```{{literalinclude}} {path}", *options, "```"])

    def _source_page(self, source: Path) -> str:
        page = f"---\norphan: true\n---\n# {source}\n\n"
        if source.suffix == ".md" and not (ROOT / source).exists():  # a folder without a page of its own
            files = sorted(
                p.name for p in (ROOT / source).parent.iterdir() if not p.name.startswith((".", "__"))
            )
            return page + "\n".join(f"- `{name}`" for name in files) + "\n"
        return page + self._shown(Path(SOURCES) / source.parent, source) + "\n"


def _as_written(paragraph: str) -> str:
    """A paragraph of a docstring; what is aligned by spaces or bars stays so."""
    is_aligned = paragraph.startswith((" ", "|")) or "   " in paragraph.replace("\n    ", "")
    return f"```text\n{paragraph}\n```" if is_aligned else paragraph


def _models() -> Iterator[tuple[str, Model]]:
    yield from ((name, models.find(name)) for name in (*models.MODELS, *models.FLAWED))


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _heading(name: str) -> str:
    flawed = " (flawed)" if name.startswith("flawed/") else ""
    return f"{_short(name).replace('_', ' ')}{flawed}"


def _definitions(model: Model) -> list[Definition]:
    kinds = (model.actions, model.theorems, model.invariants, model.witnesses, model.axioms)
    return [definition for kind in kinds for definition in kind.values()]


def _is_own(model: Model, definition: Definition) -> bool:
    """Whether the model says it itself, in a function that can be shown by its name."""
    file = Path(definition.file)
    return file.stem in (model.name, f"{model.name}_lemmas") and definition.name in _functions(file)


@cache
def _functions(file: Path) -> frozenset[str]:
    """The names of a file's own functions."""
    body = ast.parse(file.read_text("utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef))


def _models_index() -> str:
    lines = ["# Models", "Each model with its source by symbol, and a page on which you take its steps.", ""]
    lines += ["| model | what it says | |", "|---|---|---|"]
    for name, model in _models():
        summary = " ".join(model.doc.split("\n\n")[0].split())
        page, steps = f"{_short(name)}.md", f"../explore/{explorers.file_of(name)}"
        lines.append(f'| [{_heading(name)}]({page}) | {summary} | <a href="{steps}">take its steps</a> |')
    return "\n".join(lines) + "\n\n" + _toctree("", [_short(name) for name, _ in _models()])


# -- API and sources ---------------------------------------------------------------------------------------
def _api_index() -> str:
    lines = ["# API", "From the docstrings: what you call when you use oneleader as a library.", ""]
    for heading, modules in API.items():
        lines += [f"## {heading}", ""] + [f"- [`{module}`]({module}.md)" for module in modules] + [""]
    return "\n".join(lines) + "\n" + _toctree("", [m for modules in API.values() for m in modules])


def _api_page(heading: str, module: str) -> str:
    options = "   :members:\n   :member-order: bysource"
    return f"# {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n{options}\n```\n"


# -- the order of the pages --------------------------------------------------------------------------------
def _toctrees() -> str:
    """A part of the sidebar for each section of `docs/index.md`."""
    text = (DOCS / "index.md").read_text("utf-8")
    starts = [*HEADING.finditer(text)]
    made = []
    for number, found in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(text)
        pages = [target for _, target, _ in LINK.findall(text[found.end() : end]) if target.endswith(".md")]
        made.append(_toctree(found[1], [_document(page) for page in dict.fromkeys(pages)]))
    made.insert(3, _toctree("Models, core, API", ["models/index", *(f"core/{m}" for m in PURE), "api/index"]))
    rest = ["docs/index", *_left_out(text)]
    return "\n" + "\n".join(made) + "\n" + _toctree("More", rest)


def _document(page: str) -> str:
    return os.path.normpath(Path("docs") / page).removesuffix(".md")


def _left_out(text: str) -> Iterable[str]:
    """Pages of docs/ that the index does not list."""
    listed = {_document(target) for _, target, _ in LINK.findall(text)}
    for path in sorted(DOCS.rglob("*.md")):
        name = str(path.relative_to(ROOT).with_suffix(""))
        if name not in listed and name != "docs/index":
            yield name


def _toctree(caption: str, pages: Iterable[str]) -> str:
    said = f":caption: {caption}\n" if caption else ""
    return f"```{{toctree}}\n:hidden:\n{said}\n" + "\n".join(pages) + "\n```\n"
