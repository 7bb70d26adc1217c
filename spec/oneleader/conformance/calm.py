"""After calm: the network heals, everybody is up, and what should come about has so many rounds to do so.

A round: one server's election timer rings, all heartbeat timers ring, and all messages arrive.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneleader.conformance.adapter import May
from oneleader.conformance.episodes import keeps_time
from oneleader.conformance.trial import Trial

A_LEADER = "a leader is elected"
BARE = "a bare majority elects a leader"
LEASED = "a leader whose transfer failed has a lease again, or gives way to one that has"
STRANGER = "who is asked for and cannot be reached takes no majority away"
STEPS_DOWN = "a leader that hears nobody steps down"
RETRIED = "a request that arrives again is answered again"
MEMBERS = "members that were added catch up"
COMMITS = "a proposal commits"
LEARNED = "followers learn what is committed"
TRANSFERS = "a transfer that can succeed does"
MAJORITY = "a majority elects a leader"
MAJORITY_COMMITS = "a majority commits"
LIVENESS = (
    A_LEADER,
    BARE,
    MEMBERS,
    RETRIED,
    COMMITS,
    LEARNED,
    TRANSFERS,
    STRANGER,
    STEPS_DOWN,
    LEASED,
    MAJORITY,
    MAJORITY_COMMITS,
)
ROUNDS = 18  # some for each server
MOST_MESSAGES = 2000  # of one round


def calm_down(trial: Trial) -> dict[str, str]:
    """Each thing that should come about: what is wrong with it, or "". What cannot be seen is not in it."""
    trial.play(("heal",))
    for node in sorted(trial.dying):
        trial.play(("crash", node))  # now, and not in the middle of the calm
    asks_few = all_are_members(trial) and len(trial.nodes) > 2
    few = by_a_bare_majority(trial) if asks_few else ""
    for node in trial.nodes:
        trial.play(("restart", node))
    found = {A_LEADER: elects(trial)}
    if asks_few and not found[A_LEADER]:  # else it is no question of how many
        found[BARE] = few
    if not found[A_LEADER] and "change_members" in trial.abilities:
        found[MEMBERS] = readmits(trial)
        found[A_LEADER] = elects(trial)
    copies = "copy" in trial.adapter.network.faults and len(trial.nodes) > 1
    if not found[A_LEADER] and not found.get(MEMBERS) and copies:
        found[RETRIED] = elects(trial, again=True)
        found[A_LEADER] = elects(trial)
    if leader(trial) and "propose" in trial.abilities:
        found |= commits(trial)
    if len(trial.nodes) > 1 and leader(trial) and "transfer" in trial.abilities and not found.get(LEARNED):
        found[TRANSFERS] = transfers(trial)
        elects(trial)
    if leader(trial) and may_join(trial):
        found[STRANGER] = without_a_stranger(trial)
        elects(trial)
    if len(trial.nodes) > 1 and leader(trial) and May.STEP_DOWN in trial.adapter.may:
        found[STEPS_DOWN] = steps_down(trial)
        elects(trial)
    if "transfer" in trial.abilities and len(trial.nodes) > 1 and leader(trial) and shows_leases(trial):
        found[LEASED] = leases(trial)
        elects(trial)
    if leader(trial) and len(trial.nodes) > 2:
        found |= without_a_minority(trial)
    return found


def commits(trial: Trial) -> dict[str, str]:
    """A proposal to the leader is committed by it, and by everybody who is up.

    Who hands over takes none meanwhile (dissertation 3.10), and says so to the client, who asks again.
    """
    may_refuse = hands_over(trial)
    nobody_knows, lack = takes_in(trial)
    if nobody_knows and may_refuse:
        nobody_knows, lack = takes_in(trial)
    learned = f"{' '.join(sorted(lack))} had not, after {rounds(trial)} rounds" if lack else ""
    return {COMMITS: f"not within {rounds(trial)} rounds" if nobody_knows else "", LEARNED: learned}


def takes_in(trial: Trial) -> tuple[bool, set[str]]:
    """A new value is proposed: whether nobody takes it as committed in the end, and who does not."""
    value = f"the value of step {len(trial.steps)}"
    trial.play(("propose", leader(trial), value))
    lack = set(trial.up)
    for _ in range(rounds(trial)):
        beat(trial)
        lack = set(trial.up) - know(trial, value) - unseen(trial)
        if not lack:
            break
    return not know(trial, value) and unseen(trial) < set(trial.up), lack


def rounds(trial: Trial) -> int:
    """A leader may step back through a log that differs by one entry a round (section 5.3)."""
    return ROUNDS + max((len(seen.log or ()) for seen in trial.seen.values() if seen is not None), default=0)


def hands_over(trial: Trial) -> bool:
    """Whether the leader has been asked to hand over in its term, and may still be at it."""
    first = leader(trial)
    seen = trial.seen[first]
    return seen is not None and trial.to_hand_over.get(first) == seen.term


def transfers(trial: Trial) -> str:
    """Everybody is up to date, so that anybody can take over."""
    before = leader(trial)
    to = next(node for node in trial.nodes if node != before)
    trial.play(("transfer", before, to))
    for _ in range(ROUNDS):
        beat(trial)
        if leader(trial) == to:
            return ""
    return f"{to} did not take over from {before} within {ROUNDS} rounds"


def shows_leases(trial: Trial) -> bool:
    return keeps_time(trial) and all(seen is None or seen.lease is not None for seen in trial.seen.values())


def leases(trial: Trial) -> str:
    """Who is to take over hears nothing of it; for all that the leader knows, it may any time."""
    first = leader(trial)
    to = next(node for node in trial.nodes if node != first)
    beat(trial)
    trial.play(("cut", first, to))
    trial.play(("transfer", first, to))
    for number in range(ROUNDS):
        beat(trial)
        now = trial.seen.get(leader(trial))
        if now is not None and now.lease:
            trial.play(("heal",))
            return ""
        outlast(trial, 2)  # a leader that is heard goes on
        beat(trial)
        trial.play(("timeout", leader(trial) or trial.nodes[number % len(trial.nodes)]))
        settle(trial)
    return f"{leader(trial) or 'nobody'} leads, and nobody had a lease within {ROUNDS} rounds"


def may_join(trial: Trial) -> bool:
    """Members can change, and who joins is said to catch up first; one can be spared from three."""
    catch_up = "change_members" in trial.abilities and May.JOIN_EARLY not in trial.adapter.may
    return catch_up and all_are_members(trial) and len(trial.nodes) > 3


def without_a_stranger(trial: Trial) -> str:
    """Three are members; a fourth is asked for, whom nobody can reach, and one of the three crashes."""
    first = leader(trial)
    three = [first, *(node for node in trial.nodes if node != first)][:3]
    fourth = next(node for node in trial.nodes if node not in three)
    for _ in range(ROUNDS):
        if leader(trial) and shown_members(trial, leader(trial)) == frozenset(three):
            break
        trial.play(("members", leader(trial), " ".join(three)))
        beat(trial)
        elects(trial)
    if shown_members(trial, leader(trial)) != frozenset(three):
        return ""  # which is asked elsewhere
    rest = [node for node in trial.nodes if node != fourth]
    trial.play(("groups", " ".join(rest)))
    trial.play(("members", leader(trial), " ".join([*three, fourth])))
    beat(trial)
    trial.play(("crash", next(node for node in three if node != leader(trial))))
    lacks = commits(trial)[COMMITS] if leader(trial) else f"nobody leads {' '.join(three)}"
    trial.play(("heal",))
    for node in trial.nodes:
        trial.play(("restart", node))
    elects(trial)
    readmits(trial)
    return f"{fourth} was asked for; a proposal commits: {lacks}" if lacks else ""


def shown_members(trial: Trial, node: str) -> frozenset[str] | None:
    seen = trial.seen.get(node)
    return seen.members if seen is not None else None


def readmits(trial: Trial) -> str:
    """All are asked for, as often as it takes: at once, and, where more than one is refused, one at a time.
    Clients go on meanwhile, for no leader may change the members that has committed nothing in its term."""
    for _ in range(rounds(trial)):
        if (first := leader(trial)) == "":
            elects(trial)
            continue
        if "propose" in trial.abilities:
            trial.play(("propose", first, f"the value of step {len(trial.steps)}"))
            beat(trial)
        before = shown_members(trial, first)
        trial.play(("members", first, " ".join(trial.nodes)))
        beat(trial)
        if before is not None and shown_members(trial, first) == before:
            trial.play(("members", first, " ".join(sorted(one_more(trial.nodes, before)))))
            beat(trial)
        if all(s is None or s.members in (None, frozenset(trial.nodes)) for s in trial.seen.values()):
            return ""
    shown = {n: s.members for n, s in trial.seen.items() if s is not None and s.members is not None}
    apart = next(n for n, members in shown.items() if members != frozenset(trial.nodes))
    return f"{apart} takes the members to be {' '.join(sorted(shown[apart]))} after {rounds(trial)} rounds"


def one_more(nodes: Sequence[str], members: frozenset[str]) -> frozenset[str]:
    return members.union([node for node in nodes if node not in members][:1])


def by_a_bare_majority(trial: Trial) -> str:
    """The others are down: of those that the walk has left up first, as it has left them."""
    stay = [*trial.up, *(node for node in trial.nodes if node in trial.down)][: len(trial.nodes) // 2 + 1]
    for node in trial.nodes:
        trial.play(("restart" if node in stay else "crash", node))
    return elects(trial) if all_are_members(trial) else ""  # who came back may know of a change


def all_are_members(trial: Trial) -> bool:
    """Of other members others are a majority."""
    shown = (seen.members for seen in trial.seen.values() if seen is not None and seen.members is not None)
    return all(members == frozenset(trial.nodes) for members in shown)


def steps_down(trial: Trial) -> str:
    """The leader is heard and hears nobody: no other timer rings, and its own does (dissertation 6.2).

    Asked of those who say that their leaders do so.
    """
    first = leader(trial)
    for other in trial.nodes:
        if other != first:
            trial.play(("cut", other, first))
    for _ in range(ROUNDS):
        outlast(trial)
        beat(trial)
        trial.play(("timeout", first))
        if first not in trial.leaders:
            break
    still = first in trial.leaders
    trial.play(("heal",))
    return f"{first} leads after {ROUNDS} rounds" if still else ""


def without_a_minority(trial: Trial) -> dict[str, str]:
    """The leader crashes, and as many others as a majority can do without."""
    first = leader(trial)
    others = [node for node in trial.nodes if node != first]
    for node in [first, *others][: (len(trial.nodes) - 1) // 2]:
        trial.play(("crash", node))
    found = {MAJORITY: elects(trial)}
    if not found[MAJORITY] and "propose" in trial.abilities:
        done = commits(trial)
        found[MAJORITY_COMMITS] = done[COMMITS] or done[LEARNED]
    return found


def elects(trial: Trial, again: bool = False) -> str:
    """A leader of the newest term that everybody has reached.

    `again`: a new one is wanted, and what the server sends whose timer rang arrives twice, the answers to
    the first time being lost.
    """
    before = newest(trial)
    most = rounds(trial)  # an application may take an entry a round
    for number in range(most):
        if not again or newest(trial) > before:
            beat(trial)
            if leader(trial):
                return ""
        node = trial.nodes[number % len(trial.nodes)]
        outlast(trial)
        trial.play(("timeout", node))
        settle(trial, node if again else "")
    beat(trial)
    return "" if leader(trial) and (not again or newest(trial) > before) else f"nobody within {most} rounds"


def outlast(trial: Trial, times: int = 1) -> None:
    """Where time passes by the word of the test, after so many times no promise binds any more."""
    if keeps_time(trial):
        time = -(-trial.adapter.promise // times)
        trial.play(("elapse", *(f"{node}={time}" for node in trial.nodes)))


def newest(trial: Trial) -> int:
    return max((seen.term for node in trial.up if (seen := trial.seen[node]) is not None), default=0)


def leader(trial: Trial) -> str:
    """The one whose term nobody is beyond."""
    term = newest(trial)
    return next((n for n in trial.leaders if (s := trial.seen[n]) is not None and s.term == term), "")


def beat(trial: Trial) -> None:
    """The leaders first; the others too, for what waits at one may wait for a step of it."""
    if "heartbeat" in trial.abilities:
        for node in (*trial.leaders, *(node for node in trial.up if node not in trial.leaders)):
            trial.play(("heartbeat", node))
    settle(trial)


def settle(trial: Trial, twice: str = "") -> None:
    """All messages arrive; those of one server twice, and what is answered to the first time is lost."""
    before = len(trial.steps)
    while (busy := trial.traffic.busy) and len(trial.steps) - before < MOST_MESSAGES:
        source, to = busy[0]
        if source == twice != to:
            waited = len(trial.traffic.links[to, source])
            trial.play(("copy", source, to, "0"))
            del trial.traffic.links[to, source][waited:]
        trial.play(("deliver", source, to))


def know(trial: Trial, value: str) -> set[str]:
    """The servers that take the value as committed, in their log or in a snapshot."""
    judge = trial.figure_3
    taken = {index: held for index, (_, held) in judge.committed.items()} | judge.applied
    at = [index for index, held in taken.items() if held == value]
    seen = {node: trial.seen[node] for node in trial.up}
    return {n for n, s in seen.items() if at and s is not None and s.commit is not None and s.commit >= at[0]}


def unseen(trial: Trial) -> set[str]:
    """Those that do not show it."""
    return {n for n in trial.up if (s := trial.seen[n]) is None or s.commit is None or s.log is None}
