"""Slack's rate limits, with more concurrent answers than they allow to stream."""

import asyncio
from collections import Counter
from pathlib import Path

from bot.timing import Timing
from tests.fakes.openai import Answer, slow
from tests.world import open_world, words

TIERS = {
    "chat.startStream": 20,
    "chat.stopStream": 20,
    "chat.appendStream": 100,
    "chat.update": 50,
    "agents.sessions.setStatus": 50,
}
"""Calls a minute: https://docs.slack.dev/apis/web-api/rate-limits"""
ANSWERS = 60
PATIENCE = 90.0


async def test_sixty_concurrent_answers_stay_within_slacks_rate_limits(
    redis_url: str, tmp_path: Path
) -> None:
    """The local Slack enforces the limits; no call is refused, and no answer is missing."""
    async with open_world(redis_url, tmp_path, timing=Timing()) as world:
        slack = world.slack
        slack.rates.enabled = True
        text = "\n\n".join(f"Paragraph {n} of an answer." for n in range(40))
        world.fake.answer = lambda _: slow(Answer(text, piece=200), 4)
        alice = slack.user("alice")
        channels = [slack.add_channel(f"c{n}", ["alice"]).id for n in range(ANSWERS)]
        roots = await asyncio.gather(*(alice.says(c, "@bot tell me") for c in channels))
        pairs = list(zip(channels, roots, strict=True))
        for channel, root in pairs:
            await slack.wait_for(lambda c=channel, r=root: slack.replies(c, r), PATIENCE)  # type: ignore[misc]
        for channel, root in pairs:
            await world.rests(channel, root)
            (message,) = slack.replies(channel, root)
            assert words(message) == text
        assert [call for call in slack.calls if call.status == 429] == []
        counts = Counter(call.method for call in slack.calls)
        for method, most in TIERS.items():
            assert counts[method] <= most, counts
        assert counts["chat.startStream"] >= 4
        assert counts["chat.startStream"] + counts["chat.postMessage"] == ANSWERS
