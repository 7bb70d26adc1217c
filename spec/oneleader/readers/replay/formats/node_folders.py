"""A run of the real cluster, judged by each model: after the event, or as it goes on.

The nodes' traces are read and merged once, and each line is retold in the words of each model
(`oneleader_raft.node.recording`), which `replay` judges. What is kept is the models' state alone, so a run of
any length can be followed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from oneleader.errors import UsageError
from oneleader.readers.replay.lines import GZIP, why_no_line, why_no_text
from oneleader.readers.replay.replay import Replayed, Replaying
from oneleader.verdict import HOLDS
from oneleader_raft.node.recording import (
    NotThereYet,
    RecordingError,
    Retelling,
    TraceFile,
    TraceLine,
    merged,
    opened,
)
from oneleader_raft.views import FIXED_MEMBERS

POLL_SECONDS = 0.2
GRACE_SECONDS = 5.0  # for what was written to be judged, when following is to end
Wait = Callable[[], bool]


class Judging:
    """One model at work. `line` is that of its recording which it is at: the header is the first."""

    def __init__(self, model: str) -> None:
        self.model, self.line, self.is_done = model, 0, False
        self.result = Replayed(model=model, format="oneleader")
        self._replaying = Replaying()

    def begin(self, files: Sequence[TraceFile]) -> None:
        try:
            self._retelling = Retelling(files, self.model)
            self.line = 1
            self._replaying.take(1, self._retelling.header)
            if self._replaying.is_over:
                self._decide()
        except (RecordingError, UsageError) as error:
            self.give_up(in_words(error))

    def take(self, line: TraceLine) -> None:
        """Judge the next line of the run."""
        try:
            retold = self._retelling.retold(line)
            if retold is None:
                self.end()
                return
            self.line += 1
            if retold.given or not self._replaying.tell(self.line, retold):
                self._replaying.take(self.line, retold.record(line))
            if self._replaying.is_over:
                self._decide()
        except (RecordingError, UsageError) as error:
            self.give_up(in_words(error))

    def _decide(self) -> None:
        self.result, self.is_done = self._replaying.found(), True

    def end(self) -> None:
        """No more lines come."""
        self._replaying.end()
        self._decide()

    def give_up(self, why: str) -> None:
        """What comes cannot be judged; what came before was."""
        found = self._replaying.found()
        self.result = found if found.model else self.result
        self.result.why, self.is_done = why, True


def judge(folder: Path, models: Sequence[str] = FIXED_MEMBERS) -> list[Judging]:
    """The verdict of each model. UsageError where there is nothing that can be judged."""
    found = [Judging(model) for model in known(models)]
    _judge_lines(folder, found)
    return found


def follow(
    folder: Path,
    models: Sequence[str] = FIXED_MEMBERS,
    tell: Callable[[list[Judging]], Any] = lambda at: None,
) -> list[Judging]:
    """The same while the cluster runs: until a model refuses a line, or KeyboardInterrupt."""
    found, until = [Judging(model) for model in known(models)], Until()
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(_judge_lines, folder, found, until)
        try:
            while not running.done() and not any(j.is_done and j.result.verdict is not HOLDS for j in found):
                tell(found)
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            pass
        finally:
            until.stop()
        running.result()
    return found


class Until:
    """When following is to end."""

    def __init__(self) -> None:
        self._stopped, self._ends_at = threading.Event(), float("inf")

    def stop(self) -> None:
        self._ends_at = time.monotonic() + GRACE_SECONDS
        self._stopped.set()

    def wait(self) -> bool:
        """For more lines, a moment; False where none are to come."""
        return not self._stopped.wait(POLL_SECONDS)

    def is_late(self) -> bool:
        return self._stopped.is_set() and time.monotonic() > self._ends_at


def _judge_lines(folder: Path, found: Sequence[Judging], until: Until | None = None) -> None:
    """Each line by each model, until all have decided or no line comes any more."""
    wait = until.wait if until else None
    files, left = _opened(folder, wait), list[str]()
    for judging in found:
        judging.begin(files)
    going = [judging for judging in found if not judging.is_done]
    try:
        for line in merged(files, wait) if going else ():
            if until and until.is_late():
                left = ["what was written after it"]
                break
            for judging in going:
                judging.take(line)
            going = [judging for judging in going if not judging.is_done]
            if not going:
                break
    except RecordingError as error:
        for judging in going:
            judging.give_up(in_words(error))
        return
    left = left or [*filter(None, (file.left() for file in files))]
    for judging in going:
        judging.end()
        if left:
            end = f"ended at line {judging.line:,}; not judged: {'; '.join(left)}"
            judging.result.why = f"{judging.result.why}; {end}" if judging.result.why else end


def known(models: Sequence[str]) -> Sequence[str]:
    for model in models:
        if model not in FIXED_MEMBERS:
            raise UsageError(f"a cluster's run is judged by {', '.join(FIXED_MEMBERS)}, not by {model!r}")
    return models


def _opened(folder: Path, wait: Wait | None) -> Any:
    """The traces; where they are followed, as soon as they are there."""
    while True:
        try:
            return opened(folder)
        except RecordingError as error:
            may_come = isinstance(error, NotThereYet) and not why_no_trace(error)
            if not may_come or wait is None or not wait():
                raise UsageError(in_words(error)) from None


def in_words(error: Exception) -> str:
    """The sentence. What is no text is told as in a single recording."""
    why = why_no_trace(error) if isinstance(error, RecordingError) else ""
    return why or str(error)


def why_no_trace(error: RecordingError) -> str:
    """The line that is no text, and what to do; "" where there is another error. Nothing is unpacked here."""
    line, is_first = error.line, error.number == 1
    if is_first and line.startswith(GZIP):
        why = "this file is packed by gzip: unpack it"
    else:
        why = why_no_text(line) if is_first else why_no_line(line)
    return f"{error.path} line {error.number}: {why}" if why else ""
