"""What notices a mutant of the TLA+ text: the comparison that ships, at the bounds that ship.

| by      | what it means                                                                    |
|---------|----------------------------------------------------------------------------------|
| graph   | the states or the steps are others than explore's                                |
| quorums | the majorities, or the quorums that TLC runs with, are others than Python's      |
| refused | TLC stops at an expression that it cannot evaluate                               |
| unread  | TLC cannot parse the module: nothing was compared, and it does not count         |
| time    | TLC does not come to an end                                                      |

A mutant goes from one bounds to the next, cheapest first, until one of them notices it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from oneleader.errors import UsageError
from oneleader.models import find
from oneleader.readers.tlc import child, tlc
from oneleader.readers.tlc.bounds import Bounds
from oneleader.readers.tlc.config import around_text, checked_by, config_text, module_of
from oneleader.readers.tlc.twin import Ours, compare
from workshop.mutation.tla_batch import differences
from workshop.mutation.tla_mutation import TlaMutant, folder_of, tokens_of

GRAPH, QUORUMS, REFUSED, TIME, UNREAD, NOBODY = "graph", "quorums", "refused", "time", "unread", ""
LARGE = 4_000  # states
TOGETHER = 12  # mutants in one run of TLC
LIMIT = 600.0  # seconds of TLC for one mutant, on a machine that does much else
KEPT = Path("runs/tla-mutants.jsonl")
Key = tuple[str, str, str]  # a mutant, bounds in words, and a digest of its text


@dataclass(frozen=True)
class Noticed:
    """What one comparison said of a mutant. `at`: the bounds, in words; `by` is "" where nothing differs."""

    id: str
    at: str
    by: str
    what: str
    seconds: float = 0.0


@cache
def ours(model: str, bounds: Bounds) -> Ours:
    of = find(model)
    return Ours.of(of, bounds.of(of), depth=bounds.depth)


def shown(model: str, bounds: Bounds) -> str:
    """`2 nodes, 1 term; quorums n2, n1 n2`."""
    at = bounds.of(find(model)).describe()
    at += "" if bounds.quorums == "majority" else f"; quorums {bounds.quorums}"
    return at if bounds.depth is None else f"{at}; runs of {bounds.depth} steps"


def noticed(mutant: TlaMutant, bounds: Bounds) -> Noticed:
    """Compare the twin, with this one module mutated, at these bounds."""
    by, what, seconds = NOBODY, "", 0.0
    with TemporaryDirectory(prefix="oneleader-mutant-") as name:
        folder = folder_of(mutant, Path(name))
        model, expected = find(mutant.model), ours(mutant.model, bounds)
        try:
            what = _counted(mutant, bounds, folder, expected) if len(expected.states) > LARGE else ""
            if what:
                return Noticed(mutant.id, shown(mutant.model, bounds), GRAPH, what)
            found = compare(model, bounds.of(model), workers=1, folder=folder, ours=expected, limit=LIMIT)
            seconds, what = found.seconds, found.difference.replace("\n", "; ")
            by = NOBODY if not what else QUORUMS if "Python" in what and "in TLA+" in what else GRAPH
        except UsageError as error:
            by, what = _refusal(str(error)), " ".join(str(error).split())[:160]
    return Noticed(mutant.id, shown(mutant.model, bounds), by, what, round(seconds, 2))


def _counted(mutant: TlaMutant, bounds: Bounds, folder: Path, expected: Ours) -> str:
    """What is different if TLC has more states, or fewer: a large graph is dear to write and to read."""
    model = find(mutant.model)
    module, at = module_of(model, folder), config_text(module_of(model, folder), model, bounds.of(model))
    config = folder / "counted.cfg"
    config.write_text(checked_by(at, bounds.depth), encoding="utf-8")
    around = around_text(module, at, enough=len(expected.states), depth=bounds.depth)
    found = tlc.run(module, config, workers=1, around=around, limit=LIMIT)
    more = "and goes on" if found.violated else "in all"
    is_other = found.violated or found.distinct != len(expected.states)
    return (
        f"explore: {len(expected.states)} states; TLC has found {found.distinct} {more}" if is_other else ""
    )


def _refusal(error: str) -> str:
    return TIME if "did not finish" in error else UNREAD if "Parse Error" in error else REFUSED


class NoticedBefore:
    """What was said before of the same text at the same bounds, in a file: a run that was cut off goes on."""

    def __init__(self, path: Path = KEPT, told: Iterable[tuple[Key, Noticed]] = ()) -> None:
        """`told`: what was said elsewhere, of which this file knows nothing."""
        self.path, self._lock = path, Lock()
        self._found: dict[Key, Noticed] = dict(told)
        for line in path.read_text("utf-8").splitlines() if path.exists() else ():
            entry = json.loads(line)
            text = entry.pop("text")
            self._found[entry["id"], entry["at"], text] = Noticed(**entry)

    def known(self, mutant: TlaMutant, bounds: Bounds) -> Noticed | None:
        return self._found.get(key_of(mutant, shown(mutant.model, bounds)))

    def add(self, mutant: TlaMutant, bounds: Bounds, said: Noticed) -> None:
        key = key_of(mutant, shown(mutant.model, bounds))
        with self._lock:
            self._found[key] = said
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"text": key[2], **asdict(said)}, ensure_ascii=False) + "\n")


def key_of(mutant: TlaMutant, at: str) -> Key:
    """What is judged, and where: the text without its comments."""
    said = "\n".join(token.text for token in tokens_of(mutant.text))
    return mutant.id, at, hashlib.sha256(said.encode()).hexdigest()[:16]


def judge(
    mutants: Sequence[TlaMutant], bounds: Bounds, store: NoticedBefore, workers: int = 1
) -> list[Noticed]:
    """What the comparison says of each at these bounds; the work is TLC's, in processes of its own."""
    unknown = [mutant for mutant in mutants if store.known(mutant, bounds) is None]
    is_large = len(unknown) > 0 and len(ours(unknown[0].model, bounds).states) > LARGE
    many = [mutant for mutant in unknown if mutant.goes_with_others and not is_large]
    batches = [many[i : i + TOGETHER] for i in range(0, len(many), TOGETHER)]
    alone = [mutant for mutant in unknown if mutant not in many]
    with _threads(workers) as pool:
        for refused in pool.map(lambda batch: _judge_together(batch, bounds, store), batches):
            alone += refused
        list(pool.map(lambda mutant: store.add(mutant, bounds, noticed(mutant, bounds)), alone))
    found = [store.known(mutant, bounds) for mutant in mutants]
    return [said for said in found if said is not None]


@contextmanager
def _threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Ctrl-C does not wait for the TLCs that run, and no other is started."""
    with ThreadPoolExecutor(workers) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            child.stop()
            raise


def _judge_together(batch: Sequence[TlaMutant], bounds: Bounds, store: NoticedBefore) -> list[TlaMutant]:
    """Those that have to be judged alone."""
    started, alone = time.perf_counter(), []
    for mutant, difference in zip(
        batch, differences(batch, bounds, ours(batch[0].model, bounds)), strict=True
    ):
        if difference is None:
            alone.append(mutant)
        else:
            seconds = round((time.perf_counter() - started) / len(batch), 2)
            at = shown(mutant.model, bounds)
            store.add(
                mutant, bounds, Noticed(mutant.id, at, GRAPH if difference else NOBODY, difference, seconds)
            )
    return alone


def first(
    mutants: Sequence[TlaMutant], at: Sequence[Bounds], store: NoticedBefore, workers: int = 1
) -> list[Noticed]:
    """Of each what one of these bounds says that notices it, else what the last one says."""
    found = {m.id: said for m in mutants for b in at if (said := store.known(m, b)) and said.by}
    left = [mutant for mutant in mutants if mutant.id not in found]
    for bounds in at:
        found |= {said.id: said for said in judge(left, bounds, store, workers)}
        left = [mutant for mutant in left if not found[mutant.id].by]
    return [found[mutant.id] for mutant in mutants]
