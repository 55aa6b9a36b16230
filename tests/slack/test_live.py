"""Answers that are shown while they are written: in the end Slack holds exactly the answer."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from bot.models import Answer, Card, Update
from bot.slack.answer.cards import ROOM, Cards
from bot.slack.answer.reply import METADATA_EVENT, Replies
from bot.slack.answer.stream import LIMIT
from bot.slack.markdown.render import render
from bot.slack.markdown.split import parts
from bot.store import Store
from tests.slack.answers import CHANNEL, HURRY, Harness, Wire, open_harness, show
from tests.slack.documents import answers
from tests.world import words

PROSE = "\n\n".join(f"Paragraph {n} has **bold** words and `code`." for n in range(12))
CODE = "Look:\n\n```python\n" + "\n".join(f"line_{n} = {n}" for n in range(60)) + "\n```\n\nDone."


def assert_complete(harness: Harness, answer: str) -> None:
    """Assert that the messages are the answer, part by part, each with its metadata."""
    text = render(answer)
    shown = harness.texts
    assert "".join(shown).split() == "".join(text).split() or len(shown) > 1
    if len(shown) == 1:
        assert shown == [part.text for part in parts(text)]
    payloads = [(message.metadata or {}).get("event_payload", {}) for message in harness.replies]
    assert [payload.get("part") for payload in payloads] == list(range(len(shown)))
    assert len({payload.get("turn") for payload in payloads}) == 1
    assert not any(m.stream and m.stream.state == "streaming" for m in harness.replies)
    kinds = [[block["type"] for block in message.blocks] for message in harness.replies]
    assert "context_actions" in kinds[-1]
    assert not any("context_actions" in some for some in kinds[:-1])


async def test_an_answer_is_streamed_and_ends_with_its_buttons(store: Store) -> None:
    async with open_harness(store) as harness:
        wire = Wire()
        await harness.answer(PROSE, wire, step=100)
        assert wire.calls[0] == "chat.startStream"
        assert "chat.appendStream" in wire.calls
        assert wire.calls[-1] == "chat.stopStream"
        assert_complete(harness, PROSE)
        start = next(call for call in harness.slack.calls if call.method == "chat.startStream")
        assert start.args["recipient_team_id"] == harness.slack.workspace.team_id
        assert start.args["recipient_user_id"] == harness.slack.user("alice").id


async def test_a_stream_is_for_the_person_s_own_team(store: Store) -> None:
    async with open_harness(store, user_team_id="T0OUTSIDE") as harness:
        await harness.answer(PROSE, Wire(), step=100)
        (start,) = [call for call in harness.slack.calls if call.method == "chat.startStream"]
        assert start.args["recipient_team_id"] == "T0OUTSIDE"
        assert_complete(harness, PROSE)


@pytest.mark.parametrize("text", [PROSE, CODE], ids=["prose", "code"])
@pytest.mark.parametrize("refused", ["", "unknown_method"], ids=["streamed", "edited"])
async def test_another_worker_finishes_the_message_of_a_worker_killed_at_any_request(
    store: Store, text: str, refused: str
) -> None:
    async with open_harness(store) as harness:
        wire = Wire()
        if refused:
            harness.slack.faults.refuse("chat.startStream", refused)
        await harness.answer(text, wire, step=150)
    assert len(wire.calls) > 3
    for kill_at in range(len(wire.calls)):
        for after in (False, True):
            async with open_harness(store) as harness:
                if refused:
                    harness.slack.faults.refuse("chat.startStream", refused, times=9)
                first = Wire(kill_at, after)
                await harness.answer(text, first, step=150)
                second = Wire()
                await harness.answer(text, second, step=150)
                assert len(harness.replies) == 1, (kill_at, after, first.calls, second.calls)
                assert_complete(harness, text)


async def test_a_lost_stream_is_recognized_among_other_messages_of_the_thread(store: Store) -> None:
    async with open_harness(store) as harness:
        slack = harness.slack
        thread: dict[str, Any] = {"channel": harness.thread.channel_id, "thread_ts": harness.root}
        bot = Wire().client(slack, harness.session)
        await harness.answer(PROSE, Wire(0, after=True), step=100)
        lost = harness.replies[0]
        await slack.user("bob").says(CHANNEL, "me too", thread_ts=harness.root)
        await bot.files_upload_v2(filename="chart.png", content=b"png", **thread)
        other_turn = {"event_type": METADATA_EVENT, "event_payload": {"turn": "t", "part": 0}}
        await bot.chat_postMessage(text="an answer", metadata=other_turn, **thread)
        alice = slack.user("alice").id
        await bot.chat_postEphemeral(text="There is nothing to stop.", user=alice, **thread)
        await harness.answer(PROSE, Wire(), step=100)
        marks = [(message.metadata or {}).get("event_payload") for message in harness.replies]
        assert harness.replies[0].ts == lost.ts
        assert words(harness.replies[0]) == render(PROSE)
        assert [mark and mark["part"] for mark in marks] == [0, None, 0]
        assert marks[2] == other_turn["event_payload"]


async def test_an_answer_is_complete_after_several_random_kills(store: Store) -> None:
    chance = random.Random(7)
    for number in range(12):
        async with open_harness(store) as harness:
            step = chance.randint(40, 300)
            for _ in range(chance.randint(1, 4)):
                wire = Wire(chance.randint(0, 6), chance.random() < 0.5)
                await harness.answer(PROSE, wire, step=step)
                if not wire.dead.is_set():
                    break
            else:
                await harness.answer(PROSE, Wire(), step=step)
            assert len(harness.replies) == 1, number
            assert_complete(harness, PROSE)


async def test_answers_of_models_are_streamed_verbatim(store: Store) -> None:
    texts = answers()
    chance = random.Random(1)
    for text in chance.sample(texts, min(25, len(texts))):
        async with open_harness(store) as harness:
            await harness.answer(text, Wire(), step=max(40, len(text) // 12))
            assert_complete(harness, text)


async def test_a_long_answer_rolls_over_and_its_fence_is_opened_again(store: Store) -> None:
    code = "```python\n" + "\n".join(f"value_{n} = {n}  # a line" for n in range(900)) + "\n```"
    async with open_harness(store) as harness:
        wire = Wire()
        await harness.answer(code, wire, step=1500)
        assert len(harness.replies) >= 2
        assert wire.calls.count("chat.startStream") >= 2
        assert_complete(harness, code)
        for text in harness.texts:
            assert text.startswith("```python\n")
            assert text.endswith("\n```")
            assert len(text) <= 11_500
        lines = [line for text in harness.texts for line in text.split("\n")[1:-1]]
        assert lines == code.split("\n")[1:-1]


async def test_an_old_stream_is_continued_in_a_new_message(store: Store) -> None:
    async with open_harness(store) as harness:
        harness.timing = replace(HURRY, stream_old=0.0)
        await harness.answer(PROSE, Wire(), step=120)
        assert len(harness.replies) > 1
        assert_complete(harness, PROSE)
        assert "\n\n".join(harness.texts).split() == PROSE.split()


def cards(harness: Harness) -> list[tuple[str, str]]:
    """Title and status of the cards, message by message."""
    blocks = [block for message in harness.replies for block in message.blocks]
    return [(b["title"], b["status"]) for b in blocks if b["type"] == "task_card"]


@pytest.mark.parametrize("kill_at", [1, 2, 3])
@pytest.mark.parametrize("step", [100, len(PROSE)], ids=["shows more", "only finishes"])
async def test_the_cards_stay_when_another_worker_finishes_the_message(
    store: Store, kill_at: int, step: int
) -> None:
    async with open_harness(store) as harness:
        await harness.answer(PROSE, Wire(kill_at), step=100)
        assert cards(harness) == [("Searching the web", "in_progress")]
        second = Wire()
        await harness.answer(PROSE, second, step=step)
        assert second.calls[-1] == "chat.update"
        assert cards(harness) == [("Searching the web", "complete")]
        assert_complete(harness, PROSE)


def test_the_titles_of_many_cards_leave_room_for_the_text() -> None:
    cards = Cards()
    steps = [Card(f"s{n}", f"Searching the web: {n} " + "x" * 200) for n in range(60)]
    sent = [card for n in range(60) for card in cards.chunks(steps[: n + 1])]
    assert len(sent) > 4
    titles = {card["id"]: card["title"] for card in sent + cards.close()}
    assert sum(map(len, titles.values())) <= ROOM
    assert LIMIT + ROOM <= 11_500
    assert all(len(title) <= 80 for title in titles.values())


async def test_cards_are_left_out_of_an_edit_if_slack_refuses_them(
    store: Store,
) -> None:
    async with open_harness(store) as harness:
        await harness.answer(PROSE, Wire(1), step=100)
        harness.slack.faults.refuse("chat.update", "invalid_blocks")
        await harness.answer(PROSE, Wire(), step=len(PROSE))
        assert cards(harness) == []
        assert_complete(harness, PROSE)


async def test_a_stream_is_ended_before_it_expires_even_if_the_model_is_silent(
    store: Store,
) -> None:
    assert max(HURRY.stream_old, HURRY.stream_too_old) < 240
    async with open_harness(store) as harness:
        wire = Wire()
        replies = Replies(
            wire.client(harness.slack, harness.session),
            store,
            bot_id=harness.slack.bot.bot_id or "",
            stream_channels=True,
            timing=replace(HURRY, stream_too_old=0.2),
        )
        turn = await harness.take()
        async with replies.open(turn, turn.claim.messages[-1]) as reply:
            await reply.show(Update("in_progress", PROSE[:200]))
            await harness.slack.wait_for(lambda: wire.calls[-1:] == ["chat.stopStream"])
            assert wire.calls[0] == "chat.startStream"
            (first,) = harness.texts
            assert PROSE.startswith(first.rstrip())
            await reply.finish(Answer(PROSE, run_id="resp_1"))
        assert len(harness.replies) == 2
        assert_complete(harness, PROSE)
        assert harness.texts[0] == first


@pytest.mark.parametrize("state", ["expired", "stopped_by_user"])
async def test_a_stream_that_slack_has_ended_is_finished_by_editing(
    store: Store, state: str
) -> None:
    code = {"expired": "message_not_in_streaming_state"}.get(state, state)
    async with open_harness(store) as harness:
        harness.slack.faults.refuse("chat.appendStream", code)
        wire = Wire()
        await harness.answer(PROSE, wire, step=150)
        assert len(harness.replies) == 1
        assert wire.calls[-1] == "chat.update"
        assert cards(harness) == [("Searching the web", "complete")]
        assert_complete(harness, PROSE)


@pytest.mark.parametrize(
    "method", ["chat.startStream", "chat.appendStream", "chat.stopStream", "chat.update"]
)
@pytest.mark.parametrize("kind", ["lost answer", "lost call", "429", "500", "refused"])
async def test_an_answer_is_complete_and_posted_once_after_any_failed_call(
    store: Store, method: str, kind: str
) -> None:
    async with open_harness(store) as harness:
        faults = harness.slack.faults
        if kind == "429":
            faults.rate_limit(method, retry_after=1)
        elif kind == "500":
            faults.server_error(method)
        elif kind == "refused":
            faults.refuse(method, "some_error")
        else:
            faults.drop(method, after_effect=kind == "lost answer")
        if method == "chat.update":
            faults.refuse("chat.startStream", "feature_not_enabled", times=9)
        await harness.answer(PROSE, Wire(), step=150)
        assert len(harness.replies) == 1
        assert_complete(harness, PROSE)


async def test_without_streaming_it_is_one_post(store: Store) -> None:
    async with open_harness(store) as harness:
        wire = Wire()
        await harness.answer(PROSE, wire, step=100, streaming=False)
        assert wire.calls == ["chat.postMessage"]
        assert_complete(harness, PROSE)


THOUGHT = "<think>\nThe user wants the sum of <!channel>.\n</think>\n\n"


@pytest.mark.parametrize("way", ["posted", "edited", "streamed"])
async def test_reasoning_is_a_collapsed_step_if_configured(store: Store, way: str) -> None:
    async with open_harness(store) as harness:
        if way == "edited":
            harness.slack.faults.refuse("chat.startStream", "unknown_method", times=9)
        turn = await harness.take()
        wire, bot_id = Wire(), harness.slack.bot.bot_id or ""
        client = wire.client(harness.slack, harness.session)
        replies = Replies(
            client,
            store,
            bot_id=bot_id,
            live=way != "posted",
            reasoning=True,
            stream_channels=True,
            timing=HURRY,
        )
        text = f"{THOUGHT}The answer is 4. It is not 5."
        async with replies.open(turn, turn.claim.messages[-1]) as reply:
            if way != "posted":
                for end in (20, len(THOUGHT) + 20):
                    await show(reply, text[:end], wire)
            await reply.finish(Answer(text, run_id="resp_1"))
        (message,) = harness.replies
    (card,) = [block for block in message.blocks if block.get("task_id") == "reasoning"]
    assert card["status"] == "complete"
    assert "wants the sum of ‹!channel›" in json.dumps(card["details"], ensure_ascii=False)
    assert words(message) == "The answer is 4. It is not 5."
    assert "sum" not in message.text


async def test_reasoning_is_left_out_by_default(store: Store) -> None:
    async with open_harness(store) as harness:
        await harness.answer(f"{THOUGHT}The answer is 4.", Wire(), step=7)
        assert "sum" not in json.dumps(harness.replies[0].blocks)
