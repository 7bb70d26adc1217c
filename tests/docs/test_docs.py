"""Pages are run: their ```python blocks in order, as one file, against the ```text blocks after them.

With ONELEADER_REWRITE=1 the outputs in a page are replaced by what was printed.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from oneleader.language import lint
from oneleader.models import lock
from tests.places import DOCS

TUTORIAL = DOCS / "tutorial.md"
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:```text\n(?P<output>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)


def run_page(page: str, file: Path) -> list[str]:
    """What each python block prints. Guards are read from source, so all of them stand in one file."""
    blocks = [found["code"] for found in BLOCK.finditer(page)]
    file.write_text("\n\n".join(blocks))
    module = sys.modules[file.stem] = ModuleType(file.stem)
    outputs, line = [], 0
    try:
        for code in blocks:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile("\n" * line + code, file, "exec"), module.__dict__)
            outputs.append(out.getvalue())
            line += code.count("\n") + 2
    finally:
        del sys.modules[file.stem]
    return outputs


@pytest.mark.parametrize(("name", "module"), [("tutorial", "lock"), ("reference", "by_hand")])
def test_each_block_prints_what_stands_below_it(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a place in a file is told from where the reader is
    file = DOCS / f"{name}.md"
    page = file.read_text()
    outputs = run_page(page, tmp_path / f"{module}.py")
    if os.environ.get("ONELEADER_REWRITE"):
        left = iter(outputs)

        def rewritten(found: re.Match[str]) -> str:
            said = next(left)
            return f"```python\n{found['code']}```\n" + (f"```text\n{said}```\n" if said else "")

        file.write_text(BLOCK.sub(rewritten, page))
        pytest.skip("the outputs were rewritten")
    shown = [found["output"] or "" for found in BLOCK.finditer(page)]
    assert outputs == shown


def definitions(source: str) -> dict[str, str]:
    """The functions and classes of a source, as last defined."""
    tree = ast.parse(source).body
    return {n.name: ast.unparse(n) for n in tree if isinstance(n, ast.FunctionDef | ast.ClassDef)}


def test_the_tutorial_ends_with_the_model_lock() -> None:
    page = TUTORIAL.read_text().partition("\nMODEL = model(")[0] + "\n```\n"
    written = "\n".join(found["code"] for found in BLOCK.finditer(page))
    assert definitions(written) == definitions(Path(lock.__file__).read_text())


def test_the_lint_sees_the_mistakes_of_the_tutorial_and_nothing_else() -> None:
    page = TUTORIAL.read_text()
    good, _, bad = page.partition("## 8. What the errors look like")
    for part, rules in ((good, set()), (bad, {"branch", "chain", "guard"})):
        code = "\n".join(found["code"] for found in BLOCK.finditer(part))
        assert {f.rule for f in lint.lint(code, "lock.py")} == rules


def test_a_wrong_output_is_noticed(tmp_path: Path) -> None:
    assert run_page("```python\nprint(1)\n```\n```text\n2\n```\n", tmp_path / "page.py") == ["1\n"]
