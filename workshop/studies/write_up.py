"""write_up: each defect of the write-up's code, as a setting of the model of it, and the corrected setting.

A defect is a property that the code breaks, in a model where everything else is done as far as that shows
this one defect alone; corrected, the property holds. docs/results/write-up.md quotes the lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from oneleader import models
from oneleader.language.configuration import Configuration, configure
from oneleader.readers.explore.explore import explore_all
from oneleader.readers.explore.explored import Explored


@dataclass(frozen=True)
class Defect:
    """One: the property that it breaks, and where the model says so.

    `written` and `corrected` are where the model's switches, `kept`, are on. A defect of an alert has none:
    the corrected alert is another property, `instead`.
    """

    id: str
    model: str
    breaks: str
    sizes: Mapping[str, int]
    written: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()
    instead: str = ""
    quorums: str = "majority"
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # further constants


LOOP, LOCK, LEASE = "flawed/election_in_a_loop", "flawed/redis_lock", "flawed/is_leader"
ALERTS, CHANGES = "flawed/alerts", "flawed/alert_term_changes"

SERVERS = {"Node": 3, "Term": 2}
CLIENTS = {"Client": 2, "Token": 10}
CLOCKS = {"Node": 2, "Term": 2, "lease": 1, "promise": 1, "slow": 1, "fast": 1}
TWO = "n2, n1 n2"  # quorums with which two servers are enough
SOUND = ("numbers", "remembers", "atomic")


def loop(
    id: str, written: str, corrected: str, sizes: Mapping[str, int] = SERVERS, *, themselves: bool = False
) -> Defect:
    """A defect of the election."""
    where = {"lists_itself": ("n1", "n2", "n3")} if themselves else {}
    sides = (*written.split(),), (*corrected.split(),)
    return Defect(id, LOOP, "election_safety", sizes, *sides, where=where)


def lock(id: str, lacks: str, breaks: str) -> Defect:
    """A defect of the lock: one rule is missing."""
    return Defect(id, LOCK, breaks, CLIENTS, tuple(rule for rule in SOUND if rule != lacks), SOUND)


def lease(id: str, kept: str, breaks: str) -> Defect:
    """A defect of the lease: one of two rules is kept."""
    return Defect(id, LEASE, breaks, CLOCKS, (kept,), ("sent", "promises"), quorums=TWO)


DEFECTS = (
    loop("return-in-a-loop", "locks counts", "locks ends counts"),
    loop("unchecked-candidate", "ends counts", "checks counts"),
    loop("half-is-a-quorum", "locks ends checks", "locks ends checks counts", {"Node": 2, "Term": 2}),
    loop(
        "own-vote-twice",
        "locks ends checks",
        "locks ends checks counts",
        {"Node": 3, "Term": 1},
        themselves=True,
    ),
    lock("ten-is-less-than-nine", "numbers", "newest_is_never_refused"),
    lock("older-takes-from-newer", "numbers", "no_stale_write"),
    lock("epoch-expires", "remembers", "no_stale_write"),
    lock("one-epoch-two-owners", "remembers", "one_owner_per_token"),
    lock("check-then-write", "atomic", "no_stale_write"),
    lease("lease-from-receipt", "promises", "no_newer_leader"),
    lease("nobody-promised", "sent", "leases_are_disjoint"),
    Defect(
        "multiple-leaders",
        ALERTS,
        "multiple_leaders_is_true",
        SERVERS,
        instead="two_leaders_of_one_term_is_true",
    ),
    Defect(
        "leader-without-quorum",
        ALERTS,
        "leader_without_quorum_is_true",
        {"Node": 5, "Term": 1},
        instead="leader_without_majority_is_true",
    ),
    Defect(
        "restart-is-thirty-elections",
        CHANGES,
        "high_term_changes_is_true",
        {"Value": 36, "Election": 5},
        instead="many_elections_is_true",
    ),
    Defect(
        "fifteen-are-none",
        CHANGES,
        "high_term_changes_is_complete",
        {"Value": 46, "Election": 15},
        instead="many_elections_is_complete",
    ),
)


@dataclass(frozen=True)
class Shown:
    """A defect, the shortest run that shows it, and the exploration of what is corrected."""

    defect: Defect
    written: Explored
    corrected: Explored


def shown() -> Iterator[Shown]:
    """Each defect. AssertionError where one is no defect, or its correction none."""
    for defect in DEFECTS:
        written = explored(defect, defect.written, defect.breaks)
        corrected = explored(defect, defect.corrected, defect.instead or defect.breaks)
        broken = written.violation.what if written.violation else "nothing"
        assert broken == defect.breaks, f"{defect.id}: {broken} is broken"
        assert not corrected.violation, f"{defect.id}: the correction does not hold"
        assert corrected.exhausted, f"{defect.id}: {corrected.why}"
        yield Shown(defect, written, corrected)


def explored(defect: Defect, kept: tuple[str, ...], name: str) -> Explored:
    """Every state of one setting of its model, or the shortest run that breaks the property."""
    (found,) = explore_all(models.find(defect.model), configured(defect, kept), only=[name])
    return found


def configured(defect: Defect, kept: tuple[str, ...]) -> Configuration:
    """The setting."""
    model = models.find(defect.model)
    at = configure(model, defect.sizes, defect.quorums)
    chosen = {**defect.where, "kept": kept} if "kept" in model.fields else defect.where
    for name, names in chosen.items():
        at = at.where(model.fields[name], names)
    return at
