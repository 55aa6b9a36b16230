"""The composition root: opens store, Slack and engine in order, and runs them."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from bot.engines import Engine, open_engine
from bot.engines.polling import error_backoff
from bot.errors import ConfigError, Retry, StoreUnavailable
from bot.health import PROBE_SECONDS, Probe, add_routes
from bot.imports import uncollected
from bot.settings import Settings
from bot.settings.prices import load_prices
from bot.slack.client import open_client
from bot.slack.http_server import listening
from bot.slack.opening import open_workspaces
from bot.slack.people import People
from bot.slack.receiving import Receiving
from bot.slack.workspaces import Workspace, Workspaces
from bot.store import Store
from bot.store.shards import Shards, open_shards
from bot.telemetry import audit_log
from bot.telemetry.log import log
from bot.telemetry.trace import open_tracing
from bot.telemetry.watchdog import Watchdog
from bot.timing import EngineTiming, Timing
from bot.tools.accounts import open_accounts
from bot.tools.config import load_tools

if TYPE_CHECKING:
    from bot.process.web_part import WebPart
    from bot.upkeep.swept import SweptShards

T = TypeVar("T")
Engines = Callable[[Settings, EngineTiming], AbstractAsyncContextManager[Engine]]
"""A function that opens an engine."""
YOUNG_OBJECTS = 10_000
"""New objects between two garbage collections; Python's 2,000 are one turn."""


@dataclass(frozen=True, slots=True)
class Bot:
    """A running bot. `address` is the (host, port) of its HTTP server, if it has one; `work` ends
    early only if the worker has failed."""

    shards: Shards
    engine: Engine | None
    workspaces: Workspaces
    address: tuple[str, int] | None
    work: asyncio.Task[None] | None = None

    @property
    def store(self) -> Store:
        """The first shard; by default the only one."""
        return self.shards.home

    @property
    def people(self) -> People:
        """The people of the workspace of `SLACK_BOT_TOKEN`."""
        assert self.workspaces.own is not None
        return self.workspaces.own.people


async def serve(
    settings: Settings,
    *,
    web_part: bool,
    work_part: bool,
    engines: Engines = open_engine,
    lifeline: int | None = None,
) -> None:
    """Run the bot's two parts, or one of them, until SIGTERM or SIGINT, or the end of `lifeline`: a
    pipe that is closed with the parent process.

    Raises ConfigError, StoreUnavailable or Retry when the start fails.
    """
    stop = stop_on_signals()
    if lifeline is not None:
        asyncio.get_running_loop().add_reader(lifeline, stop.set)
    watchdog = Watchdog(settings.bot_stall_log, settings.bot_stall_exit)
    opening = open_bot(
        settings,
        web_part=web_part,
        work_part=work_part,
        engines=engines,
        is_stalled=lambda: watchdog.is_stalled,
    )
    async with AsyncExitStack() as stack:
        stack.enter_context(watchdog.watching())
        with uncollected():
            bot = await stack.enter_async_context(opening)
        gc.set_threshold(YOUNG_OBJECTS)
        log.info("ready", web=web_part, worker=work_part, socket_mode=settings.socket_mode)
        stopped = asyncio.create_task(stop.wait())
        ends = [stopped] if bot.work is None else [stopped, bot.work]
        watchdog.started()
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        log.info("leaving")


@asynccontextmanager
async def open_bot(
    settings: Settings,
    *,
    web_part: bool = True,
    work_part: bool = True,
    engines: Engines = open_engine,
    timing: Timing = Timing(),
    is_stalled: Callable[[], bool] = lambda: False,
) -> AsyncIterator[Bot]:
    """The running bot. On exit it first stops listening, then hands unfinished work over."""
    tools, prices = load_tools(settings.bot_tools), load_prices(settings.bot_prices)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_open_telemetry(settings))
        shards = await stack.enter_async_context(open_shards(settings, timing.store))
        await _retry_at_start(shards.ping, timing.start_patience)
        client = await stack.enter_async_context(open_client(settings, timing.slack))
        workspaces = await _retry_at_start(
            lambda: open_workspaces(settings, timing.slack, shards, client), timing.start_patience
        )
        accounts = await stack.enter_async_context(open_accounts(shards, tools, settings))
        probes: dict[str, Probe] = {"redis": _pinged(shards), "slack": _known(workspaces.own)}
        engine: Engine | None = None
        work, receiving = None, Receiving(len(shards))
        if work_part:
            # Not needed by `bot web`, and large.
            from bot.process.serving import open_workers
            from bot.process.work_part import open_common

            opened = await stack.enter_async_context(engines(settings, timing.engine))
            common = await stack.enter_async_context(
                open_common(
                    *(settings, timing, shards, workspaces, opened, engines),
                    *(tools, prices, accounts, receiving),
                )
            )
            workers = await stack.enter_async_context(open_workers(common))
            engine, work = workers.engine, workers.task
            probes["worker"] = workers.is_alive
        serving = None
        if web_part:
            # Not needed by `bot worker`; it imports Bolt.
            from bot.process.web_part import open_web

            serving = await stack.enter_async_context(
                open_web(settings, timing, shards, client, workspaces, tools, accounts, receiving)
            )
        site = _build_site(settings, shards, probes, serving, is_stalled)
        address = await stack.enter_async_context(_open_port(site, settings, web_part))
        yield Bot(shards, engine, workspaces, address, work)


@asynccontextmanager
async def _open_port(
    site: web.Application, settings: Settings, web_part: bool
) -> AsyncIterator[tuple[str, int] | None]:
    """Serve the pages of this process; yields the address, None without a port."""
    port = settings.port if web_part else settings.bot_health_port
    if port is None:
        yield None
        return
    variable = "PORT" if web_part else "BOT_HEALTH_PORT"
    async with listening(site, settings.bot_host, port, variable) as address:
        yield address


def _build_site(
    settings: Settings,
    shards: Shards,
    probes: Mapping[str, Probe],
    serving: "WebPart | None",
    is_stalled: Callable[[], bool],
) -> web.Application:
    """The pages of this process: health and metrics, and those of the web part."""
    site = web.Application()
    if serving and serving.is_connected:
        probes = {**probes, "socket": serving.is_connected}
    token = settings.bot_metrics_token.get_secret_value() if settings.bot_metrics_token else ""
    is_public = serving is not None
    add_routes(site, shards, probes, public=is_public, token=token, is_stalled=is_stalled)
    if serving:
        serving.add_routes(site)
    return site


@asynccontextmanager
async def _open_telemetry(settings: Settings) -> AsyncIterator[None]:
    """Traces and the audit log."""
    async with open_tracing(settings.otel_exporter_otlp_endpoint):
        with _open_audit_log(settings):
            yield


def _open_audit_log(settings: Settings) -> AbstractContextManager[None]:
    """The audit log that the settings name. Raises ConfigError if it cannot be written."""
    if settings.bot_audit_log not in ("", "stdout"):
        try:
            Path(settings.bot_audit_log).open("a").close()
        except OSError as error:
            raise ConfigError("BOT_AUDIT_LOG", f"cannot be written: {error.strerror}") from None
    return audit_log.opened(settings.bot_audit_log)


async def sweep(
    settings: Settings, *, dry_run: bool, engines: Engines = open_engine
) -> "SweptShards":
    """Sweep all shards now, except those that another process is sweeping. Raises Retry if it
    sweeps all of them, and StoreUnavailable, before it begins, if a shard does not answer."""
    from bot.engines.keyed import KeyedEngines
    from bot.upkeep.sweeper import Sweeper
    from bot.upkeep.swept import total

    swept, busy = [], []
    async with (
        open_shards(settings) as shards,
        engines(settings, EngineTiming()) as engine,
        AsyncExitStack() as stack,
    ):
        await shards.need_all()
        for store in shards:
            keyed = KeyedEngines(
                engine, engines, settings, EngineTiming(), store.circuits, settings.openai_model
            )
            stack.push_async_callback(keyed.close)
            sweeper = Sweeper(
                store,
                engine,
                settings.bot_retention_days,
                find_engine=partial(keyed.find, store.workspaces),
                places=settings.bot_retention_places,
                uninstall_days=settings.bot_uninstall_days,
            )
            try:
                swept.append(await (sweeper.preview() if dry_run else sweeper.sweep_now()))
            except Retry:
                busy.append(store.number)
        if not swept:
            raise Retry("another process sweeps")
    return total(swept, busy)


def _pinged(shards: Shards) -> Probe:
    """A server that hangs counts as down before the probe times out, which would fail for all."""

    async def pinged() -> bool | str:
        down = await shards.down(PROBE_SECONDS / 2)
        if down and len(down) < len(shards):
            return f"shards {', '.join(map(str, down))} are down"
        return not down

    return pinged


def _known(own: Workspace | None) -> Probe:
    async def known() -> bool:
        return own is None or bool(own.identity.user_id)

    return known


async def _retry_at_start(call: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Retry while a dependency is starting; raises its last error after `seconds`."""
    end = asyncio.get_running_loop().time() + seconds
    for delay in error_backoff():
        try:
            return await call()
        except (StoreUnavailable, Retry) as error:
            wait = error.after if isinstance(error, Retry) and error.after else delay
            if asyncio.get_running_loop().time() + wait > end:
                raise
            log.warning("start_delayed", error=str(error))
            await asyncio.sleep(wait)
    raise AssertionError("error_backoff never ends")


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets; a second signal ends the process immediately."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def received(number: int) -> None:
        if stop.is_set():
            raise SystemExit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received, number)
    return stop
