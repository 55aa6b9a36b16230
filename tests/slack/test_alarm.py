"""Alarms: work that is begun later, without a task or a timer for each."""

import asyncio
from contextvars import ContextVar

import pytest

from bot.concurrency.timers import PerLoop, SharedTimers
from bot.slack.answer import alarm
from bot.slack.answer.alarm import Alarm
from tests.world import wait_until

TURN: ContextVar[str] = ContextVar("turn")


async def test_an_alarm_begins_its_work_once_and_in_the_context_of_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alarm, "SHORT", 0.0)
    begun: list[str] = []
    first, second, third = Alarm(), Alarm(), Alarm()

    async def work() -> None:
        begun.append(TURN.get())

    for each, name in ((first, "1"), (second, "2"), (third, "3")):
        TURN.set(name)
        each.set(0.1, work)
    second.off()
    third.set(3600, work)
    third.set(0.1, work)

    async def have_begun() -> bool:
        return len(begun) == 2 and first.task is third.task is None

    await wait_until(have_begun)
    third.ring(third._at)
    assert begun == ["1", "3"]
    assert second.task is third.task is None


async def test_alarms_that_wait_for_long_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, set_at = asyncio.get_running_loop(), list[float]()
    monkeypatch.setattr(
        alarm, "_late_alarms", PerLoop(lambda loop: SharedTimers(loop, Alarm.ring, 1.0))
    )
    monkeypatch.setattr(loop, "call_at", lambda at, *_: set_at.append(at))

    async def work() -> None:
        pass

    alarms = [Alarm() for _ in range(200)]
    for number, each in enumerate(alarms):
        each.set(90 + number / 1000, work)
    assert len(set_at) <= 2
    assert 90 <= set_at[0] - loop.time() <= 91.01
