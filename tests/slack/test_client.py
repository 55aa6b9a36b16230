"""The Web API client: what it takes from the environment."""

import logging
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.errors import Retry
from bot.settings import Settings
from bot.slack.client import LONGEST_PAUSE, identify, open_client
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def settings(slack: LocalSlack, url: str = "") -> Settings:
    """The settings of a bot in this workspace."""
    return Settings(
        _env_file=None,
        slack_bot_token=slack.bot_token,
        slack_signing_secret="secret",
        slack_api_url=url or slack.api_url,
        openai_api_key="sk-test",
        openai_model="gpt-test",
    )


async def test_calls_are_not_written_as_text_for_a_log_that_drops_them() -> None:
    given = Settings(_env_file=None, slack_bot_token="xoxb-1", openai_api_key="sk-1")
    async with open_client(given) as client:
        assert client.logger.level > logging.DEBUG  # what the SDK compares


async def test_the_credentials_of_a_netrc_file_are_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with open_workspace() as slack, open_client(settings(slack)) as client:
        assert (await identify(client)).team_id == slack.workspace.team_id


async def test_calls_and_downloads_use_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    async def forward(request: web.Request) -> web.Response:
        seen.append(str(request.url))
        return web.json_response({"ok": True, "team_id": "T1"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    async with TestServer(app) as proxy, open_workspace() as slack:
        monkeypatch.setenv("http_proxy", str(proxy.make_url("/")))
        unreachable = settings(slack, "http://slack.invalid/api/")
        async with open_client(unreachable) as client:
            assert (await identify(client)).team_id == "T1"
            assert client.session is not None
            await client.session.get("http://files.invalid/chart.png")
    assert len(seen) == 2


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *[("7", 7.0), ("0.5", 0.5), ("0", 0.0), (DATE, 0.0)],
        *[("86400", LONGEST_PAUSE), (DATE.replace("2015", "9999"), LONGEST_PAUSE)],
        *[("soon", None), ("nan", None), ("-1", None), (DATE.replace("21", "99"), None)],
    ],
)
async def test_a_retry_after_is_a_number_or_a_date(
    status: int, header: str, seconds: float | None
) -> None:
    """A proxy between us and Slack may write it."""

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": header}, text="<html>")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    async with (
        TestServer(app) as server,
        open_workspace() as slack,
        open_client(settings(slack, f"{server.make_url('/')}")) as client,
    ):
        with pytest.raises(Retry) as caught:
            await identify(client)
    default = 1.0 if status == 429 else None
    assert caught.value.after == (default if seconds is None else seconds)
