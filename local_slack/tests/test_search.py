"""assistant.search.context: the search of the workspace for apps."""

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from local_slack.local_slack import LocalSlack

SEARCH = "assistant.search.context"


async def test_a_token_of_an_event_allows_a_search(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    slack.workspace.searches = True
    await slack.user("alice").says("#random", "the launch is near")
    (token,) = slack.workspace.action_tokens
    found = await client.api_call(SEARCH, json={"query": "Launch", "action_token": token})
    (message,) = found["results"]["messages"]
    assert (message["channel_name"], message["content"]) == ("random", "the launch is near")


@pytest.mark.parametrize("searches", [True, False])
async def test_without_one_or_the_search_it_is_refused(
    slack: LocalSlack, client: AsyncWebClient, searches: bool
) -> None:
    slack.workspace.searches = searches
    error = "invalid_action_token" if searches else "feature_not_enabled"
    with pytest.raises(SlackApiError, match=error):
        await client.api_call(SEARCH, json={"query": "x", "action_token": "old"})
