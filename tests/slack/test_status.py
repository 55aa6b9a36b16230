"""The status line and the session of an answer: set at once, kept alive, cleared at the end."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.models import Answer, Thread
from bot.slack.answer import status
from bot.slack.answer.reply import Replies
from bot.store import Store
from bot.texts.status import THINKING
from bot.timing import AnswerTiming
from local_slack.workspace.changes import Change
from tests.slack.answers import CHANNEL, Harness, Wire, open_harness


def calls(harness: Harness, method: str) -> list[str]:
    """The statuses in the calls of a method."""
    return [call.args["status"] for call in harness.slack.calls if call.method == method]


def around(harness: Harness) -> tuple[str, str]:
    """The status line, and the state of the session."""
    agent = harness.slack.agent_thread(CHANNEL, harness.root)
    return agent.status, agent.session.status if agent.session else ""


async def reply_after(
    harness: Harness, until: Callable[[], bool], answer: str, **timing: Any
) -> None:
    """Answer once a condition holds; "" for a turn that fails without an answer."""
    turn = await harness.take()
    client = Wire().client(harness.slack, harness.session)
    replies = Replies(client, harness.store, live=False, timing=AnswerTiming(**timing))
    async with replies.open(turn, turn.claim.messages[-1]) as reply:
        await harness.slack.wait_for(until)
        if not answer:
            raise ValueError("a turn that breaks")
        await reply.finish(Answer(answer))


async def test_the_status_is_shown_until_the_answer(store: Store) -> None:
    async with open_harness(store) as harness:
        seen: list[tuple[str, int]] = []

        def look(_: Change) -> None:
            seen.append((around(harness)[0], len(harness.replies)))

        stop = harness.slack.workspace.changes.observe(look)
        await reply_after(harness, lambda: around(harness)[0] == THINKING, "here I am")
        stop()
        assert seen[0] == (THINKING, 0)
        assert seen[-1] == ("", 1)


async def test_the_status_is_set_again_before_it_lapses(store: Store) -> None:
    assert AnswerTiming().status_refresh < 120
    async with open_harness(store) as harness:
        method = "assistant.threads.setStatus"
        await reply_after(
            harness, lambda: len(calls(harness, method)) > 4, "here I am", status_refresh=0.05
        )
        assert set(calls(harness, method)[:5]) == {THINKING}
        assert around(harness)[0] == ""


async def test_a_status_set_after_an_unconfirmed_answer_is_cleared(
    store: Store,
) -> None:
    async with open_harness(store) as harness:
        harness.slack.faults.drop("chat.postMessage", after_effect=True)
        await reply_after(
            harness, lambda: around(harness)[0] == THINKING, "here I am", status_refresh=0.05
        )
        assert harness.texts == ["here I am"]
        assert around(harness)[0] == ""


async def test_a_failed_turn_leaves_no_status_and_no_session(store: Store) -> None:
    async with open_harness(store) as harness:
        with pytest.raises(ValueError, match="breaks"):
            await reply_after(
                harness, lambda: around(harness) == (THINKING, "processing"), "", session_after=0.0
            )
        assert around(harness) == ("", "active")


async def test_a_session_is_processing_until_the_answer(store: Store) -> None:
    async with open_harness(store) as harness:
        method = "agents.sessions.setStatus"
        await reply_after(
            harness, lambda: bool(calls(harness, method)), "here I am", session_after=0.0
        )
        assert calls(harness, method) == ["processing", "active"]
        assert around(harness) == ("", "active")


async def test_the_status_text_is_not_set_once_slack_shows_its_session_row(store: Store) -> None:
    async with open_harness(store) as harness:
        method = "agents.sessions.setStatus"
        await reply_after(
            harness,
            lambda: len(calls(harness, method)) > 3,
            "here I am",
            session_after=0.0,
            session_refresh=0.0,
            status_refresh=0.02,
        )
        written = [call.method for call in harness.slack.calls if call.method.endswith("setStatus")]
        first = written.index(method)
        assert set(written[:first]) == {"assistant.threads.setStatus"}
        assert set(written[first : first + 3]) == {method}
        assert around(harness) == ("", "active")


@pytest.mark.parametrize(
    ("code", "elsewhere"), [("not_authorized", False), ("feature_disabled", True)]
)
def test_a_refusal_applies_to_the_channel_or_the_workspace(code: str, elsewhere: bool) -> None:
    refused = status.PermanentRefusals()
    refused.note("session", code, Thread("T1", "C1", "1.0"))
    assert refused.knows("session", Thread("T1", "C1", "2.0"))
    assert refused.knows("session", Thread("T1", "C2", "1.0")) == elsewhere
    assert not refused.knows("session", Thread("T2", "C9", "1.0"))


async def test_a_slack_without_sessions_is_asked_once_and_answers_work(
    store: Store,
) -> None:
    async with open_harness(store) as harness:
        method = "agents.sessions.setStatus"
        harness.slack.faults.refuse(method, "unknown_method")
        await reply_after(
            harness, lambda: bool(calls(harness, method)), "here I am", session_after=0.0
        )
        assert harness.texts == ["here I am"]
        assert calls(harness, method) == ["processing"]


async def test_a_turn_that_redis_lost_ends_the_session_that_its_worker_left(store: Store) -> None:
    """Also where only the session can be set: the status line needs another scope."""
    async with open_harness(store) as harness:
        harness.slack.faults.refuse("assistant.threads.setStatus", "missing_scope", times=9)
        turn = await harness.take()
        turn.claim = replace(turn.claim, restored_at=turn.claim.taken_at)
        client = Wire().client(harness.slack, harness.session)
        await client.agents_sessions_setStatus(
            channel_id=harness.thread.channel_id, thread_ts=harness.root, status="processing"
        )
        replies = Replies(client, harness.store, live=False)
        async with replies.open(turn, turn.claim.messages[-1]) as reply:
            await reply.finish(Answer("here I am"))
        assert around(harness) == ("", "active")
