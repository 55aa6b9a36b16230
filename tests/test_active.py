"""The check of who may stop a turn. If it fails, the turn continues and the check is repeated."""

import asyncio

import pytest

from bot.errors import Retry
from bot.models import Thread
from bot.store import Entry
from bot.store.claims import InterruptReason
from bot.turn.interrupt import Interrupt
from bot.worker.active import ActiveThread


@pytest.mark.parametrize("error", [Retry("slack"), ValueError("a bug")], ids=["down", "bug"])
async def test_a_failed_check_has_no_effect_and_is_repeated(
    error: Exception,
) -> None:
    outcomes: list[Exception | None] = [error, None]

    async def permitted(_: Thread, reason: InterruptReason) -> InterruptReason | None:
        if problem := outcomes.pop(0):
            raise problem
        return reason

    thread, interrupt = ActiveThread(Entry(Thread("T", "C", "1.0"), "1-0")), Interrupt()
    thread.permitted = permitted
    reasons = []
    for _ in range(2):
        await thread.check(interrupt, "stop")
        reasons.append(interrupt.reason)
    assert reasons == ["", "stop"]


@pytest.mark.parametrize("allowed", ["stop", None])
async def test_an_answer_waits_for_the_check_of_a_stop(allowed: InterruptReason | None) -> None:
    answer = asyncio.Event()

    async def permitted(_: Thread, __: InterruptReason) -> InterruptReason | None:
        await answer.wait()
        return allowed

    thread, interrupt = ActiveThread(Entry(Thread("T", "C", "1.0"), "1-0")), Interrupt()
    thread.permitted = permitted
    assert not await interrupt.raised.decided()
    thread.note_interrupt(interrupt, "stop")
    assert interrupt.raised.is_being_checked
    deciding = asyncio.create_task(interrupt.raised.decided())
    await asyncio.sleep(0)
    assert not deciding.done()
    answer.set()
    assert await deciding is (allowed is not None)
    assert not interrupt.raised.is_being_checked
