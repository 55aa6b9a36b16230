"""The health and metrics endpoints of a process."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bot.errors import StoreUnavailable
from bot.store import Store
from bot.telemetry import metrics

PROBE_SECONDS = 2.0

Probe = Callable[[], Awaitable[bool]]


def add_routes(
    site: web.Application,
    store: Store,
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
        site.router.add_get("/metrics", _metrics(store, token))


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
        """Whether the process can work now: 200 or 503, with the state of each dependency."""
        found = await asyncio.gather(*(_succeeds(probe) for probe in probes.values()))
        checks = {
            name: "ok" if fine else "failed" for name, fine in zip(probes, found, strict=True)
        }
        return web.json_response(checks, status=200 if all(found) else 503)

    return readyz


async def _succeeds(probe: Probe) -> bool:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await probe()
    except (StoreUnavailable, TimeoutError):
        return False


def _metrics(store: Store, token: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    expected = f"Bearer {token}".encode()

    async def serve(request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if token and not hmac.compare_digest(given, expected):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        await _measure_queue(store)
        text = generate_latest(metrics.REGISTRY)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return serve


async def _measure_queue(store: Store) -> None:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            depth = await store.inbox.depth()
    except (StoreUnavailable, TimeoutError):
        metrics.redis_up.set(0)
        return
    metrics.redis_up.set(1)
    for state in ("waiting", "claimed", "later"):
        metrics.queue_threads.labels(state).set(getattr(depth, state))
    metrics.queue_oldest.set(depth.oldest_age)
    metrics.dead_letters.set(depth.dead)
    metrics.workers.set(depth.workers)
