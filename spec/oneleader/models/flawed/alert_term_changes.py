"""The write-up's third alert: `rate(raft_term_changes[5m]) > 0.1`, over what a monitoring system sees.

A rate of 0.1 a second in five minutes is an increase of more than 30. `rate` is for counters: it takes a
smaller value than the last one for a restart of the counter, and adds all of it. So on a gauge of the
term, which is 0 after a restart until the server has read it back, one restart is thirty elections; and
fifteen elections in five minutes, a cluster that serves nobody, are not.

Beside it stands a counter of elections and an alert from the fifth one on. Everything here happens within
one window; the server has seen 31 terms before it.
"""

from __future__ import annotations

from oneleader.language import (
    Fields,
    NumberSort,
    action,
    both,
    field,
    implies,
    ite,
    model,
    no,
    theorem,
    witness,
)


class Value(NumberSort):
    """A value of the gauge, or by how much it has risen."""


class Election(NumberSort):
    """How many elections."""


class State(Fields):
    """One server, and what `rate` has added up in the window."""

    term = field(of=Value, init=31)  # on stable storage
    gauge = field(of=Value, init=31)  # raft_term_changes: the term, as far as the running server knows it
    counter = field(of=Election)  # elections since the server was started

    seen_gauge = field(of=Value, init=31)  # the last scrape
    seen_counter = field(of=Election)
    gauge_rose = field(of=Value)  # increase(raft_term_changes[5m])
    counter_rose = field(of=Election)  # increase(raft_elections_total[5m])

    elections = field(of=Election)  # that there were in the window
    restarted = field(of=bool)  # in the window


@action
def elect(s: State) -> None:
    """An election: a new term."""
    term_is_known = s.gauge == s.term  # a server that has just been started reads its term first
    s.require(term_is_known)

    t = s.term + 1
    s.term = t
    s.gauge = t
    s.counter = s.counter + 1
    s.elections = s.elections + 1


@action
def restart(s: State) -> None:
    """The server is started again: metrics start from 0."""
    s.gauge = 0
    s.counter = 0
    s.restarted = True


@action
def read_back(s: State) -> None:
    """The server has read its term from storage."""
    s.gauge = s.term


@action
def scrape(s: State, more: Value, elected: Election) -> None:
    """The last values are read: the increase of each is added, after a restart all of it."""
    gauge_rises = ite(  # increase() of a counter, which a gauge is not
        s.gauge < s.seen_gauge, more == s.gauge, s.seen_gauge + more == s.gauge
    )
    counter_rises = ite(  # increase() of a counter
        s.counter < s.seen_counter, elected == s.counter, s.seen_counter + elected == s.counter
    )
    s.require(gauge_rises, counter_rises)

    s.gauge_rose = s.gauge_rose + more
    s.counter_rose = s.counter_rose + elected
    s.seen_gauge = s.gauge
    s.seen_counter = s.counter


def high_term_changes(s: State) -> bool:
    """`rate(raft_term_changes[5m]) > 0.1`."""
    return s.gauge_rose > 30


def many_elections(s: State) -> bool:
    """`increase(raft_elections_total[5m]) > 4`."""
    return s.counter_rose > 4


@theorem
def high_term_changes_is_true(s: State) -> bool:
    """The write-up: where HighTermChanges fires, there was an election."""
    return implies(high_term_changes(s), s.elections > 0)


@theorem
def high_term_changes_is_complete(s: State) -> bool:
    """The write-up: fifteen elections within five minutes are told, once they are scraped."""
    is_scraped = s.seen_gauge == s.term
    return implies(both(is_scraped, s.elections >= 15), high_term_changes(s))


@theorem
def many_elections_is_true(s: State) -> bool:
    """As it should be: where the counter's alert fires, there were five elections."""
    return implies(many_elections(s), s.elections > 4)


@theorem
def many_elections_is_complete(s: State) -> bool:
    """And five are told once they are scraped; a restart may lose those that were not."""
    is_scraped = both(s.seen_counter == s.counter, no(s.restarted))
    return implies(both(is_scraped, s.elections > 4), many_elections(s))


@witness
def a_restart_loses_elections(s: State) -> bool:
    """What a counter cannot tell: five elections, and fewer were scraped before the restart."""
    is_scraped = s.seen_counter == s.counter
    return both(s.restarted, is_scraped, s.elections > 4, no(many_elections(s)))


MODEL = model(__name__, State)
