"""The worker's part of a process: the claim loop with its engine, and the upkeep of old data.

Imported only by processes that run it: `bot web` needs none of it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from bot.dlp import open_dlp
from bot.engines import Engine
from bot.engines.guard import GuardedEngine
from bot.engines.keyed import KeyedEngines, OpenEngine
from bot.errors import Retry, Undeliverable
from bot.process.per_workspace import Shared
from bot.process.running import running
from bot.settings import Settings
from bot.settings.prices import Price
from bot.slack.direct_messages import DirectMessages
from bot.slack.receiving import Receiving
from bot.slack.workspaces import MOST_BUILT, PerWorkspace, Workspace, Workspaces
from bot.store import Store
from bot.store.shards import Shards
from bot.telemetry.log import log
from bot.timing import Timing
from bot.tools.accounts import Accounts
from bot.tools.config import ToolsConfig
from bot.tools.toolbox import Toolbox, open_toolbox
from bot.turn.background import BackgroundTasks, open_background
from bot.turn.services import Services
from bot.upkeep.record_keeper import RecordKeeper
from bot.upkeep.sweeper import Sweeper
from bot.worker.load import Load
from bot.worker.loop import Worker

LEAST_BUILT = 50
"""Workspaces whose services are kept for each shard, however many shards there are."""


@dataclass(frozen=True, slots=True)
class Common:
    """The objects that the workers of all shards of a process share."""

    settings: Settings
    timing: Timing
    shards: Shards
    workspaces: Workspaces
    opened: Engine
    engines: OpenEngine
    prices: Mapping[str, Price]
    accounts: Accounts
    toolbox: Toolbox
    background: BackgroundTasks
    load: Load


@dataclass(frozen=True, slots=True)
class WorkPart:
    """The running worker of one shard; `task` ends early only if it has failed."""

    engine: Engine
    worker: Worker
    task: asyncio.Task[None]

    async def is_alive(self) -> bool:
        """Whether Redis got a heartbeat recently."""
        return self.worker.is_alive


@asynccontextmanager
async def open_common(
    settings: Settings,
    timing: Timing,
    shards: Shards,
    workspaces: Workspaces,
    opened: Engine,
    engines: OpenEngine,
    tools: ToolsConfig,
    prices: Mapping[str, Price],
    accounts: Accounts,
    receiving: Receiving,
) -> AsyncIterator[Common]:
    """The shared objects of the workers. `opened` is the engine of the deployment's own key."""
    load = Load(settings.bot_concurrency, timing.worker.starting_at_once, receiving)
    async with open_background() as background, open_toolbox(tools, accounts) as toolbox:
        yield Common(
            *(settings, timing, shards, workspaces, opened, engines, prices, accounts),
            *(toolbox, background, load),
        )


@asynccontextmanager
async def open_work(common: Common, store: Store) -> AsyncIterator[WorkPart]:
    """The running worker of one shard. On exit it hands unfinished work over."""
    settings, timing, workspaces = common.settings, common.timing, common.workspaces
    model = _default_model(settings)
    engine = GuardedEngine(common.opened, store.circuits, model)
    async with AsyncExitStack() as stack:
        dlp = await stack.enter_async_context(open_dlp(settings, store.circuits.guard))
        keyed = KeyedEngines(engine, common.engines, settings, timing.engine, store.circuits, model)
        stack.push_async_callback(keyed.close)
        shared = Shared(
            *(timing, common.shards, keyed, dlp, common.prices),
            *(common.background, common.toolbox, common.accounts),
        )
        most = max(LEAST_BUILT, MOST_BUILT // len(common.shards))
        services = PerWorkspace(workspaces, common.shards, shared.services, most)
        stack.push_async_callback(_drain, services)
        find = partial(_find, workspaces, keyed, services, store)
        worker = Worker(store, find, settings, timing.worker, common.load)
        task = await stack.enter_async_context(_working(worker))
        home = common.shards.home if len(common.shards) > 1 else None
        upkeep = _upkeep(store, home, workspaces.own, keyed, settings, timing)
        await stack.enter_async_context(upkeep)
        yield WorkPart(engine, worker, task)


async def _find(
    workspaces: Workspaces,
    engines: KeyedEngines,
    services: PerWorkspace[Services],
    store: Store,
    id: str,
) -> Services | None:
    """The services of a workspace, with the engine of its key."""
    workspace = await workspaces.find(id)
    if workspace is None:
        return None
    await engines.open(workspace.ai_key)
    return services.of(workspace, store)


async def _drain(services: PerWorkspace[Services]) -> None:
    for each in services.all():
        await each.replies.drain()


def _default_model(settings: Settings) -> str:
    """The default of channels without a model: the model, or the assistant that has one."""
    is_assistant = settings.bot_engine == "assistants"
    return (settings.openai_assistant_id if is_assistant else None) or settings.openai_model


@asynccontextmanager
async def _working(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        worker.leave()
        await task


@asynccontextmanager
async def _upkeep(
    store: Store,
    home: Store | None,
    own: Workspace | None,
    engines: KeyedEngines,
    settings: Settings,
    timing: Timing,
) -> AsyncIterator[None]:
    """The background work on old conversations and their records."""
    sweeper = Sweeper(
        store,
        engines.of("")[0],
        settings.bot_retention_days,
        find_engine=partial(engines.find, store.workspaces),
        places=settings.bot_retention_places,
        uninstall_days=settings.bot_uninstall_days,
        timing=timing.sweep,
    )
    warn = partial(_send_to_admins, own)
    keeper = RecordKeeper(store, settings.redis_budget, warn, timing.records, home)
    async with running(sweeper.keep_sweeping()), running(keeper.keep()):
        yield


async def _send_to_admins(own: Workspace | None, text: str) -> None:
    """Without a workspace of the deployment's own there is only the log."""
    if own is None:
        return
    messages = DirectMessages(own.client)
    for user_id in own.settings.bot_admins:
        try:
            await messages.send(user_id, text)
        except (Undeliverable, Retry) as error:
            log.warning("admin_not_warned", user=user_id, error=str(error)[:100])
