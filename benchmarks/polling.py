"""Polls per run and poll lag of the cadence: `python -m benchmarks.polling FILE`.

FILE is a CSV (or .csv.gz) with a column `duration_s`: the durations of real requests. The cadence
is that of the engines, without the waiting.
"""

import csv
import gzip
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bot.engines.polling import Cadence

ROUNDS = 20
"""Each has its own jitter."""


def read_durations(file: Path) -> list[float]:
    """The durations in seconds, of the rows that have one."""
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        return [float(row["duration_s"]) for row in csv.DictReader(lines) if row["duration_s"]]


def polls(duration: float, delays: Iterator[float]) -> tuple[int, float]:
    """The number of polls of a run with this duration, and the delay of the last one."""
    elapsed = 0.0
    for count, delay in enumerate(delays, 1):
        elapsed += delay
        if elapsed >= duration:
            return count, elapsed - duration
    raise AssertionError("a cadence never ends")


def doubling() -> Iterator[float]:
    """The common 1, 2, 4, ... up to 30 s, for comparison."""
    delay = 1.0
    while True:
        yield delay
        delay = min(delay * 2, 30.0)


def main() -> None:
    """Print a line for our cadence and one for the common doubling."""
    durations = read_durations(Path(sys.argv[1]))
    ways: dict[str, Callable[[], Iterator[float]]] = {"ours": Cadence, "doubling": doubling}
    for name, make in ways.items():
        seen = [polls(duration, make()) for _ in range(ROUNDS) for duration in durations]
        lags = sorted(lag for _, lag in seen)
        print(
            f"{name:9} {len(durations)} runs:"
            f" {statistics.mean(count for count, _ in seen):.2f} polls a run,"
            f" lag mean {statistics.mean(lags):.2f} s, p95 {lags[len(lags) * 95 // 100]:.2f} s"
        )


if __name__ == "__main__":
    main()
