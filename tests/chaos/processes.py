"""The bot's processes; tests start, kill, freeze and stop them."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from tests.forks import Fork

Part = Literal["web", "worker", "run"]

START_PATIENCE = 180.0


class BotProcess:
    """One `bot web`, `bot worker` or `bot run`; its log remains after its end."""

    def __init__(self, part: Part, environment: Mapping[str, str], log: Path) -> None:
        self.part = part
        self.log = log
        self.frozen = False
        self._environment = dict(environment)
        self._process: Fork | asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it; `ready` waits until it works."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(OWN_VARIABLES)}
        self.log.touch()
        if "PYTHONPATH" in self._environment:
            self._process = await self._execute(inherited | self._environment)
        else:
            environment = inherited | self._environment
            fork = Fork([self.part], environment, self.log.parent, self.log)
            await fork.start()
            self._process = fork

    async def _execute(self, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
        """Start the code of another version, which PYTHONPATH names."""
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bot", self.part),
                cwd=self.log.parent,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until the process says that it is ready. TimeoutError with the end of its log."""
        deadline = time.monotonic() + START_PATIENCE
        while not self.logged("ready"):
            if not self.alive or time.monotonic() > deadline:
                raise TimeoutError(f"bot {self.part}: {self.log.read_text()[-2000:]}")
            await asyncio.sleep(0.05)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log about an event, without one that is being written."""
        text = self.log.read_text() if self.log.exists() else ""
        lines = text.rpartition("\n")[0].splitlines()
        reported = [json.loads(line) for line in lines if line.startswith("{") and event in line]
        return [line for line in reported if line.get("event") == event]

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)
        self.frozen = False

    async def kill(self) -> None:
        """Send SIGKILL; returns when the process has exited."""
        self._signal(signal.SIGKILL)
        await self._wait()

    async def leave(self) -> float:
        """Send SIGTERM; returns the seconds until the process exited."""
        began = time.monotonic()
        self._signal(signal.SIGTERM)
        await self._wait()
        return time.monotonic() - began

    async def _wait(self) -> None:
        assert self._process is not None
        await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)


OWN_VARIABLES = ("SLACK_", "OPENAI_", "BOT_", "REDIS_", "PORT", "DYNO")
"""Without settings that a developer may have made for another bot."""
