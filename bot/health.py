"""The health and metrics endpoints of a process."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bot.errors import StoreUnavailable
from bot.store import Depth, Store
from bot.store.shards import Shards
from bot.telemetry import metrics

PROBE_SECONDS = 2.0

Probe = Callable[[], Awaitable[bool | str]]
"""Whether a dependency works. A text means that it works in part, and names what is down."""


def add_routes(
    site: web.Application,
    shards: Shards,
    probes: Mapping[str, Probe],
    *,
    public: bool,
    token: str,
    is_stalled: Callable[[], bool],
) -> None:
    """Serve `/healthz` and `/readyz`, and `/metrics` to callers with the token.

    Without a token, `/metrics` is served only if the port is not `public`.
    """
    site.router.add_get("/healthz", _healthz(is_stalled))
    site.router.add_get("/readyz", _readyz(probes))
    if token or not public:
        site.router.add_get("/metrics", _metrics(shards, token))


def _healthz(is_stalled: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def healthz(_: web.Request) -> web.Response:
        """200 while the process runs, whatever its dependencies do: a restart would not fix those.

        503 if its event loop is or was just blocked: a restart may fix that.
        """
        if is_stalled():
            return web.json_response({"status": "event loop blocked"}, status=503)
        return web.json_response({"status": "ok"})

    return healthz


def _readyz(probes: Mapping[str, Probe]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def readyz(_: web.Request) -> web.Response:
        """Whether the process can work now: 200 or 503, with the state of each dependency.

        200 also while some shards are down: the workspaces of the others need the process.
        """
        found = await asyncio.gather(*(_succeeds(probe) for probe in probes.values()))
        checks = {name: _describe(state) for name, state in zip(probes, found, strict=True)}
        return web.json_response(checks, status=200 if all(found) else 503)

    return readyz


def _describe(state: bool | str) -> str:
    return state if isinstance(state, str) else "ok" if state else "failed"


async def _succeeds(probe: Probe) -> bool | str:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await probe()
    except (StoreUnavailable, TimeoutError):
        return False


def _metrics(shards: Shards, token: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    expected = f"Bearer {token}".encode()

    async def serve(request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if token and not hmac.compare_digest(given, expected):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        await _measure_queue(shards)
        text = generate_latest(metrics.REGISTRY)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return serve


async def _measure_queue(shards: Shards) -> None:
    found = await asyncio.gather(*map(_depth, shards))
    depths = [depth for depth in found if depth is not None]
    metrics.redis_up.set(int(len(depths) == len(shards)))
    metrics.shards_down.set(len(shards) - len(depths))
    if not depths:
        return
    for state in ("waiting", "claimed", "later"):
        metrics.queue_threads.labels(state).set(sum(getattr(depth, state) for depth in depths))
    metrics.queue_oldest.set(max(depth.oldest_age for depth in depths))
    metrics.dead_letters.set(sum(depth.dead for depth in depths))
    metrics.workers.set(min(depth.workers for depth in depths))


async def _depth(store: Store) -> Depth | None:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await store.inbox.depth()
    except (StoreUnavailable, TimeoutError):
        return None
