"""`python -m benchmarks`: measure everything, and write docs/benchmarks.md. Takes ten minutes.

With `--against COMMIT` each section is measured for that commit, too, in turn with ours (a git
worktree; same environment, same load). Only Linux: memory and CPU are read from /proc.
"""

import argparse
import asyncio
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import sections
from benchmarks.page_text import render
from benchmarks.sections import Figures, Section
from benchmarks.site import HERE

PAGE = HERE / "docs" / "benchmarks.md"
ROUNDS = 3
"""Rounds of the sections whose figures vary; the median is shown."""

SECTIONS: Mapping[str, tuple[Section, int]] = {
    "Short answers": (sections.short_answers, ROUNDS),
    "Long answers, token by token": (sections.long_answers, 1),
    "Without a pause": (sections.saturated, ROUNDS),
    "The engine alone": (sections.engine, ROUNDS),
    "Start and memory": (sections.start, ROUNDS),
    "By the length of an answer": (sections.lengths, 1),
}
GROWING: Mapping[str, tuple[Callable[[Path, int], Awaitable[Figures]], Sequence[int]]] = {
    "By the conversations in Redis": (sections.conversations, sections.CONVERSATIONS),
    "By the runs in flight": (sections.in_flight, sections.IN_FLIGHT),
}


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A worktree of a commit."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "checkout"
        git("worktree", "add", "--detach", str(folder), commit)
        try:
            yield folder
        finally:
            git("worktree", "remove", "--force", str(folder))


def git(*arguments: str) -> str:
    """The output of git in this repository."""
    command = ["git", "-C", str(HERE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


async def measure(section: Section, checkouts: Sequence[Path], rounds: int) -> list[Figures]:
    """The medians of each checkout; the checkouts are measured in turn."""
    found: list[list[Figures]] = [[] for _ in checkouts]
    for _ in range(rounds):
        for number, checkout in enumerate(checkouts):
            try:
                found[number].append(await section(checkout))
            except Exception as error:  # a machine that is too busy; the rest is still measured
                print(f"  not measured: {error!r}", file=sys.stderr, flush=True)
    return [_medians(each) for each in found]


def _medians(rounds: Sequence[Figures]) -> Figures:
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return {
        name: statistics.median(figures[name] for figures in rounds if name in figures)
        for name in names
    }


async def measure_all(
    checkouts: Sequence[Path], only: str, most: int, most_rounds: int
) -> dict[str, list[Figures]]:
    """The figures of each section, by checkout."""
    found: dict[str, list[Figures]] = {}
    began = time.monotonic()

    def tell(name: str) -> bool:
        if only.lower() not in name.lower():
            return False
        print(f"{time.monotonic() - began:4.0f} s  {name}", file=sys.stderr, flush=True)
        return True

    for name, (section, rounds) in SECTIONS.items():
        if tell(name):
            found[name] = await measure(section, checkouts, min(rounds, most_rounds))
    for name, (growing, sizes) in GROWING.items():
        if tell(name):
            found[name] = [{} for _ in checkouts]
            for size in (size for size in sizes if size <= most):
                for all_figures, new in zip(
                    found[name],
                    await measure(partial(_at, growing, size), checkouts, 1),
                    strict=True,
                ):
                    all_figures.update(new)
    if tell("Forked processes"):
        found["Forked processes"] = [await sections.forked()]
    return found


async def _at(
    growing: Callable[[Path, int], Awaitable[Figures]], size: int, checkout: Path
) -> Figures:
    return await growing(checkout, size)


def machine() -> str:
    """The machine and its load, for the page."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((li.split(":")[1].strip() for li in info.splitlines() if "model name" in li), "?")
    cores = info.count("processor\t:")
    load = Path("/proc/loadavg").read_text().split()[0]
    return f"{cores} cores ({model}), Python {platform.python_version()}, load average {load}"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--against", metavar="COMMIT", help="an older commit to compare with")
    parser.add_argument("--only", default="", help="sections with these words in their names")
    parser.add_argument("--most", type=int, default=10**9, help="largest size of growing sections")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds at most")
    parser.add_argument("--print", action="store_true", help="print the page; write nothing")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what it has started
    before = machine()
    commits = [git("rev-parse", "--short", "HEAD")]
    if given.against:
        commits.append(git("rev-parse", "--short", given.against))
        with checked_out(given.against) as old:
            found = asyncio.run(measure_all([HERE, old], given.only, given.most, given.rounds))
    else:
        found = asyncio.run(measure_all([HERE], given.only, given.most, given.rounds))
    page = render(
        found, commits, f"{before} at the start, {machine().rpartition(' ')[2]} at the end"
    )
    if given.print:
        print(page)
    else:
        PAGE.write_text(page)
        print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
