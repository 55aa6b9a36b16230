"""Slack's rates are those of a workspace, also where an organization installed the bot."""

import pytest

from bot.models import Thread
from bot.slack.answer.rate_limits import STARTS, RateLimits
from bot.store import Store


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (("E1", "T1"), ("E1", "T2"), False),
        (("E1", "T1"), ("E1", "T1"), True),
        (("E1", ""), ("E1", ""), True),
        (("T1", "T8"), ("T1", "T9"), True),  # guests of a shared channel use its workspace's
        (("T1", ""), ("T2", ""), False),
    ],
)
async def test_the_rates_of_a_workspace(
    store: Store, first: tuple[str, str], second: tuple[str, str], shared: bool
) -> None:
    def limits(of: tuple[str, str]) -> RateLimits:
        return RateLimits(store.pace, Thread(of[0], "C1", "1.0"), workspace=of[1])

    granted = [await limits(first).grant(STARTS) for _ in range(STARTS.burst + 1)]
    assert granted == [True] * STARTS.burst + [False]
    assert await limits(second).grant(STARTS) is not shared
