"""Runs sections, each within its time; what one could not measure takes nothing from the others."""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sections import Figures, Section


@dataclass
class Measured:
    """What is known of a section: a list of figures for each checkout, and what went wrong."""

    section: Section
    figures: list[Figures]
    failures: list[str] = field(default_factory=list)


async def measure_all(
    sections: Sequence[Section],
    checkouts: Sequence[Path],
    rounds: int,
    patience: float,
    save: Callable[[Sequence[Measured]], None],
) -> None:
    """Measure, and `save` what is known after each section. Each gets `patience` times its time."""
    began, measured = time.monotonic(), list[Measured]()
    for section in sections:
        _tell(f"{time.monotonic() - began:4.0f} s  {section.name}")
        ours = checkouts[:1] if section.only_ours else checkouts
        measured.append(await measure(section, ours, min(rounds, section.rounds), patience))
        save(measured)
    _tell(f"{time.monotonic() - began:4.0f} s  done")


async def measure(
    section: Section, checkouts: Sequence[Path], rounds: int, patience: float
) -> Measured:
    """The medians of each checkout; the checkouts are measured in turn."""
    seconds = section.seconds * patience
    found: list[list[Figures]] = [[] for _ in checkouts]
    failures: list[str] = []
    for _ in range(rounds):
        for number, checkout in enumerate(checkouts):
            figures: Figures = {}
            try:
                async with asyncio.timeout(seconds) as limit:
                    await section.measure(checkout, figures)
            except TimeoutError:
                late = f"not finished after {seconds:g} s"
                failures.append(late if limit.expired() else "a step did not end in its time")
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}"[:200])
            found[number].append(figures)
    for failure in failures:
        _tell(f"        {failure}")
    return Measured(section, [_medians(each) for each in found], failures)


def _medians(rounds: Sequence[Figures]) -> Figures:
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return {
        name: statistics.median(figures[name] for figures in rounds if name in figures)
        for name in names
    }


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
