"""The commands that pages tell people to type exist, with their options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from oneleader.cli.main import cli
from tests.places import DOCS, ROOT

README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "tla" / "README.md", *DOCS.glob("*.md")]
SPAN = re.compile(r"`(oneleader [^`\n]+)`")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^(?:\$ |again +| +- run: )?(oneleader .*)$", re.MULTILINE)


def commands(text: str) -> Iterator[str]:
    """What a page tells its reader to type, in prose and in blocks."""
    yield from SPAN.findall(BLOCK.sub("", text))
    for language, block in BLOCK.findall(text):
        if language in ("", "sh", "console", "yaml"):
            yield from TYPED.findall(block)


def unknown(line: str) -> str:
    """The first word that the command line would refuse; "" if there is none."""
    command: click.Command = cli
    words = shlex.split(line, comments=True)[1:]
    for number, word in enumerate(words):
        if word == "--" or word == "...":
            return ""
        if word.startswith("--"):
            if word.partition("=")[0] not in options(command):
                return word
        elif isinstance(command, click.Group) and not word.startswith("-"):
            found = command.get_command(click.Context(command), word.partition("|")[0].strip(","))
            if found is None:
                return "" if word.isupper() and number else word
            command = found
    return ""


def options(command: click.Command) -> set[str]:
    return {"--help"} | {name for option in command.params for name in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_says_to_type_can_be_typed(page: Path) -> None:
    assert {line: unknown(line) for line in commands(page.read_text("utf-8")) if unknown(line)} == {}


def test_pages_name_many_commands() -> None:
    assert sum(len([*commands(page.read_text("utf-8"))]) for page in PAGES) > 50


def test_a_command_that_is_gone_is_noticed() -> None:
    text = "`oneleader vanish election`\n\n```console\n$ oneleader explore election --nodez 3\n...\n```\n"
    assert [unknown(line) for line in commands(text)] == ["vanish", "--nodez"]
    assert unknown("oneleader campaign explore election --nodes 2,3   # a comment") == ""
    assert unknown("oneleader faults vanish") == "vanish"
