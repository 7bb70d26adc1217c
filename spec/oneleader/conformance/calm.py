"""After calm: the network heals, everybody is up, and what should come about has so many rounds to do so.

A round: one server's election timer rings, the leaders' heartbeat timers ring, and all messages arrive.
"""

from __future__ import annotations

from oneleader.conformance.trial import Trial

A_LEADER, COMMITS, LEARNED = "a leader is elected", "a proposal commits", "followers learn what is committed"
LIVENESS = (A_LEADER, COMMITS, LEARNED)
ROUNDS = 20
MOST_MESSAGES = 2000  # of one round


def calm_down(trial: Trial) -> dict[str, str]:
    """Each thing that should come about: what is wrong with it, or "". Only what can be seen is in it."""
    trial.play(("heal",))
    for node in trial.nodes:
        trial.play(("restart", node))
    found = {A_LEADER: elects(trial)}
    if found[A_LEADER] or "propose" not in trial.abilities:
        return found
    value = "the last value"
    trial.play(("propose", leader(trial), value))
    for _ in range(ROUNDS):
        beat(trial)
        if len(know(trial, value)) == len(trial.nodes):
            break
    lack = sorted(set(trial.nodes) - know(trial, value) - unseen(trial))
    found[COMMITS] = "" if know(trial, value) else f"not within {ROUNDS} rounds"
    found[LEARNED] = f"{' '.join(lack)} had not, after {ROUNDS} rounds" if lack else ""
    return found


def elects(trial: Trial) -> str:
    """A leader of the newest term that everybody has reached."""
    for number in range(ROUNDS):
        settle(trial)
        beat(trial)
        if leader(trial):
            return ""
        trial.play(("timeout", trial.nodes[number % len(trial.nodes)]))
    settle(trial)
    return "" if leader(trial) else f"nobody within {ROUNDS} rounds"


def leader(trial: Trial) -> str:
    """The one whose term nobody is beyond."""
    newest = max(seen.term for seen in trial.seen.values() if seen is not None)
    return next((n for n in trial.leaders if (s := trial.seen[n]) is not None and s.term == newest), "")


def beat(trial: Trial) -> None:
    if "heartbeat" in trial.abilities:
        for node in trial.leaders:
            trial.play(("heartbeat", node))
    settle(trial)


def settle(trial: Trial) -> None:
    """All messages arrive."""
    before = len(trial.steps)
    while trial.traffic.busy and len(trial.steps) - before < MOST_MESSAGES:
        trial.play(("deliver", *trial.traffic.busy[0]))


def know(trial: Trial, value: str) -> set[str]:
    """The servers that take the value as committed."""
    found = set()
    for node, seen in trial.seen.items():
        if seen is not None and seen.commit is not None and seen.log is not None:
            committed = seen.log[: max(0, seen.commit + 1 - seen.first)]
            if any(held == value for _, held in committed):
                found.add(node)
    return found


def unseen(trial: Trial) -> set[str]:
    """Those that do not show it."""
    return {n for n, s in trial.seen.items() if s is None or s.commit is None or s.log is None}
