"""A deployment in which workspaces install the bot themselves, through the real pages."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import aiohttp

from bot.app import Bot, open_bot
from bot.sealing import generate_key
from bot.settings import Settings
from bot.slack.events import EVENTS
from bot.slack.install import INSTALL_PATH
from bot.slack.lifecycle import EVENTS as LIFECYCLE
from bot.slack.manifest import CALLBACK_PATH
from bot.slack.scopes import SCOPES
from bot.slack.surfaces.commands import all_commands
from bot.timing import SlackTiming, Timing
from local_slack.distribution import Distribution, open_distribution
from local_slack.local_slack import LocalSlack
from tests.fakes.openai import FakeOpenAI, open_fake_openai
from tests.world import ACK_SECONDS, BASE_TIMING, PATIENCE, words

PUBLIC_URL = "http://bot.test"
CALLBACK = PUBLIC_URL + CALLBACK_PATH
AT_ONCE = replace(
    BASE_TIMING,
    slack=SlackTiming(installation_fresh=0.0),
    answer=replace(BASE_TIMING.answer, posts_per_second=1000.0, posts_burst=1000),
)


class Browser:
    """A person's browser: it keeps cookies, and reaches the public address of the bot."""

    def __init__(self, bot_url: str) -> None:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self._bot_url = bot_url

    async def close(self) -> None:
        await self._session.close()

    async def get(self, url: str) -> tuple[int, str, str]:
        """The status, the text, and the target of a redirect."""
        url = url.replace(PUBLIC_URL, self._bot_url)
        async with self._session.get(url, allow_redirects=False) as response:
            return response.status, await response.text(), response.headers.get("Location", "")

    async def open_install_page(self, team: str = "") -> str:
        """Open the page; returns the link of its button."""
        status, text, _ = await self.get(f"{PUBLIC_URL}{INSTALL_PATH}?team={team}")
        assert status == 200
        found = re.search(r'href="([^"]+)"', text)
        assert found
        return unescape(found[1])

    async def agree(self, team: str) -> str:
        """Agree in Slack; returns the address of the callback with code and state."""
        status, _, location = await self.get(await self.open_install_page(team))
        assert status == 302
        return location

    async def install(self, team: str) -> tuple[int, str]:
        """The whole way; returns status and text of the last page."""
        status, text, _ = await self.get(await self.agree(team))
        return status, text


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@dataclass
class Deployment:
    """The bot, its Slack and its AI server."""

    distribution: Distribution
    fake: FakeOpenAI
    bot: Bot
    settings: Settings
    stack: AsyncExitStack

    @property
    def url(self) -> str:
        assert self.bot.address is not None
        return f"http://{self.bot.address[0]}:{self.bot.address[1]}"

    def slack(self, team: str) -> LocalSlack:
        return self.distribution.workspaces[team]

    def browser(self) -> Browser:
        """A browser without cookies."""
        browser = Browser(self.url)
        self.stack.push_async_callback(browser.close)
        return browser

    async def install(self, *teams: str) -> None:
        for team in teams:
            status, text = await self.browser().install(team)
            assert status == 200, text

    async def ask(self, team: str, text: str, who: str = "alice") -> str:
        """A mention in #general of a workspace; returns the answer."""
        slack = self.slack(team)
        root = await slack.user(who).says("#general", f"@bot {text}")
        await slack.wait_for(lambda: slack.replies("#general", root), PATIENCE)
        return words(slack.replies("#general", root)[0])


@asynccontextmanager
async def open_deployment(
    redis_url: str,
    directory: Path,
    *,
    teams: tuple[str, ...] = ("T1", "T2", "T3"),
    organizations: tuple[str, ...] = (),
    rotation: bool = False,
    distinct_ids: bool = False,
    timing: Timing = AT_ONCE,
    socket_mode: bool = False,
    **given: Any,
) -> AsyncIterator[Deployment]:
    """A running deployment. `given` are settings of the bot."""
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(open_fake_openai())
        distribution = await stack.enter_async_context(
            open_distribution(
                teams,
                organizations=organizations,
                redirect_uris=[CALLBACK],
                rotation=rotation,
                distinct_ids=distinct_ids,
                events=(*EVENTS, *LIFECYCLE),
                scopes=SCOPES,
                commands=[command.name for command in all_commands()],
                time_factor=0.02,
                patience=PATIENCE,
                ack_seconds=ACK_SECONDS,
            )
        )
        options: dict[str, Any] = {
            "slack_signing_secret": distribution.signing_secret,
            "slack_app_token": distribution.app_token if socket_mode else None,
            "slack_client_id": distribution.client_id,
            "slack_client_secret": distribution.client_secret,
            "slack_api_url": distribution.api_url,
            "bot_public_url": PUBLIC_URL,
            "bot_encryption_keys": generate_key(),
            "openai_api_key": fake.api_key,
            "openai_base_url": fake.base_url,
            "redis_url": redis_url,
            "bot_redis_prefix": f"many-{uuid4().hex[:8]}",
            "bot_host": "127.0.0.1",
            "port": 0,
            "bot_state_dir": directory,
        }
        settings = Settings(_env_file=None, **(options | given))
        bot = await stack.enter_async_context(open_bot(settings, timing=timing))
        deployment = Deployment(distribution, fake, bot, settings, stack)
        if not socket_mode:
            distribution.listen_at(f"{deployment.url}/slack/events")
        yield deployment
