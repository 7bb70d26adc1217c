"""histories: the configurations in a log of any length, and what the core makes of them.

A history is known by the configuration that is in effect as of each index, and by the index of the entry that
brought it (`InForce`). As of an index after which no entry is looked at, that is the last one that any entry
brings: nothing here says so of one index after the other, so that no induction is needed. An index `since` is
that of the configuration as of i if

- it is at most i, and the entry there brings a configuration, or it stands before the entries in question;
- no entry after it, up to i, brings one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import z3

from oneleader.conformance.handlers.paths import Number
from oneleader.conformance.handlers.symbolic import AnyPath, Column, Entries, Whole
from oneleader_raft.configuration import InEffect

if TYPE_CHECKING:
    from oneleader.conformance.handlers.members import AnyMembers


def _always(value: Any, index: Any) -> Any:
    return value


class InForce(Whole):
    """The configurations that a log brings: as of each index from `begin` on, up to `end`."""

    said = "the configurations in a log"

    def __init__(self, path: AnyPath, begin: Any, end: Any, since: Column, config: Column) -> None:
        self.path, self.begin, self.end, self.since, self.config = path, begin, end, since, config

    def as_of(self, i: Any) -> InEffect:
        cluster: Any = self.path.cluster
        found: AnyMembers = cluster
        since: Any = Number(self.path, z3.simplify(self.since(i)))
        return InEffect(since, found.configuration_of(self.path, z3.simplify(self.config(i))))

    def __getitem__(self, at: Any) -> InEffect:
        """The first, and the last."""
        if at not in (0, -1):
            self._refuse()
        return self.as_of(self.begin if at == 0 else self.end)

    def up_to(self, index: Any) -> InForce:
        end = self.path.integer(index)
        inside = z3.And(self.begin <= end, end <= self.end)
        self.path.required.append(("history: of an index that is there", inside))
        return InForce(self.path, self.begin, end, self.since, self.config)

    def __add__(self, brought: Any) -> Any:
        return brought.__radd__(self) if isinstance(brought, Brought) else self._refuse()


class Brought(Whole):
    """The configurations that entries after an index bring."""

    said = "the configurations that entries bring"

    def __init__(self, path: AnyPath, kept: Any, entries: Any) -> None:
        self.path, self.kept, self.entries = path, path.integer(kept), entries

    def __radd__(self, before: Any) -> InForce:
        """What is in effect before is a history up to that index, or a configuration by itself."""
        path, kept = self.path, self.kept
        if not isinstance(before, InForce):
            (first,) = before
            number = path.cluster.configuration(path, first.configuration)
            since = path.integer(first.since)
            before = InForce(path, kept, kept, lambda i: since, lambda i: number)
        path.required.append(("history: up to the entries that follow", before.end == kept))
        if isinstance(self.entries, Entries):
            return self._of_any(before)
        return self._of_some(before)

    def _of_some(self, before: InForce) -> InForce:
        cluster: Any = self.path.cluster
        since, config, i = before.since(self.kept), before.config(self.kept), self.kept
        made = before
        for entry in self.entries:
            i = z3.simplify(i + 1)
            brings, number = cluster.brings(entry)
            since, config = (i, number) if brings else (since, config)
            made = self._with(made, i, partial(_always, since), partial(_always, config))
        return made

    def _of_any(self, before: InForce) -> InForce:
        """Since when a configuration is in effect is a function of the index, with that property."""
        path, kept, cluster = self.path, self.kept, self.path.cluster
        ints, base = z3.IntSort(path.context), before.config(kept)
        new = z3.Function(path.fresh("since"), ints, ints)
        _, (_, _, config) = cluster.columns_after(self.entries, kept)
        end = z3.simplify(kept + self.entries.length)

        def brought(i: Any) -> Any:
            return z3.If(new(i) > kept, config(new(i)), base)

        made = self._with(before, end, new, brought)
        cluster.is_given = True
        for fact in cluster.brought(path, self.entries, kept, made.config, made.since, new):
            path.know(fact)
        cluster.is_given = False
        return made

    def _with(self, before: InForce, end: Any, since: Column, config: Column) -> InForce:
        """As before up to its end, and these after it."""
        last = before.end

        def after(old: Column, new: Column) -> Column:
            return lambda i: z3.If(i <= last, old(i), new(i))

        since, config = after(before.since, since), after(before.config, config)
        return InForce(self.path, before.begin, end, since, config)
