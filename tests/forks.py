"""Processes of the bot, forked from one that has imported it.

An import takes more than a second of a processor, longer than what most tests do with a process.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.__main__ import main
from bot.process import priority
from bot.store import pipelining

_context = multiprocessing.get_context("forkserver")
PARTS = ("bot.app", "bot.process.serving", "bot.process.work_part", "bot.upkeep.sweeper")
ENGINES = ("bot.engines.router", "bot.engines.assistants", "bot.engines.echo")
_context.set_forkserver_preload(["bot.cli.main", *PARTS, *ENGINES, __name__])

OWN_ROUND_TRIPS = {"TEST_OWN_ROUND_TRIPS": "true"}
"""The environment of a process whose calls to Redis share no round trips: a relay can then hold one
without those that would follow it."""


class Fork:
    """One `bot WORDS` with its own environment, in its own folder; its output goes to `log`."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], directory: Path, log: Path
    ) -> None:
        arguments = (tuple(words), dict(environment), str(directory), str(log))
        self._process = _context.Process(target=_run, args=arguments, daemon=True)

    async def start(self) -> None:
        await asyncio.to_thread(self._process.start)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative after a signal."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        while (code := self.returncode) is None:  # noqa: ASYNC110 - it comes out of a pipe
            await asyncio.sleep(0.005)
        return code


def _run(words: Sequence[str], environment: Mapping[str, str], directory: str, log: str) -> None:
    """What exec does for a program: replace the environment, the arguments and the files."""
    nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["bot", *words]
    if OWN_ROUND_TRIPS.keys() <= environment.keys():
        pipelining.MOST_COMMANDS = 1
    priority.NICENESS = 0  # beside other tests a worker would get next to nothing
    main()
