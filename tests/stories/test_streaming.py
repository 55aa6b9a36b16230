"""Answers that people watch while they are written, and what becomes of them when things break."""

from pathlib import Path

import pytest

from bot.playground.model import Message
from tests.fakes.openai import slow
from tests.stories.town import Town, open_town, wait_until, words

LONG = "\n\n".join(f"Paragraph {n} says **something** of its own." for n in range(40))


def methods(town: Town, prefix: str = "chat.") -> list[str]:
    """The Slack methods that were called, those of messages only."""
    return [call.method for call in town.slack.calls if call.method.startswith(prefix)]


def texts(messages: list[Message]) -> list[str]:
    return [words(message) for message in messages]


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_longer_answer_grows_in_one_stream(
    engine: str, redis_url: str, tmp_path: Path
) -> None:
    async with open_town(redis_url, tmp_path, engine=engine) as town:
        town.fake.answer = [slow(LONG, 3)]
        root = await town.slack.user("alice").says("#general", "@bot tell me")
        seen: set[int] = set()

        async def grows() -> bool:
            seen.update(len(text) for text in texts(town.slack.replies("#general", root)))
            return len(seen) > 2

        await wait_until(grows)
        assert await town.replies("#general", root) == [LONG]
        assert methods(town)[0] == "chat.startStream"
        assert methods(town)[-1] == "chat.stopStream"
        assert "chat.postMessage" not in methods(town)
        (message,) = town.slack.replies("#general", root)
        assert message.metadata is not None
        assert message.metadata["event_payload"]["part"] == 0


async def test_a_quick_answer_is_one_post(town: Town) -> None:
    root = await town.ask("#general", "@bot hi")
    await town.rests("#general", root)
    assert methods(town) == ["chat.postMessage"]
