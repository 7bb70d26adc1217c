"""values: what a recording writes, read as values of a model's sorts.

A reader is made once for each sort and each field, so that a line costs what it says and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oneleader.errors import UsageError
from oneleader.language.fields import Field
from oneleader.language.sorts import (
    NIL,
    AnySort,
    EachSort,
    OptionSort,
    is_enum,
    is_number,
    is_set,
    is_time,
    name_of,
)
from oneleader.words import quoted

Reader = Callable[[Any], Any]
# A field, an index, and what stands there. Where the last index is a range: a list of what stands at each.
Observed = tuple[Field, tuple[Any, ...], Any]
MOST_DIGITS = 18
FEW = 8  # cells that are not worth a range


class ValueReaders:
    """Reads values of sorts; UsageError for what is none. `closed` says what set sorts consist of."""

    def __init__(self, closed: Mapping[str, tuple[str, ...]], member: tuple[AnySort, ...] = ()) -> None:
        """`member` are the sorts of the constant of that name, where its quorums are lists of nodes."""
        self.closed = closed
        self.node, self.quorum = member or (None, None)
        self._readers: dict[AnySort, Reader] = {}
        self._of_fields: dict[str, tuple[list[Reader], Reader]] = {}

    def value(self, sort: AnySort, written: Any) -> Any:
        return self.reader(sort)(written)

    def reader(self, sort: AnySort) -> Reader:
        """What reads a value of the sort."""
        if sort not in self._readers:
            self._readers[sort] = self._made(sort)
        return self._readers[sort]

    def read_by(self, sort: AnySort, read: Reader) -> None:
        """Values of this sort are read by another reader."""
        self._readers[sort] = read

    def observed(self, field: Field, written: Any, *, by_ranges: bool = False) -> list[Observed]:
        """Each cell, or set of cells, that `written` speaks of. `by_ranges`: many that follow one another, as
        the entries of a log do, may stand together."""
        if field.name not in self._of_fields:
            self._of_fields[field.name] = [*map(self._key, field.index)], self.reader(field.of)
        keys, value = self._of_fields[field.name]
        if len(keys) == 1 and type(written) is dict:  # as nearly all are
            return [(field, (keys[0](name),), value(inner)) for name, inner in written.items()]
        found: list[Observed] = []
        if len(keys) == 2 and type(written) is dict:
            first, second = keys
            for name, inner in written.items():
                index = first(name)
                if type(inner) is dict:
                    if by_ranges and len(inner) > FEW and (at := _range_of(field, inner)):
                        found.append((field, (index, at), [*map(value, inner.values())]))
                        continue
                    found += [(field, (index, second(i)), value(v)) for i, v in inner.items()]
                else:
                    self._observe(field, (index,), inner, found)
            return found
        self._observe(field, (), written, found)
        return found

    def _key(self, sort: AnySort) -> Reader:
        """What reads a key of a dictionary: JSON writes each as a string."""
        read = self.reader(sort)
        return _number_or(read) if is_number(sort) else read

    def _observe(self, field: Field, index: tuple[Any, ...], written: Any, found: list[Observed]) -> None:
        keys, value = self._of_fields[field.name]
        depth, whole = len(index), len(keys)
        if depth < whole and isinstance(written, dict):
            key = keys[depth]
            if depth == whole - 1:
                found += [(field, (*index, key(name)), value(inner)) for name, inner in written.items()]
            else:
                for name, inner in written.items():
                    self._observe(field, (*index, key(name)), inner, found)
        elif depth == whole - 1 and field.of is bool and isinstance(written, list):
            found.append((field, index, frozenset(map(self.reader(field.index[depth]), written))))
        elif depth == whole:
            found.append((field, index, value(written)))
        else:
            raise UsageError(f"`after` of {field}: {quoted(written)} stands where an index is wanted")

    # -- a reader for each kind of sort ----------------------------------------------------------------
    def _made(self, sort: AnySort) -> Reader:
        if isinstance(sort, OptionSort):
            inner = self.reader(sort.of)
            return lambda written: NIL if written is None else inner(written)
        if self.quorum is not None and sort is self.quorum:
            return self._of_quorums(sort)
        if sort is bool:
            return lambda written: written if isinstance(written, bool) else _no(sort, written)
        if is_enum(sort):
            return _of_members(sort)
        if isinstance(sort, EachSort):
            return self._of_each(sort)
        if is_number(sort) or is_time(sort):
            return lambda written: written if type(written) is int and written >= 0 else _no(sort, written)
        return self._of_elements(sort)

    def _of_quorums(self, sort: AnySort) -> Reader:
        node, nodes = self.reader(self.node), frozenset(self.closed[name_of(self.node)])

        def read(written: Any) -> Any:
            if not are_words(written):
                raise UsageError(f"{quoted(written)} is no {name_of(sort)}: write it as a list of nodes")
            found = frozenset(written)
            return found if found <= nodes else frozenset(map(node, written))

        return read

    def _of_each(self, sort: EachSort) -> Reader:
        time, all_of = self.reader(sort.of), set(self.closed.get(sort.index.__name__, ()))

        def read(written: Any) -> Any:
            if not isinstance(written, dict):
                _no(sort, written)
            if written.keys() != all_of:
                raise UsageError(f"{quoted(written)} does not say a time for each {sort.index.__name__}")
            if {*map(type, written.values())} != {int} or min(written.values()) < 0:
                return {n: time(v) for n, v in written.items()}
            return written

        return read

    def _of_elements(self, sort: AnySort) -> Reader:
        if not is_set(sort):
            return lambda written: _no(sort, written)
        names = self.closed.get(name_of(sort))
        if names is None:
            return lambda written: written if isinstance(written, str) else _no(sort, written)
        known = frozenset(names)

        def read(written: Any) -> Any:
            if not isinstance(written, str):
                _no(sort, written)
            if written in known:
                return written
            raise UsageError(f"{quoted(written)} is no {name_of(sort)} of the header's: {', '.join(names)}")

        return read


def _range_of(field: Field, written: dict[str, Any]) -> range | None:
    """The numbers that these keys are, where each follows the one before."""
    first = next(iter(written))
    if not is_number(field.index[-1]) or not first.isdecimal() or len(first) > MOST_DIGITS:
        return None
    at = range(int(first), int(first) + len(written))
    return at if [*written] == [*map(str, at)] else None


def _number_or(read: Reader) -> Reader:
    """What reads a key that is a number, and says so of one that is none, or that is too long for Python."""

    def number(key: str) -> Any:
        try:
            return int(key) if key.isdecimal() else read(key)
        except ValueError:
            return read(key)

    return number


def _of_members(sort: Any) -> Reader:
    members = {member.name.lower(): member for member in sort}

    def read(written: Any) -> Any:
        if isinstance(written, str) and written in members:
            return members[written]
        raise UsageError(f"{quoted(written)} is no {name_of(sort)}: {', '.join(members)}")

    return read


def _no(sort: AnySort, written: Any) -> Any:
    raise UsageError(f"{quoted(written)} is no {name_of(sort)}")


def are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def are_parts(value: Any) -> bool:
    """Whether it is written like a configuration: one list of nodes or two, none of them empty."""
    is_list = isinstance(value, list) and len(value) in (1, 2)
    return is_list and all(part and are_words(part) for part in value)
