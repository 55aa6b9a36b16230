"""What a turn leaves in Redis: the record, the conversation and its places in the indexes."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.site import HERE
from bot.models import Conversation, Record, Thread, Usage
from bot.store import Store, open_store
from tests.redis_server import run_server
from tests.store.builders import deliver, take_one

Figures = dict[tuple[str, str], float]

LENGTHS = (400, 1_300, 5_000)
THREADS = 200
PAGES = sorted((HERE / "docs").glob("*.md"))
QUESTION = "How do I share the report with my whole team?"


async def measure_records(_: Path, found: Figures) -> None:
    """Threads of one turn each, with the text of our documentation as answers."""
    text = "\n\n".join(page.read_text() for page in PAGES)
    with run_server() as redis:
        async with open_store(redis.url) as store:
            await _talk(store, [text[:1_300]], "0")  # what all threads share does not count
            for length in LENGTHS:
                answers = [text[at : at + length] for at in range(0, len(text) - length, length)]
                await _measure(store, found, answers, f"{length:,} characters")


async def _measure(store: Store, found: Figures, answers: Sequence[str], size: str) -> None:
    before = await _used(store)
    threads = await _talk(store, answers, f"{len(answers[0])}")
    found["KB of Redis a turn", size] = (await _used(store) - before) / THREADS / 1e3
    await store.space.squeeze(threads)
    found["KB of Redis a turn, a day later", size] = (await _used(store) - before) / THREADS / 1e3


async def _used(store: Store) -> int:
    """The memory in use, without what soon goes: the marks of delivered messages, which last for a
    day, and the list of conversations begun within five minutes."""
    for pattern in ("*:seen:*", "*:begun"):
        if soon_gone := [key async for key in store.redis.scan_iter(pattern)]:
            await store.redis.delete(*soon_gone)
    return int((await store.redis.info("memory"))["used_memory"])


async def _talk(store: Store, answers: Sequence[str], name: str) -> list[Thread]:
    """Threads of one turn."""
    threads = [Thread("T1", f"C{name}", f"{number}.0") for number in range(1, THREADS + 1)]
    for thread, answer in zip(threads, cycle(answers), strict=False):
        ts = thread.thread_ts
        await deliver(store, ts, of=thread)
        claim = await take_one(store)
        conversation = Conversation(f"conv_{name}_{ts}", "responses", thread, "U1", 1.0)
        await store.conversations.save(claim, conversation)
        said = [Record("user", QUESTION, ts, "U1"), Record("assistant", answer, ts)]
        await store.inbox.settle(claim, records=said, usage=Usage(900, 0, 300, 100))
    return threads
