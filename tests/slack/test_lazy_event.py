"""Events that are small until a task waits for them."""

import asyncio

from bot.slack.answer.lazy_event import LazyEvent


async def test_all_tasks_that_wait_are_woken() -> None:
    event = LazyEvent()
    waits = [asyncio.create_task(event.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    event.set()
    await asyncio.gather(*waits)
    assert event.is_set()
    await event.wait()  # returns immediately


async def test_a_cleared_event_can_be_set_again() -> None:
    event = LazyEvent()
    event.set()
    event.clear()
    assert not event.is_set()
    wait = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    event.set()
    await wait


async def test_a_task_that_waits_when_it_is_cleared_is_woken_by_the_next_set() -> None:
    event = LazyEvent()
    wait = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    event.clear()
    event.set()
    await wait
