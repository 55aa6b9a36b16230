"""A bot whose event loop is blocked by a question: `python -m tests.ops.blocked KIND SECONDS`.

KIND `sleep` blocks for SECONDS; `regex` holds the GIL forever.
"""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.app import serve
from bot.engines import Engine, RunRequest, open_engine
from bot.engines.wrapper import EngineWrapper
from bot.models import Run
from bot.settings import Settings, load
from bot.telemetry.log import configure
from bot.timing import EngineTiming


class BlockingEngine(EngineWrapper):
    """Blocks the loop before the first run; later runs work."""

    blocks = True

    async def start(self, request: RunRequest) -> Run:
        if self.blocks:
            self.blocks = False
            block(sys.argv[1], float(sys.argv[2]))
        return await super().start(request)


def block(kind: str, seconds: float) -> None:
    if kind == "regex":
        re.match(r"(a+)+$", "a" * 60 + "b")
    time.sleep(seconds)


@asynccontextmanager
async def open_blocking(settings: Settings, timing: EngineTiming) -> AsyncIterator[Engine]:
    async with open_engine(settings, timing) as engine:
        yield BlockingEngine(engine)


if __name__ == "__main__":
    configure("INFO")
    asyncio.run(serve(load(), web_part=True, work_part=True, engines=open_blocking))
