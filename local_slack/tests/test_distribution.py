"""Several workspaces with one app: agreement, codes, tokens, removal."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest

from local_slack.distribution import Distribution, open_distribution

CALLBACK = "http://app.test/callback"


@pytest.fixture
async def distribution() -> AsyncIterator[Distribution]:
    async with open_distribution(
        ("T1", "T2"), organizations=("E1",), redirect_uris=[CALLBACK], rotation=True
    ) as distribution:
        yield distribution


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def call(
    http: aiohttp.ClientSession, at: Distribution, method: str, token: str = "", **form: str
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.post(f"{at.api_url}{method}", data=form, headers=headers) as response:
        found: dict[str, Any] = await response.json()
        return found


async def exchange(http: aiohttp.ClientSession, at: Distribution, **grant: str) -> dict[str, Any]:
    secret = {"client_id": at.client_id, "client_secret": at.client_secret}
    return await call(http, at, "oauth.v2.access", **(secret | grant))


@pytest.mark.parametrize(
    ("changed", "error"),
    [({"client_id": "9.9"}, "invalid_client_id"), ({"redirect_uri": "x"}, "bad_redirect_uri")],
)
async def test_the_page_refuses_foreign_apps_and_addresses(
    distribution: Distribution, http: aiohttp.ClientSession, changed: dict[str, str], error: str
) -> None:
    query = {"client_id": distribution.client_id, "redirect_uri": CALLBACK} | changed
    address = f"{distribution.base_url}/oauth/v2/authorize?{urlencode(query)}"
    async with http.get(address) as response:
        assert (response.status, await response.text()) == (400, error)


async def test_a_code_is_exchanged_once_for_a_token_of_its_workspace(
    distribution: Distribution, http: aiohttp.ClientSession
) -> None:
    query = {"client_id": distribution.client_id, "redirect_uri": CALLBACK, "state": "s"}
    address = f"{distribution.base_url}/oauth/v2/authorize?{urlencode(query | {'team': 'T2'})}"
    async with http.get(address, allow_redirects=False) as response:
        given = parse_qs(urlsplit(response.headers["Location"]).query)
    assert given["state"] == ["s"]
    code = given["code"][0]
    assert (await exchange(http, distribution, code=code, redirect_uri="x"))["error"]
    code = distribution.agree("T2", CALLBACK)
    answer = await exchange(http, distribution, code=code, redirect_uri=CALLBACK)
    assert answer["team"]["id"] == "T2"
    identity = await call(http, distribution, "auth.test", answer["access_token"])
    assert identity["team_id"] == "T2"
    again = await exchange(http, distribution, code=code, redirect_uri=CALLBACK)
    assert again["error"] == "invalid_code"


async def test_a_refresh_token_works_once(
    distribution: Distribution, http: aiohttp.ClientSession
) -> None:
    refresh_token = distribution.issue("T1")["refresh_token"]
    grant = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    assert (await exchange(http, distribution, **grant))["ok"]
    assert (await exchange(http, distribution, **grant))["error"] == "invalid_refresh_token"


async def test_tokens_end_with_their_time_and_with_the_removal(
    distribution: Distribution, http: aiohttp.ClientSession
) -> None:
    token, other = (distribution.issue(team)["access_token"] for team in ("T1", "T2"))
    distribution.tokens[token].expires_at = 1.0
    assert (await call(http, distribution, "auth.test", token))["error"] == "token_expired"
    distribution.uninstall("T2")
    assert (await call(http, distribution, "auth.test", other))["error"] == "account_inactive"
    assert (await call(http, distribution, "auth.test", "xoxb-?"))["error"] == "invalid_auth"


async def test_the_token_of_an_organization_lists_one_workspace_at_a_time(
    distribution: Distribution, http: aiohttp.ClientSession
) -> None:
    token = distribution.issue("E1")["access_token"]
    identity = await call(http, distribution, "auth.test", token)
    assert identity["is_enterprise_install"]
    listed = await call(http, distribution, "users.list", token)
    assert listed["error"] == "missing_argument"
    assert (await call(http, distribution, "users.list", token, team_id="TE1"))["ok"]
