"""The command line `oneleader`: each command reads its options, calls one reader, prints what it said.

A command is imported when it is called, and a reader by the command that needs it: NumPy, Z3 and Hypothesis
take a while to load.
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

import oneleader
import oneleader_raft
from oneleader.cli.console import complain
from oneleader.errors import Disagreement, SpecError, UsageError
from oneleader.models import module_of
from oneleader.verdict import INCONCLUSIVE, INTERRUPTED, exit_status

EXAMPLES = """
\b
Examples:
  oneleader check --quick
  oneleader explore election --nodes 3 --terms 2
  oneleader explore election --fault vote-twice
  oneleader explore election --nodes 2 --terms 1 --html election.html
  oneleader new model my_lock
  oneleader settings system
  oneleader prove election
  oneleader tlc election --nodes 3 --terms 1
  oneleader walk election --nodes 5 --terms 6 --seed 1
  oneleader replay etcd-rawnode-3-nodes
  oneleader conform --minutes 5 -- ./my-shim
  oneleader scaffold go my-raft
  oneleader cluster --nodes 3
  oneleader node list --api http://127.0.0.1:8001
  oneleader picture etcd-rawnode-3-nodes --rows 1:40 --format text
  oneleader graph election --nodes 2 --terms 1 --out election.dot
  oneleader handlers --only restart
  oneleader hunt --minutes 5
  oneleader linearizable history.jsonl
  oneleader refine vote_count --nodes 3 --terms 1
  oneleader trace schema
  oneleader faults run
  oneleader campaign walk election --runs 1000 --seed 1 --cluster
"""


COMMANDS = (
    *("check", "explore", "graph", "new", "prove", "refine", "settings", "tlc", "walk"),
    *("campaign", "cluster", "conform", "faults", "handlers", "hunt", "linearizable", "node", "picture"),
    *("replay", "scaffold", "trace"),
)


OURS = [*oneleader.__path__, *oneleader_raft.__path__]
INSTALLED = [*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))]


class Commands(click.Group):
    """Each command is the function of its name, in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"oneleader.cli.{cmd_name}"), cmd_name)
        return command


@click.group(
    cls=Commands,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="oneleader")
def cli() -> None:
    """At most one leader, and proof of it: models of Raft, a reference, and checks for anybody's Raft."""


def main() -> None:
    """Run the command line `oneleader`."""
    sys.exit(guarded(cli))


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does: what it found is told, what it started is ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def guarded(group: click.Group) -> int:
    """Run a command line: the exit status. Bad input is one sentence, never a traceback."""
    try:
        with ended_like_ctrl_c():
            status = group.main(standalone_mode=False) or 0
    except click.UsageError as error:
        status = complain(f"{error.format_message()} See `oneleader --help`.")
    except (UsageError, SpecError) as error:
        status = complain(str(error))
    except Disagreement as error:
        complain(f"{error}. This is a fault of oneleader, not of the model: please report it.")
        status = exit_status([INCONCLUSIVE])
    except (KeyboardInterrupt, click.Abort):
        status = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output left
        status = 0
    except OSError as error:
        status = complain(f"cannot use {error.filename or 'a file'}: {error.strerror}")
    except Exception as error:
        at = place_of_model(error)
        if not at:
            raise
        status = complain(f"{at}: {type(error).__name__}: {error.args[0] if error.args else ''}")
    return int(status)


def place_of_model(error: Exception) -> str:
    """The line of a model's file that Python cannot run; "" where the fault may be one of oneleader."""
    frames = traceback.extract_tb(error.__traceback__)
    loading = [at for at, frame in enumerate(frames) if frame.name == module_of.__name__]
    if loading and isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    for frame in reversed(frames[loading[-1] + 1 :] if loading else []):
        file = Path(frame.filename)
        if any(map(file.is_relative_to, OURS)):
            break
        if file.is_file() and not any(map(file.is_relative_to, INSTALLED)):
            return f"{file}:{frame.lineno}"
    return ""
