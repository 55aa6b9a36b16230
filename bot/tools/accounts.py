"""People's own accounts at MCP servers: connected by OAuth, sealed in Redis, used for them only."""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from bot.errors import BotError, ConfigError
from bot.models import decode, encode
from bot.sealing import Unreadable
from bot.settings import Settings
from bot.store.sealed import SecretKind
from bot.store.shards import Shards
from bot.telemetry.log import log
from bot.tools.authorization_servers import AuthorizationServers
from bot.tools.config import ServerConfig, ToolsConfig
from bot.tools.credential import (
    Authorization,
    Client,
    ConfiguredServer,
    ConnectFailed,
    Credential,
    Granted,
    Invitation,
    NotConnected,
)
from bot.tools.unconfirmed import Unconfirmed, Waiting

LINK_SECONDS = 600
"""How long a link, and a visit to the authorization server, may take."""
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LENGTH = 8
EARLY = 60.0
"""Seconds before its end at which a token is renewed."""
RENEWAL = 30.0
"""Seconds for which one process may renew a token while the others wait."""
KIND: SecretKind = "credential"
RETURN_PATH = "/oauth/callback"
CLIENT_PATH = "/oauth/client.json"
CONNECT_PATH = "/connect/{token}"


class Accounts:
    """The accounts of all people at the servers with `auth = "person"`."""

    def __init__(self, shards: Shards, config: ToolsConfig, settings: Settings) -> None:
        self._shards = shards
        self._servers = {
            name: each for name, each in config.servers.items() if each.auth == "person"
        }
        self._url = (settings.bot_public_url or "").rstrip("/")
        self._providers = AuthorizationServers(self._servers, self.callback, self.client_url)
        self._unconfirmed = Unconfirmed(shards.home.sealed, self._drop)
        self._check(settings)

    def _check(self, settings: Settings) -> None:
        """Raise ConfigError for what is missing to connect accounts."""
        if not self._servers:
            return
        if not self._url:
            raise ConfigError("BOT_PUBLIC_URL", 'is not set, and a server has auth = "person"')
        if not settings.keyring.ids:
            raise ConfigError("BOT_ENCRYPTION_KEYS", 'is not set, and a server has auth = "person"')

    @property
    def servers(self) -> Mapping[str, ServerConfig]:
        """The servers that need an account."""
        return self._servers

    @property
    def callback(self) -> str:
        """Where authorization servers send people back."""
        return self._url + RETURN_PATH

    @property
    def client_url(self) -> str:
        """The address of our client ID metadata document."""
        return self._url + CLIENT_PATH

    # The way to the authorization server and back

    async def invite(self, invitation: Invitation) -> str:
        """A link for the person, valid once and for ten minutes. For their eyes only."""
        token = secrets.token_urlsafe(32)
        await self._shards.home.sealed.lend(_name(token), encode(invitation), LINK_SECONDS)
        return self._url + CONNECT_PATH.format(token=token)

    async def invited(self, token: str) -> Invitation | None:
        """The person whom a link is for, while it is valid. Looking it up does not use it."""
        found = await self._readable(self._shards.home.sealed.peek(_name(token)))
        return decode(Invitation, found) if found else None

    async def begin(self, token: str, browser: str) -> str:
        """Use a link: the address of the authorization server. `browser` is a secret of the
        browser, which has to come back with it. Raises ConnectFailed.
        """
        found = await self._readable(self._shards.home.sealed.take(_name(token)))
        if found is None:
            raise ConnectFailed("the link has expired or was already used")
        invitation = decode(Invitation, found)
        config = self._servers.get(invitation.server)
        if config is None:
            raise ConnectFailed("this server is not configured any more")
        own = None
        if config.client_id:
            method = "client_secret_post" if config.client_secret else "none"
            own = Client(config.client_id, config.client_secret, method)
        state = secrets.token_urlsafe(32)
        visit = await (await self._providers.client()).begin(
            ConfiguredServer(config.url or "", config.is_internal), state, own
        )
        authorization = Authorization(
            invitation, visit.credential, visit.verifier, _name(browser), visit.demands_iss
        )
        await self._shards.home.sealed.lend(_name(state), encode(authorization), LINK_SECONDS)
        return visit.address

    async def finish(
        self, state: str, browser: str, code: str, iss: str | None
    ) -> tuple[Invitation, str]:
        """Take the tokens of a person who comes back. Raises ConnectFailed.

        Returns a code for the page: the account is used once `confirm` gets it.
        """
        visit = await self._begun(state, browser, iss)
        if not code:
            raise ConnectFailed("the authorization server gave no permission")
        who = visit.invitation
        home = self._providers.home(who.server, visit.credential)
        client = await self._providers.client()
        await self._unconfirmed.drop(_row(who.team_id, who.user_id, who.server))
        credential = await client.finish(visit.credential, home, visit.verifier, code)
        granted = Granted(who, replace(credential, id=secrets.token_hex(8)))
        try:
            shown = await self._lend(granted)
        except BotError:  # the code of the authorization server is used up
            await self._providers.revoke(who.server, credential)
            raise
        log.info("account_granted", server=who.server, user=who.user_id)
        return who, shown

    async def _begun(self, state: str, browser: str, iss: str | None) -> Authorization:
        """The visit that a person comes back from. Raises ConnectFailed."""
        found = await self._readable(self._shards.home.sealed.take(_name(state)))
        if found is None:
            raise ConnectFailed("the visit took too long, or this page was loaded twice")
        visit = decode(Authorization, found)
        if not hmac.compare_digest(visit.browser, _name(browser)):
            raise ConnectFailed("another browser has begun this")
        if iss != visit.credential.issuer and (iss is not None or visit.demands_iss):
            raise ConnectFailed("the answer comes from another authorization server")
        return visit

    async def _lend(self, granted: Granted) -> str:
        """Keep tokens until their code is entered; returns the code."""
        who = granted.invitation
        shown = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
        name = _name(_row(who.team_id, who.user_id, shown))
        until = time.time() + LINK_SECONDS + EARLY
        await self._unconfirmed.save(
            _row(who.team_id, who.user_id, who.server),
            Waiting(who.server, granted.credential, until, name),
        )
        await self._shards.of(who.team_id).sealed.lend(name, encode(granted), LINK_SECONDS)
        return shown

    async def confirm(self, team_id: str, user_id: str, code: str) -> str:
        """Connect the account that waits for a code of this person.

        The person who signed in sees the code in the browser, and the Slack user who got the link
        enters it, so a forwarded link connects nothing. Returns the server; "" if no account waits
        for this code.
        """
        sealed = self._shards.of(team_id).sealed
        name = _name(_row(team_id, user_id, "".join(filter(str.isalpha, code.upper()))))
        found = await self._readable(sealed.peek(name))
        if found is None:
            return ""
        granted = decode(Granted, found)
        server, credential = granted.invitation.server, granted.credential
        row = _row(team_id, user_id, server)
        is_redeemed = await sealed.redeem(name, KIND, row, encode(credential))
        if not is_redeemed and not await self._is_used(row, credential):
            return ""
        await self._unconfirmed.forget(row, name)
        log.info("account_connected", server=server, user=user_id)
        return server

    # Their use

    async def find(self, team_id: str, user_id: str, server: str) -> Credential | None:
        """The person's account at a server; None if there is none, or it was made for another
        address."""
        config = self._servers.get(server)
        if config is None or not user_id:
            return None
        found = await self._readable(
            self._shards.of(team_id).sealed.find(KIND, _row(team_id, user_id, server))
        )
        credential = decode(Credential, found) if found else None
        return credential if credential and credential.server_url == config.url else None

    async def token(self, team_id: str, user_id: str, server: str, refused: str = "") -> str:
        """The access token, renewed if it ends soon or was `refused`. Raises NotConnected, and
        httpx2.HTTPError if the authorization server cannot be reached.
        """
        name, owner = _row(team_id, user_id, server), secrets.token_hex(8)
        end = time.monotonic() + RENEWAL
        while (found := await self.find(team_id, user_id, server)) is not None:
            is_fresh = not found.expires_at or found.expires_at > time.time() + EARLY
            if is_fresh and found.access_token != refused:
                return found.access_token
            if await self._shards.of(team_id).leases.take(f"renew:{_name(name)}", owner, RENEWAL):
                try:
                    return await self._renew(name, found, team_id, user_id, server)
                finally:
                    await self._shards.of(team_id).leases.give_back(f"renew:{_name(name)}", owner)
            if time.monotonic() > end:
                break
            await asyncio.sleep(0.1)
        raise NotConnected

    async def _renew(
        self, name: str, known: Credential, team_id: str, user_id: str, server: str
    ) -> str:
        """Renew the token, unless another process did before we had the lease."""
        found = await self.find(team_id, user_id, server)
        if found is None:
            raise NotConnected
        if found != known:
            return found.access_token
        try:
            renewed = await (await self._providers.client()).refresh(
                found, self._providers.home(server, found)
            )
        except NotConnected:
            log.info("account_expired", server=server, user=user_id)
            await self._shards.of(team_id).sealed.remove(KIND, name)
            raise

        def is_found(text: str) -> bool:
            return decode(Credential, text) == found  # another version may encode it otherwise

        sealed = self._shards.of(team_id).sealed
        if not await sealed.replace(KIND, name, is_found, encode(renewed)):
            await self._providers.revoke(server, renewed)  # disconnected meanwhile
            raise NotConnected
        return renewed.access_token

    async def drop(self, team_id: str, user_id: str, server: str, refused: str) -> None:
        """Forget an account whose newest token the server refuses."""
        found = await self.find(team_id, user_id, server)
        if found is not None and found.access_token == refused:
            log.info("account_refused", server=server, user=user_id)
            await self._shards.of(team_id).sealed.remove(KIND, _row(team_id, user_id, server))

    # Their end

    async def connected(self, team_id: str, user_id: str) -> list[str]:
        """The configured servers at which the person has an account."""
        return [name for name in self._servers if await self.find(team_id, user_id, name)]

    async def disconnect(self, team_id: str, user_id: str, server: str) -> bool:
        """Delete the account's tokens, and revoke them if the server supports that. Returns
        whether there were any."""
        name = _row(team_id, user_id, server)
        found = await self._readable(self._shards.of(team_id).sealed.find(KIND, name))
        removed = await self._shards.of(team_id).sealed.remove(KIND, name)
        if found and not await self._providers.revoke(server, decode(Credential, found)):
            log.info("account_not_revoked", server=server, user=user_id)
        return removed

    async def disconnect_all(self, team_id: str, user_id: str) -> None:
        """Disconnect all accounts of a person, also at servers that are not configured any more."""
        start = _row(team_id, user_id, "")
        await self._unconfirmed.drop_all(start)
        for name in await self._shards.of(team_id).sealed.names(KIND):
            if name.startswith(start):
                await self.disconnect(team_id, user_id, name.removeprefix(start))

    async def drop_unconfirmed(self) -> None:
        """Revoke tokens whose code was not entered in time."""
        if self._servers:
            await self._unconfirmed.drop_expired()

    async def aclose(self) -> None:
        """Close the connections to authorization servers."""
        await self._providers.aclose()

    async def _drop(self, row: str, waiting: Waiting) -> bool:
        """Revoke tokens that no code has confirmed, and void their code. Returns whether nothing is
        left to do."""
        team_id = row.partition("|")[0]
        await self._readable(self._shards.of(team_id).sealed.take(waiting.lent))
        if await self._is_used(row, waiting.credential):
            return True
        done = await self._providers.revoke(waiting.server, waiting.credential)
        log.info("unconfirmed_account_dropped", server=waiting.server, revoked=done)
        return done or not waiting.credential.revocation_url

    async def _is_used(self, row: str, credential: Credential) -> bool:
        """Whether a credential, as it is or renewed, is that of the row's person."""
        team_id, user_id, server = row.split("|", 2)
        found = await self.find(team_id, user_id, server)
        return found is not None and found.id == credential.id

    async def _readable(self, secret: Awaitable[str | None]) -> str | None:
        """A stored secret; None if it cannot be opened any more."""
        try:
            return await secret
        except (Unreadable, ConfigError) as error:
            log.error("account_unreadable", error=str(error)[:100])
            return None


@asynccontextmanager
async def open_accounts(
    shards: Shards, config: ToolsConfig, settings: Settings
) -> AsyncIterator[Accounts]:
    """The accounts. Raises ConfigError for what is missing to connect them."""
    accounts = Accounts(shards, config, settings)
    try:
        yield accounts
    finally:
        await accounts.aclose()


def _row(team_id: str, user_id: str, server: str) -> str:
    return f"{team_id}|{user_id}|{server}"


def _name(token: str) -> str:
    """The name under which a secret token is known in Redis."""
    return hashlib.sha256(token.encode()).hexdigest()
