"""`bot doctor` on a Slack app with one fault each: it names the fault and the fix."""

from pathlib import Path
from typing import Any

import pytest

import bot.engines.checks
import bot.slack.checks
import bot.store.checks
from bot.slack.delivery_notes import judge_deliveries
from bot.slack.events import EVENTS
from bot.slack.scopes import SCOPES
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from tests.ops.deployments import examine_slack, findings, settings
from tests.ops.servers import open_page
from tests.world import open_world


async def test_a_complete_slack_app_passes(slack: LocalSlack) -> None:
    found = await examine_slack(slack)
    levels = {name: finding.level for name, finding in found.items()}
    assert levels == {
        "slack token": "ok",
        "slack scopes": "ok",
        "admins": "skipped",
        "slack app token": "ok",
        "slack events": "skipped",
        "slack deliveries": "skipped",
        "slack clock": "ok",
        "webhook": "skipped",
    }
    assert "@threadbot" in found["slack token"].text


async def test_a_missing_scope_that_is_optional_is_a_warning() -> None:
    async with open_workspace(scopes=set(SCOPES) - {"usergroups:read"}) as slack:
        found = await examine_slack(slack)
    assert found["slack scopes"].level == "warning"
    assert "user groups by their ids" in found["slack scopes"].text


async def test_the_scope_of_a_tool_is_missed_only_where_the_tool_is_offered() -> None:
    async with open_workspace(scopes=set(SCOPES)) as slack:
        known = settings(
            slack_bot_token=slack.bot_token,
            slack_app_token=slack.app_token,
            slack_api_url=slack.api_url,
        )
        without, offered = [
            await findings(bot.slack.checks.open_checks(known, tools=tools))
            for tools in ((), ("slack_search",))
        ]
    assert without["slack scopes"].level == "ok"
    assert offered["slack scopes"].level == "warning"
    assert "search:read.public" in offered["slack scopes"].text


async def test_missing_scopes_are_named() -> None:
    async with open_workspace(scopes=set(SCOPES) - {"im:history", "commands"}) as slack:
        found = await examine_slack(slack)
    assert found["slack scopes"].level == "failed"
    assert found["slack scopes"].text == "missing: commands, im:history"
    assert "Reinstall" in found["slack scopes"].fix


async def test_a_wrong_bot_token_is_reported_once(slack: LocalSlack) -> None:
    found = await examine_slack(slack, slack_bot_token="xoxb-wrong")
    assert found["slack token"].level == "failed"
    assert "invalid_auth" in found["slack token"].text
    assert "OAuth & Permissions" in found["slack token"].fix
    assert found["slack scopes"].level == "skipped"
    assert "xoxb-wrong" not in str(found)


@pytest.mark.parametrize("code", ["token_revoked", "account_inactive"])
async def test_a_removed_app_must_be_reinstalled(slack: LocalSlack, code: str) -> None:
    slack.faults.refuse("auth.test", code)
    found = await examine_slack(slack)
    assert "install the app again" in found["slack token"].fix


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
@pytest.mark.parametrize(
    ("code", "level", "words"),
    [("ratelimited", "warning", "in a minute"), ("internal_error", "failed", "slack-status")],
)
async def test_failures_of_slack_are_not_blamed_on_the_connection(
    slack: LocalSlack, method: str, code: str, level: str, words: str
) -> None:
    slack.faults.refuse(method, code)
    found = await examine_slack(slack)
    finding = found["slack token" if method == "auth.test" else "slack app token"]
    assert finding.level == level
    assert words in finding.fix


async def test_admins_unknown_to_slack_are_reported(slack: LocalSlack) -> None:
    alice = slack.user("alice").id
    found = await examine_slack(slack, bot_admins=f"{alice}, U0NOBODY")
    assert found["admins"].level == "warning"
    assert "U0NOBODY (user_not_found)" in found["admins"].text
    assert alice not in found["admins"].text
    assert (await examine_slack(slack, bot_admins=alice))["admins"].level == "ok"
    assert (await examine_slack(slack))["admins"].level == "skipped"


async def test_a_wrong_app_token_is_reported(slack: LocalSlack) -> None:
    found = await examine_slack(slack, slack_app_token="xapp-wrong")
    assert found["slack app token"].level == "failed"
    assert "connections:write" in found["slack app token"].fix
    found = await examine_slack(slack, slack_app_token=slack.bot_token.replace("xoxb", "xapp"))
    assert found["slack app token"].level == "ok"


async def test_an_unreachable_slack_is_reported() -> None:
    given = settings(slack_api_url="http://127.0.0.1:1/api/")
    found = await findings(bot.slack.checks.open_checks(given))
    assert found["slack token"].level == "failed"
    assert "SLACK_API_URL" in found["slack token"].fix


async def test_with_a_configuration_token_subscriptions_are_compared() -> None:
    async with open_workspace(scopes=SCOPES, events=EVENTS) as slack:
        given: dict[str, Any] = {"slack_config_token": slack.config_token}
        found = await examine_slack(slack, **given)
        assert found["slack events"].level == "ok"

        slack.events_url = "https://elsewhere.example.com/slack/events"
        found = await examine_slack(slack, **given)
        assert found["slack events"].level == "failed"
        assert "by HTTP" in found["slack events"].text

        given |= {"slack_app_token": None, "slack_signing_secret": slack.signing_secret}
        found = await examine_slack(slack, "http://127.0.0.1:1", **given)
        assert found["slack events"].level == "failed"
        assert "elsewhere" in found["slack events"].text
        assert "--url http://127.0.0.1:1" in found["slack events"].fix

        found = await examine_slack(slack, slack_config_token="xoxe.xoxp-old")
        assert found["slack events"].level == "failed"
        assert "12 hours" in found["slack events"].fix


async def test_missing_subscriptions_are_named() -> None:
    events = set(EVENTS) - {"message.im", "app_mention"}
    async with open_workspace(scopes=SCOPES, events=events) as slack:
        found = await examine_slack(slack, slack_config_token=slack.config_token)
    assert found["slack events"].text == "not subscribed to: app_mention, message.im"
    assert "App Manifest" in found["slack events"].fix


async def test_over_http_the_signing_secret_has_its_shape(slack: LocalSlack) -> None:
    http: dict[str, Any] = {"slack_app_token": None}
    found = await examine_slack(slack, slack_signing_secret=slack.signing_secret, **http)
    assert found["slack signing secret"].level == "ok"
    found = await examine_slack(slack, slack_signing_secret="too-short", **http)
    assert found["slack signing secret"].level == "warning"
    assert found["webhook"].level == "skipped"


async def test_the_public_address_is_checked_to_be_the_bots(
    slack: LocalSlack, redis_url: str, tmp_path: Path
) -> None:
    http: dict[str, Any] = {"slack_app_token": None, "slack_signing_secret": slack.signing_secret}
    async with open_world(redis_url, tmp_path, engine="echo", socket_mode=False) as world:
        found = await examine_slack(slack, world.url, **http)
    assert found["webhook"].level == "warning"
    assert "https" in found["webhook"].fix
    async with open_page() as elsewhere:
        found = await examine_slack(slack, elsewhere, **http)
        assert found["webhook"].level == "failed"
        assert "answers 404" in found["webhook"].text
    found = await examine_slack(slack, elsewhere, **http)
    assert found["webhook"].level == "failed"
    assert "is the web process running" in found["webhook"].fix
    assert bot.slack.checks.judge_webhook("https://host/slack/events", 401).level == "ok"


@pytest.mark.parametrize(
    ("event", "rejected", "level", "words"),
    [
        (None, None, "warning", "no event"),
        ("1000", None, "ok", "3 minutes ago"),
        ("1000", "900 secret", "ok", "3 minutes ago"),
        ("1000", "1100 secret", "failed", "rejected 1 minute ago"),
        (None, "1100 clock", "failed", "rejected"),
    ],
)
def test_the_newest_delivery_is_reported(
    event: str | None, rejected: str | None, level: str, words: str
) -> None:
    found = judge_deliveries(event, rejected, 1181.0)
    assert found.level == level
    assert words in found.text
