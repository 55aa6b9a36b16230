"""Tokens that expire: refreshed once by all processes together, and never without need."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import DependencyDown, Retry, Undeliverable
from bot.sealing import Keyring, generate_key, parse_keys
from bot.settings import Settings
from bot.slack.tokens import InstalledClient, Tokens
from bot.store import Installation, Store
from bot.store.installations import Installations
from bot.store.sealed import Sealed
from local_slack.distribution import Distribution, open_distribution

HALF_A_DAY = 43200


@dataclass
class Harness:
    """One installation whose token ends soon, and the processes that use it."""

    distribution: Distribution
    store: Store
    installation: Installation
    session: aiohttp.ClientSession
    settings: Settings

    def process(self) -> InstalledClient:
        """The client of another process."""
        plain = AsyncWebClient(
            base_url=self.distribution.api_url, session=self.session, retry_handlers=[]
        )
        tokens = Tokens(self.installation, self.store, plain, self.settings)
        return InstalledClient(
            tokens,
            self.store.circuits,
            "slack:token@T1",
            base_url=plain.base_url,
            session=self.session,
            retry_handlers=[],
        )

    async def stored(self) -> Installation:
        found = await self.store.installations.find("T1")
        assert found is not None
        return found


@asynccontextmanager
async def open_harness(plain: Store, ends_in: float) -> AsyncIterator[Harness]:
    sealed = Sealed(plain.connection, plain.keys, Keyring(parse_keys(generate_key())))
    store = replace(
        plain, sealed=sealed, installations=Installations(plain.connection, plain.keys, sealed)
    )
    async with (
        open_distribution(("T1",), rotation=True) as distribution,
        aiohttp.ClientSession() as session,
    ):
        given = distribution.issue("T1")
        slack = distribution.workspaces["T1"]
        distribution.tokens[given["access_token"]].expires_at = slack.clock.now() + ends_in
        installation = Installation(
            *("T1", "Team", "T1", "", slack.bot.id, "B1", slack.workspace.url),
            token=given["access_token"],
            refresh_token=given["refresh_token"],
            expires_at=time.time() + ends_in,
            installed_at=1.0,
        )
        await store.installations.save(installation)
        settings = Settings(
            _env_file=None,
            slack_client_id=distribution.client_id,
            slack_client_secret=distribution.client_secret,
        )
        yield Harness(distribution, store, installation, session, settings)


@pytest.mark.parametrize("ends_in", [60, -1], ids=["ending", "ended"])
async def test_a_hundred_calls_of_four_processes_make_one_refresh(
    store: Store, ends_in: float
) -> None:
    async with open_harness(store, ends_in) as harness:
        clients = [harness.process() for _ in range(4)]
        calls = [client.auth_test() for client in clients for _ in range(25)]
        answers = await asyncio.gather(*calls)
        assert all(answer["ok"] for answer in answers)
        assert harness.distribution.refreshes == 1
        newest = await harness.stored()
        assert newest.token != harness.installation.token
        assert newest.refresh_token != harness.installation.refresh_token
        assert newest.expires_at > time.time() + HALF_A_DAY - 60


async def test_a_token_that_lasts_is_not_refreshed(store: Store) -> None:
    async with open_harness(store, HALF_A_DAY) as harness:
        await harness.process().auth_test()
        assert harness.distribution.refreshes == 0


async def test_while_slack_refuses_the_refresh_the_old_token_works_to_its_end(
    store: Store,
) -> None:
    async with open_harness(store, 60) as harness:
        harness.distribution.refresh_tokens.clear()
        client = harness.process()
        assert (await client.auth_test())["ok"]
        assert await harness.stored() == harness.installation


async def test_an_expired_token_that_cannot_be_refreshed_is_an_outage_of_its_workspace(
    store: Store,
) -> None:
    async with open_harness(store, -1) as harness:
        harness.distribution.refresh_tokens.clear()
        with pytest.raises(DependencyDown, match="invalid_refresh_token"):
            await harness.process().auth_test()
        harness.distribution.is_down = True
        with pytest.raises(Retry):
            await harness.process().auth_test()


async def test_a_removed_installation_refreshes_nothing(store: Store) -> None:
    async with open_harness(store, -1) as harness:
        await harness.store.installations.remove("T1", 2.0)
        with pytest.raises(Undeliverable, match="app_uninstalled"):
            await harness.process().auth_test()
        assert harness.distribution.refreshes == 0


async def test_a_revoked_token_opens_the_circuit_of_its_workspace_only(store: Store) -> None:
    async with open_harness(store, HALF_A_DAY) as harness:
        harness.distribution.tokens[harness.installation.token].state = "token_revoked"
        with pytest.raises(DependencyDown) as caught:
            await harness.process().auth_test()
        assert caught.value.dependency == "slack:token@T1"
        assert harness.store.circuits.is_open("slack:token@T1")
        assert not harness.store.circuits.is_open("slack:auth")
