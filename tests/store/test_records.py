"""Our record of a conversation: its stored forms, its size, and what is evicted to save memory."""

import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.calls import FunctionCall, FunctionOutput
from bot.models import Conversation, Record, Thread, Usage, encode
from bot.store import Store
from bot.store.records import (
    RecordWriter,
    decode_line,
    encode_compressed,
    encode_evicted,
    encode_plain,
    newest,
    shorten,
    size,
)
from bot.timing import RecordTiming
from bot.upkeep.record_keeper import DAY, RecordKeeper
from tests.redis_server import RedisServer, open_clean_store
from tests.store.builders import conversation, deliver, message, take_one, thread

DOCS = Path(__file__).parents[2] / "docs"
LONG = "A sentence that a model may write in its answer. " * 100
EAGER = RecordTiming(rested=-60, pause=0, squeeze=0)


records = st.builds(
    Record,
    role=st.sampled_from(["user", "assistant"]),
    text=st.text() | st.text(alphabet=st.characters()).map(lambda text: text * 50),
    ts=st.just("1.5"),
    user_id=st.sampled_from(["", "U1"]),
    files=st.text(max_size=20),
    outputs=st.just(())
    | st.just((FunctionOutput(FunctionCall("a", "b", '{"text":1,"z":2}'), "c"),)),
)


@given(records)
def test_every_form_of_a_line_reads_as_what_was_written(record: Record) -> None:
    expected = decode_line(encode(record))
    assert decode_line(encode_plain(record)) == expected
    assert decode_line(encode_compressed(record)) == expected
    assert size(encode_compressed(record)) <= size(encode_plain(record))


@pytest.mark.parametrize(
    "line",
    ['{"z":5,"role":"user"}', '{"z":"~~~~","role":"user","ts":"1"}', '{"z":"","ts":"1"}', "[]"],
)
async def test_a_corrupt_line_is_left_out(store: Store, line: str) -> None:
    await store.redis.rpush(
        store.keys.record(thread()), line, encode_plain(Record("user", "a", "1"))
    )
    assert [record.text for record in await store.conversations.history(thread())] == ["a"]


async def test_a_record_expires_unless_a_conversation_is_begun_from_it(store: Store) -> None:
    await deliver(store, "1.0")
    said = [Record("user", "a", "1.0", "U1")]
    await store.inbox.settle(await take_one(store), records=said)
    key, tombstone = store.keys.record(thread()), store.keys.conversation(thread())
    assert await store.redis.ttl(key) == await store.redis.ttl(tombstone) > 0

    await deliver(store, "2.0")
    claim = await take_one(store)
    await store.conversations.save(claim, conversation())
    await store.inbox.settle(claim, records=[Record("user", "b", "2.0", "U1")])
    assert await store.redis.ttl(key) == await store.redis.ttl(tombstone) == -1
    assert [record.text for record in await store.conversations.history(thread())] == ["a", "b"]


async def test_a_person_is_removed_from_a_record_that_expires(store: Store) -> None:
    said = [Record("user", "a", "1.0", "U1"), Record("user", "b", "1.1", "U2")]
    await deliver(store, "1.0")
    await store.inbox.settle(await take_one(store), records=said)
    await deliver(store, "2.0")
    await store.conversations.forget_person(await take_one(store), "U1")
    assert await store.conversations.history(thread()) == said[1:]
    assert await store.redis.ttl(store.keys.record(thread())) > 0


def test_an_evicted_line_keeps_its_author() -> None:
    record = decode_line(encode_evicted(Record("user", LONG, "1.5", "U1")))
    assert record == Record("user", "", "1.5", "U1", evicted=True)


def test_a_question_is_never_cut_and_an_answer_once() -> None:
    question, answer = Record("user", LONG, "1.5", "U1"), Record("assistant", LONG, "1.5")
    assert shorten(question) == question
    cut = shorten(answer)
    assert len(cut.text) < 1_600
    assert cut.text.startswith(LONG[:1_000])
    assert cut.text.endswith(LONG[-500:])
    assert shorten(cut) == cut
    assert shorten(replace(answer, text=LONG[:1_550])).text == LONG[:1_550]


def test_the_newest_lines_are_what_fits() -> None:
    lines = [Record("user", "x" * 10, f"{number}.5") for number in range(5)]
    assert newest(lines, 25) == lines[-2:]
    assert newest(lines, 1) == lines[-1:]
    assert newest([], 1) == []


async def settle(store: Store, of: Thread, ts: str, *said: Record) -> None:
    """A turn that ends with these lines in the record."""
    await store.inbox.deliver(message(ts, of=of))
    claim = await take_one(store)
    if claim.conversation is None:
        conversation = Conversation(f"conv_{of.thread_ts}", "responses", of, "U1", 1.0)
        await store.conversations.save(claim, conversation)
    await store.inbox.settle(claim, records=said, usage=Usage(900, 0, 300, 100))


async def talk(store: Store, *, of: Thread | None = None, answer: str = LONG) -> None:
    of = of or thread()
    said = Record("user", "Why?", of.thread_ts, "U1"), Record("assistant", answer, of.thread_ts)
    await settle(store, of, of.thread_ts, *said)


async def test_lines_are_compressed(store: Store) -> None:
    await talk(store)
    lines = await store.redis.lrange(store.keys.record(thread()), 0, -1)
    assert len(lines[1]) < len(LONG) / 10
    assert [line.text for line in await store.conversations.history(thread())] == ["Why?", LONG]


@pytest.mark.parametrize("state", ["alive", "dead", "left"])
async def test_no_line_is_compressed_while_an_older_worker_may_read_it(
    store: Store, state: str
) -> None:
    old = "host.example:17:0a1b2c"
    await deliver(store, "1.0")
    await store.inbox.settle(await take_one(store, old))
    await store.workers.beat(old, 60 if state == "alive" else 0)
    await store.workers.beat("host.example:18:0a1b2d:z", 60)
    if state == "left":
        await store.workers.hand_over(old)
    writer = RecordWriter(store.connection, store.keys)
    [line] = await writer.encode([Record("assistant", LONG, "1.5")])
    assert ('"z"' in line) is (state == "left")


async def test_no_line_is_compressed_for_a_day_after_an_older_worker_was_seen(store: Store) -> None:
    """It was killed, and a deploy that is rolled back starts another one."""
    old = "host.example:17:0a1b2c"
    await deliver(store, "1.0")
    await store.inbox.settle(await take_one(store, old))
    await store.workers.beat(old, 60)
    record = Record("assistant", LONG, "1.5")
    for _ in range(2):
        [line] = await RecordWriter(store.connection, store.keys).encode([record])
        assert '"z"' not in line
        await store.workers.hand_over(old)
    assert await store.redis.ttl(store.keys.flag("older_worker")) > 86_000


async def test_no_line_is_compressed_on_the_day_of_an_upgrade(store: Store) -> None:
    """All older workers have left before the first new one came."""
    await store.workers.beat("host.example:18:0a1b2d:z", 60)
    await store.redis.hset(store.keys.pulse, "born", f"{time.time() - 7200:.6f}")
    record = Record("assistant", LONG, "1.5")
    for _ in range(2):
        [line] = await RecordWriter(store.connection, store.keys).encode([record])
        assert '"z"' not in line
    await store.redis.delete(store.keys.flag("older_worker"))
    [line] = await RecordWriter(store.connection, store.keys).encode([record])
    assert '"z"' in line


def test_a_plain_line_has_what_older_versions_need() -> None:
    for line in (
        encode_plain(Record("assistant", "", "")),
        encode_evicted(Record("user", LONG, "1.5", "U1")),
    ):
        assert {"role", "text", "ts"} <= json.loads(line).keys()


async def test_a_message_is_retracted_from_a_compressed_record(store: Store) -> None:
    said = [Record("user", LONG, "1.0", "U1"), Record("user", LONG + "2", "2.0", "U2")]
    await settle(store, thread(), "1.0", *said)
    await deliver(store, "3.0")
    await store.conversations.retract(await take_one(store), "1.0")
    assert await store.conversations.history(thread()) == said[1:]


async def test_a_person_is_removed_from_a_compressed_record(store: Store) -> None:
    said = [Record("user", LONG, "1.0", "U1"), Record("assistant", LONG, "1.0")]
    kept = [Record("user", LONG, "2.0", "U2"), Record("assistant", LONG, "2.0")]
    await settle(store, thread(), "1.0", *said, *kept)
    await deliver(store, "3.0")
    await store.conversations.forget_person(await take_one(store), "U1")
    assert await store.conversations.history(thread()) == kept


def texts_of_answers() -> Iterator[str]:
    """English Markdown with tables, lists and code, in pieces of 5,000 characters."""
    whole = "\n\n".join(path.read_text() for path in sorted(DOCS.glob("*.md")))
    return cycle([whole[at : at + 5_000] for at in range(0, len(whole) - 5_000, 5_000)])


async def test_a_turn_with_a_long_answer_leaves_two_kilobytes(store: Store) -> None:
    answers, turns = texts_of_answers(), 3
    threads = [thread(f"{number}.0") for number in range(1, 11)]
    for of in threads:
        for turn in range(turns):
            ts = f"{float(of.thread_ts) + turn / 10}"
            said = Record("user", "How do I do that? " * 8, ts, "U1")
            await settle(store, of, ts, said, Record("assistant", next(answers), ts))
    fresh = await store.space.bytes_per_turn()
    assert fresh < 3_500
    assert await store.space.squeeze(threads) == len(threads)
    assert await store.space.bytes_per_turn() < 2_000
    assert await store.space.squeeze(threads) == 0


async def test_conversations_in_the_record_alone_are_not_cut(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    await store.conversations.save(
        claim, Conversation("replay_1", "responses", thread(), "U1", 1.0)
    )
    plain = encode(Record("assistant", LONG, "1.0"))
    await store.inbox.settle(claim)
    await store.redis.rpush(store.keys.record(thread()), plain)
    assert await store.space.squeeze([thread()]) == 1
    assert [line.text for line in await store.conversations.history(thread())] == [LONG]


async def test_a_record_in_use_is_left_alone(store: Store) -> None:
    await talk(store)
    await deliver(store, "2.0")
    assert await store.space.evict([thread()]) == 0
    await store.inbox.settle(await take_one(store))
    assert await store.space.evict([thread()]) == 1
    assert await store.space.evict([thread()]) == 0
    [line] = await store.conversations.history(thread())
    assert (line.user_id, line.evicted) == ("U1", True)


async def test_records_become_small_once_their_conversations_rest(store: Store) -> None:
    threads = [thread(f"{number}.0") for number in range(1, 46)]
    noise = random_text()[:5_000]
    for of in threads:
        await talk(store, of=of, answer=noise)
    keeper = RecordKeeper(store, 0, never, EAGER)
    await keeper.look()
    short = shorten(Record("assistant", noise, "1.0")).text
    histories = await store.conversations.histories(threads)
    assert {lines[1].text for lines in histories} == {short}
    await talk(store, of=thread("99.0"), answer=noise)
    await keeper.look()
    [_, answer] = await store.conversations.history(thread("99.0"))
    assert answer.text == short


async def test_a_legal_hold_keeps_records_as_they_are(own_server: RedisServer) -> None:
    warnings: list[str] = []

    async def warn(text: str) -> None:
        warnings.append(text)

    async with open_clean_store(own_server.url) as store:
        noise = random_text()[:5_000]
        await talk(store, answer=noise)
        await store.hold.begin()
        used = (await store.redis.info("memory"))["used_memory"]
        await store.redis.config_set("maxmemory", int(used * 1.08))
        keeper = RecordKeeper(store, 0, warn, EAGER)
        await keeper.look()
        assert (await store.conversations.history(thread()))[1].text == noise
        assert len(warnings) == 1, "the admins are warned all the same"
        await store.hold.end()
        await keeper.look()
        history = await store.conversations.history(thread())
        assert [line.evicted for line in history] == [True]


async def never(text: str) -> None:
    raise AssertionError(text)


async def test_a_full_redis_gives_up_old_records_and_accepts_every_message(
    own_server: RedisServer,
) -> None:
    """Three times as much is written as there is room; the admins are warned once per level."""
    warnings: list[str] = []

    async def warn(text: str) -> None:
        warnings.append(text)

    async with open_clean_store(own_server.url) as store:
        await talk(store)  # loads the scripts
        used = (await store.redis.info("memory"))["used_memory"]
        limit = int(used * 1.25) + 1_000_000
        await store.redis.config_set("maxmemory", limit)
        keeper = RecordKeeper(store, 0, warn, replace(EAGER, rested=DAY))
        noise = random_text()
        for number in range(100, 200):
            await talk(store, of=thread(f"{number}.0"), answer=noise[number * 100 :][:19_000])
            if number % 5 == 0:
                await keeper.look()
        oldest, latest = await store.conversations.histories([thread("100.0"), thread("199.0")])
        assert [line.evicted for line in oldest] == [True]
        assert len(latest[1].text) == 19_000
        memory = await store.space.memory(0)
        assert memory is not None
        assert memory.ratio < 0.95
    assert 1 <= len(warnings) <= 2


def random_text() -> str:
    """Text that can hardly be compressed."""
    return random.Random(1).randbytes(40_000).hex()
