"""What pyproject.toml says agrees with the changelog, the table of extras and the hooks."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from typing import Any

import pytest
import yaml

from tests import versions
from tests.places import DOCS, ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def newest(changelog: str) -> str:
    """The first version of the changelog; a heading `Unreleased` above it is for the next one."""
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", changelog, re.MULTILINE)
    released = [name for name, date in headings if name != "Unreleased" and date]
    assert headings == [("Unreleased", "")] * (len(headings) - len(released)) + headings[-len(released) :]
    assert len(headings) - len(released) in (0, 1)
    return released[0]


def test_the_version_is_the_newest_of_the_changelog() -> None:
    assert newest((ROOT / "CHANGELOG.md").read_text()) == PROJECT["version"]


@pytest.mark.parametrize(
    "changelog", ["## [0.2.0]\n\n## [0.1.0] - 2026-01-01\n", "## [0.1.0] - 2026-01-01\n\n## [Unreleased]\n"]
)
def test_a_changelog_without_dates_or_order_is_refused(changelog: str) -> None:
    with pytest.raises(AssertionError):
        newest(changelog)


def test_the_table_of_extras_is_complete() -> None:
    table = (DOCS / "installation.md").read_text().partition("## Extras")[2]
    assert {*re.findall(r"^\| `(\w+)` \| \w", table, re.MULTILINE)} == {*PROJECT["optional-dependencies"]}


def test_the_versions_of_python_have_no_upper_bound() -> None:
    assert PROJECT["requires-python"] == ">=3.11"
    assert versions.supported() == ["3.11", "3.12", "3.13"]
    page = (DOCS / "installation.md").read_text()
    assert ", ".join(versions.supported()[:-1]) + f" and {versions.supported()[-1]} are tested" in page


def test_versions_are_found_or_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = "{}.{}".format(*sys.version_info)
    found = versions.interpreter(here)
    assert found is None or shutil.which(found)
    monkeypatch.setattr(versions, "passes", lambda version, python: version != "3.12")
    monkeypatch.setattr(versions, "interpreter", lambda version: None if version == "3.13" else "/a/python")
    assert versions.main([]) == 1  # 3.12 fails
    assert re.search(r"3\.12 +FAILED[^$]*3\.13 +missing: not tested", capsys.readouterr().out)
    assert (versions.main(["3.11", "3.13"]), versions.main(["3.13"])) == (
        0,
        1,
    )  # testing nothing is no success


def test_the_hooks_are_local_and_run_what_make_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    entries = {hook["entry"].removeprefix(".venv/bin/").split(" --")[0] for hook in hooks[0]["hooks"]}
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    run = {line.strip().removeprefix("$(BIN)/") for line in lint.splitlines()[1:]}
    assert entries == {command.removesuffix(" .").split(" --")[0] for command in run}
