"""Which channels a person can see, with the token of an organization."""

from typing import Any, cast

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.models import Conversation, Thread
from bot.slack.channels import Channels
from bot.slack.people import People

MEMBER = {
    "id": "W1",
    "name": "ann",
    "team_id": "T1",
    "enterprise_user": {"enterprise_id": "E1", "teams": ["T1", "T2"]},
}


class Organization:
    """The three methods that are asked; the person has joined C1 in T1 and C2 in T2."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.asked: list[str | None] = []

    async def users_info(self, user: str) -> dict[str, Any]:
        return {"user": MEMBER}

    async def users_conversations(self, team_id: str | None, **_: Any) -> dict[str, Any]:
        self.asked.append(team_id)
        return {"channels": [{"id": f"C{(team_id or '')[1:]}"}]}

    async def conversations_info(self, channel: str) -> dict[str, Any]:
        return {"channel": self.facts}


def channels(slack: Organization, *, is_org: bool = True) -> Channels:
    client = cast(AsyncWebClient, slack)
    return Channels(client, People(client, home="E1"), is_org=is_org)


async def test_the_channels_of_all_workspaces_of_a_person_are_listed() -> None:
    slack = Organization({"is_private": True})
    found = channels(slack)
    assert [await found.can_see("W1", each) for each in ("C1", "C2", "C3")] == [True, True, False]
    assert slack.asked == ["T1", "T2"]


@pytest.mark.parametrize(
    ("facts", "visible"),
    [
        ({"context_team_id": "T2"}, True),
        ({"context_team_id": "T9"}, False),
        ({"context_team_id": "T9", "shared_team_ids": ["T9", "T1"]}, True),
        ({"context_team_id": "T9", "shared_team_ids": ["E1"]}, True),
        ({"context_team_id": "T2", "is_private": True}, False),
    ],
)
async def test_a_public_channel_is_seen_in_the_workspaces_that_have_it(
    facts: dict[str, Any], visible: bool
) -> None:
    assert await channels(Organization({"id": "C9"} | facts)).can_see("W1", "C9") is visible


async def test_a_workspaces_own_token_lists_without_naming_it() -> None:
    slack = Organization({"id": "C9"})
    assert await channels(slack, is_org=False).can_see("W1", "C9")
    assert slack.asked == [None]


async def test_a_membership_is_not_taken_from_the_cache_when_it_counts() -> None:
    slack = Organization({"is_private": True})
    found = channels(slack)
    conversation = Conversation("conv_1", "responses", Thread("E1", "C1", "1.0"), "W1", 1.0)
    assert await found.visible("W1", [conversation]) == [conversation]
    slack.users_conversations = nothing  # type: ignore[method-assign]
    assert await found.visible("W1", [conversation]) == [conversation]
    assert await found.visible("W1", [conversation], now=True) == []


async def nothing(team_id: str | None, **_: Any) -> dict[str, Any]:
    return {"channels": []}
