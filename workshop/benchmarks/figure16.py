"""Figure 16 of the Raft paper, of the reference in the simulator: a table, and docs/results/figure-16.svg.

python -m workshop.benchmarks.figure16 [TRIALS]
"""

from __future__ import annotations

import sys
from statistics import median

import matplotlib
from matplotlib import pyplot

from workshop import RESULTS
from workshop.studies.downtime import CONTENDERS, PAPER, downtime

SPREAD = ((150, 150), (150, 151), (150, 155), (150, 175), (150, 200), (150, 300))
SCALE = ((12, 24), (25, 50), (50, 100), (100, 200), (150, 300))
TARGET = RESULTS / "figure-16.svg"


def measure(trials: int) -> dict[str, dict[tuple[int, int], list[float]]]:
    every = sorted({*SPREAD, *SCALE})
    return {
        name: {
            timeout: sorted(
                downtime(seed, timeout, core) for seed in range(trials if timeout[0] < timeout[1] else 10)
            )
            for timeout in every
        }
        for name, core in CONTENDERS.items()
    }


def table(measured: dict[str, dict[tuple[int, int], list[float]]]) -> None:
    print("| timeouts, ms | votes as in | median | mean | worst | the paper |")
    print("|---|---|---|---|---|---|")
    for name, lines in measured.items():
        for (least, most), found in lines.items():
            said = PAPER.get((least, most), "") if name == "Figure 2" else ""
            mean = sum(found) / len(found)
            figures = f"{median(found):,.0f} | {mean:,.0f} | {found[-1]:,.0f}"
            print(f"| {least}-{most} | {name} | {figures} | {said} |")


def plot(measured: dict[str, dict[tuple[int, int], list[float]]], trials: int) -> None:
    matplotlib.rcParams["svg.hashsalt"] = "oneleader"  # the same picture each time
    matplotlib.rcParams["svg.fonttype"] = "none"
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 7), sharey=True, layout="constrained")
    for column, (name, lines) in enumerate(measured.items()):
        for row, timeouts in enumerate((SPREAD, SCALE)):
            axis = axes[row][column]
            for least, most in timeouts:
                every = lines[least, most]
                share = [percent / 2 for percent in range(1, 201)]
                found = [every[max(0, int(p / 100 * len(every)) - 1)] for p in share]
                axis.step(found, share, where="post", label=f"{least}-{most} ms")
            axis.set(xscale="log" if row == 0 else "linear", xlim=(60, 10_000) if row == 0 else (0, 600))
            axis.set(xlabel="time without leader (ms)", ylabel="% of trials", title=name if row == 0 else "")
            axis.grid(alpha=0.25)
            axis.legend(fontsize=8, loc="lower right")
    paper = {"color": "black", "linestyle": "none", "clip_on": False, "zorder": 5}
    axes[0][0].plot([287], [50], marker="o", label="paper: median 287, of 150-155", **paper)
    axes[0][0].plot([513], [100], marker="s", label="paper: worst 513, of 150-200", **paper)
    axes[1][0].plot([152], [100], marker="s", label="paper: worst 152, of 12-24", **paper)
    for axis in (axes[0][0], axes[1][0]):
        axis.legend(fontsize=8, loc="lower right")
    figure.suptitle(
        f"Time to replace a crashed leader, five servers, {trials:,} trials a line (Raft, Figure 16)"
    )
    figure.savefig(TARGET, format="svg", metadata={"Date": None})
    print(f"\nwritten to {TARGET.name}")


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    measured = measure(trials)
    table(measured)
    plot(measured, trials)


if __name__ == "__main__":
    main()
