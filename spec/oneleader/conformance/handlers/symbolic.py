"""symbolic: tuples of entries, sets of servers and maps of followers of any size, as the core uses them.

| in the core                           | here      | made of                                         |
|---------------------------------------|-----------|-------------------------------------------------|
| a log, the entries of a message       | Entries   | a length, and functions of the index            |
| members, votes, pre-votes             | Servers   | who is in it, and how many they are             |
| peers, servers that are to join       | Group     | who is one of them                              |
| a leader's progress                   | Followers | a function of the server                        |
| pending reads, what is sent to peers  | Many      | any one of them, and what stands beside them    |

They know the operations that the core uses: `len`, slices, `+`, `|`, `in`, `map`, `filter`. Iterating, and
whatever else would need them whole, raises `Inexpressible`: code that is not understood is refused.

While a handler runs, `in_place` puts functions that know these values in the place of Python's own (`len`,
`sorted`, `map` ...) and contracts in the place of the core's few loops (`contracts`). No source is rewritten.
"""

from __future__ import annotations

import builtins
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import z3

from oneleader.conformance.handlers.paths import CodePath, Name, Number, Truth
from oneleader.errors import Inexpressible
from oneleader_raft.lease import Round
from oneleader_raft.raft import Entry, Progress

if TYPE_CHECKING:
    from oneleader.conformance.handlers.clusters import AnyCluster

PATH_RLIMIT = 200_000
Column: TypeAlias = Callable[[Any], Any]


class AnyPath(CodePath):
    """A path on which values may have any size. Its own solver, which finds out what is possible, is told no
    quantified fact: one path too many does no harm."""

    cluster: AnyCluster

    def __post_init__(self) -> None:
        super().__post_init__()
        self._made = 0
        self.quorums: list[Any] = []  # of which something is known on this path, and of which configuration
        self.asked_alone: dict[int, Any] = {}  # configurations of which it was asked
        self.numbered: dict[int, Any] = {}  # configurations that have a number, by the id of the term
        self.required: list[tuple[str, Any]] = []  # what contracts ask of the caller
        self.of_follower: Callable[[Any], None] = lambda server: None  # what is known of any follower

    def _new_solver(self) -> z3.Solver:
        solver = z3.SimpleSolver(ctx=self.context)
        solver.set(rlimit=PATH_RLIMIT)
        return solver

    def fresh(self, name: str) -> str:
        self._made += 1
        return f"{name}!{self._made}"

    def know(self, fact: Any) -> None:
        """For the proof, and not for the search of paths."""
        self.condition.append(fact)

    def decide_whole(self, holds: Any) -> bool:
        """True or false, each on a path of its own, of a fact with quantifiers."""
        answer = bool(self.choose([1, 0]))
        self.know(holds if answer else z3.Not(holds))
        return answer

    def integer(self, x: Any) -> Any:
        return x.term if isinstance(x, Number) else z3.IntVal(x, self.context)


class ServerName(Name):
    """A server, or none where a vote may be free."""

    def __init__(self, path: AnyPath, term: Any) -> None:
        super().__init__(path, term, lambda other: other.term)
        self.cluster = path.cluster

    def __eq__(self, other: object) -> Any:
        option = self.cluster.option
        if other is None:
            return Truth(self.path, self.term == option.nil) if self.term.sort() == option else False
        if not isinstance(other, Name):
            return NotImplemented
        if self.term.sort() == other.term.sort():
            return Truth(self.path, self.term == other.term)
        x, y = (n.term if n.term.sort() == option else option.some(n.term) for n in (self, other))
        return Truth(self.path, x == y)

    def __ne__(self, other: object) -> Any:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]  # only to be a key that Servers and Followers take out of a set or dict again
        return int(self.term.hash())


class Whole:
    """What would need a value whole, whatever its size, is refused."""

    said = "a value of any size"

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise Inexpressible(f"the code needs {self.said} whole: that takes a function with a contract")

    __iter__ = __reversed__ = __getitem__ = __len__ = __contains__ = __eq__ = __ne__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __or__ = __add__ = __radd__ = __mul__ = _refuse
    keys = values = items = get = index = count = _refuse
    __hash__ = None  # type: ignore[assignment]


class Entries(Whole):
    """A tuple of entries: at 1 to `length` what the columns have at `offset` + 1 and so on. A column is a
    function of the index; the cluster says which there are; the first two are term and value."""

    said = "a log"

    def __init__(self, path: AnyPath, length: Any, columns: Sequence[Column], offset: Any = None) -> None:
        self.path, self.length, self.offset = path, length, path.integer(0) if offset is None else offset
        self.columns = tuple(columns)

    def at(self, i: Any) -> list[Any]:
        """What the columns have of the `i`th entry."""
        return [of(z3.simplify(self.offset + i)) for of in self.columns]

    def size(self) -> Number:
        return Number(self.path, self.length)

    def __bool__(self) -> bool:
        return self.path.decide(self.length > 0)

    def __getitem__(self, at: Any) -> Any:
        path = self.path
        if isinstance(at, slice):
            return self._slice(at)
        i = path.integer(at)
        if not path.decide(i >= 0):
            raise Inexpressible("an index that counts from the end of a log")
        if not path.decide(i < self.length):
            raise IndexError("tuple index out of range")
        return path.cluster.entry(path, self.at(i + 1))

    def _slice(self, at: slice) -> Entries:
        path = self.path
        if at.step is not None:
            raise Inexpressible("a slice of a log with a step")
        low = path.integer(0 if at.start is None else at.start)
        high = self.length if at.stop is None else path.integer(at.stop)
        for bound in (low, high):
            if not path.decide(bound >= 0):
                raise Inexpressible("a slice that counts from the end of a log")
        low = low if path.decide(low <= self.length) else self.length
        high = high if path.decide(high <= self.length) else self.length
        high = high if path.decide(low <= high) else low
        length, offset = z3.simplify(high - low), z3.simplify(self.offset + low)
        return Entries(path, length, self.columns, offset)

    def __add__(self, other: Any) -> Entries:
        a, b, n = self, entries_of(self.path, other), self.length

        def joined(k: int) -> Column:
            return lambda i: z3.If(i <= n, a.at(i)[k], b.at(i - n)[k])

        return Entries(self.path, z3.simplify(n + b.length), [joined(k) for k in range(len(a.columns))])

    def __eq__(self, other: object) -> Any:
        if other is self:
            return True
        found, path = entries_of(self.path, other), self.path
        # Where members change, logs of different lengths are told apart first, which leaves fewer paths.
        if path.cluster.has_changes and not path.decide(self.length == found.length):
            return False
        return path.decide_whole(same_entries(self, found))

    def __ne__(self, other: object) -> Any:
        return not self == other

    __hash__ = None


def entries_of(path: AnyPath, entries: Any) -> Entries:
    """The same, where it may be a tuple of some entries."""
    if isinstance(entries, Entries):
        return entries
    nothing, *rows = (path.cluster.columns(entry) for entry in (Entry(0, "nothing"), *entries))

    def column(k: int) -> Column:
        def read(i: Any) -> Any:
            found = nothing[k]
            for at, row in enumerate(rows, 1):
                found = z3.If(i == at, row[k], found)
            return found

        return read

    return Entries(path, path.integer(len(entries)), [column(k) for k in range(len(nothing))])


def same_entries(a: Any, b: Any, values: bool = True) -> Any:
    """As long, and with the same entry (or the same term) at each index."""
    path = a.path
    b = entries_of(path, b)
    i = z3.Int(path.fresh("i"), path.context)
    is_shared = a.offset.eq(b.offset)
    low = a.offset if is_shared else path.integer(0)

    def row(entries: Entries) -> list[Any]:
        return [of(i) for of in entries.columns] if is_shared else entries.at(i)

    pairs = [*zip(row(a), row(b), strict=True)]
    same = [x == y for x, y in (pairs if values else pairs[:1])]
    inside = z3.And(low < i, i <= low + a.length)
    return z3.And(a.length == b.length, z3.ForAll([i], z3.Implies(inside, z3.And(same))))


class TermsOfLog(Whole):
    """The terms of entries, in their order."""

    said = "the terms of a log"

    def __init__(self, entries: Entries) -> None:
        self.entries = entries

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, TermsOfLog):
            return self._refuse()
        return self.entries.path.decide_whole(same_entries(self.entries, other.entries, values=False))

    def __ne__(self, other: object) -> Any:
        return not self == other

    __hash__ = None


class Servers(Whole):
    """A set of servers."""

    said = "a set of servers"

    def __init__(self, path: AnyPath, has: Any, number: Any) -> None:
        self.path, self.has, self.number = path, has, number

    def holds(self, server: Any) -> Any:
        return z3.Select(self.has, server)

    def size(self) -> Number:
        return Number(self.path, self.number)

    def __contains__(self, server: Any) -> bool:
        return self.path.decide(self.holds(server.term))

    def __or__(self, others: Any) -> Servers:
        made = self
        for other in others:
            number = z3.If(made.holds(other.term), made.number, made.number + 1)
            made = Servers(self.path, z3.Store(made.has, other.term, True), number)
        return made

    def __sub__(self, others: Any) -> Servers:
        made = self
        for other in others:
            number = z3.If(made.holds(other.term), made.number - 1, made.number)
            left = Servers(self.path, z3.Store(made.has, other.term, False), number)
            self.path.cluster.without(self.path, made, other.term, left)
            made = left
        return made

    def __and__(self, other: Servers) -> Servers:
        number: Any = self.path.number(self.path.fresh("how many are in both"))
        return Servers(self.path, z3.SetIntersect(self.has, other.has), number.term)

    def __xor__(self, other: Servers) -> Counted:
        return Counted(self.path, self.path.cluster.differ_in(self, other))

    def __eq__(self, other: object) -> Any:
        return Truth(self.path, self.has == other.has) if isinstance(other, Servers) else self._refuse()

    def __ne__(self, other: object) -> Any:
        return not self == other

    def __bool__(self) -> bool:
        return self.path.decide(self.number > 0)

    __hash__ = None


def no_servers(path: AnyPath) -> Servers:
    nobody = z3.K(path.cluster.nodes, z3.BoolVal(False, path.context))
    return Servers(path, nobody, path.integer(0))


class Group(Whole):
    """Servers of which nothing is known but who is one of them."""

    said = "some servers"

    def __init__(self, path: AnyPath, holds: Callable[[Any], Any]) -> None:
        self.path, self.holds = path, holds

    def __contains__(self, server: Any) -> bool:
        return self.path.decide(self.holds(server.term))


class Counted(Whole):
    """Servers of which nothing is known but how many they are."""

    said = "some servers"

    def __init__(self, path: AnyPath, number: Any) -> None:
        self.path, self.number = path, number

    def size(self) -> Number:
        return Number(self.path, self.number)

    def __bool__(self) -> bool:
        return self.path.decide(self.number > 0)


class Followers(Whole):
    """What a leader knows of each of those that it sends to."""

    said = "what a leader knows of its followers"

    def __init__(self, servers: Group, at: Callable[[Any], Progress]) -> None:
        self.servers, self.at = servers, at

    def __contains__(self, server: Any) -> bool:
        return server in self.servers

    def __getitem__(self, server: Any) -> Progress:
        if server not in self:
            raise KeyError(str(server))
        return self.at(server.term)

    def __or__(self, changed: Any) -> Followers:
        if isinstance(changed, Followers):
            holds, new = self.servers.holds, changed.servers.holds
            group = Group(self.servers.path, lambda v: z3.Or(new(v), holds(v)))
            return self._with(group, new, changed.at)
        made = self
        for server, progress in changed.items():
            if server not in self:
                raise Inexpressible("progress of a server that is no follower")
            made = made._with(self.servers, partial(operator.eq, server.term), partial(_always, progress))
        return made

    def _with(self, group: Group, is_new: Column, new: Callable[[Any], Progress]) -> Followers:
        path, before = group.path, self.at
        return Followers(group, lambda v: either_progress(path, is_new(v), new(v), before(v)))


def _always(value: Any, server: Any) -> Any:
    return value


def either_progress(path: AnyPath, condition: Any, one: Progress, other: Progress) -> Progress:
    """The one, if the condition holds."""

    def pick(of: Callable[[Progress], Any]) -> Any:
        return Number(path, z3.If(condition, path.integer(of(one)), path.integer(of(other))))

    round = Round(pick(lambda p: p.acknowledged.number), pick(lambda p: p.acknowledged.sent_at))
    return Progress(pick(lambda p: p.next_index), pick(lambda p: p.match_index), round)


class Many(Whole):
    """A tuple of which nothing is asked but what holds of each of its members, whatever their number.

    `some`: members that stand for themselves; `each`: those that stand for any number of their kind.
    """

    said = "a tuple of any number"

    def __init__(self, path: AnyPath, *, each: tuple[Any, ...] = (), some: tuple[Any, ...] = ()) -> None:
        self.path, self.each, self.some = path, each, some

    @property
    def members(self) -> tuple[Any, ...]:
        """Each that stands for itself, and one of each kind."""
        return (*self.some, *self.each)

    def __bool__(self) -> bool:
        """Without any that stands for itself: there may be some of a kind, or none."""
        return bool(self.some) or self.path.once(self, lambda: self.path.choose([True, False]))

    def __add__(self, others: Any) -> Many:
        if isinstance(others, Many):
            return Many(self.path, each=self.each + others.each, some=self.some + others.some)
        return Many(self.path, each=self.each, some=self.some + others)

    def __radd__(self, others: Any) -> Many:
        return Many(self.path, each=self.each, some=(*others, *self.some))

    def map(self, make: Callable[[Any], Any]) -> Many:
        return Many(self.path, each=tuple(map(make, self.each)), some=tuple(map(make, self.some)))

    def filter(self, keep: Callable[[Any], Any]) -> Many:
        each, some = (tuple(x for x in of if keep(x)) for of in (self.each, self.some))
        return Many(self.path, each=each, some=some)


def members_of(values: Any) -> tuple[Any, ...]:
    """Of a tuple, or of Many: everything, or one of each kind."""
    return values.members if isinstance(values, Many) else tuple(values)


# --- In the place of Python's own --------------------------------------------------------------------------


def known_functions(path: AnyPath) -> dict[str, Any]:
    """`len`, `sorted` and so on, which know the values above; of all others they are Python's own."""

    def measure(x: Any) -> Any:
        return x.size() if isinstance(x, Entries | Servers | Counted) else builtins.len(x)

    def same(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(x: Any = (), **how: Any) -> Any:
            return x if isinstance(x, Servers | Many | Entries) else make(x, **how)

        return made

    def a_set(x: Any = ()) -> Any:
        return x if isinstance(x, Servers) else no_servers(path) | list(x)

    def mapped(make: Callable[..., Any], x: Any) -> Any:
        if isinstance(x, Group):
            return Many(path, each=tuple(make(one) for one in path.cluster.some_of(path, x)))
        return x.map(make) if isinstance(x, Many) else builtins.map(make, x)

    def kept(keep: Callable[[Any], Any], x: Any) -> Any:
        return x.filter(keep) if isinstance(x, Many) else builtins.filter(keep, x)

    def dropped(drop: Callable[[Any], Any], x: Any) -> Any:
        return x.filter(lambda y: not drop(y)) if isinstance(x, Many) else itertools.filterfalse(drop, x)

    class Mapping(dict[Any, Any]):
        @staticmethod
        def fromkeys(keys: Any, value: Any = None) -> Any:
            if isinstance(keys, Group):
                return Followers(keys, partial(_always, value))
            return builtins.dict.fromkeys(keys, value)

    return {
        "len": measure,
        "sorted": same(builtins.sorted),
        "tuple": same(builtins.tuple),
        "frozenset": a_set,
        "set": a_set,
        "map": mapped,
        "filter": kept,
        "filterfalse": dropped,
        "dict": Mapping,
    }


@contextmanager
def in_place(functions: dict[str, Any], modules: tuple[ModuleType, ...]) -> Iterator[None]:
    """These functions stand in the modules for those of their names."""
    missing = object()
    before = [{name: vars(m).get(name, missing) for name in functions} for m in modules]
    for module in modules:
        vars(module).update(functions)
    try:
        yield
    finally:
        for module, correct in zip(modules, before, strict=True):
            for name, function in correct.items():
                if function is missing:
                    del vars(module)[name]
                else:
                    setattr(module, name, function)
