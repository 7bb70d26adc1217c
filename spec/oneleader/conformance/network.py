"""Networks as they are: ordered links that break, or datagrams that get lost, come twice and overtake.

The adapter chooses one. A message travels on the link from its sender to its receiver.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

MOST_ON_A_LINK = 64  # the oldest beyond are lost

LinkName = tuple[str, str]  # the sender and the receiver


@dataclass(frozen=True)
class Network:
    """What can happen to messages, as the names of events (see `trial.py`)."""

    name: str
    faults: frozenset[str]

    @classmethod
    def tcp(cls) -> Network:
        """Messages arrive in order and once; a link freezes and resumes, or breaks and loses what it held."""
        return cls("tcp", frozenset({"freeze", "break", "cut"}))

    @classmethod
    def udp(cls) -> Network:
        """Each message for itself: lost, twice, late, in any order."""
        return cls("udp", frozenset({"lose", "copy", "overtake", "cut"}))

    @property
    def is_ordered(self) -> bool:
        return "overtake" not in self.faults


NETWORKS = {network.name: network for network in (Network.tcp(), Network.udp())}


@dataclass(frozen=True)
class Underway:
    """A message on its way, and what is known of its sender when it left."""

    message: Any
    said: Any = None  # what the sender showed then
    sent_at: int = 0  # the number of the step
    why: str = ""  # what its sender did then, see `Prompt`
    answers: Any = None  # what its receiver showed when it sent what this answers
    heard_of: int = -1  # when the newest message left its receiver that its sender had received by then


class Traffic:
    """The messages on their way in one run."""

    def __init__(self) -> None:
        self.links: dict[LinkName, list[Underway]] = defaultdict(list)
        self.frozen: set[LinkName] = set()  # what is on it waits
        self.cut: set[LinkName] = set()  # what is sent on it is lost
        self.heard: dict[LinkName, int] = {}  # when the newest message left that has arrived

    def send(self, link: LinkName, message: Underway) -> None:
        if link not in self.cut:
            heard_of = self.heard.get((link[1], link[0]), -1)
            self.links[link].append(replace(message, heard_of=heard_of))
            del self.links[link][:-MOST_ON_A_LINK]

    @property
    def busy(self) -> list[LinkName]:
        """The links on which something can arrive."""
        return [link for link, waiting in self.links.items() if waiting and link not in self.frozen]

    def waiting(self, link: LinkName) -> int:
        return 0 if link in self.frozen else len(self.links[link])

    def take(self, link: LinkName, position: int = 0, *, keep: bool = False) -> Underway:
        flight = self.links[link][position]
        if not keep:
            del self.links[link][position]
        return flight

    def arrived(self, link: LinkName, flight: Underway) -> None:
        self.heard[link] = max(flight.sent_at, self.heard.get(link, -1))

    def drop(self, link: LinkName) -> None:
        self.links[link].clear()

    def heal(self) -> None:
        self.frozen.clear()
        self.cut.clear()
