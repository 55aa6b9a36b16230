"""How a turn follows its run."""

from collections.abc import AsyncIterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from bot.engines import RunRequest
from bot.errors import RunFailed
from bot.models import Conversation, Message, Run, RunOptions, Thread, Update
from bot.store.steps import Generation
from bot.tools.toolbox import NO_TOOLS
from bot.turn.batch import Request
from bot.turn.follow import follow
from bot.turn.interrupt import Interrupt
from bot.turn.run_context import RunContext

THREAD = Thread("T1", "C1", "1.0")
CONVERSATION = Conversation("conv_1", "responses", THREAD, "U1", 0.0)
REQUEST = RunRequest(CONVERSATION, [Message(THREAD, "1.0", "U1", "hello")], RunOptions(), "turn-1")


class RunThat:
    """An engine with one run, which shows a text and then completes or fails."""

    def __init__(self, interrupt: Interrupt, error: Exception | None) -> None:
        self._interrupt, self._error = interrupt, error
        self.waits: list[bool] = []
        """Whether the turn was only waiting, while the run worked and while its text was shown."""

    async def follow(self, run: Run, conversation: Conversation) -> AsyncIterator[Update]:
        self.waits.append(self._interrupt.waiting)
        yield Update("in_progress", "Hello")
        if self._error:
            raise self._error
        yield Update("completed", "Hello.")

    async def show(self, update: Update) -> None:
        self.waits.append(self._interrupt.waiting)


@pytest.mark.parametrize(
    "error", [None, RunFailed("failed", "server_error")], ids=["done", "failed"]
)
async def test_a_turn_only_waits_until_its_run_has_ended(error: Exception | None) -> None:
    interrupt = Interrupt()
    engine = RunThat(interrupt, error)
    services: Any = SimpleNamespace(engine=engine, stop_grace=1.0)
    turn: Any = SimpleNamespace()
    story: Any = engine
    request = Request(tuple(REQUEST.messages), CONVERSATION)
    context = RunContext(turn, services, request, interrupt, Generation(0), NO_TOOLS, story)
    with suppress(RunFailed):
        await follow(context, Run("run_1", "conv_1", 0.0), REQUEST)
    assert engine.waits[:2] == [True, False]
    assert not interrupt.waiting
