"""What a page shows of a command, beside what the command prints."""

from __future__ import annotations


def unlike(out: str, shown: str) -> str | None:
    """The first line of a session that was not printed at its place. Lines may go on: times differ."""
    printed, skips = out.rstrip("\n").splitlines(), False
    for line in shown.splitlines():
        if line == "...":
            skips = True
            continue
        places = [i for i, p in enumerate(printed) if p.startswith(line)]
        if not places or (places[0] and not skips):
            return line
        printed, skips = printed[places[0] + 1 :], False
    return None if skips or not printed else f"more was printed: {printed[0]}"
