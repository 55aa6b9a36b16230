"""The Web API in general: encodings, tokens, scopes, faults, rates, the log of calls."""

from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack, open_workspace
from local_slack.api.methods import METHODS
from local_slack.tests.bolt import make_client
from local_slack.tests.refusals import refused


@pytest.mark.parametrize("encoding", ["params", "data", "json"])
async def test_arguments_come_in_every_encoding(
    slack: LocalSlack, client: AsyncWebClient, encoding: str
) -> None:
    arguments: dict[str, Any] = {
        "channel": slack.channel("#general").id,
        "text": "x",
        "metadata": {"event_type": "a", "event_payload": {"b": 1}},
    }
    if encoding != "json":
        arguments["metadata"] = '{"event_type": "a", "event_payload": {"b": 1}}'
    encoded: dict[str, Any] = {encoding: arguments}
    await client.api_call("chat.postMessage", **encoded)
    assert slack.messages("#general")[0].metadata == {
        "event_type": "a",
        "event_payload": {"b": 1},
    }


async def test_auth_test_returns_the_bot_and_its_team(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    answer = await client.auth_test()
    assert (answer["user_id"], answer["bot_id"]) == (slack.bot.id, slack.bot.bot_id)
    assert answer["team_id"] == slack.workspace.team_id


async def test_a_wrong_token_a_missing_token_and_an_unknown_method_are_refused(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    with refused("invalid_auth"):
        await make_client(slack, "xoxb-wrong").auth_test()
    with refused("unknown_method"):
        await client.api_call("chat.sing")
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{slack.api_url}auth.test") as response,
    ):
        assert await response.json() == {"ok": False, "error": "not_authed"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{slack.api_url}auth.test",
            data="[1",
            headers={"Content-Type": "application/json"},
        ) as response,
    ):
        assert (await response.json())["error"] == "invalid_json"


@pytest.mark.parametrize(
    ("kind", "body", "error"),
    [
        ("application/json", b"\xff\xfe", "invalid_json"),
        ("application/json", b'{"a":' * 100_000, "invalid_json"),
        ("application/json", b"null", "json_not_object"),
        ("application/json; charset=klingon", b"{}", "invalid_charset"),
        ("application/x-www-form-urlencoded; charset=klingon", b"a=b", "invalid_charset"),
        ("application/x-www-form-urlencoded", b"\xff=\xfe", "invalid_form_data"),
        ("multipart/form-data", b"a=b", "invalid_form_data"),
        ("multipart/form-data; boundary=x", b"--y", "invalid_form_data"),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    slack: LocalSlack, kind: str, body: bytes, error: str
) -> None:
    async with (
        aiohttp.ClientSession(headers={"Content-Type": kind}) as session,
        session.post(f"{slack.api_url}auth.test", data=body) as response,
    ):
        assert await response.json() == {"ok": False, "error": error}


async def test_a_missing_scope_is_named() -> None:
    async with open_workspace(scopes=["chat:write", "channels:history"]) as slack:
        client, general = make_client(slack), slack.channel("#general").id
        ts = (await client.chat_postMessage(channel=general, text="x"))["ts"]
        with pytest.raises(SlackApiError) as caught:
            await client.reactions_add(channel=general, timestamp=ts, name="eyes")
        answer = caught.value.response
        assert (answer["error"], answer["needed"]) == ("missing_scope", "reactions:write")
        assert answer["provided"] == "channels:history,chat:write"
        assert answer.headers["X-OAuth-Scopes"] == "channels:history,chat:write"
        await client.conversations_replies(channel=general, ts=ts)
        dm = slack.user("alice").dm()
        with refused("missing_scope"):
            await client.conversations_history(channel=dm)
        with refused("missing_scope"):
            await client.chat_postMessage(channel=general, text="x", username="Someone")


async def test_a_rate_limit_fault_is_used_up_by_one_call(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    slack.faults.rate_limit("chat.postMessage", retry_after=1)
    general = slack.channel("#general").id
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel=general, text="x")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "1"
    await client.chat_postMessage(channel=general, text="y")
    assert [message.text for message in slack.messages("#general")] == ["y"]


async def test_a_fault_of_several_methods_hits_the_first_one_called(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    slack.faults.refuse("auth.test users.info", "fatal_error")
    assert (await client.api_test())["ok"]
    with refused("fatal_error"):
        await client.users_info(user=slack.bot.id)
    assert (await client.auth_test())["ok"]


async def test_the_sdks_retry_handler_understands_the_rate_limit(slack: LocalSlack) -> None:
    slack.faults.rate_limit("auth.test", retry_after=0)
    handler = AsyncRateLimitErrorRetryHandler(max_retry_count=1)
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[handler])
    assert (await client.auth_test())["ok"]
    assert [call.status for call in slack.calls] == [429, 200]


async def test_a_connection_may_drop_after_the_post_took_effect_or_before(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    slack.faults.drop("chat.postMessage")
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=general, text="one")
    slack.faults.drop("chat.postMessage", after_effect=False)
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel=general, text="two")
    assert [message.text for message in slack.messages("#general")] == ["one"]
    assert [(call.dropped, call.error) for call in slack.calls] == [
        (True, "ok"),
        (True, "faulted"),
    ]


async def test_faults_may_name_a_server_error_or_any_error_code(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    slack.faults.server_error("auth.test", status=503)
    slack.faults.refuse("*", "channel_not_found", times=2)
    with pytest.raises(SlackApiError) as caught:
        await client.auth_test()
    assert caught.value.response.status_code == 503
    for _ in range(2):
        with refused("channel_not_found"):
            await client.auth_test()
    await client.auth_test()


async def test_the_log_of_calls_holds_arguments_and_results_but_no_token(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{slack.api_url}chat.postMessage",
            data={"token": slack.bot_token, "channel": "C404", "text": "x"},
        ) as response,
    ):
        await response.read()
    [call] = slack.calls
    assert (call.method, call.error, call.status) == ("chat.postMessage", "channel_not_found", 200)
    assert call.args == {"channel": "C404", "text": "x"}


async def test_tiers_and_the_posting_limit_hold_when_they_are_switched_on() -> None:
    async with open_workspace(rate_limits=True) as slack:
        client, general = make_client(slack), slack.channel("#general").id
        for _ in range(20):
            await client.users_list()
        with pytest.raises(SlackApiError) as caught:
            await client.users_list()
        assert 1 <= int(caught.value.response.headers["Retry-After"]) <= 60
        slack.clock.advance(61)
        await client.users_list()

        for number in range(5):
            await client.chat_postMessage(channel=general, text=str(number))
        with refused("rate_limited"):
            await client.chat_postMessage(channel=general, text="one too many")
        slack.clock.advance(1.1)
        await client.chat_postMessage(channel=general, text="again")


def test_every_method_that_bots_need_is_implemented() -> None:
    needed = {
        *("auth.test", "api.test", "team.info", "bots.info", "users.info", "users.list"),
        *("users.conversations", "apps.connections.open", "apps.manifest.export", "files.info"),
        *(f"conversations.{name}" for name in ("info", "list", "history", "replies")),
        *(f"conversations.{name}" for name in ("members", "open", "join")),
        *(f"chat.{name}" for name in ("postMessage", "postEphemeral", "update", "delete")),
        *(f"chat.{name}" for name in ("getPermalink", "startStream", "appendStream")),
        "chat.stopStream",
        *(f"reactions.{name}" for name in ("add", "remove", "get")),
        *(f"views.{name}" for name in ("open", "update", "push", "publish")),
        *(f"assistant.threads.{n}" for n in ("setStatus", "setTitle", "setSuggestedPrompts")),
        *("agents.sessions.setStatus", "agents.sessions.rename"),
        *("files.getUploadURLExternal", "files.completeUploadExternal"),
    }
    assert needed <= set(METHODS)
