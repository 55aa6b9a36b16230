"""Engines for workspaces with their own key of the AI server: one for each key."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from pydantic import SecretStr

from bot.engines import Engine
from bot.engines.guard import GuardedEngine
from bot.engines.wrapper import EngineWrapper
from bot.errors import ConfigError, Retry
from bot.sealing import Unreadable
from bot.settings import Settings
from bot.store import Circuits
from bot.store.workspace_settings import WorkspaceSettingsStore
from bot.timing import EngineTiming

OpenEngine = Callable[[Settings, EngineTiming], AbstractAsyncContextManager[Engine]]

KEY_UNREADABLE = "ai_key_unreadable"


class Keyed(EngineWrapper):
    """An engine whose conversations belong to one key: another key does not find them.

    Its name says so, and with it the names of its circuits and orphans.
    """

    def __init__(self, engine: Engine, account: str) -> None:
        super().__init__(engine)
        self.name = f"{engine.name}@{account}"


class KeyedEngines:
    """The engine of the deployment, and those of the other keys, opened when they are needed."""

    def __init__(
        self,
        default: Engine,
        open_engine: OpenEngine,
        settings: Settings,
        timing: EngineTiming,
        circuits: Circuits,
        default_model: str,
    ) -> None:
        self._default = default
        self._open_engine = open_engine
        self._settings = settings
        self._timing = timing
        self._circuits = circuits
        self._default_model = default_model
        self._engines: dict[str, Engine] = {}
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()

    async def open(self, key: str) -> None:
        """Open the engine of a key, so that `of` has it."""
        account = account_of(key)
        if not account or account in self._engines:
            return
        async with self._opening:
            if account not in self._engines:
                self._engines[account] = await self._open(key, account)

    def of(self, key: str) -> tuple[Engine, str]:
        """The engine of a key and the name of its account; "" is the deployment's key."""
        account = account_of(key)
        return (self._engines[account], account) if account else (self._default, "")

    async def find(self, book: WorkspaceSettingsStore, name: str) -> Engine | None:
        """The engine that made a conversation; None if no workspace has its key. Raises Retry if
        that is unknown, because a key cannot be read."""
        if found := self._named(name):
            return found
        unreadable = False
        for id in await book.with_ai_key() if "@" in name else ():
            try:
                key = await book.ai_key(id) or ""
            except (Unreadable, ConfigError):
                unreadable = True
                continue
            if key and name.endswith(f"@{account_of(key)}"):
                await self.open(key)
                return self._named(name)
        if unreadable:
            raise Retry(KEY_UNREADABLE)
        return None

    def _named(self, name: str) -> Engine | None:
        engines = (self._default, *self._engines.values())
        return next((engine for engine in engines if engine.name == name), None)

    async def close(self) -> None:
        """Close the engines that were opened here."""
        await self._stack.aclose()

    async def _open(self, key: str, account: str) -> Engine:
        settings = self._settings.model_copy(update={"openai_api_key": SecretStr(key)})
        opened = await self._stack.enter_async_context(self._open_engine(settings, self._timing))
        return GuardedEngine(Keyed(opened, account), self._circuits, self._default_model)


def account_of(key: str) -> str:
    """A public name of a key; "" of none."""
    return hashlib.sha256(f"ai key {key}".encode()).hexdigest()[:8] if key else ""


async def try_key(settings: Settings, key: str) -> str:
    """Why a key does not work with the AI server and model; "" if it does."""
    from bot.engines.checks import open_checks  # not needed by workers

    own = settings.model_copy(update={"openai_api_key": SecretStr(key)})
    async with open_checks(own) as checks:
        for check in checks:
            finding = await check.look()
            if finding.level == "failed":
                return finding.text
    return ""
