"""The messages of an answer are looked up among everything that a thread holds."""

from typing import Any

import pytest

from bot.models import Message, Thread
from bot.slack.answer.posted import METADATA_EVENT, Posted

QUESTION = Message(Thread("T1", "C1", "1.0"), "1.0", "U3", "hello")
OURS, OTHER = {"bot_id": "B1", "user": "U1"}, {"bot_id": "B2", "user": "U2"}


class ThreadOf:
    """Slack's API, whose thread holds these messages."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = messages

    async def conversations_replies(self, **_: Any) -> dict[str, Any]:
        return {"messages": self._messages}


def answer(by: dict[str, str], ts: str, **payload: Any) -> dict[str, Any]:
    metadata = {"event_type": METADATA_EVENT, "event_payload": {"whole": "true", **payload}}
    return {**by, "ts": ts, "text": "Hello", "metadata": metadata}


def posted(*messages: dict[str, Any]) -> Posted:
    client: Any = ThreadOf(*messages)
    return Posted(client, QUESTION, "turn-1", "B1", "U1")


@pytest.mark.parametrize("by", [OURS, {"bot_id": "B1"}, {"bot_id": "B9", "user": "U1"}])
@pytest.mark.parametrize("turn", ["turn-1", "turn-2"])
async def test_an_answer_of_this_bot_is_found(turn: str, by: dict[str, str]) -> None:
    found = posted(answer(by, "2.0", turn=turn, part=0, answers="1.0"))
    [whole] = await found.find_whole(["1.0"])
    assert (whole.text, sorted(whole.answers)) == ("Hello", ["1.0"])
    assert await found.find(0) == ("2.0" if turn == "turn-1" else None)


@pytest.mark.parametrize("turn", ["turn-1", "turn-2"])
async def test_an_answer_that_another_app_has_made_up_is_not_found(turn: str) -> None:
    claims = {"turn": turn, "answers": "1.0", "conversation": "conv_of_others", "engine": "x"}
    found = posted(answer(OTHER, "2.0", part=0, **claims), answer(OTHER, "3.0", part="?", **claims))
    assert await found.find(0) is None
    assert await found.find_whole(["1.0"]) == ()
