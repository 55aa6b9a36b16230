"""The tokens of one installation: expiring ones are refreshed once, by one process."""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import Retry, StoreUnavailable, Undeliverable
from bot.settings import Settings
from bot.slack.client import (
    REVOKED,
    GuardedClient,
    TokenRefused,
    error_code,
    exchange,
    slack_errors,
)
from bot.store import Circuits, Installation, Store
from bot.telemetry.log import log

REFRESH_BEFORE = 3600.0
"""Seconds before its end at which a token is refreshed; Slack's last 12 hours."""
LEASE_SECONDS = 30.0
RETRY_AFTER = 60.0
"""Seconds until a failed refresh is tried again while the token still works."""
RECHECK = 0.2
SAVES = 5


class Tokens:
    """The tokens of one installation, shared with other processes through the store.

    A refresh token works once, so a lease decides who uses it. Everyone else keeps using the old
    token, which stays valid until it expires.
    """

    def __init__(
        self,
        installation: Installation,
        store: Store,
        client: AsyncWebClient,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.installation = installation
        self._store = store
        self._client = client
        self._settings = settings
        self._clock = clock
        self._owner = secrets.token_hex(8)
        self._refreshing = asyncio.Lock()
        self._not_before = 0.0

    async def current(self) -> str:
        """The token for a call now. Raises Retry while an expired one cannot be refreshed."""
        if self._is_due:
            async with self._refreshing:
                if self._is_due:
                    await self._refresh()
        return self.installation.token

    @property
    def _is_due(self) -> bool:
        ends, now = self.installation.expires_at, self._clock()
        return bool(ends) and now > ends - REFRESH_BEFORE and (now > ends or now > self._not_before)

    @property
    def _is_expired(self) -> bool:
        return bool(self.installation.expires_at) and self._clock() > self.installation.expires_at

    async def _refresh(self) -> None:
        try:
            await self._refresh_in_turn()
        except (StoreUnavailable, Retry) as error:
            if self._is_expired:
                raise
            self._not_before = self._clock() + RETRY_AFTER
            log.warning("token_not_refreshed", team=self.installation.id, error=str(error)[:100])

    async def _refresh_in_turn(self) -> None:
        name, leases = f"token:{self.installation.id}", self._store.leases
        while not await leases.take(name, self._owner, LEASE_SECONDS):
            if not self._is_expired:
                return
            await asyncio.sleep(RECHECK)
            await self._reread()
            if not self._is_due:
                return
        try:
            await self._reread()
            if self._is_due:
                await self._exchange()
        finally:
            await leases.give_back(name, self._owner)

    async def _reread(self) -> None:
        """Take over what another process has stored."""
        found = await self._store.installations.find(self.installation.id)
        if found is None:
            raise Undeliverable("app_uninstalled")
        self.installation = found

    async def _exchange(self) -> None:
        before = self.installation
        answer = await self._ask(before)
        after = replace(
            before,
            token=answer["access_token"],
            refresh_token=answer["refresh_token"],
            expires_at=self._clock() + float(answer["expires_in"]),
        )
        self.installation = after
        await self._save(before, after)
        log.info("token_refreshed", team=after.id)

    async def _ask(self, before: Installation) -> AsyncSlackResponse:
        try:
            return await exchange(
                self._client,
                self._settings,
                grant_type="refresh_token",
                refresh_token=before.refresh_token,
            )
        except SlackApiError as error:
            code = error_code(error)
            log.error("token_refresh_refused", team=before.id, error=code)
            raise TokenRefused(f"slack_{code}", certain=True) from error

    async def _save(self, before: Installation, after: Installation) -> None:
        """The old refresh token is used up: only this process has the new one until it is saved."""
        for left in reversed(range(SAVES)):
            try:
                await self._store.installations.refresh(before, after)
                return
            except StoreUnavailable:
                if not left:
                    log.error("token_not_saved", team=after.id)
                    return
                await asyncio.sleep(1.0)


class InstalledClient(GuardedClient):
    """The client of an installation."""

    def __init__(self, tokens: Tokens, circuits: Circuits, access: str, **options: Any) -> None:
        super().__init__(circuits, access, **options)
        self._tokens = tokens

    async def fresh_token(self) -> str:
        """A token that works for the next call."""
        self.token = await self._tokens.current()
        return self.token

    async def api_call(self, api_method: str, **options: Any) -> AsyncSlackResponse:
        """Call a method. Raises what `slack_errors` does."""
        await self.fresh_token()
        return await super().api_call(api_method, **options)


async def is_refused(client: AsyncWebClient, token: str) -> bool:
    """Whether Slack no longer knows a token. Raises Retry while Slack cannot say."""
    try:
        with slack_errors():
            await client.auth_test(token=token)
    except TokenRefused as error:
        return error.reason.removeprefix("slack_") in REVOKED
    return False
