"""Growing answers: streams that break anywhere, are taken over, or are not available."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from bot.engines.streams import LiveStream, progress
from bot.errors import RunFailed
from tests.engines.engines import (
    FAST,
    begin,
    follow,
    follow_growth,
    last_update,
    open_assistants_on,
    open_responses_on,
    said,
    start,
)
from tests.fakes.openai import Answer, FakeOpenAI, Said, held, slow

TEXT = "One two three, four five six, seven eight nine; ten eleven twelve. ✓ Größe 🙂"
NOTE = {
    "type": "url_citation",
    "start_index": 0,
    "end_index": 3,
    "url": "https://example.com/",
    "title": "Example",
}


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


def gets(fake: FakeOpenAI, *, stream: bool) -> int:
    return sum(
        request.method == "GET"
        and request.path.startswith("/responses/")
        and (request.query.get("stream") == "true") is stream
        for request in fake.requests
    )


async def test_a_streamed_answer_needs_no_polls(fake: FakeOpenAI) -> None:
    fake.answer = held(TEXT, after=1)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        updates = await follow_growth(fake, engine, run, conversation)
    assert updates[-1].text == TEXT
    assert len({update.text for update in updates}) > 2
    assert gets(fake, stream=False) == gets(fake, stream=True) == 0


async def test_the_run_is_known_before_its_first_text(fake: FakeOpenAI) -> None:
    fake.answer = held(TEXT)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        assert run.id in fake.responses


@pytest.mark.parametrize("cut", range(1, 20))
async def test_a_stream_cut_after_any_event_gives_the_exact_text(
    fake: FakeOpenAI, cut: int
) -> None:
    fake.answer = slow(Answer(said=(Said(TEXT, annotations=(NOTE,)), Said("The end."))), 0.05)
    fake.fault("drop_stream", "POST", "/responses", events=cut)
    fake.fault("drop_stream", "GET", "/responses/*", events=1)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        updates = await follow(engine, run, conversation)
    assert updates[-1].text == f"{TEXT}\n\nThe end."
    assert len(updates[-1].citations) == 1
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(updates))
    assert fake.created("/responses") == 1


@pytest.mark.parametrize("cut", range(3000, 9000, 371))
async def test_a_stream_cut_within_an_event_gives_the_exact_text(
    fake: FakeOpenAI, cut: int
) -> None:
    fake.answer = slow(TEXT, 0.05)
    fake.fault("drop_stream", "POST", "/responses", bytes=cut)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        assert (await last_update(engine, run, conversation)).text == TEXT
    assert fake.created("/responses") == 1


async def test_another_process_reads_the_stream_from_its_start(fake: FakeOpenAI) -> None:
    fake.answer = held(TEXT, after=2)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
    async with open_responses_on(fake) as other:
        updates = other.follow(run, conversation)
        async for update in updates:
            if update.text:
                break
        assert TEXT.startswith(update.text)
        fake.finish()
        assert [update async for update in updates][-1].text == TEXT
    assert fake.created("/responses") == 1


async def test_a_response_that_was_not_streamed_is_polled(fake: FakeOpenAI) -> None:
    fake.answer = held(TEXT)
    async with open_responses_on(fake, bot_streaming=False) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
    async with open_responses_on(fake) as other:
        reading = asyncio.create_task(last_update(other, run, conversation))
        await wait_until(lambda: gets(fake, stream=True) == 1 and fake.responses[run.id].polls > 2)
        fake.finish()
        assert (await reading).text == TEXT


async def test_a_stream_that_keeps_ending_immediately_is_given_up(fake: FakeOpenAI) -> None:
    fake.answer = slow(TEXT, 0.2)
    fake.fault("drop_stream", "POST", "/responses", events=3)
    fake.fault("drop_stream", "GET", "/responses/*", events=0, times=None)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        assert (await last_update(engine, run, conversation)).text == TEXT
    assert gets(fake, stream=True) <= 4


async def test_a_silent_stream_is_polled(fake: FakeOpenAI) -> None:
    fake.answer = held(TEXT, after=1)
    async with open_responses_on(fake, replace(FAST, silence=0.05)) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        reading = asyncio.create_task(last_update(engine, run, conversation))
        await wait_until(lambda: gets(fake, stream=True) > 5)
        fake.finish()
        assert (await reading).text == TEXT


async def test_streams_beyond_the_limit_are_polled(fake: FakeOpenAI) -> None:
    fake.answer = slow(TEXT, 0.1)
    async with open_responses_on(fake) as engine:
        engine.native._streams._limit = 1
        one, two = await begin(engine), await begin(engine)
        first, second = await asyncio.gather(
            start(engine, one, said("hello")), start(engine, two, said("hello"))
        )
        assert (await last_update(engine, second, two)).text == TEXT
        assert (await last_update(engine, first, one)).text == TEXT
    streamed = [r.body.get("stream") for r in fake.requests if r.path == "/responses"]
    assert len(streamed) == 2
    assert set(streamed) == {True, None}


@pytest.mark.parametrize("opened", [open_responses_on, open_assistants_on])
async def test_a_new_run_takes_the_place_of_a_silent_stream(
    fake: FakeOpenAI, opened: Callable[..., AbstractAsyncContextManager[Any]]
) -> None:
    async with opened(fake, replace(FAST, quiet=0.0)) as engine:
        streams = getattr(engine, "native", engine)._streams
        streams._limit = 1
        one, two = await begin(engine), await begin(engine)
        fake.answer = held(TEXT, after=2)
        silent = await start(engine, one, said("hello"))
        reading = asyncio.create_task(last_update(engine, silent, one))
        await wait_until(lambda: any(live.can_be_displaced for live in streams.open))
        fake.answer = slow(TEXT, 0.05)
        new = await start(engine, two, said("hello"))
        assert (await last_update(engine, new, two)).text == TEXT
        assert len(streams.open) == 0
        fake.finish()
        assert (await reading).text == TEXT  # by polls, once
    runs = [r for r in fake.requests if r.path.endswith(("/responses", "/runs"))]
    assert [r.body.get("stream") for r in runs] == [True, True]


async def test_a_run_that_ends_with_its_stream_keeps_its_place(fake: FakeOpenAI) -> None:
    fake.answer = held(TEXT)
    async with open_responses_on(fake, replace(FAST, quiet=0.0)) as engine:
        streams = engine.native._streams
        streams._limit = 1
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        (live,) = streams.open
        live.is_vital = True
        reading = asyncio.create_task(last_update(engine, run, conversation))
        await wait_until(lambda: live._reader is not None)
        with streams.room() as room:
            assert not room
        fake.finish()
        assert (await reading).text == TEXT


@pytest.mark.parametrize("leaves", ["cancelled", "failing"])
@pytest.mark.parametrize("opened", [open_responses_on, open_assistants_on])
async def test_a_follower_that_stops_closes_the_stream(
    fake: FakeOpenAI, opened: Callable[..., Any], leaves: str
) -> None:
    fake.answer = held(TEXT, after=2)
    async with opened(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        has_text = asyncio.Event()

        async def read() -> None:
            async with aclosing(engine.follow(run, conversation)) as updates:
                async for update in updates:
                    if update.text and leaves == "failing":
                        raise ValueError(update.text)
                    if update.text:
                        has_text.set()

        reading = asyncio.create_task(read())
        if leaves == "cancelled":
            await has_text.wait()
            reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled() or isinstance(reading.exception(), ValueError)
        await wait_until(lambda: not fake.open_requests)
        fake.finish()
        assert (await last_update(engine, run, conversation)).text == TEXT


async def test_an_unread_stream_is_closed(fake: FakeOpenAI) -> None:
    fake.answer = held(TEXT)
    async with open_responses_on(fake, replace(FAST, unclaimed=0.01)) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        await wait_until(lambda: not engine.native._streams.open)
        fake.finish()
        assert (await last_update(engine, run, conversation)).text == TEXT


async def test_a_cancelled_stream_keeps_its_text(fake: FakeOpenAI) -> None:
    fake.answer = held(TEXT, after=2)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        updates = engine.follow(run, conversation)
        async for update in updates:
            if update.text:
                break
        await engine.cancel(run)
        last = [update async for update in updates][-1]
    assert last.status == "cancelled"
    assert update.text
    assert last.text.startswith(update.text)  # more may have come before the cancellation


# Assistants: a stream cannot be taken up again


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 8, 12])
async def test_a_run_s_stream_cut_anywhere_gives_the_exact_text(fake: FakeOpenAI, cut: int) -> None:
    fake.answer = slow(TEXT, 0.05)
    fake.fault("drop_stream", "POST", "/threads/*/runs", events=cut)
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        updates = await follow(engine, run, conversation)
    assert updates[-1].text == TEXT
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(updates))
    assert fake.created("/threads/*/runs") == 1


async def test_a_run_s_answer_grows(fake: FakeOpenAI) -> None:
    fake.answer = held(TEXT, after=1)
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        updates = await follow_growth(fake, engine, run, conversation)
    assert len({update.text for update in updates}) > 2
    assert updates[-1].text == TEXT


async def test_a_silent_run_is_polled(fake: FakeOpenAI) -> None:
    fake.answer = held(TEXT, after=1)
    async with open_assistants_on(fake, replace(FAST, silence=0.05)) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        reading = asyncio.create_task(last_update(engine, run, conversation))
        await wait_until(lambda: fake.runs[run.id].polls > 2)
        fake.finish()
        assert (await reading).text == TEXT


# Progress


async def tokens(*script: str | Exception, gap: float = 0.0) -> AsyncIterator[str]:
    for entry in script:
        await asyncio.sleep(gap)
        if isinstance(entry, Exception):
            raise entry
        yield entry


async def gathered(events: AsyncIterator[str], **times: float) -> list[list[str]]:
    """The events consumed at each progress update."""
    taken: list[str] = []
    reading = progress(events, taken.append, **{"interval": 0.05, "silence": 5, **times})
    return [list(taken) async for _ in reading]


async def test_progress_loses_nothing_and_keeps_the_order() -> None:
    letters = list("abcdefghij")
    found = await gathered(tokens(*letters, gap=0.012), interval=1.0)
    assert found[-1] == letters
    assert 1 < len(found) < len(letters)


async def test_progress_ends_with_the_error_after_earlier_events() -> None:
    taken: list[str] = []
    reading = progress(tokens("a", OSError("cut")), taken.append, interval=0.01, silence=5)
    await anext(reading)
    assert taken == ["a"]
    with pytest.raises(OSError, match="cut"):
        await anext(reading)


async def test_progress_ends_with_the_error_of_the_consumer() -> None:
    def refuse(letter: str) -> None:
        raise RunFailed("failed", "answer_too_large")

    reading = progress(tokens("a", "b"), refuse, interval=0.01, silence=5)
    with pytest.raises(RunFailed):
        [None async for _ in reading]


async def test_progress_ends_with_a_silence() -> None:
    async def quiet() -> AsyncIterator[str]:
        yield "a"
        await asyncio.Event().wait()

    assert await gathered(quiet(), silence=0.05) == [["a"]]


class Together(list[str]):
    """Events that came together; unlike a list it can be referenced weakly."""


async def test_a_silent_stream_holds_no_event() -> None:
    seen: list[weakref.ref[Together]] = []

    async def events() -> AsyncIterator[Together]:
        together = Together(["a"])
        seen.append(weakref.ref(together))
        yield together
        del together
        await asyncio.Event().wait()

    stream: Any = events()
    live = LiveStream(stream, lambda _: None)
    reading = progress(aiter(live), lambda _: None, interval=0.01, silence=60)
    await anext(reading)
    waiting = asyncio.ensure_future(anext(reading))
    await wait_until(lambda: seen[0]() is None)
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_a_stream_that_was_replaced_keeps_nothing(fake: FakeOpenAI) -> None:
    """The traceback of its end holds every frame down to the socket: 15 KB of each run."""

    def cancellations() -> set[int]:
        gc.collect()
        return {id(each) for each in gc.get_objects() if isinstance(each, asyncio.CancelledError)}

    fake.answer = held("silence")
    async with open_responses_on(fake, replace(FAST, silence=0.02)) as engine:
        conversation = await begin(engine)
        of_other_tests = cancellations()
        run = await start(engine, conversation, said("hello"))
        following = asyncio.create_task(last_update(engine, run, conversation))
        await wait_until(lambda: gets(fake, stream=True) >= 3)
        assert len(cancellations() - of_other_tests) <= 1  # of the stream that ends now
        fake.finish()
        await following
