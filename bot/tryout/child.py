"""One process of the bot for `bot try`: `python -m bot.tryout.child web|worker`.

It is `bot web` or `bot worker` with four differences: its settings come from the environment only,
it logs its steps at DEBUG as JSON, it ends with the program that started it, and its AI server can
be made to fail from outside.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.app import serve
from bot.engines import Engine, RunRequest, open_engine
from bot.engines.wrapper import EngineWrapper
from bot.errors import ConfigError, Retry
from bot.models import Run
from bot.settings import Settings, load
from bot.telemetry.log import configure, log
from bot.timing import EngineTiming
from bot.tryout.state_dir import FAIL_NEXT_RUN

LAST_SECONDS = 15.0


class FailingEngine(EngineWrapper):
    """An engine whose next run fails as if the server answered 500, while the file `flag` exists.

    Everything else goes to the wrapped engine.
    """

    def __init__(self, engine: Engine, flag: Path) -> None:
        super().__init__(engine)
        self._flag = flag

    async def start(self, request: RunRequest) -> Run:
        try:
            self._flag.unlink()
        except FileNotFoundError:
            return await self._engine.start(request)
        log.debug("ai_request_refused", status="500", by="the switch of the page")
        raise Retry("status 500")


@asynccontextmanager
async def open_failing_engine(settings: Settings, timing: EngineTiming) -> AsyncIterator[Engine]:
    """The engine of the settings, with failures on demand."""
    async with open_engine(settings, timing) as engine:
        yield FailingEngine(engine, settings.bot_state_dir / FAIL_NEXT_RUN)


def main() -> None:
    """Run until the parent closes our standard input, or SIGTERM."""
    part = sys.argv[1]
    try:
        settings = load(env_file=None)
    except ConfigError as error:
        sys.exit(str(error))
    configure("INFO")
    os.environ.pop("SLACK_BOT_TOKEN", None)  # Bolt would warn that it is unused
    logging.getLogger("bot").setLevel(logging.DEBUG)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work = part == "worker"
    asyncio.run(serve(settings, web_part=not work, work_part=work, engines=open_failing_engine))


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_SECONDS)  # its Redis ends too, so a clean shutdown may not be possible
    os._exit(1)


if __name__ == "__main__":
    main()
