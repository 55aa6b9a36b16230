"""The status line and the session of an answer: set at once, kept alive, cleared at the end."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.models import Answer, Thread
from bot.slack.answer import status
from bot.slack.answer.reply import Replies
from bot.store import Store
from bot.texts.status import THINKING
from bot.timing import AnswerTiming
from local_slack.workspace.changes import Change
from tests.slack.answers import CHANNEL, Scene, Wire, open_scene


def calls(scene: Scene, method: str) -> list[str]:
    """The statuses in the calls of a method."""
    return [call.args["status"] for call in scene.slack.calls if call.method == method]


def around(scene: Scene) -> tuple[str, str]:
    """The status line, and the state of the session."""
    agent = scene.slack.agent_thread(CHANNEL, scene.root)
    return agent.status, agent.session.status if agent.session else ""


async def reply_after(scene: Scene, until: Callable[[], bool], answer: str, **timing: Any) -> None:
    """Answer once a condition holds; "" for a turn that fails without an answer."""
    turn = await scene.take()
    client = Wire().client(scene.slack, scene.session)
    replies = Replies(client, scene.store, live=False, timing=AnswerTiming(**timing))
    async with replies.open(turn, turn.claim.messages[-1]) as reply:
        await scene.slack.wait_for(until)
        if not answer:
            raise ValueError("a turn that breaks")
        await reply.finish(Answer(answer))


async def test_the_status_is_shown_until_the_answer(store: Store) -> None:
    async with open_scene(store) as scene:
        seen: list[tuple[str, int]] = []

        def look(_: Change) -> None:
            seen.append((around(scene)[0], len(scene.replies)))

        stop = scene.slack.workspace.changes.observe(look)
        await reply_after(scene, lambda: around(scene)[0] == THINKING, "here I am")
        stop()
        assert seen[0] == (THINKING, 0)
        assert seen[-1] == ("", 1)


async def test_the_status_is_set_again_before_it_lapses(store: Store) -> None:
    assert AnswerTiming().status_refresh < 120
    async with open_scene(store) as scene:
        method = "assistant.threads.setStatus"
        await reply_after(
            scene, lambda: len(calls(scene, method)) > 4, "here I am", status_refresh=0.05
        )
        assert set(calls(scene, method)[:5]) == {THINKING}
        assert around(scene)[0] == ""


async def test_a_status_set_after_an_unconfirmed_answer_is_cleared(
    store: Store,
) -> None:
    async with open_scene(store) as scene:
        scene.slack.faults.drop("chat.postMessage", after_effect=True)
        await reply_after(
            scene, lambda: around(scene)[0] == THINKING, "here I am", status_refresh=0.05
        )
        assert scene.texts == ["here I am"]
        assert around(scene)[0] == ""


async def test_a_failed_turn_leaves_no_status_and_no_session(store: Store) -> None:
    async with open_scene(store) as scene:
        with pytest.raises(ValueError, match="breaks"):
            await reply_after(
                scene, lambda: around(scene) == (THINKING, "processing"), "", session_after=0.0
            )
        assert around(scene) == ("", "active")


async def test_a_session_is_processing_until_the_answer(store: Store) -> None:
    async with open_scene(store) as scene:
        method = "agents.sessions.setStatus"
        await reply_after(scene, lambda: bool(calls(scene, method)), "here I am", session_after=0.0)
        assert calls(scene, method) == ["processing", "active"]
        assert around(scene) == ("", "active")


async def test_the_status_text_is_not_set_once_slack_shows_its_session_row(store: Store) -> None:
    async with open_scene(store) as scene:
        method = "agents.sessions.setStatus"
        await reply_after(
            scene,
            lambda: len(calls(scene, method)) > 3,
            "here I am",
            session_after=0.0,
            session_refresh=0.0,
            status_refresh=0.02,
        )
        written = [call.method for call in scene.slack.calls if call.method.endswith("setStatus")]
        first = written.index(method)
        assert set(written[:first]) == {"assistant.threads.setStatus"}
        assert set(written[first : first + 3]) == {method}
        assert around(scene) == ("", "active")


@pytest.mark.parametrize(
    ("code", "elsewhere"), [("not_authorized", False), ("feature_disabled", True)]
)
def test_a_refusal_applies_to_the_channel_or_the_workspace(code: str, elsewhere: bool) -> None:
    refused = status.Refused()
    refused.note("session", code, Thread("T1", "C1", "1.0"))
    assert refused.knows("session", Thread("T1", "C1", "2.0"))
    assert refused.knows("session", Thread("T1", "C2", "1.0")) == elsewhere
    assert not refused.knows("session", Thread("T2", "C9", "1.0"))


async def test_a_slack_without_sessions_is_asked_once_and_answers_work(
    store: Store,
) -> None:
    async with open_scene(store) as scene:
        method = "agents.sessions.setStatus"
        scene.slack.faults.refuse(method, "unknown_method")
        await reply_after(scene, lambda: bool(calls(scene, method)), "here I am", session_after=0.0)
        assert scene.texts == ["here I am"]
        assert calls(scene, method) == ["processing"]
