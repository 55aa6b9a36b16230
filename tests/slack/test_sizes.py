"""Answers that Slack refuses for their size arrive completely and formatted in smaller messages."""

import asyncio
import re

import pytest

from bot.models import Answer
from bot.slack.answer.lazy_event import Stop
from bot.slack.answer.pages import SMALLEST
from bot.slack.answer.reply import Replies
from bot.store import Store
from tests.slack.answers import HURRY, Harness, Wire, open_harness, show

POINTS = "\n\n".join(f"## Point {n}\n\nWord{n} is **bold** and `code{n}`." for n in range(120))
PROSE = " ".join(f"word{n}" for n in range(3_000))
CODE = "```python\n" + "\n".join(f"line_{n} = {n}" for n in range(800)) + "\n```"
TABLE = "| a | b |\n|---|---|\n" + "\n".join(f"| r{n} | v{n} |" for n in range(600))
TEXTS = {"points": POINTS, "prose": PROSE, "code": CODE, "table": TABLE}


def missing(harness: Harness, text: str) -> list[str]:
    """The words of the answer that are not in Slack, in order."""
    shown = "\n".join(harness.texts)
    return [word for word in re.findall(r"\w{2,}", text) if word not in shown]


def is_formatted(harness: Harness) -> bool:
    """Whether every message is a markdown block: nothing was sent as raw text."""
    return all(any(b["type"] == "markdown" for b in m.blocks) for m in harness.replies)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("way", ["posted", "streamed", "edited"])
@pytest.mark.parametrize("longest", [3_900, 900])
async def test_a_part_that_is_too_long_is_sent_in_smaller_pieces(
    store: Store, name: str, way: str, longest: int
) -> None:
    text = TEXTS[name]
    async with open_harness(store) as harness:
        harness.slack.workspace.bounds.longest_markdown = longest
        if way == "edited":
            harness.slack.faults.refuse("chat.startStream", "unknown_method", times=9)
        await harness.answer(text, Wire(), step=2_000, streaming=way != "posted")
        assert missing(harness, text) == []
        assert is_formatted(harness)
        assert len(harness.replies) > 1


@pytest.mark.parametrize("way", ["posted", "streamed", "edited"])
async def test_an_answer_of_more_than_fifty_blocks_is_sent_in_several_messages(
    store: Store, way: str
) -> None:
    async with open_harness(store) as harness:
        harness.slack.workspace.bounds.expands = True
        if way == "edited":
            harness.slack.faults.refuse("chat.startStream", "unknown_method", times=9)
        await harness.answer(POINTS, Wire(), step=500, streaming=way != "posted")
        assert missing(harness, POINTS) == []
        assert is_formatted(harness)


async def test_killed_at_any_request_the_same_smaller_pieces_are_finished(store: Store) -> None:
    text = PROSE[:1_600]

    async def answer(wire: Wire) -> Harness:
        harness.slack.workspace.bounds.longest_markdown = 900
        await harness.answer(text, wire, step=9_999, streaming=False)
        return harness

    async with open_harness(store) as harness:
        whole = Wire()
        await answer(whole)
        expected = harness.texts
    for kill_at in range(len(whole.calls)):
        for after in (False, True):
            async with open_harness(store) as harness:
                await answer(Wire(kill_at, after))
                await answer(Wire())
                assert harness.texts == expected, (kill_at, after)


async def test_text_that_slack_refuses_at_any_size_is_sent_as_plain_text(store: Store) -> None:
    async with open_harness(store) as harness:
        harness.slack.workspace.bounds.longest_markdown = SMALLEST // 10
        await harness.answer("A **bold** word.", Wire(), step=99, streaming=False)
        assert [message.text for message in harness.replies] == ["A bold word."]


async def test_a_stop_between_two_parts_ends_the_posting(store: Store) -> None:
    async with open_harness(store) as harness:
        harness.slack.workspace.bounds.longest_markdown = 900
        turn = await harness.take()
        stop = Stop()
        client = Wire().client(harness.slack, harness.session)
        replies = Replies(
            client, store, bot_id=harness.slack.bot.bot_id or "", live=False, timing=HURRY
        )
        async with replies.open(turn, turn.claim.messages[-1], stop) as reply:
            posting = asyncio.create_task(reply.finish(Answer(PROSE, run_id="resp_1")))
            await harness.slack.wait_for(lambda: len(harness.replies) >= 2)
            stop.set()
            done = await posting
        assert len(done) == len(harness.replies) < 6
        again = await harness.take()
        async with replies.open(again, again.claim.messages[-1]) as reply:
            assert await reply.finish(Answer(PROSE, run_id="resp_1")) == done


@pytest.mark.parametrize("way", ["streamed", "edited"])
async def test_an_answer_has_at_most_the_allowed_messages(store: Store, way: str) -> None:
    wire = Wire()
    async with open_harness(store) as harness:
        if way == "edited":
            harness.slack.faults.refuse("chat.startStream", "unknown_method", times=9)
        turn = await harness.take()
        client = wire.client(harness.slack, harness.session)
        bot_id = harness.slack.bot.bot_id or ""
        replies = Replies(
            client, store, bot_id=bot_id, messages=2, stream_channels=True, timing=HURRY
        )
        async with replies.open(turn, turn.claim.messages[-1]) as reply:
            for end in (1_000, 2_000, 4_000):
                await show(reply, POINTS[:end], wire)
            assert len(harness.replies) == 2
            await reply.finish(Answer(POINTS[:2_500], run_id="resp_1"))
        assert missing(harness, POINTS[:2_500]) == []
        assert "chat.delete" not in wire.calls
