"""Workspaces that are added while the first one runs."""

from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack, open_workspace
from local_slack.added import MOST, AddedWorkspaces
from local_slack.workspace.errors import SlackError

CALLBACK = "http://127.0.0.1:1/callback"
INSTALL = "http://127.0.0.1:1/install"


def added_to(slack: LocalSlack) -> AddedWorkspaces:
    return AddedWorkspaces(slack, CALLBACK, INSTALL, ["message.channels"])


async def install(slack: LocalSlack, added: AddedWorkspaces, team_id: str) -> AsyncWebClient:
    """Install the app as a person does; returns a client of the workspace."""
    query = {
        "client_id": added.distribution.client_id,
        "redirect_uri": CALLBACK,
        "scope": "chat:write,files:read",
        "team": team_id,
    }
    address = f"{slack.base_url}/oauth/v2/authorize"
    async with aiohttp.ClientSession() as session:
        async with session.get(address, params=query) as page:
            assert f"access to {added.find(team_id).workspace.team_name}" in await page.text()
        choice = query | {"choose": team_id}
        async with session.get(address, params=choice, allow_redirects=False) as answer:
            [code] = parse_qs(urlsplit(answer.headers["Location"]).query)["code"]
    client = AsyncWebClient(base_url=slack.api_url)
    own = {
        "client_id": added.distribution.client_id,
        "client_secret": added.distribution.client_secret,
    }
    exchange = own | {"code": code, "redirect_uri": CALLBACK}
    given = await client.api_call("oauth.v2.access", data=exchange)
    assert given["team"]["id"] == team_id
    return AsyncWebClient(token=given["access_token"], base_url=slack.api_url)


async def test_the_app_reaches_an_added_workspace_once_it_is_installed(slack: LocalSlack) -> None:
    async with added_to(slack) as added:
        acme = await added.add("Acme")
        assert [each["installed"] for each in added.listed()] == [True, False]
        await acme.user("alice").says("#general", "too early")
        assert list(acme.deliveries) == []
        client = await install(slack, added, acme.workspace.team_id)
        assert [each["installed"] for each in added.listed()] == [True, True]
        await acme.user("alice").says("#general", "hello", files={"a.txt": b"of Acme"})
        [delivery] = acme.deliveries
        assert delivery.payload["team_id"] == acme.workspace.team_id
        assert (await client.auth_test())["team"] == "Acme"

        url = delivery.payload["event"]["files"][0]["url_private"]
        assert url.startswith(slack.base_url)
        headers = {"Authorization": f"Bearer {client.token}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as file:
            assert await file.read() == b"of Acme"
        async with aiohttp.ClientSession() as session, session.get(url) as file:
            assert b"of Acme" not in await file.read()


async def test_added_workspaces_are_restored(slack: LocalSlack) -> None:
    async with added_to(slack) as added:
        acme = await added.add("Acme")
        client = await install(slack, added, acme.workspace.team_id)
        await acme.user("alice").says("#general", "hello")
        address, kept = acme.base_url, added.snapshot()
    async with open_workspace() as second, added_to(second) as added:
        await added.restore(kept)
        [_, listed] = added.listed()
        assert (listed["name"], listed["installed"]) == ("Acme", True)
        restored = added.find(listed["id"])
        assert restored.base_url == address
        assert [message.text for message in restored.messages("#general")] == ["hello"]
        client.base_url = second.api_url
        assert (await client.auth_test())["team"] == "Acme"
        with pytest.raises(ValueError, match="damaged"):
            await added.restore([{"port": 0}])


async def test_names_are_unique_and_workspaces_few(slack: LocalSlack) -> None:
    async with added_to(slack) as added:
        for name in ("", " ", "x" * 31, slack.workspace.team_name):
            with pytest.raises(SlackError, match="invalid_name"):
                await added.add(name)
        for number in range(MOST):
            await added.add(f"W{number}")
        with pytest.raises(SlackError, match="too_many_workspaces"):
            await added.add("one more")
