"""A run of the real cluster, judged by each model: after the event, or as it goes on.

The nodes' traces are merged into one recording for each model (`oneleader_raft.node.recording`), which
`replay` judges. What is kept is the model's state alone, so a run of any length can be followed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oneleader.errors import UsageError
from oneleader.readers.replay.replay import Replayed, replay_lines
from oneleader.verdict import HOLDS
from oneleader_raft.node.recording import NotThereYet, RecordingError, opened, recording
from oneleader_raft.views import FIXED_MEMBERS

POLL_SECONDS = 0.2
GRACE_SECONDS = 5.0  # for what was written to be judged, when following is to end
Wait = Callable[[], bool]


@dataclass
class Judging:
    """One model at work. `line` is that of the merged recording which it is at."""

    model: str
    line: int = 0
    result: Replayed = field(default_factory=Replayed)
    is_done: bool = False
    error: Exception | None = None
    ends_at: float = float("inf")  # by `time.monotonic`

    def run(self, folder: Path, wait: Wait | None = None) -> None:
        try:
            self.result = replay_lines(self._lines(folder, wait))
            if time.monotonic() > self.ends_at:
                self.result.why = f"ended at line {self.line:,}; what was written after it was not judged"
        except UsageError as error:
            self.error = error
        except RecordingError as error:
            self.result = Replayed(model=self.model, format="oneleader", lines=self.line, why=str(error))
        except Exception as error:  # of a thread, to be raised by who waits for it
            self.error = error
        finally:
            self.is_done = True

    def _lines(self, folder: Path, wait: Wait | None) -> Iterator[str]:
        for line in recording(_opened(folder, wait), self.model, wait):
            if time.monotonic() > self.ends_at:
                return
            self.line += 1
            yield line


def judge(folder: Path, models: Sequence[str] = FIXED_MEMBERS) -> list[Judging]:
    """The verdict of each model. UsageError where there is nothing that can be judged."""
    found = [Judging(model) for model in known(models)]
    for judging in found:
        judging.run(folder)
        if judging.error:
            raise judging.error
    return found


def follow(
    folder: Path,
    models: Sequence[str] = FIXED_MEMBERS,
    tell: Callable[[list[Judging]], Any] = lambda at: None,
) -> list[Judging]:
    """The same while the cluster runs: until a model refuses a line, or KeyboardInterrupt."""
    found = [Judging(model) for model in known(models)]
    stopped = threading.Event()

    def wait() -> bool:
        return not stopped.wait(POLL_SECONDS)

    threads = [threading.Thread(target=j.run, args=(folder, wait), daemon=True) for j in found]
    for thread in threads:
        thread.start()
    try:
        while not any(j.is_done and j.result.verdict is not HOLDS for j in found):
            if all(j.is_done for j in found):
                break
            tell(found)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        stopped.set()
        for judging in found:
            judging.ends_at = time.monotonic() + GRACE_SECONDS
    for thread in threads:
        thread.join()
    for judging in found:
        if judging.error:
            raise judging.error
    return found


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
            if not isinstance(error, NotThereYet) or wait is None or not wait():
                raise UsageError(str(error)) from None
