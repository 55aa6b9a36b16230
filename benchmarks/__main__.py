"""`python -m benchmarks`: measure everything, and write docs/benchmarks.md. Takes ten minutes.

With `--against COMMIT` each section is measured for that commit, too, in turn with ours (a git
worktree; same environment, same load), which takes twice as long. The page is written after each
section. Only Linux: memory and CPU are read from /proc.
"""

import argparse
import asyncio
import gc
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.measuring import Measured, measure_all
from benchmarks.page_text import render
from benchmarks.sections import SECTIONS
from benchmarks.site import HERE

YOUNG_OBJECTS = 100_000
"""New objects between two garbage collections of the stand-ins, whose memory of calls grows."""
PAGE = HERE / "docs" / "benchmarks.md"


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


def machine() -> str:
    """The machine, for the page."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((li.split(":")[1].strip() for li in info.splitlines() if "model name" in li), "?")
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}"


def load_average() -> str:
    """How many processes wanted a core, on average of the last minute."""
    return Path("/proc/loadavg").read_text().split()[0]


def read_arguments() -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--against", metavar="COMMIT", help="an older commit to compare with")
    parser.add_argument("--only", default="", help="sections with these words in their names")
    parser.add_argument("--rounds", type=int, default=10, help="rounds at most")
    parser.add_argument(
        "--patience",
        type=float,
        default=1.0,
        help="factor of each section's time, on a busy machine",
    )
    parser.add_argument("--print", action="store_true", help="print the page; write nothing")
    return parser.parse_args()


def main() -> None:
    """Measure, and write the page."""
    given = read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what it has started
    load, commits, checkouts = load_average(), [git("rev-parse", "--short", "HEAD")], [HERE]
    sections = [each for each in SECTIONS if given.only.lower() in each.name.lower()]
    text = ""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)

    def save(measured: Sequence[Measured]) -> None:
        nonlocal text
        loads = f"load average {load} before the start, {load_average()} at the end"
        text = render(measured, commits, f"{machine()}; {loads}")
        if not given.print:
            PAGE.write_text(text)

    with ExitStack() as stack:
        if given.against:
            commits.append(git("rev-parse", "--short", given.against))
            checkouts.append(stack.enter_context(checked_out(given.against)))
        asyncio.run(measure_all(sections, checkouts, given.rounds, given.patience, save))
    print(text if given.print else f"wrote {PAGE}")


if __name__ == "__main__":
    main()
