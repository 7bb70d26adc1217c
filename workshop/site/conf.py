"""Sphinx's settings: furo, Markdown by MyST, the API by autodoc. See `docs/decisions`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

project = "oneleader"
copyright = "the oneleader authors"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "oneleader"
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["site.css"]
html_js_files = ["tables.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
pygments_style, pygments_dark_style = "friendly", "github-dark"

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
default_role = "code"
smartquotes = False
highlight_language = "text"  # of a block that names none
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
add_module_names = False
suppress_warnings = ["myst.header", "misc.highlighting_failure", "toc.not_included"]


def as_markup(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are Markdown: code in one backtick; tables and what is indented stand as they are."""
    made: list[str] = []
    is_block = False
    for line in lines:
        if line.startswith(("    ", "|")) and not is_block:
            made += ["", "::", ""]
            is_block = True
        elif line.strip() and not line.startswith(("    ", "|")) and is_block:
            made.append("")
            is_block = False
        if line.startswith("- ") and made and made[-1].strip() and not made[-1].startswith(("- ", "  ")):
            made.append("")  # a list begins
        text = f"    {line}" if is_block else re.sub(r"(?<!`)`([^`\n]+)`(?!`)", r"``\1``", line)
        made.append(text if is_block else re.sub(r"\*(?=[A-Za-z(])|(?<=\w)_(?=\s|$)", r"\\\g<0>", text))
    lines[:] = made


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", as_markup)
